"""Checkpoints are signed when anything is new, sent where they are to go, and sent again where that failed."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest

from callguard import config
from callguard.core.checkpoint import Checkpoint, Note
from callguard.core.decide import Scope
from callguard.core.incidents import Incident
from callguard.current import Current
from callguard.errors import InputError
from callguard.ledger.checkpoints import Checkpoints
from callguard.ledger.keys import signer, verified
from callguard.ledger.send import append, notes_in, send
from callguard.policies.load import load as load_law
from callguard.sections import Ledger
from callguard.store import Store
from tests.store.legs import CONTROLLERS, START, given, make_leg
from tests.test_config import GOOD

from .conftest import ORIGIN


def settings(folder: Path, more: str = "") -> config.Config:
    file = folder / "callguard.toml"
    text = GOOD.replace("/var/lib/callguard", str(folder)) + f'\n[ledger]\norigin = "{ORIGIN}"\n{more}'
    file.write_text(text, encoding="utf-8")
    return config.load(file, {})


def taken(folder: Path, more: str, store: Store) -> tuple[Current, Checkpoints]:
    current = Current(settings(folder, more), {}, load_law(settings(folder, more)))
    return current, Checkpoints(current, store)


@asynccontextmanager
async def answering(status: int, got: list[bytes]) -> AsyncIterator[str]:
    """An HTTP server that keeps what it is sent."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        length = next(int(line.split(b":")[1]) for line in head.lower().split(b"\r\n") if b"content-length" in line)
        got.append(head + await reader.readexactly(length))
        writer.write(f"HTTP/1.1 {status} x\r\ncontent-length: 0\r\nconnection: close\r\n\r\n".encode())
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/checkpoints"


async def test_rounds_sign_what_is_new_and_send_it_once(tmp_path: Path) -> None:
    sent = tmp_path / "sent"
    async with Store.open(tmp_path / "callguard.db", gate="callguard", controllers=CONTROLLERS) as store:
        _, checkpoints = taken(tmp_path, f'send_to_file = "{sent}"', store)
        for _ in range(2):
            await store.save(make_leg(given()))
            await checkpoints.round()
            await checkpoints.round()
        key = signer(tmp_path / "ledger.key", ORIGIN).key
        notes = list(notes_in(sent))
        assert [Checkpoint.of(note.text).size for note in notes] == [1, 2]
        assert all(verified(note, key) for note in notes)
        assert await store.incidents(10) == ()


async def test_what_cannot_be_sent_is_told_once_and_sent_later_and_the_others_are_not_sent_it_again(
    tmp_path: Path,
) -> None:
    got: list[bytes] = []
    file = tmp_path / "elsewhere" / "sent"
    async with (
        answering(200, got) as url,
        Store.open(tmp_path / "callguard.db", gate="callguard", controllers=CONTROLLERS) as store,
    ):
        _, checkpoints = taken(tmp_path, f'send_to_file = "{file}"\nsend_to_url = "{url}"', store)
        await store.save(make_leg(given()))
        for _ in range(2):
            await checkpoints.round()
        (incident,) = await store.incidents(10)
        assert (incident.kind, incident.detail) == (Incident.CHECKPOINT_UNSENT, {"setting": "send_to_file"})
        file.parent.mkdir()
        await checkpoints.round()
        # The incident is an entry as well, and so is signed with the next round.
        sizes = [Checkpoint.of(note.text).size for note in notes_in(file)]
        assert sizes == [2]
        assert len(got) == 2
        assert got[0].startswith(b"POST /checkpoints HTTP/1.1\r\n") and b"text/plain" in got[0]
        assert Checkpoint.of(Note.of(got[1].partition(b"\r\n\r\n")[2].decode()).text).size == 2


