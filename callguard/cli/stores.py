"""The store as commands use it: read beside the service, or written to beside it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from callguard.config import Config
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
    from callguard.store.store import Store

    async def make() -> T:
        controllers = {name: controller.name for name, controller in settings.controllers.items()}
        # No gate: the service goes on writing beside this command.
        async with Store.open(
            settings.store.path, gate=None, controllers=controllers, keys=lambda: master.load(settings),
            or_locked=or_locked,
        ) as store:  # fmt: skip
            return await change(store)

    return asyncio.run(make())
