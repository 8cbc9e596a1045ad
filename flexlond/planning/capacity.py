"""Room over time: what is taken of each pool's resources in each slot, and where a job still fits.

Law: conservative. A job takes whole slots for as long as its room is kept (`occupancy`); what runs or is
reserved takes them from its begin to its end. A slot is never promised to more jobs than fit, in the job's
pool, in the group of pools that share its nodes, and under the site's kW cap. What runs already may exceed the
room (nodes went down): then nothing more fits.
Past the end of the grid there is no bound. Starts are slot starts here, but for a job's first possible slot,
where it may start in the middle; spreading inside a slot (spread.py) is not counted.
"""

from __future__ import annotations

from copy import copy
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from flexlond.planning.problem import NEVER

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from flexlond.planning.problem import Problem

ARRAY_SHARE = 0.5
"""The part of a pool that one array is modelled to fill at once: others run beside it."""
_EPSILON = 1e-6


@dataclass(frozen=True, slots=True, eq=False)
class Blocks:
    """Each job as one block: an array as `waves` of `width` tasks after each other. Shapes (J,), (J, C)."""

    width: NDArray[np.int64]  # tasks at once
    waves: NDArray[np.int64]
    span: NDArray[np.float64]  # s from start to the end of the last wave, as expected
    hold: NDArray[np.float64]  # s for which its room is kept
    longest: NDArray[np.float64]  # s it may last by its time limit
    kw: NDArray[np.float64]  # mean over the span: energy is kw x span
    step_kw: NDArray[np.float64]  # the power step when it starts
    latest: NDArray[np.int64]  # latest start, brought forward by waves that only the room demands
    amount: NDArray[np.float64]  # (J, C) what it takes of its pool's columns


def columns_of(problem: Problem) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """The constraints: (P, C) column indices of each pool into (K,) totals; the last total is unbounded."""
    pools, resources = problem.capacity.shape
    groups = len(problem.group_capacity)
    capped = np.isfinite(problem.site_kw)
    site_kw = np.inf
    if capped.any():
        site_kw = max(0.0, float(problem.site_kw[capped].max()) - problem.base_kw)
    total = np.concatenate(
        [problem.capacity.ravel(), problem.group_capacity.ravel(), [site_kw, np.inf]]
    )
    dummy = len(total) - 1
    own = np.arange(pools * resources).reshape(pools, resources)
    shared = pools * resources + problem.pool_group[:, None] * resources + np.arange(resources)
    alone = np.bincount(problem.pool_group, minlength=groups)[problem.pool_group] == 1
    shared = np.where(alone[:, None], dummy, shared)
    site = np.full((pools, 1), dummy - 1 if capped.any() else dummy)
    return np.concatenate([own, shared, site], axis=1).astype(np.int64), total


