"""Nothing depends on us staying alive: SIGKILL with holds in place, on a real slurmctld."""

from __future__ import annotations

import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

pytestmark = [pytest.mark.slurm, pytest.mark.contract]

FLEX = "flex: max-delay=15:00"


def day(dear: int, cheap: int, total: int = 180) -> list[float]:
    return [200.0] * dear + [10.0] * cheap + [200.0] * (total - dear - cheap)


def allowed_delay() -> int:
    """Seconds from begin time to start: 15 with fast scheduler intervals, 35 with Slurm's defaults."""
    config = subprocess.run(
        ["scontrol", "show", "config"], capture_output=True, text=True, check=True
    ).stdout
    return 15 if "sched_interval=5" in config else 35


def test_held_jobs_start_by_themselves_with_daemon_and_helper_dead(
    scene: Any, service: Any
) -> None:
    scene.act(day(5, 6))
    users = ("alice", "bob", "carol")
    jobs = [
        scene.sbatch(users[n % 3], "-t1", f"--comment={FLEX}", wrap="sleep 3") for n in range(6)
    ]
    planned = {job: scene.held(job, 40) for job in jobs}
    service("flexlond").kill("KILL")
    service("flexlon-helper").kill("KILL")
    scene.wait_for(lambda: not scene.heart_beats(), 20, what="the heartbeat has expired")
    fresh = scene.sbatch("alice", "-t1", f"--comment={FLEX}", wrap="sleep 1")
    record = scene.job(fresh)
    assert record.begin <= record.time("SubmitTime")
    for job, begin in planned.items():
        scene.wait_for(
            lambda job=job: scene.job(job).state in {"RUNNING", "COMPLETING", "COMPLETED"},
            max(1, begin - time.time()) + allowed_delay() + 5,
            what=f"job {job} starts by itself",
        )
        delay = scene.job(job).start - begin
        print(f"job {job}: {delay} s after its planned start")
        assert 0 <= delay <= allowed_delay()


def test_i7_a_hold_lost_in_a_slurmctld_crash_is_back_within_two_cycles(
    scene: Any, service: Any
) -> None:
    slurmctld = service("slurmctld")
    if not Path("/var/spool/slurmctld/assoc_usage").exists():
        # Slurm writes it every five minutes and at an orderly end; 26.05 refuses to start without it.
        slurmctld.restart()
    scene.act(day(40, 20))
    jobs: list[int] = []
    for trial in range(3):
        scene.ctl("pause")
        own = f"--begin=now+{90 - 20 * trial}"
        job = scene.sbatch("alice", "-t1", own, f"--comment={FLEX}", wrap="sleep 1")
        jobs.append(job)
        before = scene.job(job).begin
        time.sleep(6)  # slurmctld saves every 5 s: the submission is saved, the hold will not be
        scene.ctl("resume")
        scene.wait_for(lambda job=job, before=before: scene.job(job).begin > before, 30)
        scene.crash(slurmctld)
        said = scene.cycles(2)
        record = scene.job(job)
        told = f"trial {trial}, own begin {before}, cycles {said}\n{scene.told(*jobs)}"
        assert record.state != "PENDING" or record.begin > before, told
        history = scene.history(job)
        assert not scene.line(job)["opted_out"], told
        assert history, told
        assert all(entry["outcome"] != "open" for entry in history), told
        # Nodes that have not registered yet are no reason to give anything back.
        verbs = {entry["verb"] for one in jobs for entry in scene.history(one)}
        assert verbs == {"hold-until"}, told
        print(f"trial {trial}: {record.state}, {[entry['outcome'] for entry in history]}")


def test_a_restarted_daemon_takes_up_its_holds(scene: Any, service: Any) -> None:
    scene.act(day(20, 12))
    job = scene.sbatch("alice", "-t1", f"--comment={FLEX}", wrap="sleep 1")
    begin = scene.held(job)
    service("flexlond").kill("KILL", revive=True)
    scene.wait_for(scene.answers, 30, what="systemd has started it again")
    scene.wait_for(lambda: scene.line(job).get("held_by_us"), 40)
    scene.cycles(1)
    assert scene.job(job).begin == begin
    assert scene.ctl("drain")["left"] == 0
    scene.wait_for(lambda: scene.job(job).state != "PENDING", 30)
