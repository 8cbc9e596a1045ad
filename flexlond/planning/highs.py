"""HiGHS begun from an answer that is known.

Law: the columns returned are those whose objective HiGHS states, or the run is made again without the start.
HiGHS 1.16 at times hands back the answer it was given, with the objective of the better one that it found (own
measurement: 4 of 526 small models with whole columns). Both runs together keep the time limit that is set.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

_NEAR = 1e-6  # share by which the columns and the objective stated may differ


def run_from(
    library: Any, solver: Any, cost: NDArray[np.float64], start: NDArray[np.float64] | None
) -> bool:
    """Run `solver`, which has its model (`cost` (n,) of its columns), from `start` (n,).

    False where what it has to give afterwards is not the answer that it states.
    """
    if start is not None:
        given = library.HighsSolution()
        given.col_value = start.tolist()
        solver.setSolution(given)
    solver.run()
    if start is None or _as_stated(library, solver, cost):
        return True
    left = solver.getOptionValue("time_limit")[1] - solver.getRunTime()
    if left <= 0:
        return False
    solver.clearSolver()
    solver.setOptionValue("time_limit", left)
    solver.run()
    return _as_stated(library, solver, cost)


def _as_stated(library: Any, solver: Any, cost: NDArray[np.float64]) -> bool:
    """Whether the columns have the objective that is stated; also where there are none."""
    info = solver.getInfo()
    if info.primal_solution_status != int(library.SolutionStatus.kSolutionStatusFeasible):
        return True
    stated = float(info.objective_function_value)
    found = float(cost @ np.array(solver.getSolution().col_value))
    return abs(found - stated) <= _NEAR * (1.0 + abs(stated))
