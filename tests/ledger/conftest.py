"""A ledger with a key of its own, filled by the store, and then damaged by somebody who knows SQL."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from sqlite3 import Connection, connect

import pytest

from callguard.core.decide import Scope
from callguard.core.evidence import leaf_data
from callguard.core.merkle import leaf_hash
from callguard.ledger.copies import opened
from callguard.ledger.findings import Report
from callguard.ledger.keys import Signer, signer
from callguard.ledger.verify import verify
from callguard.store import Store
from callguard.store.dial_records import NewOptOut
from tests.store.legs import CONTROLLERS, START, given, make_leg

ORIGIN = "calls.example.org/ledger"
STORE, KEY = "callguard.db", "ledger.key"


@pytest.fixture(scope="session")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a store and the key that signed it. 620 entries: two full tiles and a tail; checkpoints of 20, 600
    and 620.
    """
    folder = tmp_path_factory.mktemp("ledger")
    asyncio.run(_fill(folder / STORE, signer(folder / KEY, ORIGIN)))
    return folder


@pytest.fixture
def key(written: Path) -> Signer:
    return signer(written / KEY, ORIGIN)


@pytest.fixture
def filled(written: Path, tmp_path: Path) -> Path:
    """A copy of the store, to do with as one likes."""
    return Path(shutil.copy(written / STORE, tmp_path))


async def _fill(path: Path, key: Signer) -> None:
    async with Store.open(path, gate="callguard", controllers=CONTROLLERS) as store:
        for first, end in ((0, 20), (20, 600)):
            many = [NewOptOut(f"+39069{number:07}", Scope.ALL) for number in range(first, end)]
            await store.opt_out_all("acme", many, START, "import")
            await store.checkpoint(datetime.now(UTC), key)
        legs = [make_leg(given()) for _ in range(10)]
        await asyncio.gather(*map(store.save, legs))
        await asyncio.gather(*(store.withdraw(leg.leg_id, START, "key") for leg in legs))
        await store.checkpoint(datetime.now(UTC), key)


@pytest.fixture
def damaged(filled: Path) -> Callable[[str], None]:
    """Carries out SQL as the owner of the machine would: with the guards taken down."""

    def damage(script: str) -> None:
        with closing(connect(filled)) as database:
            for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
                database.execute(f"DROP TRIGGER {name}")
            hashing(database)
            database.executescript(script)

    return damage


def hashing(database: Connection) -> None:
    """What a forger who has read callguard's source has as well."""
    database.create_function("leaf_of", 2, lambda body, noted: leaf_hash(leaf_data(body.encode(), noted)))


def looked(path: Path, key: Signer) -> Report:
    with opened(path) as copy:
        return verify(copy, [key.key])
