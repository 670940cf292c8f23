"""What a receipt has to hold: the mandatory information of ISO/IEC TS 27560:2023, as the DPVCG's guide names it."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

Text = Annotated[str, StringConstraints(min_length=1)]
Status = Literal[
    "dpv:ConsentRequested", "dpv:ConsentRequestDeferred", "dpv:ConsentGiven", "dpv:RenewedConsentGiven",
    "dpv:ConsentRefused", "dpv:ConsentWithdrawn", "dpv:ConsentRevoked", "dpv:ConsentExpired", "dpv:ConsentInvalidated",
    "dpv:ConsentUnknown", "dpv:ExpressedConsent",
]  # fmt: skip


DUBLIN_CORE = frozenset({"identifier", "conformsTo", "created", "language", "publisher", "hasVersion"})


def term(name: str) -> str:
    """A field's name in the document: DPV's, unless it is another vocabulary's."""
    if name in ("id", "type", "context"):
        return f"@{name}"
    return f"dct:{name}" if name in DUBLIN_CORE else f"dpv:{name}"


class Node(BaseModel):
    """A node of JSON-LD, with nothing in it that is not named here."""

    model_config = ConfigDict(extra="forbid", alias_generator=term)


class Entity(Node):
    id: Text
    type: list[str]
    hasName: Text
    hasAddress: Text
    hasContact: Text


class Person(Node):
    id: Text
    type: Literal["dpv:DataSubject"]
    hasIdentifier: Annotated[str, StringConstraints(pattern=r"^tel:\+[0-9]+$")]


class Duration(Node):
    type: list[str]
    value: Annotated[Text, Field(alias="rdf:value")]


class ConsentStatus(Node):
    type: Annotated[list[Status], Field(min_length=1)]
    isIndicatedAtTime: datetime
    isIndicatedBy: Text
    isExercisedAt: Text
    hasDuration: Duration


class Notice(Node):
    type: list[Literal["dpv:ConsentNotice"]]
    hasIdentifier: Text
    language: Text
    hasVersion: Text | None = None
    length: Annotated[str | None, Field(alias="schema:duration")] = None
    encoding: Annotated[list[dict[str, str]] | None, Field(alias="schema:encoding")] = None
    heard: Annotated[str | None, Field(alias="callguard:heard")] = None


class Purpose(Node):
    id: Text
    type: Literal["dpv:Purpose"]
    identifier: Text
    label: Annotated[Text, Field(alias="skos:prefLabel")]


class Process(Node):
    type: Literal["dpv:Process"]
    hasPurpose: Purpose
    hasPersonalData: Annotated[list[str], Field(min_length=1)]
    hasProcessing: Annotated[list[str], Field(min_length=1)]
    hasLegalBasis: Annotated[list[str], Field(min_length=1)]
    hasDataController: Text
    hasRecipient: list[dict[str, Any]]
    hasStorageCondition: Annotated[list[dict[str, Any]], Field(min_length=2)]
    hasRight: Annotated[list[str], Field(min_length=1)]
    hasConsentControl: Annotated[list[dict[str, str]], Field(min_length=1)]
    hasConsentStatus: Annotated[list[ConsentStatus], Field(min_length=1)]


class Record(Node):
    id: Text
    type: Literal["dpv:ConsentRecord"]
    identifier: Text
    conformsTo: Literal["https://w3id.org/dpv/schema/dpv-27560#record"]
    created: datetime
    language: Text
    hasDataSubject: Person
    hasDataController: Text
    hasJurisdiction: Text
    hasApplicableLaw: Text
    hasAuthority: dict[str, str]
    hasEntity: Annotated[list[Entity], Field(min_length=1)]
    hasNotice: Annotated[list[Notice], Field(min_length=1)]
    hasProcess: Annotated[list[Process], Field(min_length=1)]
    evidence: Annotated[list[dict[str, str]], Field(alias="callguard:evidence")]


class Receipt(Node):
    context: dict[str, Any]
    id: Text
    type: Literal["dpv:ConsentReceipt"]
    identifier: Text
    conformsTo: Literal["https://w3id.org/dpv/schema/dpv-27560#receipt-record"]
    created: datetime
    language: Text
    publisher: Text
    recipient: Annotated[Text, Field(alias="schema:recipient")]
    hasRecordOfActivity: Record
