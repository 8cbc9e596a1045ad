"""From a Problem to the core question on slots: classes of like jobs, their rates, windows and own slots.

Law: rates are energy x score (price + carbon price x intensity) plus the price of delay (by job, whatever its
size) since the grid's start, by the second; a start is its slot's start, but in the job's first slot its
earliest moment. Not allowed (inf): a slot whose start would be after the latest start once spread, a run over
unknown signals, a slot above the job's own max-price or max-carbon (that mask is lifted where it would leave no
slot). Leaving the first slot, or the begin time it has, costs `min_benefit` of the job's cost: that is the
threshold below which nothing is changed. The delay before a job's earliest moment counts for nobody: `offset`
takes it off.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from flexlond.planning.capacity import columns_of
from flexlond.planning.instance import FIRST, KEPT, Instance
from flexlond.planning.ranking import group_of, run_costs, scored_runs, scores_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from flexlond.model.settings import PlanningSettings
    from flexlond.planning.capacity import Blocks
    from flexlond.planning.problem import Problem

_BEYOND = 4.0  # times the dearest slot: what being placed nowhere costs
_DIGITS = 12  # to which ratios are alike
_DAY = 86400.0


@dataclass(frozen=True, slots=True, eq=False)
class Question:
    """The core question about some jobs of a problem, row k for job `jobs[k]`."""

    jobs: NDArray[np.int64]  # (n,)
    instance: Instance
    earliest: NDArray[np.int64]  # (n,) first moment, epoch seconds
    first: NDArray[np.int64]  # (n,) slot of the earliest moment
    first_cost: NDArray[
        np.float64
    ]  # (n,) GBP of starting there, without the threshold; NaN unknown
    typical: NDArray[np.float64]  # (n,) GBP of the job's energy at the mean score
    limited: NDArray[np.bool_]  # (n,) slots are masked by max-price or max-carbon
    before: NDArray[np.float64]  # (n,) GBP of delay before the earliest moment, in all costs

    @property
    def offset(self) -> float:
        """GBP to take off the instance's objective and bound."""
        return float(self.before.sum())

    def has_choice(self) -> NDArray[np.bool_]:
        """(n,) whether a job has a slot to wait for, and a known cost where it would not."""
        least = self.instance.windows.query(self.instance.rate)[1]
        result: NDArray[np.bool_] = np.isfinite(least)
        return result

    def part(self, rows: NDArray[np.int64], free: NDArray[np.float64]) -> Question:
        """The question about some rows in other room."""
        return Question(
            self.jobs[rows],
            replace(self.instance.part(rows, 1.0), free=free),
            self.earliest[rows],
            self.first[rows],
            self.first_cost[rows],
            self.typical[rows],
            self.limited[rows],
            self.before[rows],
        )

    def from_by_itself(self, slot: NDArray[np.int64], share: float) -> Question:
        """The question in which nobody is placed before `slot` (n,), in which he starts if nobody is held.

        It is deferral that is asked about: who is deferred leaves room, and who then comes sooner does so by
        himself. That slot costs `share` of the job's cost less, as the first one does; where what it costs is
        not known, and for a begin time in force before it, nothing is changed.
        """
        instance = self.instance
        at = np.clip(slot, 0, instance.slots - 1)
        gbp = instance.scale * instance.rate[instance.cls, at]
        kept = instance.special[:, KEPT]
        held = kept >= 0
        later = (slot > self.first) & (slot <= instance.last) & np.isfinite(gbp)
        later &= ~self.limited & ~(held & (kept < slot))
        gbp = np.where(later, gbp, 0.0)
        gbp -= np.where(held, 0.0, _threshold(share, gbp, self.typical))
        special, special_cost = instance.special.copy(), instance.special_cost.copy()
        special[:, FIRST] = np.where(later, np.where(slot == kept, -1, slot), special[:, FIRST])
        special_cost[:, FIRST] = np.where(later, gbp, special_cost[:, FIRST])
        return replace(
            self,
            instance=replace(
                instance,
                first=np.where(later, slot + 1, instance.first),
                special=special,
                special_cost=special_cost,
                extra=np.where(later, 0, instance.extra),
            ),
        )

    def not_before(self, slot: int, start: int) -> Question:
        """The question of a single job that waits for another one until `start`, the start of `slot`."""
        instance = self.instance
        at = min(slot, instance.slots - 1)
        cost = float(instance.scale[0] * instance.rate[instance.cls[0], at])
        allowed = slot <= int(instance.last[0]) and np.isfinite(cost)
        special = instance.special.copy()
        special_cost = instance.special_cost.copy()
        special[0, FIRST], special_cost[0, FIRST] = (slot, cost) if allowed else (-1, np.inf)
        if special[0, KEPT] < slot:
            special[0, KEPT], special_cost[0, KEPT] = -1, np.inf
        return replace(
            self,
            instance=replace(
                instance,
                first=np.array([slot + 1]),
                special=special,
                special_cost=special_cost,
                extra=np.zeros(1, np.int64),
            ),
            earliest=np.array([start]),
            first=np.array([slot]),
            first_cost=np.array([cost if allowed else np.nan]),
        )


