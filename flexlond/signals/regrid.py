"""From rows to slots: the mean over each slot, weighted by time.

Law: a slot's value is the time-weighted mean of the rows over it; a slot shorter than its row takes the
row's value exactly. A slot that is not wholly covered by known rows is NaN: half a slot known is a slot
unknown. All arithmetic is on UTC epoch seconds, so clock changes do not exist here. Pure.
Source: our own; checked by property tests against the definition.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from flexlond.model.timegrid import TimeGrid
    from flexlond.signals.rows import Row


def regrid(rows: Sequence[Row], grid: TimeGrid) -> NDArray[np.float64]:
    """Shape (grid.count,): the mean of `rows` over each slot, NaN where not wholly known.

    `rows` are ordered and do not overlap (`flexlond.signals.rows.tidy`); their values may be NaN.
    """
    known = [row for row in rows if math.isfinite(row.value)]
    result = np.full(grid.count, np.nan)
    if not known or grid.count == 0:
        return result
    starts = np.array([row.start for row in known], dtype=np.int64)
    ends = np.array([row.end for row in known], dtype=np.int64)
    values = np.array([row.value for row in known], dtype=np.float64)
    lengths = ends - starts
    covered_before = np.concatenate(([0], np.cumsum(lengths)))
    weighed_before = np.concatenate(([0.0], np.cumsum(values * lengths)))

    edges = grid.start + grid.slot_seconds * np.arange(grid.count + 1, dtype=np.int64)
    row_at = np.searchsorted(starts, edges, side="right") - 1  # the last row begun; -1: none yet
    row = np.maximum(row_at, 0)
    within = np.where(row_at >= 0, np.minimum(edges, ends[row]) - starts[row], 0)
    covered = np.where(row_at >= 0, covered_before[row] + within, 0)
    weighed = np.where(row_at >= 0, weighed_before[row] + within * values[row], 0.0)

    whole = np.diff(covered) == grid.slot_seconds
    result[whole] = np.diff(weighed)[whole] / grid.slot_seconds
    # Within one row the value is exact, without the rounding of sums.
    left = row[:-1]
    inside = whole & (edges[1:] <= ends[left])
    result[inside] = values[left][inside]
    return result
