"""What a notice is made of: elements that it has to tell, parts that tell them, and the two kinds of it.

One kind asks for consent by key; the other tells of a recording that rests on another basis, and how to object.
"""

from __future__ import annotations

import re
import string
from collections.abc import Iterable
from enum import StrEnum
from typing import Annotated, ClassVar, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, StringConstraints, model_validator

from callguard.config import Controller

YES, NO, DETAILS = "1", "2", "3"  # the gate's keys; 2 is also the objection where no consent is asked


class Element(StrEnum):
    """What a notice has to tell (GDPR Art. 7(3), 13(1) and 13(2))."""

    CONTROLLER = "controller"
    EXISTENCE = "existence"
    PURPOSE = "purpose"
    CHOICE = "choice"
    OBJECTION = "objection"
    WITHDRAWAL = "withdrawal"
    RIGHTS = "rights"
    ADDRESS = "address"
    CONTACT = "contact"
    BASIS = "basis"
    DATA = "data"
    RETENTION = "retention"
    COMPLAINT = "complaint"
    MORE = "more"
    KEYS = "keys"


_TOLD_BY = {
    Element.CONTROLLER: "name",
    Element.PURPOSE: "purpose",
    Element.ADDRESS: "address",
    Element.CONTACT: "contact",
    Element.BASIS: "basis",
    Element.RETENTION: "retention",
    Element.MORE: "more_at",
}
_ANNOUNCED_BY = {Element.CHOICE: {YES, NO}, Element.OBJECTION: {NO}}
_PLACEHOLDERS = frozenset(Controller.model_fields) | {"purpose", "basis"}


def _only_known_placeholders(template: str) -> str:
    unknown = _placeholders(template) - _PLACEHOLDERS
    if unknown:
        known = ", ".join(f"{{{name}}}" for name in sorted(_PLACEHOLDERS))
        raise ValueError(f"there is no placeholder {{{min(unknown)}}}; there are {known}")
    return template


def _placeholders(template: str) -> set[str]:
    fields = [part[1:] for part in string.Formatter().parse(template) if part[1] is not None]
    if any(spec or conversion for _, spec, conversion in fields):
        raise ValueError("a placeholder is a name in braces and nothing else")
    return {name or "" for name, _, _ in fields}


Template = Annotated[
    str,
    StringConstraints(strip_whitespace=True, min_length=1, max_length=600),
    AfterValidator(_only_known_placeholders),
]


class Frozen(BaseModel):
    """A table of the texts' file: nothing unknown in it, and nothing changed later."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Part(Frozen):
    """One part of a notice, and which elements it tells."""

    text: Template
    elements: frozenset[Element] = frozenset()

    @property
    def keys(self) -> frozenset[str]:
        """The keys it announces: digits standing alone."""
        return frozenset(re.findall(r"(?<!\w)\d(?!\w)", self.text))

    @model_validator(mode="after")
    def _tells_what_it_says_it_tells(self) -> Self:
        for element in sorted(self.elements):
            placeholder = _TOLD_BY.get(element)
            if placeholder and placeholder not in _placeholders(self.text):
                raise ValueError(f"element {element.value!r} is declared, but {{{placeholder}}} is not in the text")
            missing = _ANNOUNCED_BY.get(element, set()) - self.keys
            if missing:
                raise ValueError(f"element {element.value!r} is declared, but key {min(missing)} is not in the text")
        return self


class Detail(Part):
    """A piece of the full layer; `when` keeps it to one kind of notice."""

    when: Literal["consent", "informed"] | None = None


class Consent(Frozen):
    """Asks for consent by key; `again` is the short form after silence."""

    kind: ClassVar = "consent"
    essential: Part
    question: Part
    again: Part

    def parts(self, details: Iterable[Part]) -> dict[str, Part]:
        """By name; questions have a number, as a profile may come to have several."""
        return {
            "essential": self.essential,
            "question-1": self.question,
            "again-1": self.again,
            **_numbered(details),
        }


class Informed(Frozen):
    """Tells of a recording on another basis than consent, and how to object; `goodbye` is for who does."""

    kind: ClassVar = "informed"
    essential: Part
    question: Part
    goodbye: Part

    def parts(self, details: Iterable[Part]) -> dict[str, Part]:
        return {
            "essential": self.essential,
            "question-1": self.question,
            **_numbered(details),
            "goodbye": self.goodbye,
        }

    @model_validator(mode="after")
    def _no_sham_yes(self) -> Self:
        for name in ("essential", "question"):
            if YES in getattr(self, name).keys:
                raise ValueError(f"{name}: key {YES} is a yes, and on another basis than consent none is asked")
        return self


def _numbered(details: Iterable[Part]) -> dict[str, Part]:
    return {f"details-{number}": detail for number, detail in enumerate(details, 1)}
