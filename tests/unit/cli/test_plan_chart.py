"""The picture of the plan: marks where the figures say, whatever the width."""

from __future__ import annotations

import math
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from flexlond.cli.plan_chart import LABEL, ROWS, Curves, draw, grouped
from flexlond.cli.render_explain import span
from flexlond.cli.render_plan import quality

LONDON = ZoneInfo("Europe/London")
NOON = 1_795_435_200  # 2026-11-23T12:00:00Z, a Monday


def picture(kw: list[float], asap: list[float], width: int = 200, **more: Any) -> list[str]:
    values: dict[str, Any] = {"cap_kw": [math.nan] * len(kw), "rows": [], "base_kw": 0.0} | more
    curves = Curves(NOON, 1800, kw, asap, **values)
    return [line.plain for line in draw(curves, width=width, tz=LONDON)]


def column(lines: list[str], slot: int) -> str:
    """From the bottom to the top."""
    return "".join(line.ljust(300)[LABEL + 2 + slot] for line in reversed(lines[1 : 1 + ROWS]))


def test_planned_moved_here_and_moved_away() -> None:
    lines = picture([8.0, 2.0, 6.0], [8.0, 6.0, 2.0])
    assert column(lines, 0) == "████████"
    assert column(lines, 1) == "██░░░░  "
    assert column(lines, 2) == "██▓▓▓▓  "
    assert lines[1].startswith(" " * 14 + "8.0 kW")
    assert lines[ROWS].strip().startswith("0.0")


def test_a_part_of_a_cell_is_a_part_of_a_block() -> None:
    assert column(picture([8.0, 1.5], [8.0, 1.5]), 1) == "█▄      "


def test_the_cap_is_a_line_unless_far_above() -> None:
    near = picture([4.0, 8.0], [4.0, 8.0], cap_kw=[8.0, 8.0])
    assert column(near, 0) == "████   ─"
    assert column(near, 1) == "████████"
    far = picture([4.0, 8.0], [4.0, 8.0], cap_kw=[80.0, 80.0])
    assert column(far, 0) == "████    "
    assert "far above: 80.0 kW" in far[0]


def test_the_axis_begins_at_the_base_where_that_is_most() -> None:
    lines = picture([90.0, 100.0], [90.0, 100.0], base_kw=80.0)
    assert lines[ROWS].strip().startswith("80.0")
    assert column(lines, 0) == "████    "
    low = picture([90.0, 100.0], [90.0, 100.0], base_kw=20.0)
    assert low[ROWS].strip().startswith("0.0")


def test_hours_stand_under_their_slot_in_the_users_zone() -> None:
    axis = picture([1.0] * 40, [1.0] * 40)[1 + ROWS]
    assert axis.strip().startswith("GMT")
    assert axis[LABEL + 2 :].index("╵16:00") == 8
    assert axis[LABEL + 2 :].index("╵Tue") == 24


def test_a_narrow_terminal_gets_means_and_is_told() -> None:
    lines = picture([1.0] * 96, [1.0] * 96, width=80, rows=[("£/MWh", [10.0, 30.0] * 48)])
    assert lines[-1].strip() == "one mark is the mean of 2 slots"
    assert lines[-2].split()[:2] == ["£/MWh", "20"]
    assert max(len(line) for line in lines[1:]) <= 80
    assert grouped([1.0, 3.0, math.nan, 5.0, math.nan], 2)[:2] == [2.0, 5.0]
    assert math.isnan(grouped([1.0, 3.0, math.nan], 2)[1])


def test_a_windows_cap_is_drawn_in_its_slots_alone() -> None:
    none = math.nan
    lines = picture([8.0, 2.0, 2.0, 8.0], [8.0] * 4, cap_kw=[none, 4.0, 4.0, none])
    assert "─ the power cap, 4.0 kW" in lines[0]
    assert [column(lines, at) for at in (0, 1)] == ["████████", "██░─░░░░"]
    both = picture(
        [8.0, 2.0], [8.0] * 2, cap_kw=[80.0, 4.0]
    )  # the site's own is too far above to be drawn
    assert [column(both, at) for at in (0, 1)] == ["████████", "██░─░░░░"]


def test_nothing_planned_is_an_empty_picture() -> None:
    lines = picture([0.0, 0.0], [0.0, 0.0], rows=[("£/MWh", [math.nan, math.nan])])
    assert column(lines, 0).strip() == ""
    assert "not known" in lines[-1]


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(6000, "1 h 40 min"), (11400, "3 h 10 min"), (28800, "8 h"), (45, "45 s"), (90, "1 min 30 s")],
)
def test_durations_in_two_units(seconds: float, words: str) -> None:
    assert span(seconds) == words
    assert span(86_400 * 2 + 3 * 3600 + 59) == "2 d 3 h"


def test_the_quality_of_a_plan_in_words() -> None:
    from flexlond._pb import admin_pb2 as pb  # noqa: PLC0415 -- only here

    best = pb.PlanReply(objective_gbp=2.0, bound_gbp=2.0, optimised=3, seconds=0.2)
    assert quality(best) == "the best possible plan (bound £2.0000), planned in 0.20 s"
    none = pb.PlanReply(seconds=0.01)
    assert quality(none).startswith("no movable job waits")
    zero = pb.PlanReply(objective_gbp=0.01, bound_gbp=-1e-12, gap=1e7, optimised=1)
    assert quality(zero).startswith("£0.0100 above the best possible plan")
