"""The gate: from the first word of the notice to the moment the call goes on.

One pure function, `step`, and one table. Rules 1, 2, 3, 5 and 7 of the gate are here and nowhere else.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import StrEnum

from callguard.core.commands import Ask, Command, Release, Save, StartRecording
from callguard.core.events import Answered, Cause, Event, Lost, Released, Saved, SaveFailed
from callguard.core.model import Answer, Basis, GrantState, Heard, Meaning, Outcome
from callguard.core.profile import Flow, Inform, Notice, Question, Step

KEYS = {
    "1": Meaning.GIVE,
    "2": Meaning.REFUSE,
    "3": Meaning.DETAILS,
    "0": Meaning.REPEAT,
    "#": Meaning.LANGUAGE,
    # the keys of the conversation mean the same in the gate
    "*9": Meaning.REFUSE,
    "*8": Meaning.REPEAT,
}
PROTECTING = frozenset(key for key, meaning in KEYS.items() if meaning is not Meaning.GIVE)
ALL_KEYS = frozenset(KEYS)

# Nobody is held for ever by pressing "repeat": after so many prompts the call goes on, unrecorded.
MAX_TURNS = 12
# Asterisk ends a playback up to two 20 ms frames early by its own clock; more than that was not heard.
HEARD_TOLERANCE_MS = 100


class Phase(StrEnum):
    ASKING = "asking"
    SAVING = "saving"
    FINISHING = "finishing"
    DONE = "done"


class Unforeseen(Exception):
    """The table has no cell for what happened. The leg's boundary turns it into the closed outcome."""


@dataclass(frozen=True, slots=True)
class State:
    """Where a leg is.

    Attributes:
        step: index into the flow's steps.
        detail: index of the piece of the full layer that is being played, or None.
        repeats: silences at this question so far.
        turns: prompts asked so far, the full layer's pieces not counted.
        essential: the notice's essential part has been heard on this leg, in this language.
        gone: the caller hung up, or the call went on without us.
    """

    phase: Phase
    language: str
    step: int = 0
    detail: int | None = None
    repeats: int = 0
    turns: int = 0
    essential: bool = False
    gone: bool = False
    answers: tuple[Answer, ...] = ()
    heard: tuple[Heard, ...] = ()
    dropped: int = 0


Move = tuple[State, tuple[Command, ...]]


def start(flow: Flow) -> Move:
    """Begin with a leg that has just been claimed."""
    return _ask(flow, State(Phase.ASKING, flow.languages[0]))


def step(flow: Flow, state: State, event: Event) -> Move:
    """What follows from an event.

    Raises:
        Unforeseen: the flow has no place for this event now.
    """
    cell = _TABLE.get((state.phase, type(event)))
    if cell is None:
        raise Unforeseen(f"{type(event).__name__} while {state.phase}")
    return cell(flow, state, event)


def closed(flow: Flow) -> Outcome:
    """The outcome when anything is in doubt: served unrecorded, or diverted where it may not go unrecorded."""
    return Outcome.DIVERTED if flow.may_not_go_unrecorded else Outcome.ERROR


def _ask(flow: Flow, state: State) -> Move:
    """Order what the state's place in the flow asks for."""
    if state.detail is not None:
        return state, (Ask((flow.details[state.language][state.detail],), PROTECTING, 0),)
    if state.turns >= MAX_TURNS:
        return _save(flow, _rest_unknown(flow, state, "limit"))
    state = replace(state, turns=state.turns + 1)
    at = _at(flow, state)
    if isinstance(at, Notice):
        return state, (Ask((at.essential,), PROTECTING, 0),)
    if isinstance(at, Inform):
        return state, (Ask((at.prompt,), PROTECTING, at.wait_ms),)
    if isinstance(at, Question):
        return state, (Ask((at.again if state.repeats else at.prompt,), ALL_KEYS, at.wait_ms),)
    return _save(flow, state)


def _answered(flow: Flow, state: State, event: Event) -> Move:
    assert isinstance(event, Answered)  # noqa: S101  the table's key says so
    state = replace(state, heard=state.heard + event.heard, dropped=state.dropped + event.dropped)
    if event.cause is Cause.KEY:
        return _key(flow, state, event)
    if event.cause is Cause.SILENCE:
        return _silence(flow, state, event)
    state = _rest_unknown(flow, state, event.cause.value)
    return _save(flow, replace(state, gone=event.cause is Cause.HANGUP))


def _key(flow: Flow, state: State, event: Answered) -> Move:
    meaning = KEYS.get(event.keys)
    at = _at(flow, state)
    if meaning is Meaning.GIVE:
        # Rule 2: informed, and pressed after the words that informed; else it is as if nothing had been pressed.
        if isinstance(at, Question) and state.essential and state.detail is None and event.began_ms >= 0:
            return _next(flow, _with(state, Answer(at.purpose, GrantState.GIVEN, event.keys, "key")))
        return _ask(flow, replace(state, dropped=state.dropped + 1))
    if meaning is Meaning.REFUSE:
        return _refused(flow, state, at, event.keys)
    if meaning is Meaning.DETAILS:
        piece = 0 if state.detail is None else state.detail + 1
        return _ask(flow, replace(state, detail=piece if piece < len(flow.details[state.language]) else None))
    if meaning is Meaning.REPEAT:
        return _ask(flow, replace(state, step=0, detail=None, repeats=0, answers=()))
    if meaning is Meaning.LANGUAGE:
        after = flow.languages[(flow.languages.index(state.language) + 1) % len(flow.languages)]
        return _ask(flow, State(Phase.ASKING, after, turns=state.turns, heard=state.heard, dropped=state.dropped))
    raise Unforeseen(f"a key that no Ask wanted, while {state.phase}")


