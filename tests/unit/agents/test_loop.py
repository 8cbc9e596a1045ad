"""The loop in virtual time: what it does where nothing fails, as far as that needs no real slurmctld."""

from __future__ import annotations

from typing import Any

import pytest

from flexlond.model.action import Verb
from flexlond.model.job import JobState

SIX_SLOTS = 6 * 1800
FLEX = "flex: max-delay=8:00:00"


async def test_an_annotated_job_waits_for_the_cheap_hours(bench: Any) -> None:
    job = bench.slurm.submit(FLEX)
    sentence = await bench.cycle()
    assert SIX_SLOTS <= bench.begin(job) - bench.slurm.now < SIX_SLOTS + 4 * 1800
    assert sentence.startswith("changed 1 job")


async def test_a_plain_job_is_never_touched(bench: Any) -> None:
    job = bench.slurm.submit("just a comment")
    before = bench.slurm.jobs[job]
    await bench.cycle()
    assert bench.slurm.jobs[job] == before
    assert bench.slurm.effects == []


async def first_in_the_way(bench: Any, comment: str) -> tuple[int, int]:
    """Half of the CPUs run for ten hours; one that needs more stands before one that fits, for twelve."""
    bench.slurm.strict = True
    bench.slurm.submit(cpus=32, minutes=600)
    bench.slurm.advance(10)
    first = bench.slurm.submit(comment, cpus=48, minutes=60)
    fits = bench.slurm.submit(cpus=32, minutes=720)
    bench.slurm.advance(60)
    await bench.cycle()
    bench.slurm.advance(30)
    return first, fits


async def test_who_stands_first_and_has_time_steps_aside_for_minutes(bench: Any) -> None:
    first, fits = await first_in_the_way(bench, "flex: max-delay=20:00:00")
    assert fits in bench.slurm.started
    holds = [one for one in bench.slurm.effects if one.verb is Verb.HOLD_UNTIL]
    assert [(one.job_id, one.not_before <= bench.slurm.now + 300) for one in holds] == [
        (first, True)
    ]
    assert holds[0].reason == "steps aside for jobs that fit now"
    promised = bench.slurm.jobs[first].submit + 20 * 3600
    while first not in bench.slurm.started:
        await bench.cycle()
        bench.slurm.advance(600)
        assert bench.slurm.now < promised
    # Nobody else was in want of room: it was held once.
    assert [one.verb for one in bench.slurm.effects if one.job_id == first].count(
        Verb.HOLD_UNTIL
    ) == 1


@pytest.mark.parametrize("comment", ["", "flex: max-delay=11:00:00"])
async def test_without_consent_or_without_time_it_keeps_its_place(bench: Any, comment: str) -> None:
    first, fits = await first_in_the_way(bench, comment)
    assert bench.slurm.effects == []
    assert fits not in bench.slurm.started
    assert bench.slurm.jobs[first].state is JobState.PENDING


async def test_observe_mode_plans_and_touches_nothing(bench: Any) -> None:
    settings = bench.settings
    daemon = type(settings.daemon)(mode="observe")
    await bench.agent.reload(
        type(settings)(daemon=daemon, signals=settings.signals, planning=settings.planning)
    )
    job = bench.slurm.submit(FLEX)
    sentence = await bench.cycle()
    assert bench.slurm.effects == []
    assert "observe mode" in sentence
    view = next(v for v in bench.agent.jobs() if v.job_id == job)
    assert view.planned_start > bench.slurm.now
    assert not view.held_by_us


async def test_a_second_cycle_changes_nothing(bench: Any) -> None:
    bench.slurm.submit(FLEX)
    await bench.cycle()
    done = len(bench.slurm.effects)
    for _ in range(20):
        bench.slurm.advance(30)
        await bench.cycle()
    assert len(bench.slurm.effects) == done


async def test_the_tick_places_a_new_job_before_the_next_cycle(bench: Any) -> None:
    await bench.cycle()
    job = bench.slurm.submit(FLEX)
    await bench.tick()
    assert bench.begin(job) > bench.slurm.now


