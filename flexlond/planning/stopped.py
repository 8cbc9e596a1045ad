"""The planning question with some running jobs stopped: what they free and still draw, when they are back.

Law: pure; changes no row that there is, so that indices stay. A requeued job leaves its nodes when it has ended
and is one pending job more, with its whole run before it and its latest start; it stands last in Slurm's order.
A suspended one keeps part of its power until it is resumed, and all it had left to do comes after that. Whether
its room is kept is the question's: Slurm gives it to whoever is next (`closed` False, to count who would come),
and we promise it to nobody (`closed` True, the plan to carry out). Epoch seconds, kW.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from flexlond.model.action import Verb
from flexlond.planning.problem import Problem, Running

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

REQUEUE_PAUSE = 121
"""Seconds that Slurm itself keeps a requeued job waiting (measured: cred_expire + 1)."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A running job whose owner agreed to be stopped like that; what the plan must know of it."""

    job_id: int
    row: int  # in problem.running
    verb: Verb  # REQUEUE_UNTIL or SUSPEND
    began: int  # since when it has worked (suspensions left out)
    ready: int  # not before: now, or its min-run is over
    grace: int  # s between its checkpoint signal and the requeue
    saved: bool  # it writes a checkpoint at that signal: no more than the grace is lost
    latest: int  # by when it must run again: its latest safe start; suspended: its latest resume
    duration: float  # s of a whole run, as expected
    occupancy: float  # s for which its room is kept
    limit: float  # s of its time limit
    delay_weight: float  # kWh that the price of delay is paid for
    wait: int = 0  # s of queue wait to expect when it starts again
    asked: int = 0  # when it was ordered already; 0: not yet
    until: int = 0  # what was ordered then

    @property
    def requeues(self) -> bool:
        """It is pending afterwards."""
        return self.verb is Verb.REQUEUE_UNTIL


@dataclass(frozen=True, slots=True)
class Stop:
    """One job to be stopped."""

    candidate: Candidate
    at: int  # when it is ordered
    off: int  # when its power is gone
    until: int  # when it runs again: not before, for a requeued one
    kw: float  # that this takes away
    cost_gbp: float
    slot: int  # for which it is stopped

    @property
    def requeued(self) -> bool:
        """It is pending afterwards."""
        return self.candidate.requeues


def with_stops(problem: Problem, stops: Sequence[Stop], *, saves: float, closed: bool) -> Problem:
    """The same question after `stops`; `saves` is the share of its power that a suspended job does not draw."""
    requeued = [stop for stop in stops if stop.requeued]
    changed = replace(problem, running=_running(problem, stops, saves=saves, closed=closed))
    dues = [(stop.until, stop.kw) for stop in stops if not stop.requeued]
    if dues:
        changed = replace(changed, recent=np.concatenate([problem.recent, np.array(dues)]))
    return _pending(changed, requeued) if requeued else changed


def suspended(
    running: Running, row: int, due: int, now: int, *, saves: float, closed: bool = True
) -> Running:
    """A job that is suspended now, until `due`: its rest comes after that."""
    return _paused(running, row, (now, due), saves=saves, closed=closed, now=now)


def _running(problem: Problem, stops: Sequence[Stop], *, saves: float, closed: bool) -> Running:
    running = problem.running
    end = running.end.copy()
    for stop in stops:
        if stop.requeued:
            end[stop.candidate.row] = min(int(end[stop.candidate.row]), stop.off)
    running = replace(running, end=end)
    for stop in stops:
        if not stop.requeued:
            pause = (stop.off, stop.until)
            row = stop.candidate.row
            running = _paused(running, row, pause, saves=saves, closed=closed, now=problem.now)
    return running


def _paused(
    running: Running, row: int, pause: tuple[int, int], *, saves: float, closed: bool, now: int
) -> Running:
    """Row `row` until the pause; two rows more, for the pause and for the rest."""
    off, due = pause
    if running.end[row] <= off or due <= off:
        return running
    begin = running.begin if len(running.begin) else np.full(len(running.end), now)
    end, demand = running.end.copy(), running.demand[row] * float(closed)
    rest = due + int(end[row]) - off
    end[row] = off
    twice = [row, row]
    return Running(
        share=np.concatenate([running.share, running.share[twice]]),
        demand=np.concatenate([running.demand, np.stack([demand, demand])]),
        end=np.concatenate([end, np.array([due, rest], np.int64)]),
        kw=np.concatenate([running.kw, running.kw[row] * np.array([1.0 - saves, 1.0])]),
        begin=np.concatenate([begin, np.array([off, due], np.int64)]).astype(np.int64),
    )


def _pending(problem: Problem, stops: Sequence[Stop]) -> Problem:
    """One pending job more for each requeued one."""
    ids = [stop.candidate for stop in stops]
    rows = np.array([one.row for one in ids], np.int64)
    count = len(stops)
    last = int(problem.order.max(initial=-1)) + 1

    def ints(*values: int) -> NDArray[np.int64]:
        return np.array(values, np.int64)

    added: dict[str, Any] = {
        "job_id": ints(*(one.job_id for one in ids)),
        "earliest": ints(*(stop.until for stop in stops)),
        "latest": ints(*(one.latest for one in ids)),
        "duration": np.array([one.duration for one in ids]),
        "tasks": np.ones(count, np.int64),
        "throttle": np.zeros(count, np.int64),
        "kw": problem.running.kw[rows],
        "demand": problem.running.demand[rows],
        "pool": problem.running.share[rows].argmax(axis=1).astype(np.int64),
        "movable": np.ones(count, np.bool_),
        "order": last + np.arange(count, dtype=np.int64),
        "max_price": np.full(count, np.nan),
        "max_carbon": np.full(count, np.nan),
        "delay_weight": np.array([one.delay_weight for one in ids]),
        "current": np.zeros(count, np.int64),
    }
    for name, values in (
        ("occupancy", [one.occupancy for one in ids]),
        ("limit", [one.limit for one in ids]),
    ):
        if len(getattr(problem, name)) or not problem.jobs:
            added[name] = np.array(values)
    if len(problem.promised) or not problem.jobs:
        added["promised"] = added["latest"]
    if len(problem.may_wait):
        added["may_wait"] = added["latest"]
    if len(problem.extra_group):
        added["extra_group"] = np.zeros(count, np.int64)
    longer: dict[str, Any] = {
        name: np.concatenate([getattr(problem, name), one]) for name, one in added.items()
    }
    # What it emits is counted already, as what runs.
    nobody = np.zeros(count, np.bool_)
    caps = tuple(
        replace(cap, jobs=np.concatenate([cap.jobs, nobody])) for cap in problem.carbon_caps
    )
    return replace(problem, **longer, carbon_caps=caps)
