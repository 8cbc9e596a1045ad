"""The site's power cap: whom it binds, what is left for them, and who must be let through.

Law: consent > latest start > ramp cap > window > price. Slurm knows of no cap on power: a job that we do not
hold starts as soon as there is room on the nodes. So jobs without consent, those that are not deferred for any
other reason, and what runs take their power whatever the cap says; flexible jobs share what they leave. A
flexible job whose latest start leaves it no place under the cap is let through, where it adds the least to what
is above it. kW, in whole slots, as long as a job's room is kept. Decides no price and no second inside a slot.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from flexlond.planning.capacity import Blocks, Timeline
from flexlond.planning.listing import Listing

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from flexlond.planning.problem import Problem
    from flexlond.planning.question import Question

_ROUNDS = 10  # in which those without a place are let through; after them the cap binds nobody
_SHARE = 1e-4  # kW x slots that make no difference to where a job is let through


@dataclass(frozen=True, slots=True, eq=False)
class Share:
    """The question that is left for those whom the cap binds."""

    problem: Problem  # its cap is what the others leave
    blocks: Blocks  # the others take no power
    safe: Listing  # everyone somewhere, those whom the cap binds under it
    uncapped: NDArray[np.bool_]  # (J,) the others
    pressed: NDArray[np.int64]  # (m,) of the others: held, but over the cap for their latest start
    taken: NDArray[np.float64]  # (S,) kW of the others


@dataclass(frozen=True, slots=True, eq=False)
class Standing:
    """Who could be deferred, before power is looked at. Shapes (J,)."""

    core: NDArray[np.bool_]  # may be held
    kept: NDArray[np.bool_]  # keeps the begin time in force
    chain: NDArray[np.int64]  # tied by dependencies; -1 to none
    fixed: NDArray[np.int64]  # (n,) jobs that were placed before
    question: Question  # about all movable jobs
    row: NDArray[np.int64]  # the job's row in it; -1 for others

    def allowed(self, job: int) -> NDArray[np.bool_]:
        """(S,) the slots into which `job` may be held: its window, known costs, its own limits."""
        instance, row = self.question.instance, int(self.row[job])
        slots = np.arange(instance.slots)
        may: NDArray[np.bool_] = np.isfinite(instance.rate[instance.cls[row]])
        may &= (slots >= instance.first[row]) & (slots <= instance.last[row])
        own = instance.special[row]
        may[own[own >= 0]] = True
        return may

    def may_wait(self, slot: NDArray[np.int64]) -> NDArray[np.bool_]:
        """(J,) whether `slot` (J,) is one of those, for all movable jobs at once."""
        instance = self.question.instance
        jobs = self.question.jobs
        at = slot[jobs]
        there = np.clip(at, 0, instance.slots - 1)
        may = np.isfinite(instance.rate[instance.cls, there])
        may &= (at >= instance.first) & (at <= instance.last)
        may |= (instance.special == at[:, None]).any(axis=1)
        result = np.zeros(len(self.row), np.bool_)
        result[jobs] = may
        return result


def is_capped(problem: Problem) -> bool:
    """Whether any slot has a power cap."""
    return bool(np.isfinite(problem.site_kw).any())


def powerless(blocks: Blocks, jobs: NDArray[np.bool_]) -> Blocks:
    """The same blocks, of which `jobs` (J,) take no power."""
    amount = blocks.amount.copy()
    amount[jobs, -1] = 0.0
    return replace(blocks, amount=amount)


def power_of(
    problem: Problem, blocks: Blocks, jobs: NDArray[np.bool_], start: NDArray[np.int64]
) -> NDArray[np.float64]:
    """(S,) kW of `jobs` (J,) from `start` (J,), in whole slots for as long as their room is kept."""
    grid = problem.grid
    chosen = jobs & (start > 0)
    first = (start[chosen] - grid.start) // grid.slot_seconds
    end = np.ceil((start[chosen] + blocks.hold[chosen] - grid.start) / grid.slot_seconds)
    first = np.clip(first, 0, grid.count)
    last = np.clip(end.astype(np.int64), first, grid.count)
    kw = blocks.step_kw[chosen]
    step = np.bincount(first, kw, grid.count + 1) - np.bincount(last, kw, grid.count + 1)
    power: NDArray[np.float64] = np.cumsum(step)[: grid.count]
    return power


def share(
    problem: Problem,
    blocks: Blocks,
    standing: Standing,
    *,
    start: NDArray[np.int64],
    order: list[int],
) -> Share:
    """Divide the cap. `start` (J,) is where those whom it does not bind are expected; `order` is Slurm's."""
    jobs = problem.jobs
    uncapped, soonest, start = ~standing.core, start, start.copy()
    start[standing.kept] = problem.current[standing.kept]
    pressed = np.zeros(jobs, np.bool_)
    soonest_slot = (soonest - problem.grid.start) // problem.grid.slot_seconds
    for left in reversed(range(_ROUNDS + 1)):
        taken = power_of(problem, blocks, uncapped, start)
        tight = replace(problem, site_kw=problem.site_kw - taken)
        loose = powerless(blocks, uncapped)
        safe = Listing(tight, loose, Timeline(tight, loose))
        first = np.concatenate([standing.fixed, np.flatnonzero(pressed)])
        safe.adopt(first, start[first])
        _keep_in_time(safe, uncapped & (safe.start == 0) & (soonest <= blocks.latest), soonest)
        placed = safe.start > 0
        safe.first_fit(job for job in order if not placed[job])
        waits = safe.slot > soonest_slot
        nowhere = (safe.slot >= problem.grid.count) | (waits & ~standing.may_wait(safe.slot))
        late = ~uncapped & (nowhere | (safe.start > blocks.latest))
        if not late.any():
            break
        tied = np.isin(standing.chain, standing.chain[late]) & (standing.chain >= 0)
        start = np.where(pressed | standing.kept, start, safe.start)
        start[late | tied] = soonest[late | tied]
        if left > 1:
            uncapped |= late | tied
            _let_through(tight, loose, standing, safe, jobs=late & ~tied, places=(start, pressed))
        else:
            uncapped[:] = True
    return Share(tight, loose, safe, uncapped, np.flatnonzero(pressed), taken)


