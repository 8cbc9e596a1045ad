"""Standard Workload Format v2.2: the logs of the Parallel Workloads Archive.

Law: reads one log into a Trace; -1 is "not known", as the format says. Fields (from 1): 1 job, 2 submit,
3 wait, 4 runtime, 5 used processors, 8 requested processors, 9 requested time, 11 status, 12 user, 13 group,
14 executable, 16 partition. Jobs that never ran are left out and counted; lines of status 2 to 4 are parts of
a checkpointed job that has its own line. Header: UnixStartTime, MaxNodes, MaxProcs, Partition.
Source: D. Feitelson, "The Standard Workload Format", version 2.2.
"""

from __future__ import annotations

import dataclasses
import re
from typing import TYPE_CHECKING

import numpy as np

from flexlond.backtest.jobs_in import assemble
from flexlond.backtest.notes import Notes
from flexlond.backtest.site import Jobs, Site, TraceError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from flexlond.backtest.case import Trace

FIELDS = 18
_LARGEST = 1e15  # whole numbers up to here are exact; NaN and infinity are not below it
_HEADER = re.compile(r";\s*([A-Za-z]+)\s*:\s*(.*)")


def parse_swf(text: str, name: str, site: Site | None = None) -> Trace:
    """The trace in an SWF text; `name` stands in messages. Raises TraceError.

    One resource, "cpus": MaxProcs (else MaxNodes); a node has MaxProcs / MaxNodes of them unless the site
    says otherwise. Users, groups and executables are "u12", "g3", "e5"; "" where not known.
    """
    site = site or Site()
    notes = Notes(name)
    header, partitions, numbers, lines = _split(text)
    data, line = _fields(lines, np.array(numbers, np.int64), notes)
    jobs = _jobs(data, line, header, partitions, notes)
    cpus = _number(header, "MaxProcs") or _number(header, "MaxNodes")
    nodes = _number(header, "MaxNodes") or site.nodes
    per_node = site.cpus_per_node or (cpus / nodes if nodes else 0.0)
    if not per_node:
        notes.say("no MaxNodes in the header: a processor counts as a node; give the CPUs per node")
        per_node = 1.0
    site = dataclasses.replace(site, cpus_per_node=per_node)
    return assemble(jobs, site, notes, cpus=cpus)


def _split(text: str) -> tuple[dict[str, str], dict[int, str], list[int], list[str]]:
    """Header, names of partitions, and the numbered data lines."""
    header: dict[str, str] = {}
    partitions: dict[int, str] = {}
    numbers: list[int] = []
    lines: list[str] = []
    for number, line in enumerate(text.split("\n"), start=1):
        if line.startswith(";"):
            found = _HEADER.match(line)
            if found is None:
                continue
            key, value = found.groups()
            index, _, label = value.strip().partition(" ")
            if key == "Partition" and index.isdecimal():
                partitions[int(index)] = label.strip().split(" ")[0]
            header.setdefault(key, value.strip())
        elif line and not line.isspace():
            numbers.append(number)
            lines.append(line)
    return header, partitions, numbers, lines


def _number(header: dict[str, str], key: str) -> float:
    first = header.get(key, "").split(" ")[0]
    return float(first) if first.isdecimal() else 0.0


def _fields(
    lines: list[str], numbers: NDArray[np.int64], notes: Notes
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """(n, 18) values and their line numbers; the whole at once, or line by line where one is malformed."""
    if not lines:
        raise TraceError(f"{notes.name}: no job in it; expected lines of {FIELDS} numbers (SWF)")
    try:
        data = np.loadtxt(lines, ndmin=2, comments=None)
        if data.shape[1] >= FIELDS and len(data) == len(lines) and (np.abs(data) < _LARGEST).all():
            return data[:, :FIELDS], numbers
    except ValueError:
        pass  # some line is not as the others: find it below
    rows: list[list[float]] = []
    kept: list[int] = []
    for number, line in zip(numbers.tolist(), lines, strict=True):
        cells = line.split()
        if len(cells) < FIELDS:
            notes.line(number, f"{len(cells)} fields instead of {FIELDS}")
            continue
        try:
            row = [float(cell) for cell in cells[:FIELDS]]
        except ValueError as error:
            notes.line(number, f"not a number ({error})")
            continue
        if not all(abs(value) < _LARGEST for value in row):
            notes.line(number, f"a field is not below {_LARGEST:g}")
            continue
        rows.append(row)
        kept.append(number)
    if not rows:
        raise TraceError(
            f"{notes.name}: no line is {FIELDS} numbers as SWF has it (first: {notes.texts()[0]})"
        )
    return np.array(rows), np.array(kept, np.int64)


def _jobs(
    data: NDArray[np.float64],
    line: NDArray[np.int64],
    header: dict[str, str],
    partitions: dict[int, str],
    notes: Notes,
) -> Jobs:
    epoch = _number(header, "UnixStartTime")
    if not epoch:
        notes.say("no UnixStartTime in the header: times count from 1970-01-01, shift the trace")
    procs = np.where(data[:, 7] > 0, data[:, 7], data[:, 4])
    below = (data[:, 1] < 0) | (np.minimum(data[:, 3], procs) < -1) | (data[:, 8] < -1)
    notes.lines(line[below], "a negative number where only -1 (not known) may stand")
    part = np.isin(data[:, 10], (2, 3, 4)) & ~below
    idle = ((data[:, 3] <= 0) | (procs <= 0)) & ~below & ~part
    if part.any():
        notes.say(f"{int(part.sum())} lines are parts of checkpointed jobs and were left out")
    if idle.any():
        notes.say(f"{int(idle.sum())} jobs never ran (no runtime or no processors), left out")
    keep = ~(below | part | idle)
    data, procs = data[keep], procs[keep]
    if len(data) and (data[:, 2] < 0).all():
        notes.say(
            "no job says how long it waited: the log may have its jobs' starts for their submissions, then "
            "waits and late starts say little of the real queue"
        )
    submit = (data[:, 1] + epoch).astype(np.int64)
    unknown = np.full(len(data), np.nan)
    return Jobs(
        line=line[keep],
        job_id=data[:, 0].astype(np.int64),
        submit=submit,
        start=np.where(data[:, 2] >= 0, submit + data[:, 2], np.nan),
        runtime=data[:, 3],
        limit=np.where(data[:, 8] > 0, data[:, 8], np.nan),
        cpus=procs,
        memory_mib=unknown,
        gpus=unknown,
        nodes=unknown,
        partition=_labels(data[:, 15], "p", partitions),
        user=_labels(data[:, 11], "u"),
        account=_labels(data[:, 12], "g"),
        label=_labels(data[:, 13], "e"),
        energy_kwh=unknown,
        work=unknown,
        unit=np.full(len(data), ""),
        latency=unknown,
    )


def _labels(
    values: NDArray[np.float64], prefix: str, names: dict[int, str] | None = None
) -> NDArray[np.str_]:
    distinct, which = np.unique(values.astype(np.int64), return_inverse=True)
    names = names or {}
    texts = [names.get(v, f"{prefix}{v}" if v >= 0 else "") for v in distinct.tolist()]
    return np.array(texts, np.str_)[which] if texts else np.zeros(0, np.str_)
