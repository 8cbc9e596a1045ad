"""The site's meter: read beside the loop, judged whenever it is asked for.

Law: `refresh` never raises for the meter's sake and never makes the loop wait; `reading` answers from memory
and judges the last reading by the moment of the question, so that a meter that died is stale by itself. What is
stale, absurd or missing is never handed out for use. A failing meter changes no hold: it changes what is
observed, and that is said. Power is kW at the site's supply; times are epoch seconds (UTC).
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Protocol

import httpx
import structlog

from flexlond.model.metering import Reading, absent, judge
from flexlond.signals.meter_csv import CsvMeter
from flexlond.signals.meter_prometheus import PrometheusMeter
from flexlond.signals.meter_slurm import SlurmMeter
from flexlond.signals.rows import SignalError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from flexlond.model.settings import MeterSettings
    from flexlond.signals.meter_slurm import NodeWatts

REQUESTS = 2  # of one reading: it may take this many timeouts in all
LATEST = 2**40  # epoch seconds; anything above is no time
KEPT = 1000  # readings that nobody has taken yet
_KW = {"W": 0.001, "kW": 1.0, "MW": 1000.0}

_log = structlog.get_logger(__name__)


class MeterDriver(Protocol):
    """One way to read a meter. Energy by settlement period will be a second method of it."""

    def name(self) -> str:
        """Which meter, for people."""
        ...

    async def read(self, client: httpx.AsyncClient, now: int) -> tuple[int, float]:
        """(the meter's own time in epoch s, value in the meter's unit). Raises SignalError."""
        ...


class SiteMeter:
    """The configured meter, or none."""

    def __init__(
        self,
        settings: MeterSettings,
        *,
        transport: httpx.AsyncBaseTransport | None = None,
        node_watts: NodeWatts | None = None,
    ) -> None:
        """`node_watts` asks Slurm for its nodes' power; without it the source slurm is no meter."""
        self._transport = transport
        self._node_watts = node_watts
        self._client: httpx.AsyncClient | None = None
        self._set(settings)

    def _set(self, settings: MeterSettings) -> None:
        self._settings = settings
        self._driver = _driver(settings, self._node_watts)
        self._last: tuple[int, float] | None = None
        self._error = ""
        self._untaken: tuple[Reading, ...] = ()

    @property
    def configured(self) -> bool:
        """Whether there is a meter."""
        return self._driver is not None

    async def refresh(self, now: int) -> None:
        """Read the meter. Never raises for its sake (cancelling does)."""
        driver = self._driver
        if driver is None:
            return
        why, fault = "", None
        try:
            async with asyncio.timeout(self._settings.timeout * REQUESTS):
                at, value = await driver.read(self._shared_client(), now)
        except SignalError as error:
            why = str(error)
        except TimeoutError:
            why = f"{driver.name()}: no answer within {self._settings.timeout * REQUESTS:g} s"
        except Exception as error:  # noqa: BLE001 -- a meter's fault must never stop the loop
            why, fault = f"{driver.name()}: unexpected {type(error).__name__}", error
        if driver is not self._driver:  # exchanged meanwhile
            return
        if not why and not 0 <= at <= LATEST:
            why = f"{driver.name()}: the reading's time ({at:.6g}) is no time since 1970 in seconds"
        if why:
            if why != self._error:
                _log.warning("meter not read", why=why, exc_info=fault)
            self._error = why
            return
        self._error = ""
        before, self._last = self._last, (at, value * _KW[self._settings.unit])
        if (found := self.reading(now)).good and self._last != before:
            self._untaken = (*self._untaken, found)[-KEPT:]

    def reading(self, now: int) -> Reading:
        """The last reading as it is worth at `now`; from memory."""
        if self._driver is None:
            return absent("", "")
        name = self._driver.name()
        if self._last is None:
            return absent(name, self._error or "not read yet")
        at, kw = self._last
        limits = self._settings
        found = judge(at, kw, name, now=now, max_age=limits.max_age, max_kw=limits.max_kw)
        if found.good or not self._error:
            return found
        return Reading(at, kw, name, found.quality, f"{found.detail}: {self._error}")

    def take(self) -> Sequence[Reading]:
        """The good readings since the last call, oldest first, one for each time of the meter's."""
        taken, self._untaken = self._untaken, ()
        return taken

    async def exchange(self, settings: MeterSettings) -> bool:
        """Take over changed settings; what the meter before it read no longer counts. True for a change."""
        if settings == self._settings:
            return False
        await self.close()
        self._set(settings)
        return True

    async def close(self) -> None:
        """Close the connections; the meter may be used again afterwards."""
        if self._client is not None:
            await self._client.aclose()
            self._client = None

    def _shared_client(self) -> httpx.AsyncClient:
        if self._client is None:
            self._client = httpx.AsyncClient(
                transport=self._transport,
                timeout=self._settings.timeout,
                headers={"accept": "application/json", "user-agent": "flexlon"},
            )
        return self._client


def _driver(settings: MeterSettings, node_watts: NodeWatts | None) -> MeterDriver | None:
    if settings.source == "prometheus":
        return PrometheusMeter(settings)
    if settings.source == "slurm":
        return SlurmMeter(settings, node_watts) if node_watts is not None else None
    return CsvMeter(settings) if settings.source == "csv" else None
