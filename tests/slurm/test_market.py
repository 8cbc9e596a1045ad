"""A grid buys of the real cluster over signed HTTP: delivered by slot, nothing sold twice, cancelled in time.

The buyer is composed in the test's own process, as a flexlond without Slurm composes it; the seller is the
installed service. What it delivers is what the simulated meter read, for nothing else is told.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import time
import uuid
from typing import TYPE_CHECKING, Any

import pytest

from flexlond.agents.grid import papers
from flexlond.beckn.wire.actions import Role
from flexlond.daemon.compose import compose
from tests.slurm.markets import (
    METER,
    POWER,
    SLOT,
    batch,
    buyer_of,
    buying,
    metered,
    need_of,
    ordered,
    selling,
    trust,
    wait_for,
)

if TYPE_CHECKING:
    from pathlib import Path

    from flexlond.agents.grid.agent import GridAgent
    from flexlond.agents.grid.views import LotView

__all__ = ["metered", "trust"]

pytestmark = pytest.mark.slurm

WINDOW = 4
NOTICE = 3 * SLOT
# Where five clusters share two cores an envelope may take minutes, and what has begun cannot be sold any more.
# So nothing here rests on a moment that was fixed before it was known what is on offer: a batch that is about
# to begin and was not sold is taken back, and one that begins later is submitted.
LEADS = (12, 24, 24)  # slots until a batch begins; the envelope sees 36
SOLD = 2.5  # kW; a job of four GPUs draws 3.4
GAP = 5 * SLOT  # between the order that is cancelled and the one that is delivered
JOBS = 3  # of a node each, longer than the window and with generous limits
DELIVERED = 0.95


def give_up(buyer: GridAgent, key: str) -> None:
    """Not wanted any more; else what is cancelled would be bought again."""
    with buyer.place.node.journal.transaction():
        buyer.work.buyer.records.want(key, (0.0, 0.0), "not wanted any more")


def take_back(jobs: list[int]) -> None:
    """A batch that could not be sold."""
    subprocess.run(["scancel", *(str(job) for job in jobs)], check=True)


def window_of(scene: Any, order_id: str) -> dict[str, Any]:
    """The window that keeps an order."""
    found: list[dict[str, Any]] = scene.ctl("window", "list")["windows"]
    return next(one for one in found if one.get("order_id") == order_id)


def on_offer(buyer: GridAgent, slots: set[int]) -> bool:
    listings = buyer.work.buyer.listings.values()
    return any(all(one.kw.get(at, 0.0) >= SOLD for at in slots) for one in listings)


async def batch_on_offer(scene: Any, buyer: GridAgent, lead: int) -> tuple[list[int], int]:
    """A batch whose delay is on offer, and the first slot of the order that is cancelled; no jobs: too late."""
    early = (int(time.time()) // SLOT + lead) * SLOT
    jobs = batch(scene, early - 10, 20, 420, JOBS)
    start = early + GAP
    wanted = {early, early + SLOT, *range(start, start + WINDOW * SLOT, SLOT)}
    while time.time() < early - NOTICE - 2 * SLOT:
        await buyer.would_pick("price", 0.0, 0, 0, -1.0)
        if on_offer(buyer, wanted):
            return jobs, early
        await asyncio.sleep(1)
    take_back(jobs)
    return [], early


async def ordered_in_time(buyer: GridAgent, key: str, until: float) -> LotView | None:
    while time.time() < until:
        if found := ordered(buyer, key):
            return found
        await asyncio.sleep(0.5)
    return None


async def refused_beyond_capacity(buyer: GridAgent, start: int) -> str:
    """The code of an init for more than is left; by hand, for the buyer itself would not ask for it."""
    node = buyer.place.node
    (seller,) = buyer.place.peers(Role.BPP, time.time())
    listing = next(iter(buyer.work.buyer.listings.values()))
    txn = str(uuid.uuid4())
    kw = {start + n * SLOT: 5.0 for n in range(WINDOW)}
    listing.price.update({at: 1.0 for at in kw if at not in listing.price})
    node.ask("select", seller, txn, papers.selection(node.us.id, listing, kw, 0.0), time.time())
    buyer.place.wake()

    def came(action: str) -> dict[str, Any] | None:
        found = [one for one in node.journal.inbox.of_transaction(txn) if one.action == action]
        return json.loads(found[-1].body) if found else None

    quote = await wait_for(lambda: came("on_select"), 120, lambda: "no on_select")
    if "error" in quote:
        return str(quote["error"]["code"])
    contract = quote["message"]["contract"]
    for row in contract["commitments"][0]["commitmentAttributes"]["intervals"]:
        for payload in row["payloads"]:
            if payload["type"] == "CAPACITY_OFFERED":
                payload["values"] = [10_000.0]
    node.ask("init", seller, txn, {"contract": contract}, time.time())
    buyer.place.wake()
    answer = await wait_for(lambda: came("on_init"), 120, lambda: "no on_init")
    return str(answer.get("error", {}).get("code", "accepted"))


async def test_an_order_is_delivered_slot_by_slot_and_a_second_one_is_refused_or_cancelled(
    scene: Any, trust: Path, metered: Path
) -> None:
    # One depth, and much time: beside other clusters one of twice as many plans was given up after 30 s.
    envelope = {
        "windows": 12,
        "window_slots": 3,
        "level": 0.8,
        "depths": [0.4],
        "seconds": 240.0,
    }
    scene.act(
        [100.0] * 180,
        slot=SLOT,
        power=POWER,
        meter={**METER, "max_age": 20.0},
        envelope=envelope,
        market=selling(notice=float(NOTICE), stale=300.0),
    )
    plain = scene.sbatch("bob", "-t1", wrap="sleep 15")
    promised: dict[int, int] = {}
    parts = await compose(buying(trust))
    try:
        buyer = await buyer_of(parts)
        for lead in LEADS:
            flexible, early = await batch_on_offer(scene, buyer, lead)
            if not flexible:
                continue
            promised |= dict.fromkeys(flexible, early - 10 + 15 * 60)
            other = buyer.add_need(SOLD, early, early + 2 * SLOT, 500.0, "price").key
            if cancelled := await ordered_in_time(buyer, other, early - NOTICE):
                break
            give_up(buyer, other)
            take_back(flexible)
            promised.clear()
        else:
            pytest.fail(f"nothing could be sold in time: {scene.ctl('envelope')}")

        # One that is cancelled inside its notice, before it begins, releases its window.
        assert window_of(scene, cancelled.order_id)["state"] == "planned"
        start = early + GAP
        key = buyer.add_need(SOLD, start, start + WINDOW * SLOT, 500.0, "price").key
        await asyncio.sleep(max(0.0, early - NOTICE + 2 - time.time()))
        assert buyer.cancel(cancelled.order_id) == ""
        give_up(buyer, other)
        await wait_for(
            lambda: window_of(scene, cancelled.order_id)["state"] == "cancelled",
            max(60.0, early - time.time()),
            lambda: f"{need_of(buyer, other)}",
        )
        assert {one.state for one in need_of(buyer, other).orders} == {"LOST"}

        # What is sold is sold. For a moment it may know of nothing to sell: its envelope is being made.
        first = await wait_for(
            lambda: ordered(buyer, key),
            start - NOTICE - time.time(),
            lambda: f"{need_of(buyer, key)}",
        )
        code = "BIZ_FULFILLMENT_UNAVAILABLE"
        while code == "BIZ_FULFILLMENT_UNAVAILABLE" and time.time() < start:
            code = await refused_beyond_capacity(buyer, start)
        assert code == "BIZ_QUANTITY_UNAVAILABLE"

        # Delivered, told, complete, rated.
        await wait_for(
            lambda: need_of(buyer, key).state == "CLOSED",
            start + WINDOW * SLOT + 300 - time.time(),
            lambda: f"{need_of(buyer, key)}",
        )
        (done,) = [one for one in need_of(buyer, key).orders if one.state == "DONE"]
        number = str(window_of(scene, first.order_id)["window_id"])
        ramp = int(scene.ctl("window", "show", number)["ramp_slots"])
        print("sold", done.kw, "delivered", done.delivered_kw)
        for sold, delivered in list(zip(done.kw, done.delivered_kw, strict=True))[ramp:]:
            assert delivered >= DELIVERED * sold, done
        assert done.rating == 5
    finally:
        await parts.market.close()
        await parts.close()

    # Consent and deadlines.
    assert scene.line(plain).get("touched") in {None, False}
    for job, latest in promised.items():
        record = scene.job(job)
        assert (record.begin if record.state == "PENDING" else record.start) <= latest
