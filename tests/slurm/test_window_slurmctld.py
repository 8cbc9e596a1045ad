"""slurmctld's faults within a window: restarted, and killed in a hold, in a requeue and in a suspend."""

from __future__ import annotations

import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

from tests.slurm.watching import (
    FLEX,
    REQUEUE,
    SLOT,
    act,
    facts,
    order,
    over,
    running,
    runs_again,
    show,
    stops,
    tick,
    watch,
)

pytestmark = pytest.mark.slurm


def test_slurmctld_restarted_and_killed_in_a_window(scene: Any, service: Any) -> None:
    act(scene)
    slurmctld = service("slurmctld")
    job, plain = running(scene, REQUEUE), running(scene, "")
    own = scene.sbatch("bob", "-t1", "--begin=now+1hour")
    found = watch(scene, job, plain, own)
    begin, end = order(scene, 12)
    flexible = scene.sbatch("alice", "-t1", f"--comment={FLEX}", wrap="sleep 2")
    assert scene.held(flexible, 40) >= end
    found.until(lambda _: time.time() >= begin + 3, 4 * SLOT, "the window has begun")
    assert found.look().state == "PENDING"
    time.sleep(6)  # slurmctld saves every 5 s: an orderly stop saves as well, this is for the kill
    slurmctld.restart()
    scene.wait_for(scene.answers, 30, what="flexlond answers")
    scene.cycles(3)
    for one in (job, flexible):
        record = scene.job(one)
        assert record.state == "PENDING", scene.told(one)
        assert end <= record.begin <= found.latest, scene.told(one)
    found.look()
    # A hold that the kill makes slurmctld forget: the submission is saved, the begin time is not.
    scene.ctl("pause")
    fresh = scene.sbatch("alice", "-t1", "--begin=now+40", f"--comment={FLEX}", wrap="sleep 2")
    before = scene.job(fresh).begin
    assert before < end
    time.sleep(6)
    scene.ctl("resume")
    scene.wait_for(lambda: scene.job(fresh).begin > before, 20, what="it is held")
    scene.crash(slurmctld)
    print(f"after the kill its begin is {scene.job(fresh).begin - before} s from its owner's")
    scene.cycles(3)
    for one in (job, flexible, fresh):
        record = scene.job(one)
        assert record.state == "PENDING", scene.told(one)
        assert end <= record.begin <= found.latest, scene.told(one)
        assert not scene.line(one)["opted_out"], scene.told(one)
    planned = {one: scene.job(one).begin for one in (job, flexible, fresh)}
    found.until(lambda _: time.time() >= end, end - time.time() + 30, "the window is over")
    assert stops(scene) == [(job, "applied", stops(scene)[0][2])]
    slots = show(scene)[:-1]
    assert not any(over(slots))
    assert all(slot["observed_kw"] is not None for slot in slots), "each slot is accounted for"
    for one in (flexible, fresh):
        scene.wait_for(lambda one=one: scene.job(one).state != "PENDING", 90, what=f"{one} starts")
        assert scene.job(one).start - planned[one] <= 15, scene.told(one)
    runs_again(found, planned[job])


def test_slurmctld_killed_in_the_second_of_a_requeue(scene: Any, service: Any) -> None:
    act(scene)
    job, plain = running(scene, REQUEUE), running(scene, "")
    found = watch(scene, job, plain)
    _, end = order(scene, 10)
    scene.wait_for(lambda: scene.job(job)["Restarts"] == "1", 5 * SLOT, what="requeued", every=0.1)
    scene.crash(service("slurmctld"))
    # It has saved the requeue or not: then a node that does not run the job any more tells it.
    record = found.until(lambda record: record.state == "PENDING", 60, "it is back in the queue")
    print(
        f"after the kill: Restarts {record['Restarts']}, begin {record.begin - end} s from the end"
    )
    scene.cycles(3)
    record = found.look()
    assert (record.state, record["Restarts"]) == ("PENDING", "1"), scene.told(job)
    assert end <= record.begin <= found.latest, scene.told(job)
    assert not scene.line(job)["opted_out"], scene.told(job)
    found.until(lambda _: time.time() >= end, end - time.time() + 30, "the window is over")
    assert [one[:2] for one in stops(scene)] == [(job, "applied")]
    assert not any(over(show(scene)[:-1]))
    runs_again(found, record.begin)


def test_slurmctld_killed_in_the_second_of_a_suspend(scene: Any, service: Any) -> None:
    act(scene)
    service("flexlon-resume.timer").start()
    job = running(scene, f"{FLEX} preempt=suspend")
    plain = running(scene, "")
    found = watch(scene, job, plain)
    _, end = order(scene, 10)
    other = scene.sbatch("bob", "-t1", "--begin=now+1hour", wrap="true")

    def suspended() -> bool:
        # Something to save all the time: what comes next is saved up to 5 s later only.
        words = ("update", f"JobId={other}", f"Nice={int(time.time()) % 1000}")
        subprocess.run(("scontrol", *words), check=True, timeout=30)
        return bool(scene.job(job).state == "SUSPENDED")

    scene.wait_for(suspended, 5 * SLOT, what="it is suspended")
    scene.crash(service("slurmctld"))
    at, state = time.time(), scene.job(job).state
    print(f"after the kill it is {state}, its script last moved {at - tick(job):.0f} s ago")
    if state == "SUSPENDED":  # it was saved in that moment: then all goes on as planned
        scene.wait_for(lambda: scene.job(job).state == "RUNNING", end - at + 60, what="resumed")
        assert time.time() >= end - 1
    else:
        scene.cycles(3)
        told = scene.ctl("status")["warnings"]
        assert any("window 1 falls short" in line for line in told), told
        # For Slurm it runs, and stands still: the timer of its own wakes it, at the latest 90 s after.
        scene.wait_for(lambda: tick(job) > at + 3, 110, what="its script moves again", every=1.0)
        print(f"its script moves again {time.time() - at:.0f} s after the kill")
        scene.wait_for(lambda: time.time() >= end + 2, end - time.time() + 30, what="it is over")
        assert any(over(show(scene))), "what ran above the cap is on record"
    assert time.time() - tick(job) < 5, "its script moves"
    record = scene.job(job)
    assert (record.state, record["Restarts"]) == ("RUNNING", "0"), scene.told(job)
    assert facts(scene, plain) == found.untouched[plain]
    resume = Path("/var/lib/flexlon-helper/resume")
    scene.wait_for(lambda: not list(resume.iterdir()), 60, what="it is disarmed")
