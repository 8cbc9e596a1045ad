"""The port to what keeps a promise: the queue's windows, or a battery.

Law: `make` is idempotent by key: asked for again it says what it said, whatever happened in between; `release`
too. A refusal is final for that key. What cannot be decided now raises NotYet and is asked again. kW; epoch
seconds; a figure that is not known is NaN.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from flexlond.agents.market.offering import Offering
    from flexlond.model.market_settings import SellSettings


class NotYet(Exception):  # noqa: N818 - it is no error
    """It cannot be said now; the text says why."""


@dataclass(frozen=True, slots=True)
class Promise:
    """What was sold, to be kept: whole watts by slot, without a gap. `key` names it for good."""

    key: str
    slot_seconds: int
    watts: Mapping[int, int]
    replaces: str = ""  # the key of the promise whose place it takes

    @property
    def start(self) -> int:
        """Its first second."""
        return min(self.watts)

    @property
    def end(self) -> int:
        """The second after its last."""
        return max(self.watts) + self.slot_seconds


@dataclass(frozen=True, slots=True)
class Kept:
    """It is in force. `name` is for people: the window's number, say."""

    name: str


@dataclass(frozen=True, slots=True)
class Unkept:
    """It is refused for good, and why."""

    why: str


@dataclass(frozen=True, slots=True)
class Slot:
    """How it goes in one slot. Usage is what a meter read of the whole of it, once that is over (I6).

    Not `final`: more of it may yet be proved.
    """

    start: int
    baseline_kw: float
    planned_kw: float = math.nan
    usage_kw: float = math.nan
    source: str = ""  # of the usage: metered
    final: bool = True


class Works(Protocol):
    """What keeps promises."""

    sell: SellSettings  # in force

    @property
    def meter_seconds(self) -> float:
        """How long after a slot its usage may still come to be known."""
        ...

    async def refresh(self, now: float) -> None:
        """Find out what can be sold now."""
        ...

    def offering(self, now: float) -> Offering | None:
        """What can be sold; None where nothing is known, or it is not known any more."""
        ...

    def why_none(self) -> str:
        """Why there is no offering; "" when there is one."""
        ...

    def keeps_since(self, key: str) -> float:
        """From when on plans count with this promise; inf: they do not yet."""
        ...

    async def make(self, promise: Promise, now: float) -> Kept | Unkept:
        """Put it into force. Raises NotYet."""
        ...

    async def restore(self, promise: Promise, now: float) -> None:
        """After a start: a promise that was in force is so again, where that was not on disk. Raises NotYet."""
        ...

    async def release(self, key: str, now: float) -> None:
        """Nothing is kept for it any more. Raises NotYet."""
        ...

    def progress(self, promise: Promise, now: float) -> Sequence[Slot]:
        """How it goes, slot by slot; nothing where it is not in force."""
        ...

    def why_short(self, key: str, now: float) -> str:
        """Why it falls short, or will; "" when it does not. Without names."""
        ...
