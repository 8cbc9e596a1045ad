"""The envelope of the loop's plan: in a process of its own, kept while its plan is in force."""

from __future__ import annotations

import asyncio
import gc
import math
import sys
from types import SimpleNamespace
from typing import TYPE_CHECKING, cast

import pytest

from flexlond.agents.envelope_ports import EnvelopeView, NoEnvelope
from flexlond.agents.window_ports import WindowOrder
from flexlond.prediction.features import of_job
from flexlond.prediction.power import PowerModel
from flexlond.prediction.runtime import RuntimeModel
from flexlond.solver import envelope_child
from tests.unit.agents.conftest import SLOT, START, Bench, replace_struct

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from flexlond.agents.learning import Learner
    from flexlond.model.settings import Settings

FLEX = "flex: max-delay=8:00:00 power=10kW"
KW = 12.0  # of such a job at the site's meter
BASE = 2 * 120 * 1.2 / 1000
SPAN = (START + SLOT, START + 3 * SLOT)


@pytest.fixture
def bench(tmp_path: Path, settings: Settings) -> Iterator[Bench]:
    """One price all day; one window of interest."""
    envelope = replace_struct(
        settings.envelope, windows=2, window_slots=2, depths=(0.1, 0.4), exact_seconds=60.0
    )
    made = Bench(tmp_path / "store.db", replace_struct(settings, envelope=envelope), [100.0])
    yield made
    made.store.close()


async def busy(bench: Bench, jobs: int = 8, *, known: bool = True) -> None:
    """Flexible jobs that the plan starts at once; `known`: such jobs were seen to run for their time limit."""
    for _ in range(jobs):
        bench.slurm.submit(FLEX, cpus=1, minutes=180)
    if known:
        learned(bench, 180)
    await bench.cycle()


def learned(bench: Bench, minutes: int) -> None:
    """Many runs like the jobs in the queue, of `minutes` each."""
    model = RuntimeModel()
    for at in range(60):
        model.learn(of_job(next(iter(bench.slurm.jobs.values()))), 60.0 * minutes, START + at)
    learner = SimpleNamespace(runtime=model, power=PowerModel(), settings=bench.settings)
    bench.agent.learner = cast("Learner", learner)


async def asked(bench: Bench, span: tuple[int, int] | None = SPAN) -> EnvelopeView:
    found = await bench.agent.envelope(span)
    assert isinstance(found, EnvelopeView), found
    return found


def offered(view: EnvelopeView, direction: str = "down") -> list[float]:
    """The offered kW of the steps."""
    return [
        step.offered_kw
        for curve in view.curves
        for step in curve.steps
        if curve.direction == direction and not step.why_not
    ]


async def test_what_waits_to_start_can_be_given_and_what_is_kept_back_is_not_offered(
    bench: Bench,
) -> None:
    await busy(bench)
    view = await asked(bench)
    down = view.curves[0]
    assert (down.start, down.end, down.direction) == (*SPAN, "down")
    assert down.planned_kw == pytest.approx(8 * KW + BASE)
    assert [step.kw for step in down.steps] == pytest.approx([KW, 4 * KW])
    assert offered(view) == pytest.approx([0.9 * KW, 0.9 * 4 * KW])
    assert all(step.price_gbp > step.uncertainty_gbp for step in down.steps)
    # Held in the first slot already: the order comes before the jobs start.
    assert all(step.order_by == START for step in down.steps)
    assert [slot.start for slot in view.slots] == [START + SLOT, START + 2 * SLOT]
    assert [slot.down_kw for slot in view.slots] == pytest.approx([0.9 * 4 * KW] * 2)
    assert all(math.isnan(slot.cap_kw) for slot in view.slots)


async def test_what_nothing_is_known_of_is_not_certain(bench: Bench) -> None:
    await busy(bench, known=False)
    view = await asked(bench)
    steps = view.curves[0].steps
    assert [step.kw for step in steps] == pytest.approx([KW, 4 * KW])
    # A single run may end before the window: nothing of it is certain. Of several something is.
    assert (steps[0].certain_kw, steps[0].offered_kw) == (0.0, 0.0)
    assert "nothing of it is certain at 90%" in steps[0].why_not
    assert all(step.certain_kw < step.kw for step in steps)


async def test_jobs_that_mostly_fail_at_once_offer_nothing(bench: Bench) -> None:
    bench.slurm.submit(FLEX, cpus=1, minutes=180)
    learned(bench, 1)
    await busy(bench, 7, known=False)
    assert offered(await asked(bench)) == []


async def test_without_a_window_those_of_interest_are_priced(bench: Bench) -> None:
    await busy(bench)
    view = await asked(bench, None)
    starts = sorted({(curve.start, curve.end) for curve in view.curves})
    assert starts == [SPAN, (START + 3 * SLOT, START + 5 * SLOT)]
    assert len(view.slots) == 4


