"""Whether the agent's own side lets a call be recorded."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from callguard.core.agents import Agent, AgentGrant, agent_may_be_recorded, endpoint_of

NOW = datetime(2026, 11, 22, 9, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)
DESK = Agent("desk", ("PJSIP/2*",), "works agreement 7")
ANNE = Agent("anne", ("PJSIP/30", "PJSIP/299"), "works agreement 7", needs_grant=True)
GIVEN = AgentGrant("anne", "works agreement 7", NOW - HOUR)


@pytest.mark.parametrize(
    ("endpoint", "grants", "allowed", "reason"),
    [
        ("PJSIP/21", (), True, "agent.agreement"),
        ("PJSIP/30", (GIVEN,), True, "agent.grant"),
        ("PJSIP/30", (), False, "agent.no_grant"),
        ("PJSIP/30", (AgentGrant("anne", "works agreement 7", NOW - HOUR, NOW),), False, "agent.no_grant"),
        ("PJSIP/30", (AgentGrant("anne", "works agreement 7", NOW - HOUR, NOW + HOUR),), True, "agent.grant"),
        ("PJSIP/30", (AgentGrant("anne", "works agreement 7", NOW + HOUR),), False, "agent.no_grant"),
        ("PJSIP/30", (AgentGrant("anne", "works agreement 6", NOW - HOUR),), False, "agent.no_grant"),
        ("PJSIP/30", (AgentGrant("desk", "works agreement 7", NOW - HOUR),), False, "agent.no_grant"),
        ("PJSIP/299", (), False, "agent.no_grant"),  # named twice: each has to allow it
        ("PJSIP/299", (GIVEN,), True, "agent.grant"),
        ("PJSIP/40", (GIVEN,), False, "agent.unknown"),
        ("pjsip/21", (), False, "agent.unknown"),
        ("", (), False, "agent.unknown"),
    ],
)
def test_without_their_own_basis_nobody_is_recorded(
    endpoint: str, grants: tuple[AgentGrant, ...], allowed: bool, reason: str
) -> None:
    verdict = agent_may_be_recorded(True, (DESK, ANNE), grants, endpoint, NOW)
    assert (verdict.allowed, verdict.reason) == (allowed, reason)
    assert agent_may_be_recorded(False, (DESK, ANNE), grants, endpoint, NOW).reason == "agent.not_asked"


def test_an_endpoint_is_read_off_a_channels_name() -> None:
    assert endpoint_of("PJSIP/agent-one-0000002a") == "PJSIP/agent-one"
    assert endpoint_of("Local/21@agents-00000001;1") == ""
    assert endpoint_of("nothing") == ""
