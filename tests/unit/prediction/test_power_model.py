"""Power: the coefficients corrected by measurement, and what is no measurement."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from flexlond.prediction.power import LEVELS, NO_MEASUREMENT, PowerModel

if TYPE_CHECKING:
    from collections.abc import Callable

    from flexlond.prediction.features import Features

    Like = Callable[..., Features]


def test_without_measurement_it_is_the_coefficients_and_a_stated_doubt(like: Like) -> None:
    found = PowerModel().predict(like(), 2.0)
    assert found == (2.0, 2.5, NO_MEASUREMENT, 0)


def test_measured_runs_scale_the_coefficients(like: Like) -> None:
    model = PowerModel()
    for kw in (1.0, 1.2, 1.1, 1.3, 1.15, 1.1, 1.2, 1.1, 1.25, 1.1):
        assert model.learn(like(), kw, 2.0, 600.0)
    found = model.predict(like(name="train_8.sh", cpus=64), 20.0)
    assert (found.basis, found.samples) == (LEVELS[0], 10)
    assert found.kw_p50 == pytest.approx(11.0, rel=1e-6)
    assert 12.0 <= found.kw_p90 <= 13.01  # the largest but one of ten, not the assumed 25.0


@pytest.mark.parametrize(
    ("changed", "basis"),
    [
        ({}, LEVELS[0]),
        ({"name": "other"}, LEVELS[1]),
        ({"user": "bob"}, LEVELS[2]),
        ({"user": "bob", "partition": "gpu"}, NO_MEASUREMENT),
    ],
)
def test_the_most_specific_measurements_serve(
    like: Like, changed: dict[str, object], basis: str
) -> None:
    model = PowerModel()
    model.learn(like(), 1.0, 2.0, 600.0)
    found = model.predict(like(**changed), 8.0)
    assert found.basis == basis
    assert found.kw_p50 == (8.0 if basis == NO_MEASUREMENT else 4.0)
    assert found.kw_p90 >= found.kw_p50


@pytest.mark.parametrize(
    ("measured", "modelled", "seconds"),
    [
        (0.0, 2.0, 600.0),  # no energy
        (1.0, 2.0, 59.0),  # too short for the counter
        (11.0, 2.0, 600.0),  # it wrapped, or is another's
        (0.09, 2.0, 600.0),
        (-1.0, 2.0, 600.0),
        (1.0, 0.0, 600.0),
        (float("nan"), 2.0, 600.0),
    ],
)
def test_what_cannot_be_is_left_out(
    like: Like, measured: float, modelled: float, seconds: float
) -> None:
    model = PowerModel()
    assert not model.learn(like(), measured, modelled, seconds)
    assert (model.runs, model.predict(like(), 2.0).basis) == (0, NO_MEASUREMENT)


def test_a_hungry_job_is_not_held_to_the_assumption(like: Like) -> None:
    model = PowerModel()
    for _ in range(3):
        model.learn(like(), 6.0, 2.0, 600.0)
    assert model.predict(like(), 2.0)[:2] == pytest.approx((6.0, 6.0))


def test_stored_and_restored(like: Like) -> None:
    model = PowerModel()
    for kw in (1.0, 1.5, 1.2):
        model.learn(like(), kw, 2.0, 600.0)
    again, problem = PowerModel.from_bytes(model.to_bytes())
    assert (problem, again.runs) == ("", 3)
    assert again.predict(like(), 5.0) == model.predict(like(), 5.0)


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lambda blob: blob[:-3], "cannot be read"),
        (lambda blob: blob.replace(b"model 1", b"model 9"), "stored as 'flexlon power model 9"),
        (lambda _: b"\x00", "cannot be read"),
    ],
)
def test_a_blob_that_cannot_be_used_begins_afresh(
    like: Like, damage: Callable[[bytes], bytes], said: str
) -> None:
    model = PowerModel()
    model.learn(like(), 1.0, 2.0, 600.0)
    fresh, problem = PowerModel.from_bytes(damage(model.to_bytes()))
    assert said in problem
    assert fresh.runs == 0
    assert PowerModel.from_bytes(b"")[1] == ""
