"""The planning step: signals and forecasts of this moment, the question, the plan, kept for who asks.

Law: everything that belongs to the event loop (signals, models, state) is read and written on it; only the
planner runs in a thread, on arrays that nobody else has. The state changes at once when the plan is there:
question and answer always belong together. Nothing is decided here but what the plan is asked. Epoch seconds.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np
import structlog

from flexlond.agents.build import build
from flexlond.agents.newcomers import Expected, Newcomers, with_newcomers
from flexlond.agents.outlook import Outlook
from flexlond.model.directive import Directive
from flexlond.model.job import ACTIVE_STATES
from flexlond.model.series import Kind, Series
from flexlond.model.timegrid import TimeGrid
from flexlond.model.window import caps_on, rebound_on
from flexlond.planning.delay import MeanJob
from flexlond.planning.planner import budget_of, plan
from flexlond.planning.rebound import plan_with_rebound, under
from flexlond.solver.improve import Improver

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from numpy.typing import NDArray

    from flexlond.agents.build import Question
    from flexlond.agents.state import LoopState
    from flexlond.model.directive import PowerSpec
    from flexlond.model.job import Cluster, Job, Snapshot
    from flexlond.model.window import Window
    from flexlond.planning.problem import Plan, Problem

_log = structlog.get_logger()


class Hub(Protocol):
    """The signal hub (flexlond/signals/feeds.py)."""

    def series(self, kind: Kind, grid: TimeGrid, now: int) -> Series:
        """The series on `grid` with its quality."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class _Asked:
    question: Question
    series: Mapping[Kind, Series]
    outlook: Outlook
    rebound: NDArray[np.float64]  # (S,) kW after windows; inf where there is no such cap
    caps: NDArray[np.float64]  # (S,) kW of the windows in force; inf where none binds
    expected: Expected  # of jobs without consent


@dataclass(frozen=True, slots=True, eq=False)
class Trial:
    """One problem planned without and with a further window."""

    problem: Problem  # with it
    without: Plan
    under: Plan


