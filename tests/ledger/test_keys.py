"""The key that signs: made once, for nobody else to read, and refused where others may."""

from __future__ import annotations

import os
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from callguard.core.checkpoint import Note
from callguard.errors import InputError
from callguard.ledger.keys import Signer, seed_in, signer, verified, verifier_file, verifiers_in

from .conftest import ORIGIN


def test_a_key_is_made_once_however_many_ask_for_it(tmp_path: Path) -> None:
    file = tmp_path / "ledger.key"
    if os.geteuid() == 0:  # only root can give files away: what it makes belongs to the folder's owner
        os.chown(tmp_path, 12_345, 12_346)
    assert seed_in(file, ORIGIN) is None
    with ThreadPoolExecutor(8) as pool:
        keys = set(pool.map(lambda _: signer(file, ORIGIN).key, range(8)))
    (key,) = keys
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert (file.stat().st_uid, file.stat().st_gid) == (tmp_path.stat().st_uid, tmp_path.stat().st_gid)
    assert stat.S_IMODE(verifier_file(file).stat().st_mode) == 0o644
    assert verifiers_in(verifier_file(file)) == (key,)
    assert verified(Note.of(signer(file, ORIGIN)(7, bytes(32))), key)
    assert sorted(one.name for one in tmp_path.iterdir()) == ["ledger.key", "ledger.key.pub"]


@pytest.mark.parametrize("mode", [0o604, 0o602, 0o620, 0o644])
def test_a_key_that_others_may_read_or_write_is_refused(tmp_path: Path, mode: int) -> None:
    file = tmp_path / "ledger.key"
    signer(file, ORIGIN)
    file.chmod(mode)
    with pytest.raises(InputError, match=r"ledger\.key: ledger\.key_file: .*chmod 600"):
        signer(file, ORIGIN)


def test_a_key_of_another_origin_or_of_nothing_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "ledger.key"
    signer(file, ORIGIN)
    with pytest.raises(InputError, match=r"is the key of calls\.example\.org/ledger, and"):
        signer(file, "another")
    for text in (b"", b"PRIVATE+KEY+x", b"\xff", b"PRIVATE+KEY+x+00000000+AAAA"):
        file.write_bytes(text)
        with pytest.raises(InputError, match=r"ledger\.key_file"):
            signer(file, ORIGIN)
    with pytest.raises(InputError, match="cannot be made: No such file"):
        signer(tmp_path / "none" / "ledger.key", ORIGIN)
    file.unlink()
    file.mkdir()
    with pytest.raises(InputError, match="cannot be read: Is a directory"):
        signer(file, ORIGIN)


def test_a_verifier_key_is_one(tmp_path: Path, key: Signer) -> None:
    file = tmp_path / "key.pub"
    with pytest.raises(InputError, match="cannot be read"):
        verifiers_in(file)
    file.touch()
    with pytest.raises(InputError, match="is empty"):
        verifiers_in(file)
    file.write_text("nothing", encoding="utf-8")
    with pytest.raises(InputError, match="key"):
        verifiers_in(file)
    file.write_text(f"{key.key.written}\n", encoding="utf-8")
    assert verifiers_in(file) == (key.key,)


def test_the_verifier_of_a_key_that_was_replaced_is_kept(tmp_path: Path) -> None:
    file = tmp_path / "ledger.key"
    first = signer(file, ORIGIN).key
    file.rename(tmp_path / "lost")
    with pytest.raises(InputError, match=r"is gone, and has signed checkpoints: put its copy back .*new-key"):
        signer(file, "another")
    second = signer(file, "another", replacing=True).key
    assert verifiers_in(verifier_file(file)) == (first, second)
    # Who only lost the verifier keys gets that of the key in use again.
    verifier_file(file).unlink()
    assert signer(file, "another").key == second
    assert verifiers_in(verifier_file(file)) == (second,)
