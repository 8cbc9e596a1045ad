"""Conformance: every reader gives the same Job for the same state of a real cluster.

pyslurm cannot say how the tasks of a job are counted. Everything else must agree, field by field.
"""

from __future__ import annotations

import dataclasses
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from flexlond.model.job import Job, JobState
from flexlond.model.settings import SlurmSettings
from flexlond.slurm.accounting import read_accounting
from flexlond.slurm.cluster import read_cluster
from flexlond.slurm.json_reader import JsonReader
from flexlond.slurm.pyslurm_reader import PyslurmReader, PyslurmUnusable
from flexlond.slurm.reader import UNSEEN, choose_reader
from flexlond.slurm.rest_reader import RestReader
from flexlond.slurm.squeue import SqueueReader

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from flexlond.slurm.reader import QueueReader

pytestmark = [pytest.mark.slurm, pytest.mark.contract]

SOCKETS = ("/run/slurmrestd/slurmrestd.socket",)


def settings() -> SlurmSettings:
    sockets = [path for path in SOCKETS if Path(path).is_socket()]
    return SlurmSettings(restd_socket=sockets[0] if sockets else "")


@pytest.fixture
def state() -> dict[str, int]:
    """One job of each kind -> job id."""
    script = Path(__file__).parent / "reader-state"
    done = subprocess.run([str(script)], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    return {kind: int(job_id) for kind, job_id in map(str.split, done.stdout.splitlines())}


def seen(reader: QueueReader, job_ids: list[int] | None = None) -> dict[int, dict[str, Any]]:
    snapshot = reader.read(job_ids)
    assert snapshot.complete, snapshot.misfits
    assert snapshot.reader == reader.name
    hidden = UNSEEN[reader.name]
    return {
        job.job_id: {k: v for k, v in dataclasses.asdict(job).items() if k not in hidden}
        for job in snapshot.jobs
    }


@pytest.fixture(params=["json", "rest", "pyslurm"])
def reader(request: pytest.FixtureRequest) -> Iterator[QueueReader]:
    """Each reader but the default one, where it can serve."""
    if request.param == "json":
        yield JsonReader(settings())
    elif request.param == "rest":
        if not settings().restd_socket:
            pytest.skip(f"no slurmrestd listens on {SOCKETS[0]}")
        rest = RestReader(settings())
        yield rest
        rest.close()
    else:
        try:
            child = PyslurmReader(settings())
        except PyslurmUnusable as reason:
            pytest.skip(f"pyslurm: {reason}")
        yield child
        child.close()


def test_every_reader_gives_the_same_jobs(state: dict[str, int], reader: QueueReader) -> None:
    default = SqueueReader(settings())
    for _ in range(10):  # Slurm's own estimates move: compare two reads between which nothing did
        before = seen(default)
        found = seen(reader)
        if before == seen(default):
            break
        time.sleep(0.5)
    hidden = UNSEEN["squeue"] | UNSEEN[reader.name]
    assert set(found) == set(before)
    differences = [
        (job_id, field, before[job_id].get(field), found[job_id].get(field))
        for job_id in before
        for field in before[job_id]
        if field not in hidden and before[job_id][field] != found[job_id].get(field)
    ]
    assert differences == []


@pytest.fixture
def jobs(state: dict[str, int]) -> Callable[[str], Job]:
    """jobs(kind): the record with that job's own id."""
    snapshot = SqueueReader(settings()).read()
    assert snapshot.complete, snapshot.misfits
    by_id = {job.job_id: job for job in snapshot.jobs}
    return lambda kind: by_id[state[kind]]


def test_what_was_submitted_is_what_is_read(jobs: Callable[[str], Job]) -> None:
    assert jobs("running").state is JobState.RUNNING
    assert jobs("suspended").state is JobState.SUSPENDED
    assert jobs("gpu_running").gpus == (("h200", 2),)
    assert jobs("gpu_running").licenses.startswith("kw:5")
    assert jobs("gpu_node").gpus == (("h200", 4),)
    assert jobs("gpu_task").gpus == (("", 4),)
    assert jobs("gpu_gres").gpus == (("", 3),)
    assert jobs("many_cpus").cpus == 8
    assert jobs("many_cpus").time_limit == 90 * 60
    assert jobs("nodes").time_limit == 120  # Slurm rounds seconds up to minutes
    assert jobs("nodes").nodes in {2, 3}
    assert jobs("plain").memory_mib == 50
    assert jobs("plain").begin - jobs("plain").submit == 3600
    assert jobs("unlimited").time_limit is None
    assert jobs("unlimited").end == 0
    assert jobs("two_partitions").partition == "main,flex"
    assert not jobs("two_partitions").requeue
    assert jobs("deadline").time_limit == 36 * 3600
    assert 0 < jobs("deadline").deadline - jobs("deadline").submit <= 3 * 86400
    assert jobs("deadline").name == "two\nlines|x"
    assert jobs("held_user").held
    assert jobs("held_user").reason == "JobHeldUser"
    assert jobs("held_admin").reason == "JobHeldAdmin"
    assert jobs("dependent").dependency.startswith("afterok:")
    assert jobs("dependent").begin == 0


def test_arrays_stay_whole_and_split_tasks_stand_alone(
    state: dict[str, int], jobs: Callable[[str], Job]
) -> None:
    whole = jobs("array")
    assert whole.is_array
    assert whole.task_count == 11
    assert whole.array_throttle == 3
    assert whole.array_tasks == "1,3,5,7,9,11,13,15,17,19,30%3"
    split = jobs("array_split")
    assert split.array_tasks == "0-4,6,8-20%4"
    assert (split.task_count, split.array_throttle) == (19, 4)
    tasks = SqueueReader(settings()).read([state["array_split"]]).jobs
    assert {job.array_task_id for job in tasks} == {None, 5, 7}
    running = SqueueReader(settings()).read([state["array_running"]]).jobs
    assert sum(job.task_count for job in running) == 6
    assert [job.state for job in running if not job.is_array] == [JobState.RUNNING] * 2


def test_het_components_share_their_leader(state: dict[str, int]) -> None:
    leader = state["het"]
    found = SqueueReader(settings()).read([leader]).jobs
    assert [(job.het_job_id, job.het_offset) for job in found] == [(leader, 0), (leader, 1)]
    assert [job.gpu_count for job in found] == [0, 1]


def test_no_comment_forges_a_field(state: dict[str, int], jobs: Callable[[str], Job]) -> None:
    assert jobs("forged").comment.startswith("x\n1|alice|R\n\x1f\x1e~^~ JobId=1 UserId=root(0)")
    assert jobs("forged").comment.endswith("\x01\t")
    assert jobs("forged_json").comment.startswith('","job_id":1,"user_name":"root"')
    assert jobs("unicode").comment == "ünï ☂ 電力 \\u0000"
    assert jobs("not_utf8").comment == "a\ufffd\ufffdb"
    assert jobs("long").comment == "x" * 1024
    assert jobs("null").comment == ""
    snapshot = SqueueReader(settings()).read()
    assert {job.user for job in snapshot.jobs} == {"alice", "bob"}
    assert state.keys() == {
        kind for kind, job_id in state.items() if snapshot_has(snapshot, job_id)
    }


def snapshot_has(snapshot: Any, job_id: int) -> bool:
    return any(job.job_id == job_id for job in snapshot.jobs)


def test_ids_that_are_gone_are_absent(state: dict[str, int]) -> None:
    for reader in (SqueueReader(settings()), JsonReader(settings())):
        assert reader.read([99999999]).jobs == ()
        assert reader.read([]).jobs == ()
        found = reader.read([99999999, state["plain"]])
        assert found.complete
        assert [job.job_id for job in found.jobs] == [state["plain"]]


def test_the_choice_is_explained(cluster: str) -> None:
    reader, why = choose_reader(settings())
    assert reader.name == "squeue"
    assert "squeue" in why
    assert reader.read().slurm_version == cluster


def test_pools_leave_out_what_cannot_run(cluster: str, wait_for: Callable[..., Any]) -> None:
    whole = {pool.partition: pool for pool in read_cluster(settings()).pools}["main"]
    assert whole.nodes >= 2
    node = whole.node_names[-1]
    subprocess.run(
        ["scontrol", "update", f"NodeName={node}", "State=DRAIN", "Reason=test"], check=True
    )
    try:
        found = wait_for(
            lambda: [
                pool
                for pool in read_cluster(settings()).pools
                if pool.partition == "main" and node not in pool.node_names
            ]
        )
    finally:
        subprocess.run(["scontrol", "update", f"NodeName={node}", "State=RESUME"], check=True)
    assert found[0].cpus == whole.cpus * (whole.nodes - 1) // whole.nodes
    read = read_cluster(settings())
    assert read.slurm_version == cluster
    assert read.sched_interval > 0


def test_reservations_are_seen(cluster: str) -> None:
    subprocess.run(
        [
            *("scontrol", "create", "reservation", "ReservationName=window", "Users=root"),
            *("StartTime=now+60minutes", "Duration=30", "Flags=LICENSE_ONLY,ANY_NODES"),
            *("NodeCnt=0", "Licenses=kw:10"),
        ],
        check=True,
        capture_output=True,
    )
    (found,) = read_cluster(settings()).reservations
    assert (found.name, found.licenses, found.active) == ("window", "kw:10", False)
    assert found.end - found.start == 1800
    assert abs(found.start - time.time() - 3600) < 120


def test_history_keeps_hostile_comments_apart(
    sbatch: Callable[..., int], wait_for: Callable[..., Any]
) -> None:
    hostile = "a\n1|2|\x1f~\n\x01"
    since = int(time.time()) - 5
    first = sbatch("alice", "--mem=10", f"--comment={hostile}", wrap="true")
    second = sbatch("bob", "--mem=10", wrap="false")

    def both() -> dict[int, Any]:
        found = read_accounting(settings(), since=since, job_ids=[first, second])
        records = {record.job_id: record for record in found}
        known = all(record.time_limit for record in found)  # slurmdbd fills a record in steps
        return records if known and {r.state for r in found} == {"COMPLETED", "FAILED"} else {}

    records = wait_for(both, 40, what="both jobs are in the accounting")
    assert records[first].comment == hostile
    assert records[first].user == "alice"
    assert records[first].submit <= records[first].start <= records[first].end
    assert records[first].time_limit == 300
    assert (records[second].user, records[second].state) == ("bob", "FAILED")
