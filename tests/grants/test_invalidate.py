"""``callguard grant invalidate``, and to whom lists and recordings may go."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from pathlib import Path

import pytest

from callguard import config
from callguard.store import Store
from tests.optouts.conftest import NUMBER, Run
from tests.store.legs import given, make_leg
from tests.store.test_informed import told

ZETA = ("--controller", "zeta")
WHY = ("--reason", "it named no purpose")


@pytest.fixture
def heard(two: Path) -> Path:
    """Who has consented after version 3 of zeta's notice, which knows itself as version 2."""
    settings = config.load(two)

    async def fill() -> None:
        controllers = {name: one.name for name, one in settings.controllers.items()}
        async with Store.open(settings.store.path, gate=None, controllers=controllers) as store:
            leg = make_leg(
                given(), controller="zeta", number=NUMBER, told=(told(),), knows="2", notice_version="3",
                saved_at=datetime.now(UTC),
            )  # fmt: skip
            await store.save(leg)

    asyncio.run(fill())
    return two


def test_a_dry_run_counts_and_the_same_command_ends(run: Run, heard: Path) -> None:
    """R20."""
    of = ("grant", "invalidate", "--notice-version", "3", *WHY, *ZETA)
    dry = run(*of, "--dry-run", "--json")
    assert (dry.code, dry.json["answers"], dry.json["recordings"]) == (0, 1, 1)
    done = run(*of, "--recordings", "unlawful")
    assert (done.code, done.out.split(";")[0]) == (0, "Invalidated: 1 in calls, 0 beside calls, for zeta")
    assert run(*of, "--dry-run", "--json").json["answers"] == 0


def test_a_source_is_narrowed_and_a_compliant_import_stays(run: Run, two: Path, tmp_path: Path) -> None:
    """R20 and R21."""
    file = tmp_path / "old.csv"
    file.write_text(
        "number,purpose,basis,channel,since,evidence\n"
        f"{NUMBER},marketing.calls,consent,paper,2026-01-31,form 1\n"
        "+34912345679,marketing.calls,consent,paper,2026-01-31,fair 2\n",
        encoding="utf-8",
    )
    assert run("grant", "import", str(file), *ZETA).code == 0
    done = run("grant", "invalidate", "--source", "import", "--evidence", "fair", *WHY, *ZETA)
    assert (done.code, "0 in calls, 1 beside calls" in done.out) == (0, True)
    listed = {one["evidence"]: one["state"] for one in run("grant", "list", "--json", *ZETA).json}
    assert listed == {"form 1": "given", "fair 2": "invalidated"}


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        ((), "say which set"),
        (("--notice-version", "3", "--source", "import"), "say which set"),
        (("--notice-version", "3"), "say what becomes of the recordings"),
        (("--notice-version", "3", "--purpose", "x"), "narrows a --source"),
        (("--source", "import", "--recordings", "unlawful"), "goes with --notice-version"),
        (("--source", "import", "--since", "2026-02-02", "--until", "2026-01-31"), "is not after --since"),
    ],
)
def test_what_is_wrong_is_one_line(run: Run, two: Path, arguments: tuple[str, ...], problem: str) -> None:
    done = run("grant", "invalidate", *arguments, *WHY, *ZETA)
    assert (done.code, problem in done.err) == (2, True), done.err


NOTICES = """
[recipients.partner]
name = "Partner Ltd"

[[notices.zeta]]
version = "1"
since = 2026-01-01

[[notices.zeta]]
version = "{named}"
since = 2026-02-01
recipients = ["partner"]
"""


@pytest.mark.parametrize(("named", "code"), [("2", 0), ("3", 3)])
def test_whomever_the_last_notice_named_may_have_the_list(
    run: Run, heard: Path, tmp_path: Path, named: str, code: int
) -> None:
    """R11: the person knows version 2; a recipient who is new in version 3 has to wait for their next call."""
    text = heard.read_text(encoding="utf-8")
    head, zeta = text.split("[controllers.zeta]")
    text = f"{head}[controllers.zeta]{zeta.replace('nobody', 'Partner Ltd', 1)}{NOTICES.format(named=named)}"
    if named == "3":
        text += '\n[[notices.zeta]]\nversion = "4"\nsince = 2026-03-01\n'
    heard.write_text(text, encoding="utf-8")
    agreed = ("--purpose", "sharing", "--basis", "consent", "--channel", "phone", "--evidence", "form 18", *ZETA)
    assert run("grant", "add", NUMBER, *agreed).code == 0
    file = tmp_path / "list.csv"
    done = run("grant", "export", str(file), "--to", "partner", *ZETA)
    assert (done.code, file.exists()) == (code, code == 0), done.err
    assert ("recipient.not_told" in done.err) == (code == 3)
    assert NUMBER not in done.err
