"""Job traces in: every format, what is left out and said, shifting, windows; nothing is guessed."""

from __future__ import annotations

import gzip
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flexlond.backtest.site import peak_use
from flexlond.backtest.swf import parse_swf
from flexlond.backtest.trace import Site, TraceError, load_trace, shift_trace, window

if TYPE_CHECKING:
    from flexlond.backtest.case import Trace

JOBS = Path(__file__).parents[4] / "shared" / "data" / "jobs"
HEADER = (
    "; UnixStartTime: 1000000\n; MaxNodes: 10\n; MaxProcs: 40\n"
    "; Partition: 1 batch\n; Partition: 2 debug queue\n"
)
CSV = "submit,runtime,limit,cpus"


def swf_line(job: int = 1, submit: int = 0, **fields: float) -> str:
    """One SWF line; fields by name, the rest not known."""
    place = {"wait": 2, "runtime": 3, "used": 4, "procs": 7, "asked": 8, "status": 10}
    place |= {"user": 11, "group": 12, "program": 13, "partition": 15}
    cells: list[float] = [-1] * 18
    cells[:2] = [job, submit]
    usual = {"wait": 0, "runtime": 100, "procs": 4, "asked": 200, "status": 1}
    for name, value in {**usual, **fields}.items():
        cells[place[name]] = value
    return " ".join(f"{cell:g}" for cell in cells)


def swf(*lines: str, header: str = HEADER, site: Site | None = None) -> Trace:
    return parse_swf(header + "\n".join(lines) + "\n", "t.swf", site)


def csv_trace(tmp_path: Path, *lines: str, site: Site | None = None, header: str = CSV) -> Trace:
    path = tmp_path / "jobs.csv"
    path.write_text("\n".join([header, *lines]))
    return load_trace(path, site=site)


def test_swf_fields_become_the_trace() -> None:
    trace = swf(
        swf_line(7, 5, wait=10, runtime=90, used=8, procs=12, user=3, group=4, program=5),
        swf_line(8, 9, procs=-1, used=8, asked=-1),
    )
    assert trace.job_id.tolist() == [7, 8]
    assert trace.submit.tolist() == [1000005, 1000009]
    assert trace.runtime.tolist() == [90, 100]
    assert trace.limit.tolist() == [200, 100]  # not asked: the runtime
    assert trace.demand.tolist() == [[12], [8]]  # requested, else used
    assert trace.nodes.tolist() == [3, 2]
    assert trace.room.capacity.tolist() == [[40]]
    assert trace.room.resources == ("cpus",)
    assert (trace.user[0], trace.account[0], trace.label[0]) == ("u3", "g4", "e5")
    assert trace.user[1] == ""
    assert np.isnan(trace.energy_kwh).all()
    assert any("1 jobs without a time limit" in text for text in trace.problems)


def test_swf_says_what_it_leaves_out() -> None:
    trace = swf(
        swf_line(1),
        swf_line(2, runtime=0),
        swf_line(3, runtime=-1),
        swf_line(4, procs=-1),
        swf_line(5, status=3),
        swf_line(6, status=5),  # cancelled while it ran: it took its room
    )
    assert trace.job_id.tolist() == [1, 6]
    assert any("3 jobs never ran" in text for text in trace.problems)
    assert any("1 lines are parts of checkpointed jobs" in text for text in trace.problems)


def test_a_log_of_starts_in_place_of_submissions_is_said() -> None:
    """As LLNL-Atlas: in a replay of it nobody waits, and whoever is deferred meets those that had waited."""
    starts = swf(swf_line(1, wait=-1), swf_line(2, 3, wait=-1))
    (text,) = starts.problems
    assert text.startswith("t.swf: no job says how long it waited")
    assert not swf(swf_line(1, wait=-1), swf_line(2, 3, wait=5)).problems
    # Of jobs that never ran a wait says nothing.
    assert swf(swf_line(1, wait=-1), swf_line(2, runtime=0, wait=5)).problems[-1] == text


