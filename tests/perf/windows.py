"""Ends of windows: does the commanded ramp keep its cap, and how high is the peak after them?

Run by hand: `python -m tests.perf.windows [ENDS]`. Each end is a random queue planned without a window, then
under one with its rebound cap; counted are the begin times that we command, and the peak of the plan after the
window against the peak of the plan without it. Nothing is timed or asserted.
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
from flexlond.planning.planner import plan
from flexlond.planning.rebound import plan_with_rebound, under
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
    held: int
    over_ramp: int  # commanded seconds above the ramp cap
    forced: int  # jobs whose latest start broke it, as the plan says
    peak: float  # after the window, in peaks of the plan without it


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
    capped, found = plan_with_rebound(
        under(problem, caps), rebound, partial(plan, settings=settings)
    )
    over = np.maximum(found.kw - capped.site_kw, 0.0)[first:last]
    peak = float(found.kw[last:].max() / without.kw.max()) if without.kw.max() > 0 else 0.0
    forced = sum("ramp" in words for words in found.problems)
    return End(
        bool((over <= _NEAR * (1 + caps[first:last])).all()),
        int(found.moved.sum()),
        over_ramp(problem, found, ramp),
        forced,
        peak,
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


def main() -> None:
    """Run so many ends and print one table."""
    ends = int(sys.argv[1]) if len(sys.argv) > 1 else 10_000
    found = [one(seed) for seed in track(range(ends), "ends of windows")]
    peaks = np.array([end.peak for end in found])
    kept = np.array([end.kept for end in found])
    table = Table(
        "ENDS",
        "WINDOW KEPT",
        "HELD JOBS",
        "OVER RAMP",
        "FORCED",
        "PEAK > 1.1",
        "PEAK P99",
        "PEAK MAX",
    )
    for name, chosen in (("all", np.ones(ends, np.bool_)), ("kept", kept)):
        some = [end for end, is_in in zip(found, chosen.tolist(), strict=True) if is_in]
        table.add_row(
            f"{len(some)} ({name})",
            f"{sum(end.kept for end in some)}",
            f"{sum(end.held for end in some)}",
            f"{sum(end.over_ramp > 0 for end in some)} ends",
            f"{sum(end.forced > 0 for end in some)} ends",
            f"{int((peaks[chosen] > REBOUND + 1e-9).sum())}",
            f"{np.quantile(peaks[chosen], 0.99):.3f}",
            f"{peaks[chosen].max():.3f}",
        )
    Console().print(table)
    Console().print(f"queues of 8 to 24 jobs, {SLOTS} slots of 30 minutes; seeds 0 to {ends - 1}")


if __name__ == "__main__":
    main()
