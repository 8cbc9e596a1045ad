"""A bid from the need to its end: what goes well, is refused, cannot be kept, or is lost on the way."""

from __future__ import annotations

import itertools
import math
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from flexlond.agents.market.works import Slot
from tests.unit.agents.bidding.kit import BEGIN, BID, BIDS, GRID, HAND, NEEDS, SELLS, Fair
from tests.unit.agents.conftest import SLOT
from tests.unit.agents.market.kit import FIRST
from tests.unit.agents.market.shop import Shop

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from flexlond.agents.market.works import Promise

SECOND = FIRST + SLOT
replace = msgspec.structs.replace


@pytest.fixture
def fair(tmp_path: Path) -> Iterator[Fair]:
    made = Fair(tmp_path)
    yield made
    made.close()


async def test_a_bid_is_won_kept_told_and_paid(fair: Fair) -> None:
    key = fair.need(40.0)
    await fair.go(30.0)
    (sale,) = fair.bids("kept")
    (lot,) = fair.lots("ORDERED")
    assert sale.watts == {FIRST: 40_000, SECOND: 40_000}
    assert lot.kw == {FIRST: 40.0, SECOND: 40.0}
    assert fair.shop.made == {sale.key: True}
    txn = sale.transaction_id
    assert fair.state(BIDS.id, txn) == fair.state(NEEDS.id, txn) == "ACTIVE"
    assert fair.promised(FIRST) == 40_000
    assert fair.site.offers().slots[0].left_kw == 60.0
    fair.now, fair.shop.drawn = float(SECOND + 1), {FIRST: 70.0}
    await fair.go()
    assert fair.lots()[0].told[FIRST].delivered == 30.0
    fair.now, fair.shop.drawn = float(SECOND + SLOT + 1), {FIRST: 70.0, SECOND: 60.0}
    await fair.go(60.0)
    assert fair.state(BIDS.id, txn) == fair.state(NEEDS.id, txn) == "COMPLETE"
    (sale,) = fair.bids()
    assert sale.state == "over"
    assert sale.why == f"settled by the grid: {(30.0 + 40.0) * 0.5 * 0.3:.4f} GBP"
    (lot,) = fair.lots()
    assert (lot.state, lot.rating) == ("DONE", 5)
    (told,) = fair.buyer.records.needs()
    assert (told.wanted.key, told.state) == (key, "CLOSED")
    assert told.note.startswith("35.000 of 40.000 kWh")


async def test_a_shortfall_is_told_when_it_is_foreseen(tmp_path: Path) -> None:
    class Weak(Shop):
        weak = False

        def progress(self, promise: Promise, now: float) -> list[Slot]:
            given = 10.0 if self.weak else 40.0
            return [Slot(at, 100.0, 100.0 - given) for at in promise.watts]

    shop = Weak()
    fair = Fair(tmp_path, shop)
    fair.need(40.0)
    await fair.go(30.0)
    assert fair.lots()[0].covers(FIRST) == 40.0
    shop.weak = True
    await fair.go(40.0)
    assert fair.lots()[0].covers(FIRST) == 10.0
    assert fair.tender.open_kw(fair.buyer.records.needs()[0])[FIRST] == 30.0
    await fair.go(100.0)
    assert len(fair.bids()) == 1  # who falls short does not bid for the rest
    fair.close()


async def test_what_a_sale_has_is_not_bid_and_what_a_bid_has_is_not_sold(fair: Fair) -> None:
    sold = await fair.order([70.0, 20.0])
    assert fair.state(HAND.id, sold) == "ACTIVE"
    fair.need(50.0)
    await fair.go(30.0)
    (sale,) = fair.bids("kept")
    assert sale.watts == {FIRST: 30_000, SECOND: 50_000}
    again = fair.select([10.0, 40.0])
    await fair.go()
    assert fair.state(HAND.id, again) == "SELECTED"
    assert '"values":[30.0]' in fair.journals[HAND.id].contracts.get(again).body.decode().replace(  # type: ignore[union-attr]
        " ", ""
    )
    assert fair.promised(FIRST) == 100_000
    assert fair.kept(FIRST) == 100_000


@pytest.mark.parametrize(
    ("grid", "bid", "why"),
    [
        ({"bid_gbp_per_kwh": 0.09}, {}, "no kW is left whose price"),
        ({"bid_gbp_per_kwh": 0.14}, {"margin_gbp_per_kwh": 0.05}, "no kW is left whose price"),
        ({}, {"lead_seconds": 5.0 * SLOT - 100.0}, "none of its slots is on offer"),
        ({"lead_seconds": 0.0}, {"lead_seconds": 5.0 * SLOT}, "its offer ends before"),
    ],
)
async def test_what_does_not_pay_is_not_bid_and_it_says_why(
    tmp_path: Path, grid: dict[str, float], bid: dict[str, float], why: str
) -> None:
    fair = Fair(tmp_path, grid=replace(GRID, **grid), bid=replace(BID, **bid))
    fair.need(40.0)
    await fair.go(30.0)
    assert fair.bids() == []
    assert why in fair.site.unbid()[0]
    fair.close()


