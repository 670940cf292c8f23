"""Calls that are originated straight to a trunk: what they call, and whether that was allowed before. Pure."""

from __future__ import annotations

import re

# So long a decision holds for a dial, as [callguard-allowed] in the dialplan has it.
ALLOWED_S = 10
# NUMBER@ENDPOINT; ENDPOINT/sip:NUMBER@HOST and TRUNK/NUMBER, whose last part is the number's.
_AT_ENDPOINT = re.compile(r"([^/@]+)@[^/]*")
_AFTER_TRUNK = re.compile(r"[^/]+/(?:.*/)?(?:sips?:)?([^/@:;]+)(?:[@:;].*)?")
_URI = re.compile(r"<?sips?:([^@:;>]+)@.*")
_NUMBER = re.compile(r"[0-9*#+]{1,40}")
_ALLOWED = re.compile(r"([0-9*#+]{1,40}):([0-9]{1,11})")


def number_called(dialled: str, uri: str = "") -> str:
    """The number that a channel calls, as the trunk gets it; empty where that is none or not known.

    Args:
        dialled: what was dialled, without its technology. An endpoint alone says no number.
        uri: whom SIP calls (the To header's), which says it then.
    """
    found = _AT_ENDPOINT.fullmatch(dialled) or _AFTER_TRUNK.fullmatch(dialled) or _URI.fullmatch(uri)
    # What holds more than a number's characters is none: a filtered one would be looked for, and another one called.
    return found[1] if found is not None and _NUMBER.fullmatch(found[1]) else ""


def was_allowed(number: str, allowed: str, now: str) -> bool:
    """Whether the dialplan's guard has allowed just this number, just now.

    Args:
        allowed: what it has put on the channel, NUMBER:SECONDS.
        now: by the same clock, in whole seconds since the epoch.
    """
    found = _ALLOWED.fullmatch(allowed)
    if found is None or not number or found[1] != number or not re.fullmatch(r"[0-9]{1,11}", now):
        return False
    return int(now) - int(found[2]) <= ALLOWED_S
