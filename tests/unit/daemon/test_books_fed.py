"""What the daemon feeds into settlement by itself: actual prices and carbon, and work done."""

from __future__ import annotations

import dataclasses
import datetime as dt
from contextlib import closing
from decimal import Decimal
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from flexlond.daemon.books_fed import FED, Fed
from flexlond.daemon.books_work import work_of
from flexlond.daemon.config_checks import cross_check
from flexlond.model.series import Kind
from flexlond.model.settings import Feed, Settings, SignalSettings
from flexlond.model.settlement_period import LENGTH, SettlementPeriod
from flexlond.model.timegrid import TimeGrid
from flexlond.settlement import runs, tables
from flexlond.settlement.inputs import CARBON_AVERAGE, RETAIL_PRICE, Value
from flexlond.settlement.statement import statement
from flexlond.settlement.store import SettlementStore
from flexlond.settlement.terms import Terms
from flexlond.settlement.work import Work, files_first
from flexlond.signals.feeds import SignalHub
from flexlond.slurm.accounting import AccountingRecord
from flexlond.slurm.command import SlurmCommandError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

UTC = ZoneInfo("UTC")
DAY = dt.date(2026, 9, 15)
NOON = SettlementPeriod(DAY, 27).start  # 12:00 UTC
SETTINGS = Settings()


def record(**more: Any) -> AccountingRecord:
    values: dict[str, Any] = {
        "job_id": 7,
        "array_job_id": 0,
        "array_task_id": None,
        "het_job_id": 0,
        "het_offset": 0,
        "user": "alice",
        "uid": 1001,
        "account": "physics",
        "qos": "",
        "partition": "main",
        "state": "COMPLETED",
        "submit": NOON - 600,
        "eligible": NOON - 600,
        "start": NOON,
        "end": NOON + 3600,
        "time_limit": 7200,
        "nodes": 1,
        "cpus": 4,
        "memory_mib": 1024,
        "gpus": (),
        "energy_joules": None,
        "restarts": 0,
        "comment": "flex: max-delay=1:00:00 work=1000 unit=inference",
        "name": "secret-name",
    }
    return AccountingRecord(**(values | more))


# ---- work done


def test_work_is_spread_over_the_run_and_names_nobody() -> None:
    found = work_of([record()], SETTINGS, UTC)
    assert [(one.start, one.amount) for one in found] == [
        (NOON, Decimal(500)),
        (NOON + LENGTH, Decimal(500)),
    ]
    assert {one.unit for one in found} == {"inference"}
    assert all(one.wh > 0 for one in found)
    for word in ("alice", "physics", "secret-name"):
        assert word not in repr(found)


@given(
    st.integers(0, LENGTH * 3),
    st.integers(1, 90_000),
    st.decimals("0.001", "999999", places=3),
)
def test_the_parts_sum_to_the_whole(offset: int, seconds: int, work: Decimal) -> None:
    text = f"flex: max-delay=1:00:00 work={work} unit=epoch"
    one = record(start=NOON + offset, end=NOON + offset + seconds, comment=text)
    found = work_of([one], SETTINGS, UTC)
    assert sum(part.amount for part in found) == work
    assert all(part.amount >= 0 and part.wh >= 0 for part in found)
    assert len({part.start for part in found}) == len(found)


@pytest.mark.parametrize(
    "more",
    [
        {"state": "FAILED"},
        {"state": "TIMEOUT"},
        {"state": "RUNNING", "end": 0},
        {"comment": "flex: max-delay=1:00:00"},
        {"comment": "nothing of ours"},
        {"comment": "flex: off"},
        {"comment": "flex: max-delay=1:00:00 work=oops unit=inference"},
        {"array_job_id": 7, "array_task_id": 1},
        {"start": 0},
    ],
)
def test_what_was_not_done_or_not_said_does_not_count(more: dict[str, Any]) -> None:
    assert work_of([record(**more)], SETTINGS, UTC) == []


def test_an_earlier_run_of_a_requeued_job_adds_energy_and_no_work() -> None:
    first = record(state="REQUEUED", start=NOON - 7200, end=NOON - 5400)
    other = record(state="CANCELLED", start=NOON - 9000, end=NOON - 8000, uid=1002)  # the id again
    found = work_of([other, first, record()], SETTINGS, UTC)
    assert sum(one.amount for one in found) == 1000
    early = [one for one in found if one.start < NOON]
    assert [(one.amount, one.wh > 0) for one in early] == [(Decimal(0), True)]
    assert [one.start for one in early] == [NOON - 7200]


# ---- prices and carbon


class Actual:
    """A feed that settles: so much for each kind, everywhere."""

    def __init__(self, **amounts: float) -> None:
        self.amounts = amounts

    def settled(self, kind: Kind, grid: TimeGrid) -> tuple[NDArray[np.float64], str] | None:
        if kind.value not in self.amounts:
            return None
        return np.full(grid.count, self.amounts[kind.value]), "tariff"


def test_values_of_periods_that_are_over_and_no_others() -> None:
    now = NOON + 2 * 3600
    fed = Fed(Actual(price=180.25, carbon=120.0), None)
    found = fed.values(now)
    assert {one.kind for one in found} == {RETAIL_PRICE, CARBON_AVERAGE}
    assert max(one.start for one in found) + LENGTH <= now - 3600
    assert {one.amount for one in found if one.kind == RETAIL_PRICE} == {Decimal("180.25")}
    assert all(one.source == "flexlond: tariff" for one in found)
    assert fed.values(now + 5) == []  # once each half-hour
    assert Fed(Actual(), None).values(now) == []


