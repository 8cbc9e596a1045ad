"""A signal as a series on the time grid, with where it came from and how good it is.

Law: an unknown value is NaN, never zero and never invented. Units are fixed by kind: price in GBP/MWh,
carbon in gCO2/kWh (location-based average, NESO's definition).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from flexlond.model.timegrid import TimeGrid


class Kind(StrEnum):
    """What a series measures."""

    PRICE = "price"
    CARBON = "carbon"


UNITS = {Kind.PRICE: "GBP/MWh", Kind.CARBON: "gCO2/kWh"}


class Quality(StrEnum):
    """How far a series may be used."""

    GOOD = "good"
    PARTIAL = "partial"  # good where it is known; the rest of the horizon is NaN
    STALE = "stale"  # older than its source's period allows: no new holds from it
    ABSENT = "absent"  # nothing usable: no new holds


@dataclass(frozen=True, slots=True)
class Series:
    """Values on `grid`, shape (grid.count,), float64, NaN where unknown."""

    kind: Kind
    grid: TimeGrid
    values: NDArray[np.float64]
    source: str  # provenance, for people: "NESO carbon intensity, national, 48 h forecast"
    fetched_at: int  # epoch seconds; 0 when never
    quality: Quality
    detail: str = ""  # why it is not good
