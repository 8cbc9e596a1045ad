"""The meter's drivers: answers captured from a real Prometheus, a file that is being written."""

from __future__ import annotations

import asyncio
import json
import math
import os
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from flexlond.model.metering import ReadingQuality
from flexlond.model.settings import MeterSettings
from flexlond.signals.meter import SiteMeter
from flexlond.signals.meter_csv import last_reading
from flexlond.signals.meter_prometheus import parse_vector
from flexlond.signals.rows import SignalError

if TYPE_CHECKING:
    from collections.abc import Callable

FIXTURES = Path(__file__).parents[2] / "fixtures" / "meter"
EVALUATED = 1795854741.284  # of vector.json
SAMPLED = 1795854740  # the sample's own time, whole seconds
NOW = 1795854745


def captured(name: str) -> Any:
    return json.loads((FIXTURES / f"{name}.json").read_text(encoding="utf-8"))


def meter(far_end: Any, **changes: Any) -> SiteMeter:
    values: dict[str, Any] = {
        "source": "prometheus",
        "url": "http://prometheus.example:9090/",
        "query": "site_power_watts",
        "unit": "W",
        "max_kw": 100.0,
        "max_age": 60.0,
    }
    return SiteMeter(MeterSettings(**(values | changes)), transport=far_end.transport)


def prometheus(values: str = "vector", stamps: str = "timestamp") -> Callable[..., httpx.Response]:
    """Answers by the query, as captured."""

    def answer(request: httpx.Request) -> httpx.Response:
        asked = request.url.params["query"]
        return httpx.Response(
            200, json=captured(stamps if asked.startswith("timestamp(") else values)
        )

    return answer


async def test_the_power_in_kw_with_the_samples_own_time(far_end: Any) -> None:
    far_end.answer = prometheus()
    site = meter(far_end)
    await site.refresh(NOW)
    found = site.reading(NOW)
    assert (found.at, found.kw, found.quality) == (SAMPLED, pytest.approx(1.584161), "good")
    first, second = far_end.requests
    assert str(first.url).startswith("http://prometheus.example:9090/api/v1/query?")
    assert second.url.params["query"] == "timestamp(site_power_watts)"
    assert float(second.url.params["time"]) == EVALUATED  # of the same samples
    await site.close()


async def test_a_dead_meter_becomes_stale_by_itself(far_end: Any) -> None:
    far_end.answer = prometheus()
    site = meter(far_end)
    await site.refresh(NOW)
    far_end.answer = lambda _: httpx.Response(503, text="gone")
    await site.refresh(NOW + 10)
    assert site.reading(NOW + 10).good  # the last one is still fresh
    late = site.reading(SAMPLED + 61)
    assert late.quality is ReadingQuality.STALE
    assert "61 s old" in late.detail
    assert "503" in late.detail
    await site.close()


async def test_a_sample_that_prometheus_serves_from_five_minutes_ago_is_stale(far_end: Any) -> None:
    old = captured("timestamp")
    old["data"]["result"][0]["value"][1] = str(EVALUATED - 290)
    far_end.answer = lambda request: httpx.Response(
        200, json=old if "timestamp" in request.url.params["query"] else captured("vector")
    )
    site = meter(far_end)
    await site.refresh(NOW)
    assert site.reading(NOW).quality is ReadingQuality.STALE
    assert site.take() == ()
    await site.close()


async def test_the_series_are_summed_and_each_one_must_be_there(far_end: Any) -> None:
    two = captured("two")
    two["data"]["result"][0]["value"][1] = "1000"
    two["data"]["result"][1]["value"][1] = "500.5"
    far_end.answer = lambda request: httpx.Response(
        200, json=captured("timestamp") if "timestamp" in request.url.params["query"] else two
    )
    site = meter(far_end, series=2)
    await site.refresh(NOW)
    assert site.reading(NOW).kw == pytest.approx(1.5005)
    await site.close()
    short = meter(far_end, series=3)
    await short.refresh(NOW)
    assert short.reading(NOW).quality is ReadingQuality.ABSENT
    assert "2 series and meter.series is 3" in short.reading(NOW).detail
    await short.close()


@pytest.mark.parametrize(
    ("name", "says"),
    [("empty", "0 series"), ("scalar", "'scalar'"), ("matrix", "'matrix'"), ("two", "2 series")],
)
async def test_answers_without_one_figure_are_no_reading(
    far_end: Any, name: str, says: str
) -> None:
    far_end.answer = prometheus(name)
    site = meter(far_end)
    await site.refresh(NOW)
    found = site.reading(NOW)
    assert found.quality is ReadingQuality.ABSENT
    assert says in found.detail
    assert "meter.query" in found.detail
    await site.close()


