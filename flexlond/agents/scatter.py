"""How the runtimes of a question scatter: asked for when somebody wants to know how certain a plan is.

Law: reads the models, learns nothing; changes no plan: expected runtimes and room stay what they were. Rows are
those of the question; who is not in the snapshot any more keeps what was expected. Without history a runtime
may be anything up to the time limit. Seconds.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from flexlond.model.job import ACTIVE_STATES
from flexlond.prediction.features import of_job
from flexlond.prediction.runtime import QUANTILES

if TYPE_CHECKING:
    from collections.abc import Mapping

    from flexlond.agents.outlook import Outlook
    from flexlond.model.job import Job, Snapshot
    from flexlond.planning.problem import Problem
    from flexlond.prediction.features import Features


def with_scatter(
    problem: Problem, rows: Mapping[int, int], snapshot: Snapshot, outlook: Outlook
) -> Problem:
    """`problem`, built from `snapshot` with its jobs at `rows`, with the quantiles of all runtimes."""
    model = outlook.runtime
    known: dict[tuple[Features, float], tuple[float, ...]] = {}

    def quantiles(job: Job, elapsed: float) -> tuple[float, ...]:
        asked = (of_job(job), elapsed)
        if asked not in known:
            known[asked] = model.quantiles(*asked)
        return known[asked]

    width = len(QUANTILES)
    runtimes = np.repeat(problem.duration[:, None], width, axis=1)
    left = np.repeat((problem.running.end - problem.now)[:, None].astype(np.float64), width, axis=1)
    # As build() makes them: what runs comes first, in the snapshot's order.
    active = [job for job in snapshot.jobs if job.state in ACTIVE_STATES and job.start]
    for row, job in enumerate(active[: len(left)]):
        elapsed = max(0.0, float(problem.now - job.start))
        left[row] = np.array(quantiles(job, elapsed)) - elapsed
    for job in snapshot.jobs:
        if job.job_id in rows:
            runtimes[rows[job.job_id]] = quantiles(job, 0.0)
    return replace(
        problem,
        runtimes=np.maximum(1.0, runtimes),
        running=replace(problem.running, left=np.maximum(1.0, left)),
    )
