"""What we commanded to start when, for the ramp cap (rule 8, invariant I5).

Law: counts the starts that we command: begin times that we set, releases, resumes and throttles put back (they
start about now). kW at the site's meter, epoch seconds. The window is five minutes. Kept in memory: after a
restart the begin times in force are seen in the queue again, only what started in the last five minutes is not.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from flexlond.model.action import Action, Outcome, Result, Verb

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

WINDOW = 300
_LATER = frozenset({Verb.HOLD_UNTIL, Verb.REQUEUE_UNTIL, Verb.SUSPEND})


class RampLog:
    """Commanded starts by job: (epoch, kW)."""

    def __init__(self) -> None:
        """Empty."""
        self._starts: dict[int, tuple[int, float]] = {}

    def learn(
        self,
        actions: Sequence[Action],
        results: Sequence[Result],
        kw: Mapping[int, float],
        now: int,
    ) -> None:
        """Take up what took effect, forget what is past the window."""
        done = {r.action_id for r in results if r.outcome is Outcome.APPLIED}
        for action in actions:
            if action.action_id in done and action.verb is not Verb.SLOW:
                at = max(now, action.not_before) if action.verb in _LATER else now
                self._starts[action.job_id] = (at, kw.get(action.job_id, 0.0))
        past = [job for job, (at, _) in self._starts.items() if at <= now - WINDOW]
        for job in past:
            del self._starts[job]

    def recent(self, now: int) -> NDArray[np.float64]:
        """Shape (M, 2): (epoch, kW) of the starts commanded for the last five minutes."""
        rows = [(at, kw) for at, kw in self._starts.values() if now - WINDOW < at <= now]
        return np.array(rows, np.float64).reshape(-1, 2)

    def room(self, cap_kw: float, now: int) -> float:
        """KW that may still be released now under the cap (0: no cap)."""
        if not cap_kw:
            return float("inf")
        return max(0.0, cap_kw - float(self.recent(now)[:, 1].sum()))
