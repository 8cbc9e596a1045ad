"""The settlement file: SQLite, WAL, synchronous=FULL, and tables to which rows are only added.

Law: a transaction that has returned is on disk, one that has not left no trace. No row is ever changed or
removed: triggers refuse it, corrected data come as a new version of their key, and the newest version stands.
One writer at a time; others wait. Times are epoch seconds (UTC). Source: SQLite's documentation of WAL.
"""

from __future__ import annotations

import sqlite3
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

SCHEMA_VERSION = 2
WAIT = 30.0  # seconds for another writer

_TABLES = {
    "reading": """start INTEGER NOT NULL, point TEXT NOT NULL, version INTEGER NOT NULL,
  wh INTEGER NOT NULL, quality TEXT NOT NULL, source TEXT NOT NULL, uncertainty_wh INTEGER NOT NULL,
  detail TEXT NOT NULL, recorded INTEGER NOT NULL, PRIMARY KEY (start, point, version)""",
    "nomination": """start INTEGER NOT NULL, point TEXT NOT NULL, fixed_at INTEGER NOT NULL,
  wh INTEGER NOT NULL, source TEXT NOT NULL, recorded INTEGER NOT NULL,
  PRIMARY KEY (start, point, fixed_at)""",
    "value": """kind TEXT NOT NULL, start INTEGER NOT NULL, version INTEGER NOT NULL,
  amount TEXT NOT NULL, source TEXT NOT NULL, recorded INTEGER NOT NULL,
  PRIMARY KEY (kind, start, version)""",
    "event_day": """point TEXT NOT NULL, day TEXT NOT NULL, version INTEGER NOT NULL,
  active INTEGER NOT NULL, reason TEXT NOT NULL, evidence TEXT NOT NULL, recorded INTEGER NOT NULL,
  PRIMARY KEY (point, day, version)""",
    "sale": """id TEXT NOT NULL, version INTEGER NOT NULL, first INTEGER NOT NULL, last INTEGER NOT NULL,
  body TEXT NOT NULL, recorded INTEGER NOT NULL, PRIMARY KEY (id, version)""",
    "work": """start INTEGER NOT NULL, job TEXT NOT NULL, unit TEXT NOT NULL, version INTEGER NOT NULL,
  amount TEXT NOT NULL, wh INTEGER NOT NULL, embodied_g TEXT NOT NULL, recorded INTEGER NOT NULL,
  PRIMARY KEY (start, job, unit, version)""",
    "run": """day TEXT NOT NULL, version INTEGER NOT NULL, digest TEXT NOT NULL, terms TEXT NOT NULL,
  final INTEGER NOT NULL, made INTEGER NOT NULL, PRIMARY KEY (day, version)""",
    "record": """day TEXT NOT NULL, version INTEGER NOT NULL, number INTEGER NOT NULL, sale TEXT NOT NULL,
  start INTEGER NOT NULL, body TEXT NOT NULL, PRIMARY KEY (day, version, number)""",
    "day_point": """day TEXT NOT NULL, version INTEGER NOT NULL, point TEXT NOT NULL, body TEXT NOT NULL,
  PRIMARY KEY (day, version, point)""",
}

_SINCE_2 = {
    "delivery": """sale TEXT NOT NULL, start INTEGER NOT NULL, version INTEGER NOT NULL,
  length INTEGER NOT NULL, baseline_kw TEXT NOT NULL, usage_kw TEXT NOT NULL, quality TEXT NOT NULL,
  source TEXT NOT NULL, recorded INTEGER NOT NULL, PRIMARY KEY (sale, start, version)""",
}


def _made(tables: Mapping[str, str]) -> list[str]:
    stay = "BEGIN SELECT RAISE(ABORT, 'rows stay'); END"
    return [
        statement
        for name, columns in tables.items()
        for statement in (
            f"CREATE TABLE {name} ({columns}) STRICT, WITHOUT ROWID",
            f"CREATE TRIGGER {name}_stays BEFORE UPDATE ON {name} {stay}",
            f"CREATE TRIGGER {name}_kept BEFORE DELETE ON {name} {stay}",
        )
    ]


_SCHEMA = {0: _made({**_TABLES, **_SINCE_2}), 1: _made(_SINCE_2)}  # by the version that a file has


class SettlementStoreError(Exception):
    """The settlement file cannot be used; the text says why and what to do."""


class Database:
    """The file and its transactions. Not for use from two threads at once."""

    def __init__(self, path: Path | str) -> None:
        """Open or create `path` (":memory:" for tests). Raises SettlementStoreError."""
        self.path = path
        self._open = False
        try:
            self.connection = sqlite3.connect(
                path, isolation_level=None, check_same_thread=False, timeout=WAIT
            )
        except sqlite3.Error as error:
            raise SettlementStoreError(self._unusable(error)) from error
        try:
            self._prepare()
        except sqlite3.Error as error:
            self.connection.close()
            raise SettlementStoreError(self._unusable(error)) from error
        except BaseException:
            self.connection.close()
            raise

    def _prepare(self) -> None:
        self.connection.execute("PRAGMA journal_mode=WAL")
        self.connection.execute("PRAGMA synchronous=FULL")
        (version,) = self.connection.execute("PRAGMA user_version").fetchone()
        if version > SCHEMA_VERSION:
            raise SettlementStoreError(
                f"{self.path} was written by a newer FlexLon (schema {version}, this one knows"
                f" {SCHEMA_VERSION}): install that version; the file is evidence, do not move it away"
            )
        if version < SCHEMA_VERSION:
            with self.transaction():  # another process may be at it, or have been
                (version,) = self.connection.execute("PRAGMA user_version").fetchone()
                for statement in _SCHEMA.get(version, ()):
                    self.connection.execute(statement)
                self.connection.execute(f"PRAGMA user_version={SCHEMA_VERSION}")

    def _unusable(self, error: sqlite3.Error) -> str:
        return f"{self.path}: {error}; check that the folder is writable by this user and not full"

    def close(self) -> None:
        """Close the file; what was committed stays."""
        self.connection.close()

    def __enter__(self) -> Self:
        """The database itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close."""
        self.close()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All or nothing; one within another is part of the outer."""
        if self._open:
            yield
            return
        self.connection.execute("BEGIN IMMEDIATE")
        self._open = True
        try:
            yield
            self.connection.execute("COMMIT")
        except BaseException:
            if self.connection.in_transaction:
                self.connection.execute("ROLLBACK")
            raise
        finally:
            self._open = False

    def rows(self, sql: str, *values: Any) -> list[tuple[Any, ...]]:
        """All rows of a question."""
        return self.connection.execute(sql, values).fetchall()

    def row(self, sql: str, *values: Any) -> tuple[Any, ...] | None:
        """The first row, or None."""
        found: tuple[Any, ...] | None = self.connection.execute(sql, values).fetchone()
        return found

    def insert(self, table: str, rows: Iterable[tuple[Any, ...]]) -> None:
        """Whole rows, in the order of the table's columns."""
        width = len(self.rows(f"PRAGMA table_info({table})"))
        places = ",".join("?" * width)
        self.connection.executemany(f"INSERT INTO {table} VALUES ({places})", rows)
