"""What the tests of a window's faults share: jobs that write what happens to them, and a watch over them.

A job's script says when it began, when it was signalled and whether another run of it was alive.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

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
