"""What the demo remembers of FlexLon's words, and how it shows them."""

from __future__ import annotations

import json
import math
from io import StringIO

import pytest
from demo_lib.day import day_from
from demo_lib.live import Scene, columns, counts, line, screen
from demo_lib.product import DemoError, JobLine, Status, read_jobs, read_status
from demo_lib.setup import ready
from demo_lib.watch import Watch, clock
from rich.console import Console

from flexlond._pb import admin_pb2 as pb
from flexlond.cli.plain import as_json

START = 1_700_000_000 // 7 * 7
PENDING = JobLine(
    job_id=7,
    user="bob",
    state="PD",
    flexible=True,
    begin=START + 70,
    planned_start=START + 70,
    latest_start=START + 200,
    deadline=START + 300,
    held_by_us=True,
    reason="the cheapest window of price and carbon that its latest start and the cluster allow",
    comment="flex: [bold]x[/bold]",
    touched=True,
)


def changed(line_: JobLine, **fields: object) -> JobLine:
    return JobLine(**({name: getattr(line_, name) for name in line_.__struct_fields__} | fields))


def test_jobs_are_read_as_flexlonctl_prints_them() -> None:
    line_ = pb.JobLine(job_id=7, array="5_2", begin=START, kw=0.5, cost_gbp=math.nan, touched=True)
    (job,) = read_jobs(json.loads(as_json(pb.JobsReply(jobs=[line_]))))
    assert (job.job_id, job.array_job_id, job.begin, job.deadline) == (7, 5, START, 0)
    assert (job.kw, job.touched) == (0.5, True)
    with pytest.raises(DemoError, match="cannot be read"):
        read_jobs({})


def test_status_is_read_as_flexlonctl_prints_it() -> None:
    reply = pb.StatusReply(mode="act", last_cycle_at=START, helper_answering=True, warnings=["w"])
    status = read_status(json.loads(as_json(reply)))
    assert (status.mode, status.last_cycle_at, status.helper_answering) == ("act", START, True)
    assert ready(status) == "there is no fresh heartbeat"


def test_a_hold_and_its_move_are_events_once() -> None:
    watch = Watch({7: "train"})
    assert watch.observe([PENDING]) == [
        f"7 train (bob): held until {clock(START + 70)}: {PENDING.reason}"
    ]
    assert watch.observe([PENDING]) == []
    moved = changed(PENDING, begin=START + 77, planned_start=START + 77, reason="capacity")
    assert watch.observe([moved]) == [
        f"7 train (bob): moved from {clock(START + 70)} to {clock(START + 77)}: capacity"
    ]
    assert watch.observe([changed(moved, state="R", planned_start=0, latest_start=0)]) == [
        "7 train (bob): started"
    ]
    seen = watch.of(7, 0)
    assert seen is not None
    assert (seen.planned_start, seen.latest_start, seen.touched) == (START + 77, START + 200, True)


def test_a_task_of_an_array_has_the_promise_of_the_whole() -> None:
    watch = Watch()
    watch.observe([PENDING])
    watch.observe([JobLine(job_id=9, user="bob", state="R", flexible=True)])
    task = watch.of(9, 7)
    assert task is not None
    assert (task.planned_start, task.deadline, task.touched) == (START + 70, START + 300, True)
    assert watch.of(8, 8) is None


def scene() -> Scene:
    running = changed(PENDING, job_id=8, state="R", held_by_us=False)
    watch = Watch({7: "train"})
    watch.observe([PENDING, changed(PENDING, job_id=8)])
    return Scene(
        now=START + 15,
        day=day_from(START, 7),
        status=Status(mode="act", slurm_version="24.11.5", last_cycle="cycle: 1 held"),
        jobs=(running, PENDING),
        watch=watch,
        events=("one", "two"),
        submitted=3,
        to_submit=5,
        ended=1,
    )


def test_counts_and_plain_line() -> None:
    assert counts(scene()) == (
        "3 of 5 submitted: 1 run, 1 wait (1 held until a planned start), 1 ended"
    )
    text = line(scene())
    assert "= 17:00" in text
    assert "126.8 GBP/MWh" in text
    assert text.endswith("cycle: 1 held")


def test_screen_shows_the_marker_the_plan_and_comments_as_they_are() -> None:
    for width in (80, 160):
        console = Console(file=StringIO(), width=width, height=60, force_terminal=False)
        console.print(screen(scene(), width))
        file = console.file
        assert isinstance(file, StringIO)
        text = file.getvalue()
        assert "▲ now 17:00" in text
        assert clock(START + 70) in text
        assert "cycle: 1 held" in text
        assert "two" in text
        assert "bob    held" in text
        assert max(len(row) for row in text.splitlines()) <= width
        assert "[bold]x[/bold]" in text or width == 80


def test_columns() -> None:
    assert columns([0.0, 8.0, 16.0], 2) == ["  █", "▁██"]
    assert columns([5.0, 5.0], 1) == ["██"]
    # Below zero the lowest value is the floor.
    assert columns([-8.0, 0.0, 8.0], 1) == ["▁▄█"]
