"""The few lines that Asterisk's own files need, put in and taken out again. Nothing here writes a file.

Each line that is put in ends with `MARK`, so what an administrator wrote is never touched, and a second look at a
patched file comes to the same text.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path

from callguard.errors import InputError
from callguard.setup.conf import Reader, header, uncommented

MARK = "; callguard init"
LOOPBACK = "127.0.0.1"
ACCOUNT = "callguard"
OWN = ("ari.conf", "http.conf", "manager.conf", "features.conf", "extensions.conf")
# What FreePBX leaves to the administrator; it writes the others anew.
FREEPBX = (
    "ari_additional_custom.conf",
    "manager_custom.conf",
    "features_applicationmap_custom.conf",
    "extensions_custom.conf",
)
# What looks like a password, in lines that stand beside ours in a diff.
_SECRET = re.compile(r"(?im)^([ +-]\s*[^;=\n]*(?:secret|passw|pass\b|token|auth)[^=\n]*=>?\s*)\S.*$")
_ON = {"yes", "true", "y", "t", "1", "on"}


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to become of Asterisk's files.

    Attributes:
        before: the files as they are.
        after: the same files as they would be.
        notes: what an administrator has to know or to do themselves.
        ari_url: where ARI answers then.
        ami: where the manager interface answers then, host and port.
    """

    before: Mapping[Path, str]
    after: Mapping[Path, str]
    notes: tuple[str, ...] = ()
    ari_url: str = f"http://{LOOPBACK}:8088"
    ami: tuple[str, int] = (LOOPBACK, 5038)

    @property
    def changed(self) -> tuple[Path, ...]:
        return tuple(file for file, text in self.after.items() if text != self.before[file])

    def diff(self) -> str:
        """All changes in the unified format, passwords that stand beside them blotted out; empty without any."""
        parts: list[str] = []
        for file in self.changed:
            old, new = ([f"{line}\n" for line in text.split("\n")] for text in (self.before[file], self.after[file]))
            # A text that ends with a line's end has nothing after it.
            old, new = (lines[:-1] if lines[-1] == "\n" else lines for lines in (old, new))
            parts += difflib.unified_diff(old, new, str(file), str(file), n=2)
        text = "".join(parts).encode("utf-8", "surrogateescape").decode("utf-8", "replace")
        return _SECRET.sub(r"\1…", text)


def put_in(folder: Path, ours: Path, *, root: Path = Path("/"), freepbx: bool = False) -> Plan:
    """The plan that makes Asterisk read the files that `init` writes, and turns on what they need.

    Args:
        folder: ``/etc/asterisk``, as it is seen here.
        ours: the folder of our files, as Asterisk sees it.
        root: the folder here that Asterisk sees as ``/``.
        freepbx: put the lines into the files that FreePBX leaves alone.

    Raises:
        InputError: a callguard is there already that is not ours, or a file ends in a comment.
        SetupError: a file cannot be read.
    """
    before, texts = _without_ours(folder, root)
    _refuse_strangers(Reader(folder, root, texts))
    notes: list[str] = []
    names = dict(
        zip(("ari", "manager", "features", "extensions"), FREEPBX if freepbx else OWN[:1] + OWN[2:], strict=True)
    )
    for what, name in names.items():
        line = f'#include "{ours}/{"callguard-features" if what == "features" else what}.conf" {MARK}'
        file = folder / name
        if what == "features" and not freepbx:
            texts[file] = _under(texts[file], "applicationmap", line)
        else:
            if uncommented(texts[file])[1]:
                raise InputError("ends in a comment that is not closed (;-- without --;)", file=file)
            texts[file] = _append(texts[file], line)
    if freepbx:
        notes += _off_in_freepbx(Reader(folder, root, texts)) + _not_read(folder, root)
    else:
        for name in ("http.conf", "manager.conf", "ari.conf"):
            texts[folder / name] = _turned_on(folder, root, texts, name)
    notes += _addresses(reader := Reader(folder, root, texts))
    host, port = _host(reader, "http.conf"), _value(reader, "http.conf", "bindport", "8088")
    prefix = _value(reader, "http.conf", "prefix", "").strip("/")
    ami_port = _value(reader, "manager.conf", "port", "5038")
    if not ami_port.isdecimal():
        raise InputError("is no port", file=folder / "manager.conf", field="port")
    ami = _host(reader, "manager.conf"), int(ami_port)
    return Plan(before, texts, tuple(notes), f"http://{host}:{port}" + (f"/{prefix}" if prefix else ""), ami)


def _in_pieces(text: str) -> bool:
    """Whether [general] is there twice, or something of it stands behind an #include."""
    section, generals, included = "", 0, False
    for line in (line.strip() for line in text.split("\n")):
        if found := re.match(r"\[([^\]]*)\]", line):
            section = found[1]
            generals += section == "general"
            if included and section == "general":
                return True
        elif re.match(r"#(include|tryinclude|exec)\b", line):
            included = True
        elif included and section == "general" and line and not line.startswith(";"):
            return True
    return generals > 1


def take_out(folder: Path, root: Path = Path("/")) -> Plan:
    """The plan that leaves Asterisk's files as they were without us."""
    return Plan(*_without_ours(folder, root))


