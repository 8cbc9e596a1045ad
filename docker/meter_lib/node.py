"""What a compute node runs at this moment, by its own processes; served as text for Prometheus.

Law: a job is there as long as a slurmstepd has a living child. Its CPUs and GPUs are those that slurmd gave its
first process (SLURM_CPUS_ON_NODE, CUDA_VISIBLE_DEVICES); a job of which all processes are stopped (suspended)
keeps its node's idle power only. Nobody else is asked. Runs as root in the node's container.
"""

from __future__ import annotations

import os
import sys
from collections import defaultdict
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

PORT = 9108
_DEAD = frozenset("ZXx")
_STOPPED = frozenset("Tt")


@dataclass(frozen=True)
class Busy:
    """What is at work on one node."""

    jobs: int
    cpus: int
    gpus: int
    stopped: int = 0  # jobs of which every process is stopped


@dataclass(frozen=True)
class Process:
    """One line of the process table."""

    pid: int
    parent: int
    name: str
    state: str


def processes(proc: Path) -> Iterable[Process]:
    """The process table under `proc`."""
    for entry in proc.iterdir():
        if not entry.name.isdigit():
            continue
        try:
            text = (entry / "stat").read_text()
        except OSError:
            continue  # it has ended
        head, _, tail = text.rpartition(")")
        state, parent = tail.split()[:2]
        yield Process(int(entry.name), int(parent), head.partition("(")[2], state)


def environment(proc: Path, pid: int) -> Mapping[str, str]:
    """The environment that a process was started with; {} when it has ended."""
    path = proc / str(pid)
    try:
        owner = path.stat()
        raw = _as_owner(path / "environ", owner.st_uid, owner.st_gid)
    except OSError:
        return {}
    pairs = (item.partition("=") for item in raw.decode("utf-8", "replace").split("\0"))
    return {name: value for name, _, value in pairs if name}


def _as_owner(path: Path, uid: int, gid: int) -> bytes:
    """A container's root may not read the environment of others; their owners may."""
    if os.geteuid() != 0 or uid == 0:
        return path.read_bytes()
    os.setegid(gid)
    os.seteuid(uid)
    try:
        return path.read_bytes()
    finally:
        os.seteuid(0)
        os.setegid(0)


def busy(proc: Path = Path("/proc")) -> Busy:
    """What the node runs."""
    table = list(processes(proc))
    children: dict[int, list[Process]] = defaultdict(list)
    for process in table:
        children[process.parent].append(process)
    cpus: dict[str, int] = defaultdict(int)
    gpus: dict[str, int] = defaultdict(int)
    awake: dict[str, bool] = defaultdict(bool)
    for step in table:
        if step.name != "slurmstepd":
            continue
        for first in children[step.pid]:
            # slurmstepd has helpers of its own by the same name.
            if first.name == "slurmstepd" or first.state in _DEAD:
                continue
            words = environment(proc, first.pid)
            job = words.get("SLURM_JOB_ID", "")
            if not job:
                continue
            cpus[job] = max(cpus[job], _count(words.get("SLURM_CPUS_ON_NODE", "")))
            devices = words.get("CUDA_VISIBLE_DEVICES", "")
            gpus[job] = max(gpus[job], len(devices.split(",")) if devices else 0)
            awake[job] |= any(one.state not in _STOPPED | _DEAD for one in _tree(first, children))
    running = [job for job in cpus if awake[job]]
    return Busy(
        len(running),
        sum(cpus[job] for job in running),
        sum(gpus[job] for job in running),
        len(cpus) - len(running),
    )


def _tree(first: Process, children: Mapping[int, list[Process]]) -> Iterable[Process]:
    yield first
    for child in children.get(first.pid, ()):
        yield from _tree(child, children)


def _count(text: str) -> int:
    return int(text) if text.isdigit() else 1


def exposition(found: Busy) -> str:
    """The text format of Prometheus."""
    return "".join(
        f"# TYPE node_{name} gauge\nnode_{name} {value}\n"
        for name, value in (
            ("busy_jobs", found.jobs),
            ("busy_cpus", found.cpus),
            ("busy_gpus", found.gpus),
            ("stopped_jobs", found.stopped),
        )
    )


class _Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        """Look, and say."""
        body = exposition(busy()).encode()
        self.send_response(200)
        self.send_header("Content-Type", "text/plain; version=0.0.4")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 -- http.server's name
        """Say nothing."""


if __name__ == "__main__":
    # One request at a time: reading as another user is of the whole process.
    HTTPServer(("", int(sys.argv[1]) if len(sys.argv) > 1 else PORT), _Handler).serve_forever()
