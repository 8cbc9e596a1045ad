"""The planner as a policy: consent, latest starts, repeatability, and that it is the daemon's own plan."""

from __future__ import annotations

from dataclasses import replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from flexlond.agents.build import build
from flexlond.agents.consent import ConsentReader, judge
from flexlond.backtest.believed import Believed
from flexlond.backtest.case import Flexibility, PowerCoefficients, Run, Trace
from flexlond.backtest.engine import replay
from flexlond.backtest.ours import Flexlon
from flexlond.backtest.policy import State
from flexlond.model.job import Cluster, Job, JobState, Pool
from flexlond.model.series import Kind, Quality, Series
from flexlond.model.settings import NodeType, PlanningSettings, PowerSettings, Settings
from flexlond.model.timegrid import TimeGrid
from flexlond.planning.planner import budget_of, plan
from flexlond.planning.pools import room_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

SLOT, SLOTS = 1800, 96
T0 = 1_700_028_000 // SLOT * SLOT  # a morning, before the dear hours
NODES, CPUS = 40, 16
POWER = PowerCoefficients(kw_per_node=0.32)
JOBS = 60
CAP = 8.0  # kg a day


class Wave:
    """A daily wave of price and carbon, known in advance."""

    name, foresight = "wave", True

    def known_at(self, now: int, grid: TimeGrid) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        return self.actual(grid)

    def actual(self, grid: TimeGrid) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        hour = grid.starts() / 3600 % 24
        return 80 + 40 * np.sin(hour / 24 * 2 * np.pi), 200 + 80 * np.sin(hour / 24 * 2 * np.pi + 1)


def pool() -> Pool:
    names = tuple(f"n{number}" for number in range(NODES))
    return Pool("main", NODES, NODES * CPUS, 0, (), names, None, 3600)


def made(seed: int = 1, spread: int = 20 * 3600) -> tuple[Trace, Flexibility]:
    """Jobs of 1 to 4 nodes and up to 5 hours, two of three flexible."""
    rng = np.random.default_rng(seed)
    room = room_of([pool()])
    cpus = (rng.integers(1, 5, JOBS) * CPUS).astype(float)
    demand = np.zeros((JOBS, len(room.resources)))
    demand[:, room.resources.index("cpus")] = cpus
    runtime = rng.integers(600, 5 * 3600, JOBS).astype(float)
    text = np.array([f"u{number % 5}" for number in range(JOBS)])
    trace = Trace(
        name="made",
        job_id=np.arange(JOBS),
        submit=np.sort(T0 + rng.integers(0, spread, JOBS)),
        runtime=runtime,
        limit=runtime * 2,
        demand=demand,
        pool=np.zeros(JOBS, np.int64),
        nodes=cpus / CPUS,
        user=text,
        account=text,
        label=text,
        energy_kwh=np.full(JOBS, np.nan),
        room=room,
    )
    chosen = rng.random(JOBS) < 0.67
    slack = np.where(chosen, rng.uniform(2, 24, JOBS) * 3600, 0.0)
    return trace, Flexibility(chosen, trace.submit + slack.astype(np.int64), slack)


@pytest.mark.parametrize("runtimes", ["learned", "requested", "actual"])
def test_only_flexible_jobs_wait_and_never_past_their_latest_start(runtimes: Any) -> None:
    trace, flexibility = made()
    run = replay(trace, flexibility, Flexlon(Wave(), POWER, runtimes=runtimes))
    waited = run.begin > trace.submit
    assert waited.sum() > 10
    assert not (waited & ~flexibility.flexible).any()
    assert (run.begin <= flexibility.latest)[flexibility.flexible].all()
    assert (run.start > 0).all()
    assert run.notes == ()


def test_the_same_replay_twice_is_the_same() -> None:
    trace, flexibility = made()
    one, other = (replay(trace, flexibility, Flexlon(Wave(), POWER)) for _ in range(2))
    assert np.array_equal(one.start, other.start)


def test_a_dearer_delay_means_less_waiting() -> None:
    trace, flexibility = made()
    waits = []
    for delay_price in (0.0, 0.05, 1.0):
        run = replay(trace, flexibility, Flexlon(Wave(), POWER, delay_price=delay_price))
        waits.append(float((run.begin - trace.submit).sum()))
    assert waits[0] > waits[1] > waits[2]
    assert waits[2] < 0.02 * waits[0]


