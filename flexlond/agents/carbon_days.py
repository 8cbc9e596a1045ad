"""The carbon caps of a day: what flexible jobs have emitted today, and the caps that the planner is given.

Law: a day is one of the site's own zone. Counted are jobs with consent from their start on, by what the plan
counts of their power and by the intensity of the moment: an estimate from the model, not a measurement. Kept in
the store, so a restart forgets nothing; what ran while the daemon was down is counted where it still runs, at
the intensity of the moment it is seen again. Runs under way count until their predicted end. Without caps in
the configuration nothing is noted. Kg CO2, kW, epoch seconds.
"""

from __future__ import annotations

import math
from datetime import timedelta
from typing import TYPE_CHECKING, Final

import msgspec

from flexlond.planning.carbon_days import day_caps, day_of, span_of

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import date
    from zoneinfo import ZoneInfo

    from flexlond.agents.records import Store
    from flexlond.model.settings import PlanningSettings
    from flexlond.planning.carbon_days import Emitter
    from flexlond.planning.problem import CarbonCap, Problem

CARBON_DAYS: Final = "carbon-days"
_KEPT: Final = 8  # days


class _Noted(msgspec.Struct):
    at: int = 0
    days: dict[str, dict[str, float]] = {}  # ISO date -> account -> kg


class CarbonDays:
    """What each account's flexible jobs emitted by day, persisted in the store."""

    def __init__(self, store: Store, tz: ZoneInfo) -> None:
        """Take up what was noted before."""
        self._store, self._tz = store, tz
        self._noted = _decoded(store.get_blob(CARBON_DAYS))

    def note(self, now: int, emitters: Sequence[Emitter], g_kwh: float) -> None:
        """`emitters` have run since the last note at the intensity `g_kwh` (NaN: not known, not counted)."""
        last, noted = self._noted.at, self._noted
        noted.at = now
        if not last or now <= last or not math.isfinite(g_kwh):
            return
        for day in {day_of(last, self._tz), day_of(now, self._tz)}:
            begin, end = span_of(day, self._tz)
            sums = noted.days.setdefault(day.isoformat(), {})
            for job in emitters:
                seconds = min(now, end) - max(last, job.start, begin)
                if seconds > 0:
                    kg = job.kw * seconds / 3.6e6 * g_kwh
                    sums[job.account] = sums.get(job.account, 0.0) + kg
        oldest = (day_of(now, self._tz) - timedelta(days=_KEPT)).isoformat()
        noted.days = {name: sums for name, sums in noted.days.items() if name >= oldest}
        self._store.put_blob(CARBON_DAYS, msgspec.msgpack.encode(noted), now)

    def emitted(self, day: date) -> dict[str, float]:
        """Kg by account on a day, as far as it was noted."""
        return dict(self._noted.days.get(day.isoformat(), {}))

    def caps(
        self,
        problem: Problem,
        accounts: Sequence[str],
        emitters: Sequence[Emitter],
        settings: PlanningSettings,
    ) -> tuple[CarbonCap, ...]:
        """The caps of every day that `problem` reaches into; `accounts` (J,) are its jobs'."""
        return day_caps(problem, accounts, emitters, self.emitted, settings=settings, tz=self._tz)


def _decoded(blob: bytes) -> _Noted:
    """What was stored; nothing where it cannot be read."""
    try:
        return msgspec.msgpack.decode(blob, type=_Noted) if blob else _Noted()
    except (msgspec.DecodeError, ValueError):
        return _Noted()
