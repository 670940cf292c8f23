"""Checkpoints on a timer and at the service's end: signed, kept, sent. Nothing here makes a call wait."""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from datetime import UTC, datetime
from pathlib import Path

import structlog

from callguard.config import Config
from callguard.core.checkpoint import Checkpoint, Note, VerifierKey
from callguard.core.evidence import Kind, Value
from callguard.core.incidents import Incident
from callguard.current import Current
from callguard.errors import CallguardError, StoreError
from callguard.ledger import signed
from callguard.ledger.keys import Signer, lost, signer, verifier_file, verifiers_in
from callguard.ledger.send import PLACES, send
from callguard.ledger.signed import Signed
from callguard.store.ledger import NotContinued
from callguard.store.store import Store

log = structlog.get_logger()

# A dial waits no longer to know whether the store is the one that was signed last.
LOOK_WITHIN_S = 1.0
# Where it is not: how soon a word of an administrator's that it is to be gone on with is heard.
LOOK_AGAIN_S = 10.0
_WAY_ON = (
    "see `callguard ledger verify`; where an older store was put back, `callguard ledger checkpoint --after-restore` "
    "says so and signs"
)
_NOT_CONTINUED = "the ledger does not continue the {} entries that were signed last (as stands {})"
_REMOVED = "the checkpoints that its key has signed are gone from the store"


class Unsignable(StoreError):
    """The ledger is not what was signed before, so it is not signed; `why` in one name, for an incident."""

    def __init__(self, why: str, problem: str) -> None:
        super().__init__(problem)
        self.why = why


async def make(store: Store, config: Config, *, after_restore: bool = False) -> tuple[str, bool]:
    """Sign what the ledger holds: the note, and whether it is new.

    Args:
        after_restore: what was signed and is not there any more is given up; an entry says so.

    Raises:
        Unsignable: it does not continue what was signed before, or its checkpoints were removed.
        InputError, StoreError.
    """
    ready, kept, sent, problem = await _look(store, config)
    if problem is not None:
        if not after_restore:
            raise problem
        kept = await _give_up(store, config.ledger_signed_file, kept, sent)
    if kept is not None and kept.note is not None and not after_restore:
        # What a crash has left between file and row.
        await store.keep_checkpoint(datetime.now(UTC), kept.note)
    head = await store.ledger_head()
    before = None if head.last is None else Checkpoint.of(Note.of(head.last).text).size
    given_up = () if kept is None else kept.given_up

    def noted(size: int, root: bytes) -> str:
        note = ready(size, root)
        signed.write(config.ledger_signed_file, Signed(note, before, given_up))
        return note

    return await store.checkpoint(datetime.now(UTC), noted)


async def _look(store: Store, config: Config) -> tuple[Signer, Signed | None, Note | None, Unsignable | None]:
    """Who signs, what is known to have been signed, and what is wrong with the ledger by that. Raises: as `make`."""
    file, origin = config.ledger_key_file, config.ledger.origin
    if (await store.ledger_head()).last is not None and not file.exists():
        raise lost(file)
    # Reading a key, and the library that signs, take their time.
    ready, kept, sent = await asyncio.to_thread(_known, config, origin)
    return ready, kept, sent, await _problem(store, kept, sent)


def _known(config: Config, origin: str) -> tuple[Signer, Signed | None, Note | None]:
    """Who signs, and what is known to have been signed; the key and its file are made where there never was one."""
    file, last = config.ledger_key_file, config.ledger_signed_file
    kept = signed.read(last)
    if not file.exists():
        if kept is not None and kept.note is not None:
            raise lost(file)
        signed.write(last, kept := Signed())
    elif kept is None and not verifier_file(file).exists():
        kept = Signed()  # one that was made elsewhere, and has not signed here
    ready = signer(file, origin)
    keys = (ready.key, *_verifiers(file))
    if kept is not None and kept.note is not None and not signed.believed(Note.of(kept.note), keys):
        raise Unsignable("forged", f"{last}: what stands there is not signed by the ledger's key; {_WAY_ON}")
    return ready, kept, signed.last_sent(config.ledger.send_to_file, keys)


def _verifiers(file: Path) -> tuple[VerifierKey, ...]:
    return verifiers_in(verifier_file(file)) if verifier_file(file).exists() else ()


