"""What people ask for by right, and what is done then: for commands and for a console alike.

Nothing here writes to a screen. Who may do it is for those who call it to know; that it may be done now, by what is
known of who asks and by approval, is known here (`core.requests`).
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from typing import Any

from callguard.config import Config
from callguard.core.decide import Scope
from callguard.core.grants import counts
from callguard.core.model import Basis, GrantState
from callguard.core.requests import AT_ONCE, Impossible, Proof, Right, State, Step, Via, after
from callguard.core.roles import Actor
from callguard.errors import Denied, InputError
from callguard.rights import erasure
from callguard.store.dial_records import NewEnding
from callguard.store.right_records import StoredRequest
from callguard.store.rights_reader import RightsReader
from callguard.store.store import Store

HANDED_OUT = frozenset({Right.ACCESS, Right.PORTABILITY})
"""What is run by handing a file out (`rights.handing`)."""


async def find(reader: RightsReader, request_id: str) -> StoredRequest:
    """A request. Raises: InputError, where there is none of this id."""
    found = await reader.request(request_id)
    if found is None:
        raise InputError("there is no such request: see `callguard request list`", field="REQUEST")
    return found


def allow(request: StoredRequest, step: Step) -> None:
    """Whether a request takes a step now. Raises: Denied, with what comes first."""
    try:
        after(request.right, request.state, step)
    except Impossible as error:
        raise Denied(str(error)) from error


async def at_once(
    store: Store,
    controller: str,
    number: str,
    right: Right,
    via: Via,
    now: datetime,
    proofs: Collection[Proof],
    *,
    call_id: str | None = None,
    reason: str | None = None,
    actor: Actor | None = None,
) -> str:
    """An objection or a withdrawal: received, believed and done (Art. 21(3), 7(3)). Returns: the request's id."""
    request_id, _ = await store.open_request(
        controller, number, right, via, now, call_id=call_id, reason=reason, actor=actor
    )
    request = await find(store, request_id)
    if request.state is State.OPEN:
        await store.move_request(request_id, Step.IDENTIFY, now, proofs=proofs, actor=actor)
    await _do(store, request, now, actor)
    await store.move_request(request_id, Step.RUN, now, actor=actor)
    return request_id


async def plan(reader: RightsReader, settings: Config, request: StoredRequest, now: datetime) -> dict[str, Any]:
    """What would be done or handed out, as JSON names it; nothing is done."""
    said: dict[str, Any] = {"request": request.request_id, "right": request.right}
    if request.right is Right.ERASURE:
        return said | await plan_erasure(reader, settings, request.subject_id, now)
    if request.right is Right.RECTIFICATION:
        return said | {"corrections": len(request.corrections)}
    if request.right is Right.RESTRICTION:
        return said | {"recordings": len(await reader.recordings_to_restrict(request.subject_id))}
    number = _number(request)
    if request.right in HANDED_OUT:
        (one,) = await reader.subjects(request.controller, number)
        kept = [leg.detail.recording for leg in one.legs if leg.detail.recording is not None]
        return said | {
            "calls": len(one.legs),
            "recordings": sum(recording.state == "kept" for recording in kept),
            "files": [file.name for recording in kept if recording.state == "kept" for file in recording.files],
            "opt_outs": len(one.opt_outs),
            "grants": len(one.grants),
            "decisions": len(one.decisions),
        }
    return said | {"grants": len(await _consents(reader, request.controller, number, now))}


async def plan_erasure(reader: RightsReader, settings: Config, subject_id: str, now: datetime) -> dict[str, Any]:
    """What an erasure would do, as JSON names it, and which requests of the person stand in its way or end with it.

    Raises: InputError, StoreError.
    """
    planned = await erasure.plan(reader, settings, subject_id, now)
    pending = await _pending(reader, planned.about.controller, planned.about.number)
    return planned.as_json() | {
        "requests_in_the_way": [_named(one) for one in pending if _is_in_the_way(one)],
        "requests_closed": [_named(one) for one in pending if one.right is Right.ERASURE],
    }


async def run(
    store: Store, settings: Config, request: StoredRequest, now: datetime, actor: Actor | None = None
) -> erasure.Outcome | int:
    """Do what was asked for, but hand nothing out.

    Args:
        actor: who does it.

    Returns:
        Of an erasure what it came to, else how much was done: corrections, recordings, opt-outs, grants.

    Raises:
        Denied: it may not be done, or not now; nothing is done.
        InputError, SetupError, StoreError: as an erasure does.
    """
    allow(request, Step.RUN)
    if request.right is Right.ERASURE:
        await _no_other_is_pending(store, request)
        came_to = await erasure.erase(store, settings, request.subject_id, now, request_id=request.request_id)
        await store.move_request(request.request_id, Step.RUN, now, actor=actor)
        return came_to
    done = await _do(store, request, now, actor)
    await store.move_request(request.request_id, Step.RUN, now, actor=actor)
    return done


async def _do(store: Store, request: StoredRequest, now: datetime, actor: Actor | None) -> int:
    match request.right:
        case Right.RECTIFICATION:
            return await store.correct(request.request_id, now)
        case Right.RESTRICTION:
            recordings = await store.recordings_to_restrict(request.subject_id)
            for call_id, leg_id in recordings:
                why = f"restriction, request {request.request_id}"
                await store.hold(call_id, why, now, leg_id=leg_id, actor=actor)
            return len(recordings)
        case Right.OBJECTION:
            return int(await store.opt_out(request.controller, _number(request), Scope.MARKETING, now, "request"))
        case Right.WITHDRAWAL:
            number = _number(request)
            endings = [
                NewEnding(number, GrantState.WITHDRAWN, purpose, "request")
                for purpose in await _consents(store, request.controller, number, now)
            ]
            return await store.grant_all(request.controller, endings, now, "command") if endings else 0
        case _:
            raise ValueError(f"{request.right} is not done here")


async def _consents(reader: RightsReader, controller: str, number: str, now: datetime) -> list[str]:
    """The purposes that somebody's consents beside any call stand for."""
    grants = await reader.grants_of(controller, number)
    return sorted({one.purpose for one in grants if one.basis is Basis.CONSENT and counts(one, now)})


async def _no_other_is_pending(reader: RightsReader, request: StoredRequest) -> None:
    """What somebody is to get cannot be handed out once it is erased."""
    waiting = list(filter(_is_in_the_way, await _pending(reader, request.controller, request.number)))
    if waiting:
        listed = ", ".join(f"{one.right} {one.request_id}" for one in waiting)
        raise Denied(f"others of this person are pending, and cannot be answered once they are erased: {listed}")


async def _pending(reader: RightsReader, controller: str, number: str | None) -> tuple[StoredRequest, ...]:
    return () if number is None else await reader.requests(controller, number, pending=True)


def _is_in_the_way(request: StoredRequest) -> bool:
    """Of an erasure, of which no two are pending."""
    return request.right is not Right.ERASURE and request.right not in AT_ONCE


def _named(request: StoredRequest) -> dict[str, Any]:
    return {
        "request": request.request_id, "right": request.right, "state": request.state,
        "due_at": request.due_at.isoformat(),
    }  # fmt: skip


def _number(request: StoredRequest) -> str:
    if request.number is None:
        raise Denied("the person is erased: there is nothing left to do it with")
    return request.number
