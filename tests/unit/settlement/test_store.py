"""The settlement file: versions, never overwritten; runs that repeat themselves; the month's statement."""

from __future__ import annotations

import datetime as dt
import random
import sqlite3
from dataclasses import replace
from decimal import ROUND_HALF_UP, Decimal
from typing import TYPE_CHECKING, Any

import pytest

from flexlond.model.settlement_period import starts_of
from flexlond.settlement import runs
from flexlond.settlement.database import Database, SettlementStoreError
from flexlond.settlement.inputs import (
    CARBON_AVERAGE,
    CARBON_MARGINAL,
    RETAIL_PRICE,
    SYSTEM_PRICE,
    Delivery,
    EventDay,
    Value,
)
from flexlond.settlement.issued import issue
from flexlond.settlement.nominated import Nomination
from flexlond.settlement.readings import Quality, Reading
from flexlond.settlement.statement import statement
from flexlond.settlement.statement_html import page
from flexlond.settlement.store import Added, SettlementStore
from flexlond.settlement.terms import Terms
from flexlond.settlement.work import Work
from tests.unit.settlement.settlekit import (
    DAY,
    POINT,
    at,
    flat_history,
    nominated,
    order,
    reading,
    value,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

NOW = 1_790_000_000
TERMS = Terms()


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SettlementStore]:
    made = SettlementStore(tmp_path / "settlement.db")
    yield made
    made.close()


def settle(store: SettlementStore, day: dt.date = DAY, terms: Terms = TERMS, **more: bool) -> Any:
    ((result, run),) = runs.settle_range(store, day, day, terms, NOW, **more)
    return result, run


def site(store: SettlementStore) -> None:
    store.add_readings([*flat_history(DAY, 1000), reading(at(37), 400), reading(at(38), 500)], NOW)
    store.add_orders([order([at(37), at(38)], 1.0, "200", "dfs")], NOW)


def test_what_comes_again_adds_nothing_and_what_is_corrected_adds_a_version(
    store: SettlementStore,
) -> None:
    first = [reading(at(1), 100), reading(at(2), 200)]
    assert store.add_readings(first, NOW) == Added(2, 0, 0)
    assert store.add_readings(first, NOW + 1) == Added(0, 0, 2)
    assert (
        str(store.add_readings([reading(at(2), 150)], NOW + 2)) == "0 new, 1 corrected, 0 as before"
    )
    found = list(store.readings(at(1), at(3)))
    assert [(one.wh, version) for one, version in found] == [(100, 1), (150, 2)]
    every = store.db.rows("SELECT version, wh FROM reading WHERE start=? ORDER BY version", at(2))
    assert every == [(1, 200), (2, 150)]


def test_no_row_is_ever_changed_or_removed(store: SettlementStore) -> None:
    site(store)
    store.add_nominations([nominated(at(37), 900)], NOW)
    store.add_values([value(SYSTEM_PRICE, at(37), "1")], NOW)
    store.add_event_days([EventDay(POINT, DAY, "outage")], NOW)
    store.add_work([Work(at(1), "1", "epoch", Decimal(1), 10)], NOW)
    seen = Delivery("o", at(37), 60, Decimal(9), Decimal(7), Quality.MEASURED, "meter")
    store.add_deliveries([seen], NOW)
    settle(store)
    issue(store, statement(runs.month_inputs(store, DAY), Terms()), NOW)
    tables = [row[0] for row in store.db.rows("SELECT name FROM sqlite_master WHERE type='table'")]
    assert len(tables) == 11
    for table in tables:
        assert store.db.rows(f"SELECT * FROM {table} LIMIT 1"), table  # noqa: S608
        column = store.db.rows(f"PRAGMA table_info({table})")[0][1]
        for sql in (f"DELETE FROM {table}", f"UPDATE {table} SET {column}={column}"):  # noqa: S608
            with pytest.raises(sqlite3.IntegrityError, match="rows stay"):
                store.db.connection.execute(sql)


def test_a_fixed_nomination_is_not_changed(store: SettlementStore) -> None:
    one = nominated(at(37), 900)
    assert store.add_nominations([one], NOW) == Added(1, 0, 0)
    assert store.add_nominations([one], NOW) == Added(0, 0, 1)
    both = [nominated(at(38), 1), replace(one, wh=901)]
    with pytest.raises(SettlementStoreError, match="a fixed forecast is not changed"):
        store.add_nominations(both, NOW)
    assert store.nominations(at(37), at(39)) == [one]  # nothing of the call stayed
    later = Nomination(POINT, at(37), 901, one.fixed_at + 60)
    store.add_nominations([later], NOW)
    assert store.nominations(at(37), at(38)) == [one, later]


def test_a_word_about_an_event_day_can_be_taken_back(store: SettlementStore) -> None:
    store.add_event_days([EventDay(POINT, DAY, "outage", "ticket 7")], NOW)
    assert store.event_days(DAY, DAY) == [EventDay(POINT, DAY, "outage", "ticket 7")]
    store.add_event_days([EventDay(POINT, DAY, "a mistake", active=False)], NOW)
    assert store.event_days(DAY, DAY) == []


