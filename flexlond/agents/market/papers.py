"""What a seller writes: catalogue, quote, performance; and what it reads out of a buyer's contract.

Law: pure. Only kW, prices and durations by slot leave here, and the site's own name. A contract is echoed as
the buyer wrote it; the seller's columns are its own. A slot that is over and known has BASELINE and USAGE, one
to come, or that no meter read, BASELINE and USAGE_FORECAST; a figure that is not known is left out, never zero.
kW, GBP per kWh; epoch seconds. Source: DEG's demand-flex packs (August 2026), our ComputeFlexOffer.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from flexlond.beckn.wire import packs, series
from flexlond.beckn.wire.codes import Code, Refusal
from flexlond.beckn.wire.durations import duration_of, moment_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from flexlond.agents.market.offering import Offering
    from flexlond.agents.market.sales import Sale
    from flexlond.agents.market.works import Slot
    from flexlond.beckn.wire.messages import Message
    from flexlond.model.market_settings import SellSettings

RESOURCE, OFFER, CATALOG = "flexibility-down", "flexibility-down", "flexibility"
USAGE_FORECAST = "USAGE_FORECAST"
LEDGER = "ledger-checkpoint"  # among a contract's settlements
_CONTEXT = "https://schema.nfh.global/{}/context.jsonld"
_SERIES = _CONTEXT.format("BecknTimeSeries/v1.0")
_PERFORMANCE = _CONTEXT.format("DemandFlexPerformance/v2.0")
_UNITS = {series.OFFER_PRICE: "GBP_PER_KWH", series.SHORTFALL_PENALTY: "GBP_PER_KWH"}
_COMMITMENT = "$.message.contract.commitments[0]"
SCHEMAS = (_SERIES, _PERFORMANCE, packs.OWN_CONTEXT)


def catalogue(
    us: tuple[str, str],
    offering: Offering,
    kw_left: Mapping[int, float],
    sell: SellSettings,
    now: float,
) -> list[dict[str, Any]]:
    """The catalogue of what is left, or none. `us` is our subscriber id and address."""
    slots = [one for one in offering.open(now) if kw_left.get(one.start, 0.0) >= sell.least_kw]
    if not slots:
        return []
    first, last = slots[0].start, slots[-1].start
    shown = {one.start: one for one in slots}
    columns: dict[str, dict[int, float]] = {series.CAPACITY_OFFERED: {}, series.OFFER_PRICE: {}}
    for at in range(first, last + 1, offering.slot_seconds):
        kw = kw_left[at] if at in shown else 0.0
        columns[series.CAPACITY_OFFERED][at] = kw
        columns[series.OFFER_PRICE][at] = shown[at].price(kw) if at in shown else 0.0
    validity = {
        "startDate": moment_of(now),
        "endDate": moment_of(max(one.order_by for one in slots)),
    }
    return [
        {
            **_headed(us, sell),
            "isActive": True,
            "validity": validity,
            "resources": [
                {
                    "id": RESOURCE,
                    "descriptor": {"name": "Less power for some slots"},
                    "resourceAttributes": {
                        "@context": _SERIES,
                        "@type": "TimeSeries",
                        **table(columns, offering.slot_seconds),
                    },
                }
            ],
            "offers": [
                {
                    "id": OFFER,
                    "descriptor": {"name": f"Less power of {sell.site_name}"},
                    "resourceIds": [RESOURCE],
                    "validity": validity,
                    "offerAttributes": _pack(offering, sell),
                }
            ],
        }
    ]


def withdrawn(us: tuple[str, str], sell: SellSettings, now: float) -> list[dict[str, Any]]:
    """The catalogue of a site that has nothing to sell, for those who hold an earlier one."""
    return [
        {
            **_headed(us, sell),
            "isActive": False,
            "validity": {"startDate": moment_of(now), "endDate": moment_of(now)},
            "resources": [],
            "offers": [],
        }
    ]


def _headed(us: tuple[str, str], sell: SellSettings) -> dict[str, Any]:
    """Whose catalogue it is."""
    return {
        "id": CATALOG,
        "descriptor": {"name": f"Flexibility of {sell.site_name}"},
        "bppId": us[0],
        "bppUri": us[1],
        "provider": {"id": us[0], "descriptor": {"name": sell.site_name}},
    }


def publication(catalogs: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The message that publishes whole catalogues in place of earlier ones of the same id."""
    return {
        "catalogs": list(catalogs),
        "publishDirectives": [
            {"catalogId": one["id"], "catalogType": "REGULAR", "updateMode": "FULL"}
            for one in catalogs
        ],
    }


