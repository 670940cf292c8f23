"""`callguard init`: what it writes, what it asks, and what it leaves alone."""

from __future__ import annotations

import os
import pty
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from callguard import config
from callguard.core.roles import Role
from callguard.errors import InputError
from callguard.keys import master
from callguard.setup.answers import Answers, text_fields
from callguard.setup.install import Machine
from callguard.shipped import shipped
from tests.setup.conftest import contents
from tests.test_cli import as_somebody, callguard

REPOSITORY = Path(__file__).parent.parent.parent
ACME = ("--controller", "Acme Energy", "--region", "ES")
SAID = tuple(word for name in text_fields(marketing=True) for word in ("--say", f"{name}=nothing"))


@pytest.fixture
def places(etc: Path, tmp_path: Path) -> list[str]:
    # A user that no machine has: files stay with whoever runs the tests.
    folders = {"--folder": tmp_path / "callguard", "--state": tmp_path / "state", "--asterisk-folder": etc}
    return [*(str(each) for pair in folders.items() for each in pair), "--user", "callguard-of-a-test"]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "callguard"


def init(places: list[str], *options: str) -> str:
    done = callguard("init", *places, *options)
    assert done.returncode == 0, done.stderr
    return done.stdout


def refused(places: list[str], *options: str) -> str:
    done = callguard("init", *places, *options)
    assert (done.returncode, done.stderr.count("\n"), done.stdout) == (2, 1, ""), done.stderr
    return done.stderr


def test_a_complete_configuration_is_one_that_callguard_takes(places: list[str], folder: Path) -> None:
    init(places, *ACME, *SAID, "--marketing", "--languages", "es,en", "--recordings", "/srv/recordings")
    settings = config.load(folder / "callguard.toml")
    assert settings.controllers["acme_energy"].name == "Acme Energy"
    assert {name: profile.languages for name, profile in settings.profiles.items()} == {
        "service": ("es", "en"), "sales": ("es", "en"),
    }  # fmt: skip
    assert settings.profiles["sales"].agent_first
    assert settings.recording.folder.path_here == Path("/srv/recordings")
    secrets = {config.secret(settings, "ari"), config.secret(settings, "ami")}
    assert len(secrets) == 2
    assert all(len(secret) >= 32 for secret in secrets)


PROVIDER = """
[out]
type = registration
endpoint = provider
[provider]
type = endpoint
[other](+)
type = endpoint
outbound_auth = other
[peer](phone)
type = identify
endpoint = peer
match = 192.0.2.1
[100]
type = endpoint
auth = 100
"""


def test_a_new_installation_denies_by_default(places: list[str], folder: Path) -> None:
    said = init(places, *ACME, *SAID)
    assert "Name in " in said and "officer, below [roles]" in said
    file = folder / "callguard.toml"
    roles = config.load(file).roles
    assert roles is not None
    assert roles.of("root", frozenset()) == frozenset({Role.ADMINISTRATOR})
    assert not roles.of("anna", frozenset())
    done = callguard("optout", "list", "--for", "complaint", "--config", str(file))
    assert (done.returncode, done.stdout) == (3, "") and "optout list: denied to root: " in done.stderr
    named = init(places, *ACME, *SAID, "--force", "--officer", "anna, boris")
    assert "officer, below [roles]" not in named
    roles = config.load(file).roles
    assert roles is not None and roles.officer.users == {"anna", "boris"}
    for officer, why in (("root", "root sets callguard up, and is no officer"), ("a b/c", "users of this machine")):
        assert f"--officer: {why}" in refused(places, *ACME, *SAID, "--force", "--officer", officer)


