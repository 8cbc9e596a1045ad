"""What flexible jobs emitted by day, and what jobs not yet submitted will probably emit of a day's carbon cap.

Law: pure. Noted is not only how much a day's jobs emitted but when they had been submitted, counted from the
day's begin: so the days before this one say how much of a day's carbon is still to be asked for at any hour of
it, or of the day before it. Only days that were watched whole count; without one nothing is expected. Expected
is the mean of at most seven days: some days bring more, and the cap of such a day may not be kept. Kg CO2,
epoch seconds.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import TYPE_CHECKING, Final

import numpy as np

from flexlond.planning.carbon_days import span_of

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import tzinfo

    from numpy.typing import NDArray

DAYS: Final = 7  # that are remembered before today
EARLIEST: Final = (
    -48
)  # h from a day's begin; a job submitted before it is known whenever the day is planned
_HOURS: Final = 25 - EARLIEST  # a day may have 25


@dataclass(slots=True)
class CarbonBook:
    """Kg by day, account and hour of submission; bounded by `forget`."""

    tz: tzinfo
    since: int = 0  # the first moment that was watched; 0: none yet
    days: dict[date, dict[str, NDArray[np.float64]]] = field(default_factory=dict)
    """By account (73,) kg of jobs submitted in each hour from 48 before the day's begin on."""

    @staticmethod
    def hours(kg: Sequence[float]) -> NDArray[np.float64]:
        """What was stored of one account and day. Raises ValueError for another number of hours."""
        found = np.array(kg, np.float64)
        if found.shape != (_HOURS,):
            raise ValueError(f"{len(kg)} hours; expected {_HOURS}")
        return found

    def add(self, day: date, account: str, submit: int, kg: float) -> None:
        """A job submitted at `submit` has emitted `kg` on `day`."""
        begin, _ = span_of(day, self.tz)
        hour = min(max((submit - begin) // 3600 - EARLIEST, 0), _HOURS - 1)
        sums = self.days.setdefault(day, {})
        sums.setdefault(account, np.zeros(_HOURS))[hour] += kg

    def emitted(self, day: date) -> dict[str, float]:
        """Kg by account on a day, as far as it was noted."""
        return {account: float(kg.sum()) for account, kg in self.days.get(day, {}).items()}

    def expected(self, day: date, now: int, today: date) -> dict[str, float]:
        """Kg by account that jobs submitted after `now` will emit on `day`, as on the days before `today`."""
        begin, _ = span_of(day, self.tz)
        whole = [
            self.days.get(past, {})
            for past in (today - timedelta(days=back) for back in range(1, DAYS + 1))
            if self.since and span_of(past, self.tz)[0] >= self.since
        ]
        hours = np.arange(EARLIEST, EARLIEST + _HOURS)
        after = np.clip(hours + 1 - (now - begin) / 3600.0, 0.0, 1.0)
        found: defaultdict[str, float] = defaultdict(float)
        for one in whole:
            for account, kg in one.items():
                found[account] += float(kg @ after) / len(whole)
        return dict(found)

    def forget(self, today: date) -> None:
        """Drop the days that nobody asks for any more."""
        oldest = today - timedelta(days=DAYS)
        self.days = {day: sums for day, sums in self.days.items() if day >= oldest}
