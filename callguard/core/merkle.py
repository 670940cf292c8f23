"""The Merkle tree of RFC 9162 2.1 over SHA-256: roots, inclusion and consistency proofs, and their verification.

What is inside a tree that only grows is kept where it never changes again: a *tile* is 256 nodes of one level, of which
level 0 is the leaves, and a node of level l + 1 is the root of a full tile of level l. So a proof reads a few tiles,
however many leaves there are.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from hashlib import sha256
from itertools import pairwise
from typing import TypeAlias

HASH_BYTES = 32
TILE_BITS = 8
TILE = 1 << TILE_BITS

LEAF, NODE = b"\x00", b"\x01"
"""Hashed before a leaf's data and before a node's two sides, so that neither can be taken for the other."""

EMPTY = sha256().digest()
"""The root of a tree without leaves."""

Range: TypeAlias = tuple[int, int]
"""Leaves from, and to but not including."""

ReadTile: TypeAlias = Callable[[int, int], Sequence[bytes]]
"""The nodes of a tile, by its level and its number there: 256 of them, fewer in the last tile of a level."""


def leaf_hash(data: bytes) -> bytes:
    """The hash of a leaf."""
    return sha256(LEAF + data).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """The hash of a node, from those of its two sides."""
    return sha256(NODE + left + right).digest()


def fold(hashes: Sequence[bytes], levels: int) -> Sequence[bytes]:
    """The nodes so many levels above: one for every 2^levels hashes, of which there are as many as that needs."""
    for _ in range(levels):
        each = iter(hashes)
        hashes = [sha256(b"\x01" + left + right).digest() for left, right in zip(each, each, strict=True)]
    return hashes


class CompactRange:
    """The roots of the full subtrees that leaves from 0 on make: log2(n) hashes, and all that appending needs."""

    __slots__ = ("_nodes", "size")

    def __init__(self) -> None:
        self.size = 0
        # Each with its height; heights fall from left to right.
        self._nodes: list[tuple[int, bytes]] = []

    def append(self, added: bytes, height: int = 0) -> None:
        """Add a leaf, or the root of a full subtree of 2^height leaves.

        Raises:
            ValueError: such a subtree cannot begin at this size.
        """
        if self.size % (1 << height):
            raise ValueError(f"no subtree of height {height} begins at leaf {self.size}")
        self.size += 1 << height
        while self._nodes and self._nodes[-1][0] == height:
            added = node_hash(self._nodes.pop()[1], added)
            height += 1
        self._nodes.append((height, added))

    def root(self) -> bytes:
        """The root of the tree of these leaves."""
        if not self._nodes:
            return EMPTY
        *rest, (_, root) = self._nodes
        for _, left in reversed(rest):
            root = node_hash(left, root)
        return root

    def copy(self) -> CompactRange:
        """One that grows by itself from here on."""
        other = CompactRange()
        other.size, other._nodes = self.size, self._nodes.copy()
        return other


class Tree:
    """A tree that is kept in tiles.

    Args:
        read: reads a tile; each is read once. A tile that is short of a node that is asked for is a `LookupError`.
    """

    def __init__(self, read: ReadTile) -> None:
        self._read = read
        self._tiles: dict[tuple[int, int], Sequence[bytes]] = {}
        # Proofs of one call's entries share most of their way.
        self._found: dict[Range, bytes] = {}

    def root(self, size: int) -> bytes:
        """The root of the first `size` leaves."""
        return self._hash((0, size)) if size else EMPTY

    def leaf(self, index: int) -> bytes:
        """A leaf's hash."""
        return self._nodes(0, index, 1)[0]

    def inclusion(self, index: int, size: int) -> list[bytes]:
        """The inclusion proof (RFC 9162 2.1.3.1) of a leaf in the tree of the first `size` leaves.

        Raises:
            ValueError: there is no such leaf in it.
        """
        if not 0 <= index < size:
            raise ValueError(f"a tree of {size} leaves has no leaf {index}")
        return [self._hash(one) for one in _path(index, (0, size))]

    def consistency(self, old: int, new: int) -> list[bytes]:
        """The consistency proof (RFC 9162 2.1.4.1) that the first `new` leaves begin with the first `old`.

        Raises:
            ValueError: it is not from 1 leaf to as many or more.
        """
        if not 0 < old <= new:
            raise ValueError(f"a tree of {new} leaves cannot be consistent with one of {old}")
        return [] if old == new else [self._hash(one) for one in _subproof(old, (0, new), whole=True)]

    def _hash(self, of: Range) -> bytes:
        if of not in self._found:
            self._found[of] = self._hashed(of)
        return self._found[of]

    def _hashed(self, of: Range) -> bytes:
        first, end = of
        width = end - first
        if width & (width - 1) == 0:
            height = width.bit_length() - 1
            level, above = divmod(height, TILE_BITS)
            return fold(self._nodes(level, first >> (level * TILE_BITS), 1 << above), above)[0]
        middle = first + _split(width)
        return node_hash(self._hash((first, middle)), self._hash((middle, end)))

    def _nodes(self, level: int, first: int, count: int) -> Sequence[bytes]:
        number, within = divmod(first, TILE)
        where = (level, number)
        if where not in self._tiles:
            self._tiles[where] = self._read(level, number)
        found = self._tiles[where][within : within + count]
        if len(found) < count:
            raise LookupError(f"tile {number} of level {level} has no node {within + len(found)}")
        return found


