"""A bid over the simulated Slurm: won, it is a window of the queue, told by the meter and paid as a sale."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.unit.agents.bidding.kit import BIDS, NEEDS, Fair
from tests.unit.agents.conftest import SLOT, settings
from tests.unit.agents.market.kit import FIRST, Deal, NodesMeter

if TYPE_CHECKING:
    from pathlib import Path

    from flexlond.agents.market.queue import QueueWorks
    from flexlond.model.settings import Settings

__all__ = ["settings"]


async def test_a_bid_that_is_won_is_a_window_of_the_queue(
    tmp_path: Path, settings: Settings
) -> None:
    deal = Deal(tmp_path, settings)
    deal.metered(NodesMeter(deal.bench.slurm))
    deal.busy()
    works: QueueWorks = deal.seller.works  # type: ignore[assignment]
    folder = tmp_path / "fair"
    folder.mkdir()
    fair = Fair(folder, works)  # type: ignore[arg-type]

    async def beat(seconds: int) -> None:
        deal.bench.slurm.advance(seconds)
        await deal.bench.cycle()
        fair.now = float(deal.now)
        await fair.go()

    fair.now = float(deal.now)
    await deal.bench.cycle()
    await works.refresh(fair.now)
    fair.need(15.0, first=FIRST + SLOT)
    await fair.go()
    (sale,) = fair.bids("kept")
    assert sale.watts == {FIRST + SLOT: 15_000, FIRST + 2 * SLOT: 15_000}
    window = deal.bench.agent.window_of(sale.order_id)
    assert window is not None
    assert sale.name == f"window {window.window_id}"
    assert [round(b - c, 6) for b, c in zip(window.baseline, window.caps, strict=True)] == [
        15.0
    ] * 2
    while deal.now < window.end + 600:
        await beat(300)
    (sale,) = fair.bids()
    assert sale.state == "over"
    assert {row.source for row in sale.rows.values()} == {"metered"}
    (lot,) = fair.lots("DONE")
    assert set(lot.told) == set(sale.watts)
    for at, row in sale.rows.items():
        assert lot.told[at].delivered == pytest.approx(row.baseline_kw - row.usage_kw, abs=1e-5)
        assert lot.told[at].delivered >= 15.0 - 1e-6
    txn = sale.transaction_id
    assert fair.state(BIDS.id, txn) == fair.state(NEEDS.id, txn) == "COMPLETE"
    for _, raw in fair.wire:
        assert b"job" not in raw
    fair.close()
    deal.close()
    deal.bench.store.close()
