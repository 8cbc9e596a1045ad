"""The runner: beats the loop, keeps systemd, heartbeat, signals, meter and learning going; survives faults.

Law: one task beats the loop, a tick every tick_seconds and a cycle every cycle_seconds, never two at once.
A fault in one beat is logged with its traceback, said in the status, takes the heartbeat away and slows the
next try down; it never ends the daemon. systemd's watchdog hears from the beating task only, so a loop that
hangs is noticed. SIGTERM lets the beat in hand finish; holds stay in Slurm: that is the design.
Times: `now` is epoch seconds from the injected clock, intervals are the event loop's monotonic seconds.
"""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Protocol

import structlog

from flexlond.host import notify as sd

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from flexlond.agents.ports import AgentView
    from flexlond.daemon.heartbeat import Heartbeat
    from flexlond.daemon.shell import Shell

TICK_STRETCH = 5.0  # a tick comes at the earliest after this many times what the last one took
MAX_BACK_OFF = 60.0  # seconds
SIGNALS_EVERY = 30.0  # seconds between looks at the feeds; each feed has its own `refresh` besides
STALE_AFTER = 120.0  # seconds, or three cycles if that is longer: the loop is not healthy any more
LONGEST_HEARTBEAT = 30.0  # seconds: new jobs are free of a dead daemon after this at the latest

_log = structlog.get_logger()


class Refreshable(Protocol):
    """The signal hub or the site's meter, as far as the runner drives it."""

    async def refresh(self, now: int) -> None:
        """Fetch what is due; never raises for what fails out there."""
        ...


class Learning(Protocol):
    """The learner of runtimes, as far as the runner drives it."""

    async def learn(self, now: int) -> int:
        """Learn what ended since the last time; the number of runs learnt."""
        ...


