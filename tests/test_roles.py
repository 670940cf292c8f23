"""Roles, as commands keep to them: who types is what the kernel says, and what they read is kept before it is shown.

R46 (a purpose that does not fit is denied and logged), R52 (denied by default), R54 (each read, play, export logged).
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path
from sqlite3 import connect
from typing import Any

import pytest

from callguard import access, actors
from callguard.access_sections import Roles
from callguard.config import load
from callguard.core.access import Read
from callguard.core.roles import Actor, Role
from callguard.errors import Denied, InputError
from callguard.store import Store
from tests.retained import NOW, House, opened
from tests.test_cli import as_somebody, callguard
from tests.test_config import GOOD
from tests.test_config import load as configured

NUMBER = "+390612345678"
ANNA, BORIS = 61_001, 61_002
ROLES = f"""
[roles]
administrator = {{ users = ["root"] }}
officer = {{ users = ["{ANNA}"] }}
supervisor = {{ users = ["{BORIS}"] }}
"""


def as_user(uid: int, *arguments: str, stdin: str = "", **environment: str) -> subprocess.CompletedProcess[str]:
    """As somebody who has sudo run a command as root: a process of theirs, one of root's, and callguard."""
    return subprocess.run(
        [sys.executable, "-c", BEHIND, str(uid), sys.executable, "-m", "callguard", *arguments],
        capture_output=True, text=True, timeout=60, check=False, input=stdin, env=environment, cwd="/",
    )  # fmt: skip


# A process cannot come by root's rights again but by a program such as sudo: its real user alone is somebody's here, as
# sudo's own process above it shows it.
BEHIND = """
import os, subprocess, sys
uid, *command = sys.argv[1:]
os.setresuid(int(uid), 0, 0)
done = subprocess.run(command, preexec_fn=lambda: os.setresuid(0, 0, 0))
os._exit(done.returncode)
"""


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    async with opened(tmp_path) as one:
        yield one


def file_of(house: House) -> Path:
    return house.folder.parent / "callguard.toml"


def with_roles(house: House, more: str = "") -> tuple[str, str]:
    file = file_of(house)
    file.write_text(file.read_text(encoding="utf-8") + ROLES + more, encoding="utf-8")
    return "--config", str(file)


def accesses(house: House, *words: str) -> list[dict[str, Any]]:
    done = as_user(ANNA, "audit", "access", "--json", *words, "--config", str(file_of(house)))
    assert done.returncode == 0, done.stderr
    found: list[dict[str, Any]] = json.loads(done.stdout)
    return found


def test_who_is_behind_a_shared_account_is_the_nearest_process_of_another() -> None:
    def behind(*above: int) -> int:
        return actors.behind({0, 999}, lambda: iter(above))

    assert behind(0, 0, ANNA, BORIS, 0) == ANNA
    assert behind(999, 0, BORIS) == BORIS
    assert behind(0, 999, 0) == os.getuid()
    assert behind() == os.getuid()


def test_users_and_groups_have_roles_and_who_is_in_none_has_none() -> None:
    roles = Roles.model_validate({"officer": {"users": ["anna"], "groups": ["dpo"]}, "agent": {"groups": ["all"]}})
    assert roles.of("anna", frozenset()) == {Role.OFFICER}
    assert roles.of("boris", frozenset({"dpo", "all"})) == {Role.OFFICER, Role.AGENT}
    assert roles.of("eve", frozenset({"wheel"})) == frozenset()


@pytest.mark.parametrize(
    ("section", "says"),
    [
        ('[roles]\nofficer = { users = ["a"] }\nadministrator = { users = ["a"] }', "'a' is administrator too"),
        ('[roles]\nofficers = { users = ["a"] }', "there is no such setting"),
        ('[roles]\nofficer = ["a"]', "roles.officer"),
        ('[access.purposes]\ncomplaint = ["service"]', "is no role that reads"),
        ('[access.purposes]\ncomplaint = ["boss"]', "access.purposes.complaint"),
    ],
)
def test_what_is_wrong_with_roles_is_one_line(tmp_path: Path, section: str, says: str) -> None:
    with pytest.raises(InputError) as raised:
        configured(tmp_path, f"{GOOD}\n{section}\n")
    assert says in str(raised.value) and "callguard.toml:" in str(raised.value)


def test_the_environment_gives_nobody_a_role(tmp_path: Path) -> None:
    for name in ("CALLGUARD_ROLES__OFFICER__USERS", "CALLGUARD_ACCESS__PURPOSES"):
        with pytest.raises(InputError, match=f"{name}: who may do what is said in the configuration's file alone"):
            configured(tmp_path, GOOD, {name: "me"})


