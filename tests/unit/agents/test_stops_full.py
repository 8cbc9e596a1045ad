"""A cluster over 90 % full, half of it flexible: a window 40 % below, two slots' notice, requeue allowed."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import pytest

from flexlond.agents.window_ports import WindowOrder
from flexlond.model.job import JobState
from flexlond.model.settings import GridSettings, NodeType, PowerSettings, WindowSettings
from tests.unit.agents.conftest import START, Bench, replace_struct

if TYPE_CHECKING:
    from pathlib import Path

    from flexlond.model.settings import Settings

SLOT = 60
DELAY = 7200
FLEX = f"flex: max-delay={DELAY // 60} preempt=requeue"
WATTS, IDLE, CPUS = 100.0, 200.0, 64
BASE = 2 * IDLE / 1000


class Site:
    """Plain jobs come as plain ones end; flexible ones always wait."""

    def __init__(self, bench: Bench, seed: int) -> None:
        self.bench, self.random = bench, random.Random(seed)
        self.plain: list[int] = []
        self.flexible: list[int] = []
        self.kw: dict[int, list[float]] = {}

    def submit(self) -> None:
        jobs = self.bench.slurm.jobs
        alive = {job for job, one in jobs.items() if one.state is not JobState.ENDED}
        while len(alive & set(self.plain)) < CPUS // 8:
            self.plain.append(self._one(""))
            alive.add(self.plain[-1])
        waiting = [job for job in self.flexible if jobs[job].state is JobState.PENDING]
        for _ in range(4 - len(waiting)):
            self.flexible.append(self._one(FLEX))

    def _one(self, comment: str) -> int:
        minutes = self.random.randint(6, 20)
        job = self.bench.slurm.submit(comment, cpus=4, minutes=minutes)
        self.bench.slurm.runtime[job] = int(60 * minutes * self.random.uniform(0.4, 1.0))
        return job

    def power(self) -> float:
        used = sum(
            job.cpus for job in self.bench.slurm.jobs.values() if job.state is JobState.RUNNING
        )
        return BASE + used * WATTS / 1000

    async def live(self, until: int) -> None:
        slurm = self.bench.slurm
        while slurm.now < until:
            self.submit()
            await (self.bench.cycle() if slurm.now % 30 == 0 else self.bench.tick())
            for _ in range(2):
                self.kw.setdefault((slurm.now - START) // SLOT, []).append(self.power())
                slurm.advance(5, step=5)

    def mean(self, slot: int) -> float:
        return sum(self.kw[slot]) / len(self.kw[slot])


@pytest.mark.parametrize("seed", [1, 2, 3])
async def test_it_is_kept_within_five_percent_in_every_slot(
    tmp_path: Path, settings: Settings, seed: int
) -> None:
    bench = Bench(
        tmp_path / "store.db",
        replace_struct(
            settings,
            windows=WindowSettings(stop_running=True),
            grid=GridSettings(slot_seconds=SLOT, horizon_slots=90),
            planning=replace_struct(
                settings.planning, dual_steps=20, search_steps=20, margin_seconds=60
            ),
            power=PowerSettings(
                pue=1.0,
                node_types={
                    "default": NodeType(cpu_watts=WATTS, idle_watts=IDLE, cpus_per_node=CPUS // 2)
                },
            ),
        ),
        [100.0],
    )
    site = Site(bench, seed)
    await site.live(START + 12 * SLOT)
    before = sum(site.mean(slot) for slot in range(6, 12)) / 6
    assert before > 0.9 * (BASE + CPUS * WATTS / 1000)
    cap = 0.6 * before
    begin, end = START + 14 * SLOT, START + 20 * SLOT
    plain = {job: bench.slurm.jobs[job].begin for job in site.plain}
    order = WindowOrder(begin, end, cap, float("nan"), "alice")
    assert (await bench.agent.add_window(order, dry_run=False)).added
    await site.live(end + 4 * SLOT)
    slots = [round(site.mean(slot), 2) for slot in range(6, 24)]
    print(f"seed {seed}: cap {cap:.2f} kW in slots 14 to 19, by slot from 6 on: {slots}")
    assert all(site.mean(slot) <= 1.05 * cap for slot in range(14, 20)), slots
    assert all(effect.job_id in site.flexible for effect in bench.slurm.effects)
    assert all(bench.slurm.jobs[job].begin == at for job, at in plain.items())
    stopped = [one for one in bench.slurm.jobs.values() if one.restarts]
    assert stopped
    assert all(one.restarts == 1 for one in stopped)
    await site.live(end + 30 * SLOT)
    # Nobody began later than it had agreed to, and who was requeued runs again.
    records = bench.agent.actuator.records
    for job, at in bench.slurm.started.items():
        if job in records:
            assert at <= records[job].first_submit + DELAY
    for one in stopped:
        assert bench.slurm.jobs[one.job_id].state in {JobState.RUNNING, JobState.ENDED}
    bench.store.close()
