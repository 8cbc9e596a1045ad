"""Settlement runs on the store: load a day's inputs, settle it, keep the result as a version.

Law: a run is one transaction: killed at any moment it is wholly there or not at all, and done again it gives
the same records. A result equal to the newest version of its date adds none; a different one is the next
version and the earlier ones stay. A date is settled from the newest inputs there are; the record says their
versions.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import TYPE_CHECKING

from flexlond.model.settlement_period import date_of, day_end, day_start
from flexlond.settlement.history import History, HistoryBuilder
from flexlond.settlement.inputs import DayInputs
from flexlond.settlement.nominated import in_force
from flexlond.settlement.record import (
    DayPoint,
    Record,
    day_from_json,
    digest,
    record_from_json,
    to_json,
)
from flexlond.settlement.run import DayResult, settle_day
from flexlond.settlement.statement import MonthInputs, dates_of
from flexlond.settlement.work import files_first

if TYPE_CHECKING:
    from collections.abc import Iterator

    from flexlond.settlement.readings import Reading
    from flexlond.settlement.store import SettlementStore
    from flexlond.settlement.terms import Terms

ONE_DAY = dt.timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Run:
    """A kept run."""

    date: dt.date
    version: int
    digest: str
    terms: str
    final: bool
    made: int
    new: bool = False  # whether this call added it


def settle_range(
    store: SettlementStore,
    first: dt.date,
    last: dt.date,
    terms: Terms,
    now: int,
    *,
    final: bool = False,
) -> Iterator[tuple[DayResult, Run]]:
    """Settle each date from first to last and keep it. Raises OrderError, SettlementStoreError."""
    since = first - dt.timedelta(days=terms.profile.look_back)
    points = store.points()
    histories = _histories(store, points, since, last, terms)
    events = _events(store, since, last, terms)
    date = first
    while date <= last:
        result = settle_day(
            date, _inputs(store, date, points, histories, events), terms, final=final
        )
        yield result, keep(store, result, terms, now, final=final)
        date += ONE_DAY


def keep(store: SettlementStore, result: DayResult, terms: Terms, now: int, *, final: bool) -> Run:
    """Keep a result, unless the newest version of its date is the same."""
    day = result.date.isoformat()
    records = [to_json(record) for record in result.records]
    days = [to_json(one) for one in result.days]
    mark = digest([*records, "", *days, terms.digest, str(final)])
    with store.db.transaction():
        before = newest_run(store, result.date)
        if before is not None and before.digest == mark:
            return before
        version = 1 if before is None else before.version + 1
        store.db.insert("run", [(day, version, mark, terms.digest, int(final), now)])
        store.db.insert(
            "record",
            [
                (day, version, number, record.order, record.start, text)
                for number, (record, text) in enumerate(zip(result.records, records, strict=True))
            ],
        )
        store.db.insert(
            "day_point",
            [(day, version, one.point, text) for one, text in zip(result.days, days, strict=True)],
        )
    return Run(result.date, version, mark, terms.digest, final, now, new=True)


def newest_run(store: SettlementStore, date: dt.date) -> Run | None:
    """The newest run of a date."""
    row = store.db.row(
        "SELECT version, digest, terms, final, made FROM run WHERE day=? ORDER BY version DESC LIMIT 1",
        date.isoformat(),
    )
    return None if row is None else Run(date, row[0], row[1], row[2], bool(row[3]), row[4])


def runs_since(store: SettlementStore, made: int) -> list[Run]:
    """The runs that were made at or after a moment, in their order."""
    rows = store.db.rows(
        "SELECT day, version, digest, terms, final, made FROM run WHERE made>=? ORDER BY made, day, version",
        made,
    )
    return [
        Run(dt.date.fromisoformat(day), version, mark, terms, bool(final), at)
        for day, version, mark, terms, final, at in rows
    ]


def records(store: SettlementStore, date: dt.date, version: int = 0) -> list[Record]:
    """The records of a date in a version (0: the newest), by period and order."""
    wanted = version or _version(store, date)
    rows = store.db.rows(
        "SELECT body FROM record WHERE day=? AND version=? ORDER BY number",
        date.isoformat(),
        wanted,
    )
    return [record_from_json(row[0]) for row in rows]


def days(store: SettlementStore, date: dt.date, version: int = 0) -> list[DayPoint]:
    """The points' days of a date in a version (0: the newest)."""
    wanted = version or _version(store, date)
    rows = store.db.rows(
        "SELECT body FROM day_point WHERE day=? AND version=? ORDER BY point",
        date.isoformat(),
        wanted,
    )
    return [day_from_json(row[0]) for row in rows]


def _version(store: SettlementStore, date: dt.date) -> int:
    run = newest_run(store, date)
    return run.version if run is not None else 0


def _histories(
    store: SettlementStore, points: list[str], since: dt.date, last: dt.date, terms: Terms
) -> dict[str, History]:
    """Each point's history from `since` up to the day before the last."""
    count = (last - since).days
    builders = {
        point: HistoryBuilder(point, since, count, terms.profile.usable) for point in points
    }
    for one, _ in store.readings(day_start(since), day_end(last)):
        builders[one.point].add(one)
    return {point: builder.history() for point, builder in builders.items()}


def _events(
    store: SettlementStore, since: dt.date, last: dt.date, terms: Terms
) -> dict[str, frozenset[dt.date]]:
    """Event days by point: as notified, and the days of orders where the terms say that they are."""
    found: dict[str, set[dt.date]] = {}
    for one in store.event_days(since, last):
        found.setdefault(one.point, set()).add(one.date)
    if terms.orders_are_event_days:
        for order in store.orders(day_start(since), day_end(last)):
            dates = {date_of(each.start) for each in order.intervals if each.offered_w}
            for point in order.points:
                found.setdefault(point, set()).update(dates)
    return {point: frozenset(dates) for point, dates in found.items()}


def _inputs(
    store: SettlementStore,
    date: dt.date,
    points: list[str],
    histories: dict[str, History],
    events: dict[str, frozenset[dt.date]],
) -> DayInputs:
    begin, end = day_start(date), day_end(date)
    readings: dict[tuple[str, int], Reading] = {}
    versions: dict[tuple[str, int], int] = {}
    for one, version in store.readings(begin, end):
        readings[one.point, one.start] = one
        versions[one.point, one.start] = version
    return DayInputs(
        points,
        readings,
        histories,
        in_force(store.nominations(begin, end)),
        store.orders(begin, end),
        events,
        store.values(begin, end),
        versions,
        {(one.order, one.start): one for one in store.deliveries(begin, end)},
    )


def month_inputs(store: SettlementStore, month: dt.date) -> MonthInputs:
    """What the newest runs of a month say, with its values and work."""
    dates = dates_of(month)
    runs = {date: run for date in dates if (run := newest_run(store, date)) is not None}
    return MonthInputs(
        dates[0],
        [record for date, run in runs.items() for record in records(store, date, run.version)],
        [one for date, run in runs.items() for one in days(store, date, run.version)],
        {date: run.version for date, run in runs.items()},
        store.values(day_start(dates[0]), day_end(dates[-1])),
        files_first(store.work(dates[0], dates[-1])),
    )