async def test_budget_and_need_bound_what_is_taken(tmp_path: Path) -> None:
    fair = Fair(tmp_path)
    fair.need(40.0, budget=9.0)  # 30 kWh at 0.3
    await fair.go(60.0)
    (lot,) = fair.lots("ORDERED")
    assert lot.cost_gbp <= 9.0 + 1e-6
    assert sum(lot.kw.values()) * 0.5 == pytest.approx(30.0)
    fair.close()


async def test_it_is_not_bought_twice_by_bids_and_of_sellers(tmp_path: Path) -> None:
    fair = Fair(tmp_path, grid=replace(GRID, bids_first_seconds=120.0), buys=True)
    fair.need(130.0)
    await fair.go(100.0)
    (lot,) = fair.lots("ORDERED")
    assert lot.kw == {FIRST: 100.0, SECOND: 100.0}
    assert fair.buyer.records.lots() == []  # so long it is open to bids alone
    await fair.go(400.0, 30.0)
    assert fair.buyer.records.lots() == []  # the site has nothing left
    assert fair.site.seller.sales.all() == []
    fair.close()


async def test_without_waiting_the_grid_buys_first_and_the_need_is_not_open_any_more(
    tmp_path: Path,
) -> None:
    fair = Fair(tmp_path, buys=True)
    fair.need(60.0)
    await fair.go(120.0)
    bought = fair.buyer.records.lots()
    total = {at: sum(one.covers(at) for one in [*bought, *fair.lots()]) for at in (FIRST, SECOND)}
    assert total == {FIRST: 60.0, SECOND: 60.0}
    assert fair.kept(FIRST) == 60_000
    fair.close()


async def test_what_the_grid_refuses_is_given_back_and_not_bid_again_at_once(fair: Fair) -> None:
    key = fair.need(40.0)
    fair.lost = {(NEEDS.id, "init")}
    await fair.go(20.0)
    (sale,) = fair.bids("quoted")
    assert fair.promised(FIRST) == 40_000
    fair.buyer.records.want(key, (0.0, 0.0), "withdrawn")
    fair.lost = set()
    await fair.go(30.0)
    (sale,) = fair.bids()
    assert sale.state == "refused"
    assert "BIZ_QUANTITY_UNAVAILABLE" in sale.why
    assert fair.promised(FIRST) == 0
    assert fair.lots("ORDERED", "ASKED") == []
    await fair.go(200.0)
    assert len(fair.bids()) == 1


async def test_a_window_that_cannot_be_made_is_cancelled_in_two_phases_with_its_reason(
    fair: Fair,
) -> None:
    fair.shop.refuse = "no plan keeps it"
    fair.need(40.0)
    await fair.go(30.0)
    first = fair.bids()[0]
    assert first.state == "released"
    txn = first.transaction_id
    assert fair.state(BIDS.id, txn) == fair.state(NEEDS.id, txn) == "CANCELLED"
    lot = fair.tender.records.lot(txn)
    assert lot is not None
    assert (lot.state, lot.why) == (
        "LOST",
        "cancelled by the site: the site cannot keep it",
    )
    said = fair.journals[BIDS.id].outbox.of_transaction(txn)
    assert [one.action for one in said][-2:] == ["cancel", "cancel"]
    assert fair.promised(FIRST) == 0 or len(fair.bids()) > 1
    assert not any(fair.shop.made.values())


async def test_a_window_that_somebody_ends_cancels_what_was_won(fair: Fair) -> None:
    fair.need(40.0)
    await fair.go(30.0)
    (sale,) = fair.bids("kept")
    fair.shop.made[sale.key] = False
    fair.shop.refuse = "no more"
    fair.buyer.records.want(fair.buyer.records.needs()[0].wanted.key, (40.0, 0.0), "")
    await fair.go(10.0)
    assert fair.state(NEEDS.id, sale.transaction_id) == "CANCELLED"
    lot = fair.tender.records.lot(sale.transaction_id)
    assert lot is not None
    assert lot.why == "cancelled by the site: what kept it was ended by the site"


async def test_what_the_grid_does_not_let_go_is_over_with_nothing_delivered(fair: Fair) -> None:
    fair.need(40.0)
    await fair.go(30.0)
    (sale,) = fair.bids("kept")
    fair.now = float(FIRST + 1)  # begun: the grid keeps to it
    fair.shop.made[sale.key] = False
    await fair.go(200.0, 20.0)
    (sale,) = fair.bids()
    assert sale.state == "breaking"
    assert "POL_CANCELLATION_NOT_ALLOWED" in sale.why
    assert sale.why.startswith("what kept it was ended by the site")
    fair.now = float(SECOND + SLOT + 1)
    await fair.go(4000.0, 60.0)
    (sale,) = fair.bids()
    assert (sale.state, dict(sale.rows)) == ("over", {})
    (lot,) = fair.lots()
    assert (lot.state, lot.told, lot.rating) == ("DONE", {}, 1)


