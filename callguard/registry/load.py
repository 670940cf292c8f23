"""An import: a list as a registry gives it out becomes the list in force, whole or not at all."""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

from callguard.errors import InputError, SetupError
from callguard.registry.build import build
from callguard.registry.lines import Numbers, parsed
from callguard.registry.number_set import Head, NumberSet
from callguard.registry.source import Source, opened
from callguard.sections import Registry

# Told which part of the work it is, how much of it is done, and of how much; 0 where that is not known.
Told = Callable[[str, int, int], None]


def load(
    path: Path, into: Path, name: str, registry: Registry, day: date | None, *, force: bool, told: Told
) -> tuple[Head, Head | None]:
    """Make a file the list in force. Whoever looks something up goes over to it with the next look.

    Args:
        into: the file in force; its folder is made where there is none.
        name: of the registry.
        day: as of which the list is; by default the day of the file in its archive, or the file's own.
        force: also take a list that is older than the one in force, or less than half of it.

    Returns:
        What the list says of itself, and what the one before did, None where there was none that can be read.

    Raises:
        InputError: the list cannot be used, or is not to be taken without `force`. The one in force stays.
        SetupError: it cannot be written, or another import is going on. The one in force stays.
    """
    with opened(path) as source:
        before = _in_force(into)
        head = Head(name, _day(source, day, before, force), datetime.now(UTC), 0, 0, 0, b"")
        try:
            with _scratch(into.parent) as scratch:
                head, made = build(
                    head, _counted(source, registry, told), scratch, lambda done: told("Writing", done, 100)
                )
                _check(head, path, before, force)
                made.replace(into)
                _sync(into.parent)
        except OSError as error:
            raise SetupError(f"{into.parent} cannot be written to: {error.strerror}") from error
    return head, before


def _counted(source: Source, registry: Registry, told: Told) -> Iterator[Numbers]:
    done = 0
    for size, numbers in parsed(source, registry.format, registry.calling_codes):
        done += size
        told("Reading", done, source.size)
        yield numbers


def _day(source: Source, given: date | None, before: Head | None, force: bool) -> date:
    day = given or source.day
    if day is None:
        raise InputError("the archive does not say of which day it is: give --date", file=source.path)
    # Somewhere it is tomorrow already.
    if day > datetime.now(UTC).date() + timedelta(days=1):
        raise InputError(f"the list's date, {day}, is yet to come: give --date", file=source.path)
    if before is not None and day < before.list_date and not force:
        problem = f"the list is of {day}, older than the one in force, of {before.list_date}: --force takes it anyway"
        raise InputError(problem, file=source.path)
    return day


def _check(head: Head, path: Path, before: Head | None, force: bool) -> None:
    if not head.numbers:
        raise InputError("there is no number in it", file=path)
    if before is not None and head.numbers * 2 < before.numbers and not force:
        raise InputError(
            f"it has {head.numbers} numbers, less than half of the {before.numbers} in force, so part of it may be "
            "missing: --force takes it anyway",
            file=path,
        )


def _in_force(path: Path) -> Head | None:
    try:
        with NumberSet(path) as numbers:
            return numbers.head
    except InputError:
        return None


@contextmanager
def _scratch(folder: Path) -> Iterator[Path]:
    """A folder for one import at a time; what one that was killed has left there is removed first."""
    folder.mkdir(exist_ok=True)
    held = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise SetupError(f"another import into {folder} is going on: wait for its end") from error
        scratch = folder / ".importing"
        shutil.rmtree(scratch, ignore_errors=True)
        scratch.mkdir(mode=0o700)
        try:
            yield scratch
        finally:
            shutil.rmtree(scratch, ignore_errors=True)
    finally:
        os.close(held)


def _sync(folder: Path) -> None:
    """That a file was replaced reaches the disk too."""
    held = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(held)
    finally:
        os.close(held)
