"""Steps of the envelope with running jobs stopped: what they give, what they cost, when nobody is stopped."""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from flexlond.model.action import Verb
from flexlond.planning import deeper
from flexlond.planning.envelope import envelope
from flexlond.planning.moments import lead
from flexlond.planning.planner import plan
from flexlond.planning.ranking import score_of
from flexlond.planning.steps import Terms as Asked
from flexlond.planning.stop_samples import stopped_drops
from flexlond.planning.stopped import Stop, with_stops
from flexlond.solver import envelope_worker
from tests.unit.planning.conftest import NOW, SLOT, build
from tests.unit.planning.envelope_cases import SETTINGS, Exact, busiest, own_swing, small_queue
from tests.unit.planning.test_stopping import DAY, TERMS, candidate, runs

if TYPE_CHECKING:
    from collections.abc import Sequence

    from flexlond.planning.problem import Plan, Problem
    from flexlond.planning.steps import Curve, Step
    from flexlond.planning.stopped import Candidate

WINDOW = (3, 5)
HOURS = 3 * SLOT / 3600
SLOTS = 24
DEPTHS = (10.0, 20.0, 30.0, 40.0)  # kW
WIDE = 60.0  # room in which nobody waits


def site(running: Any, *, room: float = 100, **jobs: Any) -> Problem:
    jobs.setdefault("kw", [])
    jobs.setdefault("demand", [1.0] * len(jobs["kw"]))
    return build([100.0] * SLOTS, room=room, running=running, base_kw=0.0, **jobs)


def sure(problem: Problem) -> Problem:
    """Runtimes that do not scatter."""
    left = np.repeat((problem.running.end - NOW)[:, None].astype(float), 3, axis=1)
    runtimes = np.repeat(problem.duration[:, None], 3, axis=1)
    return replace(problem, running=replace(problem.running, left=left), runtimes=runtimes)


def curve_of(
    problem: Problem,
    candidates: Sequence[Candidate],
    *kw: float,
    window: tuple[int, int] = WINDOW,
    plans: int = 24,
    **terms: Any,
) -> tuple[Plan, Curve]:
    last = plan(problem, SETTINGS)
    asked = Asked(down=kw, up=(), shares=False, **terms)
    stoppables = deeper.Stoppables(tuple(candidates), TERMS, plans)
    (curve,) = envelope(problem, SETTINGS, last, [window], asked, running=stoppables)
    return last, curve


def late(row: int, **changes: Any) -> Candidate:
    return candidate(row, **({"duration": 20.0 * SLOT, "latest": NOW + DAY} | changes))


def test_a_running_job_gives_its_power_at_the_cost_of_its_work() -> None:
    problem = sure(site(runs((10.0, 20), (10.0, 20))))
    _, curve = curve_of(problem, [late(0, began=NOW - 3600), late(1, began=NOW - 7200)], 10.0, 20.0)
    one, both = curve.steps
    assert (one.kw, both.kw) == pytest.approx((10.0, 20.0))
    assert (one.stopped.tolist(), both.stopped.tolist()) == ([1], [1, 2])
    assert (one.certain_kw, one.moved_jobs, one.stopped_jobs) == (pytest.approx(10.0), 0, 1)
    begin = problem.grid.slot_start(WINDOW[0])
    score = float(score_of(problem.price, problem.carbon, SETTINGS).mean())
    lost = begin - (NOW - 3600)
    delay = SETTINGS.delay_price / 86400 * (3 * SLOT + lost)
    assert one.price_gbp == pytest.approx(
        10.0 * (lost + TERMS.restart_seconds) / 3.6e6 * score + delay
    )
    assert one.notice_s == lead(late(0), TERMS)
    assert one.change_kw[WINDOW[0] : WINDOW[1] + 1] == pytest.approx([-10.0] * 3)
    assert curve.withheld == ()


