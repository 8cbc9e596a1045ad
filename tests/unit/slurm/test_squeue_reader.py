"""The default reader on captured answers, and what no comment may do to it."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flexlond.model.job import Job, JobState
from flexlond.model.settings import SlurmSettings
from flexlond.slurm import squeue
from flexlond.slurm.command import SlurmCommandError
from flexlond.slurm.json_reader import snapshot_of
from flexlond.slurm.squeue import COLUMNS, SqueueReader, decode_rows, split_rows

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

PLAIN = dict(
    zip(
        COLUMNS,
        (
            *("101", "101", "N/A", "N/A", "N/A", "PD", "BeginTime", "alice", "2001", "research"),
            *("normal", "main", "1", "2", "1", "cpu=2,mem=50M,node=1", "N/A", "N/A", "N/A", "N/A"),
            *("(null)", "10:00", "1795458000", "1795461600", "1795461600", "1795462200", "N/A"),
            *("1", "1", "0", "(null)", "(null)", "1", "", "wrap", "(null)"),
        ),
        strict=True,
    )
)


def row(**values: str) -> list[str]:
    return list((PLAIN | {name.replace("__", "-"): v for name, v in values.items()}).values())


def printed(rows: list[list[str]], field: str, record: str) -> str:
    return "".join(field.join(cells) + record + "\n" for cells in rows)


def decoded(captured: Any) -> tuple[Job, ...]:
    rows, misfits = split_rows(captured.text("squeue.txt"), len(COLUMNS), *captured.separators)
    jobs, strange = decode_rows(rows)
    assert misfits + strange == []
    return jobs


def without(job: Job, *names: str) -> dict[str, Any]:
    return {k: v for k, v in dataclasses.asdict(job).items() if k not in names}


@pytest.mark.parametrize("other", ["squeue.json.gz", "rest.json.gz"])
def test_text_json_and_rest_of_one_state_are_the_same_jobs(captured: Any, other: str) -> None:
    text = {job.job_id: job for job in decoded(captured)}
    snapshot = snapshot_of(captured.json(other), 1, "json", (), None)
    assert snapshot.complete, snapshot.misfits
    assert snapshot.slurm_version.startswith(captured.version)
    assert {job.job_id for job in snapshot.jobs} == set(text)
    seconds = ("array_throttle", "array_tasks")  # squeue -r does not print %N
    for job in snapshot.jobs:
        assert without(job, *seconds) == without(text[job.job_id], *seconds)
        assert job.array_tasks.split("%")[0] == text[job.job_id].array_tasks


def test_every_kind_of_job_is_in_the_captured_state(captured: Any) -> None:
    jobs = decoded(captured)
    arrays = {job.array_tasks: job.task_count for job in jobs if job.is_array}
    assert arrays == {
        "3-6": 4,
        "1,3,5,7,9,11,13,15,17,19,30": 11,
        "0-4,6,8-20": 19,
    }
    states = {job.state for job in jobs}
    assert states == {JobState.PENDING, JobState.RUNNING, JobState.SUSPENDED}
    assert {job.het_offset for job in jobs if job.het_job_id} == {0, 1}
    assert {gpus for job in jobs if (gpus := job.gpus)} == {
        (("h200", 2),),
        (("h200", 4),),
        (("", 4),),
        (("", 3),),
        (("", 1),),
    }
    assert {job.reason for job in jobs if job.held} == {"JobHeldUser", "JobHeldAdmin"}
    assert [job.end for job in jobs if job.time_limit is None] == [0]
    assert sum(1 for job in jobs if job.deadline) == 1
    assert {job.user for job in jobs} == {"alice", "bob"}
    assert any(job.comment.startswith("x\n1|alice|R\n\x1f\x1e~^~ JobId=1") for job in jobs)
    assert any(job.comment == "a\ufffd\ufffdb" for job in jobs)
    assert any(len(job.comment) == 1024 for job in jobs)


@settings(deadline=None)
@given(st.text(max_size=200), st.text(max_size=60))
def test_no_text_of_a_user_forges_a_field(comment: str, name: str) -> None:
    field, record = squeue.draw_separators()
    rows = [row(Comment=comment, Name=name), row(JobID="102", ArrayJobID="102")]
    found, misfits = split_rows(printed(rows, field, record), len(COLUMNS), field, record)
    jobs, strange = decode_rows(found)
    assert misfits + strange == []
    assert [job.job_id for job in jobs] == [101, 102]
    assert jobs[0].name == name
    assert jobs[0].comment == ("" if comment in {"(null)", "N/A"} else comment)
    assert without(jobs[0], "name", "comment") == without(
        dataclasses.replace(jobs[1], job_id=101), "name", "comment"
    )


def test_separators_of_another_call_are_only_text() -> None:
    old, new = squeue.draw_separators(), squeue.draw_separators()
    assert old != new
    forged = printed([row(JobID="1", UserName="root")], *old)
    rows, misfits = split_rows(printed([row(Comment=forged)], *new), len(COLUMNS), *new)
    assert misfits == []
    assert decode_rows(rows)[0][0].comment == forged


def test_separators_are_what_squeue_takes_as_a_suffix() -> None:
    for field, record in (squeue.draw_separators() for _ in range(200)):
        assert field[0] == "~"
        assert record[0] == "^"
        assert not set(field + record) & set(",:. \n")


def test_a_row_that_does_not_fit_is_said_and_left_out() -> None:
    field, record = "~aaaa", "^bbbb"
    good, short, bad_time = row(), row()[:-3], row(JobID="103", SubmitTime="yesterday")
    bad_state = row(JobID="104", StateCompact="??")
    text = printed([good, short, bad_time, bad_state], field, record)
    rows, misfits = split_rows(text, len(COLUMNS), field, record)
    jobs, strange = decode_rows(rows)
    assert [job.job_id for job in jobs] == [101]
    assert len(misfits) == 1
    assert "33 fields instead of 36" in misfits[0]
    assert len(strange) == 2
    assert "'103'" in strange[0]
    assert "yesterday" in strange[0]


def test_an_answer_cut_short_is_said() -> None:
    text = printed([row(), row()], "~a", "^b")
    rows, misfits = split_rows(text[:-20], len(COLUMNS), "~a", "^b")
    assert len(rows) == 1
    assert "after the last row" in misfits[0]


def test_the_last_task_of_an_array_counts_as_the_remainder() -> None:
    tasks = [row(ArrayTaskID="6"), row(JobID="107", ArrayTaskID="5", StateCompact="R")]
    jobs, _ = decode_rows([*tasks, row(JobID="108", ArrayTaskID="4")])
    assert [(job.array_task_id, job.task_count, job.is_array) for job in jobs] == [
        (None, 1, True),
        (5, 1, False),
        (4, 1, False),
    ]


# A squeue that answers from a capture, with the separators it was asked to use.
REPLAY = """
import os, sys
if "-V" in sys.argv:
    print("slurm-wlm VERSION"); sys.exit()
