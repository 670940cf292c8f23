"""Checkpoints: what a ledger says of itself at one time, as C2SP's tlog-checkpoint and signed-note write it.

A checkpoint is a note's text: origin, number of entries, root. A signed note is that text and lines of signatures; keys
have a text form as well, so that one can be read out or printed. Signing itself is not here.
"""

from __future__ import annotations

import re
from base64 import b64decode, b64encode
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Self

from callguard.core.merkle import HASH_BYTES

ED25519 = b"\x01"
"""signed-note's byte for this kind of signature."""

KEY_ID_BYTES, PUBLIC_BYTES, SEED_BYTES, SIGNATURE_BYTES = 4, 32, 32, 64

MOST = 1 << 20
"""A note that is longer, in characters, is none."""

_NAME = re.compile(r"[^\s+\x00-\x1f]{1,200}")
_SIZE = re.compile(r"0|[1-9][0-9]{0,18}", re.ASCII)
_SIGNING = "PRIVATE+KEY"


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """How many entries a ledger has, and the root of their tree."""

    origin: str
    size: int
    root: bytes

    @property
    def text(self) -> str:
        """The text that is signed."""
        return f"{self.origin}\n{self.size}\n{_base64(self.root)}\n"

    @classmethod
    def of(cls, text: str) -> Self:
        """Read a note's text; lines after the third are extensions, and are left out.

        Raises:
            ValueError: it is no checkpoint.
        """
        origin, size, root, *_ = [*text.split("\n"), "", "", ""]
        if not (origin and _SIZE.fullmatch(size)):
            raise ValueError("is no checkpoint: origin, number of entries and root are needed, a line each")
        return cls(origin, int(size), _bytes(root, HASH_BYTES, "the root"))


@dataclass(frozen=True, slots=True)
class Signature:
    """One line below a note: whose key made it, by name and id, and the signature itself."""

    name: str
    key_id: bytes
    signature: bytes

    @property
    def line(self) -> str:
        return f"\N{EM DASH} {self.name} {_base64(self.key_id + self.signature)}\n"


@dataclass(frozen=True, slots=True)
class Note:
    """A text and its signatures; whether they are right is for who has a key to say."""

    text: str
    signatures: tuple[Signature, ...]

    @property
    def written(self) -> str:
        return self.text + "\n" + "".join(one.line for one in self.signatures)

    @classmethod
    def of(cls, written: str) -> Self:
        """Read a note.

        Raises:
            ValueError: it is none, by C2SP's signed-note.
        """
        text, blank, lines = written.rpartition("\n\n")
        if not blank or len(written) > MOST or not lines.endswith("\n"):
            raise ValueError("is no signed note: a text, an empty line and lines of signatures are needed")
        return cls(f"{text}\n", tuple(map(_signature, lines[:-1].split("\n"))))


@dataclass(frozen=True, slots=True)
class VerifierKey:
    """What signatures are verified with: signed-note's verifier key, of Ed25519."""

    name: str
    public: bytes

    @property
    def key_id(self) -> bytes:
        """What tells keys of one name apart."""
        return sha256(self.name.encode() + b"\n" + ED25519 + self.public).digest()[:KEY_ID_BYTES]

    @property
    def written(self) -> str:
        return f"{self.name}+{self.key_id.hex()}+{_base64(ED25519 + self.public)}"

    @classmethod
    def of(cls, written: str) -> Self:
        """Read one.

        Raises:
            ValueError: it is none, or of another kind than Ed25519.
        """
        name, _, rest = written.strip().partition("+")
        key_id, _, key = rest.partition("+")
        found = cls(name_of_key(name), _key(key, PUBLIC_BYTES))
        if found.key_id.hex() != key_id:
            raise ValueError("is no verifier key: its id is not that of its name and key")
        return found


@dataclass(frozen=True, slots=True)
class SigningSeed:
    """The secret that a key is made from, and the key's name, as Go's sumdb/note writes it. It is shown nowhere."""

    name: str
    seed: bytes = field(repr=False)

    def written(self, key: VerifierKey) -> str:
        return f"{_SIGNING}+{self.name}+{key.key_id.hex()}+{_base64(ED25519 + self.seed)}"

    @classmethod
    def of(cls, written: str) -> Self:
        """Read one.

        Raises:
            ValueError: it is none, or of another kind than Ed25519. The text does not name it.
        """
        head, _, rest = written.strip().partition(f"{_SIGNING}+")
        name, _, rest = rest.partition("+")
        _, _, key = rest.partition("+")
        if head or not name:
            raise ValueError("is no signing key")
        return cls(name_of_key(name), _key(key, SEED_BYTES))


def name_of_key(name: str) -> str:
    """A key's name, which is its ledger's origin.

    Raises:
        ValueError: signed-note allows no such name.
    """
    if not _NAME.fullmatch(name):
        raise ValueError("a name without blanks and plus signs is needed, such as calls.example.org/ledger")
    return name


def _signature(line: str) -> Signature:
    dash, name, written = [*line.split(" "), "", "", ""][:3]
    if dash != "\N{EM DASH}" or not _NAME.fullmatch(name):
        raise ValueError("is no signed note: a line of a signature is not one")
    try:
        data = b64decode(written, validate=True)
    except ValueError as error:
        raise ValueError("is no signed note: a signature is not in base64") from error
    if len(data) <= KEY_ID_BYTES:
        raise ValueError("is no signed note: a signature is too short")
    return Signature(name, data[:KEY_ID_BYTES], data[KEY_ID_BYTES:])


def _key(written: str, length: int) -> bytes:
    data = _bytes(written, 1 + length, "the key")
    if data[:1] != ED25519:
        raise ValueError("the key is not one of Ed25519")
    return data[1:]


def _bytes(written: str, length: int, what: str) -> bytes:
    try:
        data = b64decode(written, validate=True)
    except ValueError as error:
        raise ValueError(f"{what} is not in base64") from error
    if len(data) != length:
        raise ValueError(f"{what} has {len(data)} bytes, not {length}")
    return data


def _base64(data: bytes) -> str:
    return b64encode(data).decode("ascii")
