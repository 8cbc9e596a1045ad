"""What a settlement goes by, on disk: readings, nominations, prices, event days, orders, work done.

Law: append only. What comes again unchanged adds nothing; what comes changed adds a version. A whole call is
on disk when it returns, or nothing of it. A nomination is kept for each moment it was fixed; the same moment
cannot say two things. Moments come in as arguments. Energy is Wh; times are epoch seconds (UTC).
"""

from __future__ import annotations

import datetime as dt
import json
import sqlite3
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING

from flexlond.model.settlement_period import day_end, day_start
from flexlond.settlement.database import Database, SettlementStoreError
from flexlond.settlement.inputs import Delivery, EventDay, Value
from flexlond.settlement.nominated import Nomination
from flexlond.settlement.orders import Order, from_plain, to_plain
from flexlond.settlement.readings import Quality, Reading
from flexlond.settlement.work import Work

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

_NEWEST_READING = (
    "SELECT start, point, max(version), wh, quality, source, uncertainty_wh, detail FROM reading"
    " WHERE start>=? AND start<? GROUP BY start, point"
)

_QUALITY = {quality.value: quality for quality in Quality}  # faster than Quality(word)


@dataclass(frozen=True, slots=True)
class Added:
    """What became of what was given."""

    new: int = 0
    corrected: int = 0
    same: int = 0

    def __str__(self) -> str:
        """For people."""
        return f"{self.new} new, {self.corrected} corrected, {self.same} as before"


