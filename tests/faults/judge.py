"""What became of a load, judged by what callers and agents saw and by what can be heard in the recordings.

Right is what the callers did, known from the load itself; the store and the folder are held against it.
"""

from __future__ import annotations

import sqlite3
import wave
from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Final

import numpy as np

from callguard.demo.tones import CALLER_AFTER_STOP, CANDIDATES, tones
from tests.faults.bed import PROMPT_HZ
from tests.faults.callers import GIVES, RIGHTFUL, Called, Kind, Reached

# The last lease in the gate of who is silent throughout ends 10.4 s after the answer; and a margin for a busy machine.
LONGEST_WAIT_S: Final = 11.4
# All their leases, each used up as what callguard orders comes late; and the same margin.
LONGEST_SLOW_WAIT_S: Final = 21.4
HEADER_BYTES: Final = 44
# What may be recorded between the end of the key that withdraws and the last sample: 0.15 s, a figure of its own. (Of
# what rests on consent alone nothing stays at all; here it is kept for a while, to be looked at.)
STOPPED_WITHIN_BYTES: Final = 150 * 16
# From a key's beginning; it is held for 0.1 s. Who waits longer waits for a process that died before.
COMMITTED_WITHIN_S: Final = 0.4


@dataclass(frozen=True, slots=True)
class Row:
    """A leg that the store knows: whose, what it came to, and whether its recording is still waited for."""

    leg: str
    number: str
    outcome: str
    recording: bool
    saved: float
    ended: bool
    kept: bool


@dataclass(frozen=True, slots=True)
class Verdict:
    """What must be 0, named by whom or what it concerns, and what was counted beside.

    Attributes:
        calls: how many calls were made.
        gated: how many of them callguard gave an answer to.
        recorded: recordings that hold what their callers gave.
        dropped: numbers of callers whom the PBX hung up on, or who never got through.
        lost: legs that an agent was told of and the store does not know, that the store knows otherwise, or whose
            recording came to nothing.
        unlawful: files with sound that nobody gave, and how many bytes of it.
        stuck: callers who reached no agent although they waited, and what is left of calls and of work.
    """

    calls: int = 0
    gated: int = 0
    recorded: int = 0
    dropped: tuple[str, ...] = ()
    lost: tuple[str, ...] = ()
    unlawful: tuple[tuple[str, int], ...] = ()
    stuck: tuple[str, ...] = ()

    @property
    def clean(self) -> bool:
        return not (self.dropped or self.lost or self.unlawful or self.stuck)

    @property
    def unlawful_bytes(self) -> int:
        return sum(size for _, size in self.unlawful)

    def __add__(self, other: Verdict) -> Verdict:
        return Verdict(*(getattr(self, field.name) + getattr(other, field.name) for field in fields(self)))


def judge(
    calls: Sequence[Called],
    rows: Mapping[str, Row],
    files: Mapping[str, Mapping[int, int]],
    *,
    restarts: Sequence[float] = (),
    left: Sequence[str] = (),
    pbx_died: bool = False,
    no_room: bool = False,
    longest_wait_s: float = LONGEST_WAIT_S,
) -> Verdict:
    """Judge.

    Args:
        rows: by leg.
        files: of each recording, by leg, the tones in it and how many bytes each lasts.
        restarts: when callguard began to serve: who is asked anew then waits from then.
        left: what was still there at the end that should not be.
        pbx_died: Asterisk itself was ended meanwhile: it, not callguard, dropped the calls, and what was in memory of
            their recordings.
        longest_wait_s: for how long a caller who waits may reach no agent.
        no_room: the folder of recordings could not take them all, so what is missing there is not callguard's loss.
    """
    by_number = {call.number: call for call in calls}
    gated = [(call, told) for call in calls for told in call.reached if told.gated]
    dropped = [call.number for call in calls if call.ended is None and not pbx_died]
    lost = []
    for call, told in gated:
        row = rows.get(told.leg)
        if not _kept(call, told, row, files, whole=not (pbx_died or no_room)):
            lost.append(f"{told.leg} {call.number} {call.kind}, told {told.state}: {row}")
    unlawful = []
    recorded = 0
    for leg, heard in files.items():
        owner = by_number.get(rows[leg].number) if leg in rows else None
        right = RIGHTFUL if owner is not None and owner.kind in GIVES and rows[leg].recording else frozenset()
        spared = STOPPED_WITHIN_BYTES if right and owner is not None and owner.kind is Kind.STOPS else 0
        wrong = sum(
            size for hz, size in heard.items()
            if hz and hz not in right and not (hz == CALLER_AFTER_STOP and size <= spared)
        )  # fmt: skip
        if wrong:
            unlawful.append((f"{leg} {owner and owner.kind}: {dict(heard)}", wrong))
        recorded += bool(right & heard.keys())
    waiting = [
        call.number
        for call in calls
        if not call.reached and call.ended is not None
        and call.ended - max([call.invited, *(at for at in restarts if at < call.ended)]) > longest_wait_s
    ]  # fmt: skip
    undone = [row.leg for row in rows.values() if row.recording and not row.ended]
    undone += [f"{leg} cannot be read" for leg, heard in files.items() if 0 in heard]
    return Verdict(
        len(calls), len(gated), recorded, tuple(dropped), tuple(lost), tuple(unlawful), (*waiting, *undone, *left)
    )


