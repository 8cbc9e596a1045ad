"""A long queue by seed on the simulated Slurm: more than the cluster starts in time, half of it for later."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from flexlond.model.settings import Feed, Settings
from tests.unit.agents.conftest import replace_struct

if TYPE_CHECKING:
    from tests.unit.agents.conftest import Bench

PRICE = [80 + 35 * math.sin(slot / 48 * 2 * math.pi) for slot in range(48)]
DURATIONS = [30, 60, 120, 240, 360, 480, 720]  # minutes
LOAD = 0.75  # of the cluster over two days


def acting(**planning: Any) -> Settings:
    """As shipped, but acting, with a feed, and with `planning` changed."""
    base = Settings()
    return Settings(
        daemon=replace_struct(base.daemon, mode="act"),
        signals=replace_struct(base.signals, price=(Feed(source="csv", path="/nowhere"),)),
        planning=replace_struct(base.planning, **planning),
    )


def filled(bench: Bench, jobs: int, seed: int = 1) -> None:
    """Submit `jobs` of 1 to 64 processors, of which 60 % agree."""
    rng = np.random.default_rng(seed)
    minutes, cpus = rng.choice(DURATIONS, jobs), 2 ** rng.integers(0, 7, jobs)
    bench.slurm.cpus = max(64, int((minutes * cpus).sum() / (48 * 60) / LOAD))
    for at in range(jobs):
        later = int(rng.integers(0, 24)) * int(rng.random() < 0.5)  # hours
        hours = later + int(rng.integers(2, 25)) + int(minutes[at]) // 60 + 1
        bench.slurm.submit(
            f"flex: deadline=now+{hours}hours" if rng.random() < 0.6 else "",
            cpus=int(cpus[at]),
            minutes=int(minutes[at]),
            user=f"user{int(rng.integers(0, 200))}",
            begin=bench.slurm.now + later * 3600,
            priority=100_000 - at,
        )
