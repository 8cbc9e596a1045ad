"""Could a carbon cap of a day be kept at all? The fewest days above it that any schedule has, by HiGHS.

Law: pure. All jobs of a replay, their real runtimes and the real carbon are known. Each job has the start times
at which what it takes and emits in each slot bends (it, or its end, meets the edge of a slot): every start in
its slack is a mixture of these. So the relaxation, in which jobs are mixtures of starts and nobody takes a
node, allows all that a schedule with nobody late may do: days that it cannot keep, nobody can. The other way
round it proves nothing: who keeps the cap in it may find no node. The second answer knows the nodes: on the
mean of a slot no more are taken than there are, and jobs that cannot wait start no later than in a given run.
That too allows all that a schedule may do which makes nobody later than that run, and more: half a job here,
half there.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from flexlond.model.timegrid import TimeGrid

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from flexlond.backtest.case import Run
    from flexlond.backtest.metrics import Case

    Rows = tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64], NDArray[np.float64]]
    """Row, column and value of each entry; upper bound of each row."""

DAY = 86400
_NEAR = 1e-4
_GAP = 0.01
_SECONDS = 120.0
_SECONDS_WHOLE = 20.0


@dataclass(frozen=True, slots=True, eq=False)
class Choices:
    """Starts of all jobs, sorted by job: m of them, over D days."""

    job: NDArray[np.int64]  # (m,) index in the trace
    start: NDArray[np.float64]  # (m,) epoch s
    kg: NDArray[
        np.float64
    ]  # (m, D) emitted on each day of the replay (UTC); 0 of jobs that cannot wait


def choices(case: Case, span: NDArray[np.int64], run: Run) -> Choices:
    """Of the jobs that ran in `run`, `span` (J,) s each.

    Those that cannot wait start no later than there; a flexible one that is late there may be as late as that.
    """
    grid, flexible = _whole(case, span), case.flexibility.flexible
    rate = np.nan_to_num(case.signals.actual(grid)[1]) * grid.slot_seconds / 3.6e6
    day = (grid.starts() - grid.start // DAY * DAY) // DAY
    edges = np.append(grid.starts(), grid.end).astype(np.float64)
    jobs, starts = [], []
    for job in np.flatnonzero(run.start > 0).tolist():
        first, as_run = float(case.trace.submit[job]), float(run.start[job])
        last = max(float(case.flexibility.latest[job]), as_run) if flexible[job] else as_run
        at = bends(edges, float(span[job]), first, last, as_run)
        jobs.append(np.full(len(at), job))
        starts.append(at)
    job, start = np.concatenate(jobs), np.concatenate(starts)
    kw = case.power.kw_per_node * case.trace.nodes[job] * flexible[job]
    kg = []
    for one in range(int(day.max()) + 1):
        total = np.append(0.0, np.cumsum(np.where(day == one, rate, 0.0)))
        emitted = np.interp(start + span[job], edges, total) - np.interp(start, edges, total)
        kg.append(kw * emitted)
    return Choices(job, start, np.array(kg).T)


def bends(
    edges: NDArray[Any], span: float, first: float, last: float, *also: float
) -> NDArray[np.float64]:
    """The starts from `first` to `last` at which what a job of `span` s takes bends, and `also` these."""
    found = np.concatenate([edges, edges - span])
    inside = found[(found > first) & (found < last)]
    return np.unique(np.append(inside, [first, last, *also]))


def _whole(case: Case, span: NDArray[np.int64]) -> TimeGrid:
    """The replay's slots and those after it, until the last job that could wait so long has ended."""
    grid = case.grid
    last = int((case.flexibility.latest + span).max(initial=grid.end))
    return TimeGrid(grid.start, grid.slot_seconds, -(-(last - grid.start) // grid.slot_seconds))


def fewest_days(found: Choices, cap: float, nodes: Rows | None = None) -> int:
    """The fewest days above `cap` kg that any schedule has, proven; `nodes` are those of `nodes_of`."""
    solver, _ = _solved(found, cap, nodes, days=True)
    return max(0, math.ceil(float(solver.getInfo().mip_dual_bound) - _NEAR))


def least(
    found: Choices, cap: float, nodes: Rows | None = None
) -> tuple[float, NDArray[np.float64]]:
    """The fewest kg above `cap` that any schedule has on all days together, and (D,) kg of each day in it.

    `nodes` are those of `nodes_of`; NaN where HiGHS found no least in its time.
    """
    solver, optimal = _solved(found, cap, nodes)
    share = np.array(solver.getSolution().col_value)[: len(found.job)]
    above = float(solver.getInfo().objective_function_value) if optimal else float("nan")
    return above, share @ found.kg


def least_whole(found: Choices, cap: float, nodes: Rows | None = None) -> float:
    """As `least`, of whole jobs: each a mixture of two neighbouring starts, that is, it starts between them.

    What HiGHS has proven in its time, at or below the least; 0 where there is no schedule at all.
    """
    solver, _ = _solved(found, cap, nodes, whole=True)
    bound = float(solver.getInfo().mip_dual_bound)
    return max(0.0, bound) if bound < math.inf else 0.0


def _solved(
    found: Choices, cap: float, nodes: Rows | None, *, days: bool = False, whole: bool = False
) -> tuple[Any, bool]:
    """HiGHS after its run, and whether it proved its answer the best."""
    import highspy  # noqa: PLC0415 - only who asks for the exact solver loads it

    model = _model(highspy, found, cap, nodes, days=days)
    if whole:
        _whole_jobs(highspy, model, found.job)
    solver = highspy.Highs()
    seconds = _SECONDS_WHOLE if whole else _SECONDS
    limits = {"threads": 1, "time_limit": seconds, "mip_rel_gap": _GAP}
    for name, value in {"output_flag": False, **limits}.items():
        solver.setOptionValue(name, value)
    solver.passModel(model)
    solver.run()
    return solver, solver.getModelStatus() == highspy.HighsModelStatus.kOptimal


def nodes_of(case: Case, span: NDArray[np.int64], found: Choices) -> Rows:
    """The nodes that jobs of `span` (J,) s take at `found` on the mean of a slot, and those that there are."""
    trace, grid = case.trace, _whole(case, span)
    job = found.job
    upper = np.repeat(trace.room.capacity[:, :1], grid.count, axis=1)
    return node_rows(
        grid, trace.pool[job], trace.demand[job, 0], found.start, found.start + span[job], upper
    )


def node_rows(
    grid: TimeGrid,
    pool: NDArray[np.int64],
    nodes: NDArray[np.float64],
    start: NDArray[np.float64],
    end: NDArray[np.float64],
    upper: NDArray[np.float64],
) -> Rows:
    """What (m,) runs take of the nodes of their pool on the mean of each slot, at most `upper` (P, S)."""
    begin = (start - grid.start) / grid.slot_seconds
    end = (end - grid.start) / grid.slot_seconds
    first = begin.astype(np.int64)
    count = np.minimum(np.ceil(end).astype(np.int64), grid.count) - first
    at = np.repeat(np.arange(len(start)), count)
    slot = first[at] + np.arange(len(at)) - np.repeat(np.cumsum(count) - count, count)
    part = np.minimum(end[at], slot + 1) - np.maximum(begin[at], slot)
    return pool[at] * grid.count + slot, at, part * nodes[at], upper.ravel() + _NEAR


def _model(highspy: Any, found: Choices, cap: float, nodes: Rows | None, *, days: bool) -> Any:
    """Columns: the mixtures, then of each day a 0/1 that it is above `cap`, or the kg by which it is.

    Rows: the days, the jobs, the `nodes`.
    """
    _, row = np.unique(found.job, return_inverse=True)
    jobs, (size, count) = int(row.max()) + 1, found.kg.shape
    # A job's mixtures together make one: so much is emitted on a day at most.
    most = np.zeros((jobs, count))
    np.maximum.at(most, row, found.kg)
    slack = np.maximum(most.sum(axis=0) - cap, 0.0)
    at, day = np.nonzero(found.kg > 0)
    column = np.concatenate([at, np.arange(size), size + np.arange(count)])
    rows = np.concatenate([day, count + row, np.arange(count)])
    value = np.concatenate([found.kg[at, day], np.ones(size), -(slack if days else np.ones(count))])
    lower = np.append(np.full(count, -highspy.kHighsInf), np.ones(jobs))
    upper = np.append(np.full(count, cap), np.ones(jobs))
    if nodes is not None:
        rows, column, value, upper = (
            np.concatenate([one, more])
            for one, more in zip(
                (rows, column, value, upper), (count + jobs + nodes[0], *nodes[1:]), strict=True
            )
        )
        lower = np.append(lower, np.full(len(nodes[3]), -highspy.kHighsInf))
    order = np.lexsort((rows, column))
    model = highspy.HighsLp()
    model.num_col_, model.num_row_ = size + count, len(upper)
    model.col_cost_ = np.append(np.zeros(size), np.ones(count))
    model.col_lower_ = np.zeros(size + count)
    model.col_upper_ = np.append(np.ones(size), np.full(count, 1.0 if days else np.inf))
    model.row_lower_, model.row_upper_ = lower, upper
    model.a_matrix_.format_ = highspy.MatrixFormat.kColwise
    starts = np.searchsorted(column[order], np.arange(size + count + 1))
    model.a_matrix_.start_ = starts.astype(np.int32)
    model.a_matrix_.index_ = rows[order].astype(np.int32)
    model.a_matrix_.value_ = value[order]
    if days:
        kind = highspy.HighsVarType
        model.integrality_ = [kind.kContinuous] * size + [kind.kInteger] * count
    return model


def _whole_jobs(highspy: Any, model: Any, job: NDArray[np.int64]) -> None:
    """Add a 0/1 for each two neighbouring starts of a job (`job` is (m,), of each mixture): one is chosen."""
    pair = np.flatnonzero(job[1:] == job[:-1])  # mixtures k and k + 1
    if not len(pair):
        return
    names, of = np.unique(job[pair], return_inverse=True)
    several = np.flatnonzero(np.isin(job, names))  # mixtures of these jobs
    place = np.full(len(job), -1)
    place[several] = np.arange(len(several))
    columns, rows = model.num_col_, model.num_row_
    new = np.arange(len(pair))
    # One row for each mixture: no more of it than of the pairs that it is in; one for each job.
    first = rows + len(several)
    index = np.stack([rows + place[pair], rows + place[pair + 1], first + of], axis=1)
    value = np.tile([-1.0, -1.0, 1.0], (len(pair), 1))
    old = model.a_matrix_
    starts, indices, values = (np.array(x) for x in (old.start_, old.index_, old.value_))
    # The mixtures' own entries in their new rows: each column gets one more at its end.
    ends = starts[several + 1]
    indices = np.insert(indices, ends, rows + place[several])
    values = np.insert(values, ends, 1.0)
    starts = starts + np.searchsorted(several, np.arange(len(starts)))
    model.num_col_, model.num_row_ = columns + len(pair), first + len(names)
    model.a_matrix_.start_ = np.append(starts, starts[-1] + 3 * (new + 1)).astype(np.int32)
    model.a_matrix_.index_ = np.append(indices, index.ravel()).astype(np.int32)
    model.a_matrix_.value_ = np.append(values, value.ravel())
    model.col_cost_ = np.append(model.col_cost_, np.zeros(len(pair)))
    model.col_lower_ = np.append(model.col_lower_, np.zeros(len(pair)))
    model.col_upper_ = np.append(model.col_upper_, np.ones(len(pair)))
    infinite = np.full(len(several), highspy.kHighsInf)
    one = np.ones(len(names))
    model.row_lower_ = np.concatenate([model.row_lower_, -infinite, one])
    model.row_upper_ = np.concatenate([model.row_upper_, np.zeros(len(several)), one])
    kind = highspy.HighsVarType
    model.integrality_ = [kind.kContinuous] * columns + [kind.kInteger] * len(pair)
