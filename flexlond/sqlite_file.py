"""One SQLite file of ours: of a version that this program knows, written in whole transactions.

Law: a transaction that has returned is on disk (WAL, synchronous=FULL), and one that has not left no trace. A
file of a newer FlexLon is not opened. One writer at a time; others wait. Source: SQLite's documentation of WAL.
"""

from __future__ import annotations

import sqlite3
from contextlib import contextmanager
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path


def statements(script: str) -> list[str]:
    """A schema as its single statements; each ends at a line's end."""
    found, begun = [], ""
    for line in script.splitlines(keepends=True):
        begun += line
        if sqlite3.complete_statement(begun):
            found.append(begun.strip())
            begun = ""
    if begun.strip():
        raise ValueError(f"a statement without its end: {begun.strip()!r}")
    return found


class SqliteFile:
    """The file and its transactions. Not for use from two threads at once."""

    def __init__(
        self,
        path: Path | str,
        schema: Mapping[int, Sequence[str]],
        version: int,
        *,
        error: type[Exception],
        newer: str,
        wait: float = 5.0,
    ) -> None:
        """Open or create `path` (":memory:" for tests) and bring it to `version`.

        `schema` has the statements that lead there from the version that a file has (0: a new one). Raises
        `error`, also for a file of a newer version; `newer` says what to do then. `wait` is in seconds.
        """
        self.path = path
        self._error = error
        self._depth = 0
        try:
            self.connection = sqlite3.connect(
                path, isolation_level=None, check_same_thread=False, timeout=wait
            )
        except sqlite3.Error as fault:
            raise error(self._unusable(fault)) from fault
        try:
            self._prepare(schema, version, newer)
        except sqlite3.Error as fault:
            self.connection.close()
            raise error(self._unusable(fault)) from fault
        except BaseException:
            self.connection.close()
            raise

    def _prepare(self, schema: Mapping[int, Sequence[str]], version: int, newer: str) -> None:
        self.connection.execute("PRAGMA journal_mode=WAL")
        self.connection.execute("PRAGMA synchronous=FULL")
        found = self._version()
        if found > version:
            raise self._error(
                f"{self.path} was written by a newer FlexLon (schema {found}, this one knows {version}):"
                f" install that version{newer}"
            )
        if found < version:
            with self.transaction():  # another process may be at it, or have been
                for statement in schema.get(self._version(), ()):
                    self.connection.execute(statement)
                self.connection.execute(f"PRAGMA user_version={version}")

    def _version(self) -> int:
        (found,) = self.connection.execute("PRAGMA user_version").fetchone()
        return int(found)

    def _unusable(self, fault: sqlite3.Error) -> str:
        return f"{self.path}: {fault}; check that the folder is writable by this user and not full"

    def close(self) -> None:
        """Close the file; what was committed stays."""
        self.connection.close()

    def __enter__(self) -> Self:
        """The file itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close."""
        self.close()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All or nothing. One within another is part of the outer, undone alone if it raises."""
        name = f"nested{self._depth}"
        self.connection.execute(f"SAVEPOINT {name}" if self._depth else "BEGIN IMMEDIATE")
        self._depth += 1
        try:
            yield
        except BaseException:
            self._depth -= 1
            self._undo(name)
            raise
        self._depth -= 1
        try:
            self.connection.execute(f"RELEASE {name}" if self._depth else "COMMIT")
        except sqlite3.Error:  # a full disk: nothing of it may stay half open
            if not self._depth:
                self._undo(name)
            raise

    def _undo(self, name: str) -> None:
        """Roll back, unless SQLite has done it by itself (a full disk ends the whole transaction)."""
        if not self.connection.in_transaction:
            return
        if self._depth:
            self.connection.execute(f"ROLLBACK TO {name}")
            self.connection.execute(f"RELEASE {name}")
        else:
            self.connection.execute("ROLLBACK")
