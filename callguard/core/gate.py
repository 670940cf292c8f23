"""The gate: from the first word of the notice to the moment the call goes on.

One pure function, `step`, and one table. Rules 1 to 5, 7 and 8 of the gate, as far as a call decides them, are here and
nowhere else.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum
from typing import NamedTuple

from callguard.core.commands import Ask, Command, Exercise, OptOut, Release, Save, StartRecording
from callguard.core.events import Answered, Cause, Event, Lost, Released, Saved, SaveFailed
from callguard.core.model import (
    Answer,
    Basis,
    Form,
    GrantState,
    Heard,
    Meaning,
    Outcome,
    Party,
    Prompt,
    Purpose,
    Told,
)
from callguard.core.profile import Aside, Change, Changes, Flow, Inform, Notice, Question, Step
from callguard.core.requests import Right

KEYS = {
    "1": Meaning.GIVE,
    "2": Meaning.REFUSE,
    "3": Meaning.DETAILS,
    "0": Meaning.REPEAT,
    "#": Meaning.LANGUAGE,
    "9": Meaning.OPT_OUT,
    "4": Meaning.REQUEST,
    "5": Meaning.REQUEST,
    "6": Meaning.REQUEST,
    # the keys of the conversation mean the same in the gate
    "*9": Meaning.REFUSE,
    "*8": Meaning.REPEAT,
}
RIGHTS = {"4": Right.ACCESS, "5": Right.WITHDRAWAL, "6": Right.ERASURE}
PROTECTING = frozenset(key for key, meaning in KEYS.items() if meaning not in (Meaning.GIVE, Meaning.REQUEST))
ALL_KEYS = frozenset(KEYS) - frozenset(RIGHTS)
IN_DETAILS = PROTECTING | frozenset(RIGHTS)
REFUSING = frozenset(key for key, meaning in KEYS.items() if meaning is Meaning.REFUSE)
OPT_OUT = frozenset(key for key, meaning in KEYS.items() if meaning is Meaning.OPT_OUT)

# Nobody is held for ever by pressing "repeat": after so many prompts the call goes on, unrecorded.
MAX_TURNS = 12
# Asterisk ends a playback up to two 20 ms frames early by its own clock; more than that was not heard.
HEARD_TOLERANCE_MS = 100
# After something said beside the steps there is this long to find a key.
ASIDE_WAIT_MS = 2_000
# A number has 15 digits at most (ITU-T E.164), and up to three of an international prefix when it is typed.
TYPED_DIGITS, TYPED_WAIT_MS = 18, 15_000


class Phase(StrEnum):
    ASKING = "asking"
    OPTING = "opting"
    SAVING = "saving"
    FINISHING = "finishing"
    DONE = "done"


class Unforeseen(Exception):
    """The table has no cell for what happened. The leg's boundary turns it into the closed outcome."""


class State(NamedTuple):
    """Where a leg is. A tuple, as each event copies it: copying a dataclass was most of the gate's time.

    Attributes:
        step: index into the flow's steps.
        party: who is asked.
        detail: index of the piece of the full layer that is being played, or None.
        aside: what is being said beside the steps, or None.
        chosen: the language was chosen by key, among several.
        refused: purposes that are not asked about again where the notice has the version beside them, as their no to
            it is remembered.
        opted_out: the subject has opted out in this call.
        typed: the number that was typed for it.
        right: what was asked for by right, while that is committed.
        repeats: silences at this question so far.
        turns: prompts asked so far, the full layer's pieces not counted.
        essential: the notice's essential part has been heard on this leg, in this language.
        continues: the earlier call that this one merely continues: the notice is short then; empty for the whole one.
        up_to_date: what has changed in the notice since the version that they know was heard, in this language.
        gone: the caller hung up, or the call went on without us.
    """

    phase: Phase
    language: str
    party: Party
    step: int = 0
    detail: int | None = None
    aside: Aside | None = None
    chosen: bool = False
    refused: frozenset[tuple[str, str | None]] = frozenset()
    opted_out: bool = False
    typed: str = ""
    right: Right | None = None
    repeats: int = 0
    turns: int = 0
    essential: bool = False
    continues: str = ""
    up_to_date: bool = False
    gone: bool = False
    answers: tuple[Answer, ...] = ()
    heard: tuple[Heard, ...] = ()
    dropped: int = 0