def excess(
    problem: Problem,
    blocks: Blocks,
    uncapped: NDArray[np.bool_],
    start: NDArray[np.int64],
) -> tuple[float, float]:
    """(kW x slots above the cap; those of them that flexible jobs could still leave) when all go at `start`."""
    others = power_of(problem, blocks, uncapped, start)
    flexible = power_of(problem, blocks, ~uncapped, start)
    there = Timeline(problem, powerless(blocks, np.ones(problem.jobs, np.bool_))).free[-2]
    over = np.maximum(others + flexible - there, 0.0)
    over = np.where(np.isfinite(problem.site_kw), over, 0.0)
    return float(over.sum()), float(np.minimum(over, flexible).sum())


def _keep_in_time(safe: Listing, jobs: NDArray[np.bool_], start: NDArray[np.int64]) -> None:
    """Leave those of `jobs` with a latest start their place: what is deferred may not push them past it."""
    bound = np.flatnonzero(jobs & safe.bound & (start > 0))
    for job in bound[np.argsort(start[bound], kind="stable")].tolist():
        safe.place_if_free(job, int(start[job]))


def _let_through(
    tight: Problem,
    loose: Blocks,
    standing: Standing,
    safe: Listing,
    *,
    jobs: NDArray[np.bool_],
    places: tuple[NDArray[np.int64], NDArray[np.bool_]],
) -> None:
    """Give each of `jobs` the slot in which it adds least to what is above the cap; the first one of these.

    Writes into `places`: (start, pressed), and takes all power from `safe`, which is made anew after it. Who
    finds no room in time keeps its start and is not held.
    """
    start, pressed = places
    grid = tight.grid
    left = Timeline(tight, powerless(loose, np.ones(tight.jobs, np.bool_))).free[-2].copy()
    left[~np.isfinite(tight.site_kw)] = np.inf
    slots = np.arange(grid.count)
    safe.timeline.free[-2] = np.inf
    chosen = np.flatnonzero(jobs)
    for job in chosen[np.lexsort((chosen, loose.latest[chosen]))].tolist():
        safe.take_out(np.array([job]))
        first, floor = safe.floor(job)
        fits = safe.timeline.feasible(job, first, floor) & standing.allowed(job)
        if not fits.any():
            safe.first_fit((job,))
            continue
        kw = float(loose.step_kw[job])
        over = np.clip(kw - np.maximum(left, 0.0), 0.0, kw)
        total = np.concatenate([[0.0], np.cumsum(over)])
        width = safe.timeline.width(job, 0, grid.start)
        added = np.where(fits, total[np.minimum(slots + width, grid.count)] - total[:-1], np.inf)
        slot = int((added <= added.min() + _SHARE * kw).argmax())
        now_at = int((tight.current[job] - grid.start) // grid.slot_seconds)
        in_force = tight.current[job] > tight.now and 0 <= now_at < grid.count
        if in_force and added[now_at] <= added[slot] + _SHARE * kw:
            slot = now_at
        safe.place(job, slot, max(floor, grid.slot_start(slot)))
        start[job], pressed[job] = safe.start[job], True
        left[slot : slot + width] -= kw
