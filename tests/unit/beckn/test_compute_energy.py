"""The draft's windows as prices and carbon: units, midnight, what is not said, what is refused."""

from __future__ import annotations

import json
import math
from datetime import UTC, datetime
from typing import Any

import pytest

from flexlond.beckn.wire import compute_energy, messages
from flexlond.beckn.wire.codes import Code, Refusal
from tests.unit.beckn.kit import ODD, places


def at(text: str) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()


def catalog(**window: Any) -> dict[str, Any]:
    bag = {
        "@type": "beckn:ComputeEnergyWindow",
        "beckn:gridParameters": {
            "gridArea": "East",
            "carbonIntensity": 120,
            "carbonIntensityUnit": "gCO2/kWh",
        },
        "beckn:timeWindow": {"start": "10:00:00Z", "end": "14:00:00Z"},
        "beckn:capacityParameters": {"availableCapacity": 5, "capacityUnit": "MW"},
        **window,
    }
    return {
        "context": {
            "action": "on_discover",
            "transaction_id": "t-1",
            "message_id": "m-1",
            "bap_id": "bap",
            "bpp_id": "grid",
        },
        "message": {
            "catalogs": [
                {
                    "beckn:validity": {"schema:startDate": "2027-01-15T00:00:00Z"},
                    "beckn:items": [{"beckn:id": "i", "beckn:itemAttributes": bag}],
                    "beckn:offers": [
                        {"beckn:items": ["i"], "beckn:price": {"value": "0.102", "currency": "GBP"}}
                    ],
                }
            ]
        },
    }


def read(plain: Any) -> compute_energy.Imported:
    return compute_energy.read(json.dumps(plain).encode())


def test_a_window_has_its_price_its_carbon_and_its_room() -> None:
    found = read(catalog())
    (window,) = found.windows
    assert (found.action, found.sender, found.transaction_id) == ("on_discover", "grid", "t-1")
    assert window == compute_energy.Window(
        "i", "East", at("2027-01-15T10:00"), at("2027-01-15T14:00"), 0.102, "GBP", 120.0, 5000.0
    )


def test_a_window_over_midnight_ends_the_next_day() -> None:
    (window,) = read(
        catalog(**{"beckn:timeWindow": {"start": "22:00:00Z", "end": "06:00:00Z"}})
    ).windows
    assert (window.start, window.end) == (at("2027-01-15T22:00"), at("2027-01-16T06:00"))


def test_what_is_not_said_is_not_a_number() -> None:
    plain = catalog(**{"beckn:gridParameters": {}, "beckn:capacityParameters": {}})
    plain["message"]["catalogs"][0]["beckn:offers"] = []
    (window,) = read(plain).windows
    assert math.isnan(window.price)
    assert math.isnan(window.carbon)
    assert math.isnan(window.capacity_kw)


@pytest.mark.parametrize(
    ("window", "code"),
    [
        (
            {"beckn:capacityParameters": {"availableCapacity": 5, "capacityUnit": "GW"}},
            "SCH_INVALID_ENUM",
        ),
        (
            {"beckn:gridParameters": {"carbonIntensity": 1, "carbonIntensityUnit": "lb"}},
            "SCH_INVALID_ENUM",
        ),
        ({"beckn:pricingParameters": {"spotPrice": 90, "unit": "per_MWh"}}, "SCH_INVALID_ENUM"),
        ({"beckn:pricingParameters": {"spotPrice": "dear"}}, "SCH_INVALID_FORMAT"),
        ({"beckn:timeWindow": {"start": "ten", "end": "14:00:00Z"}}, "SCH_INVALID_FORMAT"),
        ({"beckn:timeWindow": {"start": "2027-01-15T10:00:00", "end": "x"}}, "SCH_INVALID_FORMAT"),
    ],
)
def test_an_unknown_unit_or_moment_is_refused_with_its_path(
    window: dict[str, Any], code: str
) -> None:
    with pytest.raises(Refusal) as caught:
        read(catalog(**window))
    assert caught.value.code.value == code
    assert caught.value.path.startswith("$.message.catalogs[0].items[0].itemAttributes.")


def test_an_alert_and_what_is_asked_are_read_from_an_update() -> None:
    plain = catalog()
    plain["context"]["action"] = "on_update"
    alert = {"eventId": "e", "eventType": "spike", "severity": "high"}
    attributes = {
        "beckn:gridEventAlert": {**alert, "alertTimestamp": "2027-01-15T10:00:00Z"},
        "beckn:flexibilityAction": {"actionType": "workload_shift"},
    }
    fulfilment = {"beckn:deliveryAttributes": attributes}
    plain["message"] = {"order": {"beckn:id": "o", "beckn:fulfillment": fulfilment}}
    found = read(plain)
    assert found.order == "o"
    assert found.asked == ("workload_shift",)
    assert found.alerts == (compute_energy.Alert("e", "spike", "high", at("2027-01-15T10:00")),)


def test_neither_reader_takes_the_others_messages() -> None:
    with pytest.raises(Refusal) as caught:
        messages.parse(json.dumps(catalog()).encode(), "on_discover")
    assert caught.value.code is Code.CTX_VERSION_UNSUPPORTED
    with pytest.raises(Refusal) as caught:
        read({"context": {"bapId": "x"}, "message": {}})
    assert caught.value.code is Code.CTX_VERSION_UNSUPPORTED


@pytest.mark.parametrize("odd", ODD, ids=repr)
def test_odd_values_in_every_place_are_read_or_refused(odd: Any) -> None:
    def fresh() -> Any:
        return catalog(**{"beckn:pricingParameters": {"spotPrice": 0.1, "unit": "per_kWh"}})

    outcomes = set()
    for at_ in range(len(places(fresh()))):
        plain = fresh()
        holder, key = places(plain)[at_]
        holder[key] = odd
        try:
            outcomes.add(type(read(plain)))
        except Refusal as refusal:
            outcomes.add(type(refusal))
    assert outcomes == {compute_energy.Imported, Refusal}
