"""The core question answered: bound, priced passes, repair, search; each stage may be missing.

Law: the best placement so far always stands, and every one of them keeps the room. Budgets are steps as well
as seconds, so that a run with steps alone is repeatable; the clock is the caller's (planning knows none).
Where the jobs' free choices keep every constraint there is nothing to search: that is the optimum.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from flexlond.planning.dual import Dual, ascend
from flexlond.planning.instance import KEPT, NOWHERE, Instance, Prices
from flexlond.planning.passes import settle
from flexlond.planning.problem import Stage
from flexlond.planning.room import Placement
from flexlond.planning.search import search

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

_FEW = 48  # jobs below which one priced insertion does as well as the passes
_NEARLY = 0.9  # share of the jobs whose earlier place must have room, for it to be mended alone
_MANY = 20_000  # jobs above which one after the other takes longer than it is worth
_TRIED = 48  # jobs without a place at most, of a candidate that is tried with all of them placed
_STAY = 0.005  # share of the objective by which another placement must beat the earlier one
_GIVE_BACK = 0.02  # and by which all as soon as possible must: what is given back is not held again
_WARM = 4
_SEED = 20260


@dataclass(frozen=True, slots=True)
class Budget:
    """How long to search: in steps, and in seconds of `clock`."""

    dual_steps: int = 120  # 0: the prices of the start stand
    passes: int = 6  # 0: none
    mend: bool = False  # no passes either where nearly all of an earlier answer still has room
    blocks: int = 120
    search_steps: int = 400
    steps_per_job: int = 4  # of the search at most: few jobs need few steps
    seconds: float = float("inf")
    enough: float = 0.001  # certified gap (share of the bound) at which the search ends
    clock: Callable[[], float] = lambda: 0.0


@dataclass(frozen=True, slots=True, eq=False)
class Solution:
    """A placement that keeps the room, and what is known of it."""

    slot: NDArray[np.int64]  # (n,), NOWHERE where no place was found
    objective: float
    bound: float
    prices: Prices
    stages: tuple[Stage, ...]
    placement: Placement


def solve(
    instance: Instance,
    budget: Budget,
    start: Prices | None = None,
    hint: NDArray[np.int64] | None = None,
    safe: NDArray[np.int64] | None = None,
) -> Solution:
    """Answer `instance`; `start` are prices, `hint` (n,) slots of an earlier answer (NOWHERE: none).

    `safe` (n,) is a placement of all jobs that is known to fit: with one, no job is left nowhere.
    """
    rng = np.random.default_rng(_SEED)
    began = budget.clock()
    stages: list[Stage] = []

    def note(name: str, objective: float, steps: int) -> None:
        spent = budget.clock() - began - sum(stage.seconds for stage in stages)
        stages.append(Stage(name, spent, objective, steps))

    # Prices of an earlier plan are nearly right: a quarter of the steps mends them.
    steps = budget.dual_steps if start is None else budget.dual_steps // _WARM
    dual = ascend(instance, steps, start, rng=rng)
    note("bound", float("nan"), dual.steps)
    hint = np.full(instance.jobs, NOWHERE) if hint is None else hint

    def go_on() -> bool:
        return budget.clock() - began < budget.seconds

    placement, steps = _first(instance, dual, budget, (hint, safe, go_on), rng)
    note("passes", placement.objective, steps)
    enough = dual.bound + budget.enough * abs(dual.bound)

    def better(name: str, *, keep_placed: bool) -> None:
        made = search(
            placement,
            steps=min(budget.search_steps, budget.steps_per_job * instance.jobs),
            enough=enough,
            go_on=go_on,
            rng=rng,
            keep_placed=keep_placed,
        )
        note(name, placement.objective, made)

    better("search", keep_placed=False)
    if safe is not None and (placement.slot == NOWHERE).any():
        placement.retreat(safe)
        better("retreat", keep_placed=True)
    return Solution(
        placement.slot, placement.objective, dual.bound, dual.prices, tuple(stages), placement
    )


def _first(
    instance: Instance,
    dual: Dual,
    budget: Budget,
    beginning: tuple[NDArray[np.int64], NDArray[np.int64] | None, Callable[[], bool]],
    rng: np.random.Generator,
) -> tuple[Placement, int]:
    """A first placement: the free choices, what is kept, or the passes, whichever is best."""
    placement = Placement(instance, dual.prices)
    if dual.tight:
        placement.adopt(dual.slot)
        return placement, 0
    candidates: list[
        tuple[float, Placement]
    ] = []  # by what share each must beat the earlier answer
    passes = 0
    hint, safe, go_on = beginning
    kept = instance.special[:, KEPT]
    earlier = np.where(kept >= 0, kept, hint)
    if (earlier >= 0).any():
        candidates.append((0.0, _inserted(instance, dual.prices, earlier)))
    if not (budget.mend and candidates and _stays(candidates[0][1], earlier)):
        left = True
        if instance.jobs >= _FEW and budget.passes:
            passes = budget.passes
            slot, prices = settle(
                instance, dual, passes=passes, blocks=budget.blocks, go_on=go_on, rng=rng
            )
            placement = Placement(instance, prices)
            placement.adopt(slot)
            placement.repair()
            candidates.append((_STAY, placement))
            left = instance.jobs <= _MANY and bool((placement.slot == NOWHERE).any())
        if left:
            none = np.full(instance.jobs, NOWHERE)
            candidates.append((_STAY, _inserted(instance, dual.prices, none)))
    if safe is not None:
        placement = Placement(instance, dual.prices)
        placement.adopt(safe)
        candidates.append((_GIVE_BACK, placement))
    for _, one in candidates:
        one.decarbonise(instance.co2_cap)
    fitting = [pair for pair in candidates if pair[1].co2 <= instance.co2_cap + 1e-9]
    if not fitting:
        return min((one for _, one in candidates), key=lambda one: one.co2), passes
    worth = [_with_all_placed(one, safe) for _, one in fitting]
    if not fitting[0][0]:  # there is an earlier answer, and it may stay
        worth = [one + part * abs(one) for one, (part, _) in zip(worth, fitting, strict=True)]
    return fitting[worth.index(min(worth))][1], passes


def _stays(placement: Placement, earlier: NDArray[np.int64]) -> bool:
    """Whether nearly everyone is where he was in an earlier answer."""
    return int((placement.slot == earlier).sum()) >= _NEARLY * len(earlier)


def _with_all_placed(placement: Placement, safe: NDArray[np.int64] | None) -> float:
    """The objective once those without a place have the one in `safe`, as in the end they will.

    Else one job that found no place would make up for what all others save, and all would go back to `safe`.
    Many are not tried: each of them takes the place of others.
    """
    if safe is None or not 0 < int((placement.slot == NOWHERE).sum()) <= _TRIED:
        return placement.objective
    tried = placement.copy()
    tried.retreat(safe)
    return tried.objective


def _inserted(instance: Instance, prices: Prices, earlier: NDArray[np.int64]) -> Placement:
    """Job after job where it costs least, the least slack first; before all, those at their `earlier` slot."""
    placement = Placement(instance, prices)
    everyone = np.arange(instance.jobs)
    allowed = (earlier >= 0) & np.isfinite(instance.cost_at(everyone, earlier))
    # An earlier plan knew other earliest moments: its slot may lie before the window of today.
    inside = (earlier >= instance.first) & (earlier <= instance.last)
    allowed &= inside | (instance.special == earlier[:, None]).any(axis=1)
    left = []
    size = instance.amount.max(axis=1) * instance.width[instance.cls]
    for job in np.lexsort((-size, instance.last - instance.first)).tolist():
        if allowed[job] and placement.fits(job, int(earlier[job])):
            placement.put(job, int(earlier[job]))
        else:
            left.append(job)
    for job in left:
        placement.put(job, placement.find(job))
    return placement
