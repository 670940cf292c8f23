"""Caller IDs to E.164: people's formats are one number, hostile ones are none."""

from __future__ import annotations

from contextlib import suppress

import phonenumbers
import pytest
from hypothesis import given
from hypothesis import strategies as st
from phonenumbers import PhoneNumberFormat, timezone

from callguard.core.blocks import Block
from callguard.numbers import (
    REGIONS,
    block,
    calling_code,
    country,
    first_of,
    is_anybody_in,
    to_block,
    to_e164,
    to_number_or_block,
)


@pytest.mark.parametrize(
    "written",
    [
        "+34 912 34 56 78", "+34912345678", "912 34 56 78", "912-345-678", "(+34) 912 34 56 78", "+(34) 912345678",
        "tel:+34-912-34-56-78", "TEL:912345678", "0034 912 345 678", "(912) 345 678",
    ],
)  # fmt: skip
def test_the_formats_of_one_number(written: str) -> None:
    assert to_e164(written, "ES") == "+34912345678"


def test_a_national_number_needs_a_region() -> None:
    assert to_e164("912345678", None) is None


@pytest.mark.parametrize(
    "written",
    [
        "", "anonymous", "alice", "+", "12", "1\r\nX", "+34912345678\n", '1" | "1', "${SHELL(id)}", "9" * 300,
        "<sip:1@x>", "+34912345678;ext=1", "tel:", "tel:+34912345678;ext=1", "sip:+34912345678", "(+34 912345678)",
        "\u0663\u0663\u0663\u0663\u0663",
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
    made = None
    with suppress(phonenumbers.NumberParseException):
        parsed = phonenumbers.parse(written, None)
        if phonenumbers.is_possible_number(parsed):
            made = phonenumbers.format_number(parsed, phonenumbers.PhoneNumberFormat.E164)
    assert to_e164(written, None) == made


@given(st.integers(200, 999), st.integers(0, 999), st.integers(0, 9_999))
def test_a_number_of_north_america_needs_no_parsing(area: int, exchange: int, ends: int) -> None:
    number = f"+1{area}{exchange:03}{ends:04}"
    parsed = phonenumbers.parse(number)
    assert phonenumbers.is_possible_number(parsed)
    assert phonenumbers.format_number(parsed, PhoneNumberFormat.E164) == number == to_e164(number, None)
    assert first_of(number[:-4], len(number)) == phonenumbers.parse(f"{number[:-4]}0000")


@pytest.mark.parametrize(
    ("written", "region", "kept"),
    [
        ("+49 30 123*", None, "+4930123*"),
        ("030 / 123 *", "DE", "+4930123*"),
        ("(030) 123-*", "DE", "+4930123*"),
        ("+44 (0)20 7946*", None, "+44207946*"),
        ("06 123*", "IT", "+3906123*"),  # a zero that belongs to the number
        ("8 495 12*", "RU", "+749512*"),
        ("011 15*", "AR", "+54911*"),  # mobile numbers are written otherwise at home
        ("011 1*", "AR", None),  # some of these are mobile numbers, others not
        ("+49 30 1234-000 - +49 30 1234-999", None, "+49301234000-+49301234999"),
        ("030 1234-000 \u2013 030 1234-999", "DE", "+49301234000-+49301234999"),
        ("+34911111111-+35911111111", None, None),
        ("+49*", None, None),
        ("+1*", None, None),
        ("030 123*", None, None),
        ("+999*", None, None),
        ("+34912345678*", None, None),
    ],
)  # fmt: skip
def test_a_block_may_be_written_as_numbers_are(written: str, region: str | None, kept: str | None) -> None:
    assert to_number_or_block(written, region) == kept


@pytest.mark.parametrize("form", [PhoneNumberFormat.NATIONAL, PhoneNumberFormat.INTERNATIONAL, PhoneNumberFormat.E164])
def test_the_beginning_of_a_number_covers_the_number_wherever_it_is_of(form: int) -> None:
    """However it is written, or it is no block; almost everywhere it is one."""
    refused = 0
    for region in REGIONS:
        example = phonenumbers.example_number(region)
        assert example is not None
        number, written = (
            to_e164(phonenumbers.format_number(example, PhoneNumberFormat.E164), None),
            phonenumbers.format_number(example, form),
        )
        assert number is not None
        block = to_block(f"{written[:-2]}*", region)
        assert block is None or block.covers(number)
        refused += block is None
    assert refused <= 5


@given(
    st.integers(0, 9_999_999), st.sampled_from(["+34 9{} {}", "9{}-{}", "(+34) 9{} {}", "tel:+349{}{}", "0034 9{}.{}"])
)
def test_the_formats_of_one_number_are_in_one_block_or_none(digits: int, form: str) -> None:
    number = f"{digits:08}"
    written = to_e164(form.format(number[:3], number[3:]), "ES")
    assert written == f"+349{number}"
    assert Block("+349012").covers(written) == number.startswith("012")


@pytest.mark.parametrize("number", ["+37080012345", "+78001234567", "+3758011234567", "+24106031234"])
def test_a_whole_number_with_a_star_is_a_block_that_it_is_in(number: str) -> None:
    """Though a digit after the country code would be a trunk prefix of longer numbers."""
    block = to_block(f"{number}*", None)
    assert block is not None and block.covers(number)


def test_somebody_is_in_each_block_of_a_number_that_is_given_out() -> None:
    for region in REGIONS:
        example = phonenumbers.example_number(region)
        assert example is not None
        number = phonenumbers.format_number(example, PhoneNumberFormat.E164)
        for cut in (2, 4):
            assert is_anybody_in(Block(number[:-cut]))
            assert is_anybody_in(Block(f"{number[:-cut]}{'0' * cut}", f"{number[:-cut]}{'9' * cut}"))
