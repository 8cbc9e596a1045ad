"""flexlonctl assets against a served fake agent: what people see, what programs get."""

from __future__ import annotations

import json
import math
import time
from typing import TYPE_CHECKING

import pytest
from typer.testing import CliRunner

from flexlond.agents.asset_ports import AssetSlotView, AssetsView, AssetView
from flexlond.cli.flexlonctl import app
from tests.unit.shellkit import NOON, fake_agent, served

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from typer.testing import Result

    from flexlond.agents.fake_view import FakeAgent

BATTERY = AssetView(
    name="bess",
    kind="battery",
    driver="modbus",
    unit="kWh",
    read_at=NOON,
    level=120.5,
    kw=-40.0,
    planned_kw=-50.0,
    setpoint_kw=-50.0,
    setpoint_at=NOON,
    writes=True,
    detail="",
    slots=tuple(AssetSlotView(NOON + 1800 * k, -50.0 + 10 * k, 120.0 - k) for k in range(8)),
)
CHILLER = AssetView(
    name="hall",
    kind="chiller",
    driver="modbus",
    unit="C",
    read_at=0,
    level=math.nan,
    kw=math.nan,
    planned_kw=math.nan,
    setpoint_kw=math.nan,
    setpoint_at=0,
    writes=False,
    detail="hall: no connection to [b]Modbus[/b]",
    slots=(),
)


@pytest.fixture
def agent() -> FakeAgent:
    return fake_agent()


@pytest.fixture
def run(
    agent: FakeAgent, tmp_path: Path, munge_socket: str, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[..., Result]]:
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    with served(agent, tmp_path, munge_socket) as path:
        environment = {"FLEXLON_SOCKET": str(path), "FLEXLON_MUNGE_SOCKET": munge_socket}
        yield lambda *words: CliRunner().invoke(app, list(words), env=environment)
    monkeypatch.undo()
    time.tzset()


def test_assets_are_one_line_each_with_their_next_day(
    run: Callable[..., Result], agent: FakeAgent
) -> None:
    words = ("hall is left out: it was never read",)
    agent.desk = AssetsView((BATTERY, CHILLER), NOON, 1.25, proven=True, problems=words)
    result = run("assets")
    assert result.exit_code == 0
    lines = result.stdout.splitlines()
    battery = next(line for line in lines if "bess" in line)
    assert "120.5 kWh" in battery
    assert battery.count("-50.0") == 2
    chiller = next(line for line in lines if "hall" in line)
    assert "modbus, read only" in chiller
    assert "[b]Modbus[/b]" in chiller
    assert any("kW -50 to 20" in line for line in lines)
    assert "£1.25 over the horizon, with the jobs within 0.1 % of the best" in result.stdout
    assert words[0] in result.stdout


def test_assets_as_json_have_every_slot(run: Callable[..., Result], agent: FakeAgent) -> None:
    agent.desk = AssetsView((BATTERY, CHILLER), NOON, 1.25, proven=False, problems=())
    data = json.loads(run("assets", "--json").stdout)
    assert data["assets"][0]["slots"][3] == {
        "start": "2026-11-23T13:30:00Z",
        "kw": -20.0,
        "level": 117.0,
    }
    assert data["assets"][1]["level"] is None
    assert data["assets"][1]["read_at"] is None
    assert data["cost_gbp"] == 1.25


def test_without_assets_it_says_where_they_are_configured(run: Callable[..., Result]) -> None:
    assert "no assets are configured" in run("assets").stdout
