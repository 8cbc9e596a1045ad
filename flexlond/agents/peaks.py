"""The highest power of the last day: what a rebound is measured by.

Law: a peak counts only when nearly the whole day was watched: with less, what is usual here is not known, and
a cap made from it would hold jobs for nothing. Noted by hour, written when the hour is over. kW, epoch seconds.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

import msgspec

if TYPE_CHECKING:
    from flexlond.agents.records import Store

POWER_PEAKS: Final = "power-peaks"
_HOUR: Final = 3600
_DAY: Final = 24
_WATCHED: Final = 22
"""Hours of the last 24 that must have been watched."""


class PeakWatch:
    """Highest power by hour of the last day, persisted in the store."""

    def __init__(self, store: Store) -> None:
        """Take up what was noted before."""
        self._store = store
        self._hours = _decoded(store.get_blob(POWER_PEAKS))
        self._stored = max(self._hours, default=0)

    def note(self, now: int, kw: float) -> None:
        """`kw` was drawn at `now`."""
        hour = now // _HOUR
        self._hours[hour] = max(self._hours.get(hour, 0.0), kw)
        if hour != self._stored:
            self._hours = {at: kw for at, kw in self._hours.items() if hour - _DAY <= at <= hour}
            self._store.put_blob(POWER_PEAKS, msgspec.msgpack.encode(self._hours), now)
            self._stored = hour

    def highest(self, now: int) -> float:
        """The highest of the last day; NaN when too little of it was watched."""
        hour = now // _HOUR
        day = [kw for at, kw in self._hours.items() if hour - _DAY <= at <= hour]
        return max(day) if len(day) >= _WATCHED else math.nan


def _decoded(blob: bytes) -> dict[int, float]:
    """What was stored; nothing where it cannot be read."""
    if not blob:
        return {}
    try:
        return msgspec.msgpack.decode(blob, type=dict[int, float])
    except (msgspec.DecodeError, ValueError):
        return {}
