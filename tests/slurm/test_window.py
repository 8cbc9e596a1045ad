"""A window on a real slurmctld: kept by deferral, plain jobs untouched, nobody late, and it ends by itself."""

from __future__ import annotations

import os
import subprocess
import time
from datetime import UTC, datetime
from typing import Any

import pytest

pytestmark = pytest.mark.slurm

SLOT = 20
SLOTS = 4
FLEX = "flex: max-delay=15:00 power=10kW"
SITE = {"pue": 1.0}  # so that power=10kW is 10 kW at the site's meter
FLAT = [100.0] * 180  # one price: nobody waits but for a window


def order(scene: Any, cap: str) -> tuple[int, int]:
    """A window of four slots with two whole slots' notice, (begin, end); wait until a slot before it."""
    begin = (int(time.time()) // SLOT + 3) * SLOT
    end = begin + SLOTS * SLOT
    moments = [f"{datetime.fromtimestamp(at, UTC):%Y-%m-%dT%H:%M:%S}" for at in (begin, end)]
    words = ("window", "add", "--from", moments[0], "--to", moments[1], "--cap", cap)
    tried = scene.ctl(*words, "--dry-run")
    assert (tried["added"], tried["window"]["window_id"]) == (False, 0)
    added = scene.ctl(*words)
    assert added["added"]
    assert added["window"]["window_id"] == 1
    assert [slot["start"] for slot in added["window"]["slots"]] == [
        f"{datetime.fromtimestamp(begin + n * SLOT, UTC):%Y-%m-%dT%H:%M:%SZ}" for n in range(SLOTS)
    ]
    scene.wait_for(lambda: time.time() >= begin - SLOT + 3, 3 * SLOT, what="a slot before it")
    return begin, end


def running() -> set[int]:
    """The jobs that run now."""
    argv = ["squeue", "-h", "-t", "R,CF", "-o", "%A"]
    out = subprocess.run(argv, capture_output=True, text=True, check=True).stdout
    return {int(word) for word in out.split()}


def allowed_delay() -> int:
    """Seconds from begin time to start: 15 with fast scheduler intervals, 35 with Slurm's defaults."""
    argv = ["scontrol", "show", "config"]
    config = subprocess.run(argv, capture_output=True, text=True, check=True).stdout
    return 15 if "sched_interval=5" in config else 35


def test_a_window_caps_flexible_jobs_leaves_plain_ones_alone_and_makes_nobody_late(
    scene: Any,
) -> None:
    scene.act(FLAT, slot=SLOT, power=SITE)
    begin, end = order(scene, "25kW")  # idle nodes and two jobs of 10 kW
    flexible = [
        scene.sbatch("alice", "-t1", f"--comment={FLEX}", wrap="sleep 30") for _ in range(6)
    ]
    plain = [scene.sbatch("bob", "-t1", wrap="sleep 30") for _ in range(2)]
    for job in plain:
        scene.wait_for(lambda job=job: scene.job(job).state != "PENDING", 40, what="it starts")
        assert scene.job(job).start - scene.job(job).time("SubmitTime") <= allowed_delay()
    # What was agreed to.
    latest = {job: scene.job(job).time("SubmitTime") + 15 * 60 for job in flexible}
    most = 0
    while time.time() < end:
        if time.time() >= begin:
            most = max(most, len(running() & set(flexible)))
            assert most <= 2
        time.sleep(1)
    view = scene.ctl("window", "show", "1")
    assert len(view["slots"]) == SLOTS
    for slot in view["slots"]:
        print(slot["start"], slot["cap_kw"], slot["planned_kw"], slot["observed_kw"])
    assert any(slot["observed_kw"] is not None for slot in view["slots"])
    assert all((slot["observed_kw"] or 0.0) <= slot["cap_kw"] for slot in view["slots"])
    touched = [job for job in flexible if scene.line(job).get("touched")]
    assert touched, "no job was held for the window"
    for job in flexible:
        scene.wait_for(
            lambda job=job: scene.job(job).state in {"RUNNING", "COMPLETING", "COMPLETED"},
            180,
            what=f"job {job} starts",
        )
        assert scene.job(job).start <= latest[job]
    for job in plain:
        assert scene.line(job).get("touched") in {None, False}


def test_flexlond_killed_in_the_window_held_jobs_start_by_themselves(
    scene: Any, service: Any
) -> None:
    scene.act(FLAT, slot=SLOT, power=SITE)
    begin, end = order(scene, "5kW")  # no job of 10 kW fits under it
    jobs = [scene.sbatch("alice", "-t1", f"--comment={FLEX}", wrap="sleep 3") for _ in range(4)]
    for job in jobs:
        scene.held(job, 40)
    scene.wait_for(lambda: time.time() >= begin + 5, 2 * SLOT, what="the window has begun")
    scene.cycles(1)
    planned = {job: scene.job(job).begin for job in jobs}
    assert min(planned.values()) >= end
    service("flexlond").kill("KILL")
    for job, at in planned.items():
        scene.wait_for(
            lambda job=job: scene.job(job).state in {"RUNNING", "COMPLETING", "COMPLETED"},
            max(1, at - time.time()) + allowed_delay() + 5,
            what=f"job {job} starts by itself",
        )
        assert 0 <= scene.job(job).start - at <= allowed_delay()


def test_a_cancelled_window_gives_its_jobs_back(scene: Any) -> None:
    scene.act(FLAT, slot=SLOT, power=SITE)
    _, end = order(scene, "5kW")
    job = scene.sbatch("alice", "-t1", f"--comment={FLEX}", wrap="sleep 3")
    assert scene.held(job, 40) >= end
    assert scene.ctl("window", "cancel", "1")["state"] == "cancelled"
    scene.wait_for(lambda: scene.job(job).state != "PENDING", 40, what="it starts before the end")
    assert scene.job(job).start < end


def test_what_waits_of_an_array_is_deferred_whole_and_its_pace_is_its_owners(scene: Any) -> None:
    scene.act(FLAT, slot=SLOT, power=SITE)
    words = ("--array=1-20%4", f"--comment={FLEX}")
    array = scene.sbatch("alice", "-t1", *words, wrap="sleep 25")
    scene.wait_for(lambda: len(tasks(array, "R")) == 4, 40, what="four of its tasks run")
    first = min(start for start, _ in tasks(array, "R"))
    begin, end = order(scene, "5kW")  # no task of 10 kW fits under it
    scene.wait_for(
        lambda: not tasks(array, "R"), 40, what="those that ran have ended by themselves"
    )
    assert time.time() <= begin + 25
    waiting = len(tasks(array, "PD"))
    assert waiting >= 8
    while time.time() < end:
        assert tasks(array, "R") == []
        found = tasks(array, "PD")
        assert len(found) == waiting, "none of them has left the queue"
        assert len({eligible for _, eligible in found}) == 1, "none is split off"
        time.sleep(1)
    assert "%4" in scene.line(array)["array"], scene.line(array)
    scene.wait_for(lambda: tasks(array, "R"), 60, what="it goes on")
    assert max(eligible for _, eligible in tasks(array, "R")) >= end
    latest, last = first + 15 * 60, first  # what was agreed to, for its last task too
    while tasks(array, "R,PD"):
        assert time.time() < latest + 60
        now = tasks(array, "R")
        assert len(now) <= 4
        last = max([last, *(start for start, _ in now)])
        time.sleep(1)
    print(f"its last task started {last - first} s after its first")
    assert last <= latest


def tasks(array: int, states: str) -> list[tuple[int, int]]:
    """Start and begin time of each task of an array in these states (a start is foreseen while it waits)."""
    columns = "StartTime:~,EligibleTime:~"
    argv = ["squeue", "-h", "-r", "-j", str(array), "-t", states, "-O", columns]
    environment = {**os.environ, "SLURM_TIME_FORMAT": "%s", "TZ": "UTC"}
    out = subprocess.run(argv, capture_output=True, text=True, env=environment, check=False).stdout
    rows = [line.rstrip("~").split("~") for line in out.split()]
    return [tuple(int(word) if word.isdigit() else 0 for word in row) for row in rows]  # type: ignore[misc]
