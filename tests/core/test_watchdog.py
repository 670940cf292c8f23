"""Whose a recorder is."""

from __future__ import annotations

from dataclasses import replace

import pytest

from callguard.core.watchdog import Recorder, Whose, leg_in, whose

LEG = "01a20262-bf4b-7521-b7cf-f0be338aba68"
TRUNK = Recorder("PJSIP/trunk-0000002a", "sub-record-check", "/var/spool/asterisk/monitor/in-600.wav")
OURS = Recorder("PJSIP/trunk-0000002a", "from-trunk", f"/srv/recordings/{LEG}.wav", True, LEG, "callguard")


def judged(recorder: Recorder, *exempt: str, expected: bool = False) -> Whose:
    return whose(recorder, expected=expected, app="callguard", exempt=exempt)


def test_ours_is_expected_and_named_after_its_leg() -> None:
    for file in (OURS.file, f"/srv/recordings/{LEG}.2.wav", ""):
        assert judged(replace(OURS, file=file), expected=True) is Whose.OURS
    assert judged(OURS) is Whose.FOREIGN
    assert judged(replace(OURS, has_id=False), expected=True) is Whose.FOREIGN
    assert judged(replace(OURS, file="/srv/recordings/other.wav"), expected=True) is Whose.FOREIGN
    assert judged(replace(OURS, leg="", file=""), expected=True) is Whose.FOREIGN


def test_another_gates_legs_are_its_own() -> None:
    for app in ("callguard-b", "callguard-b--2"):
        assert judged(replace(OURS, app=app)) is Whose.OTHER_GATE
        assert judged(replace(OURS, app=app, file="/srv/recordings/other.wav")) is Whose.FOREIGN
    assert judged(replace(OURS, app="callguard--2")) is Whose.FOREIGN


@pytest.mark.parametrize(
    ("patterns", "verdict"),
    [
        ((), Whose.FOREIGN),
        (("PJSIP/trunk-*",), Whose.EXEMPT),
        (("sub-record-check",), Whose.EXEMPT),
        (("PJSIP/other-*", "sub-*"), Whose.EXEMPT),
        (("pjsip/trunk-*", "sub-record"), Whose.FOREIGN),
    ],
)
def test_what_the_administrator_exempts(patterns: tuple[str, ...], verdict: Whose) -> None:
    assert judged(TRUNK, *patterns) is verdict


def test_emergency_calls_and_the_doctors_own_try_are_left_alone() -> None:
    assert judged(replace(TRUNK, emergency=True)) is Whose.EMERGENCY
    assert judged(replace(TRUNK, context="callguard-doctor")) is Whose.OURS


@pytest.mark.parametrize("file", [f"/a/{LEG}.wav", f"/a/{LEG}-in.wav", f"/a/{LEG}.3-out.wav", f"{LEG}.3.wav"])
def test_a_recordings_name_tells_its_leg(file: str) -> None:
    assert leg_in(file) == LEG
