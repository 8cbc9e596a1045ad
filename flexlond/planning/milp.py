"""The core question as a 0/1 model for HiGHS: few options of each job, or all of them; all constraints.

Law: pure, and decides nothing: what it returns is for the caller to check. Each job has its slots of least
reduced cost at the given prices, its own slots and its incumbent one, so the incumbent is always an answer;
being nowhere is an option only of who is nowhere, or has no other. With all slots of every job HiGHS's own
bound holds for the whole question. GBP, kg CO2, amounts as in instance.py.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from flexlond.planning.highs import run_from
from flexlond.planning.instance import NOWHERE

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from flexlond.planning.instance import Instance, Prices

    Matrix = tuple[
        NDArray[np.int64], NDArray[np.int64], NDArray[np.float64], NDArray[np.float64]
    ]  # row, column and value of each entry; upper bound of each row
    Bounds = tuple[
        Callable[[NDArray[np.int64], NDArray[np.int64]], NDArray[np.float64]],
        NDArray[np.float64],
        NDArray[np.float64],
    ]  # what jobs at slots give, (m, W); the least and the most (W,) of it that all may give together

OPTIONS = 12
MOST_JOBS = 1500
_WHOLE_GAP = 1e-6  # share at which the search over all slots ends
_MOST_ENTRIES = 4_000_000  # of the matrix: more takes longer to read than a cycle has


class Whole(NamedTuple):
    """What the exact solver found over all slots of all jobs."""

    slot: NDArray[np.int64] | None  # (n,); None: it found no answer
    bound: float  # GBP that no answer is below; -inf: unknown
    seconds: float  # that it took


@dataclass(frozen=True, slots=True, eq=False)
class Options:
    """The columns of the model, sorted by job; a slot is NOWHERE where the job has no place."""

    job: NDArray[np.int64]  # (m,)
    slot: NDArray[np.int64]  # (m,)
    cost: NDArray[np.float64]  # (m,) GBP


def options(
    instance: Instance, incumbent: NDArray[np.int64], prices: Prices, most: int = OPTIONS
) -> Options:
    """The `most` slots of least reduced cost of each job, its own and its `incumbent` (n,) one."""
    everyone = np.arange(instance.jobs)
    value = (instance.rate + instance.worth(prices))[instance.cls]  # (n, S) GBP per scale
    at = np.arange(instance.slots)
    value[(at < instance.first[:, None]) | (at > instance.last[:, None])] = np.inf
    count = min(most, instance.slots)
    least = np.argpartition(value, count - 1, axis=1)[:, :count]
    least = np.where(np.isfinite(np.take_along_axis(value, least, axis=1)), least, NOWHERE)
    slot = np.column_stack([least, instance.special, incumbent])
    job = np.repeat(everyone, slot.shape[1])
    flat = slot.ravel()
    key = np.unique((job * instance.slots + flat)[flat >= 0])
    job, flat = np.divmod(key, instance.slots)
    cost = instance.cost_at(job, flat)
    known = np.isfinite(cost)
    job, flat, cost = job[known], flat[known], cost[known]
    nowhere = np.union1d(np.flatnonzero(incumbent < 0), np.setdiff1d(everyone, job))
    job = np.concatenate([job, nowhere])
    flat = np.concatenate([flat, np.full(len(nowhere), NOWHERE)])
    cost = np.concatenate([cost, instance.beyond[nowhere]])
    order = np.lexsort((flat, job))
    return Options(job[order], flat[order], cost[order])


def solve_milp(
    instance: Instance,
    incumbent: NDArray[np.int64],
    prices: Prices,
    seconds: float,
    most_jobs: int = MOST_JOBS,
) -> NDArray[np.int64] | None:
    """The slots (n,) of the best answer found in `seconds`; None without one, or where it is too large.

    Raises ImportError where highspy is not installed.
    """
    if not 0 < instance.jobs <= most_jobs:
        return None
    chosen = options(instance, incumbent, prices)
    matrix = _rows(instance, chosen)
    if matrix is None:
        return None
    return _run(chosen, matrix, np.zeros(0), incumbent, {"time_limit": float(seconds)}).slot


def solve_whole(
    instance: Instance,
    incumbent: NDArray[np.int64],
    prices: Prices,
    seconds: float,
    rows: Sequence[Bounds] = (),
) -> Whole:
    """The best slots (n,) found in `seconds` over all slots of all jobs.

    Only answers count that are within all `rows` besides; `incumbent` need not be.
    Raises ImportError where highspy is not installed.
    """
    chosen = options(instance, incumbent, prices, instance.slots)
    matrix = _rows(instance, chosen)
    if matrix is None:
        return Whole(None, -np.inf, 0.0)
    least = np.zeros(0)
    placed = np.flatnonzero(chosen.slot >= 0)
    for gives, lower, most in rows:
        given = gives(chosen.job[placed], chosen.slot[placed])
        column, which = np.nonzero(given)
        row, columns, value, upper = matrix
        matrix = (
            np.concatenate([row, which + len(upper)]),
            np.concatenate([columns, placed[column]]),
            np.concatenate([value, given[column, which]]),
            np.concatenate([upper, most]),
        )
        least = np.concatenate([least, lower])
    limits = {"time_limit": float(seconds), "mip_rel_gap": _WHOLE_GAP, "mip_abs_gap": 1e-9}
    return _run(chosen, matrix, least, incumbent, limits)


def _run(
    chosen: Options,
    matrix: Matrix,
    lower: NDArray[np.float64],
    incumbent: NDArray[np.int64],
    limits: dict[str, float],
) -> Whole:
    """What HiGHS finds; `lower` are the bounds of the last rows."""
    import highspy  # noqa: PLC0415 - only who asks for the exact solver loads it

    model = _model(highspy, chosen, matrix, lower)
    library: Any = highspy  # without stubs
    solver = library.Highs()
    for name, value in {"output_flag": False, "threads": 1, **limits}.items():
        solver.setOptionValue(name, value)
    solver.passModel(model)
    start = (chosen.slot == incumbent[chosen.job]).astype(np.float64)
    # Also where only the start comes back: it is a plan, and the bound is of the model.
    run_from(library, solver, chosen.cost, start)
    seconds = float(solver.getRunTime())
    bound = float(solver.getInfo().mip_dual_bound)
    bound = bound if abs(bound) < highspy.kHighsInf else -np.inf
    if solver.getInfo().primal_solution_status != int(
        highspy.SolutionStatus.kSolutionStatusFeasible
    ):
        return Whole(None, bound, seconds)
    taken = np.array(solver.getSolution().col_value) > 0.5
    if not np.array_equal(chosen.job[taken], np.arange(len(incumbent))):
        return Whole(None, bound, seconds)
    return Whole(chosen.slot[taken], bound, seconds)


def _rows(instance: Instance, chosen: Options) -> Matrix | None:
    """(row, column, value) of the entries and the upper bounds of the rows after the jobs' own."""
    placed = np.flatnonzero(chosen.slot >= 0)
    job, slot = chosen.job[placed], chosen.slot[placed]
    length = instance.reach(job, slot) - slot
    bounded = np.zeros(len(instance.free), np.bool_)
    bounded[instance.bounded] = True
    cells, columns, values = [], [], []
    if int(length.sum()) * instance.index.shape[1] > _MOST_ENTRIES:
        return None
    within = np.arange(int(length.sum())) - np.repeat(np.cumsum(length) - length, length)
    when = np.repeat(slot, length) + within
    for which in range(instance.index.shape[1]):
        row, amount = instance.index[instance.cls[job], which], instance.amount[job, which]
        used = np.repeat(bounded[row] & (amount > 0), length)
        cells.append((np.repeat(row, length) * instance.slots + when)[used])
        columns.append(np.repeat(placed, length)[used])
        values.append(np.repeat(amount, length)[used])
    cell, column, value = (np.concatenate(parts) for parts in (cells, columns, values))
    free = np.maximum(instance.free, 0.0).ravel()
    # A row that all options together cannot fill says nothing.
    tight = (np.bincount(cell, value, len(free)) > free)[cell]
    cell, column, value = cell[tight], column[tight], value[tight]
    names, row = np.unique(cell, return_inverse=True)
    upper = free[names]
    if instance.capped:
        row = np.concatenate([row, np.full(len(placed), len(names))])
        column = np.concatenate([column, placed])
        value = np.concatenate([value, instance.co2_at(job, slot)])
        upper = np.append(upper, instance.co2_cap)
    return row.astype(np.int64), column, value, upper


