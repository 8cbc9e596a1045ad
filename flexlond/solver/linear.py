"""A linear model with whole-number columns as arrays, and HiGHS on it.

Law: pure but for the library, which is loaded only here. Minimises; inf is no bound. The answer is checked by
whoever asked. Never more than the seconds given; None when there is no feasible answer in that time.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from flexlond.planning.highs import run_from

if TYPE_CHECKING:
    from numpy.typing import NDArray

NEAR_INTEGER = 1e-6


@dataclass(frozen=True, slots=True, eq=False)
class Model:
    """min cost x, lower <= x <= upper, row_lower <= A x <= row_upper. Shapes: n columns, m rows, k entries."""

    cost: NDArray[np.float64]  # (n,)
    lower: NDArray[np.float64]  # (n,)
    upper: NDArray[np.float64]  # (n,)
    whole: NDArray[np.bool_]  # (n,)
    row_lower: NDArray[np.float64]  # (m,)
    row_upper: NDArray[np.float64]  # (m,)
    row: NDArray[np.int64]  # (k,)
    column: NDArray[np.int64]  # (k,)
    value: NDArray[np.float64]  # (k,)


@dataclass(frozen=True, slots=True, eq=False)
class Answer:
    """The best answer found."""

    x: NDArray[np.float64]  # (n,)
    dual: NDArray[np.float64]  # (m,) of the rows; zeros for a model with whole columns
    objective: float
    optimal: bool  # proven, within the gap that was asked for


def solve(
    model: Model,
    seconds: float,
    *,
    gap: float = 1e-6,
    start: NDArray[np.float64] | None = None,
) -> Answer | None:
    """The answer of HiGHS on one thread; `start` (n,) is an answer to begin from.

    Raises ImportError where highspy is not installed.
    """
    import highspy  # noqa: PLC0415 - only who asks for the exact solver loads it

    library: Any = highspy  # without stubs
    solver = library.Highs()
    for name, value in (
        ("output_flag", False),
        ("log_to_console", False),
        ("threads", 1),
        ("time_limit", float(seconds)),
        ("mip_rel_gap", gap),
        ("mip_feasibility_tolerance", NEAR_INTEGER),
        ("primal_feasibility_tolerance", 1e-8),
    ):
        solver.setOptionValue(name, value)
    solver.passModel(_lp(library, model))
    as_stated = run_from(library, solver, model.cost, start)
    info = solver.getInfo()
    if info.primal_solution_status != int(library.SolutionStatus.kSolutionStatusFeasible):
        return None
    found = solver.getSolution()
    columns = np.array(found.col_value)
    dual = np.array(found.row_dual) if found.dual_valid else np.zeros(len(model.row_lower))
    return Answer(
        columns,
        dual,
        float(model.cost @ columns),
        as_stated and solver.getModelStatus() == library.HighsModelStatus.kOptimal,
    )


def _lp(library: Any, model: Model) -> Any:
    """The same as a HighsLp."""
    order = np.lexsort((model.row, model.column))
    lp = library.HighsLp()
    lp.num_col_, lp.num_row_ = len(model.cost), len(model.row_lower)
    lp.col_cost_, lp.col_lower_, lp.col_upper_ = model.cost, model.lower, model.upper
    lp.row_lower_, lp.row_upper_ = model.row_lower, model.row_upper
    lp.a_matrix_.format_ = library.MatrixFormat.kColwise
    bounds = np.arange(len(model.cost) + 1)
    lp.a_matrix_.start_ = np.searchsorted(model.column[order], bounds).astype(np.int32)
    lp.a_matrix_.index_ = model.row[order].astype(np.int32)
    lp.a_matrix_.value_ = model.value[order]
    if model.whole.any():
        kinds = (library.HighsVarType.kContinuous, library.HighsVarType.kInteger)
        lp.integrality_ = [kinds[int(one)] for one in model.whole]
    return lp
