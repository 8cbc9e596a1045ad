"""The loop with what it learnt: plans begin from the last one, people see what is proven and expected."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from flexlond.agents import planning_step
from flexlond.agents.inquiry import outlook_of
from flexlond.agents.learning import Learner
from flexlond.agents.outlook import Outlook
from flexlond.model.settings import PredictionSettings, Settings
from flexlond.planning.planner import plan
from flexlond.prediction.features import of_job
from tests.unit.agents.conftest import Bench, replace_struct

if TYPE_CHECKING:
    from flexlond.planning.problem import Plan, Problem

FLEX = "flex: max-delay=8:00:00"


def teach(bench: Bench, *, runs: int = 24, seconds: float = 900.0) -> Learner:
    learner = Learner(bench.settings, bench.store, read=lambda *_, **__: ())
    job = bench.slurm.jobs[bench.slurm.submit(FLEX, minutes=60)]
    for number in range(runs):
        learner.runtime.learn(of_job(job), seconds, bench.slurm.now - 5000 + number)
    bench.agent.learner = learner
    return learner


async def set_up(bench: Bench, **changes: Any) -> None:
    old = bench.settings
    planning = replace_struct(old.planning, **changes)
    bench.settings = Settings(daemon=old.daemon, signals=old.signals, planning=planning)
    await bench.agent.reload(bench.settings)


async def test_a_plan_begins_from_the_last_one(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun: list[Plan | None] = []

    def spied(problem: Problem, *args: Any, **named: Any) -> Plan:
        begun.append(named["last"])
        return real(problem, *args, **named)

    real = plan
    monkeypatch.setattr(planning_step, "plan", spied)
    bench.slurm.submit(FLEX)
    await bench.cycle()
    first = bench.agent.last_plan
    bench.slurm.advance(30)
    await bench.cycle()
    assert begun[0] is None
    assert begun[1] is first
    assert bench.agent.problem is not None
    assert bench.agent.problem.now == bench.agent.planned_at == bench.slurm.now


async def test_the_plan_says_how_good_it_is(bench: Bench) -> None:
    for _ in range(20):
        bench.slurm.submit(FLEX, cpus=16)
    await bench.cycle()
    view = bench.agent.plan()
    assert view is not None
    assert view.optimised == 20
    assert 0 <= view.gap < 0.05
    assert view.bound_gbp <= view.objective_gbp + 1e-9  # equal where it is proved the best
    assert [stage.name for stage in view.stages][:2] == ["bound", "passes"]
    assert view.seconds >= sum(stage.seconds for stage in view.stages) > 0
    assert view.base_kw == pytest.approx(2 * 120 * 1.2 / 1000)
    assert all(slot.cap_kw != slot.cap_kw for slot in view.slots)  # NaN: no cap


async def test_the_power_cap_keeps_jobs_apart_and_is_priced(bench: Bench) -> None:
    jobs = [bench.slurm.submit(f"{FLEX} power=10kW", cpus=1) for _ in range(6)]
    await set_up(bench, site_kw=40.0)
    await bench.cycle()
    view = bench.agent.plan()
    assert view is not None
    assert max(slot.kw for slot in view.slots) <= 40.0
    assert {slot.cap_kw for slot in view.slots} == {40.0}
    assert sum(bench.begin(job) > bench.slurm.now for job in jobs) > 0
    assert max(slot.room_price_gbp_mwh for slot in view.slots) > 0


async def test_a_cap_below_the_idle_power_is_told(bench: Bench) -> None:
    await set_up(bench, site_kw=0.1)
    bench.slurm.submit(FLEX)
    await bench.cycle()
    assert any("no job fits under it" in text for text in bench.agent.status().warnings)


async def test_forecasts_reach_the_plan_and_explain(bench: Bench) -> None:
    teach(bench)
    await bench.cycle()
    assert bench.agent.problem is not None
    assert bench.agent.problem.duration[0] == pytest.approx(900, rel=0.05)
    view = bench.agent.explain(1)
    assert view is not None
    assert view.outlook is not None
    assert view.outlook.mean_seconds == bench.agent.problem.duration[0]
    assert (view.outlook.limit_seconds, view.outlook.runs) == (3600.0, 24)
    assert view.outlook.basis == "user, job name, time limit and size"
    assert view.binding == "price"
    names = [one.name for one in view.alternatives]
    assert names == ["now", "planned", "latest"]
    now, planned, latest = view.alternatives
    assert planned.start == bench.begin(1)
    assert planned.why_not == ""
    assert now.cost_gbp > planned.cost_gbp
    assert "GBP dearer" in now.why_not
    assert latest.start == view.job.latest_start
    assert view.job.kw > view.job.counted_kw > 0


async def test_a_job_that_has_started_is_explained_without_alternatives(bench: Bench) -> None:
    job = bench.slurm.submit("")
    await bench.cycle()
    bench.slurm.advance(30)
    await bench.cycle()
    view = bench.agent.explain(job)
    assert view is not None
    assert view.alternatives == ()
    assert view.binding == ""
    assert view.job.kw > view.job.counted_kw > 0


async def test_what_was_learnt_shows_in_one_line(bench: Bench) -> None:
    learner = teach(bench)
    learner.detail = "learned from 24 runs"
    assert bench.agent.status().prediction == "learned from 24 runs"
    off = Settings(daemon=bench.settings.daemon, prediction=PredictionSettings(enabled=False))
    await bench.agent.reload(off)
    assert bench.agent.status().prediction.startswith("off")
    assert learner.settings is off
    assert outlook_of(bench.agent).runtime.runs == 0


async def test_forecasts_are_looked_up_once_until_something_is_learnt(bench: Bench) -> None:
    learner = teach(bench)
    await bench.cycle()
    outlook = bench.agent.outlook
    assert outlook_of(bench.agent) is outlook
    job = bench.slurm.jobs[1]
    before = outlook.run_of(job)
    assert outlook.run_of(job) is before
    learner.runtime.learn(of_job(job), 3000.0, bench.slurm.now)
    assert outlook.run_of(job).p90 >= before.p90
    assert outlook.run_of(job) is not before
    assert Outlook().run_of(job).p50 == 3600.0
