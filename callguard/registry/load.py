"""An import: a list, or a change file, as a registry gives it out comes into force, whole or not at all."""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

from callguard.dial_sections import Registry
from callguard.errors import InputError, SetupError
from callguard.registry.build import build, write
from callguard.registry.lines import Numbers, changes, parsed
from callguard.registry.merge import Changes, last_of_each, merged
from callguard.registry.number_set import Head, NumberSet
from callguard.registry.source import Source, opened
from callguard.registry.xml_list import xml_numbers

# They are sorted in memory; a change file is of a day, or of some weeks.
MOST_CHANGES = 10_000_000

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
    with opened(path, several=True) as source:
        before = _in_force(into)
        head = Head(name, _day(source, day, before, force), datetime.now(UTC), 0, 0, 0, b"")
        with scratch_of(into) as scratch:
            head, made = build(head, _counted(source, registry, told), scratch, lambda done: told("Writing", done, 100))
            _check(head, path, before, force)
            take(made, into)
    return head, before


def update(
    path: Path, into: Path, name: str, registry: Registry, day: date | None, since: date | None, told: Told
) -> tuple[Head, Head, Changes]:
    """Bring the list in force up to a later day by a change file. Whoever looks something up goes on meanwhile.

    Args:
        into: the list in force; it is read to its end before anything is made of it.
        day: as of which day the changed list is; by default that of the file in its archive, or the file's own.
        since: of which day the list has to be that is changed; None for any before `day`.

    Returns:
        What the list says of itself, what it said before, and what the changes came to.

    Raises:
        InputError, SetupError: as for `load`; and there is no list yet, or the days do not follow one another.
    """
    with opened(path) as source, scratch_of(into) as scratch, NumberSet.verified(into, name) as before:
        head = Head(name, _next_day(source, day, since, before.head), datetime.now(UTC), 0, 0, 0, b"")
        counted = Changes()
        changed = last_of_each(_few_enough(source, registry, told), counted)
        if not len(changed):
            raise InputError("there is no number in it", file=path)
        parts = max(1, len(before.prefixes))
        blocks = merged(before, changed, counted)
        head, made = write(head, blocks, scratch / "list", lambda done: told("Writing", min(done, parts), parts))
        if head.numbers * 2 < before.head.numbers:
            problem = f"it would leave {head.numbers} of {before.head.numbers} numbers: import the whole list instead"
            raise InputError(problem, file=path)
        take(made, into)
        return head, before.head, counted


def _few_enough(source: Source, registry: Registry, told: Told) -> Iterator[Numbers]:
    if registry.format == "nanp" and source.is_xml:
        raise InputError("change files in XML are not known: fetch it as text", file=source.path)
    done = lines = 0
    for size, numbers in changes(source, registry.format, registry.calling_codes):
        done, lines = done + size, lines + len(numbers)
        if lines > MOST_CHANGES:
            problem = f"more than {MOST_CHANGES} changes: import the whole list instead"
            raise InputError(problem, file=source.path)
        told("Reading", done, source.size)
        yield numbers


def _next_day(source: Source, given: date | None, since: date | None, before: Head) -> date:
    day = _day(source, given, None, force=False)
    if since is not None and since != before.list_date:
        problem = f"it changes the list of {since}, and the one in force is of {before.list_date}"
        raise InputError(problem, file=source.path)
    if day <= before.list_date:
        problem = f"the change file is of {day}, and the list in force of {before.list_date} already: give --date"
        raise InputError(problem, file=source.path)
    return day


def _counted(source: Source, registry: Registry, told: Told) -> Iterator[Numbers]:
    done = 0
    is_xml = registry.format == "nanp" and source.is_xml
    found = xml_numbers(source) if is_xml else parsed(source, registry.format, registry.calling_codes)
    for size, numbers in found:
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
def scratch_of(file: Path) -> Iterator[Path]:
    """`_scratch` beside a file. Raises: SetupError, where that cannot be written to."""
    try:
        with _scratch(file.parent) as scratch:
            yield scratch
    except OSError as error:
        raise SetupError(f"{file.parent} cannot be written to: {error.strerror}") from error


def take(made: Path, into: Path) -> None:
    """Put a file that is whole and on the disk in the place of the one in force."""
    made.replace(into)
    _sync(into.parent)


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
