"""Reservations from caps: what they leave is under the cap, and they hold nobody past a latest start."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flexlond.model.licence import Stretch
from flexlond.model.timegrid import TimeGrid
from flexlond.model.window import Window, caps_on
from flexlond.planning.licence import SLACK, Bound, held_past, keep, steady, stretches

if TYPE_CHECKING:
    from collections.abc import Collection

    from numpy.typing import NDArray

NOW = 1_795_420_800
SLOT = 1800
GRID = TimeGrid(NOW, SLOT, 12)
INF = float("inf")
DAY = 86_400


def at(slot: float) -> int:
    return NOW + int(slot * SLOT)


def window(first: int, last: int, cap: float) -> Window:
    caps = (cap,) * (last - first)
    return Window(0, at(first), at(last), SLOT, cap, np.nan, caps, 0, NOW, "root")


def test_overlapping_windows_become_one_sequence_and_the_lowest_cap_wins() -> None:
    caps = caps_on(GRID, [window(2, 6, 300.0), window(4, 8, 100.0), window(9, 10, 5000.0)], NOW)
    found = stretches(GRID, caps, np.zeros(12), total=1000, longest=DAY)
    assert found == (Stretch(at(2), at(4), 700), Stretch(at(4), at(8), 900))


def test_what_draws_without_a_licence_counts_first() -> None:
    caps = np.full(12, 300.0)
    free = np.linspace(0.0, 330.0, 12)
    found = stretches(GRID, caps, free, total=1000, longest=DAY)
    assert found[0].start == at(0)
    assert (found[-1].end, found[-1].kw) == (at(12), 1000)  # the cap is missed without any of ours
    assert all(one.end == then.start and one.kw < then.kw for one, then in pairwise(found))


def test_a_long_window_is_cut() -> None:
    found = stretches(GRID, np.full(12, 10.0), np.zeros(12), total=100, longest=5 * SLOT)
    assert [(one.start, one.end) for one in found] == [
        (at(0), at(5)),
        (at(5), at(10)),
        (at(10), at(12)),
    ]


@pytest.mark.parametrize(
    ("latest", "hours", "held"),
    [
        (at(1), 0.5, False),  # it starts and ends before the window
        (at(1.5), 0.5, False),
        (at(2), 0.5, True),  # at its latest start it would run into it
        (at(4), 1.0, True),
        (at(6), 1.0, True),  # the margin
        (at(6.5), 1.0, False),  # it can wait until the window is over
        (at(9), 9.0, False),
    ],
)
def test_whom_a_window_may_hold(latest: int, hours: float, *, held: bool) -> None:
    job = Bound(1, latest, int(hours * 3600))
    row = [Stretch(at(3), at(4), 900), Stretch(at(4), at(6), 5)]
    assert held_past([job], row, 300) == ((job,) if held else ())


def test_a_job_let_off_counts_as_drawing_power_and_may_bind_others() -> None:
    caps = np.full(12, INF)
    caps[4:8] = 100.0
    power = {1: 60.0, 2: 50.0}
    asked: list[set[int]] = []

    def free(let_off: Collection[int]) -> NDArray[np.float64]:
        asked.append(set(let_off))
        return np.full(12, sum(power[one] for one in let_off))

    bounds = [Bound(1, at(5), 3600), Bound(2, at(7), 3600), Bound(3, at(11), 3600)]
    kept = keep(GRID, caps, free, bounds, total=1000, longest=DAY, margin=60)
    assert {one.job_id for one in kept.let_off} == {1, 2}
    assert asked == [set(), {1, 2}]
    assert kept.stretches == (Stretch(at(4), at(8), 1000),)
    assert kept.short[4:8].tolist() == [10.0] * 4
    assert kept.short[:4].tolist() == [0.0] * 4


def test_one_that_has_begun_keeps_its_name_and_small_changes_are_none() -> None:
    force = [Stretch(at(-2), at(3), 700), Stretch(at(3), at(4), 500)]
    wanted = [Stretch(at(0), at(4), 690), Stretch(at(5), at(6), 10)]
    assert steady(wanted, force, total=1000, now=at(0.5)) == (
        Stretch(at(-2), at(4), 700),
        Stretch(at(5), at(6), 10),
    )
    assert steady([Stretch(at(0), at(3), 710)], force, total=1000, now=at(0.5))[0].kw == 710
    assert steady([Stretch(at(0), at(3), 600)], force, total=1000, now=at(0.5))[0].kw == 600
    assert steady([Stretch(at(1), at(3), 700)], force, total=1000, now=at(0.5))[0].start == at(1)


slots = st.lists(st.one_of(st.just(INF), st.floats(0.0, 1500.0)), min_size=12, max_size=12)
jobs = st.lists(
    st.builds(
        Bound,
        st.integers(1, 10**6),
        st.integers(at(-2), at(14)),
        st.integers(60, 6 * 3600),
    ),
    max_size=6,
    unique_by=lambda one: one.job_id,
)


@settings(max_examples=300, deadline=None)
@given(slots, st.lists(st.floats(0.0, 500.0), min_size=12, max_size=12), jobs, st.integers(1, 1000))
def test_what_is_kept(
    caps: list[float], free: list[float], bounds: list[Bound], total: int
) -> None:
    def free_kw(let_off: Collection[int]) -> NDArray[np.float64]:
        return np.array(free) + 7.0 * len(let_off)

    kept = keep(GRID, np.array(caps), free_kw, bounds, total=total, longest=4 * SLOT, margin=60)
    rest = free_kw({one.job_id for one in kept.let_off})
    row = kept.stretches
    assert all(one.end <= then.start for one, then in pairwise(row))
    assert all(1 <= one.kw <= total and one.end - one.start <= 4 * SLOT for one in row)
    assert not held_past([one for one in bounds if one not in kept.let_off], row, 60)
    for slot, cap in enumerate(caps):
        depth = next((one.kw for one in row if one.start <= at(slot) < one.end), 0)
        if cap == INF:
            assert depth == 0
            continue
        left = total - depth
        # What the licences leave stays under the cap, and no more is held than the slack of one reservation.
        assert left + rest[slot] <= max(cap, rest[slot]) + 1e-6
        assert left >= min(total, max(0.0, cap - rest[slot])) - 1 - SLACK * total
    assert np.allclose(
        kept.short, [max(0.0, r - c) if c < INF else 0.0 for r, c in zip(rest, caps, strict=True)]
    )
