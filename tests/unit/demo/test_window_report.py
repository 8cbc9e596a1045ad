"""The account of a window: only the meter says whether it was kept."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from io import StringIO
from typing import TYPE_CHECKING

import pytest
from demo_lib.metering import GpuRun, Sample, load, mean_kw, read_samples
from demo_lib.records import RecordWatch, parse
from demo_lib.report import JobFacts
from demo_lib.window_load import Timing
from demo_lib.window_report import Ordered, Phase, WindowReport, phase_of, rows
from demo_lib.window_summary import show
from rich.console import Console

if TYPE_CHECKING:
    from pathlib import Path

T0 = 1_700_000_000 // 20 * 20
TIMING = Timing(20)
BEGIN = T0 + TIMING.begin * 20
ORDERED = Ordered(1, BEGIN, (9.0, 7.0, 7.0, 7.0, 7.0, 7.0), 1, 7.0)

JOB = JobFacts(
    job_id=1,
    user="alice",
    comment="flex: max-delay=10",
    consents=True,
    touched=True,
    submit=T0,
    eligible=T0,
    planned_start=T0 + 100,
    start=T0 + 100,
    end=T0 + 130,
    latest_start=T0 + 120,
    deadline=None,
    state="COMPLETED",
    kw=0.8,
    asap_start=T0 + 5,
)


def metered(window: float, *, other: float = 10.0) -> list[Sample]:
    """A reading a second over 22 slots: `window` kW in the window, `other` else."""
    return [
        Sample(T0 + n + 0.5, window if TIMING.begin <= n // 20 < TIMING.end else other)
        for n in range(22 * 20)
    ]


def report(samples: list[Sample]) -> WindowReport:
    slots = rows(TIMING, T0, T0 + 445, ORDERED, samples, planned={BEGIN: 6.8}, modelled={})
    return WindowReport(
        slurm="24.11",
        slot_seconds=20,
        reduction=0.3,
        baseline_kw=10.0,
        ordered=ORDERED,
        slots=slots,
        load=0.95,
        flexible=0.55,
        jobs=(JOB,),
        without_consent=4,
        changed=(),
    )


def test_slots_have_their_phase_and_cap() -> None:
    slots = report(metered(7.0)).slots
    assert len(slots) == 22
    assert [slot.phase for slot in slots].count(Phase.BEFORE) == 6
    assert [slot.phase for slot in slots].count(Phase.WINDOW) == 6
    assert phase_of(TIMING, TIMING.order) is Phase.NOTICE
    assert (slots[12].cap_kw, slots[13].cap_kw, slots[12].planned_kw) == (9.0, 7.0, 6.8)
    assert math.isnan(slots[11].cap_kw)
    assert math.isnan(slots[18].cap_kw)
    assert [slot.judged for slot in slots[11:19]] == [False, False, *[True] * 5, False]


@pytest.mark.parametrize(("kw", "kept"), [(5.0, True), (7.34, True), (7.36, False)])
def test_a_slot_is_kept_up_to_five_percent_above_its_cap(
    kw: float,
    kept: bool,  # noqa: FBT001 -- a table of cases
) -> None:
    found = report(metered(kw))
    assert all(slot.kept is kept for slot in found.slots if slot.judged)
    assert bool(found.failures()) is not kept
    assert len(found.failures()) == (0 if kept else 5)


def test_what_was_not_metered_is_not_kept() -> None:
    missing = [one for one in metered(5.0) if not BEGIN + 40 <= one.at < BEGIN + 50]
    found = report(missing)
    assert [slot.kept for slot in found.slots if slot.judged] == [True, False, True, True, True]
    assert len(found.failures()) == 1


def test_late_because_of_the_window_is_a_failure_and_late_anyway_is_not() -> None:
    late = replace(JOB, start=T0 + 121)
    found = replace(report(metered(5.0)), jobs=(late,))
    assert found.failures() == ["job 1 of alice was late"]
    anyway = replace(late, asap_start=T0 + 121)
    assert replace(found, jobs=(anyway,)).failures() == []
    deadline = replace(JOB, latest_start=None, deadline=T0 + 129)
    assert replace(found, jobs=(deadline,)).missed == (deadline,)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"load": 0.9}, "90.0%"),
        ({"flexible": 0.49}, "49.0%"),
        ({"changed": ("job 9: Nice from 0 to 5",)}, "without consent: job 9"),
        ({"jobs": (replace(JOB, consents=False, latest_start=None),)}, "changed without consent"),
        ({"jobs": (replace(JOB, state="TIMEOUT"),)}, "late"),
    ],
)
def test_what_else_fails(change: dict[str, object], said: str) -> None:
    failures = replace(report(metered(5.0)), **change).failures()  # type: ignore[arg-type]
    assert said in failures[0]


def test_a_peak_after_the_window_fails() -> None:
    samples = [
        replace(one, kw=11.1) if one.at >= T0 + TIMING.end * 20 else one for one in metered(5.0)
    ]
    (failure,) = report(samples).failures()
    assert "11.10 kW, is above 1.1 times 10.00 kW" in failure


def test_the_data_and_the_table_say_the_same() -> None:
    found = report(metered(7.36))
    data = json.loads(json.dumps(found.as_data(), allow_nan=False))
    assert [slot["kept"] for slot in data["slots"][11:19]] == [None, None, *[False] * 5, None]
    assert data["slots"][13]["metered_kw"] == 7.36
    assert data["slots"][13]["modelled_kw"] is None
    assert data["before_window_kw"] == 10.0
    console = Console(file=StringIO(), width=120, force_terminal=False)
    show(found, console)
    file = console.file
    assert isinstance(file, StringIO)
    text = file.getvalue()
    assert text.count("NO") == 5
    assert "+5.1%" in text
    assert "ramp-in" in text
    assert "kept within 5 %: 0 of 5 slots" in text


def test_the_meters_file_is_read_but_for_a_line_that_is_being_written(tmp_path: Path) -> None:
    path = tmp_path / "meter.csv"
    assert read_samples(path) == ()
    path.write_text("2023-11-14T22:13:20.500+00:00,5.0000\n2023-11-14T22:13:21.500+00:00,7.0")
    assert read_samples(path) == (Sample(1_700_000_000.5, 5.0),)


def test_a_mean_needs_enough_readings() -> None:
    samples = [Sample(n, float(n)) for n in range(8)]
    assert mean_kw(samples, 0, 10) == 3.5
    assert math.isnan(mean_kw(samples[:7], 0, 10))
    assert math.isnan(mean_kw([], 0, 10))


def test_load_counts_gpu_seconds_inside_the_slots() -> None:
    runs = [GpuRun(2, 90, 110, True), GpuRun(1, 100, 130, False), GpuRun(4, 0, 100, False)]
    assert load(runs, 4, 100, 120) == (pytest.approx(0.5), pytest.approx(0.5))
    assert load([], 4, 100, 120) == (0.0, 0.0)


LINE = (
    "JobId=7 JobName=a UserId=bob(2002) Nice=0 EligibleTime={0} TimeLimit=00:01:00 Requeue=1 "
    "Restarts=0 Partition=main Dependency=(null) ReqTRES=cpu=2,gres/gpu=1 Comment={1} Power="
)


def test_a_changed_record_is_seen_and_a_begin_time_that_was_not_set_is_none() -> None:
    watch = RecordWatch()
    watch.observe(parse(LINE.format("Unknown", "flex: off, please")))
    watch.observe(parse(LINE.format("2023-11-14T22:13:20", "flex: off, please")))
    assert watch.of({7}) == ()
    watch.observe(parse(LINE.format("2023-11-14T22:14:20", "other")))
    assert watch.of({7}) == (
        "job 7: Comment from flex: off, please to other",
        "job 7: EligibleTime from 2023-11-14T22:13:20 to 2023-11-14T22:14:20",
    )
    assert watch.of({8}) == ()
    assert watch.with_changed("Comment") == {7}
    assert watch.with_changed("Restarts") == frozenset()
