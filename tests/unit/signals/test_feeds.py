"""The hub: order of preference, quality, age, back-off, cache; every failure means fewer holds, never more."""

from __future__ import annotations

import asyncio
import json
import random
import socket
from typing import TYPE_CHECKING, Any

import httpx
import numpy as np
import pytest

from flexlond.model.series import Kind, Quality
from flexlond.model.settings import Feed, SignalSettings
from flexlond.model.timegrid import TimeGrid
from flexlond.signals import fetching
from flexlond.signals.feeds import SHORTEST_REFRESH, SignalHub

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

NOON = 1795435200
HOUR = 3600
NATIONAL = Feed(source="neso-carbon")
REGIONAL = Feed(source="neso-carbon-regional", region="12")
MARKET_INDEX = Feed(source="elexon-market-index")
DAY_AHEAD = Feed(source="neso-day-ahead")


def carbon_hub(far_end: Any, *feeds: Feed, **more: Any) -> SignalHub:
    settings = SignalSettings(carbon=feeds, **{k: more.pop(k) for k in ("fill",) if k in more})
    return SignalHub(settings, transport=far_end.transport, rng=random.Random(7), **more)


def price_hub(far_end: Any, *feeds: Feed, **more: Any) -> SignalHub:
    return SignalHub(
        SignalSettings(price=feeds, **more), transport=far_end.transport, rng=random.Random(7)
    )


@pytest.fixture
def national(load: Callable[[str], Any]) -> Any:
    return load("neso_national_fw48h.json")


@pytest.fixture
def grid() -> TimeGrid:
    return TimeGrid.covering(NOON + 600, 1800, 48)


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


def by_path(national: Any, regional: Any) -> Callable[[httpx.Request], httpx.Response]:
    def answer(request: httpx.Request) -> httpx.Response:
        payload = regional if "/regional/" in request.url.path else national
        return httpx.Response(200, json=payload) if payload else httpx.Response(500)

    return answer


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


# --- age --------------------------------------------------------------------------------------


async def test_old_data_turn_stale_and_keep_their_values_for_people(
    far_end: Any, national: Any, grid: TimeGrid, now: int
) -> None:
    far_end.says(national)
    hub = carbon_hub(far_end, NATIONAL)
    await hub.refresh(now)
    far_end.answer = lambda _: httpx.Response(500)
    later = now + 3 * HOUR
    await hub.refresh(later)
    assert hub.series(Kind.CARBON, grid, later).quality is Quality.GOOD
    assert "last attempt failed" in hub.series(Kind.CARBON, grid, later).detail
    series = hub.series(Kind.CARBON, grid, later + 1)
    assert series.quality is Quality.STALE
    assert "3.0 h old, usable for 3.0 h" in series.detail
    assert np.isfinite(series.values).all()


async def test_a_stale_feed_gives_way_to_a_fresh_one(
    far_end: Any, national: Any, load: Callable[[str], Any], grid: TimeGrid, now: int
) -> None:
    far_end.answer = by_path(national, load("neso_regional_object.json"))
    hub = carbon_hub(
        far_end, Feed(source="neso-carbon-regional", region="12", max_age=60.0), NATIONAL
    )
    await hub.refresh(now)
    assert "region 12" in hub.series(Kind.CARBON, grid, now + 60).source
    served = hub.series(Kind.CARBON, grid, now + 61)
    assert "national" in served.source
    assert "stale" in served.detail


async def test_data_from_the_future_mean_a_doubtful_clock(
    far_end: Any, national: Any, grid: TimeGrid, now: int
) -> None:
    far_end.says(national)
    hub = carbon_hub(far_end, NATIONAL)
    await hub.refresh(now)
    assert hub.series(Kind.CARBON, grid, now - 601).quality is Quality.STALE


async def test_a_shorter_new_forecast_is_not_filled_up_with_the_old_one(
    far_end: Any, national: Any, grid: TimeGrid, now: int
) -> None:
    far_end.says(national)
    hub = carbon_hub(far_end, NATIONAL)
    await hub.refresh(now)
    far_end.says({"data": national["data"][5:15]})
    await hub.refresh(now + 2 * HOUR)
    values = hub.series(Kind.CARBON, grid, now + 2 * HOUR).values
    assert np.isfinite(values[:14]).all()  # the past half-hours stay known, for reports
    assert np.isnan(values[14:]).all()


