"""Hostile peers: messages of a real Asterisk, mutated, at everything that reads what comes from outside.

``python -m tests.faults.fuzz --cases 100000 --seed 1`` prints a table and ends with 1 where something went wrong. One
number is one run: what is found with a seed is found again with it.
"""

from __future__ import annotations

import argparse
import asyncio
import math
import os
import sys
import time
import traceback
from collections import deque
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, fields, is_dataclass
from pathlib import Path
from random import Random
from typing import Any, cast

from rich.console import Console
from rich.table import Table

from callguard.core import gate
from callguard.core.events import Answered, Cause, Lost, Released, Saved, SaveFailed
from callguard.core.model import Heard
from callguard.numbers import to_e164
from callguard.telephony import agi_wire, ami
from callguard.telephony import ari_wire as wire
from callguard.telephony.ami_events import KeyPressed
from callguard.telephony.ami_wire import LONGEST, Protocol
from tests.core import explore
from tests.core.flows import CALLS
from tests.faults import peers
from tests.faults.agi_legs import agi_case
from tests.faults.ari_legs import ari_case
from tests.faults.mutate import TEXTS, Mutator
from tests.faults.transcripts import AMI_EVENTS, ARI, NAME, NUMBER, agi_block, key_event
from tests.faults.virtual import CONTROL, Log, logged, run_virtually

# One case; the slowest of them is a whole call, and the machine may be busy.
LONGEST_CASE_S = 5.0
MOST_GROWTH = 150 << 20
MOST_TOLD = 20
# What no error of ours says by itself.
HOSTILE = tuple(text for text in TEXTS if len(text) > 2 and text not in {"done", "unknown", "callguard"})
VICTIM = "callguard-1795346190.7"
# Asterisk cuts a caller's number there.
MOST_OF_A_NUMBER = 79

Result = tuple[int, list[str]]
Target = Callable[[int, int], Result]


class Watch:
    """What goes wrong in one target, each kind once with the case that shows it."""

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self.wrong: list[str] = []

    def note(self, case: int, what: str) -> None:
        if len(self.wrong) < MOST_TOLD:
            self.wrong.append(f"seed {self.seed}, case {case}: {what[:600]}")

    @contextmanager
    def case(self, number: int, log: Log) -> Iterator[Random]:
        """One case with its own randomness: it can be repeated alone."""
        began = time.perf_counter()
        try:
            yield Random(f"{self.seed}/{number}")
        except Exception as error:
            self.note(number, _said(error))
        if (took := time.perf_counter() - began) > LONGEST_CASE_S:
            self.note(number, f"it took {took:.1f} s")
        for what in log.wrong():
            self.note(number, what)


@contextmanager
def watching(seed: int) -> Iterator[tuple[Watch, Log]]:
    watch = Watch(seed)
    before = _memory()
    with logged() as log:
        yield watch, log
    if (grown := _memory() - before) > MOST_GROWTH:
        watch.note(-1, f"{grown >> 20} MiB more memory")


def ari_messages(cases: int, seed: int) -> Result:
    """Decoding of what comes over the event WebSocket."""
    with watching(seed) as (watch, log):
        for number in range(cases):
            with watch.case(number, log) as random:
                text = Mutator(random).json(random.choice(ARI))
                try:
                    message = wire.decode(text)
                except wire.Malformed as error:
                    _no_content(str(error))
                else:
                    _as_declared(message)
    return cases, watch.wrong


def ami_events(cases: int, seed: int) -> Result:
    """Events over AMI, and what callers can put into them by their number."""

    async def work() -> list[str]:
        with watching(seed) as (watch, log):
            for number in range(cases):
                with watch.case(number, log) as random:
                    _ami_case(random)
        return watch.wrong

    return cases, run_virtually(work())


def _ami_case(random: Random) -> None:
    manager = ami._Manager(loop=asyncio.get_running_loop(), log=ami._quiet())
    manager.register_event("UserEvent", ami._take)
    manager.register_event("DTMFEnd", ami._take)
    protocol, transport = Protocol(), _Transport()
    protocol.connection_made(transport)
    protocol.queue, protocol.factory, protocol.log, protocol.encoding = deque(), manager, ami._quiet(), "utf8"
    mutator = Mutator(random)
    honest = random.random() < 0.5
    if honest:
        # Asterisk does not lie; it hands on what a caller has for a number, and for the other's.
        forged = {name: _forged(random, name) for name in ("CallerIDNum", "ConnectedLineNum") if random.random() < 0.7}
        data = key_event("2", **forged)
    else:
        data = b"".join(random.choices(AMI_EVENTS, k=3))
        data = mutator.lines(data, b"\r\n") if random.random() < 0.6 else mutator.torn(data)
    for piece in mutator.pieces(data):
        protocol.data_received(piece)
    aborted = transport.aborted
    protocol.data_received(b"\r\n\r\n" + key_event("1"))
    told = []
    while not manager.notices.empty():
        told.append(manager.notices.get_nowait())
    if honest and any(VICTIM in str(one) for one in told):
        raise AssertionError(f"a caller speaks for another: {forged}")
    if not aborted and not any(isinstance(one, KeyPressed) and one.digit == "1" for one in told):
        raise AssertionError(f"after it nothing is heard any more: {data[:200]!r}")
    if sum(len(rest) for rest in protocol.queue) > LONGEST:
        raise AssertionError("what has no end is kept")


