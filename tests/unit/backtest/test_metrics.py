from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flexlond.backtest.case import PowerCoefficients, Run, Said, Trace
from flexlond.backtest.metrics import Case, compare, measure, node_count, ramps, study_grid
from flexlond.model.timegrid import TimeGrid
from tests.unit.backtest.replaykit import SLOT, T0, Made, flexible, one_pool, trace_of

if TYPE_CHECKING:
    from collections.abc import Sequence

POWER = PowerCoefficients(kw_per_node=0.5, idle_kw_per_node=0.25)
JOBS = [(0, 1800, 2), (0, 900, 4), (1800, 25200, 1), (1800, 5, 1)]


def run_of(trace: Trace, start: Sequence[int | None], policy: str = "asap", **given_: Any) -> Run:
    """Runs of full length from seconds after T0; None never started."""
    begins = np.array([0 if at is None else T0 + at for at in start], np.int64)
    length = np.minimum(trace.runtime, trace.limit).astype(np.int64)
    return Run(
        policy=policy,
        seed=0,
        start=begins,
        end=np.where(begins > 0, begins + length, 0),
        begin=given_.pop("begin", trace.submit),
        plan_seconds=np.array(given_.pop("plan_seconds", []), float),
        **given_,
    )


def case_of(trace: Trace, signals: Made, slack: dict[int, float], slots: int = 20) -> Case:
    grid = TimeGrid(T0, SLOT, slots)
    return Case(trace, flexible(trace, slack), signals, POWER, grid, nodes=4.0)


def flat(price: float, carbon: float, slots: int = 20) -> Made:
    return Made([carbon] * slots, [price] * slots)


def test_money_and_carbon_by_hand() -> None:
    trace = trace_of(JOBS)
    signals = Made([100.0, 300.0, *[0.0] * 18], [40.0, 80.0, *[0.0] * 18])
    case = case_of(trace, signals, {})
    found = measure(case, run_of(trace, [900, 0, 3600, 3600]))
    # Job 0: 1 kW, a quarter hour in each slot; job 1: 2 kW for the first quarter hour.
    assert found.cost_gbp == pytest.approx((0.25 * 40 + 0.25 * 80 + 0.5 * 40) / 1000)
    assert found.co2_kg == pytest.approx((0.25 * 100 + 0.25 * 300 + 0.5 * 100) / 1000)
    assert found.energy_kwh == pytest.approx(0.5 + 0.5 + 3.5 + 0.5 * 5 / 3600)
    # 1 kW of idle power over 20 slots.
    assert found.site_cost_gbp == pytest.approx(found.cost_gbp + 0.5 * (40 + 80) / 1000)
    assert found.site_co2_kg == pytest.approx(found.co2_kg + 0.5 * (100 + 300) / 1000)


def test_waits_slowdowns_and_classes_by_hand() -> None:
    trace = trace_of(JOBS)
    found = measure(
        case_of(trace, flat(1, 1), {0: 60, 2: 9000}), run_of(trace, [100, 0, 1800, 1900])
    )
    assert found.all.wait_mean_s == 50
    assert found.all.wait_median_s == 50
    assert found.all.wait_p95_s == 100
    assert found.flexible.jobs == found.other.jobs == 2
    assert found.flexible.wait_mean_s == 50
    # (100 + 5) / 10: runs under 10 s count as 10 s.
    assert found.other.slowdown == pytest.approx((1 + 10.5) / 2)
    assert found.flexible.slowdown == pytest.approx((1900 / 1800 + 1) / 2)
    assert (found.short.jobs, found.medium.jobs, found.long.jobs) == (3, 0, 1)
    assert np.isnan(found.medium.wait_mean_s)
    assert found.long.wait_mean_s == 0


def test_late_moved_and_never_started_are_counted() -> None:
    trace = trace_of(JOBS)
    begin = trace.submit + np.array([50, 0, 0, 10])
    run = run_of(trace, [61, 5000, None, 1860], begin=begin, plan_seconds=[0.5, 1.5])
    found = measure(case_of(trace, flat(1, 1), {0: 60, 2: 60, 3: 60}), run)
    assert (found.late, found.moved, found.never_started, found.jobs) == (1, 2, 1, 4)
    assert found.all.jobs == 3
    assert (found.plans, found.plan_mean_seconds, found.plan_worst_seconds) == (2, 1.0, 1.5)


