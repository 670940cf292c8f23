"""The gate against its rules: exhaustively, at random beyond, and with each rule taken out."""

from __future__ import annotations

import types
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from callguard.core import gate
from callguard.core.commands import Ask, Command, Exercise, OptOut, Release, Save, StartRecording
from callguard.core.events import Answered, Cause, Event, Lost, Released, Saved, SaveFailed
from callguard.core.model import Form, GrantState, Heard, Outcome, Party
from callguard.core.profile import Flow
from tests.core.explore import CALLER, LONGEST_CALL, Broken, advance, begin, events, explore
from tests.core.flows import CALLS, CONTINUES, FLOWS, NO_TO_ALL, NO_TO_TRAINING, QUALITY, TRAINING, flow

# Deep enough for every step and everything beside the steps; the first test goes to the gate's own limit.
SHALLOW = 6


@pytest.mark.parametrize("name", CALLS)
def test_every_state_with_every_event_keeps_the_rules(name: str) -> None:
    flow, party = CALLS[name]
    states = {state for state, _ in explore(gate, (flow, party))}
    unasked = {gate.Phase.ASKING, gate.Phase.OPTING} if flow.agent_first and party.callee else set()
    assert {state.phase for state in states} == set(gate.Phase) - unasked
    assert {state.language for state in states} == set(flow.languages)
    assert max(state.turns for state in states) == (0 if unasked else gate.MAX_TURNS)


