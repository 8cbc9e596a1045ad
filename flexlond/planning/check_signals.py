"""Whether a plan uses price and carbon as it may: unknown values, the jobs' own limits, the carbon cap.

Law: part of check.py, by other code than made the plan. A slot that a job has already, or would have as soon as
possible, is not chosen for its price, so only the other holds are judged by it. Under the carbon cap counts
what all movable jobs emit, under those of a day what is emitted in it; a plan above one must say so. Prices
GBP/MWh, intensity g/kWh, cap kg, epoch seconds.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from flexlond.planning.ranking import run_costs, score_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from flexlond.model.settings import PlanningSettings
    from flexlond.planning.capacity import Blocks
    from flexlond.planning.problem import Plan, Problem

_NEAR = 1e-6


def signals(
    problem: Problem,
    settings: PlanningSettings,
    plan: Plan,
    blocks: Blocks,
    consent: tuple[NDArray[np.int64], NDArray[np.bool_]],
) -> list[str]:
    """What is wrong; `consent` are (J,) latest starts and movable jobs, run back over the dependencies."""
    latest, movable = consent
    grid = problem.grid
    earliest = np.maximum(problem.earliest, problem.now)
    kept = (problem.current > problem.now) & (plan.slot == _slot(problem, problem.current))
    same = plan.slot == _slot(problem, plan.asap)
    chosen = plan.moved & ~kept & ~same & (plan.slot < grid.count)
    found = [
        *_unknown(problem, settings, plan, blocks, (earliest, chosen)),
        *_limits(problem, settings, plan, latest, (earliest, chosen)),
    ]
    emitted = float(np.nansum(plan.co2_kg[movable]))
    said = any("the carbon cap of" in words for words in plan.problems)
    if emitted > problem.co2_cap_kg * (1 + _NEAR) and not said:
        found.append(f"{emitted:.6g} kg are above the carbon cap, and the plan does not say so")
    return [*found, *_over_caps(problem, plan, blocks)]


def _over_caps(problem: Problem, plan: Plan, blocks: Blocks) -> list[str]:
    """Caps of a day that the plan is above without saying so."""
    grid, found = problem.grid, []
    for cap in problem.carbon_caps:
        mine = np.flatnonzero(cap.jobs & (plan.start > 0))
        start = plan.start[mine].astype(np.float64)
        kg = 0.0
        for slot in range(cap.first, min(cap.end, grid.count)):
            begin = grid.slot_start(slot)
            until = np.minimum(start + blocks.span[mine], begin + grid.slot_seconds)
            seconds = np.maximum(until - np.maximum(start, begin), 0.0)
            kg += (
                float(np.nan_to_num(blocks.kw[mine] * seconds * problem.carbon[slot]).sum()) / 3.6e6
            )
        said = any(f"the {cap.name}," in words for words in plan.problems)
        if kg > cap.kg * (1 + 10 * _NEAR) + 10 * _NEAR and not said:
            found.append(f"{kg:.6g} kg are above the {cap.name}, and the plan does not say so")
    return found


def _slot(problem: Problem, at: NDArray[np.int64]) -> NDArray[np.int64]:
    grid = problem.grid
    return np.minimum((at - grid.start) // grid.slot_seconds, grid.count)


def _unknown(
    problem: Problem,
    settings: PlanningSettings,
    plan: Plan,
    blocks: Blocks,
    which: tuple[NDArray[np.int64], NDArray[np.bool_]],
) -> list[str]:
    """Nobody is held newly whose costs are not known, now or then."""
    earliest, chosen = which
    grid, (kw, span) = problem.grid, (blocks.kw, blocks.span)
    score = score_of(problem.price, problem.carbon, settings)
    fresh = plan.moved & (problem.current <= problem.now)
    # Who has limits of its own may wait for them, whatever it would cost now.
    free = ~(np.isfinite(problem.max_price) | np.isfinite(problem.max_carbon))
    now = fresh & free & np.isnan(run_costs(grid, score, kw, earliest, span))
    begin = grid.start + plan.slot * grid.slot_seconds
    begin = np.where(plan.slot == _slot(problem, earliest), earliest, begin)
    then = chosen & np.isnan(run_costs(grid, score, kw, begin, span))
    return [
        f"job {int(problem.job_id[mask.argmax()])} is held, though {what}"
        for mask, what in (
            (now, "what it would cost now is unknown"),
            (then, "what it will cost is unknown"),
        )
        if mask.any()
    ]


def _limits(
    problem: Problem,
    settings: PlanningSettings,
    plan: Plan,
    latest: NDArray[np.int64],
    which: tuple[NDArray[np.int64], NDArray[np.bool_]],
) -> list[str]:
    """Nobody is held into a slot above a limit of its own that another slot of its window keeps."""
    earliest, chosen = which
    grid = problem.grid
    lead = int(settings.spread * grid.slot_seconds)
    first, last = _slot(problem, earliest), (latest - lead - grid.start) // grid.slot_seconds
    own = np.isfinite(problem.max_price) | np.isfinite(problem.max_carbon)
    found = []
    for job in np.flatnonzero(own & chosen).tolist():
        slot = int(plan.slot[job])
        window = np.arange(first[job], max(first[job], min(int(last[job]), grid.count - 1)) + 1)
        for name, values, limit in (
            ("max-price", problem.price, problem.max_price[job]),
            ("max-carbon", problem.carbon, problem.max_carbon[job]),
        ):
            under = window[values[window] <= limit]
            if len(under):
                window = under
                if not values[slot] <= limit:
                    found.append(f"job {int(problem.job_id[job])} is held above its {name}")
    return found
