"""Time and memory of the jobs x slots ranking; run: python tests/perf/ranking.py

Prints, for 10,000 x 96, 10,000 x 336 and 100,000 x 336: wall and processor seconds, the whole process's peak
memory, and how many times faster the matrix is than a plain Python loop (measured on 20 jobs).
"""

from __future__ import annotations

import resource
import time
from typing import TYPE_CHECKING

import numpy as np
from planning_instances import instance

from flexlond.model.settings import PlanningSettings
from flexlond.planning.capacity import blocks_of
from flexlond.planning.ranking import rank

if TYPE_CHECKING:
    from flexlond.planning.problem import Problem

LOOP_JOBS = 20


def plain_loop(problem: Problem, settings: PlanningSettings, jobs: range) -> float:
    """Seconds per job of the same computation by a loop over slots; checks nothing."""
    grid = problem.grid
    score = (problem.price + settings.carbon_price * problem.carbon / 1000).tolist()
    begun = time.perf_counter()
    for job in jobs:
        length = float(problem.duration[job]) / grid.slot_seconds
        kw = float(problem.kw[job])
        for slot in range(grid.count):
            cost, left, at = 0.0, length, slot
            while left > 0 and at < grid.count:
                part = min(1.0, left)
                cost += kw * part * score[at] * grid.slot_seconds / 3.6e6
                left, at = left - part, at + 1
    return (time.perf_counter() - begun) / len(jobs)


def main() -> None:
    """Print one line per size."""
    settings = PlanningSettings()
    print(f"{'jobs':>8} {'slots':>6} {'wall s':>8} {'cpu s':>8} {'RSS MiB':>8} {'x loop':>8}")
    for jobs, slots in ((10_000, 96), (10_000, 336), (100_000, 336)):
        problem = instance(jobs, slots, 0.5)
        # Distinct lengths: the case without any shared row.
        rng = np.random.default_rng(7)
        problem.duration[:] = np.maximum(60, rng.lognormal(9, 1, jobs))
        blocks = blocks_of(problem)
        best = (np.inf, np.inf)
        for _ in range(3):
            wall, cpu = time.perf_counter(), time.process_time()
            ranking = rank(problem, settings, blocks)
            best = min(best, (time.perf_counter() - wall, time.process_time() - cpu))
            assert ranking.cost.shape == (jobs, slots)
            del ranking
        memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        ratio = plain_loop(problem, settings, range(LOOP_JOBS)) * jobs / best[0]
        print(f"{jobs:8} {slots:6} {best[0]:8.3f} {best[1]:8.3f} {memory:8.0f} {ratio:8.0f}")


if __name__ == "__main__":
    main()