# --- when a feed is asked -----------------------------------------------------------------------


async def test_refresh_asks_again_only_when_due(far_end: Any, national: Any, now: int) -> None:
    far_end.says(national)
    hub = carbon_hub(far_end, Feed(source="neso-carbon", refresh=600.0))
    for after in (0, 3, 599, 631):
        await hub.refresh(now + after)
    assert len(far_end.requests) == 2


async def test_a_public_service_is_not_asked_more_often_than_once_a_minute(
    far_end: Any, national: Any, now: int
) -> None:
    far_end.says(national)
    hub = carbon_hub(far_end, Feed(source="neso-carbon", refresh=1.0))
    for after in range(0, 120, 3):
        await hub.refresh(now + after)
    assert len(far_end.requests) == 2
    assert SHORTEST_REFRESH == 60.0


async def test_failures_are_retried_later_and_later_but_within_bounds(
    far_end: Any, now: int
) -> None:
    hub = carbon_hub(far_end, NATIONAL)  # the far end says 500
    asked_at: list[int] = []
    for after in range(0, 24 * HOUR, 5):
        before = len(far_end.requests)
        await hub.refresh(now + after)
        if len(far_end.requests) > before:
            asked_at.append(after)
    waits = np.diff(asked_at)
    assert 30 <= waits[0] <= 30 * 1.25 + 5
    assert 60 <= waits[1] <= 60 * 1.25 + 5
    assert (waits <= 1800 * 1.25 + 5).all()
    assert (waits[7:] >= 1800).all()


@pytest.mark.parametrize(
    ("header", "least", "most"),
    [
        ("600", 600, 755),
        ("Mon, 23 Nov 2026 12:20:00 GMT", 600, 755),  # ten minutes after `now`
        ("999999999", 6 * HOUR, 6 * HOUR * 1.25 + 5),  # a wish, not an order
        ("soon", 30, 43),
        ("-5", 30, 43),
    ],
)
async def test_retry_after_is_granted_within_reason(
    far_end: Any, now: int, header: str, least: int, most: float
) -> None:
    far_end.answer = lambda _: httpx.Response(429, headers={"retry-after": header})
    hub = carbon_hub(far_end, NATIONAL)
    await hub.refresh(now)
    await hub.refresh(now + least - 1)
    assert len(far_end.requests) == 1
    await hub.refresh(now + int(most) + 1)
    assert len(far_end.requests) == 2


async def test_a_clock_set_back_does_not_silence_a_feed(
    far_end: Any, national: Any, now: int
) -> None:
    far_end.says(national)
    hub = carbon_hub(far_end, NATIONAL)
    await hub.refresh(now + 365 * 24 * HOUR)
    await hub.refresh(now)
    assert len(far_end.requests) == 2


async def test_one_feed_that_hangs_does_not_keep_the_others(
    far_end: Any, national: Any, grid: TimeGrid, now: int
) -> None:
    async def handle(request: httpx.Request) -> httpx.Response:
        if "/regional/" in request.url.path:
            await asyncio.Event().wait()  # for ever
        return httpx.Response(200, json=national)

    hub = SignalHub(
        SignalSettings(carbon=(REGIONAL, NATIONAL), timeout=0.05),
        transport=httpx.MockTransport(handle),
    )
    await hub.refresh(now)
    series = hub.series(Kind.CARBON, grid, now)
    assert series.quality is Quality.GOOD
    assert "no complete answer within 0.2 s" in series.detail


async def test_cancelling_is_not_swallowed(now: int) -> None:
    started = asyncio.Event()

    async def hang(_: httpx.Request) -> httpx.Response:
        started.set()
        await asyncio.Event().wait()
        raise AssertionError("never reached")

    hub = SignalHub(SignalSettings(carbon=(NATIONAL,)), transport=httpx.MockTransport(hang))
    task = asyncio.create_task(hub.refresh(now))
    await started.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await hub.close()


