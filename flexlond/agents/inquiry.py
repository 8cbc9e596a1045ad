"""What the planner is asked at a moment: the queue, with the signals, forecasts and caps that are in force.

Law: it reads the loop's state, on the event loop, and changes nothing of it. What it remembers from one
question to the next (mean job, sizes, newcomers) is its own. Nothing is planned here. Epoch seconds, kW.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol

import numpy as np

from flexlond.agents import slower, stopper
from flexlond.agents.build import build
from flexlond.agents.newcomers import Expected, Newcomers
from flexlond.agents.outlook import Outlook
from flexlond.model.directive import Directive
from flexlond.model.job import ACTIVE_STATES, JobState
from flexlond.model.series import Kind, Series
from flexlond.model.timegrid import TimeGrid
from flexlond.model.window import caps_on, softer_on
from flexlond.planning.carbon_days import Emitter, caps_wanted
from flexlond.planning.delay import MeanJob
from flexlond.planning.in_the_way import Sizes

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from numpy.typing import NDArray

    from flexlond.agents.build import Question
    from flexlond.agents.carbon_days import CarbonDays
    from flexlond.agents.newest import KeptNewest
    from flexlond.agents.state import LoopState
    from flexlond.model.directive import PowerSpec
    from flexlond.model.job import Cluster, Job, Snapshot
    from flexlond.model.window import Window
    from flexlond.planning.problem import Running

# A suspended job emits nothing to speak of.
_DRAWING = frozenset({JobState.CONFIGURING, JobState.RUNNING})


class Hub(Protocol):
    """The signal hub (flexlond/signals/feeds.py)."""

    def series(self, kind: Kind, grid: TimeGrid, now: int) -> Series:
        """The series on `grid` with its quality."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class Asked:
    """What the planner is asked at a moment, and what that came from."""

    question: Question
    series: Mapping[Kind, Series]
    outlook: Outlook
    rebound: NDArray[np.float64]  # (S,) kW after windows and before; inf where there is no such cap
    caps: NDArray[np.float64]  # (S,) kW of the windows in force; inf where none binds
    expected: Expected  # of jobs without consent
    whole: Running  # what runs, before throttled arrays were counted as one stream


