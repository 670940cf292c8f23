"""Consent receipts: what ISO/IEC TS 27560:2023 asks for, in the terms of the W3C's Data Privacy Vocabulary, as JSON-LD.

After the DPVCG's guide to 27560 (w3id.org/dpv/guides/consent-27560). A receipt is about one person, and about consent
alone: what rests on another basis stands in the call's vCon. Refusals are recorded too.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any
from uuid import NAMESPACE_URL, uuid5

from callguard.controller import Controller
from callguard.core.model import Basis, GrantState
from callguard.rights import consents, facts

if TYPE_CHECKING:
    from callguard.store.about import Subject
    from callguard.store.dial_records import StoredGrant
    from callguard.store.records import Grant, LegDetail

# The values of these name something, and are no text (JSON-LD 1.1, 4.2.3).
NAMES = (
    "dct:conformsTo", "dct:publisher", "dpv:hasApplicableLaw", "dpv:hasDataController", "dpv:hasLegalBasis",
    "dpv:hasPersonalData", "dpv:hasProcessing", "dpv:hasRight", "dpv:isIndicatedBy", "schema:recipient",
)  # fmt: skip
CONTEXT: Mapping[str, object] = {
    "callguard": "urn:callguard:term:",
    "dct": "http://purl.org/dc/terms/",
    "dpv": "https://w3id.org/dpv#",
    "eu-gdpr": "https://w3id.org/dpv/legal/eu/gdpr#",
    "loc": "https://w3id.org/dpv/loc#",
    "pd": "https://w3id.org/dpv/pd#",
    "rdf": "http://www.w3.org/1999/02/22-rdf-syntax-ns#",
    "schema": "https://schema.org/",
    "skos": "http://www.w3.org/2004/02/skos/core#",
    "xsd": "http://www.w3.org/2001/XMLSchema#",
    **{name: {"@type": "@id"} for name in NAMES},
    **{name: {"@type": "xsd:dateTime"} for name in ("dct:created", "dpv:isIndicatedAtTime")},
}
RECORD, RECEIPT = (f"https://w3id.org/dpv/schema/dpv-27560#{kind}" for kind in ("record", "receipt-record"))
STATUS: Mapping[GrantState, str] = {
    GrantState.REQUESTED: "dpv:ConsentRequested",
    GrantState.GIVEN: "dpv:ConsentGiven",
    GrantState.REFUSED: "dpv:ConsentRefused",
    GrantState.WITHDRAWN: "dpv:ConsentWithdrawn",
    GrantState.REVOKED: "dpv:ConsentRevoked",
    GrantState.EXPIRED: "dpv:ConsentExpired",
    GrantState.INVALIDATED: "dpv:ConsentInvalidated",
    # The number is somebody else's, which says nothing of the person.
    GrantState.SUSPENDED: "dpv:ConsentUnknown",
    GrantState.UNKNOWN: "dpv:ConsentUnknown",
}
DEFERRED = "dpv:ConsentRequestDeferred"
NOT_SAID = "not said in the configuration"
RIGHTS = ("A7-3", "A15", "A16", "A17", "A18", "A20", "A77")


@dataclass(frozen=True, slots=True)
class Setting:
    """What the configuration says around a consent.

    Attributes:
        controller_id: as the configuration names it.
        countries: whose law binds each profile, by its name (ISO 3166-1 alpha-2); None where nobody has said.
        storage: where data are stored.
        language: for texts beside any call.
    """

    controller_id: str
    controller: Controller
    countries: Mapping[str, str | None]
    storage: Sequence[str]
    language: str


def receipts(one: Subject, setting: Setting, now: datetime) -> dict[str, dict[str, Any]]:
    """A person's receipts by name: one of each leg on which consent was asked, and of each consent beside any call."""
    found: dict[str, dict[str, Any]] = {}
    for leg in one.legs:
        histories = {
            purpose: history
            for purpose, history in consents.histories(leg.detail).items()
            if any(it.basis is Basis.CONSENT for it in history)
        }
        if histories:
            record = _of_leg(one, leg.detail, histories, setting)
            found[leg.detail.leg.leg_id] = _receipt(one, record, leg.detail.leg.language, setting, now)
    beside = [grant for grant in one.grants if grant.basis is Basis.CONSENT]
    for number, grant in enumerate(beside, 1):
        record = _of_grant(one, number, grant, setting, now)
        found[f"grant-{number}"] = _receipt(one, record, setting.language, setting, now)
    return found


