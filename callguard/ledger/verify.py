"""Looking through a whole ledger for what was done to it: every entry hashed anew, every checkpoint held against it.

Entries are looked at a page at a time. While a page is as it should be, nothing is looked at twice; what is wrong with
one is named as exactly as what is left allows.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Sequence
from typing import TypeAlias

from callguard.core.checkpoint import Checkpoint, Note, VerifierKey
from callguard.core.evidence import leaf_hashes
from callguard.core.merkle import TILE, TILE_BITS, CompactRange, backwards, fold
from callguard.ledger.beside import Beside
from callguard.ledger.findings import Finding, Report, Tampering
from callguard.ledger.keys import verified
from callguard.store.queries import Transaction

PAGE = 16 * TILE
CLOCK_BOUND_MS = 5_000
"""So much a clock may be set back: time servers mend as much."""

Entry: TypeAlias = tuple[int, bytes, bytes | None]
"""When it was noted, its hash, its content; None where that is gone."""
Name: TypeAlias = tuple[str, int, str | None]
"""Of an entry: its kind, its time, its leg where it is one's."""


def verify(
    transaction: Transaction,
    keys: Collection[VerifierKey],
    given: Sequence[Note] = (),
    clock_bound_ms: int = CLOCK_BOUND_MS,
    tell: Callable[[int, int], None] = lambda done, of: None,
    *,
    last: Sequence[tuple[str, Note]] = (),
    before: int | None = None,
    rows: bool = True,
) -> Report:
    """Look through it.

    Args:
        keys: that checkpoints may be signed with; without any their signatures are not looked at.
        given: checkpoints that were kept elsewhere.
        clock_bound_ms: by so much the time of an entry may be before that of the one ahead of it.
        tell: called with how many entries are done, and of how many.
        last: what is known to have been signed last, each with where that stands.
        before: the number of entries of a checkpoint that the store has to have (`ledger.signed`).
        rows: whether what entries say is compared with the rows beside the ledger.
    """
    # What was signed last is in the store as well, mostly.
    there = {row["note"] for row in transaction.fetch("latest_checkpoint")}
    notes = [(f"the checkpoint {place}", note) for place, note in last if note.written not in there]
    notes += [(f"given checkpoint {number}", note) for number, note in enumerate(given, 1)]
    return _Looking(transaction, keys, clock_bound_ms, rows=rows).at_all(notes, before, bool(last), tell)