def _pack(offering: Offering, sell: SellSettings) -> dict[str, Any]:
    pack: dict[str, Any] = {
        "@context": packs.OWN_CONTEXT,
        "@type": "ComputeFlexOffer",
        "noticePeriod": duration_of(math.ceil(offering.notice)),
        "minActivation": duration_of(offering.shortest),
        "maxActivation": duration_of(offering.longest),
        "maxDeferral": duration_of(offering.deferral),
        "reboundWindow": duration_of(offering.rebound),
        "ratedKw": offering.rated_kw,
        "floorKw": offering.floor_kw,
        "certainty": offering.certainty,
        "curtailment": list(offering.curtailment),
    }
    if sell.max_per_day:
        pack["maxActivationsPerDay"] = sell.max_per_day
    if sell.grid_zone:
        pack["gridZone"] = sell.grid_zone
    return pack


def table(
    columns: Mapping[str, Mapping[int, float]],
    slot_seconds: int,
    *,
    report: bool = False,
    origin: int | None = None,
) -> dict[str, Any]:
    """Columns by slot on the grid from `origin` or the first slot to the last; a slot may lack a column."""
    starts = sorted({at for values in columns.values() for at in values})
    first = starts[0] if origin is None else origin
    descriptors = [
        {
            "objectType": "REPORT_PAYLOAD_DESCRIPTOR",
            "payloadType": name,
            "units": "KW",
            "readingType": "MEAN",
        }
        if report
        else {
            "objectType": "EVENT_PAYLOAD_DESCRIPTOR",
            "payloadType": name,
            "units": _UNITS.get(name, "KW"),
            "insertedBy": "seller",
        }
        for name, values in columns.items()
        if values
    ]
    return {
        "intervalPeriod": {"start": moment_of(first), "duration": duration_of(slot_seconds)},
        "payloadDescriptors": descriptors,
        "intervals": [
            {
                "id": (at - first) // slot_seconds,
                "payloads": [
                    {"type": name, "values": [round(values[at], 6)]}
                    for name, values in columns.items()
                    if at in values
                ],
            }
            for at in starts
        ],
    }


def asked(message: Message) -> tuple[dict[int, int], int]:
    """Watts by slot that a buyer asks for, and the slot's seconds.

    CAPACITY_OFFERED of what was quoted, in a select CAPACITY_REQUESTED of the need. Slots with 0 are left out.
    Raises Refusal where it is not clear.
    """
    commitments = message.plain_contract["commitments"]
    if len(commitments) != 1:
        raise Refusal(
            Code.BIZ_OFFER_NOT_FOUND,
            f"{len(commitments)} commitments; expected one, of the offer {OFFER!r}",
            "$.message.contract.commitments",
        )
    one = commitments[0]
    resources = one.get("resources") or [{}]
    if one["offer"].get("id") != OFFER or resources[0].get("id") != RESOURCE or len(resources) != 1:
        raise Refusal(
            Code.BIZ_OFFER_NOT_FOUND,
            f"expected the offer {OFFER!r} with the resource {RESOURCE!r}",
            f"{_COMMITMENT}.offer.id",
        )
    offered, needed = one.get("commitmentAttributes"), resources[0].get("resourceAttributes")
    quoted = isinstance(offered, dict) and message.action.name != "select"
    bag, name = (
        (offered, series.CAPACITY_OFFERED) if quoted else (needed, series.CAPACITY_REQUESTED)
    )
    path = (
        f"{_COMMITMENT}.{'commitmentAttributes' if quoted else 'resources[0].resourceAttributes'}"
    )
    read = packs.read(bag, path) if isinstance(bag, dict) else None
    if not isinstance(read, series.SeriesFields):
        raise Refusal(Code.SCH_REQUIRED_FIELD_MISSING, f"no {name}; expected kW by slot", path)
    spans = series.grid_of(read, path)
    lengths = {round(end - start) for start, end in spans}
    if len(lengths) != 1:
        raise Refusal(Code.SCH_ATTRIBUTE_PACK_INVALID, "slots of several lengths", path)
    kw = series.column(read, name, path)
    if any(value < 0 for value in kw):
        raise Refusal(Code.SCH_ATTRIBUTE_PACK_INVALID, f"{name} below 0", path)
    found = {
        round(start): round(value * 1000.0)
        for (start, _), value in zip(spans, kw, strict=True)
        if round(value * 1000.0) > 0
    }
    return found, lengths.pop()