def _receipt(one: Subject, record: dict[str, Any], language: str, setting: Setting, now: datetime) -> dict[str, Any]:
    name = str(uuid5(NAMESPACE_URL, f"{record['@id']}#{now.isoformat()}"))
    return {
        "@context": dict(CONTEXT),
        "@id": f"urn:uuid:{name}",
        "@type": "dpv:ConsentReceipt",
        "dct:identifier": name,
        "dct:conformsTo": RECEIPT,
        "dct:created": now.isoformat(),
        "dct:language": language,
        "dct:publisher": _iri(setting),
        "schema:recipient": _person(one),
        "dpv:hasRecordOfActivity": record,
    }


def _record(
    one: Subject, name: str, at: datetime, language: str, setting: Setting, country: str | None
) -> dict[str, Any]:
    identifier = str(uuid5(NAMESPACE_URL, f"urn:callguard:{one.controller}:{one.subject_id}:{name}"))
    spoken = setting.controller.spoken(language)
    return {
        "@id": f"urn:uuid:{identifier}",
        "@type": "dpv:ConsentRecord",
        "dct:identifier": identifier,
        "dct:conformsTo": RECORD,
        "dct:created": at.isoformat(),
        "dct:language": language,
        "dpv:hasDataSubject": {
            "@id": _person(one),
            "@type": "dpv:DataSubject",
            "dpv:hasIdentifier": f"tel:{one.number}",
        },
        "dpv:hasDataController": _iri(setting),
        "dpv:hasJurisdiction": f"loc:{country}" if country else NOT_SAID,
        "dpv:hasApplicableLaw": "eu-gdpr:GDPR",
        "dpv:hasAuthority": {
            "@type": "dpv:DataProtectionAuthority",
            "dpv:hasName": spoken.get("authority") or NOT_SAID,
        },
        "dpv:hasEntity": [
            {
                "@id": _iri(setting),
                "@type": ["dpv:DataController", "dpv:LegalEntity"],
                "dpv:hasName": setting.controller.name,
                "dpv:hasAddress": spoken.get("address") or NOT_SAID,
                "dpv:hasContact": spoken.get("contact") or NOT_SAID,
            }
        ],
    }


def _process(
    purpose: str, label: str, data: list[str], retention: str, language: str, setting: Setting
) -> dict[str, Any]:
    spoken = setting.controller.spoken(language)
    return {
        "@type": "dpv:Process",
        "dpv:hasPurpose": {
            "@id": f"urn:callguard:purpose:{purpose}",
            "@type": "dpv:Purpose",
            "dct:identifier": purpose,
            "skos:prefLabel": label,
        },
        "dpv:hasPersonalData": data,
        "dpv:hasLegalBasis": ["dpv:Consent", "eu-gdpr:A6-1-a"],
        "dpv:hasDataController": _iri(setting),
        "dpv:hasRecipient": [{"@type": "dpv:Recipient", "skos:prefLabel": spoken.get("recipients") or NOT_SAID}],
        "dpv:hasStorageCondition": [
            {"@type": ["dpv:StorageLocation"], "dpv:hasLocation": list(setting.storage) or [NOT_SAID]},
            {
                "@type": ["dpv:StorageDuration"],
                "dpv:hasDuration": {"@type": "dpv:Duration", "rdf:value": retention or NOT_SAID},
            },
        ],
        "dpv:hasRight": [f"eu-gdpr:{right}" for right in RIGHTS],
        "dpv:hasConsentControl": [
            {
                "@type": "dpv:WithdrawConsent",
                "dpv:isExercisedAt": f"in the call: key *9, or say it; later: {spoken.get('contact') or NOT_SAID}",
            }
        ],
    }


