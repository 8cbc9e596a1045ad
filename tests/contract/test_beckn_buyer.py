"""All that a buyer says validates against the published Beckn 2.0.0 LTS and DEG's attribute packs.

As test_beckn_upstream.py: the specification's files are no part of the project, skipped where they are not.
"""

from __future__ import annotations

import json

import pytest

from tests.contract.test_beckn_seller import bags, check_pack
from tests.contract.test_beckn_upstream import UPSTREAM, check_message
from tests.unit.agents.grid.world import FIRST, SLOT, T0, Shop, World

pytestmark = pytest.mark.skipif(
    not UPSTREAM.is_dir(),
    reason="the Beckn specification files are not beside the project (../shared/beckn)",
)


async def test_all_that_a_buyer_says_validates() -> None:
    cheap, dear = Shop(1, [30.0, 30.0], 0.10), Shop(2, [100.0, 100.0], 0.20)
    cheap.silent_to = {"confirm", "status"}
    world = World(cheap, dear)
    world.need(50.0)
    now = await world.go(T0, 90.0, 15.0)  # in doubt, asked about, bought elsewhere
    cheap.silent_to = set()
    now = await world.go(now, 300.0, 30.0)
    assert world.agent.cancel(world.lots("ORDERED")[0].transaction_id, now) == ""
    world.settle(now)
    now = await world.go(now, 60.0, 15.0)  # bought anew
    end = float(FIRST + 2 * SLOT)
    for lot in world.lots("ORDERED"):
        told = {at: (100.0, 100.0 - kw) for at, kw in lot.kw.items()}
        shop = cheap if lot.seller == cheap.us.id else dear
        shop.tell(lot.transaction_id, told, end, status="COMPLETE")
    await world.go(end)
    rows = world.node.journal.database.rows("SELECT body FROM outbox ORDER BY seq")
    seen, kinds = set(), set()
    for (raw,) in rows:
        plain = json.loads(raw)
        check_message(plain)
        seen.add(plain["context"]["action"])
        kinds |= {check_pack(bag) for bag in bags(plain["message"])}
    assert seen == {"discover", "select", "init", "confirm", "status", "cancel", "rate"}
    assert {"DemandFlexNeed", "DemandFlexBuyOffer", "DEGContract", "BecknTimeSeries"} <= kinds
