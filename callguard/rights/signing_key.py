"""The file of the key that exports are signed with: for its owner alone, made when it is first needed."""

from __future__ import annotations

import contextlib
import os
import stat
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import NameOID

from callguard.config import Config
from callguard.errors import InputError
from callguard.rights.jws import Signer

FIELD = "export.signing_key"
VALID = timedelta(days=3653)
OTHERS = 0o077


def place(config: Config) -> Path:
    """Where the key is."""
    return config.export.signing_key or config.store.path.with_name("export.key")


def signer(path: Path) -> Signer:
    """The key in a file, which is made where there is none.

    Raises:
        InputError: it cannot be read or made, others may read it, or it holds no such key and certificate.
    """
    try:
        if not path.exists():
            _make(path)
        with path.open("rb") as file:
            mode, data = os.fstat(file.fileno()).st_mode, file.read()
    except OSError as error:
        raise InputError(f"cannot be used: {error.strerror}", file=path, field=FIELD) from error
    if stat.S_IMODE(mode) & OTHERS:
        raise InputError("others may read the signing key: chmod 600, or make another", file=path, field=FIELD)
    try:
        key, certificate = load_pem_private_key(data, None), x509.load_pem_x509_certificate(data)
    except (ValueError, TypeError) as error:
        raise InputError("is no private key and its certificate in PEM", file=path, field=FIELD) from error
    if not isinstance(key, Ed25519PrivateKey) or key.public_key() != certificate.public_key():
        raise InputError("is no Ed25519 key with its own certificate", file=path, field=FIELD)
    return Signer(key, certificate)


def _make(path: Path) -> None:
    """Whole or not at all; what another makes at the same time stands."""
    descriptor, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(descriptor, "wb") as file:
            if os.geteuid() == 0:  # a command of root's may come before the service's own
                folder = path.parent.stat()
                os.fchown(file.fileno(), folder.st_uid, folder.st_gid)
            file.write(_new())
            file.flush()
            os.fsync(file.fileno())
        with contextlib.suppress(FileExistsError):
            os.link(name, path)
    finally:
        Path(name).unlink()


def _new() -> bytes:
    key = Ed25519PrivateKey.generate()
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "callguard export")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now)
        .not_valid_after(now + VALID)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .sign(key, None)
    )
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return private + certificate.public_bytes(Encoding.PEM)
