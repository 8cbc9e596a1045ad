"""Consent (bar 4): what is not ours is never changed, shown by every job's record before and after."""

from __future__ import annotations

import subprocess
from typing import Any

import pytest

pytestmark = [pytest.mark.slurm, pytest.mark.contract]

FLEX = "flex: max-delay=15:00"
# What Slurm itself changes on a waiting job as time goes by.
VOLATILE = (
    "Reason",
    "StartTime",
    "EndTime",
    "LastSchedEval",
    "Scheduler",
    "SchedNodeList",  # where backfill means to put it, once it has looked at it
    "AccrueTime",
    "Priority",
)


def day(dear: int, cheap: int, total: int = 180) -> list[float]:
    return [200.0] * dear + [10.0] * cheap + [200.0] * (total - dear - cheap)


def still(record: Any) -> dict[str, str]:
    return {name: value for name, value in record.fields.items() if name not in VOLATILE}


def test_i4_what_is_not_ours_is_never_changed(scene: Any, as_user: Any) -> None:
    scene.act(day(36, 24))
    blocker = scene.sbatch("carol", "-t5", "-N3", "--exclusive", wrap="sleep 300")
    scene.wait_for(lambda: scene.job(blocker).state == "RUNNING", 30)
    jobs = {
        "plain": scene.sbatch("alice", "-t1"),
        "plain with a comment": scene.sbatch("bob", "-t1", "--comment=reflex: deadline=now+1hour"),
        "opted out by directive": scene.sbatch("alice", "-t1", "--comment=flex: off"),
        "own begin": scene.sbatch("alice", "-t1", "--begin=now+300"),
        "held by its user": scene.sbatch("alice", "-t1", "--hold", f"--comment={FLEX}"),
        "held by an operator": scene.sbatch("bob", "-t1", "--begin=now+900", f"--comment={FLEX}"),
        "opted out by its owner": scene.sbatch("carol", "-t1", f"--comment={FLEX}"),
    }
    as_user("flexop", ["scontrol", "hold", str(jobs["held by an operator"])])
    out = jobs["opted out by its owner"]
    scene.held(out)
    as_user("carol", ["scontrol", "update", f"JobId={out}", "StartTime=now"])
    scene.cycles(2)
    before = {name: still(scene.job(job)) for name, job in jobs.items()}
    annotated = scene.sbatch("alice", "-t1", f"--comment={FLEX}")
    scene.held(annotated)
    scene.cycles(4)
    after = {name: still(scene.job(job)) for name, job in jobs.items()}
    assert after == before


def test_another_users_job_is_not_released_by_flexlonctl(scene: Any) -> None:
    scene.act(day(20, 10))
    job = scene.sbatch("alice", "-t1", f"--comment={FLEX}")
    begin = scene.held(job)
    denied = subprocess.run(
        ["runuser", "-u", "bob", "--", "/opt/flexlon/bin/flexlonctl", "release", str(job)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert denied.returncode != 0
    assert scene.job(job).begin == begin
    assert scene.ctl("jobs", user="bob")["jobs"] == []
    scene.ctl("release", str(job), user="alice")
    scene.wait_for(lambda: scene.job(job).state == "RUNNING", 30)


def test_a_site_default_opts_jobs_in_without_a_comment(scene: Any) -> None:
    scene.act(
        day(12, 10),
        directive={"opt_in": [{"partition": "flex"}]},
    )
    scene.render_plugin()
    job = scene.sbatch("alice", "-t1", "-p", "flex")
    scene.held(job)
    assert scene.line(job)["consent"] == "site default"
    out = scene.sbatch("alice", "-t1", "-p", "flex", "--comment=flex: off", wrap="sleep 5")
    scene.wait_for(lambda: scene.job(out).state in {"RUNNING", "COMPLETED"}, 30)
