"""How many kW a re-plan delivers at a stated certainty, for runtimes are not known.

Law: pure; the same seed gives the same answer. Each job that starts otherwise gets sampled runtimes: from the
quantiles of like runs where the question has them, else log-normal through its expected runtime (P50) and the
one its room is kept for (P90); never above its time limit. With the same runtime it is replayed at the start it
had and at the one it gets. So a job that would have ended before the window delivers nothing in it. Jobs that
start as before draw the same in both and cancel. That starts shift when others end sooner is rehearsal.py's.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from flexlond.planning.capacity import Blocks
    from flexlond.planning.problem import Problem

_ROUND = 1e-9  # of a product that is whole but for its last digit
_P90 = 1.2815515655446004  # standard deviations from the median to the 90th percentile


def drawn_spans(
    problem: Problem,
    blocks: Blocks,
    jobs: NDArray[np.int64],
    samples: int,
    rng: np.random.Generator,
) -> NDArray[np.float64]:
    """(samples, m) s that each of `jobs` (m,) lasts in a sampled world."""
    if len(problem.runtimes):
        spans = blocks.waves[jobs] * _drawn(problem.runtimes[jobs], samples, rng)
        return np.minimum(spans, blocks.longest[jobs])
    median, high = blocks.span[jobs], np.maximum(blocks.hold[jobs], blocks.span[jobs])
    sigma = np.log(high / median) / _P90
    spans = median * np.exp(sigma * rng.standard_normal((samples, len(jobs))))
    return np.minimum(spans, blocks.longest[jobs])


def drawn_left(
    problem: Problem, rows: NDArray[np.int64], samples: int, rng: np.random.Generator
) -> NDArray[np.float64]:
    """(samples, n) s that the running jobs `rows` (n,) go on."""
    running = problem.running
    if len(running.left):
        return _drawn(running.left[rows], samples, rng)
    left = np.maximum(running.end[rows] - problem.now, 1)
    return left * rng.uniform(0.0, 1.0 / 0.9, (samples, len(rows)))


def _drawn(
    quantiles: NDArray[np.float64], samples: int, rng: np.random.Generator
) -> NDArray[np.float64]:
    """(samples, m) draws from (m, Q) evenly spaced quantiles, straight between them."""
    count = quantiles.shape[1] - 1
    place = rng.uniform(0.0, count, (samples, len(quantiles)))
    low = np.minimum(place.astype(np.int64), count - 1)
    rows = np.arange(len(quantiles))
    below, above = quantiles[rows, low], quantiles[rows, low + 1]
    drawn: NDArray[np.float64] = below + (place - low) * (above - below)
    return drawn


def delivered_samples(
    problem: Problem,
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
    spans = drawn_spans(problem, blocks, jobs, samples, np.random.default_rng(seed))
    grid = problem.grid
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
