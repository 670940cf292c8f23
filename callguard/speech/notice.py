"""What a notice is made of: elements that it has to tell, parts that tell them, and the kinds of it.

One kind asks for consent by key, to one purpose or to two; the other tells of a recording that rests on another basis,
and how to object. Beside every notice stand the parts for opt-outs and for calls that may not be made.
"""

from __future__ import annotations

import re
import string
from collections.abc import Collection
from enum import StrEnum
from typing import Annotated, ClassVar, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints, model_validator

from callguard.controller import OPTIONAL, Controller

# The gate's keys; 2 is also the objection where no consent is asked.
YES, NO, DETAILS, OPT_OUT = "1", "2", "3", "9"


class Element(StrEnum):
    """What a notice has to tell (GDPR Art. 7(3), 13(1), 13(2) and 14(2)(f)).

    OFFICER and SOURCE are told where the controller names them; STORAGE is how data are collected and kept.
    """

    CONTROLLER = "controller"
    EXISTENCE = "existence"
    PURPOSE = "purpose"
    CHOICE = "choice"
    OBJECTION = "objection"
    WITHDRAWAL = "withdrawal"
    RIGHTS = "rights"
    ADDRESS = "address"
    CONTACT = "contact"
    OFFICER = "officer"
    BASIS = "basis"
    DATA = "data"
    STORAGE = "storage"
    RECIPIENTS = "recipients"
    TRANSFERS = "transfers"
    RETENTION = "retention"
    AUTOMATED = "automated"
    SOURCE = "source"
    COMPLAINT = "complaint"
    MORE = "more"
    KEYS = "keys"
    OPTOUT = "optout"


# What a profile with two purposes has two of: where both are named, the element is told.
_BOTH = {name: frozenset({f"{name}_1", f"{name}_2"}) for name in ("purpose", "retention")}
_TOLD_BY = {
    Element.CONTROLLER: "name",
    Element.PURPOSE: "purpose",
    Element.ADDRESS: "address",
    Element.CONTACT: "contact",
    Element.BASIS: "basis",
    Element.OFFICER: "officer",
    Element.RECIPIENTS: "recipients",
    Element.TRANSFERS: "transfers",
    Element.RETENTION: "retention",
    Element.AUTOMATED: "automated",
    Element.SOURCE: "number_source",
    Element.COMPLAINT: "authority",
    Element.MORE: "more_at",
}
_ANNOUNCED_BY = {Element.CHOICE: {YES, NO}, Element.OBJECTION: {NO}, Element.OPTOUT: {OPT_OUT}}
_CHANGE = frozenset({"day", "month", "year", "change"})
_PLACEHOLDERS = frozenset(Controller.model_fields).union({"purpose", "basis"}, _CHANGE, *_BOTH.values())


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
        told = _placeholders(self.text)
        told |= {name for name, both in _BOTH.items() if told >= both}
        for element in sorted(self.elements):
            placeholder = _TOLD_BY.get(element)
            if placeholder and placeholder not in told:
                raise ValueError(f"element {element.value!r} is declared, but {{{placeholder}}} is not in the text")
            missing = _ANNOUNCED_BY.get(element, set()) - self.keys
            if missing:
                raise ValueError(f"element {element.value!r} is declared, but key {min(missing)} is not in the text")
        return self


class Detail(Part):
    """A piece of the full layer; `when` keeps it to one kind of notice.

    Its `name` stays when others come and go, so that a studio file is never heard in the place of another piece.
    """

    name: Annotated[str, StringConstraints(pattern=r"^[a-z]{1,20}$")]
    when: Literal["consent", "one", "two", "informed"] | None = None

    def is_for(self, kinds: frozenset[str], given: Collection[str]) -> bool:
        """Whether it belongs to a notice of these kinds, of a controller who gives these texts."""
        return (self.when is None or self.when in kinds) and (_placeholders(self.text) & OPTIONAL).issubset(given)


