"""Who types a command, whether they may, and that what they read is kept before it is shown."""

from __future__ import annotations

import functools
import os
from collections.abc import Awaitable, Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from pydantic import ValidationError

from callguard import config
from callguard.cli.stores import read, write, write_locked
from callguard.core.access import Read
from callguard.core.roles import ANYBODY, Actor, who_may
from callguard.errors import CallguardError, Denied, InputError
from callguard.store.database import is_missing
from callguard.toml_file import read_toml

if TYPE_CHECKING:
    from callguard.config import Config
    from callguard.store.store import Store

ForOption = Annotated[
    str | None,
    typer.Option(
        "--for",
        envvar="CALLGUARD_FOR",
        metavar="PURPOSE",
        help="For what the data are read, such as access_request or complaint; it is kept, with who reads them.",
    ),
]
NO_SAY = "the configuration is neither root's nor of who runs this"


def guard(group: Any, *words: str) -> None:
    """Have every command below ask first whether whoever types it may; one that nobody thought of is nobody's."""
    for name, one in group.commands.items():
        if hasattr(one, "commands"):
            guard(one, *words, name)
        else:
            one.callback = _asking(one.callback, " ".join((*words, name)))


def whoever(settings: Config) -> Actor:
    """Who types this."""
    from callguard.actors import who

    return who(settings.roles, settings.store.path)


def reads(settings: Config, action: str, purpose: str | None, what: Read, *, or_locked: bool = False) -> None:
    """Keep who reads what, and for what, before it is shown.

    Args:
        or_locked: of what can be read without the master key: where that is not here, their roles are kept.

    Raises: InputError, Denied, StoreError.
    """
    from callguard import access

    actor, now = whoever(settings), datetime.now(UTC)
    write(settings, lambda store: access.read(store, settings, actor, action, purpose, what, now), or_locked=or_locked)


def may_read(settings: Config, action: str, purpose: str | None) -> Actor:
    """See that whoever types this may read for this purpose, where what is read is kept by the command itself.

    Raises: InputError, Denied, StoreError.
    """
    from callguard import access

    actor = whoever(settings)
    if why := access.may_not_read(settings, actor, action, purpose):
        write(
            settings, lambda store: access.deny(store, actor, action, purpose, why, datetime.now(UTC)), or_locked=True
        )
    return actor


def hears(
    settings: Config, action: str, purpose: str | None, leg_id: str, own: Collection[str], to: str | None = None
) -> None:
    """As `reads`, of a recording's sound; `own` are its purposes whose basis stands, `to` is who is to have it."""
    from callguard import access

    actor, now = whoever(settings), datetime.now(UTC)
    write(settings, lambda store: access.hear(store, settings, actor, action, purpose, leg_id, own, now, to))


@contextmanager
def hands_over(settings: Config, action: str, purpose: str | None, leg_id: str | None = None) -> Iterator[None]:
    """Where what stands within says that somebody else may not have it, keep that too.

    Raises: InputError, Denied, StoreError.
    """
    actor = may_read(settings, action, purpose)
    try:
        yield
    except Denied as error:
        why, now = str(error), datetime.now(UTC)
        write(settings, lambda store: store.denied(actor, now, action, purpose, why, leg_id))
        raise


def _asking(callback: Callable[..., Any], action: str) -> Callable[..., Any]:
    @functools.wraps(callback)
    def asked(*arguments: Any, **named: Any) -> Any:
        if who_may(action) != ANYBODY and (file := _configuration(named)) is not None:
            _ask(file, action)
        return callback(*arguments, **named)

    return asked


def _configuration(named: dict[str, Any]) -> Path | None:
    """The configuration that a command goes by: it is an option of all but `init`, whose folder has it."""
    from callguard.setup.files import CONFIGURATION

    file = named.get("path") or (named["folder"] / CONFIGURATION if "folder" in named else None)
    return file if file is not None and file.exists() else None


