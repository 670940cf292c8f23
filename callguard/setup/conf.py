"""Asterisk's configuration files, read as Asterisk reads them: comments, sections, settings, included files.

Source: https://docs.asterisk.org/Configuration/Asterisk-Configuration-Files/
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from callguard.errors import SetupError

DEEPEST = 10
# Where a comment may begin or end; a semicolon after a backslash is none.
_MARK = re.compile(r"\\;|;--(?!-)|--;|;")
_HEADER = re.compile(r"\s*\[([^\]]+)\]\s*(?:\(([^)]*)\))?")
_INCLUDE = re.compile(r"\s*#(?:try)?include\s+[\"<]?([^\">]+?)[\">]?\s*$")
_SETTING = re.compile(r"\s*([^=\s][^=]*?)\s*=>?\s*(.*?)\s*$")


@dataclass(frozen=True, slots=True)
class Entry:
    """A section's header (its name is empty) or a setting.

    Attributes:
        file: where it stands.
        line: the first is 1.
    """

    file: Path
    line: int
    section: str
    name: str = ""
    value: str = ""


def uncommented(text: str) -> tuple[list[str], bool]:
    """Each line without its comments, and whether a block comment (``;--`` to ``--;``) is still open at the end."""
    lines, depth = [], 0
    for line in text.split("\n"):
        kept, at = "", 0
        for mark in _MARK.finditer(line):
            before = line[at : mark.start()]
            if mark[0] == ";--":
                kept += "" if depth else before
                depth += 1
            elif mark[0] == "--;" and depth:
                depth -= 1
            elif mark[0] in {";", "--;"} and not depth:
                kept += before + ("--" if mark[0] == "--;" else "")
                at = len(line)
                break
            elif not depth:
                kept += before + mark[0]
            at = mark.end()
        lines.append(kept if depth else kept + line[at:])
    return lines, depth > 0


def header(code: str) -> str | None:
    """The section that an uncommented line begins; a template, which Asterisk leaves out, is none."""
    found = _HEADER.match(code)
    return None if found is None or "!" in (found[2] or "") else found[1]


class Reader:
    """Reads files of one Asterisk.

    Args:
        folder: ``/etc/asterisk``, as it is seen here.
        root: the folder here that Asterisk sees as ``/``.
        instead: texts to be read in the place of what some files hold now.
    """

    def __init__(self, folder: Path, root: Path = Path("/"), instead: Mapping[Path, str] | None = None) -> None:
        self._folder = folder
        self._root = root
        self._instead = instead or {}

    def entries(self, name: str) -> list[Entry]:
        """What stands in a file and in those that it includes. One that is not there is empty.

        Raises:
            SetupError: a file is there and cannot be read.
        """
        return list(self._read(self._folder / name, [""], 0))

    def value(self, name: str, section: str, setting: str) -> Entry | None:
        """A setting as Asterisk takes it: where it stands several times, the last one."""
        found = [e for e in self.entries(name) if (e.section.lower(), e.name.lower()) == (section, setting)]
        return found[-1] if found else None

    def text(self, file: Path) -> str:
        """A file's text; empty where there is none.

        Raises:
            SetupError: it is there and cannot be read.
        """
        if file in self._instead:
            return self._instead[file]
        try:
            # Whatever encoding its comments have, they are written back as they are.
            return file.read_bytes().decode("utf-8", "surrogateescape")
        except FileNotFoundError:
            return ""
        except OSError as error:
            raise SetupError(f"{file} cannot be read: {error.strerror}") from error

    def _read(self, file: Path, section: list[str], depth: int) -> Iterator[Entry]:
        for number, code in enumerate(uncommented(self.text(file))[0], 1):
            if (named := _HEADER.match(code)) is not None:
                section[0] = named[1] if header(code) is not None else ""
                yield Entry(file, number, section[0])
            elif (included := _INCLUDE.match(code)) is not None:
                if depth < DEEPEST:
                    for other in self._named(included[1]):
                        yield from self._read(other, section, depth + 1)
            elif (setting := _SETTING.match(code)) is not None:
                yield Entry(file, number, section[0], setting[1], setting[2])

    def _named(self, pattern: str) -> list[Path]:
        folder = self._folder
        if pattern.startswith("/"):
            folder, pattern = self._root, pattern.lstrip("/")
        if not re.search(r"[*?\[]", pattern):
            return [folder / pattern]
        return sorted(file for file in folder.glob(pattern) if file.is_file())
