"""The ramp cap on what the loop gives back (invariant I5), in virtual time."""

from __future__ import annotations

from typing import Any

from flexlond.model.action import Verb

FLEX = "flex: max-delay=8:00:00"


async def ramp_cap(bench: Any, kw: float) -> None:
    settings = bench.settings
    planning = {
        name: getattr(settings.planning, name) for name in settings.planning.__struct_fields__
    }
    capped = type(settings.planning)(**planning | {"ramp_kw_per_5min": kw})
    await bench.agent.reload(
        type(settings)(daemon=settings.daemon, signals=settings.signals, planning=capped)
    )


async def given_back(bench: Any) -> list[int]:
    """Four jobs of 12 kW held for the cheap hours that must now wait for room: the first cycle after that."""
    jobs = [bench.slurm.submit(f"{FLEX} power=10kW", cpus=1) for _ in range(4)]
    await bench.cycle()
    assert all(bench.begin(job) > bench.slurm.now + 3600 for job in jobs)
    bench.slurm.cpus = 64
    bench.slurm.submit(cpus=64, minutes=1200)
    bench.slurm.advance(30)
    await bench.cycle()
    return jobs


async def test_i5_jobs_that_the_plan_gives_back_go_as_the_ramp_cap_has_room(bench: Any) -> None:
    await ramp_cap(bench, 25.0)
    jobs = await given_back(bench)
    for _ in range(40):
        bench.slurm.advance(30)
        await bench.cycle()
    back = [one for one in bench.slurm.effects if one.verb is Verb.RELEASE]
    assert {one.job_id for one in back} == set(jobs)
    lines = bench.store.all_intents()
    at = [one.created for one in lines if one.action.verb is Verb.RELEASE]
    for first in at:
        assert 12.0 * sum(first <= other < first + 300 for other in at) <= 25.0


async def test_who_waits_for_room_under_the_ramp_cap_is_told_so(bench: Any) -> None:
    await ramp_cap(bench, 25.0)
    jobs = await given_back(bench)

    def told() -> list[int]:
        return [job for job in jobs if "the ramp cap has room" in bench.agent.explain(job).summary]

    held = [job for job in jobs if bench.begin(job) > bench.slurm.now]
    assert len(held) == 2
    assert told() == held
    for _ in range(20):
        bench.slurm.advance(30)
        await bench.cycle()
    assert told() == []


async def test_i5_without_a_ramp_cap_they_are_given_back_at_once(bench: Any) -> None:
    jobs = await given_back(bench)
    assert all(bench.begin(job) <= bench.slurm.now for job in jobs)


async def test_i5_a_latest_start_does_not_wait_for_the_ramp_cap(bench: Any) -> None:
    await ramp_cap(bench, 25.0)
    jobs = await given_back(bench)
    held = [job for job in jobs if bench.begin(job) > bench.slurm.now]
    assert held
    for job in held:
        bench.slurm.edit(job, comment="")
    await bench.cycle()
    assert all(bench.begin(job) <= bench.slurm.now for job in held)


async def test_i5_a_drain_keeps_the_ramp_cap(bench: Any) -> None:
    await ramp_cap(bench, 25.0)
    jobs = [bench.slurm.submit(f"{FLEX} power=10kW", cpus=1) for _ in range(4)]
    await bench.cycle()
    bench.slurm.cpus = 0
    released = []
    while True:
        drained = await bench.agent.drain()
        released += [bench.slurm.now] * drained.restored
        if drained.left == 0:
            break
        bench.slurm.advance(60)
    assert len(released) == len(jobs)
    for first in released:
        assert 12.0 * sum(first <= at < first + 300 for at in released) <= 25.0
