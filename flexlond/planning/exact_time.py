"""The exact solver's time for one envelope, shared by its re-plans: a hard one has what easy ones leave.

Law: no more than the whole is handed out, whatever the questions. Each curve has its equal part of what is left
when it begins, and each re-plan of it may take half of what the curve has left then: so nobody is left without
any, and most questions, which need little, pay for the few that need much. It knows no clock: it is told what
was spent. Seconds.
"""

from __future__ import annotations

_PART = 0.5  # of what its curve has left, for one re-plan
_LEAST = 0.02  # for less the solver is not begun


class ExactTime:
    """What is left, of all and of the curve that is made now."""

    def __init__(self, seconds: float, curves: int) -> None:
        """`seconds` for `curves` curves."""
        self._left, self._curves = seconds, curves
        self._own = 0.0

    def begin(self) -> None:
        """The next curve is made: it has its part of what is left."""
        self._own = self._left / max(1, self._curves)
        self._curves -= 1

    def allowed(self) -> float:
        """What the next re-plan may take; 0: it is not asked exactly."""
        part = self._own * _PART
        return part if part >= _LEAST else 0.0

    def spent(self, seconds: float) -> None:
        """A re-plan took so long."""
        self._left = max(0.0, self._left - seconds)
        self._own = max(0.0, self._own - seconds)
