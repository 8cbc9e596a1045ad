"""What the hub serves, in order of preference; every failure is said and means fewer holds, never more."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING, Any

import httpx
import numpy as np
import pytest

from flexlond.model.series import Kind, Quality
from flexlond.model.settings import Feed, SignalSettings
from flexlond.model.timegrid import TimeGrid
from flexlond.signals import fetching
from flexlond.signals.feeds import SignalHub
from tests.unit.signals.feeds_kit import (
    DAY_AHEAD,
    HOUR,
    MARKET_INDEX,
    NATIONAL,
    NOON,
    REGIONAL,
    by_path,
    carbon_hub,
    price_hub,
)

if TYPE_CHECKING:
    from collections.abc import Callable


def test_the_network_is_off_in_these_tests() -> None:
    with pytest.raises(AssertionError, match="reached for the network"):
        socket.create_connection(("127.0.0.1", 9))


async def test_without_a_transport_the_hub_would_reach_for_the_network(now: int) -> None:
    """The guard above guards what it should: a hub without a mocked transport runs into it."""
    hub = SignalHub(SignalSettings(carbon=(NATIONAL,)))
    await hub.refresh(now)
    series = hub.series(Kind.CARBON, TimeGrid.covering(now, 1800, 4), now)
    assert "unexpected AssertionError" in series.detail
    await hub.close()


async def test_a_good_feed_serves_with_provenance(
    far_end: Any, national: Any, grid: TimeGrid, now: int
) -> None:
    far_end.says(national)
    hub = carbon_hub(far_end, NATIONAL)
    await hub.refresh(now)
    series = hub.series(Kind.CARBON, grid, now)
    assert (series.quality, series.detail, series.fetched_at) == (Quality.GOOD, "", now)
    assert series.source == "NESO carbon intensity, national, 48 h forecast"
    assert series.values[0] == 150.0
    assert np.isfinite(series.values).all()


async def test_before_anything_was_received_all_is_absent(
    far_end: Any, grid: TimeGrid, now: int
) -> None:
    hub = carbon_hub(far_end, NATIONAL)
    series = hub.series(Kind.CARBON, grid, now)
    assert (series.quality, series.fetched_at) == (Quality.ABSENT, 0)
    assert np.isnan(series.values).all()
    assert "nothing received" in series.detail


def test_no_feed_configured_is_said(far_end: Any, grid: TimeGrid, now: int) -> None:
    series = carbon_hub(far_end).series(Kind.PRICE, grid, now)
    assert series.quality is Quality.ABSENT
    assert series.detail == "no feed is configured; add [[signals.price]]"


async def test_a_horizon_longer_than_the_forecast_is_partial_and_never_extended(
    far_end: Any, national: Any, now: int
) -> None:
    far_end.says(national)
    hub = carbon_hub(far_end, NATIONAL)
    await hub.refresh(now)
    series = hub.series(Kind.CARBON, TimeGrid(NOON, 1800, 120), now)
    assert series.quality is Quality.PARTIAL
    assert np.isfinite(series.values[:96]).all()
    assert np.isnan(series.values[96:]).all()
    assert series.detail == "96 of 120 slots known, the last until 2026-11-25T12:00:00Z"


# --- what can go wrong with one answer --------------------------------------------------------

FAULTS: list[tuple[str, Callable[[httpx.Request], httpx.Response], str]] = [
    ("server error", lambda _: httpx.Response(503, text="over\x1b[2J loaded"), "503"),
    ("not found", lambda _: httpx.Response(404, json={"error": {}}), "check region, product"),
    ("too many", lambda _: httpx.Response(429), "raise the feed's refresh"),
    ("redirect", lambda _: httpx.Response(301, headers={"location": "https://x.example/"}),
     "set the feed's url to that address"),
    ("a page", lambda _: httpx.Response(200, html="<h1>Sorry</h1>"), "instead of JSON"),
    ("no type", lambda _: httpx.Response(200, content=b"{}"), "no content type instead of JSON"),
    ("half JSON", lambda _: httpx.Response(
        200, content=b'{"data": [', headers={"content-type": "application/json"}),
     "does not parse"),
    ("deep JSON", lambda _: httpx.Response(
        200, content=b"[" * 200_000, headers={"content-type": "application/json"}),
     "does not parse"),
    ("empty but 200", lambda _: httpx.Response(200, json={"data": []}), "holds no forecast"),
    ("null", lambda _: httpx.Response(
        200, content=b"null", headers={"content-type": "application/json"}), "has no data"),
    ("out of range", lambda _: httpx.Response(200, json={"data": [
        {"from": "2026-11-23T12:00Z", "to": "2026-11-23T12:30Z",
         "intensity": {"forecast": -5}}]}), "every value is unusable"),
]  # fmt: skip


@pytest.mark.parametrize(("answer", "words"), [f[1:] for f in FAULTS], ids=[f[0] for f in FAULTS])
async def test_a_bad_answer_is_said_and_nothing_is_invented(
    far_end: Any,
    grid: TimeGrid,
    now: int,
    answer: Callable[[httpx.Request], httpx.Response],
    words: str,
) -> None:
    far_end.answer = answer
    hub = carbon_hub(far_end, NATIONAL)
    await hub.refresh(now)
    series = hub.series(Kind.CARBON, grid, now)
    assert series.quality is Quality.ABSENT
    assert np.isnan(series.values).all()
    assert words in series.detail
    assert series.detail.isprintable()


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (httpx.ConnectError("refused"), "cannot be reached (refused)"),
        (httpx.ConnectTimeout(""), "did not answer in time"),
        (httpx.ReadTimeout(""), "did not answer in time"),
        (httpx.RemoteProtocolError("broken"), "cannot be reached (broken)"),
        (RuntimeError("surprise"), "unexpected RuntimeError"),
    ],
)
async def test_a_network_fault_never_leaves_refresh(
    far_end: Any, grid: TimeGrid, now: int, error: Exception, words: str
) -> None:
    def fail(_: httpx.Request) -> httpx.Response:
        raise error

    far_end.answer = fail
    hub = carbon_hub(far_end, NATIONAL)
    await hub.refresh(now)
    assert words in hub.series(Kind.CARBON, grid, now).detail


async def test_an_address_that_is_none_is_said(
    far_end: Any, national: Any, grid: TimeGrid, now: int
) -> None:
    far_end.says(national)
    hub = carbon_hub(far_end, Feed(source="neso-carbon", url="http://[::1"))
    await hub.refresh(now)
    assert "set the feed's url to a mirror" in hub.series(Kind.CARBON, grid, now).detail


async def test_an_answer_without_end_is_cut_off(
    far_end: Any, grid: TimeGrid, now: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fetching, "MAX_BYTES", 1000)
    far_end.says({"data": ["x" * 2000]})
    hub = carbon_hub(far_end, NATIONAL)
    await hub.refresh(now)
    assert "more than 1000 bytes" in hub.series(Kind.CARBON, grid, now).detail


async def test_values_out_of_range_are_unknown_and_said(
    far_end: Any, national: Any, grid: TimeGrid, now: int
) -> None:
    national["data"][3]["intensity"]["forecast"] = 9999
    national["data"][4]["intensity"]["forecast"] = -1
    far_end.says(national)
    hub = carbon_hub(far_end, NATIONAL)
    await hub.refresh(now)
    series = hub.series(Kind.CARBON, grid, now)
    assert np.isnan(series.values[2:4]).all()
    assert np.isfinite(np.delete(series.values, [2, 3])).all()
    assert series.quality is Quality.PARTIAL
    assert "2 value(s) outside 0 to 2000 taken as unknown" in series.detail


async def test_a_feed_in_the_wrong_list_is_said_and_never_asked(
    far_end: Any, grid: TimeGrid, now: int
) -> None:
    hub = price_hub(far_end, NATIONAL)
    await hub.refresh(now)
    assert "move it to [[signals.carbon]]" in hub.series(Kind.PRICE, grid, now).detail
    assert far_end.requests == []


# --- order of preference ----------------------------------------------------------------------


async def test_the_second_feed_serves_when_the_first_fails_and_both_are_said(
    far_end: Any, national: Any, grid: TimeGrid, now: int
) -> None:
    far_end.answer = by_path(national, None)
    hub = carbon_hub(far_end, REGIONAL, NATIONAL)
    await hub.refresh(now)
    series = hub.series(Kind.CARBON, grid, now)
    assert series.quality is Quality.GOOD
    assert series.source == "NESO carbon intensity, national, 48 h forecast"
    assert series.detail.startswith("instead of NESO carbon intensity, region 12 South England")
    assert "500" in series.detail


@pytest.mark.parametrize("fill", [False, True])
async def test_feeds_are_mixed_only_on_demand(
    far_end: Any,
    national: Any,
    load: Callable[[str], Any],
    grid: TimeGrid,
    now: int,
    *,
    fill: bool,
) -> None:
    far_end.answer = by_path(national, load("neso_regional_object.json"))  # six half-hours only
    hub = carbon_hub(far_end, REGIONAL, NATIONAL, fill=fill)
    await hub.refresh(now)
    series = hub.series(Kind.CARBON, grid, now)
    assert np.isfinite(series.values[:6]).all()
    if fill:
        assert series.quality is Quality.GOOD
        assert "; 42 slot(s) from NESO carbon intensity, national" in series.source
    else:
        assert series.quality is Quality.PARTIAL
        assert np.isnan(series.values[6:]).all()
        assert "national" not in series.source


async def test_the_market_index_alone_never_serves_a_plan_and_never_hides_a_forecast(
    far_end: Any, load: Callable[[str], Any], grid: TimeGrid, now: int
) -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        name = "ckan_n2ex" if "datastore" in request.url.path else "elexon_mid_envelope"
        return httpx.Response(200, json=load(f"{name}.json"))

    far_end.answer = answer
    alone = price_hub(far_end, MARKET_INDEX)
    await alone.refresh(now)
    series = alone.series(Kind.PRICE, grid, now)
    assert series.quality is Quality.ABSENT
    assert np.isnan(series.values).all()
    assert "no slot to come" in series.detail
    assert "never a forecast" in series.detail
    # Not even when the running half-hour itself is in the index.
    running = TimeGrid(NOON - HOUR // 2, 1800, 8)
    assert alone.series(Kind.PRICE, running, NOON - 60).quality is Quality.ABSENT
    past = alone.series(Kind.PRICE, TimeGrid(NOON - 2 * HOUR, 1800, 4), now)
    np.testing.assert_array_equal(past.values, [76.0, 77.0, 78.0, 79.0])
    assert past.quality is Quality.GOOD

    both = price_hub(far_end, MARKET_INDEX, DAY_AHEAD)
    await both.refresh(now)
    served = both.series(Kind.PRICE, grid, now)
    assert served.source.startswith("N2EX GB day-ahead price")
    # Hourly: both half-hours of an hour have its price.
    np.testing.assert_array_equal(served.values[0::2], served.values[1::2])
