"""The composition: which parts a daemon is made of, and in which order they end.

Law: the only place that chooses implementations; every part gets what it needs by its constructor. Nothing
here decides anything about jobs. What cannot be had now but may come (slurmctld, the helper) is waited for;
what can never come by waiting (an unusable store) ends the start with its reason.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import sqlite3
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import structlog

import flexlond
from flexlond.agents.asset_site import AssetSite
from flexlond.agents.assets import AssetDesk
from flexlond.agents.compute_flex import ComputeFlex
from flexlond.agents.idle import Idle
from flexlond.agents.learning import Learner
from flexlond.agents.market.battery import BatteryWorks
from flexlond.assets.drivers.choose import drivers_of
from flexlond.daemon.books import Books
from flexlond.daemon.books_fed import Fed
from flexlond.daemon.market import Market
from flexlond.daemon.market_agents import makers
from flexlond.daemon.store import SqliteStore, StoreError
from flexlond.daemon.witness import LedgerWitness, open_ledger, take_up
from flexlond.host import notify as sd
from flexlond.host.zone import local_zone
from flexlond.model.settings import SignalSettings
from flexlond.settlement.ledger.problem import LedgerError
from flexlond.signals.feeds import SignalHub
from flexlond.signals.meter import SiteMeter
from flexlond.signals.rows import SignalError
from flexlond.slurm.cluster import read_cluster
from flexlond.slurm.command import SlurmCommandError
from flexlond.slurm.helper_client import HelperClient
from flexlond.slurm.node_power import NodePowerError, read_node_watts
from flexlond.slurm.reader import QueueReader, choose_reader

if TYPE_CHECKING:
    from collections.abc import Sequence
    from zoneinfo import ZoneInfo

    import numpy as np
    from numpy.typing import NDArray

    from flexlond.agents.ports import AgentView
    from flexlond.model.series import Kind, Series
    from flexlond.model.settings import Settings, SiteSettings
    from flexlond.model.timegrid import TimeGrid

STORE_NAME = "flexlond.db"
SIGNALS_DIR = "signals"
LONGEST_WAIT = 15.0  # seconds between two looks for Slurm at the start

_log = structlog.get_logger()


class LiveHub:
    """The signal hub that a reload can exchange while the loop holds on to it."""

    def __init__(
        self, settings: SignalSettings, cache_dir: Path, sites: Sequence[SiteSettings] = ()
    ) -> None:
        self.sites = {
            site.cluster: SignalHub(
                SignalSettings(price=site.price, carbon=site.carbon, timeout=settings.timeout),
                cache_dir=cache_dir,
            )
            for site in sites
        }
        self._settings = settings
        self._cache_dir = cache_dir
        self._hub = SignalHub(settings, cache_dir=cache_dir)

    async def refresh(self, now: int) -> None:
        """Fetch what is due."""
        await asyncio.gather(*(hub.refresh(now) for hub in (self._hub, *self.sites.values())))

    def series(self, kind: Kind, grid: TimeGrid, now: int) -> Series:
        """The series on `grid` with its quality."""
        return self._hub.series(kind, grid, now)

    def settled(self, kind: Kind, grid: TimeGrid) -> tuple[NDArray[np.float64], str] | None:
        """The past of the feed that settles."""
        return self._hub.settled(kind, grid)

    async def exchange(self, settings: SignalSettings) -> bool:
        """Take over changed feeds, fetched before they serve if they answer in time; True for a change."""
        if settings == self._settings:
            return False
        hub = SignalHub(settings, cache_dir=self._cache_dir)
        with contextlib.suppress(TimeoutError):  # the runner goes on fetching
            async with asyncio.timeout(settings.timeout):
                await hub.refresh(int(time.time()))
        old, self._hub, self._settings = self._hub, hub, settings
        await old.close()
        return True

    async def close(self) -> None:
        """Close the connections."""
        for hub in (self._hub, *self.sites.values()):
            await hub.close()


@dataclass(frozen=True)
class Parts:
    """What a daemon is made of; without Slurm there is no helper and no learner."""

    agent: AgentView
    hub: LiveHub
    store: SqliteStore
    meter: SiteMeter
    tz: ZoneInfo
    market: Market
    desk: AssetDesk | None = None
    helper: HelperClient | None = None
    learner: Learner | None = None
    witness: LedgerWitness | None = None  # None: no ledger is kept

    async def close(self) -> None:
        """End everything; holds stay in Slurm, assets are left to themselves."""
        if self.desk is not None:
            await self.desk.close(int(time.time()))
        if isinstance(self.agent, AssetSite):
            await self.agent.works.close(int(time.time()))
        await self.hub.close()
        await self.meter.close()
        if self.helper is not None:
            await self.helper.close()
        if self.learner is not None:
            try:
                self.learner.save(int(time.time()))
            except sqlite3.Error as error:
                _log.warning(
                    "what was learned is not stored; it is learned again", error=str(error)
                )
        if self.witness is not None:
            await self.witness.close()
        self.store.close()


async def compose(settings: Settings) -> Parts:
    """Build the parts for `settings`, waiting for Slurm as long as it takes where there is to be one.

    StoreError when the store or the ledger cannot be used.
    """
    state_dir = Path(settings.daemon.state_dir)
    store = SqliteStore(state_dir / STORE_NAME)
    witness: LedgerWitness | None = None
    try:
        hub = LiveHub(settings.signals, state_dir / SIGNALS_DIR, settings.sites)
        if not settings.agents.compute_flex:
            return _without_slurm(settings, store, hub)
        witness = _witness(settings, store)
        return await _with_slurm(settings, store, hub, witness)
    except BaseException:
        if witness is not None:
            await witness.close()
        store.close()
        raise


async def _with_slurm(
    settings: Settings, store: SqliteStore, hub: LiveHub, witness: LedgerWitness | None
) -> Parts:
    reader, reason = await _reader(settings)
    tz = local_zone()
    helper = HelperClient(settings.daemon.helper_socket, munge_socket=settings.slurm.munge_socket)
    learner = Learner(settings, store)
    desk = AssetDesk(settings.assets, drivers_of(settings.assets)) if settings.assets else None
    meter = SiteMeter(settings.meter, node_watts=functools.partial(_node_watts, settings))
    agent = ComputeFlex(
        settings=settings,
        store=store,
        reader=reader,
        reader_reason=reason,
        helper=helper,
        hub=hub,
        read_cluster=functools.partial(read_cluster, settings.slurm),
        tz=tz,
        clock=_clock,
        version=flexlond.__version__,
        learner=learner,
        assets=desk,
        meter=meter,
        witness=witness,
        sites=hub.sites,
    )
    market = Market(settings, books=_books(settings, agent, witness, Fed(hub, tz)))
    market.makers = makers(agent, hub, market.poke, witness)
    return Parts(agent, hub, store, meter, tz, market, desk, helper, learner, witness)


def _node_watts(settings: Settings) -> float:
    """What Slurm's nodes draw, in the words of a meter. Raises SignalError."""
    try:
        return read_node_watts(settings.slurm)
    except (NodePowerError, SlurmCommandError) as error:
        raise SignalError(str(error)) from None


