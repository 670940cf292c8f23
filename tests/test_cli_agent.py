"""``callguard agent``: grants kept and shown, and a configuration that asks for what cannot be held is refused."""

from __future__ import annotations

import json
from pathlib import Path

from tests.test_cli import callguard
from tests.test_config import GOOD, load

AGENTS = """
[agents.anne]
endpoints = ["PJSIP/30"]
agreement = "works agreement 7"
grant = true
"""


async def test_a_grant_is_kept_listed_and_ended(tmp_path: Path) -> None:
    file = tmp_path / "callguard.toml"
    file.write_text(GOOD.replace('path = "/var/lib/callguard', f'path = "{tmp_path}') + AGENTS, encoding="utf-8")

    def agent(*arguments: str) -> tuple[int, str]:
        done = callguard("agent", *arguments, "--config", str(file))
        return done.returncode, done.stdout or done.stderr

    assert agent("grant", "anne") == (0, "Kept: anne grants being recorded (works agreement 7)\n")
    code, said = agent("grant", "bob")
    assert (code, "there are: anne" in said) == (2, True)
    (listed,) = json.loads(agent("list", "--json")[1])
    assert (listed["agent"], listed["needs_grant"], listed["revoked"]) == ("anne", True, None)
    assert "given" in agent("list")[1]
    assert agent("revoke", "anne") == (0, "Ended: the grant of anne\n")
    assert "revoked" in agent("list")[1]


def test_a_profile_may_ask_for_the_agents_basis(tmp_path: Path) -> None:
    asked = GOOD.replace("[profiles.service]\n", '[profiles.service]\nagents = "agreement"\n')
    assert load(tmp_path, asked + AGENTS).profiles["service"].agents == "agreement"
    assert load(tmp_path, GOOD + AGENTS).agents["anne"].grant
