"""Rows and the entries that made them, gone through side by side: rows were added in the order of their entries.

What both say is compared as bytes, without reading JSON. What is not alike at this first look is left to who reads it,
which takes ten times as long.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from callguard.core.evidence import Kind, Value, canonical
from callguard.store.queries import Transaction

Parts = tuple[str, str, tuple[str, ...]]
"""What an entry that says the same as its row has in canonical form: at its end, less `Made.behind` bytes; somewhere;
and, where the row's id is neither at its beginning nor at its end, what else is somewhere."""

# How an entry ends whose last field is the salt, of 32 digits.
_SALT = len('"salt":""}') + 32


@dataclass(frozen=True, slots=True)
class Made:
    """What an entry of one kind makes.

    Attributes:
        what: in words.
        named: how the entry names its row's id.
        rows, row: the queries of the rows in their order (`beside.sql`), and of one.
        fields: what entry and row have under one name.
        parts: what stands in the entry where it says what a row does.
        behind: so many bytes stand behind that end, mostly; where there are others, it is looked for everywhere.
        only_by_entry: whether no row was ever added without one.
    """

    what: str
    named: str
    rows: str
    row: str
    fields: tuple[str, ...]
    parts: Callable[[Any], Parts]
    behind: int = 0
    only_by_entry: bool = True


def _of_opt_out(row: Any) -> Parts:
    scope, source, since, until, campaign, purpose, undone = row
    ends = f',"source":"{source}","until":{_written(until)}}}'
    # Of one that was undone another entry says so.
    said = f',"scope":"{scope}",', f'"campaign":{_written(campaign)},', f',"purpose":{_written(purpose)},'
    return ends, "undone" if undone else f'":{since},', said


def _of_leg(row: Any) -> Parts:
    outcome, granted, recording, profile = row
    ends = f',"outcome":"{outcome}","profile":"{profile}","recording":{_written(bool(recording))},'
    return ends, f'"granted":{_written(granted.split(",") if granted else [])},', ()


def _of_decision(row: Any) -> Parts:
    rules, profile = row
    return f'"profile":"{profile}","rules":{_written(rules.split(",") if rules else [])},', "", ()


def _of_grant(row: Any) -> Parts:
    basis, channel, purpose, since, source, until = row
    ends = f',"since":{since},"source":"{source}","until":{_written(until)}}}'
    return ends, f'"basis":"{basis}","channel":"{channel}",', (f'"purpose":{_written(purpose)},',)


def _of_ending(row: Any) -> Parts:
    at, purpose, reason, source, state = row
    said = f'"purpose":{_written(purpose)},"reason":{_written(reason)},'
    return f',"source":"{source}","state":"{state}"}}', said, (f',"ended_at":{at},',)


def _of_recording(row: Any) -> Parts:
    return ",", "", ()


def _written(value: Value) -> str:
    return canonical(value).decode()


MADE: Mapping[str, Made] = {
    Kind.OPTOUT_ADDED: Made(
        "the opt-out", "opt_out", "opt_out_rows", "opt_out_beside",
        ("scope", "purpose", "campaign", "source", "since", "until", "undone"), _of_opt_out, only_by_entry=False,
    ),
    Kind.GATE: Made("the leg", "leg", "leg_rows", "leg_beside", ("outcome", "granted", "recording"), _of_leg,
        behind=_SALT + len(',"started_at":') + 13,
    ),
    Kind.DIAL_DECIDED: Made(
        "the dial decision", "decision", "decision_rows", "decision_beside",
        ("allow", "rules", "profile", "call", "at"), _of_decision, behind=_SALT,
    ),
    Kind.GRANT_GIVEN: Made(
        "the grant", "grant", "subject_grant_rows", "subject_grant_beside",
        ("purpose", "basis", "channel", "source", "since", "until"), _of_grant,
    ),
    Kind.GRANT_ENDED: Made(
        "the end of a grant", "ending", "grant_ending_rows", "grant_ending_beside",
        ("state", "purpose", "reason", "source", "ended_at"), _of_ending,
    ),
    Kind.RECORDING_KEPT: Made(
        "the recording", "leg", "recording_rows", "recording_beside", ("files",), _of_recording,
        behind=_SALT + len(',"withdrawn":false'), only_by_entry=False,
    ),
}  # fmt: skip


