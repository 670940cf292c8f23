"""The format of encrypted recordings: what was written is read, from any place, and nothing else ever is."""

from __future__ import annotations

import io
import os
import struct
from pathlib import Path
from uuid import UUID

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from hypothesis import given, settings
from hypothesis import strategies as st

from callguard.keys.fault import CannotOpen, Fault
from callguard.keys.sealed_file import CHUNK_BYTES, SEALED_BYTES, ContentKey, SealedFile, open_sealed, seal

KEY = ContentKey("6f1c1f3a-4be5-4b8e-9d0a-0d6a5d1c7e11", bytes(range(32)))
OTHER = ContentKey(KEY.id, bytes(range(1, 33)))
NAME = "0192f0c1-0000-7000-8000-000000000001.wav"
HEADER_BYTES = 8 + 1 + 16 + 8 + 1 + len(NAME) + 60
SIZES = (0, 1, CHUNK_BYTES - 1, CHUNK_BYTES, CHUNK_BYTES + 1, 3 * CHUNK_BYTES, 3 * CHUNK_BYTES + 777)
WHERE = Path("/srv/recordings/one.wav.cg")


def sealed(clear: bytes, name: str = NAME, key: ContentKey = KEY) -> bytes:
    to = io.BytesIO()
    seal(io.BytesIO(clear), len(clear), to, name, key)
    return to.getvalue()


def opened(data: bytes, name: str = NAME, key: ContentKey = KEY) -> bytes:
    return io.BufferedReader(SealedFile(io.BytesIO(data), WHERE, name, key)).read()


def fault(data: bytes, name: str = NAME, key: ContentKey = KEY) -> Fault:
    with pytest.raises(CannotOpen) as refused:
        opened(data, name, key)
    assert str(refused.value).startswith(f"{WHERE}: ")
    return refused.value.fault


@pytest.mark.parametrize("size", SIZES)
def test_what_was_written_is_read_whole_and_from_any_place(size: int) -> None:
    clear = os.urandom(size)
    data = sealed(clear)
    assert len(data) == HEADER_BYTES + size + 16 * max(1, -(-size // CHUNK_BYTES))
    assert opened(data) == clear
    with io.BufferedReader(SealedFile(io.BytesIO(data), WHERE, NAME, KEY)) as file:
        for place in {0, 1, size // 2, max(0, size - 5), size, size + 9, CHUNK_BYTES - 3}:
            assert file.seek(place) == place
            assert file.read(10) == clear[place : place + 10]
        assert file.seek(-min(3, size), os.SEEK_END) == size - min(3, size)
        assert file.read() == clear[-min(3, size) or size :]


def test_the_format_is_what_the_page_says() -> None:
    """Read by docs/encryption.md alone, without callguard's code."""
    clear = os.urandom(2 * CHUNK_BYTES + 5)
    data = sealed(clear)
    head = struct.Struct(">8sB16sQB")
    magic, version, content_key, size, length = head.unpack_from(data)
    assert (magic, version, str(UUID(bytes=content_key)), size) == (b"CGSEALED", 1, KEY.id, len(clear))
    at = head.size + length
    nonce, wrapped = data[at : at + 12], data[at + 12 : at + 60]
    key = AESGCM(KEY.secret).decrypt(nonce, wrapped, data[:at])
    read = b""
    for number, begin in enumerate(range(at + 60, len(data), 65_536 + 16)):
        chunk = data[begin : begin + 65_536 + 16]
        last = begin + len(chunk) == len(data)
        read += AESGCM(key).decrypt(number.to_bytes(11, "big") + bytes([last]), chunk, None)
    assert read == clear


def test_each_file_has_a_key_of_its_own() -> None:
    clear = os.urandom(100)
    first, second = sealed(clear), sealed(clear)
    assert first[-116:] != second[-116:]
    assert clear[:20] not in first + second and KEY.secret not in first + second


def test_whatever_is_missing_at_the_end_is_found_before_anything_is_read() -> None:
    clear = os.urandom(2 * CHUNK_BYTES + 100)
    data = sealed(clear)
    for length in (0, 5, HEADER_BYTES - 1, HEADER_BYTES, HEADER_BYTES + 15, HEADER_BYTES + SEALED_BYTES,
                   HEADER_BYTES + 2 * SEALED_BYTES, len(data) - 1):  # fmt: skip
        assert fault(data[:length]) is Fault.CUT_SHORT, length


def test_chunks_that_are_swapped_repeated_or_of_another_file_are_found() -> None:
    clear = os.urandom(3 * CHUNK_BYTES)
    data, other = sealed(clear), sealed(clear)
    head, chunks = data[:HEADER_BYTES], [data[HEADER_BYTES + i * SEALED_BYTES :][:SEALED_BYTES] for i in range(3)]
    assert fault(head + chunks[1] + chunks[0] + chunks[2]) is Fault.ALTERED
    assert fault(head + chunks[0] + chunks[0] + chunks[2]) is Fault.ALTERED
    assert fault(head + chunks[0] + chunks[2] + chunks[1]) is Fault.ALTERED
    assert fault(head + other[HEADER_BYTES:]) is Fault.ALTERED
    assert fault(other[:HEADER_BYTES] + data[HEADER_BYTES:]) is Fault.ALTERED
    assert fault(data + b"more") is Fault.ALTERED
    assert fault(data + data[-SEALED_BYTES:]) is Fault.ALTERED


SMALL = sealed(bytes(range(200)))


@settings(max_examples=200, deadline=None)
@given(st.integers(0, len(SMALL) - 1), st.integers(1, 255))
def test_no_byte_can_be_changed_unseen(place: int, change: int) -> None:
    data = bytearray(SMALL)
    data[place] ^= change
    assert fault(bytes(data)) in {Fault.ALTERED, Fault.NOT_ENCRYPTED, Fault.CUT_SHORT, Fault.ANOTHER}


def test_the_file_of_another_recording_and_what_is_no_file_of_ours_are_named_so() -> None:
    data = sealed(b"sound")
    assert fault(data, name="another.wav") is Fault.ANOTHER
    assert fault(data, key=OTHER) is Fault.ALTERED
    assert fault(b"RIFF" + bytes(200)) is Fault.NOT_ENCRYPTED
    assert fault(data[:8] + b"\2" + data[9:]) is Fault.NOT_ENCRYPTED


def test_a_file_that_is_written_to_while_it_is_read_is_not_encrypted_in_part() -> None:
    for said in (3, 7):
        with pytest.raises(OSError, match="written to while"):
            seal(io.BytesIO(b"sound"), said, io.BytesIO(), NAME, KEY)
    with pytest.raises(ValueError, match="255 bytes"):
        seal(io.BytesIO(b""), 0, io.BytesIO(), "x" * 256, KEY)


def test_nothing_stays_open_where_a_file_cannot_be_read(tmp_path: Path) -> None:
    """A file that was left open would be a warning, and with that an error here."""
    (file := tmp_path / "one.wav.cg").write_bytes(sealed(b"sound"))
    with open_sealed(file, NAME, KEY) as read:
        assert read.read() == b"sound"
    with pytest.raises(CannotOpen):
        open_sealed(file, "another.wav", KEY)
