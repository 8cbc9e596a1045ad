"""Slowed arrays and when each gets its own throttle back: one file per array, read by the resume timer.

Law: an entry is on the disk before the throttle is set. A throttle that is not the one we set is somebody
else's and stays, also where it is the owner's own again (slurmctld that forgot ours looks alike: then the
array is no longer slowed, which harms nobody). One that is put back is the owner's own, as it was read before
our first change. What was put back is looked at again SETTLED later, because slurmctld that is killed within
5 s of a change forgets it. `put_back_due` needs neither the helper nor the daemon: Slurm's commands alone. In
doubt it puts back. Epoch seconds, tasks.

Measured on 24.11: an Operator may set it, and the owner; running tasks run on; the array is not split; 0
takes the throttle away. At its limit an array has no begin time (EligibleTime Unknown, reason
JobArrayTaskLimit), and gets the moment when it is let go. A begin time set meanwhile stays. It holds for
requeued tasks too, also when no task waits unsplit.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum
from typing import TYPE_CHECKING

from flexlond.model.job import JobState
from flexlond.slurm.command import SlurmCommandError
from slurm_plugin.book import Book

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from pathlib import Path

    from flexlond.model.job import Job
    from slurm_plugin.slurm_calls import SlurmCalls
    from slurm_plugin.view import Reader

SETTLED = 60  # seconds after which slurmctld does not forget a change any more
LOOKED_AT = 3600  # seconds between looks at an array that is left alone


@dataclass(frozen=True, slots=True)
class PaceEntry:
    """One array that we slowed; `submit` guards against a reused id."""

    job_id: int
    submit: int
    own: int  # its owner's throttle; 0: none
    width: int  # what we set
    due: int
    armed_at: int
    put_back_at: int = 0  # 0: not put back
    left_alone: bool = False  # somebody else changed it

    @property
    def in_force(self) -> bool:
        """Whether the throttle should be ours now."""
        return not (self.put_back_at or self.left_alone)


class PaceBook(Book[PaceEntry]):
    """The entries of slowed arrays."""

    def __init__(self, directory: Path) -> None:
        super().__init__(directory, PaceEntry)

    def entries(self) -> list[PaceEntry]:
        """Return all entries that can be read, the earliest due first."""
        found = [entry for job_id in self.ids() if (entry := self.get(job_id)) is not None]
        return sorted(found, key=lambda entry: (entry.due, entry.job_id))


@dataclass(frozen=True, slots=True)
class PaceSummary:
    """What one run of the timer did, by array."""

    put_back: tuple[int, ...] = ()
    left_alone: tuple[int, ...] = ()  # found changed by somebody else
    failed: tuple[int, ...] = ()  # not seen put back, or the entry cannot be read: tried again

    @property
    def quiet(self) -> bool:
        """Whether there is nothing to tell."""
        return not (self.put_back or self.left_alone or self.failed)

    @property
    def sentence(self) -> str:
        """One sentence for the log."""
        return (
            f"arrays given back their throttle {len(self.put_back)}, changed by somebody else "
            f"{len(self.left_alone)}, not given back yet {len(self.failed)}"
        )


class _Todo(Enum):
    WAIT = "wait"
    PUT_BACK = "put back"
    LEAVE = "leave"
    DROP = "drop"


def put_back_due(
    book: PaceBook, calls: SlurmCalls, reader: Reader, *, now: int, grace: int
) -> PaceSummary:
    """Give every array its own throttle back whose time has come (`grace` seconds later)."""
    entries = book.entries()
    unreadable = tuple(sorted(set(book.ids()) - {entry.job_id for entry in entries}))
    asked = [entry for entry in entries if _due(entry, now, grace)]
    if not asked:
        return PaceSummary(failed=unreadable)
    jobs = _seen(reader, asked)
    todo = {entry.job_id: _todo(entry, jobs) for entry in asked}
    left = []
    for entry in asked:
        if todo[entry.job_id] is _Todo.DROP:
            book.disarm(entry.job_id)
        elif todo[entry.job_id] is _Todo.LEAVE:
            if not entry.left_alone:
                left.append(entry.job_id)
            book.arm(replace(entry, left_alone=True, due=now + LOOKED_AT))
    acted = [entry for entry in asked if todo[entry.job_id] is _Todo.PUT_BACK]
    for own in sorted({entry.own for entry in acted}):
        calls.set_throttle([str(entry.job_id) for entry in acted if entry.own == own], own)
    after = _seen(reader, acted) if acted else {}
    failed = [entry for entry in acted if not _is_back(entry, after)]
    back = [entry for entry in acted if entry not in failed]
    for entry in back:
        book.arm(replace(entry, put_back_at=now))
    return PaceSummary(
        put_back=tuple(entry.job_id for entry in back),
        left_alone=tuple(left),
        failed=(*unreadable, *(entry.job_id for entry in failed)),
    )


def _due(entry: PaceEntry, now: int, grace: int) -> bool:
    if entry.put_back_at:
        return now >= entry.put_back_at + SETTLED
    return now >= entry.due + (0 if entry.left_alone else grace)


def _todo(entry: PaceEntry, jobs: Mapping[int, list[Job]] | None) -> _Todo:
    if jobs is None:  # in doubt it is put back; what was put back is looked at again
        return _Todo.WAIT if entry.put_back_at or entry.left_alone else _Todo.PUT_BACK
    tasks = jobs.get(entry.job_id, [])
    if not tasks:
        return _Todo.DROP
    if entry.left_alone:
        return _Todo.LEAVE
    throttle = throttle_of(tasks)
    if throttle is None:  # nothing waits unsplit: what was requeued is still paced
        return _Todo.DROP if entry.put_back_at else _Todo.PUT_BACK
    if throttle == entry.width:
        return _Todo.PUT_BACK
    return _Todo.DROP if entry.put_back_at else _Todo.LEAVE


def throttle_of(tasks: Collection[Job]) -> int | None:
    """The throttle of an array by its tasks that wait unsplit; None where there is none of them."""
    return next((job.array_throttle for job in tasks if job.is_array), None)


def _is_back(entry: PaceEntry, jobs: Mapping[int, list[Job]] | None) -> bool:
    if jobs is None:
        return False
    return throttle_of(jobs.get(entry.job_id, [])) != entry.width


def _seen(reader: Reader, entries: Collection[PaceEntry]) -> dict[int, list[Job]] | None:
    """The tasks of these very arrays that wait or may wait again; None when that cannot be read."""
    wanted = {entry.job_id: entry for entry in entries}
    try:
        snapshot = reader.read(list(wanted))
    except SlurmCommandError:
        return None
    if not snapshot.complete:
        return None
    found: dict[int, list[Job]] = {}
    for job in snapshot.jobs:
        entry = wanted.get(job.array_job_id)
        if entry is None or job.state is JobState.COMPLETING:
            continue
        if job.submit == entry.submit or job.restarts:
            found.setdefault(entry.job_id, []).append(job)
    return found
