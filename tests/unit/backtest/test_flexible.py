"""The draw of flexible jobs: the share asked for, the same for the same seed, larger shares only add."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from flexlond.backtest.case import Said, Trace
from flexlond.backtest.flexible import flexibility
from flexlond.planning.pools import Room


def trace_of(runtime: list[float], nodes: list[float], limit: float = 1e9) -> Trace:
    count = len(runtime)
    text = np.full(count, "")
    return Trace(
        name="t",
        job_id=np.arange(count),
        submit=1000 + np.arange(count),
        runtime=np.array(runtime, np.float64),
        limit=np.full(count, limit),
        demand=np.ones((count, 1)),
        pool=np.zeros(count, np.int64),
        nodes=np.array(nodes, np.float64),
        user=text,
        account=text,
        label=text,
        energy_kwh=np.full(count, np.nan),
        room=Room(np.ones((1, 1)), np.zeros(1, np.int64), np.ones((1, 1)), ("all",), ("cpus",)),
    )


@given(
    st.lists(st.tuples(st.floats(1, 1e5), st.floats(0.1, 100)), min_size=1, max_size=60),
    st.floats(0, 1),
    st.integers(0, 2**32),
)
def test_the_share_is_met_to_within_half_a_job(
    jobs: list[tuple[float, float]], share: float, seed: int
) -> None:
    trace = trace_of([a for a, _ in jobs], [b for _, b in jobs])
    drawn = flexibility(trace, share=share, seed=seed)
    hours = trace.runtime * trace.nodes
    off = abs(hours[drawn.flexible].sum() - share * hours.sum())
    assert off <= hours.max() / 2 * (1 + 1e-9)


@given(st.floats(0, 1), st.floats(0, 1), st.integers(0, 1000))
def test_a_larger_share_only_adds_jobs(one: float, other: float, seed: int) -> None:
    trace = trace_of(list(range(1, 41)), [1.0] * 40)
    less = flexibility(trace, share=min(one, other), seed=seed)
    more = flexibility(trace, share=max(one, other), seed=seed)
    assert (less.flexible <= more.flexible).all()
    assert (more.slack[less.flexible] == less.slack[less.flexible]).all()


def test_slack_is_within_its_bounds_and_counts_from_the_submission() -> None:
    trace = trace_of([60.0] * 500, [1.0] * 500)
    drawn = flexibility(trace, share=0.5, slack=(7200, 86400), seed=3)
    slack = drawn.slack[drawn.flexible]
    assert (slack >= 7200).all()
    assert (slack <= 86400).all()
    assert abs(slack.mean() - 46800) < 5 * 22863 / np.sqrt(len(slack))
    assert (drawn.slack[~drawn.flexible] == 0).all()
    assert (drawn.latest == trace.submit + drawn.slack).all()


def test_the_seed_decides() -> None:
    trace = trace_of([60.0] * 100, [1.0] * 100)
    assert (flexibility(trace, seed=1).flexible == flexibility(trace, seed=1).flexible).all()
    assert (flexibility(trace, seed=1).flexible != flexibility(trace, seed=2).flexible).any()


def test_a_job_over_its_limit_counts_to_its_limit() -> None:
    trace = trace_of([1e6, 100, 100, 100, 100], [1.0] * 5, limit=100)
    for seed in range(20):
        assert flexibility(trace, share=0.4, seed=seed).flexible.sum() == 2


def test_a_job_with_a_latency_waits_no_longer_than_that_and_is_not_drawn() -> None:
    plain = trace_of([60.0] * 40, [1.0] * 40)
    latency = np.full(40, np.nan)
    latency[::2] = 600.9
    said = Said(np.full(40, np.nan), np.full(40, ""), latency)
    trace = dataclasses.replace(plain, said=said)
    for share in (0.0, 0.5, 1.0):
        drawn = flexibility(trace, share=share, slack=(7200, 86400), seed=2)
        assert drawn.flexible[::2].all()
        assert (drawn.latest[::2] == trace.submit[::2] + 600).all()
        assert drawn.flexible[1::2].sum() == 20 * share
    assert (drawn.slack[1::2] >= 7200).all()


def test_all_and_none() -> None:
    trace = trace_of([60.0, 1e-9, 60.0], [1.0] * 3)
    assert not flexibility(trace, share=0).flexible.any()
    assert flexibility(trace, share=1).flexible.sum() >= 2


@pytest.mark.parametrize(
    ("option", "why"),
    [
        ({"share": 1.2}, "from 0 to 1"),
        ({"share": float("nan")}, "from 0 to 1"),
        ({"slack": (10, 5)}, "smaller first"),
        ({"slack": (-1, 5)}, "smaller first"),
    ],
)
def test_bad_options_are_refused(option: dict, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        flexibility(trace_of([1.0], [1.0]), **option)
