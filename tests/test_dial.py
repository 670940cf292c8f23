"""The dial decision on a real store and real lists, where clocks, disks and imports play tricks."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from callguard.config import Config
from callguard.core.decide import Scope, decide
from callguard.core.grants import Channel
from callguard.core.law import Law, Policy
from callguard.core.model import Basis, GrantState
from callguard.core.provisions import Cap, Hours, Provision, Silence
from callguard.core.windows import Week
from callguard.current import Current
from callguard.dial import Dial
from callguard.dial_sections import Paths, Registry
from callguard.metrics import Metrics
from callguard.policies.load import Lawbook
from callguard.policies.place import Places
from callguard.registry.lists import Lists
from callguard.registry.load import load, update
from callguard.registry.number_set import NumberSet
from callguard.registry.receipt import receive
from callguard.store import Store
from callguard.store.dial_records import NewEnding, NewGrant
from callguard.store.kept import facts_of
from tests.registry.generate import fictitious, nanp
from tests.registry.test_query import never, said, serving

NUMBER, OTHER_ITALIAN = "+390612345678", "+390612345679"
STAFF = "+390612345699"
OURS, OURS_TOO = "+390612345600", "+390612345601"
LATE = 30.0
TODAY = datetime.now(UTC).date()
RPO = Registry.model_validate({"mode": "scrub", "country": "IT", "max_age_days": 15})
US = Registry(format="nanp", country=("US",), max_age_days=31)
# Of area codes in use, for which country a number is of depends on them.
LISTED, OTHER, CANADIAN, PUERTO_RICAN = "+12025550123", "+12025550124", "+14165550123", "+17875550123"

# Countries that are known, and forbid nothing: what is tested here are lists and opt-outs.
NO_RULES = Lawbook(
    Law(tuple(Policy(country, "", (), ()) for country in ("IT", "ES", "US", "CA", "PR"))), Places({}, {}, {})
)  # fmt: skip


class World:
    """A profile that sells, another that serves, and the registries that they are to ask."""

    def __init__(
        self, folder: Path, store: Store, lists: Lists, book: Lawbook | None = None, **registries: Registry
    ) -> None:
        settings = SimpleNamespace(
            consent_lasts=None,
            controller="acme", region=None, campaign=None, law_of_caller=None, agent_first=True,
            caller_ids=frozenset({OURS, OURS_TOO}), caller_id_days=30,
        )  # fmt: skip
        profiles = {
            name: SimpleNamespace(**vars(settings), calls=kind, purpose_of_calls=purpose, basis=basis)
            for name, kind, purpose, basis in (
                ("sales", "marketing", "marketing.calls", None),
                ("asked_for", "marketing", "marketing.calls", "grant"),
                ("service", "service", None, None),
            )
        }
        self.lists = lists
        self.folder, self.store = folder, store
        self.config = SimpleNamespace(
            profiles=profiles, registries=registries, registry_file=self.file, receipts_file=self.receipts,
            paths=Paths(staff=frozenset({STAFF})),
            screened_for=lambda name: ("acme",) * (registries[name].mode == "scrub"),
        )  # fmt: skip
        self.dial = Dial(Current(cast(Config, self.config), {}, book or NO_RULES), store, Metrics(), lists)

    def file(self, name: str) -> Path:
        return self.folder / "registries" / f"{name}.numbers"

    def receipts(self, name: str, controller: str) -> Path:
        return self.folder / "registries" / f"{name}.{controller}.receipts"

    def take(self, name: str, *numbers: str, day: date = TODAY) -> None:
        """Import a list."""
        given = self.folder / "given.txt"
        given.write_text(nanp(list(numbers)), encoding="ascii")
        load(given, self.file(name), name, self.config.registries[name], day, force=True, told=lambda *_: None)

    async def is_called(self, profile: str, number: str) -> None:
        """A call comes in."""
        if (ours := self.dial.callbacks.to_note(profile, number)) is not None:
            await self.dial.callbacks.note(ours)

    async def asks(self, number: str, profile: str = "sales") -> str:
        return (await self.dial.decide(profile, number)).rule

    async def weighs(self, number: str, profile: str = "sales") -> str:
        """The deciding rule, with nothing kept of it."""
        return (await self.dial.weigh(self.config.profiles[profile], number, None))[1].rule

    async def comes_to(self, number: str, rule: str) -> None:
        """Ask until the list that was put in place is read to its end."""
        async with asyncio.timeout(LATE):
            while await self.asks(number) != rule:
                pass

    async def saw(self) -> Any:
        """What the latest decision kept of registries."""
        return (await self.store.decisions(1))[0].facts["registries"]


@asynccontextmanager
async def world(
    folder: Path, problems: list[str] | None = None, book: Lawbook | None = None, **registries: Registry
) -> AsyncIterator[World]:
    told = [] if problems is None else problems
    controllers = {"acme": "Acme"}
    opened = Store.open(folder / "store.db", gate="callguard", controllers=controllers)
    async with opened as store, Lists(told.append) as lists:
        yield World(folder, store, lists, book, **registries)


async def test_who_opted_out_before_the_clock_was_set_back_is_not_called(tmp_path: Path) -> None:
    async with world(tmp_path) as here:
        assert await here.asks(NUMBER) == "dial.allowed"
        await here.store.opt_out("acme", NUMBER, Scope.MARKETING, datetime.now(UTC) + timedelta(hours=1), "key")
        assert await here.asks(NUMBER) == "optout.marketing"


async def test_what_another_callguard_has_just_kept_counts_with_the_next_dial(tmp_path: Path) -> None:
    controllers = {"acme": "Acme"}
    async with world(tmp_path) as here:
        assert await here.asks(NUMBER) == "dial.allowed"
        async with Store.open(tmp_path / "store.db", gate="another", controllers=controllers) as other:
            for _ in range(5):
                await other.opt_out("acme", NUMBER, Scope.MARKETING, datetime.now(UTC), "key")
                assert await here.asks(NUMBER) == "optout.marketing"
                await other.opt_in("acme", NUMBER, Scope.MARKETING, datetime.now(UTC), "key")
                assert await here.asks(NUMBER) == "dial.allowed"


async def test_a_number_in_a_block_is_denied_however_it_is_dialled(tmp_path: Path) -> None:
    async with world(tmp_path) as here:
        await here.store.opt_out("acme", "+390612345*", Scope.ALL, datetime.now(UTC), "command")
        for written in (NUMBER, "+39 06 1234 5678", "tel:+39-06-12345678", "(+39) 0612345678"):
            for profile in ("sales", "service"):
                assert await here.asks(written, profile) == "optout.all"
        assert await here.asks("+390612346000") == "dial.allowed"
        for one in await here.store.decisions(100):
            assert "390612345" not in str(one.facts)


async def test_who_is_listed_is_not_called_to_be_sold_something(tmp_path: Path) -> None:
    async with world(tmp_path, us=US) as here:
        here.take("us", LISTED)
        assert await here.asks(LISTED) == "registry.listed"
        assert await here.saw() == [
            {"registry": "us", "list_date": TODAY.isoformat(), "max_age_days": 31, "listed": True}
        ]
        assert await here.asks(OTHER) == "dial.allowed"
        assert await here.saw() == [
            {"registry": "us", "list_date": TODAY.isoformat(), "max_age_days": 31, "listed": False}
        ]
        assert await here.asks(LISTED, "service") == "dial.allowed"
        assert await here.asks(NUMBER) == "dial.allowed"
        assert await here.asks("nobody") == "number.invalid"


async def test_a_registry_may_be_asked_about_all_calls(tmp_path: Path) -> None:
    async with world(tmp_path, us=US.model_copy(update={"calls": "all"})) as here:
        here.take("us", LISTED)
        assert await here.asks(LISTED, "service") == "registry.listed"


async def test_a_list_that_is_too_old_or_missing_denies_and_says_so(tmp_path: Path) -> None:
    async with world(tmp_path, us=US) as here:
        assert await here.asks(OTHER) == "registry.stale"
        assert await here.saw() == [{"registry": "us", "list_date": None, "max_age_days": 31, "listed": False}]
        here.take("us", LISTED, day=TODAY - timedelta(days=31))
        assert await here.asks(OTHER) == "dial.allowed"
        here.take("us", LISTED, day=TODAY - timedelta(days=32))
        await here.comes_to(OTHER, "registry.stale")
        assert await here.asks(LISTED) == "registry.listed"
        assert await here.asks(NUMBER) == "dial.allowed"


async def test_a_number_of_an_area_that_the_list_has_not_is_not_called(tmp_path: Path) -> None:
    elsewhere = "+12125550123"
    async with world(tmp_path, us=US.model_copy(update={"areas": ("202",)})) as here:
        here.take("us", LISTED)
        assert [await here.asks(one) for one in (OTHER, LISTED, elsewhere, CANADIAN)] == [
            "dial.allowed", "registry.listed", "registry.unscreened", "dial.allowed",
        ]  # fmt: skip
        here.take("us", LISTED, day=TODAY - timedelta(days=32))
        await here.comes_to(OTHER, "registry.stale")
        assert await here.asks(elsewhere) == "registry.unscreened"


async def test_countries_that_share_a_code_have_their_own_registries(tmp_path: Path) -> None:
    """Which country a number belongs to is a matter of area codes; who is listed is listed wherever."""
    async with world(tmp_path, us=US, ca=US.model_copy(update={"country": ("CA",)})) as here:
        here.take("us", LISTED, PUERTO_RICAN)
        assert await here.asks(OTHER) == "dial.allowed"
        assert [one["registry"] for one in await here.saw()] == ["us"]
        assert await here.asks(CANADIAN) == "registry.stale"
        here.take("ca", CANADIAN)
        assert await here.asks(CANADIAN) == "registry.listed"
        assert [one["registry"] for one in await here.saw()] == ["ca"]
        assert await here.asks(PUERTO_RICAN) == "registry.listed"


def answered(here: World, listed: str, may: str, day: date, controller: str = "acme") -> None:
    """A receipt came in."""
    given = here.folder / "answer.txt"
    given.write_text(f"{listed},listed\n{may},callable\n", encoding="ascii")
    receive(
        given, here.receipts("rpo", controller), ("rpo", controller), RPO, day, submitted=None, callable_=False,
        force=False, told=lambda *_: None,
    )  # fmt: skip


async def test_who_was_never_submitted_to_a_registry_that_wants_that_is_not_called(tmp_path: Path) -> None:
    listed, may, never = (f"+39061234567{one}" for one in (1, 2, 3))
    async with world(tmp_path, rpo=RPO) as here:
        assert await here.asks(may) == "registry.unscreened"
        assert await here.saw() == [
            {"registry": "rpo", "list_date": None, "max_age_days": 15, "listed": False, "screened": False}
        ]
        answered(here, may, listed, TODAY, "other")
        assert await here.asks(may) == "registry.unscreened"
        answered(here, listed, may, TODAY - timedelta(days=15))
        await here.comes_to(may, "dial.allowed")
        day = (TODAY - timedelta(days=15)).isoformat()
        assert await here.saw() == [{"registry": "rpo", "list_date": day, "max_age_days": 15, "listed": False}]
        assert [await here.asks(one) for one in (listed, never, OTHER)] == [
            "registry.listed", "registry.unscreened", "dial.allowed",
        ]  # fmt: skip
        assert await here.asks(never, "service") == "dial.allowed"


async def test_an_answer_that_is_too_old_denies_until_the_number_is_submitted_again(tmp_path: Path) -> None:
    listed, may = "+390612345671", "+390612345672"
    problems: list[str] = []
    async with world(tmp_path, problems, rpo=RPO) as here:
        answered(here, listed, may, TODAY - timedelta(days=16))
        assert [await here.asks(one) for one in (may, listed)] == ["registry.stale", "registry.listed"]
        assert await here.lists.ages(cast(Config, here.config), datetime.now(UTC)) == {("rpo", "acme"): 16}
        answered(here, listed, may, TODAY)
        await here.comes_to(may, "dial.allowed")
        assert problems == []
        os.truncate(here.receipts("rpo", "acme"), 150)
        await here.comes_to(may, "registry.stale")
        assert "acme.receipts: is cut off" in problems[0]


async def test_a_registry_that_does_not_answer_in_time_denies(tmp_path: Path) -> None:
    spanish, problems = "+34912345678", list[str]()
    async with serving() as server:
        settings = {"url": server.url, "within_ms": 200}
        robinson = Registry.model_validate({"mode": "query", "country": "ES", "query": settings})
        async with world(tmp_path, problems, robinson=robinson) as here:
            config = cast(Config, here.config)
            await here.lists.open(config)
            assert [await here.asks(one) for one in (spanish, NUMBER)] == ["dial.allowed", "dial.allowed"]
            assert len(server.requests) == 1
            server.answers = said({"listed": True})
            assert await here.asks(spanish) == "registry.listed"
            server.answers = never
            assert await here.asks(spanish) == "registry.unanswered"
            assert await here.saw() == [{
                "registry": "robinson", "list_date": datetime.now(UTC).date().isoformat(), "max_age_days": 1,
                "listed": False, "answered": False,
            }]  # fmt: skip
            assert len(problems) == 1
            server.answers = said({"listed": False})
            # Begun anew, as with a reload; who asks has the answer.
            under_way = asyncio.create_task(here.asks(spanish))
            await here.lists.open(config)
            assert await under_way == "dial.allowed"
            assert await here.asks(spanish) == "dial.allowed"
            assert await here.lists.ages(config, datetime.now(UTC)) == {}


async def test_a_new_list_counts_with_the_next_dials_and_none_is_undecided_meanwhile(tmp_path: Path) -> None:
    numbers = fictitious(200)
    async with world(tmp_path, us=US) as here:
        here.take("us", *numbers[:100])
        assert await here.asks(numbers[0]) == "registry.listed"
        importing = asyncio.create_task(asyncio.to_thread(here.take, "us", *numbers[100:]))
        while not importing.done():
            assert {await here.asks(numbers[0])} <= {"registry.listed", "dial.allowed"}
        await importing
        await here.comes_to(numbers[0], "dial.allowed")
        assert await here.asks(numbers[100]) == "registry.listed"


async def test_a_change_file_is_applied_while_dials_are_decided(tmp_path: Path) -> None:
    numbers = fictitious(200)
    gone, stays, comes = numbers[0], numbers[50], numbers[150]
    changes = tmp_path / "changes.txt"
    changes.write_text("".join(f"-{one}\n" for one in nanp([gone]).split()) + f"+{nanp([comes])}", encoding="ascii")
    async with world(tmp_path, us=US) as here:
        here.take("us", *numbers[:100], day=TODAY - timedelta(days=1))
        assert await here.asks(gone) == "registry.listed"
        applying = asyncio.create_task(
            asyncio.to_thread(update, changes, here.file("us"), "us", US, TODAY, None, lambda *_: None)
        )
        while not applying.done():
            assert await here.asks(stays) == "registry.listed"
        await applying
        await here.comes_to(gone, "dial.allowed")
        assert [await here.asks(one) for one in (stays, comes)] == ["registry.listed", "registry.listed"]
        assert (await here.saw())[0]["list_date"] == TODAY.isoformat()


async def test_the_old_list_answers_until_the_new_one_is_read_to_its_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with world(tmp_path, us=US) as here:
        here.take("us", LISTED)
        assert await here.asks(LISTED) == "registry.listed"
        read = asyncio.Event()
        verified, loop = NumberSet.verified, asyncio.get_running_loop()

        def slowly(path: Path, name: str) -> NumberSet:
            asyncio.run_coroutine_threadsafe(read.wait(), loop).result()
            return verified(path, name)

        monkeypatch.setattr(NumberSet, "verified", slowly)
        here.take("us", OTHER)
        assert [await here.asks(LISTED), await here.asks(OTHER)] == ["registry.listed", "dial.allowed"]
        read.set()
        await here.comes_to(OTHER, "registry.listed")
        assert await here.asks(LISTED) == "dial.allowed"


@pytest.mark.parametrize("damage", [b"", b"nonsense", None])
async def test_a_list_that_is_damaged_or_gone_denies(tmp_path: Path, damage: bytes | None) -> None:
    problems: list[str] = []
    async with world(tmp_path, problems, us=US) as here:
        here.take("us", LISTED)
        assert await here.asks(OTHER) == "dial.allowed"
        file = here.file("us")
        if damage is None:
            file.unlink()
        else:
            (file.parent / "new").write_bytes(damage)
            (file.parent / "new").replace(file)
        await here.comes_to(OTHER, "registry.stale")
        assert await here.asks(OTHER) == "registry.stale"
        assert len(problems) == 1
        assert problems[0].startswith(f"the calls that registry us is asked about are denied: {file}: ")
        here.take("us", LISTED)
        assert await here.asks(OTHER) == "dial.allowed"


async def test_a_list_that_is_cut_short_where_it_lies_denies(tmp_path: Path) -> None:
    """Nobody should write to it, but who does must not bring the service down."""
    problems: list[str] = []
    async with world(tmp_path, problems, us=US) as here:
        here.take("us", *fictitious(1_000), LISTED)
        assert await here.asks(LISTED) == "registry.listed"
        os.truncate(here.file("us"), 120)
        assert await here.asks(LISTED) == "registry.stale"
        assert len(problems) >= 1


async def test_lists_that_are_no_longer_configured_are_let_go(tmp_path: Path) -> None:
    async with world(tmp_path, us=US) as here:
        here.take("us", LISTED)
        async with Lists(lambda _: None) as lists:
            config = cast(Config, here.config)
            await lists.open(config)
            assert await lists.ages(config, datetime.now(UTC)) == {("us", ""): 0}
            here.file("us").unlink()
            assert await lists.ages(config, datetime.now(UTC)) == {("us", ""): float("inf")}


async def test_a_profile_that_wants_a_grant_calls_only_who_gave_one(tmp_path: Path) -> None:
    """R30, and R27 where a national list holds the number as well."""
    now = datetime.now(UTC)
    week = NewGrant(NUMBER, "marketing.calls", Basis.CONSENT, Channel.ONLINE, now - timedelta(days=7), None, "form 17")
    async with world(tmp_path, it=Registry(format="e164", country=("IT",), max_age_days=15)) as here:
        given = here.folder / "it.txt"
        given.write_text(f"{NUMBER}\n", encoding="ascii")
        await here.store.grant_all("acme", [week], now, "import")
        for days, rules in ((1, ["registry.listed", "basis.missing"]), (10, [])):
            day = TODAY - timedelta(days=days)
            load(given, here.file("it"), "it", here.config.registries["it"], day, force=True, told=lambda *_: None)
            await here.comes_to(NUMBER, (rules or ["dial.allowed"])[0])
            assert await here.asks(NUMBER, "asked_for") == (rules or ["dial.allowed"])[0]
            (kept,) = await here.store.decisions(1)
            saw: Any = kept.facts
            assert (list(kept.rules), saw["needs_basis"]) == (rules, True)
            assert [(one["purpose"], one["basis"], one["ended"]) for one in saw["grants"]] == [
                ("marketing.calls", "consent", None)
            ]
            assert saw["registries"][0].items() >= {"voids": "earlier", "since": None, "spares": []}.items()
        reassigned = NewEnding(NUMBER, GrantState.SUSPENDED, None, "reassigned")
        await here.store.grant_all("acme", [reassigned], now, "command")
        assert await here.asks(NUMBER, "asked_for") == "registry.listed"
        assert (await here.store.decisions(1))[0].rules == ("registry.listed", "basis.missing")


async def test_who_opted_out_is_not_called_for_a_grant_given_since(tmp_path: Path) -> None:
    """An opt-out stands until it is ended; a grant does not end it."""
    now = datetime.now(UTC)
    async with world(tmp_path) as here:
        await here.store.opt_out("acme", NUMBER, Scope.MARKETING, now - timedelta(days=1), "request")
        new = NewGrant(NUMBER, "marketing.calls", Basis.CONSENT, Channel.PHONE, now, None, "call 7")
        await here.store.grant_all("acme", [new], now, "command")
        assert await here.asks(NUMBER, "asked_for") == "optout.marketing"
        await here.store.opt_in("acme", NUMBER, Scope.MARKETING, datetime.now(UTC), "request")
        assert await here.asks(NUMBER, "asked_for") == "dial.allowed"


async def test_an_opt_out_from_the_purpose_of_a_profiles_calls_binds_it(tmp_path: Path) -> None:
    async with world(tmp_path) as here:
        await here.store.opt_out("acme", NUMBER, Scope.PURPOSE, datetime.now(UTC), "request", purpose="marketing.calls")
        assert await here.asks(NUMBER) == "optout.purpose"
        assert await here.asks(NUMBER, "service") == "dial.allowed"


HOUR = timedelta(hours=1)
# No hour of any day is right: the tests run at all of them.
NIGHT = Hours(id="it.hours", source="a law", verified=True, week=Week(((),) * 7))
CAP = Cap(id="it.cap", source="a law", verified=True, most=2, within=HOUR)
SILENCE = Silence(id="it.silence", source="a law", verified=True, days=60)


def italy(*rules: Provision) -> Lawbook:
    return Lawbook(Law((Policy("IT", "Italy", ("Europe/Rome",), rules),), digest="abc"), NO_RULES.places)


async def test_the_law_of_the_number_decides_and_what_it_saw_is_kept(tmp_path: Path) -> None:
    async with world(tmp_path, book=italy(NIGHT)) as here:
        assert await here.asks(NUMBER) == "it.hours"
        assert await here.asks(NUMBER, "service") == "dial.allowed"
        assert await here.asks(OTHER) == "law.unknown"
        assert await here.asks("nobody") == "number.invalid"
        nobody, other, _, hours = await here.store.decisions(4)
        assert hours.facts["law"] == {
            "policy": "abc", "country": "IT", "areas": None, "zones": ["Europe/Rome"], "caller_country": None,
            "agent_first": True, "attempts": [], "refusals": [], "looked_back_ms": 0, "bases": [], "caller_id": None,
        }  # fmt: skip
        assert (other.rules, nobody.rules) == (("law.unknown",), ("number.invalid",))
        assert "law" not in nobody.facts


async def test_a_fault_in_deciding_denies_and_harms_nobody_else(tmp_path: Path) -> None:
    def fails(country: str, day: date) -> bool:
        raise ArithmeticError(f"no calendar of {country} for {day}")

    holiday = Hours(id="it.hours", source="a law", verified=True, week=Week(((),) * 7, holidays=()))
    faulty = Law((Policy("IT", "Italy", ("Europe/Rome",), (holiday,)),), is_holiday=fails, digest="abc")
    async with world(tmp_path, book=Lawbook(faulty, NO_RULES.places)) as here:
        assert await here.asks(NUMBER) == "gate.failed"
        assert await here.asks(NUMBER, "service") == "dial.allowed"


async def test_a_cap_counts_allowed_marketing_calls_of_this_number_alone(tmp_path: Path) -> None:
    async with world(tmp_path, book=italy(CAP)) as here:
        assert await here.asks(NUMBER, "service") == "dial.allowed"
        assert [await here.asks(NUMBER) for _ in range(4)] == ["dial.allowed", "dial.allowed", "it.cap", "it.cap"]
        assert await here.asks(OTHER_ITALIAN) == "dial.allowed"
        (capped,) = [one for one in await here.store.decisions(2) if not one.allow]
        assert len(cast(Any, capped.facts["law"])["attempts"]) == 2


async def test_of_many_dials_at_once_no_more_are_allowed_than_the_law_lets(tmp_path: Path) -> None:
    async with world(tmp_path, book=italy(CAP)) as here:
        rules = await asyncio.gather(*(here.asks(NUMBER) for _ in range(20)))
        assert sorted(rules) == ["dial.allowed"] * 2 + ["it.cap"] * 18


async def test_an_opt_out_that_was_taken_back_leaves_silence_where_the_law_wants_it(tmp_path: Path) -> None:
    async with world(tmp_path, book=italy(SILENCE)) as here:
        assert await here.asks(NUMBER) == "dial.allowed"
        before = datetime.now(UTC) - HOUR
        await here.store.opt_out("acme", NUMBER, Scope.MARKETING, before, "key")
        assert await here.asks(NUMBER) == "optout.marketing"
        await here.store.opt_in("acme", NUMBER, Scope.MARKETING, datetime.now(UTC), "request")
        assert await here.asks(NUMBER) == "it.silence"
        # What was undone in the same call was no refusal.
        await here.store.opt_out("acme", OTHER_ITALIAN, Scope.MARKETING, before, "key")
        await here.store.opt_in("acme", OTHER_ITALIAN, Scope.MARKETING, datetime.now(UTC), "key")
        assert await here.asks(OTHER_ITALIAN) == "dial.allowed"


async def test_the_houses_own_people_are_spared_all_but_their_own_opt_out(tmp_path: Path) -> None:
    async with world(tmp_path, italy=Registry(format="e164", country=("IT",), max_age_days=15)) as one:
        assert await one.asks(NUMBER) == "registry.stale"
        assert await one.asks(STAFF) == "staff.exempt"
        assert (await one.store.decisions(1))[0].facts["exemption"] == "staff.exempt"
        assert await one.asks(STAFF, "service") == "dial.allowed"
        await one.store.opt_out("acme", STAFF, Scope.ALL, datetime.now(UTC), "command")
        assert await one.asks(STAFF) == "optout.all"


async def test_a_marketing_call_shows_a_number_of_ours_that_was_called_lately(tmp_path: Path) -> None:
    async with world(tmp_path) as here:

        async def shows(number: str, profile: str = "sales") -> str:
            return (await here.dial.decide(profile, NUMBER, number)).rule

        assert await shows("") == "cli.withheld"
        assert await shows("1001") == await shows("+390612345602") == "cli.foreign"
        assert await shows(OURS) == "cli.unproved"
        await here.is_called("sales", NUMBER)
        await here.is_called("nobody", OURS)
        assert await shows(OURS) == "cli.unproved"
        await here.is_called("service", OURS)
        assert await shows(OURS) == "dial.allowed"
        kept: Any = (await here.store.decisions(1))[0].facts["caller_id"]
        assert kept["number"] == OURS and kept["proved_at"] is not None
        # Noted once in an hour: what it was noted at stands, and has come too long ago.
        await here.store.called(OURS_TOO, datetime.now(UTC) - timedelta(days=31))
        assert await shows(OURS_TOO) == "cli.unproved"
        assert {await shows(one, "service") for one in ("", "1001", OURS_TOO)} == {"dial.allowed"}


async def test_a_marketing_call_whose_profile_names_no_number_is_denied_whatever_it_shows(tmp_path: Path) -> None:
    async with world(tmp_path) as here:
        for profile in here.config.profiles.values():
            profile.caller_ids = frozenset()
        await here.store.called(OURS, datetime.now(UTC))

        async def shows(number: str | None, profile: str = "sales") -> str:
            return (await here.dial.decide(profile, NUMBER, number)).rule

        assert {await shows(one) for one in (OURS, "1001", "", None)} == {"cli.unnamed"}
        assert {await shows(one, "service") for one in (OURS, "1001", "", None)} == {"dial.allowed"}
        # What is kept of it tells a replay the same.
        await shows(OURS)
        await here.dial.decide("sales", NUMBER, OURS)
        (latest,) = await here.store.decisions(1)
        facts = facts_of(latest, NUMBER)
        assert facts is not None and decide(facts).rules == latest.rules == ("cli.unnamed",)
        kept: Any = latest.facts["caller_id"]
        assert (kept["number"], kept["ours"]) == (None, None)


async def test_a_call_to_one_of_our_numbers_that_cannot_be_noted_goes_on(tmp_path: Path) -> None:
    async with world(tmp_path) as here:
        (here.folder / "store.db").rename(here.folder / "gone.db")
        await here.is_called("sales", OURS)
    async with world(tmp_path) as here:
        assert await here.store.last_called(OURS) is None
