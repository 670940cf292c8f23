"""``callguard subject export``: one person's data in one file, for the person and for programs, signed."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import shutil
import stat
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from html.parser import HTMLParser
from pathlib import Path
from sqlite3 import connect
from typing import Any
from uuid import UUID
from zipfile import ZipFile

import pytest
from cryptography.exceptions import InvalidSignature

from tests.optouts.conftest import NUMBER, Run, bad
from tests.rights.conftest import AUDIO, DIALLED, OTHER, OTHERS, RECORDED, REFUSED, SHARED, WITHDRAWN, WORDS
from tests.rights.reading import VCON, decoded, unsigned
from tests.rights.receipt_model import Receipt

Export = Callable[..., "Zipped"]
PAGE = Path(__file__).parents[2] / "docs" / "rights.md"


@dataclass(frozen=True)
class Zipped:
    path: Path
    files: Mapping[str, bytes]
    told: Mapping[str, Any]
    err: str

    def json(self, name: str) -> Any:
        return json.loads(self.files[name])


@pytest.fixture
def export(run: Run, known: Path, tmp_path: Path) -> Export:
    def made(*words: str, controller: str = "acme") -> Zipped:
        file = tmp_path / "person.zip"
        done = run(
            "subject", "export", NUMBER, "-o", str(file), "--controller", controller, "--json", "--force", *words
        )
        assert done.code == 0
        with ZipFile(file) as archive:
            assert archive.testzip() is None
            return Zipped(file, {name: archive.read(name) for name in archive.namelist()}, done.json, done.err)

    return made


def test_it_is_for_its_owner_and_its_manifest_names_each_file(export: Export) -> None:
    made = export()
    assert stat.S_IMODE(made.path.stat().st_mode) == 0o600
    manifest = made.json("manifest.json")
    listed = {it["name"]: it["sha256"] for it in manifest["files"]}
    assert listed == {
        name: hashlib.sha256(data).hexdigest() for name, data in made.files.items() if not name.startswith("manifest.")
    }
    assert {"index.html", "data.json", f"vcons/{RECORDED}.vcon", f"receipts/{REFUSED}.jsonld"} <= listed.keys()
    assert not any(name.startswith("recordings/") for name in listed)
    assert unsigned(made.json("manifest.jws"), made.files["certificate.pem"]) == made.files["manifest.json"]
    assert made.told["manifest_sha256"] == hashlib.sha256(made.files["manifest.json"]).hexdigest()
    assert manifest["signed_by"] == made.told["signed_by"]


def test_the_page_for_the_officer_tells_how_to_check_it_by_hand(export: Export) -> None:
    made = export("--with-audio")
    (block,) = (it for it in re.findall(r"(?ms)^```sh\n(.*?)^```", PAGE.read_text("utf-8")) if "openssl" in it)
    told = by_hand(block, made.path.parent)
    assert told.returncode == 0 and "Signature Verified Successfully" in told.stdout
    assert made.told["fingerprint"] in told.stdout
    for name, change in (("data.json", b"x"), ("manifest.json", b" ")):
        with ZipFile(made.path, "w") as archive:
            for it, data in made.files.items():
                archive.writestr(it, data + change if it == name else data)
        shutil.rmtree(made.path.parent / "person")
        assert by_hand(block, made.path.parent).returncode != 0
    forged = made.json("manifest.jws")
    forged["payload"] = base64.urlsafe_b64encode(b'{"files": []}').decode().rstrip("=")
    with ZipFile(made.path, "w") as archive:
        archive.writestr("manifest.jws", json.dumps(forged))
        archive.writestr("manifest.json", b'{"files": []}')
        archive.writestr("certificate.pem", made.files["certificate.pem"])
    shutil.rmtree(made.path.parent / "person")
    told = by_hand(block, made.path.parent)
    assert told.returncode != 0 and "Verif" in told.stdout + told.stderr


def by_hand(commands: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Commands typed in a shell that stops at the first that fails."""
    return subprocess.run(
        ["bash", "-e"], input=commands, cwd=folder, capture_output=True, text=True, check=False, timeout=60
    )


