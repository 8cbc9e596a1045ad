"""Suspended jobs and when each must run again: one file per job, read by a timer of its own.

Law: an entry is on the disk before its job is suspended, and goes only after the job was seen running or gone.
`resume_due` needs neither the helper nor the daemon: it runs from flexlon-resume.timer with Slurm's commands
alone. In doubt it resumes: a resume of a job that is not suspended changes nothing. Times are epoch seconds.

slurmctld that is killed within 5 s of a suspend forgets it (measured on 24.11): for Slurm the job is RUNNING
and its time limit counts, but its processes stand still for good. Neither a resume ("Job is not suspended") nor
SIGCONT moves them; a suspend with a resume after it does. So a job with an entry that is seen running is woken
that way, unless its suspend may still be coming; one that runs in truth pauses for a moment. A resume that is
forgotten harms nobody: the job is shown as suspended, runs to its end and is COMPLETED.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

from flexlond.model.job import JobState
from flexlond.slurm.command import SlurmCommandError
from slurm_plugin.book import Book

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from pathlib import Path

    from slurm_plugin.slurm_calls import SlurmCalls
    from slurm_plugin.view import Reader


SENT_BY = 60  # seconds after arming by which its suspend was sent, or never will be


@dataclass(frozen=True, slots=True)
class ResumeEntry:
    """One job that we suspended; `submit` and `restarts` guard against a reused id."""

    job_id: int
    submit: int
    restarts: int
    due: int
    armed_at: int


class ResumeBook(Book[ResumeEntry]):
    """The entries of suspended jobs."""

    def __init__(self, directory: Path) -> None:
        super().__init__(directory, ResumeEntry)

    def entries(self) -> list[ResumeEntry]:
        """Return all entries, the earliest due first. An unreadable file counts as due at once."""
        found = [self.get(job_id) or ResumeEntry(job_id, 0, 0, 0, 0) for job_id in self.ids()]
        return sorted(found, key=lambda entry: (entry.due, entry.job_id))


@dataclass(frozen=True, slots=True)
class ResumeSummary:
    """What one run of the timer did, by job id."""

    resumed: tuple[int, ...]
    woken: tuple[int, ...]  # slurmctld had forgotten their suspension
    gone: tuple[int, ...]  # another run or job, or no longer there
    failed: tuple[int, ...]  # still suspended, or not seen: tried again at the next run
    waiting: int

    @property
    def quiet(self) -> bool:
        """Whether there is nothing to tell."""
        return not (self.resumed or self.woken or self.gone or self.failed)

    @property
    def sentence(self) -> str:
        """One sentence for the log."""
        return (
            f"resumed {len(self.resumed)}, woken {len(self.woken)}, gone {len(self.gone)}, "
            f"still suspended {len(self.failed)}, not yet due {self.waiting}"
        )


class _Todo(Enum):
    """What one entry asks for now."""

    WAIT = "wait"
    RESUME = "resume"
    WAKE = "wake"
    DROP = "drop"


def resume_due(
    book: ResumeBook, calls: SlurmCalls, reader: Reader, *, now: int, grace: int
) -> ResumeSummary:
    """Resume every job whose time has come (`grace` seconds later), and wake those that were forgotten."""
    entries = book.entries()
    if not entries:
        return ResumeSummary((), (), (), (), 0)
    seen = _seen(reader, entries)
    todo = {entry.job_id: _todo(entry, seen, now, grace) for entry in entries}
    acted = [entry for entry in entries if todo[entry.job_id] in {_Todo.RESUME, _Todo.WAKE}]
    for entry in entries:
        if todo[entry.job_id] is _Todo.DROP:
            book.disarm(entry.job_id)
    failed, back = _act(book, calls, reader, acted, todo=todo)

    def chosen(what: _Todo, among: Collection[int]) -> tuple[int, ...]:
        return tuple(job_id for job_id in among if todo[job_id] is what)

    return ResumeSummary(
        resumed=chosen(_Todo.RESUME, back),
        woken=chosen(_Todo.WAKE, back),
        gone=chosen(_Todo.DROP, todo),
        failed=tuple(failed),
        waiting=len(chosen(_Todo.WAIT, todo)),
    )


def _act(
    book: ResumeBook,
    calls: SlurmCalls,
    reader: Reader,
    acted: Sequence[ResumeEntry],
    *,
    todo: Mapping[int, _Todo],
) -> tuple[list[int], list[int]]:
    """Resume and wake; those that are not seen to run, and those that are."""
    if not acted:
        return [], []
    frozen = [str(entry.job_id) for entry in acted if todo[entry.job_id] is _Todo.WAKE]
    if frozen:
        calls.suspend(frozen)
    calls.resume([str(entry.job_id) for entry in acted])
    after = _seen(reader, acted)
    failed, back = [], []
    for entry in acted:
        if after is None or after.get(entry.job_id) is JobState.SUSPENDED:
            failed.append(entry.job_id)
        else:
            book.disarm(entry.job_id)
            back.append(entry.job_id)
    return failed, back


def _todo(entry: ResumeEntry, seen: Mapping[int, JobState] | None, now: int, grace: int) -> _Todo:
    over = entry.due + grace <= now
    state = seen.get(entry.job_id) if seen is not None else None
    if seen is None or state is JobState.SUSPENDED:  # in doubt, too
        return _Todo.RESUME if over else _Todo.WAIT
    if state is JobState.RUNNING:
        return _Todo.WAKE if now - entry.armed_at >= SENT_BY else _Todo.WAIT
    return _Todo.DROP if over else _Todo.WAIT


def _seen(reader: Reader, entries: Collection[ResumeEntry]) -> dict[int, JobState] | None:
    """How the very jobs stand that we suspended; None when that cannot be read.

    A job that was requeued since counts as suspended where it is: a resume of ours cannot harm it. It counts
    as running only in the very run that we suspended, because to wake it means to suspend it.
    """
    wanted = {entry.job_id: entry for entry in entries}
    try:
        snapshot = reader.read(list(wanted))
    except SlurmCommandError:
        return None
    found: dict[int, JobState] = {}
    for job in snapshot.jobs:
        entry = wanted.get(job.job_id)
        if entry is None:
            continue
        same = entry.submit == job.submit and entry.restarts == job.restarts
        ours = entry.submit in {0, job.submit} and entry.restarts <= job.restarts
        if (job.state is JobState.SUSPENDED and ours) or (job.state is JobState.RUNNING and same):
            found[job.job_id] = job.state
    return found if snapshot.complete or len(found) == len(wanted) else None
