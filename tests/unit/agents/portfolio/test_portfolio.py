"""Two sites sold as one to a grid that knows neither; one is cut off in the middle and the other takes over.

The cut is one of the network: the site's daemon goes on behind it, as its Slurm would.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from typing import TYPE_CHECKING

from hypothesis import given
from hypothesis import strategies as st

from flexlond.agents.grid import papers
from flexlond.agents.grid.listings import Listing
from flexlond.agents.portfolio.offering import added_up
from flexlond.beckn.wire.messages import parse
from flexlond.model.market_settings import SellSettings
from tests.unit.agents.grid.cable import cable_to
from tests.unit.agents.grid.town import PATIENCE, SLOT, Town, buyer_of, buying, daemon

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from flexlond.agents.grid.agent import GridAgent
    from flexlond.agents.grid.records import Told
    from flexlond.agents.grid.views import NeedView
    from flexlond.daemon.compose import Parts


async def until(what: Callable[[], bool], seconds: float = PATIENCE) -> None:
    end = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < end, "it did not happen"
        await asyncio.sleep(0.2)


def need_of(buyer: GridAgent) -> NeedView:
    return buyer.needs()[0]


def told(grid: Parts, txn: str) -> list[tuple[float, dict[int, Told], dict[int, float], str]]:
    """What was pushed to the grid: (when, as metered, foreseen, in words), in order."""
    node = grid.market.stalls["grid_orchestrator"][0].place().node
    found = []
    for one in node.journal.inbox.of_transaction(txn):
        if one.action != "on_status":
            continue
        message = parse(bytes(one.body), one.action)
        parts = message.plain["message"]["contract"].get("performance", [])
        words = [part.get("status", {}).get("shortDesc", "") for part in parts]
        found.append((one.received, *papers.performance(message), " ".join(words)))
    return found


async def test_a_site_cut_off_is_replaced_and_what_it_delivered_counts_when_it_proves_it(
    tmp_path: Path,
) -> None:
    town = Town(tmp_path, "one.test", "two.test", "portfolio.test", "buyer.test")
    fast = buying(silent_seconds=3.0)
    async with contextlib.AsyncExitStack() as stack:
        cable = await stack.enter_async_context(cable_to(town, "one.test"))
        site = await stack.enter_async_context(
            daemon(cable.site(town.battery("one.test", 10.0, 0.1)))
        )
        await stack.enter_async_context(daemon(town.battery("two.test", 10.0, 0.2)))
        middle = await stack.enter_async_context(
            daemon(town.portfolio(fast, "one.test", "two.test", proof=60.0))
        )
        grid = await stack.enter_async_context(
            daemon(town.grid(buying(), town.knows("grid", "portfolio.test")))
        )
        buyer, sites = await buyer_of(grid), await buyer_of(middle, "flex_orchestrator")
        start = int(time.time()) // SLOT * SLOT + 5 * SLOT
        buyer.add_need(12.0, start, start + 8 * SLOT, 100.0, "price")
        await until(lambda: any(order.state == "ORDERED" for order in need_of(buyer).orders))
        split = {lot.seller: lot.kw[0] for lot in need_of(sites).orders if lot.state == "ORDERED"}
        assert split == {"one.test": 10.0, "two.test": 2.0}
        txn = buyer.work.buyer.records.lots()[0].transaction_id

        await until(lambda: time.time() > start + SLOT + 1)
        cable.cut(site)
        await until(
            lambda: any(
                lot.seller == "two.test" and max(lot.kw) > 2.0 for lot in need_of(sites).orders
            )
        )
        # Nothing more was asked of the one that is silent, and the grid knows what is open.
        assert len([lot for lot in need_of(sites).orders if lot.seller == "one.test"]) == 1
        await until(lambda: any("fall(s) short" in words for _, _, _, words in told(grid, txn)))
        await until(lambda: time.time() > start + 8 * SLOT)
        without = told(grid, txn)
        assert (
            need_of(buyer).state == "OPEN"
        )  # complete only when it is proved, or too late for that

        cable.mend()
        await until(lambda: need_of(buyer).state == "CLOSED", 2 * PATIENCE)
        order = next(lot for lot in need_of(buyer).orders if lot.state == "DONE")
        assert order.seller == "portfolio.test"
        first: dict[int, float] = {}
        for _, metered, _, _ in without:
            for at, one in metered.items():
                first.setdefault(at, one.delivered)
        final = dict(zip(range(start, start + 8 * SLOT, SLOT), order.delivered_kw, strict=True))
        assert any(final[at] >= kw + 5.0 for at, kw in first.items()), (first, final)


@given(
    st.lists(
        st.tuples(st.integers(0, 50), st.integers(1, 60), st.integers(0, 3)), min_size=1, max_size=5
    )
)
def test_the_sum_of_offers_never_promises_more_than_the_sites_nor_pays_them_less(
    parts: list[tuple[int, int, int]],
) -> None:
    listings = [
        Listing(
            f"s{number}",
            "r",
            "o",
            "n",
            1800,
            {7200: float(kw)},
            {7200: price / 100.0},
            notice * 60.0,
            1800.0 * (1 + notice),
            7200.0,
            3600.0,
            0.9,
            1e9,
            0.0,
        )
        for number, (kw, price, notice) in enumerate(parts)
    ]
    sell = SellSettings(margin=0.0, notice=0.0, least_kw=1.0)
    found = added_up(listings, sell, 1800, 60.0, 0.0)
    total = sum(kw for kw, _, _ in parts)
    assert sum(slot.steps[-1].kw for slot in found.slots) <= total
    for slot in found.slots:
        sizes = [step.kw for step in slot.steps]
        assert sizes == sorted(sizes)
        cheapest = sorted((price / 100.0, float(kw)) for kw, price, _ in parts)
        for step in slot.steps:
            left, paid = step.kw, 0.0
            for price, kw in cheapest:
                taken = min(left, kw)
                left, paid = left - taken, paid + taken * price
            assert left <= 1e-6
            assert step.gbp_per_kwh * step.kw >= paid - 1e-3
    used = [one for one, (kw, _, _) in zip(listings, parts, strict=True) if kw]
    assert found.notice >= max((one.notice for one in used), default=0.0)
    assert found.shortest >= max((one.shortest for one in used), default=0.0)
