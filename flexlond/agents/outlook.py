"""What is expected of a job: for how long it runs and what it draws, from the learnt models.

Law: reads the models, learns nothing; on the event loop's thread, because the models are not for two threads.
A forecast bounds nothing: the mean says what a run costs, P90 for how long its room is kept, both never above
the time limit, and latest starts use the limit alone. A job without a time limit counts for a day. Jobs that no
forecast can tell apart are looked up once, until something new is learnt; measured power is rounded to 10 %,
so that they stay few kinds to the planner. Seconds; kW at the site's meter.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from flexlond.model.power import jobs_power
from flexlond.prediction.features import of_job
from flexlond.prediction.power import NO_MEASUREMENT, RATIO_RANGE, PowerModel
from flexlond.prediction.runtime import (
    NO_HISTORY,
    NO_LIMIT,
    UNLIMITED_SECONDS,
    Forecast,
    RuntimeModel,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from flexlond.model.directive import PowerSpec
    from flexlond.model.job import Job
    from flexlond.model.settings import PowerSettings
    from flexlond.prediction.features import Features

_GRID: Final = math.log(1.1)
STATED: Final = "stated in the directive"
_UNLIMITED = Forecast.without_runs(float(UNLIMITED_SECONDS), NO_LIMIT)


class Ratio(NamedTuple):
    """Measured over modelled power of like jobs."""

    value: float
    basis: str
    samples: int


class Draw(NamedTuple):
    """Site kW of some jobs as expected; shapes (n,)."""

    whole: NDArray[np.float64]  # with the idle share of their nodes
    counted: NDArray[
        np.float64
    ]  # what the plan counts: without it, unless Slurm switches nodes off


@dataclass(slots=True, eq=False)
class Outlook:
    """Forecasts of one moment; without models every job counts for its time limit and its coefficients."""

    runtime: RuntimeModel = field(default_factory=RuntimeModel)
    power: PowerModel = field(default_factory=PowerModel)
    _runs: tuple[int, int] = (0, 0)
    _known: dict[Features, Forecast] = field(default_factory=dict)
    _ratios: dict[Features, Ratio] = field(default_factory=dict)

    def run_of(self, job: Job) -> Forecast:
        """The whole run of a pending job (of one task of an array)."""
        if not job.time_limit:
            return _UNLIMITED
        if not self.runtime.runs:
            return Forecast.without_runs(float(job.time_limit), NO_HISTORY)
        self._refresh()
        like = of_job(job)
        found = self._known.get(like)
        if found is None:
            found = self._known[like] = self.runtime.predict(like)
        return found

    def runs_of(self, jobs: Sequence[Job]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """(J,), (J,): mean and P90 of each pending job, s."""
        found = [(run.mean, run.p90) for run in map(self.run_of, jobs)]
        both = np.array(found, np.float64).reshape(len(jobs), 2)
        return both[:, 0], both[:, 1]

    def end_of(self, job: Job, now: int) -> int:
        """When a running job has ended in 9 of 10 cases (epoch s), at the latest at its time limit."""
        if not job.time_limit:
            return job.start + UNLIMITED_SECONDS
        limit = job.start + job.time_limit
        if not self.runtime.runs:
            return limit
        took = self.runtime.predict_end(of_job(job), max(0.0, float(now - job.start))).p90
        return min(limit, job.start + int(np.ceil(took)))

    def ratio_of(self, job: Job) -> Ratio:
        """By how much like jobs were measured to draw more or less than the coefficients say."""
        if not self.power.runs:
            return Ratio(1.0, NO_MEASUREMENT, 0)
        self._refresh()
        like = of_job(job)
        found = self._ratios.get(like)
        if found is None:
            forecast = self.power.predict(like, 1.0)
            found = Ratio(_on_grid(forecast.kw_p50), forecast.basis, forecast.samples)
            self._ratios[like] = found
        return found

    def draw(
        self,
        jobs: Sequence[Job],
        specs: Sequence[PowerSpec | None],
        settings: PowerSettings,
        *,
        power_saving: bool,
    ) -> Draw:
        """The power of each job; a stated one counts as stated, whole.

        Measured power less the idle share is what a job adds to a node that is on; it never falls below what
        the smallest credible ratio leaves, or wrong idle watts would make a job free.
        """
        whole, idle, stated = jobs_power(jobs, specs, settings)
        if self.power.runs:
            ratio = np.array([self.ratio_of(job).value for job in jobs], np.float64)
            measured = np.where(stated, whole, whole * ratio)
        else:
            measured = whole
        if power_saving:
            return Draw(measured, measured)
        least = RATIO_RANGE[0] * (whole - idle)
        return Draw(measured, np.maximum(measured - idle, least))

    def _refresh(self) -> None:
        """Forget what was looked up before something new was learnt."""
        runs = (self.runtime.runs, self.power.runs)
        if runs != self._runs:
            self._known.clear()
            self._ratios.clear()
            self._runs = runs


def _on_grid(ratio: float) -> float:
    """In steps of 10 %, so that jobs that draw about the same are planned as one class."""
    return float(math.exp(round(math.log(ratio) / _GRID) * _GRID))