def test_what_is_changed_no_longer_fits_its_signature(export: Export) -> None:
    made = export()
    signed = made.json(f"vcons/{RECORDED}.signed.vcon")
    assert unsigned(signed, made.files["certificate.pem"]) == made.files[f"vcons/{RECORDED}.vcon"]
    (it,) = signed["signatures"]
    vcon = made.json(f"vcons/{RECORDED}.vcon")
    assert it["header"]["uuid"] == vcon["uuid"]
    der = base64.b64decode(it["header"]["x5c"][0])
    assert decoded(json.loads(decoded(it["protected"]))["x5t#S256"]) == hashlib.sha256(der).digest()
    vcon["attachments"][0]["body"]["purpose_grants"][0]["granted"] = False
    forged = base64.urlsafe_b64encode(json.dumps(vcon).encode()).decode().rstrip("=")
    with pytest.raises(InvalidSignature):
        unsigned({**signed, "payload": forged}, made.files["certificate.pem"])


def test_each_vcon_is_one_by_the_draft_and_tells_the_key_and_the_basis(export: Export) -> None:
    made = export("--with-audio")
    vcons = {name: made.json(name) for name in made.files if re.fullmatch(r"vcons/[0-9a-f-]+\.vcon", name)}
    assert len(vcons) == 4
    for vcon in vcons.values():
        VCON.validate(vcon)
        assert UUID(vcon["uuid"]).version == 8
        assert vcon["parties"] == [
            {"tel": f"tel:{NUMBER}", "type": "person"},
            {"name": "Acme Energy", "type": "organization", "validation": "none"},
        ]
        for attachment in vcon["attachments"]:
            assert attachment["dialog"] < len(vcon["dialog"]) and attachment["party"] < len(vcon["parties"])
    call, recording = vcons[f"vcons/{RECORDED}.vcon"]["dialog"]
    assert (call["type"], call["recordings"], recording["recording_set"]) == ("recording-set", [1], 0)
    assert [(it["event"], it["button"], it["party"]) for it in call["party_history"]] == [("keydown", "1", 0)]
    sha512, sha256 = (decoded(it.partition("-")[2]) for it in recording["content_hash"])
    assert (sha512, sha256) == (hashlib.sha512(AUDIO).digest(), hashlib.sha256(AUDIO).digest())
    assert (recording["filename"], recording["duration"]) == (f"{RECORDED}.wav", 120)
    (yes,) = vcons[f"vcons/{RECORDED}.vcon"]["attachments"]
    assert (yes["body"]["lawful_basis"], yes["body"]["purpose_grants"][0]["granted"]) == ("consent", True)
    data = next(it for it in made.json("data.json")["calls"] if it["call"] == RECORDED)
    assert yes["body"]["proof_mechanisms"][0]["proof_data"]["sha256"] == data["evidence"][0]["sha256"]
    assert hashlib.sha256(data["evidence"][0]["body"].encode()).hexdigest() == data["evidence"][0]["sha256"]
    for name, key in ((REFUSED, "2"), (WITHDRAWN, "1")):
        (no,) = vcons[f"vcons/{name}.vcon"]["attachments"]
        assert no["body"]["purpose_grants"][0]["granted"] is False
        assert vcons[f"vcons/{name}.vcon"]["dialog"][0]["party_history"][0]["button"] == key


def test_the_schema_refuses_what_the_draft_does(export: Export) -> None:
    vcon = export().json(f"vcons/{RECORDED}.vcon")
    changes: tuple[Callable[[Any], object], ...] = (
        lambda it: it["dialog"][0].pop("recordings"),
        lambda it: it["dialog"][0]["party_history"][0].pop("button"),
        lambda it: it["attachments"][0]["body"].update(lawful_basis="because"),
        lambda it: it.update(created_at="yesterday"),
        lambda it: it.update(extensions=[]),
        lambda it: it["dialog"][1].update(content_hash="x"),
    )
    for change in changes:
        broken = json.loads(json.dumps(vcon))
        change(broken)
        assert not VCON.is_valid(broken)


