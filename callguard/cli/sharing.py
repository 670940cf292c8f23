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
        Denied: how many have not granted it.
    """
    if recipient is None:
        return
    try:
        _NAME.validate_python(recipient)
    except ValidationError as error:
        raise InputError("a name of small letters, digits and underscores is needed", field="--to") from error
    processor = settings.processors.get(recipient)
    if processor is not None and controller in processor.controllers:
        return
    granted = {one.number for one in await reader.grants(controller, None) if shares(one, recipient, at)}
    listed = set(numbers)
    if missing := len(listed - granted):
        raise Denied(
            f"{recipient} is no processor of {controller}, and {missing} of {len(listed)} people have not granted "
            f"{SHARING}.{recipient}, so nothing is written"
        )
