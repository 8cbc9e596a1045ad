"""The Merkle tree of RFC 6962: leaf and node hashes, roots, inclusion and consistency proofs.

Law: pure. A leaf is hashed behind 0x00 and a node behind 0x01, so neither can pass for the other; an odd
leaf is never duplicated. A perfect subtree is named (level, index): the 2**level leaves from index *
2**level on. Hashes are SHA-256, 32 bytes. Source: RFC 6962 section 2.1; RFC 9162 sections 2.1.3.2 and
2.1.4.2 for the verification.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from flexlond.settlement.ledger.problem import TamperError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    Node = Callable[[int, int], bytes]  # (level, index) of a perfect subtree -> its hash

HASH_BYTES = 32
EMPTY_ROOT = hashlib.sha256(b"").digest()


def leaf_hash(entry: bytes) -> bytes:
    """SHA-256(0x00 || entry)."""
    return hashlib.sha256(b"\x00" + entry).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """SHA-256(0x01 || left || right)."""
    return hashlib.sha256(b"\x01" + left + right).digest()


class CompactRange:
    """The tree of the first `size` leaves as its perfect subtrees, the largest first: at most 64 hashes."""

    def __init__(self, size: int = 0, peaks: Iterable[bytes] = ()) -> None:
        """Of `size` leaves, whose perfect subtrees have the hashes `peaks`, the largest first."""
        self.size = size
        self.peaks = list(peaks)

    @classmethod
    def of(cls, size: int, node: Node) -> CompactRange:
        """Of the first `size` leaves of the tree that `node` answers for."""
        return cls(size, (node(level, index) for level, index in peaks_of(size)))

    def push(self, leaf: bytes) -> list[tuple[int, int, bytes]]:
        """Append a leaf's hash; the perfect subtrees above it that are whole now: (level, index, hash)."""
        made: list[tuple[int, int, bytes]] = []
        index, level = self.size, 0
        while index & 1:
            leaf = node_hash(self.peaks.pop(), leaf)
            index >>= 1
            level += 1
            made.append((level, index, leaf))
        self.peaks.append(leaf)
        self.size += 1
        return made

    def root(self) -> bytes:
        """The tree's hash (MTH of RFC 6962)."""
        if not self.peaks:
            return EMPTY_ROOT
        found = self.peaks[-1]
        for peak in reversed(self.peaks[:-1]):
            found = node_hash(peak, found)
        return found

    def copy(self) -> CompactRange:
        """A range of its own."""
        return CompactRange(self.size, self.peaks)


def peaks_of(size: int) -> list[tuple[int, int]]:
    """The perfect subtrees that the first `size` leaves fall into, the largest first."""
    found: list[tuple[int, int]] = []
    begin = 0
    for level in range(size.bit_length() - 1, -1, -1):
        if size >> level & 1:
            found.append((level, begin >> level))
            begin += 1 << level
    return found


def inclusion(index: int, size: int, node: Node) -> list[bytes]:
    """The audit path of leaf `index` in the tree of the first `size` leaves (PATH of RFC 6962), leaf first."""
    if not 0 <= index < size:
        raise ValueError(f"leaf {index} is not in a tree of {size}")
    path: list[bytes] = []
    begin, end = 0, size
    while end - begin > 1:
        middle = begin + _split(end - begin)
        if index < middle:
            path.append(_range_hash(middle, end, node))
            end = middle
        else:
            path.append(_range_hash(begin, middle, node))
            begin = middle
    return path[::-1]


def consistency(old: int, size: int, node: Node) -> list[bytes]:
    """The proof that the first `old` leaves begin the tree of `size` (PROOF of RFC 6962); old >= 1."""
    if not 0 < old <= size:
        raise ValueError(f"a tree of {old} does not begin a tree of {size}")
    path: list[bytes] = []
    begin, end, whole = 0, size, True
    while begin + old != end:
        half = _split(end - begin)
        middle = begin + half
        if old <= half:
            path.append(_range_hash(middle, end, node))
            end = middle
        else:
            path.append(_range_hash(begin, middle, node))
            begin, old, whole = middle, old - half, False
    if not whole:
        path.append(_range_hash(begin, end, node))
    return path[::-1]


def check_inclusion(leaf: bytes, index: int, size: int, path: Sequence[bytes], root: bytes) -> None:
    """Raises TamperError unless `path` proves that `leaf` is number `index` of the tree with this root."""
    if not 0 <= index < size:
        raise TamperError(f"the proof speaks of leaf {index} in a tree of {size} leaves")
    at, last, found = index, size - 1, leaf
    for sibling in path:
        if last == 0:
            raise TamperError("the inclusion proof is too long for its place in the tree")
        if at & 1 or at == last:
            found = node_hash(sibling, found)
            while not at & 1 and at:
                at, last = at >> 1, last >> 1
        else:
            found = node_hash(found, sibling)
        at, last = at >> 1, last >> 1
    if last or found != root:
        raise TamperError(f"the inclusion proof of entry {index} does not lead to the signed root")


def check_consistency(
    old: int, size: int, old_root: bytes, root: bytes, path: Sequence[bytes]
) -> None:
    """Raises TamperError unless `path` proves that the old tree begins the new one."""
    if not 0 < old <= size:
        raise TamperError(f"a tree of {old} leaves cannot begin a tree of {size}")
    if old == size:
        if path or old_root != root:
            raise TamperError(f"two trees of {size} leaves have different roots: one was rewritten")
        return
    hashes = [old_root, *path] if old & (old - 1) == 0 else list(path)
    if not hashes:
        raise TamperError("the consistency proof is empty")
    at, last = old - 1, size - 1
    while at & 1:
        at, last = at >> 1, last >> 1
    was = now = hashes[0]
    for sibling in hashes[1:]:
        if last == 0:
            raise TamperError("the consistency proof is too long for its trees")
        if at & 1 or at == last:
            was, now = node_hash(sibling, was), node_hash(sibling, now)
            while not at & 1 and at:
                at, last = at >> 1, last >> 1
        else:
            now = node_hash(now, sibling)
        at, last = at >> 1, last >> 1
    if last or was != old_root or now != root:
        raise TamperError(
            f"the tree of {size} leaves is no continuation of the one of {old}: what was recorded was"
            " changed or removed"
        )


def _split(count: int) -> int:
    """The largest power of two below `count`."""
    return 1 << (count - 1).bit_length() - 1


def _range_hash(begin: int, end: int, node: Node) -> bytes:
    """The hash of the leaves [begin, end); begin is a multiple of the power of two that holds the range."""
    count = end - begin
    if count & (count - 1) == 0:
        level = count.bit_length() - 1
        return node(level, begin >> level)
    middle = begin + _split(count)
    return node_hash(_range_hash(begin, middle, node), _range_hash(middle, end, node))
