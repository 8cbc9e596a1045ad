"""Which jobs of a trace may wait, and how long: drawn by a seed.

Law: pure. Jobs are taken in random order until `share` of the node-hours is flexible (the last one only if
that comes nearer to the share); the slack is uniform between two bounds and counts from the submission. The
same seed gives the same jobs and slacks; a larger share only adds jobs. Node-hours as they will be used: a
job that runs over its limit ends there. A job that says a latency is not drawn: it may wait as long as that
from its submission and no longer, and the share is of the others. Source: our own; recorded traces do not say
which jobs could wait.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from flexlond.backtest.case import Flexibility

if TYPE_CHECKING:
    from flexlond.backtest.case import Trace

TWO_HOURS = 2 * 3600.0
ONE_DAY = 24 * 3600.0


def flexibility(
    trace: Trace,
    *,
    share: float = 0.6,
    slack: tuple[float, float] = (TWO_HOURS, ONE_DAY),
    seed: int = 0,
) -> Flexibility:
    """Flexible jobs and their latest starts; `slack` in seconds. Raises ValueError for a bad option."""
    if not 0 <= share <= 1:
        raise ValueError(f"share of flexible node-hours is {share}; give a number from 0 to 1")
    low, high = slack
    if not 0 <= low <= high < np.inf:
        raise ValueError(f"slack is {low} to {high} s; give two times from 0, the smaller first")
    generator = np.random.default_rng(seed)
    order = generator.permutation(trace.jobs)
    latency = np.full(trace.jobs, np.nan) if trace.said is None else trace.said.latency
    own = np.isfinite(latency)
    order = order[~own[order]]
    drawn = np.floor(generator.uniform(low, high, trace.jobs))
    node_seconds = np.minimum(trace.runtime, trace.limit) * trace.nodes
    reached = np.concatenate([[0.0], np.cumsum(node_seconds[order])])
    chosen = np.zeros(trace.jobs, np.bool_)
    chosen[order[: np.argmin(np.abs(reached - share * reached[-1]))]] = True
    chosen_slack = np.where(own, np.floor(latency), np.where(chosen, drawn, 0.0))
    chosen |= own
    return Flexibility(chosen, trace.submit + chosen_slack.astype(np.int64), chosen_slack)
