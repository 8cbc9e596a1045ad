"""A window: some slots in which an operator wants the site to stay under a cap on its power.

Law: pure; knows no clock. A window covers whole slots, its caps are fixed when it is made: by slot, and with
the ramp-in, the first slots in which the ramp cap does not let the power fall any faster. Where windows overlap
the lowest cap counts. It binds flexible jobs only, by deferring them; running jobs are not stopped. What was
deferred comes back under a cap of its own (the rebound cap), which gives way to the windows' own, as does the
guard before a window whose baseline rises with what is drawn there. Times are epoch seconds (UTC), 0 is "none";
power is kW at the site's meter; NaN is a figure that was not ordered.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

import numpy as np

from flexlond.model.slurmtime import parse_time

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from zoneinfo import ZoneInfo

    from numpy.typing import NDArray

    from flexlond.model.timegrid import TimeGrid

_POWER = re.compile(r"([0-9]{1,9}(?:\.[0-9]{1,9})?)[ \t]*(w|kw|mw)\Z", re.IGNORECASE | re.ASCII)
_KW = {"w": 0.001, "kw": 1.0, "mw": 1000.0}
_RAMP_SECONDS = 300  # the ramp cap is kW per five minutes


class WindowError(ValueError):
    """A window cannot be read or made like that; the text says what to write instead."""


class WindowState(StrEnum):
    """Where a window is in its life."""

    PLANNED = "planned"
    ACTIVE = "active"
    ENDED = "ended"
    CANCELLED = "cancelled"


@dataclass(frozen=True, slots=True)
class Window:
    """One window as it was ordered. Ordered is either a cap or a reduction (`down_kw`), the other is NaN."""

    window_id: int  # 0 until it is stored
    start: int
    end: int
    slot_seconds: int
    cap_kw: float
    down_kw: float
    caps: tuple[float, ...]  # kW by slot
    ramp_slots: int  # the first so many slots are above what was ordered, for the ramp cap
    created: int
    created_by: str
    cancelled: int = 0
    rebound_kw: float = math.inf  # what comes back after it stays under this
    rebound_end: int = 0  # so long
    order_id: str = ""  # the market's order that it keeps
    baseline: tuple[
        float, ...
    ] = ()  # kW by slot that were planned without it, where it keeps an order
    guard_start: int = 0  # from here on, before it, nothing is drawn above
    guard: tuple[float, ...] = ()  # kW by slot that were planned: more would raise its baseline

    def state(self, now: int) -> WindowState:
        """Where it is at `now`."""
        if self.cancelled:
            return WindowState.CANCELLED
        if now < self.start:
            return WindowState.PLANNED
        return WindowState.ACTIVE if now < self.end else WindowState.ENDED

    def binds(self, now: int) -> bool:
        """Whether it caps anything from `now` on."""
        return self.state(now) in {WindowState.PLANNED, WindowState.ACTIVE}

    def slot_starts(self) -> tuple[int, ...]:
        """The first second of each of its slots."""
        return tuple(range(self.start, self.end, self.slot_seconds))


@dataclass(frozen=True, slots=True)
class WindowSample:
    """What was seen in one slot of a window at one moment."""

    window_id: int
    slot: int  # its first second
    at: int
    cap_kw: float
    planned_kw: float
    observed_kw: float  # the modelled estimate of what runs; what is metered is recorded by slot


def caps_on(grid: TimeGrid, windows: Iterable[Window], now: int) -> NDArray[np.float64]:
    """(S,) the lowest cap of all windows that bind in each slot of `grid`; inf where none does."""
    caps = np.full(grid.count, np.inf)
    for window in windows:
        if not window.binds(now):
            continue
        for start, cap in zip(window.slot_starts(), window.caps, strict=True):
            first = max(0, grid.slot_of(start))
            last = grid.slot_of(min(start + window.slot_seconds, window.end) - 1)
            caps[first : max(first, last + 1)] = np.minimum(caps[first : max(first, last + 1)], cap)
    return caps


def rebound_on(grid: TimeGrid, windows: Iterable[Window], now: int) -> NDArray[np.float64]:
    """(S,) the lowest rebound cap of all windows in each slot of `grid`; inf where there is none.

    It counts from the end of a window, or from where it was cancelled; one cancelled before it began has none.
    """
    caps = np.full(grid.count, np.inf)
    for window in windows:
        begin = min(window.end, window.cancelled or window.end)
        if (
            begin <= window.start
            or window.rebound_end <= now
            or not math.isfinite(window.rebound_kw)
        ):
            continue
        first = max(0, grid.slot_of(begin + -begin % grid.slot_seconds))
        last = max(first, grid.slot_of(window.rebound_end - 1) + 1)
        caps[first:last] = np.minimum(caps[first:last], window.rebound_kw)
    return caps


def guard_on(grid: TimeGrid, windows: Iterable[Window], now: int) -> NDArray[np.float64]:
    """(S,) the lowest guard of all windows that bind in each slot of `grid`; inf where there is none."""
    caps = np.full(grid.count, np.inf)
    for window in windows:
        if not window.binds(now):
            continue
        for number, kw in enumerate(window.guard):
            start = window.guard_start + number * window.slot_seconds
            first = max(0, grid.slot_of(start))
            last = max(first, grid.slot_of(start + window.slot_seconds - 1) + 1)
            caps[first:last] = np.minimum(caps[first:last], kw)
    return caps


def softer_on(grid: TimeGrid, windows: Iterable[Window], now: int) -> NDArray[np.float64]:
    """(S,) the lowest of what caps beside windows: after them the rebound, before them the guard."""
    found = tuple(windows)
    return np.minimum(rebound_on(grid, found, now), guard_on(grid, found, now))


def with_ramp_in(
    ordered: Sequence[float], before_kw: float, ramp_kw_per_5min: float, slot_seconds: int
) -> tuple[tuple[float, ...], int]:
    """The caps by slot and the slots of the ramp-in, after a slot that draws `before_kw`; 0: no ramp cap."""
    if not ramp_kw_per_5min:
        return tuple(ordered), 0
    step = ramp_kw_per_5min * slot_seconds / _RAMP_SECONDS
    caps, level, ramping = list(ordered), before_kw, 0
    for slot, cap in enumerate(ordered):
        level -= step
        if level <= cap:
            break
        caps[slot], ramping = level, slot + 1
    return tuple(caps), ramping


def covering(start: int, end: int, slot_seconds: int) -> tuple[int, int]:
    """The whole slots that cover [start, end)."""
    return start - start % slot_seconds, end + -end % slot_seconds


def parse_span(begin: str, end: str, now: int, tz: ZoneInfo) -> tuple[int, int]:
    """Two moments as Slurm reads them; a clock time as `end` is the first one after `begin`.

    Raises SlurmTimeError for what is no moment, WindowError where the end is not after the begin.
    """
    start = parse_time(begin, now, tz)
    stop = parse_time(end, now if end.lower().startswith("now") else start, tz)
    if stop <= start:
        raise WindowError(f"--to {end} is not after --from {begin}: give a later end")
    return start, stop


def parse_kw(text: str) -> float:
    """`800kW`, `0.8MW` or `800000W` as kW. Raises WindowError."""
    found = _POWER.match(text.strip())
    if not found:
        raise WindowError(f"{text!r} is no power: write a number with its unit, for example 800kW")
    value = float(found[1]) * _KW[found[2].lower()]
    if not 0 < value < math.inf:
        raise WindowError(f"{text!r}: a window needs more than 0 kW")
    return value
