"""The judgement of a ledger, entry by entry: the first thing that does not hold is raised with its place.

Law: pure; trusts nothing but what hashes and signatures bear out, and holds a few hashes and what is still
to be matched. Each entry's form, number, hash and link to the one before, each clear text against its
commitment, each checkpoint when its size is reached. A body may be missing only where a compaction in the
ledger says so.
"""

from __future__ import annotations

import copy
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from flexlond.settlement.ledger import merkle
from flexlond.settlement.ledger.checkpoint import Checkpoint, open_checkpoint
from flexlond.settlement.ledger.entry import NO_HASH, commitment, decode
from flexlond.settlement.ledger.problem import TamperError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from flexlond.settlement.ledger.entry import Entry
    from flexlond.settlement.ledger.note import NoteKey

    Clear = tuple[str, bytes, str]  # field, salt, clear text


@dataclass(frozen=True, slots=True)
class Verdict:
    """What holds."""

    origin: str
    entries: int
    dropped: int  # bodies that retention dropped; their hashes are in the tree
    checkpoints: int  # of the file
    outside: int  # checkpoints from outside that fit
    signed: int  # entries that the newest checkpoint covers
    root: bytes
    head: bytes
    newest: Checkpoint | None


class Audit:
    """The state between two entries."""

    def __init__(self, origin: str, size: int, head: bytes, keys: Sequence[NoteKey]) -> None:
        """Of a ledger that says that it has `size` entries and this head; signed by one of `keys`."""
        self.size = 0  # entries judged so far
        self._origin = origin
        self._said = (size, head)
        self._keys = keys
        self._range = merkle.CompactRange()
        self._head = NO_HASH
        self._dropped = 0
        self._last_dropped = -1
        self._compacted = 0  # bodies below this entry may be missing: a compaction said so
        self._due: dict[int, list[Checkpoint]] = defaultdict(list)
        self._newest: Checkpoint | None = None
        self._inside = self._outside = 0

    def copy(self) -> Audit:
        """An audit of its own, in the same state."""
        made = copy.copy(self)
        made._range = self._range.copy()  # noqa: SLF001 -- another of our own
        made._due = copy.copy(self._due)  # noqa: SLF001
        return made

    def checkpoint(self, said: int, note: str) -> None:
        """A checkpoint of the ledger itself, oldest first; `said` is the size it is kept under."""
        made = self._open(note, "")
        if made.size != said or (self._newest and made.size < self._newest.size):
            raise TamperError(f"the checkpoint of {made.size} entries is not in its place")
        self._newest = made
        self._inside += 1

    def outside(self, note: str) -> None:
        """A checkpoint that somebody else kept."""
        self._open(note, " that was given from outside")
        self._outside += 1

    def begin(self) -> None:
        """After all checkpoints, before the first entry."""
        self._match()

    def entry(
        self, seq: int, leaf: bytes, body: bytes | None, clear: Sequence[Clear]
    ) -> list[tuple[int, int, bytes]]:
        """The next entry; the subtrees that it made whole: (level, index, hash)."""
        if seq != self.size:
            raise TamperError(f"entry {self.size} is missing: the next one there is {seq}")
        commitments: dict[str, str] = {}
        if body is None:
            self._dropped += 1
            self._last_dropped = seq
        else:
            commitments = self._body(seq, leaf, body).personal
        for name, salt, text in clear:
            if commitments.get(name) != commitment(salt, name, text):
                raise TamperError(
                    f"the clear text of {name!r} beside entry {seq} is not what the entry committed to"
                )
        nodes = self._range.push(leaf)
        self.size += 1
        self._head = leaf
        self._match()
        return nodes

    def end(self) -> Verdict:
        """After the last entry: what holds."""
        if (self.size, self._head) != self._said:
            raise TamperError(
                f"the ledger ends at entry {self.size}, its last commit at {self._said[0]}: some were removed"
            )
        if self._last_dropped >= self._compacted:
            raise TamperError(
                f"the body of entry {self._last_dropped} is missing and no compaction dropped it"
            )
        return Verdict(
            origin=self._origin,
            entries=self.size,
            dropped=self._dropped,
            checkpoints=self._inside,
            outside=self._outside,
            signed=self._newest.size if self._newest else 0,
            root=self._range.root(),
            head=self._head,
            newest=self._newest,
        )

    def _open(self, note: str, whence: str) -> Checkpoint:
        made = open_checkpoint(note, self._keys)
        if made.origin != self._origin:
            raise TamperError(
                f"the checkpoint{whence} is of {made.origin}, the ledger of {self._origin}"
            )
        if made.size > self._said[0]:
            raise TamperError(
                f"the checkpoint{whence} of moment {made.at} has {made.size} entries, the ledger only"
                f" {self._said[0]}: it was truncated or rolled back"
            )
        self._due[made.size].append(made)
        return made

    def _body(self, seq: int, leaf: bytes, body: bytes) -> Entry:
        if merkle.leaf_hash(body) != leaf:
            raise TamperError(
                f"entry {seq} does not have the hash it was recorded with: it was changed"
            )
        found = decode(body, seq)
        if found.prev != self._head.hex():
            raise TamperError(
                f"entry {seq} does not follow entry {seq - 1}: one of them was changed"
            )
        if found.kind == "compaction":
            below = found.body.get("below")
            self._compacted = max(self._compacted, below if type(below) is int else 0)
        return found

    def _match(self) -> None:
        if self.size not in self._due:
            return
        for made in self._due[self.size]:
            if made.root != self._range.root() or made.head != self._head:
                raise TamperError(
                    f"the first {made.size} entries are not those that were signed at moment {made.at}: they"
                    " were changed"
                )
