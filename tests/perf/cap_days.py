"""Under a carbon cap, day by day: what it was, what could be, and from when on it could not be kept.

Law: it only reads runs that were played, and prints. Besides both policies each day has two proven leasts: the
schedule with the fewest kg above the cap, of all that know every job from the start (clairvoyant.py), and from
when on FlexLon could not keep the day, or all days, any more, by what was known then and in hindsight
(lost_days.py). Kg CO2, hours before the end of a day (UTC).
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import numpy as np

from flexlond.backtest.ours import Flexlon
from flexlond.planning.account import slot_power
from flexlond.planning.carbon_days import day_of
from tests.perf.clairvoyant import choices, fewest_days, least, nodes_of
from tests.perf.hindsight_holds import search
from tests.perf.lost_days import lost, lost_together

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from flexlond.backtest.case import Run
    from flexlond.backtest.metrics import Case
    from flexlond.backtest.policy import State

DAY = 86400


def by_day(case: Case, run: Run) -> NDArray[np.float64]:
    """Kg that flexible jobs emitted on each day (UTC) of the replay."""
    mine = case.flexibility.flexible & (run.start > 0)
    kw = case.power.kw_per_node * case.trace.nodes[mine]
    grid = case.grid
    curve = slot_power(
        grid, run.start[mine].astype(np.float64), run.end[mine].astype(np.float64), kw
    )
    kg = curve * np.nan_to_num(case.signals.actual(grid)[1]) * grid.slot_seconds / 3.6e6
    day = (grid.starts() - grid.start // DAY * DAY) // DAY
    return np.bincount(day, kg)


class Saying(Flexlon):
    """FlexLon, and since when without a break its plans say that the cap of a day is not kept."""

    def __init__(self, *given: Any, **named: Any) -> None:
        super().__init__(*given, **named)
        self.said: dict[str, int] = {}  # name of the cap -> moment

    def tick(self, now: int, state: State) -> Mapping[int, int]:
        """Plan, and look at the caps."""
        wanted = super().tick(now, state)
        for one in self._last.carbon_caps if self._last else ():
            if one.kept:
                self.said.pop(one.name, None)
            else:
                self.said.setdefault(one.name, now)
        return wanted


def print_days(case: Case, cap: float, runs: list[Run], ours: Saying, *, replays: int = 0) -> None:
    """Print the leasts of all days together, then each day on which somebody was above `cap` (kg).

    With `replays` also what that many tries in hindsight find by begin times alone (hindsight_holds.py).
    """
    span = np.ceil(np.minimum(case.trace.runtime, case.trace.limit)).astype(np.int64)
    possible = choices(case, span, runs[0])
    there = nodes_of(case, span, possible)
    ideal = np.zeros(0)
    for words, nodes in (
        ("all jobs known", None),
        ("and the nodes that there are", there),
    ):
        fewest = fewest_days(possible, cap, nodes)
        kg, ideal = least(possible, cap, nodes)
        print(
            f"         in any schedule, {words}: at least {fewest} days above it, {kg:.1f} kg together"
        )
    asap, flexlon = (by_day(case, run) for run in runs)
    mine = choices(case, span, runs[1])
    begin = case.grid.start // DAY * DAY
    if replays:
        found = search(case, (runs[0], runs[1]), cap, by_day=by_day, replays=replays)
        print(
            f"         by holding alone, all known: {found.kg:.1f} kg together, {found.late} late, found by"
            f" {found.replays} replays: {np.round(found.days, 1).tolist()}"
        )
    gone = lost_together(case, mine, runs[1], span, cap)
    first = min(ours.said.values(), default=case.grid.end)
    words = [_moment(at) if at < case.grid.end else "never" for at in (gone, first)]
    print(
        f"         all days and nodes together: lost in hindsight {words[0]}; said for good {words[1]}"
    )
    print(
        "         day   asap  flexlon  all known  said  lost: as known  in hindsight, by kg to come"
    )
    for day in range(len(asap)):
        if max(asap[day], flexlon[day]) <= cap * 1.0005:
            continue
        at = ours.said.get(f"carbon cap of {day_of(begin + day * DAY, UTC)} (site)")
        said = (begin + (day + 1) * DAY - at) / 3600 if at is not None else np.nan
        one = lost(case, mine, runs[1], day, cap)
        print(
            f"         {day:3} {asap[day]:6.1f} {flexlon[day]:8.1f} {ideal[day]:10.1f} {said:5.1f}"
            f" {one.known:15.1f} {one.hindsight:13.1f} {one.to_come:14.1f}"
        )


def _moment(at: int) -> str:
    return f"{datetime.fromtimestamp(at, UTC):%m-%d %H:%M}"