def promised_price(message: Message) -> dict[int, float]:
    """The OFFER_PRICE by slot that a contract has; empty where it has none."""
    bag = message.plain_contract["commitments"][0].get("commitmentAttributes")
    path = f"{_COMMITMENT}.commitmentAttributes"
    read = packs.read(bag, path) if isinstance(bag, dict) else None
    if not isinstance(read, series.SeriesFields):
        return {}
    try:
        price = series.column(read, series.OFFER_PRICE, path)
    except Refusal:
        return {}
    starts = [round(start) for start, _ in series.grid_of(read, path)]
    return dict(zip(starts, price, strict=True))


def quoted(
    contract: Mapping[str, Any],
    watts: Mapping[int, int],
    price: Mapping[int, float],
    slot_seconds: int,
    *,
    penalty: float,
    status: str = "DRAFT",
) -> dict[str, Any]:
    """The buyer's contract with what is promised in it. `status` is the commitment's."""
    columns = {
        series.CAPACITY_OFFERED: {at: value / 1000.0 for at, value in watts.items()},
        series.OFFER_PRICE: dict(price),
    }
    if penalty:
        columns[series.SHORTFALL_PENALTY] = dict.fromkeys(watts, penalty)
    offered = {"@context": _SERIES, "@type": "TimeSeries", **table(columns, slot_seconds)}
    return with_status(
        {
            **contract,
            "commitments": [{**contract["commitments"][0], "commitmentAttributes": offered}],
        },
        status,
    )


def with_status(contract: Mapping[str, Any], status: str) -> dict[str, Any]:
    """The same with the commitments' status: DRAFT, ACTIVE or CLOSED."""
    return {
        **contract,
        "commitments": [
            {**one, "status": {"descriptor": {"code": status}}} for one in contract["commitments"]
        ],
    }


def with_checkpoint(
    contract: Mapping[str, Any], checkpoint: Mapping[str, str | int]
) -> dict[str, Any]:
    """The same with the newest checkpoint of the seller's ledger in `settlements`, in place of an older one."""
    others = [one for one in contract.get("settlements", ()) if one.get("id") != LEDGER]
    ours = {
        "id": LEDGER,
        "status": "DRAFT",
        "settlementAttributes": {
            "@context": packs.CHECKPOINT_CONTEXT,
            "@type": "LedgerCheckpoint",
            **checkpoint,
        },
    }
    found = [*others, *([ours] if checkpoint else [])]
    rest = {key: value for key, value in contract.items() if key != "settlements"}
    return {**rest, "settlements": found} if found else rest


def performance(
    meter: str,
    sale: Sale,
    slots: Sequence[Slot],
    *,
    code: str,
    why: str = "",
    origin: int | None = None,
) -> list[dict[str, Any]]:
    """How it goes, as one meter's series from `origin` on; empty where nothing is known yet."""
    columns: dict[str, dict[int, float]] = {
        series.BASELINE: {},
        series.USAGE: {},
        USAGE_FORECAST: {},
    }
    for at, row in sale.rows.items():
        columns[series.BASELINE][at], columns[series.USAGE][at] = row.baseline_kw, row.usage_kw
    for slot in slots:
        if slot.start in sale.rows or not math.isfinite(slot.baseline_kw):
            continue
        columns[series.BASELINE][slot.start] = slot.baseline_kw
        if math.isfinite(slot.planned_kw):
            columns[USAGE_FORECAST][slot.start] = slot.planned_kw
    if not columns[series.BASELINE]:
        return []
    status = {"code": code, **({"shortDesc": why} if why else {})}
    return [
        {
            "id": "performance-1",
            "status": status,
            "performanceAttributes": {
                "@context": _PERFORMANCE,
                "@type": "DemandFlexPerformance",
                "eventId": sale.order_id,
                "methodology": "FORECAST",
                "meters": [
                    {
                        "meterId": meter,
                        "telemetry": {
                            "@type": "TimeSeries",
                            **table(columns, sale.slot_seconds, report=True, origin=origin),
                        },
                    }
                ],
            },
        }
    ]


def tracking(order_id: str, sell: SellSettings, *, running: bool) -> dict[str, Any]:
    """Where an order can be followed."""
    page = sell.track_url.replace("{order}", quote(order_id, safe=""))
    return {"url": page, "status": "ACTIVE" if running else "INACTIVE"}


def support(order_id: str, sell: SellSettings) -> dict[str, Any]:
    """Where to ask."""
    found: dict[str, Any] = {"orderId": order_id} if order_id else {}
    words = [
        f"{name} {value}"
        for name, value in (
            ("email", sell.support_email),
            ("phone", sell.support_phone),
            ("web", sell.support_url),
        )
        if value
    ]
    said = "; ".join(words) or "no channel is configured"
    return {**found, "descriptor": {"name": f"Support of {sell.site_name}", "shortDesc": said}}
