"""A linear model solved in a killable child process, for callers that must outlive the solver.

Law: returns within `seconds` + GRACE (child.py) whatever the child does; raises nothing on its account. The
child reads a pickle from its own parent only and answers plain arrays, whose form is checked here and whose
content by the caller. Seconds.
"""

from __future__ import annotations

import os
import pickle
import sys
from typing import TYPE_CHECKING

import numpy as np

from flexlond.solver.child import UNREADABLE, answered
from flexlond.solver.linear import Answer, Model, solve

if TYPE_CHECKING:
    from numpy.typing import NDArray

_COMMAND = (sys.executable, "-m", "flexlond.solver.linear_child")
_HEAD = 2  # floats before the columns: objective, whether it is proven


class Child:
    """Solves as `linear.solve` does; `detail` says after a call why there was no answer, or nothing."""

    def __init__(self) -> None:
        self.detail = ""

    def __call__(
        self,
        model: Model,
        seconds: float,
        *,
        gap: float = 1e-6,
        start: NDArray[np.float64] | None = None,
    ) -> Answer | None:
        """The answer, or None."""
        payload = pickle.dumps((model, seconds, gap, start))
        body, self.detail = answered(_COMMAND, payload, seconds)
        if body is None:
            return None
        columns = len(model.cost)
        if len(body) != 8 * (_HEAD + columns + len(model.row_lower)):
            self.detail = UNREADABLE
            return None
        values = np.frombuffer(body, "<f8").astype(np.float64)
        x, dual = values[_HEAD : _HEAD + columns], values[_HEAD + columns :]
        return Answer(x, dual, float(values[0]), bool(values[1]))


def main() -> None:
    """Answer one question from stdin on what was stdout, and end."""
    out = os.dup(1)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    model, seconds, gap, start = pickle.loads(sys.stdin.buffer.read())  # noqa: S301 - our own parent wrote it
    try:
        found = solve(model, seconds, gap=gap, start=start)
    except ImportError as error:
        answer = f"Rhighspy cannot be imported ({error}); install it: pip install highspy".encode()
    else:
        answer = b"Rno answer in the time given"
        if found is not None:
            head = np.array([found.objective, float(found.optimal)])
            answer = b"A" + np.concatenate([head, found.x, found.dual]).astype("<f8").tobytes()
    with os.fdopen(out, "wb") as pipe:
        pipe.write(answer)


if __name__ == "__main__":
    main()