def _without_ours(folder: Path, root: Path) -> tuple[dict[Path, str], dict[Path, str]]:
    reader = Reader(folder, root)
    before = {folder / name: reader.text(folder / name) for name in (*OWN, *FREEPBX)}
    return before, {
        file: "\n".join(line for line in text.split("\n") if not line.endswith(MARK)) for file, text in before.items()
    }


def _refuse_strangers(reader: Reader) -> None:
    for name, section in (("ari.conf", ACCOUNT), ("manager.conf", ACCOUNT), ("extensions.conf", "callguard-inbound")):
        for entry in reader.entries(name):
            if entry.section == section:
                raise InputError(
                    f"[{section}] is here already: take it out, init has its own", file=entry.file, line=entry.line
                )
    for entry in reader.entries("features.conf"):
        if entry.section == "applicationmap" and entry.name.startswith("callguard-"):
            raise InputError(
                f"{entry.name} is here already: take it out, init has its own", file=entry.file, line=entry.line
            )


def _turned_on(folder: Path, root: Path, texts: Mapping[Path, str], name: str) -> str:
    """The file's text, its server on; one that was off comes up on loopback only, whatever address stands there."""
    text, reader = texts[folder / name], Reader(folder, root, texts)
    was_on = _is_on(reader, name)
    if not was_on and _in_pieces(text):
        raise InputError(
            "[general] is in several pieces, or goes on after an #include; what Asterisk heeds of it is not certain: "
            "make it one piece before any #include, with enabled = yes, and run init again", file=folder / name,
        )  # fmt: skip
    if not was_on:
        text = _at_end_of(text, "general", f"enabled = yes {MARK}")
    address = reader.value(name, "general", "bindaddr")
    # Without an address the manager would listen everywhere, and HTTP nowhere.
    elsewhere = not was_on and _host(reader, name, "") != LOOPBACK
    if name != "ari.conf" and (elsewhere or (name == "http.conf" and address is None)):
        text = _at_end_of(text, "general", f"bindaddr = {LOOPBACK} {MARK}")
    return text


def _off_in_freepbx(reader: Reader) -> list[str]:
    where = {
        "http.conf": "turn on the mini-HTTP server in FreePBX: Settings, Advanced Settings",
        "ari.conf": "turn on the Asterisk REST Interface in FreePBX: Settings, Advanced Settings",
        "manager.conf": "turn on the manager interface: enabled = yes",
    }
    return [f"{name}: it is off; {what}" for name, what in where.items() if not _is_on(reader, name)]


def _not_read(folder: Path, root: Path) -> list[str]:
    notes = []
    for name, custom in zip((OWN[0], *OWN[2:]), FREEPBX, strict=True):
        probe = Reader(folder, root, {folder / custom: "callguard-probe = yes"})
        if not any(entry.name == "callguard-probe" for entry in probe.entries(name)):
            notes.append(f"{folder / name} does not include {custom}: without it callguard's lines there are not read")
    return notes


def _addresses(reader: Reader) -> list[str]:
    notes = []
    for name in ("http.conf", "manager.conf"):
        address = reader.value(name, "general", "bindaddr")
        if address is not None and not address.value.startswith("127.") and address.value != "::1":
            notes.append(
                f"{address.file}:{address.line}: bindaddr = {address.value} is left as it is; "
                f"callguard itself needs {LOOPBACK} only"
            )
    return notes


def _is_on(reader: Reader, name: str) -> bool:
    # What each takes when the setting is not there: only ARI is on then.
    return _value(reader, name, "enabled", "yes" if name == "ari.conf" else "no").lower() in _ON


def _host(reader: Reader, name: str, without: str = LOOPBACK) -> str:
    """Where a server on this machine is reached."""
    address = _value(reader, name, "bindaddr", without)
    try:
        everywhere = not address or ip_address(address.strip("[]")).is_unspecified
    except ValueError:  # a name
        everywhere = False
    if everywhere:
        return without
    return f"[{address}]" if ":" in address and not address.startswith("[") else address


def _value(reader: Reader, name: str, setting: str, otherwise: str) -> str:
    entry = reader.value(name, "general", setting)
    return otherwise if entry is None else entry.value


def _append(text: str, line: str) -> str:
    return f"{text}{'' if text.endswith(chr(10)) or not text else chr(10)}{line}\n"


def _under(text: str, section: str, line: str) -> str:
    """The line put under the section's header, so that whatever follows stays in that section."""
    lines = text.split("\n")
    for number, code in enumerate(uncommented(text)[0]):
        if (header(code) or "").lower() == section:
            return "\n".join([*lines[: number + 1], line, *lines[number + 1 :]])
    return _append(_append(text, f"[{section}] {MARK}"), line)


def _at_end_of(text: str, section: str, line: str) -> str:
    """The line put after the section's last setting: of two values Asterisk takes the later."""
    lines, here, last = text.split("\n"), None, None
    for number, code in enumerate(uncommented(text)[0]):
        here = header(code) if code.lstrip().startswith("[") else here
        if (here or "").lower() == section and code.strip():
            last = number
    if last is None:
        return _append(_append(text, f"[{section}] {MARK}"), line)
    return "\n".join([*lines[: last + 1], line, *lines[last + 1 :]])
