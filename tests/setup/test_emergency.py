"""Emergency numbers: the country's, 112 and 911, with and without what is dialled for an outside line."""

from __future__ import annotations

import pytest
from phonenumbers.shortnumberinfo import is_emergency_number

from callguard.errors import InputError
from callguard.setup.emergency import digits_of, extensions, listed, of_region, with_more


@pytest.mark.parametrize(
    ("region", "numbers"),
    [("GB", ("112", "999")), ("US", ("112", "911")), ("DE", ("110", "112")), ("FR", ("15", "17", "18", "112"))],
)
def test_a_country_has_its_own(region: str, numbers: tuple[str, ...]) -> None:
    assert of_region(region) == numbers


@pytest.mark.parametrize("region", ["ES", "AU", "IN", "BR", "ZA"])
def test_they_are_those_that_the_library_takes_for_emergency_numbers(region: str) -> None:
    written = {f"{number:0{length}}" for length in (2, 3, 4) for number in range(10**length)}
    assert {number for number in of_region(region) if len(number) < 5} == {
        number for number in written if is_emergency_number(number, region)
    }


def test_where_nobody_has_listed_any_there_are_none() -> None:
    assert of_region("GQ") == of_region("GN") == ()


def test_each_is_there_with_and_without_the_prefix_but_for_those_that_the_dialplan_has() -> None:
    assert extensions(["999", "112"], ["0", "*1"]) == ("x999", "x0112", "x0911", "x0999", "x*1112", "x*1911", "x*1999")


def test_what_cannot_be_dialled_is_refused() -> None:
    assert digits_of("061, 091 *1", "--emergency") == ("061", "091", "*1")
    with pytest.raises(InputError, match="--emergency: digits"):
        digits_of("061;System()", "--emergency")


def test_further_numbers_go_into_their_section_with_the_prefixes_that_are_there() -> None:
    text = "[callguard-emergency](+)\nexten => x9112,1,NoOp()\nexten = x9911,1,NoOp()\n;exten => x7,1,NoOp()\n[mine]\n"
    more = with_more(text, ["112", "061"])
    assert more.startswith(text)
    assert listed(more) == ("9112", "9911", "061", "9061")
    assert with_more(more, ["061"]) == more
    with pytest.raises(ValueError, match="not closed"):
        with_more(";-- open", ["061"])
