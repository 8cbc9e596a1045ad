"""Arrays that are slowed for a window, on a real slurmctld: by consent, in time, put back whoever is dead."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.slurm

SLOT = 20
TABLES: dict[str, Any] = {
    "power": {"pue": 1.0},
    "grid": {"slot_seconds": SLOT, "horizon_slots": 300},
}
FLAT = [100.0] * 400  # one price: nobody waits but for a window
FLEX = "flex: max-delay=3:00:00 power=3kW"
PACE = Path("/var/lib/flexlon-helper/pace")
TASK = 20  # s that one task runs


def array(scene: Any, tasks: str, comment: str = FLEX, user: str = "alice") -> int:
    """An array of many short tasks, of which some run by now."""
    words = [f"--array={tasks}", "--ntasks=1", "-c8"]
    words += [f"--comment={comment}"] if comment else []
    job: int = scene.sbatch(user, "-t1", *words, wrap=f"sleep {TASK}")
    scene.wait_for(lambda: running(scene, job) > 0, 40, what=f"tasks of {job} run")
    return job


def running(scene: Any, job: int) -> int:
    """How many of its tasks run."""
    return len(scene.listed("squeue", "-h", "-r", "-t", "R", "-o", "%i", "-j", str(job)))


def throttle(scene: Any, job: int) -> int:
    """Its throttle; 0 for none."""
    return int(scene.job(job).fields.get("ArrayTaskThrottle", "0"))


def order(scene: Any, cap: str, slots: int, notice: int = 1) -> tuple[int, int]:
    """A window with `notice` whole slots' notice: (begin, end)."""
    begin = (int(time.time()) // SLOT + 1 + notice) * SLOT
    end = begin + slots * SLOT
    moments = [f"{datetime.fromtimestamp(at, UTC):%Y-%m-%dT%H:%M:%S}" for at in (begin, end)]
    added = scene.ctl("window", "add", "--from", moments[0], "--to", moments[1], "--cap", cap)
    assert added["added"], added
    return begin, end


def slowed(scene: Any, job: int) -> int:
    """Wait until it is slowed; to how many tasks at once."""
    found: int = scene.wait_for(
        lambda: throttle(scene, job), 6 * SLOT, what=f"array {job} is slowed"
    )
    return found


def test_an_array_is_slowed_for_a_window_and_gets_its_pace_back(scene: Any) -> None:
    scene.act(FLAT, slot=SLOT, **TABLES)
    plain = array(scene, "1-400%2", comment="", user="bob")
    job = array(scene, "1-200")
    # It may not wait for the whole window, and at its own pace it would draw all through it.
    _, end = order(scene, "12kW", 6)
    width = slowed(scene, job)
    scene.wait_for(
        lambda: f"it runs {width} tasks at once" in scene.ctl("explain", str(job))["summary"],
        60,
        what="it is explained",
    )
    assert "slow" in [line["verb"] for line in scene.history(job)]
    scene.wait_for(lambda: running(scene, job) <= width, 60, what="no more than the throttle run")
    while time.time() < end - 3:
        assert throttle(scene, job) == width, scene.told(job)
        assert running(scene, job) <= width, scene.told(job)
        time.sleep(3)
    assert throttle(scene, plain) == 2  # no consent: never touched
    scene.wait_for(lambda: not throttle(scene, job), 60, what="its own throttle is back: none")
    scene.wait_for(lambda: running(scene, job) > width, 60, what="it runs at its own pace again")
    assert [line["verb"] for line in scene.history(job)][-1] == "unslow"
    assert scene.job(job)["ArrayTaskId"].count(",") == 0  # one record still
    assert not [
        line for line in scene.ctl("jobs")["jobs"] if line["job_id"] == plain and line["touched"]
    ]


def test_the_timer_puts_it_back_with_flexlond_and_the_helper_dead(scene: Any, service: Any) -> None:
    scene.act(FLAT, slot=SLOT, **TABLES)
    service("flexlon-resume.timer").start()
    job = array(scene, "1-200%12")
    _, end = order(scene, "12kW", 4)
    scene.wait_for(lambda: throttle(scene, job) < 12, 6 * SLOT, what=f"array {job} is slowed")
    assert [path.name for path in PACE.iterdir()] == [f"{job}.json"]
    service("flexlond").kill("KILL")
    service("flexlon-helper").kill("KILL")
    assert throttle(scene, job) < 12
    scene.wait_for(lambda: throttle(scene, job) == 12, end - time.time() + 120, what="put back")
    assert time.time() >= end
    print(f"put back {time.time() - end:.0f} s after its time by the timer alone")
    scene.wait_for(lambda: not list(PACE.iterdir()), 180, what="nothing is left to put back")
    assert throttle(scene, job) == 12


def test_a_throttle_that_its_owner_changed_is_left_alone(
    scene: Any, service: Any, as_user: Any
) -> None:
    scene.act(FLAT, slot=SLOT, **TABLES)
    service("flexlon-resume.timer").start()
    job = array(scene, "1-200%12")
    _, end = order(scene, "12kW", 4)
    scene.wait_for(lambda: throttle(scene, job) < 12, 6 * SLOT, what=f"array {job} is slowed")
    as_user("alice", ["scontrol", "update", f"JobId={job}", "ArrayTaskThrottle=11"], check=False)
    assert throttle(scene, job) == 11
    scene.cycles(2)
    summary = scene.ctl("explain", str(job))["summary"]
    assert "Somebody changed its throttle" in summary, summary
    while time.time() < end + 65:  # past its time, the timer's grace and a run of it
        assert throttle(scene, job) == 11, scene.told(job)
        time.sleep(3)


@pytest.mark.contract
def test_the_throttle_on_this_version(scene: Any, service: Any, as_user: Any) -> None:
    """What the lever rests on: set and taken back as an Operator, whole, seen by the reader."""
    scene.act(FLAT, slot=SLOT, **TABLES)
    service("flexlond").stop()
    job = array(scene, "1-200")
    before = running(scene, job)
    for width in (2, 0):
        argv = ["scontrol", "update", f"JobId={job}", f"ArrayTaskThrottle={width}"]
        as_user("flexop", argv, check=False)
        assert throttle(scene, job) == width
        if width:
            assert running(scene, job) > width or before <= width  # what runs, runs on
            scene.wait_for(lambda: running(scene, job) <= 2, 90, what="two at once")
    scene.wait_for(lambda: running(scene, job) > 2, 60, what="its own pace again")
    service("flexlond").start()
    scene.wait_for(lambda: scene.line(job).get("flexible"), 60, what="flexlond sees the array")
