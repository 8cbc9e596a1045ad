"""Stopping running jobs for a window: only whom we may, only what helps, nobody late, the cheapest first."""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as profile
from hypothesis import strategies as st

from flexlond.model.action import Verb
from flexlond.model.settings import PlanningSettings
from flexlond.planning.moments import Terms, lead
from flexlond.planning.planner import plan
from flexlond.planning.problem import Running
from flexlond.planning.stopped import Candidate, with_stops
from flexlond.planning.stopping import Stopping, as_before, choose, excess
from tests.unit.planning.conftest import NOW, SLOT, build

if TYPE_CHECKING:
    from collections.abc import Sequence

    from flexlond.planning.problem import Plan, Problem

PLAIN = PlanningSettings(delay_price=0.1, min_benefit=0.0, spread=0.0, carbon_price=0.0)
TERMS = Terms(saves=0.8, restart_seconds=60, kill_wait=30, beat=10)
SLOTS = 12
FIRST, LAST = 3, 6  # the window's slots
DAY = 86400


def runs(*jobs: tuple[float, int], room: float = 100, began: int = 0) -> Running:
    """Running jobs of (kW, slots to their end), one unit of room each."""
    count = len(jobs)
    return Running(
        share=np.ones((count, 1)),
        demand=np.ones((count, 1)),
        end=np.array([NOW + slots * SLOT for _, slots in jobs], np.int64),
        kw=np.array([kw for kw, _ in jobs], np.float64),
    )


def site(cap: float, running: Running, *, room: float = 100, **jobs: Any) -> Problem:
    """Twelve slots of one price with a cap in the window; no pending jobs unless given."""
    caps = np.full(SLOTS, np.inf)
    caps[FIRST:LAST] = cap
    jobs.setdefault("kw", [])
    jobs.setdefault("demand", [1.0] * len(jobs["kw"]))
    return build([100.0] * SLOTS, room=room, site_kw=caps, running=running, base_kw=0.0, **jobs)


def candidate(row: int, verb: Verb = Verb.REQUEUE_UNTIL, **changes: Any) -> Candidate:
    values: dict[str, Any] = {
        "job_id": 1 + row,
        "row": row,
        "verb": verb,
        "began": NOW - 3600,
        "ready": NOW,
        "grace": 0,
        "saved": False,
        "latest": NOW + DAY,
        "duration": 4.0 * SLOT,
        "occupancy": 4.0 * SLOT,
        "limit": 4.0 * SLOT,
        "delay_weight": 1.0,
    }
    return Candidate(**(values | changes))


def ask(
    problem: Problem, candidates: Sequence[Candidate], settings: PlanningSettings = PLAIN
) -> Stopping:
    def replan(asked: Problem) -> Plan:
        return plan(asked, settings)

    return choose(
        problem,
        replan(problem),
        problem.site_kw,
        candidates,
        settings=settings,
        terms=TERMS,
        replan=replan,
    )


def above(found: Stopping) -> float:
    return float(excess(found.plan, found.problem.site_kw).sum())


def test_as_few_as_needed_are_requeued_just_before_the_window_and_come_back_after_it() -> None:
    problem = site(20.0, runs(*[(10.0, 10)] * 4))
    found = ask(problem, [candidate(row) for row in range(4)])
    assert len(found.stops) == 2
    assert above(found) == 0.0
    begins = problem.grid.slot_start(FIRST)
    for stop in found.stops:
        assert stop.at == begins - TERMS.kill_wait - TERMS.beat
        assert stop.until >= problem.grid.slot_start(LAST)
    assert found.gap == 0.0


def test_nobody_is_stopped_where_deferral_is_enough() -> None:
    problem = site(20.0, runs((10.0, 10)), kw=[15.0], movable=[True], latest=[NOW + DAY])
    assert ask(problem, [candidate(0)]).stops == ()


def test_those_who_did_not_agree_run_on_and_the_rest_is_said() -> None:
    problem = site(5.0, runs(*[(10.0, 10)] * 3))
    found = ask(problem, [candidate(1)])
    assert [stop.candidate.job_id for stop in found.stops] == [2]
    assert above(found) == pytest.approx(15.0 * 3)
    assert found.why
    assert ask(problem, []).stops == ()


