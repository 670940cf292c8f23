"""Who is erased is in no column and in no byte of the store any more, and is not called again; the proofs stay."""

from __future__ import annotations

import asyncio
import json
import tempfile
from collections.abc import Iterable
from contextlib import closing
from datetime import datetime, timedelta
from pathlib import Path
from sqlite3 import Connection, connect

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as some

from callguard.core.decide import Facts, Scope, decide
from callguard.core.grants import Channel
from callguard.core.model import Basis, GrantState
from callguard.core.retention import Trigger, judge
from callguard.errors import StoreError
from callguard.ledger.verify import verify
from callguard.store import Store
from callguard.store.database import open_to_write
from callguard.store.dial_records import DialRecord, NewEnding, NewGrant, NewOptOut, OptOutSource
from callguard.store.erasure import RUNNING
from callguard.store.records import FileToSeal, LegRecord, RecordedFile, StoredContentKey
from callguard.store.right_records import ProofKept

from .legs import CONTROLLERS, START, make_leg, refused
from .legs import given as gave
from .test_recordings import END, kept

NUMBER, OTHER = "+390612345678", "+390698765432"
NAME = "Ana of Via Roma 7"
WORDS = f"said so, {NUMBER}"
LATER = START + timedelta(days=30)
AFTER = LATER + timedelta(hours=1)
YEARS = LATER + timedelta(days=5 * 365)


async def subject(store: Store, number: str = NUMBER, controller: str = "acme") -> str:
    (one,) = await store.subjects(controller, number)
    return one.subject_id


async def recorded(store: Store, number: str = NUMBER, **changes: str) -> LegRecord:
    leg = make_leg(gave(), number=number, **changes)
    await store.save(leg)
    await store.recording_kept(leg.leg_id, kept(leg), None)
    return leg


async def key_of(store: Store, leg: LegRecord, subject_id: str) -> str:
    """Their recording is encrypted from now on."""
    (key,) = await store.ensure_content_keys([StoredContentKey(f"key-{leg.leg_id}", subject_id, "m", "00")])
    (file,) = kept(leg).files
    sealed = RecordedFile(file.name, file.size, file.sha256, key.id)
    await store.files_sealed([FileToSeal(leg.leg_id, subject_id, sealed, None, key)])
    return key.id


async def dialled(store: Store, number: str, call: str) -> None:
    facts = Facts(number, "service", None, None, START, (), ())
    await store.decided(DialRecord.of(call, "acme", "service", facts, decide(facts)))


async def fill(store: Store, number: str = NUMBER) -> LegRecord:
    """Everything that can be known of somebody."""
    leg = await recorded(store, number, channel=f"PJSIP/{number[1:]}-00000001", linkedid=f"{number}.7")
    await store.save(make_leg(refused(), number=number))
    await dialled(store, number, f"dial-{leg.call_id}")
    grants: list[NewGrant | NewEnding] = [
        NewGrant(number, "marketing.calls", Basis.CONSENT, Channel.PAPER, START, None, f"form of {number}"),
        NewEnding(number, GrantState.WITHDRAWN, "marketing.calls", "letter", START + timedelta(days=1)),
    ]
    await store.grant_all("acme", grants, LATER, "command")
    await store.opt_out("acme", number, Scope.CAMPAIGN, START, "agent", campaign="autumn", reason=WORDS)
    await store.opt_out("acme", number, Scope.ALL, START, "request", reason=WORDS, until=END)
    await store.hold(leg.call_id, WORDS, START, until=END)
    await store.release(leg.call_id, WORDS, START + timedelta(seconds=1))
    await store.mark_unlawful(leg.call_id, WORDS, START)
    return leg


