"""The port that the daemon writes by: handed over at once, committed by a thread, up to 32 at a time.

Law: `record` never waits for the disk; `settled` returns when all that was handed over is on disk, and
raises when it is not, so that what must not happen unrecorded can be left undone (invariant I9). What could
not be written is kept in its order and tried again; `problem` says why, for as long as it lasts. Nothing is
recorded twice.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, TypeVar

import structlog

from flexlond.settlement.ledger import entry as entries
from flexlond.settlement.ledger.entry import NO_HASH, Record
from flexlond.settlement.ledger.problem import LedgerError
from flexlond.settlement.ledger.writer import MAX_BATCH

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from flexlond.settlement.ledger.checkpoint import Checkpoint
    from flexlond.settlement.ledger.writer import Ledger

MOST_WAITING = 20_000  # records held in memory while the disk does not take them
_FIRST_RETRY = 1.0  # seconds
_LAST_RETRY = 30.0

_T = TypeVar("_T")
_log = structlog.get_logger()


class Recorder:
    """Owns a ledger from its construction to `close`; used from one event loop."""

    def __init__(self, ledger: Ledger) -> None:
        """Call within a running event loop."""
        self.problem = ""  # why records wait; "" while they do not
        self._ledger = ledger
        self._waiting: deque[Record] = deque()
        self._handed = self._written = 0
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="ledger")
        self._wake = asyncio.Event()
        self._round = asyncio.Condition()  # told after every attempt
        self._attempts = 0
        self._task = asyncio.create_task(self._run())

    @property
    def waiting(self) -> int:
        """Records that are not on disk yet."""
        return self._handed - self._written

    def record(
        self,
        kind: str,
        body: Mapping[str, Any],
        *,
        at: int,
        personal: Mapping[str, str] | None = None,
    ) -> None:
        """Hand over one record; raises LedgerError for one that cannot be recorded, or when too many wait."""
        record = Record(kind, at, body, personal or {})
        entries.check(record)
        # What cannot be encoded must be refused here: in the queue it would hold up all that follow.
        entries.encode(record, 2**53 - 1, NO_HASH, dict.fromkeys(record.personal, NO_HASH))
        if self.waiting >= MOST_WAITING:
            raise LedgerError(f"{self.waiting} records wait for the ledger: {self.problem}")
        self._waiting.append(record)
        self._handed += 1
        self._wake.set()

    async def settled(self) -> None:
        """Return when all that was handed over before is on disk. Raises LedgerError when it could not be."""
        wanted = self._handed
        if self.problem and self._written < wanted:
            raise LedgerError(self.problem)  # it is tried again in its own time
        tried = self._attempts
        async with self._round:
            while self._written < wanted:
                if self._task.done():
                    raise LedgerError("the ledger's recorder has ended")
                await self._round.wait()
                if self.problem and self._attempts > tried and self._written < wanted:
                    raise LedgerError(self.problem)

    async def checkpoint(self, at: int) -> Checkpoint:
        """Sign what was handed over before, once it is on disk. Raises LedgerError."""
        await self.settled()
        return await self.within(lambda: self._ledger.checkpoint(at))

    async def within(self, work: Callable[[], _T]) -> _T:
        """Run upkeep of the ledger between two commits, in its thread."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)

    @property
    def second_problem(self) -> str:
        """Why the second place lacks checkpoints; "" while it has all."""
        return self._ledger.second_problem

    async def close(self) -> None:
        """Write what can be written and close the ledger."""
        with contextlib.suppress(LedgerError):
            await self.settled()
        self._task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._task
        self._thread.shutdown(wait=True)
        self._ledger.close()
        if self._waiting:
            _log.error("records were lost to the ledger", count=self.waiting, error=self.problem)

    async def _run(self) -> None:
        pause = _FIRST_RETRY
        while True:
            await self._wake.wait()
            self._wake.clear()
            while self._waiting:
                batch = [self._waiting[k] for k in range(min(MAX_BATCH, len(self._waiting)))]
                try:
                    await self.within(functools.partial(self._ledger.append, batch))
                except Exception as error:  # noqa: BLE001 -- whatever it is, whoever waits must be told
                    known = isinstance(error, LedgerError)
                    if not self.problem:
                        _log.error(
                            "the ledger cannot be written", error=str(error), exc_info=not known
                        )
                    self.problem = str(error) if known else f"{type(error).__name__}: {error}"
                    await self._tell(0)
                    await asyncio.sleep(pause)
                    pause = min(_LAST_RETRY, pause * 2)
                else:
                    if self.problem:
                        _log.info("the ledger is written again", waited=self.waiting)
                    self.problem, pause = "", _FIRST_RETRY
                    for _ in batch:
                        self._waiting.popleft()
                    await self._tell(len(batch))

    async def _tell(self, written: int) -> None:
        async with self._round:
            self._written += written
            self._attempts += 1
            self._round.notify_all()
