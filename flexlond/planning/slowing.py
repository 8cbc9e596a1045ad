"""Which arrays to slow for a window, and whether that is worth it: fewer tasks at once instead of none at all.

Law: pure. Only `candidates` are ever slowed, each to a width with which its last task starts in time though
nobody ever widens it again (model/pace.py). Widths are guessed from the room that a plan leaves under the
caps, and judged by a plan with them: what is above the caps must fall, or be no more at a lower objective, to
which the longer wait of the later tasks is added. Nobody else may be late for it. What runs of an array and
what waits of it are one stream: with `width` at once the next task starts when one ends. kW, epoch seconds.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from flexlond.model.slo import waves_of
from flexlond.planning.account import slot_power
from flexlond.planning.capacity import blocks_of
from flexlond.planning.problem import NEVER
from flexlond.planning.stopping import excess, late_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

    from flexlond.model.settings import PlanningSettings
    from flexlond.planning.problem import Plan, Problem, Running
    from flexlond.planning.stopping import Replan

_NEAR = 1e-3  # kW x slots that nobody minds
_WORTH = 0.1  # of what it costs to wait for the window's end: for less nobody's pace is changed
_FELT = 0.25  # slots for which a slower pace must be felt


@dataclass(frozen=True, slots=True, eq=False)
class Slowable:
    """An array that may be slowed."""

    job_id: int
    row: int  # of the problem
    own: int  # its owner's throttle; 0: none
    width: int  # the throttle in force; 0: none
    least: int  # the fewest tasks at once by which it is in time, from now on
    tasks: int  # that wait or run
    waiting: int
    running: tuple[int, ...]  # rows of problem.running
    whole: Running  # the problem's, before anything was paced
    latest: int  # its latest start under its own throttle
    step: int  # s that each further wave takes off that

    def latest_at(self, width: int) -> int:
        """Its latest start with `width` at once."""
        waves = -(-self.tasks // width)
        return self.latest - max(0, waves - waves_of(self.waiting, self.own)) * self.step


@dataclass(frozen=True, slots=True)
class Slow:
    """One array and the width that it gets."""

    candidate: Slowable
    width: int
    kw: float  # that it draws less while it runs


@dataclass(frozen=True, slots=True, eq=False)
class Slowing:
    """Who is slowed, and the plan with it; nobody is a full answer."""

    slows: tuple[Slow, ...]
    problem: Problem
    plan: Plan


def choose(
    problem: Problem,
    found: Plan,
    caps: NDArray[np.float64],
    candidates: Sequence[Slowable],
    *,
    settings: PlanningSettings,
    replan: Replan,
) -> Slowing:
    """Choose among `candidates` for `found`, the plan of `problem`; `caps` (S,) are those of windows alone."""
    picked = _picked(problem, found, caps, candidates)
    tries = [picked] if len(picked) < 2 else [picked, picked[:1]]
    for slows in tries:
        if not slows:
            continue
        changed = narrowed(problem, slows)
        plan = replan(changed)
        if _is_better(problem, found, changed, plan, caps=caps, slows=slows, settings=settings):
            return Slowing(tuple(slows), changed, plan)
    return Slowing((), problem, found)


def as_before(
    problem: Problem,
    found: Plan,
    candidates: Sequence[Slowable],
    before: Sequence[Slow],
    *,
    replan: Replan,
) -> Slowing:
    """Those chosen `before` who are still candidates; nothing is chosen afresh."""
    still = {one.job_id: one for one in candidates}
    slows = [
        replace(slow, candidate=one)
        for slow in before
        if (one := still.get(slow.candidate.job_id)) is not None
        and one.least <= slow.width
        and not 0 < one.width <= slow.width
    ]
    if not slows:
        return Slowing((), problem, found)
    changed = narrowed(problem, slows)
    return Slowing(tuple(slows), changed, replan(changed))


def paced(problem: Problem, arrays: Iterable[tuple[int, int, Sequence[int]]]) -> Problem:
    """`problem` with the tasks that run and those that wait of each (row, width, running rows) as one stream.

    While `width` or more run, nothing of it starts before one of them has ended. The last `width` of them end
    one after the other, each followed by a task that waits: counted as if all ended at the start of the slot in
    which the mean of their ends lies (room is promised by whole slots), so `width` tasks draw power throughout.
    Where that is the first slot, and while fewer run, the block that waits counts for them too.
    """
    running = problem.running
    end, kw, demand = running.end.copy(), running.kw.copy(), running.demand.copy()
    earliest = problem.earliest.copy()
    for row, width, tasks in arrays:
        if width <= 0 or not len(tasks):
            continue
        rows, moment = np.array(tasks, np.int64), problem.now
        if len(rows) >= width:
            rows = rows[np.argsort(end[rows], kind="stable")][len(rows) - width :]
            slot = problem.grid.slot_of(int(end[rows].mean()))
            moment = max(moment, problem.grid.slot_start(slot))
        if moment == problem.now:  # whatever ends in it takes the first slot still
            kw[rows], demand[rows] = 0.0, 0.0
        end[rows] = moment
        earliest[row] = max(int(earliest[row]), moment)
    return replace(
        problem,
        running=replace(running, end=end, kw=kw, demand=demand),
        earliest=earliest,
    )


def narrowed(problem: Problem, slows: Sequence[Slow]) -> Problem:
    """`problem` with these arrays at their new widths, and with the latest starts that these leave."""
    throttle, latest = problem.throttle.copy(), problem.latest.copy()
    running = problem.running
    end, kw, demand = running.end.copy(), running.kw.copy(), running.demand.copy()
    for slow in slows:
        row = slow.candidate.row
        throttle[row] = slow.width
        tasks, whole = list(slow.candidate.running), slow.candidate.whole
        end[tasks], kw[tasks] = whole.end[tasks], whole.kw[tasks]
        demand[tasks] = whole.demand[tasks]
        if latest[row] < NEVER:
            latest[row] = min(int(latest[row]), slow.candidate.latest_at(slow.width))
    running = replace(running, end=end, kw=kw, demand=demand)
    # Arrays are slowed under windows alone, where caution brought nobody forward.
    changed = replace(
        problem, throttle=throttle, latest=latest, may_wait=problem.may_wait[:0], running=running
    )
    return paced(changed, [(one.candidate.row, one.width, one.candidate.running) for one in slows])


def _picked(
    problem: Problem, found: Plan, caps: NDArray[np.float64], candidates: Sequence[Slowable]
) -> list[Slow]:
    """Those for whom it may be worth it, the largest first, each with the width that there is room for."""
    grid, blocks = problem.grid, blocks_of(problem)
    capped = np.isfinite(caps)
    over = excess(found, caps)
    kw = found.kw.copy()
    picked: list[Slow] = []
    for one in sorted(candidates, key=lambda one: (-float(blocks.step_kw[one.row]), one.job_id)):
        row, wide, each = one.row, int(blocks.width[one.row]), float(problem.kw[one.row])
        if not 0 < one.least < wide or each <= 0:
            continue
        begin = np.array([float(found.start[row])])
        own = slot_power(grid, begin, begin + found.span[row], blocks.kw[row : row + 1])
        is_above = bool((over[own > 0] > 0).any())
        starts = np.flatnonzero(capped)
        waits = bool(found.moved[row]) and found.start[row] >= grid.slot_start(int(starts[0]))
        if not (is_above or waits):
            continue
        left = np.where(_reached(problem, capped, one), caps - kw + own, np.inf)
        room = max(0, int(float(left.min()) / each + 1e-9))
        width = max(one.least, min(room, wide - 1))
        if width > room and not is_above:
            continue
        kw = kw - own + np.where(capped, width * each, 0.0)
        picked.append(Slow(one, width, (wide - width) * each))
    return picked


def _reached(problem: Problem, capped: NDArray[np.bool_], one: Slowable) -> NDArray[np.bool_]:
    """(S,) the capped slots in which its pace counts: what runs of it runs on first."""
    ends = np.array([problem.grid.slot_start(slot + 1) for slot in range(problem.grid.count)])
    since = float(problem.earliest[one.row])
    if one.running:
        since = max(since, float(np.median(one.whole.end[list(one.running)])))
    reached: NDArray[np.bool_] = capped & (ends > since)
    return reached if reached.any() else capped


def _is_better(
    problem: Problem,
    found: Plan,
    changed: Problem,
    plan: Plan,
    *,
    caps: NDArray[np.float64],
    slows: Sequence[Slow],
    settings: PlanningSettings,
) -> bool:
    """Whether `plan` of the `changed` problem is to be carried out instead of `found`."""
    if late_of(changed, plan) - late_of(problem, found):
        return False
    if any(
        int(plan.start[one.candidate.row]) > one.candidate.latest_at(one.width) for one in slows
    ):
        return False
    gain = float(excess(found, caps).sum() - excess(plan, caps).sum())
    if gain > _NEAR:
        return gain >= _FELT * sum(slow.kw for slow in slows)
    if gain < -_NEAR:
        return False
    rows = [slow.candidate.row for slow in slows]
    if not np.isfinite(
        plan.cost_gbp[rows]
    ).all():  # beyond the known prices nothing can be compared
        return False
    before, after = blocks_of(problem), blocks_of(changed)
    rate = settings.delay_price * problem.delay_weight / 86400.0
    over = problem.grid.slot_start(int(np.flatnonzero(np.isfinite(caps))[-1]) + 1)
    more = worth = 0.0
    for row in rows:
        lasts = max(0.0, over - float(plan.start[row]))  # then it has its own pace again
        later = lasts * (1.0 - after.width[row] / before.width[row])
        later = min(later, float(after.span[row] - before.span[row]) / 2.0)  # of the mean task
        later += float(changed.earliest[row] - problem.earliest[row])
        more += float(rate[row]) * later
        worth += _WORTH * float(rate[row]) * lasts
    return plan.proof.objective_gbp + more < found.proof.objective_gbp - worth
