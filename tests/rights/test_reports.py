"""``callguard report``: what an officer declares or tells, with nobody named in it."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from pathlib import Path

from callguard import config
from callguard.core.incidents import Incident
from callguard.store import Store
from tests.optouts.conftest import NUMBER, Run, bad
from tests.rights.conftest import AUDIO, CONTROLLERS, OTHER, RECORDED, SHARED, START

DECLARED = """
[processing]
countries = ["ES", "FR"]
security = ["access by named people only"]

[[processing.storage]]
what = "own data centre, Madrid"
country = "ES"

[processors.host]
name = "Host & Sons"
task = "runs the servers"
country = "FR"
contract = "DPA 12"
controllers = ["acme"]
"""


def declare(known: Path, text: str = DECLARED) -> None:
    known.write_text(known.read_text(encoding="utf-8") + text, encoding="utf-8")


def test_the_register_tells_what_the_configuration_says_and_what_nobody_has_said(run: Run, known: Path) -> None:
    acme, zeta = run("report", "processing", "--json").json["controllers"]
    assert acme["controller"]["name"] == "Acme Energy"
    assert (acme["recordings"][0]["basis"], acme["recordings"][0]["erased_after"]) == ("consent", "90 days")
    missing = "not said in the configuration"
    assert (acme["controller"]["officer"], acme["storage"], acme["processors"]) == (missing, [missing], [])
    assert acme["security"]["declared"] == [missing]
    assert zeta["calls_to_people"][0].items() >= {"purpose": "marketing.calls", "basis": missing}.items()
    assert zeta["calls_to_people"][0]["numbers_are_from"] == "your contract with us"
    declare(known)
    acme, zeta = run("report", "processing", "--json").json["controllers"]
    assert acme["storage"] == zeta["storage"] == ["own data centre, Madrid (ES)"]
    assert ([it["name"] for it in acme["processors"]], zeta["processors"]) == (["Host & Sons"], [])
    said = run("report", "processing", "--controller", "acme").out
    for it in ("  - controller:", "purpose: recording.quality", "contract: DPA 12", "- access by named people only"):
        assert it in said
    assert "Zeta" not in said and "processors: none" in run("report", "processing", "--controller", "zeta").out


def test_data_lie_and_are_handled_where_that_is_allowed_or_nothing_starts(run: Run, known: Path) -> None:
    whole = known.read_text(encoding="utf-8")
    declare(known, DECLARED.replace('country = "FR"', 'country = "US"'))
    assert bad(run("report", "processing"), "processors.host.country: US is none of those allowed: ES, FR")
    known.write_text(whole, encoding="utf-8")
    declare(known, DECLARED.replace('country = "FR"', ""))
    assert bad(run("report", "processing"), "processors.host.country: is missing, and is none of those allowed")
    known.write_text(whole, encoding="utf-8")
    declare(known, DECLARED.replace('Madrid"\ncountry = "ES"', 'Madrid"\ncountry = "MA"'))
    assert bad(run("report", "processing"), "processing.storage.0.country: MA is none of those allowed: ES, FR")
    known.write_text(whole, encoding="utf-8")
    declare(known, '[processing]\ncountries = ["ES"]\n')
    assert bad(run("report", "processing"), "processing.storage: is missing: where the data lie is held against")


def test_a_breach_report_counts_people_and_records_once(run: Run, known: Path) -> None:
    settings = config.load(known)

    async def more() -> None:
        async with Store.open(settings.store.path, gate=None, controllers=CONTROLLERS) as store:
            again = START + timedelta(minutes=4)
            await store.incident(Incident.RECORDING_FOREIGN, again, {"channel": "x"}, RECORDED)
            await store.incident(Incident.RECORDING_FOREIGN, again, {"channel": "y"})
            await store.incident(Incident.RECORDING_FOREIGN, START + timedelta(days=9), {"channel": "z"}, SHARED)

    asyncio.run(more())
    until = (START + timedelta(days=1)).isoformat()
    told = run("report", "breach", "--since", START.isoformat(), "--until", until, "--json").json
    acme, nobody = told["controllers"]
    assert (told["incidents"], acme["kinds"]) == (3, {"recording.foreign": 1, "recording.unwatched": 1})
    assert (acme["people_concerned"], acme["calls_concerned"], acme["files_concerned"]) == (1, 1, 1)
    assert (acme["recordings_concerned"], acme["contact"]["contact"]) == ({"kept": 1}, "privacy at acme dot example")
    assert [it["call"] for it in acme["list"]] == [RECORDED, RECORDED]
    assert (nobody["controller"], nobody["of_nobody_known"]) == ("of no controller that is known", 1)
    assert "72 hours" in told["to_be_added"]["known_since"]
    said = run("report", "breach", "--since", until, "--until", "2030-01-01").out
    assert "incidents: 1" in said and "controller: acme" in said
    assert bad(
        run("report", "breach", "--since", until, "--until", START.isoformat()), "--since: is not before --until"
    )
    assert bad(run("report", "breach", "--since", "yesterday"), "--since: a time such as")


def test_recipients_are_those_of_the_calls_controller(run: Run, known: Path) -> None:
    declare(known)
    (told,) = run("report", "recipients", RECORDED, "--json").json["controllers"]
    assert (told["recipients"], [it["contract"] for it in told["processors"]]) == ("nobody", ["DPA 12"])
    assert told["recordings"][0]["files"][0]["name"] == f"{RECORDED}.wav"
    assert RECORDED in told["notice"] and "Art. 19" in told["notice"]
    assert "task: runs the servers" in run("report", "recipients", RECORDED).out
    assert bad(run("report", "recipients", "hello"), "CALL: is no id of a call")
    assert bad(run("report", "recipients", "019aa900-0000-7000-8000-000000000000"), "CALL: the store has no such call")


def test_an_assessment_starts_from_figures(run: Run, known: Path) -> None:
    words = ("report", "impact", "--since", START.isoformat(), "--until", (START + timedelta(days=30)).isoformat())
    acme, zeta = run(*words, "--json").json["controllers"]
    assert acme["figures"] == {
        "calls": 5, "calls_by_outcome": {"given": 4, "refused": 1},
        "answers": {"recording.quality": {"given": 4, "refused": 1, "withdrawn": 1}},
        "recordings": {"destroyed": 1, "kept": 3}, "hours_recorded": 0.1, "kept_without_an_end": 2, "overdue": 0,
        "dials_allowed": 0, "dials_denied": 0, "incidents": {"recording.unwatched": 1},
    }  # fmt: skip
    assert (zeta["figures"]["calls"], zeta["figures"]["dials_denied"]) == (0, 1)
    assert acme["recordings"][0]["purpose"] == "recording.quality"
    said = run(*words, "--controller", "acme").out
    assert "hours recorded: 0.1" in said and "risks to people: to be written by a person" in said
    late = run(
        "report", "impact", "--since", (START + timedelta(days=31)).isoformat(), "--until", "2030-01-01", "--json"
    )
    assert late.json["controllers"][0]["figures"]["calls"] == 0
    assert run("report", "impact", "--controller", "acme").code == 0


def test_nobody_is_named_in_any_of_them(run: Run, known: Path) -> None:
    since = START.isoformat()
    for words in (
        ("processing",),
        ("breach", "--since", since),
        ("recipients", RECORDED),
        ("impact", "--since", since),
    ):
        for form in ((), ("--json",)):
            said = run("report", *words, *form).out
            assert said and not [it for it in (NUMBER, OTHER, AUDIO[:4].decode(), "of-somebody-else") if it in said]
