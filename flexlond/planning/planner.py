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

from flexlond.planning.account import peak_kw, slot_power
from flexlond.planning.capacity import Blocks, Timeline, blocks_of
from flexlond.planning.dependencies import backward, levels
from flexlond.planning.greedy import Greedy
from flexlond.planning.problem import Plan, Problem, Reason, Totals
from flexlond.planning.ranking import Ranking, rank, run_costs, score_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from flexlond.model.settings import PlanningSettings

ROUNDS = 2
"""Tries of each way to plan, before a safer one."""
MANY_LATE = 0.02
"""The share of jobs that come out late with which building up is not tried again."""
OVERLOADED = 0.2
"""The share of movable jobs that are late even as soon as possible with which only moving out is tried."""
_NAMED = 5  # job ids named in a problem's words


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
    if not _no_worse(problem, settings, blocks, (result, asap)):
        result = asap
        result.reason[movable] = Reason.BELOW_BENEFIT
    return _answer(problem, blocks, result, asap)


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


def _answer(problem: Problem, blocks: Blocks, result: Greedy, asap: Greedy) -> Plan:
    grid, kw, span = problem.grid, blocks.kw, blocks.span
    cost, cost_asap, co2, co2_asap = (
        run_costs(grid, values, kw, start, span)
        for values in (problem.price, problem.carbon)
        for start in (result.start, asap.start)
    )
    power, peak = _power(problem, blocks, result.start)
    power_asap, peak_asap = _power(problem, blocks, asap.start)
    priced = np.isfinite(cost) & np.isfinite(cost_asap)
    counted = np.isfinite(co2) & np.isfinite(co2_asap)
    delay = (result.start - asap.start)[result.moved]
    totals = Totals(
        jobs=problem.jobs,
        movable=int(problem.movable.sum()),
        moved=int(result.moved.sum()),
        cost_gbp=float(cost[priced].sum()),
        cost_asap_gbp=float(cost_asap[priced].sum()),
        co2_kg=float(co2[counted].sum()),
        co2_asap_kg=float(co2_asap[counted].sum()),
        peak_kw=peak,
        peak_asap_kw=peak_asap,
        mean_delay_s=float(delay.mean()) if len(delay) else 0.0,
    )
    return Plan(
        start=result.start,
        slot=result.slot,
        moved=result.moved,
        asap=asap.start,
        span=span,
        reason=result.reason,
        cost_gbp=cost,
        cost_asap_gbp=cost_asap,
        co2_kg=co2,
        co2_asap_kg=co2_asap,
        kw=power,
        kw_asap=power_asap,
        totals=totals,
        problems=_words(problem, blocks, result),
    )


def _no_worse(
    problem: Problem, settings: PlanningSettings, blocks: Blocks, states: tuple[Greedy, Greedy]
) -> bool:
    """Whether the first placement costs no more than the second: energy, carbon and delay together."""
    score = score_of(problem.price, problem.carbon, settings)
    rate = settings.delay_price * problem.delay_weight * blocks.kw * blocks.span / 3600.0 / 86400.0
    new, old = (
        run_costs(problem.grid, score, blocks.kw, state.start, blocks.span) + rate * state.start
        for state in states
    )
    known = np.isfinite(new) & np.isfinite(old)
    return bool((new - old)[known].sum() <= 0)


def _power(
    problem: Problem, blocks: Blocks, start: NDArray[np.int64]
) -> tuple[NDArray[np.float64], float]:
    """Mean kW per slot and the highest kW at any moment, running jobs included."""
    running, grid = problem.running, problem.grid
    placed = start > 0
    begin = np.concatenate([np.full(len(running.end), grid.start), start[placed]])
    end = np.concatenate(
        [running.end, start[placed] + np.ceil(blocks.span[placed]).astype(np.int64)]
    )
    end = np.maximum(end, begin)
    kw = np.concatenate([running.kw, blocks.kw[placed]])
    mean = slot_power(grid, begin.astype(np.float64), end.astype(np.float64), kw)
    return mean, peak_kw(begin, end, kw)


def _words(problem: Problem, blocks: Blocks, result: Greedy) -> tuple[str, ...]:
    """What could not be satisfied."""
    words: list[str] = []
    for name, values in (("price", problem.price), ("carbon intensity", problem.carbon)):
        holes = int((~np.isfinite(values)).sum())
        if holes:
            words.append(
                f"{name} is unknown in {holes} of {len(values)} slots: no deferral into them"
            )
    room = np.minimum(
        problem.capacity[problem.pool],
        problem.group_capacity[problem.pool_group[problem.pool]],
    )
    tall = np.flatnonzero((problem.demand > room).any(axis=1))
    if len(tall):
        words.append(f"more than their pool has is asked for by {_named(problem, tall)}")
    late = np.flatnonzero(problem.movable & (result.start > blocks.latest))
    if len(late):
        words.append(
            f"no room before the latest start, even as soon as possible, for {_named(problem, late)}"
        )
    if result.over_ramp:
        over = np.array(result.over_ramp, np.int64)
        words.append(f"the ramp cap gives way to the latest start of {_named(problem, over)}")
    return tuple(words)


def _named(problem: Problem, jobs: NDArray[np.int64]) -> str:
    ids = ", ".join(str(job) for job in problem.job_id[jobs[:_NAMED]].tolist())
    more = f" and {len(jobs) - _NAMED} more" if len(jobs) > _NAMED else ""
    return f"{len(jobs)} jobs ({ids}{more})" if len(jobs) > 1 else f"job {ids}"