def _model(
    highspy: Any,
    chosen: Options,
    matrix: Matrix,
    lower: NDArray[np.float64],
) -> Any:
    """The HighsLp: each job once, every row kept, all columns 0 or 1; the last rows have a `lower` bound."""
    row, column, value, upper = matrix
    size, jobs = len(chosen.job), int(chosen.job[-1]) + 1
    row = np.concatenate([chosen.job, row + jobs])
    column = np.concatenate([np.arange(size), column])
    value = np.concatenate([np.ones(size), value])
    order = np.lexsort((row, column))
    model = highspy.HighsLp()
    model.num_col_, model.num_row_ = size, jobs + len(upper)
    model.col_cost_ = chosen.cost
    model.col_lower_, model.col_upper_ = np.zeros(size), np.ones(size)
    model.row_lower_ = np.concatenate(
        [np.ones(jobs), np.full(len(upper) - len(lower), -highspy.kHighsInf), lower]
    )
    model.row_upper_ = np.concatenate([np.ones(jobs), upper])
    model.a_matrix_.format_ = highspy.MatrixFormat.kColwise
    model.a_matrix_.start_ = np.searchsorted(column[order], np.arange(size + 1)).astype(np.int32)
    model.a_matrix_.index_ = row[order].astype(np.int32)
    model.a_matrix_.value_ = value[order]
    model.integrality_ = [highspy.HighsVarType.kInteger] * size
    return model
