"""What a loaded dialplan does with calls, as far as its text tells. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from callguard.doctor.facts import Step

OURS = "callguard-"
# Applications that run another one, which stands in their data.
_RUNNERS = {"ExecIf", "TryExec", "Exec"}
_RECORDERS = {"MixMonitor", "Monitor", "Record"}
_BRACKETS = {"(": ")", "[": "]", "{": "}"}


@dataclass(frozen=True, slots=True)
class Call:
    """An application that a step runs, itself or inside ExecIf and the like."""

    step: Step
    app: str
    data: str


@dataclass(frozen=True, slots=True)
class Bridging:
    """A Dial or Queue.

    Attributes:
        to: what is dialled, or the queue's name.
        options: each option's letter and what stands in its brackets.
        unresolved: variables in the options whose value is only known in a call.
    """

    step: Step
    app: str
    to: tuple[str, ...]
    options: tuple[tuple[str, str], ...]
    unresolved: tuple[str, ...]

    def has(self, letters: str) -> bool:
        return any(letter in letters for letter, _ in self.options)


@dataclass(frozen=True, slots=True)
class Use:
    """A place where calls go through the gate; `profile` is empty where only a call tells it."""

    step: Step
    gate: str
    profile: str
    number: str = ""


def foreign(steps: Iterable[Step]) -> tuple[Step, ...]:
    """The administrator's own steps."""
    return tuple(step for step in steps if not step.context.startswith(OURS))


def calls(steps: Iterable[Step]) -> Iterator[Call]:
    """Every application that is run."""
    for step in steps:
        yield Call(step, step.app, step.data)
        if step.app in _RUNNERS:
            for found in re.finditer(r"\b([A-Z][A-Za-z]+)\(", step.data):
                end = _closing(step.data, found.end() - 1)
                yield Call(step, found[1], step.data[found.end() : end])


def bridgings(steps: Iterable[Step], values: Mapping[str, str]) -> tuple[Bridging, ...]:
    """Every Dial and Queue; `values` are the globals that are known."""
    found = []
    for call in calls(steps):
        if call.app not in {"Dial", "Queue"}:
            continue
        parts = arguments(call.data)
        text = (
            parts[2] if call.app == "Dial" and len(parts) > 2 else parts[1] if call.app == "Queue" and parts[1:] else ""
        )
        text = re.sub(r"\$\{(\w+)\}", lambda name: values.get(name[1]) or name[0], text)
        to = tuple(parts[0].split("&")) if call.app == "Dial" else (parts[0],)
        found.append(Bridging(call.step, call.app, to, *options(text)))
    return tuple(found)


def option_variables(steps: Iterable[Step]) -> frozenset[str]:
    """The plain variables that stand in options of Dial and Queue."""
    return frozenset(name for one in bridgings(steps, {}) for name in one.unresolved if name.isidentifier())


def recordings(steps: Iterable[Step]) -> tuple[Step, ...]:
    """The steps that record."""
    return tuple(dict.fromkeys(call.step for call in calls(steps) if call.app in _RECORDERS))


def uses(steps: Iterable[Step]) -> tuple[Use, ...]:
    """Where calls go through the gate: Gosub to the inbound or outbound one, AGI(), U() to the callee's."""
    found = []
    for step in steps:
        if step.app == "AGI" and (asked := re.search(r"/inbound,([^,]*)", step.data)):
            found.append(Use(step, "inbound", _plain(asked[1])))
        for match in re.finditer(r"callguard-(inbound|outbound|trunk),s,1\(", step.data):
            inside = arguments(step.data[match.end() : _closing(step.data, match.end() - 1)])
            gate = "inbound" if match[1] == "inbound" else "outbound"
            number, profile = ("", inside[0]) if gate == "inbound" else [*inside, "", ""][:2]
            found.append(Use(step, gate, _plain(profile), number))
        for match in re.finditer(r"callguard-callee\^([^)^]*)", step.data):
            found.append(Use(step, "callee", _plain(match[1])))
    return tuple(found)


def fits(extension: str, name: str) -> bool:
    """Whether a call to a name comes to an extension, which may be a pattern."""
    if not extension.startswith("_"):
        return extension == name
    kinds = {"X": "[0-9]", "Z": "[1-9]", "N": "[2-9]", ".": ".+", "!": ".*", "-": ""}
    parts = re.findall(r"\[[^\]]*\]|.", extension[1:])
    return bool(re.fullmatch("".join(p if len(p) > 1 else kinds.get(p.upper(), re.escape(p)) for p in parts), name))


def prefixed(steps: Iterable[Step], number: str) -> frozenset[str]:
    """As what an emergency number reaches the gate, where extensions begin with one digit for an outside line."""
    found = set()
    for use in uses(steps):
        pattern = re.match(r"_([0-9])[^0-9]", use.step.extension)
        handed = re.fullmatch(r"\$\{EXTEN(?::(\d))?\}", use.number)
        if pattern and handed:
            found.add((pattern[1] + number)[int(handed[1] or 0) :])
    return frozenset(found)


def arguments(data: str) -> list[str]:
    """An application's arguments: split at the commas that are in no brackets and no quotes."""
    parts, depth, quoted, escaped = [""], 0, False, False
    for character in data:
        if escaped:
            escaped = False
        elif character == "\\":
            escaped = True
        elif character == '"':
            quoted = not quoted
        elif not quoted and character in _BRACKETS:
            depth += 1
        elif not quoted and character in _BRACKETS.values():
            depth -= 1
        elif character == "," and depth <= 0 and not quoted:
            parts.append("")
            continue
        parts[-1] += character
    return parts


def options(text: str) -> tuple[tuple[tuple[str, str], ...], tuple[str, ...]]:
    """Option letters with what stands in their brackets, and the variables that hide others."""
    found: list[tuple[str, str]] = []
    hidden: list[str] = []
    at = 0
    while at < len(text):
        if text[at] == "$" and text[at + 1 : at + 2] in {"{", "["}:
            end = _closing(text, at + 1)
            hidden.append(text[at + 2 : end])
            at = end + 1
            continue
        letter, inside = text[at], ""
        at += 1
        if text[at : at + 1] == "(":
            end = _closing(text, at)
            inside = text[at + 1 : end]
            at = end + 1
        if letter.isalnum():
            found.append((letter, inside))
    return tuple(found), tuple(hidden)


def _closing(text: str, at: int) -> int:
    """Where the bracket at `at` ends; the text's end where it does not."""
    depth = 0
    for index in range(at, len(text)):
        if text[index] in _BRACKETS:
            depth += 1
        elif text[index] in _BRACKETS.values():
            depth -= 1
            if depth == 0:
                return index
    return len(text)


def _plain(text: str) -> str:
    return text if re.fullmatch(r"[a-z0-9_]+", text) else ""
