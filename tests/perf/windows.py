"""Ends of windows: does the commanded ramp keep its cap, and how high is the peak after them?

Run by hand: `python -m tests.perf.windows [ENDS [FIRST]]`. Each end is a random queue planned without a window,
then under one with its rebound cap; where the plan does not keep that one, an operator's window is refused.
Counted are the begin times that we command, and the peak after the window against the peak without it: as
planned, and as played with other runtimes by Slurm's order with those begin times, in which nothing is planned
again. Nothing is timed or asserted.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
from rich.console import Console
from rich.progress import track
from rich.table import Table

from flexlond.model.settings import PlanningSettings
from flexlond.planning.capacity import blocks_of
from flexlond.planning.planner import plan
from flexlond.planning.rebound import above, plan_with_rebound, under
from flexlond.planning.rehearsal import Rehearsal
from flexlond.planning.spread import WINDOW
from tests.perf.planning_instances import instance

if TYPE_CHECKING:
    from flexlond.planning.problem import Plan, Problem

SLOTS = 36
REBOUND = 1.1
_NEAR = 1e-6


@dataclass(frozen=True, slots=True)
class End:
    """One window and what came after it."""

    kept: bool
    refused: bool  # for what comes back after it
    held: int
    over_ramp: int  # commanded seconds above the ramp cap
    forced: int  # jobs whose latest start broke it, as the plan says
    peak: float  # planned after the window, in planned peaks without it
    played: float  # the same with other runtimes in both


def one(seed: int) -> End:
    """A random queue, window and ramp cap."""
    rng = np.random.default_rng(seed)
    problem = instance(int(rng.integers(8, 25)), SLOTS, float(rng.uniform(0.3, 0.9)), seed=seed)
    ramp = float(rng.uniform(0.05, 0.5) * problem.capacity.sum() * 0.5)
    settings = PlanningSettings(ramp_kw_per_5min=ramp)
    without = plan(problem, settings)
    first = int(rng.integers(2, 12))
    last = first + int(rng.integers(2, 9))
    caps = np.full(SLOTS, np.inf)
    caps[first:last] = float(rng.uniform(0.5, 0.9)) * without.kw[first:last].mean()
    rebound = np.full(SLOTS, np.inf)
    rebound[last:] = REBOUND * without.kw.max()
    _, found = plan_with_rebound(under(problem, caps), rebound, partial(plan, settings=settings))
    over = np.maximum(found.kw - caps, 0.0)[first:last]
    peak = float(found.kw[last:].max() / without.kw.max()) if without.kw.max() > 0 else 0.0
    forced = sum("ramp" in words for words in found.problems)
    return End(
        bool((over <= _NEAR * (1 + caps[first:last])).all()),
        above(found.kw, rebound) > 0,
        int(found.moved.sum()),
        over_ramp(problem, found, ramp),
        forced,
        peak,
        played(problem, without, found, last),
    )


def over_ramp(problem: Problem, found: Plan, cap: float) -> int:
    """Begin times of ours after which more than `cap` kW start within five minutes; one job alone may."""
    held = np.flatnonzero(found.moved)
    at, kw = found.start[held], problem.kw[held]
    broken = 0
    for begin in at.tolist():
        inside = (at >= begin) & (at < begin + WINDOW)
        broken += int(kw[inside].sum() > cap + _NEAR and inside.sum() > 1)
    return broken


def played(problem: Problem, without: Plan, found: Plan, last: int) -> float:
    """The peak from slot `last` on under `found`, in peaks of `without`, both with the same other runtimes."""
    rehearsal = Rehearsal(problem, blocks_of(problem), without, samples=1, seed=0)
    everything = slice(0, SLOTS)
    nobody = np.full(problem.jobs, problem.grid.end)
    before = rehearsal.drops(nobody, everything)[0]
    begin = np.where(found.moved, found.start, np.maximum(problem.earliest, problem.now))
    after = before - rehearsal.drops(begin, everything)[0]
    return float(after[last:].max() / before.max()) if before.max() > 0 else 0.0


def main() -> None:
    """Run so many ends and print one table."""
    ends = int(sys.argv[1]) if len(sys.argv) > 1 else 10_000
    begin = int(sys.argv[2]) if len(sys.argv) > 2 else 0
    found = [one(seed) for seed in track(range(begin, begin + ends), "ends of windows")]
    Console(width=120).print(shown(found))
    words = (
        f"queues of 8 to 24 jobs, {SLOTS} slots of 30 minutes; seeds {begin} to {begin + ends - 1}"
    )
    Console().print(words)


def shown(found: list[End]) -> Table:
    """A row for all, for those whose window was kept, and for those that were not refused."""
    table = Table(
        "ENDS",
        "KEPT",
        "HELD JOBS",
        "OVER RAMP",
        "FORCED",
        "> 1.1",
        "P99",
        "MAX",
        "PLAYED > 1.1",
        "MAX",
    )
    for name, some in (
        ("all", found),
        ("kept", [end for end in found if end.kept]),
        ("not refused", [end for end in found if not end.refused]),
        ("kept, not refused", [end for end in found if end.kept and not end.refused]),
    ):
        peaks, after = (
            np.array([getattr(end, what) for end in some] or [0.0]) for what in ("peak", "played")
        )
        table.add_row(
            f"{len(some)} ({name})",
            f"{sum(end.kept for end in some)}",
            f"{sum(end.held for end in some)}",
            f"{sum(end.over_ramp > 0 for end in some)} ends",
            f"{sum(end.forced > 0 for end in some)} ends",
            f"{int((peaks > REBOUND + _NEAR).sum())}",
            f"{np.quantile(peaks, 0.99):.3f}",
            f"{peaks.max():.3f}",
            f"{int((after > REBOUND + _NEAR).sum())}",
            f"{after.max():.3f}",
        )
    return table


if __name__ == "__main__":
    main()
