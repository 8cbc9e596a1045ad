"""The planning step: the question of this moment, the plan, whom to slow and stop for it, kept for who asks.

Law: everything that belongs to the event loop (signals, models, state) is read and written on it; only the
planner runs in a thread, on arrays that nobody else has. The state changes at once when the plan is there:
question and answer always belong together. What the planner is asked is inquiry.py's. Epoch seconds.
"""

from __future__ import annotations

import asyncio
import math
import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import structlog

from flexlond.agents import slower, stopper
from flexlond.agents.newcomers import with_newcomers
from flexlond.model.job import ACTIVE_STATES, JobState
from flexlond.model.metering import Modelled
from flexlond.model.window import caps_on, softer_on
from flexlond.planning import slowing as pace
from flexlond.planning.aside import NOBODY, steps_aside
from flexlond.planning.capacity import blocks_of
from flexlond.planning.planner import budget_of, plan
from flexlond.planning.rebound import patient, plan_with_rebound, under
from flexlond.planning.slowing import Slowing
from flexlond.planning.stopping import Stopping, as_before, choose
from flexlond.solver.improve import Improver

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from flexlond.agents.build import Question
    from flexlond.agents.inquiry import Inquiry
    from flexlond.agents.state import LoopState
    from flexlond.model.job import Cluster, Snapshot
    from flexlond.model.window import Window
    from flexlond.planning.problem import Plan, Problem, Running
    from flexlond.planning.slowing import Slow
    from flexlond.planning.stopping import Replan


_log = structlog.get_logger()
_CALM = 4  # times as long as choosing took, whom to stop is not chosen afresh


@dataclass(frozen=True, slots=True, eq=False)
class Trial:
    """One problem planned without and with a further window."""

    problem: Problem  # with it
    without: Plan
    under: Plan  # of the same jobs, and of those that are stopped behind them
    stopping: Stopping
    slowing: Slowing


