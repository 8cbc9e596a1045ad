"""When a plan says that a carbon cap cannot be kept: could any schedule have kept it, for all that was known?

Law: it only reads the plan's own question. Known are the jobs that pend and run, as the planner was given them,
and what it keeps back for jobs yet to come. The least kg above the caps is that of HiGHS, over mixtures of
starts and, where that is 0, over whole jobs (clairvoyant.py): those that may wait up to their latest safe
start, everyone else from now until he would start as soon as possible or as planned, on the mean of each slot
no more nodes than what runs leaves. So it is at or below what any schedule could do: where it is above 0 the
plan was right, nobody could have kept all caps then; where it is 0 nothing is shown either way. Kg CO2, epoch
seconds.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from flexlond.planning.capacity import blocks_of
from flexlond.planning.carbon_caps import emitted_kg
from tests.perf.cap_days import Saying
from tests.perf.clairvoyant import Choices, bends, least, least_whole, node_rows

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from flexlond.backtest.policy import State
    from flexlond.planning.problem import Plan, Problem

LITTLE: Final = 0.01  # kg above a cap that are nothing


@dataclass(slots=True)
class Verdicts:
    """Of the plans that say of a cap that it is not kept."""

    plans: int = 0  # all, with caps
    said: int = 0  # of them, that say so
    spent: int = 0  # of these, where what has run is above a cap already
    proven: int = 0  # of the others, where no schedule could have kept all
    open: list[tuple[int, float]] = field(default_factory=list)
    """(moment, kg above by the plan) of those where nothing is proven."""

    def words(self) -> str:
        """All of it in a line."""
        left = ", ".join(
            f"{datetime.fromtimestamp(at, UTC):%m-%d %H:%M} {kg:.2f} kg" for at, kg in self.open
        )
        return (
            f"{self.plans} plans, {self.said} say that a cap cannot be kept: in {self.spent} it was passed"
            f" already, in {self.proven} no schedule of what was known keeps all, not proven"
            f" {len(self.open)}: {left or 'none'}"
        )


class Doubted(Saying):
    """FlexLon, each of whose plans that gives a cap up is looked at."""

    def __init__(self, *given: Any, **named: Any) -> None:
        super().__init__(*given, **named)
        self.verdicts = Verdicts()

    def _plan_all(self, now: int, pending: Sequence[int], state: State) -> Mapping[int, int]:
        problem = self.problem(now, pending, state)  # before: the plan's begin times are none yet
        caps = self._emitted.caps(problem, state, self.believed)
        problem = replace(problem, carbon_caps=caps)
        wanted = super()._plan_all(now, pending, state)
        plan = self._last
        if plan is None or not plan.carbon_caps:
            return wanted
        self.verdicts.plans += 1
        if all(cap.kept for cap in plan.carbon_caps):
            return wanted
        self.verdicts.said += 1
        if any(cap.spent_kg > cap.total_kg + LITTLE for cap in problem.carbon_caps):
            self.verdicts.spent += 1
        elif least_above(problem, plan) > LITTLE:
            self.verdicts.proven += 1
        else:
            over = sum(cap.above_kg for cap in plan.carbon_caps)
            self.verdicts.open.append((now, over))
        return wanted


def least_above(problem: Problem, plan: Plan) -> float:
    """No schedule of what was known is less kg above the caps of `problem` together."""
    blocks, grid = blocks_of(problem), problem.grid
    soon = np.maximum(problem.earliest, problem.now)
    last = np.maximum(plan.asap, plan.start)
    last = np.where(problem.movable, np.maximum(blocks.latest, last), last)
    last = np.clip(last, soon, grid.end - 1)
    edges = np.append(grid.starts(), grid.end)
    ways = [
        bends(edges, int(blocks.span[job]), soon[job], last[job]) for job in range(problem.jobs)
    ]
    job = np.repeat(np.arange(problem.jobs), [len(one) for one in ways])
    start = np.concatenate(ways)
    each = replace(blocks, span=blocks.span[job], kw=blocks.kw[job])
    kg = np.zeros((len(job) + 1, len(problem.carbon_caps)))
    for day, cap in enumerate(problem.carbon_caps):
        mine = replace(cap, jobs=cap.jobs[job])
        kg[:-1, day] = emitted_kg(problem, each, mine, start.astype(np.int64))
    # A last job of one choice takes of each cap what is gone of the largest.
    total = max(cap.kg for cap in problem.carbon_caps)
    kg[-1] = [total - cap.kg for cap in problem.carbon_caps]
    found = Choices(np.append(job, problem.jobs), np.append(start, 0.0), kg)
    nodes = node_rows(
        grid, problem.pool[job], problem.demand[job, 0], start, start + each.span, _left(problem)
    )
    mixed = least(found, total, nodes)[0]
    return mixed if mixed > LITTLE else least_whole(found, total, nodes)


def _left(problem: Problem) -> NDArray[np.float64]:
    """(P, S) nodes that what runs leaves on the mean of each slot; of the first one the part from now on."""
    grid, running = problem.grid, problem.running
    edges = np.append(grid.starts(), grid.end).astype(np.float64)
    edges[0] = problem.now  # before now nobody starts
    begin = running.begin if len(running.begin) else np.full(len(running.end), problem.now)
    run = np.minimum(running.end[:, None], edges[1:]) - np.maximum(begin[:, None], edges[:-1])
    part = np.maximum(run, 0.0) / grid.slot_seconds
    there = problem.capacity[:, :1] * np.diff(edges) / grid.slot_seconds
    return np.maximum(there - running.share.T @ (part * running.demand[:, :1]), 0.0)
