"""The policies to compare with: as soon as possible, greenest window, COAST, wait awhile.

Law: each is its published rule, re-implemented from its description, given the same jobs, latest starts,
forecasts and scheduler as ours. Each decides once, when a job is submitted, and plans neither room nor price:
  greenest    CATS (Climate-Aware Task Scheduler): the start with the least mean forecast carbon over the run
  coast       COAST (arXiv 2609.05443): coast.py
  wait_awhile Wiesner et al., Let's Wait Awhile (2021), as a threshold: the first slot as green as the
              greenest part q of the job's window
A start is now, or a later slot's start up to the latest start. What is not known is no candidate; a job that
has none starts at once. Carbon in g/kWh, times in seconds.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from flexlond.backtest.coast import Coast, Weights
from flexlond.backtest.policy import ARRIVE, requested
from flexlond.model.timegrid import TimeGrid
from flexlond.planning.ranking import run_costs

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from flexlond.backtest.case import Signals
    from flexlond.backtest.policy import Duration, State

__all__ = ["AsSoonAsPossible", "Coast", "Greenest", "WaitAwhile", "Weights"]

_SAME = 1e-9
"""Means within this part of each other are equal: the earlier start wins."""


class AsSoonAsPossible:
    """What the cluster does without a policy."""

    name = "asap"
    calls: ClassVar[tuple[str, ...]] = ()

    def arrive(self, now: int, jobs: Sequence[int], state: State) -> Mapping[int, int]:  # noqa: ARG002 - Policy asks
        """Nothing is held."""
        return {}

    def tick(self, now: int, state: State) -> Mapping[int, int]:  # noqa: ARG002 - Policy asks
        """Nothing is held."""
        return {}


@dataclass(frozen=True, slots=True)
class Greenest:
    """The start with the least mean forecast carbon over the job's duration; the earliest of equals.

    `duration` is what it believes a job runs; `horizon_slots` how much forecast it reads (48 h by default).
    """

    signals: Signals
    duration: Duration = requested
    horizon_slots: int = 96
    name: str = "greenest"
    calls: ClassVar[tuple[str, ...]] = (ARRIVE,)

    def arrive(self, now: int, jobs: Sequence[int], state: State) -> Mapping[int, int]:
        """Each job by itself."""
        grid = TimeGrid.covering(now, state.slot_seconds, self.horizon_slots)
        _, carbon = self.signals.known_at(now, grid)
        return {
            job: greenest_start(
                grid,
                carbon,
                now=now,
                latest=int(state.flexibility.latest[job]),
                duration=self.duration(job, state),
            )
            for job in jobs
        }

    def tick(self, now: int, state: State) -> Mapping[int, int]:  # noqa: ARG002 - Policy asks
        """It never looks again."""
        return {}


@dataclass(frozen=True, slots=True)
class WaitAwhile:
    """The first start at which carbon is at or below the quantile `share` of the forecast in its window."""

    signals: Signals
    share: float = 0.3
    horizon_slots: int = 96
    name: str = "wait-awhile"
    calls: ClassVar[tuple[str, ...]] = (ARRIVE,)

    @property
    def parameter(self) -> str:
        """The threshold, for reports."""
        return f"share={self.share:g}"

    def arrive(self, now: int, jobs: Sequence[int], state: State) -> Mapping[int, int]:
        """Each job by itself."""
        grid = TimeGrid.covering(now, state.slot_seconds, self.horizon_slots)
        _, carbon = self.signals.known_at(now, grid)
        latest = state.flexibility.latest
        return {job: self._first(grid, carbon, now, int(latest[job])) for job in jobs}

    def tick(self, now: int, state: State) -> Mapping[int, int]:  # noqa: ARG002 - Policy asks
        """It never looks again."""
        return {}

    def _first(self, grid: TimeGrid, carbon: NDArray[np.float64], now: int, latest: int) -> int:
        starts = _starts(grid, now, latest)
        window = carbon[: len(starts)]
        known = np.isfinite(window)
        if not known.any():
            return now
        threshold = np.quantile(window[known], self.share)
        low = np.flatnonzero(known & (window <= threshold * (1 + _SAME)))
        return int(starts[low[0]])


def greenest_start(
    grid: TimeGrid, carbon: NDArray[np.float64], *, now: int, latest: int, duration: float
) -> int:
    """The start in [now, latest] with the least mean of `carbon` (S,) over `duration` seconds.

    `now` where no window is known as a whole. `now` lies in the grid's first slot.
    """
    starts = _starts(grid, now, latest)
    span = np.full(len(starts), max(duration, 1.0))
    total = run_costs(grid, carbon, np.ones(len(starts)), starts, span)
    if np.isnan(total).all():
        return now
    least = float(np.nanmin(total))
    return int(starts[np.flatnonzero(total <= least + abs(least) * _SAME)[0]])


def _starts(grid: TimeGrid, now: int, latest: int) -> NDArray[np.int64]:
    """(n,) `now`, then the later slot starts of the grid up to `latest`; row k lies in slot k."""
    last = min(max(grid.slot_of(latest), 0), grid.count - 1)
    starts = grid.start + grid.slot_seconds * np.arange(last + 1, dtype=np.int64)
    starts[0] = now
    return starts
