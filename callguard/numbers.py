"""Numbers as people and networks write them, to E.164."""

from __future__ import annotations

import re

import phonenumbers

REGIONS = frozenset(phonenumbers.SUPPORTED_REGIONS)
"""The ISO 3166-1 alpha-2 codes whose national formats are known."""

# Digits with an optional plus and the separators people use. Anything else in a caller ID is not a number: a SIP
# user name, an attempt at injection, or nothing.
_WRITTEN = re.compile(r"\+?\(?[0-9](?:[0-9 ()./-]{1,23})[0-9]")


def country(number: str) -> str | None:
    """The country that a number in E.164 belongs to (ISO 3166-1 alpha-2); None for one that belongs to none.

    Of countries that share a country code (+1, +39, +44 …) the one whose range it is in; for a range that is not known,
    the main one.
    """
    parsed = phonenumbers.parse(number)
    region = phonenumbers.region_code_for_number(parsed)
    region = region or phonenumbers.region_code_for_country_code(parsed.country_code or 0)
    return str(region) if region in REGIONS else None


def to_e164(written: str, region: str | None) -> str | None:
    """The number in E.164 (ITU-T E.164, with plus), or None when it identifies nobody.

    Args:
        written: caller ID or what a person typed; hostile input is simply no number.
        region: ISO 3166-1 alpha-2 code that national formats belong to; None takes only international ones.
    """
    if not _WRITTEN.fullmatch(written):
        return None
    try:
        number = phonenumbers.parse(written, region)
    except phonenumbers.NumberParseException:
        return None
    if not phonenumbers.is_possible_number(number):
        return None
    return str(phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164))


EVERYWHERE = frozenset({"112", "911"})
"""Emergency numbers that GSM phones dial anywhere (3GPP TS 22.101, 10.1)."""


def emergency_numbers(region: str | None) -> frozenset[str]:
    """The numbers that reach an emergency service in a country, `EVERYWHERE` included.

    Args:
        region: ISO 3166-1 alpha-2 code; None for `EVERYWHERE` alone.
    """
    metadata = phonenumbers.PhoneMetadata.short_metadata_for_region(region) if region else None
    if metadata is None or metadata.emergency is None or not metadata.emergency.national_number_pattern:
        return EVERYWHERE
    known = re.compile(metadata.emergency.national_number_pattern)
    lengths = metadata.emergency.possible_length
    # The library has a pattern and no list. All have five digits at most: what is longer is no number to remember.
    candidates = (f"{number:0{length}}" for length in lengths if length <= 5 for number in range(10**length))
    return EVERYWHERE | {number for number in candidates if known.fullmatch(number)}
