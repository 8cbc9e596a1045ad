"""Could a carbon cap of a day be kept at all? The least days above it that any schedule has, by HiGHS.

Law: pure. All jobs of a replay, their real runtimes and the real carbon are known. Each flexible job has the
start times at which what it emits on each day bends (it, or its end, meets the edge of a slot): every start in
its slack is a mixture of these. So the relaxation, in which jobs are mixtures of starts and nobody takes a
node, allows all that a schedule may do: days that it cannot keep, nobody can. The other way round, starts that
keep the cap are looked for beside the jobs that cannot wait, where those run as soon as possible, and played
(`Known`): where a day is kept in the replay, with nobody later than promised, it could be kept.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from flexlond.backtest.policy import ARRIVE
from flexlond.model.timegrid import TimeGrid
from flexlond.planning.account import slot_power

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from flexlond.backtest.case import Run
    from flexlond.backtest.metrics import Case
    from flexlond.backtest.policy import State

DAY = 86400
SPARE = 0.998  # of the cap: what is played keeps so much of it, for jobs that are not mixed
_NEAR = 1e-4
_GAP = 0.01
_OVER = 0.2  # price of a node in a slot that there is not, in job-days of delay
_SECONDS = 120.0


@dataclass(frozen=True, slots=True, eq=False)
class Choices:
    """Starts of flexible jobs, sorted by job: m of them, over D days."""

    job: NDArray[np.int64]  # (m,) index in the trace
    start: NDArray[np.float64]  # (m,) epoch s
    kg: NDArray[np.float64]  # (m, D) emitted on each day of the replay (UTC)


def _whole(case: Case, span: NDArray[np.int64]) -> TimeGrid:
    """The replay's slots and those after it, until the last job that could wait so long has ended."""
    grid = case.grid
    last = int((case.flexibility.latest + span).max(initial=grid.end))
    return TimeGrid(grid.start, grid.slot_seconds, -(-(last - grid.start) // grid.slot_seconds))


def choices(case: Case, span: NDArray[np.int64]) -> Choices:
    """Of the flexible jobs, which run `span` (J,) s."""
    grid, power = _whole(case, span), case.power.kw_per_node
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


def least(found: Choices, cap: float) -> int:
    """The fewest days above `cap` kg that any schedule has."""
    import highspy  # noqa: PLC0415 - only who asks for the exact solver loads it

    days = found.kg.shape[1]
    model = _Model(found, np.zeros(len(found.job)), np.ones(days), cap)
    bound, _ = _solved(highspy, model.built(highspy))
    return max(0, math.ceil(bound - _NEAR))


def schedule(case: Case, found: Choices, cap: float, asap: Run) -> dict[int, int]:
    """Job: a start, so that few days are above `cap` and nodes suffice, each job as soon as it can."""
    import highspy  # noqa: PLC0415 - as above

    trace, grid = case.trace, _whole(case, asap.end - asap.start)
    days, spare = found.kg.shape[1], SPARE * cap
    job, row = np.unique(found.job, return_inverse=True)
    delay = (found.start - trace.submit[found.job]) / DAY
    model = _Model(found, delay, np.full(days, 2.0 * len(job)), spare)
    span = (asap.end - asap.start).astype(np.float64)
    slots = grid.count
    others = ~case.flexibility.flexible & (asap.start > 0)
    for pool, nodes in enumerate(trace.room.capacity[:, 0].tolist()):
        taken = slot_power(
            grid,
            asap.start[others & (trace.pool == pool)].astype(np.float64),
            asap.end[others & (trace.pool == pool)].astype(np.float64),
            trace.demand[others & (trace.pool == pool), 0],
        )
        mine = np.flatnonzero(trace.pool[found.job] == pool)
        begin = (found.start[mine] - grid.start) / grid.slot_seconds
        end = begin + span[found.job[mine]] / grid.slot_seconds
        first = begin.astype(np.int64)
        count = np.minimum(np.ceil(end).astype(np.int64), slots) - first
        at = np.repeat(np.arange(len(mine)), count)
        when = first[at] + np.arange(len(at)) - np.repeat(np.cumsum(count) - count, count)
        part = np.minimum(end[at], when + 1) - np.maximum(begin[at], when)
        used = part * trace.demand[found.job[mine[at]], 0]
        model.limit(when, mine[at], used, np.maximum(nodes - taken, 0.0))
    _, values = _solved(highspy, model.built(highspy))
    share = values[: len(row)]
    order = np.lexsort((-share, row))
    top = order[np.searchsorted(row[order], np.arange(len(job)))]
    start = np.ceil(found.start[top]).astype(np.int64)
    return dict(zip(job.tolist(), start.tolist(), strict=True))


class _Model:
    """Columns: the mixtures, a 0/1 of each day above the cap, and what is over of a limit."""

    def __init__(
        self, found: Choices, cost: NDArray[np.float64], price: NDArray[np.float64], cap: float
    ) -> None:
        """`cost` (m,) of the mixtures, `price` (D,) of the days above `cap` kg."""
        _, row = np.unique(found.job, return_inverse=True)
        jobs, (size, days) = int(row.max()) + 1, found.kg.shape
        # A job's mixtures together make one: so much is emitted on a day at most.
        most = np.zeros((jobs, days))
        np.maximum.at(most, row, found.kg)
        slack = np.maximum(most.sum(axis=0) - cap, 0.0)
        at, day = np.nonzero(found.kg > 0)
        self._cost = [cost, price]
        self._row = [day, days + row, np.arange(days)]
        self._column = [at, np.arange(size), size + np.arange(days)]
        self._value = [found.kg[at, day], np.ones(size), -slack]
        self._lower = [np.full(days, -np.inf), np.ones(jobs)]
        self._upper = [np.full(days, cap), np.ones(jobs)]
        self._whole = slice(size, size + days)
        self._rows, self._columns = days + jobs, size + days

    def limit(
        self,
        row: NDArray[np.int64],
        column: NDArray[np.int64],
        value: NDArray[np.float64],
        upper: NDArray[np.float64],
    ) -> None:
        """Further rows with an `upper` bound that may be passed at a price."""
        count = len(upper)
        self._row += [self._rows + row, self._rows + np.arange(count)]
        self._column += [column, self._columns + np.arange(count)]
        self._value += [value, -np.ones(count)]
        self._lower.append(np.full(count, -np.inf))
        self._upper.append(upper)
        self._cost.append(np.full(count, _OVER))
        self._rows += count
        self._columns += count

    def built(self, highspy: Any) -> Any:
        """The HighsLp."""
        row, column, value = (
            np.concatenate(part) for part in (self._row, self._column, self._value)
        )
        order = np.lexsort((row, column))
        model = highspy.HighsLp()
        model.num_col_, model.num_row_ = self._columns, self._rows
        model.col_cost_ = np.concatenate(self._cost)
        model.col_lower_ = np.zeros(self._columns)
        upper = np.full(self._columns, np.inf)
        upper[self._whole] = 1.0
        model.col_upper_ = upper
        model.row_lower_ = np.concatenate(self._lower)
        model.row_upper_ = np.concatenate(self._upper)
        model.a_matrix_.format_ = highspy.MatrixFormat.kColwise
        starts = np.searchsorted(column[order], np.arange(self._columns + 1))
        model.a_matrix_.start_ = starts.astype(np.int32)
        model.a_matrix_.index_ = row[order].astype(np.int32)
        model.a_matrix_.value_ = value[order]
        kind = np.full(self._columns, highspy.HighsVarType.kContinuous, object)
        kind[self._whole] = highspy.HighsVarType.kInteger
        model.integrality_ = kind.tolist()
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
