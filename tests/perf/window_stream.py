"""Random streams of jobs for ends of windows, and the price and carbon they meet.

Law: drawn by a seed, the same seed gives the same stream. A node draws one kW more under a job, so that kW and
nodes are the same figure; epoch seconds.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from flexlond.backtest.case import PowerCoefficients, Trace
from flexlond.planning.pools import Room

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from flexlond.model.timegrid import TimeGrid

SLOT: Final = 1800
DAY: Final = 86400
DAYS: Final = 8
BEGIN: Final = 1_790_035_200  # a midnight (UTC)
POWER: Final = PowerCoefficients(kw_per_node=1.0)


class Day:
    """Price and carbon by the hour with noise; known in advance."""

    name = "daily shape"
    foresight = True

    def __init__(self, seed: int) -> None:
        self._noise = np.random.default_rng(seed).normal(0, 1, (2, 1 << 12))

    def known_at(self, now: int, grid: TimeGrid) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """All of it."""
        del now
        return self.actual(grid)

    def actual(self, grid: TimeGrid) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """(price, carbon)."""
        turn = grid.starts() % DAY / DAY * 2 * np.pi
        noise = self._noise[:, (grid.starts() - BEGIN) // SLOT % self._noise.shape[1]]
        return 80 + 35 * np.sin(turn) + 8 * noise[0], 180 + 70 * np.sin(turn + 0.5) + 15 * noise[1]


def stream(seed: int) -> Trace:
    """Eight days of 60 to 180 random jobs, more by day than by night, that fill 10 to 45 % of the nodes."""
    rng = np.random.default_rng(seed)
    count = int(rng.integers(60, 181))
    size = rng.integers(0, int(rng.integers(3, 7)), count)
    nodes = (2**size).astype(np.float64)
    limit = rng.choice([2, 4, 8, 12, 16], count).astype(np.float64) * SLOT
    runtime = limit * rng.uniform(0.3, 1.0, count)
    total = float((nodes * runtime).sum()) / (DAYS * DAY * float(rng.uniform(0.1, 0.45)))
    # They come in bursts, as users submit them.
    moments = rng.integers(0, DAYS * DAY, count)
    weight = 1.3 + np.sin((moments % DAY / DAY - 0.3) * 2 * np.pi)
    submit = BEGIN + np.sort(
        rng.choice(moments[: count // 2], count, p=_share(weight[: count // 2]))
    )
    kind = rng.integers(0, 6, count).astype("U8")
    room = np.array([[max(np.ceil(total), 2.0 * nodes.max())]])
    return Trace(
        name=f"stream {seed}",
        job_id=np.arange(count),
        submit=submit,
        runtime=runtime,
        limit=limit,
        demand=nodes[:, None],
        pool=np.zeros(count, np.int64),
        nodes=nodes,
        user=kind,
        account=kind,
        label=kind,
        energy_kwh=np.full(count, np.nan),
        room=Room(room, np.zeros(1, np.int64), room.copy(), ("all",), ("cpus",)),
    )


def _share(weight: NDArray[np.float64]) -> NDArray[np.float64]:
    share: NDArray[np.float64] = weight / weight.sum()
    return share
