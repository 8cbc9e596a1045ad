"""Stops in the store: which running jobs were stopped for which window, and how that ended.

Law: a stop is on disk before it is sent and is never rewritten; its end is read from its intent. The table came
later than the others: an older FlexLon opens the file and passes it by. Epoch seconds (UTC), kW, GBP.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from flexlond.model.action import Outcome, Verb
from flexlond.model.stop import StopRecord

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Sequence

_STOP = """CREATE TABLE IF NOT EXISTS window_stop (
  seq INTEGER PRIMARY KEY, action_id TEXT NOT NULL UNIQUE, window_id INTEGER NOT NULL,
  job_id INTEGER NOT NULL, first_submit INTEGER NOT NULL, restarts INTEGER NOT NULL, verb TEXT NOT NULL,
  at INTEGER NOT NULL, grace INTEGER NOT NULL, until INTEGER NOT NULL, kw REAL NOT NULL,
  cost_gbp REAL NOT NULL, reason TEXT NOT NULL
) STRICT"""
_BY_TIME = "CREATE INDEX IF NOT EXISTS window_stop_at ON window_stop (at)"


class StopTable:
    """The table of one database."""

    def __init__(self, db: sqlite3.Connection) -> None:
        """Make the table where it is missing."""
        self._db = db
        for statement in (_STOP, _BY_TIME):
            db.execute(statement)

    def append(self, records: Sequence[StopRecord]) -> None:
        """Append what is about to be sent."""
        self._db.executemany(
            "INSERT INTO window_stop (action_id, window_id, job_id, first_submit, restarts, verb, at, grace,"
            " until, kw, cost_gbp, reason) VALUES (?,?,?,?,?,?,?,?,?,?,?,?)",
            [
                (
                    one.action_id,
                    one.window_id,
                    one.job_id,
                    one.first_submit,
                    one.restarts,
                    one.verb.value,
                    one.at,
                    one.grace,
                    one.until,
                    one.kw,
                    one.cost_gbp,
                    one.reason,
                )
                for one in records
            ],
        )

    def since(self, at: int) -> Sequence[StopRecord]:
        """Those ordered at `at` or later, oldest first, each with the end of its intent."""
        rows = self._db.execute(
            "SELECT s.action_id, s.window_id, s.job_id, s.first_submit, s.restarts, s.verb, s.at, s.grace,"
            " s.until, s.kw, s.cost_gbp, s.reason, i.outcome, i.detail, i.action_id IS NOT NULL"
            " FROM window_stop AS s LEFT JOIN intent AS i ON i.action_id = s.action_id"
            " WHERE s.at>=? ORDER BY s.seq",
            (at,),
        )
        return [
            StopRecord(
                action_id=row[0],
                window_id=row[1],
                job_id=row[2],
                first_submit=row[3],
                restarts=row[4],
                verb=Verb(row[5]),
                at=row[6],
                grace=row[7],
                until=row[8],
                kw=row[9],
                cost_gbp=row[10],
                reason=row[11],
                outcome=Outcome(row[12]) if row[12] else None,
                detail=row[13] or "",
                sent=bool(row[14]),
            )
            for row in rows
        ]
