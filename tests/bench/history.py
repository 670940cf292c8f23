"""A store with the history of many calls, as the gate would have written it in years: ``fill``.

Rows and entries are those of real calls: each kind of entry is made once by callguard's own code and then written with
other ids, times and salts. It is seeded, so that the same calls come each time. A million calls
take a minute or two: one writer, nothing synced, indexes made at the end.
"""

from __future__ import annotations

import asyncio
import json
import random
import sqlite3
from collections import deque
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from callguard.core.decide import Facts, decide
from callguard.core.evidence import Kind, canonical, leaf_data
from callguard.core.merkle import TILE, TILE_BITS, fold, leaf_hash
from callguard.core.model import Answer, Basis, Form, GrantState, Heard, Outcome, Prompt, Purpose, Told
from callguard.keys.master import MasterKey, Masters
from callguard.store import Store
from callguard.store.columns import Columns
from callguard.store.dial_records import DialRecord
from callguard.store.records import LegRecord
from callguard.store.rows import evidence_row, incident_body, leg_rows, subject_evidence_row, without_numbers
from callguard.store.times import from_ms

SEED = 7
MASTERS = Masters(MasterKey.of(bytes(32)))
"""What its numbers are encrypted by: nobody's."""
BATCH = 20_000
CONTROLLERS = {"acme": "Acme Energy", "bolt": "Bolt"}
# 9 s between two calls: ten million are three years. What ends with the time kept ends an eighth of it later.
BEGIN_MS, STEP_MS, KEPT_FOR = 1_735_689_600_000, 9_000, 8
# Five calls each; one in a thousand is called 150 times, and has one call in 33.
CALLS_EACH, OFTEN, OFTEN_SHARE = 5, 1_000, 0.03
INBOUND, ASKED_OUTBOUND, GIVEN, LATER, PAUSED, WITHDRAWN, ENDED = 0.55, 0.4, 0.6, 0.04, 0.1, 0.03, 0.5
OPTED_OUT, TOOK_BACK, GRANTED, INCIDENT = 0.01, 0.2, 0.01, 0.002

_AT, _BEGAN = 2_222_222_222_222, 1_111_111_111_111
_LEG, _CALL, _ROW, _HASH = "leg-here", "call-here", "row-here", "hash-here"
_QUALITY = Purpose("recording.quality", Basis.CONSENT)
_NOTICE = Prompt("service/essential", "en", "1", "/p/essential", 6_000, {"wav": "ab" * 32, "wav16": "cd" * 32})
_SHORT_FACTS = Facts(
    number="+15550100", calls="marketing", purpose=None, campaign=None, at=from_ms(_AT), opt_outs=(), registries=()
)


def _gate(outcome: Outcome, state: GrantState, key: str) -> tuple[str, str]:
    """Both entries of a leg: of the gate, and that somebody was informed."""
    given = (_QUALITY.id,) if state is GrantState.GIVEN else ()
    rows = leg_rows(
        LegRecord(
            leg_id=_LEG, call_id=_CALL, channel="", linkedid="", controller="acme", profile="service", language="en",
            direction="inbound", number=None, started_at=from_ms(_BEGAN), saved_at=from_ms(_AT), outcome=outcome,
            granted=given, recording=bool(given), file=_LEG if given else None, files="mixed",
            answers=(Answer(_QUALITY, state, key, "key"),), heard=(Heard(_NOTICE, 6_000),), early_keys=0,
            told=(Told(Heard(_NOTICE, 6_000), Form.WHOLE, whole=True),),
        )
    )  # fmt: skip
    gate, informed = (str(row["body"]) for row in rows["add_evidence"])
    return _form(gate), _form(informed)


def _of_leg(kind: Kind, **fields: Any) -> str:
    return _form(str(evidence_row(kind, _AT, leg_id=_LEG, call_id=_CALL, controller="acme", **fields)["body"]))


