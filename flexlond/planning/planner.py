"""The first planner: capacity-aware, one job after the other, never late for a saving.

Law: `plan` answers one Problem; the same problem and settings give the same plan. What it promises holds in
its own model of the room (capacity.py): no slot is given to more than fits; no job starts after its latest
start that would have been in time as soon as possible: where deferrals would make one late, that job goes
first, and in the last resort its whole group of pools runs as soon as possible. Unknown signals mean no new
deferral. Order among movable jobs: those that were late in a first try, then those that hold a begin time,
then by what waiting saves per unit of room.
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
from flexlond.planning.ranking import Ranking, rank, run_costs

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from flexlond.model.settings import PlanningSettings

ROUNDS = 3
"""Tries in which jobs that came out late are placed first, before their group gives up deferring."""
_NAMED = 5  # job ids named in a problem's words


def plan(problem: Problem, settings: PlanningSettings) -> Plan:
    """Plan every job of `problem`; see the module's law."""
    problem, blocks = _prepared(problem)
    everything = np.arange(problem.jobs)
    asap = Greedy(problem, settings, blocks, Timeline(problem, blocks))
    asap.first_fit(_in_order(problem, everything))
    ranking = rank(problem, settings, blocks, np.flatnonzero(problem.movable))
    best = _deferred(problem, settings, blocks, ranking, asap)
    return _answer(problem, blocks, best, asap)


def place(
    problem: Problem,
    settings: PlanningSettings,
    fixed: NDArray[np.int64],
    subset: NDArray[np.int64],
) -> Plan:
    """Place only the jobs `subset` (indices) around the given starts of all others.

    `fixed` is (J,) epoch seconds, 0 for jobs that are not planned yet; entries of `subset` are ignored.
    The answer has `fixed` as start and asap of the others, never moved.
    """
    problem, blocks = _prepared(problem)
    others = np.setdiff1d(np.arange(problem.jobs), subset)
    others = others[fixed[others] > 0]
    timeline = Timeline(problem, blocks)
    timeline.add_all(others, fixed[others])
    room = timeline.free.copy()
    order = _in_order(problem, subset)

    asap = Greedy(problem, settings, blocks, timeline)
    asap.adopt(others, fixed[others])
    asap.first_fit(order)
    timeline.free = room
    result = Greedy(problem, settings, blocks, timeline)
    result.adopt(others, fixed[others])
    result.first_fit([job for job in order if not problem.movable[job]])
    movable = np.array([job for job in order if problem.movable[job]], np.int64)
    ranking = rank(problem, settings, blocks, np.sort(movable))
    result.cheapest(_sequence(problem, blocks, ranking, asap, ()), ranking)
    late = [job for job in movable.tolist() if _is_late(job, blocks, result, asap)]
    _run_at_once(result, asap, late)
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


def _deferred(
    problem: Problem,
    settings: PlanningSettings,
    blocks: Blocks,
    ranking: Ranking,
    asap: Greedy,
) -> Greedy:
    """The placement with deferrals, checked against lateness."""
    fixed = [job for job in _in_order(problem, np.arange(problem.jobs)) if not problem.movable[job]]
    base = Timeline(problem, blocks)
    room = base.free.copy()
    urgent: dict[int, None] = {}
    late: list[int] = []
    for _ in range(ROUNDS):
        base.free = room.copy()
        result = Greedy(problem, settings, blocks, base)
        result.first_fit(fixed)
        result.cheapest(_sequence(problem, blocks, ranking, asap, urgent), ranking)
        result.improve(_second_try(problem, result), ranking)
        late = [job for job in range(problem.jobs) if _is_late(job, blocks, result, asap)]
        if not late:
            return result
        urgent.update(dict.fromkeys(late))
    group = problem.pool_group[problem.pool]
    given_up = np.isin(group, group[late])
    if np.isfinite(problem.site_kw):  # the site's cap ties the groups together
        given_up[:] = True
    _run_at_once(result, asap, np.flatnonzero(given_up).tolist())
    return result


def _sequence(
    problem: Problem,
    blocks: Blocks,
    ranking: Ranking,
    asap: Greedy,
    urgent: dict[int, None] | tuple[()],
) -> list[int]:
    """The order in which movable jobs choose."""
    jobs = ranking.rows
    if not len(jobs):
        return []
    slot = np.minimum(asap.slot[jobs], problem.grid.count - 1)
    here = ranking.cost[np.arange(len(jobs)), slot].astype(np.float64)
    gain = here - ranking.cost.min(axis=1)
    room = np.maximum(problem.capacity[problem.pool[jobs]], 1e-9)
    resources = problem.capacity.shape[1]
    share = (blocks.amount[jobs, :resources] / room).max(axis=1, initial=1e-9)
    value = np.where(np.isfinite(gain), gain, 0.0) / (share * blocks.span[jobs])
    tier = np.where(problem.current[jobs] > problem.now, 1, 2)
    tier[np.isin(jobs, list(urgent))] = 0
    level = levels(problem.jobs, problem.depends)[jobs]
    key = np.lexsort((problem.job_id[jobs], -value, tier, level))
    chosen: list[int] = jobs[key].tolist()
    return chosen


def _second_try(problem: Problem, result: Greedy) -> list[int]:
    """The jobs for which a better slot was full: nobody waits for them and they hold nothing."""
    followed = np.zeros(problem.jobs, np.bool_)
    followed[problem.depends[:, 1]] = True
    full = (result.reason == Reason.CAPACITY) & problem.movable & ~followed
    chosen: list[int] = np.flatnonzero(full & (problem.current <= problem.now)).tolist()
    return chosen


def _is_late(job: int, blocks: Blocks, result: Greedy, asap: Greedy) -> bool:
    latest = blocks.latest[job]
    return bool(result.start[job] > latest and asap.start[job] <= latest)


def _run_at_once(result: Greedy, asap: Greedy, jobs: list[int]) -> None:
    """Take back the deferral of `jobs`: as soon as possible."""
    for job in jobs:
        result.start[job], result.slot[job] = asap.start[job], asap.slot[job]
        if result.problem.movable[job]:
            result.moved[job] = False
            result.reason[job] = Reason.LATEST_START


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
