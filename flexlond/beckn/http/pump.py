"""The loop of one node: handle what came, send what is due, end what has lapsed, sleep until something is.

Law: it holds no state; stopped at any point and started again it goes on from the journal. A fault of ours
is logged, without ids, and the next turn tries again. At most `LANES` tries run at once, to one peer at most
`PEER_LANES`: one that hangs takes no lane from the living. Durations in seconds. Source: our own.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from typing import TYPE_CHECKING

import structlog

if TYPE_CHECKING:
    from collections.abc import Callable

    from flexlond.beckn.http.sender import Sender
    from flexlond.beckn.journal.outbox import Outgoing
    from flexlond.beckn.node.node import Node

_log = structlog.get_logger()

LANES = 8
PEER_LANES = 3
LONGEST_SLEEP = 1.0  # a draft's end and the clock's steps are noticed within it


class Pump:
    """Drives a node until `stop` is called."""

    def __init__(self, node: Node, sender: Sender, clock: Callable[[], float]) -> None:
        self._node = node
        self._sender = sender
        self._clock = clock
        self._woken = asyncio.Event()
        self._stopped = False
        self._flying: dict[int, str] = {}  # the peer of each try, by the item's number
        self._tasks: set[asyncio.Task[None]] = set()

    def wake(self) -> None:
        """Something came or is to be sent."""
        self._woken.set()

    def stop(self) -> None:
        """End the loop; tries under way are ended by their time-out, and tried again after a restart."""
        self._stopped = True
        self._woken.set()

    async def run(self) -> None:
        """Until `stop`."""
        while not self._stopped:
            self._woken.clear()
            try:
                self._turn(self._clock())
                wait = self._until_due()
            except Exception as error:  # noqa: BLE001 - a full disk, say: nothing was promised, so try again
                _log.error("beckn turn failed", error=repr(error)[:300])
                wait = LONGEST_SLEEP
            await self._sleep(wait)
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _turn(self, now: float) -> None:
        self._node.lapse(now)
        if self._node.work(now):
            self.wake()
        for fault in self._node.desk.take_faults():
            _log.error("beckn business failed", fault=fault)
        while self._start_some(now):
            pass

    def _start_some(self, now: float) -> bool:
        """Start what is due and has a lane; whether anything was started: then others may be in view."""
        tries = Counter(self._flying.values())
        busy = [peer for peer, count in tries.items() if count >= PEER_LANES]
        started = False
        for item in self._node.due(now, busy) if len(self._flying) < LANES else ():
            free = len(self._flying) < LANES and tries[item.peer] < PEER_LANES
            if free and item.seq not in self._flying:
                self._start(item)
                tries[item.peer] += 1
                started = True
        return started

    def _start(self, item: Outgoing) -> None:
        self._flying[item.seq] = item.peer

        async def fly() -> None:
            try:
                await self._sender.send(item)
            except Exception as error:  # noqa: BLE001 - as above; it is due again after its time
                _log.error("beckn try failed", action=item.action, error=repr(error)[:300])
            finally:
                self._flying.pop(item.seq, None)
                self.wake()

        task = asyncio.create_task(fly())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _until_due(self) -> float:
        at = self._node.journal.outbox.next_at()
        if at is None or self._flying:
            return LONGEST_SLEEP
        return min(LONGEST_SLEEP, max(0.0, at - self._clock()))

    async def _sleep(self, wait: float) -> None:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._woken.wait(), wait)