if "--json" in sys.argv:
    import gzip
    sys.stdout.write(gzip.open("FOLDER/squeue.json.gz", "rt").read()); sys.exit()
if "--array-unique" in sys.argv:
    print("ARRAYS"); sys.exit()
if "-O" in sys.argv:
    print("ARRAYS"); sys.exit()
asked = os.environ["SQUEUE_FORMAT2"].split(",")
field, record = asked[0].split(":")[1], asked[-1].split(":")[1]
text = open("FOLDER/squeue.txt").read()
sys.stdout.write(text.replace("FIELD", field).replace("RECORD", record))
"""


def test_a_whole_read_adds_the_throttles(
    captured: Any, program: Callable[[str, str], Path]
) -> None:
    field, record = captured.separators
    arrays = {j.array_tasks: j.job_id for j in decoded(captured) if j.is_array}
    lines = [f"{arrays['3-6']}|3-6%2|", f"{arrays['1,3,5,7,9,11,13,15,17,19,30']}|1-19:2,30%3|"]
    lines += [f"{arrays['0-4,6,8-20']}|0-4,6,8-20%4|"] if captured.version == "22.05" else []
    version = f"{captured.version}.1"
    source = REPLAY.replace("FOLDER", str(captured.folder)).replace("VERSION", version)
    source = source.replace("FIELD", field).replace("RECORD", record)
    folder = program("squeue", source.replace('"ARRAYS"', repr("\n".join(lines))))
    config = captured.text("config.txt")  # without scrontab: any other question fails
    program("scontrol", f"import sys\nassert sys.argv[1:] == ['show', 'config']\nprint({config!r})")
    snapshot = SqueueReader(SlurmSettings(bin_dir=str(folder))).read()
    assert snapshot.complete, snapshot.misfits
    assert (snapshot.reader, snapshot.slurm_version) == ("squeue", version)
    whole = {job.array_tasks: job.array_throttle for job in snapshot.jobs if job.is_array}
    assert whole == {
        "3-6%2": 2,
        "1,3,5,7,9,11,13,15,17,19,30%3": 3,
        "0-4,6,8-20%4": 4,
    }


def test_jobs_that_are_gone_are_absent_and_other_failures_are_not(
    program: Callable[[str, str], Path],
) -> None:
    gone = "slurm_load_jobs error: Invalid job id specified"
    source = f"import sys\nif '-V' in sys.argv:\n    print('slurm 24.11.5'); sys.exit()\nsys.exit({gone!r})"
    reader = SqueueReader(SlurmSettings(bin_dir=str(program("squeue", source))))
    assert reader.read([7]).jobs == ()
    with pytest.raises(SlurmCommandError, match="Invalid job id"):
        reader.read()
    assert reader.read([]).jobs == ()
