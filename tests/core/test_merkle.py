"""The tree of RFC 9162, against a naive recursion over the definitions and against published roots."""

from __future__ import annotations

from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from callguard.core.merkle import (
    EMPTY,
    TILE,
    CompactRange,
    Tree,
    backwards,
    completed,
    fold,
    leaf_hash,
    verify_consistency,
    verify_inclusion,
)

# The inputs and the roots of the test vectors that Certificate Transparency's implementations share (RFC 6962's tree).
INPUTS = [bytes.fromhex(one) for one in ("", "00", "10", "2021", "3031", "40414243", "5051525354555657",
                                         "606162636465666768696a6b6c6d6e6f")]  # fmt: skip
ROOTS = {
    0: "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    1: "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    2: "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    3: "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    8: "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
}


def mth(leaves: list[bytes]) -> bytes:
    """RFC 9162 2.1.1, word for word."""
    if not leaves:
        return sha256(b"").digest()
    if len(leaves) == 1:
        return sha256(b"\x00" + leaves[0]).digest()
    k = 1
    while k * 2 < len(leaves):
        k *= 2
    return sha256(b"\x01" + mth(leaves[:k]) + mth(leaves[k:])).digest()


def path(m: int, leaves: list[bytes]) -> list[bytes]:
    """RFC 9162 2.1.3.1."""
    if len(leaves) == 1:
        return []
    k = 1
    while k * 2 < len(leaves):
        k *= 2
    if m < k:
        return [*path(m, leaves[:k]), mth(leaves[k:])]
    return [*path(m - k, leaves[k:]), mth(leaves[:k])]


def subproof(m: int, leaves: list[bytes], whole: bool) -> list[bytes]:
    """RFC 9162 2.1.4.1."""
    if m == len(leaves):
        return [] if whole else [mth(leaves)]
    k = 1
    while k * 2 < len(leaves):
        k *= 2
    if m <= k:
        return [*subproof(m, leaves[:k], whole), mth(leaves[k:])]
    return [*subproof(m - k, leaves[k:], False), mth(leaves[:k])]


def data(size: int) -> list[bytes]:
    return [b"%d" % number for number in range(size)]


def tree_of(leaves: list[bytes]) -> Tree:
    """A tree in tiles, as a store keeps them."""
    levels = [list(map(leaf_hash, leaves))]
    while len(levels[-1]) >= TILE:
        below = levels[-1]
        levels.append([fold(below[at : at + TILE], 8)[0] for at in range(0, len(below) - TILE + 1, TILE)])
    return Tree(lambda level, number: levels[level][number * TILE : (number + 1) * TILE])


BIG = data(3 * TILE + 77)
BIG_TREE = tree_of(BIG)
sizes = st.integers(1, len(BIG))


def test_the_roots_that_others_have_published() -> None:
    for size, root in ROOTS.items():
        assert mth(INPUTS[:size]).hex() == root
        assert tree_of(INPUTS[:size]).root(size).hex() == root
    assert EMPTY.hex() == ROOTS[0]


def test_every_proof_in_small_trees_is_that_of_the_definition_and_verifies() -> None:
    for size in range(1, 20):
        leaves = data(size)
        tree, root = tree_of(leaves), mth(leaves)
        assert tree.root(size) == root
        for index in range(size):
            proof = tree.inclusion(index, size)
            assert proof == path(index, leaves)
            assert verify_inclusion(tree.leaf(index), index, size, proof, root)
            assert not verify_inclusion(tree.leaf(index), index + 1, size, proof, root)
            assert not verify_inclusion(leaf_hash(b"another"), index, size, proof, root)
        for old in range(1, size + 1):
            proof = tree.consistency(old, size)
            assert proof == subproof(old, leaves, True)
            assert verify_consistency(old, size, proof, mth(leaves[:old]), root)
            assert not verify_consistency(old, size, proof, mth(data(old + 1)), root)
            assert not verify_consistency(old, size, [*proof, root], mth(leaves[:old]), root)


