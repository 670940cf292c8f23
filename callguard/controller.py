"""Who calls are made or taken for, in the words that the notice says it with.

What a notice has to tell by law has to be given: nothing is assumed of a controller, as a notice that says what nobody
has said would be untrue (GDPR Art. 13 and 14; WP260 rev.01).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationError,
    ValidatorFunctionWrapHandler,
    WrapValidator,
)

Language = Annotated[str, StringConstraints(pattern=r"^[a-z]{2}$")]
Line = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200)]
RecordingPurpose = Annotated[str, StringConstraints(pattern=r"^recording\.[a-z0-9_.]{1,50}$")]


def _or(problem: str) -> WrapValidator:
    """One plain sentence in place of one line for each shape that a setting may have."""

    def validate(value: object, handler: ValidatorFunctionWrapHandler) -> object:
        try:
            return handler(value)
        except ValidationError as error:
            raise ValueError(problem) from error

    return WrapValidator(validate)


_PER_LANGUAGE = 'a text of 1 to 200 characters is needed, or one for each language: { en = "…", es = "…" }'
Spoken = Annotated[Line | dict[Language, Line], _or(_PER_LANGUAGE)]
Retention = Annotated[
    Line | dict[Language, Line] | dict[RecordingPurpose, Line | dict[Language, Line]],
    _or(f"{_PER_LANGUAGE}, or one of these for each purpose, such as recording.quality"),
]


class Controller(BaseModel):
    """For whom calls are made or taken; each text for all languages, or one for each.

    The texts in ``prompts/`` put most of these behind a colon ("Who receives your data: …"), so a few words do.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: Line = Field(description="the controller's name (GDPR Art. 13(1)(a))")
    address: Spoken = Field(description="the postal address (GDPR Art. 13(1)(a))")
    contact: Spoken = Field(description="how to reach who answers questions about data (GDPR Art. 13(1)(a))")
    officer: Spoken | None = Field(
        default=None,
        description="how to reach the data protection officer, where there is one (GDPR Art. 13(1)(b), 37)",
    )
    recipients: Spoken = Field(description="who else receives recordings, or that nobody does (GDPR Art. 13(1)(e))")
    transfers: Spoken = Field(
        description="to which countries outside the EU data go and how they are protected there, or that none do "
        "(GDPR Art. 13(1)(f))"
    )
    retention: Retention = Field(description="how long recordings are kept (GDPR Art. 13(2)(a))")
    authority: Spoken = Field(description="the supervisory authority to complain to (GDPR Art. 13(2)(d))")
    automated: Spoken = Field(
        description="what computers find out or decide from recordings, or that they do not (GDPR Art. 13(2)(f))"
    )
    number_source: Spoken | None = Field(
        default=None, description="where the numbers of those who are called are from (GDPR Art. 14(2)(f))"
    )
    more_at: Spoken = Field(description="where the whole notice can be read (WP260 rev.01, 38)")

    def spoken(self, language: str) -> dict[str, str]:
        """Each given text but retention in one language; empty where that is missing, which `Config` refuses."""
        texts = {name: getattr(self, name) for name in type(self).model_fields if name != "retention"}
        return {name: spoken_in(text, language) for name, text in texts.items() if text is not None}

    def retention_of(self, purpose: str, language: str) -> str:
        """How long recordings for a purpose are kept; empty where it is missing, which `Config` refuses."""
        if isinstance(self.retention, str):
            return self.retention
        # A purpose's id has a dot in it, a language's code has none.
        per_purpose = any("." in key for key in self.retention)
        return spoken_in(self.retention.get(purpose, "") if per_purpose else self.retention, language)


def spoken_in(text: str | Mapping[str, object], language: str) -> str:
    """A text in one language; empty where it is missing."""
    return text if isinstance(text, str) else str(text.get(language, ""))


OPTIONAL = frozenset(name for name, field in Controller.model_fields.items() if not field.is_required())
"""What a controller need not give; what a notice says of it is left out where it is not given."""
