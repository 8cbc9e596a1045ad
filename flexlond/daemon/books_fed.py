"""What the daemon knows besides orders and power, put into settlement: prices, carbon, work done.

Law: a value goes in only from a feed of which the site says that it settles (`settles = true`: what is paid, or
what was measured), never a forecast, and only when its period has been over for an hour. What a file gave
stands: a value on record from elsewhere is never put anew. Idempotent; what changed is a new version. Slurm's
accounting is read every half-hour in a thread; when it fails that is said and tried again. Epoch seconds (UTC).
"""

from __future__ import annotations

import asyncio
import math
from decimal import Decimal
from typing import TYPE_CHECKING, Final, Protocol

import structlog

from flexlond.daemon.books_work import work_of
from flexlond.model.series import Kind
from flexlond.model.settlement_period import LENGTH
from flexlond.model.timegrid import TimeGrid
from flexlond.settlement.inputs import CARBON_AVERAGE, RETAIL_PRICE, Value
from flexlond.slurm.accounting import read_accounting
from flexlond.slurm.command import SlurmCommandError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from zoneinfo import ZoneInfo

    import numpy as np
    from numpy.typing import NDArray

    from flexlond.model.settings import Settings
    from flexlond.settlement.store import SettlementStore
    from flexlond.settlement.work import Work
    from flexlond.slurm.accounting import AccountingRecord

FED: Final = "flexlond: "  # so begins the source of a value that the daemon put in
LOOK_BACK: Final = 2 * 86_400  # seconds of values that are looked at
OVER: Final = 3600  # seconds after its end a period's value is taken to be known
RUNS_BACK: Final = 86_400  # seconds of accounting that are read
_KINDS: Final = {Kind.PRICE: RETAIL_PRICE, Kind.CARBON: CARBON_AVERAGE}

_log = structlog.get_logger(__name__)


class Actuals(Protocol):
    """The signals, as far as they settle."""

    def settled(self, kind: Kind, grid: TimeGrid) -> tuple[NDArray[np.float64], str] | None:
        """Values on `grid`, NaN where unknown, and their source; None where no feed settles."""
        ...


class Fed:
    """The feeding of one daemon."""

    def __init__(
        self,
        actuals: Actuals,
        tz: ZoneInfo | None,
        read: Callable[..., Sequence[AccountingRecord]] = read_accounting,
    ) -> None:
        """`tz` is the controller's zone; None where there is no Slurm, and no work to be read."""
        self._actuals = actuals
        self._tz = tz
        self._read = read
        self._seen = self._worked = 0  # the half-hour of the last turn

    def values(self, now: int) -> list[Value]:
        """What is known of the periods that are over; once each half-hour, else nothing."""
        if now // LENGTH == self._seen:
            return []
        self._seen = now // LENGTH
        last = (now - OVER) // LENGTH * LENGTH  # the first period that is not over long enough
        grid = TimeGrid(last - LOOK_BACK, LENGTH, LOOK_BACK // LENGTH)
        found = []
        for kind, name in _KINDS.items():
            settled = self._actuals.settled(kind, grid)
            if settled is None:
                continue
            amounts, source = settled
            found += [
                Value(name, grid.slot_start(slot), _decimal(amount), f"{FED}{source}")
                for slot, amount in enumerate(amounts)
                if math.isfinite(amount)
            ]
        return found

    def put(self, store: SettlementStore, found: Sequence[Value], now: int) -> None:
        """Put these values (at least one) on record, save where another source has spoken."""
        starts = [one.start for one in found]
        known = store.values(min(starts), max(starts) + LENGTH)
        store.add_values(
            [
                one
                for one in found
                if (before := known.get(one.kind, {}).get(one.start)) is None
                or before.source.startswith(FED)
            ],
            now,
        )

    async def work(self, settings: Settings, now: int) -> list[Work]:
        """The work of jobs that ended lately; once each half-hour, else nothing."""
        if self._tz is None or now // LENGTH == self._worked:
            return []
        self._worked = now // LENGTH
        try:
            records = await asyncio.to_thread(
                self._read, settings.slurm, since=now - RUNS_BACK, until=now, duplicates=True
            )
        except SlurmCommandError as error:
            _log.warning("work done not read", why=str(error))
            return []
        return work_of(records, settings, self._tz)


def _decimal(amount: float) -> Decimal:
    """A float of a feed as it was written there, to six places."""
    return Decimal(str(round(float(amount), 6)))
