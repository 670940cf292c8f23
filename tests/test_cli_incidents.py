"""``callguard incidents list``: read as a table or as JSON, and nothing else is printed."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from callguard.core.incidents import Incident
from callguard.keys.master import MasterKey
from callguard.store import Store
from tests.keys.crasher import seal_all
from tests.keys.test_quarantine import HEARD, put
from tests.store.legs import given, make_leg
from tests.test_cli import callguard
from tests.test_config import GOOD

AT = datetime(2026, 11, 22, 9, 0, tzinfo=UTC)


@pytest.fixture
def written(tmp_path: Path) -> Path:
    file = tmp_path / "callguard.toml"
    file.write_text(GOOD.replace('path = "/var/lib/callguard', f'path = "{tmp_path}'), encoding="utf-8")
    return file


async def test_incidents_are_listed_with_their_call(written: Path) -> None:
    none = callguard("incidents", "list", "--config", str(written))
    assert (none.returncode, none.stdout) == (2, "")
    assert "there is no store yet" in none.stderr
    leg = make_leg(given())
    async with Store.open(written.parent / "callguard.db", gate=None, controllers={"acme": "Acme Energy"}) as store:
        empty = callguard("incidents", "list", "--config", str(written))
        assert (empty.returncode, empty.stdout) == (0, "No incidents\n")
        await store.save(leg)
        incident = await store.incident(Incident.RECORDING_FOREIGN, AT, {"stopped": 2, "file": "[bold]"}, leg.leg_id)
    table = callguard("incidents", "list", "--config", str(written), COLUMNS="200", TZ="UTC")
    assert table.returncode == 0
    for said in ("2026-11-22 09:00:00+00:00", "recording.foreign", leg.call_id, "stopped: 2", "file: [bold]"):
        assert said in table.stdout
    listed = callguard("incidents", "list", "--json", "--config", str(written))
    assert json.loads(listed.stdout) == [
        {
            "incident": incident,
            "kind": "recording.foreign",
            "at": "2026-11-22T09:00:00+00:00",
            "controller": "acme",
            "call": leg.call_id,
            "leg": leg.leg_id,
            "detail": {"stopped": 2, "file": "[bold]"},
        }
    ]


async def test_what_was_set_aside_is_opened_for_its_incident_and_that_it_was_is_kept(tmp_path: Path) -> None:
    key = MasterKey.of(bytes(range(100, 132)))  # as the crasher's
    (tmp_path / "master.key").write_text(key.text, encoding="ascii")
    (tmp_path / "master.key").chmod(0o600)
    name, other = put(tmp_path), put(tmp_path)
    await seal_all(tmp_path)
    (tmp_path / "s.db").rename(tmp_path / "callguard.db")
    text = GOOD.replace('path = "/var/lib/callguard', f'path = "{tmp_path}')
    text = text.replace('path_here = "/var/spool/callguard"', f'path_here = "{tmp_path}"')
    (tmp_path / "callguard.toml").write_text(f'{text}\n[keys]\nmaster = {{ file = "{tmp_path}/master.key" }}', "utf-8")
    async with Store.open(tmp_path / "callguard.db", gate=None, controllers={"acme": "Acme Energy"}) as store:
        detail = {"quarantined_as": "x.wav", "also_quarantined": [name]}
        await store.incident(Incident.RECORDING_FOREIGN, AT, detail)
    at = ("--config", str(tmp_path / "callguard.toml"), "--output")
    refused = callguard("incidents", "export", other, *at, str(tmp_path / "other.wav"))
    assert (refused.returncode, "no incident names such a file" in refused.stderr) == (2, True)
    assert (
        callguard("incidents", "export", name, *at, str(tmp_path / "heard.wav"), "--for", "complaint").returncode == 0
    )
    assert (tmp_path / "heard.wav").read_bytes() == HEARD
    assert (tmp_path / "heard.wav").stat().st_mode & 0o777 == 0o600
    assert not (tmp_path / "other.wav").exists()
    (entry,) = json.loads(callguard("audit", "access", "--json", *at[:2]).stdout)
    assert (entry["action"], entry["purpose"]) == ("incidents export", "complaint")
