"""One call of the worker in a killable child process.

Law: returns within `seconds` + GRACE whatever the child does, leaves no process and no zombie behind, raises
nothing on its account, and trusts no byte of the answer beyond its form. Seconds.
"""

from __future__ import annotations

import pickle
import subprocess
import sys
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from flexlond.planning.instance import Instance, Prices

UNREADABLE = "the solver's answer cannot be read"
GRACE = 2.0  # for the child to start, read, and write its answer
_COMMAND = (sys.executable, "-m", "flexlond.solver.worker")


def call(
    instance: Instance,
    incumbent: NDArray[np.int64],
    prices: Prices,
    seconds: float,
    most_jobs: int,
) -> tuple[NDArray[np.int64] | None, str]:
    """The slots the child answered, in whatever length it did, and ""; or None and the reason."""
    # A copy has none of the instance's cached tables.
    payload = pickle.dumps((replace(instance), incumbent, prices, seconds, most_jobs))
    body, why = answered(_COMMAND, payload, seconds)
    if body is None:
        return None, why
    if len(body) % 8:
        return None, UNREADABLE
    return np.frombuffer(body, "<i8").astype(np.int64), ""


def answered(command: Sequence[str], payload: bytes, seconds: float) -> tuple[bytes | None, str]:
    """The body that `command` answers to `payload`, and ""; or None and the reason.

    A child answers one byte and a body: `A` and what was asked for, or `R` and why it is not to be had.
    """
    try:
        done = subprocess.run(
            command,
            input=payload,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            timeout=seconds + GRACE,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return None, f"the solver was killed: no answer {GRACE:g} s after its {seconds:g} s"
    except OSError as error:
        return None, f"the solver could not be started: {error}"
    kind, body = done.stdout[:1], done.stdout[1:]
    if done.returncode:
        return None, f"the solver ended with status {done.returncode}"
    if kind == b"R":
        return None, body.decode(errors="replace")
    return (body, "") if kind == b"A" else (None, UNREADABLE)
