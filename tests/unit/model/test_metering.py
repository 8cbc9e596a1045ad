"""One reading's worth, the mean of a slot, and the model beside the meter."""

from __future__ import annotations

import math
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flexlond.model.metering import (
    AHEAD,
    Modelled,
    ReadingQuality,
    Source,
    calibrate,
    judge,
    mean_kw,
    slot_power,
)

NOW = 1_795_435_200


@dataclass(frozen=True)
class P:
    at: int
    kw: float


def judged(at: int = NOW, kw: float = 100.0) -> tuple[ReadingQuality, str]:
    found = judge(at, kw, "m", now=NOW, max_age=60.0, max_kw=500.0)
    return found.quality, found.detail


def test_a_reading_is_good_until_it_is_stale() -> None:
    assert judged(NOW - 60) == (ReadingQuality.GOOD, "")
    quality, detail = judged(NOW - 61)
    assert quality is ReadingQuality.STALE
    assert "61 s old" in detail


@pytest.mark.parametrize(
    ("kw", "says"),
    [(-0.1, "negative"), (500.1, "max_kw"), (math.nan, "no number"), (math.inf, "no")],
)
def test_an_absurd_reading_is_said_to_be_one(kw: float, says: str) -> None:
    quality, detail = judged(kw=kw)
    assert quality is ReadingQuality.ABSURD
    assert says in detail


def test_a_reading_from_the_future_is_absurd_after_a_step_of_the_clock() -> None:
    assert judged(NOW + AHEAD)[0] is ReadingQuality.GOOD
    quality, detail = judged(NOW + 600)
    assert quality is ReadingQuality.ABSURD
    assert "600 s ahead" in detail


def test_the_mean_is_weighted_by_time() -> None:
    points = [P(0, 10.0), P(60, 40.0), P(90, 100.0)]
    assert mean_kw(points, 0, 120, 1000.0) == (
        pytest.approx((10 * 60 + 40 * 30 + 100 * 30) / 120),
        1.0,
    )


def test_a_reading_holds_no_longer_than_it_is_fresh() -> None:
    assert mean_kw([P(0, 10.0)], 0, 100, 30.0) == (10.0, 0.3)
    assert mean_kw([P(-20, 10.0)], 0, 100, 30.0) == (10.0, 0.1)  # from the slot before
    assert math.isnan(mean_kw([P(-40, 10.0)], 0, 100, 30.0)[0])
    assert mean_kw([P(-40, 10.0)], 0, 100, 30.0)[1] == 0.0


@given(
    st.lists(
        st.tuples(st.integers(-200, 400), st.floats(0, 1e4)), max_size=30, unique_by=lambda p: p[0]
    ),
    st.integers(1, 300),
    st.floats(1, 300),
)
def test_a_mean_lies_between_what_was_read_and_covers_no_more_than_all(
    points: list[tuple[int, float]], end: int, hold: float
) -> None:
    ordered = [P(*point) for point in sorted(points)]
    kw, coverage = mean_kw(ordered, 0, end, hold)
    # By the second: what was in force at each moment of the slot, nothing assumed about the formula.
    step = [
        next((p.kw for p in reversed(ordered) if p.at <= t / 2 < p.at + hold), None)
        for t in range(2 * end)
    ]
    known = [value for value in step if value is not None]
    assert 0.0 <= coverage <= 1.0 + 1e-9
    assert coverage == pytest.approx(len(known) / len(step), abs=len(ordered) / end + 1e-9)
    if coverage:
        values = [p.kw for p in ordered]
        assert min(values) - 1e-6 <= kw <= max(values) + 1e-6
    else:
        assert math.isnan(kw)


def slot(readings: list[P], modelled: list[P]) -> tuple[float, Source, float]:
    found = slot_power(readings, modelled, 0, 100, hold=10.0, model_hold=100.0)
    return found.kw, found.source, found.coverage


def test_half_covered_is_metered_less_is_modelled_and_said() -> None:
    model = [P(0, 7.0)]
    assert slot([P(t, 5.0) for t in range(0, 50, 10)], model) == (5.0, Source.METERED, 0.5)
    kw, source, coverage = slot([P(t, 5.0) for t in range(0, 49, 12)], model)
    assert (kw, source, coverage) == (5.0, Source.METERED, 0.5)
    assert slot([P(t, 5.0) for t in range(0, 40, 10)], model) == (7.0, Source.MODELLED, 0.4)
    kw, source, _ = slot([], [])
    assert math.isnan(kw)
    assert source is Source.UNKNOWN


def test_calibration_compares_what_is_known_of_both() -> None:
    # The true site: 30 kW without jobs, jobs draw what the model says; the model knows 20 kW of the base.
    moments = zip(range(0, 600, 30), [10.0, 40.0] * 10, strict=True)
    modelled = [Modelled(t, 20.0 + jobs, jobs) for t, jobs in moments]
    readings = [P(m.at - 5, 30.0 + m.jobs_kw) for m in modelled]
    found = calibrate(readings, modelled, 60.0)
    assert found.pairs == 20
    assert found.base_kw == pytest.approx(30.0)
    assert found.ratio == pytest.approx((30 + 25) / (20 + 25))


def test_calibration_leaves_out_what_is_stale_and_needs_enough() -> None:
    modelled = [Modelled(t, 20.0, 0.0) for t in range(0, 600, 30)]
    found = calibrate([P(0, 30.0)], modelled, 60.0)
    assert found.pairs == 3  # 0, 30 and 60 s after the only reading
    assert math.isnan(found.ratio)
    assert math.isnan(found.base_kw)


def test_the_base_is_never_negative() -> None:
    modelled = [Modelled(t, 50.0, 50.0) for t in range(20)]
    assert calibrate([P(t, 10.0) for t in range(20)], modelled, 5.0).base_kw == 0.0
