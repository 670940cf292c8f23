"""The dial decision on a real store, where the clock plays tricks."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

from callguard.core.decide import Scope
from callguard.current import Current
from callguard.dial import Dial
from callguard.metrics import Metrics
from callguard.store import Store

NUMBER = "+390612345678"


async def test_who_opted_out_before_the_clock_was_set_back_is_not_called(tmp_path: Path) -> None:
    profile = SimpleNamespace(controller="acme", region=None, calls="marketing", campaign=None)
    current = Current(cast(Any, SimpleNamespace(profiles={"sales": profile})), {})
    async with Store.open(tmp_path / "store.db", gate="callguard", controllers={"acme": "Acme"}) as store:
        dial = Dial(current, store, Metrics())
        assert (await dial.decide("sales", NUMBER)).allow
        await store.opt_out("acme", NUMBER, Scope.MARKETING, datetime.now(UTC) + timedelta(hours=1), "key")
        decision = await dial.decide("sales", NUMBER)
    assert (decision.allow, decision.rule) == (False, "optout.marketing")
