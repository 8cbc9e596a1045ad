"""Messages of the ComputeEnergy draft (the hackathon's, on the release candidate of 2.0.0), for import only.

Law: reads what a grid agent of that kind says: windows with price and carbon intensity, alerts, what is asked
of a workload. Nothing of it is ever sent, signed for, or taken for an order. A number that is absent is NaN,
never zero; a unit that is not known is refused, never guessed. A catalogue's times of day hold on the day its
validity begins (UTC). kW, price per kWh in the currency named, g CO2 per kWh, moments in epoch seconds.
Source: the draft has no published schema; field names are those of its examples.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from typing import TYPE_CHECKING, Any

from flexlond.beckn.wire import strict_json
from flexlond.beckn.wire.codes import Code, Refusal

if TYPE_CHECKING:
    from collections.abc import Iterator

_KW = {"kW": 1.0, "MW": 1000.0}
_PER_KWH = {"per_kWh", "GBP_per_kWh", "EUR_per_kWh", "USD_per_kWh"}
_CARBON = {"gCO2/kWh": 1.0, "kgCO2/MWh": 1.0}


@dataclass(frozen=True, slots=True)
class Window:
    """One energy window. NaN: not said."""

    item: str
    area: str
    start: float
    end: float
    price: float
    currency: str
    carbon: float
    capacity_kw: float


@dataclass(frozen=True, slots=True)
class Alert:
    """A grid event that was announced."""

    event: str
    kind: str
    severity: str
    at: float


@dataclass(frozen=True, slots=True)
class Imported:
    """What one message says."""

    action: str
    transaction_id: str
    message_id: str
    sender: str  # the BAP of a request, the BPP of a callback
    order: str
    windows: tuple[Window, ...]
    alerts: tuple[Alert, ...]
    asked: tuple[str, ...]  # action types asked of a workload, e.g. workload_shift


def is_draft(plain: dict[str, Any]) -> bool:
    """Whether a message is of this kind and not of the LTS, which has the same version number."""
    context = plain.get("context")
    return isinstance(context, dict) and "bap_id" in context and "bapId" not in context


def read(raw: bytes) -> Imported:
    """One message. Raises Refusal with path and expectation."""
    plain = strict_json.parse(raw)
    if not is_draft(plain):
        raise Refusal(
            Code.CTX_VERSION_UNSUPPORTED,
            "expected a ComputeEnergy message (snake_case)",
            "$.context",
        )
    context, message = plain["context"], _object(plain, "message", "$")
    action = _text(context, "action", "$.context")
    order = _part(message, "order")
    fulfilment = _part(_part(order, "fulfillment"), "deliveryAttributes")
    asked = _part(fulfilment, "flexibilityAction").get("actionType")
    sender = "bpp_id" if action.startswith("on_") else "bap_id"
    return Imported(
        action=action,
        transaction_id=_text(context, "transaction_id", "$.context"),
        message_id=_text(context, "message_id", "$.context"),
        sender=_text(context, sender, "$.context"),
        order=str(_get(order, "id") or message.get("ref_id") or message.get("id") or ""),
        windows=tuple(_windows(message)),
        alerts=tuple(_alerts(fulfilment)),
        asked=(str(asked),) if asked else (),
    )


def _windows(message: dict[str, Any]) -> Iterator[Window]:
    for at, catalog in enumerate(_list(message, "catalogs")):
        path = f"$.message.catalogs[{at}]"
        day = _get(_part(catalog, "validity"), "startDate")
        prices = {
            item: _part(offer, "price")
            for offer in _list(catalog, "offers")
            for item in _names(offer, "items")
        }
        for n, item in enumerate(_list(catalog, "items")):
            name = str(_get(item, "id") or "")
            bag = _part(item, "itemAttributes")
            where = f"{path}.items[{n}].itemAttributes"
            yield from _window(name, bag, prices.get(name, {}), day, where)
    for n, line in enumerate(_list(_part(message, "order"), "orderItems")):
        bag = _part(line, "orderItemAttributes")
        price = _part(_part(line, "acceptedOffer"), "price")
        where = f"$.message.order.orderItems[{n}].orderItemAttributes"
        yield from _window(str(_get(line, "orderedItem") or ""), bag, price, None, where)


def _window(
    item: str, bag: dict[str, Any], price: dict[str, Any], day: Any, path: str
) -> Iterator[Window]:
    times = _part(bag, "timeWindow")
    if not times:  # a report about a window, not one
        return
    grid, cost = _part(bag, "gridParameters"), _part(bag, "pricingParameters")
    room = _part(bag, "capacityParameters")
    start = _moment(times.get("start"), day, f"{path}.timeWindow.start")
    end = _moment(times.get("end"), day, f"{path}.timeWindow.end")
    if end <= start:  # over midnight
        end += timedelta(days=1).total_seconds()
    if "unit" in cost and str(cost["unit"]) not in _PER_KWH:
        raise _unit(cost["unit"], "a price per kWh", f"{path}.pricingParameters.unit")
    value = cost.get("spotPrice", price.get("value", price.get("price")))
    yield Window(
        item=item,
        area=str(grid.get("gridArea", "")),
        start=start,
        end=end,
        price=_number(value, f"{path}.pricingParameters.spotPrice"),
        currency=str(cost.get("currency", price.get("currency", ""))),
        carbon=_scaled(grid, "carbonIntensity", "carbonIntensityUnit", _CARBON, path),
        capacity_kw=_scaled(room, "availableCapacity", "capacityUnit", _KW, path),
    )


def _alerts(fulfilment: dict[str, Any]) -> Iterator[Alert]:
    alert = _part(fulfilment, "gridEventAlert")
    if alert:
        path = "$.message.order.fulfillment.deliveryAttributes.gridEventAlert"
        yield Alert(
            event=_text(alert, "eventId", path),
            kind=str(alert.get("eventType", "")),
            severity=str(alert.get("severity", "")),
            at=_moment(alert.get("alertTimestamp"), None, f"{path}.alertTimestamp"),
        )


def _get(holder: dict[str, Any], name: str) -> Any:
    """A field, whichever of the draft's prefixes it has."""
    for key in (f"beckn:{name}", f"schema:{name}", name):
        if key in holder:
            return holder[key]
    return None


