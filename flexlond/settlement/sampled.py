"""Settlement periods from a meter's samples: a counter of energy that may be reset, or power to be integrated.

Law: pure; knows no clock. A period is measured only when nothing in it had to be guessed: samples on both
sides of each boundary within `max_gap`, no reset, no step above what the site can draw (`max_kw`), no two
values at one moment. A counter that could have been reset and come back unseen counts as reset. What is short
of that is an estimate, or missing where less than half is covered. `uncertainty_wh` bounds the error, also of
an estimate that is fully covered. Times are epoch seconds (UTC), energy Wh, power kW.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from flexlond.model.settlement_period import LENGTH
from flexlond.settlement.readings import Quality, Reading, missing

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

ENOUGH = 0.5  # the share of a period that must be covered for an estimate


@dataclass(frozen=True, slots=True)
class Limits:
    """What is plausible, and how far apart the samples of a whole reading may be."""

    max_kw: float  # the most that can be drawn through this meter
    max_gap: float  # seconds

    def most_wh(self, seconds: float) -> float:
        """The most that can be consumed in so many seconds."""
        return self.max_kw * seconds / 3.6


@dataclass(slots=True)
class _Tally:
    """What adds up within one period."""

    wh: float = 0.0
    low: float = 0.0
    high: float = 0.0
    covered: float = 0.0
    why: str = ""  # why it is not whole


@dataclass(frozen=True, slots=True)
class _Stretch:
    """Between two samples: what was consumed, and its bounds."""

    begin: float
    end: float
    wh: float
    low: float
    high: float
    why: str


def from_counter(
    point: str,
    samples: Iterable[tuple[float, float]],
    starts: Sequence[int],
    limits: Limits,
    *,
    source: str,
    wh_per_unit: float = 1.0,
) -> list[Reading]:
    """Readings of a counter of energy for the periods that begin at `starts` (in order)."""
    clean, clashes = _clean(samples, wh_per_unit)
    pairs = itertools.pairwise(clean)
    stretches = [_consumed(before, after, limits) for before, after in pairs]
    return _by_period(point, stretches, clashes, starts, limits, source)


def from_power(
    point: str,
    samples: Iterable[tuple[float, float]],
    starts: Sequence[int],
    limits: Limits,
    *,
    source: str,
    kw_per_unit: float = 1.0,
) -> list[Reading]:
    """Readings from samples of power: each stands until the next, `max_gap` at most."""
    clean, clashes = _clean(samples, kw_per_unit)
    good = [(at, kw) for at, kw in clean if 0 <= kw <= limits.max_kw]
    stretches = []
    for number, (at, kw) in enumerate(good):
        follows = good[number + 1] if number + 1 < len(good) else (math.inf, kw)
        until = min(follows[0], at + limits.max_gap)
        wh = kw * (until - at) / 3.6
        turned = follows[1] * (until - at) / 3.6  # had the change come at once
        stretches.append(_Stretch(at, until, wh, min(wh, turned), max(wh, turned), ""))
    return _by_period(point, stretches, clashes, starts, limits, source)


def _clean(
    samples: Iterable[tuple[float, float]], factor: float
) -> tuple[list[tuple[float, float]], list[float]]:
    """In order of time, numbers only, one per moment; and the moments with two different values."""
    by_time: dict[float, float] = {}
    clashes: set[float] = set()
    for at, value in samples:
        if not (math.isfinite(at) and math.isfinite(value)):
            continue
        if by_time.get(at, value) != value:
            clashes.add(at)
        by_time[at] = value
    return [(at, by_time[at] * factor) for at in sorted(by_time) if at not in clashes], sorted(
        clashes
    )


def _consumed(before: tuple[float, float], after: tuple[float, float], limits: Limits) -> _Stretch:
    """What a counter says was consumed between two samples."""
    (begin, first), (end, last) = before, after
    most = limits.most_wh(end - begin)
    rise = last - first
    why = ""
    if rise < 0:
        why = "the counter was reset"
    elif rise > most:
        why = "the counter rose by more than can be drawn"
    elif last <= most:
        why = "the counter may have been reset unseen"
    if not why:
        return _Stretch(begin, end, rise, rise, rise, "")
    guess = rise if 0 <= rise <= most else most / 2
    return _Stretch(begin, end, guess, 0.0, most, why)


def _by_period(  # noqa: PLR0917 -- one call from each kind of meter
    point: str,
    stretches: Sequence[_Stretch],
    clashes: Sequence[float],
    starts: Sequence[int],
    limits: Limits,
    source: str,
) -> list[Reading]:
    tallies = {start: _Tally() for start in starts}
    for one in stretches:
        first = math.floor(one.begin / LENGTH) * LENGTH
        for start in range(first, math.ceil(one.end), LENGTH):
            tally = tallies.get(start)
            if tally is not None:
                _add(tally, one, start, limits)
    for at in clashes:
        tally = tallies.get(math.floor(at / LENGTH) * LENGTH)
        if tally is not None:
            tally.why = "two values at one moment"
    return [_reading(point, start, tallies[start], source) for start in starts]


def _add(tally: _Tally, one: _Stretch, start: int, limits: Limits) -> None:
    """The part of a stretch that lies in the period; evenly where only a part does."""
    begin, end = max(one.begin, start), min(one.end, start + LENGTH)
    inside, whole = end - begin, one.end - one.begin
    if inside <= 0:
        return
    tally.covered += inside
    if inside == whole:
        wh, low, high = one.wh, one.low, one.high
    else:
        wh = one.wh * inside / whole
        high = min(one.high, limits.most_wh(inside))
        low = max(0.0, one.low - limits.most_wh(whole - inside))
        if whole > limits.max_gap:
            tally.why = tally.why or f"no sample within {limits.max_gap:g} s of its edge"
    tally.why = tally.why or one.why
    tally.wh, tally.low, tally.high = tally.wh + wh, tally.low + low, tally.high + high


def _reading(point: str, start: int, tally: _Tally, source: str) -> Reading:
    share = tally.covered / LENGTH
    if share < ENOUGH:
        return missing(point, start, source, f"{share:.0%} of it is covered by samples")
    detail = tally.why
    wh = tally.wh
    error = max(tally.high - wh, wh - tally.low, 0.0)
    if share < 1.0 - 1e-9:
        gap = LENGTH - tally.covered
        detail = "; ".join(filter(None, (detail, f"{gap:.0f} s without samples, filled evenly")))
        wh /= share
        error += wh - tally.wh
    quality = Quality.ESTIMATED if detail else Quality.MEASURED
    return Reading(point, start, _whole(wh), quality, source, math.ceil(error) + 1, detail)


def _whole(wh: float) -> int:
    """Half up."""
    return math.floor(wh + 0.5)
