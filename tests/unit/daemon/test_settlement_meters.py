"""Metering points read where they are: Prometheus' samples, Slurm's accounting, the daemon's model."""

from __future__ import annotations

import datetime as dt
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from flexlond.daemon.settlement_meters import read_points
from flexlond.daemon.store import SqliteStore
from flexlond.model.metering import Modelled
from flexlond.model.settings import Settings, SlurmSettings
from flexlond.model.settlement_period import day_end, day_start
from flexlond.model.settlement_settings import PointSettings, SettlementSettings
from flexlond.settlement.readings import Quality
from flexlond.signals.energy_prometheus import parse_matrix, read_samples
from flexlond.signals.rows import SignalError

if TYPE_CHECKING:
    from collections.abc import Callable

DAY = dt.date(2026, 9, 15)
BEGIN, END = day_start(DAY), day_end(DAY)
FIXTURES = Path(__file__).parents[2] / "fixtures" / "meter"


class Server:
    """Answers range selectors from samples by series, as Prometheus does: (time - range, time]."""

    def __init__(self, series: dict[str, list[tuple[float, float]]]) -> None:
        self.series = series
        self.asked: list[str] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        query, moment = request.url.params["query"], float(request.url.params["time"])
        self.asked.append(query)
        span = float(query.rsplit("[", 1)[1].removesuffix("s]"))
        result = []
        for name, samples in self.series.items():
            values = [[t, str(v)] for t, v in samples if moment - span < t <= moment]
            if values:
                result.append({"metric": {"__name__": "energy", "pdu": name}, "values": values})
        data = {"resultType": "matrix", "result": result}
        return httpx.Response(200, json={"status": "success", "data": data})


def counter(kw: float, every: int = 30) -> list[tuple[float, float]]:
    return [
        (float(t), 1e9 + kw * 1000 * (t - BEGIN)) for t in range(BEGIN - 3600, END + 3600, every)
    ]


def settings(*points: PointSettings, **more: Any) -> Settings:
    return Settings(settlement=SettlementSettings(points=points), **more)


def pdus(**more: Any) -> PointSettings:
    values = {"name": "room", "source": "prometheus", "url": "http://p.example", "query": "energy"}
    return PointSettings(**(values | {"unit": "J", "max_kw": 100.0, "series": 2} | more))


async def test_the_pdus_of_a_room_make_a_point_together(tmp_path: Path) -> None:
    server = Server({"a": counter(20.0), "b": counter(30.0)})
    report = await read_points(
        settings(pdus()), DAY, DAY, tmp_path / "none.db", transport=httpx.MockTransport(server)
    )
    assert report.problems == ()
    assert len(report.readings) == 48
    assert {(one.wh, one.quality) for one in report.readings} == {(25_000, Quality.MEASURED)}
    assert len(server.asked) == 5  # a day and its edges, six hours at a time
    assert all(asked.startswith("energy[") for asked in server.asked)


async def test_a_pdu_that_is_away_leaves_no_reading_too_low(tmp_path: Path) -> None:
    half = [s for s in counter(30.0) if s[0] < BEGIN + 12 * 3600]
    server = Server({"a": counter(20.0), "b": half})
    transport = httpx.MockTransport(server)
    report = await read_points(settings(pdus()), DAY, DAY, tmp_path / "n.db", transport=transport)
    assert [one.quality for one in report.readings[:23]] == [Quality.MEASURED] * 23
    assert {one.quality for one in report.readings[25:]} == {Quality.MISSING}
    gone = Server({"a": counter(20.0)})
    report = await read_points(
        settings(pdus()), DAY, DAY, tmp_path / "n.db", transport=httpx.MockTransport(gone)
    )
    assert report.readings == ()
    assert "has 1 series between the two moments and the point says 2" in report.problems[0]


async def test_power_in_watts_is_integrated(tmp_path: Path) -> None:
    watts = [(float(t), 40_000.0) for t in range(BEGIN - 60, END + 60, 15)]
    point = pdus(kind="power", unit="W", series=1)
    transport = httpx.MockTransport(Server({"a": watts}))
    report = await read_points(settings(point), DAY, DAY, tmp_path / "n.db", transport=transport)
    assert {(one.wh, one.quality) for one in report.readings} == {(20_000, Quality.MEASURED)}


async def test_one_point_that_fails_does_not_hide_another(tmp_path: Path) -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        if request.url.host == "broken.example":
            return httpx.Response(503, text="starting")
        return Server({"a": counter(20.0), "b": counter(30.0)})(request)

    points = settings(pdus(name="x", url="http://broken.example"), pdus())
    transport = httpx.MockTransport(answer)
    report = await read_points(points, DAY, DAY, tmp_path / "n.db", transport=transport)
    assert len(report.readings) == 48
    assert report.problems[0].startswith("x: http://broken.example/api/v1/query answered 503")


