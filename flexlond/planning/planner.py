"""The first planner: capacity-aware, one job after the other, never late for a saving.

Law: `plan` answers one Problem; the same problem and settings give the same plan. In the planner's model of
the room (capacity.py), no slot is given to more than fits, and no job starts after its latest start that
would not have as soon as possible: a plan that fails this is not used. Unknown signals mean no new deferral.
Three ways, the next where one leaves a job late: keep on (begin times in force stand, the others around
them, then each is looked at again); build up (jobs without consent as soon as possible,
then the movable ones by latest start, each into the cheapest room left); move out (from the schedule in which
all start as soon as possible, around the begin times in force, one job at a time to where there is room).
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from flexlond.planning.answer import answer, no_worse
from flexlond.planning.capacity import Blocks, Timeline, blocks_of
from flexlond.planning.dependencies import backward, levels
from flexlond.planning.greedy import Greedy
from flexlond.planning.problem import Plan, Problem, Reason
from flexlond.planning.ranking import Ranking, rank

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from flexlond.model.settings import PlanningSettings

ROUNDS = 2
"""Tries of each way to plan, before a safer one."""
MANY_LATE = 0.02
"""The share of jobs that come out late with which building up is not tried again."""
OVERLOADED = 0.2
"""The share of movable jobs that are late even as soon as possible with which only moving out is tried."""


def plan(problem: Problem, settings: PlanningSettings) -> Plan:
    """Plan every job of `problem`; see the module's law."""
    nothing = np.zeros(0, np.int64)
    return place(problem, settings, np.zeros(problem.jobs, np.int64), nothing, everything=True)


def place(
    problem: Problem,
    settings: PlanningSettings,
    fixed: NDArray[np.int64],
    subset: NDArray[np.int64],
    *,
    everything: bool = False,
) -> Plan:
    """Place only the jobs `subset` (indices) around the given starts of all others.

    `fixed` is (J,) epoch seconds, 0 for jobs that are not planned yet; entries of `subset` are ignored.
    The answer has `fixed` as start and asap of the others, never moved.
    """
    problem, blocks = _prepared(problem)
    subset = np.arange(problem.jobs) if everything else np.unique(subset)
    others = np.setdiff1d(np.arange(problem.jobs), subset)
    others = others[fixed[others] > 0]
    empty = Greedy(problem, settings, blocks, Timeline(problem, blocks))
    empty.timeline.add_all(others, fixed[others])
    empty.adopt(others, fixed[others])
    asap = empty.copy()
    asap.first_fit(_in_order(problem, subset))
    movable = subset[problem.movable[subset]]
    ranking = rank(problem, settings, blocks, movable)
    result = None
    if (asap.start > blocks.latest)[movable].sum() <= OVERLOADED * len(movable):
        result = _kept_on(problem, blocks, ranking, (empty, asap), subset)
        result = result or _built_up(problem, blocks, ranking, (empty, asap), subset)
    if result is None:
        start = _with_holds(problem, blocks, empty, asap, subset)
        result = _moved_out(problem, blocks, ranking, (start, asap), subset)
    # Begin times in force are reconsidered one by one; giving them all back at once would be a step in power.
    in_force = (problem.movable & (problem.current > problem.now))[subset].any()
    if not in_force and not no_worse(problem, settings, blocks, (result, asap)):
        result = asap
        result.reason[movable] = Reason.BELOW_BENEFIT
    return answer(problem, blocks, result, asap)


def _prepared(problem: Problem) -> tuple[Problem, Blocks]:
    """Blocks, with latest starts and consent run backwards over the dependencies."""
    blocks = blocks_of(problem)
    latest, movable = backward(blocks.latest, blocks.span, problem.movable, problem.depends)
    return replace(problem, movable=movable), replace(blocks, latest=latest)


def _in_order(problem: Problem, jobs: NDArray[np.int64]) -> list[int]:
    """Predecessors first, then Slurm's priority order."""
    level = levels(problem.jobs, problem.depends)[jobs]
    chosen: list[int] = jobs[np.lexsort((jobs, problem.order[jobs], level))].tolist()
    return chosen


def _kept_on(
    problem: Problem,
    blocks: Blocks,
    ranking: Ranking,
    states: tuple[Greedy, Greedy],
    subset: NDArray[np.int64],
) -> Greedy | None:
    """The begin times in force stand, new jobs find their place around them, then each is looked at again.

    So a plan stays as it is while the world does. None when nothing is in force, or a job comes out late.
    """
    empty, asap = states
    tied = np.bincount(_chains(problem), minlength=problem.jobs)[_chains(problem)] > 1
    in_force = problem.movable & (problem.current > problem.now) & ~tied
    if not in_force[subset].any():
        return None
    result = empty.copy()
    result.first_fit(_in_order(problem, subset[~problem.movable[subset]]))
    held = set(result.hold(_in_order(problem, subset[in_force[subset]])))
    sequence = _sequence(problem, blocks, ranking, asap, by_latest=True)
    result.cheapest([job for job in sequence if job not in held], ranking)
    result.settle(_unsettled(problem, result, subset, in_force), ranking)
    result.cheapest([job for job in sequence if job in held], ranking)
    return None if len(_late(blocks, result, asap)) else result


