"""Commands on a store whose numbers and names are encrypted: with the key as ever, without it one line."""

from __future__ import annotations

import json
import os
from contextlib import closing
from pathlib import Path
from sqlite3 import connect
from uuid import UUID

import pytest

from callguard.actors import name_of
from callguard.config import load
from callguard.core.decide import Scope
from callguard.errors import StoreError
from callguard.keys import master
from callguard.store import Store
from tests.store.legs import CONTROLLERS, START
from tests.store.test_columns import AGENT, CALL, DIAL, NUMBER, OTHER, PROOF, REASON, SHOWN, filled, found_in_clear
from tests.test_cli import callguard
from tests.test_cli_recordings import said, write

COMMANDS = (
    ("subject", "show", NUMBER), ("subject", "show", OTHER), ("optout", "list"), ("optout", "list", OTHER),
    ("grant", "list"), ("complaint", NUMBER), ("calls", "list"), ("calls", "show", CALL), ("calls", "show", DIAL),
    ("agent", "list"), ("recordings", "list"), ("policy", "replay", "--numbers"),
    ("incidents", "list"),
)  # fmt: skip


async def keyed(folder: Path, keys: str) -> Path:
    """A configuration, and a store that the service has filled with it."""
    config = write(folder, keys)
    masters = master.load(load(config))
    async with Store.open(
        load(config).store.path, gate="callguard", controllers=CONTROLLERS, keys=lambda: masters
    ) as store:
        await filled(store)
    return config


@pytest.fixture
async def config(tmp_path: Path) -> Path:
    said("keys", "new", tmp_path / "master.key")
    return await keyed(tmp_path, f'[keys]\nmaster = {{ file = "{tmp_path}/master.key" }}')


async def test_each_command_answers_as_without_encryption(config: Path, tmp_path: Path) -> None:
    assert found_in_clear(tmp_path / "callguard.db") == []
    (tmp_path / "clear").mkdir()
    clear = await keyed(tmp_path / "clear", "")
    told = ""
    for command in COMMANDS:
        with_key = callguard(*command, "--config", str(config))
        without = callguard(*command, "--config", str(clear))
        assert with_key.returncode in (0, 1), with_key.stderr
        assert (with_key.returncode, len(with_key.stdout)) == (without.returncode, len(without.stdout)), command
        assert "+~" not in with_key.stdout
        told += with_key.stdout
    for text in (NUMBER, OTHER, AGENT, REASON, PROOF, SHOWN):
        assert text in told.replace("\n", " "), text


async def test_what_commands_write_is_encrypted_and_found(config: Path, tmp_path: Path) -> None:
    at, number, words = ("--config", str(config)), "+491709876543", "Herr Beispiel rang an"
    said("optout", "add", number, "--scope", "all", "--reason", words, *at)
    assert words in said("check", number, "--profile", "service", *at, code=3).replace("\n", " ")
    assert words in said("optout", "list", number, *at).replace("\n", " ")
    said("optout", "remove", number, "--scope", "all", *at)
    assert said("check", number, "--profile", "service", *at)
    assert found_in_clear(tmp_path / "callguard.db") == []
    data = b"".join(file.read_bytes() for file in tmp_path.glob("callguard.db*"))
    assert number.encode() not in data and b"Beispiel" not in data


async def test_without_the_key_one_line_says_so_and_the_ledger_is_proved_all_the_same(
    config: Path, tmp_path: Path
) -> None:
    before = (tmp_path / "callguard.db").read_bytes()
    (tmp_path / "master.key").rename(tmp_path / "gone")
    for command in (
        ("subject", "show", NUMBER), ("optout", "add", NUMBER), ("check", NUMBER, "--profile", "service"),
        ("calls", "list"), ("run",),
    ):  # fmt: skip
        refused = said(*command, "--config", config, code=2)
        assert "master.key: keys.master.file: cannot be read" in refused or command == ("run",), command
    without = ("--config", str(write(tmp_path, "")))
    for command in (("subject", "show", NUMBER), ("check", NUMBER, "--profile", "service")):
        assert "its numbers and names are encrypted, and the configuration has no [keys]" in said(
            *command, *without, code=2
        )
    said("keys", "new", tmp_path / "other.key")
    wrong = ("--config", str(write(tmp_path, f'[keys]\nmaster = {{ file = "{tmp_path}/other.key" }}')))
    for command in (("subject", "show", NUMBER), ("optout", "add", NUMBER)):
        lost = said(*command, *wrong, code=1)
        assert "none of the master keys opens its key" in lost and len(lost.splitlines()) == 1
    assert [one["state"] for one in json.loads(said("keys", "list", "--json", *wrong))["master_keys"]] == [
        "in force", "missing",
    ]  # fmt: skip
    # As it is proved by anybody, without the key: that nobody has signed it yet is all there is to say.
    assert "entries" in callguard("ledger", "verify", *wrong).stdout.lower()
    assert (tmp_path / "callguard.db").read_bytes() == before
    (tmp_path / "gone").rename(tmp_path / "master.key")
    again = write(tmp_path, f'[keys]\nmaster = {{ file = "{tmp_path}/master.key" }}')
    assert NUMBER in said("subject", "show", NUMBER, "--config", again)


