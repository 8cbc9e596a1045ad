"""The thirteen rules of the loop (house plan), each on a real slurmctld, each test named after its rule.

Rule 9 (requeue and suspend) is the helper's: test_helper.py; rule 4's plugin side: test_plugin.py.
"""

from __future__ import annotations

import os
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.slurm

FLEX = "flex: max-delay=15:00"
SCONTROL = "scontrol"


def day(dear: int, cheap: int, total: int = 180) -> list[float]:
    return [200.0] * dear + [10.0] * cheap + [200.0] * (total - dear - cheap)


def test_rule_01_an_effect_counts_once_observed_and_is_repaired(scene: Any, service: Any) -> None:
    scene.act(day(12, 12))
    job = scene.sbatch("alice", "-t1", f"--comment={FLEX}")
    begin = scene.held(job)
    scene.crash(service("slurmctld"))
    scene.cycles(2)
    record, told = scene.job(job), scene.told(job)
    assert record.state == "RUNNING" or record.begin == begin, told
    assert all(entry["verb"] == "hold-until" for entry in scene.history(job)), told
    assert record.state == "RUNNING" or not scene.line(job)["opted_out"], told


def test_rule_02_an_owner_who_starts_it_now_is_opted_out_for_good(
    scene: Any, service: Any, as_user: Any
) -> None:
    scene.act(day(12, 12))
    # As many CPUs as there are, twice: the second waits after the owner's StartTime=now.
    first = scene.sbatch("alice", "-t1", "-N3", "--exclusive", wrap="sleep 50")
    scene.wait_for(lambda: scene.job(first).state == "RUNNING", 30)
    job = scene.sbatch("alice", "-t1", "-N3", "--exclusive", f"--comment={FLEX}")
    scene.held(job)
    as_user("alice", [SCONTROL, "update", f"JobId={job}", "StartTime=now"])
    scene.wait_for(lambda: scene.line(job).get("opted_out"), 20)
    service("flexlond").restart()
    scene.wait_for(lambda: scene.line(job).get("opted_out"), 30)
    scene.cycles(2)
    assert scene.job(job).begin <= time.time()


def test_rule_02_an_owner_who_moves_it_later_sets_a_lower_bound(scene: Any, as_user: Any) -> None:
    scene.act(day(8, 12))
    job = scene.sbatch("alice", "-t1", f"--comment={FLEX}")
    begin = scene.held(job)
    later = begin + 200
    stamp = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(later))
    as_user("alice", [SCONTROL, "update", f"JobId={job}", f"StartTime={stamp}"])
    scene.cycles(3)
    assert scene.job(job).begin >= later
    assert not scene.line(job)["opted_out"]


def test_rule_02_taking_the_directive_away_releases_the_job(scene: Any, as_user: Any) -> None:
    scene.act(day(12, 12))
    job = scene.sbatch("alice", "-t1", f"--comment={FLEX}")
    begin = scene.held(job)
    as_user("alice", [SCONTROL, "update", f"JobId={job}", "Comment=no more"])
    scene.wait_for(lambda: scene.job(job).state == "RUNNING", 30)
    assert scene.job(job).start < begin


def test_rule_03_the_users_own_begin_is_never_shortened(scene: Any) -> None:
    scene.act(day(0, 6))  # cheap now, dear when the user wants it
    job = scene.sbatch("alice", "-t1", "--begin=now+90", f"--comment={FLEX}")
    own = scene.job(job).begin
    scene.cycles(3)
    assert scene.job(job).begin >= own
    scene.ctl("drain")
    assert scene.job(job).begin == own


def test_rule_03_drain_gives_back_the_users_own_begin(scene: Any) -> None:
    scene.act(day(14, 12))  # cheap after the user's begin
    job = scene.sbatch("alice", "-t1", "--begin=now+60", f"--comment={FLEX}")
    own = scene.job(job).begin
    scene.wait_for(lambda: scene.job(job).begin > own, 30)
    drained = scene.ctl("drain")
    assert drained["left"] == 0
    assert scene.job(job).begin == own


def test_rule_03_a_job_with_a_begin_of_its_own_is_given_back_once(scene: Any) -> None:
    scene.act(day(16, 12))  # cheap after the user's begin
    job = scene.sbatch("alice", "-t1", "--begin=now+120", f"--comment={FLEX}")
    own = scene.job(job).begin
    scene.wait_for(lambda: scene.job(job).begin > own, 30)
    scene.feeds(day(0, 12), slot_seconds=10)  # the cheap hours are over when the user wants it
    scene.ctl("reload")
    scene.wait_for(lambda: scene.job(job).begin == own, 40)
    scene.cycles(3)
    assert scene.job(job).begin == own
    assert [entry["verb"] for entry in scene.history(job)] == ["hold-until", "release"]


