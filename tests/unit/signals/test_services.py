"""Each service's answers and traps, read from synthetic fixtures through httpx's own transport.

The table of the traps is docs/reference/signals.md; each has a test here or in test_feeds.py.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from flexlond.model.series import Kind
from flexlond.model.settings import Feed
from flexlond.signals import elexon, neso_carbon, neso_day_ahead, octopus
from flexlond.signals.rows import Parsed, Row, SignalError, format_utc
from flexlond.signals.source import Request
from flexlond.signals.sources import make_source

if TYPE_CHECKING:
    from collections.abc import Callable

NOON = 1795435200  # 2026-11-23T12:00Z
HALF = 1800


async def fetched(far_end: Any, kind: Kind, now: int, **feed: Any) -> Parsed:
    async with httpx.AsyncClient(transport=far_end.transport) as client:
        return await make_source(Feed(**feed), kind).fetch(Request(lambda: client, now))


def asked(far_end: Any, at: int = 0) -> str:
    return str(far_end.requests[at].url)


# --- NESO carbon intensity ----------------------------------------------------------------


async def test_national_forecast_from_the_running_half_hour(
    far_end: Any, load: Callable[[str], Any], now: int
) -> None:
    far_end.says(load("neso_national_fw48h.json"))
    parsed = await fetched(far_end, Kind.CARBON, now, source="neso-carbon")
    assert asked(far_end) == (
        "https://api.carbonintensity.org.uk/intensity/2026-11-23T12:00Z/fw48h"
    )
    # The fixture's first half-hour ended at noon; the 96 from then on stay.
    assert [row.start for row in parsed.rows] == [NOON + i * HALF for i in range(96)]
    assert parsed.rows[0].value == 150.0


def test_a_leading_half_hour_that_has_ended_is_dropped(
    load: Callable[[str], Any], now: int
) -> None:
    payload = load("neso_national_fw48h.json")
    assert payload["data"][0]["to"] == "2026-11-23T12:00Z"
    assert neso_carbon.parse(payload, now).rows[0].start == NOON
    assert neso_carbon.parse(payload, NOON).rows[0].start == NOON  # ends as we begin: ended
    assert neso_carbon.parse(payload, NOON - 1).rows[0].start == NOON - HALF


def test_the_actual_value_is_never_taken_for_a_forecast(now: int) -> None:
    spans = [("2026-11-23T12:00Z", "2026-11-23T12:30Z"), ("2026-11-23T12:30Z", "2026-11-23T13:00Z")]
    rows = [
        {"from": a, "to": b, "intensity": {"forecast": forecast, "actual": 99}}
        for (a, b), forecast in zip(spans, (None, 120), strict=True)
    ]
    values = [row.value for row in neso_carbon.parse({"data": rows}, now).rows]
    assert math.isnan(values[0])
    assert values[1] == 120.0


@pytest.mark.parametrize("name", ["neso_regional_object.json", "neso_regional_list.json"])
@pytest.mark.parametrize(
    ("region", "path"),
    [("12", "regionid/12"), ("RG10", "postcode/RG10"), (" rg10 ", "postcode/RG10")],
)
async def test_regional_data_as_object_or_list_without_actual(
    far_end: Any, load: Callable[[str], Any], now: int, name: str, region: str, path: str
) -> None:
    far_end.says(load(name))
    feed = {"source": "neso-carbon-regional", "region": region}
    parsed = await fetched(far_end, Kind.CARBON, now, **feed)
    assert asked(far_end).endswith(f"/regional/intensity/2026-11-23T12:00Z/fw48h/{path}")
    assert len(parsed.rows) == 6
    assert all(math.isfinite(row.value) for row in parsed.rows)


def test_another_region_than_asked_for_is_refused(load: Callable[[str], Any], now: int) -> None:
    with pytest.raises(SignalError, match="asked for region 3, answered region 12"):
        neso_carbon.parse(load("neso_regional_list.json"), now, "3")


def test_several_regions_at_once_are_refused(load: Callable[[str], Any], now: int) -> None:
    one = load("neso_regional_list.json")["data"][0]
    with pytest.raises(SignalError, match="2 regions instead of one"):
        neso_carbon.parse({"data": [one, one]}, now, "12")


@pytest.mark.parametrize("region", ["", "0", "18", "RG10 9NT", "../1", "\u0661", "SW"])
def test_a_region_is_a_number_or_an_outward_postcode(region: str) -> None:
    with pytest.raises(SignalError, match="neither 1 to 17 nor an outward postcode"):
        neso_carbon.region_path(region)


def test_the_services_own_error_is_quoted(load: Callable[[str], Any], now: int) -> None:
    with pytest.raises(SignalError, match="400 Bad Request Please enter a valid outward"):
        neso_carbon.parse(load("neso_error.json"), now)


@pytest.mark.parametrize(
    "payload",
    [
        {"data": []},
        {"data": {}},
        {"data": [{}]},
        {"data": None},
        {"data": [{"from": "2026-11-23T12:00Z", "to": "2026-11-23T12:30Z"}]},
        {"data": [{"from": "2026-11-23T11:00Z", "to": "2026-11-23T11:30Z",
                   "intensity": {"forecast": 100}}]},
        {"data": [{"from": "2026-11-23T12:00Z", "to": "2026-11-23T12:30Z",
                   "intensity": {"forecast": None}}]},
        {},
        [],
        "maintenance",
    ],
)  # fmt: skip
def test_a_well_formed_answer_without_a_forecast_is_an_error(payload: Any, now: int) -> None:
    with pytest.raises(SignalError, match=r"holds no forecast|has no data"):
        neso_carbon.parse(payload, now)


def test_half_hours_not_understood_are_counted_and_the_rest_goes_on(
    load: Callable[[str], Any], now: int
) -> None:
    payload = load("neso_national_fw48h.json")
    payload["data"][5]["from"] = "soon"
    payload["data"][6]["intensity"] = None
    parsed = neso_carbon.parse(payload, now)
    assert parsed.notes == ("2 half-hour(s) not understood",)
    assert len(parsed.rows) == 94


# --- Elexon market index ------------------------------------------------------------------


async def test_zero_volume_says_nothing_and_the_other_provider_counts(
    far_end: Any, load: Callable[[str], Any], now: int
) -> None:
    far_end.says(load("elexon_mid_envelope.json"))
    parsed = await fetched(far_end, Kind.PRICE, now, source="elexon-market-index")
    assert [row.value for row in parsed.rows] == [76.0, 77.0, 78.0, 79.0]
    assert parsed.rows[-1] == Row(NOON - HALF, NOON, 79.0)
    assert "from=2026-11-21T12%3A30%3A00Z&to=2026-11-23T12%3A30%3A00Z" in asked(far_end)


def test_a_bare_list_is_read_and_two_traders_are_weighted_by_volume(
    load: Callable[[str], Any],
) -> None:
    rows = elexon.parse(elexon.records_of(load("elexon_mid_stream.json"))).rows
    assert [row.value for row in rows] == [-12.5, pytest.approx((90 * 300 + 60 * 100) / 400)]


def test_a_row_that_two_chunks_share_counts_once(load: Callable[[str], Any]) -> None:
    records = elexon.records_of(load("elexon_mid_stream.json"))
    assert elexon.parse([*records, *records]) == elexon.parse(records)


def test_long_spans_are_asked_for_in_weeks() -> None:
    day = 86400
    assert elexon.chunks(0, 15 * day) == [
        (0, 7 * day),
        (7 * day, 14 * day),
        (14 * day, 15 * day),
    ]
    assert elexon.chunks(0, 7 * day) == [(0, 7 * day)]


@pytest.mark.parametrize(
    "change", [{"volume": 0}, {"volume": -5}, {"price": None}, {"volume": "?"}]
)
def test_when_nobody_traded_there_is_no_price(
    load: Callable[[str], Any], change: dict[str, Any]
) -> None:
    records = [{**record, **change} for record in load("elexon_mid_stream.json")]
    with pytest.raises(SignalError, match="nobody traded"):
        elexon.parse(records)


@pytest.mark.parametrize("payload", [{"data": None}, {"error": "x"}, "x", 7])
def test_an_answer_that_is_no_list_of_records(payload: Any) -> None:
    with pytest.raises(SignalError, match="no list of records"):
        elexon.records_of(payload)


def test_the_future_of_the_index_is_not_extrapolated(load: Callable[[str], Any]) -> None:
    rows = elexon.parse(elexon.records_of(load("elexon_mid_envelope.json"))).rows
    assert max(row.end for row in rows) == NOON


def test_a_late_index_is_said() -> None:
    source = make_source(Feed(source="elexon-market-index"), Kind.PRICE)
    assert source.overdue([Row(0, HALF, 1.0)], 2 * 3600) == ""
    assert "ended 1970-01-01T00:30Z" in source.overdue([Row(0, HALF, 1.0)], 3 * 3600)


# --- Octopus Agile ------------------------------------------------------------------------


def serve_agile(far_end: Any, load: Callable[[str], Any]) -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        if request.url.path.endswith("/products/"):
            return httpx.Response(200, json=load("octopus_products.json"))
        page = "2" if request.url.params.get("page") == "2" else "1"
        return httpx.Response(200, json=load(f"agile_page_{page}.json"))

    far_end.answer = answer


async def test_agile_resolves_the_product_follows_pages_and_turns_pence_into_pounds(
    far_end: Any, load: Callable[[str], Any], now: int
) -> None:
    serve_agile(far_end, load)
    parsed = await fetched(far_end, Kind.PRICE, now, source="octopus-agile", region="c")
    assert [request.url.path.rsplit("/", 2)[1] for request in far_end.requests] == [
        "products",
        "standard-unit-rates",
        "standard-unit-rates",
    ]
    assert "E-1R-AGILE-25-06-01-C" in asked(far_end, 1)
    assert "page_size=1500" in asked(far_end, 1)
    assert "period_from=2026-11-22T12%3A00%3A00Z" in asked(far_end, 1)
    # Newest first on the wire, in order of time here; 20 p/kWh without VAT is 200 GBP/MWh.
    assert [row.start for row in parsed.rows] == [NOON + i * HALF for i in range(-4, 22)]
    assert parsed.rows[4] == Row(NOON, NOON + HALF, 200.0)


async def test_the_next_page_is_asked_for_at_the_configured_address(
    far_end: Any, load: Callable[[str], Any], now: int
) -> None:
    serve_agile(far_end, load)
    feed = {"source": "octopus-agile", "region": "C", "url": "https://mirror.example/v1/"}
    await fetched(far_end, Kind.PRICE, now, **feed)
    assert {request.url.host for request in far_end.requests} == {"mirror.example"}


async def test_endless_pages_end(far_end: Any, load: Callable[[str], Any], now: int) -> None:
    far_end.says(load("agile_page_1.json"))
    feed = {"source": "octopus-agile", "region": "C", "product": "AGILE-25-06-01"}
    with pytest.raises(SignalError, match="more than 10 pages"):
        await fetched(far_end, Kind.PRICE, now, **feed)
    assert len(far_end.requests) == 10


async def test_a_product_is_resolved_once_a_day(
    far_end: Any, load: Callable[[str], Any], now: int
) -> None:
    serve_agile(far_end, load)
    source = make_source(Feed(source="octopus-agile", region="C"), Kind.PRICE)
    async with httpx.AsyncClient(transport=far_end.transport) as client:
        for at in (now, now + 1800, now + 86400):
            await source.fetch(Request(lambda: client, at))
    asked_products = [r for r in far_end.requests if r.url.path.endswith("/products/")]
    assert len(asked_products) == 2


def test_superseded_future_and_export_products_are_passed_over(
    load: Callable[[str], Any], now: int
) -> None:
    products = load("octopus_products.json")["results"]
    assert octopus.current_product(products, now) == "AGILE-25-06-01"
    assert octopus.current_product(products, now + 90 * 86400) == "AGILE-27-01-01"
    ended = {**products[1], "code": "AGILE-26-02-01", "available_from": "2026-02-01T00:00:00Z"}
    ended["available_to"] = "2026-11-01T00:00:00Z"
    assert octopus.current_product([ended, *products], now) == "AGILE-25-06-01"
    with pytest.raises(SignalError, match="no Agile import product on sale"):
        octopus.current_product([{}, "x", *products[3:]], now)


@pytest.mark.parametrize("region", ["", "I", "O", "Q", "AB", "12", "\u0410"])
def test_a_supply_region_is_one_letter(region: str) -> None:
    with pytest.raises(SignalError, match="needs one of A, B, C"):
        octopus.region_letter(region)


async def test_a_product_that_is_no_code_is_refused_before_asking(far_end: Any, now: int) -> None:
    feed = {"source": "octopus-agile", "region": "C", "product": "../x"}
    with pytest.raises(SignalError, match="like AGILE-24-10-01"):
        await fetched(far_end, Kind.PRICE, now, **feed)
    assert far_end.requests == []


@pytest.mark.parametrize("results", [[], [{}], [{"value_exc_vat": 1.0}], ["x"]])
def test_agile_without_rates_is_an_error(results: list[Any]) -> None:
    with pytest.raises(SignalError, match="holds no rates"):
        octopus.parse(results)


def test_negative_rates_are_prices() -> None:
    rate = {
        "value_exc_vat": -2.5,
        "valid_from": "2026-11-23T12:00:00Z",
        "valid_to": "2026-11-23T12:30:00Z",
    }
    assert octopus.parse([rate]).rows == (Row(NOON, NOON + HALF, -25.0),)


@pytest.mark.parametrize(
    ("moment", "until"),
    [
        (NOON, "2026-11-23T23:00Z"),  # winter: London is UTC
        (NOON + 8 * 3600 - 1, "2026-11-23T23:00Z"),
        (NOON + 8 * 3600, "2026-11-24T23:00Z"),
        (1784142000, "2026-07-16T22:00Z"),  # 2026-07-15T19:00Z is 20:00 in London
        (1784141999, "2026-07-15T22:00Z"),
    ],
)
def test_when_agile_rates_are_due(moment: int, until: str) -> None:
    assert format_utc(octopus.published_until(moment)) == until


def test_agile_rates_that_are_overdue_are_said(load: Callable[[str], Any]) -> None:
    rows = octopus.parse(
        load("agile_page_1.json")["results"] + load("agile_page_2.json")["results"]
    ).rows
    source = make_source(Feed(source="octopus-agile", region="C"), Kind.PRICE)
    assert source.overdue(rows, NOON) == ""  # published until 23:00, as they should be
    assert "2026-11-24T23:00Z are due" in source.overdue(rows, NOON + 9 * 3600)


# --- NESO day-ahead -----------------------------------------------------------------------


async def test_hours_of_the_day_ahead_auction_in_utc(
    far_end: Any, load: Callable[[str], Any], now: int
) -> None:
    far_end.says(load("ckan_n2ex.json"))
    parsed = await fetched(far_end, Kind.PRICE, now, source="neso-day-ahead")
    assert far_end.requests[0].url.params["resource_id"] == neso_day_ahead.RESOURCE
    midnight = NOON - 12 * 3600
    assert [row.start for row in parsed.rows] == [midnight + h * 3600 for h in range(48)]
    # An hour long, so both its half-hours get its price.
    assert {row.end - row.start for row in parsed.rows} == {3600}
    assert parsed.rows[0].value == 70.0


def records(*rows: dict[str, Any]) -> dict[str, Any]:
    return {"success": True, "result": {"records": list(rows)}}


@pytest.mark.parametrize(
    "row",
    [
        {"Date": "2026-11-23", "Delivery Period": "12:00 - 13:00", "Price": 50},
        {"Date": "2026-11-23T00:00:00", "Hour": "12:00-13:00", "Price (GBP/MWh)": "50.0"},
        {"_id": 1, "Datetime_GMT": "2026-11-23T12:00:00", "N2EX price": 50.0},
        {"delivery_date": "2026-11-23", "period": "12:00 to 13:00", "PRICE": 50.0},
    ],
)
def test_columns_are_found_by_pattern(row: dict[str, Any]) -> None:
    assert neso_day_ahead.parse(records(row)).rows == (Row(NOON, NOON + 3600, 50.0),)


def test_the_last_hour_runs_to_midnight() -> None:
    row = {"Date": "2026-11-23", "Delivery Period": "23:00 - 00:00", "Price": 1.0}
    assert neso_day_ahead.parse(records(row)).rows == (
        Row(NOON + 11 * 3600, NOON + 12 * 3600, 1.0),
    )


@pytest.mark.parametrize(
    "row",
    [
        {"Date": "2026-11-23", "Delivery Period": "12:00 - 13:00"},
        {"Date": "2026-11-23", "Price": 1, "Reserve price": 2},
        {"Date": "2026-11-23", "Time": "12:00", "Price": 1},
        {"Price": 1},
    ],
)
def test_columns_that_cannot_be_told_apart_are_refused_not_guessed(row: dict[str, Any]) -> None:
    with pytest.raises(SignalError, match="cannot be told apart"):
        neso_day_ahead.parse(records(row))


@pytest.mark.parametrize(
    "row",
    [
        {"Date": "2026-11-23", "Price": 1},  # a date alone is no hour
        {"Date": "2026-11-23", "Hour": 13, "Price": 1},  # of 0 to 23 or of 1 to 24?
        {"Date": "2026-11-23", "Hour": "12:00 - 15:00", "Price": 1},
        {"Date": "2026-11-23", "Hour": "25:00 - 26:00", "Price": 1},
        {"Date": "tomorrow", "Hour": "12:00 - 13:00", "Price": 1},
        {"Date": "2026-11-23", "Hour": "12:00 - 13:00", "Price": None},
    ],
)
def test_hours_that_are_none_are_an_error(row: dict[str, Any]) -> None:
    with pytest.raises(SignalError, match="could be read"):
        neso_day_ahead.parse(records(row))


@pytest.mark.parametrize(
    "payload",
    [records(), {"success": False}, {"success": True}, {"success": True, "result": {}}, [], None],
)
def test_ckan_answers_without_records_are_errors(payload: Any) -> None:
    with pytest.raises(SignalError, match="NESO's data portal"):
        neso_day_ahead.parse(payload)


@pytest.mark.parametrize(
    ("end_hours", "now_hours", "words"),
    [
        (24, 8, ""),  # in the morning today's prices are all there is
        (24, 11, ""),
        (24, 13, "are due"),  # after noon UTC tomorrow's are missing
        (47, 13, ""),  # London's summer day ends an hour earlier
        (48, 13, ""),
        (-40, 8, "has the dataset stopped?"),
    ],
)
def test_day_ahead_prices_that_are_overdue_are_said(
    end_hours: int, now_hours: int, words: str
) -> None:
    midnight = NOON - 12 * 3600
    end = midnight + end_hours * 3600
    source = make_source(Feed(source="neso-day-ahead"), Kind.PRICE)
    said = source.overdue([Row(end - 3600, end, 1.0)], midnight + now_hours * 3600)
    assert words in said
    assert bool(said) == bool(words)
