"""Small planning problems by hand."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from flexlond.model.timegrid import TimeGrid
from flexlond.planning.pools import Room
from flexlond.planning.problem import NEVER, Problem, Running
from tests.perf.planning_instances import instance

if TYPE_CHECKING:
    from collections.abc import Callable

SLOT = 1800
NOW = 1_790_000_000 // SLOT * SLOT  # a slot's start

HUNDRED = Room(
    resources=("nodes",),
    partitions=("batch",),
    capacity=np.array([[100.0]]),
    pool_group=np.zeros(1, np.int64),
    group_capacity=np.array([[100.0]]),
)
"""One partition of a hundred nodes."""

DEFAULTS: dict[str, tuple[Any, type]] = {
    "earliest": (0, np.int64),
    "latest": (NEVER, np.int64),
    "duration": (SLOT, np.float64),
    "tasks": (1, np.int64),
    "throttle": (0, np.int64),
    "kw": (1.0, np.float64),
    "pool": (0, np.int64),
    "movable": (True, np.bool_),
    "max_price": (np.nan, np.float64),
    "max_carbon": (np.nan, np.float64),
    "delay_weight": (0.0, np.float64),
    "current": (0, np.int64),
}


SIZED = (*DEFAULTS, "demand", "job_id")


def build(price: list[float], room: float = 4, **given: Any) -> Problem:
    """A problem of one pool with one resource; fields are scalars or one value per job."""
    slots = len(price)
    jobs = max((len(np.atleast_1d(v)) for k, v in given.items() if k in SIZED), default=1)
    arrays = {
        name: np.broadcast_to(np.asarray(given.pop(name, value), kind), (jobs,)).copy()
        for name, (value, kind) in DEFAULTS.items()
    }
    demand = np.asarray(given.pop("demand", [1.0] * jobs), np.float64)
    demand = demand.reshape(jobs, demand.size // max(1, jobs) if jobs else 1)
    capacity = np.asarray(given.pop("capacity", [[room]]), np.float64)
    job_id = np.asarray(given.pop("job_id", range(101, 101 + jobs)), np.int64)
    carbon = np.asarray(given.pop("carbon", [0.0] * slots), np.float64)
    now = given.pop("now", NOW)
    fields: dict[str, Any] = {
        "grid": given.pop("grid", TimeGrid.covering(now, SLOT, slots)),
        "now": now,
        "price": np.asarray(price, np.float64),
        "carbon": carbon,
        "job_id": job_id,
        "demand": demand,
        "order": np.asarray(given.pop("order", range(jobs)), np.int64),
        "capacity": capacity,
        "pool_group": np.asarray(given.pop("pool_group", range(len(capacity))), np.int64),
        "group_capacity": np.asarray(given.pop("group_capacity", capacity), np.float64),
        "running": given.pop("running", Running.none(*capacity.shape)),
    }
    if np.ndim(given.get("site_kw", [])) == 0:
        given["site_kw"] = np.full(slots, float(given["site_kw"]))
    return Problem(**fields, **arrays, **given)


@pytest.fixture(scope="session")
def make_problem() -> Callable[..., Problem]:
    return build


@pytest.fixture(scope="session")
def crowded() -> Callable[..., Problem]:
    """Jobs by seed that fill two thirds of the room: the generator of the measurements."""

    def made(seed: int, jobs: int = 150) -> Problem:
        return instance(jobs, 60, 0.65, seed=seed)

    return made