def saying(trace: Trace, **said: Sequence[Any]) -> Trace:
    none = [np.nan] * trace.jobs
    return replace(
        trace,
        said=Said(
            np.array(said.get("work", none), float),
            np.array(said.get("unit", [""] * trace.jobs)),
            np.array(said.get("latency", none), float),
        ),
    )


def test_the_cost_of_a_unit_of_work_by_hand_and_no_unit_is_added_to_another() -> None:
    nan = np.nan
    trace = saying(
        trace_of([(0, 1800, 2), (0, 3600, 4), (0, 1800, 1), (0, 1800, 1), (0, 1800, 1)]),
        work=[1000.0, 3000.0, nan, 5.0, 7.0],
        unit=["inference", "inference", "", "epoch", "idle"],
    )
    signals = Made([100.0, 300.0, *[0.0] * 18], [40.0, 80.0, *[0.0] * 18])
    run = run_of(trace, [0, 0, 0, 1800, None])
    found = measure(case_of(trace, signals, {}), run)
    # 0.5 kW a node: 0.5 kWh at 40, and a kWh at 40 and one at 80 GBP/MWh, over 4000 inferences.
    inference, epoch = found.units[1], found.units[0]
    assert (epoch.unit, inference.unit, len(found.units)) == ("epoch", "inference", 2)
    assert inference.work == 4000
    assert inference.gbp == pytest.approx((0.5 * 40 + 40 + 80) / 1000 / 4000)
    assert inference.co2_g == pytest.approx((0.5 * 100 + 100 + 300) / 4000)
    assert epoch.gbp == pytest.approx(0.25 * 80 / 1000 / 5)
    flat_figures = found.figures()
    assert flat_figures["gbp_per_inference"] == inference.gbp
    assert flat_figures["co2_g_per_epoch"] == epoch.co2_g
    assert not any("idle" in name for name in flat_figures if "per_" in name)
    assert (
        measure(case_of(trace_of(JOBS), signals, {}), run_of(trace_of(JOBS), [0] * 4)).units == ()
    )


def test_starts_after_a_latency_are_counted_whether_the_job_was_held_or_not() -> None:
    trace = saying(trace_of(JOBS), latency=[60.0, 60.0, np.nan, 60.0])
    found = measure(case_of(trace, flat(1, 1), {}), run_of(trace, [60, 61, 9000, None]))
    assert found.latency_late == 1
    quiet = measure(case_of(trace_of(JOBS), flat(1, 1), {}), run_of(trace, [0, 0, 0, 0]))
    assert np.isnan(quiet.latency_late)


def test_peak_power_counts_idle_nodes_and_no_overlap_of_an_end_with_a_start() -> None:
    trace = trace_of([(0, 1800, 2), (0, 900, 4), (0, 1800, 3)])
    found = measure(case_of(trace, flat(1, 1), {}), run_of(trace, [0, 1800, 2700]))
    assert found.peak_kw == 4 * 0.25 + 0.5 * 4
    overlapping = measure(case_of(trace, flat(1, 1), {}), run_of(trace, [0, 1799, 2698]))
    assert overlapping.peak_kw == 4 * 0.25 + 0.5 * 7


def test_ramps_are_the_largest_rise_and_fall_inside_five_minutes() -> None:
    times = np.array([0, 100, 200, 499, 1000, 1301])
    assert ramps(times, np.array([1.0, 3.0, 2.0, 6.0, 0.0, 5.0])) == (5.0, 6.0)
    # A level counts as long as it lasts: until 100, so up to 399 it is within five minutes.
    assert ramps(np.array([0, 100, 399]), np.array([0.0, 5.0, 9.0])) == (9.0, 0.0)
    assert ramps(np.array([0, 100, 400]), np.array([0.0, 5.0, 9.0])) == (5.0, 0.0)
    assert ramps(np.zeros(0, np.int64), np.zeros(0)) == (0.0, 0.0)


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(st.integers(1, 200), st.integers(-9, 9)), min_size=1, max_size=30))
def test_ramps_by_brute_force(steps: list[tuple[int, int]]) -> None:
    times = np.cumsum([gap for gap, _ in steps])
    level = np.cumsum([step for _, step in steps]).astype(float)
    seconds = np.arange(times[0], times[-1] + 1)
    power = level[np.searchsorted(times, seconds, side="right") - 1]
    up = max(power[at] - power[max(0, at - 300) : at + 1].min() for at in range(len(seconds)))
    down = max(power[max(0, at - 300) : at + 1].max() - power[at] for at in range(len(seconds)))
    assert ramps(times, level) == (up, down)


