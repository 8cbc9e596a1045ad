"""What was received and its age: old data turn stale; a restart is not blind and does not make them young."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import httpx
import numpy as np
import pytest

from flexlond.model.series import Kind, Quality
from flexlond.model.settings import Feed
from tests.unit.signals.feeds_kit import HOUR, NATIONAL, REGIONAL, by_path, carbon_hub

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from flexlond.model.timegrid import TimeGrid


# --- age --------------------------------------------------------------------------------------


async def test_old_data_turn_stale_and_keep_their_values_for_people(
    far_end: Any, national: Any, grid: TimeGrid, now: int
) -> None:
    far_end.says(national)
    hub = carbon_hub(far_end, NATIONAL)
    await hub.refresh(now)
    far_end.answer = lambda _: httpx.Response(500)
    later = now + 3 * HOUR
    await hub.refresh(later)
    assert hub.series(Kind.CARBON, grid, later).quality is Quality.GOOD
    assert "last attempt failed" in hub.series(Kind.CARBON, grid, later).detail
    series = hub.series(Kind.CARBON, grid, later + 1)
    assert series.quality is Quality.STALE
    assert "3.0 h old, usable for 3.0 h" in series.detail
    assert np.isfinite(series.values).all()


async def test_a_stale_feed_gives_way_to_a_fresh_one(
    far_end: Any, national: Any, load: Callable[[str], Any], grid: TimeGrid, now: int
) -> None:
    far_end.answer = by_path(national, load("neso_regional_object.json"))
    hub = carbon_hub(
        far_end, Feed(source="neso-carbon-regional", region="12", max_age=60.0), NATIONAL
    )
    await hub.refresh(now)
    assert "region 12" in hub.series(Kind.CARBON, grid, now + 60).source
    served = hub.series(Kind.CARBON, grid, now + 61)
    assert "national" in served.source
    assert "stale" in served.detail


async def test_data_from_the_future_mean_a_doubtful_clock(
    far_end: Any, national: Any, grid: TimeGrid, now: int
) -> None:
    far_end.says(national)
    hub = carbon_hub(far_end, NATIONAL)
    await hub.refresh(now)
    assert hub.series(Kind.CARBON, grid, now - 601).quality is Quality.STALE


async def test_a_shorter_new_forecast_is_not_filled_up_with_the_old_one(
    far_end: Any, national: Any, grid: TimeGrid, now: int
) -> None:
    far_end.says(national)
    hub = carbon_hub(far_end, NATIONAL)
    await hub.refresh(now)
    far_end.says({"data": national["data"][5:15]})
    await hub.refresh(now + 2 * HOUR)
    values = hub.series(Kind.CARBON, grid, now + 2 * HOUR).values
    assert np.isfinite(values[:14]).all()  # the past half-hours stay known, for reports
    assert np.isnan(values[14:]).all()


# --- the cache ----------------------------------------------------------------------------------


def the_file(directory: Path) -> Path:
    (only,) = directory.iterdir()
    return only


async def test_a_restart_is_not_blind_and_age_goes_on(
    far_end: Any, national: Any, grid: TimeGrid, now: int, tmp_path: Path
) -> None:
    national["data"][5]["intensity"]["forecast"] = None
    far_end.says(national)
    first = carbon_hub(far_end, NATIONAL, cache_dir=tmp_path / "signals")
    await first.refresh(now)
    before = first.series(Kind.CARBON, grid, now)
    again = carbon_hub(far_end, NATIONAL, cache_dir=tmp_path / "signals")
    after = again.series(Kind.CARBON, grid, now + 60)
    np.testing.assert_array_equal(after.values, before.values)
    assert (after.fetched_at, after.quality) == (now, Quality.PARTIAL)
    assert "from the cache of an earlier run" in after.detail
    assert again.series(Kind.CARBON, grid, now + 4 * HOUR).quality is Quality.STALE
    await again.refresh(now + 60)  # and it is asked at once
    assert len(far_end.requests) == 2
    assert the_file(tmp_path / "signals").suffix == ".json"  # and no temporary one


@pytest.mark.parametrize(
    "damage",
    [
        lambda text: text[: len(text) // 2],
        lambda _: "",
        lambda _: "[]",
        lambda text: text.replace('"layout":1', '"layout":2'),
        lambda text: text.replace("carbon|neso-carbon|", "carbon|neso-carbon|elsewhere"),
        lambda text: json.dumps({**json.loads(text), "rows": []}),
        lambda text: json.dumps({**json.loads(text), "rows": [[1, 2]]}),
    ],
)
async def test_a_damaged_cache_is_as_good_as_none(
    far_end: Any,
    national: Any,
    grid: TimeGrid,
    now: int,
    tmp_path: Path,
    damage: Callable[[str], str],
) -> None:
    far_end.says(national)
    await carbon_hub(far_end, NATIONAL, cache_dir=tmp_path).refresh(now)
    file = the_file(tmp_path)
    file.write_text(damage(file.read_text(encoding="utf-8")), encoding="utf-8")
    series = carbon_hub(far_end, NATIONAL, cache_dir=tmp_path).series(Kind.CARBON, grid, now)
    assert series.quality is Quality.ABSENT


async def test_a_cache_that_cannot_be_written_is_said_and_harms_nothing(
    far_end: Any, national: Any, grid: TimeGrid, now: int, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("in the way", encoding="utf-8")
    far_end.says(national)
    hub = carbon_hub(far_end, NATIONAL, cache_dir=tmp_path / "file" / "signals")
    await hub.refresh(now)
    series = hub.series(Kind.CARBON, grid, now)
    assert series.quality is Quality.GOOD
    assert "cannot be cached" in series.detail


async def test_another_region_has_another_cache(
    far_end: Any, load: Callable[[str], Any], grid: TimeGrid, now: int, tmp_path: Path
) -> None:
    far_end.says(load("neso_regional_object.json"))
    await carbon_hub(far_end, REGIONAL, cache_dir=tmp_path).refresh(now)
    other = Feed(source="neso-carbon-regional", region="13")
    series = carbon_hub(far_end, other, cache_dir=tmp_path).series(Kind.CARBON, grid, now)
    assert series.quality is Quality.ABSENT
