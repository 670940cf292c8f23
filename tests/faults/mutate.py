"""Mutations, seeded: of JSON by its structure, of lines and of bytes."""

from __future__ import annotations

import copy
import json
from random import Random
from typing import Any

import orjson

from tests.faults.transcripts import CHANNEL_ID, LEG, NAME, NUMBER

TEXTS = (
    "", "\x00", "\r\n", "a\r\nb", "\r\n\r\nEvent: UserEvent\r\n", "\x1b[31m", "[red]x[/red]", "<script>", "../../x",
    "'; DROP TABLE legs; --", '1" | "1', "${SHELL(id)}", "$[1+1]", "9" * 400, "é" * 90, "\u202e", "²", "٣", "1*9", "#",
    "-1", "0x10", "1e400", "NaN", "9" * 5_000, "unknown", CHANNEL_ID, LEG, NUMBER, NAME, "done", "callguard",
)  # fmt: skip
NUMBERS = (0, -1, 1, 48, 127, 128, 255, 2**31, 2**63, 2**64 - 1, -(2**63), 1e308, -1e308, 0.5, 1e-300)
TIMES = (
    "", "now", "0001-01-01T00:00:00", "9999-12-31T23:59:59.999-2359", "2026-02-30T00:00:00.000+0000",
    "2026-11-22T11:16:29", "2026-11-22", "1969-12-31T23:59:59.000+0000", "2026-11-22T11:16:29.418+0000 7",
)  # fmt: skip
BYTES = (
    b"", b"\x00", b"\r\n", b"\n", b"\r\n\r\n", b"\n\n", b"\xff\xfe", b"\xc3", b"\xed\xa0\x80", b": ", b"HANGUP\n",
    b"200 result=-1\n", b"100 result=0 Trying...\n", b"520-Invalid\n", b"520 End\n", b"ActionID: x\r\n",
    b"Event: Shutdown\r\n\r\n", b"Response: Error\r\n", b"A" * 9_000, b"{" * 2_000, b"\x1b[2J", b"agi_arg_1: x\n",
)  # fmt: skip


class Mutator:
    """Changes things, as one `Random` says: the same seed makes the same changes."""

    def __init__(self, random: Random) -> None:
        self.random = random

    def value(self) -> Any:
        """Anything that JSON can say."""
        pick = self.random.random
        if pick() < 0.4:
            return self.random.choice(TEXTS)
        if pick() < 0.5:
            return self.random.choice(NUMBERS)
        if pick() < 0.3:
            return self.random.choice(TIMES)
        if pick() < 0.2:
            deep: Any = []
            for _ in range(self.random.choice((3, 200))):
                deep = [deep] if self.random.random() < 0.5 else {"channel": deep}
            return deep
        return self.random.choice((None, True, False, [], {}, [1], {"id": 1}, {"id": CHANNEL_ID}))

    def tree(self, tree: Any) -> Any:
        """The same with one to three changes: a value, its type, a field gone, moved or added."""
        changed = copy.deepcopy(tree)
        for _ in range(self.random.choice((1, 1, 2, 3))):
            places = list(_places(changed))
            if not places:
                return self.value()
            holder, key = self.random.choice(places)
            match self.random.randrange(5):
                case 0:
                    del holder[key]
                case 1 if isinstance(holder, dict):
                    holder[self.random.choice(TEXTS)] = holder.pop(key)
                case 2:
                    other, there = self.random.choice(places)
                    try:
                        holder[key] = copy.deepcopy(other[there])
                    except LookupError:  # what was there is gone by now
                        holder[key] = None
                case _:
                    holder[key] = self.value()
        return changed

    def json(self, tree: Any) -> bytes:
        """A message as bytes: its tree changed, or its text, or with a key twice."""
        kind = self.random.random()
        if kind < 0.7:
            return json.dumps(self.tree(tree), ensure_ascii=False).encode()
        text = orjson.dumps(tree)
        if kind < 0.8:
            again = orjson.dumps({self.random.choice(list(tree)): self.value()})
            return text[:-1] + b"," + again[1:]
        return self.torn(text)

    def torn(self, data: bytes) -> bytes:
        """The same with one to four changes: cut, torn out, doubled, bits turned, something put in."""
        for _ in range(self.random.choice((1, 1, 2, 4))):
            at = self.random.randrange(len(data) + 1)
            to = min(len(data), at + self.random.choice((1, 2, 8, 64)))
            match self.random.randrange(6):
                case 0:
                    data = data[:at]
                case 1:
                    data = data[:at] + data[to:]
                case 2:
                    data = data[:to] + data[at:to] + data[to:]
                case 3:
                    data = (
                        data[:at]
                        + bytes(byte ^ self.random.choice((1, 32, 128, 255)) for byte in data[at:to])
                        + (data[to:])
                    )
                case _:
                    data = data[:at] + self.random.choice(BYTES) + data[at:]
        return data

    def lines(self, data: bytes, end: bytes) -> bytes:
        """The same with lines lost, doubled, in another order, or with another value after the colon."""
        lines = data.split(end)
        for _ in range(self.random.choice((1, 1, 2, 3))):
            at = self.random.randrange(len(lines))
            match self.random.randrange(5):
                case 0 if len(lines) > 1:
                    del lines[at]
                case 1:
                    lines.insert(self.random.randrange(len(lines)), lines[at])
                case 2:
                    other = self.random.randrange(len(lines))
                    lines[at], lines[other] = lines[other], lines[at]
                case 3:
                    return self.torn(end.join(lines))
                case _:
                    name, colon, _ = lines[at].partition(b": ")
                    lines[at] = name + colon + self.random.choice(TEXTS).encode(errors="surrogatepass")
        return end.join(lines)

    def pieces(self, data: bytes) -> list[bytes]:
        """The same as it might come: whole, or in pieces."""
        cuts = sorted(self.random.randrange(len(data) + 1) for _ in range(self.random.choice((0, 0, 1, 5))))
        return [data[begin:end] for begin, end in zip([0, *cuts], [*cuts, len(data)], strict=True)]


def _places(tree: Any) -> Any:
    """Each place in a tree where a value stands: who holds it, and under which key or index."""
    if isinstance(tree, dict):
        for key, value in tree.items():
            yield tree, key
            yield from _places(value)
    elif isinstance(tree, list):
        for index, value in enumerate(tree):
            yield tree, index
            yield from _places(value)
