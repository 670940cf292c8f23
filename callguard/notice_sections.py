"""The sections of ``callguard.toml`` about the versions of a controller's notice, and to whom recordings may go."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import TYPE_CHECKING, Annotated, Self

from pydantic import Field, StringConstraints, model_validator

from callguard.controller import Line, Spoken, spoken_in
from callguard.sections import Model, Name

if TYPE_CHECKING:
    from callguard.config import Config

Version = Annotated[str, StringConstraints(pattern=r"^[a-z0-9_]{1,12}$")]


class Recipient(Model):
    """Somebody else who may be handed recordings or lists, and is no processor; `name` is how the notice names them."""

    name: Line


class NoticeVersion(Model):
    """A version of a controller's notice, as told since a day: in ``callguard.toml`` or in the texts something is new.

    Attributes:
        material: who heard an older one is told at their next call what has changed, before anything is asked.
        change: what, in a few words that complete "New since 1 December 2026: …".
        recipients: those of ``[recipients]`` whom the notice names from this version on.
        profiles: whose notice it is; of all of the controller's, where none is named.
    """

    version: Version
    since: date
    material: bool = False
    change: Spoken | None = None
    recipients: tuple[Name, ...] = ()
    profiles: frozenset[Name] = frozenset()

    @model_validator(mode="after")
    def _what_is_material_is_told(self) -> Self:
        if self.material != (self.change is not None):
            raise ValueError("change: is told of a material change, and of no other")
        return self

    def is_of(self, profile: str) -> bool:
        """Whether a profile's notice has this version."""
        return not self.profiles or profile in self.profiles

    def change_in(self, language: str) -> str:
        """What is new, in a language; empty where it is missing, which `fault` finds."""
        return "" if self.change is None else spoken_in(self.change, language)


Notices = Annotated[tuple[NoticeVersion, ...], Field(min_length=1, max_length=20)]


def naming(versions: Sequence[NoticeVersion], recipient: str) -> frozenset[str]:
    """The versions of a controller's notice that name a recipient: from the first that does on."""
    first = next((number for number, one in enumerate(versions) if recipient in one.recipients), len(versions))
    return frozenset(one.version for one in versions[first:])


def fault(config: Config) -> str | None:
    """What is wrong with the versions of the notices, beginning with the setting that it is in; None for nothing."""
    for name, versions in config.notices.items():
        if name not in config.controllers:
            return f"notices.{name}: there is no controller {name!r}"
        controller = config.controllers[name]
        profiles = {it: one for it, one in config.profiles.items() if one.controller == name}
        languages = sorted({language for one in profiles.values() for language in one.languages})
        for number, one in enumerate(versions):
            where = f"notices.{name}.{number}"
            if one.version in {earlier.version for earlier in versions[:number]}:
                return f"{where}.version: there are two {one.version!r}"
            if number and one.since < versions[number - 1].since:
                return f"{where}.since: is before that of the version before: the newest stands last"
            if unknown := one.profiles - profiles.keys():
                return f"{where}.profiles: {name} has no profile {min(unknown)!r}"
            spoken = {it for it, profile in profiles.items() if one.is_of(it) for it in profile.languages}
            for language in sorted(spoken) if one.material else ():
                if not one.change_in(language):
                    return f"{where}.change: is not given in {language!r}"
            for recipient in one.recipients:
                if recipient not in config.recipients:
                    return f"{where}.recipients: there is no {recipient!r} in [recipients]"
                called = config.recipients[recipient].name
                for language in languages:
                    if called.casefold() not in controller.spoken(language)["recipients"].casefold():
                        text = f"controllers.{name}.recipients"
                        return f"{where}.recipients: {text} does not name {called!r} in {language!r}"
    return None
