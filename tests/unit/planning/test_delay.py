"""The price of delay: every job alike, by the mean job's energy."""

from __future__ import annotations

import numpy as np
import pytest

from flexlond.planning.delay import MeanJob


def test_a_small_and_a_large_job_are_delayed_at_about_the_same_price() -> None:
    mean = MeanJob()
    kw = np.array([0.01, 300.0])
    mean.see([1, 2], np.array([0.1, 900.0]), np.ones(2))
    weight = mean.weights(np.ones(2), kw)
    assert mean.kwh == pytest.approx(450.05)
    assert (np.abs(weight / mean.kwh - 1.0) <= 0.2).all()


def test_each_task_of_an_array_counts() -> None:
    mean = MeanJob()
    mean.see([1], np.array([2.0]), np.array([64.0]))
    assert mean.weights(np.array([64.0]), np.array([1.0]))[0] == pytest.approx(128.0)


def test_jobs_of_like_weight_over_power_are_one_class() -> None:
    mean = MeanJob()
    mean.see([1], np.array([7.0]), np.ones(1))
    kw = np.random.default_rng(1).uniform(0.1, 100.0, 5000)
    ratio = np.round(mean.weights(np.ones(5000), kw) / kw, 12)
    assert len(np.unique(ratio)) <= 21  # ten octaves in half steps


def test_a_job_is_learned_from_once_and_the_last_thousand_count() -> None:
    mean = MeanJob()
    for _ in range(5):
        mean.see([1], np.array([4.0]), np.ones(1))
    mean.see([1, 2], np.array([4.0, 8.0]), np.ones(2))
    assert mean.kwh == pytest.approx(6.0)
    for start in range(10, 10_010, 1000):
        mean.see(range(start, start + 1000), np.full(1000, 1.0), np.ones(1000))
    assert mean.kwh == pytest.approx(1.0)


def test_a_job_without_power_has_a_finite_weight() -> None:
    mean = MeanJob()
    mean.see([1, 2], np.array([0.0, 1.0]), np.ones(2))
    assert np.isfinite(mean.weights(np.ones(2), np.array([0.0, 1.0]))).all()