@pytest.mark.parametrize(
    ("options", "trunks"),
    [
        ((), ("PJSIP/provider-*", "PJSIP/other-*", "PJSIP/peer-*")),
        (("--trunks", "PJSIP/own, DAHDI/*"), ("PJSIP/own-*", "DAHDI/*")),
        (("--trunks", ""), ()),
    ],
)
def test_the_trunks_are_those_that_are_named_or_that_asterisks_files_show(
    places: list[str], etc: Path, folder: Path, options: tuple[str, ...], trunks: tuple[str, ...]
) -> None:
    (etc / "pjsip.conf").write_text(PROVIDER, encoding="utf-8")
    init(places, *ACME, *SAID, *options)
    assert config.load(folder / "callguard.toml").paths.trunks == trunks
    assert ('# trunks = ["PJSIP/NAME-*"]' in (folder / "callguard.toml").read_text(encoding="utf-8")) is (not trunks)


@pytest.mark.parametrize("outside", ["--folder", "--state", "--recordings"])
def test_what_asterisk_in_its_root_would_not_see_is_named_by_its_option(
    etc: Path, tmp_path: Path, outside: str
) -> None:
    root = tmp_path / "root"
    folders = {"--folder": root / "callguard", "--state": root / "state", "--recordings": root / "recordings"}
    options = [*ACME, *SAID, "--root", str(root), "--asterisk-folder", str(etc), "--user", "callguard-of-a-test"]
    inside = [str(each) for pair in folders.items() for each in pair]
    elsewhere = tmp_path / "elsewhere"
    said = refused(options, *inside, outside, str(elsewhere))
    assert f": {outside}: must be inside {root}, which --root says is / to Asterisk" in said
    assert not root.exists()
    assert not elsewhere.exists()
    init(options, *inside)
    assert config.load(root / "callguard" / "callguard.toml").recording.folder.in_asterisk == Path("/recordings")


def test_nothing_is_said_in_the_controllers_name_that_it_has_not_said(places: list[str], folder: Path) -> None:
    told = init(places, *ACME, "--say", "address=1 Main Street")
    open_texts = [name for name in text_fields(marketing=False) if name != "address"]
    assert f"Write in {folder}/callguard.toml what the notice says of you: {', '.join(open_texts)}." in told
    done = callguard("run", "--config", str(folder / "callguard.toml"))
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert re.search(r"callguard\.toml:\d+: controllers\.acme_energy\.", done.stderr)
    file = folder / "callguard.toml"
    file.write_text(re.sub(r'(?m)^# (\w+ = )""', r'\1"nothing"', file.read_text()), encoding="utf-8")
    assert config.load(file).controllers["acme_energy"].spoken("es")["address"] == "1 Main Street"


def test_only_who_needs_them_reads_the_secrets(places: list[str], folder: Path, etc: Path) -> None:
    told = init(places, *ACME, *SAID, "--apply")
    secrets = [(folder / f"{name}.secret").read_text().strip() for name in ("ari", "ami")]
    modes = {file.name: file.stat().st_mode & 0o777 for file in folder.rglob("*") if file.is_file()}
    holders = {
        file.name for file in (*folder.rglob("*"), *etc.rglob("*"))
        if file.is_file() and any(secret.encode() in file.read_bytes() for secret in secrets)
    }  # fmt: skip
    assert holders == {"ari.secret", "ami.secret", "ari.conf", "manager.conf"}
    assert {modes[name] for name in ("callguard.toml", "ari.secret", "ami.secret", "master.key")} == {0o600}
    assert {modes[name] for name in ("ari.conf", "manager.conf")} == {0o640}
    assert (folder / "asterisk" / "manager.conf").stat().st_gid == etc.stat().st_gid
    master_key = (folder / "master.key").read_text().strip()
    assert not any(secret in told for secret in (*secrets, master_key))
    assert f"Keep a copy of {folder}/master.key" in told
    assert master.load(config.load(folder / "callguard.toml")) is not None


