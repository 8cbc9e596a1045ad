"""The queue as the policy looks at it: by id, by array, by het job.

Law: pure. Nothing is left out and nothing is guessed; an incomplete snapshot stays marked as such.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from flexlond.model.job import ACTIVE_STATES, JobState

if TYPE_CHECKING:
    from collections.abc import Sequence

    from flexlond.model.job import Job, Snapshot

ON_NODES = ACTIVE_STATES | {JobState.COMPLETING}


class Reader(Protocol):
    """A queue reader (flexlond.slurm); the helper takes the one that opens no network."""

    def read(self, job_ids: Sequence[int] | None = None) -> Snapshot:
        """Read the active jobs, or those of `job_ids`; SlurmCommandError when Slurm cannot be asked."""


@dataclass(slots=True)
class QueueView:
    """A snapshot, indexed."""

    complete: bool
    version: str
    by_id: dict[int, Job] = field(default_factory=dict)
    split: dict[int, list[Job]] = field(default_factory=dict)  # array -> pending tasks split off
    active: dict[int, int] = field(default_factory=dict)  # array -> tasks on nodes
    components: dict[int, list[Job]] = field(default_factory=dict)  # het leader -> its components


def index(snapshot: Snapshot) -> QueueView:
    """Index a snapshot."""
    queue = QueueView(snapshot.complete, snapshot.slurm_version)
    for job in snapshot.jobs:
        queue.by_id[job.job_id] = job
        if job.array_job_id and job.array_task_id is not None and job.state is JobState.PENDING:
            queue.split.setdefault(job.array_job_id, []).append(job)
        if job.array_job_id and job.state in ON_NODES:
            queue.active[job.array_job_id] = queue.active.get(job.array_job_id, 0) + 1
        if job.het_job_id:
            queue.components.setdefault(job.het_job_id, []).append(job)
    return queue


def own_way(job: Job, queue: QueueView) -> tuple[Job, ...]:
    """Pending tasks split off an array that differ from the rest of it: opted out, held, requeued."""
    return tuple(
        task
        for task in queue.split.get(job.job_id, ())
        if task.begin != job.begin
        or task.priority == 0
        or task.restarts
        or task.submit != job.submit
    )


def address(job: Job) -> str:
    """Return how scontrol must be told of this job alone (an array's id would mean all its tasks)."""
    if job.array_task_id is not None and job.job_id == job.array_job_id:
        return f"{job.array_job_id}_{job.array_task_id}"
    return str(job.job_id)
