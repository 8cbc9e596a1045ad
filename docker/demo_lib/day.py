"""The day that runs past: real GB half-hours, re-stamped so that each lasts one slot from now on.

Law: the values are those of the shipped typical day (flexlond/data/README.md says how it was chosen); only
the time stamps are new, and the product sees an ordinary CSV feed. The day begins at 16:00, before the
evening peak, so that the evening's jobs have a night before them. Slots lie on multiples of the slot length
since the epoch, as the product's own grid does, so no slot mixes two half-hours. Times are epoch seconds
(UTC); price in GBP/MWh, carbon in gCO2/kWh.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from demo_lib.report import Curve
from flexlond.signals.restamp import load_day, restamp, write_feed

if TYPE_CHECKING:
    from pathlib import Path

SLOTS = 48
DAY = "typical"
DATE = "22 January 2026"
FIRST = 32  # 16:00
_STORED = 96  # half-hours of the file: the day and the one after it


@dataclass(frozen=True, slots=True)
class Day:
    """48 slots from `start`; the curves reach from 16 hours before it to the end of the next day."""

    start: int
    slot_seconds: int
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
        hour, half = divmod((FIRST + slot) % SLOTS, 2)
        return f"{hour:02}:{30 * half:02}"

    def shown(self, curve: Curve) -> tuple[float, ...]:
        """The values of the day's own slots."""
        first = (self.start - curve.start) // curve.step
        return curve.values[first : first + self.slots]

    def write(self, path: Path) -> None:
        """The feed that FlexLon reads: columns utc, price, carbon."""
        rows = load_day(DAY, count=_STORED)
        write_feed(path, restamp(rows, self.price.start, self.slot_seconds))


def day_from(start: int, slot_seconds: int) -> Day:
    """The day that begins at the first slot border at or after `start`."""
    start += -start % slot_seconds
    rows = load_day(DAY, count=_STORED)
    begin = start - FIRST * slot_seconds
    return Day(
        start=start,
        slot_seconds=slot_seconds,
        price=Curve(begin, slot_seconds, tuple(row.price for row in rows)),
        carbon=Curve(begin, slot_seconds, tuple(row.carbon for row in rows)),
    )
