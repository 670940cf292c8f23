"""From a leg's record to the rows that keep it."""

from __future__ import annotations

import re
import secrets
from collections.abc import Mapping

import uuid_utils

from callguard.core.blocks import Block
from callguard.core.evidence import SALT_BYTES, Kind, Value, entry
from callguard.core.model import Answer, GrantState, Heard, Purpose, Told
from callguard.store.queries import Row
from callguard.store.records import LegRecord
from callguard.store.times import to_ms
from callguard.store.writer import Rows

_E164 = re.compile(r"\+[1-9][0-9]{1,14}", re.ASCII)


def leg_rows(record: LegRecord, folder: str | None = None) -> Rows:
    """The rows of a leg.

    Args:
        folder: of its recording's files, as Asterisk names it.

    Raises:
        ValueError: the record contradicts itself, or its number is not E.164. The text names no number.
    """
    given = {answer.purpose.id for answer in record.answers if answer.state is GrantState.GIVEN}
    if not given.issuperset(record.granted):
        raise ValueError("a purpose is granted that no answer gave")
    if record.recording and not (record.file and record.granted and given == set(record.granted)):
        raise ValueError("a recording needs a file, and serves the purposes that were given, one at least")
    subject = new_subject(record.controller, record.number)
    started_at, saved_at = to_ms(record.started_at), to_ms(record.saved_at)
    leg: Row = {
        "leg_id": record.leg_id,
        "call_id": record.call_id,
        "channel": record.channel,
        "linkedid": record.linkedid,
        "profile": record.profile,
        "language": record.language,
        "direction": record.direction,
        "started_at": started_at,
        "saved_at": saved_at,
        "outcome": record.outcome.value,
        "granted": ",".join(record.granted),
        "recording": int(record.recording),
        "file": record.file,
        "files": record.files,
        "folder": folder,
        "language_chosen": int(record.language_chosen),
    }
    return {
        "add_subject": (subject,),
        "add_leg": ({**leg, **subject},),
        "add_grant": tuple(
            grant_row(
                record.leg_id,
                answer.purpose,
                answer.state,
                saved_at,
                reason=answer.reason,
                notice_version=record.notice_version,
            )
            for answer in record.answers
        ),
        "add_informed": informed_rows(record.leg_id, record.told, record.knows, saved_at),
        "add_evidence": (
            evidence_row(
                Kind.GATE,
                saved_at,
                leg_id=record.leg_id,
                call_id=record.call_id,
                controller=record.controller,
                profile=record.profile,
                language=record.language,
                direction=record.direction,
                started_at=started_at,
                heard=tuple(map(heard_value, record.heard)),
                answers=tuple(map(_answer, record.answers)),
                early_keys=record.early_keys,
                outcome=record.outcome,
                granted=record.granted,
                recording=record.recording,
            ),
            *_informed_proof(record, saved_at),
        ),
    }


def new_subject(controller: str, number: str | None) -> Row:
    """The row of a subject who may be new.

    Raises:
        ValueError: the number is not E.164. The text does not name it.
    """
    # "anonymous" and the like as a number would make one person of all who withhold theirs.
    if number is not None and not _E164.fullmatch(number):
        raise ValueError("the number is not E.164")
    return {"subject_id": str(uuid_utils.uuid4()), "controller": controller, "number": number}


def new_opted_out(controller: str, number: str) -> Row:
    """The row of who opts out and may be new: the subject of a number, or a block (`core.blocks`).

    Raises:
        ValueError: it is neither. The text does not name it.
    """
    if Block.of(number) is None:
        return new_subject(controller, number)
    return {"subject_id": str(uuid_utils.uuid4()), "controller": controller, "number": number}


def block_rows(controller: str, subject_id: str, number: str) -> tuple[Row, ...]:
    """By what a block is looked up; nothing for a number."""
    if (block := Block.of(number)) is None:
        return ()
    found: Row = {"controller": controller, "subject_id": subject_id, "number_length": block.number_length}
    return tuple({**found, "prefix": prefix, "prefix_length": len(prefix)} for prefix in block.prefixes)