def blocks_of(problem: Problem) -> Blocks:
    """Shape every job into one block of its pool's resources."""
    with np.errstate(divide="ignore", invalid="ignore"):
        room = np.minimum(
            problem.capacity[problem.pool],
            problem.group_capacity[problem.pool_group[problem.pool]],
        )
        ratio = np.where(problem.demand > 0, ARRAY_SHARE * room / problem.demand, np.inf)
    tasks = np.maximum(problem.tasks, 1)
    throttled = np.where(problem.throttle > 0, np.minimum(problem.throttle, tasks), tasks)
    fit = np.floor(np.minimum(ratio.min(axis=1, initial=np.inf), 1 << 40)).astype(np.int64)
    width = np.maximum(1, np.minimum(throttled, fit))
    waves = -(-tasks // width)
    asked = -(-tasks // throttled)
    duration = np.maximum(problem.duration, 1.0)
    occupancy = np.maximum(problem.occupancy, duration) if len(problem.occupancy) else duration
    limit = np.maximum(problem.limit, occupancy) if len(problem.limit) else occupancy
    latest = np.where(
        problem.latest >= NEVER,
        problem.latest,
        problem.latest - np.ceil((waves - asked) * limit).astype(np.int64),
    )
    demand = problem.demand * width[:, None]
    step = problem.kw * width
    return Blocks(
        width=width,
        waves=waves,
        span=waves * duration,
        hold=waves * occupancy,
        longest=waves * limit,
        kw=problem.kw * tasks / waves,
        step_kw=step,
        latest=latest,
        amount=np.concatenate([demand, demand, step[:, None]], axis=1),
    )


class Timeline:
    """Free room per constraint and slot; jobs are added and removed by index and slot."""

    def __init__(self, problem: Problem, blocks: Blocks) -> None:
        self._grid = problem.grid
        self._columns, total = columns_of(problem)
        self._blocks = blocks
        self._pool = problem.pool.tolist()
        self._slots = problem.grid.count
        self._total = total
        self.free = np.repeat(total[:, None], self._slots, axis=1)
        if len(problem.site_kw):
            # A slot without a cap has one that nothing reaches: the search knows finite room only.
            most = 1.0 + float(problem.running.kw.sum() + blocks.step_kw.sum())
            left = problem.site_kw - problem.base_kw
            self.free[-2] = np.where(np.isfinite(left), left, most)
        self._take_running(problem)
        self._hold: list[float] = blocks.hold.tolist()
        width = np.maximum(1, np.ceil(blocks.hold / self._grid.slot_seconds)).astype(np.int64)
        self._width: list[int] = width.tolist()
        self._of_pool: list[list[int]] = self._columns.tolist()
        self._need: list[list[tuple[int, float]] | None] = [None] * problem.jobs
        # Views: one job touches few rows, and one row at a time is quickest.
        self._rows = list(self.free)

    def copy(self) -> Timeline:
        """The same room, to be filled differently."""
        other = copy(self)
        other.free = self.free.copy()
        other._rows = list(other.free)  # noqa: SLF001 - our own class
        return other

    def width(self, job: int, slot: int, start: int) -> int:
        """Slots taken by `job` when it starts at `start` (epoch) in `slot`."""
        grid = self._grid
        offset = start - grid.slot_start(slot)
        if offset <= 0:
            return self._width[job]
        return int(-(-(offset + self._hold[job]) // grid.slot_seconds))

    def feasible(self, job: int, first: int, first_start: int) -> NDArray[np.bool_]:
        """Shape (S,): slots from `first` on where `job` fits over its whole span.

        In `first` it starts at `first_start`, in every later one with the slot.
        """
        slots = self._slots
        taken = self._taken(job)
        width = min(self._width[job], slots)
        count = np.zeros(slots + width + 1, np.int64)
        np.cumsum(taken, out=count[1 : slots + 1])
        count[slots + 1 :] = count[slots]
        fits: NDArray[np.bool_] = count[width : width + slots] == count[:slots]
        fits[:first] = False
        if first < slots:
            end = min(first + self.width(job, first, first_start), slots)
            fits[first] = count[end] == count[first]
        return fits

    def first_room(self, job: int, first: int, first_start: int) -> int:
        """The first slot of `feasible`; past the grid, where there is no bound, when it has none."""
        slots = self._slots
        if first >= slots or self.fits(job, first, self.width(job, first, first_start)):
            return min(first, slots)
        free = bytes(min(self._width[job], slots))
        # The bytes of booleans: a run of zeros is room.
        return min((self._taken(job).tobytes() + free).find(free, first + 1), slots)

    def fits(self, job: int, slot: int, width: int) -> bool:
        """Whether `job` fits in the `width` slots from `slot`."""
        end = slot + width
        for row, amount in self._need[job] or self._needed(job):
            if self._rows[row][slot:end].min(initial=np.inf) < amount - _EPSILON:
                return False
        return True

    def add(self, job: int, slot: int, width: int, sign: float = 1.0) -> None:
        """Take (`sign` 1) or give back (-1) the room of `job` in `width` slots from `slot`."""
        end = slot + width
        for row, amount in self._need[job] or self._needed(job):
            room = self._rows[row][slot:end]
            room -= sign * amount

    def add_all(self, jobs: NDArray[np.int64], start: NDArray[np.int64]) -> None:
        """Take the room of many jobs at once at their start times; starts off the grid take none."""
        seconds = self._grid.slot_seconds
        first = (start - self._grid.start) // seconds
        last = np.ceil((start - self._grid.start + self._blocks.hold[jobs]) / seconds)
        self.add_many(jobs, first, np.maximum(last.astype(np.int64) - first, 1))

    def add_many(
        self,
        jobs: NDArray[np.int64],
        slot: NDArray[np.int64],
        width: NDArray[np.int64],
        sign: float = 1.0,
    ) -> None:
        """Take (`sign` 1) or give back (-1) the room of many jobs at once; slots off the grid take none."""
        slots = self._slots
        on = (slot >= 0) & (slot < slots)
        jobs, first = jobs[on], slot[on]
        end = np.minimum(first + width[on], slots)
        size = len(self._total) * (slots + 1)
        step = np.zeros(size)
        columns = self._columns[np.array(self._pool, np.int64)[jobs]] * (slots + 1)
        for column in range(columns.shape[1]):
            amount = self._blocks.amount[jobs, column]
            step += np.bincount(columns[:, column] + first, amount, size)
            step -= np.bincount(columns[:, column] + end, amount, size)
        used = np.cumsum(step.reshape(-1, slots + 1), axis=1)[:, :slots]
        used[-1] = 0.0
        self.free -= sign * used

    def widths(self, jobs: NDArray[np.int64], start: NDArray[np.int64]) -> NDArray[np.int64]:
        """Slots taken by `jobs` from the slot of `start`, where they begin then."""
        offset = (start - self._grid.start) % self._grid.slot_seconds
        slots = np.ceil((offset + self._blocks.hold[jobs]) / self._grid.slot_seconds)
        return np.maximum(slots, 1).astype(np.int64)

    def _taken(self, job: int) -> NDArray[np.bool_]:
        """Shape (S,): slots that lack room for `job`."""
        taken = np.zeros(self._slots, np.bool_)
        for row, amount in self._need[job] or self._needed(job):
            taken |= self._rows[row] < amount - _EPSILON
        return taken

    def _needed(self, job: int) -> list[tuple[int, float]]:
        """The bounded constraints `job` takes room of, and how much; cached."""
        unbounded = len(self._total) - 1
        amounts: list[float] = self._blocks.amount[job].tolist()
        pairs = zip(self._of_pool[self._pool[job]], amounts, strict=True)
        need = [(row, amount) for row, amount in pairs if amount > 0 and row < unbounded]
        self._need[job] = need
        return need

    def _take_running(self, problem: Problem) -> None:
        """Subtract what runs or is reserved; what overruns its end takes the first slot still."""
        running, grid = problem.running, problem.grid
        if not len(running.end):
            return
        pools, resources = problem.capacity.shape
        last = np.ceil((running.end - grid.start) / grid.slot_seconds)
        end = np.clip(last, 1, grid.count).astype(np.int64)
        own = running.share[:, :, None] * running.demand[:, None, :]
        columns = own.reshape(len(end), pools * resources)
        groups = len(problem.group_capacity)
        member = problem.pool_group[None, :] == np.arange(groups)[:, None]
        share = np.where(member[None, :, :], running.share[:, None, :], 0.0)
        of_group = share.max(axis=2, initial=0.0)[:, :, None] * running.demand[:, None, :]
        columns = np.concatenate(
            [columns, of_group.reshape(len(end), groups * resources), running.kw[:, None]], axis=1
        )
        begin = np.zeros(len(end), np.int64)
        if len(running.begin):
            begin = np.clip((running.begin - grid.start) // grid.slot_seconds, 0, grid.count)
            end = np.where(running.begin >= grid.end, begin, end)
        step = np.zeros((grid.count + 1, len(self._total)))
        columns = np.pad(columns, ((0, 0), (0, 1)))
        np.add.at(step, begin, columns)
        np.subtract.at(step, np.maximum(begin, end), columns)
        self.free -= np.cumsum(step, axis=0)[: grid.count].T
