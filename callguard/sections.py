"""The sections of ``callguard.toml``, each a frozen model that checks what it can see by itself."""

from __future__ import annotations

import re
from datetime import timedelta
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    SecretStr,
    StringConstraints,
    model_validator,
)

from callguard.controller import Language, Line
from callguard.core.checkpoint import name_of_key
from callguard.core.decide import Calls
from callguard.core.grants import MARKETING
from callguard.core.model import Basis
from callguard.numbers import REGIONS, calling_code, country, to_e164

DAY_S = 86_400

Name = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,39}$")]
PurposeId = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_.]{0,59}$")]
RuleId = Annotated[str, StringConstraints(pattern=r"^[a-z0-9.]{1,30}$")]
# As a trunk gives it, or with a plus and the country code.
Called = Annotated[str, StringConstraints(pattern=r"^[0-9*#+]{1,30}$")]


def _e164(text: str) -> str:
    if not text.startswith("+") or to_e164(text, None) != text:
        raise ValueError("a number with a plus and its country code is needed, such as +34910000061")
    return text


E164 = Annotated[str, AfterValidator(_e164)]


def _http_url(text: str) -> str:
    if not re.fullmatch(r"https?://[^\s/]+(/\S*)?", text):
        raise ValueError("an address such as http://127.0.0.1:8088 is needed")
    return text


def _region(text: str) -> str:
    if text not in REGIONS:
        raise ValueError("a country's two capital letters (ISO 3166-1) are needed, such as ES")
    return text


HttpUrl = Annotated[str, AfterValidator(_http_url)]
SyslogAddress = Annotated[str, StringConstraints(pattern=r"^(/\S+|[A-Za-z0-9_.-]+:[0-9]{1,5})$")]
Region = Annotated[str, AfterValidator(_region)]

# Parsing a number is a notable part of what a call costs, and few numbers are called, again and again.
_called_e164 = lru_cache(maxsize=256)(to_e164)


