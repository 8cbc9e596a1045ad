"""The helper's faults within a window on a real slurmctld: killed mid-requeue, and in a checkpoint's grace.

The helper dies at a chosen command of its own: its scontrol is a wrapper that kills it there, once.
"""

from __future__ import annotations

import shutil
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.slurm.watching import (
    REQUEUE,
    SLOT,
    act,
    order,
    over,
    revived,
    running,
    runs,
    runs_again,
    show,
    stops,
    watch,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.slurm

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
