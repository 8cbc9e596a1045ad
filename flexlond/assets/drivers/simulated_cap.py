"""Power caps without hardware: nodes that draw no more than their cap and slow down as the measured curve says.

Law: follows the curve of the configuration and invents nothing; a cap below the curve's lowest point, and a
node that is not of the section, is refused. A cap lapses when its lease is over. W, epoch seconds.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from flexlond.assets.drivers.port import DriverError
from flexlond.assets.drivers.power_cap import NodePower, SpeedCurve

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from flexlond.model.settings import PowerCapSettings


class SimulatedPowerCaps:
    """PowerCapDriver over `nodes` at full load."""

    def __init__(self, chosen: PowerCapSettings, nodes: Sequence[str]) -> None:
        """`nodes` are those of the section's partitions; each draws the curve's full power without a cap."""
        self.curve = SpeedCurve(
            tuple(watts for watts, _ in chosen.curve), tuple(speed for _, speed in chosen.curve)
        )
        self._name, self._lease = chosen.name, chosen.lease_seconds
        self._nodes = tuple(nodes)
        self._caps: dict[str, tuple[float, float]] = {}  # node: W, end of its lease

    async def read(self, now: int) -> Mapping[str, NodePower]:
        """What each node draws and how fast it works."""
        return {node: self._seen(node, now) for node in self._nodes}

    async def cap(self, nodes: Sequence[str], watts: float, now: int) -> None:
        """Cap them for one lease."""
        self._known(nodes)
        if not watts >= self.curve.lowest:
            raise DriverError(
                f"{self._name}: {watts:g} W is below {self.curve.lowest:g} W, the lowest point of its curve: "
                "measure the speed there and add it to power_caps.curve"
            )
        self._caps |= dict.fromkeys(nodes, (watts, now + self._lease))

    async def release(self, nodes: Sequence[str], now: int) -> None:
        """Full speed again."""
        del now
        self._known(nodes)
        for node in nodes:
            self._caps.pop(node, None)

    async def close(self) -> None:
        """Nothing is open."""

    def _known(self, nodes: Sequence[str]) -> None:
        others = sorted(set(nodes) - set(self._nodes))
        if others:
            raise DriverError(
                f"{self._name}: {others[0]} is not in its partitions: only nodes that the site lists are capped"
            )

    def _seen(self, node: str, now: int) -> NodePower:
        watts, end = self._caps.get(node, (math.inf, math.inf))
        if now >= end:
            watts = math.inf
        return NodePower(now, min(watts, self.curve.full), watts, self.curve.at(watts))
