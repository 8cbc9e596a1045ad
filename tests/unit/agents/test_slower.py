"""Arrays slowed for a window on a simulated Slurm: consent, in time, put back, nobody's throttle overridden."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import pytest

from flexlond.agents.window_ports import WindowOrder
from flexlond.model.action import Action, Outcome, Result, Verb
from flexlond.model.job import JobState
from flexlond.model.pace import Slowed
from flexlond.model.settings import GridSettings, WindowSettings
from tests.unit.agents.conftest import START, Bench, SimSlurm, replace_struct

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from flexlond.model.job import Job
    from flexlond.model.settings import Settings
    from flexlond.slurm.helper_client import HelperStatus

SLOT = 300
FIRST, LAST = 2, 8
BEGIN, END = START + FIRST * SLOT, START + LAST * SLOT
KW = 2.4  # of a task at the meter
BASE = 2 * 120 * 1.2 / 1000
TASK = 5  # minutes, which is its limit too
FLEX = "flex: max-delay=20:00:00 power=2kW"


@dataclass
class ArraySlurm(SimSlurm):
    """Starts arrays task by task, as their throttle allows; the helper's memory of throttles beside it."""

    pace: dict[int, Slowed] = field(default_factory=dict)
    task: int = 0

    def array(
        self, comment: str = FLEX, *, tasks: int = 200, throttle: int = 0, **more: Any
    ) -> int:
        job_id = self.submit(comment, cpus=1, minutes=TASK, **more)
        whole = {"array_job_id": job_id, "task_count": tasks, "array_tasks": f"1-{tasks}"}
        self.edit(job_id, array_throttle=throttle, **whole)
        return job_id

    def running(self, job_id: int) -> int:
        jobs = self.jobs.values()
        return sum(j.array_job_id == job_id and j.state is JobState.RUNNING for j in jobs)

    def _schedule(self) -> None:
        remainders = [j for j in self.jobs.values() if j.is_array and j.state is JobState.PENDING]
        for job in remainders:
            self.jobs.pop(job.job_id)
        super()._schedule()
        for job in remainders:
            self.jobs[job.job_id] = self._started(job)

    def _started(self, job: Job) -> Job:
        while job.task_count and (job.begin <= self.now or not job.begin) and self._room(job):
            if job.array_throttle and self.running(job.job_id) >= job.array_throttle:
                return replace(job, begin=job.begin if job.begin > self.now else 0)
            self.task += 1
            one = {"job_id": 10_000 + self.task, "array_task_id": self.task, "task_count": 1}
            run = {"state": JobState.RUNNING, "start": self.now, "begin": self.now}
            self.jobs[10_000 + self.task] = replace(job, **one, **run)
            self.runtime[10_000 + self.task] = TASK * 60
            job = replace(job, task_count=job.task_count - 1, begin=job.begin or self.now)
        return job

    def _room(self, job: Job) -> bool:
        used = sum(j.cpus for j in self.jobs.values() if j.state is JobState.RUNNING)
        return used + job.cpus <= self.cpus

    async def status(self) -> HelperStatus:
        return replace(await super().status(), slowed=tuple(self.pace.values()))

    def _apply(self, action: Action) -> Result:
        if action.verb not in {Verb.SLOW, Verb.UNSLOW}:
            return super()._apply(action)
        job, ours = self.jobs[action.job_id], self.pace.get(action.job_id)
        own = ours.own if ours else job.array_throttle
        self.effects.append(action)
        if action.verb is Verb.SLOW:
            one = Slowed(job.job_id, job.submit, own, action.width, action.not_before)
            self.pace[job.job_id] = one
        else:
            self.pace.pop(job.job_id)
        self.edit(job.job_id, array_throttle=action.width if action.verb is Verb.SLOW else own)
        return Result(action.action_id, Outcome.APPLIED, "applied", "", job.begin, job.state.value)


class ArrayBench(Bench):
    """One loop on such a Slurm."""

    def __init__(self, path: Path, settings: Settings) -> None:
        super().__init__(path, settings, [100.0])
        self.slurm: ArraySlurm = ArraySlurm(cpus=12)
        self.agent = self._agent()


@pytest.fixture
def bench(tmp_path: Path, settings: Settings) -> Iterator[ArrayBench]:
    found = made(tmp_path, settings)
    yield found
    found.store.close()


