"""Never late (bar 3): the same workload in observe and in act; no job late in act that was not in observe.

FLEXLON_JOBS (30) and FLEXLON_SEEDS (1) widen it; the bar's own run is FLEXLON_JOBS=240 FLEXLON_SEEDS=5.
Lateness is judged from sacct and the workload's own promises, never from what FlexLon says.
"""

from __future__ import annotations

import os
import random
import subprocess
import time
from dataclasses import dataclass
from typing import Any

import pytest

pytestmark = pytest.mark.slurm

JOBS = int(os.environ.get("FLEXLON_JOBS", "30"))
# "3" runs the first three seeds, "3-5" seeds 3 and 4.
SEEDS = os.environ.get("FLEXLON_SEEDS", "1")
USERS = ("alice", "bob", "carol")
SPREAD = 0.6  # seconds between submissions, on average
SLOT = 10
LARGE = 100  # from here on the slacks are long and the load is real; below, the run is short


@dataclass(frozen=True)
class Order:
    """One sbatch: when, who, how, and what was promised (seconds after submission; 0: nothing)."""

    at: float
    user: str
    words: tuple[str, ...]
    run: int
    start_by: int = 0
    finish_by: int = 0
    after: int = -1  # index of the order it depends on


def workload(seed: int, count: int) -> list[Order]:
    """All kinds: each directive key, arrays, chains, GPUs, Slurm's own deadline, plain jobs between."""
    rng = random.Random(seed)
    orders: list[Order] = []
    at = 0.0
    for n in range(count):
        at += rng.expovariate(1.0 / SPREAD)
        user = rng.choice(USERS)
        run = rng.choice((2, 5, 10, 20, 30))
        words = ["-t1", f"-c{rng.choice((1, 1, 2, 4, 8))}"]
        slack = rng.choice((120, 180, 240, 300) if count >= LARGE else (75, 90, 120))
        kind = rng.choice(
            (
                "max-delay",
                "deadline",
                "start-by",
                "latency",
                "class",
                "slurm",
                "array",
                "gpu",
                "chain",
                "limits",
                "plain",
            )
        )
        minutes = f"{slack // 60}:{slack % 60:02d}"
        promise: dict[str, int] = {"start_by": slack}
        comment = {
            "start-by": f"flex: start-by=now+{slack}seconds",
            "latency": f"flex: latency={minutes} max-delay=20:00",
        }.get(kind, f"flex: max-delay={minutes}")
        if kind == "deadline":
            comment = f"flex: deadline=now+{slack + 90}seconds"
            promise = {"finish_by": slack + 90}
        elif kind == "class":
            comment, promise = "flex: class=urgent", {"start_by": 90}
        elif kind == "slurm":
            words.append(f"--deadline=now+{slack + 60}seconds")
            comment, promise = "flex: max-delay=20:00", {"finish_by": slack + 60}
        elif kind == "array":
            words.append(f"--array=0-{rng.randrange(2, 6)}%{rng.randrange(2, 4)}")
            comment = f"flex: deadline=now+{slack + 240}seconds"
            promise = {"finish_by": slack + 240}
        elif kind == "gpu":
            words.append(f"--gres=gpu:{rng.choice((1, 2))}")
        elif kind == "limits":
            comment += " max-price=50 max-carbon=150"
        elif kind == "plain":
            comment, promise = "", {}
        after = -1
        if kind == "chain" and n:
            after = n - 1
            comment, promise = (
                f"flex: deadline=now+{2 * slack + 60}seconds",
                {"finish_by": 2 * slack + 60},
            )
        if comment:
            words.append(f"--comment={comment}")
        orders.append(Order(at, user, tuple(words), run, after=after, **promise))
    return orders


def submit(scene: Any, orders: list[Order]) -> list[int]:
    began = time.monotonic()
    ids: list[int] = []
    for order in orders:
        time.sleep(max(0.0, began + order.at - time.monotonic()))
        words = order.words
        if order.after >= 0:
            words += (f"--dependency=afterany:{ids[order.after]}",)
        ids.append(scene.sbatch(order.user, *words, wrap=f"sleep {order.run}"))
    return ids


def late(scene: Any, orders: list[Order], ids: list[int]) -> dict[int, str]:
    """Index of each order that broke its promise, with how, from sacct."""
    queue = ["squeue", "-h", "-a", "-t", "PD,CF,R,CG", "-o", "%A"]
    scene.wait_for(
        lambda: (
            not subprocess.run(queue, capture_output=True, text=True, check=True).stdout.split()
        ),
        900,
        what="the queue is empty",
    )
    time.sleep(3)  # slurmctld tells slurmdbd once a second
    env = os.environ | {"TZ": "UTC", "SLURM_TIME_FORMAT": "%s"}
    argv = ["sacct", "-X", "-n", "-P", "-a", "-S", "now-1hours", "-j", ",".join(map(str, ids))]
    argv += ["-o", "JobID,Submit,Start,End,State"]
    rows = subprocess.run(argv, env=env, capture_output=True, text=True, check=True).stdout
    found: dict[int, str] = {}
    for row in rows.splitlines():
        name, submitted, start, end, state = row.split("|")
        index = ids.index(int(name.split("_")[0]))
        order = orders[index]
        if state.startswith("DEADLINE"):
            found[index] = "ended by Slurm's --deadline"
            continue
        assert state == "COMPLETED", row
        if order.start_by and int(start) > int(submitted) + order.start_by:
            found[index] = f"started {int(start) - int(submitted)} s after submission"
        if order.finish_by and int(end) > int(submitted) + order.finish_by:
            found[index] = f"ended {int(end) - int(submitted)} s after submission"
    return found


def seeds() -> range:
    first, _, last = SEEDS.rpartition("-")
    return range(int(first or 0), int(last))


@pytest.mark.parametrize("seed", seeds())
def test_no_job_is_late_in_act_that_was_not_in_observe(scene: Any, seed: int) -> None:
    orders = workload(seed, JOBS)
    annotated = sum(any("flex:" in word for word in order.words) for order in orders)
    rng = random.Random(seed + 1000)
    prices = [rng.choice((20.0, 60.0, 120.0, 250.0)) for _ in range(30) for _ in range(6)]
    tables = {
        "planning": {"margin_seconds": 20, "default_queue_wait": 10},
        "directive": {
            "default_class": "standard",
            "classes": {"standard": {"max_delay": "5:00"}, "urgent": {"max_delay": "1:30"}},
        },
    }
    outcome: dict[str, dict[int, str]] = {}
    for mode in ("observe", "act"):
        scene.feeds(prices, slot_seconds=SLOT)
        grid = {"slot_seconds": SLOT, "horizon_slots": 90}
        scene.config(daemon={"mode": mode}, grid=grid, **tables)
        scene.render_plugin()
        scene.wait_for(lambda: scene.ctl("status")["last_cycle_at"], 40)
        ids = submit(scene, orders)
        touched = {line["job_id"] for line in scene.ctl("jobs")["jobs"] if line["touched"]}
        outcome[mode] = late(scene, orders, ids)
        print(
            f"seed {seed} {mode}: {JOBS} jobs, {annotated} annotated, {len(touched)} held at the end of"
            f" submission, late: {outcome[mode] or 'none'}"
        )
        if mode == "act":
            assert touched, "nothing was deferred: the comparison would show nothing"
    worse = {n: why for n, why in outcome["act"].items() if n not in outcome["observe"]}
    assert not worse, {n: (orders[n], why) for n, why in worse.items()}
