"""Assets in the loop: read, planned beside the jobs, set in act mode only, left to themselves at the end."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import pytest

from flexlond.agents.assets import AssetDesk
from flexlond.agents.window_ports import WindowOrder
from flexlond.assets.drivers.choose import drivers_of
from flexlond.assets.drivers.port import DriverError
from flexlond.assets.plant import Reading
from flexlond.model.settings import AssetSettings, Settings
from flexlond.model.timegrid import TimeGrid
from flexlond.solver.linear import solve
from tests.unit.agents.conftest import CHEAP_AT_SIX, SLOT, START, Bench, replace_struct

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

BATTERY = AssetSettings(
    name="battery",
    kind="battery",
    driver="simulated",
    charge_kw=10.0,
    discharge_kw=10.0,
    capacity_kwh=40.0,
    wear_gbp_per_kwh=0.01,
    start_level=20.0,
)
CHILLER = AssetSettings(
    name="chiller",
    kind="chiller",
    driver="simulated",
    max_kw=12.0,
    inertia_kwh_per_k=10.0,
    heat_kw=(16.0,),
    start_level=19.0,
)


class Spy:
    """A driver that notes what is sent; reads what it is told."""

    def __init__(self, level: float = 20.0, *, writes: bool = True) -> None:
        self.level, self.writes = level, writes
        self.sent: list[float] = []
        self.released = 0
        self.closed = False
        self.fault = ""

    async def read(self, now: int) -> Reading:
        if self.fault:
            raise DriverError(self.fault)
        return Reading(now, self.level, 0.0)

    async def send(self, kw: float, now: int) -> None:
        self.sent.append(kw)

    async def release(self, now: int) -> None:
        self.released += 1

    async def close(self) -> None:
        self.closed = True


@pytest.fixture
def make(tmp_path: Path, settings: Settings) -> Iterator[Callable[..., Bench]]:
    made: list[Bench] = []

    def build(
        *assets: AssetSettings, spy: Spy | None = None, mode: str = "act", site_kw: float = 0.0
    ) -> Bench:
        chosen = Settings(
            daemon=replace_struct(settings.daemon, mode=mode),
            signals=settings.signals,
            planning=replace_struct(settings.planning, site_kw=site_kw, assets_seconds=5.0),
            assets=assets,
        )
        bench = Bench(tmp_path / "store.db", chosen, CHEAP_AT_SIX)
        drivers = drivers_of(assets) if spy is None else {assets[0].name: spy}
        bench.agent.assets = AssetDesk(assets, drivers, solve)
        made.append(bench)
        return bench

    yield build
    for bench in made:
        bench.store.close()


def desk(bench: Bench) -> AssetDesk:
    assert bench.agent.assets is not None
    return bench.agent.assets


async def test_it_discharges_at_dear_hours_and_charges_at_cheap_ones(
    make: Callable[..., Bench],
) -> None:
    bench = make(BATTERY, CHILLER)
    for _ in range(8):
        bench.slurm.submit("", cpus=16, minutes=600)  # a load that the battery may serve
    levels = []
    for _ in range(10):
        for _ in range(30):
            await bench.cycle()
            bench.slurm.advance(60)
        levels.append(bench.agent.show_assets().assets[0].level)
    assert min(levels[:6]) < 20.0 < levels[-1]
    chiller = bench.agent.show_assets().assets[1]
    assert 16.0 - 1e-3 <= chiller.level <= 22.0 + 1e-3


async def test_in_observe_mode_nothing_is_ever_sent(make: Callable[..., Bench]) -> None:
    spy = Spy()
    bench = make(BATTERY, spy=spy, mode="observe")
    await bench.cycle()
    await desk(bench).close(START)
    assert spy.sent == []
    assert spy.released == 0
    assert spy.closed
    assert math.isnan(bench.agent.show_assets().assets[0].setpoint_kw)


async def test_in_act_mode_each_cycle_renews_and_a_pause_releases_once(
    make: Callable[..., Bench],
) -> None:
    spy = Spy()
    bench = make(BATTERY, spy=spy)
    await bench.cycle()
    bench.slurm.advance(30)
    await bench.cycle()
    assert len(spy.sent) == 2
    await bench.agent.pause()
    await bench.cycle()
    await bench.cycle()
    assert len(spy.sent) == 2
    assert spy.released == 1


async def test_a_stop_leaves_the_asset_to_itself(make: Callable[..., Bench]) -> None:
    spy = Spy()
    bench = make(BATTERY, spy=spy)
    await bench.cycle()
    await desk(bench).close(bench.slurm.now)
    assert (spy.released, spy.closed) == (1, True)


async def test_an_asset_that_may_not_be_set_is_planned_and_not_sent(
    make: Callable[..., Bench],
) -> None:
    spy = Spy(writes=False)
    bench = make(BATTERY, spy=spy)
    await bench.cycle()
    assert spy.sent == []
    assert not math.isnan(bench.agent.show_assets().assets[0].planned_kw)


async def test_an_asset_that_cannot_be_read_is_released_left_out_and_said(
    make: Callable[..., Bench],
) -> None:
    spy = Spy()
    bench = make(BATTERY, spy=spy)
    await bench.cycle()
    spy.fault = "battery: no connection"
    bench.slurm.advance(130)
    await bench.cycle()
    assert (len(spy.sent), spy.released) == (1, 1)
    shown = bench.agent.show_assets()
    assert shown.assets[0].detail == "battery: no connection"
    assert "battery is left out: its reading is 130 s old" in shown.problems[0]
    assert math.isnan(shown.assets[0].planned_kw)


async def test_while_the_queue_cannot_be_read_nothing_is_renewed(
    make: Callable[..., Bench],
) -> None:
    spy = Spy()
    bench = make(BATTERY, spy=spy)
    bench.slurm.reader_down = True
    await bench.cycle()
    assert spy.sent == []


async def test_the_jobs_have_what_the_assets_leave_under_the_sites_cap(
    make: Callable[..., Bench],
) -> None:
    bench = make(CHILLER, BATTERY, site_kw=16.0)
    for _ in range(4):
        bench.slurm.submit("flex: max-delay=20:00:00 power=8kW", cpus=4, minutes=60)
    await bench.cycle()
    plan, problem = bench.agent.last_plan, bench.agent.problem
    assert plan is not None
    assert problem is not None
    assert problem.site_kw == pytest.approx(16.0)
    assert plan.kw.max() <= 16.0 + 1e-3
    shown = bench.agent.show_assets()
    total = np.sum([[slot.kw for slot in one.slots] for one in shown.assets], axis=0)
    assert plan.kw.min() >= -1e-6
    assert np.abs(total).max() > 1.0
    # The view's power is the whole site's: without the assets it is what the jobs and idle nodes draw.
    assert (plan.kw - total >= problem.base_kw - 1e-6).all()


async def test_a_chiller_that_is_not_read_keeps_its_power_under_the_cap(
    make: Callable[..., Bench],
) -> None:
    spy = Spy()
    spy.fault = "gone"
    bench = make(CHILLER, spy=spy, site_kw=16.0)
    grid = TimeGrid.covering(START, SLOT, 4)
    assert desk(bench).beside(grid, START).tolist() == [12.0] * 4
    bench.slurm.submit("flex: max-delay=20:00:00 power=8kW", cpus=4, minutes=60)
    await bench.cycle()
    assert bench.agent.problem is not None
    assert bench.agent.problem.site_kw == pytest.approx(16.0)
    assert "chiller is left out: it was never read" in bench.agent.show_assets().problems[0]


async def test_a_battery_helps_to_keep_a_window(make: Callable[..., Bench]) -> None:
    bench = make(BATTERY)
    # Without consent: 8 jobs that run for ten hours whatever is ordered.
    for _ in range(2):
        bench.slurm.submit("", cpus=16, minutes=600)
    await bench.cycle()
    bench.slurm.advance(60)
    await bench.cycle()
    assert bench.agent.modelled is not None
    base = bench.agent.modelled.kw - desk(bench).observed_kw()
    order = WindowOrder(START + 2 * SLOT, START + 4 * SLOT, base - 0.3, math.nan, "alice")
    await bench.agent.add_window(order, dry_run=False)
    await bench.cycle()
    view = bench.agent.show_window(1)
    assert view is not None
    assert view.shortfall_kw == 0.0
    slots = bench.agent.show_assets().assets[0].slots
    assert max(slot.kw for slot in slots[2:4]) <= -0.3 + 1e-3


async def test_changed_assets_need_a_restart(make: Callable[..., Bench]) -> None:
    bench = make(BATTERY)
    assert "[[assets]]" in await bench.agent.reload(Settings())


async def test_without_assets_there_is_nothing_to_show(bench: Bench) -> None:
    await bench.cycle()
    assert bench.agent.show_assets().assets == ()
