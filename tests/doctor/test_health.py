"""What the doctor makes of the page that callguard answers, or does not."""

from __future__ import annotations

import socket
from dataclasses import replace

import pytest

from callguard import web
from callguard.doctor import health
from callguard.doctor.facts import Answer, Answered, Unknown
from callguard.sections import Http
from tests.test_health import WELL, free_port, pages


async def test_what_callguard_says_of_itself_is_taken_as_it_says_it() -> None:
    told = WELL

    async def page() -> web.Page:
        status, body = told.answer()
        return web.Page(status, "application/json", body)

    http = Http(port=free_port())
    assert http.port is not None
    async with pages(http.port, page):
        assert await health.ask(http) == Answered(Answer.SERVING)
        told = replace(WELL, ami_connected=False)
        ill = await health.ask(http)
    assert isinstance(ill, Answered)
    assert (ill.answer, ill.problem) == (Answer.ILL, "there is no manager session")
    assert ill.do.startswith("is manager.conf enabled")
    assert await health.ask(http) == Answered(Answer.NOBODY)


async def test_who_listens_and_says_nothing_hangs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health, "WITHIN_S", 0.2)
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        assert await health.ask(Http(port=listening.getsockname()[1])) == Answered(Answer.NONE)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"SSH-2.0-x\r\n",
        b"HTTP/1.1 200 OK\r\n\r\nwell",
        b"HTTP/1.1 200 OK\r\n\r\n[1]",
        b"HTTP/1.1 200 OK\r\n\r\n{}",
    ],
)
def test_what_answers_otherwise_is_no_callguard(data: bytes) -> None:
    assert health.read(data) == Answered(Answer.ANOTHER)


async def test_without_a_port_nothing_is_known() -> None:
    assert isinstance(await health.ask(Http()), Unknown)
