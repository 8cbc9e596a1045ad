"""The day that runs past: real GB half-hours, re-stamped so that each lasts one slot from now on.

Law: the values are the market's and the grid operator's own, in their order; only the time stamps are new.
The product sees an ordinary series and has no notion of a demo. Slots lie on multiples of the slot length
since the epoch, as the product's own grid does, so no slot mixes two half-hours. Times are epoch seconds
(UTC); price in GBP/MWh, carbon in gCO2/kWh.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import pairwise
from typing import TYPE_CHECKING

from demo_lib.report import HALF_HOUR, Curve, iso

if TYPE_CHECKING:
    from collections.abc import Sequence

SLOTS = 48


@dataclass(frozen=True, slots=True)
class HalfHour:
    """One settlement period as it was."""

    start: int
    price: float
    carbon: float


@dataclass(frozen=True, slots=True)
class Day:
    """48 slots from `start`; the curves reach before and beyond it."""

    start: int
    slot_seconds: int
    stands_for: int  # the real half-hour of slot 0
    price: Curve
    carbon: Curve
    slots: int = SLOTS

    @property
    def end(self) -> int:
        """The first second after the day."""
        return self.start + self.slots * self.slot_seconds

    def slot_of(self, moment: int) -> int:
        """The slot that contains `moment`; negative before the day, 48 and more after it."""
        return (moment - self.start) // self.slot_seconds

    def label(self, slot: int) -> str:
        """The time of day for which a slot stands: "02:30"."""
        real = self.stands_for + slot * HALF_HOUR
        return datetime.fromtimestamp(real, UTC).strftime("%H:%M")

    def shown(self, curve: Curve) -> tuple[float, ...]:
        """The values of the day's own slots."""
        first = (self.start - curve.start) // curve.step
        return curve.values[first : first + self.slots]


def restamp(halves: Sequence[HalfHour], first: int, start: int, slot_seconds: int) -> Day:
    """`halves[first]` becomes the slot that begins at `start`; the others follow and precede it.

    Raises ValueError when `start` is not on the grid, the half-hours have gaps, or the day is not whole.
    """
    if start % slot_seconds:
        raise ValueError(f"start {start} is not a multiple of {slot_seconds} s")
    if not 0 <= first <= len(halves) - SLOTS:
        raise ValueError(f"a day from half-hour {first} does not fit into {len(halves)}")
    for before, after in pairwise(halves):
        if after.start - before.start != HALF_HOUR:
            raise ValueError(f"half-hours have a gap after {iso(before.start)}")
    begin = start - first * slot_seconds
    return Day(
        start=start,
        slot_seconds=slot_seconds,
        stands_for=halves[first].start,
        price=Curve(begin, slot_seconds, tuple(half.price for half in halves)),
        carbon=Curve(begin, slot_seconds, tuple(half.carbon for half in halves)),
    )


def as_csv(curve: Curve, name: str) -> str:
    """The curve as a file for FlexLon's csv feed: columns utc and `name`."""
    rows = [
        f"{iso(curve.start + index * curve.step)},{value:g}"
        for index, value in enumerate(curve.values)
    ]
    return "\n".join([f"utc,{name}", *rows, ""])
