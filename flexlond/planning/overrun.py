"""Newcomers that start the second they come, in room that a held job needs: it is held only where it can wait.

Law: pure bookkeeping. Slurm keeps no room for a held job, and nobody sees a job coming that finds room at once;
whoever holds a job bets that none such comes. So the bet is made only where losing it makes nobody late: if the
largest job that came in the last `days` days (as far as it fits now) started now, and stayed as long as the
longest of them may, the held job would still start in time, be it that enough of what runs ends (P90) or that
the newcomer does. Largest and longest need not be the same job: a large one may come that stays long. The same
holds of each job that waits for room already and has no place beside it, for room may come to that one at any
moment. Where jobs wait longer than `BACKLOG` on the mean anyway, newcomers stand behind others and start
before nobody. Whoever is not sure to start in time is given back at once. By group of pools that share nodes;
before the first job has come nothing is expected. Shares of the group, epoch seconds, days since 1970 (UTC).
Source: own measurements, docs/explanation/backtest-results.md.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

import numpy as np

from flexlond.planning.carbon_days import caps_wanted
from flexlond.planning.waiting import shares

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from flexlond.model.settings import PlanningSettings
    from flexlond.planning.in_the_way import Sizes
    from flexlond.planning.pools import Room
    from flexlond.planning.problem import Problem

BACKLOG: Final = 7200.0
"""Seconds that jobs of a pool wait on the mean where newcomers find no room at once."""
_DAY = 86_400
_EPSILON = 1e-9


class Newest:
    """The largest and the longest job that came to each group of pools, by day."""

    def __init__(self, days: int) -> None:
        """Nothing has come yet. `days` are remembered; 0: nothing is, and no job brought forward."""
        self.days = days
        self._came: dict[str, dict[int, tuple[float, float]]] = {}  # day: (share, s)

    def came(
        self,
        now: int,
        room: Room,
        pool: NDArray[np.int64],
        demand: NDArray[np.float64],
        stay: NDArray[np.float64],
    ) -> None:
        """New jobs: `pool` (J,) or -1, `demand` (J, R), `stay` (J,) s at most."""
        if not self.days:
            return
        group = np.where(pool >= 0, room.pool_group[pool], -1) if len(pool) else pool
        for index in np.unique(group[group >= 0]).tolist():
            mine = group == index
            share = shares(demand[mine], room.group_capacity[index])
            largest = min(1.0, float(share.max()))
            self.restore(_name(room, index), now // _DAY, largest, float(stay[mine].max()))

    def restore(self, name: str, day: int, largest: float, longest: float) -> None:
        """Take up what came to the group `name` on a day (days since 1970)."""
        days = self._came.setdefault(name, {})
        share, stay = days.get(day, (0.0, 0.0))
        days[day] = max(share, largest), max(stay, longest)
        for old in [one for one in days if one <= max(days) - self.days]:
            del days[old]

    def notes(self) -> Mapping[str, Mapping[int, tuple[float, float]]]:
        """All that is known, to be kept and given to `restore`."""
        return self._came

    def latest(
        self, problem: Problem, room: Room, waited: NDArray[np.float64]
    ) -> NDArray[np.int64]:
        """(J,) the problem's latest starts, brought forward where a newcomer might take the room.

        `waited` (P,) s is what jobs of each pool waited on the mean. A power cap needs who waits as long as
        they may: under one nothing is brought forward.
        """
        if np.isfinite(problem.site_kw).any() or not len(problem.promised):
            return problem.latest
        latest = problem.latest.copy()
        may = problem.movable & (waited[problem.pool] <= BACKLOG)
        group = room.pool_group[problem.pool]
        for index in np.unique(group[may]).tolist():
            days = self._came.get(_name(room, index))
            if not days:
                continue
            largest, longest = (max(one) for one in zip(*days.values(), strict=True))
            rows = np.flatnonzero(may & (group == index))
            share = shares(problem.demand[rows], room.group_capacity[index])
            wait = np.minimum(longest, self._regained(problem, room, index, share, largest))
            wait = np.maximum(wait, self._of_waiting(problem, room, index, share))
            sure = problem.promised[rows] - np.ceil(wait).astype(np.int64)
            bound = np.where(wait > 0, sure - problem.grid.slot_seconds, latest[rows])
            latest[rows] = np.minimum(latest[rows], bound)
        return latest

    @staticmethod
    def _regained(
        problem: Problem, room: Room, index: int, share: NDArray[np.float64], largest: float
    ) -> NDArray[np.float64]:
        """(n,) s until jobs of `share` (n,) have room beside the largest, as what runs ends; inf: never."""
        run = problem.running
        begun = run.begin <= problem.now if len(run.begin) else np.ones(len(run.end), np.bool_)
        part = run.share[:, room.pool_group == index].sum(axis=1)
        # Who is about to end counts as gone: a newcomer may come right after.
        soon = problem.now + problem.grid.slot_seconds
        here = np.flatnonzero(begun & (part > 0) & (run.end > soon))
        taken = shares(run.demand[here] * part[here, None], room.group_capacity[index])
        order = np.argsort(run.end[here], kind="stable")
        free = 1.0 - taken.sum() + np.concatenate([[0.0], np.cumsum(taken[order])])
        need = share + min(largest, max(0.0, float(free[0])))
        ends = np.concatenate([[problem.now], run.end[here][order], [np.inf]])
        found: NDArray[np.float64] = ends[np.searchsorted(free, need - _EPSILON)] - problem.now
        return found

    @staticmethod
    def _of_waiting(
        problem: Problem, room: Room, index: int, share: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """(n,) s that the longest may stay of those that wait now and do not fit beside `share` (n,)."""
        waits = (problem.current <= problem.now) & (problem.earliest <= problem.now)
        rows = np.flatnonzero(waits & (room.pool_group[problem.pool] == index))
        other = shares(problem.demand[rows], room.group_capacity[index])
        order = np.argsort(other, kind="stable")
        limit = problem.limit if len(problem.limit) else problem.duration
        longest = np.maximum.accumulate(np.append(limit[rows][order], 0.0)[::-1])[::-1]
        found: NDArray[np.float64] = longest[
            np.searchsorted(other[order], 1.0 - share + _EPSILON, side="right")
        ]
        return found


def cautious(
    problem: Problem,
    room: Room,
    sizes: Sizes,
    newest: Newest | None,
    *,
    since: NDArray[np.int64],
    settings: PlanningSettings,
) -> Problem:
    """The problem with both rules of caution on its latest starts, those before them kept in `may_wait`.

    Under carbon caps neither is: those need who waits as long as they may. `since` (J,) is when each job became
    eligible; `newest` None: that rule is off.
    """
    capped = caps_wanted(settings)
    latest = sizes.latest(problem, room, since, 0 if capped else settings.block_seconds)
    problem = replace(problem, latest=latest, may_wait=problem.latest)
    if capped or newest is None:
        return problem
    return replace(problem, latest=newest.latest(problem, room, sizes.waits(room)))


def _name(room: Room, group: int) -> str:
    return "+".join(
        name for name, of in zip(room.partitions, room.pool_group, strict=True) if of == group
    )
