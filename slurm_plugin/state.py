"""What the helper remembers, on its own disk: jobs' first submissions, own begin times, opt-outs; reservations.

Law: SQLite, WAL, synchronous=FULL, one writer; every method is one transaction, durable when it returns.
Nothing of the daemon's is believed into it: records come from lineage.observe over what the helper read.
Opt-outs are never forgotten while the job can still be in the queue (KEEP after it was last seen).
"""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path
from typing import TYPE_CHECKING

from slurm_plugin.lineage import Record
from slurm_plugin.reserving import Made

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

KEEP = 180 * 86400  # seconds; longer than jobs wait
OPT_OUTS_TOLD = 10_000  # what fits one status reply
SCHEMA_VERSION = 1
_CHUNK = 500  # below SQLite's limit of variables in one statement

_SCHEMA = """
CREATE TABLE IF NOT EXISTS jobs (
  job_id INTEGER NOT NULL,
  first_submit INTEGER NOT NULL,
  submit INTEGER NOT NULL,
  restarts INTEGER NOT NULL,
  uid INTEGER NOT NULL,
  original_begin INTEGER NOT NULL,
  eligible INTEGER NOT NULL,
  hold INTEGER NOT NULL,
  ours TEXT NOT NULL,
  preempts INTEGER NOT NULL,
  suspended INTEGER NOT NULL,
  opted_out_at INTEGER NOT NULL,
  opted_out_why TEXT NOT NULL,
  first_known INTEGER NOT NULL,
  seen_at INTEGER NOT NULL,
  PRIMARY KEY (job_id, first_submit)
) STRICT;
CREATE TABLE IF NOT EXISTS reservations (
  name TEXT PRIMARY KEY,
  ends INTEGER NOT NULL,
  kw INTEGER NOT NULL,
  ours TEXT NOT NULL,
  made_at INTEGER NOT NULL,
  settled INTEGER NOT NULL
) STRICT;
CREATE INDEX IF NOT EXISTS opted_out ON jobs (opted_out_at) WHERE opted_out_at > 0;
"""
_COLUMNS = (
    "job_id, first_submit, submit, restarts, uid, original_begin, eligible, hold, ours, preempts, "
    "suspended, opted_out_at, opted_out_why, first_known, seen_at"
)


class StateError(Exception):
    """The state cannot be used; the helper must not act without it."""


def _unusable(path: Path, error: Exception) -> str:
    return f"cannot open {path}: {error}; check that the directory exists and is the helper's"


