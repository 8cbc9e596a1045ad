"""The heartbeat: the file by which the Lua plugin knows that new jobs will be placed.

Law: the content is one line, `act <valid_until>` (epoch seconds), replaced atomically, readable by all.
It is written only after a tick that could have placed a new job; in every other case it is removed, and
a daemon that dies leaves a line that runs out by itself within seconds. No file, other content, or a
time that has passed: the plugin delays nothing. Fewer holds, never more (invariant I9).
"""

from __future__ import annotations

import contextlib
import math
import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

SLACK = 2  # seconds: file times, rounding, a late wake-up


class Heartbeat:
    """Writes and removes the file at `path`."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._valid_until = 0

    def beat(self, now: float, lasting: float) -> int:
        """Write a line that is good for `lasting` seconds from `now`; return until when.

        OSError when the directory cannot be written; then any older line is left to run out.
        """
        valid_until = math.ceil(now + lasting) + SLACK
        temporary = self._path.with_name(f".{self._path.name}.{os.getpid()}")
        fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o644)
        try:
            os.fchmod(fd, 0o644)  # whatever the umask: slurmctld's user must read it
            os.write(fd, f"act {valid_until}\n".encode())
        finally:
            os.close(fd)
        temporary.rename(self._path)
        self._valid_until = valid_until
        return valid_until

    def remove(self) -> None:
        """Make sure that there is no file; harmless when there is none."""
        self._valid_until = 0
        with contextlib.suppress(FileNotFoundError):
            self._path.unlink()

    def fresh(self, now: float) -> bool:
        """Whether the line that we wrote is still good at `now`."""
        return now <= self._valid_until
