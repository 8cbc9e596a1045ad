"""Whether a dispatch keeps its word, by other code than made it.

Law: trusts the plant models' figures and the readings, and of the dispatch only what it recomputes. Answers
with sentences, none for a dispatch that may be sent. A battery outside its limits already may not go further
out; a store may be outside only where it was so or full power (or none) brings it no nearer.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from flexlond.assets.plant import Battery

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from flexlond.assets.dispatch import Dispatch, Site
    from flexlond.assets.plant import Asset, Chiller, Reading

_NEAR = 1e-4  # kW, kWh
_DEGREE = 0.01  # K


def check_dispatch(
    site: Site, assets: Sequence[Asset], readings: Mapping[str, Reading], made: Dispatch
) -> tuple[str, ...]:
    """What is wrong with `made`; empty when nothing is."""
    shape = (len(assets), len(site.hours))
    if made.kw.shape != shape or made.level.shape != shape:
        return (f"a dispatch of shape {made.kw.shape} for {shape}",)
    if not (np.isfinite(made.kw).all() and np.isfinite(made.level).all()):
        return ("a dispatch with a figure that is no number",)
    wrong: list[str] = []
    for row, asset in enumerate(assets):
        level = readings[asset.name].level
        if isinstance(asset, Battery):
            wrong += _battery(site, asset, level, made.kw[row])
        else:
            wrong += _chiller(site, asset, level, made.kw[row])
    total = made.kw.sum(axis=0)
    over = site.high_kw + total - site.cap_kw
    if (over > made.over_kw + _NEAR).any():
        wrong.append("more is imported than the cap and not said")
    # The assets may not export more; what the site exports without them is not theirs.
    net = np.minimum(site.low_kw, site.high_kw) + total
    if ((net < -site.export_kw - _NEAR) & (total < -_NEAR)).any():
        wrong.append("the assets export")
    return tuple(wrong)


def _battery(site: Site, asset: Battery, level: float, kw: NDArray[np.float64]) -> list[str]:
    wrong = []
    if (kw > asset.charge_kw + _NEAR).any() or (kw < -asset.discharge_kw - _NEAR).any():
        wrong.append(f"{asset.name} has more power than it can")
    low, high = min(asset.reserve_kwh, level), max(asset.capacity_kwh, level)
    for power, hours in zip(kw.tolist(), site.hours.tolist(), strict=True):
        gained = (
            power * asset.charge_efficiency if power >= 0 else power / asset.discharge_efficiency
        )
        level += gained * hours
        if not low - _NEAR <= level <= high + _NEAR:
            wrong.append(f"{asset.name} holds {level:.4g} kWh, outside {low:g} to {high:g}")
            break
    return wrong


def _chiller(site: Site, asset: Chiller, level: float, kw: NDArray[np.float64]) -> list[str]:
    wrong = []
    running = kw > _NEAR
    if (kw < -_NEAR).any() or (kw > asset.max_kw + _NEAR).any():
        wrong.append(f"{asset.name} has more power than it can")
    if (running & (kw < asset.min_kw - _NEAR)).any():
        wrong.append(f"{asset.name} runs below its least power")
    heat, leak, mass = asset.heat(len(kw)), asset.conductance_kw_per_k, asset.inertia_kwh_per_k
    for slot, hours in enumerate(site.hours.tolist()):
        net = float(heat[slot] - asset.cop * kw[slot])
        if leak > 0:
            settles = asset.ambient_c + net / leak
            level = settles + (level - settles) * float(np.exp(-leak * hours / mass))
        else:
            level += net * hours / mass
        warm = level > asset.high_c + _DEGREE and kw[slot] < asset.max_kw - _NEAR
        cold = level < asset.low_c - _DEGREE and running[slot]
        if warm or cold:
            wrong.append(
                f"{asset.name} is at {level:.4g} C, outside {asset.low_c:g} to {asset.high_c:g}"
            )
            break
    return wrong