Move = tuple[State, tuple[Command, ...]]


def start(flow: Flow, party: Party) -> Move:
    """Begin with a leg that has just been claimed."""
    if party.callee and flow.agent_first:
        # What the dialplan says to them is in the first language.
        return _save(flow, State(Phase.ASKING, flow.languages[0], party))
    state = State(Phase.ASKING, party.language or flow.languages[0], party)
    return _begin(flow, state._replace(refused=party.refused))


def step(flow: Flow, state: State, event: Event) -> Move:
    """What follows from an event.

    Raises:
        Unforeseen: the flow has no place for this event now.
    """
    cell = _TABLE.get((state.phase, type(event)))
    if cell is None:
        raise Unforeseen(f"{type(event).__name__} while {state.phase}")
    return cell(flow, state, event)


def closed(flow: Flow, party: Party) -> Outcome:
    """The outcome when anything is in doubt: served unrecorded, or diverted where it may not go unrecorded."""
    diverted = flow.may_not_go_unrecorded or (party.callee and flow.gate_required)
    return Outcome.DIVERTED if diverted else Outcome.ERROR


def _begin(flow: Flow, state: State, *, whole: bool = False) -> Move:
    """From the notice; or, for who said no to all of it before, with what says so in its place (rule 4).

    Args:
        whole: who wants to hear it again has all of it.
    """
    if all(_said_no(flow, state, purpose) for purpose in flow.purposes):
        return _ask(flow, state._replace(aside=Aside.REMEMBERED, continues=""))
    return _ask(flow, state._replace(aside=None, continues="" if whole else _continued(flow, state)))


def _continued(flow: Flow, state: State) -> str:
    """The earlier call in which this very notice was heard whole, where there is a short form of it."""
    notice = next(step for step in flow.steps[state.language] if isinstance(step, Notice))
    if notice.brief is None or _missed(flow, state):
        return ""
    here = (notice.essential.version, notice.essential.sha256.get("wav"))
    return next((one.call_id for one in state.party.heard if (one.version, one.sha256) == here), "")


def untold(flow: Flow, language: str, knows: str | None) -> tuple[Change, ...]:
    """What has changed since the version that somebody knows. Who knows none hears the notice as it is now."""
    changes = next((step.changes for step in flow.steps[language] if isinstance(step, Changes)), ())
    if knows is None or not changes:
        return ()
    # One that is named no more is older than those that are.
    known = flow.versions.index(knows) if knows in flow.versions else -1
    return tuple(change for change in changes if flow.versions.index(change.version) > known)


def _missed(flow: Flow, state: State) -> tuple[Change, ...]:
    return untold(flow, state.language, state.party.knows)


def _said_no(flow: Flow, state: State, purpose: Purpose) -> bool:
    """Whether a no is remembered to what the notice says now, in the language that is spoken."""
    return (purpose.id, flow.essential(state.language).version) in state.refused


def _ask(flow: Flow, state: State) -> Move:
    """Order what the state's place in the flow asks for."""
    if state.detail is not None:
        piece = flow.details[state.language][state.detail]
        # "Deutsch: Raute" leaves a moment to find that key.
        return state, (Ask((piece,), IN_DETAILS, 0 if piece.language == state.language else ASIDE_WAIT_MS),)
    if state.turns >= MAX_TURNS:
        return _save(flow, _rest_unknown(flow, state, "limit"))
    at = _at(flow, state)
    if isinstance(at, Question) and _said_no(flow, state, at.purpose) and state.aside is None:
        return _next(flow, _with(state, Answer(at.purpose, GrantState.REFUSED, "", "remembered")))
    if isinstance(at, Changes) and state.aside is None and not _missed(flow, state):
        return _next(flow, state._replace(up_to_date=True))
    state = state._replace(turns=state.turns + 1)
    if state.aside is not None:
        prompt = flow.asides[state.language][state.aside]
        if state.aside is Aside.NUMBER:
            return state, (Ask((prompt,), frozenset(), TYPED_WAIT_MS, TYPED_DIGITS),)
        keys = {Aside.REMEMBERED: ALL_KEYS, Aside.FAREWELL: OPT_OUT}.get(state.aside, PROTECTING)
        return state, (Ask((prompt,), keys, ASIDE_WAIT_MS),)
    if isinstance(at, Notice):
        return state, (Ask((_notice(state, at),), PROTECTING, 0),)
    if isinstance(at, Changes):
        return state, (Ask(tuple(change.prompt for change in _missed(flow, state)), PROTECTING, 0),)
    if isinstance(at, Inform):
        return state, (Ask((_asking(state, at),), PROTECTING, at.wait_ms),)
    if isinstance(at, Question):
        return state, (Ask((at.again if state.repeats else _asking(state, at),), ALL_KEYS, at.wait_ms),)
    return _save(flow, state)


