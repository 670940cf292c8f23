"""Recordings as they are read: clear or encrypted, by those who have the master key."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import BinaryIO

from callguard.keys.beside import sha256_of
from callguard.keys.fault import CannotOpen, Fault
from callguard.keys.master import Masters
from callguard.keys.names import Shelf
from callguard.keys.sealed_file import ContentKey, open_sealed, read_header
from callguard.store.reader import Reader
from callguard.store.records import RecordedFile


async def open_file(
    reader: Reader, masters: Masters | None, shelf: Shelf, name: str, *, encrypted: bool = False
) -> BinaryIO:
    """A recording's file, to be read as the clear one, whichever of the two there is.

    Args:
        encrypted: the store says that it is: so that one is missing where neither is there.

    Raises:
        CannotOpen: there is none, or it cannot be read; also later, by each method that reads.
        StoreError: its key cannot be looked up.
        OSError: it may not be read.
    """
    for sealed in (True, False, True):  # it may be encrypted between the looks
        try:
            if not sealed:
                return shelf.clear(name).open("rb")
            file = shelf.sealed(name)
            return await asyncio.to_thread(open_sealed, file, name, await content_key_of(reader, masters, file))
        except FileNotFoundError:
            continue
    raise CannotOpen(Fault.MISSING, shelf.sealed(name) if encrypted else shelf.clear(name))


async def opening(reader: Reader, masters: Masters | None, shelf: Shelf, name: str) -> Callable[[], BinaryIO]:
    """How a recording's file is opened, as `open_file` does, now and later; what that raises it raises then.

    Raises: StoreError.
    """
    sealed = shelf.sealed(name)
    if not sealed.exists():
        return lambda: shelf.clear(name).open("rb")
    try:
        key = await content_key_of(reader, masters, sealed)
    except (CannotOpen, OSError) as error:
        return partial(_refuse, error)
    return partial(open_sealed, sealed, name, key)


def _refuse(error: CannotOpen | OSError) -> BinaryIO:
    raise error


async def content_key_of(reader: Reader, masters: Masters | None, sealed: Path) -> ContentKey:
    """What an encrypted file is read by. Raises: CannotOpen, StoreError, OSError."""
    with sealed.open("rb") as file:
        header = read_header(file, sealed)
    if masters is None:
        raise CannotOpen(Fault.WRONG_KEY, sealed, "the configuration has no [keys]")
    stored = await reader.content_key(header.content_key)
    if stored is None:
        raise CannotOpen(Fault.NO_KEY, sealed)
    try:
        return masters.content_key(stored)
    except CannotOpen as error:
        raise CannotOpen(error.fault, sealed, error.why) from error


async def faults_of(
    reader: Reader, masters: Masters | None, shelf: Shelf, file: RecordedFile
) -> tuple[CannotOpen, ...]:
    """What is wrong with a kept file; nothing where it is what was kept, to the last bit.

    Raises: StoreError, where its key cannot be looked up.
    """
    clear, sealed = shelf.clear(file.name), shelf.sealed(file.name)
    found: list[CannotOpen] = []
    try:
        opened = await open_file(reader, masters, shelf, file.name, encrypted=file.sealed_with is not None)
        found.extend(await asyncio.to_thread(lambda: tuple(_differs(opened, clear, file))))
    except CannotOpen as error:
        found.append(error)
    except OSError as error:
        found.append(CannotOpen(Fault.UNREADABLE, clear, error.strerror or ""))
    if sealed.exists() and clear.exists():
        found.append(CannotOpen(Fault.CLEAR_COPY, sealed))
    return tuple(found)


def _differs(opened: BinaryIO, path: Path, file: RecordedFile) -> Iterator[CannotOpen]:
    with closing(opened):
        same = sha256_of(opened) == file.sha256 and opened.tell() == file.size
    if not same:
        yield CannotOpen(Fault.DIFFERENT, path)
