"""Whatever fails, the effect is fewer holds, never more (invariant I9), on the running system."""

from __future__ import annotations

import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.slurm

FLEX = "flex: max-delay=15:00"
CONFIG = Path("/etc/flexlon/flexlon.toml")
FEEDS = Path("/etc/flexlon/test-feeds")


def day(dear: int, cheap: int, total: int = 180) -> list[float]:
    return [200.0] * dear + [10.0] * cheap + [200.0] * (total - dear - cheap)


def test_i9_an_absent_feed_makes_no_new_holds_and_keeps_old_ones(scene: Any) -> None:
    scene.act(day(14, 10))
    first = scene.sbatch("alice", "-t1", f"--comment={FLEX}")
    begin = scene.held(first)
    (FEEDS / "price.csv").write_text("utc,value\nnonsense\n")
    scene.wait_for(lambda: "price is" in scene.ctl("status")["last_cycle"], 30)
    second = scene.sbatch("alice", "-t1", f"--comment={FLEX}", wrap="sleep 1")
    scene.wait_for(lambda: scene.job(second).state != "PENDING", 30)
    assert scene.job(first).begin == begin


def test_i9_a_full_store_sends_nothing(scene: Any, service: Any) -> None:
    state = Path("/var/lib/flexlon")
    state.mkdir(exist_ok=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(state)], check=True)
    try:
        scene.act(day(14, 10))
        filler = state / "filler"
        with filler.open("wb") as file:
            try:
                while True:
                    file.write(b"\0" * 4096)
                    file.flush()
            except OSError:
                pass
        jobs = [
            scene.sbatch("alice", "-t1", f"--comment={FLEX}", wrap="sleep 1") for _ in range(30)
        ]
        scene.wait_for(
            lambda: all(scene.job(job).state != "PENDING" for job in jobs), 60, what="all ran"
        )
        assert service("flexlond").active or service("flexlond").show("Result")
    finally:
        service("flexlond").stop()
        subprocess.run(["umount", str(state)], check=True)


def test_a_broken_configuration_keeps_the_last_good_one(scene: Any, service: Any) -> None:
    scene.act(day(14, 10))
    good = CONFIG.read_text()
    CONFIG.write_text(good.replace("slot_seconds", "slot_secnods"))
    service("flexlond").reload()
    scene.wait_for(lambda: "slot_seconds" in scene.ctl("status")["config_error"], 20)
    job = scene.sbatch("alice", "-t1", f"--comment={FLEX}")
    scene.held(job)
    CONFIG.write_text(good)
    service("flexlond").reload()
    scene.wait_for(lambda: not scene.ctl("status")["config_error"], 20)


def test_a_dead_helper_is_noticed_and_nothing_new_is_held(scene: Any, service: Any) -> None:
    scene.act(day(14, 10))
    held = scene.sbatch("alice", "-t1", f"--comment={FLEX}")
    begin = scene.held(held)
    service("flexlon-helper").kill("KILL")
    scene.wait_for(lambda: not scene.ctl("status")["helper_answering"], 20)
    scene.wait_for(lambda: not scene.heart_beats(), 20)
    job = scene.sbatch("alice", "-t1", f"--comment={FLEX}", wrap="sleep 1")
    assert scene.job(job).begin <= scene.job(job).time("SubmitTime")
    scene.wait_for(lambda: scene.job(job).state != "PENDING", 30)
    assert scene.job(held).begin == begin


def test_joining_a_live_queue_plans_jobs_submitted_before_us(scene: Any) -> None:
    blocker = scene.sbatch("carol", "-t5", "-N3", "--exclusive", wrap="sleep 300")
    scene.wait_for(lambda: scene.job(blocker).state == "RUNNING", 30)
    job = scene.sbatch("alice", "-t1", f"--comment={FLEX}")
    plain = scene.sbatch("bob", "-t1")
    scene.act(day(36, 24))
    scene.held(job)
    assert scene.job(plain).begin <= time.time()


def test_observe_mode_touches_nothing(scene: Any) -> None:
    scene.feeds(day(14, 10), slot_seconds=10)
    scene.config(daemon={"mode": "observe"}, grid={"slot_seconds": 10, "horizon_slots": 150})
    scene.wait_for(lambda: scene.ctl("status")["last_cycle_at"], 40)
    job = scene.sbatch("alice", "-t1", f"--comment={FLEX}", wrap="sleep 1")
    record = scene.job(job)
    assert record.begin <= record.time("SubmitTime")
    scene.wait_for(lambda: scene.job(job).state != "PENDING", 30)
    assert "observe mode" in scene.ctl("status")["last_cycle"]


def test_pause_and_resume(scene: Any) -> None:
    scene.act(day(14, 10))
    scene.ctl("pause")
    job = scene.sbatch("alice", "-t2", "--begin=now+60", f"--comment={FLEX}")
    own = scene.job(job).begin
    scene.cycles(2)
    assert scene.job(job).begin == own
    scene.ctl("resume")
    scene.wait_for(lambda: scene.job(job).begin > own, 30)
