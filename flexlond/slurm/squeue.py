"""The default queue reader: `squeue -h -a -r` with separators that nobody can guess.

Law: one call, one snapshot, on every Slurm version. The fields are split only by two separators drawn at
random for each call and handed over in the environment (SQUEUE_FORMAT2), which other users cannot read, so
that no comment, job name or control character can forge a field. A row that does not fit is a misfit: it
is left out, the snapshot says so and is not complete. Runs no other text parsing of what users wrote.

`-r` lists every task of an array, because without it squeue hides tasks whose begin time differs
(measured: 22.05 to 26.05). The unsplit tasks are merged here into one Job. `-r` does not print an array's
throttle (%N): a second call asks for it, for arrays only (`flexlond.slurm.arrays`).
Of a federation it reads this cluster (`--local`), and asks what else there is to know of federated jobs
(`flexlond.slurm.federation`).
squeue has no column for scrontab: where Slurm runs it, scontrol is asked (`flexlond.slurm.scrontab`). It has
none for the admin comment either.

This module, not `reader`, is what the privileged helper imports: it opens no network.
"""

from __future__ import annotations

import secrets
import time
from typing import TYPE_CHECKING, Final

from flexlond.model.job import Job, Snapshot
from flexlond.slurm import fields
from flexlond.slurm.arrays import ThrottleReader
from flexlond.slurm.command import SlurmCommandError, run
from flexlond.slurm.federation import FederationReader
from flexlond.slurm.scrontab import ScrontabReader

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from flexlond.model.settings import SlurmSettings

# Columns in the order of _jobs(); what users write freely (name, comment) is last, though it need not be.
COLUMNS: Final = (
    *("JobID", "ArrayJobID", "ArrayTaskID", "HetJobID", "HetJobOffset", "StateCompact", "Reason"),
    *("UserName", "UserID", "Account", "QOS", "Partition", "NumNodes", "NumCPUs", "NumTasks"),
    *("tres-alloc", "tres-per-job", "tres-per-node", "tres-per-socket", "tres-per-task"),
    *("Licenses", "TimeLimit", "SubmitTime", "EligibleTime", "StartTime", "EndTime", "Deadline"),
    *(
        "PriorityLong",
        "Requeue",
        "RestartCnt",
        "Reservation",
        "Dependency",
        "BatchFlag",
        "NodeList",
    ),
    *("Name", "Comment"),
)
_ARRAY_TASK: Final = COLUMNS.index("ArrayTaskID")
MAX_IDS: Final = 500
"""Beyond it the whole queue is read and filtered here: as fast, and the argument stays short."""
MISFITS_KEPT: Final = 20


class SqueueReader:
    """Reads the queue with `squeue -O` (blocking: run it in a thread)."""

    name = "squeue"

    def __init__(self, settings: SlurmSettings) -> None:
        self._settings = settings
        self._version = ""
        self._throttles = ThrottleReader(settings)
        self._scrontab = ScrontabReader(settings)
        self.federation = FederationReader(settings)

    def read(self, job_ids: Sequence[int] | None = None) -> Snapshot:
        """The active jobs, or those of `job_ids` (arrays and het jobs by their leader's id too).

        Ids that slurmctld does not know are simply absent. Raises SlurmCommandError when squeue or
        scontrol fails.
        """
        taken_at = int(time.time())
        if job_ids is not None and not job_ids:
            return Snapshot(taken_at, (), self.name, self._slurm_version())
        separators = draw_separators()
        argv = ["squeue", "-h", "-a", "-r", "--local"]
        if job_ids is not None and len(job_ids) <= MAX_IDS:
            argv += ["-j", ",".join(str(int(job_id)) for job_id in job_ids)]
        try:
            printed = run(
                argv,
                settings=self._settings,
                env={"SQUEUE_FORMAT2": format_option(COLUMNS, *separators)},
            )
        except SlurmCommandError as error:
            self._version = ""  # a restart may have been an upgrade
            if job_ids is None or "Invalid job id" not in error.stderr:
                raise
            printed = ""
        rows, misfits = split_rows(printed, len(COLUMNS), *separators)
        jobs, strange = decode_rows(rows)
        if job_ids is not None:
            jobs = only(jobs, job_ids)
        jobs = self._throttles.applied(jobs, self._slurm_version())
        jobs = self._scrontab.applied(jobs)
        jobs = self.federation.applied(jobs)
        misfits += strange
        return Snapshot(
            taken_at,
            jobs,
            self.name,
            self._slurm_version(),
            complete=not misfits,
            misfits=tuple(misfits[:MISFITS_KEPT]),
        )

    def _slurm_version(self) -> str:
        if not self._version:
            self._version = client_version(self._settings)
        return self._version


def client_version(settings: SlurmSettings) -> str:
    """The version of Slurm's client commands here ("24.11.5"); Debian prints "slurm-wlm 22.05.8"."""
    return run(["squeue", "-V"], settings=settings).split()[-1]


def draw_separators() -> tuple[str, str]:
    """A field and a record separator: 48 random bits each, in characters that -O takes as a suffix.

    It must not begin with a digit or a dot (a width, an alignment) nor hold a comma or a colon.
    """
    return f"~{secrets.token_urlsafe(6)}", f"^{secrets.token_urlsafe(6)}"


