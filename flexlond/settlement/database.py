"""The settlement file: SQLite, WAL, synchronous=FULL, and tables to which rows are only added.

Law: a transaction that has returned is on disk, one that has not left no trace. No row is ever changed or
removed: triggers refuse it, corrected data come as a new version of their key, and the newest version stands.
One writer at a time; others wait. Times are epoch seconds (UTC). Source: SQLite's documentation of WAL.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from flexlond.sqlite_file import SqliteFile

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

SCHEMA_VERSION = 3
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
_SINCE_3 = {
    "statement": """month TEXT NOT NULL, version INTEGER NOT NULL, digest TEXT NOT NULL,
  body TEXT NOT NULL, made INTEGER NOT NULL, PRIMARY KEY (month, version)""",
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


_SCHEMA = {  # by the version that a file has
    0: _made({**_TABLES, **_SINCE_2, **_SINCE_3}),
    1: _made({**_SINCE_2, **_SINCE_3}),
    2: _made(_SINCE_3),
}


class SettlementStoreError(Exception):
    """The settlement file cannot be used; the text says why and what to do."""


class Database(SqliteFile):
    """The file, its transactions and its rows. Not for use from two threads at once."""

    def __init__(self, path: Path | str) -> None:
        """Open or create `path` (":memory:" for tests). Raises SettlementStoreError."""
        super().__init__(
            path,
            _SCHEMA,
            SCHEMA_VERSION,
            error=SettlementStoreError,
            newer="; the file is evidence, do not move it away",
            wait=WAIT,
        )

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
