"""Small queues for the envelope, and what a step costs exactly: HiGHS on the whole question with a kW row."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from flexlond.model.settings import PlanningSettings
from flexlond.planning.account import slot_power
from flexlond.planning.capacity import Timeline, blocks_of
from flexlond.planning.planner import plan
from flexlond.planning.question import ask
from flexlond.planning.steps import Terms
from tests.unit.planning.conftest import NOW, SLOT, build
from tests.unit.planning.test_bound import choices

if TYPE_CHECKING:
    from types import ModuleType

    from flexlond.planning.envelope import Curve, Step
    from flexlond.planning.instance import Instance
    from flexlond.planning.problem import CarbonCap, Plan, Problem

LENGTH = 3  # slots of a window
CEILING = 1e6  # kW: binds nobody
REBOUND = Terms().rebound
SETTINGS = PlanningSettings(spread=0.0)
"""Begin times at their slot's begin: then the kW by the second are those that HiGHS counts by the slot."""


def small_queue(seed: int) -> Problem:
    """12 to 30 jobs on 24 slots, seven in ten of them movable, those without consent first in line."""
    rng = np.random.default_rng(seed)
    jobs, slots = int(rng.integers(12, 31)), 24
    hours = np.arange(slots) / 2
    demand = rng.integers(1, 5, jobs).astype(np.float64)
    movable = rng.random(jobs) < 0.7
    earliest = NOW + SLOT * np.where(rng.random(jobs) < 0.5, 0, rng.integers(0, 12, jobs))
    return build(
        (80 + 35 * np.sin(hours / 2) + rng.normal(0, 8, slots)).tolist(),
        room=float(rng.integers(8, 15)),
        carbon=180 + 70 * np.sin(hours / 3) + rng.normal(0, 15, slots),
        earliest=earliest,
        latest=earliest + SLOT * rng.integers(2, 22, jobs),
        duration=SLOT * rng.integers(1, 5, jobs).astype(np.float64),
        demand=demand,
        kw=demand * rng.uniform(0.5, 2.0, jobs),
        movable=movable,
        order=np.argsort(np.argsort(movable, kind="stable"), kind="stable"),
        delay_weight=np.full(jobs, 2.0),
    )


@dataclass(frozen=True, slots=True)
class Exact:
    """The whole question about a queue's movable jobs, for HiGHS."""

    instance: Instance
    used: np.ndarray[Any, np.dtype[np.float64]]  # (S,) kW of the movable jobs in the plan in force
    highspy: ModuleType
    caps: tuple[tuple[Any, float], ...] = ()
    """Of each cap on carbon: kg of a job at a slot, (n, S), and the most of all; 0 for who does not count."""

    @classmethod
    def of(cls, problem: Problem, last: Plan, highspy: ModuleType) -> Exact:
        """Jobs without consent, and those that are late already, stand where the plan in force has them."""
        capped = replace(problem, site_kw=np.full(problem.grid.count, CEILING))
        blocks = blocks_of(capped)
        timeline = Timeline(capped, blocks)
        may = problem.movable & (last.start <= problem.latest)
        jobs, plain = np.flatnonzero(may), np.flatnonzero(~may)
        timeline.add_all(plain, last.start[plain])
        settings = PlanningSettings(spread=0.0, min_benefit=0.0)
        question = ask(capped, settings, blocks, jobs, timeline.free)
        used = question.instance.usage(np.arange(len(jobs)), last.slot[jobs])[-2]
        caps = tuple(carbon_row(problem, last, cap, jobs) for cap in problem.carbon_caps)
        return cls(question.instance, used, highspy, caps)

    def cost(
        self, window: tuple[int, int] | None = None, kw: float = 0.0, *, cap: bool | None = None
    ) -> float:
        """GBP of the best placement; in `window` `kw` less (below 0: more) than now in every slot.

        Less: under the cap of the rebound after it as well. `cap`: at least so much less, whatever the sign.
        """
        instance = self.instance
        job, slot = choices(instance)
        column, slots = np.arange(len(job)), instance.slots
        length = np.where(slot >= 0, instance.reach(job, np.maximum(slot, 0)) - slot, 0)
        at = np.repeat(column, length)
        when = np.arange(len(at)) - (np.cumsum(length) - length)[at] + slot[at]
        rows, columns, values = [job], [column], [np.ones(len(job))]
        for part in range(instance.index.shape[1]):
            row, value = instance.index[instance.cls[job[at]], part], instance.amount[job[at], part]
            used = np.isfinite(instance.free[row, 0]) & (value > 0)
            rows.append(instance.jobs + row[used] * slots + when[used])
            columns.append(at[used])
            values.append(value[used])
        free = np.where(np.isfinite(instance.free), np.maximum(instance.free, 0), np.inf)
        low = np.full(free.shape, -np.inf)
        if window is not None:
            inside = slice(window[0], window[1] + 1)
            if kw > 0 if cap is None else cap:
                taken = CEILING - free[-2] + self.used
                after = slice(window[1] + 1, None)
                most = np.maximum(REBOUND * taken.max() - taken, 0.0) + self.used
                free[-2, after] = most[after] + 1e-7
                free[-2, inside] = self.used[inside] - kw + 1e-7
            else:
                low[-2, inside] = self.used[inside] - kw - 1e-7
        for number, (kg, _) in enumerate(self.caps):
            placed = column[slot >= 0]
            rows.append(np.full(len(placed), instance.jobs + free.size + number))
            columns.append(placed)
            values.append(kg[job[placed], slot[placed]])
        most = np.array([kg for _, kg in self.caps])
        upper = np.concatenate([np.ones(instance.jobs), free.ravel(), most + 1e-7])
        lower = np.concatenate([np.ones(instance.jobs), low.ravel(), np.full(len(most), -np.inf)])
        return self._solved(
            instance.cost_at(job, slot),
            (np.concatenate(rows), np.concatenate(columns), np.concatenate(values)),
            (lower, upper),
        )

    def _solved(self, cost: Any, matrix: tuple[Any, Any, Any], bounds: tuple[Any, Any]) -> float:
        row, column, value = matrix
        order = np.lexsort((row, column))
        lp = self.highspy.HighsLp()
        lp.num_col_, lp.num_row_ = len(cost), len(bounds[0])
        lp.col_cost_ = cost
        lp.col_lower_, lp.col_upper_ = np.zeros(len(cost)), np.ones(len(cost))
        lp.row_lower_, lp.row_upper_ = bounds
        count = np.bincount(column, minlength=len(cost))
        lp.a_matrix_.start_ = np.concatenate([[0], np.cumsum(count)])
        lp.a_matrix_.index_, lp.a_matrix_.value_ = row[order], value[order]
        lp.integrality_ = [self.highspy.HighsVarType.kInteger] * len(cost)
        highs = self.highspy.Highs()
        highs.setOptionValue("output_flag", False)
        highs.setOptionValue("threads", 1)
        highs.setOptionValue("mip_rel_gap", 0.0)
        highs.setOptionValue("mip_abs_gap", 1e-9)
        highs.passModel(lp)
        highs.run()
        if highs.getModelStatus() != self.highspy.HighsModelStatus.kOptimal:
            raise AssertionError(highs.modelStatusToString(highs.getModelStatus()))
        return float(highs.getInfo().objective_function_value)


