"""A battery site: the same seller, other works; it discharges what it sold and no more than it has."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import settings as how
from hypothesis import strategies as st

from flexlond.agents.asset_site import AssetSite
from flexlond.agents.market.battery import BatteryWorks
from flexlond.agents.market.works import Promise
from flexlond.assets.drivers.choose import drivers_of
from flexlond.model.market_settings import SellSettings
from flexlond.model.settings import AssetSettings
from tests.unit.agents.conftest import SLOT, SimHub, replace_struct, settings
from tests.unit.agents.market.kit import FIRST, START, Deal, offered_kw, told

if TYPE_CHECKING:
    from pathlib import Path

    from flexlond.model.settings import Settings

__all__ = ["settings"]

TERMS = SellSettings(notice=60.0, least_jobs=1, max_slots=4, refresh=1.0, least_kw=1.0)


def battery(level: float = 100.0, **more: Any) -> AssetSettings:
    fields = {
        "name": "b1",
        "kind": "battery",
        "driver": "simulated",
        "charge_kw": 50.0,
        "discharge_kw": 50.0,
        "capacity_kwh": 120.0,
        "reserve_kwh": 20.0,
        "start_level": level,
        "discharge_efficiency": 1.0,
        "max_age": 400.0,
        "lease_seconds": 400.0,
    }
    return AssetSettings(**{**fields, **more})


def site(chosen: AssetSettings, sell: SellSettings = TERMS) -> BatteryWorks:
    return BatteryWorks((chosen,), drivers_of((chosen,)), sell, SLOT)


async def test_an_order_is_discharged_slot_by_slot_and_what_is_left_stays(
    tmp_path: Path, settings: Settings
) -> None:
    works = site(battery())
    deal = Deal(tmp_path, settings, works, notice=60.0)
    agent = AssetSite(deal.settings, SimHub([100.0]), works, clock=lambda: deal.now, version="test")
    await agent.cycle(deal.now)
    await deal.turn()
    kw = offered_kw(deal.discover())
    assert list(kw.values()) == [40.0] * 4  # 80 kWh over four half-hours
    txn = await deal.order([40.0, 20.0])
    assert deal.states(txn) == ("ACTIVE", "ACTIVE")
    while deal.now < FIRST + 2 * SLOT + 60:
        deal.bench.slurm.now += 60
        await agent.cycle(deal.now)
        await deal.turn()
    assert deal.states(txn) == ("COMPLETE", "COMPLETE")
    columns = told(deal.buyer.last("on_status"))
    given = {at: columns["BASELINE"][at] - columns["USAGE"][at] for at in (FIRST, FIRST + SLOT)}
    assert given[FIRST] == pytest.approx(40.0, rel=0.05)
    assert given[FIRST + SLOT] == pytest.approx(20.0, rel=0.05)
    assert works._readings["b1"].level == pytest.approx(70.0, abs=2.0)
    assert works.set_kw() == 0.0
    (shown,) = agent.show_assets().assets
    assert (shown.name, shown.driver, shown.detail) == ("b1", "simulated", "")
    assert shown.level == works._readings["b1"].level
    assert "kW sold now" in agent.status().last_cycle
    deal.close()
    deal.bench.store.close()


async def test_in_observe_mode_nothing_is_set(settings: Settings) -> None:
    works = site(battery())
    observed = replace_struct(settings, daemon=replace_struct(settings.daemon, mode="observe"))
    agent = AssetSite(observed, SimHub([100.0]), works, clock=lambda: FIRST, version="test")
    await works.look(FIRST - SLOT)
    await works.make(Promise("k", SLOT, {FIRST: 10_000}), FIRST - SLOT)
    sentence = await agent.cycle(FIRST)
    assert works.set_kw() == 0.0
    assert "mode observe" in sentence


@how(deadline=None, max_examples=40)
@given(
    level=st.floats(0.0, 120.0),
    reserve=st.floats(0.0, 120.0),
    slots=st.integers(1, 8),
    takes=st.lists(st.tuples(st.integers(0, 7), st.floats(0.0, 1.0)), max_size=8),
)
def test_what_is_sold_never_needs_more_than_power_and_energy_above_the_reserve(
    level: float, reserve: float, slots: int, takes: list[tuple[int, float]]
) -> None:
    import asyncio  # noqa: PLC0415

    async def run() -> None:
        chosen = battery(level, reserve_kwh=reserve)
        works = site(chosen, replace_struct(TERMS, max_slots=slots, least_kw=0.001))
        await works.look(START)
        sold: dict[int, int] = {}
        for number, (slot, share) in enumerate(takes):
            found = works.offering(START)
            assert found is not None
            offered = found.at(START + (1 + slot) * SLOT)
            if offered is None or not (watts := int(offered.watts * share)):
                continue
            await works.make(Promise(str(number), SLOT, {offered.start: watts}), START)
            sold[offered.start] = sold.get(offered.start, 0) + watts
        assert max(sold.values(), default=0) <= 50_000
        assert sum(sold.values()) / 1000 * SLOT / 3600 <= max(0.0, level - reserve) + 1e-6

    asyncio.run(run())


async def test_a_battery_that_is_not_read_sells_nothing(settings: Settings) -> None:
    works = site(battery())
    assert works.offering(START) is None
    await works.look(START)
    assert works.offering(START) is not None
    assert works.offering(START + 1000) is None
    assert "no battery was read" in works.why_none()
    works._readings["b1"] = replace(works._readings["b1"], at=START + 1000)
    assert works.offering(START + 1000) is not None


@pytest.mark.parametrize(
    ("readings", "kw"),
    [
        ([(60 * minute, -40.0) for minute in range(31)], -40.0),
        ([(60 * minute, -40.0 if minute % 2 else -10.0) for minute in range(31)], -10.0),
        ([(60 * minute, -40.0) for minute in range(31) if not 10 < minute < 17], math.nan),  # a gap
        ([(60 * minute, -40.0) for minute in range(20)], math.nan),  # its end was not seen
        ([(60 * minute, -40.0) for minute in range(10, 31)], math.nan),  # nor its begin
        ([(240 * number, -40.0) for number in range(8)], -40.0),
        ([], math.nan),
    ],
)
def test_what_a_slot_gave_is_what_its_readings_prove(
    readings: list[tuple[int, float]], kw: float
) -> None:
    works = site(battery())
    works._drawn = [(FIRST + at, power) for at, power in readings]
    assert works._mean(FIRST) == pytest.approx(kw, nan_ok=True)
