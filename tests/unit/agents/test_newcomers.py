"""Jobs without consent that are to come: as they came, in capped slots, once that was watched."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from flexlond.agents.newcomers import SLOTS, Expected, Newcomers, with_newcomers
from flexlond.model.settings import PlanningSettings
from flexlond.planning.planner import plan
from flexlond.planning.problem import Problem, Running
from tests.unit.agents.test_windows import add
from tests.unit.planning.conftest import NOW, SLOT, build

if TYPE_CHECKING:
    from tests.unit.agents.conftest import Bench

CAPS = np.array([np.inf, 10.0, 10.0, 10.0, np.inf, np.inf])


def test_the_usual_power_is_the_mean_over_time_of_the_last_slots() -> None:
    seen = Newcomers()
    assert seen.usual_kw(60) == 0.0
    for at in range(0, 2 * SLOTS * 60, 60):
        seen.see(at, 100.0 if at < 5 * 60 else 4.0 if at % 120 else 2.0, 60)
    assert seen.usual_kw(60) == pytest.approx(3.0, abs=0.35)


def test_too_short_a_watch_is_none() -> None:
    seen = Newcomers()
    for at in range(0, SLOTS * 60 // 2 - 1, 10):
        seen.see(at, 5.0, 60)
    assert seen.usual_kw(60) == 0.0
    seen.see(SLOTS * 60 // 2, 5.0, 60)
    assert seen.usual_kw(60) == pytest.approx(5.0)


def problem(**more: Any) -> Problem:
    """Six slots of one price and room for four jobs; a job of 3 kW runs into the second slot."""
    busy = Running.in_pools(
        np.array([0]), np.array([[1.0]]), np.array([NOW + SLOT + 60]), np.array([3.0]), 1
    )
    return build([50.0] * 6, running=busy, site_kw=CAPS, **more)


def expected(asked: Problem, usual_kw: float) -> Expected:
    return Expected(np.ones(len(asked.running.end), np.bool_), ~asked.movable, usual_kw)


def test_what_is_missing_is_counted_where_the_window_caps_and_takes_no_room() -> None:
    asked = problem(kw=[2.0], duration=[2.0 * SLOT], movable=[False])
    found = with_newcomers(asked, CAPS, expected(asked, 6.0))
    # Known are 3 kW that run and 2 kW that wait, in slots 0 and 1.
    assert found.running.kw.tolist() == [3.0, 1.0, 6.0, 6.0]
    assert [asked.grid.slot_of(int(at)) for at in found.running.begin[1:]] == [1, 2, 3]
    assert not found.running.demand[1:].any()
    assert found.running.begin[0] == 0


def test_without_a_window_or_a_usual_power_nothing_is_added() -> None:
    asked = problem(kw=[2.0], movable=[False])
    assert with_newcomers(asked, np.full(6, np.inf), expected(asked, 6.0)) is asked
    assert with_newcomers(asked, CAPS, expected(asked, 0.0)) is asked


def test_flexible_jobs_leave_them_their_share_of_the_cap() -> None:
    asked = problem(
        kw=[5.0, 5.0],
        duration=[float(SLOT)] * 2,
        movable=[True] * 2,
        latest=[1 << 40] * 2,
        earliest=[NOW + SLOT] * 2,
    )
    settings = PlanningSettings(delay_price=1.0, min_benefit=0.0)
    assert max(plan(asked, settings).slot) < 4
    found = plan(with_newcomers(asked, CAPS, expected(asked, 6.0)), settings)
    assert found.slot.min() >= 4
    assert found.moved.all()
    # What runs into slot 1 is counted in all of it, as the planner counts it, and shown as it is.
    assert found.kw[1:4] == pytest.approx([3.1, 6.0, 6.0])


async def test_the_loop_watches_and_keeps_room_under_the_cap_for_those_to_come(
    bench: Bench,
) -> None:
    plain = bench.slurm.submit(cpus=64, minutes=10 * 30)
    bench.slurm.runtime[plain] = 5 * 1800
    for _ in range(12):
        bench.slurm.advance(900)
        await bench.cycle()
    assert plain not in {job.job_id for job in bench.agent.snapshot.jobs}  # type: ignore[union-attr]
    without = bench.agent.last_plan
    assert without is not None
    await add(bench, cap=40.0, first=8, last=10)
    await bench.cycle()
    found, asked = bench.agent.last_plan, bench.agent.problem
    assert found is not None
    assert asked is not None
    capped = np.isfinite(asked.site_kw)
    assert (without.kw == asked.base_kw).all()
    assert (found.kw[capped] > asked.base_kw + 0.1).all()
    assert (found.kw[~capped] == asked.base_kw).all()
