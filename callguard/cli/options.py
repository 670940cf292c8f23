"""What several commands ask for, and what is meant by what was typed.

Numbers are never repeated in an error: what is typed here ends up in logs of shells and of systemd.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Collection
from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer
from pydantic import TypeAdapter, ValidationError

from callguard import config
from callguard.core.requests import Proof, Right, proved
from callguard.errors import InputError
from callguard.numbers import REGIONS, to_e164, to_number_or_block, why_no_block
from callguard.sections import Name, PurposeId

DEFAULT_CONFIG = Path("/etc/callguard/callguard.toml")
EXIT_FAILED, EXIT_BAD_INPUT, EXIT_DENIED = 1, 2, 3
STDIN, INPUT = "-", "standard input"
_PURPOSE: TypeAdapter[str] = TypeAdapter(PurposeId)
_CAMPAIGN: TypeAdapter[str] = TypeAdapter(Name)
# Of a time that is typed: further away no time zone and no calendar of holidays is sure to have it.
FIRST_YEAR, LAST_YEAR = 1971, 9000
# In bytes: more than any number with its separators.
LONGEST_LINE = 100
A_PREFIX, A_RANGE = "+4930123*", "+49301234000-+49301234999"
# So many opt-outs are added at once: the store is locked for half a second meanwhile, and calls wait a second for it.
MOST = 50_000

ConfigOption = Annotated[
    Path, typer.Option("--config", "-c", envvar="CALLGUARD_CONFIG", readable=False, help="The configuration to use.")
]
# A list, so that a number typed with spaces and without quotes is one number, and no usage error that repeats it.
ON_STDIN = "Others on this machine can see it on a command line: write - to have it read from standard input instead"
NumberArgument = Annotated[
    list[str], typer.Argument(metavar="NUMBER", help=f"The phone number. {ON_STDIN}.", show_default=False)
]
NumbersArgument = Annotated[
    list[str],
    typer.Argument(
        metavar="NUMBER",
        help=f"The phone number. {ON_STDIN}, or a list, one number in each line: all of them, or where a line is none, "
        "none at all.",
        show_default=False,
    ),
]
BlocksArgument = Annotated[
    list[str],
    typer.Argument(
        metavar="NUMBER",
        help=f"The phone number, or a block of them: '{A_PREFIX}' for all that begin so, {A_RANGE} for a range. "
        f"{ON_STDIN}, or a list, one in each line: all of them, or where a line is none, none at all.",
        show_default=False,
    ),
]
OnlyNumberArgument = Annotated[
    list[str] | None,
    typer.Argument(metavar="NUMBER", help="Only this number's; - reads it from standard input.", show_default=False),
]
OnlyControllerOption = Annotated[str | None, typer.Option("--controller", help="Only this controller's.")]
ControllerOption = Annotated[
    str | None, typer.Option(help="For whom calls are made; needed where the configuration has more than one.")
]
PurposeOption = Annotated[str | None, typer.Option(help="A purpose, such as recording.quality.")]
CampaignOption = Annotated[str | None, typer.Option(help="A campaign, as a profile names it.")]
RegionOption = Annotated[
    str | None,
    typer.Option(
        metavar="XX",
        help="The country that a number in national format belongs to, such as ES; by default the profiles', where "
        "they have one.",
    ),
]
ProofOption = Annotated[
    list[Proof] | None,
    typer.Option(
        "--proof",
        help="What kind of proof there is of who asks, never its content; may be repeated. To object or withdraw the "
        "number is enough; else they are called back, and know something or show a document.",
    ),
]
LimitOption = Annotated[int, typer.Option(min=1, max=100_000, help="So many at most.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def enough(right: Right, proof: Collection[Proof] | None) -> None:
    """Raises: InputError, where it is not known well enough who asks."""
    if not proved(right, proof or ()):
        needed = "who asks is to be called back, and to know something or show a document"
        raise InputError(f"{needed}: --proof call_back --proof known", field="--proof")


def number_from(words: list[str], region: str | None, *, blocks: bool = False) -> str | None:
    """The number in E.164, or None where what was typed (or read from standard input) is none.

    Args:
        blocks: whether a block of numbers will do too, as `core.blocks` writes it; so in all of these.

    Raises:
        InputError: it is more than one, or one and something else.
    """
    found = reading(blocks)
    if words == [STDIN]:
        return _only_line(region, found)
    number = found(" ".join(words), region)
    complete = sum(found(word, region) is not None for word in words) if len(words) > 1 else 0
    # In national format the parts of one number may be numbers too.
    if complete and number is None:
        raise InputError("one at a time, please: these are not the parts of one number", field="NUMBER")
    return number


def a_number(words: list[str], region: str | None, *, blocks: bool = False) -> str:
    """The number in E.164.

    Raises:
        InputError: it is none.
    """
    number = number_from(words, region, blocks=blocks)
    if number is None:
        # Of a line of standard input nothing more is known here.
        raise InputError(no_number("" if words == [STDIN] else " ".join(words), region, blocks=blocks), field="NUMBER")
    return number


def numbers_from(words: list[str], region: str | None, *, blocks: bool = False) -> tuple[str, ...]:
    """The number in E.164, or those of standard input: one in each line, each once, empty lines left out.

    Raises:
        InputError: one is none, or there is none at all. The line is named, what stands in it is not.
    """
    if words != [STDIN]:
        return (a_number(words, region, blocks=blocks),)
    if sys.stdin.isatty():
        typer.echo("One number in each line; Ctrl-D at the end.", err=True)
    found: dict[str, None] = {}
    for line, written in enumerate(iter(lambda: sys.stdin.buffer.readline(LONGEST_LINE), b""), start=1):
        text = _text(written)
        number = reading(blocks)(text, region)
        if number is not None:
            found[number] = None
        elif written.strip():
            raise InputError(no_number(text, region, blocks=blocks), file=INPUT, line=line, field="NUMBER")
    if not found:
        raise InputError("there is none", file=INPUT, field="NUMBER")
    return tuple(found)


def reading(blocks: bool) -> Callable[[str, str | None], str | None]:
    """What finds the number in what was written; of blocks too, if so."""
    return to_number_or_block if blocks else to_e164


def _only_line(region: str | None, found: Callable[[str, str | None], str | None]) -> str | None:
    number = found(_text(sys.stdin.buffer.readline(LONGEST_LINE)), region)
    # At a terminal nothing more is waited for.
    if number is not None and not sys.stdin.isatty() and sys.stdin.buffer.read(LONGEST_LINE).strip():
        raise InputError("one at a time, please", file=INPUT, line=2, field="NUMBER")
    return number


def _text(line: bytes) -> str:
    """A line of standard input; one that was cut is longer than any number, and is none."""
    return "" if len(line) == LONGEST_LINE else line.decode("ascii", "replace").strip()


def no_number(written: str, region: str | None, *, blocks: bool = False) -> str:
    """What is wrong with what is no number, nor, where that would do, a block; what stands there is not repeated."""
    wrong = "this is no phone number" if region else "this is no international phone number; for others, say --region"
    if not blocks:
        return wrong
    why = why_no_block(written, region)
    return f"{wrong} (nor a block of them{f': {why}' if why else ''})"


def region_for(settings: config.Config, given: str | None) -> str | None:
    """The region of numbers in national format: the one given, or the one that all profiles have.

    Raises:
        InputError: there is no such region.
    """
    if given is None:
        of_profiles = {profile.region for profile in settings.profiles.values()}
        return of_profiles.pop() if len(of_profiles) == 1 else None
    if given.upper() not in REGIONS:
        raise InputError("is no country's code of two letters (ISO 3166-1), such as ES", field="--region")
    return given.upper()


def one_of(names: Collection[str], given: str | None, field: str) -> str:
    """The one that is meant: the given one, or the only one.

    Raises:
        InputError: there is no such one, or none was given and there are several.
    """
    there_are = f"there are: {', '.join(sorted(names))}"
    if given is None:
        if len(names) == 1:
            return next(iter(names))
        raise InputError(f"say which; {there_are}", field=field)
    if given not in names:
        raise InputError(f"is not in the configuration; {there_are}", field=field)
    return given


def purpose_id(given: str | None, field: str = "--purpose") -> str | None:
    """A purpose's id.

    Raises:
        InputError: no profile could have such a purpose.
    """
    return _checked(_PURPOSE, given, field)


def campaign_name(given: str | None, field: str = "--campaign") -> str | None:
    """A campaign's name.

    Raises:
        InputError: no profile could have such a campaign.
    """
    return _checked(_CAMPAIGN, given, field)


def warn_of_unknown(settings: config.Config, controller: str, purpose: str | None, campaign: str | None) -> None:
    """Say what none of a controller's profiles has: it may be of later use, but is mostly mistyped."""
    there = [profile for profile in settings.profiles.values() if profile.controller == controller]
    for what, given, known in (
        (
            "purpose",
            purpose,
            {one.id for profile in there for one in profile.purposes} | {one.purpose_of_calls for one in there},
        ),
        ("campaign", campaign, {profile.campaign for profile in there}),
    ):
        if given is not None and given not in known:
            typer.echo(
                f"No profile of {controller} has the {what} {given} now, so no call is for it: is it spelt right?",
                err=True,
            )


def moment(given: str | None, field: str) -> datetime:
    """A time in ISO 8601, aware; without an offset it is this machine's, and none given is now.

    Raises:
        InputError: it is not one.
    """
    if given is None:
        return datetime.now().astimezone()
    try:
        when = aware(datetime.fromisoformat(given))
        if not FIRST_YEAR <= when.year <= LAST_YEAR:
            raise OverflowError
        return when
    except (ValueError, OverflowError) as error:
        raise InputError("a time such as 2027-01-31T09:30 or 2027-01-31T09:30+01:00 is needed", field=field) from error


def aware(moment: datetime) -> datetime:
    """With this machine's time zone, unless it has one.

    Raises:
        OverflowError: no calendar has this moment in this time zone.
    """
    return moment if moment.tzinfo else moment.astimezone()


def _checked(pattern: TypeAdapter[str], given: str | None, field: str) -> str | None:
    try:
        return None if given is None else pattern.validate_python(given)
    except ValidationError as error:
        raise InputError("a name of small letters, digits and underscores is needed", field=field) from error
