"""The child process: one question on stdin, one answer on what was stdout; ended by its parent or itself.

Law: reads a pickle from its own parent only. Answers one byte and a body: `A` and the slots as int64, or `R`
and the reason in words why there are none. Whatever a library prints goes nowhere.
"""

from __future__ import annotations

import os
import pickle
import sys

from flexlond.planning.milp import solve_milp


def main() -> None:
    """Answer and end."""
    out = os.dup(1)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    question = pickle.loads(sys.stdin.buffer.read())  # noqa: S301 - our own parent wrote it
    try:
        slot = solve_milp(*question)
    except ImportError as error:
        answer = f"Rhighspy cannot be imported ({error}); install it: pip install highspy".encode()
    else:
        found = b"" if slot is None else b"A" + slot.astype("<i8").tobytes()
        answer = found or b"Rno answer in the time given, or too many jobs"
    with os.fdopen(out, "wb") as pipe:
        pipe.write(answer)


if __name__ == "__main__":
    main()