def test_asterisks_own_files_change_with_apply_only_and_once(places: list[str], etc: Path) -> None:
    before = contents(etc)
    assert "+enabled = yes" in init(places, *ACME)
    assert contents(etc) == before
    mode, owner = (etc / "manager.conf").stat().st_mode, (etc / "manager.conf").stat().st_gid
    told = init(places, "--apply")
    assert "are changed like this" in told
    assert re.search(r"# \d\. Mend \S+/callguard\.toml:\d+: controllers\.acme_energy\.", told)
    after = contents(etc)
    assert {name: after[f"{name}.before-callguard"] for name in ("http.conf", "ari.conf")} == {
        name: before[name] for name in ("http.conf", "ari.conf")
    }
    assert ((etc / "manager.conf").stat().st_mode, (etc / "manager.conf").stat().st_gid) == (mode, owner)
    assert "need no change" in init(places, "--apply")
    assert contents(etc) == after


def test_a_write_that_fails_leaves_everything_as_it_was(places: list[str], etc: Path, folder: Path) -> None:
    (etc / "features.conf.before-callguard").mkdir()
    before = contents(etc)
    done = callguard("init", *places, *ACME, "--apply")
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert "features.conf.before-callguard cannot be written, and nothing is changed" in done.stderr
    assert contents(etc) == before
    assert not folder.exists()


def test_a_second_init_keeps_what_is_the_administrators_and_renews_the_rest(places: list[str], folder: Path) -> None:
    init(places, *ACME, *SAID)
    with (folder / "callguard.toml").open("a", encoding="utf-8") as toml:
        toml.write(
            '\n[profiles.advice]\ncontroller = "acme_energy"\nlanguages = ["en"]\ngate_required = true\n'
            '[[profiles.advice.purposes]]\nid = "recording.contract"\nbasis = "contract"\nrequired = true\n'
        )
    (folder / "asterisk" / "emergency.conf").write_text("[callguard-emergency](+)\nexten => x7,1,NoOp()\n")
    before = contents(folder)
    (folder / "asterisk" / "callguard.conf").write_text("; older", encoding="utf-8")
    done = callguard("init", *places, *ACME)
    assert "is kept as it is, without --controller, --region; --force begins anew" in done.stderr
    assert "CALLGUARD_DIVERT_advice = context,extension,1" in done.stdout
    after = contents(folder)
    assert b"CALLGUARD_REQUIRED_advice = yes" in after.pop("asterisk/extensions.conf")
    assert after == {name: data for name, data in before.items() if name != "asterisk/extensions.conf"}
    assert after["asterisk/callguard.conf"] == (shipped("dialplan") / "callguard.conf").read_bytes()


def test_a_second_init_adds_emergency_numbers_to_those_that_are_kept(places: list[str], folder: Path) -> None:
    told = init(places, *ACME, "--outside-prefix", "0", "--emergency", "061")
    assert "These pass: 112, 911, 061, 085, 088, 0061, 0085, 0088, 0112, 0911. " in told
    file = folder / "asterisk" / "emergency.conf"
    was = file.read_text()
    assert "knows for ES, and 061, given with --emergency" in was
    assert "--emergency: digits" in refused(places, "--emergency", "police")
    assert file.read_text() == was
    assert "0911, 091, 0091. " in init(places, "--emergency", "061,091")
    assert file.read_text() == was + "; Added with --emergency:\nexten => x091,1,NoOp()\nexten => x0091,1,NoOp()\n"


@pytest.mark.parametrize(("region", "languages"), [("CH", ("de", "fr", "it")), ("PL", ("pl",)), ("NL", ("en",))])
def test_languages_are_the_countrys(places: list[str], folder: Path, region: str, languages: tuple[str, ...]) -> None:
    init(places, "--controller", "Acme", *SAID, "--region", region)
    assert config.load(folder / "callguard.toml").profiles["service"].languages == languages


def test_root_is_told_of_a_missing_user_before_this_machines_asterisk_is_changed(tmp_path: Path) -> None:
    here = Machine(Path("/etc/asterisk"), "callguard-of-a-test", False, "")
    with pytest.raises(InputError, match=r"--user: there is no user .* first: useradd .* callguard-of-a-test$"):
        here.must_have_user(tmp_path, is_root=True)
    here.must_have_user(tmp_path, is_root=False)
    Machine(tmp_path, "callguard-of-a-test", False, "").must_have_user(tmp_path, is_root=True)


