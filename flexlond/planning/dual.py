"""Prices of room and carbon, and the lower bound that they prove.

Law: for any prices >= 0, the sum over jobs of the least (cost + price of what they take), less the price of
all room and of the carbon cap, is never above the cost of any plan that keeps the constraints (weak duality).
So the bound returned is valid however few steps were made; more steps only raise it, up to the bound of the
linear relaxation. Deflected subgradient steps with a step length that shrinks when the bound stalls; with many
jobs the prices are first found on an evenly drawn part of them, with that part of the room.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from flexlond.planning.instance import Instance, Prices

if TYPE_CHECKING:
    from numpy.typing import NDArray

_PATIENCE = 8  # steps without a better bound before the step length shrinks
_SHRINK = 0.7
_KEEP = 0.7  # of the last direction
_NEAR = 0.1  # the first step length from prices of an earlier plan, which are nearly right
_MANY = 6000  # from twice as many jobs on, prices are found on a part of them first
_SMALL = 1e-3  # a step length at which nothing moves any more


@dataclass(frozen=True, slots=True, eq=False)
class Dual:
    """The best prices found and the bound they prove."""

    prices: Prices
    bound: float  # GBP; at or below the objective of every plan
    tight: bool  # the jobs' free choices at these prices keep every constraint: nothing to repair
    slot: NDArray[np.int64]  # (n,) those choices
    steps: int


def ascend(
    instance: Instance, steps: int, start: Prices | None = None, *, rng: np.random.Generator
) -> Dual:
    """Raise the bound from `start` (no prices when None) in at most `steps` steps; 0: what `start` proves."""
    nothing = Prices(np.zeros(instance.free.shape))
    free_choice = _climb(instance, 1, nothing)
    if free_choice.tight or (start is None and not steps):
        return free_choice
    prices, pace = (nothing, 1.0) if start is None else (start, _NEAR)
    if instance.jobs >= 2 * _MANY and steps:
        prices = _on_a_part(instance, steps, prices, rng, pace)
        steps = max(4, steps // 20)
    found = _climb(instance, max(1, steps), prices, pace)
    if found.bound >= free_choice.bound:
        return found
    return free_choice if steps else replace(found, bound=free_choice.bound)


def _on_a_part(
    instance: Instance, steps: int, start: Prices, rng: np.random.Generator, pace: float
) -> Prices:
    """Prices of `_MANY` jobs with their part of the room."""
    chosen = np.sort(rng.choice(instance.jobs, _MANY, replace=False))
    size = instance.amount.max(axis=1) * instance.width[instance.cls]
    share = float(size[chosen].sum() / max(float(size.sum()), 1e-12))
    return _climb(instance.part(chosen, share), steps, start, pace).prices


def _climb(instance: Instance, steps: int, start: Prices, pace: float = 1.0) -> Dual:
    rows, unit = instance.bounded, instance.unit[:, None]
    room, typical = instance.free[rows], instance.typical[:, None]
    everyone = np.arange(instance.jobs)
    cap = instance.co2_cap if instance.capped else 0.0
    carbon_unit = _carbon_unit(instance)
    price, carbon = start.room.copy(), start.carbon if instance.capped else 0.0
    best = Dual(start, -np.inf, tight=False, slot=np.zeros(0, np.int64), steps=0)
    stalled, heading, carbon_heading = 0, np.zeros(room.shape), 0.0
    for step in range(1, steps + 1):
        prices = Prices(price.copy(), carbon)
        slot, value = instance.best(prices)
        bound = float(value.sum() - (price[rows] * np.maximum(room, 0)).sum() - carbon * cap)
        over = (instance.usage(everyone, slot)[rows] - np.maximum(room, 0)) / typical
        excess = 0.0
        if instance.capped:
            excess = float(instance.co2_at(everyone, slot).sum() - cap) / max(abs(cap), 1e-9)
        if bound > best.bound:
            # With the room they leave unused priced at nothing, free choices that fit are optimal.
            tight = bool((over <= 1e-9).all()) and excess <= 1e-9 and not carbon and not price.any()
            best = Dual(prices, bound, tight, slot, step)
            stalled = 0
            if tight:
                break
        else:
            stalled += 1
            if stalled >= _PATIENCE:
                pace, stalled = pace * _SHRINK, 0
                price, carbon = best.prices.room.copy(), best.prices.carbon
                heading[:], carbon_heading = 0.0, 0.0
                if pace < _SMALL:
                    break
        heading = _KEEP * heading + (1 - _KEEP) * over
        price[rows] = np.maximum(0.0, price[rows] + pace * unit * heading)
        if instance.capped:
            carbon_heading = _KEEP * carbon_heading + (1 - _KEEP) * excess
            carbon = max(0.0, carbon + pace * carbon_unit * carbon_heading)
    return best


def _carbon_unit(instance: Instance) -> float:
    """GBP per kg by which cost trades against carbon: the unit of the cap's price."""
    if not instance.capped:
        return 0.0
    known = np.isfinite(instance.rate) & (instance.co2 > 0)
    ratio = np.abs(instance.rate[known]) / instance.co2[known]
    return float(np.median(ratio)) if ratio.size else 0.0
