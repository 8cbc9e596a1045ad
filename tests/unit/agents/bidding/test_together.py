"""Sales and bids at once, lost messages, refused windows and restarts: no kW of a slot is promised twice."""

from __future__ import annotations

import asyncio
import tempfile
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.unit.agents.bidding.kit import BIDS, HAND, NEEDS, SELLS, Fair
from tests.unit.agents.conftest import SLOT
from tests.unit.agents.market.kit import FIRST

CAPACITY = 100_000
SLOTS = range(FIRST, FIRST + 4 * SLOT, SLOT)
LOSSES = [(BIDS.id, "on_confirm"), (NEEDS.id, "init"), (BIDS.id, "on_init"), (NEEDS.id, "confirm")]

kw = st.integers(1, 120).map(float)
act = st.one_of(
    st.tuples(st.just("need"), kw, st.integers(1, 3)),
    st.tuples(st.just("withdraw")),
    st.tuples(st.just("order"), st.lists(kw, min_size=1, max_size=3), st.integers(0, 1)),
    st.tuples(st.just("reserve"), st.lists(kw, min_size=1, max_size=2), st.integers(0, 2)),
    st.tuples(st.just("wait"), st.sampled_from([0.0, 40.0, 150.0, 400.0, 1000.0])),
    st.tuples(st.just("lose"), st.sampled_from(LOSSES)),
    st.tuples(st.just("hear")),
    st.tuples(st.just("refuse"), st.booleans()),
    st.tuples(st.just("restart")),
)


async def do(fair: Fair, what: str, *words: Any) -> None:
    if what == "need":
        fair.need(words[0], words[1])
        await fair.go()
    elif what == "withdraw":
        for one in fair.buyer.records.needs():
            fair.buyer.records.want(one.wanted.key, (0.0,) * len(one.wanted.kw), "withdrawn")
    elif what == "order":
        await fair.order(words[0], FIRST + words[1] * SLOT)
    elif what == "reserve":
        txn = fair.select(words[0], FIRST + words[1] * SLOT)
        if fair.state(HAND.id, txn) == "SELECTED":
            fair.say("init", txn)
    elif what == "wait":
        await fair.go(words[0], 30.0)
    elif what == "lose":
        fair.lost.add(words[0])
    elif what == "hear":
        fair.lost.clear()
    elif what == "refuse":
        fair.shop.refuse = "no" if words[0] else ""
    else:
        fair.close()
        fair.open()


def check(fair: Fair) -> None:
    for at in SLOTS:
        assert fair.promised(at) <= CAPACITY, at
        assert fair.kept(at) <= CAPACITY, at
    for need in fair.buyer.records.needs():
        for at, wanted in zip(need.wanted.starts(), need.wanted.kw, strict=True):
            won = sum(lot.covers(at) for lot in fair.tender.won(need.wanted.key))
            if wanted:  # what was withdrawn keeps what was won for it
                assert won <= wanted + 1e-6, at


async def end(fair: Fair) -> None:
    """When all can be heard again every contract has one end on both sides, and what is kept was won."""
    fair.lost.clear()
    fair.shop.refuse = ""
    await fair.go(3600.0, 60.0)
    check(fair)
    for sale in fair.bids():
        txn = sale.transaction_id
        ours, theirs = fair.state(BIDS.id, txn), fair.state(NEEDS.id, txn)
        assert sale.state in {"kept", "refused", "released"}, (sale.state, ours, theirs)
        if sale.state == "kept":
            assert ours == theirs == "ACTIVE"
            assert fair.shop.made[sale.key]
            book = fair.journals[BIDS.id].book
            assert book.held(txn) == dict(sale.watts)
        else:
            assert ours == "CANCELLED"
            assert theirs in {"CANCELLED", "-"}
            assert not fair.shop.made.get(sale.key)
    sold = fair.site.seller.sales.of()
    assert all(fair.shop.made[one.key] for one in sold if one.state == "kept")


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(act, min_size=3, max_size=12))
def test_no_kw_is_promised_twice(acts: list[tuple[Any, ...]]) -> None:
    async def play(folder: Path) -> None:
        fair = Fair(folder)
        try:
            for one in acts:
                await do(fair, *one)
                check(fair)
            await end(fair)
        finally:
            fair.close()

    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(play(Path(folder)))


def test_the_site_has_two_identities_and_one_account() -> None:
    with tempfile.TemporaryDirectory() as folder:
        fair = Fair(Path(folder))
        assert [side.node.us.id for side in fair.site.sides] == [SELLS.id, BIDS.id]
        fair.close()
