"""A linear model solved in a killable child process, for callers that must outlive the solver.

Law: returns within `seconds` + GRACE whatever the child does; raises nothing on its account. The child reads a
pickle from its own parent only and answers plain arrays, whose form is checked here and whose content by the
caller. Seconds.
"""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
from typing import TYPE_CHECKING

import numpy as np

from flexlond.solver.child import GRACE
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
        self.detail = ""
        try:
            done = subprocess.run(
                _COMMAND,
                input=payload,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                timeout=seconds + GRACE,
                check=False,
            )
        except subprocess.TimeoutExpired:
            self.detail = f"the solver was killed: no answer {GRACE:g} s after its {seconds:g} s"
            return None
        except OSError as error:
            self.detail = f"the solver could not be started: {error}"
            return None
        return self._read(done, len(model.cost), len(model.row_lower))

    def _read(
        self, done: subprocess.CompletedProcess[bytes], columns: int, rows: int
    ) -> Answer | None:
        kind, body = done.stdout[:1], done.stdout[1:]
        if done.returncode:
            self.detail = f"the solver ended with status {done.returncode}"
        elif kind == b"R":
            self.detail = body.decode(errors="replace")
        elif kind != b"A" or len(body) != 8 * (_HEAD + columns + rows):
            self.detail = "the solver's answer cannot be read"
        else:
            values = np.frombuffer(body, "<f8").astype(np.float64)
            x, dual = values[_HEAD : _HEAD + columns], values[_HEAD + columns :]
            return Answer(x, dual, float(values[0]), bool(values[1]))
        return None


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
