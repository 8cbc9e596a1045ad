"""How much the helper does per minute at most: a token bucket.

Law: pure. A bucket holds one minute's worth and refills evenly; `now` is monotonic seconds. Not stored: a
restart of the helper gives a full bucket.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(slots=True)
class Bucket:
    """`per_minute` actions; starts full."""

    per_minute: int
    level: float = -1.0
    at: float = 0.0

    def left(self, now: float) -> int:
        """How many actions are allowed right now."""
        if self.level < 0:
            self.level, self.at = float(self.per_minute), now
        gained = max(0.0, now - self.at) * self.per_minute / 60.0
        self.level, self.at = min(float(self.per_minute), self.level + gained), now
        return int(self.level)

    def take(self, now: float) -> bool:
        """Use one action up; False when there is none left."""
        if self.left(now) < 1:
            return False
        self.level -= 1.0
        return True
