"""Asterisk's files get few lines, and lose them again; what an administrator wrote stays."""

from __future__ import annotations

from pathlib import Path

import pytest

from callguard.errors import InputError
from callguard.setup.conf import Reader
from callguard.setup.patch import FREEPBX, MARK, Plan, put_in, take_out

OURS = Path("/etc/callguard/asterisk")


def carry_out(plan: Plan) -> None:
    for file in plan.changed:
        file.write_text(plan.after[file], encoding="utf-8", errors="surrogateescape")


def added(plan: Plan) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for file in plan.changed:
        new = plan.after[file].split("\n")
        found[file.name] = [line.removesuffix(f" {MARK}") for line in new if line.endswith(MARK)]
    return found


def value(etc: Path, name: str, setting: str) -> str | None:
    found = Reader(etc).value(name, "general", setting)
    return found.value if found else None


def test_debians_own_configuration_needs_four_includes_and_http(etc: Path) -> None:
    plan = put_in(etc, OURS)
    assert added(plan) == {
        "ari.conf": ['#include "/etc/callguard/asterisk/ari.conf"'],
        "http.conf": ["enabled = yes"],
        "manager.conf": ['#include "/etc/callguard/asterisk/manager.conf"'],
        "features.conf": ['#include "/etc/callguard/asterisk/callguard-features.conf"'],
        "extensions.conf": ['#include "/etc/callguard/asterisk/extensions.conf"'],
    }
    assert (plan.ari_url, plan.ami, plan.notes) == ("http://127.0.0.1:8088", ("127.0.0.1", 5038), ())


def test_nothing_is_taken_away_and_a_second_look_changes_nothing(etc: Path) -> None:
    plan = put_in(etc, OURS)
    for file in plan.changed:
        assert [line for line in plan.after[file].split("\n") if not line.endswith(MARK)] == plan.before[file].split(
            "\n"
        )
    carry_out(plan)
    assert put_in(etc, OURS).changed == ()


def test_taking_out_leaves_what_was_there(etc: Path) -> None:
    before = {file.name: file.read_bytes() for file in etc.glob("*.conf")}
    carry_out(put_in(etc, OURS))
    carry_out(take_out(etc))
    assert {file.name: file.read_bytes() for file in etc.glob("*.conf")} == before


def test_another_folder_takes_the_place_of_the_first(etc: Path) -> None:
    carry_out(put_in(etc, OURS))
    carry_out(put_in(etc, Path("/srv/callguard")))
    assert "/etc/callguard" not in (etc / "extensions.conf").read_text()


def test_features_stand_inside_the_applicationmap(etc: Path) -> None:
    (etc / "features.conf").write_text("[applicationmap]\nmine => *7,self,NoOp()\n[general]\n", encoding="utf-8")
    carry_out(put_in(etc, OURS))
    lines = (etc / "features.conf").read_text().split("\n")
    assert lines[0] == "[applicationmap]"
    assert "callguard-features.conf" in lines[1]
    (etc / "features.conf").write_text(";[applicationmap]\n[general]", encoding="utf-8")
    carry_out(put_in(etc, OURS))
    assert (etc / "features.conf").read_text().split("\n")[2] == f"[applicationmap] {MARK}"


@pytest.mark.parametrize("address", ["0.0.0.0", "192.0.2.7"])
def test_what_was_off_comes_up_on_loopback_only(etc: Path, address: str) -> None:
    for name in ("http", "manager"):
        (etc / f"{name}.conf").write_text(
            f"[general]\nenabled = no\nbindaddr = {address}\n[x]\na=1\n", encoding="utf-8"
        )
    carry_out(plan := put_in(etc, OURS))
    for name in ("http.conf", "manager.conf"):
        assert (value(etc, name, "enabled"), value(etc, name, "bindaddr")) == ("yes", "127.0.0.1")
    assert plan.notes == ()


def test_what_is_on_keeps_its_address_and_is_used_there(etc: Path) -> None:
    (etc / "http.conf").write_text(
        "[general]\nenabled = yes\nbindaddr = 192.0.2.7\nbindport = 80\nprefix = pbx\n", encoding="utf-8"
    )
    (etc / "manager.conf").write_text("[general]\nenabled = yes\nbindaddr = 0.0.0.0\nport = 5039\n", encoding="utf-8")
    plan = put_in(etc, OURS)
    assert (plan.ari_url, plan.ami) == ("http://192.0.2.7:80/pbx", ("127.0.0.1", 5039))
    assert "http.conf" not in added(plan)
    assert [note.split(": ")[0] for note in plan.notes] == [f"{etc}/http.conf:3", f"{etc}/manager.conf:3"]