async def test_the_grid_calls_off_what_it_does_not_need(fair: Fair) -> None:
    key = fair.need(40.0)
    await fair.go(30.0)
    (sale,) = fair.bids("kept")
    fair.buyer.records.want(key, (0.0, 0.0), "withdrawn")
    assert fair.tender.call_off(sale.transaction_id, fair.now) == ""
    await fair.go()
    (sale,) = fair.bids()
    assert sale.state == "released"
    assert fair.shop.made == {sale.key: False}
    assert fair.promised(FIRST) == 0
    assert fair.tender.call_off(sale.transaction_id, fair.now) == "the order has ended already"


async def test_an_answer_that_comes_too_late_does_not_take_what_others_have(fair: Fair) -> None:
    key = fair.need(80.0)
    fair.lost = {(BIDS.id, "on_confirm"), (BIDS.id, "on_status")}
    await fair.go(20.0)
    (sale,) = fair.bids("quoted")
    assert fair.state(BIDS.id, sale.transaction_id) == "CONFIRMING"
    assert fair.promised(FIRST) == 80_000
    fair.now += BID.hold_seconds
    assert fair.promised(FIRST) == 0
    sold = await fair.order([90.0])
    assert fair.state(HAND.id, sold) == "ACTIVE"
    fair.buyer.records.want(key, (0.0, 0.0), "not bid again")
    fair.lost = set()
    await fair.go(700.0, 30.0)
    txn = sale.transaction_id
    assert fair.state(BIDS.id, txn) == fair.state(NEEDS.id, txn) == "CANCELLED"
    lot = fair.tender.records.lot(txn)
    assert lot is not None
    assert "were given to others" in lot.why
    assert fair.promised(FIRST) == 90_000
    assert fair.kept(FIRST) == 90_000


async def test_what_is_active_and_not_understood_is_cancelled(fair: Fair) -> None:
    """A fault of ours while an answer is read leaves no contract that nobody keeps."""
    fair.need(40.0)
    real = fair.nodes[BIDS.id].desk._business.heard

    def broken(message: Any, standing: Any, now: float) -> None:
        if message.action.name != "on_confirm":
            real(message, standing, now)

    fair.nodes[BIDS.id].desk._business = SimpleNamespace(  # type: ignore[assignment]
        answer=fair.site.bidder.answer, heard=broken, ended=fair.site.bidder.ended
    )
    await fair.go(20.0)
    (sale,) = fair.bids("quoted")
    assert fair.state(BIDS.id, sale.transaction_id) == "ACTIVE"
    await fair.go(120.0)
    assert fair.state(NEEDS.id, sale.transaction_id) == "CANCELLED"
    lot = fair.tender.records.lot(sale.transaction_id)
    assert lot is not None
    assert lot.why == "cancelled by the site: the grid's answer could not be read"
    assert fair.promised(FIRST) == 0


@pytest.mark.parametrize("what", ["accept", "reject", "nothing"])
async def test_a_person_approves_a_bid(tmp_path: Path, what: str) -> None:
    fair = Fair(tmp_path, approve="person", approve_seconds=100.0)
    fair.need(40.0)
    await fair.go(10.0)
    (sale,) = fair.bids("pending")
    txn = sale.transaction_id
    assert fair.state(NEEDS.id, txn) == "INITIALISED"
    (view,) = fair.site.orders()
    assert view.decide_by == int(sale.until) <= fair.now + 100
    if what == "nothing":
        await fair.go(110.0)
    else:
        done, words = fair.site.decide(view.order_id, accept=what == "accept", by="ada")
        assert done, words
        assert words.startswith(f"{what}ed by ada")
        await fair.go(10.0)
    (sale,) = [one for one in fair.bids() if one.transaction_id == txn]
    if what == "accept":
        assert sale.state == "kept"
        assert fair.state(NEEDS.id, txn) == "ACTIVE"
    else:
        assert sale.state == "refused"
        assert fair.state(BIDS.id, txn) == "CANCELLED"
        await fair.go(400.0)
        assert fair.state(NEEDS.id, txn) == "CANCELLED"  # its own draft has run out
        assert fair.promised(FIRST) == 0 or fair.bids("pending", "quoted")
    done, words = fair.site.decide("nobody", accept=True, by="ada")
    assert not done
    fair.close()


def test_a_silent_grid_is_asked_less_and_less_often(fair: Fair) -> None:
    fair.lost = {(NEEDS.id, "discover")}
    asked = []
    for number in range(400):
        fair.now = BEGIN + 10.0 * number
        assert fair.site._bids is not None
        before = len(fair.journals[BIDS.id].outbox.since(fair.now))
        fair.site._bids.turn(fair.now)
        if len(fair.journals[BIDS.id].outbox.since(fair.now)) > before:
            asked.append(fair.now - BEGIN)
    gaps = [after - before for before, after in itertools.pairwise(asked)]
    assert gaps == sorted(gaps)
    assert gaps[0] == 2 * BID.refresh_seconds
    assert len(asked) < 9
    assert math.isfinite(asked[-1])
    assert SELLS.id not in fair.site.bidder.grids
