"""Could a carbon cap of a day be kept at all? The fewest days above it that any schedule has, by HiGHS.

Law: pure. All jobs of a replay, their real runtimes and the real carbon are known. Each flexible job has the
start times at which what it emits on each day bends (it, or its end, meets the edge of a slot): every start in
its slack is a mixture of these. So the relaxation, in which jobs are mixtures of starts and nobody takes a
node, allows all that a schedule with nobody late may do: days that it cannot keep, nobody can. The other way
round it proves nothing: who keeps the cap in it may find no node.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from flexlond.model.timegrid import TimeGrid

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from flexlond.backtest.metrics import Case

DAY = 86400
_NEAR = 1e-4
_GAP = 0.01
_SECONDS = 120.0


@dataclass(frozen=True, slots=True, eq=False)
class Choices:
    """Starts of flexible jobs, sorted by job: m of them, over D days."""

    job: NDArray[np.int64]  # (m,) index in the trace
    kg: NDArray[np.float64]  # (m, D) emitted on each day of the replay (UTC)


def choices(case: Case, span: NDArray[np.int64]) -> Choices:
    """Of the flexible jobs, which run `span` (J,) s."""
    grid, power = _whole(case, span), case.power.kw_per_node
    rate = np.nan_to_num(case.signals.actual(grid)[1]) * grid.slot_seconds / 3.6e6
    day = (grid.starts() - grid.start // DAY * DAY) // DAY
    edges = np.append(grid.starts(), grid.end).astype(np.float64)
    jobs, starts = [], []
    for job in np.flatnonzero(case.flexibility.flexible).tolist():
        first, last = float(case.trace.submit[job]), float(case.flexibility.latest[job])
        bends = np.concatenate([edges, edges - span[job]])
        at = np.unique(np.append(bends[(bends > first) & (bends < last)], [first, last]))
        jobs.append(np.full(len(at), job))
        starts.append(at)
    job, start = np.concatenate(jobs), np.concatenate(starts)
    kw = power * case.trace.nodes[job]
    kg = []
    for one in range(int(day.max()) + 1):
        total = np.append(0.0, np.cumsum(np.where(day == one, rate, 0.0)))
        emitted = np.interp(start + span[job], edges, total) - np.interp(start, edges, total)
        kg.append(kw * emitted)
    return Choices(job, np.array(kg).T)


def _whole(case: Case, span: NDArray[np.int64]) -> TimeGrid:
    """The replay's slots and those after it, until the last job that could wait so long has ended."""
    grid = case.grid
    last = int((case.flexibility.latest + span).max(initial=grid.end))
    return TimeGrid(grid.start, grid.slot_seconds, -(-(last - grid.start) // grid.slot_seconds))


def least(found: Choices, cap: float) -> int:
    """The fewest days above `cap` kg that any schedule has."""
    import highspy  # noqa: PLC0415 - only who asks for the exact solver loads it

    solver = highspy.Highs()
    limits = {"threads": 1, "time_limit": _SECONDS, "mip_rel_gap": _GAP}
    for name, value in {"output_flag": False, **limits}.items():
        solver.setOptionValue(name, value)
    solver.passModel(_model(highspy, found, cap))
    solver.run()
    return max(0, math.ceil(float(solver.getInfo().mip_dual_bound) - _NEAR))


def _model(highspy: Any, found: Choices, cap: float) -> Any:
    """Columns: the mixtures, then a 0/1 of each day that is above `cap`; rows: the days, then the jobs."""
    _, row = np.unique(found.job, return_inverse=True)
    jobs, (size, days) = int(row.max()) + 1, found.kg.shape
    # A job's mixtures together make one: so much is emitted on a day at most.
    most = np.zeros((jobs, days))
    np.maximum.at(most, row, found.kg)
    slack = np.maximum(most.sum(axis=0) - cap, 0.0)
    at, day = np.nonzero(found.kg > 0)
    column = np.concatenate([at, np.arange(size), size + np.arange(days)])
    rows = np.concatenate([day, days + row, np.arange(days)])
    value = np.concatenate([found.kg[at, day], np.ones(size), -slack])
    order = np.lexsort((rows, column))
    model = highspy.HighsLp()
    model.num_col_, model.num_row_ = size + days, days + jobs
    model.col_cost_ = np.append(np.zeros(size), np.ones(days))
    model.col_lower_, model.col_upper_ = np.zeros(size + days), np.ones(size + days)
    model.row_lower_ = np.append(np.full(days, -highspy.kHighsInf), np.ones(jobs))
    model.row_upper_ = np.append(np.full(days, cap), np.ones(jobs))
    model.a_matrix_.format_ = highspy.MatrixFormat.kColwise
    starts = np.searchsorted(column[order], np.arange(size + days + 1))
    model.a_matrix_.start_ = starts.astype(np.int32)
    model.a_matrix_.index_ = rows[order].astype(np.int32)
    model.a_matrix_.value_ = value[order]
    kind = highspy.HighsVarType
    model.integrality_ = [kind.kContinuous] * size + [kind.kInteger] * days
    return model