def test_each_receipt_has_what_27560_asks_for(export: Export) -> None:
    made = export()
    receipts = {
        name: Receipt.model_validate_json(data).hasRecordOfActivity
        for name, data in made.files.items()
        if name.startswith("receipts/")
    }
    assert receipts.keys() == {f"receipts/{call}.jsonld" for call in (RECORDED, SHARED, REFUSED, WITHDRAWN)}
    states = {
        call: [it.type[0] for it in receipts[f"receipts/{call}.jsonld"].hasProcess[0].hasConsentStatus]
        for call in (RECORDED, REFUSED, WITHDRAWN)
    }
    assert states == {
        RECORDED: ["dpv:ConsentGiven"],
        REFUSED: ["dpv:ConsentRefused"],
        WITHDRAWN: ["dpv:ConsentGiven", "dpv:ConsentWithdrawn"],
    }
    given = receipts[f"receipts/{RECORDED}.jsonld"]
    assert given.hasProcess[0].hasConsentStatus[0].isExercisedAt == "on the telephone, by key 1"
    assert (given.hasNotice[0].hasVersion, given.hasNotice[0].heard) == ("3", "PT9S")
    beside = Receipt.model_validate_json(export(controller="zeta").files["receipts/grant-1.jsonld"])
    status = beside.hasRecordOfActivity.hasProcess[0].hasConsentStatus
    assert [it.type[0] for it in status] == ["dpv:ConsentGiven", "dpv:ConsentWithdrawn"]
    assert status[0].isExercisedAt == "paper: form 17"