async def test_a_key_that_cannot_be_used_is_told_once_and_nothing_stops(tmp_path: Path) -> None:
    async with Store.open(tmp_path / "callguard.db", gate="callguard", controllers=CONTROLLERS) as store:
        _, checkpoints = taken(tmp_path, "", store)
        await checkpoints.round()
        (tmp_path / "ledger.key").chmod(0o644)
        for _ in range(2):
            await checkpoints.round()
        (incident,) = await store.incidents(10)
        assert incident.kind == Incident.LEDGER_UNSIGNED
        await store.opt_out("acme", "+390612345678", Scope.ALL, START, "key")
        (tmp_path / "ledger.key").chmod(0o600)
        await checkpoints.round()
        assert len(await store.incidents(10)) == 1
        note, new = await store.checkpoint(datetime.now(UTC), signer(tmp_path / "ledger.key", ORIGIN))
        assert (Checkpoint.of(Note.of(note).text).size, new) == (2, False)


async def test_the_timer_signs_without_being_asked(tmp_path: Path) -> None:
    sent = tmp_path / "sent"
    async with Store.open(tmp_path / "callguard.db", gate="callguard", controllers=CONTROLLERS) as store:
        _, checkpoints = taken(tmp_path, f'send_to_file = "{sent}"\ncheckpoint_every_s = 1', store)
        await store.save(make_leg(given()))
        signing = asyncio.create_task(checkpoints.keep_signing())
        async with asyncio.timeout(20):
            while not sent.exists():
                await asyncio.sleep(0.02)
        signing.cancel()
        with pytest.raises(asyncio.CancelledError):
            await signing


async def test_a_syslog_gets_one_line_that_reads_back_as_the_note(tmp_path: Path) -> None:
    note = signer(tmp_path / "ledger.key", ORIGIN)(7, bytes(32))
    with (
        socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as local,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as remote,
    ):
        local.bind(str(tmp_path / "log"))
        remote.bind(("127.0.0.1", 0))
        lines = []
        for address, there in (
            (str(tmp_path / "log"), local),
            (f"127.0.0.1:{remote.getsockname()[1]}", remote),
        ):
            assert await send(note, Ledger(send_to_syslog=address)) == {}
            lines.append(await asyncio.to_thread(there.recv, 10_000))
    assert lines[0] == lines[1]
    assert lines[0].startswith(b"<133>callguard-ledger: ") and b"\n" not in lines[0]
    kept = tmp_path / "syslog"
    kept.write_bytes(b"Nov 22 09:00:00 pbx " + lines[0][5:] + b"\nNov 22 09:00:01 pbx another: line\n")
    assert [one.written for one in notes_in(kept)] == [note]


async def test_each_place_says_why_it_did_not_take_it(tmp_path: Path) -> None:
    note = signer(tmp_path / "ledger.key", ORIGIN)(7, bytes(32))
    async with answering(503, []) as url:
        problems = await send(
            note,
            Ledger(send_to_file=tmp_path, send_to_url=url, send_to_syslog=str(tmp_path / "none")),
        )
    assert problems == {
        "send_to_file": "Is a directory",
        "send_to_url": "answered 503",
        "send_to_syslog": "No such file or directory",
    }
    assert (await send(note, Ledger(send_to_url=url)))["send_to_url"] == "no answer (ConnectError)"
    assert await send(note, Ledger(send_to_url=url), ()) == {}


def test_a_file_of_checkpoints_is_read_whole_or_not_at_all(tmp_path: Path) -> None:
    note = signer(tmp_path / "ledger.key", ORIGIN)(7, bytes(32))
    file = tmp_path / "sent"
    file.write_text(note, encoding="utf-8")
    assert [one.written for one in notes_in(file)] == [note]
    assert append(file, note) == ""
    for text in (b"", b"something else\n", note.encode() + b"\nmore\n", b"\xff"):
        file.write_bytes(text)
        with pytest.raises(InputError, match="--checkpoint"):
            list(notes_in(file))
    with pytest.raises(InputError, match="cannot be read"):
        list(notes_in(tmp_path / "none"))