@pytest.mark.parametrize(
    ("bad", "why"),
    [
        ("1 2 3", "3 fields instead of 18"),
        (swf_line(9).replace("100", "abc"), "not a number"),
        (swf_line(9).replace("100", "nan"), "not below"),
        (swf_line(9).replace("100", "1e300"), "not below"),
        (swf_line(9, -5), "negative"),
        (swf_line(9, runtime=-7), "negative"),
        (swf_line(1), "job 1 is there already"),
        (swf_line(9, procs=41), "41 cpus, more than its pool's 40"),
    ],
)
def test_a_bad_swf_line_is_said_with_its_number_and_the_rest_goes_on(bad: str, why: str) -> None:
    trace = swf(swf_line(1), bad, swf_line(2, 3))
    assert trace.job_id.tolist() == [1, 2]
    (text,) = trace.problems
    assert text.startswith("t.swf:7:")
    assert why in text


def test_many_bad_lines_are_bounded() -> None:
    trace = swf(swf_line(1), *["x"] * 500)
    assert len(trace.problems) == 21
    assert trace.problems[-1] == "t.swf: and 480 more such lines"


def test_out_of_order_is_sorted_and_said() -> None:
    trace = swf(swf_line(1, 50), swf_line(2, 10), swf_line(3, 60))
    assert trace.job_id.tolist() == [2, 1, 3]
    assert "not in order of submission at 1 lines (first 7)" in trace.problems[0]


def test_swf_partitions_become_pools_of_their_own_nodes() -> None:
    lines = (swf_line(1, partition=1), swf_line(2, partition=2), swf_line(3, partition=3))
    trace = swf(*lines, site=Site(partitions=(("batch", 8), ("debug", 2))))
    assert trace.room.partitions == ("batch", "debug")
    assert trace.room.capacity.tolist() == [[32], [8]]
    assert trace.room.group_capacity.tolist() == [[32], [8]]
    assert trace.pool.tolist() == [0, 1]
    assert "t.swf:8: partition 'p3' is not one of batch, debug" in trace.problems[0]


def test_a_pool_without_nodes_takes_its_jobs_out_in_one_line() -> None:
    lines = (swf_line(1, partition=1), swf_line(2, partition=2), swf_line(3, partition=2))
    trace = swf(*lines, site=Site(partitions=(("batch", 8), ("debug", 0))))
    assert trace.job_id.tolist() == [1]
    assert trace.problems == ("t.swf: pool debug has no CPUs: 2 jobs left out; give it nodes",)


def test_swf_without_sizes_says_what_it_assumed() -> None:
    trace = swf(swf_line(1, 0, wait=0), swf_line(2, 50, wait=0), swf_line(3, 100), header="")
    assert trace.room.capacity.tolist() == [
        [8]
    ]  # two at a time: the third begins as the first ends
    assert trace.nodes.tolist() == [4, 4, 4]
    said = " ".join(trace.problems)
    assert "no UnixStartTime" in said
    assert "no MaxNodes" in said
    assert "peak of simultaneous use" in said


def test_site_sizes_come_before_the_header() -> None:
    trace = swf(swf_line(1), site=Site(nodes=5, cpus_per_node=2))
    assert trace.room.capacity.tolist() == [[10]]
    assert trace.nodes.tolist() == [2]
    named = swf(swf_line(1), header="; MaxProcs: 40\n", site=Site(nodes=20))
    assert named.nodes.tolist() == [2]


def test_negative_site_sizes_are_refused() -> None:
    with pytest.raises(TraceError, match="from 0"):
        Site(cpus_per_node=-1)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "not a job trace"),
        ("hello\nworld\n", "not a job trace"),
        (HEADER, "no job in it"),
        (HEADER + "1 2 3\n", "no line is 18 numbers"),
        (HEADER + swf_line(1, runtime=0), "no job in it ran"),
        (HEADER + swf_line(1, procs=99), "no job fits a pool"),
        (CSV, "no job in it ran"),
        ("submit,runtime", "no column limit, cpus"),
        ("JobID|Submit\n", "no column ElapsedRaw"),
    ],
)
def test_a_file_with_nothing_usable_is_an_error_that_names_it(
    tmp_path: Path, text: str, why: str
) -> None:
    path = tmp_path / "log"
    path.write_text(text)
    with pytest.raises(TraceError, match=why) as caught:
        load_trace(path)
    assert "log" in str(caught.value)


