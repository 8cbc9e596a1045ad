"""The job: one shape inside, whatever reader it came from.

Law: a Job is one Slurm job *record* as observed at one moment. Times are Unix epoch seconds (UTC, int),
0 means "none". Durations are seconds; memory is MiB. Nothing here is predicted or planned.

Arrays: the pending tasks of an array that were not split off are ONE Job with `job_id == array_job_id`,
`array_task_id is None` and `task_count` tasks; a task that was split off or runs is a Job of its own with
`array_task_id` set. (measured: squeue -r lists every task; readers merge the unsplit ones.)
Het jobs: one Job per component, same `het_job_id` (the leader's id), `het_offset` 0, 1, ...
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class JobState(StrEnum):
    """Slurm's base state in squeue's compact form; every ended state is END."""

    PENDING = "PD"
    CONFIGURING = "CF"
    RUNNING = "R"
    SUSPENDED = "S"
    COMPLETING = "CG"
    AWAY = "RV"  # federated: it waits or runs at another site (Slurm says REVOKED)
    ENDED = "END"


# The end of a job that is past any change of ours.
ACTIVE_STATES = frozenset({JobState.CONFIGURING, JobState.RUNNING, JobState.SUSPENDED})


@dataclass(frozen=True, slots=True)
class Job:
    """One job record as read from Slurm.

    Resource counts are for one task of an array, and for the whole job otherwise; for a pending job they
    are what was requested, for a running one what was allocated.
    """

    job_id: int
    state: JobState
    reason: str  # squeue's reason: "BeginTime", "Dependency", "Priority", "JobHeldAdmin", ...
    user: str
    uid: int
    account: str
    qos: str
    partition: str  # as Slurm prints it; may be a comma list while pending
    name: str
    nodes: int
    cpus: int
    memory_mib: int  # for the whole job; 0 when Slurm does not say
    gpus: tuple[tuple[str, int], ...]  # ((type or "", count for the whole job), ...) sorted
    licenses: str
    time_limit: int | None  # seconds; None: UNLIMITED
    submit: int
    begin: int  # Slurm's EligibleTime: the begin time in force; 0 while it has none (dependency)
    start: int  # actual when started, Slurm's estimate while pending, 0 when it has none
    end: int
    deadline: int  # Slurm's own --deadline; 0: none
    priority: int  # 0: held
    requeue: bool
    restarts: int
    reservation: str
    dependency: str  # as squeue prints it, "" when none is left
    batch: bool
    node_list: str
    comment: str
    array_job_id: int = 0  # 0: not of an array
    array_task_id: int | None = None
    array_tasks: str = ""  # the unsplit pending tasks as Slurm prints them ("3-9%2")
    array_throttle: int = 0  # %N; 0: none
    task_count: int = 1
    het_job_id: int = 0  # 0: not a het job
    het_offset: int = 0
    cron: bool = False  # scrontab's
    origin: str = ""  # federated: the cluster that it was submitted on, where that is not this one
    sites: tuple[str, ...] = ()  # federated: the clusters where Slurm may start it

    @property
    def held(self) -> bool:
        """Held by user or operator (priority 0): never ours, because we hold by begin time only."""
        return self.state is JobState.PENDING and self.priority == 0

    @property
    def is_array(self) -> bool:
        """The unsplit remainder of an array."""
        return self.array_job_id != 0 and self.array_task_id is None

    @property
    def at_throttle(self) -> bool:
        """As many tasks of the array run as its throttle allows: then Slurm shows no begin time at all."""
        waits = self.state is JobState.PENDING and self.begin == 0 and self.priority > 0
        return waits and self.is_array and self.array_throttle > 0 and not self.dependency

    @property
    def gpu_count(self) -> int:
        """GPUs of every type together."""
        return sum(count for _, count in self.gpus)


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The queue at one moment, as one reader saw it.

    `complete` is False when any row could not be understood: then nothing new may be held.
    """

    taken_at: int
    jobs: tuple[Job, ...]
    reader: str
    slurm_version: str
    complete: bool = True
    misfits: tuple[str, ...] = ()  # what could not be understood, for the log


@dataclass(frozen=True, slots=True)
class Pool:
    """What one partition can run: totals over its usable nodes (down, drained, reserved ones left out).

    Partitions can share nodes; `node_names` says which, so that a planner does not count them twice.
    """

    partition: str
    nodes: int
    cpus: int
    memory_mib: int
    gpus: tuple[tuple[str, int], ...]
    node_names: tuple[str, ...]
    max_time: int | None  # seconds
    default_time: int | None
    is_default: bool = False
    up: bool = True


@dataclass(frozen=True, slots=True)
class Reservation:
    """An advance reservation of nodes or licences, as Slurm has it; epoch seconds."""

    name: str
    start: int
    end: int
    nodes: str  # Slurm's host list, "" when it is of licences only
    licenses: str
    flags: tuple[str, ...]
    active: bool


@dataclass(frozen=True, slots=True)
class Cluster:
    """What Slurm says of itself: read at start and every few cycles."""

    name: str
    slurm_version: str  # "24.11.5"
    pools: tuple[Pool, ...]
    sched_interval: int  # seconds; the longest wait between begin time and a scheduling pass
    accrue_always: bool  # PriorityFlags has ACCRUE_ALWAYS
    kill_wait: int
    reservations: tuple[Reservation, ...] = ()
    power_saving: bool = False  # Slurm switches idle nodes off (SuspendProgram and SuspendTime)