def _part(holder: dict[str, Any], name: str) -> dict[str, Any]:
    found = _get(holder, name)
    return found if isinstance(found, dict) else {}


def _list(holder: dict[str, Any], name: str) -> list[dict[str, Any]]:
    found = _get(holder, name)
    return [one for one in found if isinstance(one, dict)] if isinstance(found, list) else []


def _names(holder: dict[str, Any], name: str) -> list[str]:
    found = _get(holder, name)
    return [one for one in found if isinstance(one, str)] if isinstance(found, list) else []


def _object(holder: dict[str, Any], name: str, path: str) -> dict[str, Any]:
    found = holder.get(name)
    if not isinstance(found, dict):
        raise Refusal(
            Code.SCH_REQUIRED_FIELD_MISSING, "absent; expected an object", f"{path}.{name}"
        )
    return found


def _text(holder: dict[str, Any], name: str, path: str) -> str:
    found = holder.get(name)
    if not isinstance(found, str) or not found:
        raise Refusal(
            Code.SCH_REQUIRED_FIELD_MISSING, "absent; expected a string", f"{path}.{name}"
        )
    return found


def _number(value: Any, path: str) -> float:
    """A number, also one written as text; NaN where there is none."""
    if value is None:
        return math.nan
    try:
        found = math.nan if isinstance(value, bool | list | dict) else float(value)
    except ValueError:
        found = math.nan
    if not math.isfinite(found):
        raise Refusal(Code.SCH_INVALID_FORMAT, f"{str(value)[:40]!r}; expected a number", path)
    return found


def _scaled(
    holder: dict[str, Any], name: str, unit: str, known: dict[str, float], path: str
) -> float:
    if name not in holder:
        return math.nan
    factor = known.get(str(holder.get(unit, next(iter(known)))))
    if unit in holder and factor is None:
        raise _unit(holder[unit], " or ".join(known), f"{path}.{unit}")
    return _number(holder[name], f"{path}.{name}") * (factor or 1.0)


def _unit(found: Any, expected: str, path: str) -> Refusal:
    return Refusal(Code.SCH_INVALID_ENUM, f"unit {str(found)[:40]!r}; expected {expected}", path)


def _moment(value: Any, day: Any, path: str) -> float:
    """A moment, or a time of day on `day`, as epoch seconds."""
    try:
        if isinstance(value, str) and "T" not in value:
            of = time.fromisoformat(value)
            base = datetime.fromisoformat(str(day))
            if base.tzinfo is not None:
                base = base.astimezone(UTC)
            return datetime.combine(base.date(), of, of.tzinfo or UTC).timestamp()
        found = datetime.fromisoformat(value)
    except (TypeError, ValueError, OverflowError):
        raise Refusal(
            Code.SCH_INVALID_FORMAT, f"{str(value)[:40]!r}; expected a moment with offset", path
        ) from None
    if found.tzinfo is None:
        raise Refusal(Code.SCH_INVALID_FORMAT, "a moment without offset; expected one", path)
    return found.timestamp()
