"""FlexLon in a replay with an operator who orders windows, by the product's own code.

Law: windows are made, priced, refused and kept, newcomers expected and peaks watched by what the daemon uses
(`agents.windows`, `newcomers`, `peaks`, `planning.rebound`). New jobs are placed as they come, all is planned
again where a slot begins and a cycle (30 s) after every submission, start and end; the daemon plans in every
cycle, whether anything has changed or not. Between two plans whom the plan gives back is given back cycle by
cycle, as the ramp cap has room (`agents.ramp`). A commanded start is a begin time of ours that comes due, or
the moment at which a held job is given back; a job that was never held is started by Slurm, as it would be
without us.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np

from flexlond.agents import windows
from flexlond.agents.newcomers import Expected, Newcomers, with_newcomers
from flexlond.agents.peaks import PeakWatch, usual_part
from flexlond.agents.planning_step import Trial
from flexlond.agents.ramp import WINDOW, RampRoom
from flexlond.agents.window_ports import WindowOrder
from flexlond.backtest.ours import INSERTION, Flexlon
from flexlond.daemon.store import SqliteStore
from flexlond.model.settings import PlanningSettings
from flexlond.model.window import caps_on, softer_on
from flexlond.planning.planner import place, plan
from flexlond.planning.rebound import patient, plan_with_rebound, under
from flexlond.planning.slowing import Slowing
from flexlond.planning.solve import Budget
from flexlond.planning.stopping import Stopping
from tests.perf.window_stream import BEGIN, DAY, DAYS, POWER, SLOT

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from flexlond.backtest.case import Trace
    from flexlond.backtest.policy import State
    from flexlond.model.window import Window
    from flexlond.planning.problem import Plan, Problem
    from tests.perf.window_stream import Day

EVERY: Final = 12
"""Slots from one order to the next, at least."""
HORIZON: Final = 48
CYCLE: Final = 30  # s (daemon.cycle_seconds)
BUDGET: Final = Budget(dual_steps=10, search_steps=20)


@dataclass(frozen=True, slots=True, order=True)
class Start:
    """A start that we commanded."""

    at: int
    kw: float
    job: int
    forced: bool  # its latest start has come, so that the ramp cap gives way
    decided: int  # when this begin time was commanded, or the job given back


@dataclass(slots=True)
class Ordered:
    """One order and what became of it."""

    at: int
    window: Window
    refused: bool


class Operated(Flexlon):
    """FlexLon with an operator who orders windows; without one where `rng` is None."""

    sees_every_change = True

    def __init__(
        self, day: Day, ramp: float, rng: np.random.Generator | None, trace: Trace
    ) -> None:
        settings = PlanningSettings(ramp_kw_per_5min=ramp)
        super().__init__(day, POWER, horizon_slots=HORIZON, settings=settings)
        self.ordered: list[Ordered] = []
        self.starts: list[Start] = []  # commanded
        self._forced: set[int] = set()  # started for their latest start
        self._rng, self._whole, self._ramp = rng, trace, ramp
        self._promised: dict[int, int] = {}  # held jobs: the begin time that we commanded
        self._decided: dict[int, int] = {}  # and when
        self._newcomers = Newcomers()
        self._peaks = PeakWatch(SqliteStore(Path(":memory:")), SLOT)
        self._noted, self._draws = BEGIN, 0.0

    # ---- what the engine asks

    def arrive(self, now: int, jobs: Sequence[int], state: State) -> Mapping[int, int]:
        """Place new jobs around the plan, under the caps in force."""
        self._come_due(now, state)
        self._trace = state.trace
        problem, rebound, _ = self._asked(now, [*state.queued, *state.held, *self._new(now)], state)
        fixed = np.array([state.held.get(job, 0) for job in problem.job_id.tolist()], np.int64)
        subset = np.flatnonzero(np.isin(problem.job_id, jobs))
        waiting = np.setdiff1d(np.flatnonzero(fixed == 0), subset)
        fixed[waiting] = self._expected_start(problem, waiting)
        found = place(
            under(problem, rebound), self.settings, fixed, subset, budget=INSERTION, last=self._last
        )
        return self._commanded(found, problem, jobs, state)

    def tick(self, now: int, state: State) -> Mapping[int, int]:
        """One cycle, and perhaps an order."""
        self._come_due(now, state)
        self._look_again(now, state)
        problem, rebound, expected = self._asked(now, [*state.queued, *state.held], state)
        problem, found = self._answer(problem, rebound)
        since = self.ordered[-1].at if self.ordered else BEGIN + DAY - EVERY * SLOT
        due = since + EVERY * SLOT <= now < BEGIN + DAYS * DAY
        if self._rng is not None and due:
            found = self._order(now, problem, found, expected, rebound) or found
            problem, rebound, _ = self._asked(now, [*state.queued, *state.held], state)
            self._last = found
            problem, found = self._answer(problem, rebound)
        self._last = found
        return self._commanded(found, problem, problem.job_id[problem.movable].tolist(), state)

    def _new(self, now: int) -> list[int]:
        """Everyone who is submitted at `now`: the daemon sees them all in one snapshot."""
        low, high = np.searchsorted(self._whole.submit, [now, now + 1]).tolist()
        return list(range(low, high))

    def look(self, now: int, state: State) -> Mapping[int, int]:
        """The cycle after something changed: all is planned again."""
        if not state.held and not state.queued:
            return {}
        self._come_due(now, state)
        problem, rebound, _ = self._asked(now, [*state.queued, *state.held], state)
        problem, self._last = self._answer(problem, rebound)
        return self._commanded(self._last, problem, problem.job_id[problem.movable].tolist(), state)

    def started(self, now: int, job: int) -> None:
        """Also the power."""
        super().started(now, job)
        self._note(now, self._kw(job))

    def ended(self, now: int, job: int) -> None:
        """Also the power."""
        super().ended(now, job)
        self._note(now, -self._kw(job))

    # ---- windows

    @property
    def _kept(self) -> list[Window]:
        return [one.window for one in self.ordered if not one.refused]

    def _asked(
        self, now: int, pending: Sequence[int], state: State
    ) -> tuple[Problem, NDArray[np.float64], Expected]:
        problem = replace(self.problem(now, pending, state), recent=self._recent(now))
        flexible = state.flexibility.flexible
        runs = ~flexible[np.array(list(state.running), np.int64)]
        self._newcomers.see(now, float(problem.running.kw[runs].sum()), SLOT)
        expected = Expected(runs, ~flexible[problem.job_id], self._newcomers.usual_kw(SLOT))
        kept = self._kept
        caps = caps_on(problem.grid, kept, now)
        if np.isfinite(caps).any():
            problem = patient(problem)
        problem = with_newcomers(under(problem, caps), caps, expected)
        return problem, softer_on(problem.grid, kept, now), expected

    def _answer(self, problem: Problem, rebound: NDArray[np.float64]) -> tuple[Problem, Plan]:
        planner = partial(plan, settings=self.settings, budget=BUDGET, last=self._last)
        return plan_with_rebound(problem, rebound, planner)

    def _order(
        self,
        now: int,
        problem: Problem,
        without: Plan,
        expected: Expected,
        rebound: NDArray[np.float64],
    ) -> Plan | None:
        """Order a window; the plan under it, None where it is refused."""
        assert self._rng is not None
        first = int(self._rng.integers(1, 4))
        last = first + int(self._rng.integers(2, 7))
        mean = float(without.kw[first:last].mean())
        cap = max(0.1, float(self._rng.uniform(0.5, 0.9)) * mean)
        order = WindowOrder(now + first * SLOT, now + last * SLOT, cap, math.nan, "operator")
        self._note(now, 0.0)
        peak = self._peaks.highest(now)
        assert math.isfinite(peak)
        window = windows.make(order, without, self.settings, now, peak_kw=peak)
        grid = problem.grid
        caps = caps_on(grid, (window,), now)
        asked = with_newcomers(under(patient(problem), caps), caps, expected)
        softer = np.minimum(rebound, softer_on(grid, (window,), now))
        answered, found = self._answer(asked, softer)
        trial = Trial(
            answered,
            without,
            found,
            Stopping((), answered, found),
            Slowing((), answered, found),
        )
        refused = bool(windows.comes_back(order, window, trial, now))
        self.ordered.append(Ordered(now, window, refused))
        return None if refused else found

    def _note(self, now: int, kw: float) -> None:
        for at in range(
            self._noted, now, SLOT // 2
        ):  # the daemon looks more often than anything happens
            self._peaks.note(at, usual_part(self._kept, self.settings, at, self._draws))
        self._draws += kw
        self._peaks.note(now, usual_part(self._kept, self.settings, now, self._draws))
        self._noted = now

    # ---- the ramp

    def _commanded(
        self, found: Plan, problem: Problem, jobs: Sequence[int], state: State
    ) -> Mapping[int, int]:
        """What is sent now and in the cycles to the next slot: begin times, and who is given back when.

        As decide.py has it: over the ramp cap nobody is given back but for a latest start.
        """
        now, wanted = problem.now, dict(self._wanted(found, jobs))
        back = [job for job, begin in wanted.items() if begin <= now and job in self._promised]
        before = dict(self._promised)
        self._promised |= {job: begin for job, begin in wanted.items() if begin > now}
        # The latest start itself, as in decide.py: what rules of caution bring forward waits for room.
        late = state.flexibility.latest[back] - self._margin(np.array(back, np.int64), state.trace)
        for job, latest in list(zip(back, late.astype(np.int64).tolist(), strict=True)):
            if self._promised[job] > latest:
                self._forced.add(job)
                self._promised[job] = max(now, latest)
                back.remove(job)
        for cycle in range(now, now + SLOT, CYCLE):
            back = [job for job in back if self._promised[job] > cycle]
            if not back:
                break
            room = RampRoom(self._ramp, cycle, self._commands(cycle))
            for job in back:
                if room.lets(job, self._kw(job)):
                    self._promised[job] = cycle
        for job, begin in wanted.items():
            if begin <= now and job in self._promised:
                wanted[job] = self._begun[job] = self._promised[job]
        for job, at in self._promised.items():
            if before.get(job) != at:
                self._decided[job] = now
        self._come_due(now, state, given_back=True)
        return wanted

    def _commands(self, now: int) -> Mapping[int, tuple[int, float]]:
        """(epoch, kW) by job: the starts that were commanded of late, and the begin times in force."""
        late = {one.job: (one.at, one.kw) for one in self.starts if one.at > now - WINDOW}
        return late | {job: (at, self._kw(job)) for job, at in self._promised.items()}

    def _come_due(self, now: int, state: State, *, given_back: bool = False) -> None:
        """Begin times that have come; `given_back`: also of those whom Slurm still holds."""
        for job, at in list(self._promised.items()):
            if at <= now and (given_back or job not in state.held):
                del self._promised[job]
                late = job in self._forced or at >= int(state.flexibility.latest[job])
                decided = self._decided.pop(job)
                self.starts.append(Start(at, self._kw(job), job, forced=late, decided=decided))

    def _recent(self, now: int) -> NDArray[np.float64]:
        rows = [(one.at, one.kw) for one in self.starts if now - WINDOW < one.at <= now]
        return np.array(rows, np.float64).reshape(-1, 2)

    def _kw(self, job: int) -> float:
        return float(self._whole.nodes[job])
