"""The carbon caps of a day: what flexible jobs have emitted today, and the caps that the planner is given.

Law: a day is one of the site's own zone. Counted are jobs with consent from their start on, by what the plan
counts of their power and by the intensity of the moment: an estimate from the model, not a measurement. What
the days before say of jobs yet to come is kept back for them (planning/carbon_book.py). Kept in the store, so
a restart forgets nothing; what ran while the daemon was down is counted where it still runs, at the intensity
of the moment it is seen again. Runs under way count until their predicted end. Without caps in the
configuration nothing is noted. Kg CO2, kW, epoch seconds.
"""

from __future__ import annotations

import math
from datetime import date
from typing import TYPE_CHECKING, Final

import msgspec

from flexlond.planning.carbon_book import CarbonBook
from flexlond.planning.carbon_days import day_caps, day_of, span_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from zoneinfo import ZoneInfo

    import numpy as np
    from numpy.typing import NDArray

    from flexlond.agents.records import Store
    from flexlond.model.settings import PlanningSettings
    from flexlond.planning.carbon_days import Emitter
    from flexlond.planning.problem import CarbonCap, Problem

CARBON_DAYS: Final = "carbon-days"


class _Noted(msgspec.Struct):
    at: int = 0
    since: int = 0
    days: dict[str, dict[str, list[float]]] = {}  # ISO date -> account -> kg by hour of submission


class CarbonDays:
    """What each account's flexible jobs emitted by day, persisted in the store."""

    def __init__(self, store: Store, tz: ZoneInfo) -> None:
        """Take up what was noted before."""
        self._store, self._tz = store, tz
        self._at, self._book = _decoded(store.get_blob(CARBON_DAYS), tz)

    def note(self, now: int, emitters: Sequence[Emitter], g_kwh: float) -> None:
        """`emitters` have run since the last note at the intensity `g_kwh` (NaN: not known, not counted)."""
        last, book = self._at, self._book
        self._at = now
        book.since = book.since or now
        if not last or now <= last or not math.isfinite(g_kwh):
            return
        for day in {day_of(last, self._tz), day_of(now, self._tz)}:
            begin, end = span_of(day, self._tz)
            for job in emitters:
                seconds = min(now, end) - max(last, job.start, begin)
                if seconds > 0:
                    book.add(day, job.account, job.submit, job.kw * seconds / 3.6e6 * g_kwh)
        book.forget(day_of(now, self._tz))
        noted = _Noted(now, book.since, _plain(book))
        self._store.put_blob(CARBON_DAYS, msgspec.msgpack.encode(noted), now)

    def emitted(self, day: date) -> dict[str, float]:
        """Kg by account on a day, as far as it was noted."""
        return self._book.emitted(day)

    def caps(
        self,
        problem: Problem,
        accounts: Sequence[str],
        emitters: Sequence[Emitter],
        settings: PlanningSettings,
        *,
        consents: NDArray[np.bool_],
    ) -> tuple[CarbonCap, ...]:
        """The caps of every day that `problem` reaches into; `accounts` and `consents` (J,) are its jobs'."""
        now, tz = problem.now, self._tz

        def expected(day: date) -> Mapping[str, float]:
            return self._book.expected(day, now, day_of(now, tz))

        return day_caps(
            problem,
            accounts,
            emitters,
            self.emitted,
            expected,
            consents=consents,
            settings=settings,
            tz=tz,
        )


def _plain(book: CarbonBook) -> dict[str, dict[str, list[float]]]:
    return {
        day.isoformat(): {account: kg.tolist() for account, kg in sums.items()}
        for day, sums in book.days.items()
    }


def _decoded(blob: bytes, tz: ZoneInfo) -> tuple[int, CarbonBook]:
    """What was stored; nothing where it cannot be read."""
    book = CarbonBook(tz)
    if not blob:
        return 0, book
    try:
        noted = msgspec.msgpack.decode(blob, type=_Noted)
        book.since = noted.since
        book.days = {
            date.fromisoformat(day): {account: book.hours(kg) for account, kg in sums.items()}
            for day, sums in noted.days.items()
        }
    except (msgspec.DecodeError, ValueError):
        return 0, CarbonBook(tz)
    return noted.at, book
