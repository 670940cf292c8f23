"""The store: what the service remembers, and what it may act upon once it is remembered."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Self

import aiosqlite

from callguard.core.conversation import Why
from callguard.core.evidence import Value
from callguard.core.incidents import Incident
from callguard.core.model import Heard, Purpose
from callguard.errors import StoreError
from callguard.store import actions, agents, column_sealing, content_keys, data_keys, incidents, segments
from callguard.store.access_store import AccessStore
from callguard.store.at_once import AtOnce, open_at_once
from callguard.store.columns import ColumnKeys, Columns, HadKeys, no_keys
from callguard.store.database import Database, open_to_read, open_to_write, prepare, usable
from callguard.store.ledger_store import LedgerStore
from callguard.store.migrations import known, migrate
from callguard.store.queries import Transaction, fetch
from callguard.store.records import FileToSeal, Kept, LegRecord, OpenRecording, StoredContentKey, StoredDataKey
from callguard.store.rights_store import RightsStore
from callguard.store.rows import leg_rows
from callguard.store.times import to_ms
from callguard.store.writer import Writer


class Store(RightsStore, AccessStore, LedgerStore):
    """Reads and writes a store on behalf of one gate, or as a command beside it.

    Every method that writes returns when what it wrote is on the disk, and raises `StoreError` when nothing of it is
    kept: also where the database stays locked by another program, after little more than 2 s. It raises `Fenced` once
    another process has opened the store for the same gate. Called a second time with the same facts, it adds nothing
    (but `save`, which refuses a leg that is there). Times are aware; a naive one is a `ValueError`.

    Attributes:
        on_incident: is told of each incident that is kept, whoever has found it.
    """

    def __init__(
        self, reading: aiosqlite.Connection, at_once: AtOnce, writer: Writer, columns: Columns, path: Path,
        folder: str | None = None,
    ) -> None:  # fmt: skip
        super().__init__(reading, at_once, writer)
        self._columns = columns
        self._path = path
        self._folder = folder
        self.on_incident: Callable[[Incident], None] = lambda kind: None

    @classmethod
    @asynccontextmanager
    async def open(
        cls, path: Path, *, gate: str | None, controllers: Mapping[str, str], folder: str | None = None,
        keys: HadKeys = no_keys, or_locked: bool = False, updates: bool = False,
    ) -> AsyncIterator[Self]:  # fmt: skip
        """Create or open the store, bring its schema up to date and take the gate.

        From then on a process that took the same gate before writes nothing any more. On leaving, what waits to be
        written is written.

        Args:
            path: the database file; its folder exists.
            gate: name of the service's Stasis app, or of whatever else writes; each name is fenced for itself. None
                for a command, which writes beside the service and other commands, and neither fences nor is fenced.
            controllers: name as spoken, by id.
            folder: where this gate's recordings are made, as Asterisk names it.
            keys: the master keys of the configuration. A gate that has them, and finds a store without keys, encrypts
                its columns from then on; what is there already, `seal_columns` does.
            or_locked: for a command that writes no number and no name: where `keys` does not open the store's, it is
                open all the same, and refuses what would have to be encrypted; who does something has no name then.
            updates: a command may update an older store, which no service has open. A gate always does.

        Raises:
            InputError: the file or its folder cannot be used, its schema is newer than this program, or older and no
                gate is taken, or its columns are encrypted and `keys` has none.
            StoreError: another program has locked it.
            CallguardError: none of the keys opens the store's; the gate is not taken then.
        """
        prepare(path)
        columns = Columns()
        async with open_to_write(path, columns) as database:
            with usable(path):
                await migrate(database, path, known(), older_too=updates or gate is not None)
                await _unlock(database, columns, keys, path, begin=gate is not None, or_lock=or_locked)
                epoch = await database.transact(partial(_take, gate=gate, controllers=controllers))
            async with open_to_read(path, columns) as reading, Writer(database, gate, epoch, columns) as writer:
                with open_at_once(path, columns) as at_once:
                    yield cls(reading, at_once, writer, columns, path, folder)

    async def writable(self) -> None:
        """Whether what is written now would be kept. Raises: StoreError, as writing would."""
        await self._run(_rewrite)

    async def know(self, controllers: Mapping[str, str]) -> None:
        """Name the controllers, by id, that were not given when the store was opened, or have another name now."""
        await self._run(_name, controllers=controllers)

    async def use_keys(self, keys: ColumnKeys | None) -> None:
        """From now on columns are encrypted, where there are keys.

        Raises:
            InputError: they are, and there is none.
            CallguardError: none of these opens the store's. Nothing changes then.
        """
        stored = await self.data_keys()
        if not stored and keys is not None:
            new = keys.new_data_keys()
            self._columns.expect(new, keys.column_cipher(new))
            stored = await self._run(data_keys.begin, keys=new)
        self._columns.unlock(stored, lambda: keys, self._path)

    async def seal_columns(self, most: int) -> bool:
        """Encrypt the next rows of what was there before the keys, in a transaction of their own.

        Returns:
            Whether there were any.
        """
        return self._columns.sealing and await self._run(column_sealing.some, most=most)

    async def columns_sealed(self) -> bool:
        """Make sure that nothing is left in the clear, once `seal_columns` has found no more.

        Returns:
            Whether that is so. Where not, there is something to seal again, or the database is so large that calls
            would wait while it is rewritten (`clean`).

        Raises:
            StoreError: others have the database just now.
        """
        # All rows are looked at: over a connection of its own, so that nobody's question waits.
        async with open_to_read(self._path) as connection:
            left = sum(row["clear"] for row in await fetch(connection, "clear_columns"))
        if left:
            await self._run(column_sealing.again)
            return False
        if self._path.stat().st_size <= column_sealing.AT_ONCE_BYTES:
            return await self.clean()
        await asyncio.to_thread(column_sealing.cut_log, self._path)
        return False

    async def clean(self) -> bool:
        """Rewrite the database where something of before may lie in its pages still; nobody can write meanwhile.

        Returns:
            Whether nothing is left in the clear now. Not before all rows are encrypted.

        Raises:
            StoreError: others have the database just now.
        """
        if any(what != column_sealing.PAGES for what in await self.columns_to_seal()):
            return False
        if await self.columns_to_seal():
            await asyncio.to_thread(column_sealing.rewrite, self._path)
            await self._run(column_sealing.finished)
        return True

    async def save(self, record: LegRecord) -> None:
        """Keep what the gate of a leg came to: its subject, grants and evidence.

        Raises:
            StoreError: also where the record contradicts itself, its controller is unknown, or the channel's part in
                the call was saved before.
        """
        try:
            rows = leg_rows(record, self._folder)
        except ValueError as error:
            raise StoreError(f"this leg cannot be saved: {error}") from error
        await self._writer.add(rows)

    async def agree(
        self,
        leg_id: str,
        at: datetime,
        purposes: tuple[Purpose, ...],
        key: str,
        file: str,
        *,
        heard: tuple[Heard, ...] = (),
        knows: str | None = None,
    ) -> bool:
        """The subject of a leg that was saved without recording gives purposes by a key in the call.

        From then on the leg's recording is expected.

        Args:
            at: when the key was pressed.
            purposes: what it gives, one at least; they rest on consent. Of those given already none is added.
            key: the key or keys.
            file: the recording's name without folder and extension; no number in it.
            heard: the notice that was heard again in the call: the essential part, then what has changed in it. Such a
                yes may follow a withdrawal, once the files of what was withdrawn are gone; their row goes then, their
                evidence stays.
            knows: the version of the controller's notice that they know from then on, as `Save` has it.

        Returns:
            Whether to record. Not where the leg is unknown, was withdrawn, or is or was recorded; nothing is kept then.

        Raises:
            StoreError: also where no purpose, another basis or no file is given.
        """
        return await self._run(
            actions.agree,
            leg_id=leg_id,
            at=to_ms(at),
            purposes=purposes,
            key=key,
            file=file,
            folder=self._folder,
            heard=heard,
            knows=knows,
        )

    async def object_to(self, leg_id: str, at: datetime, source: str) -> None:
        """The subject of a leg objects to a recording that goes on all the same: evidence, and nothing else.

        Args:
            source: how: ``key``, ``agent``, ``request``. The same within 3 s is one objection.
        """
        await self._run(actions.object_to, leg_id=leg_id, at=to_ms(at), source=source)

    async def withdraw(self, leg_id: str, at: datetime, source: str) -> OpenRecording | None:
        """The subject of a leg takes back what they gave on consent, and objects to the rest.

        Where nothing was given it is noted all the same: this leg is not recorded any more.

        Args:
            at: when the subject said so.
            source: how: ``key``, ``agent``, ``request``.

        Returns:
            The leg's recording while a file of it may stand, for the caller to destroy what rests on consent alone: at
            its end, or, where `ended_at` says that it is kept already, by `destroy_by` or now. None where there is no
            recording, also for an unknown leg.
        """
        return await self._run(actions.withdraw, leg_id=leg_id, at=to_ms(at), source=source)

    async def segment_begun(self, leg_id: str, number: int, at: datetime, why: Why) -> None:
        """A further part of a leg's recording may begin. Evidence of both times: see `segment_ended`."""
        await self._run(segments.begin, leg_id=leg_id, number=number, at=to_ms(at), why=why)

    async def segment_ended(
        self, leg_id: str, number: int, began_at: datetime | None, at: datetime, why: Why, cut_ms: int = 0
    ) -> None:
        """A part of a leg's recording has ended before its call.

        Args:
            began_at: of segment 0, if it is known.
            cut_ms: what was captured in its last milliseconds is no part of the recording.
        """
        began = None if began_at is None else to_ms(began_at)
        await self._run(
            segments.end, leg_id=leg_id, number=number, began_at=began, at=to_ms(at), why=why, cut_ms=cut_ms
        )

    async def heard_beside(self, leg_id: str, others: Collection[str], at: datetime) -> None:
        """Other persons may be heard in a leg's recording, from `at` on at the latest.

        Args:
            others: their legs' ids, or what another gate's are known by here.
        """
        await self._run(segments.heard_beside, leg_id=leg_id, others=others, at=to_ms(at))

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

    async def quarantine(self, leg_id: str, at: datetime, reason: str) -> None:
        """A leg's files were set aside for somebody to look into; callguard neither keeps nor destroys them any more.

        Its row keeps hash and times, or is made where the recording had none yet. What is destroyed stays so.
        """
        await self._run(incidents.quarantine, leg_id=leg_id, at=to_ms(at), reason=reason)

    async def ensure_content_keys(self, keys: Sequence[StoredContentKey]) -> tuple[StoredContentKey, ...]:
        """Each one's subject has a content key from now on: this one, or the one that they have. Returns: those."""
        return await self._run(content_keys.ensure, keys=keys)

    async def rewrap(self, keys: Sequence[StoredContentKey]) -> None:
        """Content keys are wrapped by another master key from now on: all of these, or none.

        The database is locked meanwhile, for 10 to 20 µs a key.
        """
        await self._run(content_keys.rewrap, keys=keys)

    async def ensure_quarantine_key(self, key: StoredContentKey) -> StoredContentKey:
        """What files in quarantine are encrypted by: this key, where there is none yet. Returns: the store's."""
        return await self._run(content_keys.ensure_of_quarantine, key=key)

    async def rewrap_quarantine_key(self, key: StoredContentKey) -> None:
        """The key of the quarantine is wrapped by another master key from now on."""
        await self._run(content_keys.rewrap_of_quarantine, key=key)

    async def rewrap_data_keys(self, keys: Sequence[StoredDataKey]) -> None:
        """The keys of the columns are wrapped by another master key from now on: all of these, or none."""
        await self._run(data_keys.rewrap, keys=keys)

    async def destroy_content_key(self, subject_id: str) -> None:
        """Nothing that is encrypted for a subject can be read any more; what comes later gets a key of its own."""
        await self._run(content_keys.destroy, subject_id=subject_id)

    async def files_sealed(self, files: Sequence[FileToSeal]) -> tuple[FileToSeal, ...]:
        """These files of kept recordings are encrypted, each as its `sealed_with` says.

        Returns:
            Those of them whose recordings are kept still; of the others nothing is to be left.
        """
        return await self._run(content_keys.sealed, files=files)

    async def incident(
        self,
        kind: Incident,
        at: datetime,
        detail: Mapping[str, Value],
        leg_id: str | None = None,
        controller: str | None = None,
    ) -> str:
        """Something went wrong that somebody has to look into.

        Args:
            detail: facts that have a canonical form (`core.evidence`); never a number, a name or what holds one.
            leg_id: the leg that it concerns, if one of ours; its controller stands for `controller` then.

        Returns:
            Its id.

        Raises:
            StoreError: also where there is no such leg or controller, or the detail has no canonical form.
        """
        incident_id, is_new = await self._run(
            incidents.incident, kind=kind, at=to_ms(at), detail=detail, leg_id=leg_id, controller=controller
        )
        if is_new:
            self.on_incident(kind)
        return incident_id

    async def agent_grants_it(self, name: str, agreement: str, at: datetime) -> bool:
        """An agent grants that their side of calls is recorded.

        Args:
            agreement: to what: its reference, which stands in the evidence, so no name is in it.

        Returns:
            Whether that is new. One for another agreement takes the place of the one before.
        """
        return await self._run(agents.grant, name=name, agreement=agreement, at=to_ms(at))

    async def agent_revokes_it(self, name: str, at: datetime) -> bool:
        """An agent takes the grant back. Returns: whether there was one in force."""
        return await self._run(agents.revoke, name=name, at=to_ms(at))


def _rewrite(transaction: Transaction) -> None:
    """Write, and change nothing: who writes nothing does not find a disk that has turned read-only."""
    transaction.fetch("move_epochs", by=1)
    transaction.fetch("move_epochs", by=-1)


def _name(transaction: Transaction, controllers: Mapping[str, str]) -> None:
    for controller, name in controllers.items():
        transaction.fetch("set_controller", controller=controller, name=name)


async def _unlock(
    database: Database, columns: Columns, keys: HadKeys, path: Path, *, begin: bool, or_lock: bool
) -> None:
    """Seal and open by the store's keys; where it has none, and there are some to begin with, by new ones."""
    stored = await database.transact(data_keys.all_of_them, lock=False)
    if begin and not stored and (had := keys()) is not None:
        stored = await database.transact(partial(data_keys.begin, keys=had.new_data_keys()))
    columns.unlock(stored, keys, path, or_lock=or_lock)


def _take(transaction: Transaction, gate: str | None, controllers: Mapping[str, str]) -> int:
    _name(transaction, controllers)
    if gate is None:
        return 0
    ((epoch,),) = transaction.fetch("take_gate", app=gate)
    return int(epoch)