class Runner:
    """Beats one agent until told to stop."""

    def __init__(
        self,
        agent: AgentView,
        hub: Refreshable,
        shell: Shell,
        heartbeat: Heartbeat,
        *,
        clock: Callable[[], float] = time.time,
        on_health: Callable[[bool], Awaitable[None]] | None = None,
        stale_after: float = STALE_AFTER,
        learner: Learning | None = None,
        meter: Refreshable | None = None,
    ) -> None:
        """`on_health` hears of every change of health; `learner` and `meter` go beside the beats."""
        self._agent = agent
        self._hub = hub
        self._shell = shell
        self._heartbeat = heartbeat
        self._clock = clock
        self._on_health = on_health
        self._stale_after = stale_after
        self._learner = learner
        self._meter = meter
        self._beaten = 0.0  # when the last beat ended well
        self._stop = asyncio.Event()
        self._poked = asyncio.Event()
        self._refreshed = asyncio.Event()
        self._failures = 0
        self._last_tick = 0.0  # how long it took, seconds
        self._last_cycle = 0.0
        self._cycle_due = 0.0

    def stop(self) -> None:
        """Ask for an orderly end; new jobs are no longer delayed from this moment."""
        self._stop.set()
        self._heartbeat.remove()
        self._shell.heartbeat_until = 0

    def poke(self) -> None:
        """Make the next beat a cycle, at once."""
        self._cycle_due = 0.0
        self._poked.set()

    async def run(self) -> None:
        """Beat until `stop`; the beat in hand is finished."""
        self._heartbeat.remove()  # whatever an earlier life left
        beside = [
            asyncio.create_task(self._refresh_signals()),
            asyncio.create_task(self._read_meter()),
            asyncio.create_task(self._watch_health()),
            asyncio.create_task(self._learn()),
        ]
        try:
            # The first plan should have its signals, but a feed that hangs may not hold it up for long.
            await self._until_stop(self._refreshed.wait(), self._shell.settings.signals.timeout)
            while not self._stop.is_set():
                await self._beat()
                await self._pause(self._wait_seconds())
        finally:
            for task in beside:
                task.cancel()
            await asyncio.gather(*beside, return_exceptions=True)
            self._heartbeat.remove()
            self._shell.heartbeat_until = 0

    def tick_interval(self) -> float:
        """Seconds between two ticks, stretched when reading a huge queue takes long."""
        return max(self._shell.settings.daemon.tick_seconds, TICK_STRETCH * self._last_tick)

    async def _beat(self) -> None:
        began = asyncio.get_running_loop().time()
        cycle = began >= self._cycle_due
        now = int(self._clock())
        try:
            if cycle:
                sentence = await self._agent.cycle(now)
                sd.notify(f"STATUS={' '.join(sentence.split())}")
            else:
                await self._agent.tick(now)
        except Exception as error:  # noqa: BLE001 -- whatever it is, the loop goes on
            self._failed("cycle" if cycle else "tick", error, now)
            await self._health(healthy=False)
            sd.notify_watchdog()
            return
        took = asyncio.get_running_loop().time() - began
        if cycle:
            self._last_cycle = took
            # A cycle does all that a tick does: one slow read (Slurm was away) slows nothing for ever.
            self._last_tick = min(self._last_tick, took)
            self._cycle_due = began + self._shell.settings.daemon.cycle_seconds
        else:
            self._last_tick = took
        self._beaten = began + took
        if cycle or self._failures == 0:
            self._shell.failure = ""
            self._failures = 0
            await self._health(healthy=True)
        self._beat_heart()
        sd.notify_watchdog()

    def _failed(self, what: str, error: Exception, now: int) -> None:
        """Say it, take the heartbeat away, try again later with a full cycle."""
        self._failures += 1
        self._drop_heart()
        self._cycle_due = 0.0
        _log.error(f"{what} failed", failures=self._failures, exc_info=True)
        text = " ".join(f"{type(error).__name__}: {error}".split())
        self._shell.failure = (
            f"the {what} failed ({text}); nothing new is held, holds in Slurm end by themselves; "
            f"next try in {self._back_off():.0f} s; the traceback is in the log"
        )
        self._shell.failed_at = now
        sd.notify(f"STATUS={self._shell.failure}")

    def _back_off(self) -> float:
        tick = self._shell.settings.daemon.tick_seconds
        return float(min(MAX_BACK_OFF, tick * 2 ** min(self._failures, 16)))

    def _wait_seconds(self) -> float:
        """Until the next beat: the tick's interval, or earlier when a cycle is due; longer after a fault."""
        if self._failures:
            return self._back_off()
        until_cycle = self._cycle_due - asyncio.get_running_loop().time()
        return max(0.0, min(self.tick_interval(), until_cycle))

    async def _pause(self, seconds: float) -> None:
        """Wait, waking for `stop` and `poke`, feeding the watchdog: waiting is what the loop does now."""
        watchdog = sd.watchdog_interval()
        end = asyncio.get_running_loop().time() + seconds
        while not self._stop.is_set() and not self._poked.is_set():
            left = end - asyncio.get_running_loop().time()
            if left <= 0:
                break
            await self._until_stop(
                self._poked.wait(), left if watchdog is None else min(left, watchdog)
            )
            sd.notify_watchdog()
        self._poked.clear()

    async def _until_stop(self, work: Awaitable[object], at_most: float | None = None) -> None:
        """Wait for `work`, for `stop` or for `at_most` seconds, whichever is first."""
        tasks = [asyncio.ensure_future(work), asyncio.ensure_future(self._stop.wait())]
        try:
            await asyncio.wait(tasks, timeout=at_most, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    # ---- the heartbeat

    def _beat_heart(self) -> None:
        """Write the heartbeat when a new job would be placed within its decision window."""
        window = self._shell.settings.directive.decision_window
        interval = self.tick_interval()
        slow = interval + self._last_tick > window
        self._warn(
            "slow-ticks",
            f"reading the queue takes {self._last_tick:.1f} s: new jobs cannot be placed within the decision "
            f"window of {window} s and are not delayed at submission; the full cycle still moves them"
            if slow
            else "",
        )
        if slow or self._stop.is_set() or not self._agent.may_delay():
            self._drop_heart()
            return
        lasting = min(LONGEST_HEARTBEAT, interval + self._last_tick + self._last_cycle)
        try:
            self._shell.heartbeat_until = self._heartbeat.beat(self._clock(), lasting)
            self._warn("heartbeat", "")
        except OSError as error:
            self._shell.heartbeat_until = 0
            self._warn(
                "heartbeat",
                f"the heartbeat file cannot be written ({error}): new jobs are not delayed at submission; "
                "check daemon.heartbeat_file and its directory",
            )

    def _drop_heart(self) -> None:
        self._shell.heartbeat_until = 0
        try:
            self._heartbeat.remove()
        except OSError as error:
            _log.warning("heartbeat not removed; it runs out by itself", error=str(error))

    def _warn(self, topic: str, text: str) -> None:
        if self._shell.warn(topic, text) and text:
            _log.warning("warning", topic=topic, text=text)

    async def _health(self, *, healthy: bool) -> None:
        if healthy != self._shell.healthy:
            self._shell.healthy = healthy
            if self._on_health is not None:
                await self._on_health(healthy)

    async def _watch_health(self) -> None:
        """A loop that hangs cannot say so itself."""
        while True:
            await asyncio.sleep(self._stale_after / 4)
            limit = max(self._stale_after, 3 * self._shell.settings.daemon.cycle_seconds)
            if asyncio.get_running_loop().time() - self._beaten > limit:
                await self._health(healthy=False)

    # ---- the signals, the meter

    async def _refresh_signals(self) -> None:
        while True:
            await self._refresh(self._hub, "signals")
            self._refreshed.set()
            await asyncio.sleep(SIGNALS_EVERY)

    async def _read_meter(self) -> None:
        while self._meter is not None:
            await self._refresh(self._meter, "meter")
            await asyncio.sleep(self._shell.settings.meter.refresh)

    async def _refresh(self, what: Refreshable, topic: str) -> None:
        try:
            await what.refresh(int(self._clock()))
            self._warn(topic, "")
        except Exception as error:  # noqa: BLE001 -- a fault out there must not end the loop
            _log.error(f"{topic} not refreshed", exc_info=True)
            self._warn(topic, f"{topic}: not refreshed ({type(error).__name__}: {error})")

    # ---- what is learnt

    async def _learn(self) -> None:
        """Learn beside the beats; what goes wrong costs new learning and nothing else."""
        while self._learner is not None:
            chosen = self._shell.settings.prediction
            try:
                if chosen.enabled:
                    await self._learner.learn(int(self._clock()))
                self._warn("prediction", "")
            except Exception as error:  # noqa: BLE001 -- a fault in learning must not end the loop
                _log.error("nothing learned", exc_info=True)
                self._warn(
                    "prediction",
                    f"nothing could be learned ({type(error).__name__}: {error}); forecasts stay as they are",
                )
            await asyncio.sleep(chosen.refresh_seconds)
