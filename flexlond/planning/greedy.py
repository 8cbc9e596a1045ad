"""One job after the other into the cheapest slot that has room for it.

Law: jobs without consent come first, as soon as possible in Slurm's order: they come when they come. A
movable job is deferred only where that saves at least `min_benefit` of its cost against the first slot it
fits in, keeps a begin time it has unless a change saves as much, and goes to its first slot where a signal
is unknown, where no room is left before its latest start, or where it must start now. Precedence:
consent > latest start > ramp cap > price. Room is only ever taken where it is free, so no later job can
displace an earlier one.
"""

from __future__ import annotations

from copy import copy, deepcopy
from typing import TYPE_CHECKING

import numpy as np

from flexlond.planning.choice import Choice
from flexlond.planning.problem import Reason
from flexlond.planning.ranking import score_of
from flexlond.planning.spread import RampBook, spread_time

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

    from flexlond.model.settings import PlanningSettings
    from flexlond.planning.capacity import Blocks, Timeline
    from flexlond.planning.problem import Problem
    from flexlond.planning.ranking import Ranking

NEARLY_FULL = 0.9
"""The share of a total from which a slot near the latest start counts as full."""


class Greedy:
    """The state of one placement: who starts when, and what room that leaves."""

    def __init__(
        self,
        problem: Problem,
        settings: PlanningSettings,
        blocks: Blocks,
        timeline: Timeline,
    ) -> None:
        """An empty placement over `timeline`, which it fills."""
        jobs = problem.jobs
        self.problem = problem
        self.timeline = timeline
        self.start = np.zeros(jobs, np.int64)  # 0: not placed
        self.slot = np.full(jobs, problem.grid.count, np.int64)
        self.moved = np.zeros(jobs, np.bool_)
        self.reason = np.full(jobs, Reason.NOT_MOVABLE, np.int8)
        self.over_ramp: list[int] = []
        self._settings = settings
        self._blocks = blocks
        self._earliest = np.maximum(problem.earliest, problem.now)
        self._before: dict[int, list[int]] = {}
        for successor, predecessor in problem.depends.tolist():
            self._before.setdefault(successor, []).append(predecessor)
        cap = settings.ramp_kw_per_5min
        self._ramp = RampBook(problem.grid, cap, settings.spread, problem.recent) if cap else None
        score = score_of(problem.price, problem.carbon, settings)
        known = np.abs(score[np.isfinite(score)])
        self._typical = float(known.mean()) if known.size else 0.0
        self._lead = int(settings.spread * problem.grid.slot_seconds)
        self._placed: dict[int, tuple[int, int]] = {}  # job: (slot, slots taken)
        self._commanded: dict[int, int] = {}  # job: the begin time counted in the ramp book

    def adopt(self, jobs: NDArray[np.int64], start: NDArray[np.int64]) -> None:
        """Take over given starts of `jobs`, whose room the timeline has taken already."""
        self.start[jobs] = start
        grid = self.problem.grid
        self.slot[jobs] = np.clip((start - grid.start) // grid.slot_seconds, 0, grid.count)
        if self._ramp is not None:
            for job in jobs[self.problem.current[jobs] > self.problem.now].tolist():
                self._ramp.commit(int(self.start[job]), float(self._blocks.step_kw[job]))

    def copy(self) -> Greedy:
        """The same placement, to go on from differently."""
        other = copy(self)
        other.timeline = self.timeline.copy()
        for name in ("start", "slot", "moved", "reason"):
            setattr(other, name, getattr(self, name).copy())
        other.over_ramp = list(self.over_ramp)
        other._placed = dict(self._placed)  # noqa: SLF001 - our own class
        other._commanded = dict(self._commanded)  # noqa: SLF001 - our own class
        other._ramp = deepcopy(self._ramp)  # noqa: SLF001 - our own class
        return other

    def first_fit(self, jobs: Iterable[int]) -> None:
        """Place `jobs` in this order, each in the first slot with room."""
        grid = self.problem.grid
        for job in jobs:
            slot, start = self._floor(job)
            if slot < grid.count:
                width = self.timeline.width(job, slot, start)
                if not self.timeline.fits(job, slot, width):
                    fits = self.timeline.feasible(job, slot, start)
                    slot = int(fits.argmax()) if fits.any() else grid.count
                    start = grid.slot_start(slot)
            self._put(job, slot, start)

    def hold(self, jobs: Iterable[int]) -> list[int]:
        """Place `jobs` at the begin time they have, where that is possible; return those placed."""
        placed = []
        grid = self.problem.grid
        for job in jobs:
            at = int(self.problem.current[job])
            slot, start = self._floor(job)
            kept = grid.slot_of(at)
            if start <= at <= self._blocks.latest[job] and kept < grid.count:
                width = self.timeline.width(job, kept, start if kept == slot else 0)
                if self.timeline.fits(job, kept, width):
                    self._put(job, kept, at, Reason.KEPT)
                    placed.append(job)
        return placed

    def cheapest(self, jobs: Iterable[int], ranking: Ranking) -> None:
        """Take each of the movable `jobs` out and place it by cost; see the module's law."""
        row_of = {job: row for row, job in enumerate(ranking.rows.tolist())}
        for job in jobs:
            self._take_out(job)
            self._decide(job, ranking, row_of[job])

    def settle(self, jobs: Iterable[int], ranking: Ranking) -> None:
        """Place `jobs` again, each in turn: what others left free may be sooner or cheaper."""
        row_of = {job: row for row, job in enumerate(ranking.rows.tolist())}
        for job in jobs:
            if self.problem.movable[job]:
                self._take_out(job)
                self._decide(job, ranking, row_of[job])
            elif self.start[job] > self._floor(job)[1]:
                self._take_out(job)
                self.first_fit((job,))

    def _decide(self, job: int, ranking: Ranking, row: int) -> None:
        """Choose slot and begin time of one movable job and take its room."""
        grid = self.problem.grid
        slot, start = self._floor(job)
        fits = self.timeline.feasible(job, slot, start) if slot < grid.count else None
        if fits is None or not fits.any():
            self._put(job, grid.count, max(start, grid.end), Reason.CAPACITY)
            return
        soonest = int(fits.argmax())
        soonest_at = start if soonest == slot else grid.slot_start(soonest)
        choice = self._choice(job, (soonest, fits, start), ranking, row)
        current = int(self.problem.current[job])
        in_force = current > self.problem.now
        while True:
            target, reason = choice.pick()
            if in_force and self._keeps(job, choice, target, reason):
                kept = grid.slot_of(current)
                why = reason if kept == target else Reason.KEPT
                self._put(job, kept, current, why, held=current > soonest_at)
                return
            at: int | None = soonest_at
            if target != soonest or in_force:
                earliest = max(soonest_at, grid.slot_start(target), self._awaited(job))
                bounds = (earliest, int(self._blocks.latest[job]))
                at = self._begin(job, target, bounds, released=target == soonest)
            if at is not None:
                self._put(job, target, at, reason, held=at > soonest_at)
                return
            if not choice.refuse(target):
                self.over_ramp.append(job)  # latest start > ramp cap
                self._put(job, soonest, soonest_at, Reason.LATEST_START)
                return

    def _choice(
        self, job: int, soonest: tuple[int, NDArray[np.bool_], int], ranking: Ranking, row: int
    ) -> Choice:
        """The options of one job: its cost row where there is room."""
        first, fits, start = soonest
        problem, grid = self.problem, self.problem.grid
        cost = ranking.cost[row]
        room = fits
        if self._settings.capacity_margin:
            slot = max(0, grid.slot_of(start))
            room = self.timeline.feasible(job, slot, start, self._settings.capacity_margin)
        last = (int(self._blocks.latest[job]) - self._lead - grid.start) // grid.slot_seconds
        above = Reason.NO_SIGNAL
        if ranking.limited[row]:
            if problem.price[first] > problem.max_price[job]:
                above = Reason.MAX_PRICE
            elif problem.carbon[first] > problem.max_carbon[job]:
                above = Reason.MAX_CARBON
        return Choice(
            cost=cost,
            options=np.where(room, cost, np.float32(np.inf)),
            fits=fits,
            soonest=first,
            above=above,
            last=last,
            least=self._settings.min_benefit,
            typical=self._typical * float(ranking.energy_mwh[row]),
            crowded=lambda target: self._crowded(job, target),
            in_force=int(self.problem.current[job]) > self.problem.now,
        )

    def _crowded(self, job: int, slot: int) -> bool:
        width = self.timeline.width(job, slot, 0)
        return self.timeline.fullness(job, slot, width) > NEARLY_FULL

    def _keeps(self, job: int, choice: Choice, target: int, reason: Reason) -> bool:
        """Whether the begin time in force stays: it is possible and a change saves too little."""
        grid, current = self.problem.grid, int(self.problem.current[job])
        slot = grid.slot_of(current)
        if slot >= grid.count or current > self._blocks.latest[job]:
            return False
        if current < max(self._floor(job)[1], self._awaited(job)):
            return False
        kw = float(self._blocks.step_kw[job])
        if self._ramp is not None and not self._ramp.allows(current, kw):
            return False
        if not choice.fits[slot]:
            return False
        return slot == target or choice.not_worth(slot, target, reason)

    def _begin(self, job: int, slot: int, bounds: tuple[int, int], *, released: bool) -> int | None:
        """The begin time we command inside `slot`; None when the ramp cap leaves none."""
        if self._ramp is not None:
            return self._ramp.fit(slot, float(self._blocks.step_kw[job]), bounds)
        if released:
            return bounds[0]
        job_id = int(self.problem.job_id[job])
        return spread_time(self.problem.grid, self._settings.spread, job_id, slot, bounds)

    def _floor(self, job: int) -> tuple[int, int]:
        """The first slot and moment `job` may start: its earliest, and its predecessors' ends.

        A predecessor counts from where its slot lets it start, before spreading; see `_awaited`.
        """
        grid = self.problem.grid
        start = int(self._earliest[job])
        for predecessor in self._before.get(job, ()):
            if self.start[predecessor]:
                begin = grid.slot_start(int(self.slot[predecessor]))
                begin = min(
                    int(self.start[predecessor]), max(begin, int(self._earliest[predecessor]))
                )
                end = begin + int(np.ceil(self._blocks.span[predecessor]))
                if end > start:  # expected ends are no better known than to the slot
                    start = end + (grid.start - end) % grid.slot_seconds
        return max(0, grid.slot_of(start)), start

    def _awaited(self, job: int) -> int:
        """The planned end of the last predecessor to the second; 0 without one."""
        ends = (
            int(self.start[predecessor] + np.ceil(self._blocks.span[predecessor]))
            for predecessor in self._before.get(job, ())
            if self.start[predecessor]
        )
        return max(ends, default=0)

    def _put(
        self,
        job: int,
        slot: int,
        at: int,
        reason: Reason = Reason.NOT_MOVABLE,
        *,
        held: bool = False,
    ) -> None:
        grid = self.problem.grid
        at = max(at, self._awaited(job))
        self.start[job], self.slot[job], self.moved[job] = at, min(slot, grid.count), held
        self.reason[job] = reason
        if slot < grid.count:
            floor = int(self._earliest[job])
            width = self.timeline.width(job, slot, floor if grid.slot_of(floor) == slot else 0)
            self.timeline.add(job, slot, width)
            self._placed[job] = (slot, width)
        in_force = self.problem.movable[job] and self.problem.current[job] > self.problem.now
        if self._ramp is not None and (held or in_force):
            self._ramp.commit(at, float(self._blocks.step_kw[job]))
            self._commanded[job] = at

    def _take_out(self, job: int) -> None:
        slot, width = self._placed.pop(job, (0, 0))
        self.timeline.add(job, slot, width, sign=-1.0)
        at = self._commanded.pop(job, None)
        if self._ramp is not None and at is not None:
            self._ramp.commit(at, -float(self._blocks.step_kw[job]))
