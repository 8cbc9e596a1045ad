from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flexlond.planning.dependencies import backward, edges, is_singleton, levels, predecessors
from flexlond.planning.problem import NEVER


@pytest.mark.parametrize(
    ("text", "ids"),
    [
        ("", ()),
        ("(null)", ()),
        ("afterok:12(unfulfilled)", (12,)),
        ("afterok:12:13(unfulfilled)", (12, 13)),
        ("afterok:1(unfulfilled),afterany:2(failed)", (1, 2)),
        ("afterok:1?afterany:2", (1, 2)),
        ("afterany:7_*(unfulfilled)", (7,)),
        ("aftercorr:7_3(unfulfilled)", (7,)),
        ("afterok:7_[1-5](unfulfilled)", (7,)),
        ("after:12+5(unfulfilled)", (12,)),
        ("afternotok:9", (9,)),
        ("afterburstbuffer:4", (4,)),
        ("singleton(unfulfilled)", ()),
        ("afterok:5,afterok:5:6", (5, 6)),
        ("AFTEROK:5", (5,)),
        ("afterok:", ()),
        ("afterok:x:3", (3,)),
        ("beforeok:3", ()),
        ("afterok:99999999999999999999", ()),
        (":::,?(", ()),
    ],
)
def test_slurms_strings(text: str, ids: tuple[int, ...]) -> None:
    assert predecessors(text) == ids


def test_singleton_is_seen() -> None:
    assert is_singleton("afterok:1,singleton(unfulfilled)")
    assert not is_singleton("afterok:1")


@given(st.text(max_size=60))
def test_any_text_is_harmless(text: str) -> None:
    assert all(job >= 0 for job in predecessors(text))


def test_edges_are_indices_and_unknown_ids_make_none() -> None:
    found = edges([30, 10, 20], ["afterok:10:99", "afterok:10", "afterany:30,afterok:55"])
    assert found.tolist() == [[0, 1], [2, 0]]
    aliased = edges([30, 10], ["afterok:77", ""], aliases={77: 1})
    assert aliased.tolist() == [[0, 1]]
    assert edges([], []).shape == (0, 2)


def test_a_singleton_waits_for_the_nearest_earlier_namesake() -> None:
    ids = [5, 9, 7, 8]
    key = [("a", "x"), ("a", "x"), ("a", "x"), ("b", "x")]
    found = edges(ids, ["singleton"] * 4, singleton_key=key)
    assert sorted(found.tolist()) == [[1, 2], [2, 0]]


def test_a_deadline_runs_backwards_over_a_chain() -> None:
    latest = np.array([10_000, 9_000, NEVER - 1, 5_000])
    span = np.array([100.0, 200.0, 300.5, 10.0])
    chain = np.array([[1, 0], [0, 2]])  # 1 waits for 0, 0 waits for 2; 3 alone
    found, movable = backward(latest, span, np.ones(4, bool), chain)
    assert found.tolist() == [8_900, 9_000, 8_900 - 301, 5_000]
    assert movable.all()
    assert latest.tolist()[:2] == [10_000, 9_000]  # the input stays


def test_nobody_is_deferred_for_whom_a_job_without_consent_waits() -> None:
    latest = np.array([1000, 1000, NEVER, 1000, 1000])
    movable = np.array([True, True, True, True, False])
    # 0 <- 1 <- 4 (no consent); 3 <- 2 (no known latest start)
    found, can = backward(latest, np.ones(5), movable, np.array([[1, 0], [4, 1], [2, 3]]))
    assert can.tolist() == [False, False, True, False, False]
    assert found[3] == 1000


def test_circles_are_not_deferred_and_end() -> None:
    circle = np.array([[0, 1], [1, 2], [2, 0], [3, 0], [0, 4]])
    assert levels(6, circle).tolist() == [-1, -1, -1, -1, 0, 0]
    _, movable = backward(np.full(6, 1000), np.ones(6), np.ones(6, bool), circle)
    assert movable.tolist() == [False, False, False, False, False, True]


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_backward_leaves_every_chain_consistent(data: st.DataObject) -> None:
    jobs = data.draw(st.integers(1, 12))
    pairs = st.tuples(st.integers(0, jobs - 1), st.integers(0, jobs - 1))
    depends = np.array(data.draw(st.lists(pairs, max_size=20)), np.int64).reshape(-1, 2)
    latest = np.array(
        data.draw(
            st.lists(st.one_of(st.integers(0, 10**6), st.just(NEVER)), min_size=jobs, max_size=jobs)
        )
    )
    span = np.array(data.draw(st.lists(st.floats(1, 5000), min_size=jobs, max_size=jobs)))
    movable = np.array(data.draw(st.lists(st.booleans(), min_size=jobs, max_size=jobs)))
    found, can = backward(latest, span, movable, depends)
    level = levels(jobs, depends)
    assert np.all(found <= latest)
    assert not np.any(can & ~movable)
    assert not can[level < 0].any()
    for successor, predecessor in depends.tolist():
        if can[predecessor]:
            assert can[successor]
            assert found[successor] < NEVER
            assert found[predecessor] + span[predecessor] <= found[successor]
    # Nothing that stands alone is touched.
    alone = np.ones(jobs, bool)
    alone[depends.ravel()] = False
    assert np.array_equal(found[alone], latest[alone])
    assert np.array_equal(can[alone], movable[alone])
