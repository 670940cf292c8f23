"""The versions of a controller's notice in the configuration, and what the gate makes of them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from callguard.config import Config
from callguard.core.profile import Changes, Notice, Question
from callguard.errors import InputError
from callguard.prepare import compile_flows, nothing_is_told_early
from callguard.speech.catalogue import Catalogue
from tests.speech.shipped import ACME, CHANGE, LANGUAGES, configure

VERSION = {"version": "2", "since": "2026-01-31"}
TELLS: dict[str, Any] = {**VERSION, "material": True, "change": CHANGE}


def with_notices(folder: Path, *versions: dict[str, Any], **more: Any) -> Config:
    plain = configure(folder, {"one": [("recording.quality", "consent")]})
    return Config.model_validate({**plain.model_dump(), "notices": {"acme": versions}, **more})


@pytest.mark.parametrize(
    ("versions", "problem"),
    [
        ([VERSION, VERSION], "notices.acme.1.version: there are two '2'"),
        ([VERSION, {"version": "3", "since": "2025-01-31"}], "notices.acme.1.since: is before"),
        ([{**VERSION, "profiles": ["sales"]}], "notices.acme.0.profiles: acme has no profile 'sales'"),
        ([{**VERSION, "material": True}], "change: is told of a material change"),
        ([{**VERSION, "change": "x"}], "change: is told of a material change"),
        ([{**TELLS, "change": {"en": "x"}}], "notices.acme.0.change: is not given in 'de'"),
        ([{**VERSION, "recipients": ["archive"]}], "notices.acme.0.recipients: there is no 'archive'"),
    ],
)
def test_what_is_wrong_is_named(versions: list[dict[str, Any]], problem: str, tmp_path: Path) -> None:
    with pytest.raises(ValidationError, match=problem):
        with_notices(tmp_path, *versions)


def test_a_recipient_is_named_in_every_language_of_the_notice(tmp_path: Path) -> None:
    named = {**VERSION, "recipients": ["archive"]}
    with pytest.raises(ValidationError, match=r"controllers\.acme\.recipients does not name 'Stor-It' in 'de'"):
        with_notices(tmp_path, named, recipients={"archive": {"name": "Stor-It"}})
    controllers = {"acme": {**ACME, "recipients": "Stor-It, which keeps our archive"}}
    config = with_notices(tmp_path, named, recipients={"archive": {"name": "Stor-It"}}, controllers=controllers)
    assert config.notices["acme"][0].recipients == ("archive",)


def test_a_version_of_some_profiles_is_none_of_the_others(tmp_path: Path) -> None:
    plain = configure(
        tmp_path, {"one": [("recording.quality", "consent")], "other": [("recording.quality", "consent")]}
    )
    versions = [{**VERSION, "profiles": ["one"]}, {"version": "3", "since": "2026-02-01", "profiles": ["other"]}]
    config = Config.model_validate({**plain.model_dump(), "notices": {"acme": versions}})
    assert [[one.version for one in config.notices_of(name)] for name in ("one", "other")] == [["2"], ["3"]]


def test_nothing_is_told_before_its_day(tmp_path: Path) -> None:
    day = (datetime.now(UTC) + timedelta(days=2)).date()
    with pytest.raises(InputError, match="still to come"):
        nothing_is_told_early(with_notices(tmp_path, {"version": "2", "since": day}))
    nothing_is_told_early(with_notices(tmp_path, VERSION))


def test_a_flow_knows_versions_changes_and_the_short_form_in_every_language(shipped: Config) -> None:
    flow = compile_flows(shipped, Catalogue.load(shipped))["one"]
    assert (flow.versions, flow.brief_for) == (("1", "2"), timedelta(days=365))
    for language in LANGUAGES:
        notice, changes, question, _ = flow.steps[language]
        assert isinstance(notice, Notice)
        assert isinstance(changes, Changes)
        assert notice.brief is not None
        assert notice.brief.length_ms < notice.essential.length_ms
        assert notice.essential.version.endswith("+2")
        assert [change.version for change in changes.changes] == ["2"]
        assert isinstance(question, Question) and question.brief is not None
        assert question.brief.id == "one/brief-question-1"
