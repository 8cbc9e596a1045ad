"""From slots to begin times: who is held, until which second, and why.

Law: a job is held only where it is planned later than the first moment with room for it in this plan, or
later than it would come by itself, so that those planned before it are before it; every other one is left to
Slurm. That room is nodes, not power: Slurm knows of no cap on power, so who waits for that alone is held, and
who would be over the cap if room on the nodes came sooner than is thought. Begin times are spread inside
their slot and keep the ramp cap; a slot whose ramp is full is left for another one, and where no other is
left the job starts as soon as it can: latest start > ramp cap. A job near its latest start whose slot would
be nearly full goes earlier, because plans err. A begin time in force whose slot stays is not changed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from flexlond.planning.instance import KEPT, NOWHERE
from flexlond.planning.problem import Reason
from flexlond.planning.spread import spread_time

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from flexlond.model.settings import PlanningSettings
    from flexlond.planning.capacity import Blocks
    from flexlond.planning.problem import Problem
    from flexlond.planning.question import Question
    from flexlond.planning.room import Placement
    from flexlond.planning.spread import RampBook

TIGHT_SLOTS = 2
"""A slot this near the latest start is avoided when the pool is nearly full there."""
NEARLY_FULL = 0.9
"""The share of a total from which a slot near the latest start counts as full."""


@dataclass(slots=True, eq=False)
class Begins:
    """What becomes of the jobs of a question; shapes (n,)."""

    start: NDArray[np.int64]  # 0: no place was found
    slot: NDArray[np.int64]
    moved: NDArray[np.bool_]
    reason: NDArray[np.int8]
    over_ramp: list[int]  # rows whose latest start broke the ramp cap
    let_go: list[
        int
    ]  # rows that only power keeps waiting, where they may not be held: over the power cap


class Realiser:
    """One pass over a placement; the placement follows what is decided."""

    def __init__(
        self,
        problem: Problem,
        settings: PlanningSettings,
        blocks: Blocks,
        question: Question,
        *,
        placement: Placement,
        ramp: RampBook | None,
        asap: NDArray[np.int64] | None = None,
    ) -> None:
        """`placement` answers `question`; `ramp` is the book of all starts we command, None without a cap.

        `asap` (n,) are the slots in which the jobs start if all start as soon as possible.
        """
        self._problem = problem
        self._settings = settings
        self._blocks = blocks
        self._question = question
        self._placement = placement
        self._ramp = ramp
        self._asap = asap
        self._capped = bool(np.isfinite(problem.site_kw).any())
        self._in_cap = np.isfinite(problem.site_kw)
        self._awaited = 0
        self._best = np.zeros(0)
        jobs = question.jobs
        self._earliest = question.earliest
        self._in_force = problem.current[jobs] > problem.now
        count = len(jobs)
        self._out = Begins(
            np.zeros(count, np.int64),
            np.full(count, problem.grid.count, np.int64),
            np.zeros(count, np.bool_),
            np.full(count, Reason.CAPACITY, np.int8),
            [],
            [],
        )

    def run(self, reserve: NDArray[np.float64] | None = None, awaited: int = 0) -> Begins:
        """Decide every job; those that stay come first. A begin time in force counts in the ramp until then.

        `reserve` as in Placement.soonest; `awaited` is the end of what they all wait for.
        """
        self._awaited = awaited
        self._best = self._question.instance.windows.query(self._question.instance.rate)[1]
        placement, question = self._placement, self._question
        slot = placement.slot
        kept = (question.instance.special[:, KEPT] == slot) & (slot >= 0)
        order = np.lexsort((self._problem.order[question.jobs], slot, ~kept))
        for row in np.flatnonzero(self._in_force).tolist():
            self._count_in_force(row, 1)
        for row in order[slot[order] != NOWHERE].tolist():
            self._decide(row, reserve, kept=bool(kept[row]))
        return self._out

    def _decide(self, row: int, reserve: NDArray[np.float64] | None, *, kept: bool) -> None:
        placement, grid = self._placement, self._problem.grid
        job = int(self._question.jobs[row])
        slot = int(placement.slot[row])
        first = int(self._question.first[row])
        soonest = bare = slot
        if slot > first:
            placement.out(row)
            soonest = self._no_later(slot, placement.soonest(row, reserve))
            bare = soonest
            if self._capped:
                bare = self._no_later(slot, placement.soonest(row, reserve, power=False))
            placement.put(row, slot)
        free = self._free(row, slot, bare)
        by_itself, by_itself_at = self._by_itself(row, slot, free)
        reason = self._reason(row, slot, by_itself)
        if free < slot == soonest and reason is Reason.CAPACITY:
            reason = Reason.POWER_CAP
        current = int(self._problem.current[job])
        power = float(self._blocks.step_kw[job])
        if self._in_force[row]:
            self._count_in_force(row, -1)
        if kept and (self._ramp is None or self._ramp.allows(current, power)):
            self._settle(row, slot, current, reason, held=current > by_itself_at)
            return
        if slot > soonest and not self._in_force[row] and self._too_tight(row, slot):
            slot, reason = self._earlier(row, soonest, bare), Reason.LATEST_START
            free = self._free(row, slot, bare)
            by_itself, by_itself_at = self._by_itself(row, slot, free)
        if self._capped and bare < slot and not self._allowed(row, slot):
            self._out.let_go.append(row)
            self._release(row, bare, reason)
            return
        barred = np.zeros(grid.count, np.bool_)
        while True:
            waits = slot != free  # and not for room alone, which by itself keeps starts apart
            at = self._begin(row, slot, by_itself_at, released=slot == by_itself, spread=waits)
            if at >= 0:
                self._settle(row, slot, at, reason, held=at > by_itself_at)
                return
            reason = Reason.RAMP
            barred[slot] = True
            placement.out(row)
            found = placement.find(row, barred=barred)
            if found == NOWHERE:
                self._out.over_ramp.append(row)
                self._release(row, bare, Reason.LATEST_START)
                return
            if self._capped and not self._allowed(row, found):
                self._out.let_go.append(row)
                self._release(row, bare, reason)
                return
            placement.put(row, found)
            slot = found

    def _free(self, row: int, slot: int, bare: int) -> int:
        """The slot from which a job planned at `slot` is held: under a cap from its first one on.

        There jobs end sooner than is thought, and Slurm starts all who are not held.
        """
        first = int(self._question.first[row])
        return first if self._in_cap[first:slot].any() and self._allowed(row, slot) else bare

    def _by_itself(self, row: int, slot: int, bare: int) -> tuple[int, int]:
        """Slot and moment in which a job planned at `slot` would start were it not held.

        With room on the nodes (`bare`), or where all start as soon as possible.
        """
        instance = self._question.instance
        found = bare
        allowed = np.isfinite(instance.rate[instance.cls[row], slot])  # else nobody waits for it
        if self._asap is not None and allowed:
            found = max(int(self._question.first[row]), min(bare, int(self._asap[row])))
        return found, max(int(self._earliest[row]), self._problem.grid.slot_start(found))

    def _release(self, row: int, slot: int, reason: Reason) -> None:
        """Let the job start as soon as it can, whatever the cap."""
        self._placement.out(row)
        self._placement.put(row, slot)
        at = max(int(self._earliest[row]), self._problem.grid.slot_start(slot))
        self._settle(row, slot, at, reason, held=False)

    def _allowed(self, row: int, slot: int) -> bool:
        """Whether the job may be held into `slot`: its window, a known cost, its own limits."""
        instance = self._question.instance
        if slot in instance.special[row, :2]:
            return True
        inside = int(instance.first[row]) <= slot <= int(instance.last[row])
        return inside and bool(np.isfinite(instance.rate[instance.cls[row], slot]))

    @staticmethod
    def _no_later(slot: int, found: int) -> int:
        """The slot found, or `slot` where none was or it is later."""
        return slot if found == NOWHERE or found > slot else found

    def _settle(self, row: int, slot: int, at: int, reason: Reason, *, held: bool) -> None:
        job = int(self._question.jobs[row])
        out = self._out
        out.start[row], out.slot[row], out.moved[row], out.reason[row] = at, slot, held, reason
        if self._ramp is not None and (held or self._in_force[row]):
            self._ramp.commit(at, float(self._blocks.step_kw[job]))
            if not held:  # given back when the ramp cap has room, perhaps not before its begin time
                self._count_in_force(row, 1)

    def _count_in_force(self, row: int, sign: int) -> None:
        """Count the begin time in force of a job, or do not count it any more (`sign` -1)."""
        if self._ramp is not None:
            job = int(self._question.jobs[row])
            power = float(self._blocks.step_kw[job])
            self._ramp.commit(int(self._problem.current[job]), sign * power)

    def _begin(self, row: int, slot: int, not_before: int, *, released: bool, spread: bool) -> int:
        """The begin time inside `slot`; -1 when the ramp cap leaves none."""
        job = int(self._question.jobs[row])
        grid, latest = self._problem.grid, int(self._blocks.latest[job])
        bounds = (max(not_before, grid.slot_start(slot), self._awaited), latest)
        if released and not self._in_force[row]:
            return bounds[0]
        if self._ramp is not None:
            found = self._ramp.fit(slot, float(self._blocks.step_kw[job]), bounds)
            return -1 if found is None else found
        if not spread:
            return bounds[0]
        job_id = int(self._problem.job_id[job])
        return spread_time(grid, self._settings.spread, job_id, slot, bounds)

    def _too_tight(self, row: int, slot: int) -> bool:
        """Whether the slot is near the latest start and would be nearly full."""
        last = int(self._question.instance.last[row])
        return last - slot < TIGHT_SLOTS and self._placement.fullness(row, slot) > NEARLY_FULL

    def _earlier(self, row: int, soonest: int, bare: int) -> int:
        """Move `row` to the best slot away from its latest start that beats the soonest, or to the soonest.

        Where only power keeps it from coming sooner (`bare` is earlier still) it stays, if no other is found.
        """
        placement, instance = self._placement, self._question.instance
        barred = np.arange(instance.slots) > int(instance.last[row]) - TIGHT_SLOTS
        slot = int(placement.slot[row])
        placement.out(row)
        found = placement.find(row, barred=barred)
        stays = soonest if soonest == bare else slot
        target = stays if found == NOWHERE else max(found, soonest)
        placement.put(row, target)
        return target

    def _reason(self, row: int, slot: int, soonest: int) -> Reason:
        """Why this slot."""
        instance, question = self._question.instance, self._question
        k = int(instance.cls[row])
        low, high = int(instance.first[row]), int(instance.last[row]) + 1
        scale, first = float(instance.scale[row]), int(question.first[row])
        best = float(self._best[row]) * scale
        first_cost = float(question.first_cost[row])
        cost = first_cost if slot == first else float(instance.rate[k, slot]) * scale
        kept = int(instance.special[row, KEPT])
        if slot > soonest or slot == kept:
            if question.limited[row] and not self._under_limit(row, soonest):
                price, limit = self._problem.price, self._problem.max_price
                job = int(question.jobs[row])
                return Reason.MAX_PRICE if price[soonest] > limit[job] else Reason.MAX_CARBON
            cheapest = min(best, first_cost) if np.isfinite(first_cost) else best
            if cost <= cheapest + 1e-9 + 1e-6 * abs(cheapest):
                return Reason.PRICE
            return Reason.KEPT if slot == kept else self._full(row)
        if low >= high:
            return Reason.LATEST_START
        least = self._settings.min_benefit * max(abs(cost), 0.1 * float(question.typical[row]))
        if slot > first:
            return self._full(row)
        if best >= first_cost:
            return Reason.CHEAPEST_NOW
        return Reason.BELOW_BENEFIT if first_cost - best < least else self._full(row)

    def _under_limit(self, row: int, slot: int) -> bool:
        job = int(self._question.jobs[row])
        problem = self._problem
        return not (
            problem.price[slot] > problem.max_price[job]
            or problem.carbon[slot] > problem.max_carbon[job]
        )

    def _full(self, row: int) -> Reason:
        """What keeps it from a cheaper slot: the site's power, the carbon cap, or the room."""
        return self._placement.binding(row)
