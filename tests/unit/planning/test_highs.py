"""HiGHS handing back its start with another objective is asked again without it, in the time that is left."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from flexlond.planning.highs import run_from

LIBRARY = SimpleNamespace(
    HighsSolution=SimpleNamespace, SolutionStatus=SimpleNamespace(kSolutionStatusFeasible=2)
)
COST = np.array([-1.0, -2.0])
START, BEST = np.array([1.0, 0.0]), np.array([0.0, 1.0])


class Solver:
    """States the best objective; gives the start where it has one, as HiGHS 1.16 at times does."""

    def __init__(self, run_seconds: float) -> None:
        self.limit, self._each, self._spent = 5.0, run_seconds, 0.0
        self._given: Any = None
        self.runs = 0

    def setSolution(self, given: Any) -> None:  # noqa: N802 - the library's name
        self._given = given.col_value

    def clearSolver(self) -> None:  # noqa: N802 - the library's name
        self._given = None

    def run(self) -> None:
        self.runs, self._spent = self.runs + 1, self._spent + self._each

    def getRunTime(self) -> float:  # noqa: N802 - the library's name
        return self._spent

    def getOptionValue(self, _: str) -> tuple[int, float]:  # noqa: N802 - the library's name
        return 0, self.limit

    def setOptionValue(self, _: str, value: float) -> None:  # noqa: N802 - the library's name
        self.limit = value

    def getInfo(self) -> Any:  # noqa: N802 - the library's name
        return SimpleNamespace(primal_solution_status=2, objective_function_value=-2.0)

    def getSolution(self) -> Any:  # noqa: N802 - the library's name
        return SimpleNamespace(col_value=BEST.tolist() if self._given is None else self._given)


def test_it_is_run_again_without_the_start_in_the_time_that_is_left() -> None:
    solver = Solver(2.0)
    assert run_from(LIBRARY, solver, COST, START)
    assert (solver.runs, solver.limit) == (2, 3.0)
    assert solver.getSolution().col_value == BEST.tolist()


def test_without_time_left_the_answer_is_not_called_the_one_that_is_stated() -> None:
    solver = Solver(5.0)
    assert not run_from(LIBRARY, solver, COST, START)
    assert solver.runs == 1


@pytest.mark.parametrize("start", [None, BEST])
def test_an_answer_that_is_the_one_stated_stands(start: Any) -> None:
    solver = Solver(2.0)
    assert run_from(LIBRARY, solver, COST, start)
    assert solver.runs == 1
