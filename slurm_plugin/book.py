"""What must be undone by itself, on the disk: one small file per job, read by a timer of its own.

Law: an entry is durable before its change is sent, and whole at every moment. Nothing but the files is needed
to read it: neither the helper nor its database.
"""

from __future__ import annotations

import json
import os
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, ClassVar, Generic, Protocol, TypeVar

if TYPE_CHECKING:
    from pathlib import Path


class Entry(Protocol):
    """A frozen dataclass of plain values."""

    __dataclass_fields__: ClassVar[dict[str, Any]]

    @property
    def job_id(self) -> int:
        """The job, or the array."""
        ...


E = TypeVar("E", bound=Entry)


class Book(Generic[E]):
    """The entries in `directory`, one file JOBID.json each."""

    def __init__(self, directory: Path, kind: type[E]) -> None:
        self._directory = directory
        self._kind = kind

    def prepare(self) -> None:
        """Make the directory; OSError where that is not possible."""
        self._directory.mkdir(mode=0o700, exist_ok=True)

    def arm(self, entry: E) -> None:
        """Write an entry so that it survives a power cut from now on."""
        path = self._path(entry.job_id)
        temporary = path.with_suffix(".new")
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "w") as file:
            json.dump(asdict(entry), file)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
        self._sync()

    def disarm(self, job_id: int) -> None:
        """Remove an entry; nothing happens when there is none."""
        self._path(job_id).unlink(missing_ok=True)
        self._sync()

    def get(self, job_id: int) -> E | None:
        """Return the entry of a job; None when there is none or it cannot be read."""
        try:
            return self._kind(**json.loads(self._path(job_id).read_text()))
        except (OSError, ValueError, TypeError):
            return None

    def ids(self) -> list[int]:
        """Every job with an entry, readable or not."""
        if not self._directory.is_dir():
            return []
        return sorted(
            int(path.stem) for path in self._directory.glob("*.json") if path.stem.isdecimal()
        )

    def _path(self, job_id: int) -> Path:
        return self._directory / f"{job_id}.json"

    def _sync(self) -> None:
        descriptor = os.open(self._directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
