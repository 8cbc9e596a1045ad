"""`squeue --json`: the cross-check of the default reader, and the decoder that REST shares.

Law: decodes two shapes into the same Job as squeue's text: openapi v0.0.38 (22.05: plain numbers, state as
one word, every filter ignored, ended jobs included) and data_parser v0.0.40 to v0.0.45 (numbers as
{set, infinite, number}, state as a list). Only the fields of model.job are decoded; a record that cannot be
understood is a misfit. JSON needs no separators, so no comment can forge anything, and it says
of each job whether it is scrontab's (`Job.cron`). Price: 25-80 times the bytes of text
(measured: 10,000 jobs 2.6-5.4 s), so it is never chosen by itself.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import msgspec

from flexlond.model.job import Job, JobState, Snapshot
from flexlond.slurm import fields
from flexlond.slurm.command import SlurmCommandError, run
from flexlond.slurm.federation import unplaced
from flexlond.slurm.squeue import MAX_IDS, MISFITS_KEPT, only

if TYPE_CHECKING:
    from collections.abc import Sequence

    from flexlond.model.settings import SlurmSettings


class Record(msgspec.Struct, frozen=True):
    """The fields of one job that are read, in either shape."""

    job_id: int
    job_state: Any
    user_name: str = ""
    user_id: Any = 0
    account: str | None = ""
    qos: str | None = ""
    partition: str | None = ""
    name: str | None = ""
    state_reason: str | None = ""
    state_description: str | None = ""
    node_count: Any = 0
    cpus: Any = 0
    tasks: Any = 0
    tres_req_str: str | None = ""
    tres_alloc_str: str | None = ""
    tres_per_job: str | None = ""
    tres_per_node: str | None = ""
    tres_per_socket: str | None = ""
    tres_per_task: str | None = ""
    licenses: str | None = ""
    time_limit: Any = None
    submit_time: Any = 0
    eligible_time: Any = 0
    start_time: Any = 0
    end_time: Any = 0
    deadline: Any = 0
    priority: Any = 0
    requeue: bool = False
    restart_cnt: Any = 0
    resv_name: str | None = ""
    dependency: str | None = ""
    batch_flag: bool = False
    nodes: str | None = ""
    comment: str | None = ""
    array_job_id: Any = 0
    array_task_id: Any = None
    array_task_string: str | None = ""
    array_max_tasks: Any = 0
    het_job_id: Any = 0
    het_job_offset: Any = 0
    flags: Any = ()
    cron: Any = None


class _Answer(msgspec.Struct):
    jobs: list[msgspec.Raw] = msgspec.field(default_factory=list)
    meta: dict[str, Any] = msgspec.field(default_factory=dict)


class JsonReader:
    """Reads the queue with `squeue --json` (blocking: run it in a thread)."""

    name = "json"

    def __init__(self, settings: SlurmSettings) -> None:
        self._settings = settings

    def read(self, job_ids: Sequence[int] | None = None) -> Snapshot:
        """The active jobs, or those of `job_ids`; raises SlurmCommandError."""
        taken_at = int(time.time())
        argv = ["squeue", "-a", "--json"]
        if job_ids is not None and len(job_ids) <= MAX_IDS:
            argv += ["-j", ",".join(str(int(job_id)) for job_id in job_ids)] if job_ids else []
        try:
            printed = run(argv, settings=self._settings, env={"SLURM_BITSTR_LEN": "0"})
        except SlurmCommandError as error:
            if job_ids is None or "Invalid job id" not in error.stderr:
                raise
            printed = run(["squeue", "-a", "--json"], settings=self._settings)
        return snapshot_of(printed, taken_at, self.name, argv, job_ids)


def snapshot_of(
    answer: str | bytes,
    taken_at: int,
    reader: str,
    asked: Sequence[str],
    job_ids: Sequence[int] | None,
) -> Snapshot:
    """A whole JSON answer -> Snapshot. `asked` names the request in an error."""
    try:
        decoded = msgspec.json.decode(answer, type=_Answer)
    except msgspec.MsgspecError as error:
        raise SlurmCommandError(
            asked, 0, f"its JSON cannot be read: {error}", "set [slurm] reader to squeue"
        ) from error
    jobs: list[Job] = []
    misfits: list[str] = []
    for index, raw in enumerate(decoded.jobs):
        try:
            job = job_of(msgspec.json.decode(raw, type=Record))
        except (msgspec.MsgspecError, ValueError) as error:
            misfits.append(f"job record {index}: {error}")
            continue
        jobs += unplaced([job])
    return Snapshot(
        taken_at,
        tuple(jobs) if job_ids is None else only(jobs, job_ids),
        reader,
        version_of(decoded.meta),
        complete=not misfits,
        misfits=tuple(misfits[:MISFITS_KEPT]),
    )


def version_of(meta: dict[str, Any]) -> str:
    """The release, from meta.Slurm (22.05) or meta.slurm (later); "" where it is not said."""
    said = meta.get("slurm") or meta.get("Slurm") or {}
    return str(said.get("release", "")) if isinstance(said, dict) else ""


def job_of(record: Record) -> Job:
    """One record -> Job; ValueError where it makes no sense."""
    state = _state(record.job_state)
    array_id = _number(record.array_job_id)
    task_id = _optional(record.array_task_id) if array_id else None
    tasks: list[int] = []
    throttle = 0
    if array_id and state is JobState.PENDING and record.job_id == array_id:
        if record.array_task_string:
            tasks, throttle = fields.task_ids(record.array_task_string)
        elif task_id is not None:
            tasks = [task_id]  # the last task, requeued: squeue's text cannot tell it from unsplit
        throttle = throttle or _number(record.array_max_tasks)
        task_id = None
    tres = record.tres_alloc_str or record.tres_req_str or ""
    nodes = _number(record.node_count)
    minutes = _optional(record.time_limit)
    het_id = _number(record.het_job_id)
    return Job(
        job_id=record.job_id,
        state=state,
        reason=fields.text(record.state_description or record.state_reason or ""),
        user=record.user_name,
        uid=_number(record.user_id),
        account=fields.text(record.account or ""),
        qos=fields.text(record.qos or ""),
        partition=record.partition or "",
        name=record.name or "",
        nodes=nodes,
        cpus=_number(record.cpus),
        memory_mib=fields.memory_mib(tres),
        gpus=fields.gpus(
            tres,
            record.tres_per_job or "",
            record.tres_per_node or "",
            record.tres_per_socket or "",
            record.tres_per_task or "",
            nodes,
            _number(record.tasks),
        ),
        licenses=fields.text(record.licenses or ""),
        time_limit=None if minutes is None else minutes * 60,
        submit=_number(record.submit_time),
        begin=_number(record.eligible_time),
        start=_number(record.start_time),
        end=0 if minutes is None else _number(record.end_time),
        deadline=_number(record.deadline),
        priority=_number(record.priority),
        requeue=record.requeue,
        restarts=_number(record.restart_cnt),
        reservation=fields.text(record.resv_name or ""),
        dependency=fields.text(record.dependency or ""),
        batch=record.batch_flag,
        node_list=fields.text(record.nodes or ""),
        comment=fields.text(record.comment or ""),
        array_job_id=array_id,
        array_task_id=task_id,
        array_tasks=fields.task_expression(tasks, throttle),
        array_throttle=throttle if tasks else 0,
        task_count=len(tasks) or 1,
        het_job_id=het_id,
        het_offset=_number(record.het_job_offset) if het_id else 0,
        cron=bool(record.cron) or "CRON_JOB" in (record.flags or ()),
    )


def _state(value: object) -> JobState:
    return fields.state(value) if isinstance(value, str) else fields.state_of_flags(_words(value))


def _words(value: object) -> list[str]:
    if isinstance(value, list) and all(isinstance(word, str) for word in value):
        return value
    raise ValueError(f"not a job state: {value!r}")


def _optional(value: object) -> int | None:
    """A number of either shape; None for unset, infinite and null."""
    if isinstance(value, dict):
        if not value.get("set") or value.get("infinite"):
            return None
        value = value.get("number")
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError(f"not a number: {value!r}")  # noqa: TRY004 - a misfit like any other
    return int(value)


def _number(value: object) -> int:
    return _optional(value) or 0