def test_rule_04_the_latest_start_uses_the_time_limit_and_slurms_own_deadline(scene: Any) -> None:
    scene.act(day(30, 12))  # the cheap hours are too late for this one
    job = scene.sbatch("alice", "-t2", "--deadline=now+4minutes", f"--comment={FLEX}")
    deadline = scene.job(job).time("Deadline")
    scene.cycles(2)
    assert scene.job(job).begin <= deadline - 120
    assert epoch(scene.line(job)["latest_start"]) <= deadline - 120


def test_rule_04_a_job_without_a_time_limit_is_never_deferred(scene: Any) -> None:
    scene.act(day(12, 12))
    job = scene.sbatch("alice", "-t", "UNLIMITED", f"--comment={FLEX}", wrap="sleep 20")
    scene.wait_for(lambda: scene.job(job).state == "RUNNING", 30)


def test_rule_05_relative_times_resolve_once_and_survive_a_requeue(
    scene: Any, as_user: Any
) -> None:
    scene.act(day(0, 6))
    job = scene.sbatch("alice", "-t1", "--comment=flex: deadline=now+20minutes", wrap="sleep 50")
    scene.wait_for(lambda: scene.line(job).get("deadline"), 20)
    scene.wait_for(lambda: scene.job(job).state == "RUNNING", 30)
    submitted = scene.job(job).time("SubmitTime")
    as_user("alice", [SCONTROL, "requeue", str(job)])
    scene.wait_for(lambda: scene.job(job)["Restarts"] == "1", 30)
    scene.wait_for(lambda: scene.job(job).state == "PENDING", 30)
    scene.cycles(1)
    explained = scene.ctl("explain", str(job))
    assert scene.job(job).time("SubmitTime") > submitted
    deadline = scene.line(job)["deadline"]
    assert epoch(deadline) == submitted + 1200
    assert explained["job"]["submit"] == scene.line(job)["submit"]


def epoch(text: str | int | None) -> int:
    if not isinstance(text, str):
        return int(text or 0)
    done = subprocess.run(
        ["date", "-u", "-d", text, "+%s"], capture_output=True, text=True, check=True
    )
    return int(done.stdout)


def test_rule_06_a_job_that_a_plain_job_waits_for_is_not_deferred(scene: Any) -> None:
    scene.act(day(12, 12))
    first = scene.sbatch("alice", "-t1", "--hold", f"--comment={FLEX}", wrap="sleep 5")
    second = scene.sbatch("bob", "-t1", f"--dependency=afterok:{first}", wrap="sleep 5")
    subprocess.run([SCONTROL, "release", str(first)], check=True)
    scene.wait_for(lambda: scene.job(first).state in {"RUNNING", "COMPLETED"}, 30)
    scene.wait_for(lambda: scene.job(second).state in {"RUNNING", "COMPLETED"}, 40)


def test_rule_06_a_job_in_a_reservation_keeps_to_it(scene: Any) -> None:
    scene.act(day(12, 12))
    argv = "create reservation ReservationName=res StartTime=now Duration=10 Users=alice Nodes=n3"
    subprocess.run([SCONTROL, *argv.split()], check=True, capture_output=True)
    job = scene.sbatch("alice", "-t1", "--reservation=res", f"--comment={FLEX}", wrap="sleep 10")
    scene.wait_for(lambda: scene.job(job).state == "RUNNING", 30)


def test_rule_07_an_array_stays_whole_and_a_split_one_is_left_alone(
    scene: Any, as_user: Any
) -> None:
    # Three at a time, by their limits 240 s: no start at once reaches as many cheap slots as a later one.
    scene.act(day(30, 12))
    array = scene.sbatch("alice", "-t1", "--array=0-9%3", f"--comment={FLEX}", wrap="sleep 5")
    begin = scene.held(array)
    record = scene.job(array)
    assert record["ArrayTaskThrottle"] == "3"
    listing = ["squeue", "-h", "-r", "-j", str(array), "-O", "EligibleTime:32"]
    env = os.environ | {"SLURM_TIME_FORMAT": "%s", "TZ": "UTC"}

    def begins() -> set[str]:
        out = subprocess.run(listing, env=env, capture_output=True, text=True, check=True).stdout
        return set(out.split())

    assert begins() == {str(begin)}
    as_user("alice", [SCONTROL, "hold", f"{array}_4"])
    scene.cycles(1)
    before = scene.job(array).begin
    scene.feeds([10.0] * 180, slot_seconds=10)  # everything is cheap now: no reason to wait
    scene.cycles(3)
    assert scene.job(array).begin == before
    assert scene.job(array)["ArrayTaskThrottle"] == "3"


