"""The store as commands use it: read beside the service, or written to beside it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from callguard.config import Config
    from callguard.store.columns import HadKeys
    from callguard.store.rights_reader import RightsReader
    from callguard.store.store import Store

T = TypeVar("T")


def read(settings: Config, question: Callable[[RightsReader], Awaitable[T]], *, locked: bool = False) -> T:
    """What the store answers.

    Args:
        locked: where the question needs no number and no name, and so no master key.

    Raises: InputError, StoreError, CannotOpen.
    """
    from callguard.keys import master
    from callguard.store.rights_reader import RightsReader

    async def ask() -> T:
        async with RightsReader.reading(settings.store.path, lambda: master.load(settings), locked=locked) as reader:
            return await question(reader)

    return asyncio.run(ask())


def write(settings: Config, change: Callable[[Store], Awaitable[T]], *, or_locked: bool = False) -> T:
    """What a change of the store came to.

    Args:
        or_locked: where the change needs no number and no name, so that it goes without the master key, too.

    Raises: InputError, StoreError, CannotOpen.
    """
    from callguard.keys import master

    controllers = {name: controller.name for name, controller in settings.controllers.items()}
    return _changed(settings.store.path, controllers, lambda: master.load(settings), change, or_locked=or_locked)


def write_locked(path: Path, change: Callable[[Store], Awaitable[T]]) -> T:
    """As `write`, by no configuration: a change that needs no number, no name, no controller and no master key."""
    return _changed(path, {}, lambda: None, change, or_locked=True)


def _changed(
    path: Path, controllers: Mapping[str, str], keys: HadKeys, change: Callable[[Store], Awaitable[T]], *,
    or_locked: bool,
) -> T:  # fmt: skip
    from callguard.store.store import Store

    async def make() -> T:
        # No gate: the service goes on writing beside this command.
        async with Store.open(path, gate=None, controllers=controllers, keys=keys, or_locked=or_locked) as store:
            return await change(store)

    return asyncio.run(make())
