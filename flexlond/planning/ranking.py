"""Jobs x slots: what it costs to start job j in slot s.

Law: cost(j, s) in GBP is the job's energy over the slots it would occupy, times the score (price + carbon
price x intensity), plus the price of delay. Partly used slots count by their used part. A start is the
slot's start, but in the job's first slot it is the job's earliest moment. Infinite where the job may not
start: before its earliest, after its latest start, where price or carbon is unknown over the run, or above
the job's own max-price or max-carbon (that mask is lifted where it would leave no slot: it may make a job
wait, never miss its latest start).
float32: sums are taken in float64 over classes of equal length and only the window cost is rounded, so the
relative error is 1e-7 against a `min_benefit` of 1e-2; it halves the memory.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from flexlond.model.settings import PlanningSettings
    from flexlond.model.timegrid import TimeGrid
    from flexlond.planning.capacity import Blocks
    from flexlond.planning.problem import Problem

_CHUNK = 2048  # rows at a time: the temporaries stay in the processor's cache


@dataclass(frozen=True, slots=True, eq=False)
class Ranking:
    """The cost matrix of some jobs of a problem, row k for job `rows[k]`."""

    rows: NDArray[np.int64]  # (n,) job indices
    cost: NDArray[np.float32]  # (n, S) GBP, +inf where masked
    first: NDArray[np.int64]  # (n,) slot of the earliest moment
    limited: NDArray[np.bool_]  # (n,) slots were masked by max-price or max-carbon
    energy_mwh: NDArray[np.float64]  # (n,)


def score_of(
    price: NDArray[np.float64], carbon: NDArray[np.float64], settings: PlanningSettings
) -> NDArray[np.float64]:
    """(S,) GBP/MWh: price + carbon price x intensity (1 g/kWh is 0.001 t/MWh); NaN where unknown.

    With a carbon price of 0 the carbon series is not needed and may be unknown.
    """
    if settings.carbon_price == 0:
        return price
    score: NDArray[np.float64] = price + settings.carbon_price * carbon / 1000.0
    return score


def scores_of(problem: Problem, settings: PlanningSettings) -> NDArray[np.float64]:
    """(G, S) GBP/MWh by group of jobs: the score, and what carbon caps add to it; one group without caps."""
    score = score_of(problem.price, problem.carbon, settings)[None, :]
    extra = problem.carbon_extra
    if not len(extra):
        return score
    # kg/MWh is g/kWh; an intensity that is not known matters only where it has a price.
    return np.asarray(score + np.where(extra > 0, extra * problem.carbon, 0.0))


def group_of(problem: Problem, jobs: NDArray[np.int64]) -> NDArray[np.int64]:
    """(n,) the row of `scores_of` that counts for each of `jobs`."""
    if not len(problem.carbon_extra):
        return np.zeros(len(jobs), np.int64)
    return problem.extra_group[jobs]


def scored_runs(
    grid: TimeGrid,
    scores: NDArray[np.float64],
    group: NDArray[np.int64],
    runs: tuple[NDArray[np.float64], NDArray[np.int64], NDArray[np.float64]],
) -> NDArray[np.float64]:
    """(n,) GBP of `runs` (kW, start, span), each by the score of its group; as run_costs."""
    kw, start, span = runs
    if len(scores) == 1:
        return run_costs(grid, scores[0], kw, start, span)
    cost = np.empty(len(kw))
    for number, score in enumerate(scores):
        mine = group == number
        cost[mine] = run_costs(grid, score, kw[mine], start[mine], span[mine])
    return cost


def rank(
    problem: Problem,
    settings: PlanningSettings,
    blocks: Blocks,
    rows: NDArray[np.int64] | None = None,
) -> Ranking:
    """Rank every slot for the jobs `rows` (all when None); see the module's law."""
    rows = np.arange(problem.jobs) if rows is None else rows
    grid = problem.grid
    score = score_of(problem.price, problem.carbon, settings)
    earliest = np.maximum(problem.earliest[rows], problem.now)
    kw, span = blocks.kw[rows], blocks.span[rows]
    kwh = kw * span / 3600.0
    per_second = settings.delay_price * problem.delay_weight[rows] / 86400.0
    # Later slots start up to `spread` of a slot late (spread.py): keep that before the latest start, but no
    # more than a quarter of the whole wait.
    lead = int(settings.spread * grid.slot_seconds)
    leads = np.clip((blocks.latest[rows] - earliest) // 4, 0, lead)
    last = (blocks.latest[rows] - leads - grid.start) // grid.slot_seconds
    first = (earliest - grid.start) // grid.slot_seconds
    cost = window_costs(grid, score, kw, span)
    starts = grid.starts() - grid.start
    slots = np.arange(grid.count)
    for begin in range(0, len(rows), _CHUNK):
        part = slice(begin, begin + _CHUNK)
        block = cost[part]
        rate = per_second[part].astype(np.float32)
        block += rate[:, None] * starts.astype(np.float32)
        block -= (per_second[part] * (earliest[part] - grid.start)).astype(np.float32)[:, None]
        outside = slots <= first[part][:, None]
        outside |= slots > last[part][:, None]
        block[outside] = np.inf
    # The first slot: from the earliest moment on, which costs no delay.
    here = np.flatnonzero((first >= 0) & (first < grid.count) & (earliest <= blocks.latest[rows]))
    now_cost = run_costs(grid, score, kw[here], earliest[here], span[here])
    cost[here, first[here]] = np.nan_to_num(now_cost, nan=np.inf)
    limited = _limit(problem, rows, cost)
    return Ranking(rows, cost, first, limited, kwh / 1000.0)


def window_costs(
    grid: TimeGrid,
    score: NDArray[np.float64],
    kw: NDArray[np.float64],
    span: NDArray[np.float64],
) -> NDArray[np.float32]:
    """(n, S) GBP of running `kw` for `span` seconds from each slot's start; inf where unknown."""
    slots = grid.count
    length = np.maximum(span, 1e-3) / grid.slot_seconds
    whole = np.minimum(np.ceil(length) - 1, slots).astype(np.int64)
    part = np.where(length > slots, 1.0, length - whole).astype(np.float32)  # in (0, 1]
    table_whole, table_next = _tables(score, int(whole.max(initial=0)))
    mwh = (kw * grid.slot_seconds / 3.6e6).astype(np.float32)
    cost = np.empty((len(kw), slots), np.float32)
    for begin in range(0, len(kw), _CHUNK):
        rows = slice(begin, begin + _CHUNK)
        block = cost[rows]
        np.take(table_next, whole[rows], axis=0, out=block, mode="clip")
        block *= part[rows, None]
        block += table_whole[whole[rows]]
        block *= np.maximum(mwh[rows, None], np.float32(1e-30))  # inf x 0 would be NaN
    return cost


def run_costs(
    grid: TimeGrid,
    values: NDArray[np.float64],
    kw: NDArray[np.float64],
    start: NDArray[np.int64],
    span: NDArray[np.float64],
) -> NDArray[np.float64]:
    """(n,) sum of kw x value over [start, start + span) in MWh x value; NaN where a value is unknown.

    With a price (GBP/MWh) that is GBP; with an intensity (g/kWh = kg/MWh) it is kg.
    """
    known = np.isfinite(values)
    total = np.concatenate([[0.0], np.cumsum(np.where(known, values, 0.0))])
    holes = np.concatenate([[0], np.cumsum(~known)])
    begin = (start - grid.start) / grid.slot_seconds
    end = begin + span / grid.slot_seconds
    edges = np.arange(grid.count + 1, dtype=np.float64)
    area = np.interp(end, edges, total) - np.interp(begin, edges, total)
    low = np.clip(np.floor(begin), 0, grid.count).astype(np.int64)
    high = np.clip(np.ceil(end - 1e-9), 0, grid.count).astype(np.int64)
    unknown = (begin < 0) | (end > grid.count + 1e-9) | (holes[np.maximum(high, low)] > holes[low])
    result: NDArray[np.float64] = np.where(unknown, np.nan, area * kw * grid.slot_seconds / 3.6e6)
    return result


def _tables(
    score: NDArray[np.float64], longest: int
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """By whole slots i: sum of score[s : s + i], and score[s + i]; inf where unknown or off the grid."""
    slots = len(score)
    padded = np.concatenate(
        [np.where(np.isfinite(score), score, np.nan), np.full(slots + 1, np.nan)]
    )
    following = np.lib.stride_tricks.sliding_window_view(padded, slots)[: longest + 1]
    sums = np.zeros((longest + 1, slots))
    np.cumsum(following[:-1], axis=0, out=sums[1:])
    return (
        np.where(np.isnan(sums), np.inf, sums).astype(np.float32),
        np.where(np.isnan(following), np.inf, following).astype(np.float32),
    )


def _limit(
    problem: Problem, rows: NDArray[np.int64], cost: NDArray[np.float32]
) -> NDArray[np.bool_]:
    """Mask slots above a job's own limits in `cost`; return where any was masked."""
    limited = np.zeros(len(rows), np.bool_)
    for values, limit in (
        (problem.price, problem.max_price[rows]),
        (problem.carbon, problem.max_carbon[rows]),
    ):
        for row in np.flatnonzero(np.isfinite(limit)).tolist():
            allowed = np.where(values <= limit[row], cost[row], np.float32(np.inf))
            if np.isfinite(allowed).any() and (allowed != cost[row]).any():
                cost[row] = allowed
                limited[row] = True
    return limited
