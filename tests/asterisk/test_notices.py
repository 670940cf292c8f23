"""What somebody hears at their first, second and third call: the notice, what has changed in it, its short form."""

from __future__ import annotations

import asyncio
import json

from callguard import config
from callguard.core.evidence import Kind
from callguard.demo.rtp import Key, Segment, Tone
from callguard.demo.tones import AGENT, CALLER_AFTER_YES, CALLER_BEFORE
from callguard.speech.build import build
from callguard.store.records import LegDetail
from tests.asterisk.conftest import DETAILS_MS, PROMPT_HZ, WAIT_S, World, record_studio_files, says_yes
from tests.asterisk.test_languages import proved
from tests.asterisk.test_outbound import latest_settled, talks, the_person_called

ANA = "+34600000081"
FIRST = """
[[notices.acme]]
version = "1"
since = 2026-01-31
profiles = ["service"]
"""
SECOND = """
[[notices.acme]]
version = "2"
since = 2026-11-01
profiles = ["service"]
material = true
change = { en = "recordings also serve to teach new staff", es = "las grabaciones sirven para formar al personal" }
"""


async def serve(world: World, more: str) -> None:
    """Stop callguard, add to its configuration, and start it again."""
    await world.gate.stop()
    file = world.gate.folder / "callguard.toml"
    text = file.read_text(encoding="utf-8")
    short = "[profiles.service]\nshort_form_months = 12\n"
    file.write_text(f"{text if short in text else text.replace('[profiles.service]', short, 1)}{more}", "utf-8")
    world.gate.config = config.load(file)
    texts = world.gate.config.prompts.texts
    assert texts is not None
    record_studio_files(world.gate, texts)
    await asyncio.to_thread(build, world.gate.config)
    await world.gate.start()


def informed(leg: LegDetail) -> tuple[str | None, list[tuple[str, bool, str | None]]]:
    (entry,) = (json.loads(one.body) for one in leg.evidence if one.kind is Kind.INFORMED)
    return entry["knows"], [(one["form"], one["whole"], one.get("continues")) for one in entry["told"]]


async def test_a_change_is_heard_at_the_next_call_and_the_short_form_at_the_third(world: World) -> None:
    """R12, R13 and R14; and rule 2: the yes to the short form counts after it was heard on that leg."""
    await serve(world, FIRST)
    calls = len(world.agent.calls)

    async def call(*timeline: Segment) -> LegDetail:
        nonlocal calls
        await world.call(*(timeline or says_yes(world.times)), from_number=ANA)
        leg = await world.leg(world.told(await world.agent_call(calls)).call)
        calls += 1
        return leg

    first = await call()
    assert (first.leg.outcome, informed(first)) == ("given", ("1", [("whole", True, None)]))
    await serve(world, SECOND)
    # No yes of before carries over: who says nothing now is not recorded.
    patient = Tone(CALLER_BEFORE, world.times.essential + round(2 * WAIT_S * 1_000) + 6_000)
    second = await call(patient)
    assert proved(second) == ["en/essential", "en/change-2", "en/question-1", "en/again-1"]
    assert (second.leg.outcome, second.leg.recording) == ("unknown", False)
    assert informed(second) == ("2", [("whole", True, None), ("change", True, None)])
    third = await call(*says_yes(world.times), Tone(CALLER_AFTER_YES, 500))
    assert proved(third) == ["en/brief-essential", "en/brief-question-1"]
    assert (third.leg.outcome, third.leg.recording) == ("given", True)
    assert informed(third) == ("2", [("short", True, second.leg.call_id)])
    assert third.grants[0].notice_version == "4+2"


async def test_where_the_agent_speaks_first_a_yes_counts_after_what_has_changed(world: World) -> None:
    """R12: who knows the older notice, and presses 1 at the agent's words, hears it with the change, and answers."""
    everybodys = [text.replace('profiles = ["service"]\n', "") for text in (FIRST, SECOND)]
    await serve(world, everybodys[0])
    await world.call(*says_yes(world.times), from_number=ANA)
    await serve(world, everybodys[1])
    calls, notice_ms = len(world.agent.calls), world.times.essential + DETAILS_MS
    unheard = (Tone(CALLER_BEFORE, 1_500), Key("1"))
    answers = (Tone(CALLER_BEFORE, notice_ms + 1_500), Key("1"), Tone(CALLER_AFTER_YES, 9_000))
    with the_person_called(world, *unheard, *answers):
        await world.call(talks(notice_ms + 6_500), extension=f"8{ANA.removeprefix('+34')}")
        await (await world.agent_call(calls)).over()
    leg = await latest_settled(world)
    assert world.tones(leg) - {PROMPT_HZ} == {CALLER_AFTER_YES, AGENT}
    assert informed(leg) == ("2", [("whole", True, None), ("change", True, None)])
