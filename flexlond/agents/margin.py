"""The queue wait to expect after a begin time: what jobs of the partition waited lately.

Law: an observed wait is start less begin time (Slurm's EligibleTime) of a job that was pending in one snapshot
and started in a later one. The prediction is the 95th percentile of the last day's, never less than zero, and
the site's default before there are five of them. Seconds throughout.
"""

from __future__ import annotations

from collections import defaultdict, deque
from typing import TYPE_CHECKING

from flexlond.model.job import ACTIVE_STATES, JobState

if TYPE_CHECKING:
    from flexlond.agents.records import Store
    from flexlond.model.job import Snapshot

_KEPT = 500
_ENOUGH = 5
_STORED_AT_ONCE = 50  # per look; a burst of starts is one experience, not thousands
_QUANTILE = 0.95
DAY = 86_400


class WaitWatch:
    """Observed waits by partition, persisted in the store."""

    def __init__(self, store: Store, now: int) -> None:
        """Take up what was observed in the day before `now`."""
        self._store = store
        self._waits: dict[str, deque[int]] = defaultdict(lambda: deque(maxlen=_KEPT))
        for partition, waits in store.waits(now - DAY).items():
            self._waits[partition].extend(waits)

    def watch(self, before: Snapshot | None, after: Snapshot, now: int) -> None:
        """Learn from jobs that started between the two snapshots."""
        if before is None:
            return
        pending = {job.job_id for job in before.jobs if job.state is JobState.PENDING}
        started = [
            job
            for job in after.jobs
            if job.state in ACTIVE_STATES and job.begin and job.start and job.job_id in pending
        ]
        for job in started[:_STORED_AT_ONCE]:
            wait = max(0, job.start - job.begin)
            self._waits[job.partition].append(wait)
            self._store.add_wait(job.partition, wait, now)

    def predicted(self, partition: str, default: int) -> int:
        """The 95th percentile for the first known partition of Slurm's comma list."""
        for name in partition.split(","):
            waits = sorted(self._waits.get(name, ()))
            if len(waits) >= _ENOUGH:
                return waits[min(len(waits) - 1, int(_QUANTILE * len(waits)))]
        return default
