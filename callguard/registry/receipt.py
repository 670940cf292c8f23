"""A receipt comes in: what a registry answered about submitted numbers, wholly or not at all."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from callguard.dial_sections import Registry
from callguard.errors import InputError
from callguard.registry.build import FILE_MODE
from callguard.registry.lines import Numbers, contradicted, marked, parsed
from callguard.registry.load import Told, scratch_of, take
from callguard.registry.receipts import Receipts, ReceiptsHead
from callguard.registry.source import opened

# They are sorted in memory, 12 bytes each and some copies.
MOST_NUMBERS = 20_000_000
# What is so much older than it may be says only that a number was submitted once.
FORGOTTEN_AFTER_DAYS = 366


@dataclass(frozen=True, slots=True)
class Received:
    """What a receipt said.

    Attributes:
        submitted: how many different numbers it is about.
        listed: how many of them are listed.
        head: what the file of all receipts says of itself now.
    """

    submitted: int
    listed: int
    head: ReceiptsHead


def receive(
    path: Path, into: Path, names: tuple[str, str], registry: Registry, day: date, *, submitted: Path | None,
    callable_: bool, force: bool, told: Told,
) -> Received:  # fmt: skip
    """Take a registry's answer in. Whoever looks something up goes over to it with the next look.

    Args:
        path: the answer: the numbers that are listed of those submitted; without `submitted`, all of these, each with
            ``,listed`` or ``,callable`` after it.
        into: the file of all receipts of this registry and controller; made where there is none.
        names: of the registry and of the controller.
        day: as of which the answer is.
        callable_: with `submitted`: the answer names those that may be called, and all others are listed.
        force: also believe that none of them is listed.

    Raises:
        InputError: the answer cannot be used, contradicts itself or what was submitted. What was received stays.
        SetupError: it cannot be written, or another import is going on.
    """
    if day > datetime.now(UTC).date() + timedelta(days=1):
        raise InputError(f"the receipt's date, {day}, is yet to come: give --date", file=path)
    if submitted is None:
        numbers, listed = _marked(path, registry, told)
    else:
        numbers, listed = _compared(path, submitted, registry, told, callable_=callable_)
    if not listed.any() and not force:
        raise InputError("it says that none of the numbers is listed: --force takes it anyway", file=path)
    with scratch_of(into) as scratch:
        answers = (np.uint32(day.toordinal() * 2) + listed).astype(np.uint32)
        oldest = day
        if into.exists():
            with Receipts(into, *names) as before:
                old_numbers, old_answers = before.body()
                oldest = max(day, before.head.list_date)
            numbers = np.concatenate([np.frombuffer(old_numbers, "<i8"), numbers])
            answers = np.concatenate([np.frombuffer(old_answers, "<u4"), answers])
        # Of several answers about a number the latest counts, and of the same day the one that it is listed.
        order = np.lexsort((answers, numbers))
        numbers, answers = numbers[order], answers[order]
        keep = np.ones(len(numbers), np.bool_)
        keep[:-1] = numbers[1:] != numbers[:-1]
        keep &= answers >> 1 >= oldest.toordinal() - registry.max_age_days - FORGOTTEN_AFTER_DAYS
        head, made = _write(numbers[keep], answers[keep], names, scratch / "receipts")
        take(made, into)
    return Received(len(listed), int(np.count_nonzero(listed)), head)


def _marked(path: Path, registry: Registry, told: Told) -> tuple[Numbers, NDArray[np.bool_]]:
    with opened(path) as source:
        found = _all(path, marked(source, registry.calling_codes), told, source.size)
    numbers = np.unique(np.abs(found))
    if not len(numbers):
        raise InputError("there is no number in it", file=path)
    listed = np.unique(-found[found < 0])
    if len(listed) + len(np.unique(found[found > 0])) != len(numbers):
        # Read again, for the line.
        with opened(path) as source:
            _all(path, contradicted(source, registry.calling_codes, listed), told, source.size)
        raise InputError("it was changed while it was read: try again", file=path)
    return numbers, np.isin(numbers, listed, assume_unique=True)


def _compared(
    path: Path, submitted: Path, registry: Registry, told: Told, *, callable_: bool
) -> tuple[Numbers, NDArray[np.bool_]]:
    read = []
    for file in (submitted, path):
        with opened(file) as source:
            lines = parsed(source, registry.format, registry.calling_codes)
            read.append(np.unique(_all(file, lines, told, source.size)))
    numbers, answered = read
    if not len(numbers):
        raise InputError("there is no number in it", file=submitted)
    if strangers := int(np.count_nonzero(~np.isin(answered, numbers, assume_unique=True))):
        problem = f"{strangers} of its {len(answered)} numbers were not submitted: is it the answer to {submitted}?"
        raise InputError(problem, file=path)
    return numbers, np.isin(numbers, answered, assume_unique=True) != callable_


def _all(path: Path, chunks: Iterable[tuple[int, Numbers]], told: Told, of: int) -> Numbers:
    found, done, count = [np.zeros(0, np.int64)], 0, 0
    for size, numbers in chunks:
        done, count = done + size, count + len(numbers)
        if count > MOST_NUMBERS:
            raise InputError(f"more than {MOST_NUMBERS} numbers: submit fewer at once", file=path)
        told("Reading", done, of)
        found.append(numbers)
    return np.concatenate(found)


def _write(
    numbers: Numbers, answers: NDArray[np.uint32], names: tuple[str, str], made: Path
) -> tuple[ReceiptsHead, Path]:
    body = numbers.astype("<i8").tobytes() + answers.astype("<u4").tobytes()
    latest = date.fromordinal(int(answers.max()) >> 1)
    head = ReceiptsHead(
        *names, latest, datetime.now(UTC), len(numbers), int(np.count_nonzero(answers & 1)),
        hashlib.sha256(body).digest(),
    )  # fmt: skip
    with made.open("wb") as file:
        os.fchmod(file.fileno(), FILE_MODE)
        file.write(head.pack())
        file.write(body)
        file.flush()
        os.fsync(file.fileno())
    return head, made
