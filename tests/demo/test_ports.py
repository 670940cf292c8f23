"""Each Asterisk has ports that nobody else has."""

from __future__ import annotations

import contextlib
import socket
from pathlib import Path

import pytest

from callguard.demo import ports
from callguard.demo.ports import Ports, leased
from callguard.errors import SetupError

BLOCKS = range(2_000, 8_000, 2_000)


@pytest.fixture(autouse=True)
def blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not those that an Asterisk beside this test may hold."""
    monkeypatch.setattr(ports, "BLOCKS", BLOCKS)


def test_two_at_once_share_no_port(tmp_path: Path) -> None:
    with leased(tmp_path / "locks", tmp_path / "a") as one, leased(tmp_path / "locks", tmp_path / "b") as other:
        assert not set(_all(one)) & set(_all(other))


def test_no_port_has_two_uses() -> None:
    used = _all(Ports(BLOCKS[0]))
    assert len(used) == len(set(used))
    assert max(used) < BLOCKS[1]


def test_a_block_is_free_again_and_its_folder_gone(tmp_path: Path) -> None:
    folder = tmp_path / "instance"
    with leased(tmp_path / "locks", folder) as first:
        folder.mkdir()
    assert not folder.exists()
    with leased(tmp_path / "locks", folder) as second:
        assert second == first


def test_a_kept_folder_stays_for_good(tmp_path: Path) -> None:
    folder = tmp_path / "instance"
    with leased(tmp_path / "locks", folder, keep=True):
        folder.mkdir()
    with leased(tmp_path / "locks", tmp_path / "another"):
        assert folder.exists()


def test_what_a_killed_holder_left_is_removed(tmp_path: Path) -> None:
    left = tmp_path / "left"
    left.mkdir()
    (tmp_path / "locks").mkdir()
    (tmp_path / "locks" / str(BLOCKS[0])).write_text(str(left))
    with leased(tmp_path / "locks", tmp_path / "mine"):
        assert not left.exists()


def test_a_block_in_somebody_elses_use_is_passed_over(tmp_path: Path) -> None:
    with leased(tmp_path / "locks", tmp_path / "a") as expected:
        pass
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(("127.0.0.1", expected.sip))
        with leased(tmp_path / "locks", tmp_path / "a") as passed:
            assert passed.first > expected.first


def test_none_left(tmp_path: Path) -> None:
    with contextlib.ExitStack() as stack, pytest.raises(SetupError, match="no free block"):
        for number in range(len(BLOCKS) + 1):
            stack.enter_context(leased(tmp_path / "locks", tmp_path / str(number)))


def _all(block: Ports) -> list[int]:
    lines = [port for line in block.lines for port in (line.sip, line.ear, line.spare, line.spare + 2)]
    return [block.sip, block.agent, block.http, block.ami, *lines, *range(block.rtp[0], block.rtp[1] + 1)]
