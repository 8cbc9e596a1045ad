"""The composition: real parts, and the signal hub that a reload exchanges."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from flexlond.daemon.compose import STORE_NAME, LiveHub, compose
from flexlond.model.series import Kind, Quality
from flexlond.model.settings import DaemonSettings, Feed, Settings, SignalSettings
from flexlond.model.timegrid import TimeGrid
from tests.unit.shellkit import NOON

if TYPE_CHECKING:
    from pathlib import Path

GRID = TimeGrid(NOON, 1800, 2)


def feed(path: Path, price: float) -> SignalSettings:
    path.write_text(
        f"utc,value\n2026-11-23T12:00:00Z,{price}\n2026-11-23T12:30:00Z,{price}\n2026-11-23T13:00:00Z,{price}\n"
    )
    return SignalSettings(price=(Feed(source="csv", path=str(path)),))


async def test_a_changed_feed_is_taken_over_and_serves_at_once(tmp_path: Path) -> None:
    hub = LiveHub(feed(tmp_path / "a.csv", 50.0), tmp_path / "signals")
    await hub.refresh(NOON)
    before = hub.series(Kind.PRICE, GRID, NOON)
    same = await hub.exchange(feed(tmp_path / "a.csv", 50.0))
    changed = await hub.exchange(feed(tmp_path / "b.csv", 70.0))
    after = hub.series(Kind.PRICE, GRID, NOON)
    await hub.close()
    assert (same, changed) == (False, True)
    assert list(before.values) == [50.0, 50.0]
    assert list(after.values) == [70.0, 70.0]


async def test_no_feed_is_absent_never_zero(tmp_path: Path) -> None:
    hub = LiveHub(SignalSettings(), tmp_path / "signals")
    await hub.refresh(NOON)
    series = hub.series(Kind.CARBON, GRID, NOON)
    assert series.quality is Quality.ABSENT
    assert all(math.isnan(value) for value in series.values)


async def test_the_parts_fit_together_and_end(tmp_path: Path) -> None:
    settings = Settings(daemon=DaemonSettings(state_dir=str(tmp_path)))
    parts = await compose(settings)
    status = parts.agent.status()
    await parts.close()
    assert status.mode == "observe"
    assert status.reader
    assert not parts.agent.may_delay()
    assert parts.agent.learner is parts.learner
    assert status.prediction.startswith("nothing learned yet")
    assert (tmp_path / STORE_NAME).is_file()