def test_a_missing_a_broken_and_a_binary_file_say_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(TraceError, match="check the path"):
        load_trace(tmp_path / "none.swf")
    broken = tmp_path / "broken.swf.gz"
    broken.write_bytes(gzip.compress((HEADER + swf_line()).encode())[:-9])
    with pytest.raises(TraceError, match="not a whole gzip file"):
        load_trace(broken)
    binary = tmp_path / "x.csv"
    binary.write_bytes(b"submit\n\xff\xfe")
    with pytest.raises(TraceError, match=r"x.csv:2: not UTF-8"):
        load_trace(binary)


def test_gzip_and_the_form_option(tmp_path: Path) -> None:
    path = tmp_path / "log.gz"
    path.write_bytes(gzip.compress((HEADER + swf_line()).encode()))
    assert load_trace(path).jobs == 1
    assert load_trace(path, form="swf").jobs == 1
    with pytest.raises(TraceError, match="no trace format 'xml'"):
        load_trace(path, form="xml")
    with pytest.raises(TraceError, match="no column submit"):
        load_trace(path, form="csv")


def test_csv_columns_and_units(tmp_path: Path) -> None:
    trace = csv_trace(
        tmp_path,
        "1000,60,120,8,1.5,2,2048,gpu,ann,phys,train,0.25,77",
        '2026-01-01T10:00:00+01:00,60,,4,,,,gpu,bob,phys,"a,b",,78',
        header=CSV + ",nodes,gpus,memory_mib,partition,user,account,name,energy_kwh,job_id",
        site=Site(nodes=4, cpus_per_node=8, gpus_per_node=4, memory_mib_per_node=1024),
    )
    assert trace.room.resources == ("cpus", "memory_mib", "gpus")
    assert trace.room.capacity.tolist() == [[32, 4096, 16]]
    assert trace.demand.tolist() == [[8, 2048, 2], [4, 0, 0]]
    assert trace.nodes.tolist() == [1.5, 0.5]
    assert trace.limit.tolist() == [120, 60]
    assert trace.job_id.tolist() == [77, 78]
    assert trace.label.tolist() == ["train", "a,b"]
    assert trace.energy_kwh[0] == 0.25
    assert np.isnan(trace.energy_kwh[1])
    assert trace.submit[1] == datetime(2026, 1, 1, 9, tzinfo=UTC).timestamp()


def test_csv_says_work_and_latency_where_it_has_them(tmp_path: Path) -> None:
    trace = csv_trace(
        tmp_path,
        "9,60,60,1,2.5e6,Inference,600",
        "1,60,60,1,,,",
        "5,60,60,1,7,epoch,",
        header=CSV + ",work,unit,latency",
        site=Site(nodes=1, cpus_per_node=4),
    )
    assert trace.said is not None
    assert trace.said.unit.tolist() == ["", "epoch", "inference"]  # sorted by submission
    assert trace.said.work.tolist()[1:] == [7.0, 2.5e6]
    assert np.isnan(trace.said.work[0])
    assert np.isnan(trace.said.latency[:2]).all()
    assert trace.said.latency[2] == 600
    late = window(trace, 9, 10)
    assert late.said is not None
    assert (late.said.unit.tolist(), late.said.latency.tolist()) == (["inference"], [600])
    assert csv_trace(tmp_path, "1,60,60,1", site=Site(nodes=1, cpus_per_node=4)).said is None


@pytest.mark.parametrize(
    ("cells", "why"),
    [
        ("5,", "go together"),
        (",epoch", "go together"),
        ("0,epoch", "go together"),
        ("-1,x", "work is -1"),
    ],
)
def test_work_and_unit_of_a_csv_line_go_together(tmp_path: Path, cells: str, why: str) -> None:
    trace = csv_trace(
        tmp_path,
        "1,60,60,1,5,epoch",
        f"2,60,60,1,{cells}",
        header=CSV + ",work,unit",
        site=Site(nodes=1, cpus_per_node=4),
    )
    assert trace.jobs == 1
    assert why in trace.problems[0]


def test_csv_gpus_without_capacity_are_said_and_do_not_count(tmp_path: Path) -> None:
    trace = csv_trace(tmp_path, "1,60,60,8,4", header=CSV + ",gpus")
    assert trace.room.resources == ("cpus",)
    assert any("1 jobs name GPUs, not counted" in text for text in trace.problems)


