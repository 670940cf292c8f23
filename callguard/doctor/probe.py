"""Gather the facts: by callguard's own two accounts, and from this machine. No root, no Asterisk's host needed.

Nothing is changed but a global CALLGUARD_DOCTOR_… and a file, both of this look's own and removed again, and Local
channels that are never answered. While this looks, the dialplan takes our manager session for a running callguard's:
should there be none, a call that arrives in these seconds waits the 2 s that it waits for a hung one.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Mapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager, suppress
from datetime import UTC, datetime
from typing import TypeVar
from uuid import uuid4

from callguard import shipped_dialplan
from callguard.config import Config, secret
from callguard.doctor import dialplan, here
from callguard.doctor.facts import (
    Ami,
    Ari,
    ConfigFile,
    Endpoint,
    Facts,
    Known,
    Module,
    Section,
    Step,
    Unknown,
)
from callguard.doctor.manager import Manager, Message, connected, value
from callguard.doctor.shipped import steps as steps_of
from callguard.doctor.tried import OUTCOME, nothing_tried, try_out
from callguard.errors import Refused, TelephonyError
from callguard.shipped import shipped
from callguard.telephony import ari
from callguard.telephony import ari_wire as wire

T = TypeVar("T")

PING = wire.Operation("asterisk", "ping", "GET", "asterisk/ping")
INFO = wire.Operation("asterisk", "getInfo", "GET", "asterisk/info")
MODULES = wire.Operation("asterisk", "listModules", "GET", "asterisk/modules")
OPERATIONS = (PING, INFO, MODULES)

FEATURES = ("blindxfer", "atxfer", "disconnect", "parkcall", "automixmon")
# The codes that Asterisk knows while an agent asks somebody else in an attended transfer by code.
IN_TRANSFER = ("atxferswap", "atxferabort", "atxferthreeway", "atxfercomplete")
# The keys in a queue that would leave it, where its exit context has such an extension.
EXITS = ("9", "*9", "*")
# What a look's own application is called.
LOOKING = "doctor-"
# Where FreePBX keeps what its extensions are set to.
FREEPBX = "AMPUSER"
SECRETS = frozenset({"secret", "password"})


async def gather(config: Config) -> Facts:
    """Everything that can be found out.

    Raises:
        InputError: there is no secret to log in with.
    """
    settings = config.asterisk
    ari_secret, ami_secret = secret(config, "ari"), secret(config, "ami")
    ours = (shipped("dialplan") / "callguard.conf").read_text(encoding="utf-8")
    looking_here = asyncio.create_task(here.look(config))
    async with AsyncExitStack() as stack:
        client = await _entered(stack, _answered(settings.ari_url, settings.ari_user, ari_secret))
        manager = await _entered(stack, connected(settings.ami_host, settings.ami_port, settings.ami_user, ami_secret))
        by_ari = client if isinstance(client, Unknown) else await _look_by_ari(client)
        by_ami = (
            manager
            if isinstance(manager, Unknown)
            else await _look_by_ami(manager, config, by_ari.others_looking if isinstance(by_ari, Ari) else 0)
        )
        tried = nothing_tried(
            next((one for one in (client, manager, by_ari, by_ami) if isinstance(one, Unknown)), None)
        )
        if isinstance(by_ari, Ari) and not by_ari.may_write and isinstance(by_ami, Ami):
            tried = nothing_tried(Unknown("the ARI account is read-only"))
        elif (
            isinstance(client, ari.Client) and isinstance(by_ari, Ari)
            and isinstance(manager, Manager) and isinstance(by_ami, Ami)
        ):  # fmt: skip
            tried = await try_out(client, manager, config, by_ami.steps)
    return Facts(config, by_ari, by_ami, tried, await looking_here, shipped_dialplan.marker(ours), steps_of(ours))


async def _entered(stack: AsyncExitStack, connection: AbstractAsyncContextManager[T]) -> Known[T]:
    try:
        return await stack.enter_async_context(connection)
    except TelephonyError as error:
        return Unknown(str(error))


@asynccontextmanager
async def _answered(url: str, user: str, password: str) -> AsyncIterator[ari.Client]:
    """A client whose answers are fed, by a name that no gate has: it would take a running callguard's calls."""
    async with ari.connected(url, user, password, f"{LOOKING}{uuid4().hex[:8]}") as client:
        pump = asyncio.create_task(_pump(client))
        try:
            yield client
        finally:
            pump.cancel()
            await asyncio.wait({pump})


