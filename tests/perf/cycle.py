"""Time of whole cycles of the daemon with a long queue; run: python -m tests.perf.cycle [JOBS...]

One line per queue and cycle: wall and processor seconds of the cycle (reading apart: the queue is handed over
as it is), of its plan alone, and what it changed.
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
import time
from pathlib import Path

from tests.unit.agents.conftest import Bench
from tests.unit.agents.deep_queue import PRICE, acting, filled


async def measure(jobs: int) -> None:
    """Print three cycles half a minute apart."""
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(Path(folder) / "store.db", acting(), PRICE)
        filled(bench, jobs)
        for number in range(1, 4):
            wall, cpu, effects = time.perf_counter(), time.process_time(), len(bench.slurm.effects)
            said = await bench.cycle()
            wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
            took = f"{wall:6.2f} {cpu:6.2f} s | plan {bench.agent.plan_seconds:5.2f} s"
            changed = len(bench.slurm.effects) - effects
            print(f"{jobs:6} | cycle {number} {took} | changed {changed:5} | {said}")
            bench.slurm.advance(30)
        bench.store.close()


if __name__ == "__main__":
    for size in [int(word) for word in sys.argv[1:]] or [1_000, 10_000]:
        asyncio.run(measure(size))
