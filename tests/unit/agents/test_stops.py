"""Running jobs stopped for a window on the simulated Slurm: consent, no repeat, back in time, on record."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from flexlond.agents.window_ports import WindowOrder
from flexlond.model.action import Outcome, Verb
from flexlond.model.job import JobState
from flexlond.model.settings import GridSettings, WindowSettings
from tests.unit.agents.conftest import START, Bench, replace_struct

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from flexlond.model.settings import Settings

TERMS = "flex: max-delay=1-00:00:00 power=10kW"
REQUEUE = f"{TERMS} preempt=requeue"
SUSPEND = f"{TERMS} preempt=suspend"
KW = 12.0
BASE = 2 * 120 * 1.2 / 1000
SLOT = 300
FIRST, LAST = 2, 5
BEGIN, END = START + FIRST * SLOT, START + LAST * SLOT


def made(tmp_path: Path, settings: Settings, **windows: Any) -> Bench:
    changed = replace_struct(
        settings,
        windows=WindowSettings(**windows),
        grid=GridSettings(slot_seconds=SLOT, horizon_slots=36),
        planning=replace_struct(settings.planning, dual_steps=10, search_steps=10),
    )
    return Bench(tmp_path / "store.db", changed, [100.0])


@pytest.fixture
def bench(tmp_path: Path, settings: Settings) -> Iterator[Bench]:
    found = made(tmp_path, settings, stop_running=True)
    yield found
    found.store.close()


async def run(bench: Bench, *comments: str, minutes: int = 600, **more: Any) -> list[int]:
    """Jobs that run, one CPU each."""
    jobs = [bench.slurm.submit(text, cpus=1, minutes=minutes, **more) for text in comments]
    await bench.cycle()
    bench.slurm.advance(60)
    await bench.cycle()
    assert all(bench.slurm.jobs[job].state is JobState.RUNNING for job in jobs)
    return jobs


async def order(bench: Bench, cap: float) -> Any:
    found = await bench.agent.add_window(
        WindowOrder(BEGIN, END, cap, float("nan"), "alice"), dry_run=False
    )
    await bench.cycle()
    return found


async def live(bench: Bench, until: int) -> dict[int, float]:
    """Beat until then; the highest power seen in each slot, 40 s after its start."""
    highest: dict[int, float] = {}
    while bench.slurm.now < until:
        bench.slurm.advance(10)
        await (bench.cycle() if bench.slurm.now % 30 == 0 else bench.tick())
        into, slot = (bench.slurm.now - START) % SLOT, (bench.slurm.now - START) // SLOT
        if into > 0:
            highest[slot] = max(highest.get(slot, 0.0), power(bench))
    return highest


def power(bench: Bench) -> float:
    """What the simulated nodes draw."""
    share = {JobState.RUNNING: 1.0, JobState.SUSPENDED: 0.2}
    flexible = [job for job in bench.slurm.jobs.values() if "power=10kW" in job.comment]
    return BASE + sum(KW * share.get(job.state, 0.0) for job in flexible)


def stops(bench: Bench) -> list[tuple[int, Verb]]:
    verbs = {Verb.REQUEUE_UNTIL, Verb.SUSPEND}
    return [(one.job_id, one.verb) for one in bench.slurm.effects if one.verb in verbs]


async def test_the_window_is_kept_by_requeueing_those_who_agreed_alone(bench: Bench) -> None:
    jobs = await run(bench, REQUEUE, REQUEUE, TERMS, "")
    added = await order(bench, 20.0)
    assert [stop.verb for stop in added.stops] == ["requeue-until", "requeue-until"]
    assert added.stops_gbp > 0
    untouched = [bench.slurm.jobs[job] for job in jobs[2:]]
    highest = await live(bench, END)
    assert sorted(stops(bench)) == [(job, Verb.REQUEUE_UNTIL) for job in jobs[:2]]
    assert [bench.slurm.jobs[job] for job in jobs[2:]] == untouched
    assert max(highest[0], highest[1]) > 3 * KW
    assert max(highest[slot] for slot in range(FIRST, LAST)) <= 20.0
    for job in jobs[:2]:
        assert bench.slurm.jobs[job].begin >= END
    await live(bench, END + 2 * SLOT)
    for job in jobs[:2]:
        assert bench.slurm.jobs[job].state is JobState.RUNNING
        assert bench.slurm.jobs[job].restarts == 1


async def test_where_the_site_does_not_want_it_nothing_is_stopped(
    tmp_path: Path, settings: Settings
) -> None:
    bench = made(tmp_path, settings)
    await run(bench, REQUEUE, REQUEUE)
    added = await order(bench, 15.0)
    assert added.stops == ()
    await live(bench, BEGIN + SLOT)
    assert stops(bench) == []
    assert "stop_running is off" in bench.agent.sentence
    bench.store.close()


async def test_without_a_window_nothing_is_stopped_for_the_price(
    tmp_path: Path, settings: Settings
) -> None:
    bench = made(tmp_path, settings, stop_running=True)
    await run(bench, REQUEUE, REQUEUE)
    bench.hub.price = [1000.0, 1.0, 1.0, 1.0]
    await live(bench, START + 2 * SLOT)
    assert stops(bench) == []
    bench.store.close()


async def test_suspended_jobs_are_back_at_their_time_and_the_record_says_so(bench: Bench) -> None:
    jobs = await run(bench, SUSPEND, SUSPEND)
    await order(bench, 16.0)
    highest = await live(bench, END)
    # One of the two: 12 + 2.4 kW and the idle nodes.
    assert [verb for _, verb in stops(bench)] == [Verb.SUSPEND]
    assert max(highest[slot] for slot in range(FIRST, LAST)) <= 16.0
    view = bench.agent.show_window(1)
    assert view is not None
    (stop,) = view.stops
    assert (stop.verb, stop.state, stop.until) == ("suspend", "applied", END)
    assert stop.job_id in jobs
    await live(bench, END + 300)
    assert all(bench.slurm.jobs[job].state is JobState.RUNNING for job in jobs)
    assert max(slot.observed_kw for slot in view.slots) <= 16.0


async def test_a_cancelled_window_resumes_what_it_suspended(bench: Bench) -> None:
    (job,) = await run(bench, SUSPEND)
    await order(bench, 5.0)
    await live(bench, BEGIN + 300)
    assert bench.slurm.jobs[job].state is JobState.SUSPENDED
    await bench.agent.cancel_window(1)
    await bench.cycle()
    assert bench.slurm.jobs[job].state is JobState.RUNNING


async def test_consent_taken_back_or_a_drain_resumes_it(bench: Bench) -> None:
    one, two = await run(bench, SUSPEND, SUSPEND)
    await order(bench, 6.0)
    await live(bench, BEGIN + 300)
    assert {bench.slurm.jobs[job].state for job in (one, two)} == {JobState.SUSPENDED}
    bench.slurm.edit(one, comment="flex: off")
    await bench.tick()
    assert bench.slurm.jobs[one].state is JobState.RUNNING
    drained = await bench.agent.drain()
    assert (drained.restored, drained.left) == (1, 0)
    assert bench.slurm.jobs[two].state is JobState.RUNNING


async def test_consent_taken_back_before_the_moment_saves_the_job(bench: Bench) -> None:
    (job,) = await run(bench, REQUEUE)
    await order(bench, 5.0)
    assert bench.agent.stopping is not None
    assert bench.agent.stopping.stops
    bench.slurm.edit(job, comment="flex: off")
    await live(bench, END)
    assert stops(bench) == []


@pytest.mark.parametrize("silence", ["answers_lost", "checkpointing"])
async def test_a_stop_of_which_nothing_is_known_is_not_sent_again(
    bench: Bench, silence: str
) -> None:
    comment = f"{REQUEUE} max-preempts=3 checkpoint=USR1@60"
    (job,) = await run(bench, comment)
    await order(bench, 5.0)
    setattr(bench.slurm, silence, True)
    await live(bench, BEGIN)
    assert len(stops(bench)) == 1
    if silence == "checkpointing":
        assert bench.slurm.jobs[job].state is JobState.RUNNING
        bench.slurm.requeue(job, bench.slurm.effects[-1].not_before)  # the helper, after the grace
    setattr(bench.slurm, silence, False)
    await live(bench, END)
    assert len(stops(bench)) == 1
    intents = [one for one in bench.store.all_intents() if one.action.verb is Verb.REQUEUE_UNTIL]
    assert [(one.outcome, one.detail) for one in intents] == [(Outcome.APPLIED, "seen requeued")]
    assert bench.agent.actuator.records[job].touched
    assert bench.slurm.jobs[job].begin >= END


async def test_i7_a_helper_restarted_in_the_grace_is_asked_again_within_three_cycles(
    bench: Bench,
) -> None:
    (job,) = await run(bench, f"{REQUEUE} checkpoint=USR1@60")
    await order(bench, 5.0)
    bench.slurm.checkpointing = True
    while not stops(bench):
        bench.slurm.advance(10)
        await bench.cycle()
    bench.slurm.helper_down = True
    await bench.cycle()
    bench.slurm.helper_down, bench.slurm.helper_starts = False, 2
    for _ in range(3):
        await bench.cycle()
    assert len(stops(bench)) == 2
    # It is the new helper's now, and stays that: one restart is noticed once.
    bench.slurm.advance(30)
    await bench.cycle()
    assert len(stops(bench)) == 2
    bench.slurm.requeue(job, bench.slurm.effects[-1].not_before)
    await live(bench, END)
    view = bench.agent.show_window(1)
    assert view is not None
    assert [(one.state, one.detail) for one in view.stops] == [
        ("superseded", "the helper was restarted before it was done: the next plan decides"),
        ("applied", "seen requeued"),
    ]
    assert len(stops(bench)) == 2
    assert bench.slurm.jobs[job].begin >= END


async def test_killed_after_the_order_the_next_daemon_does_not_send_it_again(bench: Bench) -> None:
    (job,) = await run(bench, f"{REQUEUE} max-preempts=3 checkpoint=USR1@60")
    await order(bench, 5.0)
    bench.slurm.checkpointing = True
    while not stops(bench):
        bench.slurm.advance(10)
        await bench.cycle()
    bench.restart()
    await bench.cycle()
    bench.slurm.advance(30)
    await bench.cycle()
    assert len(stops(bench)) == 1
    assert bench.slurm.jobs[job].state is JobState.RUNNING
    # The signal was given and nothing came of it: once it is surely over, it is thought of again.
    bench.slurm.checkpointing = False
    await live(bench, BEGIN + 300)
    assert len(stops(bench)) == 2
    assert bench.slurm.jobs[job].state is JobState.PENDING


async def test_a_refusal_stands_for_a_while(bench: Bench) -> None:
    await run(bench, REQUEUE)
    await order(bench, 5.0)
    bench.slurm.refuses = "max-preempts"
    await live(bench, BEGIN + 120)
    intents = [one for one in bench.store.all_intents() if one.action.verb is Verb.REQUEUE_UNTIL]
    assert [one.outcome for one in intents] == [Outcome.REFUSED]


@pytest.mark.parametrize(
    ("comment", "more"),
    [
        (f"{REQUEUE} min-run=9:00:00", {}),
        (REQUEUE, {"requeue": False}),
        (REQUEUE, {"batch": False}),
        (REQUEUE, {"reservation": "res"}),
        (REQUEUE, {"time_limit": None}),
        (REQUEUE, {"array_job_id": 1, "array_task_id": 1}),
        (REQUEUE, {"cron": True}),
        ("flex: start-by=now+12minutes power=10kW preempt=requeue", {}),
        ("flex: deadline=now+620minutes power=10kW preempt=requeue", {}),
    ],
)
async def test_who_is_never_stopped(bench: Bench, comment: str, more: dict[str, Any]) -> None:
    """A job of ten hours: with so much to its deadline it could not run again in time."""
    await run(bench, comment, **more)
    await order(bench, 5.0)
    await live(bench, END)
    assert stops(bench) == []


async def test_as_often_as_its_owner_allows(bench: Bench) -> None:
    (job,) = await run(bench, REQUEUE)
    await order(bench, 5.0)
    await live(bench, END + SLOT)
    assert bench.slurm.jobs[job].state is JobState.RUNNING
    later = WindowOrder(END + 2 * SLOT, END + 4 * SLOT, 5.0, float("nan"), "alice")
    await bench.agent.add_window(later, dry_run=False)
    await live(bench, END + 3 * SLOT)
    assert len(stops(bench)) == 1


async def test_stale_signals_or_pause_stop_nobody(bench: Bench) -> None:
    await run(bench, REQUEUE)
    await order(bench, 5.0)
    await bench.agent.pause()
    await live(bench, BEGIN + SLOT)
    assert stops(bench) == []


async def test_each_stop_has_an_earlier_intent_and_a_record(bench: Bench) -> None:
    await run(bench, REQUEUE, SUSPEND)
    await order(bench, 3.0)
    await live(bench, END)
    intents = {one.action.action_id: one for one in bench.store.all_intents()}
    for effect in bench.slurm.effects:
        assert intents[effect.action_id].outcome is Outcome.APPLIED
    recorded = bench.store.stops(0)
    assert {(one.job_id, one.verb) for one in recorded} == set(stops(bench))
    assert all(one.outcome is Outcome.APPLIED and one.window_id == 1 for one in recorded)