class Inquiry:
    """Asks; one for the daemon's life."""

    def __init__(
        self, hub: Hub, carbon: CarbonDays | None = None, newest: KeptNewest | None = None
    ) -> None:
        """`carbon` has what was emitted already; None: without carbon caps of a day.

        `newest` has who came before; None: no newcomer is expected to take a held job's room.
        """
        self._hub, self._carbon, self._newest = hub, carbon, newest
        self.mean = MeanJob()
        self._sizes = Sizes()
        self._newcomers = Newcomers()

    def ask(
        self,
        state: LoopState,
        snapshot: Snapshot,
        cluster: Cluster,
        now: int,
        recent: NDArray[np.float64],
        *,
        windows: Sequence[Window],
        watch: bool = False,
    ) -> Asked:
        """The question about the queue of `snapshot` under `windows`.

        `recent` (M, 2) are the starts of the last five minutes. `watch`: what runs is remembered for the plans
        to come.
        """
        settings = state.settings
        grid = TimeGrid.covering(now, settings.grid.slot_seconds, settings.grid.horizon_slots)
        series = self._series(state, grid, now)
        outlook = outlook_of(state)
        caps = caps_on(grid, windows, now)
        question = build(
            snapshot.jobs,
            state.flex,
            cluster,
            price=series.get(Kind.PRICE),
            carbon=series.get(Kind.CARBON),
            settings=settings,
            grid=grid,
            now=now,
            recent=recent,
            outlook=outlook,
            stated=_stated(state, snapshot),
            mean=self.mean,
            caps=caps,
            sizes=self._sizes,
            newest=self._newest,
        )
        if self._newest is not None:
            self._newest.keep(now)
        if self._carbon is not None and caps_wanted(settings.planning):
            running = emitters(state, snapshot, question.kw, outlook, now)
            account = {job.job_id: job.account for job in snapshot.jobs}
            accounts = [account[job_id] for job_id in question.problem.job_id.tolist()]
            day_caps = self._carbon.caps(
                question.problem,
                accounts,
                running,
                settings.planning,
                consents=~_unasked(state, question),
            )
            question = replace(question, problem=replace(question.problem, carbon_caps=day_caps))
        question = replace(question, problem=stopper.with_suspended(state, question, now))
        whole = question.problem.running
        if np.isfinite(caps).any():
            question = replace(question, problem=slower.as_one_stream(state, question, now))
        expected = self._expected(state, snapshot, question, now, watch=watch)
        return Asked(
            question, series, outlook, softer_on(grid, windows, now), caps, expected, whole
        )

    def _expected(
        self, state: LoopState, snapshot: Snapshot, question: Question, now: int, *, watch: bool
    ) -> Expected:
        """Whom nobody asks, and what they draw of late."""
        problem, seconds = question.problem, state.settings.grid.slot_seconds
        runs = np.zeros(len(problem.running.end), np.bool_)
        active = [job for job in snapshot.jobs if job.state in ACTIVE_STATES and job.start]
        asked = {job.job_id for job, _ in _consenting(state, snapshot)}
        runs[: len(active)] = [job.job_id not in asked for job in active]
        waits = _unasked(state, question)
        if watch:
            self._newcomers.see(now, float(problem.running.kw[runs].sum()), seconds)
        return Expected(runs, waits, self._newcomers.usual_kw(seconds))

    def _series(self, state: LoopState, grid: TimeGrid, now: int) -> Mapping[Kind, Series]:
        """The configured signals."""
        signals = state.settings.signals
        configured = {Kind.PRICE: signals.price, Kind.CARBON: signals.carbon}
        return {
            kind: self._hub.series(kind, grid, now) for kind, feeds in configured.items() if feeds
        }


def outlook_of(state: LoopState) -> Outlook:
    """The forecasts in force; the one there was as long as it rests on the same models."""
    learner = state.learner
    if learner is None or not state.settings.prediction.enabled:
        return Outlook()
    if state.outlook.runtime is learner.runtime and state.outlook.power is learner.power:
        return state.outlook
    return Outlook(learner.runtime, learner.power)


def emitters(
    state: LoopState, snapshot: Snapshot, kw: Mapping[int, float], outlook: Outlook, now: int
) -> list[Emitter]:
    """The running jobs with consent; `kw` is what the plan counts of each, by job id."""
    return [
        Emitter(
            job.account, kw.get(job.job_id, 0.0), job.start, outlook.end_of(job, now), job.submit
        )
        for job, _ in _consenting(state, snapshot)
        if job.start and job.state in _DRAWING
    ]


def _unasked(state: LoopState, question: Question) -> NDArray[np.bool_]:
    """(J,) who of the question's jobs has not consented to anything."""
    found = np.ones(question.problem.jobs, np.bool_)
    for job_id, row in question.rows.items():
        known = state.flex.get(job_id)
        found[row] = known is None or known.directive is None
    return found


def _consenting(state: LoopState, snapshot: Snapshot) -> Iterator[tuple[Job, Directive]]:
    """Running jobs with what they agreed to."""
    for job in snapshot.jobs:
        if job.state not in ACTIVE_STATES:
            continue
        record = state.actuator.records.get(job.job_id)
        reading = state.consents.read(job, record.first_submit if record else job.submit)
        if isinstance(reading, Directive):
            yield job, reading


def _stated(state: LoopState, snapshot: Snapshot) -> Mapping[int, PowerSpec]:
    """The power that the directives of running jobs state."""
    return {
        job.job_id: reading.power
        for job, reading in _consenting(state, snapshot)
        if reading.power is not None
    }
