"""The exact solver betters a plan, and no death or lie of its process harms the plan."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import pytest

from flexlond.planning.check import check_instance
from flexlond.planning.instance import Instance
from flexlond.planning.solve import Budget, Solution, solve
from flexlond.solver import child, improve
from flexlond.solver.improve import Improver

if TYPE_CHECKING:
    from flexlond.planning.question import Question


def crowded(jobs: int = 30, slots: int = 36) -> Instance:
    """Jobs of two constraints that all want the same few cheap slots."""
    rng = np.random.default_rng(7)
    free = np.full((3, slots), 9.0)
    free[-1] = np.inf
    none = np.full((jobs, 2), -1)
    return Instance(
        free=free,
        total=free.max(axis=1),
        rate=rng.uniform(0.5, 5.0, (6, slots)),
        co2=np.ones((6, slots)),
        width=rng.integers(2, 8, 6),
        index=np.tile([0, 1], (6, 1)),
        need=rng.uniform(0.3, 1.5, (6, 2)),
        cls=rng.integers(0, 6, jobs),
        scale=rng.uniform(0.5, 2.0, jobs),
        first=np.zeros(jobs, np.int64),
        last=np.full(jobs, slots - 8),
        beyond=np.full(jobs, 100.0),
        special=none,
        special_cost=np.full((jobs, 2), np.inf),
        extra=np.zeros(jobs, np.int64),
    )


def asked(instance: Instance) -> Question:
    return cast("Question", SimpleNamespace(instance=instance))


@pytest.fixture(scope="module")
def instance() -> Instance:
    return crowded()


@pytest.fixture
def solution(instance: Instance) -> Solution:
    return solve(instance, Budget(search_steps=0))


def children() -> list[int]:
    """The processes, zombies too, whose parent this process is."""
    found = []
    for task in Path("/proc/self/task").iterdir():
        found += [int(pid) for pid in (task / "children").read_text().split()]
    return found


def test_a_better_answer_is_taken(instance: Instance, solution: Solution) -> None:
    pytest.importorskip("highspy", reason="the exact solver needs HiGHS")
    improver = Improver(60.0)  # more than it needs: a machine may be busy
    better = improver(solution, asked(instance))
    assert better.objective < solution.objective
    assert better.objective == pytest.approx(instance.objective(better.slot))
    assert better.placement.objective == pytest.approx(better.objective)
    assert better.objective >= solution.bound - 1e-6
    assert check_instance(instance, better.slot) == ()
    assert better.stages[-1].name == "milp"
    assert improver.detail == ""


def test_a_killed_child_changes_nothing(
    instance: Instance, solution: Solution, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(child, "_COMMAND", (sys.executable, "-c", "import time; time.sleep(60)"))
    before = set(children())
    killed: list[int] = []

    def kill() -> None:
        until = time.monotonic() + 10
        while not killed and time.monotonic() < until:
            for pid in set(children()) - before:
                os.kill(pid, signal.SIGKILL)
                killed.append(pid)
            time.sleep(0.02)

    thread = threading.Thread(target=kill)
    thread.start()
    improver = Improver(20.0)
    result = improver(solution, asked(instance))
    thread.join()
    assert killed
    assert result is solution
    assert "status -9" in improver.detail
    assert set(children()) <= before


def test_a_child_that_overstays_is_killed(
    instance: Instance, solution: Solution, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(child, "_COMMAND", (sys.executable, "-c", "import time; time.sleep(60)"))
    monkeypatch.setattr(child, "GRACE", 0.2)
    before = set(children())
    improver = Improver(0.2)
    assert improver(solution, asked(instance)) is solution
    assert "was killed" in improver.detail
    assert set(children()) <= before


def test_without_highspy_the_reason_says_how_to_install_it(
    instance: Instance, solution: Solution, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "highspy.py").write_text("raise ImportError('no highspy here')\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    improver = Improver(1.0)
    assert improver(solution, asked(instance)) is solution
    assert "pip install highspy" in improver.detail


def lies(instance: Instance, solution: Solution) -> dict[str, Any]:
    cheapest = instance.rate[instance.cls, : int(instance.last[0]) + 1].argmin(axis=1)
    worse = solution.slot.copy()
    worse[0] = -1
    return {"overfull": cheapest, "shape": solution.slot[:-1], "better": worse}


@pytest.mark.parametrize("kind", ["overfull", "shape", "better"])
def test_a_lie_is_refused(
    instance: Instance, solution: Solution, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    slot = lies(instance, solution)[kind]
    monkeypatch.setattr(improve, "call", lambda *_: (slot, ""))
    improver = Improver(1.0)
    assert improver(solution, asked(instance)) is solution
    assert ("better" if kind == "better" else "refused") in improver.detail


def test_too_many_jobs_are_not_asked_about(instance: Instance, solution: Solution) -> None:
    improver = Improver(1.0, most_jobs=10)
    assert improver(solution, asked(instance)) is solution
    assert "more than the 10" in improver.detail