async def test_without_roles_all_is_as_it_was_and_who_reads_is_kept(house: House) -> None:
    leg = await house.recorded(1)
    at = ("--config", str(file_of(house)))
    assert callguard("calls", "show", leg.call_id, *at).returncode == 0
    assert callguard("subject", "show", "-", *at).returncode == 2  # no number
    assert callguard("optout", "list", "--for", "complaint", *at).returncode == 0
    done = callguard("optout", "list", "--for", "fun", *at)
    assert (done.returncode, done.stdout) == (3, "")
    assert "optout list: denied to " in done.stderr and "no data are read for fun" in done.stderr
    found = accesses(house)
    assert [(one["action"], one["purpose"], one["roles"], one["call"]) for one in found] == [
        ("optout list", "fun", None, None),
        ("optout list", "complaint", None, None),
        ("calls show", None, None, leg.call_id),
    ]
    assert found[0]["denied"] and not found[1]["denied"]


async def test_what_a_role_may_not_is_denied_in_one_line_and_kept(house: House) -> None:
    at = with_roles(house)
    for uid, action, says in (
        (BORIS, ("subject", "show", "-"), "subject show: denied to 61002: supervisor may not; officer may"),
        (0, ("subject", "show", "-"), "subject show: denied to root: administrator, service may not; officer may"),
        (0, ("recordings", "list"), "recordings list: denied to root: "),
        (ANNA, ("keys", "rotate"), "keys rotate: denied to 61001: officer may not; administrator may"),
        (61_003, ("calls", "list"), "calls list: denied to 61003: who has no role may not; auditor or "),
    ):
        done = as_user(uid, *action, *at, stdin=NUMBER) if uid else callguard(*action, *at)
        assert (done.returncode, done.stdout) == (3, ""), done.stderr
        assert says in done.stderr and done.stderr.count("\n") == 1
    assert [one["action"] for one in accesses(house, "--denied")] == [
        "calls list", "keys rotate", "recordings list", "subject show", "subject show",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("CALLGUARD_HTTP__PORT", "none"), ("CALLGUARD_NOTHING__AT", "all"), ("CALLGUARD_STORE__PATH", "/none/s.db"),
        ("CALLGUARD_ROLES__OFFICER", "me"), ("CALLGUARD_STORE", "x"), ("CALLGUARD_STORE__PATH__X", "x"),
        ("CALLGUARD_KEYS__MASTER__FILE", "/none"),
    ],
)  # fmt: skip
async def test_no_variable_of_the_environment_is_a_way_around_the_record(
    house: House, variable: str, value: str
) -> None:
    at = with_roles(house)
    done = as_user(BORIS, "subject", "show", "-", *at, stdin=NUMBER, **{variable: value})
    assert (done.returncode, done.stdout) == (3, "")
    assert done.stderr.endswith("supervisor may not; officer may\n") and done.stderr.count("\n") == 1
    assert [(one["who"], one["action"]) for one in accesses(house, "--denied")] == [("61002", "subject show")]


async def test_a_denial_that_cannot_be_kept_is_one_and_says_where(house: House) -> None:
    at = with_roles(house)
    for file in house.folder.parent.glob("s.db*"):
        file.rename(file.with_name(f"away-{file.name}"))
    done = as_user(BORIS, "subject", "show", "-", *at, stdin=NUMBER)
    assert (done.returncode, done.stdout) == (3, "") and done.stderr.count("\n") == 1
    assert f"officer may (that it was denied is not kept: there is no {house.folder.parent / 's.db'})" in done.stderr
    (house.folder.parent / "s.db").write_text("no store")
    done = as_user(BORIS, "subject", "show", "-", *at, stdin=NUMBER, CALLGUARD_HTTP__PORT="none")
    assert done.returncode == 3 and f"is not kept: {house.folder.parent / 's.db'}" in done.stderr


