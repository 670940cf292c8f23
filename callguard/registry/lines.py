"""Lines of a list to numbers, many at once: a number is its digits in E.164 as an integer.

An error names the line and never what stands in it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from callguard.registry.source import Source

Numbers: TypeAlias = NDArray[np.int64]
Flags: TypeAlias = NDArray[np.bool_]
# Of a chunk's text, where some lines begin and how long they are: what they are, and which of them are wrong.
Parser: TypeAlias = Callable[[NDArray[np.uint8], Numbers, Numbers], tuple[Numbers, Flags]]

CHUNK = 4 << 20
LONGEST_LINE = 1_000
_LF, _CR, _PLUS, _MINUS, _COMMA, _ZERO, _TWO, _ADDED, _DELETED = b"\n\r+-,02AD"
# ITU-T E.164: at most 15 digits; fewer than 7 are no subscriber's.
_FEWEST, _MOST = 7, 15
# How long `201,5550123` is, and with `,A` after it at least.
_AREA_NUMBER, _COLUMNS = 11, 13
_LISTED, _CALLABLE = b",listed", b",callable"
_BOM = b"\xef\xbb\xbf"

AREA_NUMBER = "three digits, a comma and seven digits are needed, and nothing else"


def parsed(source: Source, form: str, codes: tuple[str, ...]) -> Iterator[tuple[int, Numbers]]:
    """The numbers of a list, and how many bytes they came from, chunk by chunk; empty lines are left out.

    Args:
        form: ``nanp`` (``area,number``) or ``e164``.
        codes: what numbers in E.164 may begin with, such as ``+44``.

    Raises:
        InputError: a line is not what the format says; it is named, what stands in it is not.
    """
    wants, parser = _format(form, codes)
    return read(source, parser, wants)


def changes(source: Source, form: str, codes: tuple[str, ...]) -> Iterator[tuple[int, Numbers]]:
    """What a change file adds and, as negative numbers, takes away; as `parsed` otherwise.

    A line is that of a whole list after ``+`` or ``-``; in ``nanp`` also ``area,number``, then other columns, such as a
    date, that are not looked at, and at its end ``,A`` (added) or ``,D`` (deleted).
    """
    wants, parser = _format(form, codes)
    form_wanted = "+ or -, and then " + wants
    if form == "nanp":
        form_wanted += "; or three digits, a comma, seven digits, more columns, and as the last A or D"
    return read(source, _changed(parser, columns=form == "nanp"), form_wanted)


def marked(source: Source, codes: tuple[str, ...]) -> Iterator[tuple[int, Numbers]]:
    """Numbers in E.164, each with ``,callable`` after it or, then negative, ``,listed``; as `parsed` otherwise."""
    wants, parser = _format("e164", codes)
    wants = wants.removesuffix(", and nothing else") + ", and then ,listed or ,callable"
    return read(source, _marked(parser), wants)


def contradicted(source: Source, codes: tuple[str, ...], listed: Numbers) -> Iterator[tuple[int, Numbers]]:
    """As `marked`, of a file in which a number may not be marked callable, as another line says that it is listed.

    Args:
        listed: these numbers.

    Raises:
        InputError: the first line that says it all the same.
    """
    _, parser = _format("e164", codes)
    marks = _marked(parser)

    def parse(text: NDArray[np.uint8], starts: Numbers, lengths: Numbers) -> tuple[Numbers, Flags]:
        numbers, wrong = marks(text, starts, lengths)
        return numbers, wrong | np.isin(numbers, listed)

    return read(source, parse, "says that a number may be called, and another line that it is listed")


def read(source: Source, parser: Parser, wants: str) -> Iterator[tuple[int, Numbers]]:
    """What a parser makes of a file's lines, and how many bytes it came from, chunk by chunk; without empty lines.

    Raises:
        InputError: the parser finds a line wrong; it is named, with what is wanted, and what stands in it is not.
    """
    line, rest = 1, b""
    while True:
        chunk = source.read(CHUNK)
        data = rest + chunk
        if line == 1:
            data = data.removeprefix(_BOM)
        if not chunk and data:
            data += b"\n"
        cut = data.rfind(b"\n") + 1
        data, rest = data[:cut], data[cut:]
        if len(rest) > LONGEST_LINE:
            raise source.wrong(wants, line + data.count(b"\n"))
        if data:
            text = np.frombuffer(data, np.uint8)
            lines, starts, lengths = _split(text)
            numbers, wrong = parser(text, starts, lengths)
            if wrong.any():
                raise source.wrong(wants, line + int(lines[wrong.argmax()]))
            line += int(np.count_nonzero(text == _LF))
            yield len(data), numbers
        if not chunk:
            return


def _format(form: str, codes: tuple[str, ...]) -> tuple[str, Parser]:
    if form == "nanp":
        return AREA_NUMBER, _area_number
    wants = f"a number in international format is needed that begins with {' or '.join(codes)}, and nothing else"
    return wants, _e164(codes)


def _split(text: NDArray[np.uint8]) -> tuple[Numbers, Numbers, Numbers]:
    """Of each line that is not empty: its place among all, where it begins, its length without its end."""
    ends = np.flatnonzero(text == _LF)
    starts = np.concatenate((np.zeros(1, ends.dtype), ends[:-1] + 1))
    lengths = ends - starts
    lengths -= (lengths > 0) & (text[ends - 1] == _CR)
    lines = np.flatnonzero(lengths)
    return lines, starts[lines], lengths[lines]


def _digits(text: NDArray[np.uint8], starts: Numbers, columns: range) -> tuple[Numbers, Flags]:
    """The numbers that stand in these columns, and which are none."""
    numbers = np.zeros(len(starts), np.int64)
    wrong = np.zeros(len(starts), np.bool_)
    for column in columns:
        digit = text[starts + column] - np.uint8(_ZERO)  # what is less wraps to more than nine
        wrong |= digit > 9
        numbers *= 10
        numbers += digit
    return numbers, wrong


def _area_number(text: NDArray[np.uint8], starts: Numbers, lengths: Numbers) -> tuple[Numbers, Flags]:
    wrong = lengths != _AREA_NUMBER
    # What is too short could lie beyond the text's end.
    starts = np.where(wrong, 0, starts)
    if len(text) < 12:
        return starts, wrong
    areas, no_area = _digits(text, starts, range(3))
    numbers, no_number = _digits(text, starts, range(4, 11))
    wrong |= no_area | no_number | (text[starts + 3] != _COMMA) | (text[starts] < _TWO)
    return (areas + 1_000) * 10_000_000 + numbers, wrong


def _e164(calling_codes: tuple[str, ...]) -> Parser:
    codes = [code.removeprefix("+") for code in calling_codes]

    def parse(text: NDArray[np.uint8], starts: Numbers, lengths: Numbers) -> tuple[Numbers, Flags]:
        plus = text[starts] == _PLUS
        starts, lengths = starts + plus, lengths - plus
        numbers = np.zeros(len(starts), np.int64)
        wrong = (lengths < _FEWEST) | (lengths > _MOST)
        for length in map(int, np.unique(lengths[~wrong])):
            these = np.flatnonzero(lengths == length)
            numbers[these], none = _digits(text, starts[these], range(length))
            foreign = np.ones(len(these), np.bool_)
            for code in codes:
                foreign &= numbers[these] // 10 ** (length - len(code)) != int(code)
            wrong[these] = none | foreign
        return numbers, wrong

    return parse


def _changed(parser: Parser, *, columns: bool) -> Parser:
    def parse(text: NDArray[np.uint8], starts: Numbers, lengths: Numbers) -> tuple[Numbers, Flags]:
        numbers = np.zeros(len(starts), np.int64)
        first, last = text[starts], text[starts + lengths - 1]
        adds, takes = first == _PLUS, first == _MINUS
        signed = adds | takes
        wrong = ~signed
        numbers[signed], wrong[signed] = parser(text, starts[signed] + 1, lengths[signed] - 1)
        if columns:
            more = np.flatnonzero(~signed & (lengths >= _COLUMNS))
            numbers[more], wrong[more] = parser(text, starts[more], np.full(len(more), _AREA_NUMBER))
            adds[more], takes[more] = last[more] == _ADDED, last[more] == _DELETED
            ends = starts[more] + lengths[more] - 2
            wrong[more] |= (text[starts[more] + _AREA_NUMBER] != _COMMA) | (text[ends] != _COMMA)
            wrong[more] |= ~(adds[more] | takes[more])
        return np.where(takes, -numbers, numbers), wrong

    return parse


def _marked(parser: Parser) -> Parser:
    def parse(text: NDArray[np.uint8], starts: Numbers, lengths: Numbers) -> tuple[Numbers, Flags]:
        ends = starts + lengths
        listed, may = (_ends_with(text, ends, lengths, word) for word in (_LISTED, _CALLABLE))
        words = np.where(listed, len(_LISTED), np.where(may, len(_CALLABLE), 0))
        numbers, wrong = parser(text, starts, lengths - words)
        return np.where(listed, -numbers, numbers), wrong | ~(listed | may)

    return parse


def _ends_with(text: NDArray[np.uint8], ends: Numbers, lengths: Numbers, word: bytes) -> Flags:
    found: Flags = lengths > len(word)
    for column, byte in enumerate(reversed(word), start=1):
        found &= text[np.where(lengths > len(word), ends - column, 0)] == byte
    return found
