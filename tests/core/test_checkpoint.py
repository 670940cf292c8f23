"""Checkpoints and keys as C2SP's tlog-checkpoint and signed-note write them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from callguard.core.checkpoint import Checkpoint, Note, Signature, SigningSeed, VerifierKey, name_of_key
from callguard.ledger.keys import Signer, verified

# The example in the documentation of Go's sumdb/note, which signed-note was written down from.
VERIFIER = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
SIGNING = "PRIVATE+KEY+PeterNeumann+c74f20a3+AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz"
NOTE = (
    "If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n\n"
    "\N{EM DASH} PeterNeumann "
    "x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n"
)
ROOT = bytes(range(32))


def test_a_note_and_the_keys_of_another_implementation_are_read_and_verified() -> None:
    key, note = VerifierKey.of(VERIFIER), Note.of(NOTE)
    assert verified(note, key)
    assert (key.written, note.written) == (VERIFIER, NOTE)
    seed = SigningSeed.of(SIGNING)
    assert Signer(seed).key == key
    assert seed.written(key) == SIGNING
    assert SIGNING[-40:] not in repr(seed)


def test_what_is_signed_is_verified_and_a_changed_byte_is_not() -> None:
    signer = Signer(SigningSeed.of(SIGNING))
    written = signer(20, ROOT)
    assert written.startswith(
        "PeterNeumann\n20\nAAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=\n\n\N{EM DASH} PeterNeumann x08go"
    )
    note = Note.of(written)
    assert Checkpoint.of(note.text) == Checkpoint("PeterNeumann", 20, ROOT)
    assert verified(note, signer.key)
    assert not verified(Note.of(written.replace("\n20\n", "\n21\n")), signer.key)
    assert not verified(note, VerifierKey("PeterNeumann", bytes(32)))
    assert not verified(note, VerifierKey("another", signer.key.public))
    # Of two signatures by one key, one that is wrong spoils the note; of others' keys nothing is known.
    wrong = Signature("PeterNeumann", signer.key.key_id, bytes(64))
    assert not verified(Note(note.text, (*note.signatures, wrong)), signer.key)
    assert verified(Note(note.text, (Signature("witness", b"abcd", bytes(64)), *note.signatures)), signer.key)


def test_extensions_of_a_checkpoint_are_left_out() -> None:
    one = Checkpoint("acme", 7, ROOT)
    assert Checkpoint.of(f"{one.text}an extension\n") == one


@pytest.mark.parametrize(
    "text",
    [
        "",
        "acme\n7\n",
        "acme\n07\nAAAA\n",
        "acme\n-1\nAAAA\n",
        "acme\n7\nAAAA\n",
        "acme\n7\nnot base64!\n",
        "\n7\nAAAA\n",
    ],
)
def test_what_is_no_checkpoint_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"checkpoint|root"):
        Checkpoint.of(text)


@pytest.mark.parametrize(
    "written",
    [
        "",
        "acme\n7\n",
        "text\n\n- acme AAAAAAAA\n",
        "text\n\n\N{EM DASH} acme AAAAAAAA",
        "text\n\n\N{EM DASH} acme\n",
        "text\n\n\N{EM DASH} acme !!!!\n",
        "text\n\n\N{EM DASH} acme AAAA\n",
        "text\n\n\N{EM DASH} ac+me AAAAAAAA\n",
    ],
)
def test_what_is_no_signed_note_is_refused(written: str) -> None:
    with pytest.raises(ValueError, match="no signed note"):
        Note.of(written)


@pytest.mark.parametrize(
    ("written", "why"),
    [
        ("", "name"),
        ("PeterNeumann+c74f20a4+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW", "its id"),
        ("PeterNeumann+c74f20a3+Ahpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW", "Ed25519"),
        ("PeterNeumann+c74f20a3+AAAA", "3 bytes"),
        ("PeterNeumann+c74f20a3+!", "base64"),
    ],
)
def test_what_is_no_key_is_refused(written: str, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        VerifierKey.of(written)
    if written:
        with pytest.raises(ValueError, match=r"signing key|Ed25519|bytes|base64"):
            SigningSeed.of(written)


@given(st.text(max_size=12))
def test_a_key_is_named_by_what_stands_on_one_line_as_one_word(name: str) -> None:
    try:
        name_of_key(name)
    except ValueError:
        return
    assert len(name.split()) == 1 and "+" not in name
    key = VerifierKey(name, ROOT)
    assert VerifierKey.of(key.written) == key
    note = Note(Checkpoint(name, 1, ROOT).text, (Signature(name, key.key_id, bytes(64)),))
    assert Note.of(note.written) == note
