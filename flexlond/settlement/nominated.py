"""The nominated baseline: the scheduler's own forecast, fixed before gate closure.

Law: pure. Of the forecasts of a period the newest that was fixed at or before its gate closure stands; one
fixed later is kept on record and never counts, so no forecast can be made to fit what happened. Where none
was fixed in time there is none (BSCP602 2.13.7 as a participant's code has it: the deviation is lost). Wh of
import; UTC.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from flexlond.model.settlement_period import GATE

if TYPE_CHECKING:
    from collections.abc import Iterable


@dataclass(frozen=True, slots=True)
class Nomination:
    """What was expected of a point in a period, and when that was fixed (epoch s)."""

    point: str
    start: int
    wh: int
    fixed_at: int
    source: str = "the plan in force"

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
