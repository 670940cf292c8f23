"""Who may do and read what here: asked by commands and by a console alike, each with the actor that it knows.

What is read is committed before it is shown; what is denied is committed too, and nothing is shown.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from typing import TYPE_CHECKING

from callguard.core.access import THOUGH_RESTRICTED, Read, why_not
from callguard.core.evidence import Kind
from callguard.core.roles import Actor, Role, in_words, may, who_may
from callguard.errors import Denied, InputError

if TYPE_CHECKING:
    from callguard.config import Config
    from callguard.store.access_store import AccessStore

HELD = "it is restricted (GDPR Art. 18)"


def refusal(actor: Actor, action: str) -> str | None:
    """Why somebody may not do something, with the roles that may; None where they may."""
    if may(actor, action):
        return None
    return f"{actor.known_as} may not; {in_words(who_may(action))} may"


def said(actor: Actor, action: str, why: str) -> str:
    """A denial, in a line for whoever asked."""
    return f"{action}: denied to {actor.name}: {why}"


async def read(
    store: AccessStore, settings: Config, actor: Actor, action: str, purpose: str | None, what: Read, at: datetime
) -> None:
    """See that somebody may read personal data, and keep that they do. What is read is shown after it, not before.

    Raises:
        InputError: no purpose is said where roles are in force.
        Denied: they may not, or not for this; that is kept.
        StoreError: it could not be kept.
    """
    if why := may_not_read(settings, actor, action, purpose):
        await deny(store, actor, action, purpose, why, at)
    await store.accessed(actor, at, action, purpose, what)


def may_not_read(settings: Config, actor: Actor, action: str, purpose: str | None) -> str | None:
    """Why somebody may not read personal data for this; None where they may.

    Raises:
        InputError: no purpose is said where roles are in force.
    """
    _must_say(settings, actor, purpose)
    return refusal(actor, action) or why_not(actor, action, purpose, settings.access.purposes)


async def hear(
    store: AccessStore,
    settings: Config,
    actor: Actor,
    action: str,
    purpose: str | None,
    leg_id: str,
    own: Collection[str],
    at: datetime,
    to: str | None = None,
) -> None:
    """As `read`, of a recording's sound.

    Args:
        action: ``recordings play`` or ``recordings export``.
        own: its purposes whose basis stands.
        to: who is to have it, where it is not the controller itself.
    """
    _must_say(settings, actor, purpose)
    purposes = settings.access.purposes
    held = await store.is_held(leg_id, at)
    why = refusal(actor, action) or why_not(actor, action, purpose, purposes, own=own, restricted=held)
    kind = Kind.RECORDING_PLAYED if action == "recordings play" else Kind.RECORDING_EXPORTED
    if why:
        await deny(store, actor, action, purpose, why, at, leg_id)
    elif not await store.heard(
        kind, leg_id, actor, at, action, purpose, though_held=though_held(actor, purpose), to=to
    ):
        await deny(store, actor, action, purpose, HELD, at, leg_id)  # since this very moment


def though_held(actor: Actor, purpose: str | None) -> bool:
    """Whether a held recording may be used for it too (GDPR Art. 18(2))."""
    return purpose in THOUGH_RESTRICTED and (actor.roles is None or Role.OFFICER in actor.roles)


def _must_say(settings: Config, actor: Actor, purpose: str | None) -> None:
    """Where roles are in force, nobody reads for nothing.

    Raises:
        InputError: no purpose is said.
    """
    if purpose is None and actor.roles is not None:
        there_are = ", ".join(sorted(settings.access.purposes))
        raise InputError(f"say for what, such as access_request; there are: {there_are}", field="--for")


async def deny(
    store: AccessStore,
    actor: Actor,
    action: str,
    purpose: str | None,
    why: str,
    at: datetime,
    leg_id: str | None = None,
) -> None:
    """Keep that somebody may not. Raises: Denied, always; StoreError, where it could not be kept."""
    await store.denied(actor, at, action, purpose, why, leg_id)
    raise Denied(said(actor, action, why))
