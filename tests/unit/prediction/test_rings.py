"""The bounded memory, and the quantiles read from it."""

from __future__ import annotations

import sys
from array import array

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flexlond.prediction.rings import Rings, middle, upper

VALUES = st.lists(st.floats(0, 1e6, width=32), min_size=1, max_size=40)


def test_the_newest_values_stay() -> None:
    rings = Rings(max_keys=2, depth=3)
    for value in range(5):
        rings.add(("a",), float(value))
    assert list(rings.of(("a",))) == [2.0, 3.0, 4.0]
    assert list(rings.of(("b",))) == []


def test_the_key_longest_unwritten_goes() -> None:
    rings = Rings(max_keys=2, depth=3)
    rings.add(("a",), 1.0)
    rings.add(("b",), 2.0)
    rings.add(("a",), 3.0)
    assert list(rings.of(("b",))) == [2.0]  # reading keeps nothing alive
    rings.add(("c",), 4.0)
    assert (len(rings), list(rings.of(("b",))), list(rings.of(("a",)))) == (2, [], [1.0, 3.0])


def test_rows_bring_back_values_and_the_order_of_forgetting() -> None:
    rings = Rings(max_keys=3, depth=3)
    for key, value in (("a", 1.0), ("b", 2.0), ("c", 3.0), ("a", 4.0)):
        rings.add((0, key, None), value)
    again = Rings(max_keys=2, depth=3)
    again.restore(rings.rows())
    assert [key[1] for key, _ in again.rows()] == ["c", "a"]
    assert list(again.of((0, "a", None))) == [1.0, 4.0]


@pytest.mark.parametrize(
    "packed",
    [b"abc", array("f", [float("nan")]).tobytes(), array("f", [1.0, -2.0]).tobytes()],
)
def test_nonsense_is_refused(packed: bytes) -> None:
    with pytest.raises(ValueError, match=r"finite|multiple"):
        Rings(2, 3).restore([((0, "a"), packed)])


@settings(deadline=None)
@given(VALUES)
def test_the_median_is_numpys(values: list[float]) -> None:
    assert middle(sorted(values)) == pytest.approx(float(np.median(values)))


@settings(deadline=None)
@given(VALUES, st.floats(0.5, 0.995), st.floats(0, 1e6))
def test_the_upper_quantile_counts_the_bound_as_one_more(
    values: list[float], level: float, above: float
) -> None:
    ordered = sorted(values)
    bound = ordered[-1] + above
    found = upper(ordered, bound, level)
    assert ordered[0] <= found <= bound
    count = len(ordered)
    if level * (count + 1) >= count + 1 - sys.float_info.epsilon:
        assert found == bound
    below = sum(value <= found for value in ordered) + (bound <= found)
    assert below >= np.floor(level * (count + 1) + 1e-9)


def test_by_hand() -> None:
    nine = [float(value) for value in range(1, 10)]
    assert upper(nine, 100.0, 0.9) == 9.0
    assert upper(nine, 100.0, 0.95) == pytest.approx(9 + 0.5 * 91)
    assert upper([], 100.0, 0.9) == 100.0