class _Transport:
    aborted = False

    def abort(self) -> None:
        self.aborted = True


def _forged(random: Random, name: str) -> str:
    """As much as fits into a number, to end the event, begin another one and hide the rest."""
    lines = [
        "Event: DTMFEnd", "Event: UserEvent", f"Uniqueid: {VICTIM}", f"Channel: {VICTIM}", "Digit: 9", "digit: *",
        "UserEvent: CallguardEnded", f"uniqueid: {VICTIM}", f"channel: {VICTIM}", "Direction: Received", "", "",
        "ActionID: 1", "ActionID: 2", "Response: Error", "Event: Shutdown", "Privilege: x", f"Leg: {VICTIM}",
    ]  # fmt: skip
    return "\r\n".join(["1", *random.choices(lines, k=random.choice((1, 3, 5)))])[:MOST_OF_A_NUMBER]


def agi_blocks(cases: int, seed: int) -> Result:
    """What opens a FastAGI session, what callers can put into it, and numbers as they are written."""
    with watching(seed) as (watch, log):
        for number in range(cases):
            with watch.case(number, log) as random:
                mutator = Mutator(random)
                forged = "\n".join(
                    ["1", *random.choices(("agi_uniqueid: x", "agi_arg_1: sales", "", "200 result=1"), k=3)]
                )
                if random.random() < 0.3:
                    block = agi_block(callerid=forged, calleridname=forged).partition(b"\n\n")[0] + b"\n\n"
                else:
                    block = mutator.lines(agi_block(), b"\n")
                try:
                    found = agi_wire.fields(block)
                except agi_wire.Malformed as error:
                    _no_content(str(error))
                else:
                    if b"agi_uniqueid: x" in block and found["agi_uniqueid"] == "x":
                        raise AssertionError("a caller gives the call another id")
                written = mutator.torn(NUMBER.encode()).decode(errors="replace") + random.choice(TEXTS)
                known = to_e164(written, random.choice((None, "ES", "US")))
                if known is not None and not (known[0] == "+" and known[1:].isascii() and known[1:].isdigit()):
                    raise AssertionError(f"a number that is none: {known!r}")
                code = random.choice((*range(-2, 130), 2**40))
                with suppress(ValueError):
                    agi_wire.key(code)
    return cases, watch.wrong


def gate_walks(cases: int, seed: int) -> Result:
    """The pure gate: events in any order, answers that no door would give; judged by the core's observer."""
    with watching(seed) as (watch, log):
        calls = list(CALLS.values())
        for number in range(cases):
            with watch.case(number, log) as random:
                flow, party = random.choice(calls)
                state, observer = explore.begin(gate, flow, party)
                for _ in range(explore.LONGEST_CALL):
                    after = explore.advance(gate, flow, state, observer, _any_event(random, observer))
                    if after is None:
                        continue
                    state, observer, _ = after
                    if state.phase is gate.Phase.DONE:
                        break
    return cases, watch.wrong


def _any_event(random: Random, observer: explore.Observer) -> Any:
    others = (Saved(), SaveFailed(), Released(), Lost())
    if observer.ask is None or random.random() < 0.1:
        return random.choice(others)
    ask = observer.ask
    times = (0, -1, 1, 1_499, 1_500, 2_899, 2_900, 3_000, 2**63, -(2**63))
    heard = tuple(Heard(prompt, random.choice(times)) for prompt in random.choice(((), ask.prompts, ask.prompts)))
    if random.random() < 0.45:
        heard = tuple(Heard(prompt, prompt.length_ms) for prompt in ask.prompts)
        return Answered(Cause.SILENCE, heard=heard)
    cause = random.choice((Cause.KEY, Cause.KEY, Cause.KEY, Cause.SILENCE, Cause.HANGUP, Cause.FAILED))
    keys = random.choice((*sorted(ask.keys), "1", "", "²")) if cause is Cause.KEY else ""
    if ask.digits:
        keys = random.choice(("", "34600000001")) if cause is Cause.KEY else ""
    return Answered(cause, keys, random.choice(times), heard, random.choice((0, 1, 2**40)))


def ari_legs(cases: int, seed: int) -> Result:
    """Whole legs by ARI: bytes in, orders out."""
    return _legs(cases, seed, ari_case)


def agi_legs(cases: int, seed: int) -> Result:
    """Whole legs by FastAGI: bytes in, commands out."""
    return _legs(cases, seed, agi_case)


def _legs(cases: int, seed: int, one: Callable[[Random], Coroutine[Any, Any, tuple[list[str], int]]]) -> Result:
    async def work() -> list[str]:
        recorded = 0
        with watching(seed) as (watch, log):
            for number in range(cases):
                with watch.case(number, log) as random:
                    wrong, yeses = await one(random)
                    recorded += yeses
                    for what in wrong:
                        watch.note(number, what)
            if cases >= 500 and recorded < cases / 50:
                watch.note(-1, f"only {recorded} of {cases} were recorded: this shows nothing")
        return watch.wrong

    return cases, run_virtually(work())


