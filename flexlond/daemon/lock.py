"""The single-instance lock: one active flexlond for each cluster (DESIGN, rule 13).

Law: the lock is flock(2) on a file in the state directory: the kernel frees it however the holder ends,
so there is no stale lock and nothing to clean up. The pid inside is for the message only and decides
nothing. State directories shared between hosts must be on a file system with working flock.
"""

from __future__ import annotations

import fcntl
import os
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from pathlib import Path

LOCK_NAME = "flexlond.lock"


class LockError(Exception):
    """The lock is held by another process, or its file cannot be used; the text says what to do."""


class InstanceLock:
    """Held from `acquire` to `release`. A context manager."""

    def __init__(self, state_dir: Path) -> None:
        self._path = state_dir / LOCK_NAME
        self._fd = -1

    def acquire(self) -> None:
        """Take the lock at once or raise LockError naming the holder's pid."""
        try:
            fd = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        except OSError as error:
            raise LockError(
                f"{self._path}: cannot be opened: {error.strerror}; create daemon.state_dir, owned by "
                "the user that runs flexlond"
            ) from error
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            holder = os.read(fd, 32).decode(errors="replace").strip() or "unknown"
            os.close(fd)
            raise LockError(
                f"{self._path}: another flexlond (pid {holder}) is active on this cluster; stop it first "
                "(systemctl stop flexlond), or give this one a state_dir of its own and another cluster"
            ) from error
        os.ftruncate(fd, 0)
        os.pwrite(fd, f"{os.getpid()}\n".encode(), 0)
        self._fd = fd

    def release(self) -> None:
        """Give the lock back; twice is harmless. The file stays, so that no race can split it."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def __enter__(self) -> Self:
        """Acquire."""
        self.acquire()
        return self

    def __exit__(self, *_: object) -> None:
        """Release."""
        self.release()
