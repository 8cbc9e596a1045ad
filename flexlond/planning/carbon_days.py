"""The days of carbon caps: which slots are a day's, who counts, and what is spent of it already.

Law: pure. A day is one of the given zone, of 23, 24 or 25 hours; a slot belongs to the day in which it begins.
Who counts are the jobs with consent: those that run, those that wait for their time, those that wait for room.
Spent is what was emitted, as it is told, and what runs under way emit from now until their predicted end. Kg
CO2, kW, epoch seconds.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import TYPE_CHECKING

import numpy as np

from flexlond.planning.problem import CarbonCap

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from datetime import tzinfo

    from numpy.typing import NDArray

    from flexlond.model.settings import PlanningSettings
    from flexlond.planning.problem import Problem


@dataclass(frozen=True, slots=True)
class Emitter:
    """A flexible job that runs."""

    account: str
    kw: float
    start: int
    end: int  # as predicted
    submit: int = 0


def caps_wanted(settings: PlanningSettings) -> bool:
    """Whether the site has a carbon cap of a day."""
    return settings.carbon_cap_kg_per_day > 0 or bool(settings.account_carbon_cap_kg_per_day)


def day_of(at: int, tz: tzinfo) -> date:
    """The day of a moment."""
    return datetime.fromtimestamp(at, tz).date()


def span_of(day: date, tz: tzinfo) -> tuple[int, int]:
    """Epoch seconds of a day's begin and end; it may have 23 or 25 hours."""
    midnights = (datetime.combine(one, time(), tz) for one in (day, day + timedelta(1)))
    begin, end = (int(at.timestamp()) for at in midnights)
    return begin, end


def day_caps(
    problem: Problem,
    accounts: Sequence[str],
    emitters: Sequence[Emitter],
    emitted: Callable[[date], Mapping[str, float]],
    expected: Callable[[date], Mapping[str, float]],
    *,
    consents: NDArray[np.bool_],
    settings: PlanningSettings,
    tz: tzinfo,
) -> tuple[CarbonCap, ...]:
    """The caps of every day that `problem` reaches into.

    `accounts` and `consents` (J,) are its jobs': those with consent count, also while they wait for room and
    cannot be moved any more. `emitters` is what runs, `emitted` kg by account of a day until now,
    `expected` kg by account that jobs yet to be submitted will emit on a day.
    """
    if not caps_wanted(settings):
        return ()
    names = np.array(accounts, np.str_)
    found = []
    for day, first, end in _days(problem, tz):
        spent: defaultdict[str, float] = defaultdict(float, emitted(day))
        for job in emitters:
            spent[job.account] += _to_come(problem, job, first, end)
        coming = expected(day)
        if settings.carbon_cap_kg_per_day > 0:
            name, total = f"carbon cap of {day} (site)", settings.carbon_cap_kg_per_day
            found.append(
                CarbonCap(
                    name, consents, first, end, total, sum(spent.values()), sum(coming.values())
                )
            )
        for account, total in sorted(settings.account_carbon_cap_kg_per_day.items()):
            name, mine = f"carbon cap of {day} (account {account})", (names == account) & consents
            found.append(
                CarbonCap(
                    name, mine, first, end, total, spent.get(account, 0.0), coming.get(account, 0.0)
                )
            )
    return tuple(found)


def _days(problem: Problem, tz: tzinfo) -> Iterator[tuple[date, int, int]]:
    """Each day with its slots [first, end)."""
    grid = problem.grid
    day = day_of(problem.now, tz)
    while span_of(day, tz)[0] < grid.end:
        edges = [-(-(at - grid.start) // grid.slot_seconds) for at in span_of(day, tz)]
        yield day, max(0, edges[0]), min(grid.count, edges[1])
        day += timedelta(days=1)


def _to_come(problem: Problem, job: Emitter, first: int, end: int) -> float:
    """Kg that a running job will emit from now on in the slots [first, end)."""
    grid = problem.grid
    edges = grid.start + np.arange(first, end + 1) * grid.slot_seconds
    begin, until = max(job.start, problem.now), job.end
    seconds = np.minimum(edges[1:], until) - np.maximum(edges[:-1], begin)
    carbon = np.nan_to_num(problem.carbon[first:end])
    return float((np.maximum(seconds, 0) * carbon).sum()) * job.kw / 3.6e6