def test_what_deferral_reaches_stops_nobody_and_what_it_does_not_is_deferred_first() -> None:
    jobs = {"kw": [5.0, 5.0], "earliest": [NOW + 3 * SLOT] * 2, "latest": [NOW + 12 * SLOT] * 2}
    jobs["duration"] = [3.0 * SLOT] * 2
    problem = sure(site(runs((10.0, 20), (10.0, 20)), **jobs))
    _, curve = curve_of(problem, [late(0), late(1)], 10.0, 20.0, 30.0)
    assert [step.kw for step in curve.steps] == pytest.approx([10.0, 20.0, 30.0])
    assert [step.stopped_jobs for step in curve.steps] == [0, 1, 2]
    assert [step.moved_jobs for step in curve.steps] == [2, 2, 2]


def test_where_a_stop_gives_more_than_is_missing_the_deferred_come_back() -> None:
    jobs = {"kw": [5.0, 5.0], "earliest": [NOW + 3 * SLOT] * 2, "latest": [NOW + 12 * SLOT] * 2}
    jobs["duration"] = [3.0 * SLOT] * 2
    problem = sure(site(runs((10.0, 20)), **jobs))
    _, curve = curve_of(problem, [late(0)], 15.0)
    _, step = curve.steps
    assert (step.kw, step.stopped_jobs, step.moved_jobs) == (pytest.approx(15.0), 1, 1)


def test_a_job_that_ends_before_the_window_gives_nothing() -> None:
    problem = sure(site(runs((10.0, 3), (10.0, 20))))
    _, curve = curve_of(problem, [late(0), late(1)], 5.0, 10.0, 20.0)
    assert [step.stopped.tolist() for step in curve.steps] == [[2]]
    assert max(step.kw for step in curve.everything) == pytest.approx(10.0)


def test_a_job_that_may_have_ended_by_then_is_not_certain() -> None:
    problem = site(runs((10.0, 20), (10.0, 20)))
    # In half of the worlds the first ends within the window at the latest.
    left = np.array([[SLOT, 5.0 * SLOT, 40.0 * SLOT], [20.0 * SLOT] * 3])
    problem = replace(problem, running=replace(problem.running, left=left))
    _, curve = curve_of(problem, [late(0, began=NOW - 60), late(1)], 10.0, 20.0)
    assert [step.certain_kw for step in curve.everything if step.stopped.tolist() == [1]] == [0.0]
    assert [round(step.certain_kw) for step in curve.everything if step.stopped_jobs == 2] == [10]


def test_what_jobs_without_consent_would_take_is_not_offered() -> None:
    waiting = {"kw": [10.0] * 3, "movable": [False] * 3, "duration": [8.0 * SLOT] * 3}
    problem = sure(site(runs((10.0, 20), (10.0, 20)), room=2, **waiting))
    _, curve = curve_of(problem, [late(0), late(1)], 10.0)
    assert curve.everything == () or max(step.kw for step in curve.everything) <= 1e-6


def test_who_stands_in_the_way_of_a_suspended_jobs_rest_comes_later() -> None:
    waiting = {"kw": [4.0], "movable": [False], "duration": [6.0 * SLOT]}
    problem = sure(site(runs((10.0, 8)), room=1, **waiting))
    last, curve = curve_of(problem, [late(0, verb=Verb.SUSPEND)], 8.0)
    assert last.start.tolist() == [NOW + 8 * SLOT]
    (step,) = curve.everything
    # Three slots later: the room is the suspended job's until its rest is done.
    assert step.start.tolist() == [NOW + 11 * SLOT]
    assert step.kw == pytest.approx(8.0)


def test_nobody_is_stopped_who_could_not_run_again_in_time() -> None:
    problem = sure(site(runs((10.0, 20))))
    soon = problem.grid.slot_start(WINDOW[0]) + 60
    _, curve = curve_of(problem, [late(0, latest=soon)], 10.0)
    assert all(step.stopped_jobs == 0 for step in curve.everything)