def _of_subject(kind: Kind, **fields: Any) -> str:
    return _form(str(subject_evidence_row(kind, _AT, controller="acme", subject_id=None, **fields)["body"]))


def _form(body: str) -> str:
    """An entry, to be written with other ids, times and salt."""
    body = body.replace("%", "%%").replace(json.loads(body)["salt"], "%(salt)s")
    for mark, name in (
        (f'"{_LEG}"', '"%(leg)s"'), (f'"{_CALL}"', '"%(call)s"'), (f'"{_ROW}"', '"%(row)s"'), (_HASH, "%(hash)s"),
        (f"{_LEG}.wav", "%(leg)s.wav"), (str(_AT), "%(at)d"), (str(_BEGAN), "%(began)d"),
    ):  # fmt: skip
        body = body.replace(mark, name)
    return body


_ALLOWED = DialRecord.of(_CALL, "acme", "sales", _SHORT_FACTS, decide(_SHORT_FACTS))
_FACTS = canonical(_ALLOWED.facts).decode()
_GIVEN = _gate(Outcome.GIVEN, GrantState.GIVEN, "1")
_REFUSED = _gate(Outcome.REFUSED, GrantState.REFUSED, "2")
_FILE = {"name": f"{_LEG}.wav", "size": 960_044, "sha256": _HASH}
_KEPT = _of_leg(Kind.RECORDING_KEPT, files=[_FILE], duration_ms=60_000, destroy_at=None, withdrawn=False)
_AGREED = _of_leg(Kind.CONSENT_GIVEN, given=[_QUALITY.id], key="1", outcome=Outcome.GIVEN, granted=[_QUALITY.id])
_PAUSE = _of_leg(Kind.RECORDING_PAUSED, segment=0, why="agent", cut_ms=0)
_RESUME = _of_leg(Kind.RECORDING_RESUMED, segment=1, why="agent")
_WITHDREW = _of_leg(Kind.WITHDRAWN, source="key", withdrawn=[_QUALITY.id], objected=[])
_GONE = {why: _of_leg(Kind.RECORDING_DESTROYED, reason=why) for why in ("withdrawn", "time")}
_DECIDED = {
    allow: _of_subject(
        Kind.DIAL_DECIDED, decision=_ROW, call=_CALL, profile="sales", allow=allow,
        rules=[] if allow else ["opt-out"], facts=without_numbers(_ALLOWED.facts),
    )
    for allow in (True, False)
}  # fmt: skip
_SCOPE: dict[str, Any] = {"scope": "marketing", "purpose": None, "campaign": None}
_OPTED_OUT = _of_subject(Kind.OPTOUT_ADDED, opt_out=_ROW, source="key", until=None, **_SCOPE)
_TOOK_BACK = _of_subject(Kind.OPTOUT_ENDED, opt_out=_ROW, source="key", undone=True, **_SCOPE)
_GRANT = _of_subject(
    Kind.GRANT_GIVEN, grant=_ROW, source="import", evidence_sha256=_HASH, purpose="marketing.calls", basis="consent",
    channel="paper", since=_BEGAN, until=None,
)  # fmt: skip
_WRONG = _form(incident_body(_ROW, "recording.unencrypted", _AT, {"problem": "no room"}, _LEG, _CALL, "acme").decode())

