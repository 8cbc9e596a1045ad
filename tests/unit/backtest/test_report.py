from __future__ import annotations

import csv
import io
import json
import math
import re
from html.parser import HTMLParser
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from flexlond.backtest import html, report, svg
from flexlond.backtest.parts import Identity, Input, Task
from flexlond.backtest.results import Facts, Outcome, Results, Shown

VOID = {"meta", "link", "br", "img"}
HOSTILE = '<script>alert("x")</script>'


def outcome(name: str, parameter: str = "", seed: int = 1, **figures: float) -> Outcome:
    usual = {
        "cost_gbp": 100.0,
        "co2_kg": 50.0,
        "site_cost_gbp": 200.0,
        "site_co2_kg": 100.0,
        "wait_mean_s": 3600.0,
        "wait_median_s": 1800.0,
        "wait_p95_s": 7200.0,
        "slowdown_flexible": 2.0,
        "slowdown_other": math.nan,
        "late": 0.0,
        "peak_kw": 30.0,
        "ramp_kw": 10.0,
        "moved": 3.0,
        "plan_seconds": 0.01,
    }
    return Outcome(
        Task(name, parameter, seed),
        usual | figures,
        power_kw=(1.0, 2.0, math.nan, 1.0),
        wait_flexible_h=(0.0, 1.0, 2.0),
        wait_other_h=(),
    )


def results(*outcomes: Outcome, foresight: bool = False, **more: Any) -> Results:
    return Results(
        identity=Identity("0.1.0", {"share": 0.6}, (Input("jobs.swf", "ab" * 32, 7),)),
        facts=Facts(
            trace="jobs.swf",
            jobs=4,
            nodes=2.0,
            begin="2026-01-05T00:00:00Z",
            end="2026-01-06T00:00:00Z",
            flexible=0.6,
            signals="gb",
            foresight=foresight,
            notes=("price: day-ahead",),
            problems=(f"jobs.swf:7: {HOSTILE}; left out",),
            policies={"asap": "as soon as possible", "ours": "knows the future"},
            bounds=("ours",),
        ),
        shown=Shown(1767571200, 1800, (50.0, math.nan, 60.0, 70.0), (100.0,) * 4, 0.3),
        outcomes=outcomes,
        **more,
    )


def test_a_unit_of_work_has_its_own_two_columns() -> None:
    table = report.lines(
        results(
            outcome("asap", gbp_per_inference=2.5e-6, latency_late=1.0),
            outcome("ours", gbp_per_inference=2.4e-6, latency_late=0.0),
        )
    )
    columns = {f"{c.title} {c.unit}": c for c in report.present(table)}
    cost, change = columns["cost per unit GBP/inference"], columns["per inference % of asap"]
    assert [report.cell(line, cost) for line in table] == ["2.5e-06", "2.4e-06"]
    assert [report.cell(line, change) for line in table] == ["", "-4.00"]
    late = columns["latency late jobs"]
    assert [report.cell(line, late) for line in table] == ["1", "0"]
    plain = report.present(report.lines(results(outcome("asap"))))
    assert not any("unit" in column.title or column.title == "latency" for column in plain)


def two_seeds(**more: Any) -> Results:
    return results(
        outcome("asap", seed=1, cost_gbp=100.0),
        outcome("asap", seed=2, cost_gbp=200.0),
        outcome("ours", "delay_price=0.1", seed=1, cost_gbp=90.0, site_cost_gbp=190.0),
        outcome("ours", "delay_price=0.1", seed=2, cost_gbp=160.0, site_cost_gbp=160.0),
        **more,
    )


def test_a_change_is_against_asap_of_the_same_seed() -> None:
    asap, ours = report.lines(two_seeds())
    change = ours.change("cost_gbp")
    assert (change.mean, change.low, change.high, change.count) == (-15.0, -20.0, -10.0, 2)
    assert asap.change("cost_gbp").mean == 0.0
    assert ours.spread("cost_gbp").mean == 125.0


def test_without_asap_no_change_is_invented() -> None:
    alone = results(outcome("ours"))
    (line,) = report.lines(alone)
    assert line.change("cost_gbp").count == 0
    assert not any(column.change for column in report.present([line]))
    assert any("no policy asap" in note for note in report.footnotes(alone))


def test_what_is_unknown_is_a_dash_and_no_zero() -> None:
    unknown = results(outcome("asap", cost_gbp=math.nan), outcome("ours", cost_gbp=math.nan))
    _, line = report.lines(unknown)
    titles = [column.title for column in report.present([line])]
    assert "slowdown other" not in titles
    assert report.cell(line, report.COLUMNS[0]) == "-"
    assert report.number(-0.04, 1, sign=True) == "0.0"
    assert report.number(-12.34, 1, sign=True) == "-12.3"


def test_the_terminal_table_labels_foresight_seeds_and_failures() -> None:
    stream = io.StringIO()
    failed = ((Task("coast", "", 2), "KeyError: 'x'"),)
    missing = (Task("greenest", "", 1),)
    report.show(
        Console(file=stream, width=200),
        two_seeds(foresight=True, failed=failed, missing=missing),
    )
    text = stream.getvalue()
    assert "-15.0" in text
    assert "[-20.0, -10.0]" in text
    assert "perfect foresight" in text
    assert "ours: knows the future" in text
    assert "means over the seeds 1, 2" in text
    assert "FAILED: coast, seed 2: KeyError: 'x'" in text
    assert "not run: greenest, seed 1" in text


