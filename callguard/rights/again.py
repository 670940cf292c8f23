"""Who was erased stays erased, whichever store is put in the place of the one that did it (R55).

A store from a backup knows nothing of the erasures since. They stand beside it, and in copies: whoever is among them
and not erased in the store is erased again, before anything is served from it.
"""

from __future__ import annotations

from callguard.config import Config
from callguard.rights import tombstones
from callguard.rights.tombstones import Tombstone
from callguard.store.store import Store


def known(config: Config) -> tuple[Tombstone, ...]:
    """Everybody who was erased, as far as is known here: beside the store, and in the copies that are there now.

    Raises:
        InputError: one of the files cannot be read, or a line of it is none.
    """
    copies = () if config.backup is None else config.backup.erasures
    found = {one.subject_id: one for file in copies for one in tombstones.read(file)}
    found |= {one.subject_id: one for one in tombstones.read(tombstones.place(config))}
    return tuple(found.values())


async def erase_again(store: Store, erased: tuple[Tombstone, ...]) -> int:
    """Erase in a store whoever was erased and is not there. Returns: how many of them there were.

    Their recordings cannot be read any more when this returns; a running callguard removes the files.

    Raises:
        StoreError: not all of them are erased; nothing may be served.
    """
    by_id = {one.subject_id: one for one in erased}
    there = await store.not_erased(tuple(by_id))
    for subject_id in there:
        one = by_id[subject_id]
        await store.erase(subject_id, one.at, proof=one.proof)
    return len(there)
