"""The loop when something fails or somebody else acts: fewer holds, nothing lost, nobody late (I3 to I9)."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any

import pytest

from flexlond.model.action import Outcome, Verb
from flexlond.model.job import JobState
from flexlond.model.series import Quality

if TYPE_CHECKING:
    from collections.abc import Sequence

FLEX = "flex: max-delay=8:00:00"
LATENCY = "flex: latency=2:00:00 max-delay=8:00:00 work=2.5e6 unit=inference"
BOUNDS = {FLEX: 8 * 3600, LATENCY: 2 * 3600, "flex: start-by=now+3hours": 3 * 3600}


@pytest.mark.parametrize("quality", [Quality.STALE, Quality.ABSENT])
async def test_i9_bad_signals_make_no_new_holds_and_keep_old_ones(
    bench: Any, quality: Quality
) -> None:
    first = bench.slurm.submit(FLEX)
    await bench.cycle()
    held_until = bench.begin(first)
    bench.hub.quality = quality
    second = bench.slurm.submit(FLEX)
    bench.slurm.advance(30)
    sentence = await bench.cycle()
    assert bench.begin(first) == held_until
    assert bench.begin(second) == bench.slurm.jobs[second].submit
    assert f"price is {quality.value}" in sentence


async def test_i9_an_incomplete_view_makes_no_new_holds(bench: Any) -> None:
    bench.slurm.complete = False
    job = bench.slurm.submit(FLEX)
    await bench.cycle()
    assert bench.begin(job) == bench.slurm.jobs[job].submit


async def test_i9_an_unreadable_queue_changes_nothing_and_says_so(bench: Any) -> None:
    bench.slurm.submit(FLEX)
    bench.slurm.reader_down = True
    sentence = await bench.cycle()
    assert "queue could not be read" in sentence
    assert bench.slurm.effects == []
    assert not bench.agent.may_delay()


async def test_a_silent_helper_ends_the_heartbeat(bench: Any) -> None:
    bench.slurm.submit(FLEX)
    await bench.cycle()
    assert bench.agent.may_delay()
    bench.slurm.helper_down = True
    await bench.tick()
    assert not bench.agent.may_delay()


async def test_i8_an_opted_out_job_is_not_held_again(bench: Any) -> None:
    job = bench.slurm.submit(FLEX, cpus=1000)  # never fits, so it stays pending
    bench.slurm.cpus = 2000
    await bench.cycle()
    bench.slurm.cpus = 64
    bench.slurm.advance(20)
    bench.slurm.edit(job, begin=bench.slurm.now)
    for _ in range(5):
        await bench.cycle()
        bench.slurm.advance(30)
    bench.restart()
    await bench.cycle()
    assert bench.slurm.jobs[job].begin <= bench.slurm.now
    view = next(v for v in bench.agent.jobs() if v.job_id == job)
    assert view.opted_out


async def test_i8_an_owner_as_quick_as_our_hold_has_opted_out_at_once_and_for_good(
    bench: Any,
) -> None:
    job = bench.slurm.submit(FLEX, cpus=64)
    bench.slurm.taken_back = frozenset({job})
    await bench.cycle()
    bench.slurm.taken_back = frozenset()
    await bench.tick()
    assert next(v for v in bench.agent.jobs() if v.job_id == job).opted_out
    bench.restart()
    for _ in range(3):
        await bench.cycle()
    assert [one.job_id for one in bench.slurm.effects] == [job]
    assert bench.begin(job) <= bench.slurm.now


async def test_a_forgotten_hold_is_repaired_at_the_next_tick(bench: Any) -> None:
    job = bench.slurm.submit(FLEX)
    bench.slurm.save()
    await bench.cycle()
    held_until = bench.begin(job)
    bench.slurm.crash()
    assert bench.begin(job) < held_until
    await bench.tick()
    assert bench.begin(job) > bench.slurm.now
    assert not next(v for v in bench.agent.jobs() if v.job_id == job).opted_out


async def test_i7_a_crash_between_our_look_and_the_helpers_is_repaired_at_the_next_tick(
    bench: Any,
) -> None:
    job = bench.slurm.submit(FLEX)
    bench.slurm.save()
    await bench.cycle()
    held_until = bench.begin(job)
    bench.hub.price = [200.0] * 10 + [20.0] * 4 + [200.0] * 34  # later: the plan moves it
    look = bench.slurm.read

    def look_and_crash(job_ids: Sequence[int] | None = None) -> Any:
        seen = look(job_ids)
        bench.slurm.crash()
        return seen

    bench.slurm.read = look_and_crash
    await bench.cycle()
    assert bench.store.all_intents()[-1].code == "begin-changed"
    bench.slurm.read = look
    await bench.tick()
    assert bench.begin(job) == held_until


async def test_i7_a_hold_is_not_given_back_while_nodes_have_not_registered(bench: Any) -> None:
    job = bench.slurm.submit(FLEX)
    bench.slurm.save()
    await bench.cycle()
    held_until = bench.begin(job)
    bench.slurm.crash()
    nodes, bench.slurm.cpus = bench.slurm.cpus, 0  # slurmctld is back, its nodes are not
    await bench.tick()
    for _ in range(3):
        assert "no node of any partition is usable" in await bench.cycle()
        assert bench.begin(job) == held_until
    bench.slurm.cpus = nodes
    await bench.cycle()
    assert bench.begin(job) == held_until
    assert [action.verb for action in bench.slurm.effects] == [Verb.HOLD_UNTIL] * 2


async def test_i5_holds_are_not_given_back_all_at_once_when_no_node_answers(bench: Any) -> None:
    jobs = [bench.slurm.submit(FLEX) for _ in range(3)]
    await bench.cycle()
    before = [bench.begin(job) for job in jobs]
    assert min(before) > bench.slurm.now
    bench.slurm.cpus = 0
    for _ in range(5):
        bench.slurm.advance(30)
        await bench.cycle()
    assert [bench.begin(job) for job in jobs] == before


async def test_a_lost_answer_is_settled_by_observation(bench: Any) -> None:
    job = bench.slurm.submit(FLEX)
    bench.slurm.answers_lost = True
    await bench.cycle()
    assert len(bench.store.open_intents()) == 1
    bench.slurm.answers_lost = False
    bench.restart()
    await bench.cycle()
    assert bench.store.open_intents() == []
    (line,) = bench.store.all_intents()
    assert line.outcome is Outcome.APPLIED
    view = next(v for v in bench.agent.jobs() if v.job_id == job)
    assert view.held_by_us
    assert not view.opted_out


async def test_a_release_with_a_lost_answer_is_no_opt_out(bench: Any) -> None:
    job = bench.slurm.submit(FLEX)
    await bench.cycle()
    bench.slurm.cpus = 0  # it cannot start, so it stays to be looked at
    bench.slurm.answers_lost = True
    await bench.agent.drain()
    bench.slurm.answers_lost = False
    bench.slurm.advance(20)
    await bench.agent.drain()
    view = next(v for v in bench.agent.jobs() if v.job_id == job)
    assert not view.opted_out


def check_invariants(bench: Any, comments: dict[int, str]) -> None:
    intents = bench.store.all_intents()
    ids = [line.action.action_id for line in intents]
    assert len(ids) == len(set(ids))
    for effect in bench.slurm.effects:  # I2
        assert ids.count(effect.action_id) == 1
    for effect in bench.slurm.effects:  # I4
        assert "flex:" in comments[effect.job_id]


def faults(rng: random.Random, bench: Any) -> None:
    slurm = bench.slurm
    draw = rng.random()
    slurm.helper_down = draw < 0.1
    slurm.reader_down = 0.1 < draw < 0.2
    slurm.answers_lost = 0.2 < draw < 0.3
    slurm.complete = not 0.3 < draw < 0.35
    bench.hub.quality = Quality.STALE if 0.35 < draw < 0.45 else Quality.GOOD
    if 0.45 < draw < 0.5:
        bench.restart()
    if 0.5 < draw < 0.55:
        slurm.crash()
    if draw > 0.55:
        slurm.save()


def submit_some(rng: random.Random, bench: Any, comments: dict[int, str]) -> Sequence[int]:
    made = []
    for _ in range(rng.randrange(4)):
        comment = rng.choice(
            ["", "plain", FLEX, "flex: start-by=now+3hours", "flex: off", FLEX, LATENCY]
        )
        job = bench.slurm.submit(comment, cpus=rng.choice([1, 2, 4]), minutes=rng.choice([30, 60]))
        comments[job] = comment
        made.append(job)
    return made


@pytest.mark.parametrize("seed", range(12))
async def test_i3_i4_no_job_is_late_and_none_without_consent_is_touched_under_faults(
    bench: Any, seed: int
) -> None:
    rng = random.Random(seed)
    comments: dict[int, str] = {}
    bounds: dict[int, int] = {}
    opted_out: set[int] = set()
    for beat in range(120):
        if beat < 80:
            for job in submit_some(rng, bench, comments):
                bound = BOUNDS.get(comments[job])
                if bound:
                    bounds[job] = bench.slurm.now + bound
        faults(rng, bench)
        await (bench.cycle() if beat % 3 == 0 else bench.tick())
        for job, latest in bounds.items():  # I3
            assert bench.slurm.jobs[job].begin <= latest
        held = [j for j in bounds if bench.begin(j) > bench.slurm.now]
        if held and rng.random() < 0.05:
            victim = rng.choice(held)
            bench.slurm.edit(victim, begin=bench.slurm.now, priority=0)
            bench.slurm.edit(victim, priority=1000, reason="None")
            opted_out.add(victim)
            effects_then = len(bench.slurm.effects)
            bench.slurm.save()
            assert len(bench.slurm.effects) == effects_then
        bench.slurm.advance(rng.choice([3, 30, 60, 300]), step=3)
    bench.slurm.advance(12 * 3600, step=60)
    assert len(bench.slurm.effects) > 10  # the run shows something only when jobs were held
    check_invariants(bench, comments)
    assert all(job.state is JobState.ENDED for job in bench.slurm.jobs.values())
    for job, latest in bounds.items():
        assert bench.slurm.started[job] <= latest


async def test_a_release_that_the_helper_missed_is_sent_again(bench: Any) -> None:
    job = bench.slurm.submit(FLEX)
    await bench.cycle()
    bench.slurm.helper_down = True
    (answer,) = await bench.agent.release([job], uid=1000, operator=False)
    assert not answer.released
    bench.slurm.helper_down = False
    bench.slurm.cpus = 0
    bench.slurm.advance(30)
    await bench.cycle()
    assert bench.begin(job) <= bench.slurm.now
    assert next(v for v in bench.agent.jobs() if v.job_id == job).opted_out