def made(tmp_path: Path, settings: Settings, **windows: Any) -> ArrayBench:
    planning = {"dual_steps": 10, "search_steps": 10, "default_queue_wait": 0, "margin_seconds": 30}
    changed = replace_struct(
        settings,
        windows=WindowSettings(**windows),
        grid=GridSettings(slot_seconds=SLOT, horizon_slots=400),
        planning=replace_struct(settings.planning, **planning),
    )
    return ArrayBench(tmp_path / "store.db", changed)


async def order(bench: ArrayBench, cap: float) -> None:
    window = WindowOrder(BEGIN, END, cap, float("nan"), "alice")
    assert (await bench.agent.add_window(window, dry_run=False)).window.window_id == 1
    await bench.cycle()


async def live(bench: ArrayBench, until: int) -> dict[int, float]:
    """Beat until then; the highest power of flexible tasks in each slot, 40 s after its start."""
    highest: dict[int, float] = {}
    while bench.slurm.now < until:
        bench.slurm.advance(10)
        await (bench.cycle() if bench.slurm.now % 30 == 0 else bench.tick())
        jobs = [j for j in bench.slurm.jobs.values() if j.state is JobState.RUNNING]
        kw = BASE + KW * sum("power=2kW" in j.comment for j in jobs)
        slot = (bench.slurm.now - START) // SLOT
        if (bench.slurm.now - START) % SLOT > 40:
            highest[slot] = max(highest.get(slot, 0.0), kw)
    return highest


def verbs(bench: ArrayBench, job_id: int) -> list[Verb]:
    return [one.verb for one in bench.slurm.effects if one.job_id == job_id]


async def test_some_of_it_runs_under_the_cap_and_its_own_pace_comes_back(bench: ArrayBench) -> None:
    job = bench.slurm.array()
    await bench.cycle()
    bench.slurm.advance(30)
    cap = BASE + 3.5 * KW
    await order(bench, cap)
    highest = await live(bench, END)
    assert verbs(bench, job)[0] is Verb.SLOW
    assert max(highest[slot] for slot in range(FIRST, LAST)) <= cap
    # Some of it ran in each slot of the window: deferral alone would have let none.
    assert min(highest[slot] for slot in range(FIRST, LAST)) >= BASE + KW
    assert max(highest[0], highest[1]) > cap
    await live(bench, END + SLOT)
    assert bench.slurm.jobs[job].array_throttle == 0
    assert verbs(bench, job)[-1] is Verb.UNSLOW
    lines = bench.store.all_intents()
    slow = next(line for line in lines if line.action.verb is Verb.SLOW)
    assert (slow.action.width, slow.outcome) == (3, Outcome.APPLIED)
    assert "window 1" in slow.action.reason


async def test_the_window_shows_what_is_slowed_and_a_dry_run_what_would_be(
    bench: ArrayBench,
) -> None:
    job = bench.slurm.array(throttle=8)
    await bench.cycle()
    bench.slurm.advance(30)
    asked = WindowOrder(BEGIN, END, BASE + 3.5 * KW, float("nan"), "alice")
    tried = await bench.agent.add_window(asked, dry_run=True)
    assert tried.window is not None
    (would,) = tried.window.slows
    assert (would.job_id, would.width, would.own, would.state) == (job, 3, 8, "planned")
    assert would.until == END
    assert 0 < would.kw <= 5 * KW
    assert bench.slurm.effects == []
    await order(bench, BASE + 3.5 * KW)
    await live(bench, BEGIN + SLOT)
    shown = bench.agent.show_window(1)
    assert shown is not None
    (slowed,) = shown.slows
    assert (slowed.job_id, slowed.width, slowed.own, slowed.state) == (job, 3, 8, "slowed")
    assert (slowed.until, slowed.kw) == (END, pytest.approx(5 * KW))
    assert bench.agent.list_windows()[0].slows == ()
    await live(bench, END + SLOT)
    over = bench.agent.show_window(1)
    assert over is not None
    assert over.slows == ()


async def test_the_explanation_says_it(bench: ArrayBench) -> None:
    job = bench.slurm.array(throttle=8)
    await bench.cycle()
    bench.slurm.advance(30)
    await order(bench, BASE + 3.5 * KW)
    await live(bench, BEGIN + SLOT)
    told = bench.agent.explain(job)
    assert told is not None
    assert "runs 3 tasks at once (its own throttle: %8)" in told.summary
    assert "1 array slowed" in bench.agent.sentence


