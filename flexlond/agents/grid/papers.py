"""What a buyer writes into a contract, and what it reads out of one.

Law: pure. A need goes out as a DemandFlexNeed by slot with the price of the listing; what a seller answers is
read from its commitment (CAPACITY_OFFERED, its OFFER_PRICE where it says one) and its performance (BASELINE,
USAGE, and USAGE_FORECAST for what is foreseen, summed over the meters by slot). A slot in which a meter says
half of it is not told. kW, GBP per kWh; epoch seconds. Source: DEG's demand-flex packs (August 2026).
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from msgspec import UnsetType

from flexlond.agents.grid.records import Told
from flexlond.beckn.wire import packs, series
from flexlond.beckn.wire.codes import Code, Refusal
from flexlond.beckn.wire.durations import duration_of, moment_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from flexlond.agents.grid.listings import Listing
    from flexlond.beckn.journal.contracts import Standing
    from flexlond.beckn.wire.messages import Message

_CONTEXT = "https://schema.nfh.global/{}/context.jsonld"
POLICY = (
    "https://raw.githubusercontent.com/beckn/DEG/refs/heads/main/specification/policies/"
    "demand-flex-contractpolicy.rego"
)
QUERY = "data.deg.contracts.demand_flex"
USAGE_FORECAST = "USAGE_FORECAST"
SCHEMAS = tuple(
    _CONTEXT.format(name)
    for name in (
        "DemandFlexNeed/v2.0",
        "DemandFlexBuyOffer/v2.0",
        "DEGContract/v2.0",
        "BecknTimeSeries/v1.0",
    )
)


def series_of(
    columns: Mapping[str, Mapping[int, float]], slot_seconds: int, by: str
) -> dict[str, Any]:
    """Columns by slot as an interval grid; the slots are those of the first column, without a gap."""
    starts = sorted(next(iter(columns.values())))
    units = {
        series.PRICE: "GBP_PER_KWH",
        series.OFFER_PRICE: "GBP_PER_KWH",
        series.SHORTFALL_PENALTY: "GBP_PER_KWH",
    }
    return {
        "intervalPeriod": {
            "start": moment_of(starts[0]).replace(".000Z", "Z"),
            "duration": duration_of(slot_seconds),
        },
        "payloadDescriptors": [
            {
                "objectType": "EVENT_PAYLOAD_DESCRIPTOR",
                "payloadType": name,
                "units": units.get(name, "KW"),
                "insertedBy": by,
            }
            for name in columns
        ],
        "intervals": [
            {
                "id": number,
                "payloads": [
                    {"type": name, "values": [round(values[at], 6)]}
                    for name, values in columns.items()
                ],
            }
            for number, at in enumerate(starts)
        ],
    }


def bag(kind: str, version: str, fields: Mapping[str, Any]) -> dict[str, Any]:
    """An attribute bag of DEG's."""
    name = "BecknTimeSeries" if kind == "TimeSeries" else kind
    return {"@context": _CONTEXT.format(f"{name}/{version}"), "@type": kind, **fields}


def selection(
    buyer: str, listing: Listing, kw: Mapping[int, float], penalty: float
) -> dict[str, Any]:
    """The message of a select for `kw` of a listing, at its prices."""
    columns = {
        series.CAPACITY_REQUESTED: dict(kw),
        series.PRICE: {at: listing.price[at] for at in kw},
        series.SHORTFALL_PENALTY: dict.fromkeys(kw, penalty),
    }
    need = series_of(columns, listing.slot_seconds, "buyer")
    roles = [("buyer", buyer), ("seller", listing.seller)]
    commitment = {
        "id": "commitment-1",
        "status": {"descriptor": {"code": "DRAFT"}},
        "resources": [
            {
                "id": listing.resource,
                "quantity": {"unitCode": "kW", "unitQuantity": max(kw.values())},
                "resourceAttributes": bag("DemandFlexNeed", "v2.0", need),
            }
        ],
        "offer": {
            "id": listing.offer,
            "resourceIds": [listing.resource],
            "offerAttributes": bag(
                "DemandFlexBuyOffer",
                "v2.0",
                {
                    "inputs": [
                        {"role": "buyer", "participantId": buyer, "inputs": {"currency": "GBP"}},
                        {"role": "seller", "participantId": listing.seller},
                    ]
                },
            ),
        },
    }
    return {"contract": draft(commitment, roles, {"url": POLICY, "queryPath": QUERY})}


def draft(
    commitment: Mapping[str, Any], roles: Sequence[tuple[str, str]], policy: Mapping[str, str]
) -> dict[str, Any]:
    """A contract of one commitment between `roles`, (role, participant), as a select brings it."""
    return {
        "status": {"code": "DRAFT"},
        "commitments": [commitment],
        "participants": [{"id": name} for _, name in roles],
        "contractAttributes": bag(
            "DEGContract",
            "v2.0",
            {
                "roles": [{"role": role, "participantId": name} for role, name in roles],
                "policy": policy,
            },
        ),
    }


