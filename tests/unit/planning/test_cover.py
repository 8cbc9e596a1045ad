"""The least cost cover, against every selection there is."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from flexlond.planning import cover as module
from flexlond.planning.cover import cover

KW = st.integers(0, 12).map(float)


@st.composite
def questions(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    jobs, slots = draw(st.integers(0, 7)), draw(st.integers(1, 4))
    relief = draw(arrays(np.float64, (jobs, slots), elements=KW))
    need = draw(arrays(np.float64, slots, elements=st.integers(0, 30).map(float)))
    cost = draw(arrays(np.float64, jobs, elements=st.integers(0, 9).map(float)))
    return relief, need, cost


def by_hand(relief: np.ndarray, need: np.ndarray, cost: np.ndarray) -> float:
    """The least cost of all selections that give what can be given."""
    target = np.minimum(need, relief.sum(axis=0))
    costs = []
    for chosen in itertools.product([False, True], repeat=len(cost)):
        rows = np.array(chosen, np.bool_)
        if (relief[rows].sum(axis=0) >= target - 1e-6).all():
            costs.append(float(cost[rows].sum()))
    return min(costs)


@given(questions())
@settings(max_examples=300, deadline=None)
def test_it_is_the_cheapest_selection_and_gives_what_can_be_given(
    question: tuple[np.ndarray, np.ndarray, np.ndarray],
) -> None:
    relief, need, cost = question
    found = cover(relief, need, cost)
    target = np.minimum(need, relief.sum(axis=0))
    assert (relief[found.chosen].sum(axis=0) >= target - 1e-6).all()
    assert found.cost == pytest.approx(by_hand(relief, need, cost))
    assert found.cost == pytest.approx(cost[found.chosen].sum())
    assert found.gap == 0.0


@given(questions())
@settings(max_examples=100, deadline=None)
def test_without_time_to_search_the_bound_holds(
    question: tuple[np.ndarray, np.ndarray, np.ndarray],
) -> None:
    relief, need, cost = question
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "_NODES", 0)
        found = cover(relief, need, cost)
    least = by_hand(relief, need, cost)
    assert found.bound <= least + 1e-9
    assert found.cost >= least - 1e-9
    target = np.minimum(need, relief.sum(axis=0))
    assert (relief[found.chosen].sum(axis=0) >= target - 1e-6).all()


def test_nobody_is_chosen_who_gives_nothing() -> None:
    relief = np.array([[0.0, 9.0], [5.0, 0.0]])
    found = cover(relief, np.array([4.0, 0.0]), np.array([0.0, 3.0]))
    assert found.chosen.tolist() == [False, True]


def test_many_alike_end_within_the_steps_and_say_the_gap() -> None:
    relief = np.full((300, 6), 7.0)
    found = cover(relief, np.full(6, 1000.0), np.linspace(1.0, 2.0, 300))
    assert found.chosen.sum() == 143  # 142 x 7 = 994 are not enough
    assert found.gap < 0.01
