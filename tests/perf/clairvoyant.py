"""Could a carbon cap of a day be kept at all? The least days above it that any schedule has, by HiGHS.

Law: pure. All jobs of a replay, their real runtimes and the real carbon are known. Each flexible job has the
start times at which what it emits on each day bends (it, or its end, meets the edge of a slot): every start in
its slack is a mixture of these. So the relaxation, in which jobs are mixtures of starts and nodes are no
limit, allows all that a schedule may do: days that it cannot keep, nobody can. Its answer is nearly whole (as
many mixed jobs as days at most), and `Known` plays it: if a day is kept in the replay, it could be kept.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from flexlond.backtest.policy import ARRIVE

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from flexlond.backtest.metrics import Case
    from flexlond.backtest.policy import State

DAY = 86400
SPARE = 0.998  # of the cap: what is played keeps so much of it, for jobs that are not mixed
_GAP = 0.01
_SECONDS = 120.0


@dataclass(frozen=True, slots=True, eq=False)
class Choices:
    """Starts of flexible jobs, sorted by job: m of them, over D days."""

    job: NDArray[np.int64]  # (m,) index in the trace
    start: NDArray[np.float64]  # (m,) epoch s
    kg: NDArray[np.float64]  # (m, D) emitted on each day of the replay (UTC)


@dataclass(frozen=True, slots=True, eq=False)
class Least:
    """What no schedule is below."""

    days: int  # above the cap, at least
    over: NDArray[np.bool_]  # (D,) those of one answer with so many
    start: dict[int, int]  # job: its start in it


def choices(case: Case, span: NDArray[np.int64]) -> Choices:
    """Of the flexible jobs, which run `span` (J,) s."""
    grid, power = case.grid, case.power.kw_per_node
    rate = np.nan_to_num(case.signals.actual(grid)[1]) * grid.slot_seconds / 3.6e6
    day = (grid.starts() - grid.start // DAY * DAY) // DAY
    edges = np.append(grid.starts(), grid.end).astype(np.float64)
    totals = [
        np.append(0.0, np.cumsum(np.where(day == one, rate, 0.0)))
        for one in range(int(day.max()) + 1)
    ]
    jobs, starts = [], []
    for job in np.flatnonzero(case.flexibility.flexible).tolist():
        first, last = float(case.trace.submit[job]), float(case.flexibility.latest[job])
        bends = np.concatenate([edges, edges - span[job]])
        at = np.unique(np.append(bends[(bends > first) & (bends < last)], [first, last]))
        jobs.append(np.full(len(at), job))
        starts.append(at)
    job, start = np.concatenate(jobs), np.concatenate(starts)
    kw = power * case.trace.nodes[job]
    kg = [
        kw * (np.interp(start + span[job], edges, one) - np.interp(start, edges, one))
        for one in totals
    ]
    return Choices(job, start, np.array(kg).T)


def least(found: Choices, cap: float) -> Least:
    """The fewest days above `cap` kg, and starts that have so few, each job as soon as it can."""
    import highspy  # noqa: PLC0415 - only who asks for the exact solver loads it

    days = found.kg.shape[1]
    # A job's mixtures together make one: so much is emitted on a day at most.
    _, row = np.unique(found.job, return_inverse=True)
    most = np.zeros((int(row.max()) + 1, days))
    np.maximum.at(most, row, found.kg)
    slack = np.maximum(most.sum(axis=0) - cap, 0.0)
    model = _model(highspy, found, row, slack, cap, np.zeros(len(found.job)), np.ones(days))
    bound, _ = _solved(highspy, model)
    count = max(0, math.ceil(bound - 1e-4))
    # Again, each job as soon as it can, with a price on a day that no delay reaches.
    first = np.full(int(row.max()) + 1, np.inf)
    np.minimum.at(first, row, found.start)
    delay = (found.start - first[row]) / DAY
    price = np.full(days, float(len(first)) * 2)
    slack = np.maximum(most.sum(axis=0) - SPARE * cap, 0.0)
    model = _model(highspy, found, row, slack, SPARE * cap, delay, price)
    _, values = _solved(highspy, model)
    share = values[: len(row)]
    order = np.lexsort((-share, row))
    top = order[np.searchsorted(row[order], np.arange(int(row.max()) + 1))]
    start = dict(
        zip(found.job[top].tolist(), np.ceil(found.start[top]).astype(int).tolist(), strict=True)
    )
    return Least(count, values[len(row) :] > 0.5, start)


def _model(
    highspy: Any,
    found: Choices,
    row: NDArray[np.int64],
    slack: NDArray[np.float64],
    cap: float,
    cost: NDArray[np.float64],
    price: NDArray[np.float64],
) -> Any:
    """Columns: the mixtures, then a 0/1 of each day that is above `cap`; rows: the days, then the jobs."""
    days, size = found.kg.shape[1], len(row)
    at, day = np.nonzero(found.kg > 0)
    column = np.concatenate([at, np.arange(size), size + np.arange(days)])
    rows = np.concatenate([day, days + row, np.arange(days)])
    value = np.concatenate([found.kg[at, day], np.ones(size), -slack])
    order = np.lexsort((rows, column))
    jobs = int(row.max()) + 1
    model = highspy.HighsLp()
    model.num_col_, model.num_row_ = size + days, days + jobs
    model.col_cost_ = np.concatenate([cost, price])
    model.col_lower_, model.col_upper_ = np.zeros(size + days), np.ones(size + days)
    model.row_lower_ = np.append(np.full(days, -highspy.kHighsInf), np.ones(jobs))
    model.row_upper_ = np.append(np.full(days, cap), np.ones(jobs))
    model.a_matrix_.format_ = highspy.MatrixFormat.kColwise
    model.a_matrix_.start_ = np.searchsorted(column[order], np.arange(size + days + 1)).astype(
        np.int32
    )
    model.a_matrix_.index_ = rows[order].astype(np.int32)
    model.a_matrix_.value_ = value[order]
    kind = highspy.HighsVarType
    model.integrality_ = [kind.kContinuous] * size + [kind.kInteger] * days
    return model


def _solved(highspy: Any, model: Any) -> tuple[float, NDArray[np.float64]]:
    """The bound that is proved, and the values of the columns."""
    solver = highspy.Highs()
    for name, value in {
        "output_flag": False,
        "threads": 1,
        "time_limit": _SECONDS,
        "mip_rel_gap": _GAP,
    }.items():
        solver.setOptionValue(name, value)
    solver.passModel(model)
    solver.run()
    return float(solver.getInfo().mip_dual_bound), np.array(solver.getSolution().col_value)


class Known:
    """Plays starts that are known: each job is held until its own."""

    name = "clairvoyant"
    calls: ClassVar[tuple[str, ...]] = (ARRIVE,)

    def __init__(self, start: Mapping[int, int]) -> None:
        self._start = start

    def arrive(self, now: int, jobs: Sequence[int], state: State) -> Mapping[int, int]:
        """As known."""
        return {job: self._start[job] for job in jobs if job in self._start}

    def tick(self, now: int, state: State) -> Mapping[int, int]:
        """Nothing changes."""
        return {}
