"""Faults within a window on a real slurmctld: the helper killed mid-requeue, slurmctld restarted and killed.

The helper dies at a chosen command of its own: its scontrol is a wrapper that kills it there, once.
"""

from __future__ import annotations

import shutil
import subprocess
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

pytestmark = pytest.mark.slurm

SLOT = 20
DELAY = 40 * 60
FLEX = "flex: max-delay=40:00 power=10kW"
REQUEUE = f"{FLEX} preempt=requeue"
TABLES: dict[str, Any] = {"power": {"pue": 1.0}, "windows": {"stop_running": True}}
FLAT = [100.0] * 180  # one price: nobody waits but for a window
CAP = "5kW"  # idle nodes, and no job of 10 kW
HOME = Path("/home/alice")  # shared with the nodes

# Says in a file of its own that it began, that it had its signal, and whether another run of it was alive.
SCRIPT = """
exec 9>>runs-$SLURM_JOB_ID.lock
flock -n 9 || echo twice >>runs-$SLURM_JOB_ID
echo began >>runs-$SLURM_JOB_ID
trap 'echo signal >>runs-$SLURM_JOB_ID' USR1
while :; do date +%s >ticks-$SLURM_JOB_ID; sleep 0.5 9>&-; done
"""

WRAPPER = """#!/bin/sh
die() {{ mv {fault} {fault}.fired && kill -KILL $PPID; exit 1; }}
point=$(cat {fault} 2>/dev/null)
{scontrol} "$@"
code=$?
[ "$point:$1" != requeued:requeue ] || die
[ "$point:$1" != begun:update ] || die
exit $code
"""


@dataclass
class Fault:
    """The helper's death at a command, and the folder of commands that brings it."""

    bin_dir: Path
    mark: Path = Path("/var/lib/flexlon-helper/fault")

    def arm(self, point: str) -> None:
        """The helper dies when it has sent a requeue ("requeued"), or when the begin time too ("begun")."""
        self.mark.write_text(point)
        shutil.chown(self.mark, "flexlon-helper")

    def fired(self) -> bool:
        return self.mark.with_name("fault.fired").exists()


@pytest.fixture
def fault() -> Iterator[Fault]:
    made = Fault(Path("/opt/flexlon-faults"))
    made.bin_dir.mkdir(exist_ok=True)
    for command in ("squeue", "sacct", "sacctmgr", "sinfo", "scancel", "sdiag"):
        (made.bin_dir / command).unlink(missing_ok=True)
        (made.bin_dir / command).symlink_to(str(shutil.which(command)))
    wrapper = made.bin_dir / "scontrol"
    wrapper.write_text(WRAPPER.format(fault=made.mark, scontrol=shutil.which("scontrol")))
    wrapper.chmod(0o755)
    yield made
    shutil.rmtree(made.bin_dir)


def act(scene: Any, **tables: Any) -> None:
    scene.act(FLAT, slot=SLOT, **TABLES, **tables)


def running(scene: Any, comment: str) -> int:
    """A job that runs; "" is a plain one. It runs till it is told to stop, ten minutes at most."""
    words = [f"--comment={comment}"] if comment else []
    job: int = scene.sbatch("alice", "-t10", *words, wrap=SCRIPT)
    scene.wait_for(lambda: scene.job(job).state == "RUNNING", 40, what=f"{job} runs")
    return job


def runs(job: int) -> list[str]:
    """What its runs wrote."""
    return (HOME / f"runs-{job}").read_text().split()


def tick(job: int) -> int:
    """When its script last said that it moves."""
    return int((HOME / f"ticks-{job}").read_text() or 0)


