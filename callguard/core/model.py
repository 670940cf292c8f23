"""The words that every other part uses, in telephony's and data protection's own terms."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum


class Basis(StrEnum):
    """Why personal data may be processed (GDPR Art. 6(1); names as in draft-howe-vcon-lawful-basis-02)."""

    CONSENT = "consent"
    CONTRACT = "contract"
    LEGAL_OBLIGATION = "legal_obligation"
    VITAL_INTERESTS = "vital_interests"
    PUBLIC_TASK = "public_task"
    LEGITIMATE_INTERESTS = "legitimate_interests"


class GrantState(StrEnum):
    """State of one purpose for one subject, after the W3C Data Privacy Vocabulary's consent statuses.

    SUSPENDED is not among those: the number is nobody's, or somebody else's, and nothing is said of the subject.
    """

    REQUESTED = "requested"
    GIVEN = "given"
    REFUSED = "refused"
    WITHDRAWN = "withdrawn"
    REVOKED = "revoked"
    EXPIRED = "expired"
    INVALIDATED = "invalidated"
    SUSPENDED = "suspended"
    UNKNOWN = "unknown"


class Outcome(StrEnum):
    """How the gate ended for a leg: the dialplan's CALLGUARD_STATE."""

    GIVEN = "given"
    PARTIAL = "partial"
    REFUSED = "refused"
    UNKNOWN = "unknown"
    INFORMED = "informed"
    DIVERTED = "diverted"
    ERROR = "error"


class Meaning(StrEnum):
    """What a key means to the gate. Only GIVE gives; the others protect, and act at any time.

    But REQUEST, which asks for what is somebody's right: it acts where it is told, in the full layer.
    """

    GIVE = "give"
    REFUSE = "refuse"
    DETAILS = "details"
    REPEAT = "repeat"
    LANGUAGE = "language"
    OPT_OUT = "opt_out"
    REQUEST = "request"


@dataclass(frozen=True, slots=True)
class Purpose:
    """One named use of a recording, set by the controller, with the basis it rests on.

    `required` is for a basis other than consent: such a call may not go on unrecorded, so who objects is diverted.
    """

    id: str
    basis: Basis
    required: bool = False


@dataclass(frozen=True, slots=True)
class Prompt:
    """One piece of audio that is ready to be played.

    Attributes:
        id: profile and part, such as ``service/essential``.
        language: BCP 47 tag.
        version: the text's version.
        media: path in Asterisk's view, absolute, without extension.
        length_ms: length of the audio.
        sha256: hash of each file by its format (``wav`` 8 kHz, ``wav16`` 16 kHz): Asterisk plays the one that suits
            the channel.
    """

    id: str
    language: str
    version: str
    media: str
    length_ms: int
    sha256: Mapping[str, str] = field(hash=False)


@dataclass(frozen=True, slots=True)
class Before:
    """A notice that was heard whole in an earlier call: which sound, in which version, and that call's id."""

    version: str
    sha256: str
    call_id: str


@dataclass(frozen=True, slots=True)
class Party:
    """Whom the gate asks, as far as it needs to know.

    Attributes:
        known: whether the number is known; a withheld one has to be typed to opt out.
        callee: whether they are called; else they call.
        refused: ids of the purposes to which they said no before and have not said yes since, each with the version of
            the notice that they heard then: it stands for that notice, and another one asks anew.
        language: in which the call begins, one of the flow's; None for its first.
        knows: the version of the controller's notice that they know, "" where it had no name yet; None for who has
            heard none.
        heard: the notices that they heard whole not too long ago, the latest first.
    """

    known: bool = True
    callee: bool = False
    refused: frozenset[tuple[str, str | None]] = frozenset()
    language: str | None = None
    knows: str | None = None
    heard: tuple[Before, ...] = ()


@dataclass(frozen=True, slots=True)
class Heard:
    """How much of a prompt was played to the subject."""

    prompt: Prompt
    heard_ms: int


class Form(StrEnum):
    """In which form a notice was told: whole, short as a mere continuation, or what has changed in it."""

    WHOLE = "whole"
    SHORT = "short"
    CHANGE = "change"


@dataclass(frozen=True, slots=True)
class Told:
    """That somebody was informed, whatever they answered: a record of its own beside what they gave.

    Attributes:
        heard: how much of the notice's essential part, or of what has changed, was played.
        whole: whether that is all of it.
        continues: of the short form, the earlier call in which the same notice was heard whole.
    """

    heard: Heard
    form: Form
    whole: bool
    continues: str = ""


@dataclass(frozen=True, slots=True)
class Answer:
    """What became of one purpose on this leg, and what proves it.

    Attributes:
        purpose: which purpose.
        state: GIVEN when a mapped key gave it, or (another basis) when the notice was heard; else why not.
        key: the key or keys that decided, empty for silence, hang-up or failure.
        reason: key, informed, silence, hangup, failed, lost, limit, remembered (a no from an earlier call) or opt_out.
    """

    purpose: Purpose
    state: GrantState
    key: str
    reason: str
