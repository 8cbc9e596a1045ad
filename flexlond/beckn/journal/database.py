"""One SQLite file per identity: what came, what goes out, which signatures were used, where contracts stand.

Law: a transaction that has returned is on disk (WAL, synchronous=FULL), and one that has not left no trace; a
message is acknowledged after, never before. One writer: the process that holds the identity. Times are epoch
seconds (UTC). Transaction ids are in the file and never in logs. Source: SQLite's documentation of WAL.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from flexlond.sqlite_file import SqliteFile, statements

if TYPE_CHECKING:
    from pathlib import Path

SCHEMA_VERSION = 1

_SCHEMA = """
CREATE TABLE inbox (
  seq INTEGER PRIMARY KEY, action TEXT NOT NULL, peer TEXT NOT NULL, peer_key TEXT NOT NULL,
  message_id TEXT NOT NULL, transaction_id TEXT NOT NULL, digest TEXT NOT NULL,
  signature TEXT NOT NULL, body BLOB NOT NULL, received REAL NOT NULL,
  refusal TEXT NOT NULL, refusal_text TEXT NOT NULL,
  handled REAL NOT NULL DEFAULT 0, answered INTEGER NOT NULL DEFAULT 0,
  UNIQUE (action, peer, message_id, digest)
) STRICT;
CREATE INDEX inbox_open ON inbox (seq) WHERE handled = 0;
CREATE TABLE outbox (
  seq INTEGER PRIMARY KEY, action TEXT NOT NULL, peer TEXT NOT NULL, peer_key TEXT NOT NULL,
  message_id TEXT NOT NULL, transaction_id TEXT NOT NULL, body BLOB NOT NULL, digest TEXT NOT NULL,
  answers INTEGER NOT NULL, answered TEXT NOT NULL, created REAL NOT NULL, expires REAL NOT NULL,
  tries INTEGER NOT NULL DEFAULT 0, next_at REAL NOT NULL, state TEXT NOT NULL DEFAULT 'WAITING',
  outcome TEXT NOT NULL DEFAULT '', proof TEXT NOT NULL DEFAULT '', ended REAL NOT NULL DEFAULT 0
) STRICT;
CREATE INDEX outbox_due ON outbox (next_at) WHERE state = 'WAITING';
CREATE INDEX outbox_message ON outbox (message_id);
CREATE TABLE sent (
  message_id TEXT NOT NULL, signature TEXT NOT NULL, PRIMARY KEY (message_id, signature)
) STRICT, WITHOUT ROWID;
CREATE TABLE seen (signature BLOB PRIMARY KEY, until REAL NOT NULL) STRICT, WITHOUT ROWID;
CREATE INDEX seen_until ON seen (until);
CREATE TABLE contract (
  transaction_id TEXT PRIMARY KEY, peer TEXT NOT NULL, peer_key TEXT NOT NULL, peer_uri TEXT NOT NULL,
  state TEXT NOT NULL, contract_id TEXT NOT NULL, awaited TEXT NOT NULL,
  preview TEXT NOT NULL, preview_digest TEXT NOT NULL, body BLOB NOT NULL,
  deadline REAL NOT NULL, since REAL NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE history (
  seq INTEGER PRIMARY KEY, at REAL NOT NULL, transaction_id TEXT NOT NULL, was TEXT NOT NULL,
  event TEXT NOT NULL, became TEXT NOT NULL, why TEXT NOT NULL
) STRICT;
CREATE INDEX history_of ON history (transaction_id);
CREATE TABLE hold (
  transaction_id TEXT NOT NULL, slot INTEGER NOT NULL, watts INTEGER NOT NULL, until REAL NOT NULL,
  PRIMARY KEY (transaction_id, slot)
) STRICT, WITHOUT ROWID;
CREATE INDEX hold_slot ON hold (slot);
"""


class JournalError(Exception):
    """The journal cannot be used; the text says why and what to do."""


class Database(SqliteFile):
    """The file, its transactions and its statements. Not for use from two threads at once."""

    def __init__(self, path: Path | str) -> None:
        """Open or create `path` (":memory:" for tests). Raises JournalError."""
        super().__init__(
            path,
            {0: statements(_SCHEMA)},
            SCHEMA_VERSION,
            error=JournalError,
            newer="; do not move the file away while orders stand",
        )

    def run(self, sql: str, *values: Any) -> int:
        """One statement; the number of rows changed."""
        return self.connection.execute(sql, values).rowcount

    def insert(self, sql: str, *values: Any) -> int:
        """One insert; the new row's number."""
        return int(self.connection.execute(sql, values).lastrowid or 0)

    def row(self, sql: str, *values: Any) -> tuple[Any, ...] | None:
        """The first row, or None."""
        found = self.connection.execute(sql, values).fetchone()
        return None if found is None else tuple(found)

    def rows(self, sql: str, *values: Any) -> list[tuple[Any, ...]]:
        """All rows."""
        return [tuple(row) for row in self.connection.execute(sql, values)]
