"""Time of whole plans and of placing new jobs; run: python tests/perf/planning.py

One line per instance: wall and processor seconds of a first plan, of the plan half a minute later that begins
from it, with all begin times in force (and how many of them it changed), and of placing 10 new jobs around the
rest.
"""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING, TypeVar

import numpy as np
from planning_instances import instance

from flexlond.model.settings import PlanningSettings
from flexlond.planning.planner import place, plan

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")


def timed(work: Callable[[], T]) -> tuple[T, str]:
    """The result of `work` and its wall and processor seconds as text."""
    wall, cpu = time.perf_counter(), time.process_time()
    result = work()
    return result, f"{time.perf_counter() - wall:6.2f} {time.process_time() - cpu:6.2f}"


def main() -> None:
    """Print one line per instance."""
    settings = PlanningSettings()
    print(
        " jobs slots load |   plan: wall, cpu s |  again: wall, cpu s, changed | 10 new: wall, cpu s"
    )
    for jobs, slots, load in (
        *((1_000, slots, load) for slots in (96, 336) for load in (0.5, 0.75)),
        *((10_000, slots, load) for slots in (96, 336) for load in (0.5, 0.75)),
    ):
        problem = instance(jobs, slots, load)
        found, first = timed(lambda problem=problem: plan(problem, settings))
        later = replace(
            problem, now=problem.now + 30, current=np.where(found.moved, found.start, 0)
        )
        again, second = timed(lambda later=later, found=found: plan(later, settings, last=found))
        changed = int((found.moved & (again.start != found.start)).sum())
        new = np.arange(10) * (jobs // 10)
        fixed = again.start
        _, third = timed(
            lambda later=later, fixed=fixed, new=new: place(later, settings, fixed, new)
        )
        saved = 1 - found.totals.cost_gbp / found.totals.cost_asap_gbp
        print(
            f"{jobs:5} {slots:5} {load:4.2f} | {first} | {second} {changed:5} of "
            f"{int(found.moved.sum()):5} | {third} | saves {saved:.1%}"
        )


if __name__ == "__main__":
    main()