def test_a_run_done_again_is_the_same_and_corrected_data_make_the_next_version(
    store: SettlementStore,
) -> None:
    site(store)
    first, run = settle(store)
    assert (run.version, run.new) == (1, True)
    again, same = settle(store)
    assert again == first
    assert (same.version, same.new, same.digest) == (1, False, run.digest)
    store.add_readings([reading(at(37), 700)], NOW + 9)
    second, corrected = settle(store)
    assert corrected.version == 2
    assert [r.metered_wh for r in second.records] == [700, 500]
    assert runs.records(store, DAY) == list(second.records)
    assert runs.records(store, DAY, 1) == list(first.records)
    assert "#2 test meter" in second.records[0].evidence[1]
    other, changed = settle(store, terms=Terms(line_loss=Decimal("1.1")))
    assert changed.version == 3
    assert other.records[0].terms != first.records[0].terms


def test_event_days_of_orders_and_words_keep_out_of_later_baselines(store: SettlementStore) -> None:
    later = DAY + dt.timedelta(days=1)
    store.add_readings([*flat_history(later, 1000), reading(at(37, later), 400)], NOW)
    store.add_orders([order([at(37)], 1.0, product="dfs", name="yesterday")], NOW)
    store.add_event_days([EventDay(POINT, dt.date(2026, 9, 14), "outage")], NOW)
    result, _ = settle(store, later)
    (day,) = result.days
    assert day.bl01_days[0] == "2026-09-11"
    notified = Terms(orders_are_event_days=False)
    result, _ = settle(store, later, notified)
    assert result.days[0].bl01_days[:2] == ["2026-09-15", "2026-09-11"]


def test_a_newer_file_and_one_that_cannot_be_opened_are_said(tmp_path: Path) -> None:
    path = tmp_path / "new.db"
    with Database(path) as db:
        db.connection.execute("PRAGMA user_version=9")
    with pytest.raises(SettlementStoreError, match="newer FlexLon"):
        Database(path)
    with pytest.raises(SettlementStoreError, match="check that the folder is writable"):
        Database(tmp_path / "absent" / "x.db")


def test_a_reading_that_sqlite_cannot_hold_is_said_and_nothing_stays(
    store: SettlementStore,
) -> None:
    with pytest.raises(SettlementStoreError, match="cannot be stored"):
        store.add_readings([reading(at(1), 1), reading(at(2), 2**80)], NOW)
    assert list(store.readings(at(1), at(3))) == []


def filled_month(store: SettlementStore, dice: random.Random) -> dict[str, list[Any]]:
    """A month of one point with orders, prices, carbon and work; and the raw rows."""
    first, last = dt.date(2026, 7, 1), dt.date(2026, 9, 30)
    raw: dict[str, list[Any]] = {"readings": [], "orders": [], "values": [], "work": []}
    date = first
    while date <= last:
        for number, start in enumerate(starts_of(date), 1):
            wh = 40_000 + 1000 * (number % 7) + dice.randrange(-500, 500)
            if date.month == 9 and date.day in {8, 15, 22} and 35 <= number <= 38:
                wh -= 15_000
            quality = Quality.ESTIMATED if dice.random() < 0.001 else Quality.MEASURED
            raw["readings"].append(Reading(POINT, start, wh, quality, "meter"))
            if date.month == 9:
                raw["values"] += [
                    Value(
                        RETAIL_PRICE, start, Decimal(dice.randrange(5000, 30000)) / 100, "tariff"
                    ),
                    Value(CARBON_AVERAGE, start, Decimal(dice.randrange(40, 300)), "NESO"),
                    Value(CARBON_MARGINAL, start, Decimal(dice.randrange(200, 400)), "feed"),
                    Value(
                        SYSTEM_PRICE, start, Decimal(dice.randrange(4000, 20000)) / 100, "Elexon II"
                    ),
                ]
        date += dt.timedelta(days=1)
    for day, product in ((8, "p415"), (15, "dfs"), (22, "deg")):
        starts = [at(n, dt.date(2026, 9, day)) for n in range(35, 39)]
        raw["orders"].append(
            order(starts, 24.0, "151.37", product, penalty="33.3", name=f"o{day}", confirmed=day)
        )
    for start in list(starts_of(dt.date(2026, 9, 3)))[:10]:
        raw["work"].append(Work(start, "77", "inference", Decimal(250_000), 12_345, Decimal("6.5")))
    store.add_readings(raw["readings"], NOW)
    store.add_values(raw["values"], NOW)
    store.add_orders(raw["orders"], NOW)
    store.add_work(raw["work"], NOW)
    return raw


