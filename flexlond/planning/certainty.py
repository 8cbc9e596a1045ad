"""How many kW a re-plan delivers at a stated certainty, for runtimes are not known.

Law: pure; the same seed gives the same answer. Each job that starts otherwise gets sampled runtimes, log-normal
through its expected runtime (P50) and the one its room is kept for (P90), never above its time limit; with the
same runtime it is replayed at the start it had and at the one it gets. So a job that would have ended before
the window delivers nothing in it. Jobs that start as before, running ones among them, draw the same in both
and cancel; that they end sooner or later than expected moves the forecast of the site, not what is delivered.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from flexlond.model.timegrid import TimeGrid
    from flexlond.planning.capacity import Blocks

_ROUND = 1e-9  # of a product that is whole but for its last digit
_P90 = 1.2815515655446004  # standard deviations from the median to the 90th percentile


def delivered_samples(
    grid: TimeGrid,
    blocks: Blocks,
    changes: tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]],
    window: slice,
    *,
    samples: int,
    seed: int,
) -> NDArray[np.float64]:
    """(samples, W) kW less (below 0: more) in each slot of `window`, one row per sampled world.

    `changes` are (m,) jobs, starts before and starts after, epoch seconds; W slots.
    """
    jobs, before, after = changes
    rng = np.random.default_rng(seed)
    median, high = blocks.span[jobs], np.maximum(blocks.hold[jobs], blocks.span[jobs])
    sigma = np.log(high / median) / _P90
    spans = median * np.exp(sigma * rng.standard_normal((samples, len(jobs))))
    spans = np.minimum(spans, blocks.longest[jobs])
    begins = grid.starts()[window]
    drop = np.zeros((samples, len(begins)))
    for column, begin in enumerate(begins.tolist()):
        end = begin + grid.slot_seconds
        for start, sign in ((before, 1.0), (after, -1.0)):
            run = np.minimum(start + spans, end) - np.maximum(start, begin)
            drop[:, column] += sign * (np.maximum(run, 0.0) @ blocks.kw[jobs])
    drop /= grid.slot_seconds
    return drop


def certain_kw(drop: NDArray[np.float64], level: float) -> float:
    """The kW that are delivered in every slot of the window in the share `level` of (M, W) samples."""
    least = np.sort(drop.min(axis=1))
    # The largest amount that at least `level` of the samples reach: no interpolation above what was seen.
    return float(least[int((1.0 - level) * len(least) + _ROUND)])
