"""Which jobs are scrontab's, for squeue, which has no column for it.

Law: Slurm is asked only where it runs scrontab at all (ScronParameters, read again every CONFIG_SECONDS) and
only about batch jobs that were not known before. The answer is text that users wrote into, so it may err in
one direction only: a job is taken for scrontab's that is none, and is then left alone. Whoever forges
"CronJob=Yes" into a comment reaches that and no more, until CONFIG_SECONDS later; nobody's text takes a mark
away. For that, the mark counts wherever it stands in a record; of what users write, only the job's name can
stand before it (measured: 22.05 to 26.05), so a job whose name breaks its line counts as scrontab's wherever
some mark is. (Slurm itself refuses every `scontrol update` of a scrontab job: nothing here is the last guard.)
What cannot be read is said by raising SlurmCommandError.

Source: `scontrol show config`, `scontrol -a -o show job`: 0.4 s for 10,000 jobs.
"""

from __future__ import annotations

import re
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from flexlond.slurm.command import run

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from flexlond.model.job import Job
    from flexlond.model.settings import SlurmSettings

CONFIG_SECONDS: Final = 600.0
_MARKS: Final = ("CronJob=Yes", "CrontabSpec=")  # the second outlives a scancel
_RECORD: Final = re.compile(r"JobId=([0-9]+) ", re.ASCII)
_PARAMETERS: Final = re.compile(r"^ScronParameters[ \t]*=(.*)$", re.MULTILINE)


class ScrontabReader:
    """Sets `cron` on jobs; keeps what it knows for CONFIG_SECONDS. Use from one thread at a time."""

    def __init__(
        self, settings: SlurmSettings, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._settings = settings
        self._clock = clock
        self._enabled = False
        self._read_at: float | None = None
        self._known: dict[tuple[int, int], bool] = {}  # (job id, submit time): is scrontab's

    def applied(self, jobs: tuple[Job, ...]) -> tuple[Job, ...]:
        """`jobs` with `cron` set; raises SlurmCommandError."""
        batch = [job for job in jobs if job.batch]
        if not batch or not self._scrontab_runs():
            return jobs
        if any((job.job_id, job.submit) not in self._known for job in batch):
            printed = run(["scontrol", "-a", "-o", "show", "job"], settings=self._settings)
            marked = marked_ids(printed, batch)
            for job in batch:
                is_cron = job.job_id in marked or job.array_job_id in marked
                self._known[job.job_id, job.submit] = is_cron
        return tuple(
            replace(job, cron=True) if self._known.get((job.job_id, job.submit)) else job
            for job in jobs
        )

    def _scrontab_runs(self) -> bool:
        now = self._clock()
        if self._read_at is None or now - self._read_at >= CONFIG_SECONDS:
            config = run(["scontrol", "show", "config"], settings=self._settings)
            self._enabled = is_enabled(config)
            self._read_at = now
            self._known.clear()
        return self._enabled


def is_enabled(config: str) -> bool:
    """Whether `scontrol show config` says that users may have a scrontab."""
    found = _PARAMETERS.search(config)
    words = found.group(1).lower().split(",") if found else ()
    return any(word.strip() == "enable" for word in words)


def marked_ids(printed: str, jobs: Iterable[Job]) -> frozenset[int]:
    """Ids that `scontrol -o show job` marks as scrontab's, and those of `jobs` that could hide a mark."""
    if not any(mark in printed for mark in _MARKS):
        return frozenset()
    marked = {job.job_id for job in jobs if "\n" in job.name}
    # Only a line feed ends a record; splitlines() would also cut at what a comment may hold.
    for line in printed.split("\n"):
        found = _RECORD.match(line)
        if found and any(mark in line for mark in _MARKS):
            marked.add(int(found.group(1)))
    return frozenset(marked)