async def test_what_is_committed_is_not_offered_again(bench: Bench) -> None:
    await busy(bench)
    before = await asked(bench)
    order = WindowOrder(*SPAN, 50.0, math.nan, "alice")
    assert (await bench.agent.add_window(order, dry_run=False)).added
    await bench.cycle()
    after = await asked(bench)
    assert before.curves[0].planned_kw > 90.0
    assert after.curves[0].planned_kw <= 50.0
    assert max(offered(after)) <= 0.9 * 0.5 * 50.0 < max(offered(before))
    assert [slot.cap_kw for slot in after.slots] == [50.0, 50.0]
    # And what the window keeps out cannot be taken back in.
    room = 50.0 - after.curves[0].planned_kw
    assert all(kw <= room for kw in offered(after, "up"))


async def test_an_answer_is_kept_as_long_as_its_plan(bench: Bench) -> None:
    await busy(bench)
    first, same = await asyncio.gather(asked(bench), asked(bench))
    assert first is same
    assert await asked(bench) is first
    await bench.cycle()
    other = await asked(bench)
    assert other is not first
    assert [slot.start for slot in other.slots] == [slot.start for slot in first.slots]


async def test_the_loop_beats_while_the_envelope_is_computed(bench: Bench) -> None:
    await busy(bench)
    waiting = asyncio.create_task(asked(bench))
    await asyncio.sleep(0)
    await bench.cycle()
    assert not waiting.done()
    assert offered(await waiting)


async def test_a_running_job_is_not_in_it(bench: Bench) -> None:
    await busy(bench)
    bench.slurm.advance(60)
    await bench.cycle()
    view = await asked(bench)
    assert view.curves[0].planned_kw == pytest.approx(8 * KW + BASE)
    assert offered(view) == []
    assert any("running jobs are not counted" in note for note in view.notes)


async def test_before_the_first_plan_there_is_none(bench: Bench) -> None:
    found = await bench.agent.envelope(None)
    assert isinstance(found, NoEnvelope)
    assert "try again" in found.why


@pytest.mark.parametrize(
    ("span", "why"),
    [
        ((START - 2 * SLOT, START), "begins after now"),
        ((START + SLOT, START + SLOT), "give a later --to"),
        ((START + SLOT, START + 200 * SLOT), "raise grid.horizon_slots"),
    ],
)
async def test_a_window_that_cannot_be_priced_is_told_why(
    bench: Bench, span: tuple[int, int], why: str
) -> None:
    await busy(bench, 1)
    found = await bench.agent.envelope(span)
    assert isinstance(found, NoEnvelope)
    assert why in found.why


@pytest.mark.parametrize(
    ("child", "why"),
    [
        ("import os; os.kill(os.getpid(), 9)", "ended with status -9"),
        ("print('A' + chr(130), end='')", "cannot be read"),
        (
            "import sys; sys.stdout.buffer.write(b'Rthe window is not on the grid')",
            "not on the grid",
        ),
    ],
)
async def test_a_child_that_dies_or_lies_is_said_and_the_next_one_is_asked(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, child: str, why: str
) -> None:
    await busy(bench)
    with monkeypatch.context() as patch:
        patch.setattr(envelope_child, "_COMMAND", (sys.executable, "-c", child))
        found = await bench.agent.envelope(SPAN)
        assert isinstance(found, NoEnvelope)
        assert why in found.why
    assert offered(await asked(bench))


async def test_a_child_that_hangs_is_killed(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    await busy(bench)
    hang = "import sys, time; sys.stdin.buffer.read(); time.sleep(600)"
    monkeypatch.setattr(envelope_child, "_COMMAND", (sys.executable, "-c", hang))
    monkeypatch.setattr(envelope_child, "GRACE", 0.3)
    limit = replace_struct(bench.agent.settings.envelope, seconds=0.2)
    bench.agent.settings = replace_struct(bench.agent.settings, envelope=limit)
    found = await bench.agent.envelope(SPAN)
    assert isinstance(found, NoEnvelope)
    assert "given up after 0.2 s" in found.why


async def test_an_error_that_nobody_waits_for_any_more_is_not_logged_as_lost(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As at a shutdown: who asked is gone before the child is killed."""
    await busy(bench)
    late = "import os, sys, time; sys.stdin.buffer.read(); time.sleep(0.3); os.kill(os.getpid(), 9)"
    monkeypatch.setattr(envelope_child, "_COMMAND", (sys.executable, "-c", late))
    lost: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: lost.append(context))
    asking = asyncio.create_task(bench.agent.envelope(SPAN))
    await asyncio.sleep(0.05)
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    task = bench.agent._envelopes._task
    assert task is not None
    await asyncio.wait({task})
    bench.agent._envelopes._task = None
    assert not task.cancelled()
    del task
    gc.collect()
    assert lost == []