@pytest.mark.parametrize(
    ("bad", "why"),
    [
        ("1,2,3", "3 fields instead of 4"),
        ("soon,60,60,1", "cannot be read"),
        ("5,-60,60,1", "runtime is -60"),
        ("5,60,60,-1", "cpus is -1"),
        ("5,nan,60,1", "runtime is nan"),
        ("5,60,60,1e400", "cpus is inf"),
        ("9" * 40 + ",60,60,1", "submit is"),
        ('"5,60,60,1', "cannot be read"),
    ],
)
def test_a_bad_csv_line_is_said_and_the_rest_goes_on(tmp_path: Path, bad: str, why: str) -> None:
    trace = csv_trace(tmp_path, "1,60,60,1", bad, "2,60,60,1", site=Site(nodes=1, cpus_per_node=4))
    assert trace.jobs == 2
    (text,) = trace.problems
    assert text.startswith("jobs.csv:3:")
    assert why in text


def test_times_without_an_offset_are_in_the_sites_zone(tmp_path: Path) -> None:
    trace = csv_trace(tmp_path, "2026-07-01T12:00,60,60,1", site=Site(zone="Europe/London"))
    assert trace.submit[0] == datetime(2026, 7, 1, 11, tzinfo=UTC).timestamp()
    with pytest.raises(TraceError, match="no time zone 'Mars'"):
        csv_trace(tmp_path, "1,60,60,1", site=Site(zone="Mars"))


def test_shifting_keeps_weekday_and_hour() -> None:
    trace = swf(swf_line(1, 0), swf_line(2, 90000))
    to = int(datetime(2026, 1, 1, tzinfo=UTC).timestamp())
    moved = shift_trace(trace, to)
    assert 0 <= moved.submit[0] - to < 7 * 86400
    assert ((moved.submit - trace.submit) % (7 * 86400) == 0).all()
    assert np.diff(moved.submit) == np.diff(trace.submit)
    assert shift_trace(moved, int(moved.submit[0])).submit.tolist() == moved.submit.tolist()


def test_window_takes_the_jobs_submitted_in_it() -> None:
    trace = swf(*[swf_line(k, 10 * k) for k in range(1, 6)])
    part = window(trace, 1000020, 1000040)
    assert part.job_id.tolist() == [2, 3]
    assert len(part.user) == len(part.demand) == len(part.energy_kwh) == 2
    assert part.room is trace.room
    with pytest.raises(TraceError, match=r"submissions from 1970-01-12T13:46Z"):
        window(trace, 0, 5)


@given(
    st.lists(
        st.tuples(st.integers(0, 30), st.integers(1, 20), st.integers(1, 9)),
        min_size=1,
        max_size=12,
    )
)
def test_the_peak_is_the_most_that_runs_at_any_second(jobs: list[tuple[int, int, int]]) -> None:
    start, runtime, amount = np.array(jobs, np.float64).T
    by_second = max(amount[(start <= t) & (t < start + runtime)].sum() for t in range(60))
    assert peak_use(start, runtime, amount) == by_second


@settings(max_examples=200)
@given(st.text(alphabet='0123456789.-; \nabc|,#"ePartitonMaxProcs:', max_size=300))
def test_any_text_is_a_trace_or_a_trace_error(text: str) -> None:
    try:
        trace = parse_swf(HEADER + text, "t.swf")
    except TraceError:
        return
    assert (np.diff(trace.submit) >= 0).all()
    assert (trace.runtime > 0).all()
    assert (trace.demand <= trace.room.capacity[trace.pool]).all()


@pytest.mark.parametrize(
    ("name", "jobs", "cpus"),
    [
        ("KTH-SP2-1996-2.2", 28481, 100),
        ("LLNL-Atlas-2006-2.1-cln", 36600, 9216),
        ("CEA-Curie-sample", 29998, 93312),
    ],
)
def test_archive_traces(name: str, jobs: int, cpus: int) -> None:
    path = JOBS / f"{name}.swf.gz"
    if not path.exists():
        pytest.skip("the archive's traces are not beside the project (../shared/data/jobs)")
    began = time.perf_counter()
    trace = load_trace(path)
    assert time.perf_counter() - began < 5  # 0.2 s where nothing else runs
    assert trace.jobs == jobs
    assert trace.room.capacity[0, 0] == cpus
    assert len(trace.problems) <= 25
