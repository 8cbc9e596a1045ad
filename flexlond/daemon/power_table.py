"""The site's power in the store: what the meter read and what the model said, for two days.

Law: bounded: every addition forgets what is older than it is told. A reading is kept under the meter's own
time, a modelled figure under the cycle's; the newest word about a moment stands. The tables came later than the
others: an older FlexLon opens the file and passes them by. Times are epoch seconds (UTC), kW.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from flexlond.daemon.transaction import Transaction
from flexlond.model.metering import Modelled, Reading, ReadingQuality

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Sequence

_READING = """CREATE TABLE IF NOT EXISTS meter_reading (
  at INTEGER PRIMARY KEY, kw REAL NOT NULL, source TEXT NOT NULL
) STRICT"""
_MODELLED = """CREATE TABLE IF NOT EXISTS modelled_power (
  at INTEGER PRIMARY KEY, kw REAL NOT NULL, jobs_kw REAL NOT NULL
) STRICT"""


class PowerTable:
    """The two tables of one database."""

    def __init__(self, db: sqlite3.Connection) -> None:
        """Make the tables where they are missing."""
        self._db = db
        for statement in (_READING, _MODELLED):
            db.execute(statement)

    def add(self, readings: Sequence[Reading], modelled: Modelled | None, before: int) -> None:
        """Keep good readings and a modelled figure, all or none; forget what is older than `before`."""
        with Transaction(self._db):
            self._add(readings, modelled)
            self._db.execute("DELETE FROM meter_reading WHERE at<?", (before,))
            self._db.execute("DELETE FROM modelled_power WHERE at<?", (before,))

    def _add(self, readings: Sequence[Reading], modelled: Modelled | None) -> None:
        self._db.executemany(
            "INSERT OR REPLACE INTO meter_reading (at, kw, source) VALUES (?,?,?)",
            [(one.at, one.kw, one.source) for one in readings if one.good],
        )
        if modelled is not None:
            self._db.execute(
                "INSERT OR REPLACE INTO modelled_power (at, kw, jobs_kw) VALUES (?,?,?)",
                (modelled.at, modelled.kw, modelled.jobs_kw),
            )

    def readings(self, since: int) -> Sequence[Reading]:
        """What the meter read from `since` on, oldest first."""
        rows = self._db.execute(
            "SELECT at, kw, source FROM meter_reading WHERE at>=? ORDER BY at", (since,)
        )
        return [Reading(at, kw, source, ReadingQuality.GOOD) for at, kw, source in rows]

    def modelled(self, since: int) -> Sequence[Modelled]:
        """What the model said from `since` on, oldest first."""
        rows = self._db.execute(
            "SELECT at, kw, jobs_kw FROM modelled_power WHERE at>=? ORDER BY at", (since,)
        )
        return [Modelled(*row) for row in rows]