class Page(HTMLParser):
    """What a page is made of; one that does not close what it opens fails."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text: list[str] = []
        self.open: list[str] = []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in ("meta", "br"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text.append(data)


def test_the_page_is_plain_escaped_and_readable_aloud(export: Export) -> None:
    page = Page(export("--with-audio").files["index.html"].decode())
    names = [tag for tag, _ in page.tags]
    assert not {"script", "link", "img", "iframe", "form", "object"} & set(names)
    assert not [it for _, it in page.tags if any(name.startswith("on") for name in it)]
    addresses = [value or "" for _, it in page.tags for name, value in it.items() if name in ("src", "href")]
    assert addresses and not [it for it in addresses if ":" in it or it.startswith("/")]
    assert (page.tags[0], names.count("h1")) == (("html", {"lang": "en"}), 1)
    assert names.count("table") == names.count("caption") >= 4
    assert all(it == {"scope": "col"} for tag, it in page.tags if tag == "th")
    said = " ".join(page.text)
    for it in (NUMBER, "privacy at acme dot example", "key 1", "service/essential", hashlib.sha256(AUDIO).hexdigest()):
        assert it in said
    zeta = export(controller="zeta").files["index.html"].decode()
    assert WORDS not in zeta and WORDS in " ".join(Page(zeta).text)
    assert DIALLED in zeta


@pytest.mark.parametrize("words", [(), ("--with-audio",)])
def test_nothing_of_anybody_else_is_in_it(export: Export, words: tuple[str, ...]) -> None:
    made = export(*words)
    assert SHARED.encode() in made.files["data.json"]
    for name, data in made.files.items():
        everything = data + (decoded(json.loads(data)["payload"]) if name.endswith((".signed.vcon", ".jws")) else b"")
        for theirs in (OTHER, OTHER[1:], OTHERS, "together", "channel-", "of-somebody-else", "Zeta", "zeta", '"pl"'):
            assert theirs not in name and theirs.encode() not in everything, (name, theirs)


def test_recordings_are_handed_out_where_nobody_else_is_in_them(export: Export, folder: Path) -> None:
    made = export("--with-audio")
    assert {name: data for name, data in made.files.items() if name.startswith("recordings/")} == {
        f"recordings/{RECORDED}.wav": AUDIO
    }
    assert "another person had a part in the call" in made.told["withheld"][f"{SHARED}.wav"]
    assert f"Not in it: {SHARED}.wav: another person" in made.err
    assert (made.told["recordings"], len(made.json("manifest.json")["withheld"])) == (1, 1)
    (folder / f"{RECORDED}.wav").write_bytes(AUDIO[:-1] + b"x")
    changed = export("--with-audio")
    assert changed.told["withheld"][f"{RECORDED}.wav"] == "its file is not what was kept: its SHA-256 differs"
    (folder / f"{RECORDED}.wav").unlink()
    assert export("--with-audio").told["withheld"][f"{RECORDED}.wav"] == "its file is missing"


def test_that_it_was_handed_out_is_evidence(export: Export, known: Path, run: Run) -> None:
    made = export()
    acme = next(it for it in run("subject", "show", NUMBER, "--json").json if it["controller"] == "acme")
    (entry,) = acme["evidence"]
    said = {"manifest": made.told["manifest_sha256"], "recordings": 0}
    assert (entry["kind"], entry["said"].items() >= said.items()) == ("subject.exported", True)


def test_without_evidence_nothing_is_handed_out(run: Run, known: Path, tmp_path: Path) -> None:
    with connect(known.parent / "callguard.db") as database:
        database.execute("CREATE TRIGGER full BEFORE INSERT ON subject_evidence BEGIN SELECT RAISE(ABORT, 'full'); END")
    done = run("subject", "export", NUMBER, "-o", str(tmp_path / "a.zip"), "--controller", "acme")
    assert (done.code, done.err.count("\n")) == (1, 1)
    assert list(tmp_path.glob("*a.zip*")) == []


def test_bad_input_is_one_line_and_leaves_nothing(run: Run, known: Path, tmp_path: Path) -> None:
    file = tmp_path / "a.zip"
    words = ("-o", str(file), "--controller", "acme")
    assert bad(run("subject", "export", "+34912345000", *words), "NUMBER: nothing is known of this number by acme")
    assert bad(run("subject", "export", NUMBER, "-o", str(file)), "--controller: say which")
    assert bad(run("subject", "export", NUMBER, "-o", str(tmp_path / "no" / "a.zip"), *words[2:]), "cannot be written")
    file.write_bytes(b"mine")
    assert bad(run("subject", "export", NUMBER, *words), "a.zip: is there already: --force replaces it")
    assert file.read_bytes() == b"mine"
    assert list(tmp_path.glob(".*")) == []


def test_the_key_is_made_once_for_its_owner_and_refused_when_others_may_read_it(run: Run, known: Path) -> None:
    key = known.parent / "export.key"
    first = run("subject", "key", "--json").json
    assert (Path(first["file"]), stat.S_IMODE(key.stat().st_mode)) == (key, 0o600)
    assert "PRIVATE" not in first["certificate"] and run("subject", "key", "--json").json == first
    said = run("subject", "key").out
    assert first["fingerprint"] in said and first["certificate"] in said and "PRIVATE" not in said
    key.chmod(0o640)
    assert bad(run("subject", "key"), "export.key: export.signing_key: others may read the signing key")
    key.chmod(0o600)
    whole = key.read_text(encoding="ascii")
    other = known.parent / "other.key"
    known.write_text(f'{known.read_text(encoding="utf-8")}\n[export]\nsigning_key = "{other}"\n', encoding="utf-8")
    second = run("subject", "key", "--json").json
    assert second["kid"] != first["kid"]
    certificate = whole.partition("-----BEGIN CERTIFICATE")[1:]
    for wrong in (
        "hello",
        "".join(certificate),
        other.read_text("ascii").partition("-----BEGIN CERT")[0] + "".join(certificate),
    ):
        other.write_text(wrong, encoding="ascii")
        assert bad(run("subject", "key"), "other.key: export.signing_key: is no ")