_INSERT = {
    "legs": "leg_id, call_id, channel, linkedid, controller, subject_id, profile, language, direction, started_at, "
    "saved_at, outcome, granted, recording, file, files, withdrawn_at, recording_ended_at, agreed_at, folder",
    "grants": "leg_id, subject_id, controller, purpose, basis, state, valid_from, reason, notice_version",
    "informed": "leg_id, subject_id, controller, profile, language, form, version, sha256, length_ms, heard_ms, whole, "
    "at",
    "ledger": "seq, noted_at, leaf, body",
    "evidence": "seq, leg_id, controller, kind, at",
    "subject_evidence": "seq, controller, subject_id, call_id, kind, at",
    "incidents": "incident_id, seq, controller, leg_id, kind, at, detail",
    "decisions": "decision_id, call_id, controller, subject_id, profile, at, allow, rules, facts",
    "opt_outs": "opt_out_id, controller, subject_id, scope, source, since, until, undone",
    "subject_grants": "subject_grant_id, controller, subject_id, purpose, basis, channel, evidence, source, since",
    "recordings": "leg_id, controller, state, ended_at, duration_ms, destroyed_at, reason",
    "recording_files": "leg_id, name, size, sha256",
    "segments": "leg_id, number, began_at, began_why, ended_at, ended_why",
    "ledger_nodes": "level, number, hash",
}
# Indexes that are kept while rows are added, as their keys come in order.
_IN_ORDER = ("legs_by_call", "legs_by_start", "decisions_by_time")


def fill(
    path: Path, calls: int, masters: Masters | None = None, tell: Callable[[int], None] = lambda done: None
) -> int:
    """Make a store with so many calls.

    Args:
        masters: what its numbers are encrypted by; None for a store in the clear.
        tell: called with how many calls are done.

    Returns:
        How many entries its ledger has. No checkpoint is signed.
    """
    columns = asyncio.run(_made(path))
    with closing(sqlite3.connect(path, isolation_level=None)) as store:
        columns.register(store)
        for pragma in ("journal_mode = OFF", "synchronous = OFF", "locking_mode = EXCLUSIVE", "cache_size = -400000"):
            store.execute(f"PRAGMA {pragma}").fetchall()
        guards = store.execute(
            "SELECT type, name, sql FROM sqlite_master WHERE type IN ('trigger', 'index') AND sql IS NOT NULL"
        ).fetchall()
        guards = [one for one in guards if one[1] not in _IN_ORDER]
        for kind, name, _ in guards:
            store.execute(f"DROP {kind} {name}")
        writing = _Writing(store, _people(store, calls), calls)
        for first in range(0, calls, BATCH):
            store.execute("BEGIN")
            writing.some(first, min(first + BATCH, calls))
            store.execute("COMMIT")
            tell(min(first + BATCH, calls))
        writing.nodes()
        for _, _, statement in guards:
            store.execute(statement)
        store.execute("PRAGMA locking_mode = NORMAL").fetchall()
        store.execute("PRAGMA journal_mode = WAL").fetchall()
        return writing.size


async def _made(path: Path) -> Columns:
    async with Store.open(path, gate="bench", controllers=CONTROLLERS, keys=lambda: MASTERS) as store:
        columns = Columns()
        columns.unlock(await store.data_keys(), lambda: MASTERS, path)
        return columns


def number_of(person: int) -> str:
    """The number of one of the people, the first of whom are those who are called often."""
    return f"+3906{1_000_000 + person}"


