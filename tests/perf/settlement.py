"""A year of half-hours for many metering points: from readings in a file to baselines, records and a statement.

Run by hand: `python -m tests.perf.settlement [POINTS] [DAYS]` (50 and 365). An order of four periods every
third day for ten of the points, system and retail prices and carbon for every period. Printed are the seconds
of bringing the readings in, of the settlement itself (read, both baselines of every point and day, orders,
kept durably) and of twelve statements. Nothing is asserted.
"""

from __future__ import annotations

import datetime as dt
import resource
import sys
import tempfile
import time
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from flexlond.model.settlement_period import starts_of
from flexlond.settlement import runs
from flexlond.settlement.inputs import CARBON_AVERAGE, RETAIL_PRICE, SYSTEM_PRICE, Value
from flexlond.settlement.nominated import Nomination
from flexlond.settlement.orders import Interval, Order
from flexlond.settlement.readings import Quality, Reading
from flexlond.settlement.statement import dates_of, statement
from flexlond.settlement.statement_html import page
from flexlond.settlement.store import SettlementStore
from flexlond.settlement.terms import Terms

if TYPE_CHECKING:
    from collections.abc import Iterator

FIRST = dt.date(2025, 3, 2)
LOOK_BACK = 60
NOW = 1_800_000_000
TERMS = Terms()


def readings(points: list[str], dates: list[dt.date]) -> Iterator[Reading]:
    """A site that breathes, with noise."""
    dice = np.random.default_rng(1)
    for date in dates:
        starts = starts_of(date)
        noise = dice.integers(-5000, 5000, (len(points), len(starts)))
        for at, point in enumerate(points):
            for number, start in enumerate(starts):
                wh = 100_000 + 300 * number + int(noise[at, number])
                yield Reading(point, start, wh, Quality.MEASURED, "meter")


def sales(points: list[str], dates: list[dt.date]) -> list[Order]:
    """Every third day, four periods."""
    found = []
    for number, date in enumerate(dates[::3]):
        starts = list(starts_of(date))[34:38]
        intervals = tuple(
            Interval(start, 20_000, Decimal("151.5"), Decimal(30)) for start in starts
        )
        product = ("p415", "dfs", "deg")[number % 3]
        found.append(Order(f"o{number}", product, tuple(points[:10]), number, intervals))
    return found


def main() -> None:
    """Print the figures."""
    count, days = (int(word) for word in (sys.argv[1:] + ["50", "365"][len(sys.argv) - 1 :]))
    points = [f"mpan-{n:03}" for n in range(count)]
    dates = [FIRST + dt.timedelta(days=n) for n in range(days)]
    past = [FIRST - dt.timedelta(days=n) for n in range(LOOK_BACK, 0, -1)]
    with tempfile.TemporaryDirectory() as folder, SettlementStoreAt(folder) as store:
        began = time.perf_counter()
        added = store.add_readings(readings(points, past + dates), NOW)
        print(f"readings brought in: {added.new:,} in {time.perf_counter() - began:.1f} s")
        kinds = ((SYSTEM_PRICE, "98.7"), (RETAIL_PRICE, "210"), (CARBON_AVERAGE, "120"))
        store.add_values(
            (Value(k, s, Decimal(v), "x") for d in dates for s in starts_of(d) for k, v in kinds),
            NOW,
        )
        store.add_orders(sales(points, dates), NOW)
        store.add_nominations(
            (
                Nomination(point, start, 110_000, start - 7200)
                for point in points[:10]
                for date in dates
                for start in starts_of(date)
            ),
            NOW,
        )
        began = time.perf_counter()
        made = list(runs.settle_range(store, dates[0], dates[-1], TERMS, NOW))
        seconds = time.perf_counter() - began
        periods = sum(len(starts_of(date)) for date in dates) * count
        print(
            f"settled: {days} days x {count} points = {periods:,} half-hours,"
            f" {sum(len(result.records) for result, _ in made):,} records, in {seconds:.1f} s"
        )
        began = time.perf_counter()
        months = sorted({date.replace(day=1) for date in dates})
        size = sum(len(page(statement(runs.month_inputs(store, m), TERMS))) for m in months)
        print(
            f"{len(months)} statements of {sum(len(dates_of(m)) for m in months)} days, {size:,} bytes,"
            f" in {time.perf_counter() - began:.1f} s"
        )
        used = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        kept = Path(folder, "settlement.db").stat().st_size / 2**20
        print(f"memory at most {used:.0f} MiB; file {kept:.0f} MiB")


class SettlementStoreAt:
    """A store in a folder, closed at the end."""

    def __init__(self, folder: str) -> None:
        self._store = SettlementStore(Path(folder, "settlement.db"))

    def __enter__(self) -> SettlementStore:
        """The store."""
        return self._store

    def __exit__(self, *_: object) -> None:
        """Close it."""
        self._store.close()


if __name__ == "__main__":
    main()
