"""What a grid writes as BPP: its open needs as a catalogue, what it takes of a bid, and what it pays.

Law: pure. A need goes out by slot with what is still open of it, the incentive and the penalty; its id does not
tell its source. What is paid is settled as DEG's policy has it (flexlond/settlement/deg.py): the flows of both
sides add up to zero. kW, GBP per kWh; epoch seconds. Source: DEG's demand-flex packs (August 2026).
"""

from __future__ import annotations

import hashlib
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from flexlond.agents.grid.papers import POLICY, QUERY, bag, series_of
from flexlond.beckn.wire import packs, series
from flexlond.beckn.wire.codes import Code, Refusal
from flexlond.beckn.wire.durations import moment_of
from flexlond.settlement.deg import DegSlot, MeterKw, settle

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from flexlond.agents.grid.needs import Wanted
    from flexlond.agents.grid.records import Lot
    from flexlond.beckn.wire.messages import Message

CATALOG = "needs"
FLOWS = "auto-revenue-flows"
_MILLIWATT = Decimal("0.000001")  # in kW; and of a price per kWh
_COMMITMENT = "$.message.contract.commitments[0]"


def name_of(key: str) -> str:
    """The id of a need's resource and offer."""
    return f"need-{hashlib.sha256(key.encode()).hexdigest()[:20]}"


def catalogue(
    us: tuple[str, str],
    needs: Sequence[tuple[Wanted, Mapping[int, float], float]],
    price: float,
    penalty: float,
    now: float,
) -> list[dict[str, Any]]:
    """The catalogue of needs, each with its open kW by slot and the last moment to bid; or none."""
    if not needs:
        return []
    until = max(last for _, _, last in needs)
    return [
        {
            **_headed(us),
            "isActive": True,
            "validity": {"startDate": moment_of(now), "endDate": moment_of(until)},
            "resources": [_resource(wanted, kw, price, penalty) for wanted, kw, _ in needs],
            "offers": [_offer(us[0], wanted, last) for wanted, _, last in needs],
        }
    ]


def withdrawn(us: tuple[str, str], now: float) -> list[dict[str, Any]]:
    """The catalogue of a grid that needs nothing more, for those who hold an earlier one."""
    return [
        {
            **_headed(us),
            "isActive": False,
            "validity": {"startDate": moment_of(now), "endDate": moment_of(now)},
            "resources": [],
            "offers": [],
        }
    ]


def _headed(us: tuple[str, str]) -> dict[str, Any]:
    return {
        "id": CATALOG,
        "descriptor": {"name": "Demand flexibility needs"},
        "bppId": us[0],
        "bppUri": us[1],
        "provider": {"id": us[0], "descriptor": {"name": us[0]}},
    }


def _resource(
    wanted: Wanted, kw: Mapping[int, float], price: float, penalty: float
) -> dict[str, Any]:
    starts = wanted.starts()
    columns = {
        series.CAPACITY_REQUESTED: {at: kw.get(at, 0.0) for at in starts},
        series.PRICE: dict.fromkeys(starts, price),
        series.SHORTFALL_PENALTY: dict.fromkeys(starts, penalty),
    }
    need = series_of(columns, wanted.slot_seconds, "buyer")
    return {
        "id": name_of(wanted.key),
        "descriptor": {"name": "Less power for some slots"},
        "quantity": {"unitCode": "kW", "unitQuantity": max(kw.values(), default=0.0)},
        "resourceAttributes": bag("DemandFlexNeed", "v2.0", need),
    }


def _offer(us: str, wanted: Wanted, last: float) -> dict[str, Any]:
    name = name_of(wanted.key)
    roles = [{"role": "buyer", "participantId": us}, {"role": "seller", "participantId": None}]
    template = {"roles": roles, "policy": {"url": POLICY, "queryPath": QUERY}}
    buyer = {"role": "buyer", "participantId": us, "inputs": {"currency": "GBP"}}
    terms = {
        "contractAttributes": bag("DEGContract", "v2.0", template),
        "inputs": [buyer, roles[1]],
    }
    return {
        "id": name,
        "descriptor": {"name": "Less power, paid by the kWh"},
        "resourceIds": [name],
        "validity": {"endDate": moment_of(last)},
        "offerAttributes": bag("DemandFlexBuyOffer", "v2.0", terms),
    }


