"""Carbon caps of a day: what was emitted counts by the site's day, outlives a restart, and bounds the plan."""

from __future__ import annotations

import re
from datetime import date, datetime
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from flexlond.agents.carbon_days import CARBON_DAYS, CarbonDays
from flexlond.agents.plan_views import plan_view
from flexlond.agents.sentence import _caps
from flexlond.daemon.store import SqliteStore
from flexlond.model.settings import Feed, PlanningSettings
from flexlond.planning.carbon_days import Emitter
from flexlond.planning.problem import CapKept
from tests.unit.agents.conftest import CHEAP_AT_SIX, SLOT, START, Bench, replace_struct
from tests.unit.planning.conftest import build

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from flexlond.model.settings import Settings
    from flexlond.planning.problem import Plan

LONDON = ZoneInfo("Europe/London")
HOUR = 3600
NOON = int(datetime(2026, 7, 1, 12, tzinfo=LONDON).timestamp())
TODAY, TOMORROW = date(2026, 7, 1), date(2026, 7, 2)
FOREVER = NOON + 10**6


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SqliteStore]:
    opened = SqliteStore(tmp_path / "flexlon.db")
    yield opened
    opened.close()


def running(account: str = "a", kw: float = 10.0, start: int = NOON - HOUR) -> Emitter:
    return Emitter(account, kw, start, FOREVER)


