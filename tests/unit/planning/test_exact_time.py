"""The exact solver's time is shared: no more than there is, and what easy questions leave goes to hard ones."""

from __future__ import annotations

import pytest

from flexlond.planning.exact_time import ExactTime


def test_questions_that_take_all_they_may_never_take_more_than_the_whole() -> None:
    time, taken = ExactTime(20.0, 16), 0.0
    for _ in range(16):
        time.begin()
        for _ in range(12):
            part = time.allowed()
            time.spent(part)
            taken += part
    assert 15.0 < taken <= 20.0


def test_the_last_curve_of_hard_ones_has_its_equal_part() -> None:
    time = ExactTime(8.0, 4)
    for _ in range(3):
        time.begin()
        for _ in range(10):
            time.spent(time.allowed())
    time.begin()
    assert time.allowed() >= 1.0


def test_what_easy_curves_leave_a_hard_one_may_take() -> None:
    time = ExactTime(8.0, 4)
    time.begin()
    assert time.allowed() == pytest.approx(1.0)
    for _ in range(3):
        time.begin()
    assert time.allowed() == pytest.approx(4.0)


def test_what_is_too_little_to_begin_with_is_not_handed_out() -> None:
    time = ExactTime(0.03, 1)
    time.begin()
    assert time.allowed() == 0.0
    nothing = ExactTime(0.0, 0)
    nothing.begin()
    assert nothing.allowed() == 0.0
