"""The throttle of job arrays (%N), which `squeue -r` does not print.

Law: asks Slurm a second time, for arrays with unsplit tasks only, and only takes numbers out of the answer:
an array's job id and its throttle. A text that a user wrote is never parsed here. What cannot be read is
said by raising; nothing is assumed. (measured: `squeue` without -r drops the throttle once a task was split
off; `--array-unique` exists up to 22.05; `squeue --json -j` honours the list from 23.02 on.)
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
        arrays = [job.job_id for job in jobs if job.is_array]
        if not arrays:
            return jobs
        throttles = self._read(arrays, slurm_version)
        return tuple(
            with_throttle(job, throttles[job.job_id])
            if job.is_array and throttles.get(job.job_id)
            else job
            for job in jobs
        )

    def _read(self, arrays: Sequence[int], slurm_version: str) -> dict[int, int]:
        major, minor = (int(part) for part in slurm_version.split(".")[:2])
        argv = ["squeue", "-a", "-j", ",".join(map(str, arrays))]
        env = {"SLURM_BITSTR_LEN": "0"}
        try:
            if (major, minor) >= _JSON_SINCE:
                return throttles_of_json(run([*argv, "--json"], settings=self._settings, env=env))
            argv += ["-h", "--array-unique", "-O", "JobID:|,ArrayTaskID:|"]
            return throttles_of_text(run(argv, settings=self._settings, env=env).splitlines())
        except SlurmCommandError as error:
            if "Invalid job id" in error.stderr:
                return {}
            raise


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