async def test_a_refused_query_says_what_prometheus_said(far_end: Any) -> None:
    far_end.answer = lambda _: httpx.Response(400, json=captured("bad"))
    site = meter(far_end)
    await site.refresh(NOW)
    assert "parse error" in site.reading(NOW).detail
    assert "check meter.query" in site.reading(NOW).detail
    await site.close()


@pytest.mark.parametrize("value", ["NaN", "-5", "100001"])
async def test_an_absurd_value_is_never_handed_out(far_end: Any, value: str) -> None:
    far_end.answer = prometheus()
    site = meter(far_end)
    await site.refresh(NOW)
    assert [one.kw for one in site.take()] == [pytest.approx(1.584161)]
    absurd = captured("nan")
    absurd["data"]["result"][0]["value"][1] = value
    far_end.answer = lambda request: httpx.Response(
        200, json=captured("timestamp") if "timestamp" in request.url.params["query"] else absurd
    )
    await site.refresh(NOW)
    assert site.reading(NOW).quality is ReadingQuality.ABSURD
    assert site.take() == ()
    await site.close()


async def test_a_reading_is_taken_once(far_end: Any) -> None:
    far_end.answer = prometheus()
    site = meter(far_end)
    await site.refresh(NOW)
    await site.refresh(NOW + 1)  # the same sample again
    assert len(site.take()) == 1
    assert site.take() == ()
    await site.close()


async def test_a_server_that_hangs_is_given_up(far_end: Any) -> None:
    async def hang(_: httpx.Request) -> httpx.Response:
        await asyncio.Event().wait()
        raise AssertionError

    settings = MeterSettings(
        source="prometheus", url="http://p.example", query="q", max_kw=9.0, timeout=0.02
    )
    site = SiteMeter(settings, transport=httpx.MockTransport(hang))
    await site.refresh(NOW)
    assert "no answer within 0.04 s" in site.reading(NOW).detail
    await site.close()


async def test_a_fault_of_the_driver_is_said_and_never_raised(far_end: Any) -> None:
    def broken(_: httpx.Request) -> httpx.Response:
        raise RuntimeError("inside")

    far_end.answer = broken
    site = meter(far_end)
    await site.refresh(NOW)
    assert "unexpected RuntimeError" in site.reading(NOW).detail
    await site.close()


@pytest.mark.parametrize(
    "reply",
    [
        None,
        [],
        {"status": "success"},
        {"status": "success", "data": {"resultType": "vector"}},
        {"status": "success", "data": {"resultType": "vector", "result": [{"value": [1]}]}},
        {"status": "success", "data": {"resultType": "vector", "result": [{"value": ["x", "1"]}]}},
        {"status": "success", "data": {"resultType": "vector", "result": [7]}},
    ],
)
def test_what_is_no_vector_is_refused(reply: Any) -> None:
    with pytest.raises(SignalError):
        parse_vector(reply)


def test_without_a_meter_there_is_no_reading_and_nothing_to_say(far_end: Any) -> None:
    site = SiteMeter(MeterSettings(), transport=far_end.transport)
    asyncio.run(site.refresh(NOW))
    assert not site.configured
    assert site.reading(NOW).quality is ReadingQuality.ABSENT
    assert site.reading(NOW).detail == ""
    assert far_end.requests == []


async def test_an_exchanged_meter_forgets_what_the_other_one_read(far_end: Any) -> None:
    far_end.answer = prometheus()
    site = meter(far_end)
    await site.refresh(NOW)
    changed = MeterSettings(source="csv", path="/nowhere/meter.csv", max_kw=5.0)
    assert await site.exchange(changed)
    assert not await site.exchange(changed)
    assert site.reading(NOW).detail == "not read yet"
    assert site.take() == ()
    await site.refresh(NOW)
    assert "No such file" in site.reading(NOW).detail
    await site.close()


# --- the file


def test_the_last_whole_line_counts() -> None:
    text = b"utc,kw\n2026-11-23T12:00:00Z,800.5\n2026-11-23T12:00:10Z,801.25\n"
    assert last_reading(text, "f", 2) == (1795435210, 801.25)


def test_a_half_written_line_is_passed_by() -> None:
    text = b"2026-11-23T12:00:00Z,800.5\n2026-11-23T12:00:10Z,80"
    assert last_reading(text, "f", 2) == (1795435200, 800.5)


@pytest.mark.parametrize(
    "line",
    [
        "1795435200.9,7",
        "2026-11-23 12:00:00+00:00,7",
        "2026-11-23T13:00:00+01:00, 7 ",
        '"1795435200","7"',
    ],
)
def test_times_are_iso_or_epoch(line: str) -> None:
    assert last_reading(f"{line}\r\n".encode(), "f", 2) == (1795435200, 7.0)


