"""What becomes of a call that nobody's channel has made, by what its channel says."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import pytest

from callguard.core.incidents import Incident
from callguard.current import Current
from callguard.dial_sections import Paths
from callguard.errors import Refused, StoreError
from callguard.store import Store
from callguard.telephony.ami import Session
from callguard.telephony.ami_events import Originated
from callguard.unasked import CALLED, Unasked
from tests.test_config import GOOD, load

TRUNK = "PJSIP/trunk-00000001"
NOW = "1795346190"


class Channel:
    """A channel as a session sees it, and a dialplan with one emergency number."""

    def __init__(self, **values: str) -> None:
        self.values = {"EPOCH": NOW, **values}
        self.gone = False
        self.hung_up: list[str] = []

    async def variables(self, channel: str, *names: str) -> list[str]:
        if self.gone:
            raise Refused(0, "No such channel")
        return [self.values.get(name, "") for name in names]

    async def passes(self, number: str) -> bool:
        return number == "112"

    async def hang_up(self, channel: str) -> None:
        if self.gone:
            raise Refused(0, "No such channel")
        self.hung_up.append(channel)


class Keeping:
    """A store that keeps incidents, and may fail."""

    def __init__(self) -> None:
        self.incidents: list[tuple[str, dict[str, object]]] = []
        self.fails = False

    async def incident(self, kind: str, at: object, detail: dict[str, object], leg_id: str | None) -> None:
        if self.fails:
            raise StoreError("locked")
        self.incidents.append((kind, detail))


class Bench:
    def __init__(self, folder: Path, *trunks: str) -> None:
        config = load(folder, GOOD).model_copy(update={"paths": Paths(trunks=trunks)})
        self.store = Keeping()
        self.unasked = Unasked(Current(config, {}), cast(Store, self.store))

    async def called(self, channel: Channel, dialled: str, name: str = TRUNK) -> bool:
        """Whether it was hung up."""
        await self.unasked.called(cast(Session, cast(Any, channel)), Originated(name, dialled))
        return channel.hung_up == [name]


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path, "PJSIP/trunk-*", "DAHDI/*")


async def test_it_is_hung_up_and_kept_as_an_incident_without_its_number(
    bench: Bench, capsys: pytest.CaptureFixture[str]
) -> None:
    assert await bench.called(Channel(), "600000001@trunk")
    assert bench.store.incidents == [(Incident.DIAL_UNASKED, {"channel": TRUNK, "hung_up": True})]
    assert "600000001" not in capsys.readouterr().out


async def test_what_is_no_trunk_is_left_alone(bench: Bench, tmp_path: Path) -> None:
    assert not await bench.called(Channel(), "agent", "PJSIP/agent-00000001")
    assert not await Bench(tmp_path).called(Channel(), "600000001@trunk")
    assert bench.store.incidents == []


@pytest.mark.parametrize(
    ("dialled", "values"),
    [
        ("112@trunk", {}),
        ("trunk", {CALLED: "sip:112@127.0.0.1"}),
        ("1077112@trunk", {"CG_EMERGENCY": "yes"}),
        ("600000001@trunk", {"CG_ALLOWED": f"600000001:{NOW}"}),
    ],
)
async def test_emergencies_and_what_the_guard_has_allowed_go_on(
    bench: Bench, dialled: str, values: dict[str, str]
) -> None:
    assert not await bench.called(Channel(**values), dialled)
    assert bench.store.incidents == []


@pytest.mark.parametrize(
    ("dialled", "values"),
    [
        ("600000001@trunk", {"CG_ALLOWED": f"600000002:{NOW}"}),
        ("600000001@trunk", {"CG_EMERGENCY": "no"}),
        ("trunk", {}),
        ("1077112@trunk", {}),
    ],
)
async def test_what_looks_like_them_does_not(bench: Bench, dialled: str, values: dict[str, str]) -> None:
    assert await bench.called(Channel(**values), dialled)


async def test_only_sip_is_asked_whom_it_calls(bench: Bench) -> None:
    assert await bench.called(Channel(**{CALLED: "sip:112@127.0.0.1"}), "g1", "DAHDI/i1/1-1")


@pytest.mark.parametrize(("dialled", "incidents"), [("600000001@trunk", 1), ("112@trunk", 0)])
async def test_what_has_ended_by_itself_has_left_all_the_same(bench: Bench, dialled: str, incidents: int) -> None:
    channel = Channel()
    channel.gone = True
    assert not await bench.called(channel, dialled)
    assert [detail["hung_up"] for _, detail in bench.store.incidents] == [False] * incidents


async def test_an_incident_that_cannot_be_kept_is_kept_later(bench: Bench) -> None:
    bench.store.fails = True
    assert await bench.called(Channel(), "600000001@trunk")
    bench.store.fails = False
    await bench.unasked.save()
    await bench.unasked.save()
    assert len(bench.store.incidents) == 1
