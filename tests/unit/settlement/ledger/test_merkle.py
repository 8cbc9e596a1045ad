"""The tree against RFC 6962 as it is written there: the recursive definitions, and nothing clever."""

from __future__ import annotations

import hashlib
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flexlond.settlement.ledger import merkle, standalone
from flexlond.settlement.ledger.problem import TamperError


def mth(leaves: list[bytes]) -> bytes:
    """RFC 6962, 2.1: the Merkle Tree Hash of a list of entries."""
    n = len(leaves)
    if n == 0:
        return hashlib.sha256().digest()
    if n == 1:
        return hashlib.sha256(b"\x00" + leaves[0]).digest()
    k = largest_power_below(n)
    return hashlib.sha256(b"\x01" + mth(leaves[:k]) + mth(leaves[k:])).digest()


def path(m: int, leaves: list[bytes]) -> list[bytes]:
    """RFC 6962, 2.1.1."""
    n = len(leaves)
    if n == 1:
        return []
    k = largest_power_below(n)
    if m < k:
        return [*path(m, leaves[:k]), mth(leaves[k:])]
    return [*path(m - k, leaves[k:]), mth(leaves[:k])]


def proof(m: int, leaves: list[bytes]) -> list[bytes]:
    """RFC 6962, 2.1.2."""
    return subproof(m, leaves, b=True)


def subproof(m: int, leaves: list[bytes], *, b: bool) -> list[bytes]:
    n = len(leaves)
    if m == n:
        return [] if b else [mth(leaves)]
    k = largest_power_below(n)
    if m <= k:
        return [*subproof(m, leaves[:k], b=b), mth(leaves[k:])]
    return [*subproof(m - k, leaves[k:], b=False), mth(leaves[:k])]


def largest_power_below(n: int) -> int:
    k = 1
    while 2 * k < n:
        k *= 2
    return k


ENTRIES = [b"entry %d" % k for k in range(1000)]
MOST = 130


def node(level: int, index: int) -> bytes:
    return mth(ENTRIES[index << level : (index + 1) << level])


def test_a_known_root() -> None:
    # Certificate Transparency's own test tree (its eight inputs), root of all eight.
    inputs = ["", "00", "10", "2021", "3031", "40414243", "5051525354555657"]
    inputs.append("606162636465666768696a6b6c6d6e6f")
    tree = merkle.CompactRange()
    for one in inputs:
        tree.push(merkle.leaf_hash(bytes.fromhex(one)))
    assert tree.root().hex() == "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328"


def test_roots_and_whole_subtrees_of_every_size() -> None:
    tree, theirs, seen = merkle.CompactRange(), standalone.Tree(), {}
    for size in range(MOST + 1):
        assert tree.root() == theirs.root() == mth(ENTRIES[:size])
        assert merkle.CompactRange.of(size, node).peaks == tree.peaks
        for level, index, made in tree.push(merkle.leaf_hash(ENTRIES[size])):
            seen[level, index] = made
        theirs.push(standalone.leaf_hash(ENTRIES[size]))
    assert seen == {
        (level, index): node(level, index)
        for level in range(1, 8)
        for index in range((MOST + 1) >> level)
    }


def test_inclusion_proofs_of_every_entry_of_every_size() -> None:
    for size in range(1, MOST + 1):
        root = mth(ENTRIES[:size])
        for index in range(size):
            made = merkle.inclusion(index, size, node)
            assert made == path(index, ENTRIES[:size])
            leaf = merkle.leaf_hash(ENTRIES[index])
            merkle.check_inclusion(leaf, index, size, made, root)
            assert standalone.included(leaf, index, size, made) == root


def test_consistency_proofs_of_every_pair_of_sizes() -> None:
    for size in range(1, MOST + 1):
        root = mth(ENTRIES[:size])
        for old in range(1, size + 1):
            made = merkle.consistency(old, size, node)
            assert made == proof(old, ENTRIES[:size])
            was = mth(ENTRIES[:old])
            merkle.check_consistency(old, size, was, root, made)
            assert standalone.continued(old, size, was, made) == (was, root)


@settings(max_examples=200, deadline=None)
@given(st.integers(1, 1000), st.data())
def test_proofs_of_random_pairs(size: int, data: st.DataObject) -> None:
    index = data.draw(st.integers(0, size - 1))
    assert merkle.inclusion(index, size, node) == path(index, ENTRIES[:size])
    old = data.draw(st.integers(1, size))
    assert merkle.consistency(old, size, node) == proof(old, ENTRIES[:size])


@settings(max_examples=300, deadline=None)
@given(st.integers(2, 300), st.data())
def test_a_changed_proof_never_holds(size: int, data: st.DataObject) -> None:
    rng = random.Random(data.draw(st.integers(0, 2**32)))
    index, old = rng.randrange(size), rng.randrange(1, size)
    root, was = mth(ENTRIES[:size]), mth(ENTRIES[:old])
    leaf = merkle.leaf_hash(ENTRIES[index])
    inclusion, consistency = (
        merkle.inclusion(index, size, node),
        merkle.consistency(old, size, node),
    )
    how = data.draw(st.sampled_from(["flip", "drop", "more", "swap"]))
    for made in (inclusion, consistency):
        change(made, how, rng)
    if inclusion != path(index, ENTRIES[:size]):
        with pytest.raises(TamperError):
            merkle.check_inclusion(leaf, index, size, inclusion, root)
        assert not standalone_includes(leaf, index, size, inclusion, root)
    if consistency != proof(old, ENTRIES[:size]):
        with pytest.raises(TamperError):
            merkle.check_consistency(old, size, was, root, consistency)
        assert not standalone_continues(old, size, was, root, consistency)


def standalone_includes(leaf: bytes, index: int, size: int, made: list[bytes], root: bytes) -> bool:
    try:
        return standalone.included(leaf, index, size, made) == root
    except standalone.Broken:
        return False


def standalone_continues(old: int, size: int, was: bytes, root: bytes, made: list[bytes]) -> bool:
    try:
        return standalone.continued(old, size, was, made) == (was, root)
    except standalone.Broken:
        return False


def change(made: list[bytes], how: str, rng: random.Random) -> None:
    place = rng.randrange(len(made)) if made else 0
    if how == "more" or not made:
        made.insert(place, rng.randbytes(32))
    elif how == "flip":
        made[place] = bytes([made[place][0] ^ 1]) + made[place][1:]
    elif how == "drop":
        del made[place]
    else:
        other = rng.randrange(len(made))
        made[place], made[other] = made[other], made[place]


def test_another_place_in_the_tree_does_not_hold() -> None:
    made = merkle.inclusion(5, 100, node)
    for index, size in ((4, 100), (6, 100), (100, 100), (-1, 100), (5, 0)):
        with pytest.raises(TamperError):
            merkle.check_inclusion(
                merkle.leaf_hash(ENTRIES[5]), index, size, made, mth(ENTRIES[:100])
            )
    with pytest.raises(TamperError):
        merkle.check_consistency(0, 100, merkle.EMPTY_ROOT, mth(ENTRIES[:100]), [])
    with pytest.raises(TamperError):
        merkle.check_consistency(100, 100, mth(ENTRIES[:100]), mth(ENTRIES[1:101]), [])


def test_what_is_not_in_the_tree_cannot_be_asked_for() -> None:
    with pytest.raises(ValueError, match="not in a tree"):
        merkle.inclusion(3, 3, node)
    with pytest.raises(ValueError, match="does not begin"):
        merkle.consistency(0, 3, node)