def test_the_pages_example_of_texts_works(places: list[str], folder: Path) -> None:
    (example,) = re.findall(r"(?ms)^callguard init --yes (.*?)^```", (REPOSITORY / "docs/install.md").read_text())
    init(places, *shlex.split(example.replace("\\\n", "")))
    toml = (folder / "callguard.toml").read_text()
    assert 'retention = { es = "noventa días", en = "ninety days" }' in toml
    assert 'id = "recording.quality"         # callers hear "' in toml
    # Nothing is said in the controller's name that it has not said: not for how long either.
    assert re.search(r'(?m)^\[retention\.acme_energy\]\n# "recording.quality" = \{ days = 90 \}$', toml)
    assert "1(${EXTEN},service)" in (folder / "asterisk" / "example.conf").read_text()


def test_a_password_that_asterisks_files_cannot_hold_is_refused(places: list[str], folder: Path) -> None:
    init(places, *ACME)
    (folder / "ami.secret").write_text("secret;[other]", encoding="utf-8")
    assert "asterisk.ami_secret: 8 characters or more" in refused(places)


def test_force_begins_anew_and_keeps_the_old_one_beside(places: list[str], folder: Path) -> None:
    init(places, *ACME)
    old, secret = (folder / "callguard.toml").read_bytes(), (folder / "ami.secret").read_bytes()
    master_key = (folder / "master.key").read_bytes()
    init(places, "--controller", "Zeta", "--region", "US", "--force")
    assert (folder / "callguard.toml.old-1").read_bytes() == old
    assert b"Zeta" in (folder / "callguard.toml").read_bytes()
    assert (folder / "ami.secret").read_bytes() != secret
    # What it has encrypted would be lost with it.
    assert (folder / "master.key").read_bytes() == master_key


def test_remove_takes_the_lines_out_and_says_what_stays(places: list[str], etc: Path, folder: Path) -> None:
    before = contents(etc)
    init(places, *ACME, *SAID, "--apply")
    applied = contents(etc)
    assert "-enabled = yes" in init(places, "--remove")
    assert contents(etc) == applied
    told = init(places, "--remove", "--apply")
    assert {name: contents(etc)[name] for name in before} == before
    assert all(f"{path}" in told for path in (folder, "/var/spool/callguard", "callguard.db"))
    assert (folder / "ami.secret").exists()
    by_hand = ("disable --now", "callguard.service", "asterisk.service.d/callguard.conf", "userdel", "/opt/callguard",
               "/usr/local/bin/callguard")  # fmt: skip
    assert [word for word in by_hand if word not in told] == []


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ((), "--controller: is needed"),
        (("--controller", "Acme"), "--region: is needed"),
        (("--controller", "Acme", "--region", "EN"), "--region: a country's two letters"),
        ((*ACME, "--numbers", "912"), "--numbers: international numbers"),
        ((*ACME, "--outside-prefix", "zero"), "--outside-prefix: digits"),
        ((*ACME, "--trunks", "trunk"), "--trunks: channels such as PJSIP/trunk"),
        ((*ACME, "--languages", "xx"), "--languages: some of "),
        ((*ACME, "--recordings", "/srv/my recordings"), "--recordings: an absolute path of letters"),
        ((*ACME, "--say", "adress=x"), "--say: FIELD=TEXT"),
        ((*ACME, "--languages", "en,es", "--say", "retention.en=x"), "--say: retention: is not given in 'es'"),
        ((*ACME, "--folder", "/etc/call guard"), "--folder: an absolute path of letters"),
        ((*ACME, "--user", "me; reboot"), "--user: a user's name"),
        ((*ACME, "--asterisk-folder", "/nowhere"), "/nowhere: --asterisk-folder: there is no such folder"),
    ],
)
def test_a_bad_answer_is_one_line_where_nobody_is_asked(
    places: list[str], folder: Path, options: tuple[str, ...], problem: str
) -> None:
    assert f"callguard: {problem}" in refused(places, *options)
    assert not folder.exists()


