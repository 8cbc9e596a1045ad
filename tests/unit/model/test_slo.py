from __future__ import annotations

from typing import Any

import pytest

from flexlond.model.directive import Directive
from flexlond.model.job import Job, JobState
from flexlond.model.slo import latest_start

T = 1795428000  # 2026-11-23T10:00:00Z
HOUR = 3600


def job(**fields: Any) -> Job:
    base: dict[str, Any] = {
        **dict.fromkeys(("reason", "user", "account", "qos", "partition", "name", "licenses"), ""),
        **dict.fromkeys(("reservation", "dependency", "node_list", "comment"), ""),
        **dict.fromkeys(("uid", "memory_mib", "start", "end", "deadline", "restarts"), 0),
        "job_id": 7,
        "state": JobState.PENDING,
        "nodes": 1,
        "cpus": 1,
        "gpus": (),
        "time_limit": 2 * HOUR,
        "submit": T,
        "begin": T,
        "priority": 1,
        "requeue": True,
        "batch": True,
    }
    return Job(**{**base, **fields})


def directive(**fields: Any) -> Directive:
    return Directive(source="directive", **fields)


@pytest.mark.parametrize(
    ("terms", "own", "at", "binding"),
    [
        ({"deadline": T + 8 * HOUR}, {}, T + 6 * HOUR, "deadline"),
        ({"start_by": T + 3 * HOUR}, {}, T + 3 * HOUR, "start-by"),
        ({"max_delay": HOUR}, {}, T + 600 + HOUR, "max-delay"),
        ({"max_delay": 0}, {}, T + 600, "max-delay"),
        ({"max_delay": 9 * HOUR}, {"deadline": T + 5 * HOUR}, T + 3 * HOUR, "Slurm --deadline"),
        (
            {"deadline": T + 8 * HOUR, "start_by": T + 4 * HOUR, "max_delay": 5 * HOUR},
            {},
            T + 4 * HOUR,
            "start-by",
        ),
        ({"latency": T + 600}, {}, T + 600, "latency"),
        # Counted from the submission: neither a later first possible start nor max-delay extends it.
        ({"latency": T + 300, "max_delay": 9 * HOUR}, {"begin": T + 600}, T + 300, "latency"),
        ({"latency": T + HOUR, "start_by": T + 1800}, {}, T + 1800, "start-by"),
        ({"latency": T + HOUR, "max_delay": 600}, {}, T + 1200, "max-delay"),
        ({"latency": T + 9 * HOUR}, {"deadline": T + 5 * HOUR}, T + 3 * HOUR, "Slurm --deadline"),
        ({"deadline": T + 8 * HOUR}, {"deadline": T + 9 * HOUR}, T + 6 * HOUR, "deadline"),
        (
            {"deadline": T + HOUR},
            {},
            T - HOUR,
            "deadline",
        ),  # cannot be met any more: said, not hidden
    ],
)
def test_the_earliest_bound_less_the_margin_decides(
    terms: Any, own: Any, at: int, binding: str
) -> None:
    found = latest_start(job(**own), directive(**terms), eligible=T + 600, margin=120)
    assert (found.at, found.binding) == (at - 120, binding)


def test_a_job_without_an_end_or_without_a_bound_is_never_deferred() -> None:
    endless = latest_start(job(time_limit=None), directive(max_delay=HOUR), eligible=T, margin=0)
    assert (endless.at, endless.binding) == (None, "time limit")
    assert "UNLIMITED" in endless.steps[0]
    consent_only = latest_start(job(deadline=T + 9 * HOUR), directive(), eligible=T, margin=0)
    assert (consent_only.at, consent_only.binding) == (None, "none")


@pytest.mark.parametrize(
    ("tasks", "throttle", "waves"),
    [(100, 4, 25), (101, 4, 26), (3, 4, 1), (100, 0, 1), (1, 1, 1), (2, 1, 2)],
)
def test_the_last_task_of_an_array_counts(tasks: int, throttle: int, waves: int) -> None:
    array = job(array_job_id=7, task_count=tasks, array_throttle=throttle)
    by_deadline = latest_start(array, directive(deadline=T + 100 * HOUR), eligible=T, margin=0)
    assert by_deadline.at == T + 100 * HOUR - waves * 2 * HOUR
    by_start = latest_start(array, directive(start_by=T + 100 * HOUR), eligible=T, margin=0)
    assert by_start.at == T + 100 * HOUR - (waves - 1) * 2 * HOUR
    by_latency = latest_start(array, directive(latency=T + 100 * HOUR), eligible=T, margin=0)
    assert by_latency.at == by_start.at
    by_delay = latest_start(array, directive(max_delay=HOUR), eligible=T, margin=0)
    assert by_delay.at == T + HOUR
    own = latest_start(job(deadline=T + 99 * HOUR, **_array(tasks, throttle)), directive(max_delay=999 * HOUR),
                       eligible=T, margin=0)  # fmt: skip
    assert own.at == T + 99 * HOUR - waves * 2 * HOUR


def _array(tasks: int, throttle: int) -> dict[str, int]:
    return {"array_job_id": 7, "task_count": tasks, "array_throttle": throttle}


def test_a_split_task_counts_for_itself() -> None:
    task = job(job_id=9, array_job_id=7, array_task_id=3, task_count=1, array_throttle=1)
    assert (
        latest_start(task, directive(deadline=T + 8 * HOUR), eligible=T, margin=0).at
        == T + 6 * HOUR
    )


def test_the_steps_show_the_sums() -> None:
    found = latest_start(
        job(**_array(10, 4)),
        directive(deadline=T + 24 * HOUR, max_delay=HOUR),
        eligible=T,
        margin=300,
    )
    assert found.steps == (
        "10 array tasks, 4 at a time: 3 waves of the time limit 02:00:00, the last one counts",
        "deadline 2026-11-24T10:00:00Z - 3 x time limit 06:00:00 = 2026-11-24T04:00:00Z",
        "max-delay: eligible 2026-11-23T10:00:00Z + max-delay 01:00:00 = 2026-11-23T11:00:00Z",
        "latest start: max-delay, less a margin of 00:05:00: 2026-11-23T10:55:00Z",
    )
