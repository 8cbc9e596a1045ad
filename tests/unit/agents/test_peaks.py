"""The peak of the last day: only where the day was watched, and across a restart."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from flexlond.agents.peaks import POWER_PEAKS, PeakWatch, usual_part
from flexlond.daemon.store import SqliteStore
from flexlond.model.settings import PlanningSettings
from flexlond.model.window import Window

if TYPE_CHECKING:
    from pathlib import Path

HOUR = 3600
SLOT = 1800


def day(watch: PeakWatch, first: int, end: int, kw: float) -> None:
    """`kw` all the time in these hours."""
    for at in range(first * HOUR, end * HOUR, SLOT):
        watch.note(at, kw)


def test_the_peak_of_a_watched_day_survives_a_restart_and_ages_out(tmp_path: Path) -> None:
    with SqliteStore(tmp_path / "s.db") as store:
        watch = PeakWatch(store, SLOT)
        day(watch, 100, 104, 10.0)
        day(watch, 104, 105, 50.0)
        day(watch, 105, 125, 10.0)
        assert watch.highest(124 * HOUR) == 50.0
        again = PeakWatch(store, SLOT)
        assert again.highest(124 * HOUR) == 50.0
        day(again, 125, 131, 12.0)
        assert again.highest(130 * HOUR) == 12.0


def test_what_is_drawn_for_a_moment_is_no_peak_of_its_slot(tmp_path: Path) -> None:
    with SqliteStore(tmp_path / "s.db") as store:
        watch = PeakWatch(store, SLOT)
        day(watch, 100, 110, 10.0)
        watch.note(110 * HOUR, 10.0)
        watch.note(110 * HOUR + 600, 70.0)
        watch.note(110 * HOUR + 900, 10.0)
        day(watch, 111, 125, 10.0)
        assert watch.highest(124 * HOUR) == 20.0


def test_a_slot_that_was_hardly_watched_does_not_count(tmp_path: Path) -> None:
    """A note stands for one slot: of the one that begins at hour 111 a third is known."""
    with SqliteStore(tmp_path / "s.db") as store:
        watch = PeakWatch(store, SLOT)
        day(watch, 100, 110, 10.0)
        watch.note(110 * HOUR, 10.0)
        watch.note(110 * HOUR + SLOT, 10.0)
        watch.note(110 * HOUR + SLOT + 600, 90.0)
        day(watch, 115, 119, 10.0)
        assert watch._hours[110] == pytest.approx((10.0 + 2 * 90.0) / 3)
        assert 111 not in watch._hours
        assert math.isnan(watch.highest(118 * HOUR))


def test_what_a_window_moves_is_not_usual() -> None:
    planning = PlanningSettings(rebound_cap=1.1)
    window = Window(1, 1000, 2000, 500, 5.0, math.nan, (5.0, 5.0), 0, 100, "o")
    window = replace(window, rebound_kw=110.0, rebound_end=9000)
    assert usual_part((window,), planning, 3000, 108.0) == pytest.approx(100.0)
    assert usual_part((window,), planning, 3000, 80.0) == 80.0
    assert usual_part((window,), planning, 9000, 108.0) == 108.0
    assert usual_part((), planning, 3000, 108.0) == 108.0
    assert usual_part((window,), PlanningSettings(rebound_cap=0.0), 3000, 108.0) == 108.0


def test_half_a_day_or_a_blob_that_cannot_be_read_is_no_day(tmp_path: Path) -> None:
    with SqliteStore(tmp_path / "s.db") as store:
        watch = PeakWatch(store, SLOT)
        day(watch, 100, 121, 10.0)
        assert math.isnan(watch.highest(120 * HOUR))
        day(watch, 121, 123, 10.0)
        assert watch.highest(122 * HOUR) == 10.0
        store.put_blob(POWER_PEAKS, b"\xff spoilt", 0)
        assert math.isnan(PeakWatch(store, SLOT).highest(121 * HOUR))
