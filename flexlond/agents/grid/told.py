"""What a seller tells of a lot, taken into it: the same whether it was bought or won by a bid.

Law: pure. Only slots of the lot count. A seller that was given up on for silence is counted with again once it
tells something that was not told before. kW; epoch seconds. Source: our own.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from flexlond.agents.grid import papers
from flexlond.agents.grid.records import UNREACHABLE, UNTOLD, Lot
from flexlond.beckn.wire.codes import Refusal

if TYPE_CHECKING:
    from flexlond.beckn.wire.messages import Message


def with_told(lot: Lot, message: Message, until: float | None = None) -> Lot:
    """The lot with what a message tells of it; nothing of slots that end after `until`, where it is given."""
    try:
        told, foreseen = papers.performance(message)
    except Refusal as refusal:
        return replace(lot, why=f"its performance cannot be read: {refusal}")
    ours = {
        at: one
        for at, one in told.items()
        if at in lot.kw and (until is None or at + lot.slot_seconds <= until)
    }
    expected = {at: kw for at, kw in foreseen.items() if at in lot.kw}
    if lot.why == UNTOLD and not set(ours) - set(lot.told):
        expected = {}  # it says what it will give, and still not what it gave
    elif lot.why in {UNTOLD, UNREACHABLE}:
        lot = replace(lot, foreseen={}, why="")
    return replace(lot, told={**lot.told, **ours}, foreseen={**lot.foreseen, **expected})


def untold(lot: Lot, now: float, patience: float) -> bool:
    """Whether a slot of it is over for so long that its figures should be here, and are not."""
    late = lot.slot_seconds + max(lot.slot_seconds, patience)
    return any(now > at + late for at in lot.kw if at not in lot.told)


def not_counted(lot: Lot, why: str) -> Lot:
    """The lot with nothing expected of the slots that were not told."""
    open_ = [at for at in lot.kw if at not in lot.told]
    return replace(lot, foreseen={**lot.foreseen, **dict.fromkeys(open_, 0.0)}, why=why)
