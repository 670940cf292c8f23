"""The demo: real callers on a real Asterisk, one table of what happened, and whether it is as it should be."""

from __future__ import annotations

import asyncio
import io
import json
import re
import shutil
import signal
import sys
import wave
from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Protocol

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from callguard.config import Config
from callguard.demo.agent import Agent, AgentCall
from callguard.demo.dials import DIALS, WITHOUT_CALLGUARD, Dial, dial
from callguard.demo.gate import Gate
from callguard.demo.pbx import Pbx
from callguard.demo.scenarios import SCENARIOS, Scenario, Times
from callguard.demo.sipp import call
from callguard.demo.tones import (
    AGENT,
    CALLER_AFTER_NO,
    CALLER_AFTER_STOP,
    CALLER_AFTER_YES,
    CALLER_BEFORE,
    tones_in,
)
from callguard.demo.tree import Tree, cache
from callguard.errors import InputError
from callguard.keys import master
from callguard.sections import Folder
from callguard.speech.catalogue import PLAYED
from callguard.store.reader import Reader

NAMES = {
    CALLER_BEFORE: "before the answer",
    CALLER_AFTER_NO: "after no",
    CALLER_AFTER_YES: "after yes",
    CALLER_AFTER_STOP: "after *9",
    AGENT: "agent",
}
HEADER = "X-Callguard-Consent"
# Withdrawn recordings are destroyed at once by default; the demo lets one lie, so that its tones can be looked for.
WITHDRAWN_LIES_S = 3_600
PICTURE_COLUMNS = 130
SETTLE_LIMIT_S = 10.0
# Somewhere within the notice: late enough that it plays, early enough that it is not over.
KILL_AFTER_MS = 2_000
# Of callguard's log, under a table with a row that is not as it should be.
PROBLEMS_SHOWN = 20


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table.

    Attributes:
        file: name of the recording, empty for none.
        recording_ms: its length.
        tones: what was found in it.
        first_sound_ms: from the caller's INVITE to the first sound that was heard.
        wrong: what is not as it should be; empty for a good row.
    """

    name: str
    pressed: str
    outcome: str
    granted: str
    file: str
    recording_ms: int | None
    tones: tuple[str, ...]
    first_sound_ms: int | None
    wrong: tuple[str, ...]


def chosen(only: Collection[str]) -> tuple[Scenario | Dial, ...]:
    """The calls of these names and those that must come before them, in the demo's order; without a name, all.

    Raises:
        InputError: there is no such call.
    """
    there_are = {one.name: one for one in (*SCENARIOS, *DIALS, *WITHOUT_CALLGUARD)}
    for name in only:
        if name not in there_are:
            raise InputError(f"{name!r} is no call of the demo; there are: {'; '.join(there_are)}", field="--only")
    wanted = {*only, *(there_are[name].after for name in only)}
    return tuple(one for name, one in there_are.items() if not only or name in wanted)


async def run_demo(
    tree: Tree, calls: Collection[Scenario | Dial], *, json_file: Path | None, svg_file: Path | None, keep: bool
) -> bool:
    """Make these calls on an Asterisk and print the table; true when every row is as it should be.

    Raises:
        SetupError: this machine lacks something; the text says what to do.
    """
    with Console(stderr=True).status("Starting Asterisk and callguard …") as status:
        async with (
            Pbx(tree) as pbx,
            Agent(pbx.agent_port) as agent,
            Gate(pbx, destroy_after_s=WITHDRAWN_LIES_S) as gate,
        ):
            status.update("Calling, all at once …")
            scenarios = [one for one in SCENARIOS if one in calls]
            ordinary = [scenario for scenario in scenarios if not scenario.kill]
            rows = list(await asyncio.gather(*(play(scenario, number, pbx, gate, agent)
                                               for number, scenario in enumerate(ordinary))))  # fmt: skip
            status.update("Dialling out …")
            for number in (one for one in DIALS if one in calls):
                rows.append(await _dial(number, pbx, gate, agent))
            status.update("Calling, and killing callguard in the notice …")
            for count, scenario in enumerate((s for s in scenarios if s.kill), len(ordinary)):
                rows.append(await play(scenario, count, pbx, gate, agent))
            status.update("Dialling out without callguard …")
            await gate.kill()
            for number in (one for one in WITHOUT_CALLGUARD if one in calls):
                rows.append(await _dial(number, pbx, gate, agent))
            status.stop()
            show(rows, Console())
            if any(row.wrong for row in rows):
                _say_why(gate)
            if svg_file is not None:
                svg_file.write_text(picture(rows), encoding="utf-8")
            if json_file is not None:
                json_file.write_text(json.dumps([asdict(row) for row in rows], indent=1) + "\n", encoding="utf-8")
            for name, of in (("recordings", gate.recordings), ("prompts", pbx.folder("prompts"))):
                print(f"{name.capitalize()}: {_for_listening(name, of.path_here)}", flush=True)
            print("(A withdrawn recording is destroyed at once; the demo keeps it, to let you hear where it ends.)")
            if keep:
                await gate.start()
                await _keep(pbx)
    return not any(row.wrong for row in rows)


def _for_listening(name: str, folder: Path) -> Path:
    """A copy of a folder that outlives the private Asterisk, until the next demo."""
    to = cache() / "demo" / name
    shutil.rmtree(to, ignore_errors=True)
    shutil.copytree(folder, to, ignore=shutil.ignore_patterns(PLAYED))
    return to


class Served(Protocol):
    """A callguard that serves, as much of it as a caller of the demo needs: `Gate`, or one in a container."""

    config: Config
    recordings: Folder

    @property
    def store(self) -> Path: ...

    async def kill(self) -> None: ...


async def play(scenario: Scenario, number: int, pbx: Pbx, gate: Served, agent: Agent) -> Row:
    """Make one call, and say what came of it and whether that is as it should be."""
    times = Times.of(gate.config, scenario.profile)
    caller = f"+3460000{number:04}"
    before = set(gate.recordings.path_here.iterdir())
    calling = asyncio.create_task(
        call(pbx, scenario.extension, scenario.timeline(times), from_name="Caller", from_number=caller)
    )
    if scenario.kill:
        await asyncio.sleep(KILL_AFTER_MS / 1000)
        await gate.kill()
    result = await calling
    reached = next((one for one in agent.calls if caller in str(one.header("From"))), None)
    shown = _shown(reached)
    file = await _recording(gate, shown.get("call", ""), expected=scenario.tones is not None)
    if scenario.kill:
        file = next(iter(set(gate.recordings.path_here.iterdir()) - before), None)
    found = tones_in(file) if file else ()
    first = result.first_sound_s
    row = Row(
        name=scenario.name,
        pressed=scenario.pressed,
        outcome=shown.get("state", "not reached"),
        granted=shown.get("purposes", ""),
        file=file.name if file else "",
        recording_ms=_length_ms(file),
        tones=tuple(dict.fromkeys(NAMES.get(int(tone.hz), str(tone.hz)) for tone in found)),
        first_sound_ms=None if first is None else round(first * 1000),
        wrong=(),
    )
    return judged(row, scenario, {int(tone.hz) for tone in found})


async def _dial(number: Dial, pbx: Pbx, gate: Gate, agent: Agent) -> Row:
    dialled = await dial(number, pbx, gate, agent)
    file = await _recording(gate, dialled.call_id, expected=number.tones is not None)
    found = tones_in(file) if file else ()
    row = Row(
        name=number.name,
        pressed=number.pressed,
        outcome=dialled.outcome,
        granted=dialled.granted,
        file=file.name if file else "",
        recording_ms=_length_ms(file),
        tones=tuple(dict.fromkeys(NAMES.get(int(tone.hz), str(tone.hz)) for tone in found)),
        first_sound_ms=None if dialled.first_sound_s is None else round(dialled.first_sound_s * 1000),
        wrong=(),
    )
    return judged(row, number, {int(tone.hz) for tone in found})


def judged(row: Row, scenario: Scenario | Dial, found: set[int]) -> Row:
    """The row with what is wrong with it; `found` are the tones in its recording, in Hz."""
    wrong = []
    if row.outcome != (scenario.outcome or "not reached"):
        wrong.append(f"outcome should be {scenario.outcome or 'not reached'}")
    if row.granted != scenario.granted:
        wrong.append(f"granted should be {scenario.granted or 'nothing'}")
    if (row.recording_ms is not None) != (scenario.tones is not None):
        wrong.append("there should be a recording" if scenario.tones else "there should be no recording")
    elif scenario.tones is not None and found != scenario.tones:
        wrong.append("tones should be " + ", ".join(NAMES[hz] for hz in sorted(scenario.tones)))
    if row.first_sound_ms is None:
        wrong.append("nothing was heard")
    return replace(row, wrong=tuple(wrong))


def _shown(reached: AgentCall | None) -> dict[str, str]:
    """What the agent's phone was told."""
    header = None if reached is None else reached.header(HEADER)
    if header is None:
        return {}
    parts = re.fullmatch(r'(?P<state>\w+); purposes="(?P<purposes>[^"]*)"; call=(?P<call>.*)', header)
    return {"state": f"unreadable: {header}"} if parts is None else parts.groupdict()