def _notice(state: State, at: Notice) -> Prompt:
    """What is essential on this leg."""
    return at.brief if at.brief is not None and state.continues else at.essential


def _asking(state: State, at: Inform | Question) -> Prompt:
    return at.brief if at.brief is not None and state.continues else at.prompt


def _answered(flow: Flow, state: State, event: Event) -> Move:
    assert isinstance(event, Answered)  # noqa: S101  the table's key says so
    state = state._replace(heard=state.heard + event.heard, dropped=state.dropped + event.dropped)
    if event.cause is Cause.KEY:
        return _key(flow, state, event)
    if event.cause is Cause.SILENCE:
        return _silence(flow, state, event)
    state = _rest_unknown(flow, state, event.cause.value)
    return _save(flow, state._replace(gone=event.cause is Cause.HANGUP))


def _key(flow: Flow, state: State, event: Answered) -> Move:
    if state.aside is Aside.NUMBER:
        return _opt(state._replace(typed=event.keys)) if event.keys else _ask(flow, state._replace(aside=None))
    meaning = KEYS.get(event.keys)
    at = _at(flow, state)
    if meaning is Meaning.GIVE:
        if state.aside is Aside.REMEMBERED:
            # No yes by itself: it leads to the notice and its question.
            return _ask(flow, state._replace(aside=None, refused=frozenset()))
        # Rule 2: informed, and pressed after the words that informed; else it is as if nothing had been pressed.
        asked = at if state.detail is None and state.aside is None else None
        if isinstance(asked, Question) and state.essential and event.began_ms >= _heard_enough_ms(flow, state, asked):
            return _next(flow, _with(state, Answer(asked.purpose, GrantState.GIVEN, event.keys, "key")))
        return _ask(flow, state._replace(dropped=state.dropped + 1))
    if meaning is Meaning.REFUSE:
        return _refused(flow, state, at, event.keys)
    if meaning is Meaning.DETAILS:
        piece = 0 if state.detail is None else state.detail + 1
        piece_or_none = piece if piece < len(flow.details[state.language]) else None
        return _ask(flow, state._replace(detail=piece_or_none, aside=None))
    if meaning is Meaning.REPEAT:
        return _begin(flow, state._replace(step=0, detail=None, repeats=0, answers=()), whole=True)
    if meaning is Meaning.LANGUAGE:
        after = _next_language(flow, state)
        state = state._replace(language=after, chosen=state.chosen or after != state.language)
        anew = state._replace(step=0, detail=None, repeats=0, answers=(), essential=False, up_to_date=False)
        return _begin(flow, anew)
    if meaning is Meaning.OPT_OUT:
        if state.party.known or state.typed or state.opted_out:
            return _opt(state)
        return _ask(flow, state._replace(detail=None, aside=Aside.NUMBER))
    if meaning is Meaning.REQUEST and state.detail is not None:
        if state.party.known:
            right = RIGHTS[event.keys]
            return state._replace(phase=Phase.OPTING, detail=None, right=right), (Exercise(right),)
        # Whoever withholds the number is nobody, of whom nothing is known and who cannot be called back.
        return _ask(flow, state._replace(detail=None, aside=Aside.NOT_NOTED))
    raise Unforeseen(f"a key that no Ask wanted, while {state.phase}")


def _next_language(flow: Flow, state: State) -> str:
    """The one that is being named in its own tongue, at the end of the full layer; else the next, going round."""
    if state.detail is not None:
        named = flow.details[state.language][state.detail].language
        if named != state.language:
            return named
    return flow.languages[(flow.languages.index(state.language) + 1) % len(flow.languages)]


