"""The child process of one envelope: a question on stdin, an answer on what was stdout; ended by its parent.

Law: reads a pickle from its own parent only. Answers one byte and a body: `A` and the curves as msgpack, or `R`
and the reason in words. Whatever a library prints goes nowhere. It gives way to others on the processor where
it may.
"""

from __future__ import annotations

import contextlib
import os
import pickle
import sys
from dataclasses import replace

import msgspec

from flexlond.planning.envelope import envelope
from flexlond.planning.problem import PlanningError

_NICE = 5


def main() -> None:
    """Answer and end."""
    out = os.dup(1)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    with contextlib.suppress(OSError):  # a courtesy, which the unit's system call filter may refuse
        os.nice(_NICE)
    question = pickle.loads(sys.stdin.buffer.read())  # noqa: S301 - our own parent wrote it
    with os.fdopen(out, "wb") as pipe:
        pipe.write(answer(*question))


def answer(*question: object) -> bytes:
    """The bytes for the parent; without the exact solver where that is not installed."""
    problem, settings, last, windows, terms, running = question
    try:
        try:
            curves = envelope(problem, settings, last, windows, terms, running=running)  # type: ignore[arg-type] # a pickle's
        except ImportError:
            terms = replace(terms, exact_seconds=0.0)  # type: ignore[type-var] # as above
            curves = envelope(problem, settings, last, windows, terms, running=running)  # type: ignore[arg-type] # as above
    except PlanningError as error:
        return b"R" + str(error).encode()
    return b"A" + msgspec.msgpack.encode(curves, enc_hook=lambda array: array.tolist())


if __name__ == "__main__":
    main()