class Consent(Frozen):
    """Asks for consent to one purpose by key; `again` is the short form after silence.

    `remembered` takes the notice's place for who said no before; `goodbye` is for whom the gate could not serve. Both
    go with two purposes as well. `brief` and `brief_question` are the short form, for mere continuation.
    """

    kinds: ClassVar = frozenset({"consent", "one"})
    essential: Part
    question: Part
    again: Part
    remembered: Part
    goodbye: Part
    brief: Part | None = None
    brief_question: Part | None = None

    def parts(self) -> dict[str, Part]:
        return {"essential": self.essential, "question-1": self.question, "again-1": self.again}

    def short_form(self) -> dict[str, Part]:
        return _short_form(self.brief, self.brief_question)


class ConsentToTwo(Frozen):
    """Asks for consent to two purposes, one by one; in each question {purpose} is its own."""

    kinds: ClassVar = frozenset({"consent", "two"})
    essential: Part
    first: Part
    second: Part
    again: Part
    brief: Part | None = None
    brief_first: Part | None = None

    def short_form(self) -> dict[str, Part]:
        return _short_form(self.brief, self.brief_first)

    def parts(self) -> dict[str, Part]:
        return {
            "essential": self.essential,
            "question-1": self.first,
            "again-1": self.again,
            "question-2": self.second,
            "again-2": self.again,
        }

    @model_validator(mode="after")
    def _each_question_names_its_purpose(self) -> Self:
        for name in ("first", "second", "again", *(["brief_first"] if self.brief_first else [])):
            if "purpose" not in _placeholders(getattr(self, name).text):
                raise ValueError(f"{name}: {{purpose}} is not in the text, and a yes is to one purpose that is named")
        return self


class Informed(Frozen):
    """Tells of a recording on another basis than consent, and how to object; `goodbye` is for who does."""

    kinds: ClassVar = frozenset({"informed"})
    essential: Part
    question: Part
    goodbye: Part
    brief: Part | None = None
    brief_question: Part | None = None

    def parts(self) -> dict[str, Part]:
        return {"essential": self.essential, "question-1": self.question}

    def short_form(self) -> dict[str, Part]:
        return _short_form(self.brief, self.brief_question)

    @model_validator(mode="after")
    def _no_sham_yes(self) -> Self:
        for name in ("essential", "question", "brief", "brief_question"):
            part = getattr(self, name)
            if part is not None and YES in part.keys:
                raise ValueError(f"{name}: key {YES} is a yes, and on another basis than consent none is asked")
        return self


def _short_form(essential: Part | None, question: Part | None) -> dict[str, Part]:
    """Its parts; none where one of them is missing."""
    if essential is None or question is None:
        return {}
    return {"brief-essential": essential, "brief-question-1": question}


class Change(Part):
    """What is new in a version of the notice, since a day; its `months` are as the text needs them."""

    months: Annotated[tuple[str, ...], Field(min_length=12, max_length=12)]


class OptOut(Frozen):
    """What is said to who wants no more advertising calls; `number` asks a caller who withholds theirs for it."""

    done: Part
    undone: Part
    number: Part
    failed: Part
    goodbye: Part

    def parts(self) -> dict[str, Part]:
        return {f"optout-{name}": getattr(self, name) for name in type(self).model_fields}


class Rights(Frozen):
    """What is said to who asks by key, in the full layer, for what is their right: received, or done."""

    received: Part
    withdrawn: Part

    def parts(self) -> dict[str, Part]:
        return {"right-received": self.received, "right-withdrawn": self.withdrawn}


class InCall(Frozen):
    """What the subject alone hears in the call: after the stop key, and after the notice that was heard again.

    `required` is for a recording that the call may not go on without; `given` and `failed` follow a yes.
    """

    stopped: Part
    required: Part
    given: Part
    failed: Part

    def parts(self, *, asks: bool) -> dict[str, Part]:
        names = ("stopped", "given", "failed") if asks else ("stopped", "required")
        return {f"call-{name}": getattr(self, name) for name in names}


class Whisper(Frozen):
    """What an agent hears on answer, and the caller does not: whether the call is recorded."""

    recorded: Part
    unrecorded: Part

    def parts(self) -> dict[str, Part]:
        return {"whisper-recorded": self.recorded, "whisper-unrecorded": self.unrecorded}


class Denied(Frozen):
    """What an agent hears whose call may not be made: now (`call`), to who opted out, to what is no number."""

    call: Part
    optout: Part
    number: Part

    def parts(self) -> dict[str, Part]:
        return {"denied": self.call, "denied-optout": self.optout, "denied-number": self.number}