def _people(store: sqlite3.Connection, calls: int) -> list[str]:
    drawn = random.Random(SEED)
    people = [f"{drawn.getrandbits(32):08x}-0000-4000-8000-{one:012x}" for one in range(max(1, calls // CALLS_EACH))]
    store.execute("BEGIN")
    store.executemany(
        "INSERT INTO subjects (subject_id, controller, number) VALUES (?, 'acme', seal_number(?))",
        ((subject, number_of(one)) for one, subject in enumerate(people)),
    )
    store.execute("COMMIT")
    return people


@dataclass(slots=True)
class _Writing:
    """Writes calls, and the tree above their entries."""

    store: sqlite3.Connection
    people: list[str]
    calls: int
    size: int = 0
    drawn: random.Random = field(default_factory=lambda: random.Random(SEED))
    rows: dict[str, list[tuple[Any, ...]]] = field(default_factory=lambda: {table: [] for table in _INSERT})
    leaves: list[bytes] = field(default_factory=list)
    above: list[bytes] = field(default_factory=list)
    # Whose time will have come, with the number of the call before which it has.
    due: deque[tuple[int, str, str]] = field(default_factory=deque)
    noted: int = 0

    def some(self, first: int, end: int) -> None:
        """Write these calls."""
        for number in range(first, end):
            self._call(number)
        for table, named in _INSERT.items():
            if rows := self.rows[table]:
                places = ", ".join("?" * len(rows[0]))
                self.store.executemany(f"INSERT INTO {table} ({named}) VALUES ({places})", rows)
                rows.clear()
        full = len(self.leaves) // TILE * TILE
        self.above += fold(self.leaves[:full], TILE_BITS)
        del self.leaves[:full]

    def nodes(self) -> None:
        """Keep the nodes of the tree."""
        level = 1
        while self.above:
            named = _INSERT["ledger_nodes"]
            self.store.executemany(f"INSERT INTO ledger_nodes ({named}) VALUES ({level}, ?, ?)", enumerate(self.above))
            self.above = list(fold(self.above[: len(self.above) // TILE * TILE], TILE_BITS))
            level += 1

    def _entry(self, form: str, noted: int, **said: Any) -> int:
        body = form % {"salt": self.drawn.randbytes(16).hex(), **said}
        leaf = leaf_hash(leaf_data(body.encode(), noted))
        self.leaves.append(leaf)
        self.rows["ledger"].append((self.size, noted, leaf, body))
        self.size += 1
        return self.size - 1

    def _of_leg(self, kind: str, form: str, at: int, leg: str, call: str, **said: Any) -> None:
        seq = self._entry(form, self.noted, leg=leg, call=call, at=at, **said)
        self.rows["evidence"].append((seq, leg, "acme", kind, at))

    def _of_subject(self, kind: str, form: str, at: int, subject: str, call: str | None, **said: Any) -> None:
        seq = self._entry(form, self.noted, call=call, at=at, **said)
        self.rows["subject_evidence"].append((seq, "acme", subject, call, kind, at))

    def _call(self, number: int) -> None:
        chance, began = self.drawn.random, BEGIN_MS + number * STEP_MS
        self.noted = began + 5_000
        while self.due and self.due[0][0] <= number:
            _, leg, call = self.due.popleft()
            self._of_leg(Kind.RECORDING_DESTROYED, _GONE["time"], began, leg, call)
        many = min(OFTEN, len(self.people)) if chance() < OFTEN_SHARE else len(self.people)
        subject = self.people[int(chance() * many)]
        call = _id(began, number, 1)
        if chance() < INBOUND:
            self._leg(number, began, subject, call, "inbound")
        else:
            row, allow = _id(began, number, 2), chance() >= 0.3
            at, facts = began + 20, _FACTS
            self.rows["decisions"].append(
                (row, call, "acme", subject, "sales", at, int(allow), "" if allow else "opt-out", facts)
            )
            self._of_subject(Kind.DIAL_DECIDED, _DECIDED[allow], at, subject, call, row=row)
            if allow and chance() < ASKED_OUTBOUND:
                self._leg(number, began, subject, call, "outbound")
        self._now_and_then(number, began, subject)

    def _now_and_then(self, number: int, at: int, subject: str) -> None:
        chance, row = self.drawn.random, _id(at, number, 3)
        if chance() < OPTED_OUT:
            took_back = chance() < TOOK_BACK
            ended = (at + 10, 1) if took_back else (None, 0)
            self.rows["opt_outs"].append((row, "acme", subject, "marketing", "key", at, *ended))
            self._of_subject(Kind.OPTOUT_ADDED, _OPTED_OUT, at, subject, None, row=row)
            if took_back:
                self._of_subject(Kind.OPTOUT_ENDED, _TOOK_BACK, at + 10, subject, None, row=row)
        if chance() < GRANTED:
            given = (row, "acme", subject, "marketing.calls", "consent", "paper", f"form {number}", "import", at)
            self.rows["subject_grants"].append(given)
            said = {"row": row, "hash": leaf_hash(given[6].encode()).hex(), "began": at}
            self._of_subject(Kind.GRANT_GIVEN, _GRANT, at, subject, None, **said)

    def _leg(self, number: int, began: int, subject: str, call: str, direction: str) -> None:
        chance, leg, at = self.drawn.random, _id(began, number, 0), began + 7_000
        given = chance() < GIVEN
        agreed = not given and chance() < LATER
        recorded = given or agreed
        withdrawn = recorded and chance() < WITHDRAWN
        due = number + self.calls // KEPT_FOR
        ends = recorded and not withdrawn and chance() < ENDED and due < self.calls
        gone = withdrawn or ends
        ended = began + 67_000
        gate, informed = _GIVEN if given else _REFUSED
        self.rows["legs"].append(
            (
                leg, call, f"1735689600.{number}", call, "acme", subject, "service", "en", direction, began, at,
                "given" if recorded else "refused", _QUALITY.id if recorded else "", int(recorded),
                leg if recorded else None, "mixed", ended if withdrawn else None, ended if recorded else None,
                at if agreed else None, "/var/spool/recordings" if recorded else None,
            )
        )  # fmt: skip
        about = (leg, subject, "acme", _QUALITY.id, "consent")
        self.rows["grants"].append((*about, "given" if given else "refused", at, "key", "1"))
        self.rows["informed"].append(
            (leg, subject, "acme", "service", "en", "whole", "1", "ab" * 32, 6_000, 6_000, 1, at)
        )
        self._of_leg(Kind.GATE, gate, at, leg, call, began=began)
        self._of_leg(Kind.INFORMED, informed, at, leg, call)
        if agreed:
            self.rows["grants"].append((*about, "given", at, "key", None))
            self._of_leg(Kind.CONSENT_GIVEN, _AGREED, at, leg, call)
        if recorded and chance() < PAUSED:
            self.rows["segments"] += [(leg, 0, at, None, at + 9, "agent"), (leg, 1, at + 99, "agent", None, None)]
            self._of_leg(Kind.RECORDING_PAUSED, _PAUSE, at + 9, leg, call)
            self._of_leg(Kind.RECORDING_RESUMED, _RESUME, at + 99, leg, call)
        if recorded:
            self._recording(leg, call, ended, due, withdrawn=withdrawn, gone=gone)
        if withdrawn:
            self.rows["grants"].append((*about, "withdrawn", ended, "key", None))
            self._of_leg(Kind.WITHDRAWN, _WITHDREW, ended, leg, call)
            self._of_leg(Kind.RECORDING_DESTROYED, _GONE["withdrawn"], ended, leg, call)
        elif ends:
            self.due.append((due, leg, call))
        if chance() < INCIDENT:
            row = _id(began, number, 4)
            seq = self._entry(_WRONG, self.noted, row=row, leg=leg, call=call, at=at)
            detail = '{"problem":"no room"}'
            self.rows["incidents"].append((row, seq, "acme", leg, "recording.unencrypted", at, detail))

    def _recording(self, leg: str, call: str, ended: int, due: int, *, withdrawn: bool, gone: bool) -> None:
        sha256, name = leaf_hash(leg.encode()).hex(), f"{leg}.wav"
        state = (
            ("destroyed", ended, 60_000, ended if withdrawn else BEGIN_MS + due * STEP_MS)
            if gone
            else ("kept", ended, 60_000, None)
        )
        why = ("withdrawn" if withdrawn else "time") if gone else None
        self.rows["recordings"].append((leg, "acme", *state, why))
        self.rows["recording_files"].append((leg, name, 960_044, sha256))
        self._of_leg(Kind.RECORDING_KEPT, _KEPT, ended, leg, call, hash=sha256)


def _id(at: int, number: int, of: int) -> str:
    """In the order of time, as a UUIDv7."""
    time = f"{at:012x}"
    return f"{time[:8]}-{time[8:]}-7{number & 0xFFF:03x}-8{of:03x}-{number:012x}"