def verify_inclusion(leaf: bytes, index: int, size: int, path: Sequence[bytes], root: bytes) -> bool:
    """Whether a leaf's hash is in the tree with this root (RFC 9162 2.1.3.2)."""
    if not 0 <= index < size:
        return False
    within, last, found = index, size - 1, leaf
    for beside in path:
        if last == 0:
            return False
        if within & 1 or within == last:
            found = node_hash(beside, found)
            while within and not within & 1:
                within, last = within >> 1, last >> 1
        else:
            found = node_hash(found, beside)
        within, last = within >> 1, last >> 1
    return last == 0 and found == root


def verify_consistency(old: int, new: int, path: Sequence[bytes], old_root: bytes, new_root: bytes) -> bool:
    """Whether the tree with the new root begins with the one that has the old root (RFC 9162 2.1.4.2)."""
    if not 0 < old <= new:
        return False
    if old == new:
        return not path and old_root == new_root
    # A full subtree of the old leaves is a node of the new tree, so that its root needs no place in the proof.
    steps = [old_root, *path] if old & (old - 1) == 0 else list(path)
    if not steps:
        return False
    within, last = old - 1, new - 1
    while within & 1:
        within, last = within >> 1, last >> 1
    was = now = steps[0]
    for beside in steps[1:]:
        if last == 0:
            return False
        if within & 1 or within == last:
            was, now = node_hash(beside, was), node_hash(beside, now)
            while within and not within & 1:
                within, last = within >> 1, last >> 1
        else:
            now = node_hash(now, beside)
        within, last = within >> 1, last >> 1
    return last == 0 and was == old_root and now == new_root


def completed(before: int, after: int) -> list[tuple[int, range]]:
    """The nodes of each level above the leaves that are new when a tree grows, the lowest level first."""
    found = []
    level = 1
    while new := range(before >> (level * TILE_BITS), after >> (level * TILE_BITS)):
        found.append((level, new))
        level += 1
    return found


def backwards(times: Sequence[int], bound: int) -> list[int]:
    """Where a clock was set back: the places in which a time is more than `bound` before the one ahead of it."""
    return [place for place, (one, after) in enumerate(pairwise(times), 1) if after < one - bound]


def _split(width: int) -> int:
    """The largest power of two below a width of 2 or more: so many leaves are on the left side."""
    return 1 << ((width - 1).bit_length() - 1)


def _path(index: int, of: Range) -> list[Range]:
    """The subtrees beside the way from a leaf up, the lowest first."""
    first, end = of
    if end - first == 1:
        return []
    middle = first + _split(end - first)
    if index < middle:
        return [*_path(index, (first, middle)), (middle, end)]
    return [*_path(index, (middle, end)), (first, middle)]


def _subproof(old: int, of: Range, *, whole: bool) -> list[Range]:
    """The subtrees of a consistency proof, as RFC 9162 2.1.4.1 has them; `whole` while the old root is known there."""
    first, end = of
    if old == end:
        return [] if whole else [of]
    middle = first + _split(end - first)
    if old <= middle:
        return [*_subproof(old, (first, middle), whole=whole), (middle, end)]
    return [*_subproof(old, (middle, end), whole=False), (first, middle)]
