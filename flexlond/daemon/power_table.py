"""The site's power in the store: what the meter read, what the model said, and the slots of windows.

Law: readings and modelled figures are bounded: every addition forgets what is older than it is told. The slots
of windows are recorded once and stay (I6: what was delivered is judged by them). A reading is kept under the
meter's own time, a modelled figure under the cycle's; the newest word about a moment stands. The tables came
later than the others: an older FlexLon opens the file and passes them by. Times are epoch seconds (UTC), kW.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from flexlond.model.metering import Modelled, Reading, ReadingQuality, SlotPower, Source

if TYPE_CHECKING:
    from collections.abc import Sequence

    from flexlond.sqlite_file import SqliteFile

_READING = """CREATE TABLE IF NOT EXISTS meter_reading (
  at INTEGER PRIMARY KEY, kw REAL NOT NULL, source TEXT NOT NULL
) STRICT"""
_MODELLED = """CREATE TABLE IF NOT EXISTS modelled_power (
  at INTEGER PRIMARY KEY, kw REAL NOT NULL, jobs_kw REAL NOT NULL
) STRICT"""

_SLOT = """CREATE TABLE IF NOT EXISTS window_power (
  window_id INTEGER NOT NULL, start INTEGER NOT NULL, kw REAL, source TEXT NOT NULL,
  coverage REAL NOT NULL, metered_kw REAL, modelled_kw REAL, PRIMARY KEY (window_id, start)
) STRICT, WITHOUT ROWID"""


class PowerTable:
    """The three tables of one database."""

    def __init__(self, file: SqliteFile) -> None:
        """Make the tables where they are missing."""
        self._file, self._db = file, file.connection
        for statement in (_READING, _MODELLED, _SLOT):
            self._db.execute(statement)

    def add(self, readings: Sequence[Reading], modelled: Modelled | None, before: int) -> None:
        """Keep good readings and a modelled figure, all or none; forget what is older than `before`."""
        with self._file.transaction():
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

    def add_slots(self, window_id: int, slots: Sequence[SlotPower]) -> None:
        """Record these slots, all or none; one that is there stays as it is."""
        with self._file.transaction():
            self._db.executemany(
                "INSERT OR IGNORE INTO window_power VALUES (?,?,?,?,?,?,?)",
                [
                    (
                        window_id,
                        one.start,
                        _known(one.kw),
                        one.source.value,
                        one.coverage,
                        _known(one.metered_kw),
                        _known(one.modelled_kw),
                    )
                    for one in slots
                ],
            )

    def slots(self, window_id: int) -> Sequence[SlotPower]:
        """What is recorded of a window, oldest first."""
        rows = self._db.execute(
            "SELECT start, kw, source, coverage, metered_kw, modelled_kw FROM window_power"
            " WHERE window_id=? ORDER BY start",
            (window_id,),
        )
        return [
            SlotPower(
                start, _or_nan(kw), Source(source), coverage, _or_nan(metered), _or_nan(model)
            )
            for start, kw, source, coverage, metered, model in rows
        ]


def _known(value: float) -> float | None:
    return None if math.isnan(value) else value


def _or_nan(value: float | None) -> float:
    return math.nan if value is None else value