def independent_bl01(day: dt.date, readings: dict[int, Reading], events: set[dt.date]) -> list[int]:
    """BL01 of a working day again, from raw rows and without our code: ten whole weekdays, plain mean."""
    holidays = {dt.date(2026, 8, 31)}
    chosen: list[list[int]] = []
    for back in range(1, 61):
        date = day - dt.timedelta(days=back)
        rows = [readings[s] for s in starts_of(date) if s in readings]
        measured = len(rows) == 48 and all(r.quality is Quality.MEASURED for r in rows)
        if date.weekday() < 5 and date not in holidays | events and measured:
            chosen.append([r.wh for r in rows])
        if len(chosen) == 10:
            break
    return [
        int((Decimal(sum(column)) / len(column)).quantize(Decimal(1), ROUND_HALF_UP))
        for column in zip(*chosen, strict=True)
    ]


def cents(amount: Decimal) -> Decimal:
    return amount.quantize(Decimal("0.01"), ROUND_HALF_UP)


def test_a_statement_equals_an_independent_recomputation_from_raw_readings(
    store: SettlementStore,
) -> None:
    raw = filled_month(store, random.Random(20260901))
    month = dt.date(2026, 9, 1)
    list(runs.settle_range(store, month, dt.date(2026, 9, 30), TERMS, NOW))
    found = statement(runs.month_inputs(store, month), TERMS)

    readings = {one.start: one for one in raw["readings"]}
    values = {(one.kind, one.start): one.amount for one in raw["values"]}
    events = {dt.date(2026, 9, n) for n in (8, 15, 22)}
    mwh = Decimal(1_000_000)
    lines = {line.order: line for line in found.orders}
    total = Decimal(0)
    for each in raw["orders"]:
        day = dt.date(2026, 9, int(each.id[1:]))
        base = independent_bl01(day, readings, events)
        exact = Decimal(0)
        for interval in each.intervals:
            number = list(starts_of(day)).index(interval.start)
            reading_ = readings[interval.start]
            assert reading_.quality is Quality.MEASURED  # of this seed
            delivered = Decimal(base[number] - reading_.wh) / mwh
            offered = Decimal("0.012")
            if each.product == "p415":
                volume = delivered.quantize(Decimal("0.0001"), ROUND_HALF_UP)
                system = values[SYSTEM_PRICE, interval.start]
                exact += offered * Decimal("151.37") + (volume - offered) * system
            else:
                delivered = max(Decimal(0), delivered)
                exact += min(delivered, offered) * Decimal("151.37")
                exact -= max(Decimal(0), offered - delivered) * Decimal("33.3")
        assert lines[each.id].net == lines[each.id].site == str(cents(exact))
        total += cents(exact)
    assert found.revenue == {"GBP": str(total)}

    for kind, unit, shown in (
        (RETAIL_PRICE, mwh, found.avoided_cost),
        (CARBON_AVERAGE, mwh, found.avoided_carbon_kg),
        (CARBON_MARGINAL, mwh, found.avoided_carbon_marginal_kg),
    ):
        less, rebound, left_out = Decimal(0), Decimal(0), 0
        for day in events:
            base = independent_bl01(day, readings, events)
            for number, start in enumerate(starts_of(day)):
                if readings[start].quality is not Quality.MEASURED:
                    left_out += 1
                    continue
                amount = (base[number] - readings[start].wh) * values[kind, start] / unit
                less, rebound = less + max(amount, Decimal(0)), rebound + max(-amount, Decimal(0))
        assert shown is not None
        assert (shown.less, shown.rebound) == (str(cents(less)), str(cents(rebound)))
        assert shown.net == str(cents(less - rebound))
        assert (shown.periods, shown.left_out) == (3 * 48 - left_out, left_out)

    (unit,) = found.units
    work = raw["work"]
    cost = sum(one.wh * values[RETAIL_PRICE, one.start] for one in work) / mwh
    carbon = sum(one.wh * values[CARBON_AVERAGE, one.start] for one in work) / 1000
    count = 2_500_000
    assert Decimal(unit.cost_per_unit or 0) == Decimal(f"{cost / count:.4g}")
    assert Decimal(unit.sci_g_per_unit or 0) == Decimal(f"{(carbon + 65) / count:.4g}")
    assert (len(found.event_days), found.not_settled) == (3, [])
    september = {start for day in range(1, 31) for start in starts_of(dt.date(2026, 9, day))}
    assert found.metered_wh == sum(r.wh for r in raw["readings"] if r.start in september)


def test_the_page_stands_alone_and_escapes(store: SettlementStore) -> None:
    site(store)
    store.add_orders([order([at(40)], 1.0, product="dfs", name="<script>x</script>")], NOW)
    settle(store)
    found = statement(runs.month_inputs(store, DAY), TERMS)
    html = page(found, "Room & 1")
    assert "<script" not in html
    assert "&lt;script&gt;" in html
    assert "Room &amp; 1" in html
    assert not any(word in html for word in ("http:", "https:", "src=", "url("))
    assert "2026-09-01: not settled" in html
    assert "@media print" in html
    assert found.not_settled[0] == "2026-09-01"
    assert found.avoided_carbon_marginal_kg is None
    assert any("no reading" in line or "missing" in line for line in found.problems)