def test_a_job_with_an_unknown_signal_is_left_out_and_counted() -> None:
    trace = trace_of(JOBS)
    found = measure(case_of(trace, Made([100.0], [40.0]), {}), run_of(trace, [0, 0, 1800, 1800]))
    assert (found.unknown, found.never_started) == (2, 0)
    assert found.cost_gbp == pytest.approx((0.5 + 0.5) * 40 / 1000)
    assert found.site_cost_gbp == pytest.approx(found.cost_gbp + 0.5 * 40 / 1000)


def test_compared_runs_leave_out_the_same_jobs() -> None:
    trace = trace_of([(0, 1800, 2), (0, 1800, 2), (0, 1800, 2)])
    signals = Made([100.0, 50.0, 25.0], [40.0, 20.0, 10.0])
    case = case_of(trace, signals, {1: 9000})
    base = run_of(trace, [0, 0, 1800])
    moved = run_of(trace, [0, 3600, 5400], "other")  # the last one where nothing is known
    rows = compare(case, [base, moved])
    assert [row.metrics.unknown for row in rows] == [1, 1]
    assert rows[0].metrics.cost_gbp == pytest.approx(0.5 * (40 + 40) / 1000)
    assert rows[1].metrics.cost_gbp == pytest.approx(0.5 * (40 + 10) / 1000)
    assert rows[1].cost_change == pytest.approx(-30 / 80)
    assert rows[1].co2_change == pytest.approx(-75 / 200)
    idle = 0.5 * 70
    assert rows[1].site_cost_change == pytest.approx(-15 / (40 + idle))
    assert rows[0].cost_change == rows[0].wait_change_s == 0
    assert rows[1].wait_change_s == pytest.approx((3600 + 5400 - 1800) / 3)


def test_a_job_that_never_started_in_one_run_saves_nothing() -> None:
    trace = trace_of([(0, 1800, 2), (0, 1800, 2)])
    case = case_of(trace, flat(10, 10), {})
    rows = compare(case, [run_of(trace, [0, 0]), run_of(trace, [0, None], "other")])
    assert rows[1].cost_change == 0
    assert [row.metrics.never_started for row in rows] == [0, 1]


def test_a_comparison_needs_the_baseline() -> None:
    trace = trace_of(JOBS)
    with pytest.raises(ValueError, match="no run of the policy 'asap'"):
        compare(case_of(trace, flat(1, 1), {}), [run_of(trace, [0, 0, 1800, 1800], "other")])


def test_figures_are_flat_and_named_by_group() -> None:
    trace = trace_of(JOBS)
    found = measure(case_of(trace, flat(1, 1), {0: 60}), run_of(trace, [100, 0, 1800, 1900]))
    figures = found.figures()
    assert figures["wait_mean_s"] == 50
    assert figures["wait_mean_s_flexible"] == 100
    assert figures["slowdown_other"] == found.other.slowdown
    assert figures["jobs"] == 4
    assert figures["jobs_flexible"] == 1
    assert figures["ramp_kw"] == max(found.ramp_up_kw, found.ramp_down_kw)
    assert all(isinstance(value, float) for value in figures.values())


def test_the_grid_covers_from_the_first_submission_to_the_last_end() -> None:
    trace = trace_of([(100, 1800, 1), (200, 1800, 1)])
    runs = [run_of(trace, [100, 200]), run_of(trace, [100, 3601], "other")]
    assert study_grid(trace, runs, SLOT) == TimeGrid(T0, SLOT, 4)
    assert study_grid(trace, [run_of(trace, [None, None])], SLOT) == TimeGrid(T0, SLOT, 1)


def test_nodes_of_the_cluster_are_its_nodes_or_follow_from_what_jobs_ask() -> None:
    trace = trace_of([(0, 10, 8), (0, 10, 16), (0, 10, 16)], 64.0, nodes=[1, 2, 2])
    assert node_count(trace) == 64  # the resource is called nodes
    cpus = replace(trace, room=replace(one_pool(64), resources=("cpus",)))
    assert node_count(cpus) == 8
    nothing = trace_of([(0, 10, 0)], replace(one_pool(64), resources=("cpus",)))
    with pytest.raises(ValueError, match="give the nodes"):
        node_count(nothing)