async def test_all_feeds_share_one_client_which_is_closed(
    national: Any, load: Callable[[str], Any], now: int
) -> None:
    closed: list[bool] = []

    class Watched(httpx.MockTransport):
        async def aclose(self) -> None:
            closed.append(True)

    transport = Watched(by_path(national, load("neso_regional_object.json")))
    hub = SignalHub(SignalSettings(carbon=(REGIONAL, NATIONAL)), transport=transport)
    await hub.refresh(now)
    await hub.close()
    await hub.close()
    assert closed == [True]


# --- the cache ----------------------------------------------------------------------------------


def the_file(directory: Path) -> Path:
    (only,) = directory.iterdir()
    return only


async def test_a_restart_is_not_blind_and_age_goes_on(
    far_end: Any, national: Any, grid: TimeGrid, now: int, tmp_path: Path
) -> None:
    national["data"][5]["intensity"]["forecast"] = None
    far_end.says(national)
    first = carbon_hub(far_end, NATIONAL, cache_dir=tmp_path / "signals")
    await first.refresh(now)
    before = first.series(Kind.CARBON, grid, now)
    again = carbon_hub(far_end, NATIONAL, cache_dir=tmp_path / "signals")
    after = again.series(Kind.CARBON, grid, now + 60)
    np.testing.assert_array_equal(after.values, before.values)
    assert (after.fetched_at, after.quality) == (now, Quality.PARTIAL)
    assert "from the cache of an earlier run" in after.detail
    assert again.series(Kind.CARBON, grid, now + 4 * HOUR).quality is Quality.STALE
    await again.refresh(now + 60)  # and it is asked at once
    assert len(far_end.requests) == 2
    assert the_file(tmp_path / "signals").suffix == ".json"  # and no temporary one


@pytest.mark.parametrize(
    "damage",
    [
        lambda text: text[: len(text) // 2],
        lambda _: "",
        lambda _: "[]",
        lambda text: text.replace('"layout":1', '"layout":2'),
        lambda text: text.replace("carbon|neso-carbon|", "carbon|neso-carbon|elsewhere"),
        lambda text: json.dumps({**json.loads(text), "rows": []}),
        lambda text: json.dumps({**json.loads(text), "rows": [[1, 2]]}),
    ],
)
async def test_a_damaged_cache_is_as_good_as_none(
    far_end: Any,
    national: Any,
    grid: TimeGrid,
    now: int,
    tmp_path: Path,
    damage: Callable[[str], str],
) -> None:
    far_end.says(national)
    await carbon_hub(far_end, NATIONAL, cache_dir=tmp_path).refresh(now)
    file = the_file(tmp_path)
    file.write_text(damage(file.read_text(encoding="utf-8")), encoding="utf-8")
    series = carbon_hub(far_end, NATIONAL, cache_dir=tmp_path).series(Kind.CARBON, grid, now)
    assert series.quality is Quality.ABSENT


async def test_a_cache_that_cannot_be_written_is_said_and_harms_nothing(
    far_end: Any, national: Any, grid: TimeGrid, now: int, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("in the way", encoding="utf-8")
    far_end.says(national)
    hub = carbon_hub(far_end, NATIONAL, cache_dir=tmp_path / "file" / "signals")
    await hub.refresh(now)
    series = hub.series(Kind.CARBON, grid, now)
    assert series.quality is Quality.GOOD
    assert "cannot be cached" in series.detail


async def test_another_region_has_another_cache(
    far_end: Any, load: Callable[[str], Any], grid: TimeGrid, now: int, tmp_path: Path
) -> None:
    far_end.says(load("neso_regional_object.json"))
    await carbon_hub(far_end, REGIONAL, cache_dir=tmp_path).refresh(now)
    other = Feed(source="neso-carbon-regional", region="13")
    series = carbon_hub(far_end, other, cache_dir=tmp_path).series(Kind.CARBON, grid, now)
    assert series.quality is Quality.ABSENT
