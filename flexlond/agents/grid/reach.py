"""Who answers: sellers that were asked how an order goes, and said nothing since.

Law: pure but for its memory, which a restart empties: everybody counts as reachable until asked and silent.
Only a seller's own words end its silence, and any of them does. One that is silent is asked less and less
often, a question of a minute at most at a time, so that a dead host takes no lane from the living. Seconds;
epoch seconds. Source: our own.
"""

from __future__ import annotations

from dataclasses import dataclass, field

LEAST = 60.0  # seconds between two questions to one that is silent; the request's own life
MOST = 600.0


@dataclass(slots=True)
class Reach:
    """`patience`: seconds that a seller has to say a word after it was asked."""

    patience: float
    _open: dict[str, float] = field(default_factory=dict)  # the first question since its last word
    _asked: dict[str, tuple[float, int]] = field(default_factory=dict)  # by order, with how often

    def heard(self, seller: str) -> None:
        """It said something."""
        self._open.pop(seller, None)

    def asked(self, seller: str, order: str, now: float) -> None:
        """It was asked about an order."""
        again = self._asked.get(order, (0.0, 0))[1] + 1 if seller in self._open else 0
        self._asked[order] = (now, again)
        self._open.setdefault(seller, now)

    def forget(self, order: str) -> None:
        """It is not asked about any more."""
        self._asked.pop(order, None)

    def silent(self, seller: str, now: float) -> bool:
        """Whether it let its patience pass."""
        return now - self._open.get(seller, now) >= self.patience

    def due(self, seller: str, order: str, now: float) -> bool:
        """Whether it is to be asked of an order: twice within its patience, rarely while it owes a word."""
        at, again = self._asked.get(order, (-MOST, 0))
        if seller not in self._open:
            return now - at >= self.patience / 2.0
        return now - at >= min(max(LEAST, self.patience) * 2.0**again, MOST)
