"""What the envelope offers, what it never offers, and what a step says of itself."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from flexlond.model.settings import EnvelopeSettings, PlanningSettings
from flexlond.planning import reshape
from flexlond.planning.capacity import blocks_of
from flexlond.planning.certainty import certain_kw, delivered_samples
from flexlond.planning.envelope import Curve, Direction, Terms, envelope
from flexlond.planning.planner import plan
from flexlond.planning.problem import PlanningError, Running
from flexlond.planning.solve import Budget
from tests.unit.planning.conftest import NOW, SLOT
from tests.unit.planning.envelope_cases import (
    SETTINGS,
    Exact,
    busiest,
    own_swing,
    small_queue,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from flexlond.planning.problem import Plan, Problem

FREE = PlanningSettings(spread=0.0, delay_price=0.0, carbon_price=0.0)
DOWN, UP = Terms(up=()), Terms(down=())
SHIPPED = Terms(exact_seconds=EnvelopeSettings().exact_seconds)
CHEAP_FIRST = [10.0, 10.0, 20.0, 30.0, 40.0, 50.0]


def curve_of(
    problem: Problem, window: tuple[int, int], terms: Terms = DOWN, **given: Any
) -> tuple[Plan, Curve]:
    last = plan(problem, FREE)
    (curve,) = envelope(problem, FREE, last, [window], terms, **given)
    return last, curve


def everything(curve: Curve) -> list[Any]:
    return [*curve.steps, *(step for step, _ in curve.withheld)]


def test_a_step_costs_what_its_jobs_pay_for_moving(make_problem: Callable[..., Problem]) -> None:
    # 100 kW for half an hour at 20 instead of 10 GBP/MWh: 0.50 GBP a job.
    prices = [10.0, 20.0, 30.0, 40.0]
    problem = make_problem(prices, room=2, kw=[100.0, 100.0], latest=NOW + 3 * SLOT)
    last, curve = curve_of(problem, (0, 0), Terms(down=(100.0, 200.0), up=(), shares=False))
    assert last.kw[0] == pytest.approx(200.0)
    one, both = curve.steps
    assert (one.kw, both.kw) == pytest.approx((100.0, 200.0))
    assert one.price_gbp == pytest.approx(0.5)
    assert both.price_gbp == pytest.approx(1.0)
    assert both.offered_kw == pytest.approx(180.0)
    _, wide = curve_of(problem, (0, 1), Terms(down=(100.0,), up=(), shares=False))
    assert (
        wide.steps == ()
    )  # nobody draws in the second slot: no slot of the window may be left out


def test_down_all_wait_as_long_as_they_may_and_up_as_caution_lets_them(
    make_problem: Callable[..., Problem],
) -> None:
    def steps(latest: int, window: int, **terms: tuple[float, ...]) -> list[float]:
        may_wait = np.full(2, NOW + 3 * SLOT)
        problem = make_problem(
            [10.0, 20.0, 30.0, 40.0], room=2, kw=[100.0] * 2, latest=latest, may_wait=may_wait
        )
        found = curve_of(
            problem, (window, window), Terms(shares=False, **{"down": (), "up": ()} | terms)
        )
        return [step.kw for step in found[1].steps]

    patient = NOW + 3 * SLOT
    assert steps(NOW, 0, down=(100.0, 200.0)) == pytest.approx([100.0, 200.0])
    assert steps(patient, 1, up=(100.0,)) == pytest.approx([100.0])
    assert steps(NOW, 1, up=(100.0,)) == []


def test_the_price_is_the_rise_over_the_plan_in_force(make_problem: Callable[..., Problem]) -> None:
    problem = make_problem([10.0, 30.0, 50.0], room=2, kw=100.0, latest=NOW + 2 * SLOT)
    _, curve = curve_of(problem, (0, 0), Terms(down=(100.0,), up=(), shares=False, margin=0.2))
    (step,) = curve.steps
    assert step.price_gbp == pytest.approx(100.0 * 0.5 * (30.0 - 10.0) / 1000.0)
    assert step.offered_kw == pytest.approx(80.0)
    assert step.gbp_per_mwh == pytest.approx(step.price_gbp / (80.0 * 0.5 / 1000.0))
    assert (step.rebound_kw, step.rebound_slot) == (pytest.approx(100.0), 1)
    assert step.moved_jobs == 1
    assert step.jobs.tolist() == [101]
    assert step.start.tolist() == [NOW + SLOT]


def test_what_waits_can_be_pulled_into_a_window(make_problem: Callable[..., Problem]) -> None:
    problem = make_problem([50.0, 40.0, 10.0, 20.0], room=2, kw=100.0, latest=NOW + 3 * SLOT)
    _, curve = curve_of(problem, (1, 1), Terms(down=(), up=(100.0,), shares=False))
    (step,) = curve.steps
    assert curve.direction is Direction.UP
    assert step.kw == pytest.approx(100.0)
    assert step.price_gbp == pytest.approx(100.0 * 0.5 * (40.0 - 10.0) / 1000.0)
    assert step.notice_s == 0
    assert (step.rebound_kw, step.rebound_slot) == (pytest.approx(100.0), 2)


def test_notice_is_before_the_start_that_must_not_happen(
    make_problem: Callable[..., Problem],
) -> None:
    # It would start in slot 1 and run through the window: the order is needed before that.
    problem = make_problem(
        [90.0, 10.0, 10.0, 10.0, 20.0, 20.0, 20.0, 20.0],
        kw=100.0,
        duration=3 * SLOT,
        latest=NOW + 5 * SLOT,
    )
    last, curve = curve_of(problem, (3, 3))
    assert last.slot.tolist() == [1]
    assert curve.steps[0].notice_s == 2 * SLOT
    assert curve.steps[0].longest_slots == 1


def test_a_window_with_nothing_flexible_offers_nothing(
    make_problem: Callable[..., Problem],
) -> None:
    problem = make_problem([10.0, 20.0, 30.0], kw=[100.0, 50.0], movable=False)
    last = plan(problem, FREE)
    for curve in envelope(problem, FREE, last, [(0, 1)]):
        assert (curve.steps, curve.jobs) == ((), 0)


def test_a_running_job_is_not_moved(make_problem: Callable[..., Problem]) -> None:
    busy = Running.in_pools(
        np.array([0]), np.array([[1.0]]), np.array([NOW + 2 * SLOT]), np.array([500.0]), 1
    )
    problem = make_problem(CHEAP_FIRST, kw=100.0, latest=NOW + 5 * SLOT, running=busy)
    _, curve = curve_of(problem, (0, 0), Terms(down=(0.9,), up=()))
    assert max(step.kw for step in everything(curve)) == pytest.approx(100.0)


def test_a_plain_jobs_power_is_never_offered(make_problem: Callable[..., Problem]) -> None:
    problem = make_problem(
        CHEAP_FIRST, kw=[400.0, 100.0], movable=[False, True], latest=NOW + 5 * SLOT
    )
    _, curve = curve_of(problem, (0, 0), Terms(down=(0.1, 0.5, 0.9), up=()))
    assert [step.kw for step in curve.steps] == pytest.approx([100.0])
    assert all(101 not in step.jobs for step in everything(curve))


def test_a_plain_job_starts_whatever_the_cap_and_takes_what_is_freed(
    make_problem: Callable[..., Problem],
) -> None:
    # One node: what the movable job leaves, Slurm gives to the job without consent that waits for it.
    problem = make_problem(
        [10.0, 20.0, 20.0, 20.0],
        room=1,
        kw=[100.0, 80.0],
        movable=[True, False],
        latest=NOW + 3 * SLOT,
    )
    last, curve = curve_of(problem, (0, 0), Terms(down=(100.0,), up=(), shares=False))
    assert last.kw[:2].tolist() == pytest.approx([100.0, 80.0])
    (step,) = everything(curve)
    assert step.kw == pytest.approx(20.0)
    assert set(step.jobs.tolist()) == {101, 102}
    assert step.start[step.jobs == 102].tolist() == [NOW]


def test_a_plain_job_above_a_committed_cap_leaves_the_movable_ones_what_is_left(
    make_problem: Callable[..., Problem],
) -> None:
    problem = make_problem(
        CHEAP_FIRST,
        room=4,
        kw=[100.0, 50.0, 50.0],
        movable=[False, True, True],
        latest=NOW + 5 * SLOT,
        site_kw=np.full(6, 150.0),
    )
    last, curve = curve_of(problem, (0, 0), Terms(down=(0.9,), up=()))
    (step,) = curve.steps
    assert step.kw == pytest.approx(last.kw[0] - 100.0)
    assert 101 not in step.jobs


def test_what_is_committed_is_not_sold_twice(make_problem: Callable[..., Problem]) -> None:
    given: dict[str, Any] = {"room": 9, "kw": [100.0] * 4, "latest": NOW + 5 * SLOT}
    free = make_problem(CHEAP_FIRST, **given)
    sold = make_problem(CHEAP_FIRST, **given, site_kw=np.array([100.0, *[1e6] * 5]))
    terms = Terms(down=(400.0,), up=(), shares=False)
    _, before = curve_of(free, (0, 0), terms)
    last, after = curve_of(sold, (0, 0), terms)
    assert max(step.kw for step in everything(before)) == pytest.approx(400.0)
    assert max((step.kw for step in everything(after)), default=0.0) <= last.kw[0] + 1e-6 <= 100.1
    # Up, a window must not bring back what another one took away.
    _, up = curve_of(sold, (0, 0), Terms(down=(), up=(400.0,), shares=False))
    assert max((step.kw for step in everything(up)), default=0.0) <= 100.0 - last.kw[0] + 1e-6


@pytest.mark.parametrize(("rebound", "price"), [(1.1, 1.0), (2.0, 0.5)])
@pytest.mark.parametrize("seconds", [0.0, 5.0])
def test_what_leaves_a_window_makes_no_new_peak_after_it(
    make_problem: Callable[..., Problem], rebound: float, price: float, seconds: float
) -> None:
    # The cheapest place after the window is beside the other job: that would be twice the peak.
    problem = make_problem(
        [10.0, 20.0, 30.0, 40.0],
        kw=[100.0, 100.0],
        earliest=[NOW, NOW + SLOT],
        latest=[NOW + 3 * SLOT, NOW + SLOT],
    )
    terms = Terms(down=(1.0,), up=(), rebound=rebound, exact_seconds=seconds)
    last, curve = curve_of(problem, (0, 0), terms)
    assert last.kw.tolist() == pytest.approx([100.0, 100.0, 0.0, 0.0])
    (step,) = curve.steps
    assert step.price_gbp == pytest.approx(price)
    assert step.peak_kw == pytest.approx(min(rebound, 2.0) // 1 * 100.0)
    assert step.peak_slot == 1


@pytest.mark.parametrize("seed", range(6))
def test_after_an_offered_step_down_the_peak_is_under_its_cap(seed: int) -> None:
    problem = small_queue(seed)
    last = plan(problem, SETTINGS)
    for curve in envelope(problem, SETTINGS, last, [busiest(problem, last)], DOWN):
        for step in curve.steps:
            assert step.peak_kw <= 1.1 * last.kw.max() + 1e-6


def test_a_latest_start_goes_before_a_window(make_problem: Callable[..., Problem]) -> None:
    problem = make_problem(CHEAP_FIRST, kw=[100.0, 70.0], latest=[NOW, NOW + 5 * SLOT])
    _, curve = curve_of(problem, (0, 0), Terms(down=(170.0,), up=(), shares=False))
    (step,) = curve.steps
    assert step.kw == pytest.approx(70.0)
    assert step.jobs.tolist() == [102]


def test_a_step_below_its_uncertainty_is_not_offered() -> None:
    problem = small_queue(1)
    last = plan(problem, SETTINGS)
    loose = Budget(dual_steps=0, search_steps=100)
    curves = envelope(problem, SETTINGS, last, [busiest(problem, last)], budget=loose)
    steps = [step for curve in curves for step in curve.steps]
    withheld = [step for curve in curves for step, why in curve.withheld if "uncertainty" in why]
    assert withheld
    assert all(step.price_gbp < step.uncertainty_gbp for step in withheld)
    assert all(step.price_gbp >= step.uncertainty_gbp - 1e-6 for step in steps)


@pytest.mark.parametrize("seed", range(6))
def test_a_curve_rises_and_a_step_says_the_truth_of_itself(seed: int) -> None:
    problem = small_queue(seed)
    last = plan(problem, SETTINGS)
    window = busiest(problem, last)
    for curve in envelope(problem, SETTINGS, last, [window]):
        steps = everything(curve)
        steps.sort(key=lambda step: step.kw)
        prices = [step.price_gbp for step in steps]
        assert prices == sorted(prices)
        assert min(prices, default=0.0) >= -1e-9
        for step in steps:
            inside = step.change_kw[window[0] : window[1] + 1]
            given = inside.min() if curve.direction is Direction.UP else (-inside).min()
            assert step.kw == pytest.approx(given)
            # Runs are moved, not lost: over the horizon nothing changes.
            assert step.change_kw.sum() == pytest.approx(0.0, abs=1e-6)
            if step.rebound_slot >= 0:
                swing = step.change_kw[step.rebound_slot]
                assert step.rebound_kw == pytest.approx(abs(swing))
                assert step.rebound_slot > window[1]
            assert step.uncertainty_gbp >= 0
            moved = {int(job): int(at) for job, at in zip(step.jobs, step.start, strict=True)}
            late = [
                job
                for job, at, movable in zip(
                    problem.job_id.tolist(), problem.latest, problem.movable, strict=True
                )
                if movable and moved.get(job, 0) > at
            ]
            assert late == []


def test_where_few_are_asked_about_they_can_give_what_is_asked_for(
    make_problem: Callable[..., Problem],
) -> None:
    # Forty jobs of 1 kW wait at no cost, four of 100 kW at a price: of eight asked about four must be those.
    kw = np.append(np.full(40, 1.0), np.full(4, 100.0))
    weight = np.where(kw < 2, 0.0, 1.0)
    problem = make_problem([10.0] * 6, room=44, kw=kw, latest=NOW + 5 * SLOT, delay_weight=weight)
    last = plan(problem, FREE)
    assert last.kw[0] == pytest.approx(440.0)
    few = Terms(down=(100.0, 400.0), up=(), shares=False, most=8)
    (curve,) = envelope(problem, FREE, last, [(0, 0)], few)
    assert [step.kw for step in curve.steps][-1] >= 400.0
    assert curve.jobs <= 8


def test_a_step_costs_no_more_than_the_slot_that_has_least_can_give(
    make_problem: Callable[..., Problem],
) -> None:
    # 200 kW in the first slot of the window, 100 in the second: however much is asked for, both give 100.
    problem = make_problem(
        [10.0, 20.0, 30.0, 40.0, 50.0],
        room=2,
        kw=[100.0, 100.0],
        duration=np.array([2.0 * SLOT, 1.0 * SLOT]),
        latest=NOW + 3 * SLOT,
    )
    last, curve = curve_of(problem, (0, 1), Terms(down=(200.0,), up=(), shares=False))
    assert last.kw[:2] == pytest.approx([200.0, 100.0])
    # The long one waits for two slots: 100 kW for an hour at 35 in place of 15 GBP/MWh. The short one stays.
    (step,) = curve.steps
    assert (step.kw, step.price_gbp) == pytest.approx((100.0, 2.0))


def test_deeper_than_what_is_far_out_of_reach_gives_the_same(
    make_problem: Callable[..., Problem], monkeypatch: pytest.MonkeyPatch
) -> None:
    # Of 400 kW one job in four may wait: 100 kW are to be had, however much is asked for.
    latest = np.where(np.arange(4) == 0, NOW + 3 * SLOT, NOW)
    problem = make_problem([10.0, 20.0, 30.0, 40.0], room=4, kw=[100.0] * 4, latest=latest)
    asked: list[int] = []
    solve = reshape.solve

    def counted(*given: Any) -> Any:
        asked.append(1)
        return solve(*given)

    def curve(*depths: float) -> tuple[list[float], int]:
        asked.clear()
        _, found = curve_of(problem, (0, 0), Terms(down=depths, up=(), shares=False))
        return [step.kw for step in found.steps], len(asked)

    monkeypatch.setattr(reshape, "solve", counted)
    once, thrice = curve(300.0), curve(300.0, 350.0, 400.0)
    assert once[0] == thrice[0] == pytest.approx([100.0])
    assert once[1] == thrice[1]


def test_the_same_seed_gives_the_same_envelope(make_problem: Callable[..., Problem]) -> None:
    problem = small_queue(3)
    problem = replace(problem, occupancy=problem.duration * 1.7)
    last = plan(problem, SETTINGS)
    window = busiest(problem, last)
    one, two = (envelope(problem, SETTINGS, last, [window]) for _ in range(2))
    assert [
        (step.kw, step.price_gbp, step.certain_kw, step.start.tolist())
        for curve in one
        for step in everything(curve)
    ] == [
        (step.kw, step.price_gbp, step.certain_kw, step.start.tolist())
        for curve in two
        for step in everything(curve)
    ]


def test_a_job_that_may_end_before_the_window_is_no_certain_delivery(
    make_problem: Callable[..., Problem],
) -> None:
    # Half of its runs end within two slots: in the third slot they deliver nothing.
    problem = make_problem(
        [10.0] * 8, kw=100.0, duration=2.0 * SLOT, occupancy=np.array([4.0 * SLOT])
    )
    changes = np.array([0]), np.array([NOW]), np.array([NOW + 6 * SLOT])
    blocks = blocks_of(problem)

    def drop(window: slice) -> Any:
        return delivered_samples(problem, blocks, changes, window, samples=4000, seed=1)

    assert certain_kw(drop(slice(2, 3)), 0.9) == 0.0
    assert certain_kw(drop(slice(0, 1)), 0.9) > 90.0
    assert np.mean(drop(slice(2, 3))[:, 0] > 0) == pytest.approx(0.5, abs=0.03)
    fixed = replace(problem, occupancy=np.zeros(0))
    sure = delivered_samples(fixed, blocks_of(fixed), changes, slice(1, 2), samples=5, seed=1)
    assert certain_kw(sure, 0.9) == pytest.approx(100.0)


def test_a_certain_kw_is_reached_in_the_stated_share_of_worlds() -> None:
    drop = np.arange(100.0)[:, None]
    level = certain_kw(drop, 0.9)
    assert np.mean(drop[:, 0] >= level) >= 0.9
    assert level == 10.0


def test_terms_and_windows_that_cannot_be_meant_are_refused(
    make_problem: Callable[..., Problem],
) -> None:
    problem = make_problem(CHEAP_FIRST, kw=100.0, latest=NOW + 5 * SLOT)
    last = plan(problem, FREE)
    with pytest.raises(PlanningError, match="window"):
        envelope(problem, FREE, last, [(4, 6)])
    with pytest.raises(PlanningError, match="margin"):
        Terms(margin=1.0)
    with pytest.raises(PlanningError, match="depth"):
        Terms(down=(0.0,))
    other = replace(problem, job_id=problem.job_id + 1)
    with pytest.raises(PlanningError, match="not of this problem"):
        envelope(other, FREE, last, [(0, 1)])


@pytest.mark.parametrize("seed", range(4))
def test_a_price_is_never_below_the_exact_one_less_its_uncertainty(seed: int) -> None:
    highspy = pytest.importorskip("highspy", reason="the exact optimum needs HiGHS")
    problem = small_queue(seed)
    last = plan(problem, SETTINGS)
    window = busiest(problem, last)
    exact = Exact.of(problem, last, highspy)
    base = exact.cost()
    for curve in envelope(problem, SETTINGS, last, [window]):
        for step in everything(curve):
            true = exact.cost(window, own_swing(problem, last, curve, step)) - base
            assert abs(step.price_gbp - true) <= step.uncertainty_gbp + 1e-4


@pytest.mark.parametrize("seed", [0, 1, 2, 3, 4, 8])  # 8 is the hardest of the fifty of the bar
def test_with_the_exact_solver_a_step_costs_the_exact_difference(seed: int) -> None:
    highspy = pytest.importorskip("highspy", reason="the exact optimum needs HiGHS")
    problem = small_queue(seed)
    last = plan(problem, SETTINGS)
    window = busiest(problem, last)
    exact = Exact.of(problem, last, highspy)
    base = exact.cost()
    for curve in envelope(problem, SETTINGS, last, [window], SHIPPED):
        for step in curve.steps:
            true = exact.cost(window, own_swing(problem, last, curve, step)) - base
            assert step.price_gbp == pytest.approx(true, rel=0.02, abs=1e-4)
