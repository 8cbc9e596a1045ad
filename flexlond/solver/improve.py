"""Betters the planner's solution by the exact solver, or leaves it as it is.

Law: the solution so far stands unless the answer costs less and keeps every constraint by check_instance;
never raises on the solver's account. GBP, seconds.
"""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING

from flexlond.planning.check import check_instance
from flexlond.planning.milp import MOST_JOBS
from flexlond.planning.problem import Stage
from flexlond.planning.room import Placement
from flexlond.solver.child import call

if TYPE_CHECKING:
    from flexlond.planning.question import Question
    from flexlond.planning.solve import Solution

_LESS = 1e-9  # share of the objective that counts as better


class Improver:
    """planner.place's `improve`; `detail` says after a call why its answer was not used, or nothing."""

    def __init__(self, seconds: float, most_jobs: int = MOST_JOBS) -> None:
        self._seconds, self._most_jobs = seconds, most_jobs
        self.detail = ""

    def __call__(self, solution: Solution, question: Question) -> Solution:
        """The better of `solution` and the solver's."""
        instance, began = question.instance, time.perf_counter()
        if instance.jobs > self._most_jobs:
            self.detail = (
                f"{instance.jobs} jobs are more than the {self._most_jobs} it is asked for"
            )
            return solution
        slot, self.detail = call(
            instance, solution.slot, solution.prices, self._seconds, self._most_jobs
        )
        if slot is None:
            return solution
        wrong = check_instance(instance, slot)
        if wrong:
            self.detail = f"the solver's answer is refused: {wrong[0]}"
            return solution
        objective = instance.objective(slot)
        if not objective < solution.objective - _LESS * abs(solution.objective):
            self.detail = "the solver found nothing better"
            return solution
        placement = Placement(instance, solution.prices)
        placement.adopt(slot)
        stage = Stage("milp", time.perf_counter() - began, objective)
        return replace(
            solution,
            slot=placement.slot,
            objective=objective,
            stages=(*solution.stages, stage),
            placement=placement,
        )
