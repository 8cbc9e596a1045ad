"""The services' own documented answers are understood; read where they are at hand, never shipped."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from flexlond.signals import elexon, neso_carbon, octopus
from flexlond.signals.rows import SignalError, parse_utc

SAMPLES = Path(__file__).parents[4] / "shared" / "data" / "signals"
pytestmark = pytest.mark.skipif(
    not SAMPLES.is_dir(), reason="the documented answers are not beside this checkout"
)


def body(name: str) -> Any:
    return json.loads((SAMPLES / name).read_text(encoding="utf-8"))["body"]


@pytest.mark.parametrize(
    ("name", "region"),
    [
        ("ci_intensity_fw48h.json", ""),
        ("ci_intensity_from_to.json", ""),
        ("ci_regional_fw48h_postcode.json", "RG10"),
        ("ci_regional_fw48h_regionid.json", "3"),
        ("ci_regional_postcode.json", "RG10"),
    ],
)
def test_carbon_intensity(name: str, region: str) -> None:
    at = parse_utc("2018-01-20T12:10Z")
    assert [row.value for row in neso_carbon.parse(body(name), at, region).rows] == [266.0]


@pytest.mark.parametrize("name", ["ci_error.json", "ci_regional_fw48h_all.json"])
def test_carbon_intensity_that_is_no_forecast_of_ours(name: str) -> None:
    with pytest.raises(SignalError):
        neso_carbon.parse(body(name), parse_utc("2018-01-20T12:10Z"), "3")


@pytest.mark.parametrize(
    ("name", "prices"),
    [
        ("elexon_mid_fixture_two_providers_2026-07-01.json", [106.83]),
        ("elexon_mid_fixture_wrapped_2024-01-01.json", [36.51, -2.0]),
        ("elexon_mid_schema_example.json", [678.12]),
    ],
)
def test_market_index(name: str, prices: list[float]) -> None:
    rows = elexon.parse(elexon.records_of(body(name))).rows
    assert [row.value for row in rows] == pytest.approx(prices)


def test_agile() -> None:
    (row,) = octopus.parse(body("octopus_agile_unit_rates.json")["results"]).rows
    assert row.start == parse_utc("2023-03-26T01:00Z")
    assert row.value == pytest.approx(234.0)
