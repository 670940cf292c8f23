"""Every state of the gate with every event, watched by an observer that knows only the rules.

The observer never looks into the gate's state: it judges what goes in and what comes out, as a caller, an agent and a
regulator would. It is shared by the exhaustive search, by hypothesis and by the mutations.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from types import ModuleType
from typing import Any, NamedTuple

from callguard.core.commands import Ask, Command, Exercise, OptOut, Release, Save, StartRecording
from callguard.core.events import Answered, Cause, Event, Lost, Released, Saved, SaveFailed
from callguard.core.model import Basis, Heard, Outcome, Party
from callguard.core.profile import Aside, Changes, Flow, Inform, Notice, Question
from callguard.core.requests import Right

PROTECTING = {"2", "3", "0", "#", "9", "*9", "*8"}
# In the full layer alone.
RIGHTS = {"4": Right.ACCESS, "5": Right.WITHDRAWAL, "6": Right.ERASURE}
TYPED = "34600000001"
LONGEST_CALL = 40
CALLER = Party()


class Broken(AssertionError):
    """A rule of the gate is broken."""


class Observer(NamedTuple):
    """What the outside knows of one leg.

    Attributes:
        ask: the Ask that waits for its answer.
        informed_in: the language in which the essential part was heard whole, or none yet.
        told_in: the language in which all was heard that has changed since they last heard the notice.
        stands: purposes whose basis stands, by the rules.
        refused: purposes that the subject said no to.
        committed: purposes whose basis was given to Save, once Saved came back.
        failed: a prompt failed, or the call went on without us.
        party: who is asked.
        wants_out: the last key asked for an opt-out, or for its undoing.
        out: the store has the opt-out.
        asks_for: what the last key asked for by right, `committing` while that is committed, `noted` once it is.
        left: the callee has heard the goodbye that follows it.
        language: in which the call has to go on.
        chosen: the language key has brought another language.
    """

    ask: Ask | None = None
    informed_in: str = ""
    told_in: str = ""
    again: bool = False
    stands: frozenset[str] = frozenset()
    refused: frozenset[str] = frozenset()
    saving: frozenset[str] | None = None
    committed: frozenset[str] | None = None
    failed: bool = False
    over: bool = False
    party: Party = CALLER
    wants_out: bool = False
    opting: bool | None = None
    asks_for: Right | None = None
    committing: Right | None = None
    noted: Right | None = None
    out: bool = False
    left: bool = False
    language: str = ""
    chosen: bool = False

    def sees_event(self, flow: Flow, event: Event) -> Observer:
        match event:
            case Answered():
                assert self.ask is not None
                return self._answered(flow, self.ask, event)
            case Saved() if self.committing is not None:
                return self._replace(noted=self.committing, committing=None)
            case SaveFailed() if self.committing is not None:
                return self._replace(committing=None)
            case Saved() if self.opting is not None:
                return self._replace(out=self.opting, opting=None)
            case SaveFailed() if self.opting is not None:
                return self._replace(opting=None)
            case Saved():
                return self._replace(committed=self.saving, saving=None)
            case SaveFailed():
                return self._replace(committed=frozenset(), saving=None, failed=True)
            case Released():
                return self._replace(over=True)
            case Lost():
                return self._replace(failed=True)

    def _answered(self, flow: Flow, ask: Ask, event: Answered) -> Observer:
        language = ask.prompts[0].language
        at = next(
            (step for step in flow.steps[language] if ask.prompts[0] in _prompts(step)),
            None,
        )
        aside = next((one for one, prompt in flow.asides[language].items() if prompt == ask.prompts[0]), None)
        seen = self._replace(ask=None, wants_out=False, asks_for=None, left=False)
        if event.cause in {Cause.FAILED, Cause.HANGUP}:
            return seen._replace(failed=self.failed or event.cause is Cause.FAILED, over=event.cause is Cause.HANGUP)
        if aside is Aside.NUMBER:
            return seen._replace(wants_out=bool(event.keys))
        if event.cause is Cause.SILENCE:
            if aside is Aside.REMEMBERED:
                return seen._replace(refused=self._said_no(flow, language))
            if aside is Aside.FAREWELL:
                return seen._replace(left=True)
            if isinstance(at, Changes):
                heard = [part.prompt for part in event.heard if part.heard_ms >= part.prompt.length_ms - 100]
                all_of_it = set(_ids(heard)) >= set(_ids(_unknown(flow, self.party, language)))
                return seen._replace(told_in=language) if all_of_it else seen._replace(failed=True)
            if isinstance(at, Notice):
                whole = all(part.heard_ms >= part.prompt.length_ms - 100 for part in event.heard) and event.heard
                return seen._replace(informed_in=language) if whole else seen._replace(failed=True)
            if isinstance(at, Inform) and self.informed_in == language:
                return seen._replace(stands=self.stands | {purpose.id for purpose in at.purposes})
            return seen
        several = sum(isinstance(step, Question) for step in flow.steps[language]) > 1
        told_ms = ask.prompts[0].length_ms // 2 if several else 0
        match event.keys:
            case "1" if isinstance(at, Question) and self.informed_in == language and event.began_ms >= told_ms:
                return seen._replace(stands=self.stands | {at.purpose.id})
            case "2" | "*9" if isinstance(at, Question):
                return seen._replace(refused=self.refused | {at.purpose.id}, stands=self.stands - {at.purpose.id})
            case "2" | "*9":
                open_ = {purpose.id for purpose in flow.purposes} - self.stands
                return seen._replace(refused=self.refused | open_)
            case "9":
                return seen._replace(wants_out=True)
            case "4" | "5" | "6" if ask.prompts[0] in flow.details[self.language]:
                return seen._replace(asks_for=RIGHTS[event.keys])
            case "0" | "*8":  # all is asked again
                return seen._replace(stands=frozenset(), refused=frozenset(), again=True)
            case "#":
                after = flow.languages[(flow.languages.index(self.language) + 1) % len(flow.languages)]
                if language != self.language:  # it is being named
                    after = language
                seen = seen._replace(informed_in="", told_in="", stands=frozenset(), refused=frozenset(), again=False)
                return seen._replace(language=after, chosen=self.chosen or after != self.language)
        return seen

    def _said_no(self, flow: Flow, language: str) -> frozenset[str]:
        """To which purposes a no is remembered that was said to the notice as this language has it now."""
        version = next(step.essential.version for step in flow.steps[language] if isinstance(step, Notice))
        return frozenset(purpose for purpose, heard in self.party.refused if heard == version)

    def sees_commands(self, flow: Flow, event: Event | None, commands: tuple[Command, ...]) -> Observer:
        seen = self
        for command in commands:
            match command:
                case Ask():
                    seen = seen._ask(flow, command)
                case OptOut():
                    if not self.wants_out or command.undo != self.out:
                        raise Broken("rule 8: an opt-out, or its end, that nobody asked for")
                    if bool(command.typed) == self.party.known:
                        raise Broken("rule 8: opted out is not the number of who asked")
                    seen = seen._replace(opting=not command.undo)
                case Exercise():
                    if self.asks_for is not command.right or not self.party.known:
                        raise Broken("a request by right that nobody made, or of nobody")
                    seen = seen._replace(asks_for=None, committing=command.right)
                case Save():
                    if not set(command.granted) <= self.stands:
                        raise Broken(f"rules 2 and 3: {command.granted} saved, but only {set(self.stands)} stands")
                    if command.record and (self.failed or not command.granted):
                        raise Broken("rule 7: a recording announced in doubt")
                    if command.language != self.language:
                        raise Broken("saved in another language than was spoken")
                    if command.chosen and (self.failed or self.over or not self.chosen):
                        raise Broken("a language is remembered that nobody chose, or was not asked in to the end")
                    knows: str | None = flow.versions[-1] if flow.versions else ""
                    untold = _unknown(flow, self.party, self.language) and self.told_in != self.language
                    if self.informed_in != self.language or untold:
                        knows = self.party.knows
                    if command.knows != knows:
                        raise Broken("R12: known is another version than was heard")
                    again = {answer.purpose.id for answer in command.answers if answer.reason == "remembered"}
                    if not again <= self._said_no(flow, self.language):
                        raise Broken("rule 4: a no is remembered that nobody said to this notice")
                    seen = seen._replace(saving=frozenset(command.granted))
                case StartRecording():
                    if not isinstance(event, Saved) or self.committed is None:
                        raise Broken("rule 1: a recording begins without a committed basis")
                    if not command.purposes or not set(command.purposes) <= self.committed:
                        raise Broken("rule 1: a recording for a purpose without a committed basis")
                    required = {purpose.id for purpose in flow.purposes if purpose.required}
                    if not required <= set(command.purposes):
                        raise Broken("rule 1: who is diverted is recorded")
                case Release():
                    seen._release(flow, command, commands)
        return seen

    def _ask(self, flow: Flow, ask: Ask) -> Observer:
        language = ask.prompts[0].language
        if language != self.language and ask.prompts[0] not in flow.details[self.language]:
            raise Broken("asked in another language than the call begins in, or was chosen")
        aside = next((one for one, prompt in flow.asides[language].items() if prompt == ask.prompts[0]), None)
        if aside is Aside.NUMBER:
            if self.party.known or ask.keys:
                raise Broken("rule 8: a number is asked for that is known")
        elif aside is Aside.FAREWELL:
            if not (self.out and self.party.callee):
                raise Broken("rule 8: sent away who has not opted out, or who called")
        elif not ask.keys >= PROTECTING:
            raise Broken("rule 2: a key that protects does not act")
        brief = [step.brief for step in flow.steps[language] if isinstance(step, Notice | Inform | Question)]
        if ask.prompts[0] in brief:
            if "1" not in {one.version for one in self.party.heard} or language != "en" or self.again:
                raise Broken("R13: the short form for who has not heard the whole notice, or wants to hear it again")
            if _unknown(flow, self.party, language):
                raise Broken("R13: the short form of a notice that has changed")
        elif aside is None and (
            ask.prompts[0] == flow.essential(language)
            and brief[0] is not None and self.party.heard and language == "en" and not self.again
            and not _unknown(flow, self.party, language)
        ):  # fmt: skip
            raise Broken("R13: the whole notice on mere continuation")
        at = next((step for step in flow.steps[language] if ask.prompts[0] in _prompts(step)), None)
        if isinstance(at, Inform | Question) and _unknown(flow, self.party, language) and self.told_in != language:
            raise Broken("R12: asked before what has changed was heard")
        if isinstance(at, Changes) and _ids(ask.prompts) != _ids(_unknown(flow, self.party, language)):
            raise Broken("R12: told is not what has changed since they heard the notice")
        if aside is Aside.WITHDRAWN and self.noted is not Right.WITHDRAWAL:
            raise Broken("told withdrawn what is not")
        if aside is Aside.RECEIVED and self.noted not in (Right.ACCESS, Right.ERASURE):
            raise Broken("told received what is not")
        if RIGHTS.keys() & ask.keys and ask.prompts[0] not in flow.details[self.language]:
            raise Broken("a right is asked for where nobody tells by which key")
        if aside is Aside.OPTED_OUT and not self.out:
            raise Broken("rule 8: confirmed what is not committed")
        if aside is Aside.REMEMBERED:
            if not {purpose.id for purpose in flow.purposes} <= self._said_no(flow, language):
                raise Broken("rule 4: a no is remembered that nobody said")
        elif "1" in ask.keys:
            if self.informed_in != language:
                raise Broken("rule 2: a yes is taken before the essential part was heard")
            question = [s for s in flow.steps[language] if isinstance(s, Question) and ask.prompts[0] in _prompts(s)]
            if not question or question[0].purpose.basis is not Basis.CONSENT:
                raise Broken("rule 1: a sham yes is asked for")
        told = aside in (Aside.RECEIVED, Aside.WITHDRAWN)
        return self._replace(ask=ask, noted=self.noted if told else None)

    def _release(self, flow: Flow, release: Release, commands: tuple[Command, ...]) -> None:
        recording = any(isinstance(command, StartRecording) for command in commands)
        required = any(purpose.required for purpose in flow.purposes)
        consents = {purpose.id for purpose in flow.purposes if purpose.basis is Basis.CONSENT}
        may_leave = required or (self.party.callee and (self.out or (self.failed and flow.gate_required)))
        if release.outcome is Outcome.DIVERTED and (recording or not may_leave):
            raise Broken("rule 5: a call that may go on unrecorded is diverted, or a diverted one is recorded")
        closed = {Outcome.DIVERTED if required or (self.party.callee and flow.gate_required) else Outcome.ERROR}
        if self.party.callee and self.out:
            closed.add(Outcome.DIVERTED)
        if self.failed and (recording or release.outcome not in closed):
            raise Broken(f"rule 7: in doubt the outcome was {release.outcome}")
        if recording and not release.granted:
            raise Broken("rule 1: recorded for no purpose")
        if release.outcome is Outcome.GIVEN and not consents <= self.stands:
            raise Broken("rule 3: given without a key")
        if consents and self.refused >= consents and release.outcome in {Outcome.GIVEN, Outcome.UNKNOWN}:
            raise Broken("a no was not taken for a no")
        saved = self.committed is not None and not self.failed
        untold = 0 if self.told_in == self.language else len(_unknown(flow, self.party, self.language))
        if saved and release.untold != untold:
            raise Broken("R12: a yes in the call would count before what has changed was heard")
        if self.left and release.outcome is not Outcome.DIVERTED:
            raise Broken("rule 8: a callee who opted out and heard the goodbye is put through")


def _prompts(step: Any) -> tuple[Any, ...]:
    if isinstance(step, Changes):
        return tuple(change.prompt for change in step.changes)
    names = ("essential", "prompt", "again", "brief")
    return tuple(prompt for name in names if (prompt := getattr(step, name, None)) is not None)


def _ids(prompts: Iterable[Any]) -> list[str]:
    return [prompt.id for prompt in prompts]


def _unknown(flow: Flow, party: Party, language: str) -> list[Any]:
    """What has changed in the notice since the version that a party knows."""
    if party.knows is None:
        return []
    since = flow.versions.index(party.knows) + 1 if party.knows in flow.versions else 0
    return [
        change.prompt
        for step in flow.steps[language] if isinstance(step, Changes)
        for change in step.changes if change.version in flow.versions[since:]
    ]  # fmt: skip


def events(observer: Observer) -> Iterator[Event]:
    """Everything that can happen next: while an Ask waits, its answers; else what the store and the PBX may say."""
    yield from (Saved(), SaveFailed(), Released(), Lost())
    if observer.ask is None:
        return
    whole = tuple(Heard(prompt, prompt.length_ms) for prompt in observer.ask.prompts)
    half = tuple(Heard(prompt, prompt.length_ms // 2) for prompt in observer.ask.prompts)
    yield from (Answered(Cause.SILENCE, heard=whole), Answered(Cause.SILENCE, heard=half), Answered(Cause.SILENCE))
    yield from (Answered(Cause.HANGUP, heard=half), Answered(Cause.FAILED))
    if observer.ask.digits:
        yield from (Answered(Cause.KEY, TYPED), Answered(Cause.KEY))
        return
    for key in sorted(PROTECTING | {"1", "7"} | (RIGHTS.keys() & observer.ask.keys)):
        yield Answered(Cause.KEY, key, 10, half)
        yield Answered(Cause.KEY, key, 2_000, half)
        yield Answered(Cause.KEY, key, -10, half)


def advance(
    gate: ModuleType, flow: Flow, state: Any, observer: Observer, event: Event
) -> tuple[Any, Observer, tuple[Command, ...]] | None:
    """One step, judged; None where the gate's table has no cell for it (the leg's boundary closes then)."""
    try:
        state, commands = gate.step(flow, state, event)
    except gate.Unforeseen:
        return None
    observer = observer.sees_event(flow, event).sees_commands(flow, event, commands)
    return state, observer, commands


def begin(gate: ModuleType, flow: Flow, party: Party = CALLER) -> tuple[Any, Observer]:
    state, commands = gate.start(flow, party)
    language = party.language or flow.languages[0]
    return state, Observer(party=party, language=language).sees_commands(flow, None, commands)


def explore(gate: ModuleType, *calls: tuple[Flow, Party]) -> set[Any]:
    """Breadth first through all of these calls at once, to the last state: what breaks a rule in one of them is met
    before the others are searched to their end. Returns the states, for the tests that ask about all of them.

    What a state has heard and dropped grows without end and decides nothing, so it does not tell states apart; a test
    shows that it decides nothing.
    """
    queue = deque((n, *begin(gate, flow, party)) for n, (flow, party) in enumerate(calls))
    seen = {_key(*first) for first in queue}
    while queue:
        n, state, observer = queue.popleft()
        flow, _ = calls[n]
        for event in events(observer):
            after = advance(gate, flow, state, observer, event)
            if after is None:
                continue
            key = _key(n, after[0], after[1])
            if key not in seen:
                seen.add(key)
                queue.append((n, after[0], after[1]))
    return {(state, observer) for _, state, observer in seen}


def _key(n: int, state: Any, observer: Observer) -> Any:
    return n, state._replace(heard=(), dropped=0), observer