async def _pump(client: ari.Client) -> None:
    with suppress(TelephonyError):
        async for _ in client:
            pass


async def _look_by_ari(client: ari.Client) -> Ari | Unknown:
    try:
        info = await client.ask(INFO, {})
        sent = datetime.now(UTC)
        pong = await client.ask(PING, {})
        middle = sent + (datetime.now(UTC) - sent) / 2
        ahead = datetime.fromisoformat(pong["timestamp"]) - middle
        applications = await client.ask(wire.LIST_APPLICATIONS, {})
        modules: Known[Mapping[str, Module]]
        try:
            modules = {
                str(one["name"]): Module(one["status"] == "Running", int(one["use_count"]))
                for one in await client.ask(MODULES, {})
            }
        except Refused as error:
            modules = Unknown(f"ARI does not list the modules ({error})")
        try:
            await client.asterisk.forget_global(OUTCOME)
            may_write = True
        except Refused:
            may_write = False
        names = frozenset(str(one["name"]) for one in applications)
        return Ari(
            version=str(info["system"]["version"]),
            may_write=may_write,
            modules=modules,
            apps=names - {client.app},
            others_looking=sum(name.startswith(LOOKING) for name in names - {client.app}),
            ahead_ms=ahead.total_seconds() * 1000,
        )
    except (TelephonyError, KeyError, TypeError, ValueError) as error:
        return Unknown(f"ARI answers otherwise than its description says: {error}")


async def _look_by_ami(manager: Manager, config: Config, others_looking: int) -> Ami | Unknown:
    try:
        actions = frozenset(name for name, _ in await manager.ask("ListCommands"))
    except TelephonyError as error:
        return Unknown(str(error))
    user = config.asterisk.ami_user
    # Of a file that may be long, or holds what is none of our business, only the sections that matter.
    files = {
        "features.conf": await _file(manager, "features.conf"),
        "queues.conf": await _file(manager, "queues.conf"),
        "http.conf": await _file(manager, "http.conf", "general"),
        "extensions.conf": await _file(manager, "extensions.conf", "general", "globals"),
        # Whole, but without their secrets: every account that may originate calls.
        "manager.conf": await _file(manager, "manager.conf"),
        "ari.conf": await _file(manager, "ari.conf"),
    }
    steps = await _known(_steps(manager))
    names = {"CALLGUARD_DOOR", "CALLGUARD_MANAGER", "CALLGUARD_NAME_PREFIX", f"CALLGUARD_FOLDER_{config.asterisk.app}"}
    names |= {f"CALLGUARD_DIVERT_{name}" for name in config.profiles}
    if not isinstance(steps, Unknown):
        names |= dialplan.option_variables(dialplan.foreign(steps))
    sessions = await _known(manager.variable(f"AMI_CLIENT({user},sessions)"))
    told = {name: await _known(manager.variable(name)) for name in sorted(names)}
    places = {place for name, place in told.items() if name.startswith("CALLGUARD_DIVERT_") and isinstance(place, str)}
    queues = files["queues.conf"]
    for section in () if isinstance(queues, Unknown) else queues.sections:
        places |= {f"{section.get('context')},{key},1" for key in EXITS if section.get("context")}
    return Ami(
        actions=actions,
        sessions=sessions if isinstance(sessions, Unknown) else sessions_of_callguard(_count(sessions), others_looking),
        files=files,
        globals=told,
        features={name: await _known(manager.variable(f"FEATUREMAP({name})")) for name in FEATURES}
        | {name: await _known(manager.variable(f"FEATURE({name})")) for name in IN_TRANSFER},
        steps=steps,
        endpoints=await _known(_endpoints(manager)),
        exists={place: await _known(_exists(manager, place)) for place in sorted(places - {""})},
        freepbx=await _known(_users(manager)),
    )


