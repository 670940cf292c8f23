"""Logs: what is in a caller's hands never gets into them."""

from __future__ import annotations

import subprocess
import sys

FAILS = """
import structlog
from callguard import logs

logs.configure()

def fail(number):
    raise ZeroDivisionError(len(number))

try:
    fail("+34600" + "000099")
except ZeroDivisionError:
    structlog.get_logger().exception("leg failed", call="0192f0c1")
"""


def test_a_traceback_shows_no_local_variables() -> None:
    said = subprocess.run([sys.executable, "-c", FAILS], capture_output=True, text=True, check=True, timeout=30).stderr
    assert "ZeroDivisionError: 12" in said
    assert "call=0192f0c1" in said
    assert "34600000099" not in said
