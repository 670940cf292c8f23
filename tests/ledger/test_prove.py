"""The proof of one call, checked by nothing but what docs/evidence.md says; and the commands of that page."""

from __future__ import annotations

import asyncio
import json
import re
import stat
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from sqlite3 import connect
from typing import Any
from uuid import uuid4

import pytest

from callguard.core.decide import Facts, decide
from callguard.core.evidence import canonical
from callguard.core.incidents import Incident
from callguard.ledger.keys import signer
from callguard.store import Store
from callguard.store.dial_records import DialRecord
from callguard.store.records import Kept, RecordedFile
from tests.store.legs import START, given, make_leg
from tests.test_cli import callguard

from .conftest import ORIGIN
from .test_checkpoints import settings

PAGE = Path(__file__).parents[2] / "docs" / "evidence.md"
(CHECK,) = re.findall(r"(?ms)^```python\n(.*?)^```", PAGE.read_text(encoding="utf-8"))
CONSOLE = "".join(re.findall(r"(?ms)^```console\n(.*?)^```", PAGE.read_text(encoding="utf-8"))).splitlines()
CALL, OTHER = str(uuid4()), str(uuid4())
FACTS = Facts(number="+390612345678", calls="marketing", purpose=None, campaign=None, at=START, opt_outs=(),
              registries=())  # fmt: skip


@pytest.fixture
def configured(tmp_path: Path) -> Path:
    settings(tmp_path)
    asyncio.run(_fill(tmp_path))
    return tmp_path


async def _fill(folder: Path) -> None:
    async with Store.open(folder / "callguard.db", gate="callguard", controllers={"acme": "Acme Energy"}) as store:
        legs = [make_leg(given(), call_id=call) for call in (CALL, OTHER)]
        await asyncio.gather(*map(store.save, legs))
        await store.decided(DialRecord.of(CALL, "acme", "sales", FACTS, decide(FACTS)))
        await store.incident(Incident.RECORDING_FOREIGN, START, {"stopped": 1}, legs[0].leg_id)
        kept = Kept((RecordedFile("x.wav", 44, "ef" * 32),), 1000, START)
        await asyncio.gather(*(store.recording_kept(leg.leg_id, kept, None) for leg in legs))
        await asyncio.gather(*(store.save(make_leg(given())) for _ in range(300)))


def run(*arguments: str, **environment: str) -> str:
    done = callguard(*arguments, **environment)
    assert (done.returncode, done.stderr) == (0, ""), done.stderr
    return done.stdout


def check(folder: Path, proof: str, key: str = "ledger.key.pub") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "check.py", proof, key], cwd=folder, capture_output=True, text=True, check=False, timeout=60
    )


def test_the_proof_of_a_call_is_checked_as_the_page_says_and_names_nobody_else(configured: Path) -> None:
    config = str(configured / "callguard.toml")
    (configured / "check.py").write_text(CHECK, encoding="utf-8")
    file = configured / "proof.json"
    assert str(file) in run("ledger", "prove", CALL, "-o", str(file), "--config", config)
    done = check(configured, "proof.json")
    assert done.returncode == 0, done.stderr
    assert [line.split()[1] for line in done.stdout.splitlines()[:-1]] == [
        "gate", "dial.decided", "incident", "recording.kept",
    ]  # fmt: skip
    text = file.read_text(encoding="utf-8")
    assert OTHER not in text and "390612345678" not in text
    proof: dict[str, Any] = json.loads(text)
    assert proof["verifier_key"] == signer(configured / "ledger.key", ORIGIN).key.written
    for entry in proof["entries"]:
        assert canonical(json.loads(entry["leaf"])) == entry["leaf"].encode()
    # These prompts were never built: what they said is not known.
    assert proof["notices"] == [
        {
            "prompt": "service/essential", "language": "en", "version": "3",
            "sha256": {"wav": "ab" * 32, "wav16": "cd" * 32}, "text": None,
        }
    ]  # fmt: skip
    # A second one has the same entries; who has read the first is in the ledger since.
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    done = callguard("ledger", "prove", CALL, "-o", str(file), "--config", config)
    assert done.returncode == 2 and "--force replaces it" in done.stderr
    run("ledger", "prove", CALL.upper(), "-o", str(file), "--force", "--config", config)
    again = file.read_text(encoding="utf-8")
    assert [one["leaf"] for one in json.loads(again)["entries"]] == [one["leaf"] for one in proof["entries"]]
    assert size_of(json.loads(again)) == size_of(proof) + 1
    others = configured / "others"
    others.mkdir()
    signer(others / "ledger.key", ORIGIN)
    for changed, why in (
        (text.replace('\\"given\\"', '\\"refused\\"'), "not in the ledger"),
        (text.replace(f'"index": {proof["entries"][0]["index"]}', '"index": 9'), "not in the ledger"),
        (text.replace(proof["entries"][0]["path"][0], "ab" * 32), "not in the ledger"),
        (text.replace(f"{ORIGIN}\\n", f"{ORIGIN}\\n1"), "InvalidSignature"),
        (json.dumps(replaced(proof, call=OTHER)), "another call's"),
    ):
        assert changed != text
        file.write_text(changed, encoding="utf-8")
        done = check(configured, "proof.json")
        assert done.returncode == 1 and why in done.stderr
    file.write_text(text, encoding="utf-8")
    done = check(configured, "proof.json", "others/ledger.key.pub")
    assert done.returncode == 1 and "not signed by this key" in done.stderr


