"""What happens in conversations is carried out: of each one thing after another, of several at once."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Mapping
from contextlib import suppress
from typing import Any, NoReturn

import structlog

from callguard.core import conversation
from callguard.core.conversation import Begin, Conversation, Met, Unwatched
from callguard.errors import Disconnected, Refused, StoreError
from callguard.parties import Parties
from callguard.segments import Segments
from callguard.store.times import from_ms
from callguard.talk import EVER, Company, HoldsMissed, Talk
from callguard.telephony import ami
from callguard.telephony.bridges import Bridges

log = structlog.get_logger()


class Work:
    """Carries it out on Asterisk and in the store.

    Args:
        legs: the legs that are followed, by channel.

    Attributes:
        session: the manager session, while there is one; without it nothing can be stopped or begun.
    """

    def __init__(self, segments: Segments, parties: Parties, bridges: Bridges, legs: Mapping[str, Talk]) -> None:
        self._segments = segments
        self._parties = parties
        self._bridges = bridges
        self._legs = legs
        self._group: asyncio.TaskGroup | None = None
        self.session: ami.Session | None = None

    async def keep_working(self) -> NoReturn:
        """For as long as the service runs."""
        async with asyncio.TaskGroup() as self._group:
            await asyncio.Event().wait()
        raise AssertionError  # cancelled only

    def start(self, work: Coroutine[Any, Any, None]) -> None:
        """Carry out something else beside the conversations."""
        if self._group is None:
            work.close()
        else:
            self._group.create_task(work)

    def go_on(self, talk: Talk) -> None:
        """Carry out what waits in a conversation, where nothing is being carried out."""
        if talk.waiting and talk.idle and self.session is not None and self._group is not None:
            talk.work = self._group.create_task(self._work_off(talk))

    async def _work_off(self, talk: Talk) -> None:
        """What cannot be done now stays first, for the next session."""
        try:
            while talk.waiting and (session := self.session) is not None:
                what = talk.waiting[0]
                if isinstance(what, HoldsMissed):
                    await self._segments.holds_missed(talk, what)
                    talk.waiting.popleft()
                    continue
                persons: frozenset[str] = frozenset()
                if isinstance(what, Company):
                    strangers, persons = await self._who(session, talk, what)
                    what = Met(what.others, strangers, what.at)
                state, orders = conversation.step(talk.state, what)
                if talk.state.running is None and state.running is None:
                    persons = frozenset()
                for order in orders:
                    if isinstance(
                        order, Begin
                    ):  # nothing is captured before it is known of whom; no end waits for that
                        await self._segments.heard_beside(talk, persons, what.at)
                    await self._segments.carry_out(session, talk, order, what.at)
                await self._segments.heard_beside(talk, persons, what.at)
                if isinstance(what, Unwatched):
                    if talk.missed is not None or state.running == what.segment:
                        await self._segments.kept_unwatched(talk, what)
                    talk.missed = None
                unseen = talk.began_at is None and talk.unwatched_since is None
                if isinstance(what, Met) and what.company and unseen and what.at > EVER:
                    talk.began_at = from_ms(what.at)  # of what Asterisk started by itself
                talk.state = state
                if talk.waiting:  # the call may be over by now
                    talk.waiting.popleft()
        except Disconnected:
            pass
        except StoreError as error:
            log.error("what happened in a call is not saved, trying again", leg=talk.leg_id, problem=str(error))
        except Exception:
            log.exception("a conversation failed: its recording is stopped", leg=talk.leg_id)
            talk.waiting.clear()
            talk.state = Conversation(wanted=False, begun=talk.state.begun)
            if self.session is not None:
                with suppress(Disconnected):
                    await self._segments.stop(self.session, talk)

    async def _who(self, session: ami.Session, talk: Talk, company: Company) -> tuple[frozenset[str], frozenset[str]]:
        """Those who may not be recorded; and of those who may, the persons who are not of the house: by the id of their
        leg, or of their channel where another gate has asked them.
        """
        may: dict[str, bool | None] = {}
        persons: set[str] = set()
        for one in company.others:
            may[one] = await self._may_be_recorded(session, talk, one)
            leg = self._legs.get(one)
            if may[one] and (leg is not None or not self._parties.is_inside(one, self._bridges.name(one))):
                persons.add(one if leg is None else leg.leg_id)
        unknown = {one for one, allowed in may.items() if allowed is None}
        if unknown and company.at == EVER and await _is_over(session, talk):
            # As of the calls that ended while nobody watched, of which this is the last.
            unknown = set()
        strangers = frozenset(unknown | {one for one, allowed in may.items() if allowed is False})
        return strangers, frozenset(persons)

    async def _may_be_recorded(self, session: ami.Session, talk: Talk, channel: str) -> bool | None:
        """Whether a party has given all that the recording is for, or is no leg of ours and may be all the same; None
        for one that is gone, of whom nobody knows.
        """
        if (leg := self._legs.get(channel)) is not None:
            return talk.granted <= leg.granted
        return await self._parties.may_be_recorded(session, talk, channel, self._bridges.name(channel))


async def _is_over(session: ami.Session, talk: Talk) -> bool:
    try:
        await session.variable(talk.channel, ami.LEG)
    except Refused:
        return True
    return False
