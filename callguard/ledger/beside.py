"""What callguard acts upon stands in rows beside the ledger: whether they are what its entries say.

A row may rightly differ from the entry that made it: an opt-out ends, a key in the call gives what the gate had not. So
a difference waits for an entry that explains it, and what waits still at the end is found.

Rows were added in the order of their entries, so both are gone through side by side; what does not fit at once is
looked up and read as JSON, which takes ten times as long.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from callguard.core.evidence import Kind, Value, canonical
from callguard.ledger.findings import Finding, Tampering
from callguard.store.queries import Transaction


@dataclass(frozen=True, slots=True)
class _Made:
    """What an entry of one kind makes.

    Attributes:
        what: in words.
        named: how the entry names its row's id.
        rows, row: the queries of the rows in their order, and of one.
        fields: what entry and row have under one name.
        parts: how an entry ends, and what else stands in it in canonical form, where it says what a row does.
        only_by_entry: whether no row was ever added without one.
    """

    what: str
    named: str
    rows: str
    row: str
    fields: tuple[str, ...]
    parts: Callable[[Any], tuple[str, ...]]
    only_by_entry: bool = True


def _of_opt_out(row: Any) -> tuple[str, ...]:
    since, scope, source, until, campaign, purpose = row
    ends = f',"source":"{source}","until":{_written(until)}}}'
    return (
        ends,
        f'":{since},',
        f',"scope":"{scope}",',
        f'"campaign":{_written(campaign)},',
        f'"purpose":{_written(purpose)},',
    )


def _of_leg(row: Any) -> tuple[str, ...]:
    outcome, granted, recording, profile = row
    return (
        "}", f'"outcome":"{outcome}","profile":"{profile}","recording":{_written(bool(recording))},',
        f'"granted":{_written(granted.split(",") if granted else [])},',
    )  # fmt: skip


def _of_decision(row: Any) -> tuple[str, ...]:
    allow, rules, profile = row
    listed = _written(rules.split(",") if rules else [])
    return "}", f'{{"allow":{_written(bool(allow))},"at":', f'"profile":"{profile}","rules":{listed},'


def _of_grant(row: Any) -> tuple[str, ...]:
    basis, channel, purpose, since, source, until = row
    ends = f',"since":{since},"source":"{source}","until":{_written(until)}}}'
    return ends, f'"basis":"{basis}","channel":"{channel}",', f'"purpose":{_written(purpose)},'


def _of_ending(row: Any) -> tuple[str, ...]:
    at, purpose, reason, source, state = row
    ends = f',"source":"{source}","state":"{state}"}}'
    return ends, f'"ended_at":{at},', f'"purpose":{_written(purpose)},"reason":{_written(reason)},'


def _written(value: Value) -> str:
    return canonical(value).decode()


_MADE: Mapping[str, _Made] = {
    Kind.OPTOUT_ADDED: _Made(
        "the opt-out", "opt_out", "opt_out_rows", "opt_out_beside",
        ("scope", "purpose", "campaign", "source", "since", "until"), _of_opt_out, only_by_entry=False,
    ),
    Kind.GATE: _Made("the leg", "leg", "leg_rows", "leg_beside", ("outcome", "granted", "recording"), _of_leg),
    Kind.DIAL_DECIDED: _Made(
        "the dial decision", "decision", "decision_rows", "decision_beside",
        ("allow", "rules", "profile", "call", "at"), _of_decision,
    ),
    Kind.GRANT_GIVEN: _Made(
        "the grant", "grant", "subject_grant_rows", "subject_grant_beside",
        ("purpose", "basis", "channel", "source", "since", "until"), _of_grant,
    ),
    Kind.GRANT_ENDED: _Made(
        "the end of a grant", "ending", "grant_ending_rows", "grant_ending_beside",
        ("state", "purpose", "reason", "source", "ended_at"), _of_ending,
    ),
}  # fmt: skip

Bodies = Callable[[int], bytes | None]
"""An entry by its number; None where it is not there, or has no content any more."""


class Beside:
    """Looks at a page of entries after another."""

    def __init__(self, transaction: Transaction) -> None:
        self._transaction = transaction
        self._side = {kind: _Side(transaction, made) for kind, made in _MADE.items()}
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
        }

    def page(self, named: Sequence[tuple[int, str]], body: Bodies) -> None:
        """Compare what the entries of a page say with their rows.

        Args:
            named: the number and kind of each entry, in any order.
        """
        kinds: dict[str, list[int]] = {}
        for seq, kind in named:
            kinds.setdefault(kind, []).append(seq)
        for kind, side in self._side.items():
            if kind in kinds:  # in the order of their numbers, as each kind is in one table
                for seq, entry in side.unlike(kinds[kind], body):
                    self._made(_MADE[kind], seq, entry)
        later = sorted((seq, kind) for kind in self._later.keys() & kinds.keys() for seq in kinds[kind])
        for seq, kind in later:
            self._later[kind](seq, _said(body(seq)))

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
                said = f"{side.made.what} {left[0]} is in the store, and no entry says that it was made"
                more = f"; {len(left) - 1} more are so" if len(left) > 1 else ""
                yield Finding(Tampering.BESIDE_CHANGED, said + more)

    def _made(self, made: _Made, seq: int, entry: bytes) -> None:
        """An entry that its row does not seem to be like."""
        said = _said(entry)
        row_id = said.get(made.named)
        if not isinstance(row_id, str):  # of an older callguard, or changed, which is found elsewhere
            return
        about = made.what, row_id
        row = next(iter(self._transaction.fetch(made.row, id=row_id)), None)
        if row is None:
            self._wait(about, seq, "is not there") if made.named == "opt_out" else self._find(
                about, seq, "is not there"
            )
            if isinstance(said.get("until"), int):
                self._ends[about] = said["until"]
            return
        told = {"since": said.get("at"), **said} if made.named == "opt_out" else said
        differ = [field for field in made.fields if field in told and not _same(told[field], row[field])]
        if made.named == "leg" or differ == ["until"]:
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
        for what in ("the leg", "the withdrawal", "the recording"):
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

    def _wait(self, about: tuple[str, str], seq: int, problem: str) -> None:
        self._waiting[about] = _finding(about[0], seq, problem)

    def _find(self, about: tuple[str, str], seq: int, problem: str) -> None:
        self._found.append(_finding(about[0], seq, problem))


class _Side:
    """The rows of one table, in the order in which they were added."""

    def __init__(self, transaction: Transaction, made: _Made) -> None:
        self.made = made
        self._transaction = transaction
        self._at = 0
        # Those that were read and whose entry has not come, in their order; what is passed over stays.
        self._ahead: dict[str, Any] = {}
        # Many rows say the same.
        self._parts: dict[Any, tuple[bytes, ...]] = {}

    def unlike(self, numbers: Sequence[int], body: Bodies) -> Iterator[tuple[int, bytes]]:
        """The entries of this kind that are not, at the first look, what their rows say."""
        if len(self._ahead) < len(numbers):
            self._read(len(numbers))
        ahead = self._ahead
        for seq in numbers:
            entry = body(seq)
            if entry is None:
                continue
            row_id = next(iter(ahead), "")
            if row_id.encode() not in entry:
                row_id = str(_said(entry).get(self.made.named))
            row = ahead.pop(row_id, None)
            if row is None:
                yield seq, entry
                continue
            parts = self._parts.get(row[2:]) or self._parts_of(row[2:])
            if not entry.endswith(parts[0]) or not all(part in entry for part in parts):
                yield seq, entry

    def left(self) -> Iterator[str]:
        """The ids of rows that no entry has named; asked after the last entry."""
        while self._read(4096):
            pass
        yield from self._ahead

    def _read(self, most: int) -> int:
        rows: list[Any] = self._transaction.plain(self.made.rows, after=self._at, most=most)
        self._ahead.update((row[1], row) for row in rows)
        if rows:
            self._at = rows[-1][0]
        return len(rows)

    def _parts_of(self, row: Any) -> tuple[bytes, ...]:
        if len(self._parts) > 10_000:
            self._parts.clear()
        self._parts[row] = found = tuple(part.encode() for part in self.made.parts(row))
        return found


def _said(entry: bytes | None) -> Mapping[str, Any]:
    """What an entry says; nothing where it cannot be read, which is found elsewhere."""
    try:
        said = json.loads(entry or b"{}")
    except ValueError:
        return {}
    return said if isinstance(said, dict) else {}


def _same(said: object, there: object) -> bool:
    return ",".join(map(str, said)) == there if isinstance(said, list) else bool(said == there)


def _files(files: Any) -> set[tuple[object, ...]]:
    return {(one.get("name"), one.get("sha256"), one.get("size")) for one in files}


def _has(fields: list[str]) -> str:
    return f"has another {', '.join(fields)} in its row"


def _finding(what: str, seq: int, problem: str) -> Finding:
    return Finding(Tampering.BESIDE_CHANGED, f"{what} of entry {seq} {problem}", seq, seq)
