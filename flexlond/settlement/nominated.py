"""The nominated baseline: the scheduler's own forecast, fixed before gate closure.

Law: pure. Of the forecasts of a period the newest that was fixed at or before its gate closure stands; one
fixed later is kept on record and never counts, so no forecast can be made to fit what happened. Where none
was fixed in time there is none (BSCP602 2.13.7 as a participant's code has it: the deviation is lost). Wh of
import; UTC.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from flexlond.model.settlement_period import GATE, LENGTH

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


@dataclass(frozen=True, slots=True)
class Nomination:
    """What was expected of a point in a period, and when that was fixed (epoch s)."""

    point: str
    start: int
    wh: int
    fixed_at: int
    source: str = "the plan in force"
    recorded: int = field(default=0, compare=False)  # when the store learnt of it; 0: not yet

    @property
    def in_time(self) -> bool:
        """Whether it was fixed before gate closure."""
        return self.fixed_at <= self.start - GATE


def in_force(nominations: Iterable[Nomination]) -> dict[tuple[str, int], Nomination]:
    """The one that stands for each (point, start)."""
    standing: dict[tuple[str, int], Nomination] = {}
    for one in nominations:
        key = (one.point, one.start)
        if one.in_time and (key not in standing or one.fixed_at > standing[key].fixed_at):
            standing[key] = one
    return standing


def from_plan(
    point: str, begin: int, slot_seconds: int, kw: Sequence[float], fixed_at: int
) -> list[Nomination]:
    """The plan's power as nominations of the periods that can still be fixed at `fixed_at`.

    `kw[i]` is the mean import of the slot that begins at `begin + i * slot_seconds`; a slot is half an
    hour, a part of it that divides it, or whole half-hours. A period that is not wholly known (NaN, or
    past the plan) has none.
    """
    energy: dict[int, float] = {}
    known: dict[int, int] = {}
    step = min(slot_seconds, LENGTH)
    for number, power in enumerate(kw):
        first = begin + number * slot_seconds
        if not math.isfinite(power):
            continue
        for at in range(first, first + slot_seconds, step):
            period = at - at % LENGTH
            energy[period] = energy.get(period, 0.0) + power * step / 3.6
            known[period] = known.get(period, 0) + step
    made = (
        Nomination(point, start, math.floor(wh + 0.5), fixed_at)
        for start, wh in sorted(energy.items())
        if known[start] == LENGTH
    )
    return [one for one in made if one.in_time]
