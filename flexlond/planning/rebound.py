"""What comes back after a window: a second, softer cap on the site's power.

Law: latest start > ramp cap > window > rebound > price. The rebound cap (S,) kW is planned with like any cap.
Where it is not kept so, or the windows' and the site's own are not, that plan is used which is least above
those, and of these the one least above the rebound cap: without it, or with it only in the slots where it was
broken, since a cap on all slots takes choices that the windows need; or with every job waiting as long as it
may, for caution gives jobs back at once, and all at once they are a peak. Least above is who has the lowest
peak; where the cap cannot be kept, one between it and the lowest peak so far is tried. Room on the nodes comes
sooner than is thought, and Slurm starts whoever is not held: in that comparison he counts from his first one.
Those further plans are made for FEW jobs only: a long queue has no time for them, and no job of it is a large
part of the peak. Pure.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from flexlond.planning.account import slot_power
from flexlond.planning.capacity import blocks_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray

    from flexlond.planning.problem import Plan, Problem

FEW = 200
"""Jobs up to which more than two plans are made."""
_ROUNDS = 3  # of the rebound cap in the slots where it was broken
_RAISED = 2  # plans under a raised one where it cannot be kept
_LITTLE = 1e-3  # kW x slots


def plan_with_rebound(
    problem: Problem, rebound: NDArray[np.float64], planner: Callable[[Problem], Plan]
) -> tuple[Problem, Plan]:
    """The plan and the problem that it answers; `rebound` (S,) is inf where there is no such cap."""
    if not np.isfinite(rebound).any():
        return problem, planner(problem)
    best: tuple[Problem, Plan] | None = None
    least = np.inf, np.inf, np.inf

    def consider(asked: Problem, found: Plan) -> None:
        nonlocal best, least
        kw = _at_the_soonest(asked, found)
        over = above(kw, problem.site_kw), highest(kw, rebound), above(kw, rebound)
        # A little more above a window is not made up for by anything below the other cap.
        if over[0] < least[0] - _LITTLE or (over[0] <= least[0] + _LITTLE and over[1:] < least[1:]):
            best, least = (asked, found), over

    for asked, found in _plans(problem, rebound, planner):
        consider(asked, found)
        if not any(least):
            break
    for _ in range(_RAISED if least[1] > _LITTLE and problem.jobs <= FEW else 0):
        asked = under(problem, rebound + least[1] / 2)
        consider(asked, planner(asked))
    assert best is not None  # noqa: S101 - there is a first plan; tells mypy
    return best


def _plans(
    problem: Problem, rebound: NDArray[np.float64], planner: Callable[[Problem], Plan]
) -> Iterator[tuple[Problem, Plan]]:
    """With the cap, without it, then with it where the last one broke it."""
    both = under(problem, rebound)
    yield both, planner(both)
    waits = patient(both)
    if waits is not both:
        yield waits, planner(waits)
    found = planner(problem)
    yield problem, found
    some = np.full(len(rebound), np.inf)
    for _ in range(_ROUNDS if problem.jobs <= FEW else 0):
        broken = (found.kw > rebound + _LITTLE) & np.isinf(some)
        if not broken.any():
            return
        some = np.where(broken, rebound, some)
        asked = under(problem, some)
        found = planner(asked)
        yield asked, found


def under(problem: Problem, caps: NDArray[np.float64]) -> Problem:
    """The same under further caps (S,) kW on the site's power; inf where there is none."""
    own = problem.site_kw if len(problem.site_kw) else np.full(problem.grid.count, np.inf)
    lowest = np.minimum(own, caps)
    return replace(problem, site_kw=lowest if np.isfinite(lowest).any() else np.zeros(0))


def patient(problem: Problem) -> Problem:
    """The same without the caution about newcomers: all may wait until their latest starts.

    `problem` itself where caution brought nobody forward.
    """
    if not len(problem.may_wait) or np.array_equal(problem.may_wait, problem.latest):
        return problem
    return replace(problem, latest=problem.may_wait, may_wait=np.zeros(0, np.int64))


def highest(kw: NDArray[np.float64], caps: NDArray[np.float64]) -> float:
    """The most by which `kw` (S,) is above `caps` (S,) in any slot."""
    most = float(np.maximum(kw - caps, 0.0).max(initial=0.0))
    return most if most > _LITTLE else 0.0


def above(kw: NDArray[np.float64], caps: NDArray[np.float64]) -> float:
    """KW x slots of `kw` (S,) above `caps` (S,); 0 without caps (empty)."""
    over = np.maximum(kw - caps, 0.0) if len(caps) else np.zeros(1)
    total = float(over.sum())
    return total if total > _LITTLE else 0.0


def _at_the_soonest(problem: Problem, found: Plan) -> NDArray[np.float64]:
    """(S,) kW of the plan where the flexible jobs that it does not hold start at their first moment."""
    soonest = np.maximum(problem.earliest, problem.now)
    free = problem.movable & ~found.moved & (found.start > soonest)
    kw, span = blocks_of(problem).kw[free], found.span[free]
    planned, first = found.start[free].astype(np.float64), soonest[free].astype(np.float64)
    sooner = slot_power(problem.grid, first, first + span, kw)
    return found.kw + sooner - slot_power(problem.grid, planned, planned + span, kw)
