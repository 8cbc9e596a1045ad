"""Reading a ledger: entries, hashes, checkpoints and proofs, from one snapshot.

Law: writes nothing and decides nothing about what it reads; `verify` judges. Of the tree's inner nodes
every eighth level is stored, so a proof reads at most 256 hashes for each of its steps and nothing is held
in memory.
"""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING, Self

from flexlond.settlement.ledger import merkle
from flexlond.settlement.ledger.database import connect_reader
from flexlond.settlement.ledger.note import NoteKey
from flexlond.settlement.ledger.problem import LedgerError, TamperError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

STRIDE = 8  # levels of the tree from one that is stored to the next


class Hashes:
    """The tree's hashes in the file."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db

    def node(self, level: int, index: int) -> bytes:
        """The hash of the perfect subtree (level, index). Raises TamperError when the file lacks it."""
        base = level - level % STRIDE
        span = 1 << (level - base)
        first = index * span
        if base:
            rows = self._db.execute(
                "SELECT hash FROM node WHERE level=? AND idx>=? AND idx<? ORDER BY idx",
                (base, first, first + span),
            )
        else:
            rows = self._db.execute(
                "SELECT leaf FROM entry WHERE seq>=? AND seq<? ORDER BY seq", (first, first + span)
            )
        hashes = [bytes(row[0]) for row in rows]
        if len(hashes) != span:
            raise TamperError(
                f"the file lacks hashes of the entries from {first << base} on: verify it"
            )
        while len(hashes) > 1:
            hashes = [merkle.node_hash(hashes[k], hashes[k + 1]) for k in range(0, len(hashes), 2)]
        return hashes[0]

    def root(self, size: int) -> bytes:
        """The root of the first `size` entries."""
        return merkle.CompactRange.of(size, self.node).root()


class Reader:
    """One snapshot of a ledger. Not for use from two threads at once."""

    def __init__(self, path: Path) -> None:
        """Open the file at `path` read-only. Raises LedgerError."""
        self.path = path
        self.db = connect_reader(path)
        self.hashes = Hashes(self.db)
        try:
            self.db.execute("BEGIN")
            self.size, self.head = read_tip(self.db)
        except (sqlite3.Error, TypeError, ValueError) as error:
            self.db.close()
            raise TamperError(
                f"{path}: the file is damaged: {error}; restore a whole copy"
            ) from error
        except TamperError:
            self.db.close()
            raise

    def close(self) -> None:
        """Let go of the snapshot."""
        self.db.close()

    def __enter__(self) -> Self:
        """The reader itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close."""
        self.close()

    @property
    def origin(self) -> str:
        """Whose ledger it is."""
        return self._meta("origin")

    @property
    def key(self) -> NoteKey | None:
        """The public key that the file itself names; None while nothing is signed. For convenience only."""
        text = self._meta("key")
        return NoteKey.of_text(text) if text else None

    def rows(
        self, begin: int = 0, end: int | None = None
    ) -> Iterator[tuple[int, bytes, bytes | None]]:
        """(seq, leaf hash, entry or None where its body was dropped) of the entries [begin, end)."""
        last = self.size if end is None else end
        return iter(
            self.db.execute(
                "SELECT seq, leaf, body FROM entry WHERE seq>=? AND seq<? ORDER BY seq",
                (begin, last),
            )
        )

    def entry(self, seq: int) -> bytes:
        """The bytes of one entry. Raises LedgerError where there is none or its body was dropped."""
        row = self.db.execute("SELECT body FROM entry WHERE seq=?", (seq,)).fetchone()
        if row is None:
            raise LedgerError(
                f"there is no entry {seq}: the ledger has {self.size}, counted from 0"
            )
        if row[0] is None:
            raise LedgerError(
                f"the body of entry {seq} was dropped by retention; whoever has a copy can still have it"
                " proved: only its hash is needed"
            )
        return bytes(row[0])

    def notes(self) -> Sequence[tuple[int, str]]:
        """(size, note) of every checkpoint, oldest first."""
        return [
            (size, note)
            for size, note in self.db.execute("SELECT size, note FROM checkpoint ORDER BY n")
        ]

    def personal(self, seq: int) -> dict[str, tuple[bytes, str]]:
        """By field: (salt, clear text) of one entry, as far as it was not erased."""
        return {
            name: (bytes(salt), text)
            for name, salt, text in self.db.execute(
                "SELECT field, salt, text FROM personal WHERE seq=? ORDER BY field", (seq,)
            )
        }

    def clear_texts(self) -> Iterator[tuple[int, str, bytes, str]]:
        """(seq, field, salt, clear text) of everything that was not erased, by entry."""
        return iter(
            self.db.execute("SELECT seq, field, salt, text FROM personal ORDER BY seq, field")
        )

    def nodes(self) -> Iterator[tuple[int, int, bytes]]:
        """(level, index, hash) of every stored subtree, in the order in which they became whole."""
        return iter(
            self.db.execute(
                "SELECT level, idx, hash FROM node ORDER BY ((idx + 1) << level), level"
            )
        )

    def inclusion(self, seq: int, size: int) -> list[bytes]:
        """The proof that entry `seq` is in the ledger of the first `size` entries, leaf first."""
        return merkle.inclusion(seq, size, self.hashes.node)

    def consistency(self, old: int, size: int) -> list[bytes]:
        """The proof that the ledger of `size` entries continues the one of `old`."""
        return merkle.consistency(old, size, self.hashes.node)

    def _meta(self, key: str) -> str:
        row = self.db.execute("SELECT value FROM meta WHERE key=?", (key,)).fetchone()
        return str(row[0]) if row else ""


def read_tip(db: sqlite3.Connection) -> tuple[int, bytes]:
    """(number of entries, leaf hash of the newest) as the last commit left it."""
    row = db.execute("SELECT size, head FROM tip").fetchone()
    if row is None:
        raise TamperError("the ledger's file has lost its tip: restore it from a copy")
    return int(row[0]), bytes(row[1])
