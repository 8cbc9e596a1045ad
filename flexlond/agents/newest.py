"""The largest and the longest newcomers of the last months, kept in the store.

Law: what the planner remembers of them (planning/overrun.py) survives a restart; it is written when a day's
largest or longest changes, which is seldom. What cannot be read is learnt again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from flexlond.planning.overrun import Newest

if TYPE_CHECKING:
    from flexlond.agents.records import Store

NEWCOMERS: Final = "newcomers"


class KeptNewest(Newest):
    """As Newest, persisted in the store."""

    def __init__(self, store: Store, days: int) -> None:
        """Take up what came before."""
        super().__init__(days)
        self._store = store
        if days:
            for name, by_day in _decoded(store.get_blob(NEWCOMERS)).items():
                for day, (largest, longest) in sorted(by_day.items()):
                    self.restore(name, day, largest, longest)
        self._kept = msgspec.msgpack.encode(self.notes())

    def keep(self, now: int) -> None:
        """Write what has changed since the last time."""
        notes = msgspec.msgpack.encode(self.notes())
        if notes != self._kept:
            self._store.put_blob(NEWCOMERS, notes, now)
            self._kept = notes


def _decoded(blob: bytes) -> dict[str, dict[int, tuple[float, float]]]:
    if not blob:
        return {}
    try:
        return msgspec.msgpack.decode(blob, type=dict[str, dict[int, tuple[float, float]]])
    except (msgspec.DecodeError, msgspec.ValidationError):
        return {}