def _kept(call: Called, told: Reached, row: Row | None, files: Container[str], *, whole: bool) -> bool:
    """Whether what an agent was told of is in the store, as the caller meant it, and where it is `whole`, recorded."""
    if row is None or row.number != call.number or not _fits(call.kind, row.outcome):
        return False
    # Of who withdraws before anything is recorded, which is found at the end where the store was locked, nothing stays.
    recorded = row.kept and (row.leg in files or call.kind is Kind.STOPS)
    return recorded or not (whole and told.state == "given" and row.recording)


def _fits(kind: Kind, outcome: str) -> bool:
    """Whether an outcome may be that of such a caller; who was asked again, or heard late, may have said nothing."""
    means = {Kind.YES: {"given"}, Kind.NO: {"refused"}, Kind.STOPS: {"given", "refused"}, Kind.DIALS: {"given"}}
    return outcome == "unknown" or outcome in means.get(kind, set())


def rows_of(store: Path) -> dict[str, Row]:
    """What the store knows, by leg."""
    with sqlite3.connect(f"{store.as_uri()}?mode=ro", uri=True, timeout=5) as connection:
        found = connection.execute(
            "SELECT l.leg_id, s.number, l.outcome, l.recording, l.saved_at, l.recording_ended_at IS NOT NULL,"
            " r.leg_id IS NOT NULL"
            " FROM legs AS l JOIN subjects AS s ON s.subject_id = l.subject_id"
            " LEFT JOIN recordings AS r ON r.leg_id = l.leg_id"
        ).fetchall()
    connection.close()
    return {
        leg: Row(leg, number, outcome, bool(recording), saved / 1000, bool(ended), bool(kept))
        for leg, number, outcome, recording, saved, ended, kept in found
    }


def files_of(folder: Path) -> dict[str, dict[int, int]]:
    """The recordings, by leg: the tones in each and their bytes. 0 Hz stands for a file that cannot be read."""
    found = {}
    for file in folder.glob("*.wav"):
        data = file.read_bytes()[HEADER_BYTES:]
        samples = np.frombuffer(data[: len(data) // 2 * 2], dtype="<i2")
        loud = np.flatnonzero(np.abs(samples.astype(np.int32)) > 100)
        heard: dict[int, int] = {}
        if loud.size:
            # Most of a file is the silence after all has been said.
            for tone in tones(samples[: int(loud[-1]) + 400], 8_000, (*CANDIDATES, PROMPT_HZ)):
                heard[int(tone.hz)] = heard.get(int(tone.hz), 0) + tone.ms * 16
        try:
            with wave.open(str(file)) as audio:
                assert audio.getframerate() == 8_000
        except (wave.Error, EOFError):
            heard[0] = len(data)
        found[file.stem] = heard
    return found


def steps_at(moment: float, calls: Sequence[Called], rows: Mapping[str, Row]) -> dict[str, int]:
    """In which step the calls were that were in progress at a moment."""
    saved: dict[str, float] = {}
    for row in rows.values():
        saved.setdefault(row.number, row.saved)
    found = dict.fromkeys(STEPS, 0)
    for call in calls:
        over = call.ended or call.dropped or call.invited
        if not call.invited <= moment < over:
            continue
        at = saved.get(call.number)
        reached = call.reached[0].at if call.reached else over
        if call.answered is None or moment < call.answered:
            step = "before the answer"
        elif reached <= moment:
            step = "in the call"
        elif at is not None and at <= moment:
            step = "commit to MixMonitor"
        elif call.kind is not Kind.EARLY and call.keyed is not None and 0 <= moment - call.keyed < COMMITTED_WITHIN_S:
            step = "key to commit"
        else:
            step = "in the notice"
        found[step] += 1
    return found


STEPS: Final = ("before the answer", "in the notice", "key to commit", "commit to MixMonitor", "in the call")