def order(scene: Any, slots: int) -> tuple[int, int]:
    """A window with two whole slots' notice: (begin, end)."""
    scene.cycles(1)
    begin = (int(time.time()) // SLOT + 3) * SLOT
    end = begin + slots * SLOT
    moments = [f"{datetime.fromtimestamp(at, UTC):%Y-%m-%dT%H:%M:%S}" for at in (begin, end)]
    added = scene.ctl("window", "add", "--from", moments[0], "--to", moments[1], "--cap", CAP)
    assert added["added"], added
    return begin, end


@dataclass
class Watch:
    """What must hold of a job at each moment, and is looked at each second."""

    scene: Any
    job: int
    latest: int  # I3: what was agreed to
    untouched: dict[int, tuple[str, str, int]]  # I4: plain jobs, as they were

    def look(self) -> Any:
        record = self.scene.job(self.job)
        told = self.scene.told
        assert record.state in {"PENDING", "RUNNING", "COMPLETING"}, told(self.job)  # never lost
        assert int(record["Restarts"]) <= 1, told(self.job)
        assert record.begin <= self.latest, told(self.job)
        assert record["Priority"] != "0", told(self.job)  # never held without an end
        assert "twice" not in runs(self.job), told(self.job)
        for plain, was in self.untouched.items():
            assert facts(self.scene, plain) == was, told(plain)
        return record

    def until(self, so: Callable[[Any], bool], timeout: float, what: str) -> Any:
        """Look until the record is `so`."""

        def looked() -> Any:
            record = self.look()
            return record if so(record) else None

        return self.scene.wait_for(looked, timeout, what=what, every=1.0)


def facts(scene: Any, plain: int) -> tuple[str, str, int]:
    record = scene.job(plain)
    return (record.state, record["Restarts"], record.start)


def watch(scene: Any, job: int, *plain: int) -> Watch:
    latest = scene.job(job).time("SubmitTime") + DELAY
    return Watch(scene, job, latest, {one: facts(scene, one) for one in plain})


def stops(scene: Any) -> list[tuple[int, str, str]]:
    """The stops that the window's record has: job, outcome, how it is known."""
    view = scene.ctl("window", "show", "1")
    return [(one["job_id"], one["state"], one["detail"]) for one in view["stops"]]


def show(scene: Any) -> list[dict[str, Any]]:
    """The slots of the window as its record has them."""
    view = scene.ctl("window", "show", "1")
    for one in view["stops"]:
        print(one)
    for slot in view["slots"]:
        print(slot["start"], slot["cap_kw"], slot["planned_kw"], slot["observed_kw"])
    slots: list[dict[str, Any]] = view["slots"]
    return slots


def over(slots: Sequence[dict[str, Any]]) -> list[bool]:
    """Of each slot, whether more was seen than its cap; what was not seen is not over."""
    for slot in slots:
        seen = slot["observed_kw"]
        assert (slot["shortfall_kw"] > 0) == (seen is not None and seen > slot["cap_kw"]), slot
    return [slot["shortfall_kw"] > 0 for slot in slots]


def revived(scene: Any, helper: Any, before: int) -> None:
    """systemd has started the helper again, and it answers."""
    scene.wait_for(lambda: helper.active and helper.main_pid not in {0, before}, 30, what="revived")
    scene.wait_for(lambda: scene.ctl("status")["helper_answering"], 20, what="it answers")


def runs_again(found: Watch, begin: int) -> None:
    """The job starts at its begin time, by Slurm alone: for the second time, so never before that."""
    record = found.until(
        lambda record: record.state == "RUNNING", max(1, begin - time.time()) + 40, "runs again"
    )
    assert 0 <= record.start - begin <= 15, found.scene.told(found.job)
    assert record["Restarts"] == "1"
    assert record.start <= found.latest
    found.scene.wait_for(lambda: runs(found.job).count("began") == 2, 10, what="its second run")
    assert "twice" not in runs(found.job)
    assert not any(found.scene.line(plain).get("touched") for plain in found.untouched)


@pytest.mark.parametrize("point", ["requeued", "begun"])
def test_a_helper_killed_between_requeue_and_answer(
    scene: Any, service: Any, fault: Fault, point: str
) -> None:
    act(scene, slurm={"bin_dir": str(fault.bin_dir)})
    job, plain = running(scene, REQUEUE), running(scene, "")
    found = watch(scene, job, plain)
    _, end = order(scene, 9)
    before = service("flexlon-helper").main_pid
    fault.arm(point)
    scene.wait_for(fault.fired, 5 * SLOT, what="the helper was killed at its command")
    record = found.until(lambda record: record["Restarts"] == "1", 30, "it is requeued")
    print(f"killed when {point}: begin {record.begin - end} s from the end of the window")
    assert (record.begin >= end) == (point == "begun"), scene.told(job)
    revived(scene, service("flexlon-helper"), before)
    scene.cycles(3)
    record = found.until(lambda record: record.state == "PENDING", 10, "it is pending")
    assert end <= record.begin <= found.latest, scene.told(job)
    assert stops(scene) == [(job, "applied", "seen requeued")], scene.told(job)
    planned = record.begin
    found.until(lambda _: time.time() >= end, end - time.time() + 30, "the window is over")
    assert over(show(scene)[:-1]) == [False] * 8
    runs_again(found, planned)


def test_a_helper_killed_in_the_grace_between_signal_and_requeue(scene: Any, service: Any) -> None:
    act(scene)
    job, plain = running(scene, f"{REQUEUE} checkpoint=USR1@15"), running(scene, "")
    found = watch(scene, job, plain)
    _, end = order(scene, 9)
    found.until(lambda _: "signal" in runs(job), 5 * SLOT, "its script has had the signal")
    helper = service("flexlon-helper")
    before = helper.main_pid
    helper.kill("KILL", revive=True)
    revived(scene, helper, before)
    scene.cycles(3)
    view = stops(scene)
    assert view[0][:2] == (job, "superseded"), scene.told(job)
    assert "helper was restarted" in view[0][2]
    found.until(lambda record: record["Restarts"] == "1", 40, "it is requeued at last")
    found.until(lambda record: record.state == "PENDING", 10, "it is pending")
    scene.cycles(1)
    planned = found.look().begin
    assert end <= planned <= found.latest, scene.told(job)
    assert [one[1] for one in stops(scene)] == ["superseded", "applied"]
    assert runs(job) == ["began", "signal", "signal"]
    found.until(lambda _: time.time() >= end, end - time.time() + 30, "the window is over")
    assert not any(over(show(scene)[1:-1])), "it is kept all the same"
    runs_again(found, planned)


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
