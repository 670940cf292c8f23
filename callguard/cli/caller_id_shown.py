"""The number that a call would show: as it is typed, and what ``callguard check`` tells of it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from callguard.core.decide import Facts
from callguard.errors import InputError

if TYPE_CHECKING:
    from callguard.sections import Profile

# In the place of a number: the call shows none.
WITHHELD = "withheld"


def typed(given: str | None) -> str | None:
    """The number that is shown, as the dialplan gives it; empty where it is withheld, None where none was given.

    Raises:
        InputError: it is neither.
    """
    if given is None or given == WITHHELD:
        return None if given is None else ""
    number = re.sub(r"[\s()./-]", "", given)
    if not re.fullmatch(r"\+?[0-9]{1,30}", number):
        raise InputError(f"a number is needed, or the word {WITHHELD}", field="--caller-id")
    return number


def said(facts: Facts, calling: Profile) -> str:
    """What the rules about the number that is shown come to, and what would change it."""
    if facts.calls != "marketing":
        return "The number that is shown: no rule asks about it where calls are no marketing"
    callback = facts.callback
    if callback is not None and not callback.named:
        return (
            "The number that is shown: none will do, as the profile names none of its own: set caller_ids (cli.unnamed)"
        )
    if not facts.caller_id or callback is None:
        return "The number that is shown: withheld, and a marketing call has to show one (cli.withheld)"
    if not callback.ours:
        return f"The number that is shown: none of the profile's {len(calling.caller_ids)} caller_ids (cli.foreign)"
    called = "never" if callback.proved_at is None else callback.proved_at.isoformat(timespec="seconds")
    days = f"{callback.max_age_days} days"
    if callback.is_proved(facts.at):
        return f"The number that is shown: the profile's own, last called {called}, which holds for {days}"
    return (
        f"The number that is shown: the profile's own, last called {called}, and that holds for {days} (cli.unproved): "
        "it is allowed once somebody has called it, through callguard-inbound"
    )


def as_json(facts: Facts) -> dict[str, object] | None:
    """What is known of it, as JSON names it; None where none was given, or no rule asks."""
    if facts.caller_id is None:
        return None
    callback = facts.callback
    return {
        "number": facts.caller_id or None,
        "ours": callback.ours if callback and callback.named else None,
        "last_called_at": callback and callback.proved_at and callback.proved_at.isoformat(),
        "max_age_days": callback and callback.max_age_days,
    }
