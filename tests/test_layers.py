"""Dependencies point down only: cli, demo -> service -> leg -> telephony, store … -> core -> nothing."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import callguard

ROOT = Path(callguard.__file__).parent
SHARED = {
    "errors", "toml_file", "config", "sections", "access_sections", "backup_sections", "dial_sections", "key_sections",
    "notice_sections", "retention_sections", "rights_sections", "controller", "numbers",
}  # fmt: skip
# What each part may import of callguard, besides itself.
MAY: dict[str, set[str]] = {
    "core": set(),
    "errors": set(),
    "logs": set(),
    "numbers": {"core"},
    "shipped": set(),
    "toml_file": {"errors"},
    "controller": set(),
    "sections": {"core", "controller", "numbers"},
    "access_sections": {"core", "controller", "sections"},
    "dial_sections": {"core", "controller", "numbers", "sections"},
    "key_sections": {"controller", "sections"},
    "backup_sections": {"key_sections", "sections"},
    "retention_sections": {"core", "controller", "sections"},
    "rights_sections": {"controller", "sections"},
    "notice_sections": {"controller", "config", "sections"},
    "config": {
        "core", "controller", "errors", "numbers", "sections", "access_sections", "backup_sections", "dial_sections",
        "key_sections", "notice_sections", "retention_sections", "rights_sections", "shipped", "toml_file",
    },
    "store": {"core", "errors"},
    "ledger": {"core", "keys", "store", "current", *SHARED},
    "keys": {"store", *SHARED},
    "registry": {"core", *SHARED},
    "policies": {"core", *SHARED},
    "speech": {"core", *SHARED},
    "telephony": {"core", "keys", "store", *SHARED},
    "actors": {"core", "access_sections"},
    "access": {"core", "store", *SHARED},
    "retention": {"core", "store", "telephony", *SHARED},
    "metrics": {"core"},
    "notify": set(),
    "turns": set(),
    "web": set(),
    "health": set(),
    "current": {"core", "config", "policies"},
    "prepare": {"core", "ledger", "policies", "speech", *SHARED},
    "room": {"metrics"},
    "leg": {"core", "rights", "store", "telephony", "metrics", *SHARED},
    "cdr": {*SHARED},
    "callbacks": {"core", "store", "current", *SHARED},
    "dial": {"callbacks", "core", "store", "registry", "policies", "current", "metrics", *SHARED},
    "agents": {"core", "store", "current", *SHARED},
    "incidents": {"core", "store", *SHARED},
    "unasked": {"core", "store", "telephony", "current", "incidents", *SHARED},
    "watchdog": {"core", "keys", "store", "telephony", "current", "incidents", *SHARED},
    "talk": {"core"},
    "parties": {"telephony", "current", "agents", "talk", *SHARED},
    "segments": {"core", "store", "telephony", "current", "watchdog", "talk", *SHARED},
    "earlier": {"core", "store", "telephony", "current", "talk", *SHARED},
    "work": {"core", "store", "telephony", "talk", "parties", "segments", *SHARED},
    "masquerades": {"telephony", *SHARED},
    "talks": {
        "core", "store", "telephony", "leg", "current", "watchdog", "agents", "talk", "parties", "segments", "earlier",
        "work", "masquerades", *SHARED,
    },
    "after": {"core", "store", "telephony", "current", "unasked", "watchdog", "talks", *SHARED},
    "column_sealing": {"store", *SHARED},
    "sealing": {"core", "keys", "store", "telephony", *SHARED},
    "dialplan": {"core", "telephony", "current", *SHARED},
    "ari_calls": {
        "core", "store", "telephony", "leg", "dial", "current", "dialplan", "metrics", "room", "watchdog", "talks",
        *SHARED,
    },
    "agi_calls": {"core", "store", "telephony", "leg", "dial", "current", "ari_calls", "metrics", "room", *SHARED},
    "reload": {
        "store", "telephony", "ari_calls", "column_sealing", "current", "dialplan", "keys", "policies", "prepare",
        "registry", "sealing", *SHARED,
    },
    "pages": {
        "store", "telephony", "ari_calls", "current", "health", "metrics", "registry", "rights", "room", "web", *SHARED,
    },
    "service": {
        "core", "store", "telephony", "leg", "dial", "after", "pages", "reload", "agi_calls", "ari_calls",
        "column_sealing", "current", "dialplan", "agents", "health", "keys", "ledger", "metrics", "notify", "policies",
        "prepare", "registry", "retention", "rights", "room", "sealing", "talks", "turns", "unasked", "watchdog", "web",
        *SHARED,
    },
    "shipped_dialplan": {"shipped"},
    "backup": {"core", "keys", "ledger", "rights", "store", *SHARED},
    "rights": {"core", "keys", "policies", "retention", "store", "telephony", *SHARED},
    "doctor": {
        "actors", "core", "keys", "store", "ledger", "registry", "telephony", "speech", "setup", "shipped",
        "shipped_dialplan", *SHARED,
    },
    "setup": {"core", "keys", "shipped", *SHARED},
    "demo": {"core", "keys", "store", "telephony", "speech", "service", "shipped", *SHARED},
    "cli": {
        "access", "actors", "backup", "callbacks", "cdr", "core", "keys", "store", "ledger", "registry", "telephony",
        "speech", "prepare", "notify", "service", "setup", "demo", "doctor", "logs", "policies", "retention", "rights",
        *SHARED,
    },
}  # fmt: skip
FORBIDDEN_IN_CORE = {"asyncio", "time", "random", "secrets", "logging", "socket", "os", "pathlib"}
MODULES = [path for path in ROOT.rglob("*.py") if path.parent != ROOT or path.stem in MAY]


def imported(path: Path) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            names |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return names


def part(path: Path) -> str:
    return path.relative_to(ROOT).with_suffix("").parts[0]


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_point_down(path: Path) -> None:
    used = {name.split(".")[1] for name in imported(path) if name.startswith("callguard.")} & MAY.keys()
    assert used - {part(path)} <= MAY[part(path)]


@pytest.mark.parametrize("path", list(ROOT.glob("core/*.py")), ids=lambda path: path.name)
def test_the_core_is_pure(path: Path) -> None:
    outside = {name.split(".")[0] for name in imported(path)} - {"callguard", "__future__"}
    assert outside <= set(sys.stdlib_module_names)
    assert not outside & FORBIDDEN_IN_CORE


def test_the_service_starts_without_what_only_builds_prompts() -> None:
    """Who is called waits for a callguard that is started again, and each import makes it longer."""
    code = "import sys, callguard.cli.run, callguard.prepare, callguard.service; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60).stdout
    assert not {"numpy", "soxr", "pyttsx3", "cryptography"} & set(loaded.split())
