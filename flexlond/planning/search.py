"""Large-neighbourhood search: take a few jobs out, put them back better, for as long as the budget lasts.

Law: every accepted step costs no more than what it replaces and keeps room and carbon cap, so the search can
be stopped at any moment; deterministic for a given generator and number of steps. Neighbourhoods are jobs that
run at about the same time, jobs without a place first; their order and the weight of the prices vary at random.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from flexlond.planning.instance import NOWHERE

if TYPE_CHECKING:
    from collections.abc import Callable

    from flexlond.planning.room import Placement

_LEAST, _MOST = 3, 20  # jobs taken out at once
_NEAR = 0.8  # share of the neighbourhoods that lie close in time
_SPAN = 8  # slots of such a neighbourhood at most
_WEIGHT = 1.5  # of the prices at most


def search(
    placement: Placement,
    *,
    steps: int,
    enough: float,
    go_on: Callable[[], bool],
    rng: np.random.Generator,
    keep_placed: bool = False,
) -> int:
    """Improve `placement` in at most `steps` steps, until its objective is `enough` or `go_on` says no.

    With `keep_placed` nobody who has a place loses it. Returns the steps made.
    """
    instance = placement.instance
    if instance.jobs < 1:
        return 0
    finite = np.isfinite(instance.rate)
    worth = np.where(finite, placement.worth, 0.0)
    size = instance.amount.max(axis=1)
    width = instance.width[instance.cls]
    objective = placement.objective
    cap = instance.co2_cap
    for step in range(steps):
        if objective <= enough or not go_on():
            return step
        chosen = _neighbourhood(placement, width, rng)
        before = {job: int(placement.slot[job]) for job in chosen}
        cost, carbon = float(placement.cost[chosen].sum()), placement.co2
        for job in chosen:
            placement.out(job)
        priced = instance.rate + worth * rng.uniform(0, _WEIGHT)
        urge = size[chosen] * rng.uniform(0.5, 1.5, len(chosen))
        order = [chosen[place] for place in np.argsort(-urge, kind="stable").tolist()]
        spent, put = 0.0, 0
        for job in order:
            placement.put(job, placement.find(job, priced))
            put += 1
            spent += float(placement.cost[job])
            lost = keep_placed and placement.slot[job] == NOWHERE != before[job]
            if lost or spent > cost + 1e-9:
                spent = np.inf
                break
        within = placement.co2 <= max(cap, carbon) + 1e-9
        if put == len(order) and spent <= cost + 1e-9 and within:
            objective += spent - cost
            continue
        for job in order[:put]:
            placement.out(job)
        for job in order:
            placement.put(job, before[job])
        placement.co2 = carbon
    return steps


def _neighbourhood(
    placement: Placement,
    width: np.ndarray[tuple[int], np.dtype[np.int64]],
    rng: np.random.Generator,
) -> list[int]:
    """Some jobs, each once."""
    slot = placement.slot
    many = int(rng.integers(_LEAST, _MOST))
    if rng.random() < _NEAR:
        begin = int(rng.integers(0, placement.instance.slots))
        end = begin + int(rng.integers(1, _SPAN))
        near = np.flatnonzero(((slot < end) & (slot + width > begin)) | (slot == NOWHERE))
        if len(near):
            return list(dict.fromkeys(near[rng.integers(0, len(near), many)].tolist()))
    return list(dict.fromkeys(rng.integers(0, len(slot), many).tolist()))
