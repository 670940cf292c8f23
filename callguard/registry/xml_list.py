"""A whole list as XML, read as a stream: ``<list type='full'><ac val='201'><ph val='5550123'/>…</ac></list>``.

So Canada's registry describes its file (File Formats, in "National DNCL", lnnte-dncl.gc.ca), and people who read the
United States' have met the same elements; the FTC's own description was not found. Anything else is refused.

What a document type declares (entities, which may grow without end, or name files) is refused before it is read: a list
has none. Elements are checked; text between them is not looked at.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from xml.parsers import expat

import numpy as np
from numpy.typing import NDArray

from callguard.errors import InputError
from callguard.registry.source import Source

PIECE = 1 << 20
# A tag that is still open after so much is none of a list; expat would keep all of it.
LONGEST_TAG = 4 << 20

_AREA, _NUMBER = re.compile("[2-9][0-9]{2}").fullmatch, re.compile("[0-9]{7}").fullmatch
WANTS = "<ac val='…'> of three digits, and in it <ph val='…'/> of seven, are needed, and nothing else"


def xml_numbers(source: Source) -> Iterator[tuple[int, NDArray[np.int64]]]:
    """The numbers of a list, and how many bytes they came from, piece by piece.

    Raises:
        InputError: it is not well-formed, or no such list; the line is named, what stands in it is not.
    """
    reader = _Reader(source)
    while piece := source.read(PIECE):
        yield len(piece), reader.read(piece)
    reader.end()


class _Reader:
    def __init__(self, source: Source) -> None:
        self._path = source.path
        self._fed = 0
        self._area = 0
        # What is open: nothing, the list, an area of it, or a number of that.
        self._depth = 0
        self._found: list[int] = []
        self._parser = parser = expat.ParserCreate()
        parser.ordered_attributes = True
        parser.StartDoctypeDeclHandler = self._declares
        parser.StartElementHandler = self._begins
        parser.EndElementHandler = self._ends

    def read(self, piece: bytes) -> NDArray[np.int64]:
        self._parse(piece, last=False)
        self._fed += len(piece)
        if self._fed - self._parser.CurrentByteIndex > LONGEST_TAG:
            raise self._wrong(WANTS)
        found = np.array(self._found, np.int64)
        self._found.clear()
        return found

    def end(self) -> None:
        self._parse(b"", last=True)

    def _parse(self, piece: bytes, *, last: bool) -> None:
        try:
            self._parser.Parse(piece, last)
        except expat.ExpatError as error:
            why = expat.errors.messages.get(error.code, "unreadable")
            raise InputError(f"is no well-formed XML: {why}", file=self._path, line=error.lineno) from error
        except (LookupError, UnicodeError, ValueError) as error:  # an encoding that Python does not know, or not so
            raise self._wrong("is in an encoding that is not known here") from error

    def _declares(self, *_: object) -> None:
        raise self._wrong("declares a document type, which no list needs and none may")

    def _begins(self, name: str, attributes: list[str]) -> None:
        # Most are numbers; this is the whole cost of a list.
        if self._depth == 2 and name == "ph" and len(attributes) == 2 and attributes[0] == "val":
            if not _NUMBER(attributes[1]):
                raise self._wrong(WANTS)
            self._found.append(self._area + int(attributes[1]))
        elif self._depth == 1 and name == "ac" and attributes[::2] == ["val"] and _AREA(attributes[1]):
            self._area = (1_000 + int(attributes[1])) * 10_000_000
        elif self._depth == 0 and name == "list":
            kind = dict(zip(attributes[::2], attributes[1::2], strict=True)).get("type", "full")
            if kind != "full":
                raise self._wrong("is no full list: its type says something else")
        else:
            raise self._wrong(WANTS)
        self._depth += 1

    def _ends(self, _: str) -> None:
        self._depth -= 1

    def _wrong(self, problem: str) -> InputError:
        return InputError(problem, file=self._path, line=self._parser.CurrentLineNumber)
