"""What the site drew, as far as it is known: metered where a reading is good, else modelled, and said as such.

Law: only observes; no hold and no release hangs on it, so that a failing meter changes nothing but what is
said. A reading counts from the meter's own time on, whenever it came. Kept for two days, in memory and in the
store. Power is kW at the site's supply; times are epoch seconds (UTC).
"""

from __future__ import annotations

import math
from bisect import bisect_left, insort
from operator import attrgetter
from typing import TYPE_CHECKING, Protocol, TypeVar

from flexlond.model.metering import (
    DAY,
    Calibration,
    Modelled,
    Observed,
    Reading,
    SlotPower,
    Source,
    absent,
    calibrate,
    slot_power,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from flexlond.agents.state import LoopState

KEPT = 2 * DAY  # seconds
MODEL_HOLD = 2.0  # cycles for which a modelled figure stands when the next one does not come
_T = TypeVar("_T", Reading, Modelled)
_AT = attrgetter("at")


class Meter(Protocol):
    """The site's meter (flexlond/signals/meter.py): answers from memory."""

    @property
    def configured(self) -> bool:
        """Whether there is one."""
        ...

    def reading(self, now: int) -> Reading:
        """The last reading as it is worth at `now`."""
        ...

    def take(self) -> Sequence[Reading]:
        """The good readings since the last call, oldest first."""
        ...


class PowerStore(Protocol):
    """What keeps power in the store."""

    def add(self, readings: Sequence[Reading], modelled: Modelled | None, before: int) -> None:
        """Keep these; forget what is older than `before`."""
        ...

    def readings(self, since: int) -> Sequence[Reading]:
        """What the meter read, oldest first."""
        ...

    def modelled(self, since: int) -> Sequence[Modelled]:
        """What the model said, oldest first."""
        ...

    def add_slots(self, window_id: int, slots: Sequence[SlotPower]) -> None:
        """Keep these slots of a window for good; one that is there stays as it is."""
        ...

    def slots(self, window_id: int) -> Sequence[SlotPower]:
        """What is recorded of a window, oldest first."""
        ...


class PowerLog:
    """The power of the site over the last two days."""

    def __init__(self, store: PowerStore, meter: Meter | None, now: int) -> None:
        """With what the store has of it."""
        self._store = store
        self._meter = meter
        self._readings = list(store.readings(now - KEPT))
        self._modelled = list(store.modelled(now - KEPT))
        self.observed = Observed(0, math.nan, Source.UNKNOWN)

    @property
    def metering(self) -> bool:
        """Whether there is a meter."""
        return self._meter is not None and self._meter.configured

    def reading(self, now: int) -> Reading:
        """The meter's last reading as it is worth at `now`."""
        return self._meter.reading(now) if self._meter is not None else absent("", "")

    @property
    def modelled(self) -> Modelled | None:
        """The newest modelled figure."""
        return self._modelled[-1] if self._modelled else None

    def see(self, modelled: Modelled | None, now: int) -> None:
        """Take what was read since the last cycle and what the model says now (None: it says nothing)."""
        fresh = self._meter.take() if self._meter is not None else ()
        for reading in fresh:
            _put(self._readings, reading)
        if modelled is not None:
            _put(self._modelled, modelled)
        for kept in (self._readings, self._modelled):
            del kept[: bisect_left(kept, now - KEPT, key=_AT)]
        self.observed = self._observe(modelled, now)
        self._store.add(fresh, modelled, now - KEPT)

    def slot(self, start: int, end: int, *, hold: float, model_hold: float) -> SlotPower:
        """The mean power in [start, end)."""
        return slot_power(
            # What was delivered is judged by what was measured alone (I6).
            [one for one in _cut(self._readings, start, end) if one.measured],
            _cut(self._modelled, start, end),
            start,
            end,
            hold=hold,
            model_hold=model_hold,
        )

    def past(self, end: int) -> bool:
        """Whether the meter has read at or after `end`: what comes before that has come."""
        return bool(self._readings) and self._readings[-1].at >= end

    def metered(self, since: int) -> Sequence[Reading]:
        """The good readings from `since` on, oldest first."""
        return self._readings[bisect_left(self._readings, since, key=_AT) :]

    def estimated(self, since: int) -> Sequence[Modelled]:
        """The modelled figures from `since` on, oldest first."""
        return self._modelled[bisect_left(self._modelled, since, key=_AT) :]

    def calibration(self, now: int, hold: float) -> Calibration:
        """The model against the meter over the last day."""
        return calibrate(
            _cut(self._readings, now - DAY, now + 1), _cut(self._modelled, now - DAY, now + 1), hold
        )

    def _observe(self, modelled: Modelled | None, now: int) -> Observed:
        reading = self.reading(now)
        if reading.good:
            return Observed(reading.at, reading.kw, Source.METERED)
        if modelled is not None:
            return Observed(modelled.at, modelled.kw, Source.MODELLED, reading.detail)
        return Observed(now, math.nan, Source.UNKNOWN, reading.detail)


def slot_of(state: LoopState, start: int, end: int, now: int) -> SlotPower:
    """The mean power in [start, end), of what is over of it."""
    return state.power.slot(
        start,
        min(end, now),
        hold=state.settings.meter.max_age,
        model_hold=MODEL_HOLD * state.settings.daemon.cycle_seconds,
    )


def recent_slots(state: LoopState, now: int, count: int) -> Sequence[SlotPower]:
    """The power of the last `count` slots, oldest first; of the slot of `now` what is over."""
    length = state.settings.grid.slot_seconds
    current = now - now % length
    starts = range(current - (count - 1) * length, current + 1, length)
    found = [slot_of(state, start, start + length, now) for start in starts]
    return [one for one in found if one.source is not Source.UNKNOWN]


def words(state: LoopState) -> str:
    """What the cycle's sentence says of the site's power; "" where there is no meter."""
    if not state.power.metering:
        return ""
    seen = state.power.observed
    if seen.source is Source.METERED:
        return f"{seen.kw:.4g} kW {seen.by}"
    if seen.source is Source.MODELLED:
        return f"{seen.kw:.4g} kW {seen.by}, not metered: {seen.detail}"
    return f"the site's power is not known: {seen.detail}"


def _put(to: list[_T], one: _T) -> None:
    """In order of time; the newest word about a moment stands."""
    at = bisect_left(to, one.at, key=_AT)
    if at < len(to) and to[at].at == one.at:
        to[at] = one
    else:
        insort(to, one, key=_AT)


def _cut(points: list[_T], start: int, end: int) -> list[_T]:
    """The points that can count in [start, end): the one before it included."""
    first = bisect_left(points, start, key=_AT)
    return points[max(0, first - 1) : bisect_left(points, end, key=_AT)]
