"""Which running jobs to stop for a window that deferral alone does not keep, and whether that is worth it.

Law: pure. Only `candidates` are ever stopped: the caller has their owners' word. Nobody is stopped who could
not run again in time, nor where anybody else would be late for it. What is claimed is what a plan of the queue
without them shows: room that a stop frees is Slurm's to give to whoever is next, so the jobs without consent
that would come sooner are counted. If what is above the caps does not fall by half of what was stopped,
nobody is stopped. Of the selections that do the same the cheapest is taken (cover.py says how exactly):

    requeue: (work lost + restart) x kW x score + price of delay x (time away + queue wait + work lost)
    suspend: what it still draws x score + price of delay x time away

Work lost is all since its start, with a checkpoint signal the grace alone. kW, GBP, epoch seconds.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol

import numpy as np

from flexlond.planning.account import slot_power
from flexlond.planning.capacity import blocks_of
from flexlond.planning.cover import cover
from flexlond.planning.moments import lead, needed_from, relief, times
from flexlond.planning.ranking import score_of
from flexlond.planning.stopped import Stop, with_stops

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from flexlond.model.settings import PlanningSettings
    from flexlond.planning.moments import Terms
    from flexlond.planning.problem import Plan, Problem
    from flexlond.planning.stopped import Candidate

_ROUNDS = 3  # of choosing, with what was learnt of who would take the freed room
_HALVINGS = 3  # plans made to find how many are not needed
_NEAR = 1e-3  # kW above a cap that nobody minds
_WORTH = 0.5  # of what is stopped must be gained
_FELT = 0.25  # slots for which a stop must be felt
_LEAST_SCORE = 1.0  # GBP/MWh: work lost is never free, whatever the price


class Replan(Protocol):
    """The planner with the site's settings and budget."""

    def __call__(self, problem: Problem, /) -> Plan:
        """The plan of `problem`."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class Stopping:
    """Who is stopped, and the plan with it; nobody is a full answer."""

    stops: tuple[Stop, ...]
    problem: Problem
    plan: Plan
    gap: float = 0.0  # the share by which the selection may at most be dearer than the cheapest
    why: str = ""  # why no more is stopped, where something is still above the caps

    @property
    def cost_gbp(self) -> float:
        """What all of them cost."""
        return sum(stop.cost_gbp for stop in self.stops)

    @property
    def uncertainty_gbp(self) -> float:
        """By which another selection may at most be cheaper."""
        return self.cost_gbp * self.gap / (1.0 + self.gap)


@dataclass(frozen=True, slots=True, eq=False)
class _Ask:
    """What all rounds share."""

    problem: Problem
    caps: NDArray[np.float64]
    settings: PlanningSettings
    terms: Terms
    replan: Replan


def excess(plan: Plan, caps: NDArray[np.float64]) -> NDArray[np.float64]:
    """(S,) kW of the plan above `caps` (inf: none)."""
    over: NDArray[np.float64] = np.where(np.isfinite(caps), plan.kw - caps, 0.0)
    return np.where(over > _NEAR, over, 0.0)


def choose(
    problem: Problem,
    found: Plan,
    caps: NDArray[np.float64],
    candidates: Sequence[Candidate],
    *,
    settings: PlanningSettings,
    terms: Terms,
    replan: Replan,
) -> Stopping:
    """Choose among `candidates` for `found`, the plan of `problem`; `caps` (S,) are those of windows alone."""
    ask = _Ask(problem, caps, settings, terms, replan)
    asked = [_as_ordered(problem, terms, one) for one in candidates if one.asked]
    if asked:
        problem = with_stops(problem, asked, saves=terms.saves, closed=True)
        found = replan(problem)
    nothing = Stopping(tuple(asked), problem, found)
    need = excess(found, caps)
    open_ = [one for one in candidates if not one.asked]
    if not need.any():
        return nothing
    if not open_:
        return replace(nothing, why="no running job may be stopped for it")
    best, why = _rounds(ask, found, need, asked=asked, candidates=open_)
    if best is None:
        return replace(nothing, why=why)
    stops, gap = best
    if found.uncapped.all() and len(found.uncapped):
        stops = _needed(ask, asked, stops)
    return _carried_out(ask, [*asked, *stops], nothing, gap)


def as_before(
    problem: Problem,
    found: Plan,
    candidates: Sequence[Candidate],
    before: Stopping,
    *,
    terms: Terms,
    replan: Replan,
) -> Stopping:
    """Those chosen `before` who are still candidates, and those ordered since; nothing is chosen afresh."""
    still = {one.job_id: one for one in candidates}
    chosen = {stop.candidate.job_id: stop for stop in before.stops}
    stops = [
        replace(chosen[job], candidate=one)
        for job, one in still.items()
        if job in chosen and not one.asked
    ]
    stops += [_as_ordered(problem, terms, one) for one in still.values() if one.asked]
    if not stops:
        return Stopping((), problem, found, why=before.why)
    changed = with_stops(problem, stops, saves=terms.saves, closed=True)
    return Stopping(tuple(stops), changed, replan(changed), before.gap, before.why)


def _rounds(
    ask: _Ask,
    found: Plan,
    need: NDArray[np.float64],
    *,
    asked: Sequence[Stop],
    candidates: Sequence[Candidate],
) -> tuple[tuple[list[Stop], float] | None, str]:
    """The selection that gains most, with its gap; or why there is none."""
    before, late = float(need.sum()), late_of(ask.problem, found)
    share = np.ones(len(ask.problem.group_capacity))
    barred: set[int] = set()
    best: tuple[float, list[Stop], float] | None = None
    why = "no running job may be stopped in time for it"
    promise = 1.0  # the part of what is needed that is tried
    for _ in range(_ROUNDS):
        left = [one for one in candidates if one.job_id not in barred]
        rows = _rows(ask, left, need)
        group = _groups(ask.problem, left)
        kw = ask.problem.running.kw[[one.row for one in left]]
        felt = rows[:, need > 0].sum(axis=1) >= _FELT * ask.terms.saves * kw
        worth = rows * (share[group] * felt)[:, None]
        cost = np.array([_cost(ask, one, need) for one in left])
        chosen = cover(worth, promise * need, cost)
        if not chosen.chosen.any():
            break
        picked = np.flatnonzero(chosen.chosen)
        stops = _timed(ask, [left[at] for at in picked], rows[picked], cost[picked], need=need)
        opened = with_stops(ask.problem, [*asked, *stops], saves=ask.terms.saves, closed=False)
        after = ask.replan(opened)
        tardy = _tardy(ask.problem, after, opened)
        if tardy & {stop.candidate.job_id for stop in stops}:
            barred |= tardy
            why = "what could be stopped could not run again in time"
            continue
        if late_of(ask.problem, after) - late:
            why, promise = "others would be late for it", promise / 2
            continue
        gain = before - float(excess(after, ask.caps).sum())
        claimed = float(np.minimum(rows[picked].sum(axis=0), promise * need).sum())
        if gain < _WORTH * claimed:
            why = "stopping would not lower what is above the cap"
        elif best is None or gain > best[0] + _NEAR:
            best = gain, stops, chosen.gap
        taken = _taken(ask, found, after, need)
        freed = np.bincount(group[picked], rows[picked][:, need > 0].sum(axis=1), len(share))
        with np.errstate(divide="ignore", invalid="ignore"):
            kept = np.where(freed > 0, 1.0 - np.clip(taken / freed, 0.0, 1.0), share)
        if not (kept < share - _NEAR).any():
            break
        share = np.minimum(share, kept)
        share[share < _WORTH] = 0.0
        why = "jobs without consent would take the room that a stop frees"
    return (None, why) if best is None else ((best[1], best[2]), "")


def _carried_out(ask: _Ask, stops: list[Stop], nothing: Stopping, gap: float) -> Stopping:
    """The plan with `stops`, in which the room of suspended jobs is promised to nobody."""
    problem = with_stops(ask.problem, stops, saves=ask.terms.saves, closed=True)
    plan = ask.replan(problem)
    tardy = _tardy(ask.problem, plan, problem) - {one.candidate.job_id for one in nothing.stops}
    if tardy or late_of(ask.problem, plan) - late_of(ask.problem, nothing.plan):
        return replace(nothing, why="others would be late for it")
    after = excess(plan, ask.caps)
    if after.sum() >= excess(nothing.plan, ask.caps).sum() - _NEAR:
        return replace(nothing, why="stopping would not lower what is above the cap")
    again = {
        int(job): int(at)
        for job, at in zip(
            plan.job_id[ask.problem.jobs :], plan.start[ask.problem.jobs :], strict=True
        )
    }
    stops = [
        replace(stop, until=max(stop.until, again[stop.candidate.job_id]))
        if stop.requeued
        else stop
        for stop in stops
    ]
    why = "no further running job may be stopped for it" if after.any() else ""
    return Stopping(tuple(stops), problem, plan, gap, why)


def _needed(ask: _Ask, asked: Sequence[Stop], stops: list[Stop]) -> list[Stop]:
    """Without the dearest ones, where the others are enough: the plan before deferred nobody."""

    def left(kept: Sequence[Stop]) -> float:
        problem = with_stops(ask.problem, [*asked, *kept], saves=ask.terms.saves, closed=False)
        return float(excess(ask.replan(problem), ask.caps).sum())

    least = left(stops)
    low, high = 0, len(stops)  # how many of the dearest are not needed
    order = sorted(stops, key=lambda stop: (-stop.cost_gbp, stop.candidate.job_id))
    for _ in range(_HALVINGS):
        if low >= high:
            break
        middle = (low + high + 1) // 2
        if left(order[middle:]) <= least + _NEAR:
            low = middle
        else:
            high = middle - 1
    return order[low:]


def _as_ordered(problem: Problem, terms: Terms, candidate: Candidate) -> Stop:
    """One that was ordered before and is not seen stopped yet."""
    off = max(problem.now, candidate.asked + lead(candidate, terms))
    kw = float(problem.running.kw[candidate.row])
    kw *= 1.0 if candidate.requeues else terms.saves
    slot = max(0, problem.grid.slot_of(off))
    return Stop(candidate, candidate.asked, off, candidate.until, kw, 0.0, slot)


def _rows(
    ask: _Ask, candidates: Sequence[Candidate], need: NDArray[np.float64]
) -> NDArray[np.float64]:
    """(n, S) kW that each takes away at the most, from as soon as it may be stopped."""
    grid, running, now = ask.problem.grid, ask.problem.running, ask.problem.now
    rows = np.zeros((len(candidates), grid.count))
    for at, one in enumerate(candidates):
        off = max(now, one.ready) + lead(one, ask.terms)
        rows[at] = _row(ask, one, off, _last(ask, need), running.kw[one.row])
    return rows


def _row(ask: _Ask, one: Candidate, off: int, last: int, kw: float) -> NDArray[np.float64]:
    grid, end = ask.problem.grid, int(ask.problem.running.end[one.row])
    if one.requeues:
        return relief(grid, kw, off, end)
    return relief(grid, kw * ask.terms.saves, off, min(end, last, one.latest))


def _last(ask: _Ask, need: NDArray[np.float64]) -> int:
    """The end of the last slot that needs something."""
    return ask.problem.grid.slot_start(int(np.flatnonzero(need)[-1]) + 1)


def _timed(
    ask: _Ask,
    chosen: Sequence[Candidate],
    rows: NDArray[np.float64],
    cost: NDArray[np.float64],
    *,
    need: NDArray[np.float64],
) -> list[Stop]:
    """When each of them is ordered."""
    grid, kw = ask.problem.grid, ask.problem.running.kw
    last = _last(ask, need)

    def reach(row: int, slot: int) -> NDArray[np.float64]:
        one = chosen[row]
        soonest = max(ask.problem.now, one.ready) + lead(one, ask.terms)
        return _row(ask, one, max(soonest, grid.slot_start(slot)), last, kw[one.row])

    slots = needed_from(need, rows, reach)
    entries = [
        (one, slot, float(kw[one.row]) * (1.0 if one.requeues else ask.terms.saves), float(price))
        for one, slot, price in zip(chosen, slots, cost, strict=True)
    ]
    ramp = ask.settings.ramp_kw_per_5min
    return times(grid, entries, terms=ask.terms, ramp_kw=ramp, now=ask.problem.now, last=last)


def _cost(ask: _Ask, one: Candidate, need: NDArray[np.float64]) -> float:
    """GBP of stopping it for all slots that need something."""
    problem, settings = ask.problem, ask.settings
    grid, kw = problem.grid, float(problem.running.kw[one.row])
    slots = np.flatnonzero(need)
    first, last = grid.slot_start(int(slots[0])), _last(ask, need)
    off = max(first, problem.now, one.ready)
    score = _score(ask, int(slots[-1]) + 1)
    rate = settings.delay_price * one.delay_weight / 86400.0
    if one.requeues:
        lost = one.grace if one.saved else max(0, off - one.began)
        hours = (lost + ask.terms.restart_seconds) / 3600.0
        return kw * hours / 1000.0 * score + rate * (max(0, last - off) + one.wait + lost)
    away = max(0, min(last, one.latest) - off)
    return kw * (1.0 - ask.terms.saves) * away / 3.6e6 * score + rate * away


def _score(ask: _Ask, after: int) -> float:
    """GBP/MWh at which work is done again: the mean after the window, as far as it is known."""
    values = score_of(ask.problem.price, ask.problem.carbon, ask.settings)
    for part in (values[after:], values):
        known = part[np.isfinite(part)]
        if len(known):
            return max(_LEAST_SCORE, float(known.mean()))
    return _LEAST_SCORE


def _groups(problem: Problem, candidates: Sequence[Candidate]) -> NDArray[np.int64]:
    """(n,) the group of pools of each."""
    rows = np.array([one.row for one in candidates], np.int64)
    pool = problem.running.share[rows].argmax(axis=1)
    group: NDArray[np.int64] = problem.pool_group[pool]
    return group


def _taken(ask: _Ask, before: Plan, after: Plan, need: NDArray[np.float64]) -> NDArray[np.float64]:
    """(G,) kW x slots, in slots that need relief, that jobs who are not held draw more than before."""
    problem = ask.problem
    kw, group = blocks_of(problem).kw, problem.pool_group[problem.pool]
    count = len(problem.group_capacity)
    used = []
    for plan in (before, after):
        start, span = plan.start[: problem.jobs], plan.span[: problem.jobs]
        free = ~plan.moved[: problem.jobs] & (start > 0)
        power = [
            slot_power(
                problem.grid,
                start[free & (group == one)].astype(np.float64),
                (start + span)[free & (group == one)],
                kw[free & (group == one)],
            )
            for one in range(count)
        ]
        used.append(np.array([one[need > 0].sum() for one in power]))
    more: NDArray[np.float64] = np.maximum(used[1] - used[0], 0.0)
    return more


def late_of(problem: Problem, plan: Plan) -> set[int]:
    """Jobs of `problem` that start after their latest start."""
    late = problem.movable & (plan.start[: problem.jobs] > problem.latest)
    return set(problem.job_id[late].tolist())


def _tardy(problem: Problem, plan: Plan, opened: Problem) -> set[int]:
    """Requeued jobs that would not run again in time."""
    again = slice(problem.jobs, None)
    late = (plan.start[again] > opened.latest[again]) | (plan.slot[again] >= plan.grid.count)
    return set(opened.job_id[again][late].tolist())
