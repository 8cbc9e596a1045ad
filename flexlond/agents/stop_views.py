"""What people see of stops: the sentence, and the lines of a window.

Law: reads memory and the records only, decides nothing. Epoch seconds, kW, GBP.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from flexlond.agents.stoppable import was_done
from flexlond.agents.stopper import window_of
from flexlond.agents.window_ports import StopView
from flexlond.model.job import JobState

if TYPE_CHECKING:
    from collections.abc import Iterable

    from flexlond.agents.state import LoopState
    from flexlond.model.settings import Settings
    from flexlond.model.window import Window
    from flexlond.planning.stopped import Stop
    from flexlond.planning.stopping import Stopping

RUN_ON = "running jobs are not stopped"


def tail(settings: Settings, stopping: Stopping | None) -> str:
    """Why no more of what runs is stopped."""
    if not settings.windows.stop_running:
        return f"{RUN_ON} ([windows] stop_running is off)"
    return (stopping.why if stopping else "") or "no more of it may be stopped"


def words(agent: LoopState, now: int) -> list[str]:
    """What the cycle's sentence says of stops."""
    found = []
    planned = [stop for stop in _to_come(agent) if stop.at > now]
    if planned:
        cost = sum(stop.cost_gbp for stop in planned)
        count = f"{len(planned)} running job{'s' * (len(planned) > 1)}"
        found.append(f"{count} to be stopped for it ({cost:.4g} GBP)")
    jobs = agent.snapshot.jobs if agent.snapshot else ()
    suspended = {job.job_id for job in jobs if job.state is JobState.SUSPENDED}
    ours = {one.job_id for one in agent.stops if one.until > now and was_done(one)} & suspended
    if ours:
        found.append(f"{len(ours)} suspended")
    return found


def of_window(agent: LoopState, window: Window, now: int) -> tuple[StopView, ...]:
    """Those that were stopped for `window`, then those that are to be."""
    done = [
        StopView(
            one.job_id,
            one.verb.value,
            one.at,
            one.until,
            one.kw,
            one.cost_gbp,
            one.outcome.value if one.outcome else "open",
            one.detail or one.reason,
        )
        for one in agent.stops
        if one.window_id == window.window_id and one.sent
    ]
    to_come = [stop for stop in _to_come(agent) if window_of(agent, stop, now) is window]
    return (*done, *planned(to_come))


def planned(stops: Iterable[Stop]) -> tuple[StopView, ...]:
    """Those that are planned only."""
    return tuple(
        StopView(
            stop.candidate.job_id,
            stop.candidate.verb.value,
            stop.at,
            stop.until,
            stop.kw,
            stop.cost_gbp,
            "planned",
            "",
        )
        for stop in sorted(stops, key=lambda one: (one.at, one.candidate.job_id))
    )


def _to_come(agent: LoopState) -> list[Stop]:
    stops = agent.stopping.stops if agent.stopping else ()
    known = {job_id for job_id, one in agent.stoppable.items() if one.asked is None}
    return [stop for stop in stops if not stop.candidate.asked and stop.candidate.job_id in known]