async def test_a_call_is_proved_and_the_ledger_signed_without_the_master_key(config: Path, tmp_path: Path) -> None:
    at, proof = ("--config", str(config)), tmp_path / "proof.json"
    store = tmp_path / "callguard.db"
    (tmp_path / "master.key").rename(tmp_path / "gone")
    said("ledger", "checkpoint", *at)
    said("ledger", "prove", CALL, "-o", proof, "--for", "authority", *at)
    done = callguard("ledger", "prove", CALL, "-o", "-", "--for", "authority", *map(str, at))
    on_stdout = json.loads(done.stdout)
    assert on_stdout["entries"] and {one["leaf"] for one in on_stdout["entries"]} == {
        one["leaf"] for one in json.loads(proof.read_text(encoding="utf-8"))["entries"]
    }
    # Who did it is not kept by name, as that would stand there in the clear; what is written by name is refused.
    assert found_in_clear(store) == []
    with closing(connect(store)) as database:
        assert [name for (name,) in database.execute("SELECT name FROM actors")] == [None, None]
    async with Store.open(store, gate=None, controllers=CONTROLLERS, or_locked=True) as locked:
        with pytest.raises(StoreError, match="exception"):
            await locked.opt_out("acme", "+491709876543", Scope.ALL, START, "command")
        with pytest.raises(StoreError, match="exception"):
            await locked.agent_grants_it("another", "it", START)
    assert found_in_clear(store) == []
    # With the key it is as ever, and both stand among who has looked.
    (tmp_path / "gone").rename(tmp_path / "master.key")
    said("ledger", "prove", CALL, "-o", proof, "--force", "--for", "authority", *at)
    last, *before = json.loads(said("audit", "access", "--json", *at))
    assert (last["action"], last["purpose"], last["call"]) == ("ledger prove", "authority", CALL)
    assert last["who"] == name_of(os.getuid()) and [one["action"] for one in before] == ["ledger prove"] * 2
    assert all(UUID(one["who"]) for one in before)
    assert "whole" in said("ledger", "verify", *at)


async def test_a_denial_is_kept_without_the_master_key_and_by_name_where_the_file_has_it(
    config: Path, tmp_path: Path
) -> None:
    roles = '\n[roles]\nofficer = { users = ["nobody"] }\nauditor = { users = ["root"] }\n'
    config.write_text(config.read_text(encoding="utf-8") + roles, encoding="utf-8")
    command = ("subject", "show", NUMBER, "--config", str(config))
    assert callguard(*command, CALLGUARD_KEYS__MASTER__FILE="/none").returncode == 3
    (tmp_path / "master.key").rename(tmp_path / "gone")
    done = callguard(*command)
    assert done.returncode == 3 and done.stderr.endswith("officer may\n")
    (tmp_path / "gone").rename(tmp_path / "master.key")
    nobody, me = json.loads(said("audit", "access", "--denied", "--json", "--config", config))
    assert (me["who"], nobody["action"]) == (name_of(os.getuid()), "subject show") and UUID(nobody["who"])


async def test_no_roles_in_ones_own_configuration_is_no_way_around_them_without_the_master_key(
    config: Path, tmp_path: Path
) -> None:
    async with Store.open(tmp_path / "callguard.db", gate=None, controllers=CONTROLLERS, or_locked=True) as store:
        await store.govern(START)
    mine = write(tmp_path, "")
    os.chown(mine, 61_002, 61_002)
    refused = said("ledger", "prove", CALL, "-o", tmp_path / "proof.json", "--config", mine, code=3)
    assert "neither root's nor of who runs this" in refused and not (tmp_path / "proof.json").exists()


async def test_the_stores_keys_are_rotated_with_the_others(config: Path, tmp_path: Path) -> None:
    said("keys", "new", tmp_path / "new.key")
    new = f'[keys]\nmaster = {{ file = "{tmp_path}/new.key" }}'
    both = ("--config", str(write(tmp_path, f'{new}\nold = [{{ file = "{tmp_path}/master.key" }}]')))
    listed = json.loads(said("keys", "list", "--json", *both))
    assert [(one["state"], one["data_keys"]) for one in listed["master_keys"]] == [("in force", 0), ("old", 4)]
    said("keys", "rotate", *both)
    alone = ("--config", str(write(tmp_path, new)))
    assert [one["data_keys"] for one in json.loads(said("keys", "list", "--json", *alone))["master_keys"]] == [4]
    assert NUMBER in said("subject", "show", NUMBER, *alone)


async def test_what_is_left_in_the_clear_is_told_until_it_is_clean(tmp_path: Path) -> None:
    clear = await keyed(tmp_path, "")
    said("keys", "new", tmp_path / "master.key")
    at = ("--config", str(write(tmp_path, f'[keys]\nmaster = {{ file = "{tmp_path}/master.key" }}')))
    listed = json.loads(said("keys", "list", "--json", *at))
    assert (listed["clear_rows"], listed["to_clean"]) == (11, False)
    assert "Rows with a number, a name or words that are not (yet): 11" in said("keys", "list", *at).replace("\n", " ")
    masters = master.load(load(clear))
    async with Store.open(
        tmp_path / "callguard.db", gate="callguard", controllers=CONTROLLERS, keys=lambda: masters
    ) as store:
        assert "not all encrypted yet" in said("keys", "clean", *at, code=1)
        while await store.seal_columns(100):
            pass
    assert json.loads(said("keys", "list", "--json", *at))["to_clean"]
    assert "callguard keys clean" in said("keys", "list", *at).replace("\n", " ")
    said("keys", "clean", *at)
    assert not json.loads(said("keys", "list", "--json", *at))["to_clean"]
    assert found_in_clear(tmp_path / "callguard.db") == []
