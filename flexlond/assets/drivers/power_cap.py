"""What a driver of power caps is asked: the most that a node may draw, and how fast its GPUs then work.

Law: W per node, only nodes in the partitions that the site lists; no driver is ever told of another one. A
cap has an end: it lapses by itself when it is not renewed within its lease, so a daemon that dies leaves full
speed. How speed follows power is measured by the site and configured, never assumed. Nothing in FlexLon sets
caps yet: a capped job runs longer, and until a plan counts that against its time limit no cap may be set on
it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


@dataclass(frozen=True, slots=True)
class SpeedCurve:
    """Relative speed by the cap of a node, straight between measured points."""

    watts: tuple[float, ...]  # ascending
    speed: tuple[float, ...]  # 0 < speed <= 1, never falling, 1 at the last

    @property
    def lowest(self) -> float:
        """The lowest cap that was measured, W: no cap is ever set below it."""
        return self.watts[0]

    @property
    def full(self) -> float:
        """The cap from which on a node works at full speed, W."""
        return self.watts[-1]

    def at(self, watts: float) -> float:
        """Relative speed under a cap of `watts`."""
        return float(np.interp(watts, self.watts, self.speed))

    def stretch(self, watts: float) -> float:
        """How many times as long a job takes under that cap."""
        return 1.0 / self.at(watts)


@dataclass(frozen=True, slots=True)
class NodePower:
    """One node as its driver saw it."""

    at: int  # epoch s
    watts: float  # that it draws
    cap: float  # in force, W; inf: none
    speed: float  # relative


class PowerCapDriver(Protocol):
    """The nodes of one [[power_caps]] section."""

    async def read(self, now: int) -> Mapping[str, NodePower]:
        """Every node of the section by its name, at `now` (epoch s). Raises DriverError."""
        ...

    async def cap(self, nodes: Sequence[str], watts: float, now: int) -> None:
        """Cap each of `nodes` at `watts` until the lease is over. Raises DriverError: also for other nodes."""
        ...

    async def release(self, nodes: Sequence[str], now: int) -> None:
        """Take the caps off. Raises DriverError."""
        ...

    async def close(self) -> None:
        """Give up connections; never raises."""
        ...