class SettlementStore:
    """The inputs of settlement in one file; runs.py has the results in the same one."""

    def __init__(self, path: Path | str) -> None:
        """Open or create. Raises SettlementStoreError."""
        self.db = Database(path)

    def close(self) -> None:
        """Close the file."""
        self.db.close()

    # ---- adding

    def add_readings(self, readings: Iterable[Reading], now: int) -> Added:
        """Readings; a missing one after a known one is a correction like any other."""
        return self._versions(
            "reading",
            "start=? AND point=?",
            (
                (
                    (one.start, one.point),
                    (one.wh, one.quality.value, one.source, one.uncertainty_wh, one.detail),
                )
                for one in readings
            ),
            "wh, quality, source, uncertainty_wh, detail",
            now,
        )

    def add_values(self, values: Iterable[Value], now: int) -> Added:
        """Prices and intensities; system prices are restated from run to run."""
        return self._versions(
            "value",
            "kind=? AND start=?",
            (((one.kind, one.start), (str(one.amount), one.source)) for one in values),
            "amount, source",
            now,
        )

    def add_event_days(self, days: Iterable[EventDay], now: int) -> Added:
        """Event days, and words taken back."""
        return self._versions(
            "event_day",
            "point=? AND day=?",
            (
                ((one.point, one.date.isoformat()), (int(one.active), one.reason, one.evidence))
                for one in days
            ),
            "active, reason, evidence",
            now,
        )

    def add_orders(self, orders: Iterable[Order], now: int) -> Added:
        """Confirmed orders, and new versions of them."""
        return self._versions(
            "sale",
            "id=?",
            (
                (
                    (one.id,),
                    (
                        min((each.start for each in one.intervals), default=0),
                        max((each.start for each in one.intervals), default=0),
                        json.dumps(to_plain(one), sort_keys=True),
                    ),
                )
                for one in orders
            ),
            "first, last, body",
            now,
        )

    def add_deliveries(self, deliveries: Iterable[Delivery], now: int) -> Added:
        """What was seen of the slots of contracts."""
        return self._versions(
            "delivery",
            "sale=? AND start=?",
            (
                (
                    (one.order, one.start),
                    (
                        one.length,
                        str(one.baseline_kw),
                        str(one.usage_kw),
                        one.quality.value,
                        one.source,
                    ),
                )
                for one in deliveries
            ),
            "length, baseline_kw, usage_kw, quality, source",
            now,
        )

    def add_work(self, work: Iterable[Work], now: int) -> Added:
        """Work done, by job and period."""
        return self._versions(
            "work",
            "start=? AND job=? AND unit=?",
            (
                ((one.start, one.job, one.unit), (str(one.amount), one.wh, str(one.embodied_g)))
                for one in work
            ),
            "amount, wh, embodied_g",
            now,
        )

    def add_nominations(self, nominations: Iterable[Nomination], now: int) -> Added:
        """Forecasts as they were fixed. Raises SettlementStoreError where one moment says two things."""
        new = same = 0
        with self.db.transaction():
            for one in nominations:
                found = self.db.row(
                    "SELECT wh FROM nomination WHERE start=? AND point=? AND fixed_at=?",
                    one.start,
                    one.point,
                    one.fixed_at,
                )
                if found is None:
                    row = (one.start, one.point, one.fixed_at, one.wh, one.source, now)
                    self._insert("nomination", row)
                    new += 1
                elif found[0] == one.wh:
                    same += 1
                else:
                    raise SettlementStoreError(
                        f"the nomination of {one.point} for {_utc(one.start)} fixed at {_utc(one.fixed_at)} is"
                        f" {found[0]} Wh on record and {one.wh} Wh now; a fixed forecast is not changed, give"
                        " the later one its own moment"
                    )
        return Added(new, 0, same)

    def _versions(
        self,
        table: str,
        where: str,
        items: Iterable[tuple[tuple[object, ...], tuple[object, ...]]],
        columns: str,
        now: int,
    ) -> Added:
        """Add what is new or changed. `items` are (key, the columns)."""
        new = corrected = same = 0
        newest = (
            f"SELECT version, {columns} FROM {table} WHERE {where} ORDER BY version DESC LIMIT 1"
        )
        with self.db.transaction():
            for key, body in items:
                found = self.db.row(newest, *key)
                if found is not None and tuple(found[1:]) == body:
                    same += 1
                    continue
                version = 1 if found is None else found[0] + 1
                new += found is None
                corrected += found is not None
                self._insert(table, (*key, version, *body, now))
        return Added(new, corrected, same)

    def _insert(self, table: str, row: tuple[object, ...]) -> None:
        places = ",".join("?" * len(row))
        try:
            self.db.connection.execute(f"INSERT INTO {table} VALUES ({places})", row)
        except (sqlite3.IntegrityError, OverflowError) as error:
            raise SettlementStoreError(
                f"{table}: {row[:4]} cannot be stored ({error}); check where it comes from"
            ) from None

    # ---- reading back; always the newest version

    def readings(self, begin: int, end: int) -> Iterator[tuple[Reading, int]]:
        """The readings of the periods that begin in [begin, end), by time and point, with their version."""
        for start, point, version, wh, quality, source, doubt, detail in self.db.connection.execute(
            _NEWEST_READING, (begin, end)
        ):
            yield Reading(point, start, wh, _QUALITY[quality], source, doubt, detail), version

    def points(self) -> list[str]:
        """Every metering point that there is a reading or an order of."""
        rows = self.db.rows("SELECT DISTINCT point FROM reading")
        found = {row[0] for row in rows}
        for order in self.orders(-(2**62), 2**62):
            found.update(order.points)
        return sorted(found)

    def nominations(self, begin: int, end: int) -> list[Nomination]:
        """Every forecast of the periods, in time or not."""
        rows = self.db.rows(
            "SELECT point, start, wh, fixed_at, source, recorded FROM nomination WHERE start>=? AND start<?"
            " ORDER BY start, point, fixed_at",
            begin,
            end,
        )
        return [Nomination(*row) for row in rows]

    def values(self, begin: int, end: int) -> dict[str, dict[int, Value]]:
        """Prices and intensities by kind and start."""
        found: dict[str, dict[int, Value]] = {}
        for kind, start, version, amount, source in self.db.rows(
            "SELECT kind, start, max(version), amount, source FROM value WHERE start>=? AND start<?"
            " GROUP BY kind, start",
            begin,
            end,
        ):
            found.setdefault(kind, {})[start] = Value(kind, start, Decimal(amount), source, version)
        return found

    def orders(self, begin: int, end: int) -> list[Order]:
        """The orders with an interval that begins in [begin, end), in the order of confirmation."""
        newest = "SELECT id, max(version), first, last, body FROM sale GROUP BY id"
        rows = self.db.rows(f"SELECT body FROM ({newest}) WHERE last>=? AND first<?", begin, end)
        found = [from_plain(json.loads(row[0])) for row in rows]
        inside = [one for one in found if any(begin <= each.start < end for each in one.intervals)]
        return sorted(inside, key=lambda one: (one.confirmed_at, one.id))

    def deliveries(self, begin: int, end: int) -> list[Delivery]:
        """What was seen of the slots of contracts that begin in [begin, end)."""
        rows = self.db.rows(
            "SELECT sale, start, max(version), length, baseline_kw, usage_kw, quality, source FROM delivery"
            " WHERE start>=? AND start<? GROUP BY sale, start",
            begin,
            end,
        )
        return [
            Delivery(sale, start, length, Decimal(base), Decimal(usage), _QUALITY[quality], source)
            for sale, start, _, length, base, usage, quality, source in rows
        ]

    def event_days(self, first: dt.date, last: dt.date) -> list[EventDay]:
        """The event days in force, both ends included."""
        rows = self.db.rows(
            "SELECT point, day, max(version), active, reason, evidence FROM event_day"
            " WHERE day>=? AND day<=? GROUP BY point, day",
            first.isoformat(),
            last.isoformat(),
        )
        return [
            EventDay(point, dt.date.fromisoformat(day), reason, evidence)
            for point, day, _, active, reason, evidence in rows
            if active
        ]

    def work(self, first: dt.date, last: dt.date) -> list[Work]:
        """The work done from the first to the last date."""
        rows = self.db.rows(
            "SELECT start, job, unit, max(version), amount, wh, embodied_g FROM work"
            " WHERE start>=? AND start<? GROUP BY start, job, unit",
            day_start(first),
            day_end(last),
        )
        return [
            Work(start, job, unit, Decimal(amount), wh, Decimal(embodied))
            for start, job, unit, _, amount, wh, embodied in rows
        ]


def _utc(at: int) -> str:
    return dt.datetime.fromtimestamp(at, dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
