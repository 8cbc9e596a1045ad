"""The throttle of job arrays (%N), which `squeue -r` does not print.

Law: asks Slurm a second time, for arrays with unsplit tasks only, and only takes numbers out of the answer:
an array's job id and its throttle. A text that a user wrote is never parsed here. What cannot be read is
said by raising; nothing is assumed. (measured: `squeue` without -r drops the throttle once a task was split
off and still pends; `--array-unique` exists in 22.05, not in 24.11; `squeue --json -j` honours its list in
24.11 and 26.05.)
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

import msgspec

from flexlond.model.job import JobState
from flexlond.slurm import fields
from flexlond.slurm.command import SlurmCommandError, run

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from flexlond.model.job import Job
    from flexlond.model.settings import SlurmSettings

_JSON_SINCE: Final = (23, 2)
_MAX_IDS: Final = 500


class _Record(msgspec.Struct):
    job_id: int = 0
    array_max_tasks: object = None


class _Answer(msgspec.Struct):
    jobs: list[_Record] = msgspec.field(default_factory=list)


class ThrottleReader:
    """Adds the throttle to the unsplit arrays among jobs."""

    def __init__(self, settings: SlurmSettings) -> None:
        self._settings = settings

    def applied(self, jobs: tuple[Job, ...], slurm_version: str) -> tuple[Job, ...]:
        """`jobs` with `array_throttle` and `array_tasks` complete; raises SlurmCommandError.

        An array that ended between the two calls keeps throttle 0: there is nothing left to pace.
        """
        arrays = {job.job_id for job in jobs if job.is_array}
        if not arrays:
            return jobs
        split = {
            job.array_job_id
            for job in jobs
            if job.array_task_id is not None and job.state is JobState.PENDING
        } & arrays
        if _version(slurm_version) >= _JSON_SINCE:
            tasks = [_first_task(job) for job in jobs if job.is_array and job.job_id in split]
            throttles = self._of_whole(arrays - split, ()) | self._of_split(tasks)
        else:
            throttles = self._of_whole(arrays, ("--array-unique",))
        return tuple(
            with_throttle(job, throttles[job.job_id])
            if job.is_array and throttles.get(job.job_id)
            else job
            for job in jobs
        )

    def _of_whole(self, arrays: set[int], options: Sequence[str]) -> dict[int, int]:
        """Text, for arrays whose row squeue prints whole: 0.03 s for 10,000 jobs."""
        argv = ["squeue", "-h", "-a", *options, "-O", "JobID:|,ArrayTaskID:|"]
        listed = list(map(str, sorted(arrays)))
        # Beyond some hundreds of ids squeue without a list is as fast, and the argument stays short.
        answer = self._run(argv, listed if len(listed) <= _MAX_IDS else None)
        return throttles_of_text(answer.splitlines())

    def _of_split(self, tasks: Sequence[str]) -> dict[int, int]:
        """JSON of one unsplit task ("12_1") per array.

        Asked by the array's own id, squeue would print every task that was split off, 8 kB each
        (measured: 15 s for 9,000).
        """
        found: dict[int, int] = {}
        for first in range(0, len(tasks), _MAX_IDS):
            answer = self._run(["squeue", "-a", "--json"], tasks[first : first + _MAX_IDS])
            found |= throttles_of_json(answer) if answer else {}
        return found

    def _run(self, argv: Sequence[str], listed: Sequence[str] | None) -> str:
        if listed is not None and not listed:
            return ""
        ids = [] if listed is None else ["-j", ",".join(listed)]
        try:
            return run([*argv, *ids], settings=self._settings, env={"SLURM_BITSTR_LEN": "0"})
        except SlurmCommandError as error:
            if "Invalid job id" in error.stderr:
                return ""
            raise


def _first_task(job: Job) -> str:
    """The lowest unsplit task of an array as squeue takes it in a list: "12_1"."""
    return f"{job.job_id}_{fields.task_ids(job.array_tasks)[0][0]}"


def _version(text: str) -> tuple[int, int]:
    major, minor = text.split(".")[:2]
    return int(major), int(minor)


def with_throttle(job: Job, throttle: int) -> Job:
    """`job` with %N, in its number and its expression."""
    listed = job.array_tasks.partition("%")[0]
    return replace(
        job, array_throttle=throttle, array_tasks=f"{listed}%{throttle}" if throttle else listed
    )


def throttles_of_json(answer: str) -> dict[int, int]:
    """`squeue --json` (23.02 on) -> throttle by job id."""
    found = {}
    for record in msgspec.json.decode(answer, type=_Answer).jobs:
        limit = record.array_max_tasks
        number = limit.get("number", 0) if isinstance(limit, dict) else limit
        found[record.job_id] = int(number) if isinstance(number, int) else 0
    return found


def throttles_of_text(lines: Iterable[str]) -> dict[int, int]:
    """Rows "JobID|ArrayTaskID|" (numbers only: nothing a user writes) -> throttle by job id."""
    found = {}
    for line in lines:
        job_id, _, tasks = line.strip().rstrip("|").partition("|")
        throttle = tasks.partition("%")[2]
        if job_id.isdecimal() and throttle.isdecimal():
            found[int(job_id)] = int(throttle)
    return found