def carbon_row(
    problem: Problem, last: Plan, cap: CarbonCap, jobs: np.ndarray[Any, np.dtype[np.int64]]
) -> tuple[Any, float]:
    """Kg of each of `jobs` (n,) at each slot (n, S), and what the cap leaves them: slot by slot, plainly."""
    grid, span = problem.grid, last.span
    slots = np.arange(grid.count)
    rate = np.where((slots >= cap.first) & (slots < cap.end), problem.carbon, 0.0)
    hours = grid.slot_seconds / 3600

    def emits(job: int, start: int) -> float:
        begin = np.array([float(start)])
        drawn = slot_power(grid, begin, begin + span[job], problem.kw[[job]])
        return float(drawn @ rate) * hours / 1000 if cap.jobs[job] else 0.0

    kg = np.zeros((len(jobs), grid.count))
    for row, job in enumerate(jobs.tolist()):
        soonest = max(int(problem.earliest[job]), problem.now)
        for slot in slots.tolist():
            kg[row, slot] = emits(job, max(grid.slot_start(slot), soonest))
    others = [job for job in np.flatnonzero(last.start > 0).tolist() if job not in jobs]
    left = cap.kg - sum(emits(job, int(last.start[job])) for job in others)
    return kg, max(left, float(kg[np.arange(len(jobs)), last.slot[jobs]].sum()))


def own_swing(problem: Problem, last: Plan, curve: Curve, step: Step) -> float:
    """KW that the movable jobs alone give up in every slot of the window; below 0: that they take more."""
    place = {job: at for at, job in enumerate(problem.job_id.tolist())}
    jobs = np.array([place[job] for job in step.jobs.tolist()], np.int64)
    ours = problem.movable[jobs] if len(jobs) else np.zeros(0, np.bool_)
    jobs, after = jobs[ours], step.start[ours]
    drop = np.zeros(problem.grid.count)
    for start, sign in ((last.start[jobs], 1.0), (after, -1.0)):
        drop += sign * slot_power(
            problem.grid, start.astype(float), start + last.span[jobs], problem.kw[jobs]
        )
    window = drop[curve.window[0] : curve.window[1] + 1]
    return float(window.min()) if curve.direction == "down" else float(window.max())


def busiest(problem: Problem, last: Plan) -> tuple[int, int]:
    """The window in which the movable jobs draw most in every slot; it leaves room for moves on both sides."""
    jobs = np.flatnonzero(problem.movable)
    start = last.start[jobs].astype(float)
    kw = slot_power(problem.grid, start, start + last.span[jobs], problem.kw[jobs])
    least = np.lib.stride_tricks.sliding_window_view(kw, LENGTH).min(axis=1)[:-LENGTH]
    first = int(least.argmax())
    return first, first + LENGTH - 1


def planned(problem: Problem) -> Plan:
    """The plan in force of a small queue."""
    return plan(problem, SETTINGS)