@pytest.mark.parametrize("comment", ["", "flex: off"])
async def test_without_consent_its_pace_stays(bench: ArrayBench, comment: str) -> None:
    job = bench.slurm.array(comment)
    await bench.cycle()
    await order(bench, BASE + 3.5 * KW)
    await live(bench, END)
    assert verbs(bench, job) == []
    assert bench.slurm.jobs[job].array_throttle == 0


async def test_where_the_site_does_not_want_it_nothing_is_slowed(
    tmp_path: Path, settings: Settings
) -> None:
    bench = made(tmp_path, settings, slow_arrays=False)
    job = bench.slurm.array()
    await bench.cycle()
    await order(bench, BASE + 3.5 * KW)
    await live(bench, END)
    assert Verb.SLOW not in verbs(bench, job)
    bench.store.close()


async def test_its_latest_start_forbids_a_pace_that_would_be_late_for_ever(
    bench: ArrayBench,
) -> None:
    """200 tasks 3 at a time are 67 waves of 5 minutes: 5.6 h and margins; it may wait for 5 h."""
    job = bench.slurm.array("flex: max-delay=5:00:00 power=2kW")
    await bench.cycle()
    bench.slurm.advance(30)
    await order(bench, BASE + 3.5 * KW)
    await live(bench, END)
    for one in bench.slurm.effects:
        if one.verb is Verb.SLOW:
            assert one.width > 3
    assert all(one.verb is not Verb.SLOW or one.width > 3 for one in bench.slurm.effects)
    assert bench.slurm.jobs[job].array_throttle != 3


async def test_a_throttle_that_its_owner_changed_stays(bench: ArrayBench) -> None:
    job = bench.slurm.array(throttle=8)
    await bench.cycle()
    bench.slurm.advance(30)
    await order(bench, BASE + 3.5 * KW)
    await live(bench, BEGIN + SLOT)
    assert bench.slurm.jobs[job].array_throttle == 3
    bench.slurm.edit(job, array_throttle=7)
    before = verbs(bench, job).count(Verb.SLOW)
    await live(bench, END + SLOT)
    assert bench.slurm.jobs[job].array_throttle == 7
    assert verbs(bench, job).count(Verb.SLOW) == before
    assert Verb.UNSLOW not in verbs(bench, job)


@pytest.mark.parametrize("why", ["cancelled", "consent", "drained"])
async def test_it_is_put_back_as_soon_as_nothing_asks_for_it(bench: ArrayBench, why: str) -> None:
    job = bench.slurm.array()
    await bench.cycle()
    bench.slurm.advance(30)
    await order(bench, BASE + 3.5 * KW)
    await live(bench, BEGIN + SLOT)
    assert bench.slurm.jobs[job].array_throttle == 3
    if why == "cancelled":
        await bench.agent.cancel_window(1)
    elif why == "consent":
        bench.slurm.edit(job, comment="flex: off")
    else:
        assert (await bench.agent.drain()).left == 0
    await live(bench, bench.slurm.now + 30)
    assert bench.slurm.jobs[job].array_throttle == 0


async def test_a_new_daemon_puts_back_what_the_old_one_slowed(bench: ArrayBench) -> None:
    job = bench.slurm.array()
    await bench.cycle()
    bench.slurm.advance(30)
    await order(bench, BASE + 3.5 * KW)
    await live(bench, BEGIN + SLOT)
    assert bench.slurm.jobs[job].array_throttle == 3
    bench.restart()
    await live(bench, END + SLOT)
    assert bench.slurm.jobs[job].array_throttle == 0
    assert [v for v in verbs(bench, job) if v in {Verb.SLOW, Verb.UNSLOW}][-1] is Verb.UNSLOW


async def test_an_answer_that_was_lost_is_settled_by_what_is_seen(bench: ArrayBench) -> None:
    job = bench.slurm.array()
    await bench.cycle()
    bench.slurm.advance(30)
    bench.slurm.answers_lost = True
    await order(bench, BASE + 3.5 * KW)
    await live(bench, BEGIN + SLOT)
    bench.slurm.answers_lost = False
    await live(bench, BEGIN + 2 * SLOT)
    ends = [line.outcome for line in bench.store.all_intents() if line.action.job_id == job]
    assert None not in ends
    assert Outcome.UNKNOWN not in ends