def ari_sockets(cases: int, seed: int) -> Result:
    """The WebSocket and the client on real sockets: what answers the upgrade, frames, answers."""
    return _sockets(cases, seed, peers.ari_case)


def ami_sockets(cases: int, seed: int) -> Result:
    """Manager sessions on real sockets: greeting, login, answers, lists."""
    return _sockets(cases, seed, peers.ami_case)


def _sockets(cases: int, seed: int, one: Callable[[Random], Coroutine[Any, Any, None]]) -> Result:
    async def work() -> list[str]:
        loop = asyncio.get_running_loop()
        with watching(seed) as (watch, log):
            # What nobody catches in a callback.
            loop.set_exception_handler(lambda _, said: watch.note(-1, f"{said.get('exception')!r}: {said['message']}"))
            at_once = asyncio.Semaphore(peers.AT_ONCE)

            async def case(number: int) -> None:
                async with at_once:
                    random = Random(f"{seed}/{number}")
                    try:
                        async with asyncio.timeout(peers.LONGEST_S):
                            await one(random)
                    except Exception as error:
                        watch.note(number, _said(error))

            await asyncio.gather(*(case(number) for number in range(cases)))
            for what in log.wrong():
                watch.note(-1, what)
        return watch.wrong

    return cases, asyncio.run(work())


# Each with its share of the cases.
TARGETS: dict[str, tuple[Target, float]] = {
    "ARI messages": (ari_messages, 0.30),
    "AMI events": (ami_events, 0.20),
    "AGI blocks and numbers": (agi_blocks, 0.15),
    "the gate": (gate_walks, 0.17),
    "whole legs by ARI": (ari_legs, 0.06),
    "whole legs by AGI": (agi_legs, 0.06),
    "ARI on sockets": (ari_sockets, 0.03),
    "AMI on sockets": (ami_sockets, 0.03),
}


@dataclass(frozen=True, slots=True)
class Row:
    """One target's result."""

    name: str
    cases: int
    seconds: float
    wrong: list[str]


def run(cases: int, seed: int, only: str | None = None) -> Iterator[Row]:
    """All targets, one after another, `cases` in sum at least; or one with all of them."""
    for name, (target, share) in TARGETS.items():
        if only not in (None, name):
            continue
        began = time.perf_counter()
        done, wrong = target(cases if only else math.ceil(cases * share), seed)
        yield Row(name, done, time.perf_counter() - began, wrong)


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cases", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", choices=sorted(TARGETS), help="one target, with all the cases")
    chosen = parser.parse_args(arguments)
    console = Console()
    table = Table("Hostile peers", "Cases", "Cases/s", "Wrong", box=None)
    wrong: list[str] = []
    total = 0
    for row in run(chosen.cases, chosen.seed, chosen.only):
        table.add_row(row.name, f"{row.cases:,}", f"{row.cases / row.seconds:,.0f}", str(len(row.wrong)))
        wrong += [f"{row.name}: {what}" for what in row.wrong]
        total += row.cases
    console.print(table)
    console.print(f"{total:,} cases with seed {chosen.seed}, {len(wrong)} went wrong", highlight=False)
    for what in wrong:
        console.print(what, markup=False, highlight=False, soft_wrap=True)
    return 1 if wrong else 0


def _no_content(text: str) -> None:
    """An error's text goes into the log: it may not quote."""
    if NUMBER in text or NAME in text or CONTROL.search(text) or len(text) > 200:
        raise AssertionError(f"the error quotes what came: {text[:300]!r}")
    if any(hostile in text for hostile in HOSTILE):
        raise AssertionError(f"the error quotes what came: {text[:300]!r}")


def _as_declared(message: object) -> None:
    """Every field has the type that it is declared with, and numbers fit into 64 bits."""
    if message is None:
        return
    if not is_dataclass(message):
        raise AssertionError(f"not a message: {message!r}")
    for field in fields(message):
        value = getattr(message, field.name)
        kind = str(field.type).partition("[")[0]
        if type(value).__name__ != kind:
            raise AssertionError(f"{type(message).__name__}.{field.name} is {value!r}")
        if isinstance(value, int) and not -(2**63) <= value < 2**63:
            raise AssertionError(f"{type(message).__name__}.{field.name} is {value:e}")
        if isinstance(value, tuple) and not all(isinstance(one, str) for one in cast("tuple[object, ...]", value)):
            raise AssertionError(f"{type(message).__name__}.{field.name} is {value!r}")


def _said(error: BaseException) -> str:
    """What an exception is, and where it came from."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    frame = traceback.extract_tb(error.__traceback__)[-1]
    return f"{type(error).__name__}: {error} ({Path(frame.filename).name}:{frame.lineno})"


def _memory() -> int:
    """Resident memory in bytes."""
    return int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1]) * os.sysconf("SC_PAGE_SIZE")


if __name__ == "__main__":
    sys.exit(main())
