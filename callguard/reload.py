"""A new configuration, taken while calls go on: read whole, checked whole, then in force for the calls that begin."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from pathlib import Path

import structlog

from callguard.ari_calls import AriCalls
from callguard.column_sealing import ColumnSealing
from callguard.current import Current
from callguard.dialplan import Dialplan
from callguard.errors import InputError, TelephonyError
from callguard.keys import master
from callguard.policies.load import load as load_law
from callguard.prepare import prepare, reloaded
from callguard.registry.lists import Lists
from callguard.sealing import Sealing
from callguard.store.store import Store
from callguard.telephony.ari_door import CLAIM_MS
from callguard.telephony.recording import Recordings

log = structlog.get_logger()


class Reload:
    """Takes it, and has everybody told who keeps a part of the one before.

    Args:
        path: of the configuration.
    """

    def __init__(
        self,
        path: Path,
        current: Current,
        store: Store,
        dialplan: Dialplan,
        ari: AriCalls,
        lists: Lists,
        recordings: Recordings,
        sealing: Sealing,
        columns: ColumnSealing,
    ) -> None:
        self._path = path
        self._current = current
        self._store = store
        self._dialplan = dialplan
        self._ari = ari
        self._lists = lists
        self._recordings = recordings
        self._sealing = sealing
        self._columns = columns

    async def take(self) -> None:
        """Read it again. Raises: CallguardError, and then nothing has changed."""
        read, flows = await asyncio.to_thread(prepare, self._path)
        if not self._current.fits(flows):
            raise InputError("purposes change, and the name is too long to tell them apart", field="asterisk.app")
        if self._current.too_soon(flows):
            raise InputError("purposes have changed too often in the last half hour: try again later", field="profiles")
        masters = await asyncio.to_thread(master.load, read)
        config, waiting = reloaded(self._current.config, read)
        book = await asyncio.to_thread(load_law, config)
        await asyncio.to_thread(book.learn)
        await self._store.use_keys(masters)
        await self._store.know({name: controller.name for name, controller in config.controllers.items()})
        if config.roles is not None:
            await self._store.govern(datetime.now(UTC))
        client = self._ari.client
        try:
            if client is not None and await self._dialplan.lengthen_leases(client, flows):
                # Who has begun with the shorter lease is claimed by then.
                await asyncio.sleep(CLAIM_MS / 1000)
        except TelephonyError:
            client = None  # told when it is back
        self._current.replace(config, flows, book)
        await self._lists.open(config)
        self._recordings.destroy_withdrawn_after(config.recording.destroy_withdrawn_after_s)
        self._sealing.use(masters)
        self._columns.look_soon()
        log.info("configuration reloaded", profiles=len(flows))
        if waiting:
            log.warning("these settings wait for a restart and stay as they were", settings=", ".join(waiting))
        client = self._ari.client
        if client is not None:
            try:
                await self._dialplan.tell(client)
                await self._dialplan.warn_of_no_diversion(client)
            except TelephonyError as error:
                log.warning("the dialplan is told of the new configuration when ARI is back", problem=str(error))
