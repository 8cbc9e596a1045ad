"""The ramp cap on starts: what started of late and begin times in force count alike, on both sides of now."""

from __future__ import annotations

import random

import pytest

from flexlond.agents.ramp import WINDOW, RampRoom

NOW = 1_790_000_000


def highest(starts: dict[int, tuple[int, float]]) -> float:
    """The most kW in any five minutes, written down as the rule says it."""
    moments = [at for at, _ in starts.values()]
    return max(
        sum(kw for other, kw in starts.values() if at <= other < at + WINDOW) for at in moments
    )


@pytest.mark.parametrize("seconds", [-WINDOW + 1, -1, 0, 1, WINDOW - 1])
def test_what_started_and_what_will_start_within_five_minutes_take_room(seconds: int) -> None:
    room = RampRoom(10.0, NOW, {1: (NOW + seconds, 6.0)})
    assert not room.lets(2, 5.0)
    assert room.lets(3, 4.0)


@pytest.mark.parametrize("seconds", [-WINDOW, WINDOW])
def test_farther_starts_take_none(seconds: int) -> None:
    assert RampRoom(10.0, NOW, {1: (NOW + seconds, 6.0)}).lets(2, 10.0)


def test_starts_before_and_after_that_no_five_minutes_hold_together_are_not_added_up() -> None:
    starts = {1: (NOW - 200, 5.0), 2: (NOW + 200, 5.0)}
    assert RampRoom(10.0, NOW, starts).lets(3, 5.0)


def test_a_job_that_starts_now_does_not_start_at_its_begin_time_as_well() -> None:
    room = RampRoom(10.0, NOW, {1: (NOW + 60, 6.0), 2: (NOW + 60, 4.0)})
    assert room.lets(1, 6.0)
    assert room.lets(2, 4.0)
    assert not room.lets(3, 1.0)


def test_one_that_is_refused_keeps_its_begin_time_in_the_count() -> None:
    room = RampRoom(10.0, NOW, {1: (NOW - 60, 8.0), 2: (NOW + 60, 4.0)})
    assert not room.lets(2, 4.0)
    assert not RampRoom(10.0, NOW, {2: (NOW + 60, 4.0)}).lets(3, 8.0)
    assert not room.lets(3, 2.0)


def test_one_above_the_cap_starts_alone() -> None:
    assert RampRoom(10.0, NOW, {}).lets(1, 50.0)
    assert not RampRoom(10.0, NOW, {2: (NOW + 299, 0.5)}).lets(1, 50.0)


def test_without_a_cap_all_start() -> None:
    room = RampRoom(0.0, NOW, {2: (NOW, 1e6)})
    assert room.lets(1, 1e6)


@pytest.mark.parametrize("seed", range(20))
def test_whoever_is_let_go_keeps_the_cap_and_nobody_waits_for_nothing(seed: int) -> None:
    rng = random.Random(seed)
    cap = 10.0
    starts: dict[int, tuple[int, float]] = {}
    for job in range(40):  # begin times that keep the cap
        one = (NOW + rng.randint(-600, 600), rng.uniform(0.5, 6.0))
        if highest(starts | {job: one}) <= cap:
            starts[job] = one
    room = RampRoom(cap, NOW, starts)
    for job in rng.sample(range(60), 40):
        kw = starts[job][1] if job in starts else rng.uniform(0.5, 6.0)
        then = starts | {job: (NOW, kw)}
        assert room.lets(job, kw) == (highest(then) <= cap + 1e-6)
        if highest(then) <= cap + 1e-6:
            starts = then