def _heard_enough_ms(flow: Flow, state: State, question: Question) -> int:
    """How much of a question comes before its yes: of one among several, what it is about, so that a key pressed twice
    answers one.
    """
    several = sum(isinstance(step, Question) for step in flow.steps[question.prompt.language]) > 1
    asked = question.again if state.repeats else _asking(state, question)
    return asked.length_ms // 2 if several else 0


def _refused(flow: Flow, state: State, at: Step, keys: str) -> Move:
    """A no in a question answers that question; anywhere before, it answers all that is still open."""
    if isinstance(at, Question) and state.detail is None and state.aside is None:
        return _next(flow, _with(state, Answer(at.purpose, GrantState.REFUSED, keys, "key")))
    open_ = [purpose for purpose in flow.purposes if purpose not in {answer.purpose for answer in state.answers}]
    return _save(flow, _with(state, *(Answer(purpose, GrantState.REFUSED, keys, "key") for purpose in open_)))


def _silence(flow: Flow, state: State, event: Answered) -> Move:
    """All was played and nothing was pressed."""
    if state.detail is not None:
        piece = state.detail + 1
        return _ask(flow, state._replace(detail=piece if piece < len(flow.details[state.language]) else None))
    at = _at(flow, state)
    if state.aside is Aside.REMEMBERED:
        return _save(flow, _with(state, *(Answer(p, GrantState.REFUSED, "", "remembered") for p in flow.purposes)))
    if state.aside is Aside.FAREWELL:
        return _save(flow, _rest_unknown(flow, state, "opt_out"))
    if state.aside is not None:
        return _ask(flow, state._replace(aside=None))
    if isinstance(at, Notice):
        if not _is_heard(_notice(state, at), event):
            return _save(flow, _rest_unknown(flow, state, "failed"))
        return _next(flow, state._replace(essential=True))
    if isinstance(at, Changes):
        if not all(_is_heard(change.prompt, event) for change in _missed(flow, state)):
            return _save(flow, _rest_unknown(flow, state, "failed"))
        return _next(flow, state._replace(up_to_date=True))
    if isinstance(at, Inform):
        informed = (Answer(purpose, GrantState.GIVEN, "", "informed") for purpose in at.purposes)
        return _next(flow, _with(state, *informed))
    if isinstance(at, Question):
        if not state.repeats:
            return _ask(flow, state._replace(repeats=1))
        return _next(flow, _with(state, Answer(at.purpose, GrantState.UNKNOWN, "", "silence")))
    raise Unforeseen("an answer to no question")


def _is_heard(prompt: Prompt, event: Answered) -> bool:
    """Whether all of it was, in one go.

    By AGI a key that comes to nothing begins it anew, and its beginning three times is not all of it.
    """
    return _is_whole(Heard(prompt, max((part.heard_ms for part in event.heard if part.prompt == prompt), default=0)))


def _is_whole(part: Heard) -> bool:
    return part.heard_ms >= part.prompt.length_ms - HEARD_TOLERANCE_MS


def _opt(state: State) -> Move:
    """Rule 8: out of marketing calls, and back in by the same key in the same call."""
    return state._replace(phase=Phase.OPTING, detail=None), (OptOut(state.opted_out, state.typed),)


def _opted(flow: Flow, state: State, event: Event) -> Move:
    if state.right is not None:
        done = Aside.WITHDRAWN if state.right is Right.WITHDRAWAL else Aside.RECEIVED
        return _ask(flow, state._replace(phase=Phase.ASKING, right=None, aside=done))
    out = not state.opted_out
    aside = (Aside.FAREWELL if state.party.callee else Aside.OPTED_OUT) if out else Aside.UNDONE
    return _ask(flow, state._replace(phase=Phase.ASKING, opted_out=out, aside=aside))


def _not_opted(flow: Flow, state: State, event: Event) -> Move:
    typed = state.typed if state.opted_out else ""
    return _ask(flow, state._replace(phase=Phase.ASKING, typed=typed, right=None, aside=Aside.NOT_NOTED))


