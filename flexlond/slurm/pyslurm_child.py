"""The child process in which pyslurm runs: `python -m flexlond.slurm.pyslurm_child`.

Law: the only module that imports pyslurm, and it runs in a process of its own: pyslurm is GPL-2.0-only, is
tied to one Slurm release, and can crash its interpreter. It speaks length-prefixed JSON on stdin and stdout
(four bytes, big-endian, then the text). First frame out: {"pyslurm": version} or {"error": text}; after
that one answer per request: {"jobs": [...]} or {"error": text}. Reads only. Records have the names and plain
numbers of slurmrestd's v0.0.38, so that one decoder serves (`json_reader`).
"""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any, BinaryIO, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

HEADER_BYTES: Final = 4

# Record field -> pyslurm attribute, where the value is taken as it is.
_PLAIN: Final = {
    "job_id": "id",
    "job_state": "state",
    "state_reason": "state_reason",
    "user_name": "user_name",
    "user_id": "user_id",
    "account": "account",
    "qos": "qos",
    "partition": "partition",
    "name": "name",
    "node_count": "num_nodes",
    "cpus": "cpus",
    "tasks": "ntasks",
    "submit_time": "submit_time",
    "eligible_time": "eligible_time",
    "start_time": "start_time",
    "end_time": "end_time",
    "deadline": "deadline",
    "priority": "priority",
    "requeue": "is_requeueable",
    "restart_cnt": "requeue_count",
    "resv_name": "reservation",
    "batch_flag": "is_batch_job",
    "nodes": "allocated_nodes",
    "comment": "comment",
    "array_job_id": "array_id",
    "array_task_id": "array_task_id",
    "array_task_string": "array_tasks_waiting",
    "array_max_tasks": "array_tasks_parallel",
    "het_job_id": "heterogeneous_id",
    "het_job_offset": "heterogeneous_offset",
    "time_limit": "time_limit",
    "cron": "is_cronjob",
}


def record_of(job: object) -> dict[str, Any]:
    """A pyslurm Job -> the record of json_reader; an attribute this release lacks stays out."""
    record = {field: getattr(job, name) for field, name in _PLAIN.items() if hasattr(job, name)}
    if record.get("time_limit") in ("UNLIMITED", "unlimited"):
        record["time_limit"] = None
    record["licenses"] = _listed(getattr(job, "licenses", None))
    record["dependency"] = _dependency(getattr(job, "dependencies", None))
    record["tres_per_node"] = ",".join(
        f"gres/{name}:{number}"
        for name, number in (getattr(job, "gres_per_node", {}) or {}).items()
    )
    memory = getattr(job, "memory", None)
    record["tres_req_str"] = f"mem={memory}M" if memory else ""
    return record


def _listed(value: object) -> str:
    if isinstance(value, dict):
        return ",".join(f"{name}:{number}" for name, number in value.items())
    return ",".join(map(str, value)) if isinstance(value, list | tuple) else str(value or "")


def _dependency(value: Mapping[str, Any] | None) -> str:
    """{"afterok": [11], ..., "satisfy": "all"} -> "afterok:11", as sbatch would take it."""
    if not value:
        return ""
    joint = "?" if value.get("satisfy") == "any" else ","
    kinds = ((kind, ids) for kind, ids in value.items() if kind != "satisfy" and ids)
    return joint.join(
        kind if ids is True else f"{kind}:{':'.join(map(str, ids))}" for kind, ids in kinds
    )


def read_frame(stream: BinaryIO) -> bytes | None:
    """One frame's text; None at the end of the stream."""
    header = stream.read(HEADER_BYTES)
    if len(header) < HEADER_BYTES:
        return None
    return stream.read(int.from_bytes(header, "big"))


def write_frame(stream: BinaryIO, text: bytes) -> None:
    """Write one frame and flush it."""
    stream.write(len(text).to_bytes(HEADER_BYTES, "big") + text)
    stream.flush()


def _answer(pyslurm: Any) -> dict[str, Any]:
    try:
        return {"jobs": [record_of(job) for job in pyslurm.Jobs.load().values()]}
    except Exception as error:  # noqa: BLE001 - whatever pyslurm raises goes to the parent as text
        return {"error": f"{type(error).__name__}: {error}"}


def main() -> int:
    """Serve requests until stdin closes."""
    out, asked = sys.stdout.buffer, sys.stdin.buffer
    try:
        import pyslurm  # type: ignore[import-not-found] # noqa: PLC0415 # optional, only here
    except Exception as error:  # noqa: BLE001 - a broken build fails in many ways; the parent says which
        write_frame(out, json.dumps({"error": f"{type(error).__name__}: {error}"}).encode())
        return 1
    write_frame(out, json.dumps({"pyslurm": str(pyslurm.__version__)}).encode())
    while read_frame(asked) is not None:
        text = json.dumps(_answer(pyslurm), default=str, ensure_ascii=False)
        write_frame(out, text.encode("utf-8", "replace"))  # half a surrogate is no JSON
    return 0


if __name__ == "__main__":
    sys.exit(main())
