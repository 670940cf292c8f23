"""The calls that the demo makes: the agent dials, and the person called answers with keys, or must not be reached."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from callguard.demo.agent import TALKS, Agent, AgentCall
from callguard.demo.gate import Gate
from callguard.demo.pbx import Pbx
from callguard.demo.rtp import Key, Tone, length_ms
from callguard.demo.scenarios import QUALITY, TALKS_MS, THINKS_MS, Timeline, Times
from callguard.demo.sipp import CallResult, call
from callguard.demo.tones import AGENT, CALLER_AFTER_YES, CALLER_BEFORE
from callguard.keys import master
from callguard.store.reader import Reader

# The agent stays on the line a little longer than the person does anything.
PATIENCE_MS = 1_000


@dataclass(frozen=True, slots=True)
class Dial:
    """One number that is dialled.

    Attributes:
        number: 7 before it is for service, 8 for marketing.
        person: what the phone that is called sends from its answer on.
        outcome: what it must come to; `UNTOUCHED` where callguard has no part in it.
        after: the name of the call that must have been made before, if any.
    """

    name: str
    pressed: str
    number: str
    person: Callable[[Times], Timeline]
    outcome: str
    granted: str = ""
    tones: frozenset[int] | None = None
    after: str = ""


@dataclass(frozen=True, slots=True)
class Dialled:
    """What came of it: `call_id` is empty where no leg was saved, `reached` None where nobody was called."""

    outcome: str
    granted: str
    call_id: str
    reached: AgentCall | None
    first_sound_s: float | None


UNTOUCHED = "untouched"


def _agrees(times: Times) -> Timeline:
    return (Tone(CALLER_BEFORE, times.essential + THINKS_MS), Key("1"), Tone(CALLER_AFTER_YES, TALKS_MS))


def _opts_out(times: Times) -> Timeline:
    return (Tone(CALLER_BEFORE, times.essential + THINKS_MS), Key("9"), Tone(CALLER_BEFORE, TALKS_MS + 6_000))


def _is_asked_by_the_agent(times: Times) -> Timeline:
    return (Tone(CALLER_BEFORE, 2 * THINKS_MS), Key("1"), Tone(CALLER_AFTER_YES, TALKS_MS))


def _talks(times: Times) -> Timeline:
    return (Tone(CALLER_BEFORE, TALKS_MS),)


BOTH = frozenset({CALLER_AFTER_YES, AGENT})
DIALS = (
    Dial("called: agrees", "1", "7600000101", _agrees, "given", QUALITY, BOTH),
    Dial("called: opts out", "9", "7600000102", _opts_out, "diverted"),
    Dial("opted out: not called", "", "8600000102", _talks, "denied: optout.marketing", after="called: opts out"),
    Dial("agent first, agrees", "1", "8600000103", _is_asked_by_the_agent, "given", QUALITY, BOTH),
)
WITHOUT_CALLGUARD = (
    Dial("emergency, gate dead", "", "7112", _talks, UNTOUCHED),
    Dial("dialled, gate dead", "", "7600000104", _talks, "denied"),
)


async def dial(one: Dial, pbx: Pbx, gate: Gate, agent: Agent) -> Dialled:
    """Dial a number and say what came of it."""
    person = one.person(Times.of(gate.config))
    reached_before = len(agent.calls)
    async with Reader.reading(gate.store, lambda: master.load(gate.config)) as store:
        legs = {leg.call_id for leg in await store.calls(1_000)}
        decisions = len(await store.decisions(1_000))
        agent.timeline = person
        try:
            # Where the gate asks first, the agent's own talk begins after it.
            talks_ms = TALKS_MS if one.number.startswith("7") else length_ms(person)
            result = await call(pbx, one.number, (Tone(AGENT, talks_ms + PATIENCE_MS),))
        finally:
            agent.timeline = TALKS
        reached = agent.calls[reached_before] if len(agent.calls) > reached_before else None
        new = [leg for leg in await store.calls(1_000) if leg.call_id not in legs]
        decided = await store.decisions(1_000)
        rules = decided[0].rules if len(decided) > decisions else ()
    first = _first_sound_s(result, reached)
    if reached is None:
        return Dialled(": ".join(["denied", *rules[:1]]), "", "", None, first)
    if not new:
        return Dialled(UNTOUCHED, "", "", reached, first)
    (leg,) = new
    return Dialled(str(leg.outcome), ",".join(leg.granted), leg.call_id, reached, first)


def _first_sound_s(result: CallResult, reached: AgentCall | None) -> float | None:
    """To the first sound that the person called heard from the answer on; of a call denied, that the agent heard."""
    if reached is None:
        return result.first_sound_s
    first = reached.heard.first_audible()
    return None if first is None or reached.answered is None else first - reached.answered