def _of_leg(one: Subject, leg: LegDetail, histories: Mapping[str, Sequence[Grant]], setting: Setting) -> dict[str, Any]:
    language = leg.leg.language
    record = _record(one, leg.leg.leg_id, leg.leg.saved_at, language, setting, setting.countries.get(leg.leg.profile))
    notices = [
        {
            "@type": ["dpv:ConsentNotice"],
            "dpv:hasIdentifier": it.prompt,
            "dct:language": it.language,
            "dct:hasVersion": it.version,
            "schema:duration": _duration(it.length_ms),
            "schema:encoding": [
                {"schema:encodingFormat": kind, "schema:sha256": digest} for kind, digest in it.sha256.items()
            ],
            "callguard:heard": _duration(it.heard_ms),
        }
        for it in consents.notices(leg)
    ]
    keys = {purpose: it.keys for it in consents.pressed(leg) for purpose in it.purposes}
    processes = []
    for purpose, history in histories.items():
        retention = setting.controller.retention_of(purpose, language)
        data = ["pd:TelephoneNumber", "pd:VoiceCommunicationRecording"]
        process = _process(purpose, purpose, data, retention, language, setting)
        process["dpv:hasProcessing"] = ["dpv:Collect", "dpv:Record", "dpv:Store"]
        process["dpv:hasConsentStatus"] = [_status(it, keys.get(purpose, ""), one) for it in history]
        processes.append(process)
    evidence = [
        {"dct:type": it.kind, "dct:created": it.at.isoformat(), "schema:sha256": facts.digest(it)}
        for it in leg.evidence
    ]
    return {**record, "dpv:hasNotice": notices, "dpv:hasProcess": processes, "callguard:evidence": evidence}


def _status(grant: Grant, keys: str, one: Subject) -> dict[str, Any]:
    deferred = grant.state is GrantState.UNKNOWN and grant.reason == "hangup"
    by_key = grant.reason == "key" and grant.state in (GrantState.GIVEN, GrantState.REFUSED)
    until = grant.valid_until
    return {
        "@type": [DEFERRED if deferred else STATUS[grant.state], "dpv:ExpressedConsent"],
        "dpv:isIndicatedAtTime": grant.valid_from.isoformat(),
        "dpv:isIndicatedBy": _person(one),
        "dpv:isExercisedAt": f"on the telephone, by key {keys}"
        if by_key and keys
        else f"on the telephone: {grant.reason}",
        "dpv:hasDuration": (
            {"@type": ["dpv:UntilEventDuration"], "rdf:value": "the end of this call, or its withdrawal"}
            if until is None
            else {"@type": ["dpv:UntilTimeDuration"], "rdf:value": until.isoformat()}
        ),
    }


def _of_grant(one: Subject, number: int, grant: StoredGrant, setting: Setting, now: datetime) -> dict[str, Any]:
    record = _record(one, f"grant:{number}", grant.since, setting.language, setting, None)
    process = _process(
        grant.purpose, grant.purpose, ["pd:TelephoneNumber"], "while the consent stands", setting.language, setting
    )
    status = {
        "dpv:isIndicatedBy": _person(one),
        "dpv:isExercisedAt": f"{grant.channel}: {grant.evidence}",
        "dpv:hasDuration": (
            {"@type": ["dpv:UntilEventDuration"], "rdf:value": "its withdrawal"}
            if grant.until is None
            else {"@type": ["dpv:UntilTimeDuration"], "rdf:value": grant.until.isoformat()}
        ),
    }
    given = [
        {
            "@type": ["dpv:ConsentGiven", "dpv:ExpressedConsent"],
            "dpv:isIndicatedAtTime": grant.since.isoformat(),
            **status,
        }
    ]
    state, at = grant.state(now), grant.ended_at or grant.until
    if state is not GrantState.GIVEN and at is not None:
        by = _person(one) if state is GrantState.WITHDRAWN else _iri(setting)
        ended = {"@type": [STATUS[state]], "dpv:isIndicatedAtTime": at.isoformat(), **status, "dpv:isIndicatedBy": by}
        given.append(ended)
    process["dpv:hasProcessing"] = ["dpv:Use"]
    process["dpv:hasConsentStatus"] = given
    notice = {"@type": ["dpv:ConsentNotice"], "dpv:hasIdentifier": grant.evidence, "dct:language": setting.language}
    return {**record, "dpv:hasNotice": [notice], "dpv:hasProcess": [process], "callguard:evidence": []}


def _person(one: Subject) -> str:
    return f"urn:callguard:subject:{one.subject_id}"


def _iri(setting: Setting) -> str:
    return f"urn:callguard:controller:{setting.controller_id}"


def _duration(milliseconds: int) -> str:
    """As ISO 8601 and XML Schema write it."""
    return f"PT{timedelta(milliseconds=milliseconds).total_seconds():g}S"