async def test_a_read_names_who_and_for_what_before_it_is_shown(house: House) -> None:
    leg = await house.recorded(1)
    at = with_roles(house)
    done = as_user(ANNA, "subject", "show", "-", *at, stdin=NUMBER)
    assert (done.returncode, done.stdout) == (2, "") and "--for: say for what" in done.stderr
    done = as_user(BORIS, "calls", "show", leg.call_id, "--for", "complaint", *at)
    assert (done.returncode, done.stdout) == (3, "") and "for complaint supervisor may not; officer may" in done.stderr
    assert as_user(BORIS, "calls", "show", leg.call_id, "--for", "quality", *at).returncode == 0
    done = as_user(ANNA, "subject", "show", "-", "--json", *at, stdin=NUMBER, CALLGUARD_FOR="access_request")
    assert done.returncode == 0, done.stderr
    (told,) = json.loads(done.stdout)
    (read, shown, denied) = accesses(house)
    assert (read["who"], read["roles"], read["action"], read["purpose"], read["subject"]) == (
        "61001", ["officer"], "subject show", "access_request", told["subject"],
    )  # fmt: skip
    assert (shown["who"], shown["purpose"], shown["call"]) == ("61002", "quality", leg.call_id)
    assert denied["denied"].startswith("for complaint") and denied["purpose"] == "complaint"
    # What is hashed names nobody: the actor by a random id, and not whose data they are.
    with closing(connect(house.folder.parent / "s.db")) as database:
        bodies = [body for (body,) in database.execute("SELECT body FROM ledger WHERE body LIKE '%access%'")]
        ids = dict(database.execute("SELECT name, actor_id FROM actors"))
    assert len(bodies) == 3
    for body in bodies:
        assert not any(word in body for word in ("61001", "61002", NUMBER[1:], told["subject"]))
    assert ids["61001"] in "".join(bodies)
    assert callguard("ledger", "verify", *at).returncode == 0


async def test_what_cannot_be_kept_is_not_shown(house: House) -> None:
    leg = await house.recorded(1)
    at = with_roles(house)
    with closing(connect(house.folder.parent / "s.db")) as database:
        database.executescript(
            "CREATE TRIGGER full_disk BEFORE INSERT ON store_evidence BEGIN SELECT RAISE(ABORT, 'full'); END;"
            "CREATE TRIGGER full_disk_too BEFORE INSERT ON subject_evidence BEGIN SELECT RAISE(ABORT, 'full'); END;"
            "CREATE TRIGGER full_disk_all BEFORE INSERT ON evidence BEGIN SELECT RAISE(ABORT, 'full'); END;"
        )
    out = house.folder.parent / "out.zip"
    for words in (
        ("calls", "show", leg.call_id), ("subject", "show", "-"), ("complaint", "-"), ("optout", "list"),
        ("optout", "export", "-"), ("grant", "list"), ("grant", "export", "-"), ("check", "-"), ("agent", "list"),
        ("subject", "export", "-", "-o", str(out)), ("subject", "export", "-", "-o", "-"),
        ("recordings", "play", leg.call_id), ("recordings", "export", leg.call_id, "-o", str(out)),
    ):  # fmt: skip
        purpose = "dialling" if words[0] == "check" else "audit" if words[0] == "agent" else "complaint"
        done = as_user(ANNA, *words, "--for", purpose, *at, stdin=NUMBER)
        assert (done.returncode, done.stdout) == (1, ""), (words, done.stderr)
        assert "full" in done.stderr and not out.exists()


async def test_a_recording_is_heard_for_its_own_purpose_or_a_right_and_that_is_kept(house: House) -> None:
    leg = await house.recorded(1)
    at = with_roles(house)
    out = house.folder.parent / "out.wav"

    def played(uid: int, purpose: str) -> subprocess.CompletedProcess[str]:
        return as_user(uid, "recordings", "export", leg.call_id, "-o", str(out), "--for", purpose, *at)

    done = played(ANNA, "recording.training")
    assert (done.returncode, out.exists()) == (3, False)
    assert "the recording is for recording.quality, not for recording.training" in done.stderr
    assert played(BORIS, "recording.quality").returncode == 3  # what is taken away is the officer's
    assert played(ANNA, "recording.quality").returncode == 0
    assert out.read_bytes() == b"sound"
    found = accesses(house)
    assert [(one["kind"], one["who"], one["purpose"], one["leg"]) for one in found] == [
        ("recording.exported", "61001", "recording.quality", leg.leg_id),
        ("access.denied", "61002", None, None),
        ("access.denied", "61001", "recording.training", leg.leg_id),
    ]
    shown = as_user(ANNA, "calls", "show", leg.call_id, "--json", "--for", "audit", *at)
    assert "recording.exported" in [one["kind"] for one in json.loads(shown.stdout)["legs"][0]["evidence"]]


