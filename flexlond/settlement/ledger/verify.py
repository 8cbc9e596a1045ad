"""Verifying a ledger's own file: everything that was recorded and signed is there and unchanged.

Law: trusts nothing in the file but what its hashes and signatures bear out, reads one snapshot, writes nothing, and
holds no more than a few hashes in memory. One pass: each entry's form, number, hash and link to the one before,
the stored tree, each checkpoint, each clear text against its commitment. The first thing that does not hold is
raised as TamperError with its place. A truncated or wholly rewritten ledger is consistent in itself: only a
checkpoint from outside (second place, counterparty) shows it.
"""

from __future__ import annotations

import sqlite3
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from flexlond.settlement.ledger import merkle
from flexlond.settlement.ledger.checkpoint import Checkpoint, open_checkpoint
from flexlond.settlement.ledger.entry import NO_HASH, Entry, commitment, decode
from flexlond.settlement.ledger.problem import TamperError
from flexlond.settlement.ledger.reader import STRIDE, Reader

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from flexlond.settlement.ledger.note import NoteKey

_TELL_EVERY = 2000


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


def verify(
    reader: Reader,
    keys: Sequence[NoteKey],
    outside: Iterable[str] = (),
    progress: Callable[[int], None] = lambda done: None,
) -> Verdict:
    """Verify everything against the public keys and earlier checkpoints (notes). Raises TamperError."""
    try:
        return _Pass(reader, keys, outside).run(progress)
    except (sqlite3.Error, UnicodeDecodeError) as error:
        raise TamperError(f"{reader.path}: the file is damaged: {error}; restore a whole copy") from error


class _Pass:
    def __init__(self, reader: Reader, keys: Sequence[NoteKey], outside: Iterable[str]) -> None:
        self._reader = reader
        self._range = merkle.CompactRange()
        self._head = NO_HASH
        self._dropped = 0
        self._last_dropped = -1
        self._compacted = 0  # bodies below this entry may be missing: a compaction said so
        self._due: dict[int, list[Checkpoint]] = defaultdict(list)
        self._newest: Checkpoint | None = None
        self._inside = self._outside = 0
        self._open(keys, outside)
        self._nodes = iter(
            reader.db.execute(
                "SELECT level, idx, hash FROM node ORDER BY ((idx + 1) << level), level"
            )
        )
        self._personal = iter(
            reader.db.execute("SELECT seq, field, salt, text FROM personal ORDER BY seq")
        )
        self._next_personal = next(self._personal, None)

    def run(self, progress: Callable[[int], None]) -> Verdict:
        self._match_checkpoints()
        for seq, leaf, body in self._reader.rows(0, 2**62):
            self._row(seq, bytes(leaf), body)
            self._match_checkpoints()
            if self._range.size % _TELL_EVERY == 0:
                progress(self._range.size)
        self._end()
        progress(self._range.size)
        return Verdict(
            origin=self._reader.origin,
            entries=self._range.size,
            dropped=self._dropped,
            checkpoints=self._inside,
            outside=self._outside,
            signed=self._newest.size if self._newest else 0,
            root=self._range.root(),
            head=self._head,
            newest=self._newest,
        )

    def _open(self, keys: Sequence[NoteKey], outside: Iterable[str]) -> None:
        origin, size = self._reader.origin, self._reader.size
        named = self._reader.key
        if named is None or named not in keys:
            raise TamperError(
                f"the file names the key {named.text if named else 'of nobody'}, which is none of those given"
            )
        last = 0
        for said, note in self._reader.notes():
            made = self._checkpoint(note, keys, origin, size, "")
            if made.size != said or made.size < last:
                raise TamperError(f"the checkpoint of {made.size} entries is not in its place")
            last, self._newest = made.size, made
            self._inside += 1
        for note in outside:
            self._checkpoint(note, keys, origin, size, " that was given from outside")
            self._outside += 1

    def _checkpoint(
        self, note: str, keys: Sequence[NoteKey], origin: str, size: int, whence: str
    ) -> Checkpoint:
        made = open_checkpoint(note, keys)
        if made.origin != origin:
            raise TamperError(f"the checkpoint{whence} is of {made.origin}, the ledger of {origin}")
        if made.size > size:
            raise TamperError(
                f"the checkpoint{whence} of moment {made.at} has {made.size} entries, the ledger only {size}: it"
                " was truncated or rolled back"
            )
        self._due[made.size].append(made)
        return made

    def _row(self, seq: int, leaf: bytes, body: bytes | None) -> None:
        if seq != self._range.size:
            raise TamperError(f"entry {self._range.size} is missing: the next one there is {seq}")
        if body is None:
            self._dropped += 1
            self._last_dropped = seq
            self._clear_texts(seq, {})
        else:
            raw = bytes(body)
            if merkle.leaf_hash(raw) != leaf:
                raise TamperError(f"entry {seq} does not have the hash it was recorded with: it was changed")
            found = decode(raw, seq)
            if found.prev != self._head.hex():
                raise TamperError(f"entry {seq} does not follow entry {seq - 1}: one of them was changed")
            self._clear_texts(seq, found.personal)
            if found.kind == "compaction":
                self._compacted = max(self._compacted, _below(found))
        for level, index, made in self._range.push(leaf):
            if level % STRIDE == 0 and next(self._nodes, None) != (level, index, made):
                raise TamperError(f"the stored tree is wrong at level {level}, number {index}")
        self._head = leaf

    def _clear_texts(self, seq: int, commitments: dict[str, str]) -> None:
        """Each clear text must be what its entry committed to; one that was erased is simply not there."""
        while self._next_personal is not None and self._next_personal[0] <= seq:
            at, name, salt, text = self._next_personal
            if at != seq or commitments.get(name) != commitment(bytes(salt), name, text):
                raise TamperError(
                    f"the clear text of {name!r} beside entry {at} is not what the entry committed to"
                )
            self._next_personal = next(self._personal, None)

    def _match_checkpoints(self) -> None:
        for made in self._due.pop(self._range.size, ()):
            if made.root != self._range.root() or made.head != self._head:
                raise TamperError(
                    f"the first {made.size} entries are not those that were signed at moment {made.at}: they"
                    " were changed"
                )

    def _end(self) -> None:
        if (self._range.size, self._head) != (self._reader.size, self._reader.head):
            raise TamperError(
                f"the file ends at entry {self._range.size}, its last commit at {self._reader.size}"
            )
        if next(self._nodes, None) is not None:
            raise TamperError("the stored tree has more than belongs to the entries")
        if self._next_personal is not None:
            raise TamperError(f"there is clear text of entry {self._next_personal[0]}, which is not there")
        if self._last_dropped >= self._compacted:
            raise TamperError(
                f"the body of entry {self._last_dropped} is missing and no compaction dropped it"
            )


def _below(found: Entry) -> int:
    below = found.body.get("below")
    return below if type(below) is int else 0
