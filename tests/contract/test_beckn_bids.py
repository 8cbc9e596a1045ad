"""All that a bidder and a publishing grid say validates against Beckn 2.0.0 LTS and DEG's attribute packs.

As test_beckn_upstream.py: the specification's files are no part of the project, skipped where they are not.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import msgspec
import pytest

from tests.contract.test_beckn_seller import bags, check_pack
from tests.contract.test_beckn_upstream import UPSTREAM, check_message
from tests.unit.agents.bidding.kit import BID, BIDS, GRID, Fair
from tests.unit.agents.conftest import SLOT
from tests.unit.agents.market.kit import FIRST

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.skipif(
    not UPSTREAM.is_dir(),
    reason="the Beckn specification files are not beside the project (../shared/beckn)",
)


async def test_all_that_both_sides_of_a_bid_say_validates(tmp_path: Path) -> None:
    fair = Fair(
        tmp_path,
        grid=msgspec.structs.replace(GRID, publish_to=(BIDS.id,)),
        bid=msgspec.structs.replace(BID, take_published=True),
    )
    fair.need(40.0)
    await fair.go(30.0)
    fair.shop.refuse = "no plan keeps it"
    fair.need(20.0)
    await fair.go(30.0)  # won, and cancelled by the site
    fair.shop.refuse = ""
    fair.need(10.0, first=FIRST + 2 * SLOT)
    await fair.go(60.0)
    (late,) = [one for one in fair.lots("ORDERED") if min(one.kw) == FIRST + 2 * SLOT]
    assert fair.tender.call_off(late.transaction_id, fair.now) == ""  # cancelled by the grid
    for at in (FIRST + SLOT + 1, FIRST + 2 * SLOT + 1):
        fair.now = float(at)
        fair.shop.drawn |= {at - 1 - SLOT: 60.0}
        await fair.go()
    await fair.go(60.0)
    assert fair.bids("over")
    seen, kinds = set(), set()
    for _, raw in fair.wire:
        plain = json.loads(raw)
        check_message(plain)
        seen.add(plain["context"]["action"])
        kinds |= {check_pack(bag) for bag in bags(plain["message"])}
    assert seen >= {
        "discover",
        "on_discover",
        "catalog/publish",
        "catalog/on_publish",
        "select",
        "on_select",
        "init",
        "on_init",
        "confirm",
        "on_confirm",
        "status",
        "on_status",
        "cancel",
        "on_cancel",
    }
    assert kinds >= {
        "DemandFlexNeed",
        "DemandFlexBuyOffer",
        "DEGContract",
        "BecknTimeSeries",
        "DemandFlexPerformance",
        "RevenueFlow",
    }
    fair.close()
