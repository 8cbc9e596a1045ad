"""What is shown of the site's power: the part of the port (ports.py) that speaks of it.

Law: as ports.py: plain frozen records with the fields of admin.proto. Times are epoch seconds, 0 is "none";
power is kW at the site's supply, an unknown figure is NaN. Each figure says whether it is metered or modelled.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ObservedSlotView:
    """The site's mean power in one slot (proto: ObservedSlot)."""

    start: int
    kw: float
    source: str  # metered | modelled
    coverage: float  # the share of it so far that the meter covers
    modelled_kw: float


@dataclass(frozen=True, slots=True)
class PowerView:
    """The site's power as it is observed, and how the model compares with the meter (proto: Power)."""

    observed_kw: float
    source: str  # metered | modelled | unknown
    at: int
    meter: str  # "": there is none
    quality: str  # of the last reading: good | stale | absurd | absent
    metered_kw: float
    metered_at: int
    detail: str  # why the reading is not used
    modelled_kw: float
    pairs: int
    ratio: float  # metered over modelled, last day
    base_kw: float  # without jobs, by the meter
    modelled_base_kw: float
    other_kw: float  # what power.other_kw should be for the two to agree
    slots: tuple[ObservedSlotView, ...]
