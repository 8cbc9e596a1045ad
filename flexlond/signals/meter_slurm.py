"""The site's power by what Slurm's nodes report, times a factor for cooling.

Law: a reading only where all nodes report (flexlond/slurm/node_power.py); the nodes are what is measured, so
with a factor other than 1 it is an estimate of the site and `name` begins with SCALED, by which settlement
tells it from what a meter measured (I6). Its time is the moment of the question: Slurm does not say in all
versions when a node was asked. Raises SignalError.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Protocol

from flexlond.model.metering import SCALED
from flexlond.signals.rows import SignalError

if TYPE_CHECKING:
    import httpx

    from flexlond.model.settings import MeterSettings

_WATTS = {"W": 1.0, "kW": 1000.0, "MW": 1e6}


class NodeWatts(Protocol):
    """Asks Slurm for the sum of its nodes in watts; blocking. Raises SignalError."""

    def __call__(self) -> float:
        """Watts."""
        ...


class SlurmMeter:
    """The nodes' power as Slurm has it."""

    def __init__(self, settings: MeterSettings, ask: NodeWatts) -> None:
        self._ask = ask
        self._factor = settings.site_factor
        self._unit = _WATTS[settings.unit]

    def name(self) -> str:
        """For people."""
        if self._factor == 1.0:
            return "Slurm's node energy"
        return f"{SCALED} Slurm's node energy x {self._factor:g}"

    async def read(self, client: httpx.AsyncClient, now: int) -> tuple[int, float]:
        """(`now`, value in the meter's unit). Raises SignalError."""
        del client  # a command needs none
        try:
            watts = await asyncio.to_thread(self._ask)
        except SignalError as error:
            raise SignalError(f"{self.name()}: {error}") from None
        return now, watts * self._factor / self._unit
