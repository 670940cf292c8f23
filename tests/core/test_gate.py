"""The gate against its rules: exhaustively, at random beyond, and with each rule taken out."""

from __future__ import annotations

import types
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from callguard.core import gate
from callguard.core.commands import Ask, Command, Release, Save, StartRecording
from callguard.core.events import Answered, Cause, Event, Lost, Released, Saved, SaveFailed
from callguard.core.model import GrantState, Heard, Outcome
from tests.core.explore import LONGEST_CALL, Broken, advance, begin, events, explore
from tests.core.flows import FLOWS, QUALITY, TRAINING, flow


@pytest.mark.parametrize("name", FLOWS)
def test_every_state_with_every_event_keeps_the_rules(name: str) -> None:
    states = {state for state, _ in explore(gate, FLOWS[name])}
    assert {state.phase for state in states} == set(gate.Phase)
    assert {state.language for state in states} == set(FLOWS[name].languages)
    assert max(state.turns for state in states) == gate.MAX_TURNS


@pytest.mark.parametrize("name", FLOWS)
def test_what_was_heard_and_dropped_before_decides_nothing(name: str) -> None:
    """What the search above leaves out of a state's identity changes no command but the evidence in Save."""
    for state, observer in explore(gate, FLOWS[name]):
        richer = replace(state, heard=(*state.heard, Heard(FLOWS[name].details["en"][0], 1)), dropped=9)
        for event in events(observer):
            try:
                plain, rich = gate.step(FLOWS[name], state, event), gate.step(FLOWS[name], richer, event)
            except gate.Unforeseen:
                continue
            without = [
                [replace(c, heard=(), dropped=0) if isinstance(c, Save) else c for c in m[1]] for m in (plain, rich)
            ]
            assert without[0] == without[1]


def _bare(command: Command) -> Command:
    return replace(command, heard=(), dropped=0) if isinstance(command, Save) else command


@pytest.mark.parametrize("name", FLOWS)
@given(choices=st.lists(st.integers(0, 10_000), max_size=80))
@settings(max_examples=150, deadline=None)
def test_any_sequence_keeps_the_rules_and_ends(name: str, choices: list[int]) -> None:
    state, observer = begin(gate, FLOWS[name])
    for choice in choices:
        possible = list(events(observer))
        after = advance(gate, FLOWS[name], state, observer, possible[choice % len(possible)])
        if after is not None:
            state, observer, _ = after
    for _ in range(LONGEST_CALL):
        if state.phase is gate.Phase.DONE:
            return
        usual: Event
        match state.phase:
            case gate.Phase.ASKING:
                assert observer.ask is not None
                whole = tuple(Heard(prompt, prompt.length_ms) for prompt in observer.ask.prompts)
                usual = Answered(Cause.SILENCE, heard=whole)
            case gate.Phase.SAVING:
                usual = Saved()
            case _:
                usual = Released()
        after = advance(gate, FLOWS[name], state, observer, usual)
        assert after is not None
        state, observer, _ = after
    pytest.fail("a caller who does nothing is held for ever")


