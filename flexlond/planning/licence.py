"""From caps on power to reservations of the `kw` licence, and the jobs that none of them may hold.

Law: pure. The licences left in a slot are its cap less what draws power without a licence, rounded down; all
others are set apart, so that jobs with the licence together stay under what is left, whoever starts them. The
licence counts a job's whole power rounded up, so the cap is kept with some room to spare. Nobody is held past
a latest start: a job that a reservation might hold so long is let off the licence and counts as drawing power
without one. Reservations never overlap. Times are epoch seconds, power is kW at the site's meter, inf: no cap.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from flexlond.model.licence import Stretch

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

    from numpy.typing import NDArray

    from flexlond.model.timegrid import TimeGrid

SLACK = 0.02  # of the total: depths so close are one reservation, and no reason to change one


@dataclass(frozen=True, slots=True)
class Bound:
    """A pending job with the licence that must start by `latest`, and may then run for `seconds`."""

    job_id: int
    latest: int
    seconds: int


@dataclass(frozen=True, slots=True, eq=False)
class Kept:
    """The reservations, the jobs that must be let off for them, and what they cannot keep, by slot (S,) kW."""

    stretches: tuple[Stretch, ...]
    let_off: tuple[Bound, ...]
    short: NDArray[np.float64]  # what draws power without a licence above the cap; 0 where none is


def keep(
    grid: TimeGrid,
    caps: NDArray[np.float64],
    free_kw: Callable[[Collection[int]], NDArray[np.float64]],
    bounds: Sequence[Bound],
    *,
    total: int,
    longest: int,
    margin: int,
) -> Kept:
    """One sequence of reservations under `caps` (S,), with nobody of `bounds` held too long.

    `free_kw(let_off)` (S,) is what draws power without a licence when these jobs are let off. `longest` (s)
    bounds each reservation, `margin` (s) is kept between its end and a latest start.
    """
    let_off: dict[int, Bound] = {}
    while True:
        free = free_kw(let_off.keys())
        found = stretches(grid, caps, free, total=total, longest=longest)
        more = {
            one.job_id: one for one in held_past(bounds, found, margin) if one.job_id not in let_off
        }
        if not more:
            break
        let_off |= more
    short = np.where(np.isfinite(caps), np.maximum(0.0, free - caps), 0.0)
    return Kept(found, tuple(let_off.values()), short)


def stretches(
    grid: TimeGrid,
    caps: NDArray[np.float64],
    free: NDArray[np.float64],
    *,
    total: int,
    longest: int,
) -> tuple[Stretch, ...]:
    """The licences of `total` that are not left under `caps` beside `free` (S,).

    In as few parts as SLACK allows: where depths differ by no more the deepest counts for all.
    """
    left = np.floor(np.clip(caps - free, 0.0, float(total)) + 1e-9)
    depth = np.where(np.isfinite(caps), total - left, 0.0).astype(np.int64)
    near = SLACK * total
    made: list[Stretch] = []
    shallowest = 0
    for slot in np.flatnonzero(depth).tolist():
        start, kw = grid.slot_start(slot), int(depth[slot])
        end = start + grid.slot_seconds
        last = made[-1] if made else None
        if (
            last is not None
            and last.end == start
            and end - last.start <= longest
            and max(last.kw, kw) - min(shallowest, kw) <= near
        ):
            made[-1] = Stretch(last.start, end, max(last.kw, kw))
            shallowest = min(shallowest, kw)
        else:
            made.append(Stretch(start, end, kw))
            shallowest = kw
    return tuple(made)


def held_past(
    bounds: Sequence[Bound], reserved: Sequence[Stretch], margin: int
) -> tuple[Bound, ...]:
    """Those that a reservation might hold past their latest start, whatever the others do.

    slurmctld starts no job that would run into a reservation unless enough licences are left beside all that
    run now: so a job can be held from before it until its end. A row of reservations holds as one.
    """
    holds: list[tuple[int, int]] = []
    for one in sorted(reserved):
        if holds and holds[-1][1] >= one.start:
            holds[-1] = (holds[-1][0], max(holds[-1][1], one.end))
        else:
            holds.append((one.start, one.end))
    return tuple(
        job
        for job in bounds
        if any(
            end + margin > job.latest and start < job.latest + job.seconds + margin
            for start, end in holds
        )
    )


def steady(
    wanted: Sequence[Stretch], in_force: Sequence[Stretch], *, total: int, now: int
) -> tuple[Stretch, ...]:
    """`wanted` named as what is in force already, where that is the same: it keeps its start and its depth.

    A reservation that has begun cannot begin anew. One that is deeper by SLACK at most stays as deep.
    """
    found: list[Stretch] = []
    running = next((one for one in in_force if one.start <= now < one.end), None)
    before = {one.start: one for one in in_force}
    for one in sorted(wanted):
        start = one.start
        if running is not None and one.start <= now < one.end:
            start = running.start
        old = before.get(start)
        near = old is not None and 0 <= old.kw - one.kw <= SLACK * total
        found.append(Stretch(start, one.end, old.kw if old is not None and near else one.kw))
    return tuple(found)