def test_rule_08_begin_times_keep_the_ramp_cap_even_when_we_are_dead(
    scene: Any, service: Any
) -> None:
    scene.act(
        day(6, 80),
        planning={"margin_seconds": 5, "ramp_kw_per_5min": 30.0, "default_queue_wait": 0},
        power={"pue": 1.0},
    )
    jobs = [
        scene.sbatch("alice", "-t1", f"--comment={FLEX} power=10kW", wrap="sleep 1")
        for _ in range(6)
    ]
    begins = sorted(scene.held(job, 40) for job in jobs)
    scene.cycles(2)
    service("flexlond").kill("KILL")
    service("flexlon-helper").kill("KILL")
    begins = sorted(scene.job(job).begin for job in jobs)
    for first in begins:
        inside = [b for b in begins if first <= b < first + 300]
        assert 10.0 * len(inside) <= 30.0


def test_rule_10_lost_age_priority_is_said_and_counted(scene: Any) -> None:
    scene.act(day(12, 12), planning={"margin_seconds": 5, "default_queue_wait": 40})
    status = scene.ctl("status")
    flags = subprocess.run(
        [SCONTROL, "show", "config"], capture_output=True, text=True, check=True
    ).stdout
    accrues = "ACCRUE_ALWAYS" in flags
    said = any("ACCRUE_ALWAYS" in warning for warning in status["warnings"])
    assert said != accrues
    job = scene.sbatch("alice", "-t1", f"--comment={FLEX}")
    scene.held(job)
    submitted = scene.job(job).time("SubmitTime")
    latest = epoch(scene.line(job)["latest_start"])
    margin = submitted + 900 - latest
    assert margin >= 5 + 40 * (1 if accrues else 2)


def test_rule_11_the_controllers_zone_does_not_move_a_begin_time(scene: Any) -> None:
    localtime = Path("/etc/localtime")
    before = localtime.readlink() if localtime.is_symlink() else None
    try:
        localtime.unlink(missing_ok=True)
        localtime.symlink_to("/usr/share/zoneinfo/Asia/Kolkata")
        scene.act(day(12, 12))
        job = scene.sbatch("alice", "-t1", f"--comment={FLEX}")
        begin = scene.held(job)
        scene.wait_for(lambda: epoch(scene.line(job).get("planned_start")) == begin, 20)
        assert scene.began + 120 <= begin < scene.began + 240
    finally:
        localtime.unlink(missing_ok=True)
        if before is not None:
            localtime.symlink_to(before)


def test_rule_12_a_comment_can_forge_nothing(scene: Any) -> None:
    scene.act(day(12, 12))
    forged = "plain\nJobState=RUNNING Priority=9\x1f\x1e1\x1f2\n{}'\""
    plain = scene.sbatch("alice", "-t1", f"--comment={forged}", wrap="sleep 30")
    scene.wait_for(lambda: scene.job(plain).state == "RUNNING", 30)
    hostile = f"x|{chr(31)}9{chr(30)}\n{FLEX}\nJobId=1 StartTime=0"
    job = scene.sbatch("bob", "-t1", f"--comment={hostile}")
    begin = scene.held(job)
    assert scene.began + 120 <= begin < scene.began + 240
    line = scene.line(job)
    assert (line["user"], line["state"]) == ("bob", "PD")
    assert scene.ctl("status")["warnings"] == [
        w for w in scene.ctl("status")["warnings"] if "not understood" not in w
    ]


def test_rule_13_a_second_flexlond_is_refused(scene: Any) -> None:
    scene.act()
    second = subprocess.run(
        ["runuser", "-u", "flexlon", "--", "/opt/flexlon/bin/flexlond", "run"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert second.returncode != 0
    assert "another flexlond" in second.stderr.lower() + second.stdout.lower()
    assert scene.ctl("status")["mode"] == "act"


def test_rule_13_slurmctld_fail_over_is_just_another_restart(
    scene: Any, service: Any, cluster: str
) -> None:
    if not cluster.startswith("24.11"):
        pytest.skip("the backup slurmctld runs in the 24.11 cluster only")
    scene.act(day(12, 30))
    job = scene.sbatch("alice", "-t1", f"--comment={FLEX}")
    begin = scene.held(job)
    time.sleep(6)  # slurmctld saves its state every 5 s; a fail-over needs what is saved
    try:
        subprocess.run([SCONTROL, "takeover"], check=True, capture_output=True, timeout=60)
        scene.cycles(3)
        told = scene.told(job)
        assert scene.job(job).begin == begin, told
        assert all(entry["verb"] == "hold-until" for entry in scene.history(job)), told
        assert not scene.line(job)["opted_out"], told
    finally:
        service("slurmctld").restart()
        scene.wait_for(
            lambda: (
                "primary) at ctl is UP"
                in subprocess.run(
                    [SCONTROL, "ping"], capture_output=True, text=True, check=False
                ).stdout
            ),
            60,
        )