def test_a_running_job_emits_its_power_times_the_intensity(store: SqliteStore) -> None:
    days = CarbonDays(store, LONDON)
    days.note(NOON, [running()], 300.0)
    assert days.emitted(TODAY) == {}  # from the first look on
    days.note(NOON + HOUR, [running(), running("b", 1.0, NOON + HOUR // 2)], 300.0)
    assert days.emitted(TODAY) == pytest.approx({"a": 3.0, "b": 0.15})
    days.note(NOON + 2 * HOUR, [running()], float("nan"))
    assert days.emitted(TODAY)["a"] == pytest.approx(3.0)
    days.note(NOON + 3 * HOUR, [running()], 100.0)
    assert days.emitted(TODAY)["a"] == pytest.approx(4.0)


def test_a_day_ends_at_midnight_of_the_site_and_a_clock_that_goes_back_counts_nothing(
    store: SqliteStore,
) -> None:
    days = CarbonDays(store, LONDON)
    midnight = int(datetime(2026, 7, 2, tzinfo=LONDON).timestamp())
    days.note(midnight - HOUR, [running()], 100.0)
    days.note(midnight + 2 * HOUR, [running()], 100.0)
    assert days.emitted(TODAY) == pytest.approx({"a": 1.0})
    assert days.emitted(TOMORROW) == pytest.approx({"a": 2.0})
    days.note(midnight - HOUR, [running()], 100.0)
    assert days.emitted(TODAY) == pytest.approx({"a": 1.0})


def test_a_restart_forgets_nothing_and_what_cannot_be_read_is_begun_anew(
    store: SqliteStore,
) -> None:
    days = CarbonDays(store, LONDON)
    days.note(NOON, [running()], 300.0)
    days.note(NOON + HOUR, [running()], 300.0)
    again = CarbonDays(store, LONDON)
    again.note(NOON + 2 * HOUR, [running()], 300.0)
    assert again.emitted(TODAY) == pytest.approx({"a": 6.0})
    again.note(NOON + 20 * 24 * HOUR, [], 300.0)
    assert again.emitted(TODAY) == {}
    store.put_blob(CARBON_DAYS, b"\xc1 no msgpack", NOON)
    assert CarbonDays(store, LONDON).emitted(TODAY) == {}


def test_the_caps_of_each_day_with_what_is_spent_and_under_way(store: SqliteStore) -> None:
    days = CarbonDays(store, LONDON)
    days.note(NOON - HOUR, [running()], 300.0)
    days.note(NOON, [running(start=NOON - 2 * HOUR)], 300.0)
    problem = build([1.0] * 48, carbon=[100.0] * 48, now=NOON, kw=[1.0] * 3)
    settings = PlanningSettings(
        carbon_cap_kg_per_day=50.0, account_carbon_cap_kg_per_day={"b": 7.0, "none": 1.0}
    )
    under_way = [
        Emitter("a", 10.0, NOON - HOUR, NOON + 2 * HOUR),
        Emitter("b", 2.0, NOON - HOUR, NOON + 13 * HOUR),
    ]
    caps = days.caps(
        problem, ["a", "b", "b"], under_way, settings, consents=np.array([True, True, False])
    )
    assert [cap.name for cap in caps] == [
        "carbon cap of 2026-07-01 (site)",
        "carbon cap of 2026-07-01 (account b)",
        "carbon cap of 2026-07-01 (account none)",
        "carbon cap of 2026-07-02 (site)",
        "carbon cap of 2026-07-02 (account b)",
        "carbon cap of 2026-07-02 (account none)",
    ]
    assert [(cap.first, cap.end) for cap in caps[::3]] == [(0, 24), (24, 48)]
    assert [cap.jobs.tolist() for cap in caps[:3]] == [
        [True, True, False],  # the third has no consent
        [False, True, False],
        [False] * 3,
    ]
    # 3 kg of account a so far, 2 kg of its run to come; of b 12 h of 2 kW today and one tomorrow.
    assert [cap.spent_kg for cap in caps] == pytest.approx([7.4, 2.4, 0.0, 0.2, 0.2, 0.0])
    assert [cap.total_kg for cap in caps[:3]] == [50.0, 7.0, 1.0]
    assert (
        days.caps(problem, ["a"] * 3, under_way, PlanningSettings(), consents=np.ones(3, np.bool_))
        == ()
    )


@pytest.mark.parametrize(("day", "slots"), [("2026-03-28", 46), ("2026-10-24", 50)])
def test_a_day_of_a_clock_change_has_the_slots_it_has(
    store: SqliteStore, day: str, slots: int
) -> None:
    noon = int(datetime.fromisoformat(f"{day}T12:00").replace(tzinfo=LONDON).timestamp())
    problem = build([1.0] * 96, now=noon, carbon=[100.0] * 96)
    settings = PlanningSettings(carbon_cap_kg_per_day=50.0)
    caps = CarbonDays(store, LONDON).caps(
        problem, ["a"], [], settings, consents=np.ones(1, np.bool_)
    )
    assert [cap.end - cap.first for cap in caps] == [24, slots, 96 - 24 - slots]


FLEX = "flex: max-delay=8:00:00 power=10kW work=500 unit=inference"


@pytest.fixture
def capped(tmp_path: Path, settings: Settings) -> Iterator[Callable[..., Bench]]:
    """Loops with both signals and what is given of [planning]."""
    made: list[Bench] = []

    def build_one(**planning: Any) -> Bench:
        feed = (Feed(source="csv", path="/nowhere"),)
        chosen = replace_struct(
            settings,
            planning=replace_struct(settings.planning, delay_price=0.0, **planning),
            signals=replace_struct(settings.signals, price=feed, carbon=feed),
        )
        made.append(Bench(tmp_path / f"capped-{len(made)}.db", chosen, CHEAP_AT_SIX))
        return made[-1]

    yield build_one
    for bench in made:
        bench.store.close()


async def test_a_loop_under_a_cap_says_it_keeps_it_and_counts_what_ran(
    capped: Callable[..., Bench],
) -> None:
    bench = capped(carbon_cap_kg_per_day=1000.0)
    for _ in range(3):
        bench.slurm.submit(FLEX)
    await bench.cycle()
    found = plan_view(bench.agent)
    assert found is not None
    assert all(one.kept and one.shadow_gbp_t == 0 for one in found.carbon_caps)
    assert found.carbon_caps[0].cap_kg == 1000.0
    (unit,) = found.units
    assert (unit.unit, unit.jobs, unit.work) == ("inference", 3, 1500.0)
    # 12 kW with the PUE for an hour, at 20 instead of 200 GBP/MWh, for 500 inferences.
    assert unit.gbp_asap == pytest.approx(12 * 0.2 / 500)
    assert unit.gbp == pytest.approx(12 * 0.02 / 500)
    assert unit.co2_g == pytest.approx(12 * 20 / 500)
    bench.slurm.advance(3 * HOUR + SLOT)
    await bench.cycle()
    bench.slurm.advance(SLOT // 2)
    await bench.cycle()
    again = plan_view(bench.agent)
    assert again is not None
    assert again.carbon_caps[0].spent_kg > 0
    spent = again.carbon_caps[0].spent_kg
    bench.restart()
    await bench.cycle()
    await bench.cycle()
    after = plan_view(bench.agent)
    assert after is not None
    assert after.carbon_caps[0].spent_kg == pytest.approx(spent, rel=0.05)


async def test_a_loop_under_a_cap_that_cannot_be_kept_says_so(
    capped: Callable[..., Bench],
) -> None:
    bench = capped(account_carbon_cap_kg_per_day={"research": 0.001})
    jobs = [bench.slurm.submit("flex: max-delay=1:00:00 power=10kW") for _ in range(3)]
    sentence = await bench.cycle()
    assert "(account research)" in sentence
    said = re.search(r"(\S+) of (\S+) kg, it is not kept: (\S+) kg too much", sentence)
    assert said
    planned, total, above = map(float, said.groups())
    assert above == pytest.approx(planned - total, rel=1e-3)
    found = plan_view(bench.agent)
    assert found is not None
    assert any("kept" in words for words in found.problems)
    assert all(bench.begin(job) <= START + HOUR for job in jobs)


def test_a_cap_that_only_jobs_yet_to_come_break_is_said_with_them() -> None:
    cap = CapKept("carbon cap of 2026-11-28 (site)", 50.0, 10.0, 30.0, 20.0, 1.0)
    assert _caps(cast("Plan", SimpleNamespace(carbon_caps=(cap,)))) == [
        f"{cap.name}: 30 of 50 kg and 30 kept for jobs yet to come, it is not kept: 10 kg too much"
    ]


async def test_a_loop_defers_into_tomorrow_what_today_has_no_carbon_for(
    capped: Callable[..., Bench],
) -> None:
    free = capped()
    bench = capped(carbon_cap_kg_per_day=0.3)
    ends = []
    for one in (free, bench):
        jobs = [one.slurm.submit("flex: max-delay=1-12:00:00 power=10kW") for _ in range(2)]
        await one.cycle()
        ends.append(sorted(one.begin(job) for job in jobs))
    found = plan_view(bench.agent)
    assert found is not None
    assert all(one.kept for one in found.carbon_caps), found.carbon_caps
    assert any(one.shadow_gbp_t > 0 for one in found.carbon_caps)
    assert ends[1] != ends[0]
    assert np.isfinite([one.planned_kg for one in found.carbon_caps]).all()
