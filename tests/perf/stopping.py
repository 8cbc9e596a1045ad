"""Time of choosing whom to stop; run: python -m tests.perf.stopping

One line per instance: pending and running jobs (half of these agreed), processor seconds of the plan under the
window's cap, of choosing with the plans it makes, how many plans those were, the stops and their certified gap,
what is above the cap before and after, and processor seconds of one selection alone (cover.py).
"""

from __future__ import annotations

import time
from dataclasses import replace

import numpy as np

from flexlond.model.action import Verb
from flexlond.model.settings import PlanningSettings
from flexlond.planning.cover import cover
from flexlond.planning.moments import Terms
from flexlond.planning.planner import plan
from flexlond.planning.problem import Plan, Problem, Running
from flexlond.planning.stopped import Candidate
from flexlond.planning.stopping import choose, excess
from tests.perf.planning_instances import SLOT, instance


def busy(problem: Problem, jobs: int, seed: int) -> tuple[Problem, list[Candidate]]:
    """`problem` with a full cluster: `jobs` running jobs of 1 to 64 nodes, every other one may be stopped."""
    rng = np.random.default_rng(seed)
    nodes = 2.0 ** rng.integers(0, 7, jobs)
    room = np.array([[nodes.sum() * 1.05]])
    end = problem.now + rng.integers(2, 40, jobs) * SLOT
    running = Running(np.ones((jobs, 1)), nodes[:, None], end.astype(np.int64), nodes * 0.5)
    caps = np.full(problem.grid.count, np.inf)
    caps[4:8] = 0.6 * float(running.kw.sum())
    changed = replace(problem, running=running, capacity=room, group_capacity=room, site_kw=caps)
    candidates = [
        Candidate(
            job_id=10_000_000 + row,
            row=row,
            verb=Verb.REQUEUE_UNTIL if row % 4 else Verb.SUSPEND,
            began=problem.now - int(rng.integers(600, 40_000)),
            ready=problem.now,
            grace=60 if row % 3 else 0,
            saved=bool(row % 3),
            latest=problem.now + int(rng.integers(10, 90)) * SLOT,
            duration=8.0 * SLOT,
            occupancy=8.0 * SLOT,
            limit=8.0 * SLOT,
            delay_weight=1.0,
        )
        for row in range(0, jobs, 2)
    ]
    return changed, candidates


def main() -> None:
    """Print one line per instance."""
    settings, terms = PlanningSettings(), Terms()
    print(
        "pending running | plan s | choose s, plans | stops, gap | above: before, after | cover s"
    )
    for pending, jobs, consent in (
        (200, 100, 1.0),
        (1000, 300, 1.0),
        (10_000, 1000, 1.0),
        (1000, 300, 0.6),
    ):
        problem, candidates = busy(instance(pending, 96, 0.6, movable=consent), jobs, 1)
        began = time.process_time()
        found = plan(problem, settings)
        first, plans = time.process_time() - began, 0

        def replan(asked: Problem) -> Plan:
            nonlocal plans
            plans += 1
            return plan(asked, settings)

        began = time.process_time()
        result = choose(
            problem,
            found,
            problem.site_kw,
            candidates,
            settings=settings,
            terms=terms,
            replan=replan,
        )
        took = time.process_time() - began
        rows = np.array([one.row for one in candidates])
        relief = np.repeat(problem.running.kw[rows][:, None], 4, axis=1)
        began = time.process_time()
        cover(
            relief,
            np.full(4, 0.3 * relief[:, 0].sum()),
            relief[:, 0] * np.linspace(1, 2, len(rows)),
        )
        alone = time.process_time() - began
        above = [float(excess(one, problem.site_kw).sum()) for one in (found, result.plan)]
        print(
            f"{pending:7} {jobs:7} | {first:6.2f} | {took:6.2f} {plans:4} | {len(result.stops):4} "
            f"{result.gap:6.2%} | {above[0]:8.1f} {above[1]:8.1f} | {alone:5.2f}  {result.why}"
        )


if __name__ == "__main__":
    main()
