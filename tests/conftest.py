"""What tests share."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from tempfile import mkdtemp

import pytest
import structlog

from callguard.demo import private_root
from callguard.demo.tree import Tree, cache, find

WORKERS = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
# All but the last have real calls.
CALLERS = max(1, WORKERS - 1)


def pytest_configure(config: pytest.Config) -> None:
    """The last of several workers waits for the processors longer than those whose calls keep time."""
    if CALLERS < WORKERS and os.environ.get("PYTEST_XDIST_WORKER") == f"gw{CALLERS}":
        os.nice(5)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Each worker of pytest-xdist but the last has its share of real calls, and begins with it.

    It gives each a run of the list as it stands. Callers and Asterisk keep time; beside several tests that keep the
    processors busy they would be late. While they wait, the last one has the other tests.
    """
    real = [item for item in items if "tree" in getattr(item, "fixturenames", ())]
    known = set(real)
    others = iter([item for item in items if item not in known])
    ordered: list[pytest.Item] = []
    for worker in range(WORKERS):
        if worker < CALLERS:
            ordered += real[len(real) * worker // CALLERS : len(real) * (worker + 1) // CALLERS]
        ordered += islice(others, max(0, len(items) * (worker + 1) // WORKERS - len(ordered)))
    items[:] = [*ordered, *others]


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
