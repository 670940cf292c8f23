"""``callguard recordings purge``: destroy now what nothing keeps, as the service does each minute, and say why."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from callguard import config, logs
from callguard.cli.kept import as_json, explained
from callguard.cli.options import DEFAULT_CONFIG, EXIT_FAILED, ConfigOption, JsonOption
from callguard.cli.progress import progress
from callguard.cli.stores import read, write
from callguard.errors import SetupError

if TYPE_CHECKING:
    from callguard.retention import Judged
    from callguard.store.retention_reader import RetentionReader
    from callguard.store.store import Store


def purge(
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would be destroyed, and destroy nothing.")
    ] = False,
    print_json: JsonOption = False,
    path: ConfigOption = DEFAULT_CONFIG,
) -> None:
    """Destroy the recordings that have no purpose left, and say of each why; broken off, it is simply begun again.

    Exit code 1: some of them could not be destroyed. What is held is named, and stays.
    """
    settings = config.load(path)
    now = datetime.now(UTC)
    logs.configure(settings.log.format, "warning")
    came_to = read(settings, lambda reader: _overdue(reader, settings, now)) if dry_run else _purge(settings, now)
    failed = [one for one, done in came_to if isinstance(done, OSError)]
    if print_json:
        listed = [{**as_json(one, now), "destroyed": done is True, "problem": _problem(done)} for one, done in came_to]
        typer.echo(json.dumps(listed, indent=2, ensure_ascii=False))
    else:
        for one, done in came_to:
            typer.echo(f"{_said(one, done, dry_run)}: call {one.recording.call_id}, leg {one.recording.leg_id}")
            for line in explained(one).splitlines():
                typer.echo(f"    {line}")
        count = sum(one.verdict.destroy if dry_run else done is True for one, done in came_to)
        typer.echo(f"{count} {'would be' if dry_run else 'are'} destroyed, {len(came_to) - count} stay though overdue")
    if failed:
        raise typer.Exit(EXIT_FAILED)


async def _overdue(reader: RetentionReader, settings: config.Config, now: datetime) -> list[tuple[Judged, None]]:
    from callguard.retention import pages

    found: list[tuple[Judged, None]] = []
    looked, total = 0, await reader.count_kept()
    with progress("Reading the store") as tell:
        async for page in pages(reader, settings, "", now):
            found += [(one, None) for one in page if one.verdict.due(now)]
            tell("Judging", looked := looked + len(page), total)
    return found


def _purge(settings: config.Config, now: datetime) -> list[tuple[Judged, bool | OSError | None]]:
    from callguard.retention import Retention, pages
    from callguard.telephony.recording import Recordings

    came_to: list[tuple[Judged, bool | OSError | None]] = []

    async def destroy(store: Store) -> None:
        recordings = Recordings(settings.recording, store)
        retention = Retention(lambda: settings, store, recordings)
        looked, total = 0, await store.count_kept()
        with progress("Reading the store") as tell:
            async for page in pages(store, settings, "", now):
                came_to.extend((one, None) for one in page if one.verdict.due(now) and not one.verdict.destroy)
                came_to.extend(await retention.destroy([one for one in page if one.verdict.destroy]))
                tell("Destroying", looked := looked + len(page), total)
        if not any(isinstance(done, OSError) for _, done in came_to):
            try:
                await recordings.sweep()  # what was begun before the terms became longer
            except OSError as error:
                raise SetupError(f"a recording cannot be removed: {error.strerror}") from error

    write(settings, destroy)
    return came_to


def _said(one: Judged, done: bool | OSError | None, dry_run: bool) -> str:
    if isinstance(done, OSError):
        return f"Not destroyed ({done.strerror})"
    if one.verdict.restricted:
        return "Held"
    if dry_run:
        return f"Would be destroyed ({one.verdict.reason})"
    return f"Destroyed ({one.verdict.reason})" if done else "Left alone (held since, or in another folder)"


def _problem(done: bool | OSError | None) -> str | None:
    return done.strerror if isinstance(done, OSError) else None
