"""Logs: what is in a caller's hands never gets into them, and each event is one line that a journal can use."""

from __future__ import annotations

import errno
import io
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from callguard import logs

FAILS = """
import logging, os, sys
import structlog
from callguard import logs

if sys.argv[2] == "journal":
    status = os.fstat(2)
    os.environ["JOURNAL_STREAM"] = f"{status.st_dev}:{status.st_ino}"
logs.configure(sys.argv[1], sys.argv[3])

def fail(number):
    raise ZeroDivisionError(len(number))

log = structlog.get_logger()
try:
    fail("+34600" + "000099")
except ZeroDivisionError:
    log.exception("leg failed", call="0192f0c1")
try:
    int("+34600" + "000099x")
except ValueError:
    log.exception("leg failed", call="0192f0c1")
log.info("dial decided", call="0192f0c2", allow=True, rule="dial.allowed", problem='two\\nlines, "quoted"')
log.debug("fine")
log.warning("hm")
logging.getLogger("websockets").error("peer sent %s", "+34600000099")
"""


def said(form: str = "auto", to: str = "pipe", level: str = "info") -> str:
    return subprocess.run(
        [sys.executable, "-c", FAILS, form, to, level], capture_output=True, text=True, check=True, timeout=30,
        env={**os.environ, "JOURNAL_STREAM": "1:1"},
    ).stderr  # fmt: skip


def test_a_traceback_shows_no_local_variables() -> None:
    lines = said()
    assert "ZeroDivisionError: 12" in lines
    assert "call=0192f0c1" in lines
    assert "34600000099" not in lines


@pytest.mark.parametrize("form", ["console", "keyvalue", "json"])
def test_what_an_exception_or_a_library_quotes_is_no_number(form: str) -> None:
    lines = said(form)
    assert "ValueError: invalid literal" in lines
    assert "600000" not in lines
    assert "#####" in lines


def test_the_journal_gets_one_line_an_event_with_its_priority_and_no_time() -> None:
    lines = said(to="journal").splitlines()
    assert [line[:3] for line in lines] == ["<3>", "<3>", "<6>", "<4>", "<3>"]
    assert lines[2] == (
        '<6>level=info event="dial decided" call=0192f0c2 allow=true rule=dial.allowed '
        'problem="two | lines, \\"quoted\\""'
    )
    assert "ZeroDivisionError: 12" in lines[0]


def test_json_is_one_object_a_line_in_the_journal_and_out_of_it() -> None:
    plain = [json.loads(line) for line in said("json", level="debug").splitlines()]
    assert [one["level"] for one in plain] == ["error", "error", "info", "debug", "warning", "error"]
    assert all(re.fullmatch(r"\d{4}-.*Z", one["timestamp"]) for one in plain)
    journal = [json.loads(line[3:]) for line in said("json", to="journal").splitlines()]
    assert journal[2] | {"timestamp": ""} == plain[2] | {"timestamp": ""}


def test_another_programs_journal_is_not_ours() -> None:
    """JOURNAL_STREAM is inherited by what a service starts with its output elsewhere (systemd.exec(5))."""
    assert not said().startswith("<")


SAYS = """
import sys
import structlog
from callguard import logs

logs.configure("keyvalue", "info")
log = structlog.get_logger()
for n in range(1_000):
    log.info("call", n=n)
print("serving")
"""


def test_a_log_that_cannot_be_written_ends_nothing() -> None:
    """A full disk."""
    with Path("/dev/full").open("w", encoding="utf-8") as full:
        done = subprocess.run([sys.executable, "-c", SAYS], stdout=subprocess.PIPE, stderr=full, text=True, check=False)
    assert done.stdout == "serving\n"


def test_a_log_that_nobody_reads_any_more_ends_nothing() -> None:
    """A closed pipe."""
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run([sys.executable, "-c", SAYS], stdout=subprocess.PIPE, stderr=writing, text=True, check=False)
    os.close(writing)
    assert (done.returncode, done.stdout) == (0, "serving\n")


def test_a_log_that_can_be_written_again_says_what_is_missing() -> None:
    class Broken(io.StringIO):
        broken = True

        def write(self, text: str) -> int:
            if self.broken:
                raise OSError(errno.ENOSPC, "no space")
            return super().write(text)

    stream = Broken()
    lines = logs.Unfailing(stream)
    lines.write("one\n")
    lines.write("two\n")
    stream.broken = False
    lines.write("three\n")
    lines.write("four\n")
    assert stream.getvalue() == "2 lines of this log could not be written before\nthree\nfour\n"
