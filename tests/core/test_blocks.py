"""Blocks of numbers: which numbers are in one, and by which few prefixes it is looked up."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from callguard.core.blocks import Block

DIGITS = st.text("0159", min_size=2, max_size=6)
NUMBERS = DIGITS.map("+49{}".format)


@st.composite
def ranges(draw: st.DrawFn) -> Block:
    length = draw(st.integers(1, 5))
    ends = st.integers(0, 10**length - 1)
    first, last = sorted(draw(st.lists(ends, min_size=2, max_size=2, unique=True)))
    return Block(f"+49{first:0{length}}", f"+49{last:0{length}}")


BLOCKS = ranges() | NUMBERS.map(Block)


@given(BLOCKS, NUMBERS)
def test_what_a_block_is_looked_up_by_is_what_it_covers(block: Block, number: str) -> None:
    of_its_length = block.number_length in (None, len(number))
    found = [prefix for prefix in block.prefixes if of_its_length and number.startswith(prefix)]
    # Never by two of them, or an opt-out would be told twice.
    assert len(found) == block.covers(number)


@given(ranges())
def test_a_range_covers_its_ends_and_what_lies_between_and_no_more(block: Block) -> None:
    assert block.last is not None
    first, last = int(block.first[1:]), int(block.last[1:])
    for number in {first, last, (first + last) // 2}:
        assert block.covers(f"+{number}")
    assert not block.covers(f"+{last + 1}")
    assert not block.covers(f"+{first - 1}")
    assert not block.covers(f"{block.first}0")


@given(ranges())
def test_a_range_comes_to_few_prefixes(block: Block) -> None:
    assert block.last is not None
    differing = len(str(int(block.last[1:]) - int(block.first[1:])))
    assert len(block.prefixes) <= 18 * (differing + 1)


def test_numbers_that_begin_alike_are_in_it_however_long_they_are() -> None:
    assert all(map(Block("+4930123").covers, ("+4930123", "+49301230", "+493012345678")))
    assert not any(map(Block("+4930123").covers, ("+493012", "+4930124", "+49301")))


def test_a_range_that_is_a_prefix_for_numbers_of_one_length_is_looked_up_by_that() -> None:
    assert Block("+49301234000", "+49301234999").prefixes == ("+49301234",)


@given(BLOCKS)
def test_a_block_is_read_as_it_is_written(block: Block) -> None:
    assert Block.of(str(block)) == block


@pytest.mark.parametrize(
    "text", ["", "*", "+*", "+4930123", "+4930123**", "4930123*", "+0930*", "+49-", "+49\u0663\u0663*"]
)
def test_what_is_no_block_is_none(text: str) -> None:
    assert Block.of(text) is None


@pytest.mark.parametrize("text", ["+4930124-+4930123", "+4930123-+4930123", "+493012-+4930123"])
def test_a_range_has_two_ends_in_order(text: str) -> None:
    with pytest.raises(ValueError, match="the same length"):
        Block.of(text)