async def _recording(gate: Served, call_id: str, *, expected: bool) -> Path | None:
    """The call's file, once callguard has finished with it."""
    async with Reader.reading(gate.store, lambda: master.load(gate.config)) as store:
        try:
            async with asyncio.timeout(SETTLE_LIMIT_S):
                while True:
                    legs = await store.call(call_id)
                    if not legs or not legs[0].leg.recording:
                        return None
                    if legs[0].recording is not None and legs[0].recording.files:
                        return gate.recordings.path_here / legs[0].recording.files[0].name
                    await asyncio.sleep(0.05)
        except TimeoutError:
            return None


def _say_why(gate: Gate) -> None:
    """What callguard's log says of calls that did not come to what they should, and where the whole of it is."""
    log = gate.log()
    kept = cache() / "demo" / "log"
    kept.parent.mkdir(parents=True, exist_ok=True)
    kept.write_text(log, encoding="utf-8")
    for line in [line for line in log.splitlines() if "[warning" in line or "[error" in line][-PROBLEMS_SHOWN:]:
        print(line, file=sys.stderr)
    print(f"callguard's log: {kept}", file=sys.stderr)


def _length_ms(file: Path | None) -> int | None:
    if file is None:
        return None
    with wave.open(str(file), "rb") as audio:
        return round(audio.getnframes() * 1000 / audio.getframerate())


