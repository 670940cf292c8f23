"""What the store keeps for the dial gate: opt-outs, grants given beside any call, decisions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from functools import partial

import aiosqlite

from callguard.core.decide import Scope
from callguard.core.model import Basis
from callguard.core.roles import Actor
from callguard.store import invalidation, lists, staged, subject_grants, subjects
from callguard.store.at_once import AtOnce
from callguard.store.dial_records import DialRecord, GrantSource, NewEnding, NewGrant, NewOptOut, OptOutSource
from callguard.store.invalidation import Defective, DefectiveGrants, DefectiveNotice
from callguard.store.queries import Transaction
from callguard.store.reader import Reader
from callguard.store.times import to_ms
from callguard.store.writer import T, Writer


class DialStore(Reader):
    """The part of a `Store` that concerns who may be called; its words on errors and times hold here too."""

    def __init__(self, reading: aiosqlite.Connection, at_once: AtOnce, writer: Writer) -> None:
        super().__init__(reading, at_once)
        self._writer = writer

    async def invalidate(
        self,
        controller: str,
        what: DefectiveNotice | DefectiveGrants,
        reason: str,
        at: datetime,
        *,
        basis: Basis | None = None,
    ) -> Defective:
        """Consents turn out to be defective: all of them end, in one transaction, and whoever is asked is asked anew.

        Who heard a defective notice has heard none. The database is locked meanwhile: for each consent in a call 0.2 ms
        of CPU, for one beside calls 0.03 ms.

        Args:
            reason: somebody's own words; evidence has their hash.
            basis: what recordings that rested on them are kept on; None where they are unlawful, and destroyed.

        Raises:
            StoreError: also where `basis` is consent.
        """
        return await self._run(
            invalidation.invalidate, controller=controller, what=what, reason=reason, at=to_ms(at), basis=basis
        )

    async def called(self, number: str, at: datetime) -> None:
        """Somebody has called one of the house's own numbers, in E.164."""
        await self._run(_called, number=number, at=to_ms(at))

    async def opt_out(
        self,
        controller: str,
        number: str,
        scope: Scope,
        at: datetime,
        source: OptOutSource,
        *,
        purpose: str | None = None,
        campaign: str | None = None,
        reason: str | None = None,
        until: datetime | None = None,
    ) -> bool:
        """The subject of a number opts out of a controller's calls.

        Args:
            number: E.164, or a block of numbers as `core.blocks` writes it; the subject is made where it is new.
            purpose: the one opted out of, for scope PURPOSE only; `campaign` likewise.
            source: ``typed_unverified`` where anybody may have typed the number.
            reason: somebody's own words.
            until: when it ends by itself; None for never.

        Returns:
            Whether something new is kept: not where an equal one is in force that lasts as long. (One that was typed
            unverified is not equal to one that is the subject's own.)

        Raises:
            StoreError: also where the controller is unknown, the number is not E.164, `until` is not after `at`, or
                `purpose` or `campaign` does not fit the scope.
        """
        return await self._run(
            subjects.opt_out,
            controller=controller,
            number=number,
            scope=scope,
            at=to_ms(at),
            source=source,
            purpose=purpose,
            campaign=campaign,
            reason=reason,
            until=None if until is None else to_ms(until),
        )

    async def opt_out_all(
        self,
        controller: str,
        opt_outs: Sequence[NewOptOut],
        at: datetime,
        source: OptOutSource,
        tell: Callable[[int], None] = lambda ready: None,
    ) -> int:
        """Many subjects opt out, all of them or none; no two of the opt-outs are the same person's of the same scope.

        The database is locked for the last step only, about 10 µs for each that is new, more in a large store: what
        others who write beside it can wait for is the caller's to bound.

        Args:
            at: now.
            tell: called with how many are ready to be added, as the work goes on.

        Returns:
            For how many of them something new is kept, as `opt_out` says it.

        Raises:
            StoreError: none is kept; why, as in `opt_out`.
        """
        steps = lists.OptOuts(controller, source, to_ms(at))
        return await staged.add(self._writer, controller, opt_outs, steps, tell)

    async def opt_in(
        self,
        controller: str,
        number: str,
        scope: Scope,
        at: datetime,
        source: OptOutSource,
        *,
        purpose: str | None = None,
        campaign: str | None = None,
        mistake: bool = False,
    ) -> bool:
        """The opt-outs of exactly this scope that are in force at a moment end then; that they were stays known.

        Source ``typed_unverified`` ends only what came by it: nobody undoes another's opt-out by typing a number.

        Args:
            mistake: it was never said: grants that it ended count again. So it is with a key, which takes back what was
                pressed in the same call.

        Returns:
            Whether one ended.
        """
        return await self._run(
            subjects.opt_in,
            controller=controller,
            number=number,
            scope=scope,
            at=to_ms(at),
            source=source,
            purpose=purpose,
            campaign=campaign,
            undone=mistake or source in ("key", subjects.UNVERIFIED),
        )

    async def grant_all(
        self,
        controller: str,
        listed: Sequence[NewGrant | NewEnding],
        at: datetime,
        source: GrantSource,
        tell: Callable[[int], None] = lambda ready: None,
    ) -> int:
        """Keep what many subjects have granted beside any call, or what ends such grants: all of it or nothing.

        What is there already, whatever became of it since, is not kept once more. The database is locked for the last
        step only, as in `opt_out_all`, and half as long again for each grant.

        Args:
            at: now.
            tell: called with how many are ready to be added, as the work goes on.

        Returns:
            How many of them are new.

        Raises:
            StoreError: none is kept: also where the controller is unknown, a number is not E.164, a purpose or its
                evidence is missing, or a time is in the future or after its end.
        """
        steps = subject_grants.Grants(controller, source, to_ms(at))
        return await staged.add(self._writer, controller, listed, steps, tell)

    async def decided(self, record: DialRecord) -> None:
        """Keep a dial decision; a second one of the same call is not kept.

        Raises:
            StoreError: also where the controller is unknown, the number is not E.164, or a call is denied by no rule.
        """
        await self._run(subjects.decided, record=record)

    async def exported(
        self,
        controller: str,
        subject_id: str,
        at: datetime,
        manifest: str,
        recordings: int,
        *,
        actor: Actor,
        purpose: str | None,
        legs: Sequence[str] = (),
    ) -> None:
        """A subject's data are handed out: evidence, before they are.

        Args:
            manifest: the SHA-256 of what was handed out, in hex.
            recordings: how many files of audio were in it.
            legs: whose recordings they are.
        """
        await self._run(
            subjects.exported,
            controller=controller,
            subject_id=subject_id,
            at=to_ms(at),
            manifest=manifest,
            recordings=recordings,
            actor=actor,
            purpose=purpose,
            legs=legs,
        )

    async def _run(self, action: Callable[..., T], /, **arguments: object) -> T:
        return await self._writer.run(partial(action, **arguments))


def _called(transaction: Transaction, number: str, at: int) -> None:
    transaction.fetch("set_called", number=number, at=at)
