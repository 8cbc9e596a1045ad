"""The core question on slots: which slot does each movable job take, so that all fit and the sum is least.

Law: pure arrays, whole slots. A job takes its amounts of its constraints in `width` slots from its start;
its cost is scale x its class's rate at that slot. Jobs of one class share width, rate and the ratio of
amounts to scale, so that a step of the dual costs classes x slots, not jobs x slots. A job that is placed
nowhere costs its `beyond`. Two slots of a job may have a cost of their own: its first, in whose middle it may
start (and so reach one slot further), and the one that it has already. Units: GBP, kg CO2, rates per unit of
scale (kW); amounts in the constraint's own unit.
Shapes: n jobs, K classes, S slots, C constraints, A constraints of one class at most.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from flexlond.planning.windows import RangeMin

if TYPE_CHECKING:
    from numpy.typing import NDArray

_LAST_RESORT = 0.99
NOWHERE = -1
"""The choice of a job that is placed nowhere."""
FIRST, KEPT = 0, 1
"""The columns of `special`; `with_safe` adds a third."""


@dataclass(frozen=True, slots=True, eq=False)
class Prices:
    """What room and carbon are worth: the multipliers of the dual, never negative."""

    room: NDArray[np.float64]  # (C, S) GBP per amount and slot
    carbon: float = 0.0  # GBP per kg: the shadow price of the carbon cap


@dataclass(frozen=True, slots=True, eq=False)
class Scalars:
    """Each job's numbers as Python's own, for steps that go job by job."""

    cls: list[int]
    scale: list[float]
    first: list[int]
    last: list[int]
    width: list[int]
    extra: list[int]
    special: list[list[int]]
    special_cost: list[list[float]]
    beyond: list[float]


@dataclass(frozen=True, eq=False)
class Instance:
    """One core question; `index` is padded with the last constraint, which is unbounded."""

    free: NDArray[np.float64]  # (C, S) room; the last row inf
    total: NDArray[
        np.float64
    ]  # (C,) room were nothing taken: what a slot's fullness is measured by
    rate: NDArray[np.float64]  # (K, S) GBP per scale for a start in the slot; inf: not allowed
    co2: NDArray[np.float64]  # (K, S) kg per scale; counted only where there is a cap
    width: NDArray[np.int64]  # (K,) slots
    index: NDArray[np.int64]  # (K, A) constraints
    need: NDArray[np.float64]  # (K, A) amount per scale
    cls: NDArray[np.int64]  # (n,)
    scale: NDArray[np.float64]  # (n,) > 0
    first: NDArray[np.int64]  # (n,) first slot allowed
    last: NDArray[np.int64]  # (n,) last slot allowed; below `first`: none
    beyond: NDArray[np.float64]  # (n,) GBP of being placed nowhere
    special: NDArray[np.int64]  # (n, 2 or 3) slots with a cost of their own; -1 none
    special_cost: NDArray[np.float64]  # (n, 2 or 3) GBP
    extra: NDArray[np.int64]  # (n,) slots more that a start before `first` reaches: 0 or 1
    co2_cap: float = np.inf  # kg of all placed jobs together

    @property
    def jobs(self) -> int:
        """The number of jobs, n."""
        return len(self.cls)

    @property
    def slots(self) -> int:
        """The number of slots, S."""
        return int(self.free.shape[1])

    @property
    def capped(self) -> bool:
        """Whether carbon is bounded."""
        return bool(np.isfinite(self.co2_cap))

    @cached_property
    def amount(self) -> NDArray[np.float64]:
        """(n, A): what each job takes of each of its constraints."""
        return self.scale[:, None] * self.need[self.cls]

    @cached_property
    def scalars(self) -> Scalars:
        """The arrays by job as lists; `width` is the job's own."""
        return Scalars(
            cls=self.cls.tolist(),
            scale=self.scale.tolist(),
            first=self.first.tolist(),
            last=self.last.tolist(),
            width=self.width[self.cls].tolist(),
            extra=self.extra.tolist(),
            special=self.special.tolist(),
            special_cost=self.special_cost.tolist(),
            beyond=self.beyond.tolist(),
        )

    @cached_property
    def windows(self) -> RangeMin:
        """The search of each job's best slot inside its window."""
        return RangeMin(self.cls, self.first, self.last, *self.rate.shape)

    @cached_property
    def taken(self) -> NDArray[np.int64]:
        """The columns of `index` in which any class takes something."""
        columns: NDArray[np.int64] = np.flatnonzero(self.need.any(axis=0))
        return columns

    @cached_property
    def bounded(self) -> NDArray[np.int64]:
        """The constraints with a bound that any job takes."""
        if not self.jobs:
            return np.zeros(0, np.int64)
        rows = np.unique(self.index[np.unique(self.cls)])
        return rows[np.isfinite(self.free[rows]).all(axis=1)]

    @cached_property
    def typical(self) -> NDArray[np.float64]:
        """(B,) the usual room of each bounded constraint: the unit of its overload."""
        if not len(self.bounded):
            return np.ones(0)
        room: NDArray[np.float64] = np.median(np.maximum(self.free[self.bounded], 0), axis=1)
        return np.maximum(np.where(room > 0, room, self.free[self.bounded].max(axis=1)), 1e-9)

    @cached_property
    def unit(self) -> NDArray[np.float64]:
        """(B,) GBP per amount and slot by which slots differ: the unit of each constraint's price."""
        spread = 0.0
        rows = np.unique(self.cls)
        with np.errstate(invalid="ignore"):
            known = np.isfinite(self.rate[rows])
            per_slot = np.where(known, self.rate[rows], 0.0) / self.width[rows, None]
            count = np.maximum(known.sum(axis=1), 1)
            mean = per_slot.sum(axis=1) / count
            deviation = np.where(known, per_slot - mean[:, None], 0.0)
            spread = float(np.sqrt((deviation**2).sum(axis=1) / count).mean()) if len(rows) else 0.0
        most = [float(self.need[self.index == row].max(initial=0.0)) for row in self.bounded]
        unit: NDArray[np.float64] = max(spread, 1e-9) / np.maximum(np.array(most), 1e-12)
        return unit

    def cost_at(self, jobs: NDArray[np.int64], slot: NDArray[np.int64]) -> NDArray[np.float64]:
        """GBP of `jobs` at `slot` (NOWHERE: beyond)."""
        there = np.clip(slot, 0, self.slots - 1)
        cost = self.scale[jobs] * self.rate[self.cls[jobs], there]
        for which in range(self.special.shape[1]):
            own = (self.special[jobs, which] == slot) & (slot >= 0)
            cost = np.where(own, self.special_cost[jobs, which], cost)
        result: NDArray[np.float64] = np.where(slot < 0, self.beyond[jobs], cost)
        return result

    def co2_at(self, jobs: NDArray[np.int64], slot: NDArray[np.int64]) -> NDArray[np.float64]:
        """Kg of `jobs` at `slot`; 0 for NOWHERE."""
        kg = self.scale[jobs] * self.co2[self.cls[jobs], np.maximum(slot, 0)]
        result: NDArray[np.float64] = np.where(slot < 0, 0.0, kg)
        return result

    def objective(self, slot: NDArray[np.int64]) -> float:
        """GBP of a whole placement (n,)."""
        return float(self.cost_at(np.arange(self.jobs), slot).sum())

    def reach(self, jobs: NDArray[np.int64], slot: NDArray[np.int64]) -> NDArray[np.int64]:
        """The slot after the last one that `jobs` take from `slot`, at most S."""
        further = np.where(slot < self.first[jobs], self.extra[jobs], 0)
        end: NDArray[np.int64] = slot + self.width[self.cls[jobs]] + further
        return np.minimum(end, self.slots)

    def usage(self, jobs: NDArray[np.int64], slot: NDArray[np.int64]) -> NDArray[np.float64]:
        """(C, S): what `jobs` at `slot` take."""
        constraints, slots = self.free.shape
        placed = slot >= 0
        if not placed.all():
            jobs, slot = jobs[placed], slot[placed]
        cls, columns = self.cls[jobs, None], self.taken
        row = self.index[cls, columns] * (slots + 1)
        weight = (self.scale[jobs, None] * self.need[cls, columns]).ravel()
        begin = (row + slot[:, None]).ravel()
        end = (row + self.reach(jobs, slot)[:, None]).ravel()
        size = constraints * (slots + 1)
        step = np.bincount(begin, weight, size) - np.bincount(end, weight, size)
        used: NDArray[np.float64] = step.reshape(constraints, slots + 1).cumsum(axis=1)[:, :slots]
        return used

    def worth(
        self, prices: Prices, classes: NDArray[np.int64] | slice = slice(None)
    ) -> NDArray[np.float64]:
        """(K, S) GBP per scale: the price of room and carbon of a start in each slot, of `classes`."""
        constraints, slots = prices.room.shape
        total = np.zeros((constraints, slots + 1))
        np.cumsum(prices.room, axis=1, out=total[:, 1:])
        index, need = self.index[classes], self.need[classes]
        end = np.minimum(np.arange(slots)[None, :] + self.width[classes, None], slots)
        worth = np.zeros(end.shape)
        if prices.carbon:
            worth += prices.carbon * self.co2[classes]
        for column in self.taken.tolist():
            rows = index[:, column]
            part = total[rows[:, None], end]
            part -= total[rows, :slots]
            part *= need[:, column, None]
            worth += part
        return worth

    def best(
        self, prices: Prices, jobs: NDArray[np.int64] | None = None
    ) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """The slot of least cost and price together, and that sum, of `jobs` (all when None)."""
        chosen = np.arange(self.jobs) if jobs is None else jobs
        scale = self.scale[chosen]
        if jobs is not None and 2 * len(jobs) < len(self.width):
            # Fewer jobs than classes: only these jobs' rows.
            worth = self.worth(prices, self.cls[jobs])
            slot, value = self.windows.of_rows(self.rate[self.cls[jobs]] + worth, jobs)
            cls = np.arange(len(jobs))
        else:
            worth = self.worth(prices)
            slot, value = self.windows.query(self.rate + worth, jobs)
            cls = self.cls[chosen]
        value = value * scale
        for which in range(self.special.shape[1]):
            own = self.special[chosen, which]
            rows = np.flatnonzero(own >= 0)
            if not len(rows):
                continue
            own, mine, cost = own[rows], chosen[rows], self.special_cost[chosen[rows], which]
            price = worth[cls[rows], own] + self._further(mine, which, prices)
            cost = cost + scale[rows] * price
            # The first slot is outside the window: what it costs is known only here.
            better = np.flatnonzero(cost <= value[rows])
            value[rows[better]] = cost[better]
            slot[rows[better]] = own[better]
        nowhere = self.beyond[chosen] < value
        return np.where(nowhere, NOWHERE, slot), np.where(nowhere, self.beyond[chosen], value)

    @cached_property
    def _end_of_more(self) -> NDArray[np.int64]:
        """(n, 2 or 3) the slot more that a start in the middle of the job's own slot reaches; -1 none."""
        end = self.special + self.width[self.cls][:, None]
        reaches = (self.extra[:, None] > 0) & (self.special < self.first[:, None])
        return np.where(reaches & (self.special >= 0) & (end < self.slots), end, -1)

    def _further(self, jobs: NDArray[np.int64], which: int, prices: Prices) -> NDArray[np.float64]:
        """GBP per scale of the slot more that a start in the middle of an own slot reaches."""
        result = np.zeros(len(jobs))
        end = self._end_of_more[jobs, which]
        rows = np.flatnonzero(end >= 0)
        if len(rows):
            cls, end = self.cls[jobs[rows]], end[rows]
            more = np.zeros(len(rows))
            for column in self.taken.tolist():
                more += prices.room[self.index[cls, column], end] * self.need[cls, column]
            result[rows] = more
        return result

    def with_safe(self, slot: NDArray[np.int64]) -> Instance:
        """The same question in which every job may take its `slot` (n,) as well, whatever that costs.

        Where its cost is unknown there, or it should wait, it is only just better than being nowhere.
        """
        cost = self.cost_at(np.arange(self.jobs), slot)
        inside = (slot >= self.first) & (slot <= self.last) & np.isfinite(cost)
        own = (self.special == slot[:, None]).any(axis=1)
        cost = np.where(np.isfinite(cost), cost, _LAST_RESORT * self.beyond)
        needed = ~inside & ~own
        return replace(
            self,
            special=np.column_stack([self.special, np.where(needed, slot, -1)]),
            special_cost=np.column_stack([self.special_cost, np.where(needed, cost, np.inf)]),
        )

    def part(self, jobs: NDArray[np.int64], room: float) -> Instance:
        """The same question for some `jobs` only, with `room` (a share) of the room and of the cap."""
        return replace(
            self,
            free=self.free * room,
            cls=self.cls[jobs],
            scale=self.scale[jobs],
            first=self.first[jobs],
            last=self.last[jobs],
            beyond=self.beyond[jobs],
            special=self.special[jobs],
            special_cost=self.special_cost[jobs],
            extra=self.extra[jobs],
            co2_cap=self.co2_cap * room,
        )
