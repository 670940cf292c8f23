"""``callguard run``: the service."""

from __future__ import annotations

import asyncio
import faulthandler
import os
import signal
import sys
from datetime import UTC, datetime

import structlog

from callguard import logs
from callguard.cli.options import DEFAULT_CONFIG, ConfigOption
from callguard.core.profile import Flow


def run(path: ConfigOption = DEFAULT_CONFIG) -> None:
    """Serve calls until stopped (SIGTERM or Ctrl-C), when calls that are asking may finish.

    SIGHUP has it read the configuration again.
    """
    from callguard.config import Config
    from callguard.keys import master
    from callguard.notify import Notify
    from callguard.prepare import check_agi_address, prepare
    from callguard.rights.again import erase_again, known
    from callguard.service import Service
    from callguard.store.store import Store

    # From a service manager it asks for a reload; from a terminal it says that the terminal is gone.
    in_terminal = sys.stdin is not None and sys.stdin.isatty()
    if not in_terminal:  # a reload asked for before it can be heeded is no reason to die
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
    settings, flows = prepare(path)
    # Before the store is taken over from a process that may be serving now.
    check_agi_address(settings)
    masters = master.load(settings)
    erased = known(settings)
    logs.configure(settings.log.format, settings.log.level)
    # Where a hung process stood when its watchdog ended it (SIGABRT): functions and lines, no values.
    faulthandler.enable()
    # What is made here is for callguard and Asterisk's group, not for everyone.
    os.umask(0o007)
    notify = Notify.from_environment(os.environ)

    async def serve(settings: Config, flows: dict[str, Flow]) -> None:
        controllers = {name: controller.name for name, controller in settings.controllers.items()}
        folder = str(settings.recording.folder.in_asterisk)
        async with Store.open(
            settings.store.path, gate=settings.asterisk.app, controllers=controllers, folder=folder,
            keys=lambda: masters,
        ) as store:  # fmt: skip
            # Whoever put an older store here: nobody who was erased since is served from it. Until then, and where it
            # cannot be done, calls go on unrecorded.
            if count := await erase_again(store, erased):
                structlog.get_logger().warning("this store is older than erasures: they are done again", people=count)
            if settings.roles is not None:
                await store.govern(datetime.now(UTC))
            service = Service(settings, flows, store, path, notify, masters)
            loop = asyncio.get_running_loop()
            for number in (signal.SIGTERM, signal.SIGINT):
                loop.add_signal_handler(number, service.stop)
            loop.add_signal_handler(signal.SIGHUP, service.stop if in_terminal else service.reload)
            await service.run()

    try:
        asyncio.run(serve(settings, flows))
    finally:
        notify.close()