class Side:
    """The rows of one kind, in the order in which they were added.

    A row is its number, how an entry names it, how the entry begins, what stands at its end of this row alone, and what
    many rows say.
    """

    def __init__(self, transaction: Transaction, made: Made) -> None:
        self.made = made
        self._transaction = transaction
        self._at = 0
        # Those that were read and whose entry has not come yet.
        self._ahead: list[Any] = []
        # What was passed over, by name; and what was named before its row came.
        self._passed: dict[bytes, Any] = {}
        self._named: set[bytes] = set()
        self._parts: dict[Any, tuple[bytes, bytes, tuple[bytes, ...]]] = {}

    def unlike(self, numbers: Sequence[int], entries: Sequence[bytes | None]) -> list[int]:
        """The numbers of those entries that are not, at the first look, what their rows say."""
        self._read(len(numbers))
        rows, known, behind = self._ahead[: len(numbers)], self._parts, -self.made.behind or None
        if len(rows) < len(numbers) or None in entries:
            return self._one_by_one(numbers, entries)
        odd = [
            at
            for at, (row, entry) in enumerate(zip(rows, entries, strict=True))
            if entry is None
            or not (
                (parts := known.get(row[4:]) or self._parts_of(row[4:]))
                and entry.startswith(row[2])
                and (entry.endswith(ends := row[3] + parts[0], 0, behind) or ends in entry)
                and parts[1] in entry
                and (not parts[2] or (row[1] in entry and all(part in entry for part in parts[2])))
            )
        ]
        if any(rows[at][1] not in (entries[at] or b"") for at in odd):  # they are out of step
            return self._one_by_one(numbers, entries)
        del self._ahead[: len(numbers)]
        return [numbers[at] for at in odd]

    def left(self) -> Iterator[str]:
        """The ids of rows that no entry has named; asked after the last entry."""
        while self._read(len(self._ahead) + 4096):
            pass
        for name in (*self._passed, *(row[1] for row in self._ahead)):
            if name not in self._named:
                yield name[len(self.made.named) + 4 : -1].decode()

    def _one_by_one(self, numbers: Sequence[int], entries: Sequence[bytes | None]) -> list[int]:
        """As `unlike`, where rows are missing, or are there without an entry, or entries without content."""
        ahead = {row[1]: row for row in self._ahead if row[1] not in self._named}
        odd = []
        for seq, entry in zip(numbers, entries, strict=True):
            if entry is None:
                continue
            name = next(iter(ahead), None)
            if name is None or name not in entry:
                name = f'"{self.made.named}":"{read(entry).get(self.made.named)}"'.encode()
            row = ahead.get(name)
            if row is not None:
                for passed in list(ahead):
                    first = ahead.pop(passed)
                    if passed == name:
                        break
                    self._passed[passed] = first
            elif (row := self._passed.pop(name, None)) is None:
                self._named.add(name)
            if row is None or not self._fits(row, entry):
                odd.append(seq)
        self._ahead = list(ahead.values())
        return odd

    def _fits(self, row: Any, entry: bytes) -> bool:
        ends, said, others = self._parts_of(row[4:])
        return entry.startswith(row[2]) and all(part in entry for part in (row[1], row[3] + ends, said, *others))

    def _read(self, most: int) -> int:
        """Have so many rows ahead. Returns: how many came to those that were there."""
        wanted = most - len(self._ahead)
        rows = self._transaction.plain(self.made.rows, after=self._at, most=wanted) if wanted > 0 else []
        if rows:
            self._at = rows[-1][0]
            self._ahead += rows
        return len(rows)

    def _parts_of(self, row: Any) -> tuple[bytes, bytes, tuple[bytes, ...]]:
        if len(self._parts) > 10_000:
            self._parts.clear()
        ends, said, others = self.made.parts(row)
        found = ends.encode(), said.encode(), tuple(part.encode() for part in others)
        self._parts[row] = found
        return found


def read(entry: bytes | None) -> Mapping[str, Any]:
    """What an entry says; nothing where it cannot be read, which is found elsewhere."""
    try:
        found = json.loads(entry or b"{}")
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
