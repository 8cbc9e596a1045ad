"""Writing a ledger: append, and sign what is there.

Law: what `append` returned for is on disk, and a kill at any moment leaves a valid prefix that appending
goes on from. Nothing recorded is ever changed. A ledger shorter than a checkpoint of its second place, or
different from it, is not written to: it was rolled back or rewritten, and going on would make the fork
final. One writer (a lock); not for use from two threads at once. Moments are epoch seconds (UTC).
"""

from __future__ import annotations

import secrets
import sqlite3
from typing import TYPE_CHECKING, Self

from flexlond.settlement.ledger import entry as entries
from flexlond.settlement.ledger import merkle
from flexlond.settlement.ledger.checkpoint import Checkpoint, open_checkpoint
from flexlond.settlement.ledger.database import WriterLock, connect_writer, transaction, unusable
from flexlond.settlement.ledger.problem import LedgerError, TamperError
from flexlond.settlement.ledger.reader import STRIDE, Hashes, read_tip

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from flexlond.settlement.ledger.entry import Record
    from flexlond.settlement.ledger.note import NoteKey, NoteSigner
    from flexlond.settlement.ledger.second_place import SecondPlace

MAX_BATCH = (
    32  # entries in one commit: a crash loses at most so many that nobody was told were written
)


class Ledger:
    """The one writer of a ledger."""

    def __init__(self, path: Path, signer: NoteSigner, second: SecondPlace | None = None) -> None:
        """Open or create the file at `path`. Raises LedgerError.

        The ledger is that of the signer's name; `second` is where checkpoints go besides.
        """
        self.path = path
        self.origin = signer.key.name
        self.second_problem = ""  # why the second place lacks a checkpoint; "" while it has all
        self._signer = signer
        self._second = second
        self._lock = WriterLock(path)
        try:
            self._db = connect_writer(path, self.origin)
        except BaseException:
            self._lock.release()
            raise
        self._hashes = Hashes(self._db)
        self._range, self._head, self._stale = merkle.CompactRange(), entries.NO_HASH, True
        try:
            self._load()
            self._adopt_key()
            self._check_second()
            self._catch_up_second()
        except BaseException as error:
            self.close()
            if isinstance(error, sqlite3.Error):
                raise unusable(path, error) from error
            raise

    def close(self) -> None:
        """Close the file and let the next writer in."""
        self._db.close()
        self._lock.release()

    def __enter__(self) -> Self:
        """The ledger itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close."""
        self.close()

    @property
    def size(self) -> int:
        """How many entries it has."""
        return self._range.size

    @property
    def head(self) -> bytes:
        """The leaf hash of the newest entry; zeros while there is none."""
        return self._head

    def root(self) -> bytes:
        """The root of everything recorded."""
        return self._range.root()

    def append(self, records: Sequence[Record]) -> range:
        """Record up to 32, all or none; their numbers. Raises LedgerError: then none is recorded."""
        if len(records) > MAX_BATCH:
            raise LedgerError(
                f"{len(records)} entries at once; at most {MAX_BATCH} go into one commit"
            )
        for record in records:
            entries.check(record)
        return self._write(records)

    def checkpoint(self, at: int) -> Checkpoint:
        """Sign what is recorded as of `at`; kept here, and in the second place (or see `second_problem`)."""
        made = Checkpoint(self.origin, self.size, self.root(), self.head, at).signed(self._signer)
        try:
            with transaction(self._db):
                self._db.execute(
                    "INSERT INTO checkpoint (size, note) VALUES (?,?)", (made.size, made.note)
                )
        except sqlite3.Error as error:
            raise unusable(self.path, error) from error
        self._catch_up_second()
        return made

    def last_checkpoint(self) -> Checkpoint | None:
        """The newest one; None while there is none."""
        row = self._db.execute("SELECT note FROM checkpoint ORDER BY n DESC LIMIT 1").fetchone()
        return open_checkpoint(row[0], [self._signer.key]) if row else None

    # ---- for upkeep, in the same package

    @property
    def key(self) -> NoteKey:
        """The public key that checkpoints are signed for."""
        return self._signer.key

    @property
    def db(self) -> sqlite3.Connection:
        """The connection, for upkeep."""
        return self._db

    def append_with(
        self, records: Sequence[Record], *more: tuple[str, tuple[object, ...]]
    ) -> range:
        """Like `append`, with statements on other tables in the same commit."""
        for record in records:
            entries.check(record)
        return self._write(records, more)

    # ---- within

    def _write(
        self, records: Sequence[Record], more: Sequence[tuple[str, tuple[object, ...]]] = ()
    ) -> range:
        try:
            if self._stale:
                self._load()
            grown, head = self._range.copy(), self._head
            rows, nodes, personal = [], [], []
            for record in records:
                seq = grown.size
                salts = {name: secrets.token_bytes(entries.SALT_BYTES) for name in record.personal}
                raw = entries.encode(record, seq, head, salts)
                head = merkle.leaf_hash(raw)
                rows.append((seq, head, raw))
                nodes += [node for node in grown.push(head) if node[0] % STRIDE == 0]
                personal += [
                    (seq, name, salts[name], text) for name, text in record.personal.items()
                ]
            self._stale = True  # until the commit is known to have come through
            with transaction(self._db):
                self._db.executemany("INSERT INTO entry VALUES (?,?,?)", rows)
                self._db.executemany("INSERT INTO node VALUES (?,?,?)", nodes)
                self._db.executemany("INSERT INTO personal VALUES (?,?,?,?)", personal)
                self._db.execute("UPDATE tip SET size=?, head=?", (grown.size, head))
                for statement, values in more:
                    self._db.execute(statement, values)
        except sqlite3.Error as error:
            raise unusable(self.path, error) from error
        begin, self._range, self._head, self._stale = self._range.size, grown, head, False
        return range(begin, grown.size)

    def _load(self) -> None:
        size, head = read_tip(self._db)
        row = self._db.execute("SELECT seq, leaf FROM entry ORDER BY seq DESC LIMIT 1").fetchone()
        if (tuple(row) if row else (-1, entries.NO_HASH)) != (size - 1, head):
            raise TamperError(
                f"{self.path}: its newest entry is not the one that was committed last: the file was changed;"
                " verify it, and go on with a whole copy"
            )
        self._range = merkle.CompactRange.of(size, self._hashes.node)
        self._head = head
        self._stale = False

    def _adopt_key(self) -> None:
        """The file names the public key, for whoever verifies it here."""
        text = self._signer.key.text
        row = self._db.execute("SELECT value FROM meta WHERE key='key'").fetchone()
        if row is None:
            self._db.execute("INSERT INTO meta VALUES ('key', ?)", (text,))
        elif row[0] != text:
            raise LedgerError(
                f"{self.path} is signed with the key {row[0]}, not with {text}: give the service its old key"
                " back, or close this ledger and start another under a new name"
            )

    def _check_second(self) -> None:
        """Refuse to go on from a ledger that its own published checkpoints contradict."""
        if self._second is None:
            return
        try:
            newest = self._second.newest()
        except LedgerError as error:
            self.second_problem = str(error)
            return
        if newest is None:
            return
        made = open_checkpoint(newest[1], [self._signer.key])
        if made.size > self.size or self._hashes.root(made.size) != made.root:
            raise LedgerError(
                f"{self.path} has {self.size} entries and contradicts the checkpoint of {made.size} entries"
                " in its second place: it was rolled back, restored from an old copy, or rewritten."
                " Keep both; restore the newest copy of the ledger, or start another under a new name"
            )

    def _catch_up_second(self) -> None:
        """Put every checkpoint that the second place lacks there; it may have been away."""
        if self._second is None:
            return
        try:
            there = self._second.names()
            missing: list[Checkpoint] = []
            for (note,) in self._db.execute("SELECT note FROM checkpoint ORDER BY n DESC"):
                made = open_checkpoint(note, [self._signer.key])
                if (made.size, made.at) in there:
                    break
                missing.append(made)
            for made in reversed(missing):  # the oldest first: what is there shows what is not
                self._second.put(made)
        except LedgerError as error:
            self.second_problem = str(error)
        else:
            self.second_problem = ""
