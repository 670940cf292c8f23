"""``callguard policy replay``: what past dial decisions would have been under another law. It reads only."""

from __future__ import annotations

import json
from collections import Counter
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from callguard import config
from callguard.cli import tables
from callguard.cli.access import ForOption, reads
from callguard.cli.options import DEFAULT_CONFIG, ConfigOption, JsonOption, moment
from callguard.cli.progress import progress
from callguard.cli.stores import read
from callguard.core.access import Read
from callguard.errors import InputError

if TYPE_CHECKING:
    from callguard.core.decide import Decision
    from callguard.policies.load import Lawbook
    from callguard.store.dial_records import StoredDecision
    from callguard.store.reader import Reader

_OLDER = "kept by a callguard that kept less"
_ERASED = "the number is not known any more"
# So often a bar is moved, at most.
_EACH = 1_000


@dataclass(slots=True)
class _Found:
    """What a replay came to; `differing` with the number, which is None where none was dialled."""

    same: int = 0
    other_rules: int = 0
    differing: list[tuple[StoredDecision, Decision, str | None]] = field(default_factory=list)
    not_enough: Counter[str] = field(default_factory=Counter)

    @property
    def denied(self) -> int:
        """How many that were allowed would be denied."""
        return sum(was.allow for was, _, _ in self.differing)


def replay(
    policies: Annotated[
        Path | None,
        typer.Option(
            "--policies",
            "--policy",
            metavar="FOLDER",
            show_default=False,
            help="Policies of your own, in place of those of the configuration.",
        ),
    ] = None,
    adopt: Annotated[
        list[str] | None,
        typer.Option(metavar="ID", help="Also adopt this rule; may be repeated.", show_default=False),
    ] = None,
    since: Annotated[
        str | None,
        typer.Option(metavar="TIME", help="Only decisions from then on, such as 2027-01-31; all by default."),
    ] = None,
    numbers: Annotated[bool, typer.Option("--numbers", help="Name the numbers that were dialled.")] = False,
    for_what: ForOption = None,
    print_json: JsonOption = False,
    path: ConfigOption = DEFAULT_CONFIG,
) -> None:
    """Judge past dials by a changed law, and show which would come out otherwise. Nothing is changed.

    Each is judged by the facts that its decision has kept; where these are not enough, it is counted and not judged.
    """
    from callguard.policies.load import load_from

    settings = config.load(path)
    begin = datetime(1970, 1, 1, tzinfo=UTC) if since is None else moment(since, "--since")
    book = load_from(
        policies or settings.law.policies,
        (*settings.law.adopt, *(adopt or ())),
        lambda problem, option: InputError(problem, field=f"--{option}"),
    )
    found = read(settings, lambda reader: _replay(reader, book, begin))
    if numbers:
        reads(settings, "policy replay --numbers", for_what, Read())
    if print_json:
        typer.echo(json.dumps(_as_json(found, book, numbers), indent=2))
    else:
        _show(found, book, numbers)


async def _replay(reader: Reader, book: Lawbook, since: datetime) -> _Found:
    found, count = _Found(), await reader.count_decisions(since)
    with progress("replaying") as told:
        async with aclosing(reader.each_decision(since)) as all_of_them:
            done = 0
            async for decision, number in all_of_them:
                _judge(found, book, decision, number)
                done += 1
                if not done % _EACH:
                    told("replaying", done, count)
    return found


def _judge(found: _Found, book: Lawbook, was: StoredDecision, number: str | None) -> None:
    from callguard.core.replay import lacks
    from callguard.store.kept import facts_of

    if was.subject_id is not None and number is None:
        found.not_enough[_ERASED] += 1
        return
    facts = facts_of(was, number)
    if facts is None:
        found.not_enough[_OLDER] += 1
        return
    if number is not None:
        # Where a number is of, and which zones that place has, is the policies' to say.
        facts = replace(facts, place=book.places.of(number))
    missing = lacks(book.law, facts)
    if missing is not None:
        found.not_enough[missing] += 1
        return
    would_be = book.law.decide(facts)
    if would_be.allow != was.allow:
        found.differing.append((was, would_be, number))
    elif would_be.rules != was.rules:
        found.other_rules += 1
    else:
        found.same += 1


def _as_json(found: _Found, book: Lawbook, numbers: bool) -> dict[str, object]:
    return {
        "policy": book.law.digest,
        "same": found.same,
        "denied_by_other_rules": found.other_rules,
        "would_be_denied": found.denied,
        "would_be_allowed": len(found.differing) - found.denied,
        "not_enough_kept": dict(found.not_enough),
        "differences": [
            {
                "call": was.call_id,
                "at": was.at.isoformat(),
                "controller": was.controller,
                "profile": was.profile,
                **({"number": number} if numbers else {}),
                "allowed": was.allow,
                "rules": was.rules,
                "would_be_allowed": would_be.allow,
                "would_be_rules": would_be.rules,
            }
            for was, would_be, number in found.differing
        ],
    }


def _show(found: _Found, book: Lawbook, numbers: bool) -> None:
    if found.differing:
        table = tables.table("When", "Call", *(("Number",) * numbers), "Was", "Would be", ids="Call", numbers="Number")
        for was, would_be, number in found.differing:
            cells = (tables.moment(was.at), was.call_id, *((number,) * numbers))
            tables.add(table, *cells, _said(was.rules), _said(would_be.rules))
        tables.show(table)
    allowed = len(found.differing) - found.denied
    typer.echo(
        f"Policy {book.law.digest}: {found.denied} that were allowed would be denied, {allowed} that were denied"
    )
    typer.echo(f"would be allowed, {found.other_rules} would be denied by other rules, {found.same} are the same.")
    for why, count in sorted(found.not_enough.items()):
        typer.echo(f"Not judged, as what was kept is not enough: {count} ({why})")


def _said(rules: tuple[str, ...]) -> str:
    return f"denied: {', '.join(rules)}" if rules else "allowed"
