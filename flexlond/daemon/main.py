"""flexlond as a process: configuration, lock, signals of the system, orderly start and end.

Law: one process at a time for each state directory and admin socket; a configuration that is refused at the
start ends it (exit code 78), at a reload the last good one stays in force and the status says why. SIGTERM
ends it in order: the heartbeat goes first, the beat in hand is finished, holds stay in Slurm. SIGHUP
reloads. READY=1 is said once the admin socket serves; the cycle's sentence follows in STATUS=.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import structlog

from flexlond.daemon import logs
from flexlond.daemon.admin import AdminService
from flexlond.daemon.admin_server import AdminServer, AdminSocketError
from flexlond.daemon.config import load
from flexlond.daemon.config_problem import ConfigError
from flexlond.daemon.heartbeat import Heartbeat
from flexlond.daemon.lock import InstanceLock, LockError
from flexlond.daemon.runner import Learning, Refreshable, Runner
from flexlond.daemon.shell import Shell
from flexlond.daemon.store import StoreError
from flexlond.host import notify as sd

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from zoneinfo import ZoneInfo

    from flexlond.agents.ports import AgentView
    from flexlond.daemon.market import Market
    from flexlond.daemon.witness import LedgerWitness
    from flexlond.model.settings import MeterSettings, Settings, SignalSettings

EXIT_OK = 0
EXIT_FAILED = 1  # the store or the admin socket cannot be used
EXIT_BUSY = 75  # another flexlond is active (EX_TEMPFAIL)
EXIT_CONFIG = 78  # the configuration is refused (EX_CONFIG)
STOP_PATIENCE = 12.0  # seconds for the beat in hand; systemd's TimeoutStopSec must be longer

_log = structlog.get_logger()


class ExchangeableHub(Refreshable, Protocol):
    """The signal hub as the daemon drives it."""

    async def exchange(self, settings: SignalSettings) -> bool:
        """Take over changed feeds; True when there was a change."""
        ...


class ExchangeableMeter(Refreshable, Protocol):
    """The site's meter as the daemon drives it."""

    async def exchange(self, settings: MeterSettings) -> bool:
        """Take over a changed meter; True when there was a change."""
        ...


class DaemonParts(Protocol):
    """What the composition gives (flexlond/daemon/compose.py)."""

    @property
    def agent(self) -> AgentView:
        """The loop."""
        ...

    @property
    def hub(self) -> ExchangeableHub:
        """The signals."""
        ...

    @property
    def learner(self) -> Learning | None:
        """What learns runtimes and power; None: nothing does."""
        ...

    @property
    def meter(self) -> ExchangeableMeter:
        """The meter of the site's power; it may be none."""
        ...

    @property
    def tz(self) -> ZoneInfo:
        """The zone in which Slurm reads times."""
        ...

    @property
    def market(self) -> Market:
        """The agents of the market."""
        ...

    @property
    def witness(self) -> LedgerWitness | None:
        """What keeps the ledger; None where none is kept."""
        ...

    async def close(self) -> None:
        """End everything."""
        ...


