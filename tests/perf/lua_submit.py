#!/usr/bin/env python3
"""slurmctld's own time per submission: without a plugin, with a trivial one, with ours.

Run as root in the controller of a test cluster (docker/cluster): it rewrites slurm.conf and job_submit.lua,
restarts slurmctld (first in line for a core, state in memory) and puts everything back. A block of 500
submissions is made of 10 pieces; pieces with different scripts take turns in one slurmctld (only "none" needs
a restart), so that a busy machine hits all alike. A piece's figure is the increase of sdiag's total time over
that of its count for REQUEST_SUBMIT_BATCH_JOB, in microseconds; a block's is the median of its pieces, so that
one stall of the machine does not count. Jobs are submitted held, from an empty queue.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import statistics
import subprocess
import sys
import time
from pathlib import Path

from flexlond.daemon.lua import render
from flexlond.model.settings import DaemonSettings, Settings

WITH_DIRECTIVE_BAR = 250.0  # us above no plugin
WITHOUT_DIRECTIVE_BAR = 60.0  # us above a trivial script
TRIVIAL = """function slurm_job_submit(job_desc, part_list, submit_uid) return slurm.SUCCESS end
function slurm_job_modify(job_desc, job_rec, part_list, modify_uid) return slurm.SUCCESS end
return slurm.SUCCESS
"""
COMMENT = "flex: deadline=now+8hours power=350W/node max-price=80"
PIECES = 10
HEARTBEAT = Path("/run/flexlon-perf-heartbeat")
STATE = Path("/run/flexlon-perf-state")
LUA = ("trivial", "ours", "directive")
MODES = ("none", *LUA)
UP = re.compile(r"primary\).* is UP")
REQUEST = re.compile(
    r"REQUEST_SUBMIT_BATCH_JOB\s*\(\s*\d+\)\s*count:(\d+)\s+ave_time:\d+\s+total_time:(\d+)"
)


def run(*argv: str) -> str:
    """A command's output; its failure ends the measurement."""
    return subprocess.run(argv, capture_output=True, text=True, check=True).stdout


def totals() -> tuple[int, int]:
    """Submissions so far and their microseconds."""
    found = REQUEST.search(run("sdiag"))
    return (int(found[1]), int(found[2])) if found else (0, 0)


def controller_is_up() -> None:
    """Wait until slurmctld answers."""
    until = time.monotonic() + 60
    while (
        "UP"
        not in subprocess.run(
            ["scontrol", "ping"], capture_output=True, text=True, check=False
        ).stdout
    ):
        if time.monotonic() > until:
            sys.exit("slurmctld does not answer; see journalctl -u slurmctld")
        time.sleep(0.1)


