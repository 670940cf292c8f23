"""A key that is kept encrypted by another key: AES-256-GCM (NIST SP 800-38D) with a random nonce before it.

What the wrapped key is for is authenticated beside it, so that it opens in its own place and in no other.
"""

from __future__ import annotations

import os

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

KEY_BYTES = 32
NONCE_BYTES = 12
TAG_BYTES = 16
WRAPPED_BYTES = NONCE_BYTES + KEY_BYTES + TAG_BYTES


def wrap(key: bytes, by: bytes, what_for: bytes) -> bytes:
    """A key as it may lie on a disk. A random nonce serves 2^32 keys that are wrapped by one (SP 800-38D, 8.3)."""
    nonce = os.urandom(NONCE_BYTES)
    return nonce + AESGCM(by).encrypt(nonce, key, what_for)


def unwrap(wrapped: bytes, by: bytes, what_for: bytes) -> bytes | None:
    """The key; None where it was wrapped by another key, for something else, or is not what was written."""
    if len(wrapped) != WRAPPED_BYTES:
        return None
    try:
        return AESGCM(by).decrypt(wrapped[:NONCE_BYTES], wrapped[NONCE_BYTES:], what_for)
    except InvalidTag:
        return None
