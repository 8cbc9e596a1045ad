"""Running jobs stopped for a window on a real slurmctld: requeued, suspended, back by themselves, on record."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.slurm

SLOT = 20
FLEX = "flex: max-delay=40:00 power=10kW"
TABLES: dict[str, Any] = {"power": {"pue": 1.0}, "windows": {"stop_running": True}}
FLAT = [100.0] * 180  # one price: nobody waits but for a window
RESUME = Path("/var/lib/flexlon-helper/resume")


def running(scene: Any, *comments: str) -> list[int]:
    """Jobs that run, of ten minutes at most; "" is a plain one."""
    jobs = []
    for text in comments:
        words = [f"--comment={text}"] if text else []
        jobs.append(scene.sbatch("alice" if text else "bob", "-t10", *words, wrap="sleep 550"))
    for job in jobs:
        scene.wait_for(lambda job=job: scene.job(job).state == "RUNNING", 40, what=f"{job} runs")
    scene.cycles(1)
    return jobs


def order(scene: Any, cap: str, slots: int) -> tuple[int, int]:
    """A window with two whole slots' notice: (begin, end)."""
    begin = (int(time.time()) // SLOT + 3) * SLOT
    end = begin + slots * SLOT
    moments = [f"{datetime.fromtimestamp(at, UTC):%Y-%m-%dT%H:%M:%S}" for at in (begin, end)]
    added = scene.ctl("window", "add", "--from", moments[0], "--to", moments[1], "--cap", cap)
    assert added["added"], added
    return begin, end


def test_jobs_that_agreed_are_requeued_for_it_and_run_again_after_it(scene: Any) -> None:
    scene.act(FLAT, slot=SLOT, **TABLES)
    requeue = f"{FLEX} preempt=requeue"
    *flexible, moved_only, plain = running(scene, *[requeue] * 3, FLEX, "")
    submitted = {job: scene.job(job).time("SubmitTime") for job in flexible}
    started = {job: scene.job(job).start for job in (moved_only, plain)}
    begin, end = order(scene, "25kW", 8)  # idle nodes and two jobs of 10 kW
    scene.wait_for(lambda: time.time() >= begin + 3, 4 * SLOT, what="the window has begun")
    back = [job for job in flexible if scene.job(job).state != "RUNNING"]
    assert len(back) == 2, scene.told(*flexible)
    for job in back:
        record = scene.job(job)
        assert (record.state, record["Restarts"]) == ("PENDING", "1"), scene.told(job)
        assert record.begin >= end
    while time.time() < end - 2:
        assert [scene.job(job).state for job in back] == ["PENDING"] * 2, scene.told(*back)
        time.sleep(2)
    for job, at in started.items():  # touched by nobody
        record = scene.job(job)
        assert (record.state, record["Restarts"], record.start) == ("RUNNING", "0", at)
    view = scene.ctl("window", "show", "1")
    for slot in view["slots"]:
        print(slot["start"], slot["cap_kw"], slot["planned_kw"], slot["observed_kw"])
    assert all(slot["observed_kw"] <= slot["cap_kw"] for slot in view["slots"][:-1])
    told = {stop["job_id"]: (stop["verb"], stop["state"]) for stop in view["stops"]}
    assert told == dict.fromkeys(back, ("requeue-until", "applied"))
    for job in back:
        scene.wait_for(
            lambda job=job: scene.job(job).state == "RUNNING", 90, what=f"job {job} runs again"
        )
        print(f"job {job}: runs again {scene.job(job).start - end} s after the window")
        assert scene.job(job)["Restarts"] == "1"
        assert scene.job(job).start <= submitted[job] + 40 * 60


def test_suspended_jobs_resume_by_themselves_with_flexlond_and_the_helper_dead(
    scene: Any, service: Any
) -> None:
    scene.act(FLAT, slot=SLOT, **TABLES)
    service("flexlon-resume.timer").start()
    job, plain = running(scene, f"{FLEX} preempt=suspend", "")
    _, end = order(scene, "4kW", 3)
    scene.wait_for(
        lambda: scene.job(job).state == "SUSPENDED", 4 * SLOT, what="it is suspended for it"
    )
    assert [path.name for path in RESUME.iterdir()] == [f"{job}.json"]
    assert scene.job(plain).state == "RUNNING"
    service("flexlond").kill("KILL")
    service("flexlon-helper").kill("KILL")
    assert time.time() < end
    while time.time() < end - 1:
        assert scene.job(job).state == "SUSPENDED"
        time.sleep(1)
    scene.wait_for(lambda: scene.job(job).state == "RUNNING", 60, what="its timer resumes it")
    print(f"resumed {time.time() - end:.0f} s after its time by the timer alone")
    scene.wait_for(lambda: not list(RESUME.iterdir()), 60, what="it is disarmed")


def test_a_cancelled_window_resumes_what_it_suspended(scene: Any, service: Any) -> None:
    scene.act(FLAT, slot=SLOT, **TABLES)
    (job,) = running(scene, f"{FLEX} preempt=suspend")
    _, end = order(scene, "4kW", 6)
    scene.wait_for(
        lambda: scene.job(job).state == "SUSPENDED", 4 * SLOT, what="it is suspended for it"
    )
    scene.ctl("window", "cancel", "1")
    scene.wait_for(lambda: scene.job(job).state == "RUNNING", 15, what="it is resumed at once")
    assert time.time() < end
