"""Time of whole cycles of the daemon with a long queue; run: python -m tests.perf.cycle [JOBS...]

One line per queue and cycle: wall and processor seconds of the cycle (reading apart: the queue is handed over
as it is), of planning inside it, and what it changed. 60 % of the jobs agree; half of all may
begin at once, the others in the next day.
"""

from __future__ import annotations

import asyncio
import math
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from flexlond.agents import planning_step
from flexlond.model.settings import Feed, Settings
from tests.unit.agents.conftest import Bench, replace_struct

PRICE = [80 + 35 * math.sin(slot / 48 * 2 * math.pi) for slot in range(48)]
DURATIONS = [30, 60, 120, 240, 360, 480, 720]  # minutes
LOAD = 0.75  # of the cluster over two days


def settings() -> Settings:
    """As shipped, but acting and with a feed."""
    base = Settings()
    return Settings(
        daemon=replace_struct(base.daemon, mode="act"),
        signals=replace_struct(base.signals, price=(Feed(source="csv", path="/nowhere"),)),
    )


def filled(bench: Bench, jobs: int, seed: int = 1) -> None:
    """Submit `jobs`, of 1 to 64 processors."""
    rng = np.random.default_rng(seed)
    minutes, cpus = rng.choice(DURATIONS, jobs), 2 ** rng.integers(0, 7, jobs)
    bench.slurm.cpus = max(64, int((minutes * cpus).sum() / (48 * 60) / LOAD))
    for at in range(jobs):
        later = int(rng.integers(0, 24)) * int(rng.random() < 0.5)  # hours
        hours = later + int(rng.integers(2, 25)) + int(minutes[at]) // 60 + 1
        comment = f"flex: deadline=now+{hours}hours" if rng.random() < 0.6 else ""
        user = f"user{int(rng.integers(0, 200))}"
        begin = bench.slurm.now + later * 3600
        size = {"cpus": int(cpus[at]), "minutes": int(minutes[at])}
        job = bench.slurm.submit(comment, **size, user=user, begin=begin)
        bench.slurm.edit(job, priority=100_000 - at)


async def measure(jobs: int) -> None:
    """Print three cycles half a minute apart."""
    spent: list[float] = []
    plan = planning_step.plan

    def timed(*given: object, **more: object) -> object:
        began = time.perf_counter()
        try:
            return plan(*given, **more)  # type: ignore[arg-type]
        finally:
            spent.append(time.perf_counter() - began)

    planning_step.plan = timed  # type: ignore[assignment]
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(Path(folder) / "store.db", settings(), PRICE)
        filled(bench, jobs)
        for number in range(1, 4):
            spent.clear()
            wall, cpu, effects = time.perf_counter(), time.process_time(), len(bench.slurm.effects)
            said = await bench.cycle()
            wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
            changed = len(bench.slurm.effects) - effects
            planned = f"{len(spent)} plans {sum(spent):5.2f} s"
            print(
                f"{jobs:6} | cycle {number} {wall:6.2f} {cpu:6.2f} s | {planned} | changed {changed:5} | {said}"
            )
            bench.slurm.now += 30
        bench.store.close()
    planning_step.plan = plan


if __name__ == "__main__":
    for size in [int(word) for word in sys.argv[1:]] or [1_000, 10_000]:
        asyncio.run(measure(size))
