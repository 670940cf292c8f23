"""Somebody is erased (GDPR Art. 17): first what would go and what stays, then it is done, whole, or begun again.

The order is crash-safe: that they are to be erased is on the disk beside the store; then their recordings are
destroyed, one after another; then one transaction empties the rest. Broken off anywhere, the request is run again.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from callguard.config import Config
from callguard.core.provisions import ProofRetention
from callguard.core.requests import due
from callguard.core.retention import Trigger
from callguard.errors import Denied, InputError, SetupError
from callguard.policies.load import load as load_law
from callguard.rights import tombstones
from callguard.rights.beyond import Beyond, beyond
from callguard.store.erasure import RUNNING
from callguard.store.records import DueRecording
from callguard.store.right_records import Erased, ProofKept, ToErase
from callguard.store.rights_reader import RightsReader
from callguard.store.store import Store
from callguard.telephony.recording import Recordings

TOLD = (
    "What was kept about you is erased. So that you are not called for advertising again, your number stays in one "
    "list that serves nothing else (Art. 17(3)(b), 21(3) GDPR); tell us if you want to be taken off it."
)
TOLD_PROOF = (
    "The proof of your consent to advertising has to be kept by law until {until:%Y-%m-%d}; it is locked until then, "
    "and erased after it (Art. 17(3)(b), 18 GDPR)."
)
TOLD_HELD = "{count} of your recordings are locked for a legal claim and are erased when it ends (Art. 17(3)(e) GDPR)."
TOLD_COMPLAINT = "You may complain to the data protection authority, and go to court (Art. 12(4) GDPR)."


@dataclass(frozen=True, slots=True)
class Plan:
    """What an erasure would do.

    Attributes:
        recordings: the legs whose recordings would be destroyed, each with its files.
        held: calls whose recordings a hold keeps.
        set_aside: calls whose recordings were set aside for somebody to look into: files that callguard leaves alone.
        running: calls that are being recorded; nothing is erased while there are any.
        proof: what a law has kept of consents.
        locked: what it has kept since an erasure before, of the same number.
        beyond: what callguard does not reach.
    """

    about: ToErase
    recordings: tuple[DueRecording, ...]
    held: tuple[str, ...]
    set_aside: tuple[str, ...]
    running: tuple[str, ...]
    proof: ProofKept | None
    locked: tuple[ProofKept, ...]
    beyond: tuple[Beyond, ...]

    @property
    def proof_stays(self) -> ProofKept | None:
        """What is kept for longest once it is done."""
        return max((*self.locked, *([self.proof] if self.proof else [])), key=lambda one: one.until, default=None)

    def as_json(self) -> dict[str, Any]:
        proof = self.proof_stays
        return {
            "subject": self.about.subject_id,
            "controller": self.about.controller,
            "calls": len(self.about.legs),
            "recordings": [{"leg": one.leg_id, "files": list(one.files)} for one in self.recordings],
            "opt_outs_kept": self.about.opt_outs,
            "held": list(self.held),
            "set_aside": list(self.set_aside),
            "running": list(self.running),
            "proof": proof and {"why": proof.why, "until": proof.until.isoformat()},
            "beyond": [one.as_json() for one in self.beyond],
        }


@dataclass(frozen=True, slots=True)
class Outcome:
    """What an erasure came to.

    Attributes:
        left: legs whose files lie in another folder: the callguard that has it destroys them within a minute.
    """

    plan: Plan
    erased: Erased
    left: tuple[str, ...]

    @property
    def told(self) -> tuple[str, ...]:
        """What the person is told (Art. 12(3)), in sentences."""
        said = [TOLD]
        if (proof := self.plan.proof_stays) is not None:
            said.append(TOLD_PROOF.format(until=proof.until))
        if self.erased.held:
            said.append(TOLD_HELD.format(count=len(self.erased.held)))
        return (*said, TOLD_COMPLAINT)

    def as_json(self) -> dict[str, Any]:
        return {
            **self.plan.as_json(),
            "opt_outs_kept": self.erased.kept_opt_outs + self.erased.suppressed,
            "erased_at": self.erased.at.isoformat(),
            "removed": dict(self.erased.removed),
            "suppression_added": self.erased.suppressed,
            "log_overwritten": self.erased.overwritten,
            "left_in_another_folder": list(self.left),
            "tell_the_person": list(self.told),
        }


async def plan(reader: RightsReader, settings: Config, subject_id: str, now: datetime) -> Plan:
    """What an erasure would do; nothing is done.

    Raises:
        InputError: there is no such subject.
        StoreError: the store cannot be read.
    """
    about = await reader.to_erase(subject_id, now)
    if about is None:
        raise InputError("there is no such person in the store", field="subject")
    locked = () if about.number is None else await reader.restricted(about.controller, about.number)
    kept = await reader.kept([leg.leg_id for leg in about.legs if leg.state == "kept" and not leg.held])
    return Plan(
        about,
        tuple(DueRecording(one.leg_id, one.files, one.folder, Trigger.ERASURE) for one in kept),
        _calls(about, "held"),
        tuple(dict.fromkeys(leg.call_id for leg in about.legs if leg.state == "quarantined")),
        _calls(about, "running"),
        proof_kept(settings, about, now),
        tuple(one.proof for one in locked),
        beyond(about.number, [] if about.erased_at else [leg.linkedid for leg in about.legs]),
    )


async def erase(
    store: Store, settings: Config, subject_id: str, now: datetime, *, request_id: str | None = None
) -> Outcome:
    """Erase somebody; who is erased already is so still.

    Raises:
        Denied: a call of theirs is being recorded; nothing is done.
        SetupError: a recording cannot be removed, or the note beside the store not written; run it again.
        InputError: there is no such subject.
        StoreError: the store does not take it.
    """
    planned = await plan(store, settings, subject_id, now)
    if planned.running:
        raise Denied(RUNNING)
    about = planned.about
    if about.erased_at is None:
        one = tombstones.Tombstone(subject_id, about.controller, now, planned.proof)
        tombstones.note(tombstones.place(settings), one)
    recordings = Recordings(settings.recording, store)
    left: list[str] = []
    for due_now in planned.recordings:
        try:
            if not await recordings.destroy(due_now):
                left.append(due_now.leg_id)
        except OSError as error:
            raise SetupError(
                f"the recording of leg {due_now.leg_id} cannot be removed ({error.strerror}): mend it and run it anew, "
                "as not all is erased yet"
            ) from error
    erased = await store.erase(subject_id, now, proof=planned.proof, request_id=request_id, only_if_quiet=True)
    if erased is None:
        raise InputError("there is no such person in the store", field="subject")
    return Outcome(planned, erased, tuple(left))


def proof_kept(settings: Config, about: ToErase, now: datetime) -> ProofKept | None:
    """What the law of either end has kept of somebody's consents to advertising, as the policies say it.

    Counted from when consent was given last, or a call was allowed last that may have rested on it: the later.
    """
    if about.number is None or about.last_consent is None:
        return None
    book = load_law(settings)
    ours = {one.law_of_caller for one in settings.profiles.values() if one.controller == about.controller}
    countries = {book.places.of(about.number).country, *ours}
    rules = [
        rule
        for policy in book.law.policies
        if policy.country in countries
        for rule in policy.rules
        if isinstance(rule, ProofRetention) and rule.applies_here(book.law.adopted)
    ]
    if not rules:
        return None
    longest = max(rules, key=lambda rule: rule.years)
    until = due(about.last_consent, 12 * longest.years)
    return ProofKept(f"{longest.id}: {longest.source}", until) if until > now else None


def _calls(about: ToErase, which: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(leg.call_id for leg in about.legs if getattr(leg, which)))
