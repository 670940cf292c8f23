"""The callers of the demo: what each one does, and what must become of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from callguard.config import Config
from callguard.core.gate import ASIDE_WAIT_MS
from callguard.demo.rtp import Key, Segment, Silence, Tone
from callguard.demo.tones import AGENT, CALLER_AFTER_NO, CALLER_AFTER_STOP, CALLER_AFTER_YES, CALLER_BEFORE
from callguard.speech.catalogue import Catalogue

Timeline = tuple[Segment, ...]
# A person needs a moment to find the key.
THINKS_MS = 1_200
TALKS_MS = 3_000


@dataclass(frozen=True, slots=True)
class Times:
    """How long a profile's prompts are, in ms, rounded to what a timeline takes."""

    essential: int
    question: int
    again: int
    wait: int
    opted_out: int = 0

    @classmethod
    def of(cls, config: Config, profile: str = "service", language: str = "en") -> Times:
        catalogue = Catalogue.load(config)

        def length(part: str) -> int:
            return -(-catalogue.prompt(profile, language, part).length_ms // 20) * 20

        return cls(
            essential=length("essential"),
            question=length("question-1"),
            again=length("again-1") if profile == "service" else 0,
            wait=round(config.profiles[profile].answer_wait_s * 1000),
            opted_out=length("optout-done"),
        )


@dataclass(frozen=True, slots=True)
class Scenario:
    """One caller.

    Attributes:
        name: what the person does.
        pressed: the keys, as the table shows them.
        timeline: what the phone sends from the answer on.
        outcome: what the agent's display must say; None where no agent is reached.
        granted: the purposes.
        tones: what must be in the recording, and nothing else; None for no file at all.
        kill: callguard is killed during the notice.
        extension: what is dialled.
        profile: whose prompts the timeline follows.
        after: the name of the call that must have been made before; none needs one.
    """

    name: str
    pressed: str
    timeline: Callable[[Times], Timeline]
    outcome: str | None
    granted: str = ""
    tones: frozenset[int] | None = None
    kill: bool = False
    extension: str = "1000"
    profile: str = "service"
    after: str = ""


def _agrees(times: Times) -> Timeline:
    return (
        Tone(CALLER_BEFORE, times.essential + THINKS_MS),
        Key("1"),
        Tone(CALLER_AFTER_YES, TALKS_MS),
    )


def _refuses(times: Times) -> Timeline:
    return (Tone(CALLER_BEFORE, times.essential + THINKS_MS), Key("2"), Tone(CALLER_AFTER_NO, TALKS_MS))


def _silent(times: Times) -> Timeline:
    asked = times.essential + times.question + times.wait + times.again + times.wait
    return (Tone(CALLER_BEFORE, asked + TALKS_MS),)


def _too_early(times: Times) -> Timeline:
    """1 during the notice, then nothing: the early key must not count when the question comes."""
    asked = times.essential + times.question + times.wait + times.again + times.wait
    early = times.essential // 2 // 20 * 20
    return (Tone(CALLER_BEFORE, early), Key("1"), Tone(CALLER_AFTER_NO, asked - early + TALKS_MS))


def _withdraws(times: Times) -> Timeline:
    return (
        *_agrees(times),
        Key("*"),
        Silence(100),
        Key("9"),
        Tone(CALLER_AFTER_STOP, TALKS_MS),
    )


def _hangs_up(times: Times) -> Timeline:
    return (Tone(CALLER_BEFORE, times.essential // 2 // 20 * 20),)


def _waits_for_rescue(times: Times) -> Timeline:
    return (Tone(CALLER_BEFORE, times.essential + 5_000 + TALKS_MS),)


def _agrees_to_one(times: Times) -> Timeline:
    """1 to the first question, 2 to the second, each when it has been asked."""
    return (
        Tone(CALLER_BEFORE, times.essential + times.question),
        Key("1"),
        Tone(CALLER_BEFORE, THINKS_MS),
        Key("2"),
        Tone(CALLER_AFTER_YES, TALKS_MS),
    )


def _opts_out(times: Times) -> Timeline:
    """9, its confirmation, and then no answer to the question."""
    asked = times.question + times.wait + times.again + times.wait
    return (
        Tone(CALLER_BEFORE, times.essential + THINKS_MS),
        Key("9"),
        Tone(CALLER_BEFORE, times.opted_out + ASIDE_WAIT_MS + asked + TALKS_MS),
    )


def _informed(times: Times) -> Timeline:
    """Says nothing while being informed; 2 s later than the prompts the call goes on."""
    return (Tone(CALLER_BEFORE, times.essential + times.question + 1_900), Tone(CALLER_AFTER_YES, TALKS_MS))


QUALITY, CONTRACT = "recording.quality", "recording.contract"

SCENARIOS = (
    Scenario("agrees", "1", _agrees, "given", QUALITY, frozenset({CALLER_AFTER_YES, AGENT})),
    Scenario("refuses", "2", _refuses, "refused"),
    Scenario("stays silent", "", _silent, "unknown"),
    Scenario("presses 1 too early", "1", _too_early, "unknown"),
    Scenario("agrees, withdraws", "1 *9", _withdraws, "given", QUALITY, frozenset({CALLER_AFTER_YES, AGENT})),
    Scenario("hangs up early", "", _hangs_up, None),
    Scenario("is informed", "", _informed, "informed", CONTRACT,
             frozenset({CALLER_AFTER_YES, AGENT}), extension="1001", profile="contract"),
    Scenario("agrees to one of two", "1 2", _agrees_to_one, "partial", QUALITY,
             frozenset({CALLER_AFTER_YES, AGENT}), extension="1003", profile="choice"),
    Scenario("agrees, by FastAGI", "1", _agrees, "given", QUALITY,
             frozenset({CALLER_AFTER_YES, AGENT}), extension="1004"),
    Scenario("agrees, in a queue", "1", _agrees, "given", QUALITY,
             frozenset({CALLER_AFTER_YES, AGENT}), extension="2000"),
    Scenario("wants no marketing", "9", _opts_out, "unknown"),
    Scenario("callguard is killed", "", _waits_for_rescue, "error", kill=True),
)  # fmt: skip
