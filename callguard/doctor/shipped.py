"""The dialplan that comes with callguard, as Asterisk lists it when it is loaded, and what differs from that. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable

from callguard.doctor.facts import Step

# To be extended, and tried by checks of its own.
OPEN = frozenset({"callguard-emergency"})
_CONTEXT = re.compile(r"\[([\w-]+)\]")
_LINE = re.compile(r"(?:exten => (?P<extension>[^,]+),1|same => n(?:\(\w+\))?),(?P<app>\w+)(?:\((?P<data>.*)\))?")


def steps(text: str) -> tuple[Step, ...]:
    """The steps of a dialplan that is written as ours is: priorities 1 and n, no comment behind a step.

    Raises:
        ValueError: a line is not written so.
    """
    found: list[Step] = []
    context = extension = ""
    number = 0
    for line in map(str.strip, text.splitlines()):
        if not line or line.startswith(";"):
            continue
        if begun := _CONTEXT.fullmatch(line):
            context = begun[1]
        elif step := _LINE.fullmatch(line):
            extension, number = (step["extension"], 1) if step["extension"] else (extension, number + 1)
            data = (step["data"] or "").replace("\\;", ";")  # which would begin a comment
            found.append(Step(context, extension, str(number), step["app"], data))
        else:
            raise ValueError(f"not written as our dialplan is: {line}")
    return tuple(found)


def differences(loaded: Iterable[Step], shipped: Iterable[Step]) -> list[str]:
    """The places where one has a step that the other has not, or not so; contexts that nobody ships are left out."""
    ours = {step.place: step for step in shipped if step.context not in OPEN}
    contexts = {step.context for step in ours.values()}
    there = {step.place: step for step in loaded if step.context in contexts}
    return [place for place in dict.fromkeys([*ours, *there]) if ours.get(place) != there.get(place)]
