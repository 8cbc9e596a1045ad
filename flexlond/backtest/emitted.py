"""The carbon caps of a day in a replay: what flexible jobs have emitted, and what the planner is given.

Law: as the daemon counts (agents/carbon_days.py): by the intensity as published at the moment, from a job's
start on, runs under way until their expected end; a day is one of UTC. What days before say of jobs yet to come
is kept back (planning/carbon_book.py). Kg CO2, kW, epoch seconds.
"""

from __future__ import annotations

from datetime import UTC
from typing import TYPE_CHECKING

import numpy as np

from flexlond.model.timegrid import TimeGrid
from flexlond.planning.capacity import blocks_of
from flexlond.planning.carbon_book import CarbonBook
from flexlond.planning.carbon_caps import emitted_kg
from flexlond.planning.carbon_days import Emitter, day_caps, day_of, span_of
from flexlond.planning.ranking import run_costs

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import date

    from numpy.typing import NDArray

    from flexlond.backtest.believed import Believed
    from flexlond.backtest.case import PowerCoefficients, Signals
    from flexlond.backtest.policy import State
    from flexlond.model.settings import PlanningSettings
    from flexlond.planning.problem import CarbonCap, Plan, Problem


class Emitted:
    """What flexible jobs emitted by day, and the caps that follow."""

    def __init__(
        self, signals: Signals, power: PowerCoefficients, settings: PlanningSettings
    ) -> None:
        """Nothing has run."""
        self._signals, self._power, self._settings = signals, power, settings
        self._ran: list[tuple[int, int, int]] = []  # (job, start, end) since the last look
        self._noted = 0  # the moment until which the book says what was emitted
        self._book = CarbonBook(UTC)
        self._flexible: NDArray[np.bool_] = np.zeros(0, np.bool_)

    def ended(self, job: int, began: int, now: int) -> None:
        """A job ended."""
        if len(self._flexible) and self._flexible[job]:
            self._ran.append((job, began, now))

    def caps(self, problem: Problem, state: State, believed: Believed) -> tuple[CarbonCap, ...]:
        """The caps of the days ahead, with what flexible jobs have emitted today."""
        trace, now = state.trace, problem.now
        self._flexible = state.flexibility.flexible
        running = {job: start for job, start in state.running.items() if self._flexible[job]}
        jobs = np.array(list(running), np.int64)
        start = np.array(list(running.values()), np.int64)
        end = start + np.ceil(believed.total(jobs, now - start, trace)).astype(np.int64)
        kw = trace.nodes * self._power.kw_per_node
        emitters = [
            Emitter(str(trace.account[job]), float(kw[job]), int(at), int(until))
            for job, at, until in zip(jobs.tolist(), start, end, strict=True)
        ]
        self._note(now, [*self._ran, *((job, at, now) for job, at in running.items())], state)
        self._ran = []
        accounts = trace.account[problem.job_id].tolist()

        def expected(day: date) -> Mapping[str, float]:
            return self._book.expected(day, now, day_of(now, UTC))

        return day_caps(
            problem,
            accounts,
            emitters,
            self._book.emitted,
            expected,
            consents=self._flexible[problem.job_id],
            settings=self._settings,
            tz=UTC,
        )

    def breaks_a_cap(
        self, problem: Problem, found: Plan, last: Plan | None, state: State, believed: Believed
    ) -> bool:
        """Whether with newcomers as in `found` a cap is above its total that the `last` plan kept."""
        kept = {one.name for one in last.carbon_caps if one.kept} if last else set()
        blocks = blocks_of(problem)
        return any(
            cap.name in kept and emitted_kg(problem, blocks, cap, found.start).sum() > cap.kg
            for cap in self.caps(problem, state, believed)
        )

    def _note(self, now: int, runs: Sequence[tuple[int, int, int]], state: State) -> None:
        """Write down what `runs` (job, start, end) have emitted since the last look."""
        trace, last = state.trace, self._noted or now
        self._noted, self._book.since = now, self._book.since or now
        days = {day_of(last, UTC), day_of(now, UTC)} if runs and last < now else set()
        for day in sorted(days):
            begin, end = max(last, span_of(day, UTC)[0]), min(now, span_of(day, UTC)[1])
            past = TimeGrid.covering(
                begin, state.slot_seconds, -(-(now - last) // state.slot_seconds) + 1
            )
            carbon = np.nan_to_num(self._signals.known_at(now, past)[1])
            which, at, until = np.array(runs, np.int64).T
            since = np.clip(at, begin, end)
            kw = trace.nodes[which] * self._power.kw_per_node
            seconds = (np.clip(until, begin, end) - since).astype(np.float64)
            for job, kg in zip(
                which.tolist(), run_costs(past, carbon, kw, since, seconds), strict=True
            ):
                if kg > 0:
                    self._book.add(day, str(trace.account[job]), int(trace.submit[job]), float(kg))
        self._book.forget(day_of(now, UTC))
