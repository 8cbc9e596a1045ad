"""When each stop is ordered and each suspended job resumed: as late as the window allows, under the ramp cap.

Law: pure. A stop that is ordered later loses less and may yet be needless. The ramp cap beats the window: where
both cannot be kept the power falls later; it never beats a job's latest resume. Epoch seconds, kW, kW per five
minutes; 0: no ramp cap.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from flexlond.planning.stopped import REQUEUE_PAUSE, Stop

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from flexlond.model.timegrid import TimeGrid
    from flexlond.planning.stopped import Candidate

_WINDOW = 300  # s, of the ramp cap
_NEAR = 1e-3  # kW
_SLACK = 15  # s more than Slurm's own pause, for the helper's work in between


@dataclass(frozen=True, slots=True)
class Terms:
    """What the site's stops are reckoned with."""

    saves: float = 0.8  # share of its power that a suspended job does not draw
    restart_seconds: float = 120.0  # of work done again or waited for at each restart
    kill_wait: int = 30  # s that Slurm leaves a job between TERM and KILL
    beat: int = 15  # s from the moment of an order to its effect


def lead(candidate: Candidate, terms: Terms) -> int:
    """Seconds from the order until its power is gone, at the most."""
    if candidate.requeues:
        return candidate.grace + terms.kill_wait + terms.beat
    return terms.beat


def relief(grid: TimeGrid, kw: float, off: int, until: int) -> NDArray[np.float64]:
    """(S,) mean kW less in each slot when `kw` are off from `off` to `until`."""
    starts = grid.starts().astype(np.float64)
    seconds = np.minimum(starts + grid.slot_seconds, until) - np.maximum(starts, off)
    less: NDArray[np.float64] = kw * np.clip(seconds / grid.slot_seconds, 0.0, 1.0)
    return less


def needed_from(
    need: NDArray[np.float64],
    rows: NDArray[np.float64],
    reach: Callable[[int, int], NDArray[np.float64]],
) -> list[int]:
    """For each row of `rows` (n, S) the last slot from which on it is off, with which `need` is still met.

    `reach(row, slot)` is what the row gives when it is off from the start of `slot` only.
    """
    slots = np.flatnonzero(need > _NEAR)
    target = np.minimum(need, rows.sum(axis=0))
    given, found = rows.sum(axis=0), [int(slots[0]) if len(slots) else 0] * len(rows)
    for row in np.argsort(-rows.sum(axis=1), kind="stable").tolist():
        rest = given - rows[row]
        for slot in slots[::-1].tolist():
            later = reach(row, slot)
            if (rest + later >= target - _NEAR).all():
                found[row], given = slot, rest + later
                break
    return found


def times(
    grid: TimeGrid,
    chosen: Sequence[tuple[Candidate, int, float, float]],
    *,
    terms: Terms,
    ramp_kw: float,
    now: int,
    last: int,
) -> list[Stop]:
    """The stops of (candidate, slot, kW taken away, GBP); each runs again from `last` on, or at its latest."""
    downs: list[tuple[int, float]] = []
    stops: list[Stop] = []
    for candidate, slot, kw, cost in sorted(chosen, key=lambda one: (-one[1], one[0].job_id)):
        ahead = lead(candidate, terms)
        floor = max(now, candidate.ready) + ahead
        off = _free(downs, kw, grid.slot_start(slot), floor, ramp_kw)
        downs.append((off, kw))
        stops.append(Stop(candidate, off - ahead, off, 0, kw, cost, slot))
    ups: list[tuple[int, float]] = []
    found = []
    for stop in sorted(stops, key=lambda one: one.candidate.job_id):
        due = min(_free(ups, stop.kw, last, last, ramp_kw), stop.candidate.latest)
        ups.append((due, stop.kw))
        if stop.requeued:
            due = max(due, stop.off, stop.at + stop.candidate.grace + REQUEUE_PAUSE + _SLACK)
        found.append(replace(stop, until=due))
    return found


def _free(
    taken: Sequence[tuple[int, float]], kw: float, wanted: int, floor: int, ramp_kw: float
) -> int:
    """The last moment up to `wanted`, else the first from `floor` on, with room for `kw` under the ramp cap."""
    wanted = max(wanted, floor)
    if not ramp_kw:
        return wanted

    def fits(at: int) -> bool:
        near = sum(other for when, other in taken if abs(when - at) < _WINDOW)
        return near + kw <= ramp_kw + _NEAR or near == 0.0

    earlier = [wanted, *(when - _WINDOW for when, _ in taken)]
    before = [at for at in earlier if floor <= at <= wanted and fits(at)]
    if before:
        return max(before)
    after = [at for at in (floor, *(when + _WINDOW for when, _ in taken)) if at >= floor]
    return min(at for at in after if fits(at))