def _ask(file: Path, action: str) -> None:
    """Raises: Denied, where whoever types this may not; InputError, where the roles cannot be read."""
    from callguard import access
    from callguard.access_sections import Roles
    from callguard.actors import may_be_anybodys, who

    _, data = read_toml(file)
    try:
        roles = None if "roles" not in data else Roles.model_validate(data["roles"])
    except ValidationError as error:
        config.load(file)  # which says where the fault is
        raise InputError(str(error), file=file, field="roles") from error
    # The environment is whoever's who types; what it names counts only where the file names nothing that is there.
    named = _store_in(data)
    there = named is not None and not is_missing(named)
    store = named if named is not None and there else Path(os.environ.get("CALLGUARD_STORE__PATH") or named or "")
    if may_be_anybodys(file, store) and (roles is not None or _is_governed(file)):
        # Nothing is done that such a file asks for, as to run a command that prints a key: kept without a name.
        strange = f"{file} is neither root's nor of who runs this, so it does not say who may do what"
        nobody = Actor(who(None, store).name, frozenset())
        raise Denied(f"{action}: {strange}" + _unkept_in({store: []}, _denial(nobody, action, NO_SAY)))
    if roles is None:
        return
    actor = who(roles, store)
    if (why := access.refusal(actor, action)) is None:
        return
    raise Denied(access.said(actor, action, why) + _keep_denial(file, named, _denial(actor, action, why)))


def _denial(actor: Actor, action: str, why: str) -> Callable[[Store], Awaitable[None]]:
    return lambda found: found.denied(actor, datetime.now(UTC), action, None, why)


def _store_in(data: dict[str, Any]) -> Path | None:
    """The store that a configuration's file names."""
    section = data.get("store")
    path = section.get("path") if isinstance(section, dict) else None
    return Path(path) if isinstance(path, str) and path else None


def _keep_denial(file: Path, named: Path | None, keep: Callable[[Store], Awaitable[None]]) -> str:
    """Keep a denial in the store that the file names, and in another that the environment names, whatever is wrong.

    No variable of the environment is a way around it: what cannot be kept with its help is kept without it, by the
    file alone, and without the master key at the worst, so without a name.

    Returns:
        What is to be said of it: that it is not kept, and why; nothing where it is.
    """
    stores: dict[Path, list[Config]] = {} if named is None else {named: []}
    environments: tuple[dict[str, str] | None, ...] = ({}, None)
    for environment in environments:
        try:
            settings = config.load(file, environment)
        except CallguardError:
            continue
        stores.setdefault(settings.store.path, []).append(settings)
    return _unkept_in(stores, keep)


def _unkept_in(stores: Mapping[Path, list[Config]], keep: Callable[[Store], Awaitable[None]]) -> str:
    """Keep a denial in each of these stores, as its configurations open it or without a key; as `_keep_denial`."""
    there = [store for store in stores if not is_missing(store)]
    problems = [problem for store in there if (problem := _kept_in(store, stores[store], keep))]
    if not there:
        problems = [f"there is no {store}" for store in stores] or ["no store is configured"]
    return f" (that it was denied is not kept: {'; '.join(problems)})" if problems else ""


def _kept_in(store: Path, known: list[Config], keep: Callable[[Store], Awaitable[None]]) -> str:
    """Why nothing can be kept in a store; nothing where it is."""
    for settings in known:
        try:
            write(settings, keep)
        except CallguardError:
            continue
        return ""
    try:
        write_locked(store, keep)
    except CallguardError as error:
        return str(error)
    return ""


def _is_governed(file: Path) -> bool:
    """Whether roles were ever in force in the store that a configuration names; what cannot be read is not shown."""
    try:
        # Without the master key too, which the configuration need not name: some things are shown without it.
        return read(config.load(file), lambda reader: reader.is_governed(), locked=True)
    except CallguardError:
        return False