def test_nothing_is_stopped_where_plain_jobs_would_take_the_room() -> None:
    """Two nodes, both busy, and a backlog without consent that draws as much."""

    def crowded(backlog: int) -> Stopping:
        kw, never = [10.0] * backlog, [False] * backlog
        waiting = {"kw": kw, "movable": never, "duration": [8.0 * SLOT] * backlog}
        problem = site(10.0, runs((10.0, 10), (10.0, 10)), room=2, **waiting)
        return ask(problem, [candidate(0), candidate(1)])

    some, many = crowded(2), crowded(6)
    assert some.stops == many.stops == ()
    assert "without consent" in some.why
    assert "in time" in many.why


def test_of_two_partitions_the_one_without_a_backlog_is_stopped() -> None:
    running = replace(runs((10.0, 10), (10.0, 10)), share=np.array([[1.0, 0.0], [0.0, 1.0]]))
    problem = site(
        12.0,
        running,
        capacity=[[1.0], [1.0]],
        kw=[10.0] * 6,
        movable=[False] * 6,
        duration=[8.0 * SLOT] * 6,
        pool=[0] * 6,
    )
    # The job in the first partition has hardly begun: it would be the cheaper one.
    found = ask(problem, [candidate(0, began=NOW - 60), candidate(1)])
    assert [stop.candidate.job_id for stop in found.stops] == [2]
    assert above(found) == 0.0


def test_the_cheapest_first_a_checkpoint_before_hours_of_work() -> None:
    problem = site(10.0, runs((10.0, 10), (10.0, 10)))
    dear = candidate(0, began=NOW - DAY)
    cheap = candidate(1, began=NOW - DAY, grace=60, saved=True)
    found = ask(problem, [dear, cheap])
    assert [stop.candidate.job_id for stop in found.stops] == [2]
    (stop,) = found.stops
    assert stop.at == problem.grid.slot_start(FIRST) - 60 - TERMS.kill_wait - TERMS.beat


def test_a_job_that_could_not_run_again_in_time_runs_on() -> None:
    problem = site(10.0, runs((10.0, 10), (10.0, 10)))
    soon = problem.grid.slot_start(FIRST) + 60
    found = ask(problem, [candidate(0, latest=soon), candidate(1, latest=soon)])
    assert found.stops == ()
    assert "in time" in found.why
    mixed = ask(problem, [candidate(0, latest=soon), candidate(1)])
    assert [stop.candidate.job_id for stop in mixed.stops] == [2]


def test_a_suspended_job_still_draws_its_idle_share_and_ends_later() -> None:
    problem = site(13.0, runs((10.0, 10), (10.0, 10)))
    found = ask(problem, [candidate(0, Verb.SUSPEND)])
    (stop,) = found.stops
    assert stop.at == problem.grid.slot_start(FIRST) - TERMS.beat
    assert stop.until == problem.grid.slot_start(LAST)
    assert found.plan.kw[FIRST:LAST] == pytest.approx([12.0] * 3)
    away = (stop.until - stop.off) / SLOT
    before = plan(problem, PLAIN).kw.sum()
    assert found.plan.kw[:LAST].sum() == pytest.approx(20.0 * LAST - 8.0 * away)
    assert found.plan.kw.sum() == pytest.approx(before - 8.0 * away + 10.0 * min(away, SLOTS - 10))


def test_a_suspended_job_is_resumed_in_time_for_its_deadline() -> None:
    problem = site(13.0, runs((10.0, 10), (10.0, 10)))
    latest = problem.grid.slot_start(FIRST) + SLOT
    found = ask(problem, [candidate(0, Verb.SUSPEND, latest=latest)])
    assert [stop.until for stop in found.stops] == [latest]


def test_min_run_is_kept() -> None:
    problem = site(10.0, runs((10.0, 10), (10.0, 10)))
    ready = problem.grid.slot_start(FIRST + 1)
    found = ask(problem, [candidate(0, ready=ready)])
    (stop,) = found.stops
    assert stop.at >= ready


def test_the_ramp_cap_spreads_the_stops_and_the_resumes() -> None:
    settings = replace_(PLAIN, ramp_kw_per_5min=10.0)
    problem = site(8.0, runs(*[(10.0, 10)] * 4))
    found = ask(problem, [candidate(row, Verb.SUSPEND) for row in range(4)], settings)
    assert len(found.stops) == 4
    for moments in ([stop.off for stop in found.stops], [stop.until for stop in found.stops]):
        ordered = sorted(moments)
        assert all(b - a >= 300 for a, b in itertools.pairwise(ordered))


