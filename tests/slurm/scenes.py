"""What the tests of the running system share: a cluster with FlexLon acting on a short day.

Imported by path through conftest's `scene` fixture; a day of 10 s slots: dear now, cheap soon, dear again.
"""

from __future__ import annotations

import sqlite3
import subprocess
import time
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
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
        """Start both services in act mode on a fresh day and wait for the heartbeat."""
        self.began = self.feeds(prices or day(4, 6), slot_seconds=slot)
        grid = {"slot_seconds": slot, "horizon_slots": 150}
        self.config(**{"grid": grid, **tables})
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

    def cycles(self, count: int = 2) -> None:
        """Wait for `count` further complete cycles of the daemon."""
        for _ in range(count):
            last = self.ctl("status")["last_cycle_at"]
            self.wait_for(lambda last=last: self.ctl("status")["last_cycle_at"] != last, 40)

    def whole_cycles(self, count: int, since: float) -> list[str]:
        """The sentences of the first `count` cycles after `since` (epoch s) in which the queue was read.

        A cycle without slurmctld ends with a sentence as well, and one may be under way at any moment.
        """
        seen: dict[str, str] = {}

        def enough() -> bool:
            status = self.ctl("status")
            at, sentence = status["last_cycle_at"], status["last_cycle"]
            late = bool(at) and datetime.fromisoformat(at).timestamp() > since
            if late and "could not be read" not in sentence:
                seen.setdefault(at, sentence)
            return len(seen) >= count

        self.wait_for(enough, 30 + 30 * count, what=f"{count} cycles that read the queue")
        return list(seen.values())

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