def test_no_more_plans_are_made_than_allowed(monkeypatch: pytest.MonkeyPatch) -> None:
    problem = sure(site(runs(*[(10.0, 20)] * 6)))
    everyone = [late(row) for row in range(6)]
    depths = (10.0, 20.0, 30.0, 40.0, 50.0)
    made = 0

    def counted(*given: Any, **more: Any) -> Plan:
        nonlocal made
        made += 1
        return plan(*given, **more)

    monkeypatch.setattr(deeper, "plan", counted)
    counts = []
    for plans in (0, 3, 12, 1000):
        made = 0
        _, curve = curve_of(problem, everyone, *depths, plans=plans)
        counts.append((len(curve.steps), made))
    assert counts[0] == (0, 0)
    assert counts[1][0] >= 1
    assert [steps for steps, _ in counts] == sorted(steps for steps, _ in counts)
    assert counts[-1][0] == len(depths)


@pytest.mark.parametrize("running", [None, deeper.Stoppables((), TERMS)])
def test_without_candidates_the_answer_is_the_same_to_the_byte(
    running: deeper.Stoppables | None,
) -> None:
    problem, candidates = crowd(1, WIDE)
    last = plan(problem, SETTINGS)
    window = busiest(problem, last)
    some = deeper.Stoppables(tuple(candidates), TERMS)
    asked = Asked(down=(5.0, 40.0), up=(5.0,), shares=False)

    def answer(who: deeper.Stoppables | None) -> bytes:
        return envelope_worker.answer(problem, SETTINGS, last, (window,), asked, who)

    assert answer(running) == answer(replace(some, plans=0)) != answer(some)


def crowd(seed: int, room: float = 0.0) -> tuple[Problem, list[Candidate]]:
    """A small queue beside four running jobs, all of which may be stopped, with so much `room` more."""
    rng = np.random.default_rng(seed + 1000)
    kw = rng.uniform(3.0, 8.0, 4)
    running = runs(*[(float(one), 40) for one in kw])
    problem = small_queue(seed)
    all_room = problem.capacity + 4 + room
    problem = replace(problem, running=running, capacity=all_room, group_capacity=all_room)
    hours = rng.uniform(2.0, 20.0, 4)
    everyone = [
        candidate(
            row,
            verb=Verb.SUSPEND if rng.random() < 0.3 else Verb.REQUEUE_UNTIL,
            began=NOW - int(3600 * hours[row]),
            latest=NOW + 3 * DAY,
            duration=40.0 * SLOT,
            limit=40.0 * SLOT,
            occupancy=40.0 * SLOT,
        )
        for row in range(4)
    ]
    return problem, everyone


@pytest.mark.parametrize("seed", range(8))
def test_a_step_gives_no_more_than_its_stops_and_its_deferral(seed: int) -> None:
    problem, everyone = crowd(seed)
    last = plan(problem, SETTINGS)
    window = busiest(problem, last)
    _, curve = curve_of(problem, everyone, 5.0, 10.0, 20.0, 40.0, window=window)
    prices = [step.price_gbp for step in curve.steps]
    assert prices == sorted(prices)
    assert [step.offered_kw for step in curve.steps] == sorted(
        step.offered_kw for step in curve.steps
    )
    for step in curve.everything:
        power = sum(problem.running.kw[job - 1] for job in step.stopped.tolist())
        moved = np.isin(problem.job_id, step.jobs) & problem.movable
        deferred = own_swing(problem, last, curve, step) if moved.any() else 0.0
        assert step.kw <= power + max(deferred, 0.0) + 1e-6
        assert step.certain_kw <= step.kw + 1e-9
        for job, at in zip(step.jobs.tolist(), step.start.tolist(), strict=True):
            row = job - int(problem.job_id[0])
            assert not problem.movable[row] or at <= max(problem.latest[row], last.start[row])