def test_what_was_ordered_already_is_not_chosen_again_and_counts() -> None:
    problem = site(20.0, runs(*[(10.0, 10)] * 3))
    until = problem.grid.slot_start(LAST)
    ordered = candidate(0, asked=NOW - 5, until=until)
    found = ask(problem, [ordered, candidate(1), candidate(2)])
    assert [stop.candidate.job_id for stop in found.stops] == [1]
    assert above(found) == 0.0


def test_as_before_keeps_who_is_still_there_and_chooses_nobody() -> None:
    problem = site(10.0, runs(*[(10.0, 10)] * 3))
    found = ask(problem, [candidate(row) for row in range(3)])
    assert len(found.stops) == 2
    gone = found.stops[0].candidate.job_id
    still = [candidate(row) for row in range(3) if 1 + row != gone]
    again = as_before(
        problem,
        plan(problem, PLAIN),
        still,
        found,
        terms=TERMS,
        replan=lambda asked: plan(asked, PLAIN),
    )
    assert [stop.candidate.job_id for stop in again.stops] == [
        stop.candidate.job_id for stop in found.stops[1:]
    ]
    assert above(again) == pytest.approx(10.0 * 3)


def replace_(settings: PlanningSettings, **changes: Any) -> PlanningSettings:
    values = {name: getattr(settings, name) for name in settings.__struct_fields__}
    return PlanningSettings(**(values | changes))


@st.composite
def sites(draw: st.DrawFn) -> tuple[Problem, list[Candidate]]:
    count = draw(st.integers(1, 6))
    jobs = [(float(draw(st.integers(1, 12))), draw(st.integers(1, 11))) for _ in range(count)]
    pending = draw(st.integers(0, 5))
    problem = site(
        float(draw(st.integers(1, 40))),
        runs(*jobs),
        room=count + draw(st.integers(0, 3)),
        kw=[float(draw(st.integers(1, 12))) for _ in range(pending)],
        movable=[draw(st.booleans()) for _ in range(pending)],
        latest=[NOW + draw(st.integers(2, 11)) * SLOT for _ in range(pending)],
        duration=[draw(st.integers(1, 6)) * float(SLOT) for _ in range(pending)],
    )
    chosen = draw(st.lists(st.integers(0, count - 1), unique=True))
    candidates = [
        candidate(
            row,
            draw(st.sampled_from([Verb.REQUEUE_UNTIL, Verb.SUSPEND])),
            latest=NOW + draw(st.integers(1, 40)) * SLOT,
            ready=NOW + draw(st.integers(0, 4)) * SLOT,
            grace=draw(st.sampled_from([0, 60])),
            began=NOW - draw(st.integers(0, DAY)),
        )
        for row in chosen
    ]
    return problem, candidates


@given(sites())
@profile(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_whatever_is_asked(question: tuple[Problem, list[Candidate]]) -> None:
    problem, candidates = question
    before = plan(problem, PLAIN)
    found = ask(problem, candidates)
    known = {one.job_id: one for one in candidates}
    # Only with consent, each once, not before it may be, and back in time.
    assert len({stop.candidate.job_id for stop in found.stops}) == len(found.stops)
    for stop in found.stops:
        one = known[stop.candidate.job_id]
        assert stop.at >= max(problem.now, one.ready)
        assert stop.off == stop.at + lead(one, TERMS)
        assert stop.off < stop.until <= one.latest
        assert stop.cost_gbp > 0
    # Nothing is stopped for nothing.
    if found.stops:
        assert above(found) < float(excess(before, problem.site_kw).sum())
    else:
        assert found.plan.kw.tolist() == before.kw.tolist()
    # Nobody is late who would not have been.
    jobs = slice(0, problem.jobs)
    late = problem.movable & (found.plan.start[jobs] > problem.latest)
    assert not (late & (before.start <= problem.latest)).any()


def test_the_room_of_a_suspended_job_is_promised_to_nobody() -> None:
    problem = site(13.0, runs((10.0, 10), (10.0, 10)), room=2)
    found = ask(problem, [candidate(0, Verb.SUSPEND)])
    open_, closed = (
        with_stops(problem, found.stops, saves=0.8, closed=closed) for closed in (False, True)
    )
    assert open_.running.demand[2:].sum() == 0.0
    assert closed.running.demand[2:].tolist() == [[1.0], [1.0]]
