"""What the tests of policies share: a configuration with policies of its own, and facts of a marketing call."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeAlias

import pytest

from callguard import config
from callguard.core.decide import Facts, Registered
from callguard.policies.load import Lawbook
from tests.test_config import GOOD

Write: TypeAlias = Callable[..., config.Config]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Writes policies, one file for each text, and a configuration that has them."""

    def to(*texts: str, adopt: tuple[str, ...] = ()) -> config.Config:
        folder = tmp_path / "policies"
        folder.mkdir(exist_ok=True)
        for n, text in enumerate(texts):
            (folder / f"own{n}.toml").write_text(text, encoding="utf-8")
        file = tmp_path / "callguard.toml"
        law = f'[law]\npolicies = "{folder}"\nadopt = {list(adopt)}\n'.replace("'", '"')
        file.write_text(GOOD.replace("[store]", f"{law}\n[store]"), encoding="utf-8")
        return config.load(file, {})

    return to


def marketing(book: Lawbook, number: str, when: str, **changes: Any) -> Facts:
    """A marketing call in which an agent speaks first, with a fresh list, to a number at a moment in UTC."""
    at = datetime.fromisoformat(when).replace(tzinfo=UTC)
    fresh = Registered("list", at.date(), 31, listed=False)
    facts = Facts(number, "marketing", None, None, at, (), (fresh,), place=book.places.of(number), agent_first=True)
    return replace(facts, **changes)
