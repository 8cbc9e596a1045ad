"""SIGKILL before every line of a move to another site, and of the hand that brings it back.

A child process moves a job on the fake cluster; before the k-th line of the helper's code that acts it is
killed. Then only the timer is left. Whatever k: the job is never without a site, it has all its sites again at
its time, and its begin time is its own. The timer itself is killed at each of its lines in the same way.
"""

from __future__ import annotations

import contextlib
import io
import os
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import slurm_plugin
from flexlond.model.action import Verb
from flexlond.slurm import federation, squeue
from flexlond.slurm.command import SlurmCommandError
from slurm_plugin import slurm_calls
from slurm_plugin.pace import SETTLED
from slurm_plugin.routing import bring_back_due
from tests.crash.forked import in_child
from tests.unit.slurm_plugin import fake_slurm
from tests.unit.slurm_plugin.conftest import FakeSlurm, Helper
from tests.unit.slurm_plugin.test_routing import BOTH, DUE, FEDERATED, JOB

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

# What reads, writes down and acts; what only decides has no effect to be caught in the middle of.
ACTING = frozenset(
    str(Path(slurm_plugin.__file__).parent / name)
    for name in ("batch.py", "moving.py", "routing.py", "book.py", "slurm_calls.py")
)


@pytest.fixture(autouse=True)
def in_process(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Slurm's commands without a process each: the same fake, called."""

    def run(
        argv: Sequence[str], *, settings: Any, env: Mapping[str, str] | None = None, **_: Any
    ) -> str:
        del settings
        out, err = io.StringIO(), io.StringIO()
        os.environ.update(env or {})
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            code = fake_slurm.answer(tmp_path / "slurm.json", argv[0], list(argv[1:]))
        if code:
            raise SlurmCommandError(argv, code, err.getvalue(), "")
        return out.getvalue()

    for module in (federation, slurm_calls, squeue):
        monkeypatch.setattr(module, "run", run)
    monkeypatch.setattr("flexlond.slurm.scrontab.run", run)


def killed_before(line: int, work: Callable[[], object]) -> int:
    """Works in a child that dies before that line of the helper's; how many there were where it lived."""

    def child() -> int:
        count = 0

        def trace(frame: Any, event: str, _: object) -> Any:
            nonlocal count
            if frame.f_code.co_filename not in ACTING:
                return None
            if event == "line":
                count += 1
                if count == line:
                    os.kill(os.getpid(), signal.SIGKILL)
            return trace

        sys.settrace(trace)
        work()
        sys.settrace(None)
        return count

    return in_child(child)[1]


def move(fake: FakeSlurm, directory: Path) -> None:
    helper = Helper(fake, directory)
    helper.do(JOB, Verb.ROUTE, DUE, site="south")
    helper.parts.state.close()


def timer(fake: FakeSlurm, directory: Path, now: int) -> None:
    fake.at(now)
    helper = Helper(fake, directory)
    parts = helper.parts
    bring_back_due(parts.routes, parts.calls, parts.reader, parts.sites, now=now)
    parts.state.close()


def seen(fake: FakeSlurm) -> tuple[list[str], int]:
    job = fake.job(JOB)
    return list(job["sites"]), int(job["begin"])


def test_wherever_a_move_is_killed_the_timer_gives_all_sites_back(tmp_path: Path) -> None:
    fake = FakeSlurm(tmp_path)
    start = fake.now
    moved = 0
    for line in range(1, 2000):
        directory = tmp_path / f"state{line}"
        directory.mkdir()
        fake.at(start)
        fake.put(JOB, FEDERATED)
        lived = killed_before(line, lambda at=directory: move(fake, at))  # type: ignore[misc] # bound now
        sites, begin = seen(fake)
        assert sites in (BOTH, ["south"]), line
        assert begin == FEDERATED["begin"], line
        moved += sites == ["south"]
        timer(fake, directory, DUE)
        assert seen(fake) == (BOTH, FEDERATED["begin"]), line
        timer(fake, directory, DUE + SETTLED)
        assert list((directory / "routes").glob("*.json")) == [], line
        if lived:
            break
    assert lived == line - 1 > 100  # every line was tried
    assert moved > 10  # those after the change among them


def test_wherever_the_timer_is_killed_the_next_one_ends_its_work(tmp_path: Path) -> None:
    fake = FakeSlurm(tmp_path)
    start = fake.now
    for line in range(1, 1000):
        directory = tmp_path / f"state{line}"
        directory.mkdir()
        fake.at(start)
        fake.put(JOB, FEDERATED)
        move(fake, directory)
        assert seen(fake)[0] == ["south"]
        lived = killed_before(line, lambda at=directory: timer(fake, at, DUE))  # type: ignore[misc] # bound now
        assert seen(fake)[0] in (BOTH, ["south"]), line
        timer(fake, directory, DUE + 30)
        assert seen(fake)[0] == BOTH, line
        timer(fake, directory, DUE + 30 + SETTLED)
        assert list((directory / "routes").glob("*.json")) == [], line
        if lived:
            break
    assert lived == line - 1 > 30


def test_a_child_that_is_killed_says_so() -> None:
    """The harness itself: a child that is killed leaves no count behind."""
    assert killed_before(1, lambda: slurm_calls.slurm_time(0)) == 0
    assert killed_before(99, lambda: slurm_calls.slurm_time(0)) > 0