class PlanningStep:
    """Plans the state it is given; `timer` is the clock by which the search is bounded (s)."""

    def __init__(self, hub: Hub, timer: Callable[[], float] = time.perf_counter) -> None:
        self._hub = hub
        self._timer = timer
        self._mean = MeanJob()
        self._newcomers = Newcomers()

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
        asked = self._ask(state, snapshot, cluster, now, recent, windows=state.windows)
        seconds = state.settings.planning.milp_seconds if exact else 0.0
        improver = Improver(seconds) if seconds else None
        problem = with_newcomers(asked.question.problem, asked.caps, asked.expected)
        problem, found = await self._answer(state, problem, asked.rebound, improver)
        if improver is not None and improver.detail:
            _log.info("exact solver not used", why=improver.detail)
        question = asked.question
        state.series, state.outlook = asked.series, asked.outlook
        state.problem, state.last_plan = problem, found
        state.rows, state.planned_at = question.rows, now
        state.kw, state.whole_kw = question.kw, question.whole_kw
        state.plan_seconds = self._timer() - began
        # What the plan counts, as the cap does: idle power is in the base, not in the jobs.
        running = sum(
            question.kw.get(job.job_id, 0.0) for job in snapshot.jobs if job.state in ACTIVE_STATES
        )
        state.observed_kw = problem.base_kw + running

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
        asked = self._ask(state, snapshot, cluster, now, recent, windows=windows)
        problem = with_newcomers(asked.question.problem, asked.caps, asked.expected)
        problem, without = await self._answer(state, problem, asked.rebound, None)
        one = (make(without),)
        caps = caps_on(problem.grid, one, now)
        capped = under(asked.question.problem, caps)
        capped = with_newcomers(capped, np.minimum(asked.caps, caps), asked.expected)
        rebound = np.minimum(asked.rebound, rebound_on(problem.grid, one, now))
        problem, found = await self._answer(state, capped, rebound, None)
        return Trial(problem, without, found)

    async def _answer(
        self,
        state: LoopState,
        problem: Problem,
        rebound: NDArray[np.float64],
        improver: Improver | None,
    ) -> tuple[Problem, Plan]:
        """The plan and the problem that it answers, which has the caps that it was made under."""

        def planner(problem: Problem) -> Plan:
            return plan(problem, settings, budget=budget, last=last, improve=improver)

        settings, last = state.settings.planning, state.last_plan
        budget = budget_of(settings, self._timer)
        return await asyncio.to_thread(plan_with_rebound, problem, rebound, planner)

    def _ask(
        self,
        state: LoopState,
        snapshot: Snapshot,
        cluster: Cluster,
        now: int,
        recent: NDArray[np.float64],
        *,
        windows: Sequence[Window],
    ) -> _Asked:
        settings = state.settings
        grid = TimeGrid.covering(now, settings.grid.slot_seconds, settings.grid.horizon_slots)
        series = self._series(state, grid, now)
        outlook = outlook_of(state)
        caps = caps_on(grid, windows, now)
        question = build(
            snapshot.jobs,
            state.flex,
            cluster,
            price=series.get(Kind.PRICE),
            carbon=series.get(Kind.CARBON),
            settings=settings,
            grid=grid,
            now=now,
            recent=recent,
            outlook=outlook,
            stated=_stated(state, snapshot),
            mean=self._mean,
            caps=caps,
        )
        expected = self._expected(state, snapshot, question, now)
        return _Asked(question, series, outlook, rebound_on(grid, windows, now), caps, expected)

    def _expected(
        self, state: LoopState, snapshot: Snapshot, question: Question, now: int
    ) -> Expected:
        """Whom nobody asks, and what they draw of late."""
        problem, seconds = question.problem, state.settings.grid.slot_seconds
        runs = np.zeros(len(problem.running.end), np.bool_)
        active = [job for job in snapshot.jobs if job.state in ACTIVE_STATES and job.start]
        runs[: len(active)] = [_directive(state, job) is None for job in active]
        waits = np.ones(problem.jobs, np.bool_)
        for job_id, row in question.rows.items():
            known = state.flex.get(job_id)
            waits[row] = known is None or known.directive is None
        self._newcomers.see(now, float(problem.running.kw[runs].sum()), seconds)
        return Expected(runs, waits, self._newcomers.usual_kw(seconds))

    def _series(self, state: LoopState, grid: TimeGrid, now: int) -> Mapping[Kind, Series]:
        """The configured signals."""
        signals = state.settings.signals
        configured = {Kind.PRICE: signals.price, Kind.CARBON: signals.carbon}
        return {
            kind: self._hub.series(kind, grid, now) for kind, feeds in configured.items() if feeds
        }


def outlook_of(state: LoopState) -> Outlook:
    """The forecasts in force; the one there was as long as it rests on the same models."""
    learner = state.learner
    if learner is None or not state.settings.prediction.enabled:
        return Outlook()
    if state.outlook.runtime is learner.runtime and state.outlook.power is learner.power:
        return state.outlook
    return Outlook(learner.runtime, learner.power)


def _stated(state: LoopState, snapshot: Snapshot) -> Mapping[int, PowerSpec]:
    """The power that the directives of running jobs state."""
    found: dict[int, PowerSpec] = {}
    for job in snapshot.jobs:
        if job.state not in ACTIVE_STATES:
            continue
        directive = _directive(state, job)
        if directive is not None and directive.power is not None:
            found[job.job_id] = directive.power
    return found


def _directive(state: LoopState, job: Job) -> Directive | None:
    """What the job's owner agreed to; None without consent."""
    record = state.actuator.records.get(job.job_id)
    reading = state.consents.read(job, record.first_submit if record else job.submit)
    return reading if isinstance(reading, Directive) else None
