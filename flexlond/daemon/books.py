"""Settlement's inputs as the daemon knows them: what was sold, forecast and metered, put into settlement.db.

Law: level-triggered and idempotent: each turn compares what is known with what is on record and adds the rest,
so that a kill anywhere leaves work for the next turn and never a second record. Decides nothing of holds, and
their loop waits for nothing here: the file is written by a thread of its own, a fault is said and tried again.
Readings are measured where the meter covers the whole period; modelled power is an estimate and supports no
claim (I6). Epoch seconds, kW.
"""

from __future__ import annotations

import asyncio
import math
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from flexlond.agents.compute_flex import ComputeFlex
from flexlond.agents.market.agent import SellerAgent
from flexlond.agents.market.settled import SOLD, deliveries_of, order_of
from flexlond.agents.nominating import nominations
from flexlond.agents.power_log import KEPT, MODEL_HOLD
from flexlond.beckn.contract.table import State
from flexlond.daemon.books_notes import Notes
from flexlond.daemon.decision_notes import Decisions
from flexlond.model.settlement_period import GATE, LENGTH
from flexlond.settlement.estimated import from_model
from flexlond.settlement.readings import best_of, not_worse
from flexlond.settlement.sampled import Limits, from_power
from flexlond.settlement.store import SettlementStore

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from flexlond.agents.market.port import MarketAgent
    from flexlond.agents.market.sales import Sale
    from flexlond.agents.market.side import Side
    from flexlond.agents.ports import AgentView
    from flexlond.agents.witness import Notary
    from flexlond.beckn.journal.journal import Journal
    from flexlond.daemon.books_fed import Fed
    from flexlond.model.settings import Settings
    from flexlond.settlement.nominated import Nomination
    from flexlond.settlement.readings import Reading

FILE_NAME = "settlement.db"
TURN_SECONDS = 5.0
_LOOK_BACK = 7 * 86_400  # seconds: sales that ended earlier are not looked at again
_AHEAD = 3 * 86_400
_T = TypeVar("_T")