def format_option(columns: Sequence[str], field: str, record: str) -> str:
    """The text of `squeue -O` / `sinfo -O`: each column unbounded, followed by its separator."""
    return ",".join([f"{name}:{field}" for name in columns[:-1]] + [f"{columns[-1]}:{record}"])


def split_rows(
    printed: str, width: int, field: str, record: str
) -> tuple[list[list[str]], list[str]]:
    """What was printed -> (rows of `width` fields, descriptions of the rows that do not fit)."""
    *records, rest = printed.split(record)
    rows = [row.split(field) for row in records]
    misfits = [
        f"row {index}: {len(row)} fields instead of {width}: {row[0].strip()[:40]!r}"
        for index, row in enumerate(rows)
        if len(row) != width
    ]
    if misfits:
        rows = [row for row in rows if len(row) == width]
    if rest.strip():
        misfits.append(f"{len(rest)} characters after the last row")
    return rows, misfits


def only(jobs: Iterable[Job], job_ids: Iterable[int]) -> tuple[Job, ...]:
    """The jobs that one of `job_ids` names: by own id, array id or het leader's id."""
    wanted = set(job_ids)
    return tuple(
        job
        for job in jobs
        if job.job_id in wanted or job.array_job_id in wanted or job.het_job_id in wanted
    )


def decode_rows(rows: list[list[str]]) -> tuple[tuple[Job, ...], list[str]]:
    """Rows of COLUMNS -> (jobs, misfits); unsplit tasks of an array become one job."""
    merged, tasks = _merge_tasks(rows)
    try:
        return tuple(_jobs(merged, tasks)), []
    except ValueError:
        jobs: list[Job] = []
        misfits: list[str] = []
        for row, listed in zip(merged, tasks, strict=True):
            try:
                jobs += _jobs([row], [listed])
            except ValueError as error:
                misfits.append(f"job {row[0].strip()[:20]!r}: {error}")
        return tuple(jobs), misfits


def _merge_tasks(rows: list[list[str]]) -> tuple[list[list[str]], list[str]]:
    """One row for the unsplit tasks of each array, with their ids; "" beside every other row."""
    merged: list[list[str]] = []
    tasks: list[str] = []
    remainders: dict[str, list[str]] = {}
    for row in rows:
        job_id, array_id, task = row[0], row[1], row[2]
        if task != "N/A" and row[5] == "PD" and job_id.strip() == array_id:
            known = remainders.get(array_id)
            if known is not None:
                known.append(task)
                continue
            remainders[array_id] = [task]
        merged.append(row)
        tasks.append("")
    if remainders:
        for index, row in enumerate(merged):
            if row[_ARRAY_TASK] != "N/A" and row[5] == "PD" and row[0].strip() == row[1]:
                tasks[index] = ",".join(remainders[row[1]])
    return merged, tasks


def _jobs(rows: list[list[str]], tasks: list[str]) -> list[Job]:
    """Columns at once: no work per field beyond one call of C."""
    if not rows:
        return []
    (
        ids, arrays, task, het, offset, states, reason,
        user, uid, account, qos, partition, nodes, cpus, ntasks,
        tres, per_job, per_node, per_socket, per_task,
        licences, limit, submit, eligible, start, end, deadline,
        priority, requeue, restarts, reservation, dependency, batch, node_list,
        name, comment,
    ) = zip(*rows, strict=True)  # fmt: skip
    node_counts = list(map(fields.count, nodes))
    limits = list(map(fields.minutes_text, limit))
    ends = list(map(fields.epoch, end))
    in_array = [value != "N/A" for value in task]
    remainder = list(map(bool, tasks))
    expressions = [fields.task_ids(listed)[0] if listed else None for listed in tasks]
    return list(
        map(
            Job,
            map(int, ids),
            map(fields.state, states),
            map(fields.text, reason),
            user,
            map(int, uid),
            map(fields.text, account),
            map(fields.text, qos),
            partition,
            name,
            node_counts,
            map(fields.count, cpus),
            map(fields.memory_mib, tres),
            map(
                fields.gpus, tres, per_job, per_node, per_socket, per_task,
                node_counts, map(fields.count, ntasks),
            ),
            map(fields.text, licences),
            limits,
            map(fields.epoch, submit),
            map(fields.epoch, eligible),
            map(fields.epoch, start),
            [0 if bound is None else at for bound, at in zip(limits, ends, strict=True)],
            map(fields.epoch, deadline),
            map(int, priority),
            [value == "1" for value in requeue],
            map(int, restarts),
            map(fields.text, reservation),
            map(fields.text, dependency),
            [value == "1" for value in batch],
            map(fields.text, node_list),
            map(fields.text, comment),
            [int(a) if inside else 0 for a, inside in zip(arrays, in_array, strict=True)],
            [
                int(t) if inside and not rest else None
                for t, inside, rest in zip(task, in_array, remainder, strict=True)
            ],
            ["" if e is None else fields.task_expression(e, 0) for e in expressions],
            [0] * len(rows),
            [1 if e is None else len(e) for e in expressions],
            [int(h) if h != "N/A" else 0 for h in het],
            [int(o) if o != "N/A" else 0 for o in offset],
        )
    )  # fmt: skip
