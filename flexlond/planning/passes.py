"""From prices to a placement that nearly fits: all jobs choose again, block by block, at moving prices.

Law: deterministic for a given generator. In each pass every job chooses once, in random blocks; what the
others take raises or lowers the price of each slot around the dual's price (the augmented Lagrangian, block
by block), so like jobs spread over slots that cost the same instead of all taking one. The result may exceed
the room by a little: `room.py` repairs that.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from flexlond.planning.instance import Prices

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from flexlond.planning.dual import Dual
    from flexlond.planning.instance import Instance

_SOFT, _HARD = 1.0, 8.0  # gain of the first and of the last pass: price units per share of overload
_LEARN = 0.3  # part of the overload price that stays after a pass
_KEPT_FREE = 0.002  # share of the room left free for the repair


def settle(
    instance: Instance,
    dual: Dual,
    *,
    passes: int,
    blocks: int,
    go_on: Callable[[], bool],
    rng: np.random.Generator,
) -> tuple[NDArray[np.int64], Prices]:
    """(slot (n,), prices) after `passes` passes of `blocks` blocks from the dual's choices.

    Ends after the pass in which `go_on` says no.
    """
    rows = instance.bounded
    unit, typical = instance.unit[:, None], instance.typical[:, None]
    room = np.maximum(instance.free[rows], 0) * (1 - _KEPT_FREE)
    slot = dual.slot.copy()
    everyone = np.arange(instance.jobs)
    load = instance.usage(everyone, slot)[rows]
    base = dual.prices.room.copy()
    price = base.copy()
    for number in range(passes):
        gain = _SOFT * (_HARD / _SOFT) ** (number / max(1, passes - 1))
        order = rng.permutation(instance.jobs)
        for block in np.array_split(order, min(blocks, max(1, instance.jobs))):
            load -= instance.usage(block, slot[block])[rows]
            price[rows] = np.maximum(0.0, base[rows] + gain * unit * (load - room) / typical)
            slot[block] = instance.best(Prices(price, dual.prices.carbon), block)[0]
            load += instance.usage(block, slot[block])[rows]
        if number and not go_on():
            break
        base[rows] = np.maximum(0.0, base[rows] + _LEARN * gain * unit * (load - room) / typical)
    return slot, Prices(base, dual.prices.carbon)