def _built_up(
    problem: Problem,
    blocks: Blocks,
    ranking: Ranking,
    states: tuple[Greedy, Greedy],
    subset: NDArray[np.int64],
) -> Greedy | None:
    """The jobs that are not movable first, then the others by latest start; None when one comes out late.

    In a second try the jobs that were late stand with those that are not movable, in Slurm's order.
    """
    empty, asap = states
    sequence = _sequence(problem, blocks, ranking, asap, by_latest=True)
    first = ~problem.movable
    none_left = np.zeros(problem.jobs, np.bool_)
    for _ in range(ROUNDS):
        result = empty.copy()
        result.first_fit(_in_order(problem, subset[first[subset]]))
        result.cheapest([job for job in sequence if not first[job]], ranking)
        result.reason[first & problem.movable] = Reason.LATEST_START
        result.settle(_unsettled(problem, result, subset, none_left), ranking)
        late = _late(blocks, result, asap)
        if not len(late):
            return result
        if len(late) > MANY_LATE * len(subset):
            return None
        first = first.copy()
        first[late] = True
    return None


def _with_holds(
    problem: Problem, blocks: Blocks, empty: Greedy, asap: Greedy, subset: NDArray[np.int64]
) -> Greedy:
    """As soon as possible around the begin times in force, where that makes no job late."""
    in_force = problem.movable & (problem.current > problem.now)
    chosen = subset[in_force[subset]]
    group = problem.pool_group[problem.pool]
    while len(chosen):
        state = empty.copy()
        held = state.hold(_in_order(problem, chosen))
        rest = np.setdiff1d(subset, held)
        state.first_fit(_in_order(problem, rest))
        late = _late(blocks, state, asap)
        if not len(late):
            return state
        # The holds of a group that makes one of its jobs late do not stand.
        doubtful = np.isin(group[chosen], group[late])
        if not doubtful.any() or np.isfinite(problem.site_kw):
            break
        chosen = chosen[~doubtful]
    return asap


def _moved_out(
    problem: Problem,
    blocks: Blocks,
    ranking: Ranking,
    states: tuple[Greedy, Greedy],
    subset: NDArray[np.int64],
) -> Greedy:
    """Every job has its place as soon as possible already; each moves to where there is room.

    So no job can be displaced, and only a job that waits for another can come out late. Saves less than
    building up, and always works.
    """
    start, asap = states
    sequence = _sequence(problem, blocks, ranking, asap, by_latest=False)
    component = _chains(problem)
    left = np.zeros(problem.jobs, np.bool_)
    for attempt in range(ROUNDS + 1):
        result = start.copy() if attempt < ROUNDS else asap.copy()
        moving = [job for job in sequence if not left[job]]
        result.cheapest(moving, ranking)
        result.settle(_unsettled(problem, result, subset, left), ranking)
        late = _late(blocks, result, asap)
        if not len(late):
            break
        left |= np.isin(component, component[late])
        if attempt == ROUNDS - 1:
            left |= np.bincount(component, minlength=problem.jobs)[component] > 1
    result.reason[left & problem.movable] = Reason.LATEST_START
    return result


def _chains(problem: Problem) -> NDArray[np.int64]:
    """(J,) the same number for jobs that are tied by dependencies: their lowest index."""
    number = np.arange(problem.jobs)
    while len(problem.depends):
        ends = number[problem.depends]
        lowest = ends.min(axis=1)
        if (ends == lowest[:, None]).all():
            break
        for side in (0, 1):
            np.minimum.at(number, problem.depends[:, side], lowest)
    return number


def _sequence(
    problem: Problem,
    blocks: Blocks,
    ranking: Ranking,
    asap: Greedy,
    *,
    by_latest: bool,
) -> list[int]:
    """The order in which movable jobs choose.

    Begin times in force come first where nothing has a place yet, and last where all others have theirs.
    """
    jobs = ranking.rows
    if not len(jobs):
        return []
    slot = np.minimum(asap.slot[jobs], problem.grid.count - 1)
    here = ranking.cost[np.arange(len(jobs)), slot].astype(np.float64)
    best = ranking.cost.min(axis=1)
    known = np.isfinite(here) & np.isfinite(best)
    gain = np.where(known, here, 0.0) - np.where(known, best, 0.0)
    room = np.maximum(problem.capacity[problem.pool[jobs]], 1e-9)
    resources = problem.capacity.shape[1]
    share = (blocks.amount[jobs, :resources] / room).max(axis=1, initial=1e-9)
    value = gain / (share * blocks.span[jobs])
    in_force = problem.current[jobs] > problem.now
    tier = np.where(in_force, 0 if by_latest else 2, 1)
    level = levels(problem.jobs, problem.depends)[jobs]
    slack = blocks.latest[jobs] if by_latest else np.zeros(len(jobs), np.int64)
    key = np.lexsort((problem.job_id[jobs], -value, slack, tier, level))
    chosen: list[int] = jobs[key].tolist()
    return chosen


def _unsettled(
    problem: Problem, result: Greedy, subset: NDArray[np.int64], left: NDArray[np.bool_]
) -> list[int]:
    """The jobs worth a second look, by start: not held, or a better slot was full before.

    Movable jobs for which others wait stay, since a later place would push those.
    """
    followed = np.zeros(problem.jobs, np.bool_)
    followed[problem.depends[:, 1]] = True
    again = ~result.moved | np.isin(result.reason, (Reason.CAPACITY, Reason.RAMP))
    again &= ~left & (result.start > problem.now)
    again &= ~problem.movable | (~followed & (problem.current <= problem.now))
    chosen = subset[again[subset]]
    ordered: list[int] = chosen[np.lexsort((problem.order[chosen], result.start[chosen]))].tolist()
    return ordered


def _late(blocks: Blocks, result: Greedy, asap: Greedy) -> NDArray[np.int64]:
    """The jobs that came out late although they need not."""
    return np.flatnonzero((result.start > blocks.latest) & (asap.start <= blocks.latest))
