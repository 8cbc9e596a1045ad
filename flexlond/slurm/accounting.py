"""Accounting history: what slurmdbd keeps of each job, by sacct.

Law: reads only; one record per job allocation (no steps). Times are epoch seconds, 0 for none; energy is
joules as Slurm's energy plugin counted them per node, None where it did not. Every field ends with a
delimiter drawn at random for each call (`-p`), so a comment with newlines or delimiters of its own forges
nothing; sacct takes the delimiter only as an argument, which users of the same host can see while it runs,
so history informs averages and reports and never decides what may be done to a job. Measured: slurmdbd lags
by some seconds and fills a record in steps (for a moment uid 0 and no time limit, 22.05); 22.05 does not
know `Restarts`; comments need AccountingStoreFlags=job_comment.
"""

from __future__ import annotations

import re
import secrets
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from flexlond.slurm import fields
from flexlond.slurm.command import SlurmCommandError, run

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from flexlond.model.settings import SlurmSettings

COLUMNS: Final = (
    *("JobIDRaw", "JobID", "User", "UID", "Account", "QOS", "Partition", "State"),
    *("Submit", "Eligible", "Start", "End", "TimelimitRaw", "AllocTRES", "ReqTRES"),
    *("ConsumedEnergyRaw", "Restarts", "JobName", "Comment"),
)
_JOB_ID: Final = re.compile(r"(\d+)(?:_(?:(\d+)|\[.*)|\+(\d+))?$", re.DOTALL)


@dataclass(frozen=True, slots=True)
class AccountingRecord:
    """One allocation as slurmdbd has it; a requeued job has one record per run with `duplicates`."""

    job_id: int  # JobIDRaw: its own id, also for array tasks and het components
    array_job_id: int  # 0: not of an array
    array_task_id: int | None
    het_job_id: int  # 0: not a het job
    het_offset: int
    user: str
    uid: int
    account: str
    qos: str
    partition: str
    state: str  # Slurm's word: "COMPLETED", "CANCELLED", "DEADLINE", "TIMEOUT", "RUNNING", ...
    submit: int
    eligible: int
    start: int
    end: int
    time_limit: int | None  # seconds; None: UNLIMITED or not known
    nodes: int  # allocated; requested where nothing was allocated yet
    cpus: int
    memory_mib: int
    gpus: tuple[tuple[str, int], ...]
    energy_joules: int | None
    restarts: int | None  # None where this Slurm does not say (22.05)
    comment: str
    name: str = ""
    requested_cpus: int = 0  # what the user asked for; whole-node sites allocate more
    requested_nodes: int = 0


def read_accounting(
    settings: SlurmSettings,
    *,
    since: int,
    until: int | None = None,
    job_ids: Sequence[int] | None = None,
    duplicates: bool = False,
) -> tuple[AccountingRecord, ...]:
    """The jobs of every user that were in the system between `since` and `until` (None: now).

    `job_ids` narrows it; `duplicates` also gives the earlier runs of requeued jobs. Rows that cannot be
    read are left out. Raises SlurmCommandError (no slurmdbd, no right to see).
    """
    if job_ids is not None and not job_ids:
        return ()
    argv = ["sacct", "-a", "-n", "-p", "-X", "-S", _moment(since)]
    if until is not None:
        argv += ["-E", _moment(until)]
    if job_ids is not None:
        argv += ["-j", ",".join(str(int(job_id)) for job_id in job_ids)]
    if duplicates:
        argv.append("-D")
    try:
        return _read(settings, argv, COLUMNS)
    except SlurmCommandError as error:
        if "Invalid field" not in error.stderr:
            raise
    return _read(settings, argv, tuple(name for name in COLUMNS if name != "Restarts"))


def _read(
    settings: SlurmSettings, argv: Sequence[str], columns: tuple[str, ...]
) -> tuple[AccountingRecord, ...]:
    delimiter = f"~{secrets.token_urlsafe(9)}"
    printed = run(
        [*argv, f"--delimiter={delimiter}", f"--format={','.join(columns)}"], settings=settings
    )
    return decode_accounting(printed, delimiter, columns)


def decode_accounting(
    printed: str, delimiter: str, columns: tuple[str, ...] = COLUMNS
) -> tuple[AccountingRecord, ...]:
    """What `sacct -p` printed: after each field a delimiter, after each row a newline."""
    width = len(columns)
    cells = printed.split(delimiter)
    records = []
    for first in range(0, len(cells) - width, width):
        row = dict(zip(columns, cells[first : first + width], strict=True))
        try:
            records.append(_record(row))
        except ValueError:
            continue  # one strange row must not hide the history of the others
    return tuple(records)


def _record(row: Mapping[str, str]) -> AccountingRecord:
    """From cells by column name; of the columns, those that not every Slurm has may be absent."""
    shown, limit = row["JobID"], row["TimelimitRaw"]
    energy, restarts = row["ConsumedEnergyRaw"], row.get("Restarts", "")
    named = _JOB_ID.match(shown)
    if named is None:
        raise ValueError(f"not a job id: {shown[:40]!r}")
    leader, task, offset = named.groups()
    in_array = "_" in shown
    resources = row["AllocTRES"] or row["ReqTRES"]
    amounts, requested = fields.tres(resources), fields.tres(row["ReqTRES"])
    return AccountingRecord(
        job_id=int(row["JobIDRaw"].lstrip("\n")),
        array_job_id=int(leader) if in_array else 0,
        array_task_id=int(task) if task else None,
        het_job_id=int(leader) if offset else 0,
        het_offset=int(offset or 0),
        user=row["User"],
        uid=int(row["UID"]),
        account=row["Account"],
        qos=row["QOS"],
        partition=row["Partition"],
        state=row["State"].split(" ", 1)[0],
        submit=fields.epoch(row["Submit"]),
        eligible=fields.epoch(row["Eligible"]),
        start=fields.epoch(row["Start"]),
        end=fields.epoch(row["End"]),
        time_limit=int(limit) * 60 if limit.isdecimal() else None,
        nodes=fields.count(amounts.get("node", "")),
        cpus=fields.count(amounts.get("cpu", "")),
        memory_mib=fields.memory_mib(resources),
        gpus=fields.gpus(resources, "", "", "", "", 1, 1),
        energy_joules=int(energy) if energy.isdecimal() else None,
        restarts=int(restarts) if restarts.isdecimal() else None,
        comment=row["Comment"],
        name=row.get("JobName", ""),
        requested_cpus=fields.count(requested.get("cpu", "")),
        requested_nodes=fields.count(requested.get("node", "")),
    )


def _moment(at: int) -> str:
    """Epoch seconds as sacct reads them; it runs in UTC."""
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%S")
