"""A key that is kept encrypted by another key: AES-256-GCM (NIST SP 800-38D) with a random nonce before it.

What the wrapped key is for is authenticated beside it, so that it opens in its own place and in no other.
"""

from __future__ import annotations

import os

KEY_BYTES = 32
NONCE_BYTES = 12
TAG_BYTES = 16
WRAPPED_BYTES = NONCE_BYTES + KEY_BYTES + TAG_BYTES


class Cipher:
    """AES-256-GCM by one key. Its library is loaded with the first: who answers calls starts without it."""

    def __init__(self, key: bytes) -> None:
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        self._aead = AESGCM(key)

    def encrypt(self, nonce: bytes, data: bytes, beside: bytes | None) -> bytes:
        """The data and the tag. `beside` is authenticated and not encrypted."""
        return self._aead.encrypt(nonce, data, beside)

    def decrypt(self, nonce: bytes, data: bytes, beside: bytes | None) -> bytes | None:
        """The data; None where they are not what was encrypted so."""
        from cryptography.exceptions import InvalidTag

        try:
            return self._aead.decrypt(nonce, data, beside)
        except InvalidTag:
            return None


def wrap(key: bytes, by: bytes, what_for: bytes) -> bytes:
    """A key as it may lie on a disk. A random nonce serves 2^32 keys that are wrapped by one (SP 800-38D, 8.3)."""
    nonce = os.urandom(NONCE_BYTES)
    return nonce + Cipher(by).encrypt(nonce, key, what_for)


def unwrap(wrapped: bytes, by: bytes, what_for: bytes) -> bytes | None:
    """The key; None where it was wrapped by another key, for something else, or is not what was written."""
    if len(wrapped) != WRAPPED_BYTES:
        return None
    return Cipher(by).decrypt(wrapped[:NONCE_BYTES], wrapped[NONCE_BYTES:], what_for)
