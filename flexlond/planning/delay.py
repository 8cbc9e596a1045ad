"""What a day of waiting counts for: every job alike, by the energy of the mean one.

Law: pure; kWh and kW. The price of delay is paid for each job (each task of an array), whatever its size, for
people wait for jobs and not for kilowatt hours: so the small and short start at once, and what waits is what
carries the energy. Priced by each job's own energy, half of the delay fell on jobs with a twentieth of the
energy. The mean is over jobs as they were first seen, of which the last thousand count, so that one price fits
sites of any size.
Source: own measurements, docs/explanation/backtest-results.md.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

_REMEMBERED = 1000.0  # jobs that count in the mean


class MeanJob:
    """The mean energy of a task, learned from jobs as they come."""

    def __init__(self) -> None:
        """Nothing is known before the first job."""
        self.kwh = 0.0
        self._seen = 0.0
        self._there: frozenset[int] = frozenset()

    def see(
        self, job_id: Sequence[int], kwh: NDArray[np.float64], tasks: NDArray[np.float64]
    ) -> None:
        """The jobs that are pending now, with the kWh expected of one task; new ones are learned from."""
        new = np.array([job not in self._there for job in job_id], np.bool_)
        self._there = frozenset(job_id)
        count = math.fsum(tasks[new])
        if count <= 0:
            return
        self._seen = min(self._seen + count, max(_REMEMBERED, count))
        mean = math.fsum(kwh[new] * tasks[new]) / count
        self.kwh += (mean - self.kwh) * count / self._seen

    def weights(self, tasks: NDArray[np.float64], kw: NDArray[np.float64]) -> NDArray[np.float64]:
        """(J,) kWh that the price of delay is paid for: the mean, for each task.

        Right within a fifth: weight over `kw` is the mean times a power of the square root of 2, because
        jobs of which it is the same are planned as one class.
        """
        power = np.where(kw > 0, kw, 1.0)
        steps = np.round(2.0 * np.log2(np.maximum(tasks, 1.0) / power)) / 2.0
        weight: NDArray[np.float64] = self.kwh * power * np.exp2(steps)
        return weight
