"""Names become patterns; a job in the queue and its accounting record look alike."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flexlond.model.job import Job, JobState
from flexlond.prediction.features import Features, name_pattern, of_job


@pytest.mark.parametrize(
    ("name", "pattern"),
    [
        ("train_017.sh", "train_#.sh"),
        ("train", "train"),
        ("", ""),
        ("run-2024-05-01", "run-#"),
        ("fold_3_of_10", "fold_#_of_#"),
        ("3d-fft_64x64", "#d-fft_#x#"),
        ("sweep-3fa9c1d", "sweep-#"),
        ("SWEEP_3FA9C1D.sh", "SWEEP_#.sh"),
        ("wf.3e9ab1d2-55aa-4bcd-8fff-00aa11bb22cc.task", "wf.#.task"),
        ("defaced", "defaced"),  # hexadecimal letters alone are a word
        ("face12", "face#"),  # too short for a hash
        ("x" * 500, "x" * 64),
    ],
)
def test_what_says_which_run_it_is_goes(name: str, pattern: str) -> None:
    assert name_pattern(name) == pattern


@settings(deadline=None)
@given(st.text(max_size=300), st.integers(0, 10**9), st.integers(0, 10**9))
def test_a_counter_never_tells_runs_apart(name: str, one: int, other: int) -> None:
    stem = name.rstrip("0123456789abcdefABCDEF")
    assert name_pattern(f"{stem}_{one}") == name_pattern(f"{stem}_{other}")
    assert len(name_pattern(name)) <= 64


def test_of_a_job_in_the_queue() -> None:
    job = Job(
        job_id=1,
        state=JobState.PENDING,
        reason="",
        user="alice",
        uid=1,
        account="physics",
        qos="normal",
        partition="gpu, main",
        name="train_3",
        nodes=2,
        cpus=8,
        memory_mib=0,
        gpus=(("", 1), ("h200", 2)),
        licenses="",
        time_limit=None,
        submit=0,
        begin=0,
        start=0,
        end=0,
        deadline=0,
        priority=1,
        requeue=True,
        restarts=0,
        reservation="",
        dependency="",
        batch=True,
        node_list="",
        comment="",
    )
    assert of_job(job) == Features("alice", "physics", "gpu", "train_#", None, 8, 2, 3)
