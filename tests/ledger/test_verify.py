"""What is done to a ledger is found and named."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from sqlite3 import connect

import pytest

from callguard.core.checkpoint import Note
from callguard.core.merkle import fold
from callguard.errors import InputError
from callguard.ledger.copies import opened
from callguard.ledger.findings import Tampering
from callguard.ledger.keys import Signer, signer
from callguard.ledger.verify import verify
from callguard.store import Store
from callguard.store.database import open_to_write, prepare
from callguard.store.ledger import tree
from callguard.store.migrations import known, migrate
from tests.store.legs import CONTROLLERS, START, given, make_leg

from .conftest import looked

CHANGED, REMOVED, ADDED, REORDERED = Tampering.CHANGED, Tampering.REMOVED, Tampering.ADDED, Tampering.REORDERED
CUT, FORGED, CLOCK = Tampering.CUT_SHORT, Tampering.FORGED, Tampering.CLOCK_MOVED
GONE = Tampering.CHECKPOINTS_REMOVED

CHANGE = 'UPDATE ledger SET body = replace(body, \'"controller":"acme"\', \'"controller":"zeta"\') WHERE seq = {};'
REHASH = "UPDATE ledger SET leaf = leaf_of(body, noted_at) WHERE seq = {};"
SWAP = """
UPDATE ledger SET seq = 100000 WHERE seq = {0};
UPDATE ledger SET seq = {0} WHERE seq = {1};
UPDATE ledger SET seq = {1} WHERE seq = 100000;
"""
APPEND = (
    "INSERT INTO ledger SELECT {0}, noted_at, leaf_of(body || ' ', noted_at), body || ' ' FROM ledger "
    "ORDER BY seq DESC LIMIT 1;"
)
FORGE = "UPDATE checkpoints SET note = replace(note, char(10) || '600' || char(10), char(10) || '601' || char(10));"
NOTED = "UPDATE ledger SET noted_at = noted_at - {1} WHERE seq >= {0};" + REHASH.format("{0}")


async def test_a_ledger_as_it_was_written_is_whole(filled: Path, key: Signer) -> None:
    told: list[tuple[int, int]] = []
    with opened(filled) as copy:
        report = verify(copy, [key.key], tell=lambda done, of: told.append((done, of)))
        assert report.root == tree(copy).root(620)
    assert (report.entries, report.checkpoints, report.findings) == (620, 3, ())
    assert told == [(620, 620)]


@pytest.mark.parametrize(
    ("script", "found"),
    [
        pytest.param(CHANGE.format(7), [(CHANGED, 7, 7)], id="a row changed"),
        pytest.param(
            CHANGE.format(7) + REHASH.format(7), [(CHANGED, 0, 19), (CHANGED, 0, 255)], id="and its hash with it"
        ),
        pytest.param("UPDATE ledger SET body = NULL WHERE seq = 300;", [(CHANGED, 300, 300)], id="its content gone"),
        pytest.param(
            "UPDATE ledger SET body = replace(body, 'optout.added', 'optout.ended') WHERE seq = 7;" + REHASH.format(7),
            [(CHANGED, 0, 19), (CHANGED, 7, 7)],
            id="another kind, and its hash with it",
        ),
        pytest.param(
            CHANGE.format(619) + REHASH.format(619), [(CHANGED, 600, 619)], id="the last, which no node is above"
        ),
        pytest.param("DELETE FROM ledger WHERE seq = 300;", [(REMOVED, 300, 300)], id="a row removed"),
        pytest.param(
            "DELETE FROM ledger WHERE seq IN (10, 11, 12, 14);",
            [(REMOVED, 10, 12), (REMOVED, 14, 14)],
            id="some rows removed",
        ),
        pytest.param("DELETE FROM ledger WHERE seq = 615;", [(REMOVED, 615, 615)], id="a row removed from the tail"),
        pytest.param(APPEND.format(620), [(ADDED, 620, 620)], id="a row added at the end"),
        pytest.param(
            APPEND.format(9000), [(REMOVED, 620, 8999), (ADDED, 9000, 9000)], id="far behind it"
        ),
        pytest.param(SWAP.format(602, 603), [(REORDERED, 602, 602), (REORDERED, 603, 603), (CHANGED, 600, 619)],
                     id="two of the tail reordered"),
        pytest.param(SWAP.format(605, 3), [(REORDERED, 3, 3), (REORDERED, 605, 605), (CHANGED, 0, 19)],
                     id="two far from each other reordered"),
        pytest.param("DELETE FROM ledger WHERE seq >= 615;", [(CUT, 615, 619)], id="cut short"),
        pytest.param(
            "DELETE FROM ledger WHERE seq >= 615; DELETE FROM evidence WHERE seq >= 615;",
            [(CUT, 615, 619)],
            id="cut short, with all that names it",
        ),
        pytest.param(FORGE, [(FORGED, None, None)], id="a checkpoint forged"),
        pytest.param("UPDATE checkpoints SET size = 601 WHERE size = 600;", [(FORGED, None, None)], id="filed wrong"),
        pytest.param("UPDATE checkpoints SET note = 'x' WHERE size = 600;", [(FORGED, None, None)], id="no note"),
        pytest.param(NOTED.format(619, 60_000), [(CHANGED, 600, 619), (CLOCK, 619, 619)], id="a clock moved"),
        pytest.param("DELETE FROM ledger_nodes WHERE number = 1;", [(REMOVED, 256, 511)], id="a node removed"),
        pytest.param("INSERT INTO ledger_nodes VALUES (2, 0, zeroblob(32));", [(CUT, 620, 620)], id="a node too many"),
    ],
)  # fmt: skip
async def test_each_kind_of_tampering_is_found_and_named(
    filled: Path,
    key: Signer,
    damaged: Callable[[str], None],
    script: str,
    found: list[tuple[Tampering, int | None, int | None]],
) -> None:
    damaged(script)
    report = looked(filled, key)
    assert sorted((one.what, one.first, one.last) for one in report.findings if one.what) == sorted(found)
    assert all(str(one.first) in one.said for one in report.findings if one.first is not None)


async def test_who_rewrites_all_of_it_is_found_by_what_was_signed(
    filled: Path, key: Signer, damaged: Callable[[str], None]
) -> None:
    damaged(CHANGE.format(300) + REHASH.format(300))
    with closing(connect(filled)) as database:
        leaves = [leaf for (leaf,) in database.execute("SELECT leaf FROM ledger WHERE seq BETWEEN 256 AND 511")]
        database.execute("UPDATE ledger_nodes SET hash = ? WHERE level = 1 AND number = 1", (fold(leaves, 8)[0],))
        database.commit()
    (one,) = looked(filled, key).findings
    # The checkpoint of 20 entries is right, the one of 600 is not.
    assert (one.what, one.first, one.last) == (CHANGED, 20, 599)
    # And with the checkpoints gone here, by the one that was sent elsewhere.
    with closing(connect(filled)) as database:
        ((sent,),) = database.execute("SELECT note FROM checkpoints WHERE size = 600").fetchall()
        database.execute("DELETE FROM checkpoints")
        database.commit()
    assert [one.what for one in looked(filled, key).findings] == [GONE]
    with opened(filled) as copy:
        one, gone = verify(copy, [key.key], [Note.of(sent)]).findings
        assert (one.what, one.first, one.last, gone.what) == (CHANGED, 0, 599, GONE)


async def test_a_ledger_that_was_cut_short_everywhere_is_found_by_what_was_sent(
    filled: Path, key: Signer, damaged: Callable[[str], None]
) -> None:
    with closing(connect(filled)) as database:
        ((sent,),) = database.execute("SELECT note FROM checkpoints WHERE size = 620").fetchall()
    damaged(
        "DELETE FROM ledger WHERE seq >= 600; DELETE FROM evidence WHERE seq >= 600; "
        "DELETE FROM checkpoints WHERE size > 600;"
    )
    (left,) = looked(filled, key).findings  # the legs, of which no entry tells any more
    assert left.what == Tampering.BESIDE_CHANGED and "and no entry says that it was made; 9 more are so" in left.said
    with opened(filled) as copy:
        (one,) = verify(copy, [key.key], [Note.of(sent)]).findings
    assert (one.what, one.first, one.last) == (CUT, 600, 619)
    assert "a checkpoint was signed" in one.said


async def test_a_checkpoint_that_another_key_signed_is_forged(filled: Path, key: Signer, tmp_path: Path) -> None:
    other = signer(tmp_path / "other.key", "another.example.org")
    assert [one.what for one in looked(filled, other).findings] == [FORGED] * 3
    with opened(filled) as copy:
        forged = Note.of(other(620, bytes(32)))
        (one,) = verify(copy, [key.key], [forged]).findings
    assert (one.what, one.said) == (FORGED, "given checkpoint 1 is not signed by the key of calls.example.org/ledger")


async def test_a_clock_within_its_bound_is_let_be(filled: Path, key: Signer, damaged: Callable[[str], None]) -> None:
    damaged("DELETE FROM checkpoints;" + NOTED.format(619, 60_000))
    with opened(filled) as copy:
        assert [one.what for one in verify(copy, [key.key], clock_bound_ms=61_000).findings] == [GONE]


async def test_a_copy_is_read_where_nothing_can_be_written(filled: Path, key: Signer, tmp_path: Path) -> None:
    folder = tmp_path / "copies"
    folder.mkdir()
    copy = Path(shutil.copy(filled, folder))
    folder.chmod(0o555)
    try:
        assert looked(copy, key).findings == ()
        assert os.geteuid() == 0 or [one.name for one in folder.iterdir()] == ["callguard.db"]
    finally:
        folder.chmod(0o755)


async def test_what_is_no_store_with_a_ledger_is_refused(tmp_path: Path) -> None:
    older, other = tmp_path / "older.db", tmp_path / "other.db"
    prepare(older)
    async with open_to_write(older) as database:
        await migrate(database, older, known()[:9])
    with closing(connect(other)) as database:
        database.execute("CREATE TABLE songs (title TEXT)")
    for file, why in ((older, "no ledger"), (other, "not a store"), (tmp_path / "none.db", "there is no store")):
        with pytest.raises(InputError, match=why), opened(file):
            pass
    with closing(connect(older)) as database:
        database.execute("INSERT INTO migrations VALUES (99, '0099_later', 0)")
        database.commit()
    with pytest.raises(InputError, match="install the newer"), opened(older):
        pass


async def test_what_a_key_signed_that_was_replaced_stays_good(filled: Path, key: Signer, tmp_path: Path) -> None:
    new = signer(tmp_path / "new.key", "new.example.org")
    async with Store.open(filled, gate=None, controllers=CONTROLLERS) as store:
        await store.save(make_leg(given()))
        assert (await store.checkpoint(START, new))[1]
    with opened(filled) as copy:
        report = verify(copy, [key.key, new.key])
        assert (report.findings, report.checkpoints) == ((), 4)
        assert [one.what for one in verify(copy, [new.key]).findings] == [FORGED] * 3


async def test_a_checkpoint_that_the_key_says_it_signed_has_to_be_there(filled: Path, key: Signer) -> None:
    with closing(connect(filled)) as database:
        ((last,),) = database.execute("SELECT note FROM checkpoints WHERE size = 620").fetchall()
        database.execute("DROP TRIGGER checkpoints_no_delete")
        database.execute("DELETE FROM checkpoints WHERE size >= 600")
        database.commit()
    with opened(filled) as copy:
        (gone,) = verify(copy, [key.key], last=[("beside the key", Note.of(last))], before=600).findings
        assert (gone.what, gone.said) == (GONE, "the checkpoint of 600 entries is not in the store any more")
        # What a crash between file and row leaves is none.
        report = verify(copy, [key.key], last=[("beside the key", Note.of(last))], before=20)
        assert (report.findings, report.checkpoints) == ((), 2)


def test_a_folder_is_no_store(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="is a folder: the store's file is needed"), opened(tmp_path):
        pass