class Bench:
    """The cluster's files before, and one block of submissions after another."""

    def __init__(self, folder: Path, user: str, count: int) -> None:
        self.conf, self.plugin = folder / "slurm.conf", folder / "job_submit.lua"
        self.before = {path: path.read_text() for path in (self.conf, self.plugin) if path.exists()}
        self.user, self.count, self.blocks = user, count, 0
        self.dated = int(time.time())
        self.ours = render(Settings(daemon=DaemonSettings(heartbeat_file=str(HEARTBEAT))))

    def install(self, mode: str) -> None:
        """slurmctld with this mode's plugin."""
        ours = ("JobSubmitPlugins", "StateSaveLocation", "FirstJobId")
        lines = [line for line in self.before[self.conf].splitlines() if not line.startswith(ours)]
        run("systemctl", "stop", "slurmctld")
        # A fresh state in memory: the disk is not measured either. No job id is used twice.
        self.blocks += 1
        shutil.rmtree(STATE, ignore_errors=True)
        STATE.mkdir(mode=0o755)
        shutil.chown(STATE, "slurm", "slurm")
        lines += [f"StateSaveLocation={STATE}", f"FirstJobId={1_000_000 + 2000 * self.blocks}"]
        if mode != "none":
            lines.append("JobSubmitPlugins=lua")
        self.conf.write_text("\n".join(lines) + "\n")
        self.plugin.write_text(TRIVIAL if mode in {"none", "trivial"} else self.ours)
        run("systemctl", "start", "slurmctld")
        controller_is_up()
        # First in line for a core: what else the machine does is not slurmctld's own time.
        pid = run("systemctl", "show", "-P", "MainPID", "slurmctld").strip()
        if subprocess.run(
            ["chrt", "-a", "-f", "-p", "10", pid], capture_output=True, check=False
        ).returncode:
            for task in Path(f"/proc/{pid}/task").iterdir():
                subprocess.run(
                    ["renice", "-n", "-20", "-p", task.name], capture_output=True, check=False
                )

    def submit(self, count: int, comment: str) -> None:
        """`count` held jobs, one sbatch after another."""
        sbatch = 'sbatch -Q -H -t 60 --comment="$1" "$2" || exit 1'
        loop = f"i=0; while [ $i -lt {count} ]; do {sbatch}; i=$((i+1)); done"
        run(
            "runuser",
            "-u",
            self.user,
            "--",
            "sh",
            "-c",
            f"cd /tmp; {loop}",
            "sh",
            comment,
            str(self.script()),
        )

    def script(self) -> Path:
        """The batch script: a small one, as most are."""
        path = Path("/tmp/flexlon-perf.sh")  # noqa: S108 - a container's own
        if not path.exists():
            path.write_text("#!/bin/sh\n" + "# padding of a usual batch script\n" * 30 + "true\n")
            path.chmod(0o755)
        return path

    def swap(self, mode: str) -> None:
        """Another script for the running slurmctld, which compares whole seconds of the file's time."""
        self.plugin.write_text(TRIVIAL if mode == "trivial" else self.ours)
        self.dated += 1
        os.utime(self.plugin, (self.dated, self.dated))

    def piece(self, mode: str) -> float:
        """Microseconds of slurmctld per submission."""
        comment = COMMENT if mode == "directive" else "an ordinary comment"
        self.submit(2, comment)
        count, spent = totals()
        HEARTBEAT.write_text(f"act {int(time.time()) + 600}\n")
        self.submit(self.count // PIECES, comment)
        after, spent_after = totals()
        if after - count != self.count // PIECES:
            sys.exit(
                f"sdiag counted {after - count} submissions too many or few; is another user at work?"
            )
        return (spent_after - spent) / (after - count)

    def block(self, turn: int) -> dict[str, float]:
        """One block of each mode."""
        pieces: dict[str, list[float]] = {mode: [] for mode in MODES}
        for start in (("none",), LUA) if turn % 2 else (LUA, ("none",)):
            self.install(start[0])
            self.submit(20, COMMENT)
            for number in range(PIECES):
                first = (number + turn) % len(start)
                for mode in start[first:] + start[:first]:
                    if mode != "none":
                        self.swap(mode)
                    pieces[mode].append(self.piece(mode))
            run("scancel", "-u", self.user)
        return {mode: statistics.median(values) for mode, values in pieces.items()}

    def restore(self) -> None:
        """The cluster as it was."""
        for path, text in self.before.items():
            path.write_text(text)
        if self.plugin not in self.before:
            self.plugin.unlink(missing_ok=True)
        HEARTBEAT.unlink(missing_ok=True)
        shutil.rmtree(STATE, ignore_errors=True)
        run("systemctl", "restart", "slurmctld")
        controller_is_up()


def median_with_interval(values: list[float]) -> tuple[float, float, float]:
    """Median and its distribution-free interval (for 10 blocks the 2nd and 9th: 97.9 %)."""
    ordered = sorted(values)
    skip = max(0, len(ordered) // 5 - 1)
    return statistics.median(ordered), ordered[skip], ordered[-1 - skip]


def main() -> int:
    """Measure, print, compare with the bars."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--blocks", type=int, default=10)
    parser.add_argument("--count", type=int, default=500)
    parser.add_argument("--user", default="alice")
    parser.add_argument("--conf-dir", type=Path, default=Path("/etc/slurm"))
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    if not shutil.which("sdiag"):
        sys.exit("sdiag is not installed: run this in the controller of a test cluster")
    bench = Bench(options.conf_dir, options.user, options.count)
    figures: dict[str, list[float]] = {mode: [] for mode in MODES}
    try:
        for number in range(options.blocks):
            for mode, figure in bench.block(number).items():
                figures[mode].append(figure)
            print(
                f"round {number + 1}: "
                + "  ".join(f"{mode} {figures[mode][-1]:.0f}" for mode in MODES),
                flush=True,
            )
    finally:
        bench.restore()
    return report(figures, options.count, options.json)


def report(figures: dict[str, list[float]], count: int, output: Path | None) -> int:
    """Print medians with intervals, and say whether the bars are met."""
    version = run("scontrol", "-V").split()[1]
    print(
        f"Slurm {version}, {len(figures['none'])} interleaved blocks of {count}, us of slurmctld per submission"
    )
    for mode in MODES:
        print(
            "  {:<10} median {:6.0f}  [{:.0f}, {:.0f}]".format(
                mode, *median_with_interval(figures[mode])
            )
        )
    met = True
    result: dict[str, object] = {"slurm": version, "count": count, "blocks": figures}
    for what, mode, base, bar in (
        ("trivial script above no plugin", "trivial", "none", 0.0),
        ("ours without directive above trivial", "ours", "trivial", WITHOUT_DIRECTIVE_BAR),
        ("ours with directive above no plugin", "directive", "none", WITH_DIRECTIVE_BAR),
        ("ours with directive above trivial", "directive", "trivial", 0.0),
    ):
        pairs = [a - b for a, b in zip(figures[mode], figures[base], strict=True)]
        middle, low, high = median_with_interval(pairs)
        ratio = statistics.median(figures[mode]) / statistics.median(figures[base])
        verdict = f"  bar {bar:.0f}: {'met' if middle <= bar else 'MISSED'}" if bar else ""
        print(f"  {what}: {middle:+.0f} [{low:+.0f}, {high:+.0f}], ratio {ratio:.3f}{verdict}")
        met = met and (not bar or middle <= bar)
        result[what] = {"median": middle, "low": low, "high": high, "ratio": ratio}
    if output:
        output.write_text(json.dumps(result, indent=1) + "\n")
    return 0 if met else 1


if __name__ == "__main__":
    sys.exit(main())