def sessions_of_callguard(sessions: int, others_looking: int) -> Known[int]:
    """How many of an account's sessions are neither ours nor those of others who look, as far as that can be told.

    They come and go between the two questions: none is certain only where none is left that could be callguard's.
    """
    left = sessions - 1 - others_looking
    if left <= 0 < sessions - 1:
        return Unknown("another doctor is looking, by the same manager account: look again when it has ended")
    return max(0, left)


async def _users(manager: Manager) -> Mapping[str, str]:
    try:
        listed = await manager.list("DBGetTree", Family=FREEPBX)
    except Refused as error:
        if "not found" in str(error):
            return {}
        raise
    found = {value(one, "Key").removeprefix(f"/{FREEPBX}/"): value(one, "Val") for one in listed}
    return {key: text for key, text in found.items() if "/recording/" in key}


async def _exists(manager: Manager, place: str) -> bool:
    return await manager.variable(f"DIALPLAN_EXISTS({place})") == "1"


async def _known(asked: Awaitable[T]) -> Known[T]:
    try:
        return await asked
    except TelephonyError as error:
        return Unknown(f"AMI: {error}")


async def _file(manager: Manager, name: str, *sections: str) -> Known[ConfigFile]:
    """A configuration file, or some of its sections; without any where it, or they, are missing."""
    found: list[Section] = []
    try:
        for wanted in sections or ("",):
            headers = {"Filename": name, "Category": wanted} if wanted else {"Filename": name}
            with suppress(_Missing):
                found += _sections(await _asked(manager, headers))
    except TelephonyError as error:
        return Unknown(f"AMI: {error}")
    return ConfigFile(tuple(found))


class _Missing(Exception):
    """Asterisk has no such file, or no such section in it."""


async def _asked(manager: Manager, headers: dict[str, str]) -> Message:
    try:
        return await manager.ask("GetConfig", **headers)
    except Refused as error:
        if "not found" in str(error) or "No category" in str(error):
            raise _Missing from error
        raise


def _sections(message: Message) -> list[Section]:
    found: dict[str, tuple[str, list[tuple[str, str]]]] = {}
    for header, text in message:
        kind, _, number = header.partition("-")
        if kind == "Category":
            found[number] = (text, [])
        elif kind == "Line":
            key, _, setting = text.partition("=")
            if key not in SECRETS:
                found[number.partition("-")[0]][1].append((key.strip(), setting.strip()))
    return [Section(name, tuple(lines)) for name, lines in found.values()]


async def _steps(manager: Manager) -> tuple[Step, ...]:
    listed = await manager.list("ShowDialPlan")
    return tuple(
        Step(*(value(one, name) for name in ("Context", "Extension", "Priority", "Application", "AppData")))
        for one in listed
        if value(one, "Application")
    )


async def _endpoints(manager: Manager) -> tuple[Endpoint, ...]:
    try:
        names = [value(one, "ObjectName") for one in await manager.list("PJSIPShowEndpoints")]
    except Refused as error:
        if "No endpoints" in str(error):  # so that there is nothing to look at, and nothing wrong
            return ()
        raise
    found = []
    for name in names:
        for detail in await manager.list("PJSIPShowEndpoint", Endpoint=name.partition("/")[0]):
            if value(detail, "Event") == "EndpointDetail":
                found.append(
                    Endpoint(
                        value(detail, "ObjectName"),
                        value(detail, "DtmfMode"),
                        value(detail, "RedirectMethod"),
                        _is_on(detail, "OneTouchRecording"),
                        _is_on(detail, "SendPai") or _is_on(detail, "SendRpid"),
                    )
                )
    return tuple(found)


def _is_on(message: Message, header: str) -> bool:
    return value(message, header).lower() in {"true", "yes"}


def _count(text: str) -> int:
    return int(text) if text.isdecimal() else 0