def flexible_kg(trace: Trace, flexibility: Flexibility, run: Run) -> NDArray[np.float64]:
    """Kg of flexible jobs by day (UTC), minute by minute."""
    found: dict[int, float] = {}
    for job in np.flatnonzero(flexibility.flexible).tolist():
        for at in range(int(run.start[job]), int(run.end[job]), 60):
            seconds = min(60, int(run.end[job]) - at)
            grid = TimeGrid.covering(at, SLOT, 1)
            intensity = float(Wave().actual(grid)[1][0])
            kw = trace.nodes[job] * POWER.kw_per_node
            found[at // 86400] = found.get(at // 86400, 0.0) + kw * seconds / 3.6e6 * intensity
    return np.array([found[day] for day in sorted(found)])


def test_a_carbon_cap_of_a_day_lowers_the_worst_day_and_breaks_no_promise() -> None:
    trace, flexibility = made()
    free, capped = (
        replay(
            trace,
            flexibility,
            Flexlon(
                Wave(),
                POWER,
                runtimes="actual",
                horizon_slots=SLOTS,
                settings=PlanningSettings(delay_price=0.0, carbon_cap_kg_per_day=cap),
            ),
        )
        for cap in (0.0, CAP)
    )
    before, after = (flexible_kg(trace, flexibility, run) for run in (free, capped))
    assert before.max() > CAP * 1.05
    assert after.max() < before.max()
    assert (capped.begin <= flexibility.latest)[flexibility.flexible].all()
    assert not ((capped.begin > trace.submit) & ~flexibility.flexible).any()
    assert capped.notes == ()


def test_a_newcomer_that_breaks_a_cap_the_plan_kept_is_planned_with_all_others() -> None:
    """As in the daemon, which plans everything again when it sees a job."""
    trace, flexibility = made()
    planned: list[tuple[int, set[int]]] = []

    class Watched(Flexlon):
        def arrive(self, now: int, jobs: Sequence[int], state: State) -> Mapping[int, int]:
            kept = {one.name for one in self._last.carbon_caps if one.kept} if self._last else set()
            before = self._last
            answer = super().arrive(now, jobs, state)
            if self._last is not before:
                assert kept
                planned.append((now, set(self._last.job_id.tolist()) if self._last else set()))
                assert set(jobs) <= planned[-1][1]
                assert set(answer) >= set(state.held)
            return answer

    for cap in (0.0, 1e6, CAP):
        settings = PlanningSettings(delay_price=0.0, carbon_cap_kg_per_day=cap)
        policy = Watched(Wave(), POWER, runtimes="actual", horizon_slots=SLOTS, settings=settings)
        replay(trace, flexibility, policy)
        assert bool(planned) == (cap == CAP)


def test_runtimes_are_learned_from_jobs_that_have_ended() -> None:
    trace, flexibility = made()
    policy = Flexlon(Wave(), POWER)
    replay(trace, flexibility, policy)
    kind = policy.believed.of(0, trace)
    forecast = policy.believed._model.predict(kind)
    assert policy.believed._model.runs == JOBS
    assert forecast.samples > 0
    assert forecast.p50 < trace.limit[0]


def test_a_pending_job_is_forecast_anew_with_each_plan() -> None:
    trace, _ = made()
    believed = Believed("learned")
    for at in range(5):
        believed.learn(0, trace, 60.0, at)
    short = believed.pending(1, trace)
    for at in range(5, 30):
        believed.learn(0, trace, float(trace.limit[0]), at)
    assert believed.pending(1, trace) == short
    believed.refresh()
    assert believed.pending(1, trace) > short


def as_slurm_sees_it(
    trace: Trace, flexibility: Flexibility, state: State, margin: int
) -> list[Job]:
    """The same queue as records of Slurm, with directives that say the same latest starts."""
    jobs = []
    for index in [*state.running, *state.queued, *state.held]:
        start = state.running.get(index, 0)
        slack = int(flexibility.latest[index] - trace.submit[index])
        comment = f"flex: max-delay={slack // 3600}:{slack % 3600 // 60:02}:{slack % 60:02}"
        jobs.append(
            Job(
                job_id=index,
                state=JobState.RUNNING if start else JobState.PENDING,
                reason="Priority",
                user=str(trace.user[index]),
                uid=1000,
                account=str(trace.account[index]),
                qos="",
                partition="main",
                name=str(trace.label[index]),
                nodes=int(trace.nodes[index]),
                cpus=int(trace.nodes[index]) * CPUS,
                memory_mib=0,
                gpus=(),
                licenses="",
                time_limit=int(trace.limit[index]),
                submit=int(trace.submit[index]),
                begin=int(trace.submit[index]),
                start=start,
                end=0,
                deadline=0,
                priority=1_000_000 - index,
                requeue=True,
                restarts=0,
                reservation="",
                dependency="",
                batch=True,
                node_list="",
                comment=comment if flexibility.flexible[index] else "",
            )
        )
    return jobs


def test_the_daemons_plan_and_the_backtests_plan_of_the_same_snapshot_are_identical() -> None:
    trace, flexibility = made(seed=3, spread=3600)
    # Not so full that nobody has anything to wait for.
    trace = replace(trace, runtime=trace.runtime / 4, limit=np.floor(trace.limit / 4))
    now = int(trace.submit.max()) + 1
    running = dict.fromkeys(range(4), now - 100)
    queued = [job for job in range(4, JOBS) if not flexibility.flexible[job]]
    state = State(trace, flexibility, SLOT, held={}, running=running, lanes=())
    state.now = now
    waiting = [job for job in range(4, JOBS) if flexibility.flexible[job]]

    settings = PlanningSettings(carbon_price=60.0)
    policy = Flexlon(Wave(), POWER, runtimes="requested", settings=settings, horizon_slots=SLOTS)
    policy._sizes.see(trace.room, range(JOBS), trace.pool, trace.demand)
    policy._newest.came(now, trace.room, trace.pool, trace.demand, trace.limit)
    ours = policy.problem(now, [*queued, *waiting], state)
    margins = set(policy._margin(np.array(waiting), trace).tolist())
    assert len(margins) == 1  # the default: nothing was noted yet
    margin = margins.pop()

    held = MappingProxyType(dict.fromkeys(waiting, 0))
    everyone = State(trace, flexibility, SLOT, held={}, running=running, lanes=())
    everyone.held = held
    jobs = as_slurm_sees_it(trace, flexibility, everyone, margin)
    queue = State(trace, flexibility, SLOT, held=dict.fromkeys(queued, 0), running={}, lanes=())
    jobs += as_slurm_sees_it(trace, flexibility, queue, margin)
    configured = Settings(
        planning=settings,
        power=PowerSettings(
            pue=1.0, node_types={"all": NodeType(cpu_watts=1000 * POWER.kw_per_node / CPUS)}
        ),
    )
    consents = ConsentReader(configured.directive, ZoneInfo("UTC"))
    flex = {
        job.job_id: judge(job, None, consents, now=now, margin=margin, split=())
        for job in jobs
        if job.comment
    }
    grid = TimeGrid.covering(now, SLOT, SLOTS)
    price, carbon = Wave().actual(grid)
    question = build(
        jobs,
        flex,
        Cluster("c", "24.11.5", (pool(),), 30, accrue_always=True, kill_wait=30),
        price=Series(Kind.PRICE, grid, price, "", 0, Quality.GOOD),
        carbon=Series(Kind.CARBON, grid, carbon, "", 0, Quality.GOOD),
        settings=configured,
        grid=grid,
        now=now,
        recent=np.zeros((0, 2)),
        sizes=policy._sizes,
        newest=policy._newest,
    )
    theirs = question.problem
    for name in ("job_id", "earliest", "duration", "kw", "pool", "movable", "current"):
        assert np.allclose(getattr(ours, name), getattr(theirs, name)), name
    assert np.array_equal(ours.latest[ours.movable], theirs.latest[theirs.movable])
    assert np.array_equal(ours.promised, theirs.promised)
    assert np.array_equal(ours.demand, theirs.demand)
    assert np.array_equal(ours.running.end, theirs.running.end)
    mine, daemons = (plan(one, settings, budget=budget_of(settings)) for one in (ours, theirs))
    assert mine.moved.sum() > 5
    assert np.array_equal(mine.start, daemons.start)
    assert np.array_equal(mine.moved, daemons.moved)
    assert mine.proof.objective_gbp == pytest.approx(daemons.proof.objective_gbp)