async def test_to_whom_a_recording_goes_is_kept_and_that_it_may_not(house: House) -> None:
    leg = await house.recorded(1)
    at = with_roles(
        house, '[processors.host]\nname = "Host"\ncontrollers = ["acme"]\ncontract = "DPA 12"\ntask = "servers"\n'
    )
    out = house.folder.parent / "out.wav"
    words = ("recordings", "export", leg.call_id, "-o", str(out), *at)
    for to, purpose, code in (("host", None, 2), ("partner", "complaint", 3), ("host", "complaint", 0)):
        done = as_user(ANNA, *words, "--to", to, *(() if purpose is None else ("--for", purpose)))
        assert (done.returncode, out.exists()) == (code, code == 0), done.stderr
    handed, denied = accesses(house)
    assert (handed["kind"], handed["who"], handed["to"]) == ("recording.exported", "61001", "host")
    assert (denied["kind"], denied["who"], denied["leg"]) == ("access.denied", "61001", leg.leg_id)
    assert denied["denied"].startswith("recipient.not_told")


async def test_who_holds_releases_and_marks_recordings_is_in_the_evidence(house: House) -> None:
    leg = await house.recorded(1)
    at = with_roles(house)
    for word in ("hold", "release", "unlawful"):
        done = as_user(ANNA, "recordings", word, leg.call_id, "--reason", "claim of Ana", *at)
        assert done.returncode == 0, done.stderr
    found = accesses(house)
    assert [(one["kind"], one["who"], one["roles"], one["leg"]) for one in found] == [
        (kind, "61001", ["officer"], leg.leg_id)
        for kind in ("recording.unlawful", "recording.released", "recording.held")
    ]
    assert accesses(house, "--denied") == []
    (detail,) = await house.store.call(leg.call_id)
    said = [json.loads(one.body) for one in detail.evidence[-3:]]
    assert {one["actor"] for one in said} == {said[0]["actor"]} and "61001" not in json.dumps(said)
    assert callguard("ledger", "verify", *at).returncode == 0


async def test_a_restricted_recording_is_an_officers_for_a_claim_alone(house: House) -> None:
    leg = await house.recorded(1)
    file = str(file_of(house))
    assert callguard("recordings", "hold", leg.call_id, "--reason", "claim", "--config", file).returncode == 0
    done = callguard("recordings", "play", leg.call_id, "--config", file)
    assert (done.returncode, done.stdout) == (3, "") and "it is restricted (GDPR Art. 18)" in done.stderr
    at = with_roles(house)
    for uid, purpose, code in ((BORIS, "recording.quality", 3), (ANNA, "complaint", 3), (BORIS, "legal_claim", 3)):
        assert as_user(uid, "recordings", "play", leg.call_id, "--for", purpose, *at).returncode == code
    out = str(house.folder.parent / "claim.wav")
    done = as_user(ANNA, "recordings", "export", leg.call_id, "-o", out, "--for", "legal_claim", *at)
    assert done.returncode == 0, done.stderr
    for purpose, there in (("access_request", 0), ("legal_claim", 1)):
        zip_file = str(house.folder.parent / f"{purpose}.zip")
        done = as_user(
            ANNA, "subject", "export", "-", "-o", zip_file, "--with-audio", "--json", "--for", purpose, *at,
            stdin=NUMBER,
        )  # fmt: skip
        told = json.loads(done.stdout)
        assert (told["recordings"], bool(told["withheld"])) == (there, not there)
    kinds = [(one["kind"], one["purpose"]) for one in accesses(house)][:3]
    assert kinds == [
        ("recording.exported", "legal_claim"), ("subject.exported", "legal_claim"),
        ("subject.exported", "access_request"),
    ]  # fmt: skip


async def test_a_hold_that_comes_meanwhile_keeps_a_recording_from_being_heard(house: House) -> None:
    leg = await house.recorded(1)
    settings = load(file_of(house))
    anybody = Actor("somebody", None)

    class Late(Store):
        async def is_held(self, leg_id: str, at: Any) -> bool:
            held = await super().is_held(leg_id, at)
            await self.hold(leg.call_id, "claim", NOW)
            return held

    async with Late.open(settings.store.path, gate=None, controllers={"acme": "Acme"}) as store:
        with pytest.raises(Denied, match="restricted"):
            await access.hear(store, settings, anybody, "recordings play", None, leg.leg_id, ["recording.quality"], NOW)
        assert [one.kind for one in await store.accesses(NOW, NOW.replace(year=9000), 9)] == ["access.denied"]


