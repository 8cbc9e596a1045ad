"""A trace from `sacct --parsable2`: columns in any order, steps skipped, strange rows said."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import numpy as np
import pytest

from flexlond.backtest.sacct_trace import parse_sacct
from flexlond.backtest.trace import Site, TraceError, load_trace

if TYPE_CHECKING:
    from pathlib import Path

COLUMNS = {
    "JobID": "11",
    "Submit": "2026-01-05T10:00:00",
    "Start": "2026-01-05T10:05:00",
    "ElapsedRaw": "600",
    "TimelimitRaw": "60",
    "AllocTRES": "billing=8,cpu=8,gres/gpu=2,mem=16G,node=1",
    "User": "ann",
    "Account": "phys",
    "Partition": "main",
    "JobName": "fit",
    "State": "COMPLETED",
    "ConsumedEnergyRaw": "7200000",
}
SITE = Site(nodes=2, cpus_per_node=16, gpus_per_node=4, memory_mib_per_node=65536)


def log(*rows: dict[str, str], drop: tuple[str, ...] = (), end: str = "") -> str:
    """The text of a log; each row changes some cells, `drop` leaves columns out."""
    names = [name for name in (*COLUMNS, *(rows[0] if rows else {})) if name not in drop]
    names = list(dict.fromkeys(names))
    lines = ["|".join(names)]
    lines += ["|".join({**COLUMNS, **row}.get(name, "") for name in names) for row in rows]
    return "".join(line + end + "\n" for line in lines)


@pytest.mark.parametrize("end", ["", "|"])
def test_columns_become_the_trace(end: str) -> None:
    trace = parse_sacct(log({}, end=end), "s.txt", SITE)
    assert trace.job_id.tolist() == [11]
    assert trace.submit[0] == datetime(2026, 1, 5, 10, tzinfo=UTC).timestamp()
    assert trace.runtime[0] == 600
    assert trace.limit[0] == 3600
    assert trace.room.resources == ("cpus", "memory_mib", "gpus")
    assert trace.demand.tolist() == [[8, 16384, 2]]
    assert trace.nodes[0] == 0.5  # half the CPUs, half the GPUs, a quarter of the memory
    assert trace.energy_kwh[0] == 2
    assert (trace.user[0], trace.account[0], trace.label[0]) == ("ann", "phys", "fit")
    assert trace.problems == ()


def test_steps_are_skipped_without_a_word() -> None:
    trace = parse_sacct(log({}, {"JobID": "11.batch"}, {"JobID": "11.0"}), "s.txt", SITE)
    assert trace.jobs == 1
    assert trace.problems == ()


def test_jobs_that_did_not_run_or_still_run_are_counted() -> None:
    trace = parse_sacct(
        log(
            {},
            {"JobID": "12", "State": "CANCELLED by 5", "Start": "None", "ElapsedRaw": "0"},
            {"JobID": "13", "State": "RUNNING"},
        ),
        "s.txt",
        SITE,
    )
    assert trace.job_id.tolist() == [11]
    assert set(trace.problems) == {
        "s.txt: 1 jobs never ran, left out",
        "s.txt: 1 jobs still run, left out",
    }


def test_array_tasks_get_numbers_of_their_own() -> None:
    rows = ({}, {"JobID": "7_1"}, {"JobID": "7_2"}, {"JobID": "9+1"})
    trace = parse_sacct(log(*rows), "s.txt", SITE)
    assert sorted(trace.job_id.tolist()) == [11, 12, 13, 14]


def test_raw_ids_come_first() -> None:
    trace = parse_sacct(log({"JobID": "7_1", "JobIDRaw": "21"}), "s.txt", SITE)
    assert trace.job_id.tolist() == [21]


@pytest.mark.parametrize(
    ("drop", "row", "runtime", "limit"),
    [
        (("ElapsedRaw",), {"Elapsed": "1-00:00:10"}, 86410, 3600),
        (("ElapsedRaw",), {"End": "2026-01-05T10:06:30"}, 90, 3600),
        (("TimelimitRaw",), {"Timelimit": "02:00:00"}, 600, 7200),
        (("TimelimitRaw",), {"Timelimit": "UNLIMITED"}, 600, 600),
    ],
)
def test_other_columns_for_the_same_thing(
    drop: tuple[str, ...], row: dict[str, str], runtime: float, limit: float
) -> None:
    trace = parse_sacct(log(row, drop=drop), "s.txt", SITE)
    assert (trace.runtime[0], trace.limit[0]) == (runtime, limit)


def test_cpus_and_nodes_without_tres_and_capacity_from_the_peak() -> None:
    row = {"AllocCPUS": "8", "NNodes": "2"}
    later = {**row, "JobID": "12", "Start": "2026-01-05T10:08:00"}
    trace = parse_sacct(log(row, later, drop=("AllocTRES",)), "s.txt")
    assert trace.demand.tolist() == [[8], [8]]
    assert trace.nodes.tolist() == [2, 2]
    assert trace.room.capacity.tolist() == [[16]]
    assert "16 cpus, the peak of simultaneous use" in trace.problems[0]


def test_energy_of_zero_is_not_measured() -> None:
    trace = parse_sacct(log({"ConsumedEnergyRaw": "0"}), "s.txt", SITE)
    assert np.isnan(trace.energy_kwh[0])


@pytest.mark.parametrize(
    ("row", "why"),
    [
        ({"Submit": "yesterday"}, "cannot be read"),
        ({"Submit": "Unknown"}, "Submit is empty"),
        ({"ElapsedRaw": "-5"}, "runtime is -5"),
        ({"ElapsedRaw": "1e999"}, "runtime is inf"),
        ({"AllocTRES": "cpu=x"}, "cannot be read"),
        ({"AllocTRES": "cpu=99,node=1"}, "99 cpus, more than its pool's 32"),
        ({"JobName": "a|b"}, "13 fields instead of 12"),
        ({"JobID": "11"}, "job 11 is there already"),
    ],
)
def test_a_strange_row_is_said_and_the_rest_goes_on(row: dict[str, str], why: str) -> None:
    trace = parse_sacct(log({}, {"JobID": "12", **row}, {"JobID": "13"}), "s.txt", SITE)
    assert trace.job_id.tolist() == [11, 13]
    (text,) = trace.problems
    assert text.startswith("s.txt:3:")
    assert why in text


def test_it_is_known_by_its_header(tmp_path: Path) -> None:
    path = tmp_path / "export"
    path.write_text(log({}))
    assert load_trace(path, site=SITE).jobs == 1
    path.write_text(log({}).replace("Submit", "Subnit"))
    with pytest.raises(TraceError, match="no column Submit"):
        load_trace(path, site=SITE)


def test_long_names_do_not_widen_the_columns() -> None:
    trace = parse_sacct(log({"JobName": "x" * 5000}), "s.txt", SITE)
    assert trace.label.dtype.itemsize <= 64 * 4