class State:
    """The store in `directory` (file helper.db). Use from one thread at a time."""

    def __init__(self, directory: str) -> None:
        path = Path(directory) / "helper.db"
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            os.close(descriptor)
            self._db = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        except (OSError, sqlite3.Error) as error:
            raise StateError(_unusable(path, error)) from error
        try:
            self._prepare(path)
        except sqlite3.Error as error:
            self._db.close()
            raise StateError(_unusable(path, error)) from error
        except StateError:
            self._db.close()
            raise

    def _prepare(self, path: Path) -> None:
        self._db.execute("PRAGMA journal_mode=WAL")
        self._db.execute("PRAGMA synchronous=FULL")
        version = self._db.execute("PRAGMA user_version").fetchone()[0]
        if version not in {0, SCHEMA_VERSION}:
            raise StateError(
                f"{path} is of version {version}, this helper reads {SCHEMA_VERSION}: "
                "run the newer flexlon-helper, or move the file away (opt-outs are then lost)"
            )
        self._db.executescript(_SCHEMA)
        self._db.execute(f"PRAGMA user_version={SCHEMA_VERSION}")

    def load(self, job_ids: Collection[int]) -> dict[int, Record]:
        """Return the latest record under each id."""
        found: dict[int, Record] = {}
        ids = sorted(set(job_ids))
        for start in range(0, len(ids), _CHUNK):
            chunk = ids[start : start + _CHUNK]
            marks = ",".join("?" * len(chunk))
            rows = self._db.execute(
                f"SELECT {_COLUMNS} FROM jobs WHERE job_id IN ({marks}) ORDER BY first_submit",  # noqa: S608 # only question marks are put in
                chunk,
            )
            found.update((row[0], _record(row)) for row in rows)
        return found

    def save(self, records: Iterable[Record]) -> None:
        """Store records, durably, in one transaction."""
        rows = [_row(record) for record in records]
        if not rows:
            return
        marks = ",".join("?" * len(rows[0]))
        self._db.execute("BEGIN IMMEDIATE")
        try:
            self._db.executemany(f"INSERT OR REPLACE INTO jobs ({_COLUMNS}) VALUES ({marks})", rows)  # noqa: S608 # only question marks are put in
        except BaseException:
            self._db.execute("ROLLBACK")
            raise
        self._db.execute("COMMIT")

    def opt_outs(self) -> list[Record]:
        """Return the records of jobs whose owners opted out, newest first, OPT_OUTS_TOLD at most."""
        rows = self._db.execute(
            f"SELECT {_COLUMNS} FROM jobs WHERE opted_out_at > 0 "  # noqa: S608 # a constant
            "ORDER BY opted_out_at DESC, job_id LIMIT ?",
            (OPT_OUTS_TOLD,),
        )
        return [_record(row) for row in rows]

    def reservations(self, now: int) -> dict[str, Made]:
        """Return the reservations that were made here and are not over, by name."""
        rows = self._db.execute(
            "SELECT name, ends, kw, ours, made_at, settled FROM reservations WHERE ends > ?", (now,)
        )
        return {
            name: Made(name, ends, kw, _pairs(ours), made_at, bool(settled))
            for name, ends, kw, ours, made_at, settled in rows
        }

    def save_reservations(self, made: Iterable[Made]) -> None:
        """Store them, durably, in one transaction; a later one of the same name counts."""
        rows = [
            (
                *(one.name, one.end, one.kw),
                *(",".join(f"{end}:{kw}" for end, kw in one.ours), one.made_at, int(one.settled)),
            )
            for one in made
        ]
        if not rows:
            return
        self._db.execute("BEGIN IMMEDIATE")
        try:
            self._db.executemany(
                "INSERT OR REPLACE INTO reservations (name, ends, kw, ours, made_at, settled) "
                "VALUES (?, ?, ?, ?, ?, ?)",
                rows,
            )
        except BaseException:
            self._db.execute("ROLLBACK")
            raise
        self._db.execute("COMMIT")

    def drop_reservation(self, name: str) -> None:
        """Forget one."""
        self._db.execute("DELETE FROM reservations WHERE name = ?", (name,))

    def forget(self, now: int) -> int:
        """Drop what was not seen for KEEP seconds; the number of jobs' records dropped."""
        self._db.execute("DELETE FROM reservations WHERE ends < ?", (now - KEEP,))
        return self._db.execute("DELETE FROM jobs WHERE seen_at < ?", (now - KEEP,)).rowcount

    def close(self) -> None:
        """Close the store."""
        self._db.close()


def _pairs(text: str) -> tuple[tuple[int, int], ...]:
    pairs = (one.partition(":") for one in text.split(",") if one)
    return tuple((int(end), int(kw)) for end, _, kw in pairs)


def _row(record: Record) -> tuple[object, ...]:
    return (
        record.job_id,
        record.first_submit,
        record.submit,
        record.restarts,
        record.uid,
        record.original_begin,
        record.eligible,
        record.hold,
        ",".join(map(str, record.ours)),
        record.preempts,
        record.suspended,
        record.opted_out_at,
        record.opted_out_why,
        int(record.first_known),
        record.seen_at,
    )


def _record(row: tuple[object, ...]) -> Record:
    values = list(row)
    values[8] = tuple(int(part) for part in str(values[8]).split(",") if part)
    values[13] = bool(values[13])
    return Record(*values)  # type: ignore[arg-type] # the table is STRICT and ours
