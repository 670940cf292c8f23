"""Personal columns are sealed by a store's data keys: docs/encryption.md describes how."""

from __future__ import annotations

import binascii
import hashlib
import hmac
import os
from binascii import a2b_base64, b2a_base64
from collections.abc import Mapping

from callguard.keys.wrapping import NONCE_BYTES, TAG_BYTES, Cipher
from callguard.store.columns import MARK
from callguard.store.records import DataKeyKind

_LETTERS = {DataKeyKind.CONTENT: "c", DataKeyKind.SUPPRESSION: "s", DataKeyKind.PROOF: "p"}
_BEGINS = len(MARK) + 1


class DataCipher:
    """AES-256-GCM (NIST SP 800-38D) by a data key of each kind.

    What has to be the same text each time has the beginning of HMAC-SHA-256 (RFC 2104) by the index key as its nonce:
    so a nonce comes twice with the same text only, as in the SIV construction (Rogaway, Shrimpton, 2006). All others
    are random; of these 2^32 are safe with one key.
    """

    def __init__(self, secrets: Mapping[DataKeyKind, bytes]) -> None:
        ciphers = {kind: Cipher(secrets[kind]) for kind in _LETTERS}
        self._by_kind = {
            kind: (ciphers[kind].encrypt, MARK + letter, _beside(kind)) for kind, letter in _LETTERS.items()
        }
        self._by_letter = {letter: (ciphers[kind], _beside(kind)) for kind, letter in _LETTERS.items()}
        # Copied for each text: a new one costs twice as much.
        self._index = hmac.new(secrets[DataKeyKind.INDEX], digestmod=hashlib.sha256)

    def seal(self, kind: DataKeyKind, text: str) -> str:
        """Another text each time."""
        encrypt, begins, beside = self._by_kind[kind]
        nonce = os.urandom(NONCE_BYTES)
        return begins + b2a_base64(nonce + encrypt(nonce, text.encode(), beside), newline=False).decode("ascii")

    def seal_same(self, kind: DataKeyKind, text: str) -> str:
        """The same text each time."""
        # Before each dial: all in one place, which takes half the time.
        encrypt, begins, beside = self._by_kind[kind]
        clear = text.encode()
        mac = self._index.copy()
        mac.update(beside + clear)
        nonce = mac.digest()[:NONCE_BYTES]
        return begins + b2a_base64(nonce + encrypt(nonce, clear, beside), newline=False).decode("ascii")

    def open(self, sealed: str) -> str | None:
        """The text; None where it is not what was sealed by these keys."""
        found = self._by_letter.get(sealed[_BEGINS - 1 : _BEGINS])
        if found is None or not sealed.startswith(MARK):
            return None
        try:
            written = a2b_base64(sealed[_BEGINS:], strict_mode=True)
        except (binascii.Error, ValueError):
            return None
        if len(written) < NONCE_BYTES + TAG_BYTES:
            return None
        cipher, beside = found
        clear = cipher.decrypt(written[:NONCE_BYTES], written[NONCE_BYTES:], beside)
        return None if clear is None else clear.decode()


def _beside(kind: DataKeyKind) -> bytes:
    return b"callguard column\0" + kind.value.encode() + b"\0"