async def _problem(store: Store, kept: Signed | None, sent: Note | None) -> Unsignable | None:
    known = [(place, Checkpoint.of(note.text)) for place, note in signed.to_continue(kept, sent)]
    head = await store.ledger_head([one for _, one in known])
    for place, one in known:
        if one in head.unlike:
            return Unsignable("not_continued", f"{_NOT_CONTINUED.format(one.size, place)}; {_WAY_ON}")
    if kept is None:
        # An older callguard's; of a key that never signed it is known.
        removed = head.last is None
    else:
        removed = kept.before is not None and not await store.has_checkpoint(kept.before)
    return Unsignable("checkpoints_removed", f"{_REMOVED}; {_WAY_ON}") if removed else None


async def _give_up(store: Store, file: Path, kept: Signed | None, sent: Note | None) -> Signed:
    """What was signed is no more to be continued. The entry comes first: twice, rather than never."""
    notes = [note for _, note in signed.to_continue(kept, sent)]
    head = await store.ledger_head([Checkpoint.of(note.text) for note in notes])
    unlike = {one.text for one in head.unlike}
    gone = [note.text for note in notes if Checkpoint.of(note.text).text in unlike]
    what: list[Value] = [{"entries": one.size, "root": one.root.hex()} for one in head.unlike]
    await store.note_of_ledger(Kind.LEDGER_RESTORED, datetime.now(UTC), entries=head.size, given_up=what)
    left = Signed(None, None, (*(() if kept is None else kept.given_up), *gone))
    await asyncio.to_thread(signed.write, file, left)
    return left


def why_unsigned(error: CallguardError) -> dict[str, Value]:
    """What the incident of a ledger that is not signed says."""
    return {"why": error.why} if isinstance(error, Unsignable) else {}


class Checkpoints:
    """Signs and sends for one store. What fails is told once, and tried again with each round.

    An older store that was put in place of the one that was signed last, or an empty one, has forgotten opt-outs.
    """

    def __init__(self, current: Current, store: Store) -> None:
        self._current = current
        self._store = store
        # Of the process before nobody knows: a checkpoint that arrives twice does no harm.
        self._unsent: Collection[str] = PLACES
        self._failing: set[str] = set()
        self._round = asyncio.Lock()
        self._looked = asyncio.Event()
        self._behind = False

    async def keep_signing(self) -> None:
        """Look at once whether it is the store that was signed last, then sign, until cancelled."""
        config = self._current.config
        key = config.ledger_key_file
        try:
            if any(file.exists() for file in (key, verifier_file(key), config.ledger_signed_file)):
                *_, problem = await _look(self._store, config)
                self._behind = problem is not None
        except (CallguardError, OSError):  # something was signed here, and nobody can say what
            self._behind = True
        finally:
            self._looked.set()
        if self._behind:
            await self.round()  # which tells of it
        while True:
            every_s = self._current.config.ledger.checkpoint_every_s
            await asyncio.sleep(min(every_s, LOOK_AGAIN_S) if self._behind else every_s)
            await self.round()

    async def continued(self) -> bool:
        """Whether the store knows all that it knew when it was signed last, as far as the signatures here tell."""
        try:
            async with asyncio.timeout(LOOK_WITHIN_S):
                await self._looked.wait()
        except TimeoutError:
            return False
        return not self._behind

    async def round(self) -> None:
        """Sign what is new, and send what was not sent."""
        async with self._round:
            await self._sign_and_send()

    async def _sign_and_send(self) -> None:
        config = self._current.config
        try:
            note, new = await make(self._store, config)
            self._behind = False
        except CallguardError as error:
            self._behind |= isinstance(error, Unsignable | NotContinued)
            log.error("the ledger cannot be signed, trying again", problem=str(error))
            await self._tell("sign", Incident.LEDGER_UNSIGNED, why_unsigned(error))
            return
        self._failing.discard("sign")
        if new:
            self._unsent = PLACES
            log.info("checkpoint signed", entries=int(note.split("\n")[1]))
        problems = await send(note, config.ledger, self._unsent)
        self._unsent = problems.keys()
        self._failing &= {"sign", *problems}
        for name, problem in problems.items():
            log.error("a checkpoint is not sent yet, trying again", setting=f"ledger.{name}", problem=problem)
            await self._tell(name, Incident.CHECKPOINT_UNSENT, {"setting": name})

    async def _tell(self, what: str, kind: Incident, detail: dict[str, Value]) -> None:
        """An incident for each failure, and not for each attempt."""
        if what in self._failing:
            return
        self._failing.add(what)
        try:
            await self._store.incident(kind, datetime.now(UTC), detail)
        except StoreError as error:
            log.error("an incident is not saved", problem=str(error))