class Daemon:
    """One flexlond between its start and its end."""

    def __init__(self, parts: DaemonParts, settings: Settings, config_path: Path) -> None:
        self._parts = parts
        self._shell = Shell(settings=settings, config_path=config_path)
        self._reloading = asyncio.Lock()
        self._runner = Runner(
            parts.agent,
            parts.hub,
            self._shell,
            Heartbeat(Path(settings.daemon.heartbeat_file)),
            on_health=self._on_health,
            learner=parts.learner,
            meter=parts.meter,
        )
        service = AdminService(
            parts.agent,
            self._shell,
            tz=parts.tz,
            reload=self.reload,
            poke=self._runner.poke,
            market=parts.market,
            witness=parts.witness,
        )
        self._server = AdminServer(
            service, Path(settings.daemon.admin_socket), munge_socket=settings.slurm.munge_socket
        )

    def stop(self) -> None:
        """Ask for an orderly end."""
        sd.notify_stopping("stopping: holds stay in Slurm")
        self._runner.stop()

    async def reload(self) -> str:
        """Read the configuration again; returns what is in force now. Never raises for a bad file."""
        async with self._reloading:
            sd.notify_reloading()
            try:
                return await self._reload()
            finally:
                sd.notify_ready()

    async def _reload(self) -> str:
        shell = self._shell
        try:
            settings = await asyncio.to_thread(load, shell.config_path)
        except ConfigError as error:
            shell.config_error = str(error)
            _log.error("configuration refused, the last good one stays", error=str(error))
            return f"refused, the last good configuration stays in force: {error}"
        detail = await self._parts.agent.reload(settings)
        if await self._parts.hub.exchange(settings.signals):
            detail += "; signals taken over"
        if await self._parts.meter.exchange(settings.meter):
            detail += "; meter taken over"
        if said := await self._parts.market.reload(settings):
            detail += f"; {said}"
        logs.configure(settings.daemon.log_level)
        shell.settings, shell.config_error = settings, ""
        _log.info("configuration reloaded", detail=detail)
        self._runner.poke()
        return detail

    async def run(self, stopped: asyncio.Event) -> None:
        """Serve and beat until `stopped`. AdminSocketError when the socket cannot be had."""
        await self._server.start()
        try:
            self._parts.market.start(self._shell.warn, self._runner.poke)
            sd.notify_ready("serving; the first cycle is to come")
            _log.info(
                "flexlond serves",
                config=str(self._shell.config_path),
                mode=self._shell.settings.daemon.mode,
            )
            beating = asyncio.create_task(self._runner.run())
            waiting = asyncio.create_task(stopped.wait())
            await asyncio.wait((beating, waiting), return_when=asyncio.FIRST_COMPLETED)
            waiting.cancel()
            self.stop()
            await asyncio.wait((beating,), timeout=STOP_PATIENCE)
            if not beating.done():
                _log.warning(
                    "the beat in hand did not end in time and is left", seconds=STOP_PATIENCE
                )
                beating.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await beating
        finally:
            await self._parts.market.close()
            await self._server.stop()

    async def _on_health(self, healthy: bool) -> None:  # noqa: FBT001 -- a callback's one argument
        await self._server.set_healthy(healthy=healthy)


def run(config_path: Path) -> int:
    """Be flexlond until SIGTERM; returns the exit code."""
    try:
        settings = load(config_path)
    except ConfigError as error:
        return _refuse(EXIT_CONFIG, str(error))
    logs.configure(settings.daemon.log_level)
    try:
        with InstanceLock(Path(settings.daemon.state_dir)):
            asyncio.run(_serve(settings, config_path))
    except LockError as error:
        return _refuse(EXIT_BUSY, str(error))
    except (StoreError, AdminSocketError) as error:
        return _refuse(EXIT_FAILED, str(error))
    _log.info("flexlond ended; holds stay in Slurm")
    return EXIT_OK


async def _serve(settings: Settings, config_path: Path) -> None:
    from flexlond.daemon.compose import compose  # noqa: PLC0415 -- a bad configuration is told sooner

    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopped.set)
    loop.add_signal_handler(signal.SIGHUP, lambda: None)  # until there is something to reload
    composing = asyncio.create_task(compose(settings))
    waiting = asyncio.create_task(stopped.wait())
    await asyncio.wait((composing, waiting), return_when=asyncio.FIRST_COMPLETED)
    waiting.cancel()
    if not composing.done():  # stopped while waiting for Slurm
        composing.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await composing
        return
    parts = composing.result()
    try:
        daemon = Daemon(parts, settings, config_path)
        tasks: set[asyncio.Task[str]] = set()
        loop.add_signal_handler(signal.SIGHUP, _in_background(daemon.reload, tasks))
        await daemon.run(stopped)
    finally:
        await parts.close()


def _in_background(
    work: Callable[[], Awaitable[str]], tasks: set[asyncio.Task[str]]
) -> Callable[[], None]:
    """A signal handler that starts `work` and keeps its task from being collected."""

    async def wrapped() -> str:
        return await work()

    def start() -> None:
        task = asyncio.get_running_loop().create_task(wrapped())
        tasks.add(task)
        task.add_done_callback(tasks.discard)

    return start


def _refuse(code: int, why: str) -> int:
    print(f"flexlond: {why}", file=sys.stderr)
    return code
