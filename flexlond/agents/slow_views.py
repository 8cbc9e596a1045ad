"""What people see of slowed arrays in a window.

Law: reads memory only, decides nothing. In force is what the helper says and the queue shows; planned is what
the plan of this moment would slow besides. Of a window that is over nothing is shown. kW, epoch seconds.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from flexlond.agents import slower
from flexlond.agents.window_ports import SlowView

if TYPE_CHECKING:
    from collections.abc import Iterable

    from flexlond.agents.state import LoopState
    from flexlond.model.window import Window
    from flexlond.planning.slowing import Slow


def of_window(agent: LoopState, window: Window, now: int) -> tuple[SlowView, ...]:
    """The arrays that are slowed for `window`, then those that are to be."""
    if not window.binds(now) or agent.snapshot is None:
        return ()
    kw = slower.step_kw(agent)
    done = {
        job.job_id: SlowView(
            job.job_id, one.width, one.own, one.until, kw.get(job.job_id, 0.0), "slowed"
        )
        for job in agent.snapshot.jobs
        if (one := slower.in_force(agent, job)) is not None and window.start < one.until
    }
    asking = slower.asking(agent.windows, now)
    if asking is None or window.start > asking[1]:
        return tuple(done.values())
    slows = agent.slowing.slows if agent.slowing else ()
    to_come = [slow for slow in slows if slow.candidate.job_id not in done]
    return (*done.values(), *planned(to_come, asking[1]))


def planned(slows: Iterable[Slow], until: int) -> tuple[SlowView, ...]:
    """Those that are planned only, each until its window's end."""
    return tuple(
        SlowView(slow.candidate.job_id, slow.width, slow.candidate.own, until, slow.kw, "planned")
        for slow in slows
    )
