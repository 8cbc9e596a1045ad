"""The port between the keeper of promises and a side of the market: what differs between a sale and a bid.

Law: a promise, its window and its progress are the keeper's, the same for both; how the other party is told is
the side's. `took`, `tell` and `failed` are called within the journal's transaction of the side and wait for
nothing. Epoch seconds.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from flexlond.agents.market.sales import Sale, Sales
    from flexlond.agents.market.works import Works
    from flexlond.beckn.contract.table import State
    from flexlond.beckn.journal.contracts import Standing
    from flexlond.beckn.node.node import Node
    from flexlond.beckn.wire.codes import Code


class Side(Protocol):
    """A seller, or a bidder."""

    kind: str  # sale | bid
    works: Works

    @property
    def node(self) -> Node:
        """Its node; there once it has joined."""
        ...

    @property
    def sales(self) -> Sales:
        """Its orders."""
        ...

    @property
    def followed(self) -> Sequence[State]:
        """The states of a contract in which its order is followed."""
        ...

    def penalty(self, sale: Sale) -> Mapping[int, float]:
        """GBP per kWh that is not delivered, by slot."""
        ...

    def accept(self, sale: Sale, now: float) -> None:
        """A person accepts a pending order."""
        ...

    def took(self, sale: Sale) -> None:
        """It is in force, or an update of it was decided: the other party may be answered."""
        ...

    def refuse(self, sale: Sale, code: Code, why: str) -> None:
        """It is not kept, and never was; with a transaction of its own."""
        ...

    def tell(self, sale: Sale, standing: Standing, now: float, *, why: str, over: bool) -> None:
        """How it goes."""
        ...

    def failed(self, sale: Sale, standing: Standing, why: str, now: float) -> None:
        """What kept it was ended: say so, and cancel it."""
        ...
