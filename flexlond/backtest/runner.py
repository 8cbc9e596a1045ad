"""Runs fanned out over processes, gathered in the order of their tasks.

Law: which process a task runs in, and when, changes no result: a task's work depends on the context and the
task alone. What has finished is told at once and is never lost: neither by another task's error, nor by a
process that is ended from outside, nor by an interrupt. After an interrupt no process of ours is left. One
process means this one.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from multiprocessing.connection import wait
from time import perf_counter
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Sequence
    from multiprocessing.connection import Connection
    from multiprocessing.process import BaseProcess

    from flexlond.backtest.case import Run
    from flexlond.backtest.parts import Task

C = TypeVar("C")
ENDED = (
    "its process was ended from outside, most likely for lack of memory: "
    "run it again with fewer processes (--jobs)"
)


@dataclass(frozen=True, slots=True)
class Done:
    """One task's end: its run, or the reason why there is none."""

    task: Task
    run: Run | None
    reason: str
    seconds: float


@dataclass(frozen=True, slots=True)
class Gathered:
    """All tasks' ends, each in the order of the tasks."""

    runs: dict[Task, Run]
    failed: tuple[tuple[Task, str], ...]
    missing: tuple[Task, ...]  # not run to an end: interrupted

    @property
    def interrupted(self) -> bool:
        """Whether something is missing without a failure of its own."""
        return bool(self.missing)


def share_of(tasks: Sequence[Task], index: int, count: int) -> list[Task]:
    """The `index`-th (from 1) of `count` shares: every `count`-th task."""
    return list(tasks[index - 1 :: count])


def processors() -> int:
    """How many this process may use: what Slurm's cgroup or taskset leaves it."""
    return len(os.sched_getaffinity(0))


def run(
    context: C,
    tasks: Sequence[Task],
    work: Callable[[C, Task], Run],
    *,
    processes: int,
    tell: Callable[[Done], None],
) -> Gathered:
    """Work on all `tasks`; `tell` hears of each as it ends, in this process.

    `work` is a module's function and `context` can be pickled: both go to other processes once.
    KeyboardInterrupt ends it early; what had finished is in the answer.
    """
    ends: dict[Task, Done] = {}
    count = min(processes, len(tasks))
    stream = _here(context, tasks, work) if count < 2 else _apart(context, tasks, work, count)
    try:
        for done in stream:
            ends[done.task] = done
            tell(done)
    except KeyboardInterrupt:
        pass
    finally:
        stream.close()
    found = [ends[task] for task in tasks if task in ends]
    return Gathered(
        runs={done.task: done.run for done in found if done.run is not None},
        failed=tuple((done.task, done.reason) for done in found if done.run is None),
        missing=tuple(task for task in tasks if task not in ends),
    )


@dataclass(slots=True)
class _Hand:
    """A process that works on one task after the other, and our end of the pipe to it."""

    process: BaseProcess
    pipe: Connection[Any, Any]
    task: Task

    def take(self, task: Task) -> None:
        """Give it the next task; where it has died meanwhile, its pipe will say so."""
        self.task = task
        with suppress(OSError):
            self.pipe.send(task)

    def let_go(self) -> None:
        """It ends when it has no pipe to read from."""
        self.pipe.close()
        self.process.join()


def _here(
    context: C, tasks: Sequence[Task], work: Callable[[C, Task], Run]
) -> Generator[Done, None, None]:
    for task in tasks:
        yield _attempt(context, task, work)


def _apart(
    context: C, tasks: Sequence[Task], work: Callable[[C, Task], Run], count: int
) -> Generator[Done, None, None]:
    """A pool that outlives its processes: one that is ended from outside costs its own task only."""
    rest = iter(tasks)
    hands: dict[Any, _Hand] = {}

    def hire(task: Task) -> None:
        hand = _hired(context, work, task)
        hands[hand.pipe] = hand

    try:
        for task in islice(rest, count):
            hire(task)
        while hands:
            for pipe in wait(list(hands)):
                hand = hands[pipe]
                done = _heard(hand)
                following = next(rest, None)
                if done is not None and following is not None:
                    hand.take(following)
                else:
                    del hands[pipe]
                    hand.let_go()
                    if following is not None:
                        hire(following)
                yield done or Done(hand.task, None, ENDED, 0.0)
    finally:
        for hand in hands.values():  # interrupted: what is under way is not waited for
            hand.process.terminate()
        for hand in hands.values():
            hand.let_go()


def _hired(context: C, work: Callable[[C, Task], Run], task: Task) -> _Hand:
    # spawn: a fork would copy the locks of a progress display's thread in any state.
    methods = multiprocessing.get_context("spawn")
    ours, theirs = methods.Pipe()
    process = methods.Process(target=_serve, args=(theirs, context, work), daemon=True)
    process.start()
    theirs.close()  # so that its end ends our reading
    hand = _Hand(process, ours, task)
    hand.take(task)
    return hand


def _heard(hand: _Hand) -> Done | None:
    """What it sent; None when it has died."""
    try:
        done: Done = hand.pipe.recv()
    except (EOFError, OSError):
        return None
    return done


def _serve(pipe: Connection[Any, Any], context: Any, work: Callable[[Any, Task], Run]) -> None:
    """In a process of its own: task after task until the pipe ends. Ctrl-C is for the first process."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with suppress(EOFError, OSError):  # of the pipe; a task keeps its own errors
        while True:
            pipe.send(_attempt(context, pipe.recv(), work))


def _attempt(context: C, task: Task, work: Callable[[C, Task], Run]) -> Done:
    began = perf_counter()
    try:
        run = work(context, task)
    except Exception as error:  # noqa: BLE001 - one policy's defect must not take the others' results
        words = str(error) or "without a word"
        return Done(task, None, f"{type(error).__name__}: {words}", perf_counter() - began)
    return Done(task, run, "", perf_counter() - began)
