"""Where a call begins: earlier choice, number called, country, the profile's first."""

from __future__ import annotations

import pytest

from callguard.core.language import Signs, language_for


@pytest.mark.parametrize(
    ("signs", "begins"),
    [
        (Signs(), "en"),
        (Signs(country="es"), "es"),
        (Signs(called="de", country="es"), "de"),
        (Signs(chosen=("es",), called="de", country="pl"), "es"),
        (Signs(chosen=("es", "de")), "es"),
        # what the profile does not speak is no sign
        (Signs(chosen=("fr", "de", "es"), called="es"), "de"),
        (Signs(chosen=("fr",), called="fr", country="es"), "es"),
        (Signs(chosen=("fr",), called="fr", country="fr"), "en"),
        (Signs(chosen=("en",), called="es"), "en"),
    ],
)
def test_the_surest_sign_that_the_profile_speaks(signs: Signs, begins: str) -> None:
    assert language_for(("en", "es", "de"), signs) == begins
