"""What callguard acts upon stands in rows beside the ledger: whether they are what its entries say.

A row may rightly differ from the entry that made it: an opt-out ends, a key in the call gives what the gate had not. So
a difference waits for an entry that explains it, and what waits still at the end is found.

Most fit at once (`side_by_side`). What does not is looked up and read as JSON.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import takewhile
from typing import Any

from callguard.core.evidence import Kind
from callguard.ledger.findings import Finding, Tampering
from callguard.ledger.side_by_side import MADE, Made, Side, read
from callguard.store.queries import Transaction

_OF_SUBJECTS = MADE.keys() - {Kind.GATE, Kind.RECORDING_KEPT}
# By what an opt-out that has ended may differ from the entry that made it.
_ENDED = {"until", "undone"}
_SEGMENTS = "the recording's part"


class Beside:
    """Looks at a page of entries after another."""

    def __init__(self, transaction: Transaction) -> None:
        self._transaction = transaction
        self._side = {kind: Side(transaction, made) for kind, made in MADE.items()}
        self._found: list[Finding] = []
        # What may be explained later, by what it is about and the row's id.
        self._waiting: dict[tuple[str, str], Finding] = {}
        self._ends: dict[tuple[str, str], int] = {}
        self._later: Mapping[str, Callable[[int, Mapping[str, Any]], None]] = {
            Kind.OPTOUT_ENDED: self._opt_out_ended,
            Kind.CONSENT_GIVEN: self._consent_given,
            Kind.WITHDRAWN: self._withdrawn,
            Kind.RECORDING_KEPT: self._recording_kept,
            Kind.RECORDING_DESTROYED: self._recording_destroyed,
            Kind.RECORDING_PAUSED: self._segment_ended,
            Kind.RECORDING_RESUMED: self._segment_begun,
        }

    def page(self, first: int, bodies: Sequence[bytes | None]) -> None:
        """Compare what the entries of a page say with their rows.

        Args:
            first: the number of the first entry.
            bodies: of each entry from there on; None where it is not there, or has no content any more.
        """
        end = first + len(bodies)
        subjects: dict[str, list[int]] = {}
        for seq, kind in self._transaction.plain("subject_entries_beside", first=first, end=end):
            subjects.setdefault(kind, []).append(seq)
        later = [(seq, Kind.OPTOUT_ENDED.value) for seq in subjects.pop(Kind.OPTOUT_ENDED, ())]
        for kind, side in self._side.items():
            numbers = sorted(subjects.get(kind, ())) if kind in _OF_SUBJECTS else self._of_legs(first, end, kind)
            for seq in side.unlike(numbers, [bodies[seq - first] for seq in numbers]):
                # What is kept of a leg may be forgotten for something else, in their order.
                if kind == Kind.RECORDING_KEPT:
                    later.append((seq, kind))
                else:
                    self._made(MADE[kind], seq, bodies[seq - first] or b"")
        alike = self._alike(first, bodies)
        for seq, kind, named, state in self._transaction.plain("happened_beside", first=first, end=end):
            as_row = kind == Kind.RECORDING_DESTROYED and state == "destroyed" and named in (bodies[seq - first] or b"")
            if not as_row and seq not in alike:
                later.append((seq, kind))
        for seq, kind in sorted(later):
            self._later[kind](seq, read(bodies[seq - first]))

    def _alike(self, first: int, bodies: Sequence[bytes | None]) -> set[int]:
        """The entries that ended or began a part of a recording as its row says."""
        rows = self._transaction.plain("segments_beside", first=first, end=first + len(bodies))
        return {
            seq
            for seq, begins, ends, said, named in rows
            if begins is not None
            and ends is not None
            and (entry := bodies[seq - first]) is not None
            and entry.startswith(begins)
            and entry.endswith(ends)
            and said in entry
            and named in entry
        }

    def _of_legs(self, first: int, end: int, kind: str) -> list[int]:
        return [seq for (seq,) in self._transaction.plain("entries_of_kind", first=first, end=end, kind=kind)]

    def findings(self, until: int, *, whole: bool) -> Iterator[Finding]:
        """All that no entry explains.

        Args:
            until: when the last entry was noted, milliseconds since 1970: an opt-out that was over by then may be gone.
            whole: all entries are there and in their places, so that a row without one has none.
        """
        yield from self._found
        for about, one in self._waiting.items():
            if self._ends.get(about, until + 1) > until:
                yield one
        for side in self._side.values() if whole else ():
            if side.made.only_by_entry and (left := list(side.left())):
                yield _without_entry(side.made.what, left)
        if whole and (legs := [row["leg_id"] for row in self._transaction.fetch("segments_without_entry")]):
            yield _without_entry("a part of the recording", legs)

    def _made(self, made: Made, seq: int, entry: bytes) -> None:
        """An entry that its row does not seem to be like."""
        told = read(entry)
        row_id = told.get(made.named)
        if not isinstance(row_id, str):  # of an older callguard, or changed, which is found elsewhere
            return
        about = made.what, row_id
        row = next(iter(self._transaction.fetch(made.row, id=row_id)), None)
        if row is None:
            self._wait(about, seq, "is not there") if made.named == "opt_out" else self._find(
                about, seq, "is not there"
            )
            if isinstance(told.get("until"), int):
                self._ends[about] = told["until"]
            return
        if made.named == "opt_out":
            told = {"since": told.get("at"), "undone": False, **told}
        differ = [field for field in made.fields if field in told and not _same(told[field], row[field])]
        if made.named == "leg" or set(differ) <= _ENDED:
            self._wait(about, seq, _has(differ)) if differ else None
        elif differ:
            self._find(about, seq, _has(differ))

    def _opt_out_ended(self, seq: int, said: Mapping[str, Any]) -> None:
        about = "the opt-out", str(said.get("opt_out"))
        self._waiting.pop(about, None)
        for row in self._transaction.fetch("opt_out_beside", id=about[1]):
            if (row["until"], bool(row["undone"])) != (said.get("at"), bool(said.get("undone"))):
                self._wait(about, seq, "has ended, and its row does not say so")

    def _consent_given(self, seq: int, said: Mapping[str, Any]) -> None:
        leg_id = str(said.get("leg"))
        for what in ("the leg", "the withdrawal", "the recording", _SEGMENTS):
            self._waiting.pop((what, leg_id), None)
        for row in self._transaction.fetch("leg_beside", id=leg_id):
            if differ := [field for field in ("outcome", "granted") if not _same(said.get(field), row[field])]:
                self._wait(("the leg", leg_id), seq, _has(differ))

    def _withdrawn(self, seq: int, said: Mapping[str, Any]) -> None:
        leg_id = str(said.get("leg"))
        for row in self._transaction.fetch("leg_beside", id=leg_id):
            if row["withdrawn_at"] != said.get("at"):
                self._wait(("the withdrawal", leg_id), seq, "is not in the leg's row")

    def _recording_kept(self, seq: int, said: Mapping[str, Any]) -> None:
        leg_id = str(said.get("leg"))
        rows = self._transaction.fetch("recording_beside", id=leg_id)
        if not rows:
            self._wait(("the recording", leg_id), seq, "is not there")
        elif _files(said.get("files", ())) != _files(json.loads(rows[0]["files"])):
            self._wait(("the recording", leg_id), seq, _has(["files"]))

    def _recording_destroyed(self, seq: int, said: Mapping[str, Any]) -> None:
        leg_id = str(said.get("leg"))
        if not any(row["state"] == "destroyed" for row in self._transaction.fetch("recording_beside", id=leg_id)):
            self._wait(("the recording", leg_id), seq, "is destroyed, and its row does not say so")

    def _segment_ended(self, seq: int, said: Mapping[str, Any]) -> None:
        self._segment(seq, said, {"ended_at": "at", "ended_why": "why", "cut_ms": "cut_ms"}, {Kind.RECORDING_PAUSED})

    def _segment_begun(self, seq: int, said: Mapping[str, Any]) -> None:
        self._segment(
            seq, said, {"began_at": "at", "began_why": "why"}, {Kind.RECORDING_PAUSED, Kind.RECORDING_RESUMED}
        )

    def _segment(self, seq: int, said: Mapping[str, Any], fields: Mapping[str, str], first: set[Kind]) -> None:
        """A part of a recording has another beginning or end than its row, where no earlier entry stands for it."""
        leg_id, number = str(said.get("leg")), said.get("segment")
        if not isinstance(number, int):  # changed, which is found elsewhere
            return
        rows = self._transaction.fetch("segment_beside", id=leg_id, number=number)
        differ = [name for name, of in fields.items() if of in said and any(row[name] != said[of] for row in rows)]
        if rows and not differ:
            return
        # The first end holds. A key in the call begins the recording anew, and its parts.
        before = [read(row["body"]) for row in self._transaction.fetch("segment_entries", leg_id=leg_id, before=seq)]
        since = takewhile(lambda entry: entry.get("kind") != Kind.CONSENT_GIVEN, reversed(before))
        if not any(entry.get("kind") in first and entry.get("segment") == number for entry in since):
            self._wait((_SEGMENTS, leg_id), seq, _has(differ) if rows else "is not there")

    def _wait(self, about: tuple[str, str], seq: int, problem: str) -> None:
        self._waiting[about] = _finding(about[0], seq, problem)

    def _find(self, about: tuple[str, str], seq: int, problem: str) -> None:
        self._found.append(_finding(about[0], seq, problem))


def _same(said: object, there: object) -> bool:
    return ",".join(map(str, said)) == there if isinstance(said, list) else bool(said == there)


def _files(files: Any) -> set[tuple[object, ...]]:
    return {(one.get("name"), one.get("sha256"), one.get("size")) for one in files}


def _has(fields: list[str]) -> str:
    return f"has another {', '.join(fields)} in its row"


def _without_entry(what: str, ids: Sequence[str]) -> Finding:
    said = f"{what} {ids[0]} is in the store, and no entry says that it was made"
    more = f"; {len(ids) - 1} more are so" if len(ids) > 1 else ""
    return Finding(Tampering.BESIDE_CHANGED, said + more)


def _finding(what: str, seq: int, problem: str) -> Finding:
    return Finding(Tampering.BESIDE_CHANGED, f"{what} of entry {seq} {problem}", seq, seq)