async def test_a_console_passes_its_own_actor(house: House) -> None:
    settings = load(Path(with_roles(house)[1]))
    async with Store.open(settings.store.path, gate=None, controllers={"acme": "Acme"}) as store:
        eve = Actor("eve@console", frozenset({Role.AGENT}))
        with pytest.raises(Denied, match="subject show: denied to eve@console: agent may not; officer may"):
            await access.read(store, settings, eve, "subject show", "complaint", Read(NUMBER), NOW)
        anna = Actor("anna@console", frozenset({Role.OFFICER}))
        with pytest.raises(InputError, match="--for: say for what"):
            await access.read(store, settings, anna, "subject show", None, Read(NUMBER), NOW)
        await access.read(store, settings, anna, "subject show", "complaint", Read(NUMBER), NOW)
        found = await store.accesses(NOW, NOW.replace(year=9000), 9)
        assert [(one.actor, one.why is None) for one in found] == [("anna@console", True), ("eve@console", False)]


async def test_a_configuration_of_ones_own_gives_no_role(house: House) -> None:
    """Who acts as root or as callguard could name a configuration that makes them officer, or has no roles at all."""
    without = file_of(house).read_text(encoding="utf-8")
    at = with_roles(house)
    assert as_user(BORIS, "calls", "list", *at).returncode == 0
    assert as_user(ANNA, "optout", "list", "--for", "complaint", *at).returncode == 0  # roles are in force from now on
    for name, text in (
        ("none.toml", without), ("mine.toml", without + ROLES.replace(f'["{ANNA}"]', f'["{BORIS}"]')),
    ):  # fmt: skip
        mine = house.folder.parent / name
        mine.write_text(text, encoding="utf-8")
        os.chown(mine, BORIS, BORIS)
        done = as_user(BORIS, "optout", "list", "--for", "complaint", "--config", str(mine))
        assert (done.returncode, done.stdout) == (3, "")
        assert "neither root's nor of who runs this" in done.stderr and "not kept" not in done.stderr
    kept = [one for one in accesses(house, "--denied") if one["action"] == "optout list"]
    assert [one["who"] for one in kept] == [str(BORIS)] * 2
    assert not any("mine.toml" in json.dumps(one) for one in kept)


async def test_who_may_not_look_at_the_store_is_told_in_one_line(house: House) -> None:
    """As who forgets sudo, beside a folder that is the account's alone."""
    shut = house.folder.parent / "shut"
    shut.mkdir(mode=0o700)
    os.chown(shut, 61_009, 61_009)
    text = file_of(house).read_text(encoding="utf-8") + ROLES
    file = house.folder.parent / "shut.toml"
    file.write_text(text.replace(str(house.folder.parent / "s.db"), str(shut / "s.db")), encoding="utf-8")
    assert str(shut) in file.read_text(encoding="utf-8")
    for words in (("calls", "list"), ("subject", "show", NUMBER, "--for", "access_request")):
        done = as_somebody(*words, "--config", str(file))
        assert (done.returncode in (2, 3), done.stdout, done.stderr.count("\n")) == (True, "", 1), done.stderr


async def test_callguards_own_account_does_what_timers_do(house: House) -> None:
    at = with_roles(house)
    service = 61_009
    for path in (house.folder.parent, *house.folder.parent.glob("s.db*")):
        os.chown(path, service, service)

    def typed(*words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [
                # Wherever Python is, it may be read.
                "setpriv", f"--reuid={service}", f"--regid={service}", "--clear-groups",
                "--inh-caps=+dac_read_search", "--ambient-caps=+dac_read_search",
                sys.executable, "-m", "callguard", *words, *at,
            ],
            capture_output=True, text=True, timeout=60, check=False, env={"PATH": os.environ["PATH"]}, cwd="/",
        )  # fmt: skip

    assert typed("ledger", "checkpoint").returncode == 0
    done = typed("optout", "list", "--for", "complaint")
    assert done.returncode == 3 and "denied to 61009: service may not; officer may" in done.stderr


async def test_an_actors_name_can_be_erased_and_the_entries_stay(house: House) -> None:
    at = with_roles(house)
    assert as_user(ANNA, "optout", "list", "--for", "complaint", *at).returncode == 0
    (before,) = accesses(house)
    with closing(connect(house.folder.parent / "s.db")) as database:
        ((actor_id,),) = database.execute("SELECT actor_id FROM actors")
        database.execute("UPDATE actors SET name = NULL")
        database.commit()
    (after,) = accesses(house)
    assert (before["who"], after["who"]) == ("61001", actor_id)