def ask(
    problem: Problem,
    settings: PlanningSettings,
    blocks: Blocks,
    jobs: NDArray[np.int64],
    free: NDArray[np.float64],
) -> Question:
    """The question about `jobs` in the room `free` (C, S), in the order of capacity.columns_of."""
    grid = problem.grid
    kw, span, hold = blocks.kw[jobs], blocks.span[jobs], blocks.hold[jobs]
    scale = np.where(kw > 0, kw, 1.0)
    earliest = np.maximum(problem.earliest[jobs], problem.now)
    first = (earliest - grid.start) // grid.slot_seconds
    lead = int(settings.spread * grid.slot_seconds)
    # A job that may wait minutes only is spread over as little as that allows.
    leads = np.clip((blocks.latest[jobs] - earliest) // 4, 0, lead)
    last = (blocks.latest[jobs] - leads - grid.start) // grid.slot_seconds
    last = np.minimum(last, grid.count - 1)
    limits = _limits_in_force(problem, jobs, first, last)
    ratio = np.round(blocks.amount[jobs] / scale[:, None], _DIGITS)
    weight = np.round(problem.delay_weight[jobs] / scale, _DIGITS)
    width = np.maximum(1, np.ceil(hold / grid.slot_seconds)).astype(np.int64)
    group = group_of(problem, jobs)
    key = np.column_stack(
        [problem.pool[jobs], span, width, kw / scale, weight, limits, group, ratio]
    )
    _, sample, cls = np.unique(key, axis=0, return_index=True, return_inverse=True)
    rate, co2 = _rates(problem, settings, key[sample])
    index, need = _needs(problem, key[sample, 0].astype(np.int64), ratio[sample])
    delay = settings.delay_price * problem.delay_weight[jobs] / _DAY
    scores = scores_of(problem, settings)
    known = np.abs(scores[np.isfinite(scores)])
    typical = kw * span / 3.6e6 * (float(known.mean()) if known.size else 0.0)
    special, special_cost = _own_slots(
        problem, settings, blocks, (jobs, first, delay, typical, limits)
    )
    cls = cls.ravel()
    reach = np.ceil((earliest - grid.start + hold) / grid.slot_seconds).astype(np.int64)
    instance = Instance(
        free=free,
        total=columns_of(problem)[1],
        rate=rate,
        co2=co2,
        width=key[sample, 2].astype(np.int64),
        index=index,
        need=need,
        cls=cls,
        scale=scale,
        first=first + 1,
        last=last,
        beyond=_beyond(rate, cls, scale, special_cost, typical),
        special=special,
        special_cost=special_cost,
        extra=np.clip(reach - first - width, 0, 1),
        co2_cap=problem.co2_cap_kg,
    )
    first_cost = scored_runs(grid, scores, group, (kw, earliest, span))
    first_cost += delay * (earliest - grid.start)
    # Costs run from the grid's start, so that like jobs share a rate.
    before = delay * (earliest - grid.start)
    limited: NDArray[np.bool_] = np.asarray(np.isfinite(limits).any(axis=1), np.bool_)
    return Question(jobs, instance, earliest, first, first_cost, typical, limited, before)


def _threshold(
    share: float, gbp: NDArray[np.float64], typical: NDArray[np.float64]
) -> NDArray[np.float64]:
    """(n,) GBP that a change must save: `share` of the cost, of a tenth of a typical one at least."""
    result: NDArray[np.float64] = share * np.maximum(np.abs(gbp), 0.1 * typical)
    return result


def _limits_in_force(
    problem: Problem,
    jobs: NDArray[np.int64],
    first: NDArray[np.int64],
    last: NDArray[np.int64],
) -> NDArray[np.float64]:
    """(n, 2) each job's (max price, max carbon), inf where none or where it would leave no slot."""
    limits = np.column_stack([problem.max_price[jobs], problem.max_carbon[jobs]])
    limits = np.where(np.isfinite(limits), limits, np.inf)
    for row in np.flatnonzero(np.isfinite(limits).any(axis=1)).tolist():
        window = slice(max(0, int(first[row])), max(int(first[row]), int(last[row])) + 1)
        allowed = np.ones(len(problem.price[window]), np.bool_)
        for which, values in enumerate((problem.price, problem.carbon)):
            if np.isfinite(limits[row, which]):
                under = allowed & (values[window] <= limits[row, which])
                if under.any():
                    allowed = under
                else:
                    limits[row, which] = np.inf
    return limits


def _rates(
    problem: Problem, settings: PlanningSettings, kinds: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """(K, S) GBP and kg per unit of scale for a start at each slot's start; `kinds` are rows of the key."""
    grid = problem.grid
    classes = len(kinds)
    _, span, _, power, weight, max_price, max_carbon, group = kinds[:, :8].T
    start = np.tile(grid.starts(), classes)
    spans, powers = np.repeat(span, grid.count), np.repeat(power, grid.count)
    groups = np.repeat(group.astype(np.int64), grid.count)
    scores = scores_of(problem, settings)
    cost = scored_runs(grid, scores, groups, (powers, start, spans)).reshape(classes, grid.count)
    delay = settings.delay_price * weight / _DAY
    cost += delay[:, None] * (grid.starts() - grid.start)
    rate = np.where(np.isfinite(cost), cost, np.inf)
    for values, limit in ((problem.price, max_price), (problem.carbon, max_carbon)):
        rate[np.isfinite(limit)[:, None] & ~(values[None, :] <= limit[:, None])] = np.inf
    if not np.isfinite(problem.co2_cap_kg):
        return rate, np.zeros(rate.shape)
    kg = run_costs(grid, problem.carbon, powers, start, spans).reshape(classes, grid.count)
    rate[~np.isfinite(kg)] = np.inf  # what cannot be counted cannot be placed under a cap
    return rate, np.where(np.isfinite(kg), kg, 0.0)


def _needs(
    problem: Problem, pool: NDArray[np.int64], ratio: NDArray[np.float64]
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """(K, A) constraint indices and amounts per unit of scale."""
    columns, total = columns_of(problem)
    index = columns[pool]
    taken = (ratio > 0) & (index < len(total) - 1)
    return np.where(taken, index, len(total) - 1), np.where(taken, ratio, 0.0)


def _own_slots(
    problem: Problem,
    settings: PlanningSettings,
    blocks: Blocks,
    rows: tuple[
        NDArray[np.int64],
        NDArray[np.int64],
        NDArray[np.float64],
        NDArray[np.float64],
        NDArray[np.float64],
    ],
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """(n, 2) the first slot and the one of the begin time in force, and what they cost: (slot, GBP)."""
    jobs, first, delay, typical, limits = rows
    grid = problem.grid
    scores, group = scores_of(problem, settings), group_of(problem, jobs)
    earliest = np.maximum(problem.earliest[jobs], problem.now)
    current = problem.current[jobs]
    special = np.full((len(jobs), 2), -1, np.int64)
    cost = np.full((len(jobs), 2), np.inf)
    held = (current > problem.now) & (current >= earliest) & (current <= blocks.latest[jobs])
    kept = (current - grid.start) // grid.slot_seconds
    held &= kept < grid.count
    for which, at, slot, allowed in (
        (FIRST, earliest, first, (first < grid.count) & (earliest <= blocks.latest[jobs])),
        (KEPT, current, kept, held),
    ):
        # Every start inside a slot is valued at the slot's start: spreading is no reason to change.
        later = slot > first
        there = np.where(allowed, np.where(later, grid.start + slot * grid.slot_seconds, at), at)
        there = np.where(allowed, there, grid.start)
        gbp = scored_runs(grid, scores, group, (blocks.kw[jobs], there, blocks.span[jobs]))
        gbp += delay * (there - grid.start)
        stay = _threshold(settings.min_benefit, gbp, typical)
        gbp = gbp - np.where(held == (which == KEPT), stay, 0.0)
        possible = allowed & np.isfinite(gbp)
        if which == FIRST:
            at_first = np.clip(slot, 0, grid.count - 1)
            for values, limit in zip((problem.price, problem.carbon), limits.T, strict=True):
                possible &= np.isinf(limit) | (values[at_first] <= limit)
        special[:, which] = np.where(possible, slot, -1)
        cost[:, which] = np.where(possible, gbp, np.inf)
    return special, cost


def _beyond(
    rate: NDArray[np.float64],
    cls: NDArray[np.int64],
    scale: NDArray[np.float64],
    special_cost: NDArray[np.float64],
    typical: NDArray[np.float64],
) -> NDArray[np.float64]:
    """(n,) GBP of being placed nowhere: more than any slot, and more the larger the job."""
    dearest = np.where(np.isfinite(rate), np.abs(rate), 0.0).max(axis=1, initial=0.0)[cls] * scale
    own = np.where(np.isfinite(special_cost), np.abs(special_cost), 0.0).max(axis=1, initial=0.0)
    most: NDArray[np.float64] = np.maximum.reduce([dearest, own, typical])
    return _BEYOND * most + 1e-6
