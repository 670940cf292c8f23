"""Configuration and store together say whether an agent may be recorded."""

from __future__ import annotations

from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from sqlite3 import connect

from callguard.agents import Agents
from callguard.config import Config
from callguard.current import Current
from callguard.store import Store
from tests.store.legs import CONTROLLERS
from tests.test_cli_agent import AGENTS
from tests.test_config import GOOD, load

NOW = datetime(2026, 11, 22, 9, 0, tzinfo=UTC)


def asking(config: Config) -> Config:
    """The configuration whose profile asks for the agents' basis."""
    asks = config.profiles["service"].model_copy(update={"agents": "agreement"})
    return config.model_copy(update={"profiles": {**config.profiles, "asks": asks}})


async def test_what_has_changed_is_told_once_from_when_it_holds(tmp_path: Path) -> None:
    later = NOW + timedelta(seconds=5)
    async with Store.open(tmp_path / "store.db", gate=None, controllers=CONTROLLERS) as store:
        unasked = Agents(Current(load(tmp_path, GOOD), {}), store)
        agents = Agents(Current(asking(load(tmp_path, GOOD + AGENTS)), {}), store)
        assert [await agents.changed(NOW), await agents.changed(NOW)] == [NOW, None]
        await store.agent_grants_it("anne", "works agreement 7", NOW)
        assert [await agents.changed(later), await agents.changed(later)] == [later, None]
        await store.agent_revokes_it("anne", NOW + timedelta(seconds=1))
        assert [await agents.changed(later), await agents.changed(later)] == [NOW + timedelta(seconds=1), None]
        assert await unasked.changed(later) is None


async def test_the_grant_in_force_decides(tmp_path: Path) -> None:
    config = asking(load(tmp_path, GOOD + AGENTS))
    async with Store.open(tmp_path / "store.db", gate=None, controllers=CONTROLLERS) as store:
        agents = Agents(Current(config, {}), store)

        async def reason(profile: str, channel: str = "PJSIP/30-0000002a") -> str:
            return (await agents.may_be_recorded(profile, channel, NOW)).reason

        assert await reason("service") == "agent.not_asked"
        assert await reason("asks") == "agent.no_grant"
        await store.agent_grants_it("anne", "works agreement 7", NOW)
        assert await reason("asks") == "agent.grant"
        assert await reason("asks", "PJSIP/31-0000002b") == "agent.unknown"
        assert await reason("gone", "Local/30@agents-00000001;1") == "agent.unknown"
        await store.agent_revokes_it("anne", NOW)
        assert await reason("asks") == "agent.no_grant"
        await store.agent_grants_it("anne", "works agreement 7", NOW)
        with closing(connect(tmp_path / "store.db", isolation_level=None)) as database:
            database.execute("ALTER TABLE agent_grants RENAME TO broken")
        assert await reason("asks") == "agent.no_grant"  # what cannot be read was not granted
