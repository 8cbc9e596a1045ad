"""The highest slot of the last day: what a rebound is measured by.

Law: a peak is the mean power of a slot, as caps are: what is drawn for a moment is no peak of a plan. A slot
counts when at least half of it was watched, a peak when nearly the whole day was: with less, what is usual here
is not known, and a cap made from it would hold jobs for nothing. What a window moves is not usual: from its
order to the end of its rebound no more counts than its cap was made of, else each window would raise the next
one's. Kept by hour, written when the hour is over. kW, epoch seconds.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

import msgspec

if TYPE_CHECKING:
    from collections.abc import Iterable

    from flexlond.agents.records import Store
    from flexlond.model.settings import PlanningSettings
    from flexlond.model.window import Window

POWER_PEAKS: Final = "power-slots"
_HOUR: Final = 3600
_DAY: Final = 24
_WATCHED: Final = 22
"""Hours of the last 24 that must have been watched."""
_ENOUGH: Final = 0.5
"""The share of a slot that must have been watched."""


class PeakWatch:
    """Highest slot by hour of the last day, persisted in the store."""

    def __init__(self, store: Store, slot_seconds: int) -> None:
        """Take up what was noted before."""
        self._store, self._slot = store, slot_seconds
        self._hours = _decoded(store.get_blob(POWER_PEAKS))
        self._stored = max(self._hours, default=0)
        self._last: tuple[int, float] | None = None
        self._seconds = self._kws = 0.0  # watched of the slot of the last note

    def note(self, now: int, kw: float) -> None:
        """`kw` is drawn from `now` on; it stands until the next note, for one slot at most."""
        if self._last is not None and self._last[0] <= now:
            at, drawn = self._last
            until = min(now, at + self._slot)
            for begin in range(at - at % self._slot, until + 1, self._slot):
                end = begin + self._slot
                part = min(until, end) - max(at, begin)
                self._seconds, self._kws = self._seconds + part, self._kws + part * drawn
                if end <= now:
                    self._close(begin, now)
        if self._last is None or now < self._last[0]:  # the clock went back: the slot is begun anew
            self._seconds = self._kws = 0.0
        self._last = now, kw

    def highest(self, now: int) -> float:
        """The highest of the last day; NaN when too little of it was watched."""
        hour = now // _HOUR
        day = [kw for at, kw in self._hours.items() if hour - _DAY <= at <= hour]
        return max(day) if len(day) >= _WATCHED else math.nan

    def _close(self, begin: int, now: int) -> None:
        """The slot from `begin` on is over."""
        if self._seconds >= _ENOUGH * self._slot:
            mean = self._kws / self._seconds
            for hour in range(begin // _HOUR, (begin + self._slot - 1) // _HOUR + 1):
                self._hours[hour] = max(self._hours.get(hour, 0.0), mean)
        self._seconds = self._kws = 0.0
        hour = now // _HOUR
        if hour != self._stored and self._hours:
            self._hours = {at: kw for at, kw in self._hours.items() if hour - _DAY <= at <= hour}
            self._store.put_blob(POWER_PEAKS, msgspec.msgpack.encode(self._hours), now)
            self._stored = hour


def usual_part(windows: Iterable[Window], settings: PlanningSettings, now: int, kw: float) -> float:
    """Of `kw` drawn at `now`, what counts as usual while windows move jobs."""
    moved = (
        window.rebound_kw / settings.rebound_cap
        for window in windows
        if window.created <= now < window.rebound_end and settings.rebound_cap
    )
    return min(kw, *moved, math.inf)


def _decoded(blob: bytes) -> dict[int, float]:
    """What was stored; nothing where it cannot be read."""
    if not blob:
        return {}
    try:
        return msgspec.msgpack.decode(blob, type=dict[int, float])
    except (msgspec.DecodeError, ValueError):
        return {}
