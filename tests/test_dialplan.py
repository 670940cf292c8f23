"""The shipped dialplan's marker."""

from __future__ import annotations

import pytest

from callguard.shipped import shipped
from callguard.shipped_dialplan import expected_marker, marker

SHIPPED = (shipped("dialplan") / "callguard.conf").read_text(encoding="utf-8")


def test_the_marker_is_that_of_this_content() -> None:
    assert marker(SHIPPED) == expected_marker(SHIPPED), (
        f"dialplan/callguard.conf was changed: its marker in [callguard-version] has to be {expected_marker(SHIPPED)}"
    )


def test_any_other_content_has_another_marker() -> None:
    for changed in (SHIPPED + "\n", SHIPPED.replace("x911", "x912"), SHIPPED.replace("; ", ";", 1)):
        assert expected_marker(changed) != marker(SHIPPED)


def test_the_marker_itself_changes_nothing() -> None:
    assert expected_marker(SHIPPED.replace(marker(SHIPPED), "v0")) == marker(SHIPPED)


def test_a_dialplan_from_before_there_were_markers_is_told_apart() -> None:
    with pytest.raises(ValueError, match="no \\[callguard-version\\]"):
        marker("[callguard-inbound]\nexten => s,1,Return()\n")
