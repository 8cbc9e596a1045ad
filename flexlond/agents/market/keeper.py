"""What a site does by itself: put what it sold or won into force, follow it, tell the other party, end it.

Law: level-triggered, and the same for both sides of the market (`side.Side`). Each turn compares the orders
with what is in force and does the next thing; each thing is done in an order that a kill at any point leaves
for the next turn: first what is promised to the works (idempotent by key), then the row and what is said of it
in one transaction. A shortfall is told when it is foreseen, not when it is over. What was delivered is told
once a slot, and only where a meter read all of it (I6); where a part of it may yet be proved it is told as it
is, told again when it is, and the order is not over till then. Epoch seconds.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING

import structlog

from flexlond.agents.market.sales import Row, Sale, SaleState
from flexlond.agents.market.works import Kept, NotYet
from flexlond.beckn.contract.table import State
from flexlond.beckn.wire.codes import Code

if TYPE_CHECKING:
    from collections.abc import Sequence

    from flexlond.agents.market.side import Side
    from flexlond.agents.market.works import Slot, Unkept
    from flexlond.beckn.journal.contracts import Standing

PATIENCE = 90.0  # seconds that a slot's usage may come late
TOLD_EVERY = 30.0  # seconds between two forecasts of one order at least; or a quarter of a slot
_SHORT = 0.05  # share of what was sold from which on a shortfall is told

_log = structlog.get_logger()


class Keeper:
    """Carries out what one side promised."""

    def __init__(self, side: Side) -> None:
        self._side = side
        self._told: dict[str, float] = {}  # when a forecast was told last, by transaction

    async def turn(self, now: float) -> bool:
        """Everything that is next; whether something was written for the node."""
        sales = self._side.sales
        done = False
        for sale in sales.of(SaleState.PENDING):
            done |= self._expire(sale, now)
        for sale in sales.of(SaleState.SOLD):
            done |= await self._carry(sale, now)
        for sale in sales.of(SaleState.RELEASING):
            await self._release(sale, now)
        for sale in sales.of(SaleState.KEPT):
            done |= self._follow(sale, now)
        return done

    async def restore(self, now: float) -> None:
        """After a start: what was in force is so again, where the works forgot it."""
        works = self._side.works
        for sale in self._side.sales.of(SaleState.KEPT):
            if now < sale.end and math.isinf(works.keeps_since(sale.key)):
                try:
                    await works.restore(sale.promise, now)
                except NotYet as reason:
                    _log.warning(
                        "an order is not kept yet", order=sale.order_id, reason=str(reason)
                    )

    # ---- into force

    def _expire(self, sale: Sale, now: float) -> bool:
        if now < sale.until:
            return False
        self._side.refuse(sale, Code.POL_ENGAGEMENT_REFUSED, "nobody accepted the order in time")
        return True

    async def _carry(self, sale: Sale, now: float) -> bool:
        """SOLD to KEPT, or back."""
        works = self._side.works
        if now >= sale.start and math.isinf(works.keeps_since(sale.key)):
            self._unkept(sale, "its first slot has begun before it could be put into force")
            return True
        try:
            made = await works.make(sale.promise, now)
        except Exception as error:  # noqa: BLE001 - whatever it is, the order has its answer in time
            if not isinstance(error, NotYet):
                _log.error("order not put into force", order=sale.order_id, exc_info=True)
            if now < sale.until:
                return False
            self._unkept(sale, "it could not be put into force in time")
            return True
        fresh = self._side.sales.get(sale.transaction_id)
        if fresh is None or fresh.state is not SaleState.SOLD:
            return True  # it was cancelled meanwhile: what was made is released
        if isinstance(made, Kept):
            journal = self._side.node.journal
            with journal.transaction():
                if sale.before:
                    journal.book.restore(sale.transaction_id, sale.watts)
                self._side.took(
                    self._side.sales.move(fresh, SaleState.KEPT, name=made.name, before={}, why="")
                )
            _log.info("order in force", order=sale.order_id, by=made.name)
        else:
            self._unkept(fresh, _without_names(made))
        return True

    def _unkept(self, sale: Sale, why: str) -> None:
        """A confirm is refused; an update too, and what was before it stays."""
        if not sale.before:
            self._side.refuse(sale, Code.BIZ_FULFILLMENT_UNAVAILABLE, why)
            return
        journal = self._side.node.journal
        with journal.transaction():
            journal.book.restore(sale.transaction_id, sale.before)
            back = self._side.sales.move(
                sale,
                SaleState.KEPT,
                watts=sale.before,
                before={},
                revision=sale.revision - 1,
                why=why,
            )
            self._side.took(back)

    async def _release(self, sale: Sale, now: float) -> None:
        try:
            await self._side.works.release(sale.key, now)
        except NotYet as reason:
            _log.warning("an order is not released yet", order=sale.order_id, reason=str(reason))
            return
        self._side.sales.move(sale, SaleState.RELEASED)
        _log.info("order released", order=sale.order_id, why=sale.why)

    # ---- in force

    def _follow(self, sale: Sale, now: float) -> bool:
        side = self._side
        standing = side.node.journal.contracts.get(sale.transaction_id)
        if standing is None or standing.state not in side.followed:
            if standing is not None and standing.state is State.CANCELLED:
                side.sales.move(sale, SaleState.RELEASING)
            return False  # or its confirm is about to be answered
        if now < sale.end and math.isinf(side.works.keeps_since(sale.key)):
            return self._lost(sale, standing, now)
        slots = side.works.progress(sale.promise, now)
        rows = {**sale.rows, **_over(sale, slots, now)}
        short = _short(sale, slots, now)
        late = now >= sale.end + PATIENCE + side.works.meter_seconds
        known = all(at in rows and rows[at].final for at in sale.watts)
        over = now >= sale.end and (late or known)
        news = rows != sale.rows
        pause = min(TOLD_EVERY, sale.slot_seconds / 4.0)
        changed = short != sale.said and now - self._told.get(sale.transaction_id, 0.0) >= pause
        if not (news or over or changed):
            return False
        said = replace(sale, rows=rows, said=short)
        if over:
            said = replace(said, state=SaleState.OVER)
        why = side.works.why_short(sale.key, now) if short else ""
        with side.node.journal.transaction():
            side.sales.save(said)
            side.tell(said, standing, now, why=why, over=over)
        self._told[sale.transaction_id] = now
        return True

    def _lost(self, sale: Sale, standing: Standing, now: float) -> bool:
        """Somebody ended what kept it."""
        if standing.state is not State.ACTIVE:
            return False
        why = "what kept it was ended by the site"
        with self._side.node.journal.transaction():
            self._side.failed(sale, standing, why, now)
        _log.warning("order cancelled by us", order=sale.order_id, why=why)
        return True


def _over(sale: Sale, slots: Sequence[Slot], now: float) -> dict[int, Row]:
    """The slots that are over and known, and were not told for good."""
    return {
        slot.start: Row(slot.baseline_kw, slot.usage_kw, slot.source, slot.final)
        for slot in slots
        if slot.start in sale.watts
        and not (slot.start in sale.rows and sale.rows[slot.start].final)
        and slot.start + sale.slot_seconds <= now
        and math.isfinite(slot.baseline_kw)
        and math.isfinite(slot.usage_kw)
    }


def _short(sale: Sale, slots: Sequence[Slot], now: float) -> str:
    """The slots to come that are foreseen to fall short, each with whole tenths of what was sold."""
    found = []
    for slot in slots:
        sold = sale.watts.get(slot.start, 0) / 1000.0
        if slot.start + sale.slot_seconds <= now or not sold:
            continue
        missing = sold - (slot.baseline_kw - slot.planned_kw)
        if missing > _SHORT * sold:
            found.append(f"{slot.start}:{math.ceil(10 * missing / sold)}")
    return " ".join(found)


def _without_names(made: Unkept) -> str:
    """Why, for a stranger: its kind only. The whole reason is in the log."""
    _log.info("the works refused an order", why=made.why)
    return "the site cannot keep it"
