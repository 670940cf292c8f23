"""``callguard recordings list``: what is kept and for how long, and what lies there that should not."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from callguard import config
from callguard.cli import tables
from callguard.cli.kept import as_json, explained, state
from callguard.cli.options import DEFAULT_CONFIG, ConfigOption, JsonOption, LimitOption
from callguard.cli.progress import progress
from callguard.cli.stores import read
from callguard.errors import InputError, SetupError

if TYPE_CHECKING:
    from callguard.keys.names import Shelf
    from callguard.retention import Judged
    from callguard.store.records import StoredRecording
    from callguard.store.retention_reader import KnownFile, RetentionReader


@dataclass(frozen=True, slots=True)
class Stray:
    """A file that should not be there; `of` is the recording that was destroyed, where it is one's."""

    file: Path
    of: KnownFile | None

    @property
    def fault(self) -> str:
        return "orphaned" if self.of is None else "left_over"

    @property
    def problem(self) -> str:
        """In words."""
        if self.of is None:
            return f"{self.file} belongs to no recording: find out who made it, and set it aside"
        return f"{self.file} is there, and its recording was destroyed (call {self.of.call_id}): remove it"

    def as_json(self) -> dict[str, object]:
        """As JSON names it."""
        return {
            "call": self.of and self.of.call_id, "leg": self.of and self.of.leg_id, "file": self.file.name,
            "fault": self.fault, "problem": self.problem,
        }  # fmt: skip


def list_(
    overdue: Annotated[
        bool, typer.Option("--overdue", help="All that have no purpose left and are there still, held ones too.")
    ] = False,
    untagged: Annotated[
        bool, typer.Option("--untagged", help="All whose sidecar is missing, or of whose purposes nothing is known.")
    ] = False,
    orphaned: Annotated[
        bool, typer.Option("--orphaned", help="Files in the recordings' folder that belong to no recording.")
    ] = False,
    limit: LimitOption = 50,
    print_json: JsonOption = False,
    path: ConfigOption = DEFAULT_CONFIG,
) -> None:
    """Show the latest recordings, newest first, and until when each is kept and why."""
    if overdue + untagged + orphaned > 1:
        raise InputError("one of --overdue, --untagged and --orphaned at a time, please", field="list")
    settings, now = config.load(path), datetime.now(UTC)
    if orphaned:
        _list_files(strays(settings), print_json)
    elif overdue:
        _list_kept([one for one in _all(settings, now) if one.verdict.due(now)], now, print_json)
    elif untagged:
        from callguard.keys.names import Shelf

        shelf = Shelf.of(settings.recording)
        _list_kept([one for one in _all(settings, now) if _is_untagged(shelf, one)], now, print_json)
    else:
        _list_latest(settings, limit, now, print_json)


def _all(settings: config.Config, now: datetime) -> list[Judged]:
    """All that is kept."""
    from callguard.retention import pages

    async def ask(reader: RetentionReader) -> list[Judged]:
        total = await reader.count_kept()
        found: list[Judged] = []
        with progress("Reading the store") as tell:
            async for page in pages(reader, settings, "", now):
                found += page
                tell("Judging", len(found), total)
        return found

    return read(settings, ask)


def strays(settings: config.Config) -> tuple[Stray, ...]:
    """The files that belong to no recording that is kept, or being made.

    Raises: SetupError.
    """
    from callguard.keys.names import Shelf
    from callguard.telephony import folder

    async def ask(reader: RetentionReader) -> tuple[set[str], dict[str, KnownFile]]:
        files = await reader.known_files()
        kept = {folder.stem(one.name) for one in files if one.state == "kept"}
        kept |= {one.file for one in await reader.expected_recordings()}
        return kept, {folder.stem(one.name): one for one in files if one.state == "destroyed"}

    try:
        found = folder.stems(Shelf.of(settings.recording))
        kept, gone = read(settings, ask)
        files = folder.orphaned(found, kept)
    except OSError as error:
        raise SetupError(f"{error.filename} cannot be read: {error.strerror}") from error
    return tuple(Stray(file, gone.get(folder.stem(file.name))) for file in files)


def _is_untagged(shelf: Shelf, one: Judged) -> bool:
    from callguard.telephony.folder import has_sidecar

    return not one.verdict.ends or not all(has_sidecar(shelf, name) for name in one.recording.files)


def _list_files(found: Sequence[Stray], print_json: bool) -> None:
    if print_json:
        typer.echo(json.dumps([one.as_json() for one in found], indent=2))
    else:
        typer.echo("\n".join(one.problem for one in found) or "No files but those of recordings")


def _list_kept(found: Sequence[Judged], now: datetime, print_json: bool) -> None:
    if print_json:
        typer.echo(json.dumps([as_json(one, now) for one in found], indent=2, ensure_ascii=False))
        return
    if not found:
        typer.echo("No such recordings")
        return
    table = tables.table("Ended", "Call", "State", "Until", "Why", ids="Call")
    for one in found:
        recording, verdict = one.recording, one.verdict
        ended, until = tables.moment(recording.facts.ended_at), tables.moment(verdict.due_at)
        tables.add(table, ended, recording.call_id, state(verdict), until, explained(one))
    tables.show(table)


def _list_latest(settings: config.Config, limit: int, now: datetime, print_json: bool) -> None:
    from callguard.retention import judged

    async def ask(reader: RetentionReader) -> list[tuple[StoredRecording, Judged | None]]:
        stored = await reader.recordings(limit)
        legs = [one.leg_id for one in stored if one.state == "kept"]
        kept = {one.recording.leg_id: one for one in await judged(reader, settings, legs, now)}
        return [(one, kept.get(one.leg_id)) for one in stored]

    found = read(settings, ask)
    if print_json:
        listed = [_stored(one) | ({} if kept is None else as_json(kept, now)) for one, kept in found]
        typer.echo(json.dumps(listed, indent=2, ensure_ascii=False))
        return
    if not found:
        typer.echo("No recordings")
        return
    table = tables.table("Ended", "Call", "State", "Seconds", "Encrypted", "Until", "Why", ids="Call")
    for one, kept in found:
        ended, length = (
            tables.moment(one.ended_at),
            None if one.duration_ms is None else f"{one.duration_ms / 1000:.1f}",
        )
        if kept is None:
            since = tables.moment(one.destroyed_at or one.quarantined_at)
            tables.add(table, ended, one.call_id, one.state, length, None, since, one.reason)
        else:
            encrypted = "yes" if all(file.sealed_with for file in one.files) else "no"
            until = tables.moment(kept.verdict.due_at)
            tables.add(table, ended, one.call_id, state(kept.verdict), length, encrypted, until, explained(kept))
    tables.show(table)


def _stored(one: StoredRecording) -> dict[str, object]:
    """What is known of one, kept or not."""
    return {
        "call": one.call_id,
        "leg": one.leg_id,
        "controller": one.controller,
        "state": one.state,
        "restricted": False,
        "ended_at": one.ended_at.isoformat(),
        "duration_ms": one.duration_ms,
        "files": [
            {"name": it.name, "size": it.size, "sha256": it.sha256, "encrypted": it.sealed_with is not None}
            for it in one.files
        ],
        "destroyed_at": one.destroyed_at and one.destroyed_at.isoformat(),
        "quarantined_at": one.quarantined_at and one.quarantined_at.isoformat(),
        "reason": one.reason,
    }
