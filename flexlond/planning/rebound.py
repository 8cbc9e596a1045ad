"""What comes back after a window: a second, softer cap on the site's power.

Law: latest start > ramp cap > window > rebound > price. The rebound cap (S,) kW is planned with like any cap,
unless windows or the site's own cap are kept worse for it: then that plan is used which keeps these. Pure.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from flexlond.planning.problem import Plan, Problem

_LITTLE = 1e-3  # kW x slots


def plan_with_rebound(
    problem: Problem, rebound: NDArray[np.float64], planner: Callable[[Problem], Plan]
) -> tuple[Problem, Plan]:
    """The plan and the problem that it answers; `rebound` (S,) is inf where there is no such cap."""
    if not np.isfinite(rebound).any():
        return problem, planner(problem)
    both = under(problem, rebound)
    found = planner(both)
    if not above(found, both.site_kw):
        return both, found
    other = planner(problem)
    no_worse = above(found, problem.site_kw) <= above(other, problem.site_kw) + _LITTLE
    return (both, found) if no_worse else (problem, other)


def under(problem: Problem, caps: NDArray[np.float64]) -> Problem:
    """The same under further caps (S,) kW on the site's power; inf where there is none."""
    own = problem.site_kw if len(problem.site_kw) else np.full(problem.grid.count, np.inf)
    lowest = np.minimum(own, caps)
    return replace(problem, site_kw=lowest if np.isfinite(lowest).any() else np.zeros(0))


def above(found: Plan, caps: NDArray[np.float64]) -> float:
    """KW x slots of the plan above `caps` (S,); 0 without caps (empty)."""
    over = np.maximum(found.kw - caps, 0.0) if len(caps) else np.zeros(1)
    total = float(over.sum())
    return total if total > _LITTLE else 0.0