def test_our_own_number_says_the_country_and_stands_in_the_example(places: list[str], folder: Path) -> None:
    init(places, "--controller", "Acme", "--numbers", "+44 20 7946 0000", "--outside-prefix", "9")
    assert 'region = "GB"' in (folder / "callguard.toml").read_text()
    assert "exten => x9999,1,NoOp()" in (folder / "asterisk" / "emergency.conf").read_text()
    example = (folder / "asterisk" / "example.conf").read_text()
    assert "exten => 442079460000,1,Gosub(callguard-inbound,s,1(service))" in example
    assert "exten => _9X.,1,Gosub(callguard-outbound,s,1(${EXTEN:1},service))" in example


def test_whoever_sits_there_is_asked_and_asked_again(places: list[str], folder: Path) -> None:
    mine, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "callguard", "init", *places], stdin=theirs, stdout=theirs, stderr=theirs, close_fds=True
    )
    os.close(theirs)
    os.write(mine, b"Acme\n\nNowhere\nES\n0\n061\n\n\n\nn\nroot\nanna\n")
    said = b""
    try:
        while part := os.read(mine, 65_536):
            said += part
    except OSError:  # the other end is closed
        pass
    finally:
        os.close(mine)
    assert process.wait(timeout=60) == 0, said
    asked = (
        "In whose name",
        "Your own numbers",
        "Country",
        "outside line",
        "beside 112, 911, 085",
        "Your trunks",
        "Folder",
        "Languages",
        "marketing",
        "Data protection officer",
    )
    assert [said.decode().find(word) for word in asked] == sorted(said.decode().find(word) for word in asked)
    assert said.decode().count("Country (two letters)") == 2
    assert "root sets callguard up, and is no officer" in said.decode()
    assert 'officer = { users = ["anna"] }' in (folder / "callguard.toml").read_text()
    assert 'region = "ES"' in (folder / "callguard.toml").read_text()
    assert "exten => x0061,1,NoOp()" in (folder / "asterisk" / "emergency.conf").read_text()


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("Acme Energy", "acme_energy"),
        ("Müller & Söhne", "muller_sohne"),
        ("3M", "controller_3m"),
        ("日本", "controller"),
    ],
)
def test_a_controller_has_a_name_for_the_configuration(name: str, found: str) -> None:
    assert Answers(name, ("ES",), ("en",), Path("/x")).controller_id == found


@pytest.mark.parametrize("option", ["--recordings", "--folder", "--state"])
def test_a_file_where_a_folder_is_to_be_is_one_line_and_stays_as_it_is(
    places: list[str], etc: Path, folder: Path, tmp_path: Path, option: str
) -> None:
    file = tmp_path / "file"
    file.touch(0o640)
    before = contents(etc)
    assert f"{file}: {option}: is no folder" in refused(places, *ACME, "--apply", option, str(file))
    assert file.stat().st_mode & 0o777 == 0o640
    assert contents(etc) == before
    assert not folder.exists()


def test_who_may_not_look_into_a_folder_is_told_to_be_root(places: list[str], tmp_path: Path) -> None:
    state = tmp_path / "state"
    state.mkdir(0)
    done = as_somebody("init", *places, *ACME)
    state.chmod(0o700)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == f"callguard: {state}: --state: cannot be looked into: run this as root\n"


@pytest.mark.parametrize("option", [("--force",), ("--emergency", "061"), ("--languages", "en")])
def test_what_makes_no_sense_with_remove_is_refused(places: list[str], option: tuple[str, ...]) -> None:
    assert f"callguard: {option[0]}: does not go with --remove" in refused(places, "--remove", "--apply", *option)
