"""The margin before the latest start: by size once there are notes, by what was seen before; kept."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from flexlond.agents.margin import ROOM_WAITS, WaitWatch
from flexlond.agents.outlook import Outlook
from flexlond.daemon.store import SqliteStore
from flexlond.model.job import JobState, Snapshot
from tests.unit.agents.conftest import SLOT, START, SimSlurm

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from flexlond.model.job import Job

HOUR = 3600
DEFAULT = 120


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SqliteStore]:
    opened = SqliteStore(tmp_path / "flexlon.db")
    yield opened
    opened.close()


def asking(cpus: int) -> Job:
    slurm = SimSlurm()
    return slurm.jobs[slurm.submit(cpus=cpus)]


def snapshot(at: int, *jobs: Job) -> Snapshot:
    return Snapshot(at, jobs, "squeue", "24.11.5", complete=True)


def noted(watch: WaitWatch, *, count: int = 48) -> int:
    """Half of the CPUs are always taken for two more hours; the moment of the last note."""
    cluster = SimSlurm().read_cluster()
    running = replace(asking(32), state=JobState.RUNNING, time_limit=2 * HOUR)
    at = START
    for step in range(count):
        at = START + step * SLOT
        watch.note(cluster, snapshot(at, replace(running, start=at)), Outlook(), at)
    return at


def test_a_large_job_keeps_what_it_waits_for_room_and_a_small_one_does_not(
    store: SqliteStore,
) -> None:
    watch = WaitWatch(store, START)
    noted(watch)
    assert watch.predicted(asking(48), DEFAULT, keeps_age=True) == 2 * HOUR
    assert watch.predicted(asking(4), DEFAULT, keeps_age=True) == 0


def test_before_there_are_notes_the_site_s_default_counts(store: SqliteStore) -> None:
    watch = WaitWatch(store, START)
    assert watch.predicted(asking(48), DEFAULT, keeps_age=True) == DEFAULT
    noted(watch, count=10)
    assert watch.predicted(asking(48), DEFAULT, keeps_age=True) == DEFAULT


def test_rule_10_without_age_priority_the_queue_s_own_waits_count_as_well(
    store: SqliteStore,
) -> None:
    watch = WaitWatch(store, START)
    at = noted(watch)
    for number in range(6):
        job = replace(asking(4), job_id=number)
        began = replace(job, state=JobState.RUNNING, start=job.begin + 1000)
        watch.watch(snapshot(at, job), snapshot(at + 30, began), at + 30)
    assert watch.predicted(asking(4), DEFAULT, keeps_age=False) == 1000
    assert watch.predicted(asking(4), DEFAULT, keeps_age=True) == 0
    assert watch.predicted(asking(48), DEFAULT, keeps_age=False) == 2 * HOUR


def test_what_a_released_job_waited_counts_for_jobs_of_its_size(store: SqliteStore) -> None:
    watch = WaitWatch(store, START)
    at = noted(watch)
    for number in range(6):
        job = replace(asking(4), job_id=number, begin=START + HOUR)
        began = replace(job, state=JobState.RUNNING, start=job.begin + 700)
        watch.watch(snapshot(at, job), snapshot(at + 30, began), at + 30)
    assert watch.predicted(asking(4), DEFAULT, keeps_age=True) == 700


def test_the_notes_outlive_the_daemon_and_broken_ones_are_learnt_again(store: SqliteStore) -> None:
    at = noted(WaitWatch(store, START))
    again = WaitWatch(store, at + 60)
    again.note(SimSlurm().read_cluster(), snapshot(at + 60), Outlook(), at + 60)
    assert again.predicted(asking(48), DEFAULT, keeps_age=True) == 2 * HOUR
    store.put_blob(ROOM_WAITS, b"\xc1 no msgpack", at)
    assert WaitWatch(store, at).predicted(asking(48), DEFAULT, keeps_age=True) == DEFAULT
