"""What a job would cost at another site: its cheapest start there, beside what it is planned to cost here.

Law: pure. Both by the one objective: electricity by price, carbon by its price, the wait by the price of delay.
A start with an unknown price (or, where carbon has a price, intensity) anywhere in its run is no start. What
room the other site has is not known here: whoever moves a job keeps the time to bring it back. GBP, kW, epoch
seconds.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from flexlond.planning.ranking import run_costs, score_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from flexlond.model.settings import PlanningSettings
    from flexlond.model.timegrid import TimeGrid


@dataclass(frozen=True, slots=True)
class Run:
    """One job as it is weighed: kW over `seconds`, starting from `earliest` to `latest`."""

    kw: float
    seconds: float
    earliest: int
    latest: int
    delay_gbp_per_second: float


@dataclass(frozen=True, slots=True)
class Start:
    """A start and what it costs, its delay included."""

    at: int
    gbp: float


def cheapest(
    run: Run,
    grid: TimeGrid,
    price: NDArray[np.float64],
    carbon: NDArray[np.float64],
    settings: PlanningSettings,
) -> Start | None:
    """The cheapest start on `grid` (of equals the earliest), None where none is known."""
    slots = grid.starts()
    starts = np.unique(np.append(slots[slots >= run.earliest], run.earliest))
    starts = starts[starts <= run.latest].astype(np.int64)
    if not len(starts):
        return None
    costs = costs_at(run, starts, grid, score_of(price, carbon, settings))
    if not np.isfinite(costs).any():
        return None
    best = int(np.nanargmin(costs))
    return Start(int(starts[best]), float(costs[best]))


def costs_at(
    run: Run, starts: NDArray[np.int64], grid: TimeGrid, score: NDArray[np.float64]
) -> NDArray[np.float64]:
    """(n,) GBP of the run from each of `starts`, NaN where it is not known."""
    many = len(starts)
    power = run_costs(
        grid, score, np.full(many, run.kw), starts, np.full(many, max(run.seconds, 1.0))
    )
    waits = (starts - run.earliest).astype(np.float64) * run.delay_gbp_per_second
    return np.asarray(power + waits, np.float64)
