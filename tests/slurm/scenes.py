"""What the tests of the running system share: a cluster with FlexLon acting on a short day.

A day of 10 s slots: dear now, cheap soon, dear again.
"""

from __future__ import annotations

import sqlite3
import subprocess
import time
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

SLOT = 10
HEARTBEAT = Path("/run/flexlon/heartbeat")
STORE = Path("/var/lib/flexlon/flexlond.db")
HELPER_STORE = Path("/var/lib/flexlon-helper/helper.db")
FLEX = "flex: max-delay=15:00"


def day(dear: int, cheap: int, total: int = 180) -> list[float]:
    """GBP/MWh by slot: `dear` slots at 200, `cheap` ones at 10, the rest at 200."""
    return [200.0] * dear + [10.0] * cheap + [200.0] * (total - dear - cheap)


def render_plugin() -> None:
    """`flexlond lua` as an admin runs it."""
    argv = ["/opt/flexlon/bin/flexlond", "lua", "--output", "/etc/slurm/job_submit.lua"]
    subprocess.run(argv, check=True, capture_output=True)


def _said(*argv: str) -> str:
    """What a command prints; "" when it fails."""
    return subprocess.run(argv, capture_output=True, text=True, check=False).stdout.strip()


def _controller_answers() -> bool:
    return "UP" in _said("scontrol", "ping")


@dataclass
class Scene:
    """FlexLon acting on the real cluster."""

    config: Callable[..., None]
    feeds: Callable[..., int]
    ctl: Callable[..., Any]
    wait_for: Callable[..., Any]
    sbatch: Callable[..., int]
    job: Callable[[int | str], Any]
    began: int = 0
    rendered: bool = False

    def act(
        self,
        prices: Sequence[float] | None = None,
        *,
        slot: int = SLOT,
        **tables: Mapping[str, Any],
    ) -> int:
        """Start both services in act mode on a fresh day and wait for the heartbeat.

        Nothing is learnt unless asked for: how long the jobs of earlier tests took would decide what fits here.
        """
        self.began = self.feeds(prices or day(4, 6), slot_seconds=slot)
        grid = {"slot_seconds": slot, "horizon_slots": 150}
        self.config(**{"grid": grid, "prediction": {"enabled": False}, **tables})
        self.wait_for(self.heart_beats, 40, what="flexlond has a fresh heartbeat")
        return self.began

    def render_plugin(self) -> None:
        """Install job_submit.lua for the configuration in force; the fixture puts it back."""
        self.rendered = True
        render_plugin()

    @staticmethod
    def heart_beats() -> bool:
        """The plugin would give a decision window now."""
        try:
            words = HEARTBEAT.read_text().split()
        except OSError:
            return False
        return len(words) == 2 and words[0] == "act" and int(words[1]) >= time.time()

    @staticmethod
    def answers() -> bool:
        """flexlond answers its admin socket."""
        argv = ["/opt/flexlon/bin/flexlonctl", "status", "--json"]
        return subprocess.run(argv, capture_output=True, check=False).returncode == 0

    @staticmethod
    def listed(*argv: str) -> list[str]:
        """The lines that a command prints."""
        return _said(*argv).splitlines()

    def line(self, job_id: int) -> dict[str, Any]:
        """The job's line of `flexlonctl jobs`; {} while it is not there."""
        lines: list[dict[str, Any]] = self.ctl("jobs")["jobs"]
        return next((line for line in lines if line["job_id"] == job_id), {})

    def held(self, job_id: int, timeout: float = 30) -> int:
        """Wait until our begin time is in force; returns it (epoch seconds)."""

        def begin() -> int:
            record = self.job(job_id)
            ahead = record.begin - int(time.time())
            return record.begin if record.state == "PENDING" and ahead > SLOT + 2 else 0

        found: int = self.wait_for(begin, timeout, what=f"job {job_id} has a begin time of ours")
        return found

    def cycles(self, count: int = 2) -> list[str]:
        """Wait for `count` whole cycles that begin after this call; their sentences."""
        return self.whole_cycles(count, since=time.time())

    def whole_cycles(self, count: int, since: float) -> list[str]:
        """The sentences of the first `count` cycles that began after `since` (epoch s) and read the queue.

        From the store, which has whole cycles only. The status also tells of ticks, of a cycle that was under
        way when slurmctld was killed, and of cycles without slurmctld ("changed nothing: ...").
        """

        def seen() -> list[str]:
            with closing(sqlite3.connect(f"file:{STORE}?mode=ro", uri=True)) as db:
                rows = db.execute("SELECT sentence FROM cycle WHERE at>? ORDER BY seq", (since,))
                found = [str(sentence) for (sentence,) in rows]
            return [sentence for sentence in found if "could not be read" not in sentence]

        what = f"{count} cycles that read the queue"
        self.wait_for(lambda: len(seen()) >= count, 30 + 30 * count, what=what)
        return seen()[:count]

    def crash(self, slurmctld: Any) -> None:
        """SIGKILL slurmctld (conftest.Service) and start it again; returns when it answers."""
        slurmctld.kill("KILL")
        slurmctld.start()
        self.wait_for(_controller_answers, 30, what="slurmctld answers again")

    def history(self, job_id: int) -> list[dict[str, Any]]:
        """What was done to the job, oldest first: at, verb, not_before, outcome, detail."""
        lines: list[dict[str, Any]] = self.ctl("explain", str(job_id))["history"]
        return lines

    def told(self, *job_ids: int) -> str:
        """All that is known of these jobs, for a test that fails."""
        nodes = _said("sinfo", "-h", "-N", "-O", "NodeList:20,StateComplete:40")
        told = [f"at {time.time():.1f}", f"status: {self.ctl('status')}", f"nodes: {nodes}"]
        for job_id in job_ids:
            told += [f"job {job_id}: {self.line(job_id)}"]
            told += [f"    {entry}" for entry in self.history(job_id)]
            told += [f"    {_said('scontrol', '-o', 'show', 'job', str(job_id))}"]
        return "\n".join(told)

    def broken_invariants(self) -> list[str]:
        """What the stores of daemon and helper say against the invariants, after a test."""
        if not STORE.exists():
            return []
        broken: list[str] = []
        with closing(sqlite3.connect(f"file:{STORE}?mode=ro", uri=True)) as db:
            intents = db.execute(
                "SELECT action_id, job_id, not_before, outcome, created, ended FROM intent"
            ).fetchall()
            touched = {row[0] for row in db.execute("SELECT job_id FROM job WHERE touched=1")}
        intended = {(row[1], row[2]) for row in intents}
        done = {row[1] for row in intents if row[3] in {"applied", "already-so"}}
        newest = max((row[4] for row in intents), default=0)
        broken += [f"I2: job {job} was touched without an applied intent" for job in touched - done]
        broken += [
            f"I2: intent {row[0]} of job {row[1]} never ended"
            for row in intents
            if row[3] in {None, "unknown"} and row[4] < newest - 60
        ]
        broken += [
            f"I2: intent {row[0]} ended before it began" for row in intents if 0 < row[5] < row[4]
        ]
        if HELPER_STORE.exists():
            with closing(sqlite3.connect(f"file:{HELPER_STORE}?mode=ro", uri=True)) as db:
                holds = db.execute("SELECT job_id, hold FROM jobs WHERE hold>0").fetchall()
            broken += [
                f"I2: the helper holds job {job} until {hold} without an intent of the daemon"
                for job, hold in holds
                if (job, hold) not in intended
            ]
        return broken
