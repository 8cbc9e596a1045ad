"""What a replayed policy believes of runtimes: learned, as requested, or as they will be.

Law: learned from jobs that had ended, never from one that has not; "actual" is perfect knowledge, for bounds
that say so. A pending job keeps its forecast until all jobs are planned again; then what has run since counts.
Seconds.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np

from flexlond.prediction.features import Features, features
from flexlond.prediction.runtime import RuntimeModel

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from flexlond.backtest.case import Trace

Runtimes = Literal["learned", "requested", "actual"]


class Believed:
    """The forecasts of one replay; jobs are indices of the trace."""

    def __init__(self, runtimes: Runtimes) -> None:
        """Nothing has been learned."""
        self._runtimes = runtimes
        self._model = RuntimeModel()
        self._features: dict[int, Features] = {}
        self._pending: dict[int, tuple[float, float]] = {}

    def learn(self, job: int, trace: Trace, seconds: float, now: int) -> None:
        """`job` has run for `seconds`, until `now`."""
        self._pending.pop(job, None)
        if self._runtimes == "learned":
            self._model.learn(self.of(job, trace), seconds, now)
        self._features.pop(job, None)

    def refresh(self) -> None:
        """Forecast pending jobs anew when they are asked about next."""
        if self._runtimes == "learned":
            self._pending.clear()

    def pending(self, job: int, trace: Trace) -> tuple[float, float]:
        """Of a pending job: for its cost (the mean), and for the room it takes (P90)."""
        found = self._pending.get(job)
        if found is None:
            limit = float(trace.limit[job])
            if self._runtimes == "requested":
                found = (limit, limit)
            elif self._runtimes == "actual":
                true = float(min(trace.runtime[job], limit))
                found = (true, true)
            else:
                forecast = self._model.predict(self.of(job, trace))
                found = (forecast.mean, forecast.p90)
            self._pending[job] = found
        return found

    def total(
        self, jobs: NDArray[np.int64], elapsed: NDArray[np.int64], trace: Trace
    ) -> NDArray[np.float64]:
        """(N,) that running `jobs` (N,) are expected to take in all (P90), after `elapsed` (N,)."""
        if self._runtimes == "requested":
            return trace.limit[jobs]
        if self._runtimes == "actual":
            return np.minimum(trace.runtime[jobs], trace.limit[jobs])
        kinds = [self.of(job, trace) for job in jobs.tolist()]
        # Minutes are exact enough, and alike jobs of the same minute are looked up once.
        minutes = (elapsed // 60 * 60).astype(np.float64)
        return self._model.predict_many(kinds, minutes.tolist())[1]

    def quantiles(
        self, jobs: NDArray[np.int64], elapsed: NDArray[np.int64], trace: Trace
    ) -> NDArray[np.float64]:
        """(N, Q) that `jobs` (N,) may take in all, as learned."""
        asked = zip(jobs.tolist(), elapsed.tolist(), strict=True)
        return np.array([self._model.quantiles(self.of(job, trace), ran) for job, ran in asked])

    def of(self, job: int, trace: Trace) -> Features:
        """What is known of a job when it is submitted."""
        found = self._features.get(job)
        if found is None:
            found = self._features[job] = features(
                user=str(trace.user[job]),
                account=str(trace.account[job]),
                partition=trace.room.partitions[int(trace.pool[job])],
                name=str(trace.label[job]),
                limit_seconds=int(trace.limit[job]),
                cpus=int(trace.demand[job, 0]),
                nodes=int(np.ceil(trace.nodes[job])),
                gpus=0,
            )
        return found

    def forget_features(self) -> None:
        """Let go what is kept of jobs by their index: another trace follows."""
        self._features.clear()
