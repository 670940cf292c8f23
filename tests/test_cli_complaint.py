"""``callguard complaint``: what is known of a number that somebody says was called."""

from __future__ import annotations

import asyncio
import base64
import json
import stat
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from callguard import config
from callguard.cli.complaint import UNSIGNED
from callguard.core.decide import Callback, Facts, Place, Registered, Scope
from callguard.core.grants import Channel
from callguard.core.law import Law
from callguard.core.model import Basis
from callguard.store import Store
from callguard.store.dial_records import DialRecord, NewGrant
from tests.optouts.conftest import NUMBER, Run, bad, run, two, written
from tests.store.legs import make_leg, refused

__all__ = ["run", "two", "written"]
AT = datetime(2026, 11, 16, 10, 0, tzinfo=UTC)
RPO = Registered("rpo", date(2026, 11, 10), 15, listed=True)
FACTS = Facts(
    NUMBER, "marketing", "marketing.calls", "spring", AT, (), (RPO,), place=Place("ES", None, ("Europe/Madrid",))
)  # fmt: skip
OTHER = "+34912345679"


def kept(written: Path) -> None:
    """A dial that was denied, one for another controller that was allowed, a call that came in, an opt-out, a grant."""
    settings = config.load(written)
    law = Law(digest="0123456789abcdef")

    async def keep() -> None:
        controllers = {"zeta": "Zeta", "acme": "Acme"}
        async with Store.open(settings.store.path, gate=None, controllers=controllers) as store:
            await store.decided(DialRecord.of("first", "zeta", "sales", FACTS, law.decide(FACTS)))
            shown = replace(FACTS, caller_id="+34910000001", callback=Callback(True, AT, 30))
            later = replace(shown, calls="service", registries=(), at=AT + timedelta(hours=1))
            await store.decided(DialRecord.of("second", "acme", "service", later, law.decide(later)))
            await store.save(make_leg(refused(), number=OTHER))
            opted_out = AT + timedelta(days=1)
            await store.opt_out("zeta", NUMBER, Scope.MARKETING, opted_out, "request", reason="by letter")
            await store.opt_in("zeta", NUMBER, Scope.MARKETING, opted_out + timedelta(days=1), "request")
            grant = NewGrant(NUMBER, "marketing.calls", Basis.CONSENT, Channel.PAPER, AT, None, "form 17")
            await store.grant_all("zeta", [grant], AT, "command")

    asyncio.run(keep())


def test_all_attempts_their_rules_lists_and_grounds_are_gathered(run: Run, two: Path) -> None:
    kept(two)
    told = run("complaint", NUMBER, "--json").json
    assert (told["number"], told["ours"], told["signed"]) == (NUMBER, True, False)
    denied, allowed = told["attempts"]
    assert (denied["call"], denied["allowed"], denied["controller"]) == ("first", False, "zeta")
    assert denied["rules"] == ["registry.listed", "law.unknown"]
    assert denied["registries"][0].items() >= {"list_date": "2026-11-10", "listed": True}.items()
    assert (denied["policy"], denied["caller_id"], denied["at"]) == ("0123456789abcdef", None, AT.isoformat())
    assert allowed["caller_id"].items() >= {"number": "+34910000001", "shown": True, "ours": True}.items()
    assert (allowed["call"], allowed["allowed"], allowed["rules"]) == ("second", True, [])
    assert told["opt_outs"][0].items() >= {"controller": "zeta", "source": "request", "reason": "by letter"}.items()
    assert told["opt_outs"][0]["until"] is not None
    assert told["grants"][0].items() >= {"controller": "zeta", "evidence": "form 17", "basis": "consent"}.items()
    assert told["number_source"]["zeta"] == "your contract with us"
    only = run("complaint", NUMBER, "--controller", "acme", "--json").json
    assert [one["call"] for one in only["attempts"]] == ["second"]
    assert (only["opt_outs"], only["grants"], list(only["number_source"])) == ([], [], ["acme"])