class Books:
    """The one writer of settlement.db within the daemon. Call from one task."""

    def __init__(
        self,
        settings: Settings,
        agent: AgentView,
        notary: Notary | None = None,
        path: Path | None = None,
        *,
        fed: Fed | None = None,
    ) -> None:
        """Nothing is opened before the first turn; `path` is settlement.db in daemon.state_dir.

        `fed` puts in prices, carbon and work done; without it they come from files alone.
        """
        self._fed = fed
        self.settings = settings
        self._agent = agent
        self._path = path or Path(settings.daemon.state_dir) / FILE_NAME
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="settlement")
        self._store: SettlementStore | None = None
        self._point = ""  # under which name the next two are
        self._fixed: set[int] = set()  # starts of periods with a forecast
        self._read_to = 0  # readings are on record of the periods before this
        self._put: dict[str, Sale] = {}  # as they are on record, by order
        self._notes = Notes(notary) if notary is not None else None
        self._decisions = Decisions()

    async def turn(
        self, agents: Mapping[str, MarketAgent], journals: Mapping[str, Journal], now: int
    ) -> None:
        """Everything that is not on record yet. Raises SettlementStoreError, sqlite3.Error, LedgerError."""
        await self._open(now)
        for one in agents.values():
            if isinstance(one, SellerAgent):
                for side in one.sides:
                    await self._sales(side, now)
        await self._forecasts(now)
        await self._readings(now)
        await self._known(now)
        if self._notes is not None:
            notes = self._notes
            kept = await self._use(lambda store: notes.kept(store, now))
            agent = self._agent if isinstance(self._agent, ComputeFlex) else None
            sales = [
                sale
                for one in agents.values()
                if isinstance(one, SellerAgent)
                for side in one.sides
                for sale in side.sales.all()
            ]
            kept += self._decisions.of(agent, sales, now)
            await notes.turn(kept, journals, agent.series if agent is not None else {}, now)

    async def close(self) -> None:
        """What is being written is written first."""
        store, self._store = self._store, None
        if store is not None:
            await self._within(store.close)
        self._thread.shutdown(wait=True)

    # ---- what was sold

    async def _sales(self, side: Side, now: int) -> None:
        """What one side promised: an order won by a bid goes the same way as one sold."""
        chosen = self.settings.settlement
        fresh = [
            sale
            for sale in side.sales.of(*SOLD)
            if sale.end > now - _LOOK_BACK and self._put.get(sale.order_id) != sale
        ]
        told = {sale.order_id: _confirmed(side.node.journal, sale) for sale in fresh}
        fresh = [sale for sale in fresh if told[sale.order_id]]
        if not fresh:
            return
        penalty = {sale.order_id: side.penalty(sale) for sale in fresh}

        def write(store: SettlementStore) -> None:
            first, last = min(one.start for one in fresh), max(one.end for one in fresh)
            known = {one.id: one for one in store.orders(first, last)}
            orders = []
            for sale in fresh:
                before = known.get(sale.order_id)
                slots = before.intervals if before else ()
                orders.append(
                    order_of(
                        sale,
                        before.points[0] if before else chosen.site_point,
                        before.product if before else chosen.market_product,
                        confirmed_at=before.confirmed_at if before else told[sale.order_id],
                        penalty=penalty[sale.order_id],
                        before={one.start: one.penalty for one in slots},
                    )
                )
            with store.db.transaction():
                store.add_orders(orders, now)
                store.add_deliveries([one for sale in fresh for one in deliveries_of(sale)], now)

        await self._use(write)
        self._put.update((sale.order_id, sale) for sale in fresh)

    # ---- what was forecast

    async def _forecasts(self, now: int) -> None:
        if not isinstance(self._agent, ComputeFlex):
            return
        chosen = self.settings.settlement
        made: Sequence[Nomination] = nominations(
            self._agent, chosen.site_point, self._fixed, now, chosen.nominate_before
        )
        if made:
            await self._use(lambda store: store.add_nominations(made, now))
            self._fixed.update(one.start for one in made)
        self._fixed = {start for start in self._fixed if start > now - GATE}

    # ---- what was metered

    async def _readings(self, now: int) -> None:
        if not isinstance(self._agent, ComputeFlex):
            return
        power, settings = self._agent.power, self.settings
        settled = now - math.ceil(settings.meter.max_age)  # no reading of before comes any more
        oldest = now - KEPT + LENGTH  # what is older may have been forgotten in part
        first = max(self._read_to, oldest - oldest % LENGTH + LENGTH)
        starts = range(first, settled - LENGTH + 1, LENGTH)
        if not starts:
            return
        point, edge = settings.settlement.site_point, first - LENGTH
        meter = Limits(settings.meter.max_kw or math.inf, settings.meter.max_age)
        model = Limits(math.inf, MODEL_HOLD * settings.daemon.cycle_seconds)
        metered = [(float(one.at), one.kw) for one in power.metered(edge) if one.measured]
        scaled = [(float(one.at), one.kw) for one in power.metered(edge) if not one.measured]
        modelled = [(float(one.at), one.kw) for one in power.estimated(edge)]

        def write(store: SettlementStore) -> None:
            found = best_of(
                from_power(point, metered, starts, meter, source="the site's meter, [meter]"),
                from_model(
                    point, scaled, starts, meter, "the site's meter, scaled up from its nodes"
                ),
                from_model(point, modelled, starts, model),
            )
            known: dict[tuple[str, int], Reading] = {
                (one.point, one.start): one for one, _ in store.readings(first, starts.stop)
            }
            store.add_readings(not_worse(found, known), now)

        await self._use(write)
        self._read_to = starts[-1] + LENGTH

    # ---- what was paid, emitted and done

    async def _known(self, now: int) -> None:
        fed = self._fed
        if fed is None:
            return
        if values := fed.values(now):
            await self._use(lambda store: fed.put(store, values, now))
        if done := await fed.work(self.settings, now):
            await self._use(lambda store: store.add_work(done, now))

    # ---- the file

    async def _open(self, now: int) -> None:
        """The file, and what it has of the site's point; again where that has another name."""
        point = self.settings.settlement.site_point
        if self._store is not None and point == self._point:
            return
        if self._store is None:
            self._store = await self._within(lambda: SettlementStore(self._path))
        store = self._store
        found = await self._within(lambda: store.nominations(now - GATE, now + _AHEAD))
        self._fixed = {one.start for one in found if one.point == point}
        self._point, self._read_to = point, 0

    async def _use(self, work: Callable[[SettlementStore], _T]) -> _T:
        """Work on the file, in its thread."""
        store = self._store
        assert store is not None  # noqa: S101 - `turn` opened it; tells mypy
        return await self._within(lambda: work(store))

    async def _within(self, work: Callable[[], _T]) -> _T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)


def _confirmed(journal: Journal, sale: Sale) -> int:
    """When its confirm was answered; 0 while it is not."""
    steps = journal.contracts.history(sale.transaction_id)
    return int(next((at for at, _, _, became in steps if became == State.ACTIVE.value), 0))