def columns(database: Connection) -> Iterable[tuple[str, str]]:
    for (table,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall():
        for _, column, *_ in database.execute(f"PRAGMA table_info({table})").fetchall():
            yield table, column


def holding(database: Connection, *words: str) -> set[str]:
    """The columns in which one of these words stands, in any form of the number."""
    return {
        f"{table}.{column}"
        for table, column in columns(database)
        for word in words
        if database.execute(f"SELECT 1 FROM {table} WHERE instr({column}, ?) > 0", (word,)).fetchone()
    }


def times_in_bytes(path: Path, word: str) -> int:
    """How often a word stands in the files of the store."""
    files = [path, *path.parent.glob(f"{path.name}-*")]
    return sum(file.read_bytes().count(word.encode()) for file in files)


async def test_a_number_is_left_in_the_suppression_alone_and_nothing_joins_it_to_the_history(
    store: Store, database: Connection, path: Path
) -> None:
    leg = await fill(store)
    database.execute("UPDATE subjects SET name = ? WHERE number = ?", (NAME, NUMBER))
    before = await subject(store)
    assert len(holding(database, NUMBER[1:])) > 5
    done = await store.erase(before, LATER)
    assert done is not None
    assert done.overwritten and done.suppressed and done.kept_opt_outs == 1 and done.held == ()
    assert (done.removed["number"], done.removed["name"], done.removed["references"]) == (1, 1, 1)
    assert holding(database, NUMBER[1:], NAME, "said so") == {"subjects.number"}
    (found,) = await store.subjects(None, NUMBER)
    assert found.subject_id != before
    assert (found.name, found.legs, found.grants, found.decisions) == (None, (), (), ())
    assert {(one.scope, one.source, one.reason, one.until) for one in found.opt_outs} == {
        (Scope.CAMPAIGN, "agent", None, None),
        (Scope.MARKETING, "erasure", None, None),
    }
    # Once in the table, once in its index.
    assert times_in_bytes(path, NUMBER) == 2
    assert times_in_bytes(path, NAME) == times_in_bytes(path, "said so") == 0
    rows = database.execute("SELECT channel, linkedid, subject_id FROM legs WHERE leg_id = ?", (leg.leg_id,)).fetchall()
    assert [(channel, linkedid[:7], of) for channel, linkedid, of in rows] == [(leg.leg_id, "erased-", before)]
    assert database.execute("SELECT COUNT(*) FROM subject_evidence WHERE subject_id = ?", (before,)).fetchone() == (0,)


async def test_the_ledger_has_one_entry_without_a_number_and_all_proofs_stay(
    store: Store, database: Connection, path: Path
) -> None:
    leg = await fill(store)
    proofs = [(one.kind, one.body) for one in (await store.call(leg.call_id))[0].evidence]
    entries = database.execute("SELECT seq, leaf, body FROM ledger ORDER BY seq").fetchall()
    await store.erase(await subject(store), LATER, request_id="the-request")
    assert [(one.kind, one.body) for one in (await store.call(leg.call_id))[0].evidence] == proofs
    after = database.execute("SELECT seq, leaf, body FROM ledger ORDER BY seq").fetchall()
    assert after[: len(entries)] == entries
    *_, (_, _, body) = after
    said = json.loads(body)
    assert (said["kind"], said["request"], said["removed"]["number"]) == ("subject.erased", "the-request", 1)
    assert NUMBER[1:] not in body
    async with open_to_write(path) as open_:
        report = await open_.transact(lambda transaction: verify(transaction, ()))
    assert (report.entries, report.findings) == (len(after), ())


async def test_a_second_erasure_adds_nothing_and_one_of_a_nobody_is_none(store: Store, database: Connection) -> None:
    await fill(store)
    who = await subject(store)
    first = await store.erase(who, LATER)
    dumped = list(database.iterdump())
    again = await store.erase(who, AFTER)
    assert list(database.iterdump()) == dumped
    assert first is not None and again is not None
    assert (again.at, set(again.removed.values()), again.suppressed) == (first.at, {0}, False)
    assert await store.erase("nobody", LATER) is None


async def test_others_and_other_controllers_keep_all_they_have(store: Store) -> None:
    await fill(store)
    await store.save(make_leg(gave(), controller="zeta"))
    await recorded(store, OTHER)
    there = await store.subjects("zeta", NUMBER), await store.subjects("acme", OTHER)
    await store.erase(await subject(store), LATER)
    assert (await store.subjects("zeta", NUMBER), await store.subjects("acme", OTHER)) == there


async def test_who_was_in_one_call_is_still_known_though_not_by_asterisks_name(store: Store) -> None:
    one = await recorded(store, linkedid="pbx-1.7")
    other = await recorded(store, OTHER, linkedid="pbx-1.7")
    await store.erase(await subject(store), LATER)
    assert await store.others_in_call(other.leg_id, START, END)
    assert await store.outcome(one.channel, "pbx-1.7") is None


@pytest.mark.parametrize(
    ("scope", "source", "until", "added"),
    [
        (Scope.MARKETING, "key", None, False),
        (Scope.ALL, "request", None, False),
        (Scope.MARKETING, "typed_unverified", None, True),  # anybody could end it
        (Scope.MARKETING, "key", LATER + timedelta(days=1), True),  # it ends by itself
        (Scope.CAMPAIGN, "key", None, True),
    ],
)
async def test_marketing_is_denied_afterwards_by_the_persons_own_word_or_by_one_that_is_added(
    store: Store, scope: Scope, source: OptOutSource, until: datetime | None, added: bool
) -> None:
    campaign = "autumn" if scope is Scope.CAMPAIGN else None
    await store.opt_out("acme", NUMBER, scope, START, source, campaign=campaign, until=until)
    done = await store.erase(await subject(store), LATER)
    assert done is not None and done.suppressed is added
    years = LATER + timedelta(days=9_999)
    known = await store.known("acme", NUMBER, years, None)
    facts = Facts(NUMBER, "marketing", "marketing.calls", None, years, known.opt_outs, ())
    assert not decide(facts).allow
    assert decide(Facts(NUMBER, "service", None, None, years, known.opt_outs, ())).allow is (scope is not Scope.ALL)


async def test_who_withheld_their_number_is_erased_without_a_suppression(store: Store, database: Connection) -> None:
    await store.save(make_leg(gave(), number=None))
    ((who,),) = database.execute("SELECT subject_id FROM subjects").fetchall()
    done = await store.erase(who, LATER)
    assert done is not None and not done.suppressed
    assert database.execute("SELECT COUNT(*) FROM subjects").fetchone() == (1,)


async def test_a_running_recording_is_refused_or_withdrawn_and_nothing_of_it_is_kept(store: Store) -> None:
    leg = make_leg(gave())
    await store.save(leg)
    who = await subject(store)
    with pytest.raises(StoreError, match=RUNNING):
        await store.erase(who, LATER, only_if_quiet=True)
    assert await subject(store) == who
    await store.erase(who, LATER)
    # It is found by its channel until it ends.
    (running,) = await store.expected_recordings()
    assert (running.channel, running.withdrawn_at) == (leg.channel, LATER)
    await store.recording_kept(leg.leg_id, kept(leg), None)
    (one,) = await store.kept([leg.leg_id])
    assert judge(one.facts, {}, AFTER).destroy
    await store.erase(who, AFTER)
    assert await store.outcome(leg.channel, leg.linkedid) is None


async def test_no_yes_in_a_call_begins_a_recording_of_who_is_erased(store: Store) -> None:
    leg = make_leg(refused())
    await store.save(leg)
    await store.erase(await subject(store), LATER)
    assert not await store.agree(leg.leg_id, LATER, (gave().purpose,), "1", "file")


async def test_recordings_go_and_their_key_at_once_but_what_is_held_goes_when_the_hold_ends(store: Store) -> None:
    free, held = await recorded(store), await recorded(store)
    who = await subject(store)
    key = await key_of(store, free, who)
    await store.hold(held.call_id, "claim 7", START)
    done = await store.erase(who, LATER)
    assert done is not None and done.held == (held.call_id,)
    assert [(one.leg_id, one.reason) for one in await store.due(LATER)] == [(free.leg_id, "erased")]
    assert await store.content_key(key) is not None  # the held one is read by it
    await store.recording_destroyed(free.leg_id, LATER, "erased")
    assert await store.content_key(key) is not None
    await store.release(held.call_id, "settled", LATER)
    (facts,) = await store.kept([held.leg_id])
    verdict = judge(facts.facts, {}, AFTER)
    assert (verdict.destroy, verdict.reason) == (True, Trigger.ERASURE)
    await store.recording_destroyed(held.leg_id, AFTER, "erased")
    assert await store.content_key(key) is None


async def test_without_a_hold_the_key_goes_with_the_person(store: Store) -> None:
    leg = await recorded(store)
    who = await subject(store)
    key = await key_of(store, leg, who)
    await store.erase(who, LATER)
    assert await store.content_key(key) is None


async def test_proof_of_consent_is_kept_apart_for_its_time(store: Store, database: Connection) -> None:
    await fill(store)
    who = await subject(store)
    await store.erase(who, LATER, proof=ProofKept("de.proof", YEARS))
    assert holding(database, NUMBER[1:]) == {
        "subjects.number", "restricted_subjects.number", "restricted_grants.evidence",
    }  # fmt: skip
    (one,) = await store.restricted("acme", NUMBER)
    assert (one.subject_id, one.proof) == (who, ProofKept("de.proof", YEARS))
    (grant,) = await store.restricted_grants(who)
    assert (grant.purpose, grant.evidence, grant.number) == ("marketing.calls", f"form of {NUMBER}", NUMBER)
    ((body,),) = database.execute(
        "SELECT l.body FROM restricted_grants AS g JOIN ledger AS l ON l.seq = g.seq"
    ).fetchall()
    assert json.loads(body)["kind"] == "grant.given"
    assert await store.grants("acme", NUMBER) == () and await store.unproved_grants() == ()
    assert await store.forget_proofs(YEARS - timedelta(milliseconds=1)) == 0
    assert await store.forget_proofs(YEARS) == 1
    ((_, _, path),) = database.execute("PRAGMA database_list").fetchall()
    assert Path(f"{path}-wal").stat().st_size == 0  # of which it would be read as it was
    assert holding(database, NUMBER[1:]) == {"subjects.number"}


async def test_a_list_that_was_made_ready_before_is_refused_whole(store: Store, database: Connection) -> None:
    """What would be kept on who is erased would protect nobody."""
    await store.opt_out("acme", NUMBER, Scope.MARKETING, START, "key")
    who = await subject(store)
    await store.erase(who, LATER)
    row = ("o", "acme", who, "all", "import", 0)
    with pytest.raises(Exception, match="erased meanwhile"):
        database.execute(
            "INSERT INTO opt_outs (opt_out_id, controller, subject_id, scope, source, since) VALUES (?,?,?,?,?,?)", row
        )
    listed = [NewOptOut(NUMBER, Scope.ALL)]
    assert await store.opt_out_all("acme", listed, LATER, "import") == 1


STEPS = ("leg", "grant", "opt_out", "dial", "hold", "erase")


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(some.lists(some.tuples(some.sampled_from(STEPS), some.integers(0, 3)), min_size=1, max_size=25))
def test_after_any_history_no_byte_of_whom_was_erased_is_left_but_the_suppression(
    steps: list[tuple[str, int]],
) -> None:
    people = [f"+39061234567{n}" for n in range(4)]

    async def live(path: Path) -> set[str]:
        erased: set[str] = set()
        async with Store.open(path, gate=None, controllers=CONTROLLERS) as store:
            for at, (step, person) in enumerate(steps):
                number = people[person]
                if step == "erase":
                    for one in await store.subjects("acme", number):
                        await store.erase(one.subject_id, LATER + timedelta(seconds=at))
                        erased.add(number)
                    continue
                erased.discard(number)
                if step == "leg":
                    await recorded(store, number, channel=f"SIP/{number}-{at}", linkedid=f"{number}.{at}")
                elif step == "hold":
                    leg = await recorded(store, number)
                    await store.hold(leg.call_id, f"of {number}", START)
                elif step == "grant":
                    grant = NewGrant(number, "supply", Basis.CONTRACT, Channel.PAPER, START, None, f"{number} {at}")
                    await store.grant_all("acme", [grant], LATER, "command")
                elif step == "opt_out":
                    await store.opt_out("acme", number, Scope.MARKETING, START, "agent", reason=f"of {number}")
                else:
                    await dialled(store, number, f"call-{at}")
        return erased

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "callguard.db"
        erased = asyncio.run(live(path))
        with closing(connect(path)) as database:
            for number in erased:
                assert holding(database, number[1:]) == {"subjects.number"}
                assert times_in_bytes(path, number) == 2
