"""What tests share."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from tempfile import mkdtemp

import pytest
import structlog

from callguard.demo import private_root
from callguard.demo.tree import Tree, cache, find


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Each worker of pytest-xdist has its share of real calls, and begins with it.

    It gives each a run of the list as it stands. Callers and Asterisk keep time; beside tests that keep the processors
    busy they would be late.
    """
    workers = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    real = [item for item in items if "tree" in getattr(item, "fixturenames", ())]
    known = set(real)
    others = [item for item in items if item not in known]
    items[:] = [item for worker in range(workers) for kind in (real, others) for item in _share(kind, worker, workers)]


def _share(items: list[pytest.Item], worker: int, workers: int) -> list[pytest.Item]:
    return items[len(items) * worker // workers : len(items) * (worker + 1) // workers]


@pytest.fixture(autouse=True)
def _logs_as_before() -> Iterator[None]:
    """What a test has logged otherwise, the next one's log does not go to."""
    yield
    structlog.reset_defaults()


@pytest.fixture(scope="session")
def tree() -> Tree:
    """The Asterisk of this test run; the first time, a private one is built."""
    return find()


@pytest.fixture(scope="session")
def debian(tree: Tree) -> Path:
    """Debian's own ``/etc/asterisk``, to be copied: this run's Asterisk's, or where it has none, a private root's."""
    folder = tree.root / "etc" / "asterisk"
    return folder if (folder / "manager.conf").exists() else private_root.ready(cache()) / "etc" / "asterisk"


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that anyone can reach, as pytest's are not."""
    folder = Path(mkdtemp())
    folder.chmod(0o777)
    yield folder
    shutil.rmtree(folder)