def again(standing: Standing) -> dict[str, Any]:
    """The contract as last agreed, as the message of a cancel or an update."""
    contract = json.loads(standing.body) if standing.body else {}
    contract.pop("performance", None)
    return {"contract": {**contract, "id": standing.contract_id}}


def question(name: str, standing: Standing, page: str) -> dict[str, Any]:
    """The message of a support or track; the schema wants an address in a track, so it has `page`."""
    if name == "support":
        return {"support": {"orderId": standing.contract_id}}
    return {"tracking": {"url": page, "status": "INACTIVE", **again(standing)}}


def answer(message: Message) -> str:
    """An on_support or on_track in one line for people, whatever a stranger wrote there."""
    inner = message.plain["message"]
    if "tracking" in inner:
        said = f"{inner['tracking']['url']} ({inner['tracking']['status']})"
    else:
        found = inner.get("support", {})
        words = [found.get("descriptor", {}).get(key) for key in ("name", "shortDesc", "longDesc")]
        for channel in found.get("channels", ()):
            words += [f"{key} {value}" for key, value in channel.items() if key[0] != "@"]
        said = "; ".join(str(word) for word in words if word)
    plain = "".join(one if one.isprintable() else " " for one in said)[:600]
    return plain or "it names nothing"


def terms(message: Message) -> tuple[dict[int, float], dict[int, float]]:
    """(kW, GBP per kWh) by slot that a seller's contract promises. Raises Refusal where it is not clear."""
    contract = message.contract
    if contract is None or len(contract.commitments) != 1:
        raise Refusal(Code.SCH_SCHEMA_VALIDATION_FAILED, "expected a contract with one commitment")
    commitment = contract.commitments[0]
    path = "$.message.contract.commitments[0]"
    offered: Any = commitment.commitment_attributes
    table = packs.read(offered, path) if isinstance(offered, dict) else None
    if table is None:
        raise Refusal(
            Code.SCH_REQUIRED_FIELD_MISSING, "no CAPACITY_OFFERED; expected it by slot", path
        )
    starts = [round(start) for start, _ in series.grid_of(table, path)]
    kw = series.column(table, series.CAPACITY_OFFERED, path)
    try:
        price = series.column(table, series.OFFER_PRICE, path)
    except Refusal:
        asked = commitment.resources[0].resource_attributes if commitment.resources else None
        price = asked_price(asked, starts, path)
    return dict(zip(starts, kw, strict=True)), dict(zip(starts, price, strict=True))


def asked_price(attributes: Any, starts: list[int], path: str) -> list[float]:
    """The PRICE of a DemandFlexNeed in some of its slots. Raises Refusal where it has none."""
    table = packs.read(attributes, path) if isinstance(attributes, dict) else None
    if table is None:
        raise Refusal(Code.SCH_REQUIRED_FIELD_MISSING, "no price; expected it by slot", path)
    spans = [round(start) for start, _ in series.grid_of(table, path)]
    found = dict(zip(spans, series.column(table, series.PRICE, path), strict=True))
    if any(at not in found for at in starts):
        raise Refusal(Code.SCH_ATTRIBUTE_PACK_INVALID, "a slot without a price", path)
    return [found[at] for at in starts]


def performance(message: Message) -> tuple[dict[int, Told], dict[int, float]]:
    """(what was metered, what is foreseen) by slot. Raises Refusal where a series is not readable."""
    contract = message.contract
    if contract is None or isinstance(contract.performance, UnsetType):
        return {}, {}
    sums: dict[int, dict[str, float]] = {}
    meters: dict[int, dict[str, int]] = {}
    count = 0
    for one in contract.performance:
        attributes: Any = one.performance_attributes
        pack = packs.read(attributes, "$.performance") if isinstance(attributes, dict) else None
        if not isinstance(pack, packs.DemandFlexPerformance) or isinstance(pack.meters, UnsetType):
            continue
        for meter in pack.meters:
            count += 1
            for at, name, value in _cells(meter.telemetry):
                row, seen = sums.setdefault(at, {}), meters.setdefault(at, {})
                row[name] = row.get(name, 0.0) + value
                seen[name] = seen.get(name, 0) + 1
    whole = {
        at: {name: value for name, value in row.items() if meters[at][name] == count}
        for at, row in sums.items()
    }
    told = {
        at: Told(row[series.BASELINE], row[series.USAGE])
        for at, row in whole.items()
        if series.BASELINE in row and series.USAGE in row
    }
    foreseen = {
        at: max(0.0, row[series.BASELINE] - row[USAGE_FORECAST])
        for at, row in whole.items()
        if series.BASELINE in row and USAGE_FORECAST in row and series.USAGE not in row
    }
    return told, foreseen


def _cells(table: series.SeriesFields) -> list[tuple[int, str, float]]:
    """(slot, column, number) of a series whose rows may have different columns."""
    found = []
    for (start, _), row in zip(series.grid_of(table, "$.telemetry"), table.intervals, strict=True):
        for payload in row.payloads:
            value = payload.values[0] if len(payload.values) == 1 else None
            if isinstance(value, int | float) and not isinstance(value, bool):
                found.append((round(start), payload.type, float(value)))
    return found