def test_it_is_told_in_words_too(run: Run, two: Path) -> None:
    kept(two)
    done = run("complaint", "-", stdin=f"{NUMBER}\n".encode())
    assert done.code == 0
    lines = done.out.splitlines()
    assert lines[0].startswith(f"{NUMBER}: 2 attempts, 1 allowed; kept from 2026-")
    assert "denied: registry.listed, law.unknown" in done.out and "rpo of 2026-11-10: listed" in done.out
    assert "0123456789abcdef" in done.out and "not told" in done.out and "+34910000001" in done.out
    assert "request: by letter" in done.out
    assert "evidence form 17" in done.out
    assert "Where zeta has the number from: your contract with us" in lines
    assert "Where acme has the number from: not said in the configuration (number_source)" in lines
    assert lines[-1] == UNSIGNED


def test_what_was_never_called_is_not_our_call_for_the_time_that_is_known(run: Run, two: Path) -> None:
    kept(two)
    told = run("complaint", OTHER, "--json").json
    assert (told["ours"], told["attempts"], len(told["calls"])) == (False, [], 1)
    assert told["covers"]["from"] == AT.isoformat()
    said = run("complaint", OTHER).out
    assert said.startswith("Not our call: from 2026-") and OTHER in said
    assert " in " in said.splitlines()[3]
    assert said.endswith(f"see the trunk's CDRs.\n{UNSIGNED}\n")


def test_a_statement_is_signed_by_the_key_of_exports(run: Run, two: Path, tmp_path: Path) -> None:
    kept(two)
    file = tmp_path / "not-ours.json"
    done = run("complaint", "+34600000001", "--output", str(file))
    fingerprint = run("subject", "key", "--json").json["fingerprint"]
    assert done.out.splitlines()[0].startswith("Not our call: from ")
    assert done.out.splitlines()[-1] == f"Signed by {fingerprint}: {file}"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    made = json.loads(file.read_bytes())
    (one,) = made["signatures"]
    certificate = x509.load_der_x509_certificate(base64.b64decode(one["header"]["x5c"][0]))
    public = certificate.public_key()
    assert isinstance(public, Ed25519PublicKey)
    public.verify(plain(one["signature"]), f"{one['protected']}.{made['payload']}".encode())
    said = json.loads(plain(made["payload"]))
    assert (said["number"], said["ours"], said["signed"], said["attempts"]) == ("+34600000001", False, True, [])
    assert bad(run("complaint", NUMBER, "-o", str(file)), "is there already: --force replaces it")
    assert run("complaint", NUMBER, "-o", str(file), "--force").code == 0


def plain(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def test_a_store_that_has_kept_nothing_can_say_nothing(run: Run, two: Path) -> None:
    run("optout", "add", OTHER, "--controller", "zeta")
    assert run("complaint", NUMBER).out.startswith(f"Nothing can be said of {NUMBER}: ")
    assert run("complaint", NUMBER, "--json").json["ours"] is None


def test_what_is_no_number_is_one_line(run: Run, two: Path) -> None:
    kept(two)
    assert bad(run("complaint", "nobody"), "NUMBER: ")
    assert bad(run("complaint", NUMBER, "--controller", "nobody"), "--controller: ")


def test_nothing_is_said_of_the_time_before_somebody_was_erased(run: Run, two: Path) -> None:
    """Whom that was about nobody knows any more: it may be this number."""
    kept(two)
    settings = config.load(two)

    async def erase() -> datetime:
        async with Store.open(settings.store.path, gate=None, controllers={"zeta": "Zeta", "acme": "Acme"}) as store:
            (called, *_) = await store.subjects("zeta", NUMBER)
            erased = await store.erase(called.subject_id, AT + timedelta(days=3))
            assert erased is not None
            return erased.at

    at = asyncio.run(erase())
    told = run("complaint", NUMBER, "--controller", "zeta", "--json").json
    assert (told["ours"], told["attempts"], told["covers"]["from"]) == (False, [], at.isoformat())
    # Where nobody was erased, the whole time is told of.
    assert run("complaint", "+34912345670", "--controller", "acme", "--json").json["covers"]["from"] < at.isoformat()