class _Looking:
    def __init__(
        self, transaction: Transaction, keys: Collection[VerifierKey], clock_bound_ms: int, *, rows: bool
    ) -> None:
        self._transaction = transaction
        self._keys = keys
        self._clock_bound_ms = clock_bound_ms
        self._findings: list[Finding] = []
        self._grown = CompactRange()
        self._gone: list[tuple[int, int]] = []
        # Where leaves are missing, no root that lies behind them can be had.
        self._broken = False
        self._signed: list[Checkpoint] = []
        self._agreed = 0
        self._disagreed = False
        self._held = 0
        self._odd: dict[int, tuple[Name, Name]] = {}
        self._noted: int | None = None
        self._beside = Beside(transaction) if rows else None

    def at_all(
        self,
        given: Sequence[tuple[str, Note]],
        before: int | None,
        known: bool,
        tell: Callable[[int, int], None],
    ) -> Report:
        ((size,),) = self._transaction.fetch("ledger_size")
        signed = self._checkpoints(given)
        self._say_removed(size, before, known)
        self._signed = sorted(signed, key=lambda one: one.size)
        self._hold_here()
        first = 0
        while first < size:
            page = self._transaction.plain("ledger_page", first=first, end=first + PAGE)
            if page:
                self._page(first, min(first + PAGE, size), page)
                first += PAGE
            else:
                ((there,),) = self._transaction.fetch("ledger_next", first=first)
                after = there - there % PAGE
                self._missing(first, after - 1)
                self._broken, first = True, after
            tell(min(first, size), size)
        self._say_missing()
        self._end(size)
        self._moved()
        self._nodes_above(size)
        if self._beside is not None:
            self._findings += list(self._beside.findings(self._noted or 0, whole=not self._findings))
        root = None if self._broken else self._grown.root()
        return Report(size, root, self._held, tuple(sorted(self._findings, key=lambda one: (one.first or 0, one.what))))

    def _say_removed(self, size: int, before: int | None, known: bool) -> None:
        """Checkpoints that should be there; of the very first a crash may have left what stands beside the key."""
        if before is not None and not self._transaction.fetch("checkpoint_of", size=before):
            said = f"the checkpoint of {before} entries is not in the store any more"
            self._find(Tampering.CHECKPOINTS_REMOVED, said)
        elif size and self._keys and not (known or self._transaction.fetch("latest_checkpoint")):
            self._find(Tampering.CHECKPOINTS_REMOVED, "no checkpoint is in the store, and its key has signed some")

    def _checkpoints(self, given: Iterable[tuple[str, Note]]) -> list[Checkpoint]:
        """Those that are signed as they should be."""
        found = []
        for row in self._transaction.fetch("all_checkpoints"):
            place = f"the checkpoint of {row['size']} entries in the store"
            try:
                one = self._believed(Note.of(row["note"]), place)
            except ValueError as error:
                self._find(Tampering.FORGED, f"{place} {error}")
                continue
            if one is not None and one.size != row["size"]:
                self._find(Tampering.FORGED, f"{place} is one of {one.size}")
            elif one is not None:
                found.append(one)
        for place, note in given:
            try:
                one = self._believed(note, place)
            except ValueError as error:
                self._find(Tampering.FORGED, f"{place} {error}")
                continue
            if one is not None:
                found.append(one)
        return found

    def _believed(self, note: Note, place: str) -> Checkpoint | None:
        one = Checkpoint.of(note.text)
        if self._keys and not any(one.origin == key.name and verified(note, key) for key in self._keys):
            names = ", ".join(dict.fromkeys(key.name for key in self._keys))
            self._find(Tampering.FORGED, f"{place} is not signed by the key of {names}")
            return None
        return one

    def _page(self, first: int, end: int, page: Sequence[Entry]) -> None:
        whole = len(page) == end - first  # numbers are unique: so none is missing
        numbers: Sequence[int] = range(first, end)
        if not whole:
            numbers = [seq for (seq,) in self._transaction.plain("ledger_numbers", first=first, end=end)]
        kept = [leaf for _, leaf, _ in page]
        if (hashed := leaf_hashes(page)) != kept:
            for seq, (_, leaf, body), found in zip(numbers, page, hashed, strict=True):
                if found != leaf:
                    gone = "'s content is gone" if body is None else " is not the one that was hashed"
                    self._find(Tampering.CHANGED, f"entry {seq}{gone}", seq)
        self._times(numbers, [noted for noted, _, _ in page])
        if self._beside is not None:
            bodies = [body for _, _, body in page]
            if not whole:
                there = dict(zip(numbers, bodies, strict=True))
                bodies = [there.get(seq) for seq in range(first, end)]
            self._beside.page(first, bodies)
        self._find_unnamed(first, end, numbers)
        if whole:
            self._grow_whole(first, kept)
        else:
            self._grow_with_gaps(first, end, dict(zip(numbers, kept, strict=True)))

    def _find_unnamed(self, first: int, end: int, numbers: Sequence[int]) -> None:
        ((of_legs,),) = self._transaction.fetch("ledger_named_count", first=first, end=end)
        if of_legs + len(self._transaction.plain("ledger_named_elsewhere", first=first, end=end)) == end - first:
            return
        named = {seq for (seq,) in self._transaction.plain("ledger_named_numbers", first=first, end=end)}
        for seq in numbers:
            if seq not in named:
                self._find(Tampering.ADDED, f"entry {seq} was added: nothing in the store names it", seq)

    def _times(self, numbers: Sequence[int], times: Sequence[int]) -> None:
        if self._noted is not None:
            times = [self._noted, *times]
        if times != sorted(times):
            before = len(times) - len(numbers)
            for place in backwards(times, self._clock_bound_ms):
                seq, back = numbers[place - before], times[place - 1] - times[place]
                said = f"entry {seq} was noted {back / 1000:.0f} s before the one ahead of it: a clock was set back"
                self._find(Tampering.CLOCK_MOVED, said, seq)
        self._noted = times[-1]

    def _grow_whole(self, first: int, leaves: Sequence[bytes]) -> None:
        full = len(leaves) // TILE
        roots = fold(leaves[: full * TILE], TILE_BITS)
        kept = self._kept_nodes(first // TILE, full)
        for number, root in enumerate(roots, first // TILE):
            at = (number * TILE) - first
            self._tile(number, leaves[at : at + TILE], root, kept.get(number))
        self._tail(leaves[full * TILE :])

    def _grow_with_gaps(self, first: int, end: int, there: dict[int, bytes]) -> None:
        kept = self._kept_nodes(first // TILE, -(-(end - first) // TILE))
        for number in range(first // TILE, -(-end // TILE)):
            seqs = range(number * TILE, min((number + 1) * TILE, end))
            leaves = [there[seq] for seq in seqs if seq in there]
            gone = [seq for seq in seqs if seq not in there]
            for one in _runs(gone):
                self._missing(one[0], one[-1])
            if gone and number in kept:
                # What was there is known by its node, so that the rest can still be proved.
                self._push(kept[number], leaves=None)
            elif gone:
                self._broken = True
            elif len(leaves) == TILE:
                self._tile(number, leaves, fold(leaves, TILE_BITS)[0], kept.get(number))
            else:
                self._tail(leaves)

    def _kept_nodes(self, first: int, count: int) -> dict[int, bytes]:
        rows = self._transaction.plain("ledger_tile_numbered", level=1, first=first, end=first + count)
        return dict(rows)

    def _tile(self, number: int, leaves: Sequence[bytes], root: bytes, kept: bytes | None) -> None:
        first, last = number * TILE, (number + 1) * TILE - 1
        if kept is None:
            self._find(Tampering.REMOVED, f"the node above the entries {first} to {last} was removed", first, last)
        elif kept != root and not self._look_closer(first, last + 1):
            said = f"of the entries {first} to {last} some were changed, with their hashes, or the node above them"
            self._find(Tampering.CHANGED, said, first, last)
        self._push(root if kept is None else kept, leaves)

    def _push(self, root: bytes, leaves: Sequence[bytes] | None) -> None:
        """Go on by a tile; on the way, hold checkpoints that end in it against its leaves, if these are known."""
        if self._broken:
            return
        end = self._grown.size + TILE
        self._hold(end, leaves)
        self._grown.append(root, TILE_BITS)
        self._hold_here()

    def _tail(self, leaves: Sequence[bytes]) -> None:
        """The entries that no full tile has yet."""
        if self._broken or not leaves:
            return
        first = self._grown.size
        # No node names them yet: they are looked at as closely as where something is wrong.
        self._look_closer(first, first + len(leaves))
        self._hold(first + len(leaves), leaves)
        for leaf in leaves:
            self._grown.append(leaf)
        self._hold_here()

    def _hold(self, before: int, leaves: Sequence[bytes] | None) -> None:
        """Hold the checkpoints of less than so many entries against what there is."""
        partial, done = self._grown.copy(), 0
        while self._signed and self._signed[0].size < before:
            one = self._signed.pop(0)
            if leaves is None and one.size > self._grown.size:
                continue
            for leaf in (leaves or ())[done : one.size - self._grown.size]:
                partial.append(leaf)
            done = max(done, one.size - self._grown.size)
            self._compare(one, partial.root())

    def _hold_here(self) -> None:
        while self._signed and self._signed[0].size == self._grown.size:
            self._compare(self._signed.pop(0), self._grown.root())

    def _compare(self, one: Checkpoint, root: bytes) -> None:
        self._held += 1
        if one.root == root:
            self._agreed = one.size
        elif not self._disagreed:  # those after it cannot agree either
            self._disagreed = True
            said = f"the entries {self._agreed} to {one.size - 1} are not those that were signed as {one.size} entries"
            self._find(Tampering.CHANGED, said, self._agreed, one.size - 1)

    def _look_closer(self, first: int, end: int) -> bool:
        """Compare entries with what names them. Returns: whether any is another than is named."""
        named = {
            row[0]: (row[1], row[2], row[3]) for row in self._transaction.plain("ledger_named", first=first, end=end)
        }
        odd = False
        for seq, body in self._transaction.plain("ledger_entries", first=first, end=end):
            if body is not None and seq in named and (found := _name(body)) != named[seq]:
                self._odd[seq] = found, named[seq]
                odd = True
        return odd

    def _moved(self) -> None:
        """Entries that are other ones than their rows name: in another order, or put in the place of what was there."""
        found, named = (Counter(pair[at] for pair in self._odd.values()) for at in (0, 1))
        what, said = (
            (Tampering.REORDERED, "stands in another's place") if found == named
            else (Tampering.CHANGED, "is another one than its row names")
        )  # fmt: skip
        for seq in self._odd:
            self._find(what, f"entry {seq} {said}", seq)

    def _end(self, size: int) -> None:
        """What should be behind the last entry and is not."""
        ((last,),) = self._transaction.fetch("ledger_named_last")
        signed = max((one.size for one in self._signed), default=0) if self._signed else 0
        should = max(signed, 0 if last is None else last + 1)
        if should > size:
            why = "a checkpoint was signed" if signed == should else "the store names them"
            said = f"the ledger ends before entry {size}: {why}, up to entry {should - 1}"
            self._find(Tampering.CUT_SHORT, said, size, should - 1)

    def _nodes_above(self, size: int) -> None:
        """The nodes above those of level 1, and those that should not be there."""
        ((top,),) = self._transaction.fetch("ledger_top")
        level, expected = 1, size >> TILE_BITS
        while expected or level <= top:
            ((count,),) = self._transaction.fetch("ledger_node_count", level=level)
            if count > expected:
                said = f"nodes of level {level} stand above more than {size} entries: the ledger was cut short"
                self._find(Tampering.CUT_SHORT, said, size)
            for number in range(expected if level > 1 else 0):
                (kept,) = self._transaction.fetch("ledger_tile", level=level, first=number, end=number + 1) or (None,)
                below = self._transaction.fetch(
                    "ledger_tile", level=level - 1, first=number * TILE, end=(number + 1) * TILE
                )
                if kept is None or (
                    len(below) == TILE and fold([row["hash"] for row in below], TILE_BITS)[0] != kept["hash"]
                ):
                    first, last = number << (TILE_BITS * level), ((number + 1) << (TILE_BITS * level)) - 1
                    said = f"the node above the entries {first} to {last} is not theirs"
                    self._find(Tampering.CHANGED if kept else Tampering.REMOVED, said, first, last)
            level, expected = level + 1, expected >> TILE_BITS

    def _missing(self, first: int, last: int) -> None:
        if self._gone and self._gone[-1][1] == first - 1:
            first = self._gone.pop()[0]
        self._gone.append((first, last))

    def _say_missing(self) -> None:
        for first, last in self._gone:
            said = f"entry {first} was removed" if first == last else f"the entries {first} to {last} were removed"
            self._find(Tampering.REMOVED, said, first, last)

    def _find(self, what: Tampering, said: str, first: int | None = None, last: int | None = None) -> None:
        self._findings.append(Finding(what, said, first, first if last is None else last))


def _name(body: bytes) -> Name:
    """What names an entry; of one that cannot be read, something that names none."""
    try:
        said = json.loads(body)
        return said["kind"], said["at"], said.get("leg")
    except (ValueError, KeyError, TypeError, AttributeError):
        return "", 0, None


def _runs(numbers: Sequence[int]) -> list[Sequence[int]]:
    """Numbers that follow each other, together."""
    cuts = [at for at in range(1, len(numbers)) if numbers[at] != numbers[at - 1] + 1]
    return [numbers[one:other] for one, other in zip([0, *cuts], [*cuts, len(numbers)], strict=True) if other > one]
