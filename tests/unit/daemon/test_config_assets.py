"""[[assets]]: good ones load, bad ones are refused with the correct form."""

from __future__ import annotations

from pathlib import Path

import pytest

from flexlond.daemon.config import parse
from flexlond.daemon.config_problem import ConfigError

BATTERY = """
[[assets]]
name = "battery"
kind = "battery"
driver = "modbus"
charge_kw = 250.0
discharge_kw = 250.0
capacity_kwh = 500.0
reserve_kwh = 100.0
host = "192.0.2.10"
write = true
[assets.level]
address = 100
[assets.power]
address = 110
[assets.setpoint]
address = 200
[assets.lease]
address = 210
type = "uint16"
"""
CHILLER = """
[[assets]]
name = "chiller"
kind = "chiller"
driver = "simulated"
max_kw = 120.0
inertia_kwh_per_k = 60.0
heat_kw = [150.0]
start_level = 19.0
"""


def problems(text: str) -> list[str]:
    with pytest.raises(ConfigError) as raised:
        parse(text.encode(), Path("flexlon.toml"))
    return [str(problem) for problem in raised.value.problems]


def test_a_battery_and_a_chiller_load() -> None:
    settings = parse((BATTERY + CHILLER).encode(), Path("flexlon.toml"))
    battery, chiller = settings.assets
    assert battery.setpoint.address == 200
    assert battery.lease.type == "uint16"
    assert chiller.heat_kw == (150.0,)


BAD = [
    ('name = "battery"', 'name = "a b"', "assets#1.name", "is no name"),
    ("charge_kw = 250.0", "charge_kw = 0.0", "assets#1.charge_kw", "a battery needs it"),
    ("reserve_kwh = 100.0", "reserve_kwh = 600.0", "assets#1.reserve_kwh", "0 to 500 kWh"),
    ('host = "192.0.2.10"', "", "assets#1.host", "is missing"),
    ("address = 100", "scale = 0.0", "assets#1.level.address", "is missing"),
    ("address = 110", "address = 110\nscale = 0.0", "assets#1.power.scale", "loses every value"),
    ("address = 200", 'address = 200\ntable = "input"', "assets#1.setpoint.table", "be written"),
    ('address = 210\ntype = "uint16"', "", "assets#1.write", "stand for ever"),
    ("write = true", "write = true\nlease_seconds = 30.0", "assets#1.lease_seconds", "60 to 3600"),
    ("write = true", "write = true\ncharge_efficiency = 1.1", "assets#1.charge_efficiency", "0.5"),
    ("max_kw = 120.0", "max_kw = 120.0\nmin_kw = 130.0", "assets#2.min_kw", "0 to 120 kW"),
    ("max_kw = 120.0", "max_kw = 120.0\nhigh_c = 10.0", "assets#2.high_c", "low_c below high_c"),
    ("heat_kw = [150.0]", "heat_kw = [1.0, 2.0]", "assets#2.heat_kw", "has 2 figures"),
    ("heat_kw = [150.0]", "heat_kw = [-1.0]", "assets#2.heat_kw#1", "0 or more"),
    ("start_level = 19.0", "start_level = 30.0", "assets#2.start_level", "16 to 22"),
    ('name = "chiller"', 'name = "battery"', "assets#2.name", "stands twice"),
    ('driver = "simulated"', 'driver = "simulatd"', "assets#2.driver", "simulated"),
]


@pytest.mark.parametrize(("old", "new", "key", "words"), BAD, ids=[row[2] for row in BAD])
def test_what_is_wrong_is_named_with_its_correct_form(
    old: str, new: str, key: str, words: str
) -> None:
    text = BATTERY + CHILLER
    assert old in text
    found = problems(text.replace(old, new, 1))
    assert any(line.startswith(f"{key}: ") and words in line for line in found)


def test_a_chiller_that_may_be_set_needs_a_neutral_set_point() -> None:
    text = BATTERY.replace('kind = "battery"', 'kind = "chiller"\nmax_kw = 9.0').replace(
        "capacity_kwh = 500.0", "inertia_kwh_per_k = 5.0"
    )
    assert any("does not cool" in line for line in problems(text))


def test_the_solvers_time_is_bounded() -> None:
    assert "0.1 to 300" in problems("[planning]\nassets_seconds = 0.0")[0]
    late = problems("[planning]\nassets_seconds = 15.0" + CHILLER)
    assert "half of daemon.cycle_seconds (30 s) or more" in late[0]