def picture(rows: Sequence[Row]) -> str:
    """The table as an SVG image, in whatever monospaced font its reader has: nothing is fetched from elsewhere."""
    console = Console(record=True, width=PICTURE_COLUMNS, file=io.StringIO())
    show(rows, console)
    image = console.export_svg(title="callguard demo", unique_id="demo")
    image = re.sub(r"\s*@font-face \{.*?\}", "", image, flags=re.DOTALL).replace("Fira Code, ", "")
    return "".join(f"{line.rstrip()}\n" for line in image.splitlines())


def show(rows: Sequence[Row], console: Console) -> None:
    """Print the table and its verdict."""
    table = Table(title="What happened", box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for heading in ("the caller …", "keys", "came to", "granted", "recorded", "tones in it", "1st sound", ""):
        table.add_column(heading, overflow="fold")
    for row in rows:
        table.add_row(
            row.name,
            row.pressed or "-",
            row.outcome,
            row.granted or "-",
            "none" if row.recording_ms is None else f"{row.recording_ms / 1000:.1f} s",
            ", ".join(row.tones) or "-",
            "-" if row.first_sound_ms is None else f"{row.first_sound_ms} ms",
            "; ".join(row.wrong) if row.wrong else "ok",
            style="red" if row.wrong else None,
        )
    console.print(table)
    wrong = sum(bool(row.wrong) for row in rows)
    console.print(f"{wrong} of {len(rows)} are not as they should be." if wrong else "All as it should be.")


async def _keep(pbx: Pbx) -> None:
    """Leave everything up for a softphone until Ctrl-C."""
    print(f"SIP account: softphone, password {pbx.secrets.sip}, server 127.0.0.1:{pbx.sip_port} (UDP)", flush=True)
    print("Extensions:  1000 asks for consent, 1001 informs, 1003 asks two questions, 1004 asks by FastAGI,")
    print("             2000 is a queue; 7NUMBER calls out for service, 8NUMBER for marketing.")
    print("             The other phone answers by itself.", flush=True)
    print("Ctrl-C ends it.", flush=True)
    ended = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, ended.set)
    await ended.wait()
