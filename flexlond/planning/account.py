"""What a schedule costs: energy, money, carbon and power of given starts and ends.

Law: exact integration over the slots, by the second; no rounding to slots. kW at the site's meter, GBP, kg CO2.
A run that touches an unknown value or leaves the grid has an unknown (NaN) cost; a job that never ran (start 0
or end <= start) costs nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from flexlond.planning.ranking import run_costs

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from flexlond.model.timegrid import TimeGrid


@dataclass(frozen=True, slots=True, eq=False)
class Account:
    """Per job (J,), and the highest power at any second."""

    energy_kwh: NDArray[np.float64]
    cost_gbp: NDArray[np.float64]
    co2_kg: NDArray[np.float64]
    peak_kw: float


def account(
    start: NDArray[np.int64],
    end: NDArray[np.int64],
    kw: NDArray[np.float64],
    grid: TimeGrid,
    *,
    price: NDArray[np.float64],
    carbon: NDArray[np.float64],
) -> Account:
    """Account for runs [start, end) at `kw` (J,) against price (GBP/MWh) and carbon (g/kWh), (S,)."""
    ran = (start > 0) & (end > start)
    span = np.where(ran, end - start, 0).astype(np.float64)
    used = np.where(ran, kw, 0.0)
    begin = np.where(ran, start, grid.start)
    cost = np.where(ran, run_costs(grid, price, used, begin, span), 0.0)
    co2 = np.where(ran, run_costs(grid, carbon, used, begin, span), 0.0)
    return Account(used * span / 3600.0, cost, co2, peak_kw(start[ran], end[ran], kw[ran]))


def peak_kw(start: NDArray[np.int64], end: NDArray[np.int64], kw: NDArray[np.float64]) -> float:
    """The highest sum of kW at any moment; an end and a start at the same second do not overlap."""
    if not len(start):
        return 0.0
    times = np.concatenate([end, start])  # ends first: a stable sort keeps them first at a tie
    steps = np.concatenate([-kw, kw])
    order = np.argsort(times, kind="stable")
    return max(0.0, float(np.cumsum(steps[order]).max()))


def slot_power(
    grid: TimeGrid,
    start: NDArray[np.float64],
    end: NDArray[np.float64],
    kw: NDArray[np.float64],
) -> NDArray[np.float64]:
    """(S,) mean kW of each slot from runs [start, end) in epoch seconds; parts off the grid left out."""
    return _ramp(grid, start, kw) - _ramp(grid, end, kw)


def _ramp(grid: TimeGrid, at: NDArray[np.float64], kw: NDArray[np.float64]) -> NDArray[np.float64]:
    """Mean kW per slot of loads that come on at `at` and stay on."""
    place = np.clip((at - grid.start) / grid.slot_seconds, 0.0, float(grid.count))
    slot = np.minimum(place.astype(np.int64), grid.count)
    part = np.bincount(slot, weights=kw * (slot + 1 - place), minlength=grid.count + 1)
    full = np.bincount(slot, weights=kw, minlength=grid.count + 1)
    before = np.cumsum(full) - full
    power: NDArray[np.float64] = (part + before)[: grid.count]
    return power
