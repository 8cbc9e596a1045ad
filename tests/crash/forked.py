"""Work in a child process that a kill may end: what the tests of SIGKILL share.

A forked child has none of its parent's threads. What waits for one of them when it is collected (a gRPC channel
of an earlier test does, for ever) must not be collected there.
"""

from __future__ import annotations

import contextlib
import gc
import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


def fork() -> int:
    """os.fork; what the parent had, garbage too, is never collected in the child."""
    gc.disable()
    try:
        pid = os.fork()
        if not pid:
            gc.freeze()
    finally:
        gc.enable()
    return pid


def in_child(work: Callable[[], int]) -> tuple[int, int]:
    """(wait status, what `work` returned); 0 and another status where it was killed or failed."""
    reading, writing = os.pipe()
    pid = fork()
    if not pid:
        with contextlib.suppress(BaseException):
            os.write(writing, str(work()).encode())
            os._exit(0)
        os._exit(1)
    os.close(writing)
    with os.fdopen(reading, "rb") as file:
        said = file.read()
    return os.waitpid(pid, 0)[1], int(said or b"0")
