from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flexlond.model.job import JobState
from flexlond.slurm import fields


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("10:00", 600),
        ("0:30", 30),
        ("1:00:00", 3600),
        ("1-12:00:00", 129600),
        ("2-0", 172800),
        ("1-06:30", 109800),
        ("90", 5400),
        ("365-00:00:00", 31536000),
        ("UNLIMITED", None),
        ("Partition_Limit", None),
        ("NOT_SET", None),
        ("N/A", None),
    ],
)
def test_time_limits(text: str, seconds: int | None) -> None:
    assert fields.minutes_text(text) == seconds


@pytest.mark.parametrize("text", ["ten", "1:2:3:4", "-5", "1-", "10:0x"])
def test_strange_time_limits_are_refused(text: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - int() words some of them
        fields.minutes_text(text)


def test_none_times_are_zero_and_words_are_refused() -> None:
    assert [fields.epoch(t) for t in ("N/A", "NONE", "Unknown", "1795457630")] == [
        0,
        0,
        0,
        1795457630,
    ]
    with pytest.raises(ValueError, match="not an epoch time"):
        fields.epoch("2026-11-23T08:00:00")


@pytest.mark.parametrize(
    ("text", "number"), [("12", 12), ("2K", 2048), ("1.5K", 1536), ("2-4", 2), ("", 0), ("N/A", 0)]
)
def test_counts(text: str, number: int) -> None:
    assert fields.count(text) == number


@pytest.mark.parametrize(
    ("tres", "mib"),
    [
        ("cpu=1,mem=100M,node=1", 100),
        ("cpu=2,mem=500G,node=2", 512000),
        ("mem=2T", 2097152),
        ("mem=0.50G", 512),
        ("mem=512K", 0),
        ("cpu=4", 0),
        ("N/A", 0),
    ],
)
def test_memory(tres: str, mib: int) -> None:
    assert fields.memory_mib(tres) == mib


@pytest.mark.parametrize(
    ("requests", "gpus"),
    [
        (("cpu=2,gres/gpu=4", "N/A", "gres:gpu:h200:2", "N/A", "N/A", 2, 2), (("h200", 4),)),
        (("cpu=2,gres/gpu=4", "N/A", "gres/gpu:h200:2", "N/A", "N/A", 2, 2), (("h200", 4),)),
        (("cpu=4,gres/gpu=4", "", "", "", "cpu=1,gres/gpu=1", 1, 4), (("", 4),)),
        (("cpu=1,gres/gpu=3", "", "gres:gpu:3", "", "", 1, 1), (("", 3),)),
        (("cpu=3,gres/gpu=2", "gres/gpu:h200:2", "", "", "", 1, 3), (("h200", 2),)),
        (("gres/gpu=3", "gres/gpu:a:1,gres/gpu:b:2", "", "", "", 1, 1), (("a", 1), ("b", 2))),
        (("gres/gpu=7", "gres/gpu:a:1,gres/gpu:b:2", "", "", "", 1, 1), (("", 7),)),
        (("gres/gpu=2,gres/gpu:h200=2", "gpu:2", "", "", "", 1, 1), (("h200", 2),)),
        (("gres/gpu=3,gres/gpu:h200=2", "", "", "", "", 1, 1), (("", 1), ("h200", 2))),
        (("cpu=2", "", "gres:gpu:h200:2", "", "", 3, 1), (("h200", 6),)),
        (("cpu=2", "", "", "", "gres/gpu:1", 1, 5), (("", 5),)),
        (("cpu=2", "", "gres:gpu", "", "", 2, 1), (("", 2),)),
        (("cpu=2", "", "gres/shard:2", "", "", 2, 1), ()),
        (("cpu=2", "N/A", "N/A", "N/A", "N/A", 1, 1), ()),
    ],
)
def test_gpus_of_the_whole_job(
    requests: tuple[str, str, str, str, str, int, int], gpus: tuple[tuple[str, int], ...]
) -> None:
    assert fields.gpus(*requests) == gpus


def test_gpus_of_a_node() -> None:
    assert fields.gpu_request("gpu:h200:4(S:0-1),gpu:2,nic:1") == [("h200", 4), ("", 2)]


def test_states() -> None:
    assert fields.state("PD") is JobState.PENDING
    assert fields.state("RH") is JobState.PENDING
    assert fields.state("TO") is JobState.ENDED
    assert fields.state_of_flags(["RUNNING"]) is JobState.RUNNING
    assert fields.state_of_flags(["RUNNING", "CONFIGURING"]) is JobState.CONFIGURING
    assert fields.state_of_flags(["CANCELLED", "COMPLETING"]) is JobState.COMPLETING
    assert fields.state_of_flags(["PENDING", "REQUEUE_HOLD"]) is JobState.PENDING
    for unknown in ("", "XX", "pending"):
        with pytest.raises(ValueError, match="unknown job state"):
            fields.state(unknown)


def test_tasks_with_steps_and_throttle() -> None:
    assert fields.task_ids("1-9:2,30%3") == ([1, 3, 5, 7, 9, 30], 3)
    assert fields.task_ids("7") == ([7], 0)
    assert fields.task_expression([1, 3, 5, 6, 7], 2) == "1,3,5-7%2"
    assert fields.task_expression([], 2) == ""


@pytest.mark.parametrize("text", ["", "1-4,...", "5-2", "0-99999999999", "a-b", "-3"])
def test_strange_task_lists_are_refused(text: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - int() words some of them
        fields.task_ids(text)


@settings(deadline=None)
@given(st.sets(st.integers(0, 3000), min_size=1), st.integers(0, 50))
def test_task_expressions_come_back(ids: set[int], throttle: int) -> None:
    assert fields.task_ids(fields.task_expression(ids, throttle)) == (sorted(ids), throttle)
