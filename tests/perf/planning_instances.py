"""Synthetic planning problems by seed, for the measurements in tests/perf."""

from __future__ import annotations

import numpy as np

from flexlond.model.timegrid import TimeGrid
from flexlond.planning.delay import MeanJob
from flexlond.planning.problem import NEVER, Problem, Running

SLOT = 1800


def instance(jobs: int, slots: int, load: float, seed: int = 1, movable: float = 0.6) -> Problem:
    """`jobs` pending jobs that fill `load` of one pool's node-hours over the horizon.

    Durations 1 to 24 slots, 1 to 64 nodes, half the jobs eligible now and the rest over the first half of
    the horizon; latest starts up to 24 h after eligibility. Price and carbon follow a daily shape.
    """
    rng = np.random.default_rng(seed)
    now = 1_790_000_000 // SLOT * SLOT + 617
    grid = TimeGrid.covering(now, SLOT, slots)
    duration = rng.choice([1, 2, 4, 8, 12, 16, 24], jobs).astype(np.float64) * SLOT
    nodes = 2.0 ** rng.integers(0, 7, jobs)
    room = float(np.ceil((duration * nodes).sum() / SLOT / (slots * load)))
    later = rng.random(jobs) < 0.5
    earliest = np.where(later, now + rng.integers(0, slots * SLOT // 2, jobs), now)
    consent = rng.random(jobs) < movable
    latest = np.where(consent, earliest + rng.integers(2, 49, jobs) * SLOT, NEVER)
    hour = np.arange(slots) / 2.0
    noise = rng.normal(0, 1, slots)
    none, kw, mean = np.full(jobs, np.nan), nodes * 0.5, MeanJob()
    mean.see(range(jobs), kw * duration / 3600.0, np.ones(jobs))
    capacity = np.array([[max(room, 64.0)]])
    return Problem(
        grid=grid,
        now=now,
        price=80 + 35 * np.sin(hour / 24 * 2 * np.pi) + 8 * noise,
        carbon=180 + 70 * np.sin(hour / 24 * 2 * np.pi + 0.5) + 15 * noise,
        job_id=np.arange(1000, 1000 + jobs),
        earliest=earliest,
        latest=latest,
        duration=duration,
        tasks=np.ones(jobs, np.int64),
        throttle=np.zeros(jobs, np.int64),
        kw=kw,
        demand=nodes[:, None],
        pool=np.zeros(jobs, np.int64),
        movable=consent,
        order=np.arange(jobs),
        max_price=none,
        max_carbon=none,
        delay_weight=mean.weights(np.ones(jobs), kw),
        current=np.zeros(jobs, np.int64),
        capacity=capacity,
        pool_group=np.zeros(1, np.int64),
        group_capacity=capacity,
        running=Running.none(1, 1),
    )
