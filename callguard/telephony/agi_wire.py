"""AGI on the wire: the block that opens a session, and commands as one line of text. Pure.

Asterisk writes what callers chose (number, name, what was dialled) unchecked into the block and into its answers, line
ends included (22.10, `From: <sip:1%0aagi_…@…>`); so a block is read by the order that Asterisk writes it in, not by
what its lines look like.
"""

from __future__ import annotations

import re

# In Asterisk's order (res_agi.c, setup_env; the same since 1.8); agi_arg_1 and so on follow.
FIELDS = (
    "agi_network", "agi_network_script", "agi_request", "agi_channel", "agi_language", "agi_type", "agi_uniqueid",
    "agi_version", "agi_callerid", "agi_calleridname", "agi_callingpres", "agi_callingani2", "agi_callington",
    "agi_callingtns", "agi_dnid", "agi_rdnis", "agi_context", "agi_extension", "agi_priority", "agi_enhanced",
    "agi_accountcode", "agi_threadid",
)  # fmt: skip
# Line ends are let through here only: what follows is always there, so nothing of it can be put before its place.
FROM_CALLERS = frozenset({"agi_callerid", "agi_calleridname"})
# What Asterisk writes for a number that there is not.
NONE = "unknown"

DIGITS = "0123456789*#ABCD"
# Asterisk's own buffer is 2,048 bytes (AGI_BUF_LEN).
MOST_BYTES = 2_000

_APPLICATION = re.compile(r"[A-Za-z0-9_]+")
_VARIABLE = re.compile(r"[^${}]+")
# Commas, quotes and backslashes divide arguments in the dialplan; parentheses must come in pairs.
_ARGUMENT = re.compile(r'[^,"\\()]*(?:\([^,"\\()]*\)[^,"\\()]*)*')


class Malformed(Exception):
    """A block that Asterisk did not write, or not alone; the text names what is wrong, never its content."""


def fields(block: bytes) -> dict[str, str]:
    """The session's fields by Asterisk's names; the caller's number and name may hold anything.

    Args:
        block: up to and including the first empty line.

    Raises:
        Malformed: a field is missing, or another value goes over several lines.
    """
    found: dict[str, str] = {}
    last = ""
    for line in block.removesuffix(b"\n\n").decode(errors="replace").split("\n"):
        name, _, value = line.partition(": ")
        if name == _name(len(found)):
            found[name] = value
            last = name
        elif last in FROM_CALLERS:
            found[last] += f"\n{line}"
        else:
            raise Malformed(f"{_name(len(found))} was expected after {last or 'the beginning'}")
    if len(found) < len(FIELDS):
        raise Malformed(f"it ends after {last}")
    return found


def _name(index: int) -> str:
    return FIELDS[index] if index < len(FIELDS) else f"agi_arg_{index - len(FIELDS) + 1}"


def arguments(found: dict[str, str]) -> tuple[str, ...]:
    """What the dialplan gave to AGI() after the address."""
    return tuple(found.values())[len(FIELDS) :]


def command(words: str, *values: str) -> str:
    """A command's line, without its end; `values` arrive as they are, whatever they hold.

    Raises:
        ValueError: control characters, or too long; nothing may be sent then.
    """
    line = " ".join((words, *(_quoted(value) for value in values)))
    if any(character < " " or character == "\x7f" for character in line):
        raise ValueError("control characters cannot be sent over AGI")
    if len(line.encode()) > MOST_BYTES:
        raise ValueError(f"more than {MOST_BYTES} bytes cannot be sent over AGI")
    return line


def joined(arguments: tuple[str, ...]) -> tuple[str, ...]:
    """The one value, or none, that stands for the arguments of an application or a subroutine.

    Raises:
        ValueError: one of them would arrive as another.
    """
    if not all(_ARGUMENT.fullmatch(argument) for argument in arguments):
        raise ValueError("commas, quotes, backslashes and lone parentheses cannot be in an argument")
    return (",".join(arguments),) if arguments else ()


def application(name: str) -> str:
    """Raises: ValueError."""
    if not _APPLICATION.fullmatch(name):
        raise ValueError("not the name of an application")
    return name


def variable(name: str) -> str:
    """The expression for a variable or a function. Raises: ValueError."""
    if not _VARIABLE.fullmatch(name):
        raise ValueError("not the name of a variable")
    return "${" + name + "}"


def escape_digits(keys: str) -> str:
    """Raises: ValueError."""
    if not set(keys) <= set(DIGITS):
        raise ValueError("not keys of a phone")
    return keys


def key(code: int) -> str | None:
    """The key that an answer tells by its ASCII code; 0 is none. Raises: ValueError."""
    if code == 0:
        return None
    digit = chr(code) if 0 < code < 128 else ""
    if not digit or digit not in DIGITS:
        raise ValueError("not the code of a key")
    return digit


def _quoted(value: str) -> str:
    return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