async def test_taking_the_directive_away_releases_the_job(bench: Any) -> None:
    job = bench.slurm.submit(FLEX)
    await bench.cycle()
    bench.slurm.edit(job, comment="")
    await bench.cycle()
    assert bench.begin(job) <= bench.slurm.now
    assert bench.slurm.effects[-1].verb is Verb.RELEASE


async def test_a_shortened_time_to_the_deadline_moves_the_hold_forward(bench: Any) -> None:
    job = bench.slurm.submit(FLEX, minutes=30)
    await bench.cycle()
    deadline = bench.begin(job) - 600
    bench.slurm.edit(job, deadline=deadline)
    await bench.cycle()
    assert bench.begin(job) <= deadline - 1800


async def test_drain_restores_the_users_own_begin(bench: Any) -> None:
    own = bench.slurm.now + 600
    with_begin = bench.slurm.submit(FLEX, begin=own)
    without = bench.slurm.submit(FLEX)
    await bench.cycle()
    assert bench.begin(with_begin) > own
    drained = await bench.agent.drain()
    assert (drained.restored, drained.left) == (2, 0)
    assert bench.begin(with_begin) == own
    assert bench.begin(without) <= bench.slurm.now
    await bench.cycle()
    assert bench.begin(with_begin) == own


async def test_a_job_with_a_begin_of_its_own_is_given_back_once(bench: Any) -> None:
    own = bench.slurm.now + 600
    job = bench.slurm.submit(FLEX, begin=own)
    await bench.cycle()
    assert bench.begin(job) > own
    bench.hub.price = [20.0] * 6 + [200.0] * 42  # nothing to wait for any more
    for _ in range(4):
        await bench.cycle()
        bench.slurm.advance(30)
    sent = [one.verb for one in bench.slurm.effects if one.job_id == job]
    assert sent == [Verb.HOLD_UNTIL, Verb.RELEASE]
    assert bench.begin(job) == own


async def test_rule_3_the_users_own_begin_is_never_shortened(bench: Any) -> None:
    own = bench.slurm.now + 9 * 1800
    job = bench.slurm.submit(FLEX, begin=own)
    for _ in range(10):
        await bench.cycle()
        bench.slurm.advance(60)
        assert bench.begin(job) >= own


async def test_pause_changes_nothing_and_resume_goes_on(bench: Any) -> None:
    await bench.agent.pause()
    job = bench.slurm.submit(FLEX)
    sentence = await bench.cycle()
    assert "paused" in sentence
    assert bench.slurm.effects == []
    bench.restart()
    assert bench.agent.paused
    await bench.agent.resume()
    await bench.cycle()
    assert bench.begin(job) > bench.slurm.now


async def test_release_by_the_owner_is_for_good(bench: Any) -> None:
    job = bench.slurm.submit(FLEX)
    await bench.cycle()
    bench.slurm.cpus = 0
    (answer,) = await bench.agent.release([job], uid=1000, operator=False)
    assert answer.released
    for _ in range(3):
        bench.slurm.advance(30)
        await bench.cycle()
    assert bench.begin(job) <= bench.slurm.now


async def test_release_of_an_unknown_job_says_so(bench: Any) -> None:
    (answer,) = await bench.agent.release([999], uid=0, operator=True)
    assert not answer.released
    assert "not a pending flexible job" in answer.detail


async def test_explain_shows_the_arithmetic_of_the_latest_start(bench: Any) -> None:
    job = bench.slurm.submit(FLEX)
    await bench.cycle()
    view = bench.agent.explain(job)
    assert view.steps
    assert view.history[0].verb == "hold-until"
    assert view.history[0].outcome == "applied"
    assert "Slurm starts it by itself" in view.summary


async def test_jobs_that_are_gone_leave_memory_but_not_the_store(bench: Any) -> None:
    job = bench.slurm.submit(FLEX, minutes=30)
    await bench.cycle()
    bench.slurm.advance(3 * 86400, step=1800)
    await bench.cycle()
    assert bench.slurm.jobs[job].state is JobState.ENDED
    assert job not in bench.agent.actuator.records
    assert job in bench.store.records()


async def test_releasing_no_job_releases_none(bench: Any) -> None:
    job = bench.slurm.submit(FLEX)
    await bench.cycle()
    assert await bench.agent.release([], uid=0, operator=True) == []
    assert bench.begin(job) > bench.slurm.now
