"""As soon as possible, against schedules made by hand."""

from __future__ import annotations

import numpy as np
import pytest
from demo_lib.counterfactual import Task, asap_starts

from flexlond.model.job import Job, JobState, Pool
from flexlond.planning.pools import room_of

T0 = 1_700_000_000
NODES = ("n1", "n2", "n3")
ROOM = room_of(
    [Pool(name, 3, 96, 384_000, (("h200", 12),), NODES, None, None) for name in ("main", "flex")]
)


def job(job_id: int, cpus: int, gpus: int = 0, partition: str = "main") -> Job:
    return Job(
        job_id=job_id, state=JobState.ENDED, reason="", user="alice", uid=2001, account="", qos="",
        partition=partition, name="", nodes=1, cpus=cpus, memory_mib=512,
        gpus=(("", gpus),) if gpus else (), licenses="", time_limit=60, submit=T0, begin=T0, start=0,
        end=0, deadline=0, priority=1, requeue=True, restarts=0, reservation="", dependency="",
        batch=True, node_list="", comment="",
    )  # fmt: skip


def test_what_fits_starts_when_it_is_eligible() -> None:
    tasks = [Task(job(1, 48), T0, 20), Task(job(2, 48), T0 + 5, 20), Task(job(3, 1), T0 + 6, 5)]
    assert asap_starts(tasks, ROOM) == {1: T0, 2: T0 + 5, 3: T0 + 20}


def test_partitions_share_their_nodes_and_a_small_job_fills_a_gap() -> None:
    tasks = [
        Task(job(1, 4, gpus=8), T0, 30),
        Task(job(2, 4, gpus=8, partition="flex"), T0 + 1, 10),
        Task(job(3, 4, gpus=4), T0 + 2, 28),
    ]
    assert asap_starts(tasks, ROOM) == {1: T0, 2: T0 + 30, 3: T0 + 2}


def test_dependencies_wait_for_the_end_and_unknown_ones_bind_nothing() -> None:
    tasks = [
        Task(job(1, 4), T0, 30),
        Task(job(2, 4), T0 + 1, 10, after=(1,)),
        Task(job(3, 4), T0 + 2, 10, after=(2, 99)),
    ]
    assert asap_starts(tasks, ROOM) == {1: T0, 2: T0 + 30, 3: T0 + 40}


def test_nothing_is_nothing() -> None:
    assert asap_starts([], ROOM) == {}


def test_the_room_is_never_exceeded_and_nobody_starts_early() -> None:
    random = np.random.default_rng(1)
    tasks = [
        Task(
            job(i, int(random.integers(1, 33))),
            T0 + int(random.integers(0, 60)),
            int(random.integers(10, 50)),
        )
        for i in range(1, 41)
    ]
    starts = asap_starts(tasks, ROOM)
    assert all(starts[task.job.job_id] >= task.eligible for task in tasks)
    for second in range(T0, T0 + 400):
        used = sum(
            task.job.cpus
            for task in tasks
            if starts[task.job.job_id] <= second < starts[task.job.job_id] + task.seconds
        )
        assert used <= 96


def test_a_successor_takes_its_turn_by_submission_not_last() -> None:
    tasks = [
        Task(job(1, 96), T0, 10),
        Task(job(2, 96), T0 + 1, 10, after=(1,)),
        Task(job(3, 96), T0 + 2, 10),
    ]
    assert asap_starts(tasks, ROOM) == {1: T0, 2: T0 + 10, 3: T0 + 20}


def test_what_can_never_start_is_said() -> None:
    with pytest.raises(ValueError, match="job 1 can never start"):
        asap_starts([Task(job(1, 97), T0, 10)], ROOM)
    with pytest.raises(ValueError, match="can never start"):
        asap_starts([Task(job(1, 1), T0, 5, after=(2,)), Task(job(2, 1), T0, 5, after=(1,))], ROOM)
    with pytest.raises(ValueError, match="never start in 'none'"):
        asap_starts([Task(job(1, 1, partition="none"), T0, 5)], ROOM)
