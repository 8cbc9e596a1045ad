"""The guard of the in-day adjustment on the simulated Slurm: no baseline is raised by what we plan."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import pytest

from flexlond.agents import adjusting
from flexlond.agents.window_ports import WindowOrder
from flexlond.model.job import JobState
from flexlond.model.settlement_period import LENGTH
from flexlond.model.settlement_settings import BaselineSettings, ProductSettings
from flexlond.settlement.adjustment import window_of
from flexlond.settlement.baseline import BL01
from tests.unit.agents.conftest import SLOT, START, Bench, replace_struct

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from flexlond.agents.window_ports import AddedView
    from flexlond.model.settings import Settings

FLEX = "flex: max-delay=8:00:00 power=10kW"
FIRST, LAST = 9, 11  # the slots that are sold: everybody wants to run in them
TEMPTING = 3  # the next best slot lies in the adjustment's window, slots 1 to 6
PRICE = [200.0] * 3 + [100.0] + [200.0] * 5 + [20.0] * 2 + [200.0] * 37
JOBS = 5
DOWN = (
    40.0  # kW of the first slot, most of what five jobs draw; in the second there is no more room
)


def sells(settings: Settings, product: str, **bl01: int) -> Settings:
    chosen = replace_struct(
        settings.settlement,
        market_product=product,
        baseline="bl01",
        bl01=BaselineSettings(**bl01),  # type: ignore[arg-type]
    )
    return replace_struct(settings, settlement=chosen)


@pytest.fixture
def make(tmp_path: Path, settings: Settings) -> Iterator[list[Bench]]:
    made: list[Bench] = []
    yield made
    for one in made:
        one.store.close()


async def sold(
    made: list[Bench], path: Path, settings: Settings, flex: str = FLEX
) -> tuple[Bench, AddedView, list[int]]:
    bench = Bench(path, settings, PRICE)
    made.append(bench)
    jobs = [bench.slurm.submit(flex, cpus=1, minutes=30) for _ in range(JOBS)]
    await bench.cycle()
    assert {bench.begin(job) // SLOT * SLOT for job in jobs} == {START + FIRST * SLOT}
    order = WindowOrder(
        START + FIRST * SLOT,
        START + LAST * SLOT,
        math.nan,
        DOWN,
        "market",
        order_id="order-1",
        by_slot=(DOWN, 0.0),
    )
    added = await bench.agent.add_window(order, dry_run=False)
    await bench.cycle()
    return bench, added, jobs


async def drawn(bench: Bench) -> dict[int, int]:
    """The most jobs that ran at once in each slot, until all are done."""
    most: dict[int, int] = {}
    while bench.slurm.now < START + 20 * SLOT:
        await bench.cycle()
        bench.slurm.advance(300)
        running = sum(job.state is JobState.RUNNING for job in bench.slurm.jobs.values())
        slot = (bench.slurm.now - START - 1) // SLOT
        most[slot] = max(most.get(slot, 0), running)
    return most


async def test_load_is_never_raised_inside_the_in_day_adjustment_window(
    tmp_path: Path, settings: Settings, make: list[Bench]
) -> None:
    bench, added, jobs = await sold(make, tmp_path / "bm.db", sells(settings, "bm"))
    assert added.added, added.detail
    window = window_of(START + FIRST * SLOT, BL01)
    assert START + TEMPTING * SLOT in window
    assert not any(bench.begin(job) // SLOT * SLOT in window for job in jobs)
    bench.restart()  # the guard is on disk as the window is
    (kept,) = bench.agent.windows
    assert (kept.guard_start, len(kept.guard)) == (window.start, len(window))
    # Whoever comes now is tempted too.
    later = [bench.slurm.submit(FLEX, cpus=1, minutes=30) for _ in range(2)]
    ran = await drawn(bench)
    for start in window:
        assert ran.get((start - START) // SLOT, 0) == 0, ran
    assert all(bench.slurm.started[job] <= START + 8 * 3600 + 60 for job in (*jobs, *later))


async def test_without_the_adjustment_the_same_load_goes_where_it_is_cheap(
    tmp_path: Path, settings: Settings, make: list[Bench]
) -> None:
    for number, chosen in enumerate(
        (sells(settings, "market"), sells(settings, "bm", gap=TEMPTING + 3, window=2))
    ):
        bench, added, jobs = await sold(make, tmp_path / f"{number}.db", chosen)
        assert added.added, added.detail
        moved = [job for job in jobs if bench.begin(job) < START + FIRST * SLOT]
        assert moved
        assert {bench.begin(job) // SLOT * SLOT for job in moved} == {START + TEMPTING * SLOT}


async def test_an_order_that_could_only_be_kept_by_raising_its_baseline_is_refused(
    tmp_path: Path, settings: Settings, make: list[Bench]
) -> None:
    """Everybody must start before the window ends, and all slots before it are the adjustment's."""
    flex = "flex: max-delay=5:00:00 power=10kW"
    chosen = sells(settings, "bm", gap=0, window=FIRST)
    bench, added, jobs = await sold(make, tmp_path / "refused.db", chosen, flex)
    assert not added.added
    assert "settlement period" in added.detail
    assert "adjusted by" in added.detail
    assert bench.agent.windows == ()
    assert {bench.begin(job) // SLOT * SLOT for job in jobs} == {START + FIRST * SLOT}
    _, added, _ = await sold(make, tmp_path / "kept.db", sells(settings, "market"), flex)
    assert added.added


@pytest.mark.parametrize(
    ("product", "baseline", "guards"),
    [("market", "bl01", False), ("bm", "bl01", True), ("bm", "nominated", False)],
)
def test_it_is_the_products_matter_whether_there_is_a_guard(
    settings: Settings, product: str, baseline: str, *, guards: bool
) -> None:
    chosen = replace_struct(settings.settlement, market_product=product, baseline=baseline)
    assert (adjusting.profile_of(chosen) is not None) == guards
    own = {"bm": ProductSettings(activity="boa", adjusted=True, baseline="nominated")}
    chosen = replace_struct(chosen, products=own)
    assert adjusting.profile_of(chosen) is None
    assert LENGTH == SLOT
