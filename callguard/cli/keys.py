"""``callguard keys``: the master keys that recordings are encrypted by."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from callguard import config
from callguard.cli import tables
from callguard.cli.options import DEFAULT_CONFIG, ConfigOption, JsonOption
from callguard.cli.progress import progress
from callguard.cli.stores import read, write
from callguard.errors import InputError

if TYPE_CHECKING:
    from callguard.config import Config
    from callguard.keys.master import Masters
    from callguard.store.reader import Reader
    from callguard.store.store import Store

# So many are wrapped anew in one transaction: the store is locked for less than half a second meanwhile, and calls wait
# a second for it.
TOGETHER = 20_000
# A service that was not reloaded adds some meanwhile.
ROUNDS_MORE = 3

app = typer.Typer(help="The keys that recordings are encrypted by.", no_args_is_help=True)


@app.command("new")
def new(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A file that is not there yet.", show_default=False)],
) -> None:
    """Make a master key in a new file, for its owner's eyes only. Without it nothing that it encrypts can be read."""
    from callguard.keys.master import MasterKey

    made = MasterKey.new()
    try:
        descriptor = os.open(file, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
    except FileExistsError as error:
        raise InputError("is there already, and is left as it is", file=file, field="FILE") from error
    except OSError as error:
        raise InputError(f"cannot be written: {error.strerror}", file=file, field="FILE") from error
    with os.fdopen(descriptor, "w", encoding="ascii") as opened:
        opened.write(made.text)
        opened.flush()
        os.fsync(opened.fileno())
    typer.echo(f"Master key {made.id} is in {file}: keep a copy apart from this machine and from its backups")


@app.command("list")
def list_(print_json: JsonOption = False, path: ConfigOption = DEFAULT_CONFIG) -> None:
    """Show the master keys by their ids, how many people's keys each wraps, and how many files are not encrypted."""
    settings = config.load(path)
    masters = _masters(settings)

    async def ask(reader: Reader) -> tuple[dict[str, int], int]:
        return await reader.content_keys_by_master(), await reader.count_clear()

    wraps, clear = read(settings, ask)
    ids = [masters.current.id, *(one for one in sorted({*masters.ids, *wraps}) if one != masters.current.id)]
    state = dict.fromkeys(ids, "missing") | dict.fromkeys(masters.ids, "old") | {masters.current.id: "in force"}
    if print_json:
        keys = [{"master": one, "state": state[one], "content_keys": wraps.get(one, 0)} for one in ids]
        typer.echo(json.dumps({"master_keys": keys, "clear_files": clear}, indent=2))
        return
    table = tables.table("Master key", "State", "People's keys")
    for one in ids:
        tables.add(table, one, state[one], wraps.get(one, 0))
    tables.show(table)
    if clear:
        typer.echo(f"Kept files that are not encrypted (yet): {clear}; a callguard that runs does it")


@app.command("rotate")
def rotate(path: ConfigOption = DEFAULT_CONFIG) -> None:
    """Wrap every person's key by the master key in force; no audio is written anew.

    Before it: the new key is keys.master in the configuration, the one before is in keys.old, and the service is
    reloaded. Up to 20,000 people's keys are one transaction, more are several: whichever of them are done, every
    recording can be read, and a second rotate goes on where the first was broken off.
    """
    from callguard.keys.fault import CannotOpen, Fault

    settings = config.load(path)
    masters = _masters(settings)

    async def change(store: Store) -> int:
        wraps = await store.content_keys_by_master()
        for one in wraps.keys() - set(masters.ids):  # before anything is done
            raise CannotOpen(Fault.WRONG_KEY, f"{wraps[one]} people's keys", f"master key {one} wrapped them")
        total, done, more = sum(wraps.values()) - wraps.get(masters.current.id, 0), 0, ROUNDS_MORE
        with progress("Wrapping keys") as tell:
            while more and (others := await store.content_keys_of_others(masters.current.id, TOGETHER)):
                await store.rewrap([masters.rewrapped(one) for one in others])
                done += len(others)
                more -= len(others) < TOGETHER
                tell("Wrapping keys", done, total)
        return done

    done = write(settings, change)
    typer.echo(f"Wrapped by master key {masters.current.id} now: {done} people's keys; all others were")


def _masters(settings: Config) -> Masters:
    from callguard.keys import master

    masters = master.load(settings)
    if masters is None:
        raise InputError("is missing: recordings are not encrypted (docs/encryption.md)", field="keys")
    return masters
