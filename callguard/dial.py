"""Before a number is dialled: the facts from the store and the national lists, the decision from the core.

Both are on disk before the answer.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import UTC, datetime
from weakref import WeakValueDictionary

import structlog
import uuid_utils

from callguard.callbacks import Callbacks
from callguard.core.decide import Decision, Facts, Kind
from callguard.core.grants import limited
from callguard.current import Current
from callguard.errors import StoreError
from callguard.metrics import Metrics
from callguard.numbers import to_e164
from callguard.policies.load import Lawbook
from callguard.registry.lists import Lists
from callguard.sections import Profile
from callguard.store import Store
from callguard.store.dial_records import DialRecord

log = structlog.get_logger()

NO_PROFILE = "profile.unknown"
FAILED = "gate.failed"
BEHIND = "store.behind"


async def _all() -> bool:
    return True


class Dial:
    """Decides for the profiles of a configuration. Whatever goes wrong, the answer is no.

    Args:
        continued: whether the store knows all that it ever knew: one that is older has forgotten opt-outs.
    """

    def __init__(
        self, current: Current, store: Store, metrics: Metrics, lists: Lists,
        continued: Callable[[], Awaitable[bool]] = _all,
    ) -> None:  # fmt: skip
        self._current = current
        self._store = store
        self._metrics = metrics
        self._lists = lists
        self._continued = continued
        self._turns: WeakValueDictionary[tuple[str, str | None], asyncio.Lock] = WeakValueDictionary()
        self.callbacks = Callbacks(current, store)

    async def decide(self, profile: str, written: str, shown: str | None = None) -> Decision:
        """Whether the number, as it is about to be dialled, may be called now for this profile.

        Args:
            shown: the number that the callee will see; empty where it is withheld, None where that is not known.
        """
        decision = await self._decide(profile, written, shown)
        self._count(profile, decision)
        return decision

    def deny(self, profile: str, rule: str) -> Decision:
        """A no without a look at anything, as the gate cannot attend to it; nothing of it is kept."""
        decision = Decision(allow=False, rules=(rule,))
        self._count(profile, decision)
        return decision

    def _count(self, profile: str, decision: Decision) -> None:
        known = profile if profile in self._current.config.profiles else "none"
        self._metrics.dials.labels(known, decision.rule).inc()

    async def _decide(self, profile: str, written: str, shown: str | None) -> Decision:
        settings = self._current.config.profiles.get(profile)
        if settings is None:
            log.error("a dial names no profile of the configuration and is denied", profile=named(profile))
            return Decision(allow=False, rules=(NO_PROFILE,))
        call_id = str(uuid_utils.uuid7())
        if not await self._continued():
            log.error("a dial is denied: whether the store is the one that was signed last is not sure", call=call_id)
            return Decision(allow=False, rules=(BEHIND,))
        try:
            # What the law counts has to be counted: two dials of one number at the same time are one after the other.
            number = to_e164(written, settings.region)
            async with self._turns.setdefault((settings.controller, number), asyncio.Lock()):
                facts, decision = await self.weigh(settings, number, shown)
                await self._store.decided(DialRecord.of(call_id, settings.controller, profile, facts, decision))
        except StoreError as error:
            log.error("a dial is denied: what the store knows cannot be asked", call=call_id, problem=str(error))
            return Decision(allow=False, rules=(FAILED,))
        except Exception:  # one call's fault is no other call's, and no reason to dial
            log.exception("a dial is denied: it cannot be decided", call=call_id)
            return Decision(allow=False, rules=(FAILED,))
        log.info("dial decided", call=call_id, allow=decision.allow, rule=decision.rule)
        return decision

    async def weigh(self, settings: Profile, number: str | None, shown: str | None) -> tuple[Facts, Decision]:
        """The decision and the facts that it was made from; nothing is kept of either.

        Args:
            number: in E.164; None where what was dialled is no number.

        Raises: StoreError.
        """
        book = self._current.book
        facts = await self._facts(settings, number, shown, book)
        return facts, book.law.decide(facts)

    async def _facts(self, settings: Profile, number: str | None, shown: str | None, book: Lawbook) -> Facts:
        now = datetime.now(UTC)
        caller_id, callback = await self.callbacks.shown(settings, shown)
        if number is None:
            return Facts(
                None, settings.calls, settings.purpose_of_calls, settings.campaign, now, (), (), caller_id=caller_id,
                callback=callback,
            )  # fmt: skip
        # A grant is for a purpose: a call that has none rests on none.
        purpose = settings.purpose_of_calls
        place, config = book.places.of(number), self._current.config
        kind = Kind(settings.calls, purpose, settings.law_of_caller, place.country, place.areas, now.date())
        back = book.law.looks_back(kind)
        known = await self._store.known(settings.controller, number, now, now - back if back else None)
        facts = Facts(
            number, settings.calls, purpose, settings.campaign, now, known.opt_outs,
            await self._lists.say(config, settings.calls, settings.controller, number),
            grants=() if purpose is None else limited(known.grants, settings.consent_lasts),
            needs_basis=settings.basis is not None,
            place=place,
            caller_country=settings.law_of_caller,
            agent_first=settings.agent_first,
            attempts=known.attempts,
            refusals=known.refusals,
            caller_id=caller_id,
            staff=number in config.paths.staff,
            callback=callback,
            looked_back=back,
        )  # fmt: skip
        # Of a clock that was set back, the latest that is known.
        at = max([now, *(one.since for one in facts.opt_outs), *(one.ended_at for one in facts.grants if one.ended_at)])
        if at > now:
            facts = replace(facts, at=at)
            back = book.law.looks_back(facts.kind)
            then = await self._store.known(settings.controller, number, now, at - back if back else None)
            facts = replace(facts, attempts=then.attempts, refusals=then.refusals, looked_back=back)
        return facts


def named(profile: str) -> str:
    """What a dialplan gave for a profile, as far as it may be shown: a number in its place may not."""
    return profile if re.fullmatch(r"[a-z][a-z_]{0,39}[0-9]{0,3}", profile) else "(no name)"
