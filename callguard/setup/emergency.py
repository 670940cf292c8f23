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

EVERYWHERE = ("112", "911")
"""What callguard.conf itself has; GSM phones take both for emergency numbers in every country (3GPP TS 22.101)."""


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
