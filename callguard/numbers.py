"""Numbers as people and networks write them, to E.164."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache
from itertools import product

import phonenumbers

from callguard.core.blocks import Block

REGIONS = frozenset(phonenumbers.SUPPORTED_REGIONS)
"""The ISO 3166-1 alpha-2 codes whose national formats are known."""

# Digits with an optional plus and the separators people use. Anything else in a caller ID is not a number: a SIP
# user name, an attempt at injection, or nothing.
_MAYBE_E164 = re.compile(r"\+[1-9][0-9]{7,14}")
# North America's plan has one length, and no number of it begins with its trunk prefix: so written it is in E.164, and
# there is nothing in it to be parsed, which for its hundreds of thousands of exchanges would be done again and again.
_NORTH_AMERICAN = re.compile(r"\+1[2-9][0-9]{9}")
_WRITTEN = re.compile(r"(?:[Tt][Ee][Ll]:)?((?:\+?\(?|\(\+)[0-9](?:[0-9 ()./-]{1,23})[0-9])")
_BEGINS = re.compile(r"(\+?[0-9 ()./-]{1,25}?|\(\+[0-9 ()./-]{1,25}?)[ ./-]*\*")
# A hyphen within a number is never followed by a plus.
_RANGE = re.compile(r"([^\u2013]{3,30}?) ?(?:\u2013|-(?= ?\(?\+)) ?([^\u2013]{3,30})")
_LONGEST = 15
_DIGITS = "0123456789"


@lru_cache(maxsize=1024)
def calling_code(region: str) -> str:
    """What the numbers of a country begin with in E.164, such as ``+34``; several countries may share one."""
    return f"+{phonenumbers.country_code_for_region(region)}"


def country(number: str) -> str | None:
    """The country that a number in E.164 belongs to (ISO 3166-1 alpha-2); None for one that belongs to none.

    Of countries that share a country code (+1, +39, +44 …) the one whose range it is in; for a range that is not known,
    the main one.
    """
    return _country(*block(number))


def block(number: str) -> tuple[str, int]:
    """What a number in E.164 has in common with all that are of its place, and its length.

    Numbers that differ in their last digits alone are of one place: no plan gives out fewer than a thousand together,
    and North America's gives out exchanges of ten thousand.
    """
    return number[: -4 if number.startswith("+1") else -3], len(number)


# Whoever asks for a number's country asks for its place next.
@lru_cache(maxsize=64)
def first_of(begins: str, length: int) -> phonenumbers.PhoneNumber:
    """The first of the numbers in E.164 that differ in their last digits alone."""
    first = begins.ljust(length, "0")
    if _NORTH_AMERICAN.fullmatch(first):
        return phonenumbers.PhoneNumber(country_code=1, national_number=int(first[2:]))
    return phonenumbers.parse(first)


# Asked more than once for each number that is dialled.
@lru_cache(maxsize=65_536)
def _country(begins: str, length: int) -> str | None:
    parsed = first_of(begins, length)
    region = phonenumbers.region_code_for_number(parsed)
    region = region or phonenumbers.region_code_for_country_code(parsed.country_code or 0)
    return str(region) if region in REGIONS else None


# What is dialled is mostly in E.164, and to parse each number anew is a notable part of what a decision costs.
@lru_cache(maxsize=65_536)
def _is_e164(begins: str, length: int) -> bool:
    """Whether numbers that differ in their last digits alone are written in E.164 already."""
    try:
        first = first_of(begins, length)
    except phonenumbers.NumberParseException:
        return False
    written = phonenumbers.format_number(first, phonenumbers.PhoneNumberFormat.E164)
    return phonenumbers.is_possible_number(first) and written == begins.ljust(length, "0")


def to_e164(written: str, region: str | None) -> str | None:
    """The number in E.164 (ITU-T E.164, with plus), or None when it identifies nobody.

    Args:
        written: caller ID or what a person typed, also after ``tel:`` (RFC 3966); hostile input is simply no number.
        region: ISO 3166-1 alpha-2 code that national formats belong to; None takes only international ones.
    """
    if _NORTH_AMERICAN.fullmatch(written) or (_MAYBE_E164.fullmatch(written) and _is_e164(*block(written))):
        return written
    if not (found := _WRITTEN.fullmatch(written)):
        return None
    try:
        number = phonenumbers.parse(found[1], region)
    except phonenumbers.NumberParseException:
        return None
    if not phonenumbers.is_possible_number(number):
        return None
    return str(phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164))


def to_number_or_block(written: str, region: str | None) -> str | None:
    """As `to_e164`; or a block of numbers as `core.blocks` writes it, as `to_block` finds it."""
    number = to_e164(written, region)
    if number is None and (found := to_block(written, region)):
        return str(found)
    return number


def to_block(written: str, region: str | None) -> Block | None:
    """The block of numbers that a person means, or None where it is none: ``+49 30 123*``, ``030 123*``, or both ends.

    The ends of a range are whole numbers, the second in international format, or after a dash (U+2013) in any: ``+49 30
    1234-000 - +49 30 1234-999``.
    """
    if found := _BEGINS.fullmatch(written):
        return _beginning(re.sub(r"[^+0-9]", "", found[1]), region)
    if found := _RANGE.fullmatch(written):
        first, last = (to_e164(end, region) for end in found.groups())
        if first and last and _code(first) == _code(last) and len(first) == len(last) and first < last:
            return Block(first, last)
    return None


def _beginning(digits: str, region: str | None) -> Block | None:
    """All numbers that begin so, where they begin alike in E.164 too: a trunk prefix goes, and in some countries more.

    Whole numbers tell it, as long ones as there are: of a few digits nobody knows which of them are a trunk prefix.
    """
    begun = ""
    for more in range(_LONGEST, 0, -1):
        first = to_e164(digits + "0" * more, region)
        if first is None or (begun and first.startswith(begun)):
            continue
        numbers = [number for digit in _DIGITS if (number := to_e164(digits + digit * more, region))]
        if begun:
            # Shorter ones that begin otherwise are none, as with a zero after the country code, or nobody knows.
            if any(_is_valid(number) and not number.startswith(begun) for number in numbers):
                return None
        else:
            begun = first[:-more]
            alike = all(number.startswith(begun) for number in numbers)
            if not (alike and len(f"+{_code(first)}") < len(begun) <= _LONGEST):
                return None
    whole = to_e164(digits, region)
    if begun and whole and not whole.startswith(begun) and _is_valid(whole):
        # They are a number as well, and nobody reads it as the beginning of the longer ones.
        if whole == digits:
            return Block(whole)
        if not digits.startswith("+"):
            return None
    return Block(begun) if begun else None


def why_no_block(written: str, region: str | None) -> str:
    """Why `to_block` finds none in what was meant for one, without a digit of it; empty for what was not."""
    if "*" in written:
        return _why_no_prefix(written, region)
    if not (found := _RANGE.fullmatch(written)):
        return ""
    first, last = (to_e164(end, region) for end in found.groups())
    if not (first and last):
        return "both ends of a range are whole numbers, the second in international format or after a dash (\u2013)"
    if _code(first) != _code(last) or len(first) != len(last):
        return "both ends of a range are of one country, and equally long"
    return "a range goes from a number to a higher one"


def _why_no_prefix(written: str, region: str | None) -> str:
    if not (found := _BEGINS.fullmatch(written)):
        return "a prefix is digits with one star at their end"
    digits = re.sub(r"[^+0-9]", "", found[1])
    if len(digits) > _LONGEST:
        return "a prefix is shorter than a number"
    if not digits.startswith("+"):
        return (
            "it is too short, or could begin numbers of two kinds: begin with + and the country's code"
            if region
            else ""
        )
    if any(calling_code(country).startswith(digits) for country in REGIONS):
        return "it would be a whole country"
    return "no number begins so in international format"


def is_anybody_in(block: Block) -> bool:
    """Whether some number that is given out is in a block, by the plans as they are known.

    Where two digits more, and then one and the same, are of no number, none is taken to be in it.
    """
    return any(_is_given_out(number) for prefix in block.prefixes for number in _tried(prefix, block.number_length))


def _tried(prefix: str, length: int | None) -> Iterator[str]:
    longest = _LONGEST + 1 - len(prefix)
    for more in range(longest + 1) if length is None else (length - len(prefix),):
        # By its length alone most is none: a country has few lengths.
        if to_e164(prefix + "5" * more, None) is None and to_e164(prefix + "2" * more, None) is None:
            continue
        for begins in product(_DIGITS, repeat=min(2, more)):
            for digit in _DIGITS if more > 2 else "":
                yield f"{prefix}{''.join(begins)}{digit * (more - 2)}"
            if more <= 2:
                yield prefix + "".join(begins)


def _is_given_out(number: str) -> bool:
    return to_e164(number, None) == number and _is_valid(number)


def _is_valid(number: str) -> bool:
    """Whether a number in E.164 is of a range that is given out."""
    return phonenumbers.is_valid_number(phonenumbers.parse(number))


def _code(number: str) -> int:
    """The country code of a number in E.164."""
    return phonenumbers.parse(number).country_code or 0
