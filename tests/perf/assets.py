"""Battery, chiller and jobs under one import cap, against the exact optimum (issue bar: within 1 %).

Run in the project's directory: python -m tests.perf.assets [--count 100] [--first SEED]

Each instance is planned as the daemon does (whole jobs allowed in the solver), and once more without the exact
model. A gap is (ours - optimum) / |optimum|. Instances without a feasible schedule are left out and counted.
"""

from __future__ import annotations

import argparse
import time
from typing import TYPE_CHECKING

import numpy as np

from flexlond.assets.joint import plan_jointly
from flexlond.solver.linear import solve
from tests.unit.assets.joint_cases import SETTINGS, Case, exact, limits_kept, random_case

if TYPE_CHECKING:
    from flexlond.assets.joint import Joint


def ours(case: Case, *, whole: bool) -> tuple[Joint, float]:
    """The plan, and its seconds."""
    began = time.perf_counter()
    found = plan_jointly(
        case.problem,
        SETTINGS,
        case.assets,
        case.readings,
        solver=solve,
        export_kw=case.export_kw,
        exact=whole,
        seconds=20.0,
    )
    return found, time.perf_counter() - began


def line(name: str, gaps: list[float], seconds: list[float]) -> None:
    """One row of the table."""
    values, spent = np.array(gaps) * 100, np.array(seconds)
    quantiles = " ".join(f"{one:7.3f}" for one in np.quantile(values, [0.5, 0.9, 0.99, 1.0]))
    within = int((values <= 1.0).sum())
    print(
        f"{name:>16} | gap % p50 p90 p99 worst: {quantiles} | within 1 %: {within} of {len(values)} | "
        f"s p50 {np.median(spent):.2f} worst {spent.max():.2f}"
    )


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--count", type=int, default=100)
    parser.add_argument("--first", type=int, default=1)
    given = parser.parse_args()
    gaps: dict[bool, list[float]] = {True: [], False: []}
    alone: list[float] = []
    seconds: dict[bool, list[float]] = {True: [], False: []}
    seed, left_out, outside, over, late, proven = given.first, 0, 0, 0, 0, 0
    while len(gaps[True]) < given.count:
        case = random_case(seed)
        optimum = exact(case)
        seed += 1
        if optimum is None:
            left_out += 1
            continue
        for whole in (True, False):
            found, spent = ours(case, whole=whole)
            gaps[whole].append((found.cost_gbp - optimum) / abs(optimum))
            seconds[whole].append(spent)
            outside += bool(limits_kept(case, found.dispatch.kw))
            over += bool((found.dispatch.over_kw > 0).any())
            late += bool((found.plan.start > case.problem.latest).any())
            proven += whole and found.proven
            if whole:
                alone.append((found.stages[1].cost_gbp - optimum) / abs(optimum))
            if gaps[whole][-1] > 0.01 or found.dispatch.over_kw.any():
                print(seed - 1, whole, gaps[whole][-1], optimum, found.stages, flush=True)
    line("with exact model", gaps[True], seconds[True])
    line("without", gaps[False], seconds[False])
    line("assets first", alone, seconds[True])
    print(
        f"{given.count} instances, {left_out} infeasible ones left out; exact model proven {proven}; "
        f"of {2 * given.count} plans: limits left {outside}, cap exceeded {over}, late {late}"
    )


if __name__ == "__main__":
    main()