def grant_row(
    leg_id: str, purpose: Purpose, state: GrantState, at: int, *, reason: str, notice_version: str | None = None
) -> Row:
    """A line of a purpose's history on a leg."""
    return {
        "leg_id": leg_id,
        "purpose": purpose.id,
        "basis": purpose.basis.value,
        "state": state.value,
        "valid_from": at,
        "reason": reason,
        "notice_version": notice_version,
    }


def informed_rows(leg_id: str, told: tuple[Told, ...], knows: str | None, at: int) -> tuple[Row, ...]:
    """What a subject was informed of on a leg, a row for each sound."""
    return tuple(
        {
            "leg_id": leg_id,
            "language": one.heard.prompt.language,
            "form": one.form.value,
            "version": one.heard.prompt.version,
            "sha256": one.heard.prompt.sha256["wav"],
            "length_ms": one.heard.prompt.length_ms,
            "heard_ms": one.heard.heard_ms,
            "whole": int(one.whole),
            "continues": one.continues or None,
            "knows": knows,
            "at": at,
        }
        for one in told
    )


def told_value(one: Told) -> Value:
    """What was told, as evidence has it; the short form says why, and which call it continues."""
    said: dict[str, Value] = {"form": one.form, "whole": one.whole}
    if one.continues:
        said |= {"reason": "continuation", "continues": one.continues}
    return heard_value(one.heard) | said


def _informed_proof(record: LegRecord, at: int) -> tuple[Row, ...]:
    if not record.told:
        return ()
    return (
        evidence_row(
            Kind.INFORMED,
            at,
            leg_id=record.leg_id,
            call_id=record.call_id,
            controller=record.controller,
            profile=record.profile,
            knows=record.knows,
            told=tuple(map(told_value, record.told)),
        ),
    )


def evidence_row(kind: Kind, at: int, *, leg_id: str, call_id: str, controller: str, **fields: Value) -> Row:
    """A row of evidence, with a salt of its own.

    Raises:
        ValueError: a field has no canonical form.
    """
    return {"leg_id": leg_id, **_proof(kind, at, controller, leg=leg_id, call=call_id, **fields)}


def subject_evidence_row(kind: Kind, at: int, *, controller: str, subject_id: str | None, **fields: Value) -> Row:
    """A row of evidence of what is no leg's, with a salt of its own. Whose it is stands in the row, not in the entry.

    Raises:
        ValueError: a field has no canonical form.
    """
    call = fields.get("call")
    named: Row = {"subject_id": subject_id, "call_id": call if isinstance(call, str) else None}
    return {**named, **_proof(kind, at, controller, **fields)}


def incident_body(
    incident_id: str,
    kind: str,
    at: int,
    detail: Mapping[str, Value],
    leg_id: str | None,
    call_id: str | None,
    controller: str | None,
) -> bytes:
    """The entry of an incident.

    Raises:
        ValueError: its detail has no canonical form.
    """
    return entry(
        Kind.INCIDENT,
        at,
        salt=secrets.token_bytes(SALT_BYTES),
        incident=incident_id,
        what=kind,
        detail=detail,
        leg=leg_id,
        call=call_id,
        controller=controller,
    )


def without_numbers(facts: Mapping[str, Value]) -> Mapping[str, Value]:
    """A decision's facts as its entry has them: that a number of the house's own was shown, and not which one."""
    shown = facts.get("caller_id")
    if not isinstance(shown, Mapping):
        return facts
    return {**facts, "caller_id": {name: value for name, value in shown.items() if name != "number"}}


def _proof(kind: Kind, at: int, controller: str, **fields: Value) -> Row:
    body = entry(kind, at, salt=secrets.token_bytes(SALT_BYTES), controller=controller, **fields)
    return {"controller": controller, "kind": kind.value, "at": at, "body": body.decode()}


def _answer(answer: Answer) -> Value:
    return {
        "purpose": answer.purpose.id,
        "basis": answer.purpose.basis,
        "state": answer.state,
        "key": answer.key,
        "reason": answer.reason,
    }


def heard_value(heard: Heard) -> dict[str, Value]:
    """How much of which sound was heard, as evidence has it."""
    prompt = heard.prompt
    return {
        "prompt": prompt.id,
        "language": prompt.language,
        "version": prompt.version,
        "sha256": prompt.sha256,
        "length_ms": prompt.length_ms,
        "heard_ms": heard.heard_ms,
    }
