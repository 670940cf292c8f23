"""Master keys: had from a file, the environment or a command, and what they are good for.

A master key wraps content keys, one for each subject; these wrap the keys of files. It also wraps the data keys, by
which personal columns are encrypted. So a new master key needs neither audio nor rows to be written anew, and erasing
somebody's audio is to forget one content key.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import os
import stat
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from uuid import UUID, uuid4

from callguard.config import Config
from callguard.errors import InputError
from callguard.key_sections import KeySource
from callguard.keys.columns import DataCipher
from callguard.keys.fault import CannotOpen, Fault
from callguard.keys.sealed_file import ContentKey
from callguard.keys.wrapping import KEY_BYTES, unwrap, wrap
from callguard.store.records import DataKeyKind, StoredContentKey, StoredDataKey

COMMAND_WITHIN_S = 10.0
ID_DIGITS = 16
# Of 32 random bytes fewer are different once in more than 10^30 keys; of what somebody typed, mostly.
LEAST_DIFFERENT = 8
NEEDED = "32 random bytes are needed, in base64 or hexadecimal digits: `callguard keys new FILE` makes them"


@dataclass(frozen=True, slots=True)
class MasterKey:
    """`id` tells keys apart and nothing about them: the beginning of a hash of 256 random bits."""

    id: str
    secret: bytes = field(repr=False)

    @classmethod
    def of(cls, secret: bytes) -> MasterKey:
        return cls(hashlib.sha256(b"callguard master key\0" + secret).hexdigest()[:ID_DIGITS], secret)

    @classmethod
    def new(cls) -> MasterKey:
        return cls.of(os.urandom(KEY_BYTES))

    @property
    def text(self) -> str:
        """As it stands in a file."""
        return base64.b64encode(self.secret).decode() + "\n"


# Whose content key the quarantine's is.
NOBODY = ""


class Masters:
    """The master key in force, and those before it."""

    def __init__(self, current: MasterKey, old: Sequence[MasterKey] = ()) -> None:
        self.current = current
        self._by_id = {one.id: one for one in (*old, current)}

    @property
    def ids(self) -> tuple[str, ...]:
        return tuple(self._by_id)

    def new_content_key(self, subject_id: str) -> StoredContentKey:
        """A content key for a subject, as it is stored."""
        return self._stored(str(uuid4()), subject_id, os.urandom(KEY_BYTES))

    def content_key(self, stored: StoredContentKey) -> ContentKey:
        """A stored content key, to be used. Raises: CannotOpen, where none of the master keys opens it."""
        what_for = _what_for(stored.id, stored.subject_id)
        return ContentKey(stored.id, self._opened(f"content key {stored.id}", stored, what_for))

    def rewrapped(self, stored: StoredContentKey) -> StoredContentKey:
        """The same content key, wrapped by the master key in force. Raises: CannotOpen."""
        return self._stored(stored.id, stored.subject_id, self.content_key(stored).secret)

    def new_data_keys(self) -> tuple[StoredDataKey, ...]:
        """One of each kind, for a store that has none."""
        return tuple(self._stored_data(str(uuid4()), kind, os.urandom(KEY_BYTES)) for kind in DataKeyKind)

    def column_cipher(self, stored: Sequence[StoredDataKey]) -> DataCipher:
        """What a store's columns are sealed and opened by.

        Raises:
            CannotOpen: none of the master keys opens one of its data keys, or one is missing.
        """
        secrets = {key.kind: self._data(key) for key in stored}
        for kind in DataKeyKind:
            if kind not in secrets:
                raise CannotOpen(Fault.ALTERED, f"data key for {kind} of the store", "it is missing")
        return DataCipher(secrets)

    def data_rewrapped(self, stored: StoredDataKey) -> StoredDataKey:
        """The same data key, wrapped by the master key in force. Raises: CannotOpen."""
        return self._stored_data(stored.id, stored.kind, self._data(stored))

    def _data(self, stored: StoredDataKey) -> bytes:
        return self._opened(f"data key for {stored.kind} of the store", stored, _what_data_for(stored.id, stored.kind))

    def _opened(self, what: str, stored: StoredContentKey | StoredDataKey, what_for: bytes) -> bytes:
        master = self._by_id.get(stored.master)
        if master is None:
            raise CannotOpen(Fault.WRONG_KEY, what, f"master key {stored.master} wrapped it")
        secret = unwrap(bytes.fromhex(stored.wrapped), master.secret, what_for)
        if secret is None:
            raise CannotOpen(Fault.ALTERED, f"{what} in the store")
        return secret

    def _stored(self, content_key_id: str, subject_id: str, secret: bytes) -> StoredContentKey:
        wrapped = wrap(secret, self.current.secret, _what_for(content_key_id, subject_id))
        return StoredContentKey(content_key_id, subject_id, self.current.id, wrapped.hex())

    def _stored_data(self, data_key_id: str, kind: DataKeyKind, secret: bytes) -> StoredDataKey:
        wrapped = wrap(secret, self.current.secret, _what_data_for(data_key_id, kind))
        return StoredDataKey(data_key_id, kind, self.current.id, wrapped.hex())


def _what_for(content_key_id: str, subject_id: str) -> bytes:
    return b"callguard content key\0" + UUID(content_key_id).bytes + subject_id.encode()


def _what_data_for(data_key_id: str, kind: DataKeyKind) -> bytes:
    return b"callguard data key\0" + UUID(data_key_id).bytes + kind.value.encode()


def load(config: Config, environment: Mapping[str, str] | None = None) -> Masters | None:
    """The master keys of a configuration; None where it has none, and nothing is encrypted.

    Raises:
        InputError: one cannot be had, or is none; nothing of it is said.
    """
    if config.keys is None:
        return None
    environment = os.environ if environment is None else environment
    current = had(config.keys.master, "keys.master", environment)
    return Masters(current, [had(one, "keys.old", environment) for one in config.keys.old])


def had(source: KeySource, field: str, environment: Mapping[str, str]) -> MasterKey:
    """A key, from where it is said to be. Raises: InputError, as `load` does."""
    if source.file is not None:
        text = _read(source.file, f"{field}.file", environment.get("CREDENTIALS_DIRECTORY", ""))
        return _parsed(text, f"{field}.file", source.file)
    if source.env is not None:
        if source.env not in environment:
            raise InputError(f"the environment has no {source.env}", field=f"{field}.env")
        return _parsed(environment[source.env], f"{field}.env")
    return _parsed(_run(source.command or (), f"{field}.command"), f"{field}.command")


def _read(file: Path, field: str, credentials: str) -> str:
    # What systemd hands to a service lies in a folder of that service's alone, and an access control list, by which it
    # does so, shows as rights of the group (systemd.exec(5), acl(5)).
    others = stat.S_IRWXO if credentials and file.is_relative_to(credentials) else stat.S_IRWXG | stat.S_IRWXO
    try:
        with file.open(encoding="ascii") as opened:
            mode = os.fstat(opened.fileno()).st_mode
            if mode & others:
                raise InputError("is not for its owner's eyes only: chmod 600", file=file, field=field)
            return opened.read()
    except OSError as error:
        raise InputError(f"cannot be read: {error.strerror}", file=file, field=field) from error
    except UnicodeDecodeError as error:
        raise InputError(f"holds no master key: {NEEDED}", file=file, field=field) from error


def _run(command: Sequence[str], field: str) -> str:
    try:
        # What it says on standard error may hold a part of the key, and is not shown.
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
            timeout=COMMAND_WITHIN_S, check=False,
        )  # fmt: skip
    except OSError as error:
        raise InputError(f"{command[0]} cannot be run: {error.strerror}", field=field) from error
    except subprocess.TimeoutExpired as error:
        raise InputError(f"{command[0]} says nothing within {COMMAND_WITHIN_S:.0f} s", field=field) from error
    if done.returncode:
        raise InputError(f"{command[0]} failed with exit code {done.returncode}", field=field)
    return done.stdout.decode("ascii", "replace")


def _parsed(text: str, field: str, file: Path | None = None) -> MasterKey:
    text = text.strip()
    try:
        secret = bytes.fromhex(text) if len(text) == 2 * KEY_BYTES else base64.b64decode(text, validate=True)
    except (ValueError, binascii.Error):
        secret = b""
    if len(secret) != KEY_BYTES or len(set(secret)) < LEAST_DIFFERENT:
        raise InputError(f"holds no master key: {NEEDED}", file=file, field=field)
    return MasterKey.of(secret)
