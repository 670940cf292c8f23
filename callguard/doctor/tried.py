"""What only Asterisk itself can show, done in `[callguard-doctor]` by a Local channel that is never answered."""

from __future__ import annotations

import asyncio
import os
import re
import stat
import time
from collections.abc import Awaitable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import TypeVar
from uuid import uuid4

from callguard.config import Config
from callguard.doctor import dialplan
from callguard.doctor.facts import Known, Recorded, Step, Tried, Unknown
from callguard.doctor.manager import Manager
from callguard.errors import CallguardError, TelephonyError
from callguard.setup.emergency import EVERYWHERE, of_region
from callguard.speech.catalogue import Catalogue
from callguard.telephony import ari
from callguard.telephony import ari_wire as wire
from callguard.telephony.recording import TRIED

T = TypeVar("T")

CONTEXT = "callguard-doctor"
OUTCOME = "CALLGUARD_DOCTOR"
ORIGINATE = wire.Operation(
    "channels", "originate", "POST", "channels", frozenset({"endpoint", "context", "extension", "timeout"})
)  # fmt: skip
WITHIN_S, LOOK_EVERY_S = 3.0, 0.05
# A prompt that cannot be opened has failed long before.
PLAYS_S = 0.4
# A look has long removed its own file by then.
LEFT_OVER_S = 60.0
MOST_NUMBERS = 200


class _Failed(Exception):
    """The dialplan did not come to its end."""


def nothing_tried(why: Unknown | None) -> Tried:
    """Where Asterisk cannot be asked."""
    why = why or Unknown("nothing could be tried")
    return Tried(why, why, why, why)


async def try_out(client: ari.Client, manager: Manager, config: Config, steps: Known[tuple[Step, ...]]) -> Tried:
    """Try it all, one after another."""
    try:
        there = await manager.variable(f"DIALPLAN_EXISTS({CONTEXT},record,1)")
    except TelephonyError as error:
        return nothing_tried(Unknown(f"AMI: {error}"))
    if there != "1":
        return nothing_tried(Unknown(f"no current dialplan/callguard.conf is loaded: it has no [{CONTEXT}]"))
    attempt = _Attempt(client, manager)
    try:
        emergency = await _known(_emergency(attempt, config, () if isinstance(steps, Unknown) else steps))
        sounds = await _known(_sounds(attempt, config))
        manager.events.clear()
        recorded = await _known(_recorded(attempt, config))
        return Tried(emergency, await _known(_events(attempt)), sounds, recorded)
    finally:
        await _known(attempt.forget())


class _Attempt:
    """Extensions of `[callguard-doctor]`, run one at a time."""

    def __init__(self, client: ari.Client, manager: Manager) -> None:
        self._client = client
        self.manager = manager
        # Whoever else looks at the same time, with the same account, has another.
        self._look = uuid4().hex
        self._outcome = f"{OUTCOME}_{self._look}"

    async def run(self, extension: str, file: str = "", *, until: float = 0.0) -> str:
        """What it left in its global; `until` gives it time to change its mind, in seconds.

        Raises: _Failed, TelephonyError.
        """
        await self.forget()
        target = {"endpoint": f"Local/{extension}@{CONTEXT}/n", "context": CONTEXT, "extension": "none", "timeout": "5"}
        # No record of a call that was none.
        variables = {"CDR_PROP(disable)": "1", "CG_LOOK": self._look, "CG_TRIED": file}
        begun = await self._client.ask(ORIGINATE, {}, target, {"variables": variables})
        try:
            for _ in range(round(WITHIN_S / LOOK_EVERY_S)):
                await asyncio.sleep(LOOK_EVERY_S)
                if await self.manager.variable(self._outcome):
                    await asyncio.sleep(until)
                    return await self.manager.variable(self._outcome)
        finally:
            # One that has ended by itself is refused, and that is as good.
            await self._client.channels.get(str(begun["id"])).hang_up()
        raise _Failed(f"{extension}@{CONTEXT} did not come to its end within {WITHIN_S:.0f} s")

    async def forget(self) -> None:
        """Remove what the last left."""
        await self._client.asterisk.forget_global(self._outcome)