class PlanningStep:
    """Plans the state it is given; `timer` is the clock by which the search is bounded (s)."""

    def __init__(self, inquiry: Inquiry, timer: Callable[[], float] = time.perf_counter) -> None:
        """`inquiry` makes the question."""
        self._inquiry, self._timer = inquiry, timer
        self._choose_after = 0

    async def run(
        self,
        state: LoopState,
        snapshot: Snapshot,
        cluster: Cluster,
        now: int,
        recent: NDArray[np.float64],
        *,
        exact: bool = False,
    ) -> None:
        """Plan the queue of `snapshot`; `recent` (M, 2) are the starts of the last five minutes.

        `exact`: the exact solver may try as well, for which a tick with its decision window has no time.
        """
        began = self._timer()
        asked = self._inquiry.ask(
            state, snapshot, cluster, now, recent, windows=state.windows, watch=True
        )
        seconds = state.settings.planning.milp_seconds if exact else 0.0
        improver = Improver(seconds) if seconds else None
        asked_of = with_newcomers(asked.question.problem, asked.caps, asked.expected)
        last = state.last_plan
        if state.assets is not None and exact:
            planning = state.settings.planning
            last = await state.assets.plan(
                under(asked_of, asked.rebound),
                planning,
                budget_of(planning, self._timer),
                last,
            )
        problem, found = await self._answer(state, asked_of, asked.rebound, improver, last)
        if improver is not None and improver.detail:
            _log.info("exact solver not used", why=improver.detail)
        question = asked.question
        state.series, state.outlook = asked.series, asked.outlook
        caps = caps_on(problem.grid, state.windows, now)
        # A tick has no time to choose afresh, nor has every cycle where that takes long.
        fresh = exact and now >= self._choose_after
        question = replace(question, problem=problem)
        chose = self._timer()
        before = None if fresh else state.stopping
        slows = None if fresh or state.slowing is None else state.slowing.slows
        slowing = await self._slowing(state, question, found, caps, asked.whole, before=slows)
        question = replace(question, problem=slowing.problem)
        stopping = await self._stopping(state, question, slowing.plan, caps, before)
        if fresh:
            self._choose_after = now + int(_CALM * (self._timer() - chose))
        state.slowing, state.stopping = slowing, stopping
        state.candidates = stopper.candidates(state, question, self._inquiry.mean)
        state.problem, state.last_plan = stopping.problem, stopping.plan
        state.aside = await asyncio.to_thread(_aside, stopping.problem, stopping.plan)
        state.rows, state.planned_at, state.planned_from = question.rows, now, snapshot
        state.kw, state.whole_kw = question.kw, question.whole_kw
        state.plan_seconds = self._timer() - began
        # What the plan counts, as the cap does: idle power is in the base, not in the jobs.
        left = 1.0 - state.settings.windows.suspend_saves
        running = math.fsum(
            question.kw.get(job.job_id, 0.0) * (left if job.state is JobState.SUSPENDED else 1.0)
            for job in snapshot.jobs
            if job.state in ACTIVE_STATES
        )
        beside = state.assets.observed_kw() if state.assets is not None else 0.0
        state.modelled = Modelled(now, problem.base_kw + running + beside, running)

    async def trial(
        self,
        state: LoopState,
        snapshot: Snapshot,
        cluster: Cluster,
        now: int,
        recent: NDArray[np.float64],
        *,
        windows: Sequence[Window],
        make: Callable[[Plan], Window],
    ) -> Trial:
        """The plan under `windows`, and the one under a further window made from it; changes nothing."""
        asked = self._inquiry.ask(state, snapshot, cluster, now, recent, windows=windows)
        problem = with_newcomers(asked.question.problem, asked.caps, asked.expected)
        problem, without = await self._answer(state, problem, asked.rebound, None, state.last_plan)
        one = (make(without),)
        caps = caps_on(problem.grid, one, now)
        capped = under(patient(asked.question.problem), caps)  # as under any window in force
        capped = with_newcomers(capped, np.minimum(asked.caps, caps), asked.expected)
        rebound = np.minimum(asked.rebound, softer_on(problem.grid, one, now))
        problem, found = await self._answer(state, capped, rebound, None, state.last_plan)
        caps = caps_on(problem.grid, (*windows, *one), now)
        question = replace(asked.question, problem=problem)
        slowing = await self._slowing(state, question, found, caps, asked.whole, before=None)
        question = replace(question, problem=slowing.problem)
        stopping = await self._stopping(state, question, slowing.plan, caps, None)
        return Trial(stopping.problem, without, stopping.plan, stopping, slowing)

    async def _slowing(
        self,
        state: LoopState,
        question: Question,
        found: Plan,
        caps: NDArray[np.float64],
        whole: Running,
        *,
        before: Sequence[Slow] | None,
    ) -> Slowing:
        """Which arrays are slowed for the windows, and the plan with it; `found` is the plan without.

        Those of `before`, where that is given.
        """
        problem = question.problem
        candidates = (
            slower.slowables(state, question, whole, problem.now) if np.isfinite(caps).any() else ()
        )
        if not candidates:
            return Slowing((), problem, found)
        replan = self._replan(state, problem, found)
        if before is not None:
            return await asyncio.to_thread(
                pace.as_before, problem, found, candidates, before, replan=replan
            )
        settings = state.settings.planning
        return await asyncio.to_thread(
            pace.choose, problem, found, caps, candidates, settings=settings, replan=replan
        )

    def _replan(self, state: LoopState, problem: Problem, found: Plan) -> Replan:
        """The planner of changed problems: the jobs have of each cap what the assets' plan leaves them."""
        settings = state.settings.planning
        beside = (
            np.zeros(problem.grid.count)
            if state.assets is None
            else state.assets.beside(problem.grid, problem.now)
        )

        def replan(asked: Problem) -> Plan:
            own, budget = with_power(asked, -beside), budget_of(settings, self._timer)
            answer = plan(own, settings, budget=budget, last=found)
            return replace(answer, kw=answer.kw + beside)

        return replan

    async def _stopping(
        self,
        state: LoopState,
        question: Question,
        found: Plan,
        caps: NDArray[np.float64],
        before: Stopping | None,
    ) -> Stopping:
        """Who is stopped for the windows, and the plan with it; `found` is the plan without.

        As it was `before`, where that is given.
        """
        problem = question.problem
        if not state.settings.windows.stop_running or not np.isfinite(caps).any():
            return Stopping((), problem, found)
        settings, terms = state.settings.planning, stopper.terms_of(state)
        candidates = stopper.candidates(state, question, self._inquiry.mean)
        replan = self._replan(state, problem, found)
        if before is not None:
            return await asyncio.to_thread(
                as_before, problem, found, candidates, before, terms=terms, replan=replan
            )
        return await asyncio.to_thread(
            choose,
            problem,
            found,
            caps,
            candidates,
            settings=settings,
            terms=terms,
            replan=replan,
        )

    async def _answer(
        self,
        state: LoopState,
        problem: Problem,
        rebound: NDArray[np.float64],
        improver: Improver | None,
        last: Plan | None,
    ) -> tuple[Problem, Plan]:
        """The plan and the problem that it answers, which has the caps that it was made under.

        The jobs have of each cap what the assets' plan leaves them; both figures are the whole site's again.
        """

        def planner(problem: Problem) -> Plan:
            return plan(problem, settings, budget=budget, last=last, improve=improver)

        settings = state.settings.planning
        budget = budget_of(settings, self._timer)
        if state.assets is None:
            return await asyncio.to_thread(plan_with_rebound, problem, rebound, planner)
        beside = state.assets.beside(problem.grid, problem.now)
        problem, found = await asyncio.to_thread(
            plan_with_rebound, with_power(problem, -beside), rebound - beside, planner
        )
        return with_power(problem, beside), replace(found, kw=found.kw + beside)


def _aside(problem: Problem, found: Plan) -> int:
    """The id of the job that steps aside; 0 for nobody."""
    row = steps_aside(problem, blocks_of(problem), found.moved)
    return 0 if row == NOBODY else int(found.job_id[row])


def with_power(problem: Problem, kw: NDArray[np.float64]) -> Problem:
    """The same with `kw` (S,) more under its cap, if it has one."""
    return replace(problem, site_kw=problem.site_kw + kw) if len(problem.site_kw) else problem