def _next(flow: Flow, state: State) -> Move:
    return _ask(flow, state._replace(step=state.step + 1, repeats=0))


def _save(flow: Flow, state: State) -> Move:
    outcome, granted, record = _outcome(flow, state)
    chosen = state.chosen and not _broken_off(state)
    told, knows = _told(flow, state), _knows(flow, state)
    save = Save(
        outcome, state.answers, granted, record, state.language, state.heard, state.dropped, chosen, told, knows
    )
    return state._replace(phase=Phase.SAVING), (save,)


def _told(flow: Flow, state: State) -> tuple[Told, ...]:
    """What they were informed of, by what was played: as much of each as was heard in one go."""
    most: dict[Prompt, Heard] = {}
    for part in state.heard:
        if part.prompt not in most or most[part.prompt].heard_ms < part.heard_ms:
            most[part.prompt] = part
    told = []
    for prompt, part in most.items():
        for step in flow.steps.get(prompt.language, ()):
            if isinstance(step, Notice) and prompt == step.essential:
                told.append(Told(part, Form.WHOLE, _is_whole(part)))
            elif isinstance(step, Notice) and prompt == step.brief:
                told.append(
                    Told(part, Form.SHORT, _is_whole(part), _continued(flow, state._replace(language=prompt.language)))
                )
            elif isinstance(step, Changes) and any(prompt == change.prompt for change in step.changes):
                told.append(Told(part, Form.CHANGE, _is_whole(part)))
    return tuple(told)


def _knows(flow: Flow, state: State) -> str | None:
    """The version that they know now. Who did not hear what has changed knows no newer one than before."""
    if not state.essential or not (state.up_to_date or not _missed(flow, state)):
        return state.party.knows
    return flow.versions[-1] if flow.versions else ""


def _saved(flow: Flow, state: State, event: Event) -> Move:
    """Rule 1: only here, where the basis is committed, may a recording be ordered."""
    if state.gone:
        return state._replace(phase=Phase.DONE), ()
    outcome, granted, record = _outcome(flow, state)
    start_recording = (StartRecording(granted),) if record else ()
    untold_yet = 0 if state.up_to_date else len(_missed(flow, state))
    return state._replace(phase=Phase.FINISHING), (*start_recording, Release(outcome, granted, untold_yet))


def _save_failed(flow: Flow, state: State, event: Event) -> Move:
    if state.gone:
        return state._replace(phase=Phase.DONE), ()
    return state._replace(phase=Phase.FINISHING), (Release(_closed(flow, state)),)


def _lost(flow: Flow, state: State, event: Event) -> Move:
    return _save(flow, _rest_unknown(flow, state._replace(gone=True), "lost"))


def _done(flow: Flow, state: State, event: Event) -> Move:
    return state._replace(phase=Phase.DONE), ()


_TABLE: dict[tuple[Phase, type[Event]], Callable[[Flow, State, Event], Move]] = {
    (Phase.ASKING, Answered): _answered,
    (Phase.ASKING, Lost): _lost,
    (Phase.OPTING, Saved): _opted,
    (Phase.OPTING, SaveFailed): _not_opted,
    (Phase.OPTING, Lost): _lost,
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
        return _closed(flow, state), (), False
    if state.aside is Aside.FAREWELL:
        return Outcome.DIVERTED, (), False
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


def _broken_off(state: State) -> bool:
    """Who is not through the gate may have been about to choose yet another language."""
    return state.gone or any(answer.reason in {"failed", "limit"} for answer in state.answers)


def _closed(flow: Flow, state: State) -> Outcome:
    """Who has heard the goodbye is gone, whatever fails."""
    return Outcome.DIVERTED if state.aside is Aside.FAREWELL else closed(flow, state.party)


def _at(flow: Flow, state: State) -> Step:
    return flow.steps[state.language][state.step]


def _with(state: State, *answers: Answer) -> State:
    return state._replace(answers=state.answers + answers)


def _rest_unknown(flow: Flow, state: State, reason: str) -> State:
    """Whatever has no answer yet will have none: never a yes."""
    answered = {answer.purpose for answer in state.answers}
    rest = (Answer(purpose, GrantState.UNKNOWN, "", reason) for purpose in flow.purposes if purpose not in answered)
    return _with(state, *rest)