def resource_of(message: Message) -> str:
    """The need that a bid is for. Raises Refusal where it is not one."""
    commitments = message.plain_contract["commitments"]
    resources = commitments[0].get("resources") or [{}]
    name = str(resources[0].get("id", ""))
    if len(commitments) != 1 or len(resources) != 1 or commitments[0]["offer"].get("id") != name:
        raise Refusal(
            Code.BIZ_OFFER_NOT_FOUND,
            "expected one commitment, of one need under its own offer",
            f"{_COMMITMENT}.offer.id",
        )
    return name


def bid_of(message: Message, slot_seconds: int) -> dict[int, float]:
    """KW by slot that a bid gives, without zeros; in a select without them, what the need asks for."""
    commitment = message.plain_contract["commitments"][0]
    path, name = f"{_COMMITMENT}.commitmentAttributes", series.CAPACITY_OFFERED
    found: Any = commitment.get("commitmentAttributes")
    if found is None and message.action.name == "select":
        path, name = f"{_COMMITMENT}.resources[0].resourceAttributes", series.CAPACITY_REQUESTED
        found = commitment["resources"][0].get("resourceAttributes")
    table = packs.read(found, path) if isinstance(found, dict) else None
    if not isinstance(table, series.SeriesFields):
        raise Refusal(Code.SCH_REQUIRED_FIELD_MISSING, f"no {name}; expected kW by slot", path)
    spans = series.grid_of(table, path)
    if {round(end - start) for start, end in spans} != {slot_seconds}:
        raise Refusal(Code.SCH_ATTRIBUTE_PACK_INVALID, f"expected slots of {slot_seconds} s", path)
    kw = series.column(table, name, path)
    if any(value < 0.0 for value in kw):
        raise Refusal(Code.SCH_ATTRIBUTE_PACK_INVALID, f"{name} below 0", path)
    return {round(start): v for (start, _), v in zip(spans, kw, strict=True) if v > 0.0}


def asked_terms(message: Message, column: str) -> set[float]:
    """The values of a column of the need that a bid repeats; empty where it has none."""
    resource = message.plain_contract["commitments"][0]["resources"][0]
    attributes: Any = resource.get("resourceAttributes")
    table = packs.read(attributes, _COMMITMENT) if isinstance(attributes, dict) else None
    if not isinstance(table, series.SeriesFields):
        return set()
    return {
        float(value)
        for row in table.intervals
        for payload in row.payloads
        if payload.type == column
        for value in payload.values
        if isinstance(value, int | float)
    }


def taken(
    contract: Mapping[str, Any], kw: Mapping[int, float], wanted: Wanted, status: str
) -> dict[str, Any]:
    """The bidder's contract with what is taken of it. `status` is the commitment's."""
    columns = {series.CAPACITY_OFFERED: {at: kw.get(at, 0.0) for at in wanted.starts()}}
    commitment = {
        **contract["commitments"][0],
        "status": {"descriptor": {"code": status}},
        "commitmentAttributes": bag(
            "TimeSeries", "v1.0", series_of(columns, wanted.slot_seconds, "seller")
        ),
    }
    return {**contract, "commitments": [commitment]}


def settled(contract: Mapping[str, Any], lot: Lot, penalty: float) -> dict[str, Any]:
    """The contract with what the buyer pays the seller, in place of an earlier word on it.

    Without it where a slot was not told: DEG settles nothing then, for a gap would be charged as a shortfall.
    """
    starts = sorted(lot.kw)
    hours = Decimal(lot.slot_seconds) / 3600
    slots = [
        DegSlot(number, hours, _decimal(lot.kw[at]), _decimal(lot.price[at]), _decimal(penalty))
        for number, at in enumerate(starts)
    ]
    told = [lot.told.get(at) for at in starts]
    meter = [
        MeterKw(None, None) if one is None else MeterKw(_decimal(one.baseline), _decimal(one.usage))
        for one in told
    ]
    flows = settle(slots, {lot.seller: meter}).flows("GBP")
    found = [one for one in contract.get("consideration", ()) if one.get("id") != FLOWS]
    if flows:
        plain = [{**one, "value": float(one["value"])} for one in flows]
        ours = bag("RevenueFlow", "v2.0", {"revenueFlows": plain})
        found.append({"id": FLOWS, "status": {"code": "SETTLED"}, "considerationAttributes": ours})
    rest = {key: value for key, value in contract.items() if key != "consideration"}
    return {**rest, "consideration": found} if found else rest


def _decimal(value: float) -> Decimal:
    return Decimal(repr(value)).quantize(_MILLIWATT)