# Each rule of the gate, taken out of its one place in the source. The search must notice every one.
MUTATIONS = {
    "rule 1: the recording before the commit": (
        "return replace(state, phase=Phase.SAVING), (save,)",
        "return replace(state, phase=Phase.SAVING), (*((StartRecording(granted),) if record else ()), save)",
    ),
    "rule 1: recorded for purposes that were not granted": (
        "start_recording = (StartRecording(granted),) if record else ()",
        "start_recording = (StartRecording(tuple(p.id for p in flow.purposes)),) if record else ()",
    ),
    "rule 1: recorded although the store failed": (
        "(Phase.SAVING, SaveFailed): _save_failed",
        "(Phase.SAVING, SaveFailed): _saved",
    ),
    "rule 1: who objects is recorded": (
        'Answer(purpose, GrantState.REFUSED, keys, "key") for',
        'Answer(purpose, GrantState.GIVEN, keys, "key") for',
    ),
    "rule 2: a yes is taken during the notice": (
        "return state, (Ask((at.essential,), PROTECTING, 0),)",
        "return state, (Ask((at.essential,), ALL_KEYS, 0),)",
    ),
    "rule 2: the question comes without the notice": (
        "return _ask(flow, State(Phase.ASKING, flow.languages[0]))",
        "return _ask(flow, State(Phase.ASKING, flow.languages[0], step=1, essential=True))",
    ),
    "rule 2: a key that was already down counts": ("and event.began_ms >= 0:", "and True:"),
    "rule 2: half a notice is a notice": ("if heard < at.essential.length_ms - HEARD_TOLERANCE_MS:", "if heard < 0:"),
    "rule 2: another language's notice counts": (
        "return _ask(flow, State(Phase.ASKING, after, turns=",
        "return _ask(flow, State(Phase.ASKING, after, step=state.step, essential=state.essential, turns=",
    ),
    "rule 2: a no is not heard during the notice": (
        "return state, (Ask((at.essential,), PROTECTING, 0),)",
        "return state, (Ask((at.essential,), frozenset({'0'}), 0),)",
    ),
    "rule 3: silence gives": (
        'Answer(at.purpose, GrantState.UNKNOWN, "", "silence")',
        'Answer(at.purpose, GrantState.GIVEN, "", "silence")',
    ),
    "rule 3: hanging up, failing or getting lost gives": (
        'Answer(purpose, GrantState.UNKNOWN, "", reason)',
        'Answer(purpose, GrantState.GIVEN, "", reason)',
    ),
    "rule 3: any key gives": ("meaning = KEYS.get(event.keys)", "meaning = KEYS.get(event.keys, Meaning.GIVE)"),
    "rule 3: a no gives": ("Answer(at.purpose, GrantState.REFUSED, keys", "Answer(at.purpose, GrantState.GIVEN, keys"),
    "rule 5: who refuses is sent away": (
        "return (Outcome.REFUSED if refused else Outcome.UNKNOWN), (), False",
        "return (Outcome.DIVERTED if refused else Outcome.UNKNOWN), (), False",
    ),
    "rule 7: a failed prompt is passed over": (
        'if any(answer.reason in {"failed", "lost"} for answer in state.answers):',
        'if any(answer.reason in {"lost"} for answer in state.answers):',
    ),
    "rule 7: served unrecorded where it may not be": (
        "return Outcome.DIVERTED if flow.may_not_go_unrecorded else Outcome.ERROR",
        "return Outcome.ERROR",
    ),
    "nobody is held for ever": ("if state.turns >= MAX_TURNS:", "if False:"),
}  # fmt: skip


@pytest.mark.parametrize("name", MUTATIONS)
def test_each_rule_taken_out_is_noticed(name: str) -> None:
    old, new = MUTATIONS[name]
    source = Path(gate.__file__).read_text(encoding="utf-8")
    assert source.count(old) >= 1, "the mutation no longer fits the source"
    mutant = types.ModuleType("mutant")
    mutant.__dict__["__name__"] = "callguard.core.gate"
    exec(compile(source.replace(old, new), "mutant", "exec"), mutant.__dict__)  # noqa: S102  our own source
    if name == "nobody is held for ever":
        assert held_for_ever(mutant)
        return
    with pytest.raises((Broken, AssertionError)):
        for some in FLOWS.values():
            explore(mutant, some)


def held_for_ever(module: types.ModuleType) -> bool:
    state, observer = begin(module, FLOWS["consent"])
    for _ in range(LONGEST_CALL):
        after = advance(module, FLOWS["consent"], state, observer, Answered(Cause.KEY, "0", 10))
        if after is None or observer.ask is None:
            return False
        state, observer, _ = after
    return observer.ask is not None


def test_repeating_for_ever_ends() -> None:
    assert not held_for_ever(gate)


# A few calls told as transcripts.


