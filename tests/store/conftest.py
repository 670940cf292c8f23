"""A store to save legs in."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import closing
from pathlib import Path
from sqlite3 import Connection, connect

import pytest

from callguard.store import Store

from .legs import CONTROLLERS


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "callguard.db"


@pytest.fixture
async def store(path: Path) -> AsyncIterator[Store]:
    async with Store.open(path, gate="callguard", controllers=CONTROLLERS) as opened:
        yield opened


@pytest.fixture
def database(store: Store, path: Path) -> Iterator[Connection]:
    """The store's database, seen by a connection that knows nothing of callguard."""
    with closing(connect(path, isolation_level=None)) as connection:
        yield connection
