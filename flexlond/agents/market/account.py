"""One account of what a site can give, over everything it promises of it: sales and bids.

Law: in no slot do all promises together (firm ones, and reservations that have not run out, of whichever side)
exceed what the offering has there. Each side's reservations are in its own journal, durable with the messages
that they belong to; they are counted together here, and reserved without waiting for anything in between, so
two sides of one process cannot promise the same kW. Whole watts by slot; epoch seconds. Source: our own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from flexlond.agents.market.offering import capacity
from flexlond.agents.market.sales import SaleState

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from flexlond.agents.market.offering import Offering
    from flexlond.agents.market.sales import Sale
    from flexlond.agents.market.side import Side
    from flexlond.agents.market.works import Works
    from flexlond.beckn.journal.book import Book

_DAY = 86_400
_PROMISED = (SaleState.SOLD, SaleState.KEPT, SaleState.BREAKING)
_ACTIVATIONS = (
    SaleState.QUOTED,
    SaleState.PENDING,
    SaleState.SOLD,
    SaleState.KEPT,
    SaleState.OVER,
)


class Account:
    """What is left of the works' offering."""

    def __init__(self, works: Works) -> None:
        self._works = works
        self._sides: list[Side] = []

    def join(self, side: Side) -> None:
        """A side that promises of it; it has its node."""
        self._sides.append(side)

    @property
    def sides(self) -> Sequence[Side]:
        """Those that have joined."""
        return self._sides

    def sale_of(self, order_id: str) -> Sale | None:
        """By the order's id, of whichever side."""
        found = (side.sales.of_order(order_id) for side in self._sides)
        return next((sale for sale in found if sale is not None), None)

    def short(self) -> set[int]:
        """The slots in which an order in force is foreseen to fall short."""
        return {
            int(one.partition(":")[0])
            for side in self._sides
            for sale in side.sales.of(SaleState.KEPT)
            for one in sale.said.split()
        }

    def activations(self, at: int, but: str) -> int:
        """Orders of all sides but one that begin on the UTC day of a moment."""
        return sum(
            sale.start // _DAY == at // _DAY and sale.transaction_id != but
            for side in self._sides
            for sale in side.sales.of(*_ACTIVATIONS)
        )

    def left(self, offering: Offering, now: float, but: str = "") -> dict[int, int]:
        """Watts by slot that nobody has; `but` is a transaction that does not count."""
        return {
            at: max(0, watts - self._promised(at, now, but))
            for at, watts in self._capacity(offering, now).items()
        }

    def reserve(
        self,
        book: Book,
        transaction_id: str,
        watts: Mapping[int, int],
        offering: Offering,
        *,
        now: float,
        until: float,
    ) -> None:
        """Hold watts in one side's book. Raises Refusal (BIZ_QUANTITY_UNAVAILABLE); then nothing changed."""
        most = {
            at: there - self._promised(at, now, transaction_id, without=book)
            for at, there in self._capacity(offering, now).items()
            if at in watts
        }
        book.reserve(transaction_id, watts, most, now, until)

    def _promised(self, at: int, now: float, but: str, without: Book | None = None) -> int:
        books = [side.node.journal.book for side in self._sides]
        return sum(one.promised(at, now, but=but) for one in books if one is not without)

    def _capacity(self, offering: Offering, now: float) -> dict[int, int]:
        return capacity(offering, self._kept(offering), now)

    def _kept(self, offering: Offering) -> dict[int, int]:
        """Watts by slot of the promises that the offering's plan was made under: they are not in its kW."""
        found: dict[int, int] = {}
        for side in self._sides:
            for sale in side.sales.of(*_PROMISED):
                if self._works.keeps_since(sale.key) < offering.made_at:
                    for at, watts in sale.watts.items():
                        found[at] = found.get(at, 0) + watts
        return found