def test_another_column() -> None:
    assert last_reading(b"1795435200,V,231,12.5\n", "f", 4) == (1795435200, 12.5)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (b"", "no whole line"),
        (b"2026-11-23T12:00:00Z,80", "no whole line"),
        (b"2026-11-23T12:00:00Z,1\n2026-11-23T12:00:10Z,ERR\n", "no number"),
        (b"2026-11-23T12:00:00Z,1\nnoise\n", "no column 2"),
        (b"yesterday,5\n", "ISO 8601"),
        (b"\xff\xfe,\xff\n", "no number"),
    ],
)
def test_what_cannot_be_read_is_said(text: bytes, says: str) -> None:
    with pytest.raises(SignalError, match=says):
        last_reading(text, "f", 2)


async def test_a_long_file_is_read_at_its_end_and_a_failed_logger_goes_stale(
    tmp_path: Path,
) -> None:
    path = tmp_path / "meter.csv"
    path.write_text("".join(f"{NOW - 5000 + at},{at}\n" for at in range(5000)), encoding="utf-8")
    site = SiteMeter(MeterSettings(source="csv", path=str(path), max_kw=1e4, max_age=30.0))
    await site.refresh(NOW)
    assert (site.reading(NOW).at, site.reading(NOW).kw) == (NOW - 1, 4999.0)
    await site.refresh(NOW + 60)
    assert site.reading(NOW + 60).quality is ReadingQuality.STALE
    path.unlink()
    await site.refresh(NOW + 61)
    assert "No such file" in site.reading(NOW + 61).detail
    await site.close()


@pytest.mark.parametrize("at", ["1e30", "1795435200000000", "-5"])
async def test_a_time_that_is_none_is_no_reading(tmp_path: Path, at: str) -> None:
    path = tmp_path / "meter.csv"
    path.write_text(f"{at},5\n", encoding="utf-8")
    site = SiteMeter(MeterSettings(source="csv", path=str(path), max_kw=1e4))
    await site.refresh(NOW)
    assert site.reading(NOW).quality is ReadingQuality.ABSENT
    assert "no time since 1970" in site.reading(NOW).detail
    await site.close()


@given(st.binary(max_size=200), st.integers(2, 5))
def test_any_bytes_give_a_reading_or_say_why_not(tail: bytes, column: int) -> None:
    said = ""
    value = math.nan
    try:
        _, value = last_reading(tail, "f", column)
    except SignalError as error:
        said = str(error)
    assert said.startswith("f: ") if said else math.isfinite(value)


async def test_a_file_system_that_hangs_keeps_one_thread_only(tmp_path: Path) -> None:
    path = tmp_path / "meter.csv"
    os.mkfifo(path)  # opening it to read waits for somebody who writes
    site = SiteMeter(MeterSettings(source="csv", path=str(path), max_kw=1e4, timeout=0.02))
    threads = threading.active_count()
    try:
        await site.refresh(NOW)
        assert "no answer within 0.04 s" in site.reading(NOW).detail
        for _ in range(10):
            await site.refresh(NOW)
        assert "the read before this one has not ended" in site.reading(NOW).detail
        assert threading.active_count() <= threads + 1
    finally:
        await asyncio.to_thread(path.write_bytes, b"")
    await site.close()


# ---- Slurm's nodes


def of_slurm(ask: Callable[[], float], **changes: Any) -> SiteMeter:
    values: dict[str, Any] = {"source": "slurm", "max_kw": 100.0, "max_age": 60.0}
    return SiteMeter(MeterSettings(**(values | changes)), node_watts=ask)


async def test_what_all_nodes_report_is_a_reading_of_the_nodes() -> None:
    site = of_slurm(lambda: 42_000.0)
    await site.refresh(NOW)
    found = site.reading(NOW)
    assert (found.at, found.kw, found.quality) == (NOW, 42.0, ReadingQuality.GOOD)
    assert found.measured
    assert site.reading(NOW + 61).quality is ReadingQuality.STALE
    await site.close()


@pytest.mark.parametrize(("unit", "factor"), [("W", 1.25), ("kW", 1.25), ("MW", 2.0)])
async def test_a_factor_makes_it_an_estimate(unit: str, factor: float) -> None:
    site = of_slurm(lambda: 40_000.0, unit=unit, site_factor=factor)
    await site.refresh(NOW)
    found = site.reading(NOW)
    assert found.kw == pytest.approx(40.0 * factor)
    assert not found.measured
    assert found.source.startswith(f"estimate: Slurm's node energy x {factor:g}")


async def test_a_node_that_does_not_report_leaves_no_reading_and_says_so() -> None:
    def silent() -> float:
        raise SignalError("1 of 3 nodes do not report their power to Slurm: n2 (DOWN)")

    site = of_slurm(silent)
    await site.refresh(NOW)
    found = site.reading(NOW)
    assert found.quality is ReadingQuality.ABSENT
    assert "n2 (DOWN)" in found.detail
    assert list(site.take()) == []
    assert not SiteMeter(MeterSettings(source="slurm", max_kw=1.0)).configured  # without Slurm
