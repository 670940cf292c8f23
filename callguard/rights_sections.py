"""The sections of ``callguard.toml`` about the rights of people, and what an officer has to declare."""

from __future__ import annotations

from pathlib import Path

from callguard.controller import Line
from callguard.sections import Model, Region


class Export(Model):
    """How exports of a person's data are made.

    Attributes:
        signing_key: a file for its owner alone, with an Ed25519 key and its certificate; beside the store by default.
    """

    signing_key: Path | None = None


class Storage(Model):
    """Where data lie; `country` is ISO 3166-1 alpha-2."""

    what: Line
    country: Region


class Processing(Model):
    """What the register of processing (GDPR Art. 30) says beside what the rest of the configuration tells.

    Attributes:
        countries: in which data may lie, and processors be; any, where none is named.
        security: measures, in the house's own words.
    """

    countries: frozenset[Region] = frozenset()
    storage: tuple[Storage, ...] = ()
    security: tuple[Line, ...] = ()
