"""The store: SQLite, WAL, synchronous=FULL, one writer.

Law: what `record_intents` was given is on disk before it returns, so every effect on Slurm has an earlier
recorded intent (invariant I2) and a kill -9 at any moment leaves a state from which the next observation
finds its way. An intent ends once: the first result stands. Times are epoch seconds (UTC).
Source: SQLite's documentation of WAL with synchronous=FULL (a commit survives power loss).
"""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING, Any, Self

from flexlond.agents.records import IntentLine, JobRecord, OpenIntent
from flexlond.daemon.power_table import PowerTable
from flexlond.daemon.stop_table import StopTable
from flexlond.daemon.window_table import WindowTable
from flexlond.model.action import Action, Outcome, Result, Verb
from flexlond.sqlite_file import SqliteFile, statements

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from flexlond.model.stop import StopRecord
    from flexlond.model.window import Window, WindowSample

SCHEMA_VERSION = 1

_SCHEMA = """
CREATE TABLE job (
  job_id INTEGER NOT NULL, first_submit INTEGER NOT NULL, submit INTEGER NOT NULL,
  restarts INTEGER NOT NULL, original_begin INTEGER NOT NULL, eligible INTEGER NOT NULL,
  hold INTEGER NOT NULL, hold_seen INTEGER NOT NULL, ours TEXT NOT NULL, came_due INTEGER NOT NULL,
  opted_out INTEGER NOT NULL, opted_out_why TEXT NOT NULL, touched INTEGER NOT NULL,
  last_seen INTEGER NOT NULL, PRIMARY KEY (job_id, first_submit)
) STRICT, WITHOUT ROWID;
CREATE TABLE intent (
  seq INTEGER PRIMARY KEY, action_id TEXT NOT NULL UNIQUE, job_id INTEGER NOT NULL,
  submit INTEGER NOT NULL, restarts INTEGER NOT NULL, expected_begin INTEGER NOT NULL,
  expected_state TEXT NOT NULL, verb TEXT NOT NULL, not_before INTEGER NOT NULL, reason TEXT NOT NULL,
  created INTEGER NOT NULL, outcome TEXT, code TEXT NOT NULL DEFAULT '', detail TEXT NOT NULL DEFAULT '',
  ended INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE INDEX intent_job ON intent (job_id);
CREATE INDEX intent_open ON intent (seq) WHERE outcome IS NULL;
CREATE TABLE cycle (
  seq INTEGER PRIMARY KEY, at INTEGER NOT NULL, sentence TEXT NOT NULL, seconds REAL NOT NULL
) STRICT;
CREATE TABLE wait (
  seq INTEGER PRIMARY KEY, at INTEGER NOT NULL, partition TEXT NOT NULL, seconds INTEGER NOT NULL
) STRICT;
CREATE TABLE flag (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID;
"""

# Came later and is only learnt from again when it is lost: an older FlexLon opens the file and passes it by.
_BLOB = (
    "CREATE TABLE IF NOT EXISTS blob"
    " (key TEXT PRIMARY KEY, at INTEGER NOT NULL, value BLOB NOT NULL) STRICT, WITHOUT ROWID"
)

_JOB_COLUMNS = (
    "job_id, first_submit, submit, restarts, original_begin, eligible, hold, hold_seen, ours, came_due,"
    " opted_out, opted_out_why, touched, last_seen"
)
_INTENT_COLUMNS = (
    "action_id, job_id, submit, restarts, expected_begin, expected_state, verb, not_before,"
    " reason, created"
)


class StoreError(Exception):
    """The store cannot be used; the text says why and what to do."""


