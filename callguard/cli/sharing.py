"""To whom a list of people may be handed (R45): to nobody, but for those who work for the controller, unless all agree.

The registry of a country is given numbers to look up, in a form of its own: see ``callguard registry``.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import TYPE_CHECKING, Annotated

import typer
from pydantic import TypeAdapter, ValidationError

from callguard import config
from callguard.core.grants import SHARING, shares
from callguard.errors import Denied, InputError
from callguard.notice_sections import naming
from callguard.sections import Name

if TYPE_CHECKING:
    from callguard.store.reader import Reader

RecipientOption = Annotated[
    str | None,
    typer.Option(
        "--to",
        metavar="NAME",
        help="Who is to have the file, where it is not the controller itself: one of its processors in the "
        "configuration, or somebody else, where everybody in the file has granted sharing.NAME.",
    ),
]
NOT_TOLD = "recipient.not_told"
"""The rule (R11): who is told of a recipient before their data go there (GDPR Art. 13(1)(e) and 14(1)(e))."""
_NAME: TypeAdapter[str] = TypeAdapter(Name)


async def refuse_unshared(
    reader: Reader,
    settings: config.Config,
    controller: str,
    recipient: str | None,
    numbers: Iterable[str],
    at: datetime,
) -> None:
    """See that a list may be handed to a recipient; None is the controller itself.

    Raises:
        InputError: the recipient has no such name.
        Denied: how many have not granted it, or have not been told of the recipient (R11).
    """
    if recipient is None or _works_for(settings, controller, recipient):
        return
    sharing = [one for one in await reader.grants(controller, None) if shares(one, recipient, at)]
    granted, listed = {one.number for one in sharing}, set(numbers)
    if missing := len(listed - granted):
        raise Denied(
            f"{recipient} is no processor of {controller}, and {missing} of {len(listed)} people have not granted "
            f"{SHARING}.{recipient}, so nothing is written"
        )
    # Who has granted it to this very one has been told of it; of whomever else, the notice tells.
    named = naming(settings.notices.get(controller, ()), recipient)
    knows = await reader.notices_known(controller)
    told = {one.number for one in sharing if one.purpose != SHARING or knows.get(one.number) in named}
    if untold := len(listed - told):
        raise Denied(
            f"{NOT_TOLD}: the last notice that {untold} of {len(listed)} people heard does not name {recipient}, so "
            "nothing is written"
        )


async def refuse_untold(
    reader: Reader, settings: config.Config, controller: str, recipient: str | None, leg_id: str
) -> None:
    """See that a leg's recording may be handed to a recipient; None is the controller itself. Raises as above."""
    if recipient is None or _works_for(settings, controller, recipient):
        return
    named = naming(settings.notices.get(controller, ()), recipient)
    if await reader.notice_known_of_leg(leg_id) not in named:
        raise Denied(
            f"{NOT_TOLD}: the last notice that this person heard does not name {recipient}, so nothing is written"
        )


def _works_for(settings: config.Config, controller: str, recipient: str) -> bool:
    """Whether a recipient is a processor of a controller's. Raises: InputError, it has no such name."""
    try:
        _NAME.validate_python(recipient)
    except ValidationError as error:
        raise InputError("a name of small letters, digits and underscores is needed", field="--to") from error
    processor = settings.processors.get(recipient)
    return processor is not None and controller in processor.controllers
