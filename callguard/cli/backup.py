"""``callguard backup`` and ``callguard restore``: what is needed to go on after this machine is lost."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, BinaryIO

import typer

from callguard import config
from callguard.backup_sections import BACKUP
from callguard.cli.new_file import new_file
from callguard.cli.options import DEFAULT_CONFIG, STDIN, ConfigOption, JsonOption
from callguard.cli.progress import progress
from callguard.cli.stores import write
from callguard.errors import InputError, SetupError

if TYPE_CHECKING:
    from callguard.backup.archive import Archive
    from callguard.config import Config
    from callguard.keys.master import MasterKey
    from callguard.store.store import Store

KeyOption = Annotated[
    Path | None,
    typer.Option("--key", metavar="KEYFILE", help="The backup's key, where the configuration does not name it."),
]


def backup(
    file: Annotated[
        Path | None,
        typer.Argument(
            metavar="FILE",
            help="Where it is written; by default into the configured folder.",
            show_default=False,
        ),
    ] = None,
    with_recordings: Annotated[
        bool, typer.Option("--with-recordings", help="The audio too, encrypted as it lies there.")
    ] = False,
    verify: Annotated[bool, typer.Option("--verify", help="Check a backup that is there; nothing is made.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Replace a file that is there.")] = False,
    key: KeyOption = None,
    print_json: JsonOption = False,
    path: ConfigOption = DEFAULT_CONFIG,
) -> None:
    """Write store, configuration and what was played into one encrypted file, while calls go on, and read it back."""
    from callguard.backup import archive
    from callguard.backup.make import make

    settings = config.load(path)
    if verify:
        if file is None:
            raise InputError("say which", field="FILE")
        _check(settings, file, key, print_json)
        return
    to = file or _named(settings)
    if str(to) == STDIN:
        raise InputError("is no file: what is written is read back", field="FILE")
    keys = _keys(settings, key)
    with progress("Reading the store") as tell, new_file(to, force) as out:
        count = make(
            settings, path, out, keys[0], recordings=with_recordings, tell=lambda done, of: tell("Writing", done, of)
        )
        out.flush()
        with archive.opened(to, os.fdopen(os.dup(out.fileno()), "rb"), keys) as back:
            back.check(lambda done, of: tell("Reading it back", done, of))
            about = back.about
        size = out.seek(0, os.SEEK_END)
    if print_json:
        said = {"file": str(to), "bytes": size, "files": count, **{k: v for k, v in about.items() if k != "files"}}
        typer.echo(json.dumps(said, indent=2))
    else:
        typer.echo(f"{to}: {count} files, {about['entries']} entries of evidence, {size / 1e6:.1f} MB, read back whole")


def restore(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A backup.", show_default=False)],
    check: Annotated[bool, typer.Option("--check", help="Only check it; nothing is changed.")] = False,
    config_only: Annotated[
        Path | None,
        typer.Option("--config-only", metavar="OUT", help="Only write its configuration, for a new machine."),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Set a store that is there aside.")] = False,
    key: KeyOption = None,
    print_json: JsonOption = False,
    path: ConfigOption = DEFAULT_CONFIG,
) -> None:
    """Put a backup in its place: all of it or nothing, with the service stopped. Who was erased since stays erased."""
    from callguard.backup.archive import CONFIG
    from callguard.backup.restore import restore as put_back

    if config_only is not None and key is not None:
        with _opened(file, _keys(None, key)) as archive, new_file(config_only, force) as out:
            out.write(archive.text(CONFIG))
        typer.echo(f"{config_only}: the configuration of the backup; the secrets that it names are not in it")
        return
    if config_only is not None:
        raise InputError("is needed with --config-only", field="--key")
    settings = config.load(path)
    if check:
        _check(settings, file, key, print_json)
        return
    with progress("Checking the backup") as tell, _opened(file, _keys(settings, key)) as archive:
        archive.check(lambda done, of: tell("Checking the backup", done, of))
        done = put_back(settings, archive, force=force, tell=tell)
        differs = archive.text(CONFIG) not in (b"", path.read_bytes())
    unsigned = _sign(settings)
    if print_json:
        said = {
            "made_at": done.made_at.isoformat(), "entries": done.entries, "erased_again": done.erased,
            "taken_over": done.opt_outs, "files": done.files, "aside": done.aside and str(done.aside),
            "not_read": done.unread, "not_signed": unsigned, "other_configuration": differs,
        }  # fmt: skip
        typer.echo(json.dumps(said, indent=2))
        return
    typer.echo(f"Restored: {done.entries} entries of evidence as of {done.made_at.astimezone():%Y-%m-%d %H:%M:%S}")
    typer.echo(f"Erased again: {done.erased} people; files that were missing: {done.files}")
    if done.aside is not None:
        typer.echo(f"The store before is {done.aside}: remove it once nobody needs it, as it has who was erased since")
    if done.opt_outs is not None:
        typer.echo(f"Taken over from it: {done.opt_outs} opt-outs and withdrawals of grants")
    else:
        why = f" (the store before cannot be read: {done.unread})" if done.unread else ""
        typer.echo(
            f"What was said from {done.made_at.astimezone():%Y-%m-%d %H:%M:%S} until now is not in it{why}: add "
            "opt-outs of that time (`callguard optout import`) before anybody is called"
        )
    if differs:
        typer.echo("The configuration is another one than when the backup was made, and is left as it is")
    if unsigned:
        typer.echo(f"The ledger is not signed yet: {unsigned}", err=True)


def _check(settings: Config, file: Path, key: Path | None, print_json: bool) -> None:
    from callguard.backup.restore import check as check_store
    from callguard.backup.restore import checking

    with progress("Checking the backup") as tell, _opened(file, _keys(settings, key)) as archive:
        archive.check(lambda done, of: tell("Checking the backup", done, of))
        with checking(archive, settings.store.path.parent) as copy:
            entries = check_store(archive, copy, lambda done, of: tell("Checking its ledger", done, of))
        about = archive.about
    if print_json:
        said = {k: v for k, v in about.items() if k != "files"}
        typer.echo(json.dumps({"file": str(file), "whole": True, "files": len(archive.files), **said}, indent=2))
    else:
        when = datetime.fromisoformat(about["made_at"]).astimezone()
        typer.echo(f"{file}: whole, made {when:%Y-%m-%d %H:%M:%S}; {len(archive.files)} files, {entries} entries")


def _sign(settings: Config) -> str:
    """Have the restored ledger signed, where its key is here; what keeps it from that."""
    from callguard.errors import CallguardError
    from callguard.ledger.checkpoints import make

    if not settings.ledger_key_file.exists():
        return "its key is not here: put its copy there, and then `callguard ledger checkpoint --after-restore`"

    async def sign(store: Store) -> None:
        await make(store, settings, after_restore=True)

    try:
        write(settings, sign)
    except CallguardError as error:
        return str(error)
    return ""


def _named(settings: Config) -> Path:
    if settings.backup is None or settings.backup.folder is None:
        raise InputError("say where, or [backup] folder", field="FILE")
    return settings.backup.folder / f"callguard-{datetime.now(UTC):%Y%m%dT%H%M%SZ}{BACKUP}"


def _keys(settings: Config | None, key: Path | None) -> list[MasterKey]:
    """The key in force, and those before it. Raises: InputError."""
    from callguard.key_sections import KeySource
    from callguard.keys.master import had

    if key is not None:
        return [had(KeySource(file=key), "--key", os.environ)]
    if settings is None or settings.backup is None:
        raise InputError("is missing: a backup has a key of its own (docs/backup.md)", field="backup")
    sources = {"backup.key": settings.backup.key} | {
        f"backup.old.{number}": one for number, one in enumerate(settings.backup.old)
    }
    return [had(one, field, os.environ) for field, one in sources.items()]


@contextmanager
def _opened(file: Path, keys: list[MasterKey]) -> Iterator[Archive]:
    from callguard.backup import archive

    try:
        data: BinaryIO = file.open("rb")
    except OSError as error:
        raise InputError(f"cannot be read: {error.strerror}", file=file) from error
    try:
        with archive.opened(file, data, keys) as found:
            yield found
    except OSError as error:
        raise SetupError(f"{file}: cannot be read: {error.strerror or error}") from error
