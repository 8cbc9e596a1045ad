from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flexlond.model.timegrid import TimeGrid
from flexlond.planning.account import account, peak_kw, slot_power

RUNS = st.lists(
    st.tuples(st.integers(0, 119), st.integers(0, 60), st.integers(1, 50)), min_size=1, max_size=12
)


@settings(max_examples=100, deadline=None)
@given(RUNS, st.lists(st.integers(-100, 300), min_size=12, max_size=12))
def test_it_equals_a_sum_second_by_second(
    runs: list[tuple[int, int, int]], price: list[int]
) -> None:
    base = 1_000_000
    grid = TimeGrid(base, 15, 12)
    start = np.array([base + run[0] for run in runs])
    end = np.minimum(start + [run[1] for run in runs], grid.end)
    kw = np.array([float(run[2]) for run in runs])
    prices = np.array(price, float)
    carbon = np.abs(prices)
    found = account(start, end, kw, grid, price=prices, carbon=carbon)
    power = np.zeros(grid.end - base)
    for job, (low, high) in enumerate(zip(start - base, end - base, strict=True)):
        power[low:high] += kw[job]
        cost = sum(kw[job] / 3.6e6 * prices[second // 15] for second in range(low, high))
        co2 = sum(kw[job] / 3.6e6 * carbon[second // 15] for second in range(low, high))
        assert found.cost_gbp[job] == pytest.approx(cost, abs=1e-9)
        assert found.co2_kg[job] == pytest.approx(co2, abs=1e-9)
        assert found.energy_kwh[job] == pytest.approx(kw[job] * (high - low) / 3600)
    assert found.peak_kw == pytest.approx(power.max())
    mean = slot_power(grid, start.astype(float), end.astype(float), kw)
    assert mean == pytest.approx(power.reshape(12, 15).mean(axis=1))


def test_a_job_that_never_ran_costs_nothing_and_one_off_the_grid_is_unknown() -> None:
    grid = TimeGrid(1000, 10, 3)
    one = np.ones(3)
    found = account(
        np.array([0, 1005, 1025]),
        np.array([0, 1005, 1035]),
        np.array([5.0, 5.0, 5.0]),
        grid,
        price=one,
        carbon=one,
    )
    assert found.cost_gbp[:2].tolist() == [0.0, 0.0]
    assert np.isnan(found.cost_gbp[2])


def test_an_end_and_a_start_at_the_same_second_do_not_add_up() -> None:
    assert peak_kw(np.array([10, 20]), np.array([20, 30]), np.array([3.0, 4.0])) == 4.0
    assert peak_kw(np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0)) == 0.0


def test_running_jobs_from_before_the_grid_count_from_its_start() -> None:
    grid = TimeGrid(100, 10, 2)
    power = slot_power(grid, np.array([0.0]), np.array([115.0]), np.array([8.0]))
    assert power.tolist() == [8.0, 4.0]
