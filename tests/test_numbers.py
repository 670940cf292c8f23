"""Caller IDs to E.164: people's formats are one number, hostile ones are none."""

from __future__ import annotations

import phonenumbers
import pytest
from hypothesis import given
from hypothesis import strategies as st
from phonenumbers import timezone

from callguard.numbers import REGIONS, block, calling_code, country, to_e164


@pytest.mark.parametrize("written", ["+34 912 34 56 78", "+34912345678", "912 34 56 78", "912-345-678"])
def test_the_formats_of_one_number(written: str) -> None:
    assert to_e164(written, "ES") == "+34912345678"


def test_a_national_number_needs_a_region() -> None:
    assert to_e164("912345678", None) is None


@pytest.mark.parametrize(
    "written",
    [
        "", "anonymous", "alice", "+", "12", "1\r\nX", "+34912345678\n", '1" | "1', "${SHELL(id)}", "9" * 300,
        "<sip:1@x>", "+34912345678;ext=1", "\u0663\u0663\u0663\u0663\u0663",
    ],
)  # fmt: skip
def test_what_is_no_number_is_nobody(written: str) -> None:
    assert to_e164(written, "ES") is None


@pytest.mark.parametrize(
    ("number", "of"),
    [
        ("+34600000001", "ES"),
        ("+15145550100", "CA"),  # of those who share +1
        ("+390000000001", "IT"),  # a range that is not known, and +39 is the Vatican's too
        ("+80012345678", None),  # freephone, of no country
    ],
)
def test_the_country_of_a_number(number: str, of: str | None) -> None:
    assert country(number) == of


def test_a_number_begins_with_the_code_of_its_country() -> None:
    for region in REGIONS:
        example = phonenumbers.example_number(region)
        assert example is not None
        number = phonenumbers.format_number(example, phonenumbers.PhoneNumberFormat.E164)
        found = country(number)
        assert found is not None
        assert number.startswith(calling_code(found))


@given(st.sampled_from(["+1", "+39", "+34", "+44", "+7"]), st.integers(200_000, 999_999), st.integers(0, 9_999))
def test_numbers_of_one_block_are_of_one_place(code: str, begins: int, ends: int) -> None:
    """What is remembered of places rests on it."""
    number = f"{code}{begins}{ends:04}"
    begun, length = block(number)
    first, one = phonenumbers.parse(begun.ljust(length, "0")), phonenumbers.parse(number)
    assert phonenumbers.region_code_for_number(first) == phonenumbers.region_code_for_number(one)
    assert timezone.time_zones_for_number(first) == timezone.time_zones_for_number(one)


@given(st.sampled_from(sorted(REGIONS)), st.integers(0, 10**7 - 1), st.integers(3, 7))
def test_what_is_taken_for_e164_unparsed_is_what_parsing_makes_of_it(region: str, ends: int, digits: int) -> None:
    example = phonenumbers.example_number(region)
    assert example is not None
    number = phonenumbers.format_number(example, phonenumbers.PhoneNumberFormat.E164)
    written = number[:-digits] + f"{ends:07}"[-digits:]
    parsed = phonenumbers.parse(written, None)
    possible = phonenumbers.is_possible_number(parsed)
    made = phonenumbers.format_number(parsed, phonenumbers.PhoneNumberFormat.E164) if possible else None
    assert to_e164(written, None) == made
