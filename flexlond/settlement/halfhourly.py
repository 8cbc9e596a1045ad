"""Half-hourly readings as CSV: what a meter operator, a building system or a VTP sends, and what we write.

Law: pure: text in, readings and problems out. A row that cannot be read is a problem with its line number and
never a reading; a period that the day has not (47 on the day of 46) is one too. Times are UTC or settlement
date and period; a local time without an offset is refused, because in autumn it names two periods. Energy is
kWh of import per period with up to three places. Columns by name: `point`; `utc` or `settlement_date` and
`settlement_period`; `kwh`; optional `quality` (measured without it), `uncertainty_kwh`.
"""

from __future__ import annotations

import csv
import datetime as dt
import io
from decimal import ROUND_HALF_UP, Decimal, InvalidOperation
from typing import TYPE_CHECKING

from flexlond.model.settlement_period import LENGTH, PeriodError, SettlementPeriod
from flexlond.settlement.readings import Quality, Reading, alike

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

MOST_WH = 10**12  # a terawatt-hour in a half-hour is no reading
FIELDS = (
    "point",
    "settlement_date",
    "settlement_period",
    "utc",
    "kwh",
    "quality",
    "uncertainty_kwh",
)


class RowError(ValueError):
    """What is wrong with a row of a table."""


def parse(text: str, source: str) -> tuple[list[Reading], list[str]]:
    """The readings of a file, one per point and period in order, and what was wrong with which line."""
    rows = csv.DictReader(io.StringIO(text.lstrip("\ufeff")))
    names = {name.strip() for name in rows.fieldnames or ()}
    timed = "utc" in names or {"settlement_date", "settlement_period"} <= names
    if not {"point", "kwh"} <= names or not timed:
        return [], [
            (
                f"{source}: line 1 must name the columns point, kwh, and utc or settlement_date and"
                f" settlement_period; it names {', '.join(sorted(names)) or 'nothing'}"
            )
        ]
    problems: list[str] = []
    found: dict[tuple[str, int], list[Reading]] = {}
    for row in rows:
        plain = {
            (key or "").strip(): (value or "").strip()
            for key, value in row.items()
            if isinstance(value, str)
        }
        try:
            one = _reading(plain, source)
        except RowError as error:
            problems.append(f"{source}, line {rows.line_num}: {error}")
            continue
        found.setdefault((one.point, one.start), []).append(one)
    readings = []
    for point, start in sorted(found):
        one = alike(point, start, found[point, start])
        if one.quality is not found[point, start][0].quality:  # not merely given twice
            period = SettlementPeriod.at(start)
            problems.append(f"{source}: {point} {period.date} SP {period.number}: {one.detail}")
        readings.append(one)
    return readings, problems


def write(readings: Iterable[Reading]) -> str:
    """The same format, for others."""
    out = io.StringIO()
    rows = csv.writer(out, lineterminator="\n")
    rows.writerow(FIELDS)
    for one in readings:
        period = SettlementPeriod.at(one.start)
        utc = dt.datetime.fromtimestamp(one.start, dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        kwh = f"{Decimal(one.wh) / 1000:.3f}" if one.known else ""
        doubt = f"{Decimal(one.uncertainty_wh) / 1000:.3f}"
        rows.writerow([one.point, period.date, period.number, utc, kwh, one.quality, doubt])
    return out.getvalue()


def _reading(row: Mapping[str, str], source: str) -> Reading:
    point = row.get("point", "")
    if not point:
        raise RowError("no metering point")
    start = start_of(row)
    try:
        quality = Quality(row.get("quality") or "measured")
    except ValueError:
        raise RowError(
            f"the quality {row['quality'][:20]!r} is none of {', '.join(Quality)}"
        ) from None
    if not row.get("kwh"):
        return Reading(point, start, 0, Quality.MISSING, source, 0, "")
    if quality is Quality.MISSING:
        raise RowError("a missing reading has a value; leave kwh empty or name its quality")
    doubt = wh_of(row["uncertainty_kwh"], "uncertainty_kwh") if row.get("uncertainty_kwh") else 0
    return Reading(point, start, wh_of(row["kwh"], "kwh"), quality, source, doubt)


def start_of(row: Mapping[str, str]) -> int:
    """The first second of the period that a row names, by either way or both. Raises RowError."""
    if row.get("settlement_date"):
        try:
            date, number = (
                dt.date.fromisoformat(row["settlement_date"]),
                int(row["settlement_period"]),
            )
            start = SettlementPeriod(date, number).start
        except PeriodError as error:
            raise RowError(str(error)) from None
        except ValueError:
            raise RowError(
                "settlement_date and settlement_period must be like 2026-01-31 and 17"
            ) from None
        if not row.get("utc") or half_hour(row["utc"]) == start:
            return start
        raise RowError("utc and settlement period name different half-hours")
    return half_hour(row.get("utc", ""))


def half_hour(text: str) -> int:
    """The start of a half-hour. Raises RowError."""
    start = moment_of(text)
    if start % LENGTH:
        raise RowError(f"{text[:30]!r} is not the start of a half-hour")
    return start


def moment_of(text: str) -> int:
    """Epoch seconds of a moment with an offset. Raises RowError."""
    try:
        moment = dt.datetime.fromisoformat(text)
    except ValueError:
        raise RowError(f"the time {text[:30]!r} is not like 2026-01-31T17:30:00Z") from None
    if moment.tzinfo is None:
        raise RowError(f"the time {text[:30]!r} has no offset; write UTC, ending with Z")
    return int(moment.timestamp())


def wh_of(text: str, name: str) -> int:
    """Whole Wh of a number of kWh, halves up. Raises RowError."""
    try:
        wh = Decimal(text) * 1000
    except InvalidOperation:
        wh = Decimal("NaN")
    if not wh.is_finite() or abs(wh) > MOST_WH:
        raise RowError(f"{name} {text[:20]!r} is no plausible number of kWh")
    return int(wh.quantize(Decimal(1), ROUND_HALF_UP))
