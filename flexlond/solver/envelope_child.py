"""One envelope in killable child processes, so that neither its time nor its death is the loop's.

Law: returns within `seconds` + GRACE whatever the children do, and leaves no process behind, also when it is
cancelled. Windows stand alone, so two children share them where there are two processors; what is bounded for
all windows together is divided among them. Raises EnvelopeError with what happened and what to do. Trusts no
byte of the answer beyond its form.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import pickle
import sys
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np

from flexlond.planning.steps import Curve, Direction, Step

if TYPE_CHECKING:
    from flexlond.model.settings import PlanningSettings
    from flexlond.planning.deeper import Stoppables
    from flexlond.planning.problem import Plan, Problem
    from flexlond.planning.steps import Terms

    Question = tuple[
        Problem, PlanningSettings, Plan, tuple[tuple[int, int], ...], Terms, Stoppables | None
    ]

_WORDS = 300  # characters of the child's last line that are passed on
GRACE = 5.0  # for the child to start, read, and write its answer
_CHILDREN = 2  # at most: the rest of the machine is others'
_COMMAND = (sys.executable, "-m", "flexlond.solver.envelope_worker")
_ARRAYS = {
    "change_kw": np.float64,
    "cap_kw": np.float64,
    "jobs": np.int64,
    "start": np.int64,
    "stopped": np.int64,
}


class EnvelopeError(Exception):
    """There is no envelope; the text says why and what to do."""


async def ask(question: Question, seconds: float) -> tuple[Curve, ...]:
    """planning.envelope of `question`, in `seconds`."""
    count = min(_CHILDREN, len(os.sched_getaffinity(0)))
    tasks = [asyncio.create_task(_asked(part, seconds)) for part in parts(question, count)]
    try:
        answers = await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    order = {window: number for number, window in enumerate(question[3])}
    curves = [curve for answer in answers for curve in answer]
    return tuple(sorted(curves, key=lambda curve: order.get(curve.window, len(order))))


def parts(question: Question, count: int) -> list[Question]:
    """`question` as up to `count` of some of its windows each; what is for all windows is divided."""
    problem, settings, last, windows, terms, running = question
    count = max(1, min(count, len(windows)))
    found: list[Question] = []
    for number in range(count):
        mine = windows[number::count]
        own, stops = terms, running
        if windows:
            own = replace(terms, exact_seconds=terms.exact_seconds * len(mine) / len(windows))
        if windows and running is not None:
            stops = replace(running, plans=-(-running.plans * len(mine) // len(windows)))
        found.append((problem, settings, last, mine, own, stops))
    return found


async def _asked(question: Question, seconds: float) -> tuple[Curve, ...]:
    """The answer of one child."""
    payload = pickle.dumps(question)
    try:
        child = await asyncio.create_subprocess_exec(
            *_COMMAND,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
    except OSError as error:
        raise EnvelopeError(f"the envelope could not be started: {error}; try again") from error
    try:
        async with asyncio.timeout(seconds + GRACE):
            body, said = await child.communicate(payload)
    except TimeoutError as error:
        raise EnvelopeError(
            f"the envelope was given up after {seconds:g} s: ask for fewer windows, or raise envelope.seconds"
        ) from error
    finally:
        if child.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                child.kill()
            await child.wait()
    if child.returncode:
        last = said.decode(errors="replace").strip().rpartition("\n")[2][:_WORDS]
        raise EnvelopeError(
            f"the envelope's process ended with status {child.returncode} ({last or 'no word'}); try again"
        )
    return _read(body)


def _read(body: bytes) -> tuple[Curve, ...]:
    if body[:1] == b"R":
        raise EnvelopeError(body[1:].decode(errors="replace"))
    try:
        return tuple(_curve(raw) for raw in msgspec.msgpack.decode(body[1:]))
    except (msgspec.DecodeError, TypeError, ValueError, KeyError) as error:
        raise EnvelopeError(f"the envelope cannot be read ({error}); try again") from error


def _curve(raw: dict[str, Any]) -> Curve:
    steps = tuple(_step(one) for one in raw.pop("steps"))
    withheld = tuple((_step(one), str(why)) for one, why in raw.pop("withheld"))
    first, last = raw.pop("window")
    direction = Direction(raw.pop("direction"))
    return Curve((first, last), direction, steps, withheld, **raw)


def _step(raw: dict[str, Any]) -> Step:
    arrays: dict[str, Any] = {name: np.array(raw[name], kind) for name, kind in _ARRAYS.items()}
    return Step(**(raw | arrays))
