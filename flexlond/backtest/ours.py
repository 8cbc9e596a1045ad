"""FlexLon as a policy: the daemon's own planner on the state of the replay.

Law: it sees what the daemon would see: the queue, what runs, signals as published by now, runtimes learned
from jobs that had ended (or time limits, or with perfect knowledge the true runtimes: that is a bound, and
named so). New jobs are placed around the plan as they arrive; at each slot everything is planned again from
the last plan. A job whose begin time has come is Slurm's from there on and is not held again, but for minutes
where it stands in others' way (planning/aside.py). The latest
start keeps the daemon's margin (agents/margin.py): the site's, and the wait for room of a job of that size; a
job that would stand in the way of large newcomers is not deferred far (planning/in_the_way.py), nor one whose
room one of them might take for too long (planning/overrun.py). A
carbon cap of a day (UTC) counts as the daemon's: new jobs are placed at the last plan's prices of carbon.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from flexlond.backtest.believed import Believed, Runtimes
from flexlond.backtest.emitted import Emitted
from flexlond.model.settings import PlanningSettings
from flexlond.model.timegrid import TimeGrid
from flexlond.planning.aside import NOBODY, STEP, steps_aside
from flexlond.planning.capacity import blocks_of
from flexlond.planning.carbon_days import caps_wanted
from flexlond.planning.delay import MeanJob
from flexlond.planning.in_the_way import Sizes
from flexlond.planning.overrun import BACKLOG, Newest, cautious
from flexlond.planning.overtaken import overtaken
from flexlond.planning.planner import budget_of, place, plan
from flexlond.planning.problem import NEVER, Plan, Problem, Running
from flexlond.planning.solve import Budget
from flexlond.planning.waiting import RoomWaits

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from flexlond.backtest.case import PowerCoefficients, Signals, Trace
    from flexlond.backtest.policy import State
    from flexlond.planning.capacity import Blocks

HORIZON_SLOTS = 192
INSERTION = Budget(dual_steps=0, passes=0, search_steps=0)
"""New jobs take their place at the prices of the last plan; the next tick plans all again."""
_SCHEDULER_INTERVAL = 60  # s, Slurm's own: a cluster of which nothing else is known
_NAMES = {"learned": "flexlon", "requested": "flexlon-requested", "actual": "flexlon-perfect"}


class Flexlon:
    """The policy; make a new one for each replay."""

    with_quantiles = False
    """Whether a question says how runtimes scatter: only what is certain of an envelope needs it."""

    def __init__(
        self,
        signals: Signals,
        power: PowerCoefficients,
        *,
        runtimes: Runtimes = "learned",
        carbon_price: float = PlanningSettings().carbon_price,
        delay_price: float | None = None,
        horizon_slots: int = HORIZON_SLOTS,
        settings: PlanningSettings | None = None,
        parameter: str = "",
    ) -> None:
        """`delay_price` (GBP per kWh of the mean job and day) draws the frontier; None: the product's own.

        `parameter` is what reports call this point of the frontier.
        """
        base = settings or PlanningSettings(carbon_price=carbon_price)
        given = base.delay_price if delay_price is None else delay_price
        self.settings = _with_delay(base, given)
        self.name = _NAMES[runtimes]
        self.parameter = parameter
        self._signals, self._power = signals, power
        self._slots = horizon_slots
        self.believed = Believed(runtimes)
        self._begun: dict[int, int] = {}  # held jobs: their last begin time
        self._started: dict[int, int] = {}
        self._waits = RoomWaits()
        self._mean = MeanJob()
        self._sizes = Sizes()
        self._newest = Newest(0 if caps_wanted(self.settings) else self.settings.newcomer_days)
        self._emitted = Emitted(signals, power, self.settings)
        self._trace: Trace | None = None
        self._last: Plan | None = None

    # ---- what the engine asks

    def arrive(self, now: int, jobs: Sequence[int], state: State) -> Mapping[int, int]:
        """Place new jobs around the plan."""
        self._trace = state.trace
        problem = self.problem(now, [*state.queued, *state.held, *jobs], state)
        problem = self._at_last_prices(problem)
        fixed = np.zeros(problem.jobs, np.int64)
        for row, job in enumerate(problem.job_id.tolist()):
            fixed[row] = state.held.get(job, 0)
        held = fixed > now
        subset = np.flatnonzero(np.isin(problem.job_id, jobs))
        waiting = np.setdiff1d(np.flatnonzero(fixed == 0), subset)
        fixed[waiting] = self._expected_start(problem, waiting)
        found = place(problem, self.settings, fixed, subset, budget=INSERTION, last=self._last)
        if caps_wanted(self.settings) and self._emitted.breaks_a_cap(
            problem, found, self._last, state, self.believed
        ):
            return self._plan_all(now, [*state.queued, *state.held, *jobs], state)
        back = overtaken(problem, blocks_of(problem), found.start, held | found.moved)
        return {**self._wanted(found, jobs), **dict.fromkeys(problem.job_id[back].tolist(), 0)}

    def tick(self, now: int, state: State) -> Mapping[int, int]:
        """Plan everything again."""
        self._look_again(now, state)
        return self._plan_all(now, [*state.queued, *state.held], state)

    def _plan_all(self, now: int, pending: Sequence[int], state: State) -> Mapping[int, int]:
        """Plan all `pending` jobs from the last plan."""
        problem = self.problem(now, pending, state)
        if caps_wanted(self.settings):
            problem = replace(
                problem, carbon_caps=self._emitted.caps(problem, state, self.believed)
            )
        found = plan(problem, self.settings, budget=budget_of(self.settings), last=self._last)
        self._last = found
        wanted = self._wanted(found, found.job_id[problem.movable].tolist())
        return {**wanted, **self._aside(problem, blocks_of(problem), found.moved)}

    def look(self, now: int, state: State) -> Mapping[int, int]:
        """Who of the held is given back, who of those that wait steps aside."""
        if not state.held and not self._begun:
            return {}  # nobody is where he would not be without us
        problem = self.problem(now, [*state.queued, *state.held], state)
        blocks = blocks_of(problem)
        start = np.array([state.held.get(job, 0) for job in problem.job_id.tolist()], np.int64)
        held = start > now
        unsure = held & (problem.latest < start)
        back = problem.job_id[
            unsure | overtaken(problem, blocks, np.where(held, start, now), held & ~unsure)
        ]
        if len(back):
            return dict.fromkeys(back.tolist(), 0)
        return self._aside(problem, blocks, held)

    def watches_room(self) -> bool:
        """A newcomer may find room at once, and take that of a held job, where nobody waits for long."""
        if self._trace is None or not self._newest.days:
            return False
        return bool((self._sizes.waits(self._trace.room) <= BACKLOG).any())

    @staticmethod
    def _aside(problem: Problem, blocks: Blocks, held: NDArray[np.bool_]) -> Mapping[int, int]:
        row = steps_aside(problem, blocks, held)
        return {} if row == NOBODY else {int(problem.job_id[row]): problem.now + STEP}

    def started(self, now: int, job: int) -> None:
        """Remember when a job started, and how long one that was held had to wait then."""
        begun, trace = self._begun.pop(job, 0), self._trace
        if begun and trace is not None:
            pool, waited = int(trace.pool[job]), max(0, now - begun)
            self._waits.saw(now, trace.room, pool, trace.demand[job], waited)
        if trace is not None:
            one = slice(job, job + 1)
            self._sizes.came(trace.room, trace.pool[one], trace.demand[one])
            self._newest.came(now, trace.room, trace.pool[one], trace.demand[one], trace.limit[one])
            name = trace.room.partitions[int(trace.pool[job])]
            self._sizes.started(name, float(now - (begun or trace.submit[job])))
        self._started[job] = now

    def ended(self, now: int, job: int) -> None:
        """Learn how long a job ran."""
        began = self._started.pop(job)
        self._emitted.ended(job, began, now)
        if self._trace is not None:
            self.believed.learn(job, self._trace, float(now - began), now)

    # ---- the question

    def problem(self, now: int, pending: Sequence[int], state: State) -> Problem:
        """What the planner is asked at `now` about the `pending` jobs (indices of the trace)."""
        trace, flexibility = state.trace, state.flexibility
        grid = TimeGrid.covering(now, state.slot_seconds, self._slots)
        price, carbon = self._signals.known_at(now, grid)
        jobs = np.array(sorted(pending), np.int64)
        held = np.zeros(len(jobs), np.int64)
        for row, job in enumerate(jobs.tolist()):
            held[row] = state.held.get(job, 0)
        # What was held and has come due is Slurm's; what never was may still be held.
        due = np.array([job in self._begun and job not in state.held for job in jobs.tolist()])
        movable = flexibility.flexible[jobs] & ~due
        expected = np.array([self.believed.pending(job, trace) for job in jobs.tolist()]).reshape(
            -1, 2
        )
        none, one = np.full(len(jobs), np.nan), np.ones(len(jobs))
        room = trace.room
        kw = trace.nodes[jobs] * self._power.kw_per_node
        self._mean.see(jobs.tolist(), kw * expected[:, 0] / 3600.0, one)
        problem = Problem(
            grid=grid,
            now=now,
            price=price,
            carbon=carbon,
            job_id=jobs,
            earliest=np.full(len(jobs), now, np.int64),
            latest=np.where(movable, flexibility.latest[jobs] - self._margin(jobs, trace), NEVER),
            duration=expected[:, 0],
            occupancy=expected[:, 1],
            limit=trace.limit[jobs],
            promised=np.where(flexibility.flexible[jobs], flexibility.latest[jobs], NEVER),
            tasks=np.ones(len(jobs), np.int64),
            throttle=np.zeros(len(jobs), np.int64),
            kw=kw,
            demand=trace.demand[jobs],
            pool=trace.pool[jobs],
            movable=movable,
            order=np.arange(len(jobs)),
            max_price=none,
            max_carbon=none,
            delay_weight=self._mean.weights(one, kw),
            current=held,
            capacity=room.capacity,
            pool_group=room.pool_group,
            group_capacity=room.group_capacity,
            running=self._running(now, state),
            runtimes=self._quantiles(jobs, np.zeros(len(jobs), np.int64), trace),
        )
        return cautious(
            problem,
            room,
            self._sizes,
            self._newest,
            since=trace.submit[jobs],
            settings=self.settings,
        )

    def _at_last_prices(self, problem: Problem) -> Problem:
        """The problem with what the last plan's carbon caps add to the price of carbon, for all jobs alike."""
        last = self._last
        if last is None or not len(last.carbon_extra):
            return problem
        passed = (problem.grid.start - last.grid.start) // problem.grid.slot_seconds
        mean = last.carbon_extra.mean(axis=0)[passed:]
        extra = np.pad(mean, (0, problem.grid.count - len(mean)))[None, :]
        group = np.zeros(problem.jobs, np.int64)
        return replace(problem, carbon_extra=extra, extra_group=group)

    def _running(self, now: int, state: State) -> Running:
        trace = state.trace
        jobs = np.array(list(state.running), np.int64)
        if not len(jobs):
            return Running.none(*trace.room.capacity.shape)
        start = np.array(list(state.running.values()), np.int64)
        end = start + np.ceil(self.believed.total(jobs, now - start, trace)).astype(np.int64)
        found = Running.in_pools(
            trace.pool[jobs],
            trace.demand[jobs],
            np.maximum(end, now + 1),
            trace.nodes[jobs] * self._power.kw_per_node,
            len(trace.room.capacity),
        )
        left = self._quantiles(jobs, now - start, trace)
        return replace(found, left=left - (now - start)[:, None] if len(left) else left)

    def _quantiles(
        self, jobs: NDArray[np.int64], elapsed: NDArray[np.int64], trace: Trace
    ) -> NDArray[np.float64]:
        """(n, Q) s that jobs may take in all, as learned; empty unless wanted."""
        if not self.with_quantiles or not len(jobs):
            return np.zeros((0, 0))
        return self.believed.quantiles(jobs, elapsed, trace)

    def _margin(self, jobs: NDArray[np.int64], trace: Trace) -> NDArray[np.int64]:
        """(n,) s kept before the latest start, by the daemon's rule (agents/margin.py)."""
        wait = self._waits.predicted(trace.room, trace.pool[jobs], trace.demand[jobs])
        wait = np.where(np.isnan(wait), self.settings.default_queue_wait, wait)
        fixed = self.settings.margin_seconds + _SCHEDULER_INTERVAL
        return np.ceil(wait).astype(np.int64) + fixed

    def _look_again(self, now: int, state: State) -> None:
        """What there is to know before all is planned again."""
        self._trace = state.trace
        self.believed.refresh()
        self._note_waits(now, state)

    def _note_waits(self, now: int, state: State) -> None:
        """Note how long the room of each size is taken, as the daemon does once a slot."""
        if not self._waits.due(now):
            return
        trace = state.trace
        jobs = np.array(list(state.running), np.int64)
        start = np.array(list(state.running.values()), np.int64)
        end = start + self.believed.total(jobs, now - start, trace) if len(jobs) else np.zeros(0)
        self._waits.note(now, trace.room, trace.pool[jobs], trace.demand[jobs], end)

    # ---- the answer

    def _expected_start(self, problem: Problem, rows: NDArray[np.int64]) -> NDArray[np.int64]:
        """When the last plan expects jobs that wait for room to start; the present where it does not know."""
        last = self._last
        start = np.full(len(rows), problem.now, np.int64)
        if last is None:
            return start
        place_of = {job: at for at, job in enumerate(last.job_id.tolist())}
        for index, job in enumerate(problem.job_id[rows].tolist()):
            at = place_of.get(job)
            if at is not None:
                start[index] = max(problem.now, int(last.start[at]))
        return start

    def _wanted(self, found: Plan, jobs: Sequence[int]) -> Mapping[int, int]:
        """Begin times of `jobs` by the plan; 0 for at once."""
        row_of = {job: row for row, job in enumerate(found.job_id.tolist())}
        wanted = {}
        for job in jobs:
            row = row_of[job]
            begin = int(found.start[row]) if found.moved[row] else 0
            wanted[job] = begin
            if begin:
                self._begun[job] = begin
        return wanted


def _with_delay(settings: PlanningSettings, delay_price: float) -> PlanningSettings:
    values = {name: getattr(settings, name) for name in settings.__struct_fields__}
    return PlanningSettings(**{**values, "delay_price": delay_price})