def _without_slurm(settings: Settings, store: SqliteStore, hub: LiveHub) -> Parts:
    agent: Idle
    if settings.agents.asset_site:
        works = BatteryWorks(
            settings.assets,
            drivers_of(settings.assets),
            settings.market.sell,
            settings.grid.slot_seconds,
        )
        agent = AssetSite(settings, hub, works, clock=_clock, version=flexlond.__version__)
    else:
        agent = Idle(settings, hub, clock=_clock, version=flexlond.__version__)
    market = Market(settings, books=_books(settings, agent, None, Fed(hub, None)))
    market.makers = makers(agent, hub, market.poke)
    return Parts(agent, hub, store, SiteMeter(settings.meter), local_zone(), market)


def _books(
    settings: Settings, agent: AgentView, witness: LedgerWitness | None, fed: Fed
) -> Books | None:
    """Where there is something to settle, or to be put on record; None elsewhere."""
    wanted = settings.market.identity or settings.settlement.points or witness is not None
    return Books(settings, agent, witness, fed=fed) if wanted else None


def _clock() -> int:
    return int(time.time())


def _witness(settings: Settings, store: SqliteStore) -> LedgerWitness | None:
    """The ledger, caught up with the store; None where none is kept."""
    now = int(time.time())
    try:
        ledger = open_ledger(settings)
        if ledger is None:
            return None
        try:
            in_force = {"version": flexlond.__version__, "mode": settings.daemon.mode}
            late = take_up(ledger, store.intents_since, in_force, now)
        except BaseException:
            ledger.close()
            raise
    except LedgerError as error:
        raise StoreError(str(error)) from error
    if late:
        _log.warning("recorded late in the ledger, after a crash", entries=late)
    return LedgerWitness(ledger, settings, _clock)


async def _reader(settings: Settings) -> tuple[QueueReader, str]:
    """Choose the queue reader; while Slurm does not answer, say so and try again."""
    wait = 1.0
    while True:
        try:
            return await asyncio.to_thread(choose_reader, settings.slurm)
        except SlurmCommandError as error:
            _log.warning("waiting for Slurm", error=str(error))
            sd.notify(
                f"STATUS=waiting for Slurm: {' '.join(str(error).split())}",
                "EXTEND_TIMEOUT_USEC=60000000",
            )
        await asyncio.sleep(wait)
        wait = min(LONGEST_WAIT, wait * 2)