def test_csv_has_one_row_for_each_run_and_json_everything() -> None:
    found = two_seeds()
    rows = list(csv.DictReader(io.StringIO(found.as_csv())))
    assert [(row["policy"], row["parameter"], row["seed"]) for row in rows] == [
        ("asap", "", "1"),
        ("asap", "", "2"),
        ("ours", "delay_price=0.1", "1"),
        ("ours", "delay_price=0.1", "2"),
    ]
    assert rows[3]["cost_gbp"] == "160"
    assert rows[3]["slowdown_other"] == ""
    data = json.loads(found.as_json())
    assert data["key"] == found.identity.key
    assert data["inputs"][0] == {"path": "jobs.swf", "sha256": "ab" * 32, "size": 7}
    assert data["outcomes"][0]["figures"]["slowdown_other"] is None
    assert data["shown"]["price"] == [50.0, None, 60.0, 70.0]


class Reader(HTMLParser):
    """Collects the page's elements and insists that each one is closed."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: list[tuple[str, dict[str, str | None]]] = []
        self.text: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text.append(data)


def read(page: str) -> Reader:
    reader = Reader()
    reader.feed(page)
    reader.close()
    assert reader.open == []
    return reader


def test_the_page_is_whole_self_contained_and_has_no_script() -> None:
    page = html.page(two_seeds())
    reader = read(page)
    tags = [tag for tag, _ in reader.seen]
    assert page.startswith("<!DOCTYPE html>")
    assert ("html", {"lang": "en"}) in reader.seen
    assert tags.count("h1") == 1
    assert "title" in tags
    assert not {"script", "link", "img", "iframe", "object"} & set(tags)
    assert not any(name in attrs for _, attrs in reader.seen for name in ("src", "href", "onload"))
    assert "url(" not in page
    assert "@import" not in page


def test_every_plot_says_what_it_shows() -> None:
    reader = read(html.page(two_seeds()))
    plots = [a for tag, a in reader.seen if tag == "svg" and a.get("class") != "swatch"]
    swatches = [a for tag, a in reader.seen if tag == "svg" and a.get("class") == "swatch"]
    assert len(plots) == 6  # two frontiers, waits of flexible jobs, power, two of idle power
    assert all(one["role"] == "img" and len(str(one["aria-label"])) > 20 for one in plots)
    assert all(one["aria-hidden"] == "true" for one in swatches)
    labels = " ".join(str(one["aria-label"]) for one in plots)
    assert "15.0 % at 1.00 h" in labels
    assert "-15.0 % without, -12.5 % with" in labels


def test_text_from_outside_is_text() -> None:
    facts_problem = html.page(two_seeds())
    assert HOSTILE not in facts_problem
    assert HOSTILE in "".join(read(facts_problem).text)
    named = html.page(results(outcome("asap"), outcome(HOSTILE, cost_gbp=90.0)))
    assert HOSTILE not in named
    read(named)


def test_foresight_and_what_is_missing_stand_at_the_top() -> None:
    missing = (Task("greenest", "", 1),)
    page = html.page(two_seeds(foresight=True, missing=missing))
    top = page[: page.index("<main>")]
    assert "perfect foresight" in top
    assert "greenest, seed 1: not run" in top
    assert "perfect foresight" not in html.page(two_seeds())


def test_a_page_of_one_run_has_no_empty_plots() -> None:
    page = html.page(results(outcome("ours")))
    read(page)
    assert "Idle power" not in page
    assert "What a saving costs" not in page
    assert "Who waits" in page


def test_a_gap_stays_a_gap_in_a_plot() -> None:
    plot = svg.stack("t", "d", [svg.Panel("p", "kW", 1, (1.0, math.nan, 2.0))], [(0.0, "Mon")])
    line = re.search(r'd="([^"]+)" class="line thin s1"', plot)
    assert line is not None
    assert line[1].count("M") == 2
    assert "nan" not in plot


@given(
    st.lists(st.floats(-1e9, 1e9), max_size=8),
    st.booleans(),
)
def test_a_scale_covers_its_values_with_few_round_marks(values: list[float], zero: bool) -> None:  # noqa: FBT001
    scale = svg.scale(values, 0.0, 100.0, zero=zero)
    assert 2 <= len(scale.marks) <= 12
    assert scale.low < scale.high
    size = max([abs(value) for value in values], default=0.0)
    for value in values + ([0.0] if zero else []):
        assert -1e-6 * size - 1e-6 <= value - scale.low
        assert value - scale.high <= 1e-6 * size + 1e-6
    assert scale.at(scale.low) == pytest.approx(0.0)
    assert scale.at(scale.high) == pytest.approx(100.0)


def test_labels_do_not_cover_each_other() -> None:
    crowd = [svg.Series(f"policy-{i}", i, (1.0 + i / 100,), (5.0,), ("",)) for i in range(4)]
    plot = svg.trails("t", "d", crowd, "x", "y")
    places = [
        (float(x), float(y), name)
        for x, y, name in re.findall(
            r'<text x="([\d.]+)" y="([\d.]+)"[^>]*class="name">(policy-\d)<', plot
        )
    ]
    assert len(places) == 4
    for i, (x, y, name) in enumerate(places):
        for other_x, other_y, _ in places[i + 1 :]:
            width = 6.3 * len(name)
            assert abs(y - other_y) >= 11 or abs(x - other_x) >= width
