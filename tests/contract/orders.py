"""Two orders on a live market: one is delivered, with every side question, and one is cancelled."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

from tests.contract.live import SITE, Live, slot_after
from tests.unit.agents.grid.town import SLOT

if TYPE_CHECKING:
    from flexlond.agents.grid.agent import GridAgent

ACTIONS = frozenset(
    {
        "catalog/publish",
        "catalog/on_publish",
        *("discover", "on_discover", "select", "on_select", "init", "on_init"),
        *("confirm", "on_confirm", "status", "on_status", "track", "on_track"),
        *("support", "on_support", "cancel", "on_cancel", "rate", "on_rate"),
    }
)
"""What is said then: all but update and on_update, which this buyer does not say."""


def two_orders(both: Live) -> None:
    """From the needs to the rating; all of it is in `both.kept`."""
    start = slot_after(SLOT)
    both.do(_need(both.buyer, 5.0, start, start + 2 * SLOT))
    (kept,) = _orders(both, 1)
    both.do(_need(both.buyer, 4.0, start + 3 * SLOT, start + 5 * SLOT))
    (cancelled,) = _orders(both, 2) - {kept}
    contract = both.buyer.place.node.journal.contracts.get(kept)
    assert contract is not None
    page = both.do(both.buyer.ask_seller(contract.contract_id, "track"))
    assert page.startswith(f"https://site.test/orders/{contract.contract_id} (")
    assert "desk@site.test" in both.do(both.buyer.ask_seller(contract.contract_id, "support"))
    for action in ("status", "discover"):
        both.do(_ask(both, action, kept))
    order = both.buyer.place.node.journal.contracts.get(cancelled)
    assert order is not None
    assert both.do(_cancel(both.buyer, order.contract_id)) == ""
    both.until(lambda: _states(both)[cancelled] == "CANCELLED")
    both.until(lambda: any(one.path == "/on_rate" for one in both.kept))
    assert _states(both)[kept] == "COMPLETE"


async def _need(buyer: GridAgent, kw: float, start: int, end: int) -> None:
    buyer.add_need(kw, start, end, -1.0, "price")


def _states(both: Live) -> dict[str, str]:
    contracts = both.buyer.place.node.journal.contracts
    return {one.transaction_id: one.state.value for one in contracts.all()}


def _orders(both: Live, count: int) -> set[str]:
    """The transactions of so many orders in force."""

    def active() -> set[str]:
        return {txn for txn, state in _states(both).items() if state == "ACTIVE"}

    both.until(lambda: len(active()) == count)
    return active()


async def _cancel(buyer: GridAgent, order: str) -> str:
    return buyer.cancel(order)


async def _ask(both: Live, action: str, txn: str) -> None:
    """One request of the buyer's more."""
    node = both.buyer.place.node
    standing = node.journal.contracts.get(txn)
    assert standing is not None
    agreed = json.loads(standing.body) | {"id": standing.contract_id}
    body: dict[str, Any] = {"contract": agreed}
    if action == "discover":
        body = {"intent": {"textSearch": "flexibility"}}
    to = both.buyer._buyer.sellers[SITE]
    node.ask(action, to, txn, body, time.time())
    both.buyer.place.wake()
