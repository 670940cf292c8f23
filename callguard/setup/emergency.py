"""Emergency numbers as they are dialled here, for `[callguard-emergency]`.

The numbers are those of libphonenumber's short-number data (https://github.com/google/libphonenumber). It names the
country's own emergency numbers and no others that may save a life, so an administrator adds what is missing.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable

from phonenumbers import PhoneMetadata

from callguard.errors import InputError
from callguard.setup.conf import header, uncommented

EVERYWHERE = ("112", "911")
"""What callguard.conf itself has; GSM phones take both for emergency numbers in every country (3GPP TS 22.101)."""

SECTION = "callguard-emergency"
_EXTEN = re.compile(r"\s*exten\s*=>?\s*x([0-9*#]+)\s*,")


def of_region(region: str) -> tuple[str, ...]:
    """The emergency numbers of a country (ISO 3166-1 alpha-2); none where nobody has listed them."""
    metadata = PhoneMetadata.short_metadata_for_region(region)
    if metadata is None or metadata.emergency is None or metadata.emergency.national_number_pattern is None:
        return ()
    matches = re.compile(metadata.emergency.national_number_pattern).fullmatch
    written = (
        "".join(digits)
        for length in metadata.emergency.possible_length
        for digits in itertools.product("0123456789", repeat=length)
    )
    return tuple(number for number in written if matches(number))


def extensions(numbers: Iterable[str], prefixes: Iterable[str]) -> tuple[str, ...]:
    """All of `numbers`, 112 and 911, as they are and with each prefix; what callguard.conf has itself is left out."""
    every = sorted({*EVERYWHERE, *numbers}, key=lambda number: (len(number), number))
    dialled = [f"{prefix}{number}" for prefix in ("", *prefixes) for number in every]
    return tuple(f"x{each}" for each in dict.fromkeys(dialled) if each not in EVERYWHERE)


def digits_of(written: str, field: str) -> tuple[str, ...]:
    """Short numbers or prefixes, separated by commas or blanks.

    Raises:
        InputError: one of them cannot be dialled.
    """
    found = tuple(dict.fromkeys(part for part in re.split(r"[,\s]+", written) if part))
    if any(not re.fullmatch(r"[0-9*#]{1,10}", part) for part in found):
        raise InputError("digits, * and # as they are dialled, separated by commas", field=field)
    return found


def listed(text: str) -> tuple[str, ...]:
    """What an emergency.conf has, as it is dialled; 112 and 911, which are in callguard.conf, mostly not."""
    found, here = [], ""
    for code in uncommented(text)[0]:
        if code.lstrip().startswith("["):
            here = header(code) or ""
        elif here == SECTION and (exten := _EXTEN.match(code)):
            found.append(exten[1])
    return tuple(dict.fromkeys(found))


def with_more(text: str, numbers: Iterable[str]) -> str:
    """An emergency.conf with further numbers at its end, with and without each prefix that it has already.

    Raises:
        ValueError: it ends within a comment.
    """
    lines, is_open = uncommented(text)
    if is_open:
        raise ValueError("a comment (;--) is not closed")
    there = listed(text)
    # `init` writes 112 and 911 with every prefix.
    before_112, before_911 = ([each[:-3] for each in there if each.endswith(end) and each != end] for end in EVERYWHERE)
    wanted = [f"{prefix}{number}" for number in numbers for prefix in ("", *before_112) if prefix in ("", *before_911)]
    new = [each for each in dict.fromkeys(wanted) if each not in (*there, *EVERYWHERE)]
    if not new:
        return text
    last = [header(code) for code in lines if code.lstrip().startswith("[")][-1:]
    head = "" if last == [SECTION] else f"[{SECTION}](+)\n"
    added = "".join(f"exten => x{each},1,NoOp()\n" for each in new)
    return f"{text}{'' if text.endswith(chr(10)) or not text else chr(10)}; Added with --emergency:\n{head}{added}"
