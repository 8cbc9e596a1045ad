"""Who makes way for jobs that Slurm's order alone would start after their promised latest start.

Law: pure. Only flexible jobs make way, only as far as their own latest start (with its margin) allows, to where
their cost is known and within their own limits, and for jobs that this brings in time; jobs without consent
keep their place in Slurm's order. A job may be spared from being late, none is made late for it. Few make way,
the largest first: who is held leaves room idle when others end sooner than is thought, and a crowd waits for
that room. Whole slots, like every listing; the answer is a placement that fits, not yet the begin times.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from flexlond.planning.dependencies import chains
from flexlond.planning.ranking import run_costs, score_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from flexlond.model.settings import PlanningSettings
    from flexlond.planning.capacity import Blocks
    from flexlond.planning.listing import Listing
    from flexlond.planning.problem import Problem

_GIVERS = (1, 2, 4, 8)  # so many make way at most, tried in turn
_CROWD = 100  # pending jobs above which nobody makes way: a hold idles room that many wait for


def rescued(
    problem: Problem,
    settings: PlanningSettings,
    blocks: Blocks,
    listings: tuple[Listing, Listing],
    order: list[int],
) -> Listing | None:
    """The jobs of `order` (Slurm's) listed so that fewer miss their promise; None: no way.

    `listings` are the one before these jobs had a place, and the one in which nobody makes way.
    """
    empty, asap = listings
    if not len(problem.promised) or not 0 < len(order) <= _CROWD:
        return None
    listed = np.zeros(problem.jobs, np.bool_)
    listed[order] = True
    due = problem.promised - problem.grid.slot_seconds  # a plan errs by a slot
    needy = listed & (asap.start > due) & (problem.promised >= problem.now)
    if not needy.any():
        return None
    place = np.zeros(problem.jobs, np.int64)
    place[order] = np.arange(len(order))
    ready = problem.movable & listed & (chains(problem.jobs, problem.depends) < 0)
    ready &= asap.start <= blocks.latest
    last = int(place[needy].max())
    ready &= ~needy & (place < last)
    capacity = problem.capacity[problem.pool]
    share = blocks.amount[:, : capacity.shape[1]] / np.where(capacity > 0, capacity, np.inf)
    room = share.max(axis=1, initial=0.0) * blocks.hold
    for count in _GIVERS:
        able = np.flatnonzero(ready)
        if not len(able):
            return None
        chosen = able[np.argsort(-room[able], kind="stable")[:count]]
        givers = np.zeros(problem.jobs, np.bool_)
        givers[chosen] = True
        listing = empty.copy()
        listing.first_fit(_behind(order, givers, last))
        stuck = givers & (listing.start > blocks.latest)
        stuck[chosen] |= _may_not_wait(problem, settings, blocks, listing, chosen)
        missed = listed & (listing.start > problem.promised)
        saved = needy & ~missed
        if (
            saved.any()
            and not stuck.any()
            and not (missed & (asap.start <= problem.promised)).any()
        ):
            return listing
        ready &= ~stuck
    return None


def _may_not_wait(
    problem: Problem,
    settings: PlanningSettings,
    blocks: Blocks,
    listing: Listing,
    jobs: NDArray[np.int64],
) -> NDArray[np.bool_]:
    """(n,) which of `jobs` (n,) would wait for a start of unknown cost, or above their own limits."""
    score = score_of(problem.price, problem.carbon, settings)
    start, span = listing.start[jobs], blocks.span[jobs]
    result: NDArray[np.bool_] = np.isnan(
        run_costs(problem.grid, score, blocks.kw[jobs], start, span)
    )
    slot = np.minimum(listing.slot[jobs], problem.grid.count - 1)
    result |= problem.price[slot] > problem.max_price[jobs]
    result |= problem.carbon[slot] > problem.max_carbon[jobs]
    return result


def _behind(order: list[int], givers: NDArray[np.bool_], last: int) -> list[int]:
    """The order with the givers behind the place `last`."""
    front = order[: last + 1]
    give = givers.tolist()
    return [
        *(job for job in front if not give[job]),
        *(job for job in front if give[job]),
        *order[last + 1 :],
    ]
