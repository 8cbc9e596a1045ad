"""Who is asked about a window of the envelope, where there are more jobs than can be planned again for it.

Law: pure. At most so many jobs, who together can change the window's power by the depth that is asked for,
twice over, at the least cost by the prices of the plan in force; where so many cannot, about those who change
it most. The cheapest per MWh alone would be the smallest jobs: thousands of them cost the same, and hundreds of
them give nothing. MWh, GBP, kW. Shapes: n jobs, S slots.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from flexlond.planning.coverage import coverage

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from flexlond.planning.reshape import Scene

_PRICES = (0.1, 0.25, 0.5, 0.75, 0.9)
"""Of a MWh: quantiles of what the jobs could give one for."""
_AT_ANY = 10.0  # times the dearest, of a pound a MWh at least: what a job gives is all that counts
_AMPLE = 2.0  # times the depth: among so many there is a choice
_NEARLY = 0.9  # of the most that so many jobs can give is enough where the depth is beyond them
_LEAST = 1e-9  # MWh per unit of a job's scale that are something


def chosen(scene: Scene, window: slice, *, up: bool, most: int, depth: float) -> NDArray[np.int64]:
    """(m,) rows of the scene's question, rising: `most` at most, for `depth` kW in every slot of `window`.

    Of a few prices of a MWh the lowest at which those who gain most by it give so much.
    """
    everyone = np.arange(scene.whole.instance.jobs)
    if len(everyone) <= most:
        return everyone
    gain, cost, useful = _moves(scene, window, up=up)
    if not useful.any():
        return everyone[:0]
    per_mwh = np.divide(cost, gain, out=np.full(cost.shape, np.inf), where=useful).min(axis=1)
    hours = (window.stop - window.start) * scene.problem.grid.slot_seconds / 3600.0
    need = _AMPLE * depth * hours / 1000.0
    found = []
    known = per_mwh[np.isfinite(per_mwh)]
    prices: list[float] = np.quantile(known, _PRICES).tolist()
    for price in (*prices, _AT_ANY * max(1.0, float(np.abs(known).max()))):
        value = price * gain - cost
        best = value.argmax(axis=1)
        worth = value[everyone, best]
        rows = np.argsort(-worth, kind="stable")[:most]
        rows = rows[worth[rows] >= 0]
        found.append((float(gain[rows, best[rows]].sum()), rows))
        if found[-1][0] >= need:
            break
    enough = min(need, _NEARLY * max(mwh for mwh, _ in found))
    return np.sort(next(rows for mwh, rows in found if mwh >= enough))


def _moves(
    scene: Scene, window: slice, *, up: bool
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.bool_]]:
    """MWh that a start at each slot gives the window, its GBP, and whether it gives any: (n, S) each."""
    instance, slot = scene.whole.instance, scene.last.slot[scene.whole.jobs]
    inside = np.zeros(scene.problem.grid.count)
    inside[window] = 1.0
    covered, _ = coverage(scene.problem.grid, scene.blocks, scene.whole, inside)
    worth, scale = instance.worth(scene.prices), instance.scale[:, None]
    here = instance.cost_at(np.arange(instance.jobs), slot) / instance.scale
    here += worth[instance.cls, slot]
    cost = ((instance.rate + worth)[instance.cls] - here[:, None]) * scale
    gain = (covered[instance.cls] - covered[instance.cls, slot][:, None]) * scale
    gain = gain if up else -gain
    at = np.arange(instance.slots)
    useful = (at >= instance.first[:, None]) & (at <= instance.last[:, None])
    useful &= (gain > _LEAST * scale) & np.isfinite(cost)
    return np.where(useful, gain, 0.0), np.where(useful, cost, np.inf), useful