def walk(name: str, *happened: Event) -> list[str]:
    """What the gate ordered, in words."""
    state, commands = gate.start(FLOWS[name])
    said = [_word(command) for command in commands]
    for event in happened:
        state, commands = gate.step(FLOWS[name], state, event)
        said += [_word(command) for command in commands]
    return said


def _word(command: object) -> str:
    match command:
        case Ask():
            return "play " + " ".join(f"{prompt.language}/{prompt.id[2:]}" for prompt in command.prompts)
        case Save():
            return f"save {command.outcome} {','.join(command.granted)}".strip()
        case StartRecording():
            return f"record {','.join(command.purposes)}"
        case Release():
            return f"release {command.outcome}"
    return repr(command)


def pressed(keys: str, began_ms: int = 500) -> Answered:
    return Answered(Cause.KEY, keys, began_ms)


def played(part: str = "essential", language: str = "en") -> Answered:
    from tests.core.flows import prompt

    whole = prompt(language, part)
    return Answered(Cause.SILENCE, heard=(Heard(whole, whole.length_ms),))


def test_yes() -> None:
    assert walk("consent", played(), pressed("1"), Saved(), Released()) == [
        "play en/essential", "play en/question-1",
        "save given recording.quality", "record recording.quality", "release given",
    ]  # fmt: skip


def test_silence_asks_once_more_and_goes_through() -> None:
    assert walk("consent", played(), played("question-1"), played("again-1"), Saved(), Released()) == [
        "play en/essential", "play en/question-1", "play en/again-1", "save unknown", "release unknown",
    ]  # fmt: skip


def test_no_during_the_notice_acts_at_once() -> None:
    assert walk("consent", pressed("2"), Saved()) == ["play en/essential", "save refused", "release refused"]


def test_the_language_key_starts_the_notice_anew() -> None:
    told = walk("consent", played(), pressed("#"), played(language="es"), pressed("1"))
    assert told == [
        "play en/essential", "play en/question-1", "play es/essential", "play es/question-1",
        "save given recording.quality",
    ]  # fmt: skip


def test_details_are_skipped_piece_by_piece_and_lead_back() -> None:
    assert walk("consent", pressed("3"), pressed("3"), pressed("3"), played()) == [
        "play en/essential", "play en/details-1", "play en/details-2", "play en/essential", "play en/question-1",
    ]  # fmt: skip


def test_who_objects_to_a_required_recording_is_diverted() -> None:
    assert walk("required", played(), pressed("2"), Saved()) == [
        "play en/essential", "play en/question-1", "save diverted", "release diverted",
    ]  # fmt: skip


def test_another_basis_is_informed_and_asks_nothing() -> None:
    assert walk("informed", played(), played("question-1"), Saved()) == [
        "play en/essential", "play en/question-1", "save informed recording.security",
        "record recording.security", "release informed",
    ]  # fmt: skip


def test_a_yes_to_one_of_two_questions_is_partial() -> None:
    state, _ = gate.start(FLOWS["two questions"])
    for event in (played(), pressed("1"), pressed("2")):
        state, commands = gate.step(FLOWS["two questions"], state, event)
    assert [_word(command) for command in commands] == ["save partial recording.quality"]
    assert [(answer.purpose, answer.state) for answer in state.answers] == [
        (QUALITY, GrantState.GIVEN), (TRAINING, GrantState.REFUSED),
    ]  # fmt: skip


def test_the_call_that_went_on_without_us_gets_no_order() -> None:
    assert walk("consent", played(), Lost(), Saved()) == ["play en/essential", "play en/question-1", "save error"]


def test_a_process_that_was_replaced_orders_nothing() -> None:
    assert walk("consent", played(), pressed("1"), Lost())[-1] == "save given recording.quality"


def test_a_store_that_fails_closes() -> None:
    assert walk("consent", played(), pressed("1"), SaveFailed())[-1] == "release error"


def test_the_closed_outcome_by_kind() -> None:
    assert gate.closed(flow(QUALITY)) is Outcome.ERROR
    assert gate.closed(FLOWS["required"]) is Outcome.DIVERTED