async def _known(asked: Awaitable[T]) -> Known[T]:
    try:
        return await asked
    except (TelephonyError, _Failed, OSError) as error:
        return Unknown(str(error))


async def _emergency(attempt: _Attempt, config: Config, steps: tuple[Step, ...]) -> Mapping[str, str]:
    ours = {step.extension[1:] for step in steps if step.context == "callguard-emergency"}
    wanted = set(ours)
    for number in wanted_numbers(config):
        wanted |= {number} | dialplan.prefixed(dialplan.foreign(steps), number)
    outcomes = {}
    for number in sorted(number for number in wanted if re.fullmatch(r"[0-9*#+]+", number))[:MOST_NUMBERS]:
        exists = await attempt.manager.variable(f"DIALPLAN_EXISTS(callguard-emergency,x{number},1)")
        outcomes[number] = await attempt.run(f"dial-{number}") if exists == "1" else "missing"
    return outcomes


def wanted_numbers(config: Config) -> frozenset[str]:
    """The emergency numbers of the countries that are called from."""
    regions = {profile.region for profile in config.profiles.values() if profile.region}
    return frozenset(EVERYWHERE).union(*map(of_region, regions))


async def _events(attempt: _Attempt) -> frozenset[str]:
    await attempt.run("events", until=0.1)
    return frozenset(attempt.manager.events)


async def _sounds(attempt: _Attempt, config: Config) -> Mapping[str, bool]:
    try:
        catalogue = Catalogue.load(config)
    except CallguardError as error:
        raise _Failed(f"the prompts are not built ({error})") from error
    folder = config.prompts.folder.in_asterisk
    # Both places that are played from; who reads one file there reads all.
    first = next(iter(catalogue.entries.values()))
    named = next(f"{language}/{prompt.replace('/', '-')}" for prompt, language in catalogue.entries)
    return {
        file: await attempt.run("sound", file, until=PLAYS_S) == "playing"
        for file in (f"{folder / first.played}", f"{folder / named}")
    }


async def _recorded(attempt: _Attempt, config: Config) -> Recorded:
    folder = config.recording.folder
    if not await asyncio.to_thread(os.access, folder.path_here, os.R_OK | os.W_OK | os.X_OK):
        # Nor could what is tried be removed again.
        raise _Failed(f"{folder.path_here} is not there, or closed to this user (folder.rights)")
    await asyncio.to_thread(remove_left_over, folder.path_here)
    name = f"{TRIED}{uuid4().hex}"
    await attempt.run("record", f"{folder.in_asterisk / name}")
    file = folder.path_here / f"{name}.wav"
    for _ in range(round(1 / LOOK_EVERY_S)):
        if await asyncio.to_thread(file.exists):
            return await asyncio.to_thread(_seen, file)
        await asyncio.sleep(LOOK_EVERY_S)
    return Recorded(seen=False)


def remove_left_over(folder: Path) -> None:
    """Remove what an earlier look could not; another that looks now has written its file just before."""
    for file in folder.glob(f"{TRIED}*.wav"):
        with suppress(OSError):
            if time.time() - file.stat().st_mtime > LEFT_OVER_S:
                file.unlink()


def _seen(file: Path) -> Recorded:
    mode = stat.S_IMODE(file.stat().st_mode)
    # Root may read everything: what counts is whether the group may that callguard's own user is in.
    readable = os.access(file, os.R_OK) and (os.geteuid() != 0 or bool(mode & stat.S_IRGRP))
    try:
        file.unlink()
    except OSError:
        return Recorded(seen=True, readable=readable, removable=False, mode=mode)
    return Recorded(seen=True, readable=readable, removable=True, mode=mode)
