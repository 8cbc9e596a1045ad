"""What we commanded to start when, for the ramp cap (rule 8, invariant I5).

Law: counts the starts that we command: begin times that we set, releases, resumes and throttles put back (they
start about now). A start has room where no five minutes that contain it have more than the cap, those before it
and those to come, by begin times in force, alike; one above the cap starts alone. kW at the site's meter, epoch
seconds. Kept in memory: after a restart the begin times in force are seen in the queue again, only what started
in the last five minutes is not.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from flexlond.model.action import Action, Outcome, Result, Verb

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

WINDOW = 300
_NEAR = 1e-6  # kW
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

    def room(self, cap_kw: float, now: int, held: Mapping[int, tuple[int, float]]) -> RampRoom:
        """What may still start now under `cap_kw` (0: no cap).

        `held` are the begin times in force, (epoch, kW) by job; what was commanded since they were seen counts.
        """
        return RampRoom(cap_kw, now, {**held, **self._starts})


class RampRoom:
    """Room under the cap for starts at one moment."""

    def __init__(self, cap_kw: float, now: int, starts: Mapping[int, tuple[int, float]]) -> None:
        """`starts` are (epoch, kW) by job: what started of late, begin times in force; a cap of 0 is none."""
        self._cap, self._now = cap_kw, now
        self.turned_away: set[int] = set()  # who was not let, by job id
        self._starts: dict[int, tuple[int, float]] = {}
        # The kW that start in the five minutes from now - 299, now - 298, ..., now on.
        self._sums = np.zeros(WINDOW)
        for job_id, (at, kw) in starts.items():
            self.command(job_id, at, kw)

    def lets(self, job_id: int, kw: float) -> bool:
        """Whether the job may start now; if so it is counted, in place of its begin time in force."""
        before = self._starts.pop(job_id, None)
        if before is not None:
            self._count(before[0], -before[1])
        load = float(self._sums.max())
        full = load > _NEAR and load + kw > self._cap + _NEAR
        if self._cap and kw and full:
            if before is not None:
                self.command(job_id, *before)
            self.turned_away.add(job_id)
            return False
        self.command(job_id, self._now, kw)
        return True

    def command(self, job_id: int, at: int, kw: float) -> None:
        """The job starts `at`, whether there is room or not."""
        before = self._starts.get(job_id)
        if before is not None:
            self._count(before[0], -before[1])
        self._starts[job_id] = at, kw
        self._count(at, kw)

    def _count(self, at: int, kw: float) -> None:
        """Count `kw` that start at `at` in every window that has it."""
        low, high = max(0, at - self._now), min(WINDOW, at - self._now + WINDOW)
        if low < high:
            self._sums[low:high] += kw
