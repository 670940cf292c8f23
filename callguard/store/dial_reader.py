"""What the store answers for the dial gate: opt-outs, grants given beside any call, decisions."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from datetime import datetime
from itertools import chain

from callguard.core.grants import Ending, ended
from callguard.errors import StoreError
from callguard.store import from_rows
from callguard.store.dial_records import (
    NOBODY,
    Dealings,
    KnownSubject,
    NewOptOut,
    OptOutSource,
    StoredDecision,
    StoredGrant,
    StoredOptOut,
)
from callguard.store.invalidation import Defective, DefectiveGrants, DefectiveNotice, count
from callguard.store.queries import sql
from callguard.store.questions import Questions
from callguard.store.subjects import covers
from callguard.store.times import from_ms, from_ms_or_none, to_ms


class DialReader(Questions):
    """The part of a `Reader` that concerns who may be called."""

    async def opt_outs(self, controller: str | None, number: str | None, at: datetime) -> tuple[StoredOptOut, ...]:
        """The opt-outs in force at a moment, newest first.

        Args:
            controller: None for those of all controllers.
            number: E.164, its own and those of blocks that it is in; or a block. None for everybody's, so not to be
                asked for what was dialled and is no number.
        """
        query = "opt_outs_listed" if controller is None or number is None else "opt_outs_of_number"
        rows = await self._fetch(query, controller=controller, number=number, at=to_ms(at))
        return tuple(map(from_rows.opt_out, rows))

    async def opt_outs_ever(self, controller: str | None, number: str) -> tuple[StoredOptOut, ...]:
        """As `opt_outs` of a number, those too that have ended, oldest first."""
        rows = await self._fetch("opt_outs_of_number_ever", controller=controller, number=number)
        return tuple(map(from_rows.opt_out, rows))

    async def each_opt_out(self, controller: str, at: datetime) -> AsyncGenerator[StoredOptOut, None]:
        """A controller's opt-outs in force at a moment, newest first, however many there are.

        Whoever stops before the end closes it (`contextlib.aclosing`): later, the database is closed.
        """
        parameters = {"controller": controller, "number": None, "at": to_ms(at)}
        try:
            async with self._reading.execute(sql("opt_outs_listed"), parameters) as cursor:
                async for row in cursor:
                    yield from_rows.opt_out(row)
        except sqlite3.Error as error:
            raise StoreError(f"the store cannot be read: {error}") from error

    async def standing(self, controller: str, opt_outs: Sequence[NewOptOut], at: datetime, source: OptOutSource) -> int:
        """For how many of a list, in which each is there once, `Store.opt_out_all` would keep nothing new."""
        listed = {(one.number, one.scope, one.purpose, one.campaign): one for one in opt_outs}
        found = set()
        async with aclosing(self.each_opt_out(controller, at)) as all_there:
            async for there in all_there:
                what = (there.number, there.scope, there.purpose, there.campaign)
                if (one := listed.get(what)) and covers(there.source, there.until, source, one.until):
                    found.add(what)
        return len(found)

    async def known(self, controller: str, number: str, now: datetime, since: datetime | None) -> KnownSubject:
        """What is known of a number before it is dialled, each newest first.

        Opt-outs are those that have not ended. Nobody opts out from a later day on: one that begins after `now` was
        made before a clock was set back. Grants are as with `grants_of`, the rest as with `looked_back`.

        Args:
            since: None to look for no earlier calls and refusals.
        """
        if not await self._fetch_at_once("may_be_known", controller=controller, number=number):
            return NOBODY
        rows = await self._fetch_at_once(
            "known_of_number", controller=controller, number=number, at=to_ms(now),
            since=None if since is None else to_ms(since),
        )  # fmt: skip
        return from_rows.known_subject(rows) if rows else NOBODY

    async def last_called(self, number: str) -> datetime | None:
        """When somebody last called one of the house's own numbers, as far as it was noted; None for never."""
        rows = await self._fetch_at_once("called", number=number)
        return from_ms(rows[0]["called_at"]) if rows else None

    async def grants_of(self, controller: str, number: str) -> tuple[StoredGrant, ...]:
        """What the subject of a number in E.164 has granted a controller beside any call, newest first.

        Each is there with what ended it: a withdrawal, a suspension, or an opt-out, though that may be over.
        """
        rows = await self._fetch("subject_grants_of_number", controller=controller, number=number)
        if not rows:
            return ()
        ending = await self._fetch("endings_of_number", controller=controller, number=number)
        all_of_them = tuple(chain.from_iterable(map(from_rows.endings, ending)))
        return tuple(ended(from_rows.subject_grant(row), all_of_them) for row in rows)

    async def grants(self, controller: str | None, number: str | None) -> tuple[StoredGrant, ...]:
        """As `grants_of`, of all controllers where `controller` is None, of all numbers where `number` is None."""
        rows = await self._fetch("subject_grants_listed", controller=controller, number=number)
        by_subject: dict[str, list[Ending]] = {}
        for row in await self._fetch("endings_listed") if rows else ():
            by_subject.setdefault(row["subject_id"], []).extend(from_rows.endings(row))
        return tuple(ended(from_rows.subject_grant(row), by_subject.get(row["subject_id"], ())) for row in rows)

    async def defective(self, controller: str, what: DefectiveNotice | DefectiveGrants) -> Defective:
        """How many consents `Store.invalidate` would end, and how many recordings rest on them."""
        return count(await self._fetch(what.query, controller=controller, **what.asked), what)

    async def notices_known(self, controller: str) -> dict[str, str]:
        """Which version of the controller's notice each number knows, by the last that they heard whole, if any."""
        rows = await self._fetch("last_notices", controller=controller)
        return {row["number"]: row["knows"] for row in rows if row["knows"] is not None}

    async def notice_known_of_leg(self, leg_id: str) -> str | None:
        """As `notices_known`, of a leg's subject."""
        return next((row["knows"] for row in await self._fetch("last_notice_of_leg", leg_id=leg_id)), None)

    async def looked_back(
        self, controller: str, number: str, since: datetime
    ) -> tuple[tuple[datetime, ...], tuple[datetime, ...]]:
        """When a number was allowed to be called for marketing, and when it was opted out, after a moment.

        An opt-out that has ended is there too: it was a refusal.
        """
        rows = await self._fetch("looked_back", controller=controller, number=number, since=to_ms(since))
        attempts = tuple(from_ms(row["attempt"]) for row in rows if row["attempt"] is not None)
        refusals = tuple(from_ms(row["refusal"]) for row in rows if row["refusal"] is not None)
        return attempts, refusals

    async def decision(self, call_id: str) -> StoredDecision | None:
        """The dial decision that a call id names, or None where it names none."""
        rows = await self._fetch("decision_of_call", call_id=call_id)
        return from_rows.decision(rows[0]) if rows else None

    async def decisions(self, limit: int) -> tuple[StoredDecision, ...]:
        """The latest dial decisions, newest first."""
        return tuple(map(from_rows.decision, await self._fetch("latest_decisions", limit=limit)))

    async def was_allowed(self, number: str, since: datetime, until: datetime) -> bool:
        """Whether a dial of a number in E.164 was allowed in that time, whoever dialled it."""
        return bool(await self._fetch("was_allowed", number=number, since=to_ms(since), until=to_ms(until)))

    async def dealings(self, controller: str | None, number: str) -> Dealings:
        """All that a number in E.164 is known by, oldest first; of all controllers where `controller` is None."""
        asked = {"controller": controller, "number": number}
        first = (await self._fetch("first_kept", controller=controller))[0]["first"]
        return Dealings(
            from_ms_or_none(first),
            tuple(map(from_rows.decision, await self._fetch("decisions_of_number", **asked))),
            tuple(map(from_rows.leg, await self._fetch("legs_of_number", **asked))),
            await self.opt_outs_ever(controller, number),
            tuple(reversed(await self.grants(controller, number))),
        )

    async def count_decisions(self, since: datetime) -> int:
        """How many dial decisions were made from a moment on."""
        ((count,),) = await self._fetch("count_decisions", since=to_ms(since))
        return int(count)

    async def each_decision(self, since: datetime) -> AsyncGenerator[tuple[StoredDecision, str | None], None]:
        """The dial decisions from a moment on, oldest first, each with the number while that is known.

        Whoever stops before the end closes it, as with `each_opt_out`.
        """
        try:
            async with self._reading.execute(sql("decisions_since"), {"since": to_ms(since)}) as cursor:
                async for row in cursor:
                    yield from_rows.decision(row), row["number"]
        except sqlite3.Error as error:
            raise StoreError(f"the store cannot be read: {error}") from error
