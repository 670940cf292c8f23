"""The store: what the service remembers, and what it may act upon once it is remembered."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Self

import aiosqlite

from callguard.errors import StoreError
from callguard.store import actions
from callguard.store.database import open_to_read, open_to_write, prepare, usable
from callguard.store.migrations import known, migrate
from callguard.store.queries import Transaction
from callguard.store.reader import Reader
from callguard.store.records import Kept, LegRecord, OpenRecording
from callguard.store.rows import leg_rows
from callguard.store.times import to_ms
from callguard.store.writer import T, Writer


class Store(Reader):
    """Reads and writes a store on behalf of one gate.

    Every method that writes returns when what it wrote is on the disk, and raises `StoreError` when nothing of it is
    kept: also where the database stays locked by another program, after little more than 2 s. It raises `Fenced` once
    another process has opened the store for the same gate. Called a second time with the same facts, it adds nothing
    (but `save`, which refuses a leg that is there). Times are aware; a naive one is a `ValueError`.
    """

    def __init__(self, reading: aiosqlite.Connection, writer: Writer) -> None:
        super().__init__(reading)
        self._writer = writer

    @classmethod
    @asynccontextmanager
    async def open(cls, path: Path, *, gate: str, controllers: Mapping[str, str]) -> AsyncIterator[Self]:
        """Create or open the store, bring its schema up to date and take the gate.

        From then on a process that took the same gate before writes nothing any more. On leaving, what waits to be
        written is written.

        Args:
            path: the database file; its folder exists.
            gate: name of the service's Stasis app, or of whatever else writes; each name is fenced for itself.
            controllers: name as spoken, by id.

        Raises:
            InputError: the file or its folder cannot be used, or its schema is newer than this program.
            StoreError: another program has locked it.
        """
        prepare(path)
        async with open_to_write(path) as database:
            with usable(path):
                await migrate(database, path, known())
                epoch = await database.transact(partial(_take, gate=gate, controllers=controllers))
            async with open_to_read(path) as reading, Writer(database, gate, epoch) as writer:
                yield cls(reading, writer)

    async def save(self, record: LegRecord) -> None:
        """Keep what the gate of a leg came to: its subject, grants and evidence.

        Raises:
            StoreError: also where the record contradicts itself, its controller is unknown, or the channel's part in
                the call was saved before.
        """
        try:
            rows = leg_rows(record)
        except ValueError as error:
            raise StoreError(f"this leg cannot be saved: {error}") from error
        await self._writer.add(rows)

    async def withdraw(self, leg_id: str, at: datetime, source: str) -> OpenRecording | None:
        """The subject of a leg takes back what they gave on consent, and objects to the rest.

        Args:
            at: when the subject said so.
            source: how: ``key``, ``agent``, ``request``.

        Returns:
            The leg's recording while a file of it may stand, for the caller to destroy what rests on consent alone: at
            its end, or, where `ended_at` says that it is kept already, by `destroy_by` or now. None where there is no
            recording, also for an unknown leg.
        """
        return await self._run(actions.withdraw, leg_id=leg_id, at=to_ms(at), source=source)

    async def recording_kept(self, leg_id: str, kept: Kept, destroy_at: datetime | None) -> None:
        """A recording ended and its files are complete.

        Args:
            destroy_at: when it is to be destroyed; None where nobody has said.

        Raises:
            StoreError: also where the leg was not to be recorded; such a file has no basis and can only be destroyed.
        """
        if not kept.files:
            raise StoreError("a recording that is kept has a file")
        destroy = None if destroy_at is None else to_ms(destroy_at)
        await self._run(actions.keep, leg_id=leg_id, kept=kept, destroy_at=destroy)

    async def recording_absent(self, leg_id: str, at: datetime) -> None:
        """A recording never began (the call was never bridged): it is no longer expected, and has no row."""
        await self._run(actions.miss, leg_id=leg_id, at=to_ms(at))

    async def destroy_by(self, leg_id: str, destroy_at: datetime) -> None:
        """A recording that is kept already is to be destroyed by then; a later time than it has changes nothing."""
        await self._run(actions.hasten, leg_id=leg_id, destroy_at=to_ms(destroy_at))

    async def recording_destroyed(self, leg_id: str, at: datetime, reason: str) -> None:
        """A recording's files are gone. Its row keeps hash and times, or is made where the recording had none yet."""
        await self._run(actions.destroy, leg_id=leg_id, at=to_ms(at), reason=reason)

    async def _run(self, action: Callable[..., T], **arguments: object) -> T:
        return await self._writer.run(partial(action, **arguments))


def _take(transaction: Transaction, gate: str, controllers: Mapping[str, str]) -> int:
    for controller, name in controllers.items():
        transaction.fetch("set_controller", controller=controller, name=name)
    ((epoch,),) = transaction.fetch("take_gate", app=gate)
    return int(epoch)
