"""Power caps of nodes: the measured curve, the simulated driver, and the section that lists them."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flexlond.assets.drivers.port import DriverError
from flexlond.assets.drivers.power_cap import PowerCapDriver, SpeedCurve
from flexlond.assets.drivers.simulated_cap import SimulatedPowerCaps
from flexlond.daemon.config import parse
from flexlond.daemon.config_problem import ConfigError
from flexlond.model.settings import PowerCapSettings

CURVE = ((1400.0, 0.6), (2100.0, 0.9), (2800.0, 1.0))
CHOSEN = PowerCapSettings(name="h200", partitions=("gpu",), curve=CURVE, lease_seconds=60.0)
SECTION = """
[[power_caps]]
name = "h200"
partitions = ["gpu"]
curve = [[1400.0, 0.6], [2100.0, 0.9], [2800.0, 1.0]]
"""


def driver() -> SimulatedPowerCaps:
    return SimulatedPowerCaps(CHOSEN, ["g1", "g2"])


def test_the_speed_is_straight_between_what_was_measured() -> None:
    curve = driver().curve
    assert curve.at(1750.0) == pytest.approx(0.75)
    assert curve.stretch(1750.0) == pytest.approx(4 / 3)
    assert (curve.lowest, curve.full, curve.at(5000.0)) == (1400.0, 2800.0, 1.0)


@given(one=st.floats(1400, 4000), other=st.floats(1400, 4000))
def test_more_power_is_never_slower(one: float, other: float) -> None:
    curve = SpeedCurve(*zip(*CURVE, strict=True))
    low, high = sorted((one, other))
    assert 0 < curve.at(low) <= curve.at(high) <= 1


async def test_a_capped_node_draws_no_more_and_slows_down_until_its_lease_is_over() -> None:
    port: PowerCapDriver = driver()
    await port.cap(["g1"], 2100.0, 1000)
    seen = await port.read(1059)
    assert (seen["g1"].watts, seen["g1"].cap, seen["g1"].speed) == (2100.0, 2100.0, 0.9)
    assert (seen["g2"].watts, seen["g2"].cap, seen["g2"].speed) == (2800.0, math.inf, 1.0)
    assert (await port.read(1060))["g1"].cap == math.inf  # a daemon that dies leaves full speed
    await port.cap(["g1", "g2"], 1400.0, 1100)
    await port.release(["g2"], 1101)
    assert {name: one.watts for name, one in (await port.read(1102)).items()} == {
        "g1": 1400.0,
        "g2": 2800.0,
    }
    await port.close()


async def test_other_nodes_and_caps_that_were_not_measured_are_refused() -> None:
    port = driver()
    with pytest.raises(DriverError, match="g3 is not in its partitions"):
        await port.cap(["g1", "g3"], 2100.0, 0)
    with pytest.raises(DriverError, match="g3 is not in its partitions"):
        await port.release(["g3"], 0)
    for watts in (1399.0, math.nan):
        with pytest.raises(DriverError, match="below 1400 W"):
            await port.cap(["g1"], watts, 0)
    assert all(one.cap == math.inf for one in (await port.read(0)).values())


def test_the_section_loads() -> None:
    (found,) = parse(SECTION.encode(), Path("flexlon.toml")).power_caps
    assert (found.curve, found.driver, found.partitions) == (CURVE, "simulated", ("gpu",))


@pytest.mark.parametrize(
    ("old", "new", "key"),
    [
        ('["gpu"]', "[]", "partitions"),
        ('name = "h200"', 'name = ""', "name"),
        ("[1400.0, 0.6], [2100.0, 0.9], ", "", "curve"),
        ("0.9]", "0.5]", "curve"),
        ("2100.0", "1400.0", "curve"),
        ("[2800.0, 1.0]", "[2800.0, 0.95]", "curve"),
        ("0.6]", "0.0]", "curve#1"),
        ("curve = ", "lease_seconds = 1.0\ncurve = ", "lease_seconds"),
    ],
)
def test_a_bad_section_is_refused_by_its_key(old: str, new: str, key: str) -> None:
    text = SECTION.replace(old, new)
    assert text != SECTION
    with pytest.raises(ConfigError) as raised:
        parse(text.encode(), Path("flexlon.toml"))
    assert any(f"power_caps#1.{key}" in str(problem) for problem in raised.value.problems)


def test_a_partition_and_a_name_stand_once() -> None:
    with pytest.raises(ConfigError) as raised:
        parse((SECTION + SECTION).encode(), Path("flexlon.toml"))
    said = [str(problem) for problem in raised.value.problems]
    assert any("power_caps#2.name" in one for one in said)
    assert any("power_caps#2.partitions" in one for one in said)