@pytest.mark.parametrize("name", CALLS)
def test_what_was_heard_and_dropped_before_decides_nothing(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the search above leaves out of a state's identity changes no command but the evidence in Save."""
    flow, party = CALLS[name]
    monkeypatch.setattr(gate, "MAX_TURNS", SHALLOW)
    for state, observer in explore(gate, (flow, party)):
        richer = state._replace(heard=(*state.heard, Heard(flow.details["en"][0], 1)), dropped=9)
        for event in events(observer):
            try:
                plain, rich = gate.step(flow, state, event), gate.step(flow, richer, event)
            except gate.Unforeseen:
                continue
            without = [
                [replace(c, heard=(), dropped=0) if isinstance(c, Save) else c for c in m[1]] for m in (plain, rich)
            ]
            assert without[0] == without[1]


def _bare(command: Command) -> Command:
    return replace(command, heard=(), dropped=0) if isinstance(command, Save) else command


@pytest.mark.parametrize("name", CALLS)
@given(choices=st.lists(st.integers(0, 10_000), max_size=80))
@settings(max_examples=150, deadline=None)
def test_any_sequence_keeps_the_rules_and_ends(name: str, choices: list[int]) -> None:
    flow, party = CALLS[name]
    state, observer = begin(gate, flow, party)
    for choice in choices:
        possible = list(events(observer))
        after = advance(gate, flow, state, observer, possible[choice % len(possible)])
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
            case gate.Phase.SAVING | gate.Phase.OPTING:
                usual = Saved()
            case _:
                usual = Released()
        after = advance(gate, flow, state, observer, usual)
        assert after is not None
        state, observer, _ = after
    pytest.fail("a caller who does nothing is held for ever")


# Each rule of the gate, taken out of its one place in the source. The search must notice every one.
MUTATIONS = {
    "a right is asked for by a stray key": (
        "return state, (Ask((_notice(state, at),), PROTECTING, 0),)",
        "return state, (Ask((_notice(state, at),), IN_DETAILS, 0),)",
    ),
    "told received what was withdrawn": (
        "done = Aside.WITHDRAWN if state.right is Right.WITHDRAWAL else Aside.RECEIVED",
        "done = Aside.RECEIVED",
    ),
    "a request of nobody": (
        "        if state.party.known:\n            right = RIGHTS",
        "        if True:\n            right = RIGHTS",
    ),
    "told received what was not saved": (
        "typed=typed, right=None, aside=Aside.NOT_NOTED",
        "typed=typed, right=None, aside=Aside.RECEIVED if state.right else Aside.NOT_NOTED",
    ),
    "rule 1: the recording before the commit": (
        "return state._replace(phase=Phase.SAVING), (save,)",
        "return state._replace(phase=Phase.SAVING), (*((StartRecording(granted),) if record else ()), save)",
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
        "return state, (Ask((_notice(state, at),), PROTECTING, 0),)",
        "return state, (Ask((_notice(state, at),), ALL_KEYS, 0),)",
    ),
    "rule 2: the question comes without the notice": (
        "return _begin(flow, state._replace(refused=party.refused))",
        "return _begin(flow, state._replace(refused=party.refused, step=1, essential=True))",
    ),
    "rule 2: a key that was already down counts": (
        "and event.began_ms >= _heard_enough_ms(flow, state, asked):", "and True:"
    ),
    "rule 2: a yes comes before it is told to what": ("asked.length_ms // 2 if several", "0 if several"),
    "rule 2: half a notice is a notice": (
        "part.heard_ms >= part.prompt.length_ms - HEARD_TOLERANCE_MS", "True"
    ),
    "rule 2: another language's notice counts": (
        "state._replace(step=0, detail=None, repeats=0, answers=(), essential=False, up_to_date=False)",
        "state._replace(detail=None, repeats=0, answers=())",
    ),
    "rule 2: a no is not heard during the notice": (
        "return state, (Ask((_notice(state, at),), PROTECTING, 0),)",
        "return state, (Ask((_notice(state, at),), frozenset({'0'}), 0),)",
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
    "rule 4: a no is remembered that nobody said": (
        "if all(_said_no(flow, state, purpose)", "if any(True"
    ),
    "rule 4: a no to another notice is remembered": (
        "return (purpose.id, flow.essential(state.language).version) in state.refused",
        "return purpose.id in dict(state.refused)",
    ),
    "rule 4: a no to the first language's notice is remembered in another": (
        "flow.essential(state.language).version", "flow.essential(flow.languages[0]).version"
    ),
    "the call begins in another language than was picked": ("party.language or flow.languages[0]", "flow.languages[0]"),
    "the language key does not take the next": ("flow.languages.index(state.language) + 1", "1"),
    "a language is remembered that nobody chose": ("chosen = state.chosen and", "chosen ="),
    "a language is remembered of who did not come through": ("state.chosen and not _broken_off(state)", "state.chosen"),
    "rule 4: the 1 of the short form is a yes": (
        "            return _ask(flow, state._replace(aside=None, refused=frozenset()))",
        "            return _save(flow, _with(state, Answer(flow.purposes[0], GrantState.GIVEN, event.keys, 'key')))",
    ),
    "rule 5: who refuses is sent away": (
        "return (Outcome.REFUSED if refused else Outcome.UNKNOWN), (), False",
        "return (Outcome.DIVERTED if refused else Outcome.UNKNOWN), (), False",
    ),
    "rule 7: a failed prompt is passed over": (
        'if any(answer.reason in {"failed", "lost"} for answer in state.answers):',
        'if any(answer.reason in {"lost"} for answer in state.answers):',
    ),
    "rule 7: served unrecorded where it may not be": (
        "diverted = flow.may_not_go_unrecorded or (party.callee and flow.gate_required)", "diverted = False",
    ),
    "rule 7: a callee whose gate is required is put through without it": (
        "or (party.callee and flow.gate_required)", ""
    ),
    "rule 8: an opt-out is confirmed that is not committed": (
        "(Phase.OPTING, SaveFailed): _not_opted", "(Phase.OPTING, SaveFailed): _opted"
    ),
    "rule 8: it blocks the caller's own call": (
        "aside = (Aside.FAREWELL if state.party.callee else Aside.OPTED_OUT) if out", "aside = Aside.FAREWELL if out"
    ),
    "rule 8: it cannot be undone": ("(OptOut(state.opted_out, state.typed),)", "(OptOut(False, state.typed),)"),
    "rule 8: a callee who opted out is put through": (
        "    if state.aside is Aside.FAREWELL:\n        return Outcome.DIVERTED, (), False\n", ""
    ),
    "R12: what has changed is passed over": (
        "return tuple(change for change in changes if flow.versions.index(change.version) > known)", "return ()"
    ),
    "R12: half of what has changed is enough": (
        "if not all(_is_heard(change.prompt, event) for change in _missed(flow, state)):", "if False:"
    ),
    "R12: who hung up knows what has changed": (
        "if not state.essential or not (state.up_to_date or not _missed(flow, state)):", "if not state.essential:"
    ),
    "R12: a yes in the call counts before what has changed was heard": (
        "0 if state.up_to_date else len(_missed(flow, state))", "0"
    ),
    "R13: the short form for a notice never heard": (
        "(one.version, one.sha256) == here), \"\")", "True), \"\")"
    ),
    "R13: the short form of what has changed": ("if notice.brief is None or _missed(flow, state):", "if False:"),
    "R13: who wants to hear it again has the short form": ('"" if whole else _continued', "_continued"),
    "rule 2: a yes is taken after the first words of what has changed": (
        "for change in _missed(flow, state)), PROTECTING, 0),)", "for change in _missed(flow, state)), ALL_KEYS, 0),)"
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
    mutant.__dict__["MAX_TURNS"] = SHALLOW
    if name == "nobody is held for ever":
        assert held_for_ever(mutant)
        return
    with pytest.raises((Broken, AssertionError)):
        explore(mutant, *CALLS.values())


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


def walk(name: str, *happened: Event, party: Party = CALLER) -> list[str]:
    """What the gate ordered, in words."""
    state, commands = gate.start(FLOWS[name], party)
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
        case OptOut():
            return f"opt {'in' if command.undo else 'out'} {command.typed}".strip()
        case Exercise():
            return f"ask for {command.right}"
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


def test_the_beginning_of_the_notice_again_and_again_is_not_the_notice() -> None:
    """By AGI a key that comes to nothing, such as a lone *, begins it anew."""
    notice = FLOWS["consent"].essential("en")
    state, _ = gate.start(FLOWS["consent"], CALLER)
    thirds = tuple(Heard(notice, notice.length_ms // 3 + 100) for _ in range(3))
    _, (save,) = gate.step(FLOWS["consent"], state, Answered(Cause.SILENCE, heard=thirds))
    assert isinstance(save, Save)
    assert not save.record
    assert {answer.reason for answer in save.answers} == {"failed"}


def _walk(one: Flow, party: Party, *happened: Event) -> tuple[list[str], Save | None]:
    state, commands = gate.start(one, party)
    said = [_word(command) for command in commands]
    save = None
    for event in happened:
        state, commands = gate.step(one, state, event)
        said += [_word(command) for command in commands]
        save = next((command for command in commands if isinstance(command, Save)), save)
    return said, save


def test_a_mere_continuation_is_short_and_says_what_it_continues() -> None:
    two = flow(QUALITY, TRAINING, languages=("en",), brief=True)
    said, save = _walk(
        two, Party(knows="", heard=CONTINUES), played("brief-essential"), pressed("1", 2_900), pressed("1", 2_900)
    )
    assert said[:3] == ["play en/brief-essential", "play en/brief-question-1", "play en/question-2"]
    assert save is not None
    ((told),) = save.told
    assert (told.form, told.whole, told.continues) == (Form.SHORT, True, "call-before")


def test_what_has_changed_is_told_before_the_question_and_once() -> None:
    one = flow(QUALITY, brief=True, notices=("1", "2"), changed=("2",))
    said, save = _walk(
        one, Party(knows="1", heard=CONTINUES),
        played(), pressed("1"), played("change-2"), pressed("#"), played(language="es"),
        played("change-2", "es"), pressed("1"),
    )  # fmt: skip
    assert said[:6] == [
        "play en/essential", "play en/change-2", "play en/change-2", "play en/question-1", "play es/essential",
        "play es/change-2",
    ]  # fmt: skip
    assert save is not None
    assert (save.knows, {told.form for told in save.told}) == ("2", {Form.WHOLE, Form.CHANGE})
    said, _ = _walk(one, Party(knows="2"), played())
    assert said == ["play en/essential", "play en/question-1"]
    said, _ = _walk(one, Party(), played())
    assert said == ["play en/essential", "play en/question-1"]


def test_who_hangs_up_while_it_is_told_hears_it_again_next_time() -> None:
    one = flow(QUALITY, notices=("1", "2"), changed=("2",))
    _, save = _walk(one, Party(knows="1"), played(), Answered(Cause.HANGUP))
    assert save is not None
    assert save.knows == "1"
    _, save = _walk(one, Party(knows=None), Answered(Cause.HANGUP))
    assert save is not None
    assert (save.knows, save.told) == (None, ())


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


def test_a_call_begins_where_it_is_told_and_the_key_goes_round_from_there() -> None:
    assert walk("consent", pressed("#"), pressed("#"), party=Party(language="es")) == [
        "play es/essential", "play en/essential", "play es/essential",
    ]  # fmt: skip


def test_each_other_language_is_named_in_its_own_tongue_and_taken_there() -> None:
    three = flow(QUALITY, languages=("en", "es", "de"), switch=True)
    state, _ = gate.start(three, Party(language="es"))
    said = []
    for event in (pressed("3"), played("details-1", "es"), played("switch", "de"), pressed("#")):
        state, (asked,) = gate.step(three, state, event)
        assert isinstance(asked, Ask)
        said.append((asked.prompts[0].language, asked.prompts[0].id, asked.wait_ms))
    moment = gate.ASIDE_WAIT_MS
    assert said == [
        ("es", "p/details-1", 0), ("de", "p/switch", moment), ("en", "p/switch", moment), ("en", "p/essential", 0),
    ]  # fmt: skip


def _saved(*happened: Event, party: Party = CALLER) -> Save:
    state, commands = gate.start(FLOWS["consent"], party)
    for event in happened:
        state, commands = gate.step(FLOWS["consent"], state, event)
    (save,) = commands
    assert isinstance(save, Save)
    return save


def test_a_language_is_chosen_by_key_and_by_nothing_else() -> None:
    spanish, through = (played(language="es"), played("question-1", "es"), played("again-1", "es")), pressed("2")
    assert _saved(pressed("#"), *spanish).chosen
    assert _saved(pressed("#"), pressed("#"), through).chosen
    assert not _saved(*spanish, party=Party(language="es")).chosen
    assert not _saved(pressed("#"), Answered(Cause.HANGUP)).chosen
    assert not _saved(pressed("#"), Answered(Cause.FAILED)).chosen
    assert not _saved(*[pressed("#")] * gate.MAX_TURNS).chosen


def test_a_no_stands_for_the_notice_as_it_is_spoken() -> None:
    """Each language's texts have a version of their own."""
    both = flow(QUALITY, versions={"es": "2"})
    for language, first in (("en", "p/remembered"), ("es", "p/essential")):
        _, (asked,) = gate.start(both, Party(refused=frozenset({(QUALITY.id, "1")}), language=language))
        assert isinstance(asked, Ask)
        assert (asked.prompts[0].language, asked.prompts[0].id) == (language, first)


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
    state, _ = gate.start(FLOWS["two questions"], Party())
    for event in (played(), pressed("1", 1_500), pressed("2")):
        state, commands = gate.step(FLOWS["two questions"], state, event)
    assert [_word(command) for command in commands] == ["save partial recording.quality"]
    assert [(answer.purpose, answer.state) for answer in state.answers] == [
        (QUALITY, GrantState.GIVEN), (TRAINING, GrantState.REFUSED),
    ]  # fmt: skip


def test_a_key_pressed_twice_answers_one_question() -> None:
    told = walk("two questions", played(), pressed("1", 1_500), pressed("1", 100), pressed("1", 1_600))
    assert told == [
        "play en/essential", "play en/question-1", "play en/question-2", "play en/question-2",
        "save given recording.quality,recording.training",
    ]  # fmt: skip


def test_the_call_that_went_on_without_us_gets_no_order() -> None:
    assert walk("consent", played(), Lost(), Saved()) == ["play en/essential", "play en/question-1", "save error"]


def test_a_process_that_was_replaced_orders_nothing() -> None:
    assert walk("consent", played(), pressed("1"), Lost())[-1] == "save given recording.quality"


def test_a_store_that_fails_closes() -> None:
    assert walk("consent", played(), pressed("1"), SaveFailed())[-1] == "release error"


def test_the_closed_outcome_by_kind() -> None:
    caller, callee = Party(), Party(callee=True)
    assert gate.closed(flow(QUALITY), caller) is Outcome.ERROR
    assert gate.closed(FLOWS["required"], caller) is Outcome.DIVERTED
    assert gate.closed(flow(QUALITY, gate_required=True), caller) is Outcome.ERROR
    assert gate.closed(flow(QUALITY, gate_required=True), callee) is Outcome.DIVERTED


def test_an_opt_out_is_confirmed_undone_and_never_in_the_way() -> None:
    assert walk("consent", played(), pressed("9"), Saved(), pressed("9"), Saved(), played("optout-undone")) == [
        "play en/essential", "play en/question-1", "opt out", "play en/optout-done", "opt in",
        "play en/optout-undone", "play en/question-1",
    ]  # fmt: skip


def test_what_is_a_right_is_asked_for_in_the_full_layer_alone_and_the_call_goes_on() -> None:
    for key, right, told in (
        ("4", "access", "received"),
        ("5", "withdrawal", "withdrawn"),
        ("6", "erasure", "received"),
    ):
        assert walk("consent", played(), pressed("3"), pressed(key), Saved(), played(f"right-{told}")) == [
            "play en/essential", "play en/question-1", "play en/details-1", f"ask for {right}",
            f"play en/right-{told}", "play en/question-1",
        ]  # fmt: skip
    assert walk("consent", pressed("3"), pressed("6"), SaveFailed())[-1] == "play en/optout-failed"
    withheld = Party(known=False)
    assert walk("consent", pressed("3"), pressed("6"), party=withheld)[-1] == "play en/optout-failed"
    with pytest.raises(gate.Unforeseen):
        walk("consent", pressed("6"))


def test_who_withholds_the_number_types_it() -> None:
    withheld = Party(known=False)
    assert walk("consent", pressed("9"), pressed("34600000001"), SaveFailed(), party=withheld) == [
        "play en/essential", "play en/optout-number", "opt out 34600000001", "play en/optout-failed",
    ]  # fmt: skip
    assert walk("consent", pressed("9"), pressed(""), party=withheld)[-1] == "play en/essential"


def test_a_callee_who_opts_out_hears_goodbye_and_is_not_put_through() -> None:
    callee = Party(callee=True)
    assert walk("consent", pressed("9"), Saved(), played("optout-goodbye"), Saved(), party=callee) == [
        "play en/essential", "opt out", "play en/optout-goodbye", "save diverted", "release diverted",
    ]  # fmt: skip


def test_a_no_is_remembered_and_can_be_taken_back() -> None:
    said_no = Party(refused=NO_TO_ALL)
    assert walk("consent", played("remembered"), Saved(), party=said_no) == [
        "play en/remembered", "save refused", "release refused",
    ]  # fmt: skip
    assert walk("consent", pressed("1"), played(), pressed("1"), party=said_no) == [
        "play en/remembered", "play en/essential", "play en/question-1", "save given recording.quality",
    ]  # fmt: skip


def test_a_remembered_no_to_one_of_two_is_not_asked_again() -> None:
    said_no = Party(refused=NO_TO_TRAINING)
    assert walk("two questions", played(), pressed("1", 1_500), party=said_no) == [
        "play en/essential", "play en/question-1", "save partial recording.quality",
    ]  # fmt: skip


def test_agent_first_asks_nothing_of_a_callee() -> None:
    state, commands = gate.start(flow(QUALITY, agent_first=True), Party(callee=True, language="es"))
    assert [_word(command) for command in commands] == ["save unknown"]
    assert state.language == "en"  # what the dialplan says to them is in the first language
    _, commands = gate.step(flow(QUALITY, agent_first=True), state, Saved())
    assert [_word(command) for command in commands] == ["release unknown"]
