"""Windows in the store: what was ordered, and what was seen of it by slot.

Law: a window is on disk before it binds anything, and an order of the market has one for good. What was ordered
never changes but for the one moment at which it was cancelled; what was seen is appended and never rewritten.
The tables came later than the others: an older FlexLon opens the file and passes them by. Times are epoch
seconds (UTC), kW; NaN is stored as NULL, as is a rebound cap that there is not.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING

from flexlond.model.window import Window, WindowSample

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Sequence

_WINDOW = """CREATE TABLE IF NOT EXISTS power_window (
  window_id INTEGER PRIMARY KEY AUTOINCREMENT, begins INTEGER NOT NULL, ends INTEGER NOT NULL,
  slot_seconds INTEGER NOT NULL, cap_kw REAL, down_kw REAL, caps TEXT NOT NULL,
  ramp_slots INTEGER NOT NULL, created INTEGER NOT NULL, created_by TEXT NOT NULL,
  rebound_kw REAL, rebound_end INTEGER NOT NULL, cancelled INTEGER NOT NULL DEFAULT 0
) STRICT"""
_SAMPLE = """CREATE TABLE IF NOT EXISTS window_sample (
  seq INTEGER PRIMARY KEY, window_id INTEGER NOT NULL, slot INTEGER NOT NULL, at INTEGER NOT NULL,
  cap_kw REAL NOT NULL, planned_kw REAL NOT NULL, observed_kw REAL NOT NULL
) STRICT"""
_ORDER = """CREATE TABLE IF NOT EXISTS window_order (
  window_id INTEGER PRIMARY KEY, order_id TEXT NOT NULL UNIQUE, baseline TEXT NOT NULL
) STRICT"""
_GUARD = """CREATE TABLE IF NOT EXISTS window_guard (
  window_id INTEGER PRIMARY KEY, guard_start INTEGER NOT NULL, guard TEXT NOT NULL
) STRICT"""
_BY_WINDOW = "CREATE INDEX IF NOT EXISTS window_sample_window ON window_sample (window_id)"


class WindowTable:
    """The four tables of one database."""

    def __init__(self, db: sqlite3.Connection) -> None:
        """Make the tables where they are missing."""
        self._db = db
        for statement in (_WINDOW, _SAMPLE, _ORDER, _GUARD, _BY_WINDOW):
            db.execute(statement)

    def all(self) -> Sequence[Window]:
        """Every window, oldest first."""
        rows = self._db.execute(
            "SELECT window_id, begins, ends, slot_seconds, cap_kw, down_kw, caps, ramp_slots, created,"
            " created_by, cancelled, rebound_kw, rebound_end, coalesce(order_id, ''),"
            " coalesce(baseline, ''), coalesce(guard_start, 0), coalesce(guard, '') FROM power_window"
            " LEFT JOIN window_order USING (window_id) LEFT JOIN window_guard USING (window_id)"
            " ORDER BY window_id"
        )
        return [
            Window(
                window_id=row[0],
                start=row[1],
                end=row[2],
                slot_seconds=row[3],
                cap_kw=math.nan if row[4] is None else row[4],
                down_kw=math.nan if row[5] is None else row[5],
                caps=tuple(float(word) for word in row[6].split()),
                ramp_slots=row[7],
                created=row[8],
                created_by=row[9],
                cancelled=row[10],
                rebound_kw=math.inf if row[11] is None else row[11],
                rebound_end=row[12],
                order_id=row[13],
                baseline=tuple(float(word) for word in row[14].split()),
                guard_start=row[15],
                guard=tuple(float(word) for word in row[16].split()),
            )
            for row in rows
        ]

    def add(self, window: Window) -> Window:
        """Insert; the window with its number."""
        number = self._db.execute(
            "INSERT INTO power_window (begins, ends, slot_seconds, cap_kw, down_kw, caps, ramp_slots, created,"
            " created_by, rebound_kw, rebound_end) VALUES (?,?,?,?,?,?,?,?,?,?,?) RETURNING window_id",
            (
                window.start,
                window.end,
                window.slot_seconds,
                _known(window.cap_kw),
                _known(window.down_kw),
                " ".join(repr(float(cap)) for cap in window.caps),
                window.ramp_slots,
                window.created,
                window.created_by,
                _known(window.rebound_kw),
                window.rebound_end,
            ),
        ).fetchall()
        made = replace(window, window_id=number[0][0])
        if made.order_id:  # once: a second window for an order is an error, whoever asks
            self._db.execute(
                "INSERT INTO window_order VALUES (?,?,?)",
                (made.window_id, made.order_id, " ".join(repr(float(kw)) for kw in made.baseline)),
            )
        if made.guard:
            self._db.execute(
                "INSERT INTO window_guard VALUES (?,?,?)",
                (made.window_id, made.guard_start, " ".join(repr(float(kw)) for kw in made.guard)),
            )
        return made

    def cancel(self, window_id: int, at: int) -> None:
        """The first time counts."""
        self._db.execute(
            "UPDATE power_window SET cancelled=? WHERE window_id=? AND cancelled=0", (at, window_id)
        )

    def append(self, samples: Sequence[WindowSample]) -> None:
        """Append what was seen."""
        self._db.executemany(
            "INSERT INTO window_sample (window_id, slot, at, cap_kw, planned_kw, observed_kw)"
            " VALUES (?,?,?,?,?,?)",
            [
                (one.window_id, one.slot, one.at, one.cap_kw, one.planned_kw, one.observed_kw)
                for one in samples
            ],
        )

    def samples(self, window_id: int) -> Sequence[WindowSample]:
        """What was seen of this window, oldest first."""
        rows = self._db.execute(
            "SELECT window_id, slot, at, cap_kw, planned_kw, observed_kw FROM window_sample"
            " WHERE window_id=? ORDER BY seq",
            (window_id,),
        )
        return [WindowSample(*row) for row in rows]


def _known(value: float) -> float | None:
    return value if math.isfinite(value) else None
