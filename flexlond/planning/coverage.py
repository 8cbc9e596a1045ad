"""What a run has of a series over the slots, by its start: GBP of a price, kg of an intensity.

Law: pure. By expected runtimes and by the second, from the same starts by which the question counts costs
(question.py): the slot's start, in a job's first slot its earliest moment. What lies beyond the grid counts as
nothing, so does an unknown value. Shapes: n jobs, K classes, S slots, F own slots of a job.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from flexlond.planning.instance import FIRST
from flexlond.planning.ranking import run_costs

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from flexlond.model.timegrid import TimeGrid
    from flexlond.planning.capacity import Blocks
    from flexlond.planning.question import Question


def coverage(
    grid: TimeGrid, blocks: Blocks, question: Question, values: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """MWh x `values` (S,): (K, S) per scale of a start at each slot, (n, F) of each job at its own slots."""
    instance, jobs = question.instance, question.jobs
    classes, scale = len(instance.width), instance.scale
    span, power = np.zeros(classes), np.zeros(classes)
    span[instance.cls] = blocks.span[jobs]
    power[instance.cls] = blocks.kw[jobs] / scale
    start = np.tile(grid.starts(), classes)
    spans, powers = np.repeat(span, grid.count), np.repeat(power, grid.count)
    known = np.nan_to_num(values)
    covered = run_costs(grid, known, powers, start, spans).reshape(classes, grid.count)
    own = np.zeros(instance.special.shape)
    for which in range(instance.special.shape[1]):
        at = grid.start + np.maximum(instance.special[:, which], 0) * grid.slot_seconds
        begin = np.maximum(question.earliest, at) if which == FIRST else at
        own[:, which] = run_costs(grid, known, blocks.kw[jobs], begin, blocks.span[jobs])
    return np.nan_to_num(covered), np.nan_to_num(own)