def test_http_without_an_address_gets_one_as_asterisk_has_none(etc: Path) -> None:
    (etc / "http.conf").write_text("[General]\nEnabled => yes\n", encoding="utf-8")
    assert added(put_in(etc, OURS))["http.conf"] == ["bindaddr = 127.0.0.1"]


def test_ari_that_is_off_is_turned_on_and_missing_files_are_made(etc: Path) -> None:
    (etc / "ari.conf").write_text("[general]\nenabled = no\n", encoding="utf-8")
    (etc / "http.conf").unlink()
    carry_out(put_in(etc, OURS))
    assert value(etc, "ari.conf", "enabled") == "yes"
    assert (value(etc, "http.conf", "enabled"), value(etc, "http.conf", "bindaddr")) == ("yes", "127.0.0.1")


@pytest.mark.parametrize(
    ("name", "text", "line"),
    [
        ("manager.conf", "[general]\n[callguard]\nsecret = x\n", 2),
        ("extensions.conf", "[callguard-inbound]\n", 1),
        ("features.conf", "[applicationmap]\ncallguard-stop => *9,self,NoOp()\n", 2),
    ],
)
def test_a_callguard_that_is_there_already_is_named(etc: Path, name: str, text: str, line: int) -> None:
    (etc / name).write_text(text, encoding="utf-8")
    with pytest.raises(InputError, match=rf"/{name}:{line}: .* here already"):
        put_in(etc, OURS)


def test_a_file_that_ends_in_a_comment_is_not_added_to(etc: Path) -> None:
    (etc / "extensions.conf").write_text("[a]\n;-- off for now\n", encoding="utf-8")
    with pytest.raises(InputError, match="comment that is not closed"):
        put_in(etc, OURS)


def test_a_diff_shows_no_password_and_other_encodings_stay(etc: Path) -> None:
    file = etc / "manager.conf"
    file.write_bytes(b"[general]\nenabled = yes\nbindaddr = 127.0.0.1\n; caf\xe9\n[me]\nsecret = hunter2\n")
    plan = put_in(etc, OURS)
    assert "secret = …" in plan.diff()
    assert "hunter2" not in plan.diff()
    carry_out(plan)
    assert b"caf\xe9" in file.read_bytes()


def test_freepbx_keeps_its_own_files(etc: Path) -> None:
    for name in (*FREEPBX, "http.conf"):
        (etc / name).write_text("", encoding="utf-8")
    (etc / "extensions.conf").write_text("#include extensions_custom.conf\n", encoding="utf-8")
    (etc / "manager.conf").write_text("[general]\nenabled = yes\n#include manager_custom.conf\n", encoding="utf-8")
    (etc / "ari.conf").write_text("#include ari_additional_custom.conf\n", encoding="utf-8")
    (etc / "features.conf").write_text("[applicationmap]\n", encoding="utf-8")
    plan = put_in(etc, OURS, freepbx=True)
    assert set(added(plan)) == set(FREEPBX)
    http, features = plan.notes
    assert http.startswith("http.conf: it is off; ")
    assert "does not include features_applicationmap_custom.conf" in features


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("http.conf", "[general]\nservername = a\n[other]\nx = y\n[general]\nenabled = no\n"),
        ("http.conf", '#include "http.d/a.conf"\n[general]\nservername = a\n'),
        ("manager.conf", '[general]\n#include "manager.d/bob.conf"\nenabled = yes\nbindaddr = 0.0.0.0\n'),
    ],
)
def test_a_general_in_pieces_is_not_guessed_at(etc: Path, name: str, text: str) -> None:
    (etc / name).write_text(text)
    for folder in ("http.d", "manager.d"):
        (etc / folder).mkdir(exist_ok=True)
    (etc / "http.d" / "a.conf").write_text("[general]\nenabled = no\n")
    (etc / "manager.d" / "bob.conf").write_text("[bob]\nsecret = b\n")
    with pytest.raises(InputError, match=f"{name}: .*in several pieces"):
        put_in(etc, OURS)


def test_a_port_that_is_none_is_one_line(etc: Path) -> None:
    (etc / "manager.conf").write_text("[general]\nenabled = yes\nport = abc\n")
    with pytest.raises(InputError, match=r"manager\.conf: port: is no port"):
        put_in(etc, OURS)