@given(sizes, sizes, sizes)
def test_a_tree_over_several_tiles_proves_what_the_definition_proves(one: int, two: int, three: int) -> None:
    old, new = sorted((one, two))
    root = BIG_TREE.root(new)
    assert root == mth(BIG[:new])
    index = three % new
    proof = BIG_TREE.inclusion(index, new)
    assert proof == path(index, BIG[:new])
    assert verify_inclusion(leaf_hash(BIG[index]), index, new, proof, root)
    assert verify_consistency(old, new, BIG_TREE.consistency(old, new), BIG_TREE.root(old), root)


@given(sizes, sizes, st.integers(0, 30), st.integers(0, 255))
def test_a_proof_with_one_bit_changed_proves_nothing(one: int, two: int, which: int, bit: int) -> None:
    old, new = sorted((one, two))
    proof = BIG_TREE.inclusion(old - 1, new)
    if proof:
        assert not verify_inclusion(
            leaf_hash(BIG[old - 1]), old - 1, new, flipped(proof, which, bit), BIG_TREE.root(new)
        )
    steps = BIG_TREE.consistency(old, new)
    if steps:
        changed = flipped(steps, which, bit)
        assert not verify_consistency(old, new, changed, BIG_TREE.root(old), BIG_TREE.root(new))
        assert not verify_consistency(old, new, steps[:-1], BIG_TREE.root(old), BIG_TREE.root(new))


def flipped(proof: list[bytes], which: int, bit: int) -> list[bytes]:
    at = which % len(proof)
    changed = bytearray(proof[at])
    changed[bit // 8] ^= 1 << (bit % 8)
    return [*proof[:at], bytes(changed), *proof[at + 1 :]]


def test_what_cannot_be_proved_is_refused() -> None:
    with pytest.raises(ValueError, match="has no leaf 5"):
        BIG_TREE.inclusion(5, 5)
    with pytest.raises(ValueError, match="cannot be consistent"):
        BIG_TREE.consistency(6, 5)
    with pytest.raises(LookupError, match="tile 3 of level 0"):
        BIG_TREE.root(len(BIG) + 1)
    assert not verify_inclusion(EMPTY, 0, 0, [], EMPTY)
    assert not verify_consistency(0, 1, [], EMPTY, EMPTY)
    assert not verify_consistency(3, 5, [], EMPTY, EMPTY)
    assert verify_consistency(5, 5, [], EMPTY, EMPTY)


@given(st.lists(st.integers(0, 9), max_size=40), st.integers(0, 60))
def test_a_compact_range_grows_by_leaves_and_by_subtrees_to_the_same_root(heights: list[int], more: int) -> None:
    grown = CompactRange()
    for height in heights:
        if grown.size % (1 << height) == 0 and grown.size + (1 << height) <= len(BIG):
            first = grown.size
            grown.append(fold([leaf_hash(one) for one in BIG[first : first + (1 << height)]], height)[0], height)
    before, other = grown.root(), grown.copy()
    for one in BIG[other.size : other.size + more]:
        other.append(leaf_hash(one))
    assert other.root() == mth(BIG[: other.size])
    assert grown.root() == before == mth(BIG[: grown.size])


def test_a_subtree_begins_where_one_can() -> None:
    grown = CompactRange()
    grown.append(EMPTY)
    with pytest.raises(ValueError, match="height 1"):
        grown.append(EMPTY, 1)


def test_the_nodes_that_growing_completes() -> None:
    assert completed(0, 255) == []
    assert completed(0, 256) == [(1, range(1))]
    assert completed(255, 1024) == [(1, range(4))]
    assert completed(65_535, 65_536) == [(1, range(255, 256)), (2, range(1))]


def test_a_clock_that_was_set_back_is_found_where_it_was() -> None:
    assert backwards([1, 5, 5, 4, 0, 9], 3) == [4]
    assert backwards([1, 5], 0) == []
