"""Work in a child process that a kill may end: what the tests of SIGKILL share."""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


def in_child(work: Callable[[], int]) -> tuple[int, int]:
    """(wait status, what `work` returned); 0 and another status where it was killed or failed."""
    reading, writing = os.pipe()
    pid = os.fork()
    if not pid:
        with contextlib.suppress(BaseException):
            os.write(writing, str(work()).encode())
            os._exit(0)
        os._exit(1)
    os.close(writing)
    with os.fdopen(reading, "rb") as file:
        said = file.read()
    return os.waitpid(pid, 0)[1], int(said or b"0")
