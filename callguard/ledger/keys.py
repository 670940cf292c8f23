"""The key that signs checkpoints: a file that nobody else may read, and beside it the verifier key, for everybody."""

from __future__ import annotations

import os
import secrets
import stat
from contextlib import suppress
from pathlib import Path

from callguard.core.checkpoint import SEED_BYTES, Checkpoint, Note, Signature, SigningSeed, VerifierKey
from callguard.errors import InputError

KEY_MODE, VERIFIER_MODE = 0o600, 0o644
FIELD = "ledger.key_file"


class Signer:
    """Signs checkpoints of one origin."""

    def __init__(self, seed: SigningSeed) -> None:
        # What is needed once in five minutes makes no start of the service longer.
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

        self._private = Ed25519PrivateKey.from_private_bytes(seed.seed)
        self.key = VerifierKey(seed.name, self._private.public_key().public_bytes_raw())

    def __call__(self, size: int, root: bytes) -> str:
        """A signed note about so many entries and their root."""
        text = Checkpoint(self.key.name, size, root).text
        return Note(text, (Signature(self.key.name, self.key.key_id, self._private.sign(text.encode())),)).written


def verified(note: Note, key: VerifierKey) -> bool:
    """Whether a note is signed by this key. One wrong signature by its name and id makes the note worth nothing."""
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    public = Ed25519PublicKey.from_public_bytes(key.public)
    ours = [one for one in note.signatures if (one.name, one.key_id) == (key.name, key.key_id)]
    try:
        for one in ours:
            public.verify(one.signature, note.text.encode())
    except InvalidSignature:
        return False
    return bool(ours)


def signer(file: Path, origin: str, *, replacing: bool = False) -> Signer:
    """Who signs for an origin; the key is made where there never was one.

    Args:
        replacing: it is also made where one has been lost.

    Raises:
        InputError: it cannot be read or made, may be read by others, is another origin's, or was lost.
    """
    seed = seed_in(file, origin)
    if seed is None:
        if not replacing and verifier_file(file).exists():
            raise lost(file)
        _make(file, SigningSeed(origin, secrets.token_bytes(SEED_BYTES)))
        seed = seed_in(file, origin)
    if seed is None:
        raise InputError("was removed while it was made", file=file, field=FIELD)
    made = Signer(seed)
    _tell(verifier_file(file), made.key)
    return made


def seed_in(file: Path, origin: str) -> SigningSeed | None:
    """What stands in a key's file; None where there is none yet.

    Raises:
        InputError: it cannot be read, may be read by others, or is another origin's.
    """
    try:
        mode = file.stat().st_mode
        text = file.read_text(encoding="utf-8")
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as error:
        problem = error.strerror if isinstance(error, OSError) else "it is no text"
        raise InputError(f"cannot be read: {problem}", file=file, field=FIELD) from error
    if mode & (stat.S_IRWXO | stat.S_IWGRP):
        raise InputError("others than its owner may read or write it: chmod 600", file=file, field=FIELD)
    try:
        seed = SigningSeed.of(text)
    except ValueError as error:
        raise InputError(str(error), file=file, field=FIELD) from error
    if seed.name != origin:
        raise InputError(
            f"is the key of {seed.name}, and [ledger] origin is {origin}: set it back, or set the key's file aside and "
            "make another (`callguard ledger new-key`)",
            file=file,
            field=FIELD,
        )
    return seed


def verifier_file(file: Path) -> Path:
    """Where the verifier key of a signing key stands, with those of the keys before it."""
    return file.with_name(f"{file.name}.pub")


def lost(file: Path) -> InputError:
    """A key that has signed is not there: a new one of which nobody knew would make forgers of all who check."""
    return InputError(
        "is gone, and has signed checkpoints: put its copy back in its place; where there is none, `callguard ledger "
        "new-key` makes another",
        file=file,
        field=FIELD,
    )


def verifiers_in(file: Path) -> tuple[VerifierKey, ...]:
    """The verifier keys in a file, one in each line.

    Raises:
        InputError: there is none, or something else stands there as well.
    """
    try:
        keys = tuple(map(VerifierKey.of, file.read_text(encoding="utf-8").splitlines()))
    except OSError as error:
        raise InputError(f"cannot be read: {error.strerror}", file=file) from error
    except ValueError as error:
        raise InputError(str(error), file=file) from error
    if not keys:
        raise InputError("is empty", file=file)
    return keys


def _make(file: Path, seed: SigningSeed) -> None:
    """Another process may be faster: its key stands then."""
    try:
        made = written_beside(file, KEY_MODE, f"{seed.written(Signer(seed).key)}\n")
        try:
            with suppress(FileExistsError):
                os.link(made, file)
        finally:
            made.unlink()
    except OSError as error:
        raise InputError(f"cannot be made: {error.strerror}", file=file, field=FIELD) from error


def _tell(file: Path, key: VerifierKey) -> None:
    """Have a key's verifier in the file for everybody, after those of the keys before it: they are needed still."""
    try:
        there = verifiers_in(file)
    except InputError:
        there = ()
    if key not in there:
        # Where the key's folder is not ours to write to, somebody else has to tell.
        with suppress(OSError):
            written_beside(file, VERIFIER_MODE, "".join(f"{one.written}\n" for one in (*there, key))).replace(file)


def written_beside(file: Path, mode: int, text: str) -> Path:
    """A whole new file beside the one that it is for. Root's belongs to the folder's owner."""
    made = file.with_name(f".{file.name}.{secrets.token_hex(8)}")
    descriptor = os.open(made, os.O_CREAT | os.O_EXCL | os.O_WRONLY, mode)
    try:
        os.fchmod(descriptor, mode)
        if os.geteuid() == 0:
            folder = file.parent.stat()
            os.fchown(descriptor, folder.st_uid, folder.st_gid)
        os.write(descriptor, text.encode())
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    return made
