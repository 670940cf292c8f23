"""In which language a call begins. The language key changes it at any time; this is only where it starts. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Signs:
    """What is known of the language that somebody understands; each is a BCP 47 tag.

    Attributes:
        chosen: by key in earlier calls of the same number, the latest first.
        called: what the number that they called stands for.
        country: what the administrator expects of callers from the country of their number.
    """

    chosen: tuple[str, ...] = ()
    called: str | None = None
    country: str | None = None


def language_for(languages: Sequence[str], signs: Signs) -> str:
    """The surest sign that is one of the profile's languages; without any, the first of these.

    What a person chose is surer than which number they called, and that than where their own number is from.
    """
    surest_first = (*signs.chosen, signs.called, signs.country)
    return next((sign for sign in surest_first if sign is not None and sign in languages), languages[0])