class SqliteStore:
    """The daemon's store in one file. Not for use from two threads at once."""

    def __init__(self, path: Path) -> None:
        """Open or create `path`; StoreError when it is of a newer version or cannot be opened."""
        self._file = SqliteFile(
            path,
            {0: statements(_SCHEMA)},
            SCHEMA_VERSION,
            error=StoreError,
            newer=", or move the file away to start afresh",
        )
        self._db = self._file.connection
        try:
            self._db.execute(_BLOB)
            self.power = PowerTable(self._file)
            self._windows = WindowTable(self._db)
            self._stops = StopTable(self._db)
        except sqlite3.Error as error:
            self._db.close()
            raise StoreError(
                f"{path}: {error}; its tables are damaged, or the disk is full"
            ) from error

    def close(self) -> None:
        """Close the file; what was recorded stays."""
        self._db.close()

    def __enter__(self) -> Self:
        """The store itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close."""
        self.close()

    # ---- job records

    def records(self) -> Mapping[int, JobRecord]:
        """The newest record of every job id."""
        rows = self._db.execute(f"SELECT {_JOB_COLUMNS} FROM job ORDER BY job_id, first_submit")
        found: dict[int, JobRecord] = {}
        for row in rows:
            ours = frozenset(int(word) for word in row[8].split())
            found[row[0]] = JobRecord(
                job_id=row[0],
                first_submit=row[1],
                submit=row[2],
                restarts=row[3],
                original_begin=row[4],
                eligible=row[5],
                hold=row[6],
                hold_seen=bool(row[7]),
                ours=ours,
                came_due=bool(row[9]),
                opted_out=row[10],
                opted_out_why=row[11],
                touched=bool(row[12]),
                last_seen=row[13],
            )
        return found

    def save_records(self, records: Iterable[JobRecord]) -> None:
        """Insert or replace, all or none."""
        rows = [
            (
                r.job_id,
                r.first_submit,
                r.submit,
                r.restarts,
                r.original_begin,
                r.eligible,
                r.hold,
                int(r.hold_seen),
                " ".join(str(t) for t in sorted(r.ours)),
                int(r.came_due),
                r.opted_out,
                r.opted_out_why,
                int(r.touched),
                r.last_seen,
            )
            for r in records
        ]
        if rows:
            marks = ",".join("?" * len(rows[0]))
            self._many(f"INSERT OR REPLACE INTO job ({_JOB_COLUMNS}) VALUES ({marks})", rows)

    # ---- intents and results

    def record_intents(self, actions: Sequence[Action], at: int) -> None:
        """Durable before any of them is sent; all or none."""
        rows = [
            (
                a.action_id,
                a.job_id,
                a.submit,
                a.restarts,
                a.expected_begin,
                a.expected_state,
                a.verb.value,
                a.not_before,
                a.reason,
                at,
            )
            for a in actions
        ]
        if rows:
            marks = ",".join("?" * len(rows[0]))
            self._many(f"INSERT INTO intent ({_INTENT_COLUMNS}) VALUES ({marks})", rows)

    def record_results(self, results: Sequence[Result], at: int) -> None:
        """End intents; one that has ended stays as it ended (Unknown may still be settled)."""
        self._many(
            "UPDATE intent SET outcome=?, code=?, detail=?, ended=?"
            " WHERE action_id=? AND (outcome IS NULL OR outcome='unknown')",
            [(r.outcome.value, r.code, r.detail, at, r.action_id) for r in results],
        )

    def open_intents(self) -> Sequence[OpenIntent]:
        """Intents without a final result (none, or Unknown), oldest first."""
        rows = self._db.execute(
            f"SELECT {_INTENT_COLUMNS} FROM intent"
            " WHERE outcome IS NULL OR outcome='unknown' ORDER BY seq"
        )
        return [OpenIntent(_action(row), row[9]) for row in rows]

    def history(self, job_id: int, first_submit: int) -> Sequence[IntentLine]:
        """The intents of this job (not of an earlier one with its id), oldest first."""
        rows = self._db.execute(
            f"SELECT {_INTENT_COLUMNS}, outcome, code, detail, ended FROM intent"
            " WHERE job_id=? AND submit>=? ORDER BY seq",
            (job_id, first_submit),
        )
        return [_line(row) for row in rows]

    def all_intents(self) -> Sequence[IntentLine]:
        """Every intent, oldest first: for checks and support."""
        rows = self._db.execute(
            f"SELECT {_INTENT_COLUMNS}, outcome, code, detail, ended FROM intent ORDER BY seq"
        )
        return [_line(row) for row in rows]

    def intents_since(self, at: int) -> Sequence[IntentLine]:
        """Every intent that was made or ended since then, oldest first."""
        rows = self._db.execute(
            f"SELECT {_INTENT_COLUMNS}, outcome, code, detail, ended FROM intent"
            " WHERE created>=? OR ended>=? ORDER BY seq",
            (at, at),
        )
        return [_line(row) for row in rows]

    # ---- cycles, waits, flags

    def add_cycle(self, at: int, sentence: str, seconds: float) -> None:
        """The cycle's one sentence."""
        self._db.execute(
            "INSERT INTO cycle (at, sentence, seconds) VALUES (?,?,?)", (at, sentence, seconds)
        )

    def cycles(self, limit: int = 100) -> Sequence[tuple[int, str, float]]:
        """The newest cycles first: (at, sentence, seconds)."""
        return self._db.execute(
            "SELECT at, sentence, seconds FROM cycle ORDER BY seq DESC LIMIT ?", (limit,)
        ).fetchall()

    def add_wait(self, partition: str, seconds: int, at: int) -> None:
        """An observed queue wait."""
        self._db.execute(
            "INSERT INTO wait (at, partition, seconds) VALUES (?,?,?)", (at, partition, seconds)
        )

    def waits(self, since: int) -> Mapping[str, Sequence[int]]:
        """Observed waits by partition."""
        found: dict[str, list[int]] = {}
        for partition, seconds in self._db.execute(
            "SELECT partition, seconds FROM wait WHERE at>=? ORDER BY seq", (since,)
        ):
            found.setdefault(partition, []).append(seconds)
        return found

    def get(self, key: str) -> str:
        """A small persistent flag; "" when unset."""
        row = self._db.execute("SELECT value FROM flag WHERE key=?", (key,)).fetchone()
        return str(row[0]) if row else ""

    def put(self, key: str, value: str) -> None:
        """Set a small persistent flag."""
        self._db.execute("INSERT OR REPLACE INTO flag (key, value) VALUES (?,?)", (key, value))

    def get_blob(self, key: str) -> bytes:
        """What `put_blob` was given last; b"" when nothing was."""
        row = self._db.execute("SELECT value FROM blob WHERE key=?", (key,)).fetchone()
        return bytes(row[0]) if row else b""

    def put_blob(self, key: str, value: bytes, at: int) -> None:
        """Keep something learnt (megabytes at most) as of `at`; all of it or the one before."""
        self._db.execute(
            "INSERT OR REPLACE INTO blob (key, at, value) VALUES (?,?,?)", (key, at, value)
        )

    # ---- windows

    def windows(self) -> Sequence[Window]:
        """Every window, oldest first."""
        return self._windows.all()

    def add_window(self, window: Window, replaces: int = 0) -> Window:
        """Durable when it returns; the window with its number. `replaces` ends with it, or neither happens."""
        with self._file.transaction():
            if replaces:
                self._windows.cancel(replaces, window.created)
            return self._windows.add(window)

    def cancel_window(self, window_id: int, at: int) -> None:
        """It ends at `at`."""
        self._windows.cancel(window_id, at)

    def add_samples(self, samples: Sequence[WindowSample]) -> None:
        """Append what was seen, all or none."""
        with self._file.transaction():
            self._windows.append(samples)

    def samples(self, window_id: int) -> Sequence[WindowSample]:
        """What was seen of this window, oldest first."""
        return self._windows.samples(window_id)

    def add_stops(self, records: Sequence[StopRecord]) -> None:
        """Durable before any of them is sent; all or none."""
        with self._file.transaction():
            self._stops.append(records)

    def stops(self, since: int) -> Sequence[StopRecord]:
        """The stops ordered since then, each with the end of its intent."""
        return self._stops.since(since)

    def prune(self, before: int) -> None:
        """Forget cycles, waits and unseen jobs older than `before`.

        Intents stay, and so do windows, stops and what was seen of them: they only grow (I1).
        """
        with self._file.transaction():
            self._db.execute("DELETE FROM cycle WHERE at<?", (before,))
            self._db.execute("DELETE FROM wait WHERE at<?", (before,))
            self._db.execute("DELETE FROM job WHERE last_seen<?", (before,))

    def _many(self, statement: str, rows: Sequence[tuple[object, ...]]) -> None:
        with self._file.transaction():
            self._db.executemany(statement, rows)


def _action(row: Sequence[Any]) -> Action:
    action_id, job_id, submit, restarts, begin, state, verb, not_before, reason = row[:9]
    return Action(action_id, job_id, submit, restarts, begin, state, Verb(verb), not_before, reason)


def _line(row: Sequence[Any]) -> IntentLine:
    outcome = Outcome(row[10]) if row[10] is not None else None
    return IntentLine(_action(row), row[9], outcome, row[11], row[12], row[13])
