"""What a dialplan's text tells, and that every application and function of ours has its module."""

from __future__ import annotations

import re

import pytest

from callguard.doctor.checks.modules import APPLICATIONS, CORE, FUNCTIONS
from callguard.doctor.dialplan import arguments, bridgings, fits, option_variables, options, prefixed, recordings, uses
from callguard.shipped import shipped
from tests.doctor.healthy import step


@pytest.mark.parametrize(
    ("data", "parts"),
    [
        ("", [""]),
        ("PJSIP/1,30,rb(a^s^1)", ["PJSIP/1", "30", "rb(a^s^1)"]),
        ("${IF($[a,b]?x:y)},30", ["${IF($[a,b]?x:y)}", "30"]),
        ('"a,b",c', ['"a,b"', "c"]),
        ("a\\,b,c", ["a\\,b", "c"]),
        ("service,r,,,30", ["service", "r", "", "", "30"]),
    ],
)
def test_arguments(data: str, parts: list[str]) -> None:
    assert arguments(data) == parts


def test_options_and_what_hides_others() -> None:
    found, hidden = options("HrU(callguard-callee^sales)${MORE}L(60000:${WARN})t$[1+1]")
    assert found == (("H", ""), ("r", ""), ("U", "callguard-callee^sales"), ("L", "60000:${WARN}"), ("t", ""))
    assert hidden == ("MORE", "1+1")


def test_text_in_an_options_brackets_is_no_option() -> None:
    (found,) = bridgings([step("a", "1", "Dial", "PJSIP/1,,b(HhXx^s^1)")], {})
    assert not found.has("hHxX")


def test_an_application_inside_another_is_seen() -> None:
    steps = [step("a", "1", "ExecIf", '$["${X}" = "1"]?Dial(PJSIP/1,30,H):Queue(service,h)')]
    assert [(one.app, one.options) for one in bridgings(steps, {})] == [("Dial", (("H", ""),)), ("Queue", (("h", ""),))]


def test_a_variable_that_is_a_global_is_looked_up() -> None:
    steps = [step("a", "1", "Dial", "PJSIP/1,30,${OPTIONS}r")]
    assert option_variables(steps) == {"OPTIONS"}
    (found,) = bridgings(steps, {"OPTIONS": "Ht"})
    assert found.has("H")
    assert not found.unresolved


def test_where_the_gate_is_used() -> None:
    steps = [
        step("a", "1", "Gosub", "callguard-inbound,s,1(service)"),
        step("a", "2", "GosubIf", "$[1]?callguard-inbound,s,1(${P})"),
        step("a", "3", "Gosub", "callguard-outbound,s,1(${EXTEN:1},sales)"),
        step("a", "4", "Dial", "PJSIP/1,30,rU(callguard-callee^advice)"),
        step("a", "5", "Gosub", "other,s,1(callguard)"),
        step("a", "6", "AGI", "agi://${HOST}:${PORT}/inbound,service"),
    ]
    assert [(one.gate, one.profile, one.number) for one in uses(steps)] == [
        ("inbound", "service", ""), ("inbound", "", ""), ("outbound", "sales", "${EXTEN:1}"), ("callee", "advice", ""),
        ("inbound", "service", ""),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("extension", "name", "comes"),
    [("100", "100", True), ("100", "10", False), ("_1XX", "123", True), ("_1XX", "1234", False),
     ("_[12]Z.", "21x", True), ("_[12]Z.", "20x", False),
     ("_ag!", "agent", True), ("_5-XX", "512", True), ("_N", "1", False)],
)  # fmt: skip
def test_whom_an_extension_is_for(extension: str, name: str, comes: bool) -> None:
    assert fits(extension, name) is comes


def test_whom_a_dial_rings() -> None:
    steps = [step("a", "1", "Dial", "PJSIP/1&Local/2@b,30,r"), step("a", "1", "Queue", "service,r")]
    assert [one.to for one in bridgings(steps, {})] == [("PJSIP/1", "Local/2@b"), ("service",)]


def test_what_records() -> None:
    steps = [
        step("a", "1", "Playback", "Record"),
        step("a", "2", "Record", "x.wav"),
        step("a", "3", "TryExec", "Monitor(x)"),
    ]
    assert recordings(steps) == tuple(steps[1:])


@pytest.mark.parametrize(
    ("extension", "number", "handed"),
    [
        ("_0X.", "${EXTEN}", {"0112"}),
        ("_0X.", "${EXTEN:1}", {"112"}),
        ("_X.", "${EXTEN}", set()),
        ("_00X.", "${EXTEN}", set()),
        ("0112", "${EXTEN}", set()),
        ("_9.", "${NUMBER}", set()),
    ],
)
def test_as_what_an_emergency_number_comes_with_an_outside_line(extension: str, number: str, handed: set[str]) -> None:
    steps = [step("a", extension, "Gosub", f"callguard-outbound,s,1({number},sales)")]
    assert prefixed(steps, "112") == handed


def test_every_application_and_function_of_the_dialplan_has_its_module() -> None:
    text = (shipped("dialplan") / "callguard.conf").read_text(encoding="utf-8")
    code = "\n".join(line for line in text.splitlines() if not line.startswith(";"))
    functions = set(re.findall(r"\b([A-Z][A-Z_]+)\(", code)) - {"AGI", "BASE"}
    applications = set(re.findall(r"(?<=[,?(])([A-Z][a-zA-Z]*[a-z][a-zA-Z]*)\(", code)) | {"AGI"}
    assert functions - CORE == FUNCTIONS.keys()
    assert applications - CORE == APPLICATIONS.keys()
