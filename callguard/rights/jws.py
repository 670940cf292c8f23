"""JSON Web Signatures (RFC 7515, General JSON Serialization) by Ed25519 (RFC 8037).

Signed vCons are of this form. As they ask for it, the certificate is in the unprotected header; what binds it to the
signature is its SHA-256 in the protected one (``x5t#S256``). Whose it is, only a fingerprint tells that came from the
controller by another way.
"""

from __future__ import annotations

import base64
import hashlib
import json
from dataclasses import dataclass, field
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

ALGORITHM = "EdDSA"
"""RFC 9864 calls the same ``Ed25519``; most software knows this name."""


@dataclass(frozen=True, slots=True)
class Signer:
    """A key and the certificate of its public half."""

    key: Ed25519PrivateKey = field(repr=False)
    certificate: x509.Certificate

    @property
    def kid(self) -> str:
        """The JWK thumbprint of the public key (RFC 7638, SHA-256)."""
        public = self.key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
        jwk = {"crv": "Ed25519", "kty": "OKP", "x": base64url(public)}
        return base64url(hashlib.sha256(json.dumps(jwk, separators=(",", ":"), sort_keys=True).encode()).digest())

    @property
    def fingerprint(self) -> str:
        """The SHA-256 of the certificate, as ``openssl x509 -fingerprint -sha256`` writes it."""
        return hashlib.sha256(self._der).digest().hex(":").upper()

    @property
    def pem(self) -> bytes:
        """The certificate, for everyone."""
        return self.certificate.public_bytes(Encoding.PEM)

    def sign(self, payload: bytes, **header: str) -> dict[str, Any]:
        """A JWS of some bytes.

        Args:
            header: what else is to be in the unprotected header.
        """
        protected = base64url(
            json.dumps(
                {"alg": ALGORITHM, "kid": self.kid, "x5t#S256": base64url(hashlib.sha256(self._der).digest())}
            ).encode()
        )
        body = base64url(payload)
        signature = base64url(self.key.sign(f"{protected}.{body}".encode()))
        chain = {"x5c": [base64.b64encode(self._der).decode()], **header}
        return {"payload": body, "signatures": [{"protected": protected, "header": chain, "signature": signature}]}

    @property
    def _der(self) -> bytes:
        return self.certificate.public_bytes(Encoding.DER)


def base64url(data: bytes) -> str:
    """As RFC 7515 writes it, without padding."""
    return base64.urlsafe_b64encode(data).decode().rstrip("=")
