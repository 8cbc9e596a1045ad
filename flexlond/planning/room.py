"""A placement that keeps the room: jobs are put in, taken out and put where they cost least and fit.

Law: room is only ever taken where it is free, so a placement that keeps the constraints keeps them whatever is
done to it here; `repair` makes one of a placement that does not. Past the end of the grid there is no bound.
"""

from __future__ import annotations

from copy import copy
from typing import TYPE_CHECKING

import numpy as np

from flexlond.planning.instance import FIRST, NOWHERE, Prices
from flexlond.planning.problem import Reason

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from flexlond.planning.instance import Instance

EPSILON = 1e-6
_DEARER = (1.0, 1.05, 1.2, 1.5, 2.0, 4.0, 16.0, 1e3)
_ADMISSIONS = (
    200  # jobs without a place for which room is made at once; the search sees to the others
)


class Placement:
    """Who is where, and what room that leaves."""

    def __init__(self, instance: Instance, prices: Prices) -> None:
        """Empty; `prices` guide `find`."""
        self.instance = instance
        self._scalars = instance.scalars
        self.slot = np.full(instance.jobs, NOWHERE, np.int64)
        self.cost = instance.beyond.copy()  # (n,) GBP
        longest = int(instance.width.max(initial=1)) + 1
        self.free = np.pad(instance.free, ((0, 0), (0, longest)), constant_values=np.inf)
        self._rows = list(self.free)  # views: one job touches few of them
        self.co2 = 0.0
        self._needs: list[list[tuple[int, float]]] = [
            [(int(row), float(need)) for row, need in zip(rows, needs, strict=True) if need > 0]
            for rows, needs in zip(instance.index, instance.need, strict=True)
        ]
        bounded = set(instance.bounded.tolist())
        self._needs = [[pair for pair in pairs if pair[0] in bounded] for pairs in self._needs]
        self._totals: list[float] = np.maximum(instance.total, EPSILON).tolist()
        self._size = instance.amount.max(axis=1, initial=0.0) * instance.width[instance.cls]
        self._special = bool((instance.special >= 0).any())
        self.worth = np.zeros(instance.rate.shape)
        self.reprice(prices)

    def copy(self) -> Placement:
        """The same placement, to go on from differently."""
        other = copy(self)
        other.slot, other.cost, other.free = self.slot.copy(), self.cost.copy(), self.free.copy()
        other._rows = list(other.free)  # noqa: SLF001 - our own class
        return other

    def reprice(self, prices: Prices) -> None:
        """Other prices for `find`."""
        self._prices = prices
        self.worth = self.instance.worth(prices)
        self.priced = self.instance.rate + self.worth

    def adopt(self, slot: NDArray[np.int64]) -> None:
        """Take over a whole placement, whether it fits or not."""
        everyone = np.arange(self.instance.jobs)
        self.slot = slot.copy()
        self.cost = self.instance.cost_at(everyone, slot)
        self.free[:, : self.instance.slots] = self.instance.free - self.instance.usage(
            everyone, slot
        )
        self.co2 = float(self.instance.co2_at(everyone, slot).sum())

    @property
    def objective(self) -> float:
        """GBP."""
        return float(self.cost.sum())

    def put(self, job: int, slot: int) -> None:
        """Place `job` (which has no place) at `slot`, or nowhere."""
        scalars = self._scalars
        self.slot[job] = slot
        if slot == NOWHERE:
            self.cost[job] = scalars.beyond[job]
            return
        k, scale = scalars.cls[job], scalars.scale[job]
        cost = scale * float(self.instance.rate[k, slot])
        for special, special_cost in zip(
            scalars.special[job], scalars.special_cost[job], strict=True
        ):
            if special == slot:
                cost = special_cost
        self.cost[job] = cost
        self._take(job, k, slot, scale)
        self.co2 += scale * float(self.instance.co2[k, slot])

    def out(self, job: int) -> None:
        """Take `job` out, if it has a place."""
        slot = int(self.slot[job])
        if slot == NOWHERE:
            return
        k, scale = self._scalars.cls[job], self._scalars.scale[job]
        self._take(job, k, slot, -scale)
        self.co2 -= scale * float(self.instance.co2[k, slot])
        self.slot[job] = NOWHERE
        self.cost[job] = self._scalars.beyond[job]

    def find(
        self,
        job: int,
        priced: NDArray[np.float64] | None = None,
        barred: NDArray[np.bool_] | None = None,
    ) -> int:
        """The slot with room of least cost and price, or NOWHERE.

        `priced` (K, S) instead of this placement's own; `barred` (S,) slots are left out.
        """
        scalars = self._scalars
        k, scale = scalars.cls[job], scalars.scale[job]
        first, last, width = scalars.first[job], scalars.last[job], scalars.width[job]
        value, slot = np.inf, NOWHERE
        if first <= last:
            row = (self.priced if priced is None else priced)[k, first : last + 1]
            bad = None
            for column, need in self._needs[k]:
                short = self._rows[column][first : last + width] < need * scale - EPSILON
                bad = short if bad is None else bad | short
            if bad is not None and bad.any():
                count = np.zeros(len(bad) + 1, np.int32)
                np.cumsum(bad, out=count[1:])
                row = np.where(count[width:] > count[:-width], np.inf, row)
            if barred is not None:
                row = np.where(barred[first : last + 1], np.inf, row)
            at = int(row.argmin())
            if row[at] < np.inf:
                value, slot = float(row[at]) * scale, first + at
        if self._special:
            value, slot = self._special_slots(job, (value, slot), barred)
        return slot

    def fits(self, job: int, slot: int) -> bool:
        """Whether `job` has room at `slot`."""
        k, scale = self._scalars.cls[job], self._scalars.scale[job]
        end = self._end(job, slot)
        for column, need in self._needs[k]:
            if self._rows[column][slot:end].min(initial=np.inf) < need * scale - EPSILON:
                return False
        return True

    def soonest(
        self, job: int, reserve: NDArray[np.float64] | None = None, *, power: bool = True
    ) -> int:
        """The first slot with room from the job's first on, whatever it costs; NOWHERE without one.

        `reserve` (C, S) is room that is not offered to deferred jobs but is there. `power` False: whatever
        the site's cap says, of which Slurm knows nothing.
        """
        instance = self.instance
        site = len(instance.free) - 2
        scalars = self._scalars
        k, scale = scalars.cls[job], scalars.scale[job]
        first, width = max(0, scalars.first[job] - 1), scalars.width[job]
        bad = np.zeros(self.free.shape[1] - first, np.bool_)
        for column, need in self._needs[k]:
            if column == site and not power:
                continue
            room = self._rows[column][first:]
            if reserve is not None:
                room = room.copy()
                room[: instance.slots - first] += reserve[column, first:]
            bad |= room < need * scale - EPSILON
        if not bad[: width + scalars.extra[job]].any():
            return first
        bad[0] = True
        count = np.zeros(len(bad) + 1, np.int32)
        np.cumsum(bad, out=count[1:])
        room = count[width:] == count[:-width]
        slots = instance.slots - first
        at = int(room[:slots].argmax()) if slots > 0 else 0
        return first + at if slots > 0 and room[at] else NOWHERE

    def fullness(self, job: int, slot: int) -> float:
        """The largest share of any room on nodes taken while `job`, which is there, runs from `slot`."""
        k, site = self._scalars.cls[job], len(self.instance.free) - 2
        end = min(self._end(job, slot), self.instance.slots)
        shares = [
            1.0 - float((self.free[column, slot:end] / self._totals[column]).min())
            for column, _ in self._needs[k]
            if column != site  # a job is late for want of nodes, never of power
        ]
        return max(shares, default=0.0)

    def binding(self, job: int) -> Reason:
        """What the prices say keeps `job` from its cheapest slot: site power, the carbon cap, or room."""
        instance, prices = self.instance, self._prices
        k = self._scalars.cls[job]
        low, high = int(instance.first[job]), int(instance.last[job]) + 1
        if low >= high:
            return Reason.CAPACITY
        at = low + int(instance.rate[k, low:high].argmin())
        end = min(self._end(job, at), instance.slots)
        site = len(instance.free) - 2
        paid = {
            column: need * float(prices.room[column, at:end].sum())
            for column, need in self._needs[k]
        }
        carbon = prices.carbon * float(instance.co2[k, at])
        if carbon > max(paid.values(), default=0.0):
            return Reason.CARBON_CAP
        power = paid.get(site, 0.0)
        if power > 0 and power >= max(paid.values()):
            return Reason.POWER_CAP
        return Reason.CAPACITY

    def repair(self) -> None:
        """Take jobs out until all fits, put them back where they do, and make room for those that do not."""
        instance = self.instance
        rows, slots = instance.bounded, instance.slots
        over = np.minimum(self.free[rows, :slots], 0.0)
        # What was taken before us may exceed the room (nodes went down): that alone is not ours to mend.
        over[self.free[rows, :slots] >= instance.free[rows] - EPSILON] = 0.0
        removed = self._clear(np.argwhere(over < -EPSILON).astype(np.int64), rows)
        removed.sort(key=lambda job: -float(self._size[job]))
        for job in removed:
            self.put(job, self.find(job))
        left = np.flatnonzero(self.slot == NOWHERE)
        for job in left[np.argsort(-self._size[left], kind="stable")][:_ADMISSIONS].tolist():
            self.admit(job)

    def admit(self, job: int) -> bool:
        """Make room for `job`, which has no place, where the fewest must give way; they find other places.

        False when one of them does not: then nothing has changed.
        """
        target = self._least_short(job)
        if target == NOWHERE or not np.isfinite(
            self.instance.cost_at(np.array([job]), np.array([target]))[0]
        ):
            return False
        co2 = self.co2
        self.put(job, target)
        k = self._scalars.cls[job]
        end = min(self._end(job, target), self.instance.slots)
        rows = np.array([column for column, _ in self._needs[k]], np.int64)
        cells = self._short_cells(rows, target, end)
        before = self.slot.copy()
        spared = np.zeros(self.instance.jobs, np.bool_)
        spared[job] = True
        removed = self._clear(cells, rows, spared=spared)
        removed.sort(key=lambda other: -float(self._size[other]))
        for other in removed:
            self.put(other, self.find(other))
            if self.slot[other] == NOWHERE:
                break
        else:
            if bool((self.free[rows, target:end] >= -EPSILON).all()):
                return True
        for other in removed:
            self.out(other)
        self.out(job)
        for other in removed:
            self.put(other, int(before[other]))
        self.co2 = co2
        return False

    def decarbonise(self, cap: float) -> None:
        """Move jobs to cleaner slots, at a rising price of carbon, until all of them are under `cap` (kg)."""
        price = max(self._prices.carbon, float(np.abs(self.cost).sum()) / max(self.co2, 1e-9) / 100)
        room = self._prices
        for factor in _DEARER:
            if self.co2 <= cap:
                break
            self.reprice(Prices(room.room, price * factor))
            emitted = self.instance.co2_at(np.arange(self.instance.jobs), self.slot)
            for job in np.argsort(-emitted, kind="stable").tolist():
                slot, co2 = int(self.slot[job]), self.co2
                if co2 <= cap or slot == NOWHERE:
                    continue
                self.out(job)
                found = self.find(job)
                self.put(job, found)
                if found == NOWHERE or self.co2 >= co2:
                    self.out(job)
                    self.put(job, slot)
                    self.co2 = co2
        self.reprice(room)

    def retreat(self, safe: NDArray[np.int64]) -> None:
        """Give every job without a place its slot in `safe` (n,), a placement of all that fits.

        Who is in the way there finds another place, or goes back to its own in `safe` too; those back in
        `safe` never stand in each other's way, so this ends with everyone placed.
        """
        back = np.zeros(self.instance.jobs, np.bool_)
        waiting = np.flatnonzero(self.slot == NOWHERE).tolist()
        while waiting:
            job = waiting.pop()
            target = int(safe[job])
            self.put(job, target)
            back[job] = True
            k = self._scalars.cls[job]
            end = min(self._end(job, target), self.instance.slots)
            rows = np.array([column for column, _ in self._needs[k]], np.int64)
            cells = self._short_cells(rows, target, end)
            removed = self._clear(cells, rows, spared=back)
            removed.sort(key=lambda other: -float(self._size[other]))
            for other in removed:
                self.put(other, self.find(other))
                if self.slot[other] == NOWHERE:
                    waiting.append(other)

    def _short_cells(self, rows: NDArray[np.int64], begin: int, end: int) -> NDArray[np.int64]:
        """(m, 2): (row, slot) of the slots from `begin` to `end` that lack room."""
        cells = np.argwhere(self.free[rows, begin:end] < -EPSILON).astype(np.int64)
        cells[:, 1] += begin
        return cells

    def _least_short(self, job: int) -> int:
        """The slot of the job's window that lacks the least room; the cheapest of these."""
        instance = self.instance
        k, scale = self._scalars.cls[job], self._scalars.scale[job]
        first, last = int(instance.first[job]), int(instance.last[job])
        own = int(instance.special[job, FIRST])
        if first > last:
            return own
        width = int(instance.width[k])
        short = np.zeros(last - first + width)
        for column, need in self._needs[k]:
            lacking = need * scale - self.free[column, first : last + width]
            # Room that was never there cannot be made.
            never = np.full(len(lacking), np.inf)
            offered = instance.free[column, first : last + width]
            never[: len(offered)] = offered
            lacking[never < need * scale - EPSILON] = np.inf
            short += np.maximum(lacking, 0.0) / self._totals[column]
        with np.errstate(invalid="ignore"):
            total = np.lib.stride_tricks.sliding_window_view(short, width).sum(axis=1)
        priced = self.priced[k, first : last + 1]
        total = np.where(np.isfinite(priced), total, np.inf)
        at = int(np.lexsort((priced, np.round(total, 9)))[0])
        return first + at if np.isfinite(total[at]) else own

    def _clear(
        self,
        cells: NDArray[np.int64],
        rows: NDArray[np.int64],
        spared: NDArray[np.bool_] | None = None,
    ) -> list[int]:
        """Take jobs out until no cell (row, slot) lacks room: the short and small first, who move easily."""
        instance = self.instance
        removed: list[int] = []
        if not len(cells):
            return removed
        longest = int(instance.width.max(initial=1)) + 1
        lowest, highest = int(cells[:, 1].min()) - longest, int(cells[:, 1].max())
        around = np.flatnonzero((self.slot >= max(0, lowest)) & (self.slot <= highest))
        order = around[np.argsort(self.slot[around], kind="stable")]
        begins = self.slot[order]
        for row, at in cells.tolist():
            constraint = int(rows[row])
            if self.free[constraint, at] >= -EPSILON:
                continue
            low, high = np.searchsorted(begins, [max(0, at - longest), at + 1])
            near = order[low:high]
            near = near[self.slot[near] >= 0]
            if spared is not None:
                near = near[~spared[near]]
            near = near[instance.reach(near, self.slot[near]) > at]
            near = near[(instance.index[instance.cls[near]] == constraint).any(axis=1)]
            for job in near[np.argsort(self._size[near], kind="stable")].tolist():
                if self.free[constraint, at] >= -EPSILON:
                    break
                self.out(job)
                removed.append(job)
        return removed

    def _special_slots(
        self, job: int, best: tuple[float, int], barred: NDArray[np.bool_] | None
    ) -> tuple[float, int]:
        """The better of `best` (value, slot) and the job's own two slots."""
        instance, scalars = self.instance, self._scalars
        value, slot = best
        k, scale, more = scalars.cls[job], scalars.scale[job], scalars.extra[job]
        for own, own_cost in zip(scalars.special[job], scalars.special_cost[job], strict=True):
            if own < 0 or (barred is not None and barred[own]):
                continue
            price = float(self.worth[k, own])
            if more and own < scalars.first[job]:
                end = own + scalars.width[job]
                if end < instance.slots:
                    price += sum(
                        need * float(self._prices.room[row, end]) for row, need in self._needs[k]
                    )
            mine = own_cost + scale * price
            if mine <= value and mine < np.inf and self.fits(job, own):
                value, slot = mine, own
        return value, slot

    def _end(self, job: int, slot: int) -> int:
        scalars = self._scalars
        return slot + scalars.width[job] + (scalars.extra[job] if slot < scalars.first[job] else 0)

    def _take(self, job: int, k: int, slot: int, scale: float) -> None:
        end = self._end(job, slot)
        for column, need in self._needs[k]:
            room = self._rows[column][slot:end]
            room -= need * scale
