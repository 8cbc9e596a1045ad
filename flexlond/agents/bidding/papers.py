"""What a bidder writes: a need taken up with the kW that it will give, and what its meter read.

Law: pure. What the grid published is repeated as it is; ours is the seller's part alone: who we are, our meter,
CAPACITY_OFFERED on the need's own grid (0 in slots that are not bid), and the performance, whose rows count
from the need's first slot too. kW; epoch seconds. Source: DEG's demand-flex packs (August 2026): there the grid
is the BPP and the buyer, the flexible site the BAP and the seller.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from flexlond.agents.grid.papers import POLICY, QUERY, asked_price, bag, draft, terms
from flexlond.agents.market import papers
from flexlond.beckn.wire import packs, series

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from flexlond.agents.bidding.needs import Published
    from flexlond.agents.bidding.records import Entry
    from flexlond.agents.market.sales import Sale
    from flexlond.agents.market.works import Slot
    from flexlond.beckn.journal.contracts import Standing
    from flexlond.beckn.wire.messages import Message

INTENT = {"intent": {"textSearch": "demand flexibility needs"}}
_CONTEXT = "https://schema.nfh.global/{}/context.jsonld"
_COMMITMENT = "commitment-1"
SCHEMAS = tuple(
    _CONTEXT.format(name)
    for name in (
        "DemandFlexNeed/v2.0",
        "DemandFlexBuyOffer/v2.0",
        "DEGContract/v2.0",
        "BecknTimeSeries/v1.0",
        "DemandFlexPerformance/v2.0",
    )
)


def selection(us: str, meter: str, need: Published, watts: Mapping[int, int]) -> dict[str, Any]:
    """The message of a select."""
    terms = {key: value for key, value in need.terms.items() if key != "contractAttributes"}
    ours = {"role": "seller", "participantId": us, "inputs": {"participatingMeters": [meter]}}
    others = [one for one in need.terms["inputs"] if one["role"] != "seller"]
    buyer = next((one["participantId"] for one in others if one["participantId"]), need.seller)
    roles = [("buyer", buyer), ("seller", us)]
    template = need.terms.get("contractAttributes", {})
    policy = template.get("policy", {"url": POLICY, "queryPath": QUERY})
    commitment = {
        "id": _COMMITMENT,
        "status": {"descriptor": {"code": "DRAFT"}},
        "resources": [
            {
                "id": need.resource,
                "quantity": {"unitCode": "kW", "unitQuantity": max(watts.values()) / 1000.0},
                "resourceAttributes": need.need,
            }
        ],
        "offer": {
            "id": need.offer,
            "resourceIds": [need.resource],
            "offerAttributes": {**terms, "inputs": [*others, ours]},
        },
    }
    grid = (need.start, len(need.kw), need.slot_seconds)
    return {"contract": offered(draft(commitment, roles, policy), watts, grid)}


def offered(
    contract: Mapping[str, Any], watts: Mapping[int, int], grid: tuple[int, int, int]
) -> dict[str, Any]:
    """The contract with our kW on the need's grid: (its first second, how many slots, seconds of one)."""
    start, count, seconds = grid
    kw = {at: watts.get(at, 0) / 1000.0 for at in range(start, start + count * seconds, seconds)}
    table = papers.table({series.CAPACITY_OFFERED: kw}, seconds)
    commitment = {
        **contract["commitments"][0],
        "commitmentAttributes": bag("TimeSeries", "v1.0", table),
    }
    return {**contract, "commitments": [commitment]}


def progress(
    standing: Standing, meter: str, sale: Sale, entry: Entry, slots: Sequence[Slot], **said: str
) -> dict[str, Any]:
    """The message of a status that says how it goes; `said` is the code and why."""
    contract = agreed(standing)
    told = papers.performance(
        meter,
        sale,
        slots,
        code=said["code"],
        why=said.get("why", ""),
        origin=entry.need_start,
    )
    return {"contract": {**contract, "performance": told} if told else contract}


def agreed(standing: Standing) -> dict[str, Any]:
    """The contract as last agreed, without what was told of it."""
    contract: dict[str, Any] = json.loads(standing.body) if standing.body else {}
    for name in ("performance", "settlements"):
        contract.pop(name, None)
    return {**contract, "id": standing.contract_id}


def answered(
    message: Message, watts: Mapping[int, int]
) -> tuple[dict[int, float], dict[int, float]]:
    """(kW, incentive per kWh) by slot that a grid answers with; of kW that it leaves out, what was bid.

    Raises Refusal where it is not clear.
    """
    commitment = message.plain_contract["commitments"][0]
    if commitment.get("commitmentAttributes"):
        return terms(message)
    starts = sorted(watts)
    attributes = _need_of(message)
    price = asked_price(attributes, starts, "$.message.contract.commitments[0]")
    kw = {at: watts[at] / 1000.0 for at in starts}
    return kw, dict(zip(starts, price, strict=True))


def penalties(message: Message) -> dict[int, float]:
    """SHORTFALL_PENALTY by slot of the need that a contract repeats; empty where it has none."""
    attributes = _need_of(message)
    table = packs.read(attributes, "$.resourceAttributes") if isinstance(attributes, dict) else None
    if not isinstance(table, series.SeriesFields):
        return {}
    named = any(p.type == series.SHORTFALL_PENALTY for row in table.intervals for p in row.payloads)
    if not named:
        return {}
    values = series.column(table, series.SHORTFALL_PENALTY, "$.resourceAttributes")
    spans = series.grid_of(table, "$.resourceAttributes")
    return {round(start): value for (start, _), value in zip(spans, values, strict=True)}


def _need_of(message: Message) -> Any:
    """The attributes of the need that a contract repeats; None where it repeats none."""
    resources = message.plain_contract["commitments"][0].get("resources") or [{}]
    return resources[0].get("resourceAttributes")


def paid(message: Message) -> tuple[float, str] | None:
    """(what the grid says that it pays us, in which currency); None where it does not say."""
    for one in message.plain_contract.get("consideration", ()):
        attributes = one.get("considerationAttributes", {})
        if attributes.get("@type") != "RevenueFlow":
            continue
        for flow in attributes.get("revenueFlows", ()):
            if flow.get("role") == "seller":
                return float(flow["value"]), str(flow["currency"])
    return None


def words(message: Message) -> str:
    """The error of a callback, for people; empty for none."""
    if message.error is None:
        return ""
    return f"{message.error.code}: {message.error.message}"[:300]
