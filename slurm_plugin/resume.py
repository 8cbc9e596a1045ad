"""Suspended jobs and when each must run again: one file per job, read by a timer of its own.

Law: an entry is on the disk before its job is suspended, and goes only after the job was seen running or gone.
`resume_due` needs neither the helper nor the daemon: it runs from flexlon-resume.timer with Slurm's commands
alone. In doubt it resumes: a resume of a job that is not suspended changes nothing. Times are epoch seconds.
"""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from flexlond.model.job import JobState
from flexlond.slurm.command import SlurmCommandError

if TYPE_CHECKING:
    from collections.abc import Collection
    from pathlib import Path

    from slurm_plugin.slurm_calls import SlurmCalls
    from slurm_plugin.view import Reader


@dataclass(frozen=True, slots=True)
class ResumeEntry:
    """One job that we suspended; `submit` and `restarts` guard against a reused id."""

    job_id: int
    submit: int
    restarts: int
    due: int
    armed_at: int


class ResumeBook:
    """The entries in `directory`, one file JOBID.json each."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def prepare(self) -> None:
        """Make the directory; OSError where that is not possible."""
        self._directory.mkdir(mode=0o700, exist_ok=True)

    def arm(self, entry: ResumeEntry) -> None:
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

    def get(self, job_id: int) -> ResumeEntry | None:
        """Return the entry of a job; None when there is none or it cannot be read."""
        return _read(self._path(job_id))

    def entries(self) -> list[ResumeEntry]:
        """Return all entries, the earliest due first. An unreadable file counts as due at once."""
        if not self._directory.is_dir():
            return []
        found = []
        for path in self._directory.glob("*.json"):
            if path.stem.isdecimal():
                entry = _read(path)
                found.append(entry or ResumeEntry(int(path.stem), 0, 0, 0, 0))
        return sorted(found, key=lambda entry: (entry.due, entry.job_id))

    def _path(self, job_id: int) -> Path:
        return self._directory / f"{job_id}.json"

    def _sync(self) -> None:
        descriptor = os.open(self._directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _read(path: Path) -> ResumeEntry | None:
    try:
        return ResumeEntry(**json.loads(path.read_text()))
    except (OSError, ValueError, TypeError):
        return None


@dataclass(frozen=True, slots=True)
class ResumeSummary:
    """What one run of the timer did, by job id."""

    resumed: tuple[int, ...]
    gone: tuple[int, ...]  # no longer suspended or no longer there
    failed: tuple[int, ...]  # still suspended: tried again at the next run
    waiting: int

    @property
    def sentence(self) -> str:
        """One sentence for the log."""
        return (
            f"resumed {len(self.resumed)}, already running or gone {len(self.gone)}, "
            f"still suspended {len(self.failed)}, not yet due {self.waiting}"
        )


def resume_due(
    book: ResumeBook, calls: SlurmCalls, reader: Reader, *, now: int, grace: int
) -> ResumeSummary:
    """Resume every job whose time has come (`grace` seconds later), and drop what is running again."""
    entries = book.entries()
    due = [entry for entry in entries if entry.due + grace <= now]
    if not due:
        return ResumeSummary((), (), (), len(entries))
    before = _suspended(reader, due)
    if before is None:
        ours = [entry.job_id for entry in due]
    else:
        ours = [entry.job_id for entry in due if entry.job_id in before]
    if ours:
        calls.resume([str(job_id) for job_id in ours])
    after = _suspended(reader, due)
    resumed: list[int] = []
    gone: list[int] = []
    failed: list[int] = []
    for entry in due:
        if after is None or entry.job_id in after:
            failed.append(entry.job_id)
            continue
        book.disarm(entry.job_id)
        (resumed if entry.job_id in ours else gone).append(entry.job_id)
    return ResumeSummary(tuple(resumed), tuple(gone), tuple(failed), len(entries) - len(due))


def _suspended(reader: Reader, due: Collection[ResumeEntry]) -> set[int] | None:
    """Which of the jobs are suspended and the very ones we suspended; None when it cannot be read."""
    wanted = {entry.job_id: entry for entry in due}
    try:
        snapshot = reader.read(list(wanted))
    except SlurmCommandError:
        return None
    found = set()
    for job in snapshot.jobs:
        entry = wanted.get(job.job_id)
        if entry is None or job.state is not JobState.SUSPENDED:
            continue
        if entry.submit in {0, job.submit} and entry.restarts <= job.restarts:
            found.add(job.job_id)
    return found if snapshot.complete or len(found) == len(wanted) else None