def test_a_corrected_value_is_a_version_and_a_file_s_stands(tmp_path: Path) -> None:
    now = NOON + 2 * 3600
    with closing(SettlementStore(tmp_path / "s.db")) as store:
        by_file = Value(RETAIL_PRICE, NOON, Decimal(99), "supply contract")
        store.add_values([by_file], now)
        for at, price in ((now, 180.0), (now + LENGTH, 180.0), (now + 2 * LENGTH, 200.0)):
            fed = Fed(Actual(price=price), None)  # a new process each time
            fed.put(store, fed.values(at), at)
        known = store.values(NOON - LENGTH, NOON + LENGTH)[RETAIL_PRICE]
        assert (known[NOON].amount, known[NOON].version) == (Decimal(99), 1)
        before = known[NOON - LENGTH]
        assert (before.amount, before.version) == (Decimal("200.0"), 2)
        assert before.source.startswith(FED)
        later = Value(RETAIL_PRICE, NOON - LENGTH, Decimal(98), "supply contract")
        store.add_values([later], now)
        fed = Fed(Actual(price=300.0), None)
        fed.put(store, fed.values(now + 3 * LENGTH), now)
        assert store.values(NOON - LENGTH, NOON)[RETAIL_PRICE][NOON - LENGTH].amount == 98


async def test_a_feed_settles_only_where_the_site_says_so_and_never_a_forecast(
    tmp_path: Path,
) -> None:
    path = tmp_path / "price.csv"
    path.write_text("utc,price\n2026-09-15T12:00:00Z,150\n2026-09-15T12:30:00Z,160\n")
    grid = TimeGrid(NOON - LENGTH, LENGTH, 3)
    for settles in (False, True):
        feed = Feed(source="csv", path=str(path), settles=settles)
        carbon = Feed(source="neso-carbon", settles=True)
        hub = SignalHub(SignalSettings(price=(feed,)))
        await hub.refresh(NOON + 7200)
        found = hub.settled(Kind.PRICE, grid)
        await hub.close()
        assert (found is not None) == settles
    assert found is not None
    assert np.array_equal(found[0], [np.nan, 150.0, 160.0], equal_nan=True)
    assert "price.csv" in found[1]
    forecast = SignalHub(SignalSettings(carbon=(carbon,)))
    assert forecast.settled(Kind.CARBON, grid) is None
    await forecast.close()
    said = cross_check(Settings(signals=SignalSettings(carbon=(carbon,))))
    assert any("only forecasts" in str(one) for one in said)


# ---- files and the daemon


def test_of_a_unit_on_a_date_the_file_s_rows_alone_count() -> None:
    ours = Work(NOON, "flexlond:7/1", "inference", Decimal(10), 5)
    epochs = dataclasses.replace(ours, unit="epoch")
    tomorrow = dataclasses.replace(ours, start=NOON + 86_400)
    theirs = Work(NOON + LENGTH, "serving", "inference", Decimal(12), 6)
    assert files_first([ours, epochs, tomorrow, theirs]) == [epochs, tomorrow, theirs]
    head = "job,unit,settlement_date,settlement_period,amount,kwh\n"
    rows, problem = tables.work(f"{head}flexlond:7/1,inference,2026-09-15,27,1,1\n", "w.csv")
    assert rows == []
    assert "kept for what flexlond counts" in problem[0]


async def test_cost_and_sci_per_unit_are_in_the_statement_without_a_file(tmp_path: Path) -> None:
    asked: list[dict[str, Any]] = []

    def read(_: object, **words: Any) -> Sequence[AccountingRecord]:
        asked.append(words)
        return [record()]

    now = NOON + 3 * 3600
    with closing(SettlementStore(tmp_path / "s.db")) as store:
        for _ in range(2):  # again after a restart
            fed = Fed(Actual(price=200.0, carbon=100.0), UTC, read)
            fed.put(store, fed.values(now), now)
            store.add_work(await fed.work(SETTINGS, now), now)
            assert await fed.work(SETTINGS, now + 5) == []
        (unit,) = statement(runs.month_inputs(store, DAY), Terms()).units
        assert store.db.row("SELECT max(version) FROM work") == (1,)
    assert (unit.unit, Decimal(unit.amount)) == ("inference", Decimal(1000))
    assert unit.estimated_wh == unit.wh > 0
    assert Decimal(str(unit.cost)) == pytest.approx(
        Decimal(unit.wh) / 10**6 * 200, rel=Decimal("1e-3")
    )
    assert Decimal(str(unit.carbon_g)) == pytest.approx(Decimal(unit.wh) / 10, rel=Decimal("1e-3"))
    assert len(asked) == 2


async def test_accounting_that_is_away_is_asked_again_and_stops_nothing() -> None:
    def away(*_: object, **__: object) -> Sequence[AccountingRecord]:
        raise SlurmCommandError(["sacct"], 1, "Connection refused", "wait")

    fed = Fed(Actual(), UTC, away)
    assert await fed.work(SETTINGS, NOON) == []
    assert await fed.work(SETTINGS, NOON + LENGTH) == []
    assert (
        await Fed(Actual(), None, away).work(SETTINGS, NOON) == []
    )  # without Slurm nobody is asked