class Model(BaseModel):
    """A part of the configuration: nothing unknown in it, and nothing that changes."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=False)


class Folder(Model):
    """A folder that callguard and Asterisk may see under two names (chroot, container, other host)."""

    path_here: Path
    path_in_asterisk: Path | None = None

    @model_validator(mode="after")
    def _plain_in_asterisk(self) -> Self:
        # This name goes into the dialplan, where commas, colons and brackets mean something.
        if not re.fullmatch(r"/[A-Za-z0-9_./-]*", str(self.in_asterisk)):
            raise ValueError("path_in_asterisk: an absolute path of letters, digits, _ . / and - only")
        return self

    @property
    def in_asterisk(self) -> Path:
        return self.path_in_asterisk or self.path_here


class PurposeSetting(Model):
    """A purpose of a profile. `required` needs another basis than consent."""

    id: PurposeId
    basis: Basis
    required: bool = False

    @model_validator(mode="after")
    def _recordings_only(self) -> Self:
        if not self.id.startswith("recording."):
            raise ValueError(
                "id: the gate asks about recordings (recording.…); never about marketing before the service"
            )
        return self

    @model_validator(mode="after")
    def _consent_is_free(self) -> Self:
        if self.required and self.basis is Basis.CONSENT:
            raise ValueError("a purpose that rests on consent cannot be required (GDPR Art. 7(4))")
        return self


class Profile(Model):
    """A named call flow.

    Attributes:
        calls: what its calls are for; an opt-out from marketing never blocks service.
        campaign: the campaign that outbound calls belong to.
        for_purpose: what outbound calls are for; grants and opt-outs of this purpose are about them. For marketing it
            is ``marketing.calls`` by default, and always one of marketing's.
        basis: ``grant`` calls only those who have granted that purpose, or whom another basis stands for.
        consent_months: for so long a consent to its calls counts, whatever its own end; then it has to be given anew.
        callee: who speaks first to the person called: the gate, or the agent (then the person's key in the call
            starts the recording). Marketing is `agent_first`, as a recorded message before a person speaks needs a
            consent of its own there (Directive 2002/58/EC Art. 13(1)).
        gate_required: a callee whose gate fails after the answer hears a goodbye and is not put through.
        agents: ``agreement`` records only while each agent in the call has a basis of their own in ``[agents]``.
        whisper: an agent who answers hears whether the call is recorded, where Dial or Queue says U(callguard-whisper).
        region: of numbers in national format.
        caller_country: whose law binds who calls, beside that of the number called; the region by default.
        caller_ids: the numbers that marketing calls may show, in E.164: each is an inbound number here, where who calls
            back can opt out. Where none is named, marketing calls are denied (R42).
        caller_id_days: for how long a call that came to such a number proves that it can be called.
        language_by_number_called: where an inbound call begins, by the number that was called.
        language_by_country: where a call begins, by the country of the subject's number.
        short_form_months: who heard the same notice whole within so many months hears its short form; 0: never.
    """

    controller: Name
    languages: Annotated[tuple[Language, ...], Field(min_length=1, max_length=9)]
    purposes: Annotated[tuple[PurposeSetting, ...], Field(min_length=1, max_length=2)]
    calls: Calls = "service"
    campaign: Name | None = None
    for_purpose: PurposeId | None = None
    basis: Literal["grant"] | None = None
    consent_months: Annotated[int, Field(ge=1, le=120)] | None = None
    callee: Literal["gate_first", "agent_first"] | None = None
    gate_required: bool = False
    agents: Literal["agreement"] | None = None
    whisper: bool = False
    on_refusal: Literal["continue"] = "continue"
    region: Region | None = None
    caller_country: Region | None = None
    caller_ids: frozenset[E164] = frozenset()
    caller_id_days: Annotated[int, Field(ge=1, le=366)] = 30
    language_by_number_called: dict[Called, Language] = {}
    language_by_country: dict[Region, Language] = {}
    answer_wait_s: Annotated[float, Field(ge=2, le=20)] = 5.0
    short_form_months: Annotated[int, Field(ge=0, le=24)] = 0

    @property
    def consent_lasts(self) -> timedelta | None:
        """For how long a consent to its calls counts; None for as long as it says itself."""
        return None if self.consent_months is None else timedelta(days=self.consent_months * 365 // 12)

    @property
    def purpose_of_calls(self) -> str | None:
        """What outbound calls are for; None where nothing tells."""
        return self.for_purpose or (f"{MARKETING}calls" if self.calls == "marketing" else None)

    @model_validator(mode="after")
    def _purpose_is_of_such_calls(self) -> Self:
        if self.for_purpose is not None and self.for_purpose.startswith(MARKETING) != (self.calls == "marketing"):
            raise ValueError(f"for_purpose: marketing calls, and no others, are for a purpose {MARKETING}…")
        if self.basis is not None and self.purpose_of_calls is None:
            raise ValueError("basis: for_purpose is missing, which says for what a grant is needed")
        return self

    def language_of_call(self, called: str) -> str | None:
        """The language that a number called stands for, as the trunk gave it or as it is in E.164."""
        if not self.language_by_number_called:
            return None
        known = self.language_by_number_called.get(called)
        return known or self.language_by_number_called.get(_called_e164(called, self.region) or "")

    def language_of_number(self, number: str | None) -> str | None:
        """The language that the country of a number in E.164 stands for; a withheld number is from nowhere."""
        # Most calls are from countries that have no language here: what their numbers begin with says so.
        if number is None or not number.startswith(tuple(map(calling_code, self.language_by_country))):
            return None
        return self.language_by_country.get(country(number) or "")

    @property
    def law_of_caller(self) -> str | None:
        """The country whose law binds who calls (ISO 3166-1 alpha-2); None where it is not known."""
        return self.caller_country or self.region

    @property
    def agent_first(self) -> bool:
        return (self.callee or ("agent_first" if self.calls == "marketing" else "gate_first")) == "agent_first"

    @property
    def calls_people(self) -> bool:
        """Whether it says that it is for calls to people; any other may be used for them too."""
        says = (self.callee, self.campaign, self.for_purpose)
        return self.calls == "marketing" or self.gate_required or any(one is not None for one in says)

    @model_validator(mode="after")
    def _purposes_are_asked_one_by_one(self) -> Self:
        if len(set(self.languages)) < len(self.languages):
            raise ValueError("languages: each is named once")
        if len({purpose.id for purpose in self.purposes}) < len(self.purposes):
            raise ValueError("purposes: each is named once")
        if len(self.purposes) > 1 and any(purpose.basis is not Basis.CONSENT for purpose in self.purposes):
            raise ValueError("purposes: two of them both rest on consent; one on another basis stands alone")
        if self.agent_first and (len(self.purposes) > 1 or self.purposes[0].basis is not Basis.CONSENT):
            raise ValueError("callee: agent_first (marketing's default) is for one purpose that rests on consent")
        return self

    @model_validator(mode="before")
    @classmethod
    def _no_detriment(cls, data: Any) -> Any:
        if isinstance(data, dict):
            if data.get("on_refusal") == "goodbye":
                raise ValueError("on_refusal: who refuses is served the same; goodbye is not allowed (GDPR Art. 7(4))")
            if "default" in data:
                raise ValueError("default: no answer is never a yes, so there is no default (GDPR Rec. 32)")
        return data


class Asterisk(Model):
    """Where Asterisk answers."""

    ari_url: HttpUrl = "http://127.0.0.1:8088"
    ari_user: Line = "callguard"
    ari_secret: SecretStr | None = Field(default=None, exclude=True)
    ari_secret_file: Path | None = None
    agi_host: Line = "127.0.0.1"
    agi_port: Annotated[int, Field(ge=1, le=65535)] | None = None
    ami_host: Line = "127.0.0.1"
    ami_port: Annotated[int, Field(ge=1, le=65535)] = 5038
    ami_user: Line = "callguard"
    ami_secret: SecretStr | None = Field(default=None, exclude=True)
    ami_secret_file: Path | None = None
    app: Annotated[str, StringConstraints(pattern=r"^callguard[a-z0-9-]{0,12}$")] = "callguard"
    inside: tuple[Line, ...] = ()


class Recording(Model):
    """How recordings are made and what becomes of them.

    Attributes:
        pause_on_hold: nothing is recorded while somebody in the call has put the others on hold.
        encrypted_folder: where recordings are once they are encrypted; by default where they are made.
    """

    folder: Folder
    encrypted_folder: Path | None = None
    files: Literal["mixed", "two"] = "mixed"
    destroy_withdrawn_after_s: Annotated[int, Field(ge=0, le=DAY_S)] = 0
    pause_on_hold: bool = False


class Prompts(Model):
    """Where texts and studio files are (`texts`; the package's own by default) and where audio is built."""

    folder: Folder
    texts: Path | None = None


class Store(Model):
    path: Path


class Ledger(Model):
    """The ledger's checkpoints: who signs them, when, and where else they go.

    Attributes:
        origin: names this ledger, and the key, in each checkpoint: best an address of your own without ``https://``.
        key_file: by default ledger.key beside the store.
        checkpoint_every_s: a checkpoint is signed so long after the one before, where anything is new.
        send_to_file: is appended to: of another machine, or such that nothing is changed in it.
        send_to_url: is sent each by POST, as text/plain.
        send_to_syslog: a socket (``/dev/log``), or ``HOST:PORT`` by UDP.
    """

    origin: Annotated[str, AfterValidator(name_of_key)] = "callguard"
    key_file: Path | None = None
    checkpoint_every_s: Annotated[int, Field(ge=1, le=DAY_S)] = 300
    send_to_file: Path | None = None
    send_to_url: HttpUrl | None = None
    send_to_syslog: SyslogAddress | None = None


class Http(Model):
    """Where `/health` and `/metrics` are served; nowhere without a port. They hold no secret, and ask for none."""

    host: Line = "127.0.0.1"
    port: Annotated[int, Field(ge=1, le=65535)] | None = None


class Log(Model):
    """What the service says on standard error.

    Attributes:
        format: ``auto`` is ``keyvalue`` under systemd's journal and ``console`` elsewhere.
        level: the least that is said.
    """

    format: Literal["auto", "console", "keyvalue", "json"] = "auto"
    level: Literal["debug", "info", "warning", "error"] = "info"


class Limits(Model):
    """Bounds on what the service takes on at once.

    Attributes:
        calls_in_gate: callers and persons called who are being asked, and dial decisions in progress; one more goes on
            unrecorded at once, and is not dialled.
    """

    calls_in_gate: Annotated[int, Field(ge=1, le=100_000)] = 1_000


class Watchdog(Model):
    """What becomes of recordings that callguard did not begin.

    Attributes:
        foreign: they are stopped, and their files set aside; only reported; or not even looked for.
        exempt: patterns, as the shell's, of channel names and dialplan contexts in which others may record.
    """

    foreign: Literal["stop", "report", "off"] = "stop"
    exempt: tuple[Line, ...] = ()


class Agents(Model):
    """What lets an agent's side of calls be recorded.

    Attributes:
        endpoints: patterns, as the shell's, of the phones' endpoints, such as ``PJSIP/21*``.
        agreement: a reference to what was agreed with the workforce; it stands in evidence, so no name is in it.
        grant: whether a grant of the agent's own is needed beside it (``callguard agent grant NAME``).
    """

    endpoints: Annotated[tuple[Line, ...], Field(min_length=1)]
    agreement: Line
    grant: bool = False
