"""What an incident says of a channel."""

from __future__ import annotations

import pytest

from callguard.core.incidents import without_numbers


@pytest.mark.parametrize(
    ("channel", "told"),
    [
        ("Local/+491701234567@from-internal-00000012;1", "Local/+…@from-internal-00000012;1"),
        ("PJSIP/trunk-0000001a", "PJSIP/trunk-0000001a"),
        ("PJSIP/100-12345678", "PJSIP/100-12345678"),
        ("Local/491701234567@out", "Local/…@out"),
        ("DAHDI/i1/01701234567-3f", "DAHDI/i1/…-3f"),
        ("", ""),
    ],
)
def test_a_channels_name_is_told_without_the_number_in_it(channel: str, told: str) -> None:
    assert without_numbers(channel) == told
