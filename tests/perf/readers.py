"""How long each queue reader takes for N separate pending jobs: `python tests/perf/readers.py`.

Run it as root in the controller of a test cluster (docker/cluster up --slurm 24.11 --name perf), from the
sources. One held array is submitted and split into N job records, which is the fast way to make them
(measured: 39,000 splits in 2.9 s). Prints a table: seconds from the call to a tuple of Jobs (median and
least of several runs), bytes read, and slurmctld's own CPU seconds per read (its utime + stime), so that
what is ours and what is Slurm's can be told apart. Bar: the default reader under 0.5 s at N = 10,000 on 24.11.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from flexlond.model.settings import SlurmSettings
from flexlond.slurm import command, squeue
from flexlond.slurm.json_reader import JsonReader
from flexlond.slurm.pyslurm_reader import PyslurmReader, PyslurmUnusable
from flexlond.slurm.rest_reader import RestReader

if TYPE_CHECKING:
    from collections.abc import Callable

    from flexlond.slurm.reader import QueueReader

TICK = os.sysconf("SC_CLK_TCK")
SPLITS_PER_CALL = 1000
COMMENT = "flex: deadline=now+20hours max-delay=8:00:00 power=350W/node"


def main() -> None:
    """Build the queue, read it with every reader, take it down."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--jobs", type=int, default=10_000)
    parser.add_argument("--runs", type=int, default=7)
    parser.add_argument("--slow-runs", type=int, default=2, help="runs of JSON and REST")
    parser.add_argument("--user", default="alice")
    parser.add_argument("--restd-socket", default="/run/slurmrestd/slurmrestd.socket")
    words = parser.parse_args()
    settings = SlurmSettings(restd_socket=words.restd_socket, command_timeout=300.0)
    job_id = build(words.jobs, words.user)
    try:
        print(f"Slurm {squeue.client_version(settings)}, {words.jobs} separate pending jobs")
        head = ("reader", "median s", "least s", "jobs", "Mbytes", "slurmctld CPU s", "its share")
        print("".join(f"{cell:>16}" for cell in head))
        default = squeue.SqueueReader(settings)
        measure(default, words.runs, text_bytes(settings))
        parts(settings, words.runs)
        others: list[QueueReader] = [JsonReader(settings)]
        if Path(words.restd_socket).is_socket():
            others.append(RestReader(settings))
        for reader in others:
            measure(reader, words.slow_runs, None)
        try:
            measure(PyslurmReader(settings), words.runs, None)
        except PyslurmUnusable as reason:
            print(f"{'pyslurm':>16}  skipped: {reason}")
    finally:
        subprocess.run(["scancel", str(job_id)], check=False)


def build(jobs: int, user: str) -> int:
    """A held array, every task split off into its own record; -> the array's id."""
    argv = ["setpriv", f"--reuid={user}", f"--regid={user}", "--init-groups", "env", "HOME=/"]
    argv += ["sbatch", "--parsable", "-o", "/dev/null", "-D", "/", "-t", "60", "--mem=50"]
    argv += ["--begin=now+10hours", f"--comment={COMMENT}", f"--array=1-{jobs}", "--wrap", "true"]
    done = subprocess.run(argv, check=True, capture_output=True, text=True)
    job_id = int(done.stdout.splitlines()[-1])
    began = time.monotonic()
    for first in range(
        1, jobs, SPLITS_PER_CALL
    ):  # the last task stays: what is left is a record too
        last = min(first + SPLITS_PER_CALL - 1, jobs - 1)
        subprocess.run(
            ["scontrol", "update", f"JobId={job_id}_[{first}-{last}]", "StartTime=now+36000"],
            check=True,
            capture_output=True,
        )
    print(f"{jobs} records made in {time.monotonic() - began:.1f} s")
    return job_id


def controller() -> tuple[int, float]:
    """slurmctld's process id and the CPU seconds it has used."""
    for path in Path("/proc").glob("[0-9]*/comm"):
        if path.read_text().strip() == "slurmctld":
            stat = path.with_name("stat").read_text().rsplit(")", 1)[1].split()
            return int(path.parent.name), (int(stat[11]) + int(stat[12])) / TICK
    raise SystemExit("no slurmctld runs on this host: run this in the controller")


def measure(reader: QueueReader, runs: int, size: int | None) -> None:
    """One row of the table."""
    jobs = len(reader.read().jobs)  # the first read starts what there is to start
    _, before = controller()
    seconds = []
    for _ in range(runs):
        began = time.perf_counter()
        jobs = len(reader.read().jobs)
        seconds.append(time.perf_counter() - began)
    _, after = controller()
    own = (after - before) / runs
    median = statistics.median(seconds)
    bytes_read = f"{size / 1e6:.1f}" if size else "-"
    row = (
        *(reader.name, f"{median:.3f}", f"{min(seconds):.3f}", jobs, bytes_read),
        *(f"{own:.3f}", f"{own / median:.0%}"),
    )
    print("".join(f"{cell:>16}" for cell in row))


def text_bytes(settings: SlurmSettings) -> int:
    """Bytes that squeue prints for one read."""
    return len(printed(settings, *squeue.draw_separators()).encode())


def printed(settings: SlurmSettings, field: str, record: str) -> str:
    """One answer of squeue, as the default reader asks for it."""
    option = squeue.format_option(squeue.COLUMNS, field, record)
    return command.run(
        ["squeue", "-h", "-a", "-r"], settings=settings, env={"SQUEUE_FORMAT2": option}
    )


def parts(settings: SlurmSettings, runs: int) -> None:
    """Where the default reader's time goes: squeue itself, text to Jobs, Jobs to arrays."""
    field, record = squeue.draw_separators()
    text = printed(settings, field, record)
    rows, _ = squeue.split_rows(text, len(squeue.COLUMNS), field, record)
    jobs, _ = squeue.decode_rows(rows)
    steps: dict[str, Callable[[], object]] = {
        "squeue itself": lambda: printed(settings, field, record),
        "text to Jobs": lambda: squeue.decode_rows(
            squeue.split_rows(text, len(squeue.COLUMNS), field, record)[0]
        ),
        "Jobs to arrays": lambda: np.array(
            [(j.begin, j.submit, j.time_limit or -1, j.cpus, j.nodes, j.memory_mib) for j in jobs],
            dtype=np.int64,
        ),
    }
    for name, step in steps.items():
        seconds = []
        for _ in range(runs):
            began = time.perf_counter()
            step()
            seconds.append(time.perf_counter() - began)
        print(f"{name:>16}{statistics.median(seconds):>16.3f}{min(seconds):>16.3f}")


if __name__ == "__main__":
    main()
