"""Running jobs in the envelope of the loop's plan: a step with stops is what a window of its size then does."""

from __future__ import annotations

import math
from dataclasses import replace
from types import SimpleNamespace
from typing import TYPE_CHECKING, cast

import pytest

from flexlond.agents.envelope_ports import EnvelopeStepView, EnvelopeView
from flexlond.agents.window_ports import WindowOrder
from flexlond.prediction.features import of_job
from flexlond.prediction.power import PowerModel
from flexlond.prediction.runtime import RuntimeModel
from tests.unit.agents.conftest import START, Bench, replace_struct
from tests.unit.agents.test_envelopes import learned
from tests.unit.agents.test_stops import (
    BEGIN,
    END,
    FIRST,
    KW,
    LAST,
    REQUEUE,
    SUSPEND,
    TERMS,
    live,
    made,
    power,
    run,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from flexlond.agents.learning import Learner
    from flexlond.agents.window_ports import AddedView
    from flexlond.model.settings import Settings


@pytest.fixture
def bench(tmp_path: Path, settings: Settings) -> Iterator[Bench]:
    found = made(tmp_path, wanted(settings), stop_running=True)
    yield found
    found.store.close()


def wanted(settings: Settings) -> Settings:
    envelope = replace_struct(
        settings.envelope, depths=(0.2, 0.5, 0.8), exact_seconds=60.0, margin=0.0
    )
    # Begin times at their slot's begin: a step is priced by the slot.
    return replace_struct(
        settings, envelope=envelope, planning=replace_struct(settings.planning, spread=0.0)
    )


async def asked(bench: Bench) -> EnvelopeView:
    found = await bench.agent.envelope((BEGIN, END))
    assert isinstance(found, EnvelopeView), found
    return found


def down(view: EnvelopeView) -> list[EnvelopeStepView]:
    (curve,) = (curve for curve in view.curves if curve.direction == "down")
    return list(curve.steps)


def order(step: EnvelopeStepView) -> WindowOrder:
    return WindowOrder(BEGIN, END, math.nan, step.kw, "alice")


async def dry_run(bench: Bench, step: EnvelopeStepView) -> AddedView:
    return await bench.agent.add_window(order(step), dry_run=True)


async def scene(bench: Bench, *comments: str, waiting: int = 0) -> None:
    """Jobs that run and `waiting` flexible ones that start next; all are known to use their time limit."""
    await run(bench, *comments)
    for _ in range(waiting):
        bench.slurm.submit(TERMS, cpus=1, minutes=60)
    known(bench)
    await bench.cycle()


def known(bench: Bench) -> None:
    model = RuntimeModel()
    for job in bench.slurm.jobs.values():
        for at in range(60):
            model.learn(of_job(job), float(job.time_limit or 0), START + at)
    learner = SimpleNamespace(runtime=model, power=PowerModel(), settings=bench.settings)
    bench.agent.learner = cast("Learner", learner)


@pytest.mark.parametrize("how", [REQUEUE, SUSPEND])
@pytest.mark.parametrize("waiting", [0, 2])
async def test_a_window_of_a_steps_size_finds_the_same_stops_at_its_price(
    bench: Bench, how: str, waiting: int
) -> None:
    await scene(bench, how, how, TERMS, "", how, waiting=waiting)
    view = await asked(bench)
    steps = down(view)
    deep = [step for step in steps if step.stopped_jobs]
    assert deep
    assert [step.stopped_jobs for step in steps] == sorted(step.stopped_jobs for step in steps)
    # Who waits is deferred first; one of those who run is stopped only for what is left.
    assert {step.jobs for step in deep} == {waiting}
    for step in deep:
        assert not step.why_not
        added = await dry_run(bench, step)
        assert len(added.stops) == step.stopped_jobs
        assert min(stop.at for stop in added.stops) >= step.order_by
        price = added.cost_gbp + added.carbon_gbp + added.delay_gbp + added.stops_gbp
        assert abs(price - step.price_gbp) <= step.uncertainty_gbp + 1e-3
        assert added.window is not None
        assert added.window.shortfall_kw < 1e-3
    assert deep[-1].kw <= waiting * KW + sum(stop.kw for stop in added.stops) + 1e-6
    assert not any("not counted" in note for note in view.notes)


async def test_what_a_window_stops_is_not_offered_again_and_is_delivered(bench: Bench) -> None:
    await scene(bench, REQUEUE, REQUEUE, REQUEUE, "")
    one, *_ = (step for step in down(await asked(bench)) if step.stopped_jobs)
    before = power(bench)
    assert (await bench.agent.add_window(order(one), dry_run=False)).added
    await bench.cycle()
    assert len(bench.agent.candidates) == 3
    after = [step for step in down(await asked(bench)) if step.stopped_jobs]
    assert max(step.stopped_jobs for step in after) == 3 - one.stopped_jobs
    assert max(step.kw for step in after) <= (3 - one.stopped_jobs) * KW + 1e-6
    highest = await live(bench, END)
    assert all(highest[slot] <= before - one.offered_kw + 1e-6 for slot in range(FIRST, LAST))


async def test_the_notice_has_the_checkpoints_grace_and_the_kill_wait(bench: Bench) -> None:
    await scene(bench, f"{REQUEUE} checkpoint=USR1@120")
    (step,) = down(await asked(bench))
    kill_wait, beat = 30, 13
    assert step.order_by == BEGIN - 120 - kill_wait - beat


async def test_a_run_that_may_have_ended_by_then_is_not_certain(bench: Bench) -> None:
    await run(bench, REQUEUE)
    learned(bench, 5)
    await bench.cycle()
    assert [step.certain_kw for step in down(await asked(bench))] in ([], [0.0])


async def test_where_nobody_may_be_stopped_the_envelope_is_what_it_was(
    tmp_path: Path, settings: Settings
) -> None:
    views = []
    for number, (stop, plans) in enumerate([(False, 24), (True, 0)]):
        envelope = replace_struct(wanted(settings).envelope, stop_plans=plans)
        site = replace_struct(settings, envelope=envelope)
        folder = tmp_path / str(number)
        folder.mkdir()
        bench = made(folder, site, stop_running=stop)
        await scene(bench, REQUEUE, SUSPEND, waiting=2)
        found = await asked(bench)
        views.append(replace(found, seconds=0.0))
        bench.store.close()
    # NaN is no cap.
    assert repr(views[0]) == repr(views[1])
    assert all(step.stopped_jobs == 0 for step in down(views[0]))
    assert "running jobs are not counted: none is stopped" in views[0].notes