def test_a_step_costs_the_exact_difference_over_all_selections() -> None:
    highspy = pytest.importorskip("highspy", reason="the exact optimum needs HiGHS")
    prices = []
    for seed in range(6):
        problem, everyone = crowd(seed, WIDE)
        last = plan(problem, SETTINGS)
        window = busiest(problem, last)
        _, curve = curve_of(problem, everyone, *DEPTHS, window=window, exact_seconds=60.0)
        base = Exact.of(problem, last, highspy).cost()
        for step in curve.steps:
            if step.stopped_jobs:
                true = best_of_all(problem, last, curve, step, everyone, highspy) - base
                prices.append((step.price_gbp, true))
    ours, true = (np.array(part) for part in zip(*prices, strict=True))
    assert (ours >= true - 0.02 * true - 1e-4).all()
    # A window defers whom it can before it stops anybody, also where less deferral would cost less.
    assert len(prices) >= 9
    assert np.mean(np.abs(ours - true) <= 0.02 * true + 1e-4) >= 0.75


def best_of_all(
    problem: Problem,
    last: Plan,
    curve: Curve,
    step: Step,
    everyone: Sequence[Candidate],
    highspy: Any,
) -> float:
    """GBP of the cheapest stops and placement that give as much in the window."""
    grid, window = problem.grid, curve.window
    begin, end = grid.slot_start(window[0]), grid.slot_start(window[1] + 1)
    score = score_of(problem.price, problem.carbon, SETTINGS)[window[1] + 1 :].mean()
    rate = SETTINGS.delay_price / 86400.0

    def relief(one: Candidate) -> float:
        return float(problem.running.kw[one.row]) * (1.0 if one.requeues else TERMS.saves)

    def price(one: Candidate) -> float:
        kw, away, lost = float(problem.running.kw[one.row]), end - begin, begin - one.began
        if one.requeues:
            work = kw * (lost + TERMS.restart_seconds) / 3.6e6 * score
            return float(work + rate * (away + lost))
        return float(kw * (1 - TERMS.saves) * away / 3.6e6 * score + rate * away)

    ours = sum(relief(one) for one in everyone if one.job_id in step.stopped)
    needed = own_swing(problem, last, curve, step)
    best = float("inf")
    for count in range(len(everyone) + 1):
        for some in itertools.combinations(everyone, count):
            stops = [
                Stop(one, begin - lead(one, TERMS), begin, end, relief(one), price(one), window[0])
                for one in some
            ]
            after = with_stops(problem, stops, saves=TERMS.saves, closed=True)
            exact = Exact.of(replace(problem, running=after.running), last, highspy)
            kw = needed + ours - sum(relief(one) for one in some)
            try:
                cost = exact.cost(window, kw, cap=True)
            except AssertionError:
                continue  # not to be had with these
            best = min(best, cost + sum(price(one) for one in some))
    return best


def stop(verb: Verb, off: int, until: int) -> Stop:
    return Stop(candidate(0, verb, duration=2.0 * SLOT), off, off, until, 10.0, 0.0, 0)


def test_the_drop_of_a_stop_in_worlds_in_which_it_ends_sooner_or_later() -> None:
    grid = build([1.0] * 12).grid
    at = grid.slot_start

    def drops(verb: Verb, again: list[int], end: float) -> list[float]:
        found = stopped_drops(
            grid,
            [stop(verb, at(2), at(6))],
            np.array([[end]]),
            slice(2, 10),
            kw=np.array([10.0]),
            again=np.array(again, np.int64),
            saves=0.8,
        )
        return [round(float(one), 6) for one in found[0]]

    requeue, suspend = Verb.REQUEUE_UNTIL, Verb.SUSPEND
    assert drops(requeue, [at(6)], at(9)) == [10, 10, 10, 10, 0, 0, 10, 0]
    assert drops(requeue, [at(6)], at(3) + SLOT / 2) == [10, 5, 0, 0, -10, -10, 0, 0]
    assert drops(requeue, [at(6)], at(1)) == [0] * 8
    assert drops(suspend, [], at(7)) == [8, 8, 8, 8, 0, -10, -10, -10]
    assert drops(suspend, [], at(3)) == [8, -2, -2, -2, -10, 0, 0, 0]
    assert drops(suspend, [], at(2)) == [0] * 8
