"""The peak of the last day: only where the day was watched, and across a restart."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from flexlond.agents.peaks import POWER_PEAKS, PeakWatch
from flexlond.daemon.store import SqliteStore

if TYPE_CHECKING:
    from pathlib import Path

HOUR = 3600


def test_the_peak_of_a_watched_day_survives_a_restart_and_ages_out(tmp_path: Path) -> None:
    with SqliteStore(tmp_path / "s.db") as store:
        watch = PeakWatch(store)
        for hour in range(100, 124):
            watch.note(hour * HOUR, 50.0 if hour == 104 else 10.0)
            watch.note(hour * HOUR + 60, 5.0)
        assert watch.highest(123 * HOUR) == 50.0
        again = PeakWatch(store)
        assert again.highest(123 * HOUR) == 50.0
        for hour in range(124, 130):
            again.note(hour * HOUR, 12.0)
        assert again.highest(129 * HOUR) == 12.0


def test_half_a_day_or_a_blob_that_cannot_be_read_is_no_day(tmp_path: Path) -> None:
    with SqliteStore(tmp_path / "s.db") as store:
        watch = PeakWatch(store)
        for hour in range(100, 121):
            watch.note(hour * HOUR, 10.0)
        assert math.isnan(watch.highest(120 * HOUR))
        watch.note(121 * HOUR, 10.0)
        assert watch.highest(121 * HOUR) == 10.0
        store.put_blob(POWER_PEAKS, b"\xff spoilt", 0)
        assert math.isnan(PeakWatch(store).highest(121 * HOUR))