def _refused(flow: Flow, state: State, at: Step, keys: str) -> Move:
    """A no in a question answers that question; anywhere before, it answers all that is still open."""
    if isinstance(at, Question) and state.detail is None:
        return _next(flow, _with(state, Answer(at.purpose, GrantState.REFUSED, keys, "key")))
    open_ = [purpose for purpose in flow.purposes if purpose not in {answer.purpose for answer in state.answers}]
    return _save(flow, _with(state, *(Answer(purpose, GrantState.REFUSED, keys, "key") for purpose in open_)))


def _silence(flow: Flow, state: State, event: Answered) -> Move:
    """All was played and nothing was pressed."""
    if state.detail is not None:
        piece = state.detail + 1
        return _ask(flow, replace(state, detail=piece if piece < len(flow.details[state.language]) else None))
    at = _at(flow, state)
    if isinstance(at, Notice):
        heard = sum(part.heard_ms for part in event.heard if part.prompt == at.essential)
        if heard < at.essential.length_ms - HEARD_TOLERANCE_MS:
            return _save(flow, _rest_unknown(flow, state, "failed"))
        return _next(flow, replace(state, essential=True))
    if isinstance(at, Inform):
        informed = (Answer(purpose, GrantState.GIVEN, "", "informed") for purpose in at.purposes)
        return _next(flow, _with(state, *informed))
    if isinstance(at, Question):
        if not state.repeats:
            return _ask(flow, replace(state, repeats=1))
        return _next(flow, _with(state, Answer(at.purpose, GrantState.UNKNOWN, "", "silence")))
    raise Unforeseen("an answer to no question")


def _next(flow: Flow, state: State) -> Move:
    return _ask(flow, replace(state, step=state.step + 1, repeats=0))


def _save(flow: Flow, state: State) -> Move:
    outcome, granted, record = _outcome(flow, state)
    save = Save(outcome, state.answers, granted, record, state.language, state.heard, state.dropped)
    return replace(state, phase=Phase.SAVING), (save,)


def _saved(flow: Flow, state: State, event: Event) -> Move:
    """Rule 1: only here, where the basis is committed, may a recording be ordered."""
    if state.gone:
        return replace(state, phase=Phase.DONE), ()
    outcome, granted, record = _outcome(flow, state)
    start_recording = (StartRecording(granted),) if record else ()
    return replace(state, phase=Phase.FINISHING), (*start_recording, Release(outcome, granted))


def _save_failed(flow: Flow, state: State, event: Event) -> Move:
    if state.gone:
        return replace(state, phase=Phase.DONE), ()
    return replace(state, phase=Phase.FINISHING), (Release(closed(flow)),)


def _lost(flow: Flow, state: State, event: Event) -> Move:
    return _save(flow, _rest_unknown(flow, replace(state, gone=True), "lost"))


def _done(flow: Flow, state: State, event: Event) -> Move:
    return replace(state, phase=Phase.DONE), ()


_TABLE: dict[tuple[Phase, type[Event]], Callable[[Flow, State, Event], Move]] = {
    (Phase.ASKING, Answered): _answered,
    (Phase.ASKING, Lost): _lost,
    (Phase.SAVING, Saved): _saved,
    (Phase.SAVING, SaveFailed): _save_failed,
    (Phase.SAVING, Lost): _done,
    (Phase.FINISHING, Released): _done,
    (Phase.FINISHING, Lost): _done,
}


def _outcome(flow: Flow, state: State) -> tuple[Outcome, tuple[str, ...], bool]:
    """The outcome, the purposes whose basis stands, and whether the call is recorded for them."""
    by_purpose = {answer.purpose: answer for answer in state.answers}
    stands = tuple(
        purpose.id for purpose in flow.purposes
        if purpose in by_purpose and by_purpose[purpose].state is GrantState.GIVEN
    )  # fmt: skip
    if any(answer.reason in {"failed", "lost"} for answer in state.answers):
        return closed(flow), (), False
    if not state.gone and any(purpose.required and purpose.id not in stands for purpose in flow.purposes):
        # Rule 1: nothing is recorded of who goes elsewhere, whatever else was answered.
        return Outcome.DIVERTED, (), False
    record = bool(stands) and not state.gone
    if not stands:
        refused = any(answer.state is GrantState.REFUSED for answer in state.answers)
        return (Outcome.REFUSED if refused else Outcome.UNKNOWN), (), False
    if len(stands) < len(flow.purposes):
        return Outcome.PARTIAL, stands, record
    asked = any(purpose.basis is Basis.CONSENT for purpose in flow.purposes)
    return (Outcome.GIVEN if asked else Outcome.INFORMED), stands, record


def _at(flow: Flow, state: State) -> Step:
    return flow.steps[state.language][state.step]


def _with(state: State, *answers: Answer) -> State:
    return replace(state, answers=state.answers + answers)


def _rest_unknown(flow: Flow, state: State, reason: str) -> State:
    """Whatever has no answer yet will have none: never a yes."""
    answered = {answer.purpose for answer in state.answers}
    rest = (Answer(purpose, GrantState.UNKNOWN, "", reason) for purpose in flow.purposes if purpose not in answered)
    return _with(state, *rest)