def size_of(proof: dict[str, Any]) -> int:
    return int(proof["checkpoint"].split("\n")[1])


def replaced(proof: dict[str, Any], **changes: Any) -> dict[str, Any]:
    return {**proof, **changes}


def test_a_proof_has_the_text_of_a_notice_that_is_archived(configured: Path) -> None:
    sha256 = {"wav": "ab" * 32, "wav16": "cd" * 32}
    archived = {"language": "en", "version": "3", "text": "May we record this call?", "sha256": sha256}
    (configured / "prompts" / "played").mkdir(parents=True)
    (configured / "prompts" / "played" / f"{sha256['wav']}.json").write_text(json.dumps(archived), encoding="utf-8")
    file = configured / "proof.json"
    run("ledger", "prove", CALL, "-o", str(file), "--config", str(configured / "callguard.toml"))
    assert json.loads(file.read_text(encoding="utf-8"))["notices"][0]["text"] == "May we record this call?"


def test_what_cannot_be_proved_is_one_line(configured: Path) -> None:
    config = str(configured / "callguard.toml")
    file = str(configured / "proof.json")
    for call, output, code, why in (
        ("7", file, 2, "CALL: is no id of a call"),
        (str(uuid4()), file, 2, "CALL: the ledger has no such call"),
        (CALL, str(configured / "none" / "proof.json"), 2, "cannot be written"),
    ):
        done = callguard("ledger", "prove", call, "-o", output, "--config", config)
        assert (done.returncode, done.stdout) == (code, "")
        assert why in done.stderr and done.stderr.count("\n") == 1
    with closing(connect(configured / "callguard.db")) as database:
        database.executescript("DROP TRIGGER ledger_no_update; UPDATE ledger SET body = '{}' WHERE seq = 0;")
    done = callguard("ledger", "prove", CALL, "-o", file, "--config", config)
    assert done.returncode == 1 and "entry 0 is not the one that was signed" in done.stderr
    assert not (configured / "proof.json").exists()


def test_the_commands_of_the_page_do_what_it_says(configured: Path) -> None:
    bin_folder = Path(sys.executable).parent
    with (configured / "callguard.toml").open("a", encoding="utf-8") as more:
        more.write(f'send_to_file = "{configured / "checkpoints"}"\n')
    (configured / "check.py").write_text(CHECK, encoding="utf-8")
    lines = [
        line.replace("0192f0c1-2d3e-7a4b-8c5d-6e7f80910a1b", CALL).replace("/var/lib/callguard", str(configured))
        for line in CONSOLE
    ]
    assert len(lines) == 7
    # The shell of SQLite is not everywhere: Python's has the same backup.
    lines = [
        line if not line.startswith("sqlite3")
        else "python3 -c \"import sqlite3; sqlite3.connect('callguard.db').backup(sqlite3.connect('copy.db'))\""
        for line in lines
    ]  # fmt: skip
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", "\n".join(lines)],
        cwd=configured, capture_output=True, text=True, check=False, timeout=120,
        env={"PATH": f"{bin_folder}:/usr/bin:/bin", "CALLGUARD_CONFIG": str(configured / "callguard.toml"),
             "LANG": "C.UTF-8"},
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    assert f"{ORIGIN}\n306\n" in done.stdout
    assert "306 entries, 1 checkpoints held against them: whole" in done.stdout
    assert "306 entries, 2 checkpoints held against them: whole" in done.stdout
    assert "all of them are among the first 306 entries of calls.example.org/ledger" in done.stdout


def test_commands_say_what_was_done_to_a_ledger_and_what_was_not_sent(configured: Path) -> None:
    config = str(configured / "callguard.toml")
    unsigned = run("ledger", "verify", "--config", config)
    assert "without a verifier key, so no signature was checked: whole" in unsigned
    assert not (configured / "ledger.key").exists()
    said = json.loads(run("ledger", "checkpoint", "--json", "--config", config))
    assert (said["new"], said["not_sent"]) == (True, {})
    failing = callguard(
        "ledger", "checkpoint", "--config", config, CALLGUARD_LEDGER__SEND_TO_FILE=str(configured / "none" / "x")
    )
    assert failing.returncode == 1 and failing.stdout == said["note"]
    assert "is signed and kept, and not sent: send_to_file: No such file or directory" in failing.stderr
    whole = json.loads(run("ledger", "verify", "--json", "--config", config))
    assert (whole["whole"], whole["entries"], whole["checkpoints"], whole["findings"]) == (True, 306, 1, [])
    assert whole["verifier_keys"] == [said["verifier_key"]]
    with closing(connect(configured / "callguard.db")) as database:
        database.executescript("DROP TRIGGER ledger_no_delete; DELETE FROM ledger WHERE seq IN (7, 8, 9);")
    done = callguard("ledger", "verify", "--config", config, COLUMNS="200")
    assert done.returncode == 1
    assert "7 to 9" in done.stdout and "removed" in done.stdout and "not whole" in done.stdout
    done = callguard("ledger", "verify", "--json", "--config", config)
    assert done.returncode == 1
    (finding,) = json.loads(done.stdout)["findings"]
    assert (finding["what"], finding["first"], finding["last"]) == ("removed", 7, 9)
