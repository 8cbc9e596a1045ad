"""The ledger's SQLite file: its tables, how it is opened, and who may write.

Law: a transaction that has returned is on disk (WAL, synchronous=FULL). One writer: an flock beside the
file, which the kernel frees however its holder ends. Readers open read-only and see one snapshot. What is
deleted is overwritten (secure_delete). Source: SQLite's documentation of WAL, URI file names and
secure_delete.
"""

from __future__ import annotations

import fcntl
import os
import sqlite3
from contextlib import contextmanager
from typing import TYPE_CHECKING
from urllib.parse import quote

from flexlond.settlement.ledger.problem import LedgerError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SCHEMA_VERSION = 1
APPLICATION_ID = 0x466C784C  # "FlxL"

_SCHEMA = """
CREATE TABLE entry (seq INTEGER PRIMARY KEY, leaf BLOB NOT NULL, body BLOB) STRICT;
CREATE TABLE node (
  level INTEGER NOT NULL, idx INTEGER NOT NULL, hash BLOB NOT NULL, PRIMARY KEY (level, idx)
) STRICT, WITHOUT ROWID;
CREATE TABLE personal (
  seq INTEGER NOT NULL, field TEXT NOT NULL, salt BLOB NOT NULL, text TEXT NOT NULL,
  PRIMARY KEY (seq, field)
) STRICT, WITHOUT ROWID;
CREATE INDEX personal_text ON personal (field, text);
CREATE TABLE checkpoint (n INTEGER PRIMARY KEY, size INTEGER NOT NULL, note TEXT NOT NULL) STRICT;
CREATE TABLE tip (one INTEGER PRIMARY KEY CHECK (one = 0), size INTEGER NOT NULL, head BLOB NOT NULL) STRICT;
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID;
INSERT INTO tip VALUES (0, 0, zeroblob(32));
"""


def connect_writer(path: Path, origin: str) -> sqlite3.Connection:
    """Open or create the file for writing. Raises LedgerError. The caller holds the WriterLock."""
    try:
        # The recorder commits in a thread of its own; it never uses the connection from two at once.
        db = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    except sqlite3.Error as error:
        raise unusable(path, error) from error
    try:
        db.execute("PRAGMA journal_mode=WAL")
        db.execute("PRAGMA synchronous=FULL")
        db.execute("PRAGMA secure_delete=ON")
        if _version(db, path) == 0:
            db.executescript(
                f"BEGIN IMMEDIATE;{_SCHEMA}PRAGMA application_id={APPLICATION_ID};"
                f"PRAGMA user_version={SCHEMA_VERSION};COMMIT;"
            )
        # Its own step: a crash before it leaves a ledger of nobody, which the next start takes over.
        db.execute("INSERT OR IGNORE INTO meta VALUES ('origin', ?)", (origin,))
        _check_origin(db, path, origin)
    except sqlite3.Error as error:
        db.close()
        raise unusable(path, error) from error
    except LedgerError:
        db.close()
        raise
    return db


def connect_reader(path: Path) -> sqlite3.Connection:
    """Open an existing file read-only, whether its writer runs or not. Raises LedgerError."""
    if not path.is_file():
        raise LedgerError(f"{path}: there is no ledger here; name its file with --ledger")
    uri = f"file:{quote(str(path.absolute()))}?mode=ro"
    try:
        db = _opened(uri, path)
    except sqlite3.OperationalError as error:
        # A WAL reader needs its -shm file and may not create it in a folder that is not its own. Without a
        # WAL nobody writes and nothing is missing from the file itself.
        if path.with_name(path.name + "-wal").exists():
            raise unusable(path, error) from error
        try:
            db = _opened(f"{uri}&immutable=1", path)
        except (sqlite3.Error, UnicodeDecodeError) as again:
            raise unusable(path, again) from again
    except (sqlite3.Error, UnicodeDecodeError) as error:
        raise unusable(path, error) from error
    return db


def unusable(path: Path, error: Exception) -> LedgerError:
    """What to say when SQLite cannot use the file."""
    return LedgerError(
        f"{path}: {error}; check that the file is whole, its folder accessible to this user and not full"
    )


@contextmanager
def transaction(db: sqlite3.Connection) -> Iterator[None]:
    """All or nothing; what fails is raised after the rollback."""
    db.execute("BEGIN IMMEDIATE")
    try:
        yield
        db.execute("COMMIT")
    except BaseException:
        if db.in_transaction:
            db.execute("ROLLBACK")
        raise


class WriterLock:
    """Held as long as somebody writes."""

    def __init__(self, path: Path) -> None:
        """Take it at once or raise LedgerError."""
        name = path.with_name(path.name + ".lock")
        try:
            self._fd = os.open(name, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o640)
        except OSError as error:
            raise LedgerError(
                f"{name}: cannot be opened: {error.strerror}; the ledger's folder must exist and belong to"
                " the service"
            ) from error
        try:
            fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            self.release()
            raise LedgerError(
                f"{path}: another process writes this ledger; one writer at a time: stop flexlond first"
            ) from error

    def release(self) -> None:
        """Give it back; twice is harmless."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


def _opened(uri: str, path: Path) -> sqlite3.Connection:
    db = sqlite3.connect(uri, uri=True, isolation_level=None)
    try:
        version = _version(db, path)
    except BaseException:
        db.close()
        raise
    if version == 0:
        db.close()
        raise LedgerError(f"{path}: this is no ledger")
    return db


def _version(db: sqlite3.Connection, path: Path) -> int:
    (version,) = db.execute("PRAGMA user_version").fetchone()
    (application,) = db.execute("PRAGMA application_id").fetchone()
    (tables,) = db.execute("SELECT count(*) FROM sqlite_schema").fetchone()
    if (version or tables) and application != APPLICATION_ID:
        raise LedgerError(
            f"{path}: this is no ledger but another program's file; name another path"
        )
    if version > SCHEMA_VERSION:
        raise LedgerError(
            f"{path} was written by a newer FlexLon (ledger schema {version}, this one knows"
            f" {SCHEMA_VERSION}): install that version; a ledger is never started afresh"
        )
    return int(version)


def _check_origin(db: sqlite3.Connection, path: Path, origin: str) -> None:
    row = db.execute("SELECT value FROM meta WHERE key='origin'").fetchone()
    if row is None or row[0] != origin:
        raise LedgerError(
            f"{path} is the ledger of {row[0] if row else 'nobody'}, not of {origin}: a ledger keeps its"
            " origin for life; name another path, or the origin that it has"
        )
