"""The time grid: slots of equal length, epoch seconds in UTC.

Law: slot i covers [start + i*slot_seconds, start + (i+1)*slot_seconds). `start` is a multiple of
`slot_seconds` since the epoch when made by `covering`, so that half-hour slots are GB settlement periods.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class TimeGrid:
    """`count` slots of `slot_seconds` from `start` (epoch seconds)."""

    start: int
    slot_seconds: int
    count: int

    @classmethod
    def covering(cls, now: int, slot_seconds: int, count: int) -> TimeGrid:
        """The grid whose first slot contains `now`."""
        return cls(now - now % slot_seconds, slot_seconds, count)

    @property
    def end(self) -> int:
        """The first second after the last slot."""
        return self.start + self.slot_seconds * self.count

    def slot_of(self, at: int) -> int:
        """The index of the slot that contains `at`; negative or >= count outside the grid."""
        return (at - self.start) // self.slot_seconds

    def slot_start(self, index: int) -> int:
        """The first second of slot `index`."""
        return self.start + index * self.slot_seconds

    def starts(self) -> NDArray[np.int64]:
        """Shape (count,): the first second of each slot."""
        return self.start + self.slot_seconds * np.arange(self.count, dtype=np.int64)
