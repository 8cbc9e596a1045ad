"""What the live view of a window shows."""

from __future__ import annotations

import math
from io import StringIO

from demo_lib.product import JobLine, Power, PowerSlot, Status, read_status
from demo_lib.watch import Watch
from demo_lib.window_live import Bar, Scene, chart, line, screen
from demo_lib.window_report import Phase
from rich.console import Console

START = 1_700_000_000 // 20 * 20
NAN = math.nan
BARS = (
    Bar(10.0, NAN, NAN),
    Bar(7.0, 6.9, 7.0),
    Bar(8.0, 7.0, 7.0),
    Bar(NAN, 6.0, 7.0),
    Bar(NAN, 9.0, NAN),
)


def scene() -> Scene:
    held = JobLine(
        job_id=7, user="bob", state="PD", held_by_us=True, begin=START + 90, comment="[b]x"
    )
    runs = JobLine(job_id=8, user="alice", state="R")
    watch = Watch({7: "flex-1"})
    watch.observe([held, runs])
    return Scene(
        now=START + 45,
        slot=2,
        slot_start=START + 40,
        seconds=20,
        phase=Phase.WINDOW,
        bars=BARS,
        kw=7.9,
        status=Status(slurm_version="24.11.5", last_cycle="cycle: 1 held"),
        jobs=(runs, held),
        watch=watch,
        events=("one", "two"),
        ended=3,
    )


def test_the_chart_has_the_bars_the_cap_and_now() -> None:
    lines = chart(scene(), 60).plain.splitlines()
    assert len(lines) == 11
    # The cap of 7 of 10.5 kW crosses the three slots of the window, in one line.
    (cap,) = [text for text in lines if "━" in text]
    assert cap[9:].startswith("██ " + "━" * 9)
    assert lines[-1].index("▲") == 9 + 2 * 3
    # The highest bar reaches the top line but one, the planned one of the last slot nearly so.
    assert lines[0][9:].strip() == "▄▄"
    assert lines[-2][9:] == "██ " * 5


def test_a_narrow_chart_shows_the_newest_slots() -> None:
    lines = chart(scene(), 9 + 6).plain.splitlines()
    assert all(len(text) <= 9 + 6 for text in lines[:-1])


def test_the_screen_fits_and_escapes() -> None:
    for width in (80, 160):
        console = Console(file=StringIO(), width=width, height=60, force_terminal=False)
        console.print(screen(scene(), width))
        file = console.file
        assert isinstance(file, StringIO)
        text = file.getvalue()
        assert max(len(row) for row in text.splitlines()) <= width
        assert "1 run, 1 wait (1 held until a planned start), 3 ended" in text
        assert "[b]x" in text
        assert "two" in text


def test_the_plain_line() -> None:
    assert "slot  3 window   7.90 kW of 7.00  1 run, 1 wait" in line(scene())


def test_observed_slots_are_read_as_flexlonctl_prints_them() -> None:
    reply = {"power": {"slots": [{"start": "2023-11-14T22:13:20Z", "modelled_kw": None}]}}
    assert read_status(reply).power == Power(slots=(PowerSlot("2023-11-14T22:13:20Z", None),))
    assert PowerSlot("2023-11-14T22:13:20Z", 1.0).epoch == 1_700_000_000