async def test_the_model_is_read_from_the_daemon_s_store_and_is_an_estimate(tmp_path: Path) -> None:
    store = tmp_path / "flexlond.db"
    with SqliteStore(store) as made:
        for at in range(BEGIN - 60, END, 30):
            made.power.add((), Modelled(at, 12.0, 5.0), 0)
    point = PointSettings(name="m", source="model", max_kw=50.0)
    report = await read_points(settings(point), DAY, DAY, store)
    assert {(one.wh, one.quality) for one in report.readings} == {(6000, Quality.ESTIMATED)}
    absent = await read_points(settings(point), DAY, DAY, tmp_path / "absent.db")
    assert absent.readings == ()
    assert absent.problems[0].startswith("m: ")


SACCT = """
import sys
delimiter = next(a.split("=", 1)[1] for a in sys.argv if a.startswith("--delimiter="))
for number, begin, end, joules in {runs!r}:
    row = [number, number, "alice", "1", "a", "q", "main", "COMPLETED", begin, begin, begin, end, "60",
           "cpu=1,node=1", "cpu=1,node=1", joules, "0", "job", ""]
    print("".join(str(cell) + delimiter for cell in row))
"""


async def test_of_several_sources_the_best_reading_stands(tmp_path: Path) -> None:
    half = [s for s in counter(40.0) if s[0] < BEGIN + 12 * 3600 + 60]
    store = tmp_path / "flexlond.db"
    with SqliteStore(store) as made:
        for at in range(BEGIN - 60, END, 60):
            made.power.add((), Modelled(at, 12.0, 5.0), 0)
    points = settings(pdus(series=1), PointSettings(name="room", source="model", max_kw=50.0))
    transport = httpx.MockTransport(Server({"a": half}))
    report = await read_points(points, DAY, DAY, store, transport=transport)
    assert [(one.wh, one.quality) for one in report.readings[:24]] == [
        (20_000, Quality.MEASURED)
    ] * 24
    assert {(one.wh, one.quality) for one in report.readings[24:]} == {(6000, Quality.ESTIMATED)}


def sacct(folder: Path, runs: list[tuple[int, int, int, str]]) -> Settings:
    path = folder / "sacct"
    path.write_text(f"#!{sys.executable} -S\n{SACCT.format(runs=runs)}")
    path.chmod(0o755)
    point = PointSettings(name="s", source="slurm", site_factor=1.5, base_kw=2.0)
    return settings(point, slurm=SlurmSettings(bin_dir=str(folder)))


async def test_slurm_s_own_energy_is_an_estimate_and_zero_joules_are_none(tmp_path: Path) -> None:
    own = sacct(tmp_path, [(1, BEGIN, BEGIN + 3600, "7200000")])
    report = await read_points(own, DAY, DAY, tmp_path / "n.db")
    assert [one.wh for one in report.readings[:3]] == [2500, 2500, 1000]
    assert {one.quality for one in report.readings} == {Quality.ESTIMATED}
    bad = sacct(tmp_path, [(1, BEGIN, BEGIN + 1800, "0")])
    report = await read_points(bad, DAY, DAY, tmp_path / "n.db")
    assert [one.quality for one in report.readings[:2]] == [Quality.MISSING, Quality.ESTIMATED]


def test_a_captured_matrix_is_read() -> None:
    (first, *_) = parse_matrix(json.loads((FIXTURES / "matrix.json").read_text("utf-8")))
    labels, samples = first
    assert dict(labels)["__name__"] == "up"
    assert all(t > 1.7e9 and v in {0.0, 1.0} for t, v in samples)


def broken(change: Callable[[dict[str, Any]], None]) -> Any:
    reply = json.loads((FIXTURES / "matrix.json").read_text("utf-8"))
    change(reply)
    return reply


@pytest.mark.parametrize(
    ("reply", "says"),
    [
        ({"status": "error"}, "no successful query's"),
        (json.loads((FIXTURES / "vector.json").read_text("utf-8")), "a 'vector', not a matrix"),
        (broken(lambda r: r["data"].update(result=3)), "no list of series"),
        (broken(lambda r: r["data"]["result"][0].pop("values")), "no labels or no samples"),
        (broken(lambda r: r["data"]["result"][0].update(values=[[1]])), "not \\[time, value\\]"),
    ],
)
def test_an_answer_of_another_shape_is_refused(reply: Any, says: str) -> None:
    with pytest.raises(SignalError, match=says):
        parse_matrix(reply)


async def test_the_query_that_is_no_selector_is_named() -> None:
    def refuse(_: httpx.Request) -> httpx.Response:
        return httpx.Response(400, json={"status": "error", "error": "parse error"})

    async with httpx.AsyncClient(transport=httpx.MockTransport(refuse)) as client:
        with pytest.raises(SignalError, match="must be a plain selector"):
            await read_samples(client, "http://p.example", "sum(x)", BEGIN, END)
