"""``callguard keys``: the master keys that recordings, numbers and names are encrypted by."""

from __future__ import annotations

import json
import os
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from callguard import config
from callguard.cli import tables
from callguard.cli.options import DEFAULT_CONFIG, ConfigOption, JsonOption
from callguard.cli.progress import progress
from callguard.cli.stores import read, write
from callguard.errors import CallguardError, InputError
from callguard.store.column_sealing import PAGES

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

app = typer.Typer(help="The keys that recordings, numbers and names are encrypted by.", no_args_is_help=True)


@app.command("new")
def new(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A file that is not there yet.", show_default=False)],
) -> None:
    """Make a key in a new file, for its owner's eyes only: a master key, or one for backups.

    Without it nothing that it encrypts can be read.
    """
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
    typer.echo(f"Key {made.id} is in {file}: keep a copy apart from this machine and from its backups")


@app.command("list")
def list_(print_json: JsonOption = False, path: ConfigOption = DEFAULT_CONFIG) -> None:
    """Show the master keys by their ids, how many keys each wraps, and what is not encrypted yet."""
    settings = config.load(path)
    masters = _masters(settings)

    async def ask(reader: Reader) -> tuple[dict[str, int], Counter[str], int, int, bool]:
        quarantine = await reader.quarantine_key()
        of_columns = Counter(key.master for key in (*await reader.data_keys(), *([quarantine] if quarantine else ())))
        clear, to_clean = await reader.clear_columns(), await reader.columns_to_seal() == (PAGES,)
        return await reader.content_keys_by_master(), of_columns, await reader.count_clear(), clear, to_clean

    wraps, of_columns, clear_files, clear_rows, to_clean = read(settings, ask, locked=True)
    known = {*masters.ids, *wraps, *of_columns}
    ids = [masters.current.id, *(one for one in sorted(known) if one != masters.current.id)]
    state = dict.fromkeys(ids, "missing") | dict.fromkeys(masters.ids, "old") | {masters.current.id: "in force"}
    if print_json:
        keys = [
            {"master": one, "state": state[one], "content_keys": wraps.get(one, 0), "data_keys": of_columns[one]}
            for one in ids
        ]
        found = {"master_keys": keys, "clear_files": clear_files, "clear_rows": clear_rows, "to_clean": to_clean}
        typer.echo(json.dumps(found, indent=2))
        return
    table = tables.table("Master key", "State", "People's keys", "The store's keys")
    for one in ids:
        tables.add(table, one, state[one], wraps.get(one, 0), of_columns[one])
    tables.show(table)
    if clear_files:
        typer.echo(f"Kept files that are not encrypted (yet): {clear_files}; a callguard that runs does it")
    if clear_rows:
        typer.echo(
            f"Rows with a number, a name or words that are not (yet): {clear_rows}; a callguard that runs does it"
        )
    if to_clean:
        typer.echo("Pages of the store may still hold some of before: callguard keys clean, when nobody calls")


@app.command("rotate")
def rotate(path: ConfigOption = DEFAULT_CONFIG) -> None:
    """Wrap every person's key, and the store's, by the master key in force; no audio and no row is written anew.

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
        quarantine = await store.quarantine_key()
        if quarantine is not None:
            await store.rewrap_quarantine_key(masters.rewrapped(quarantine))
        await store.rewrap_data_keys([masters.data_rewrapped(key) for key in await store.data_keys()])
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


@app.command("clean")
def clean(path: ConfigOption = DEFAULT_CONFIG) -> None:
    """Make the store's file anew, so that no page holds a number or a name from before there were keys.

    Meanwhile calls are denied, or go on unrecorded, so do it when nobody calls. It needs as much room on the disk
    again. `callguard keys list` and `callguard doctor` say whether it is needed; the service cleans a small store.
    """
    settings = config.load(path)
    _masters(settings)

    async def change(store: Store) -> bool:
        return await store.clean()

    if not write(settings, change):
        raise CallguardError("rows are not all encrypted yet: a callguard that runs does it; see callguard keys list")
    typer.echo("Nothing in the store is in the clear that should not be")


def _masters(settings: Config) -> Masters:
    from callguard.keys import master

    masters = master.load(settings)
    if masters is None:
        raise InputError("is missing: nothing is encrypted (docs/encryption.md)", field="keys")
    return masters
