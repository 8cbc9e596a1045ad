"""Runtimes: which runs a forecast rests on, what bounds it, what it is worth, and that it survives storing."""

from __future__ import annotations

import math
import random
from dataclasses import replace
from typing import TYPE_CHECKING

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flexlond.prediction.features import Features, features
from flexlond.prediction.runtime import (
    LEVELS,
    NO_HISTORY,
    NO_LIMIT,
    UNLIMITED_SECONDS,
    RuntimeModel,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    Like = Callable[..., Features]


def taught(like: Features, runs: Iterable[float]) -> RuntimeModel:
    model = RuntimeModel()
    for at, seconds in enumerate(runs):
        model.learn(like, seconds, at)
    return model


def near(seconds: float) -> object:
    """Forecasts are in steps of 5 %."""
    return pytest.approx(seconds, rel=0.051)


def test_without_history_it_is_the_time_limit(like: Like) -> None:
    assert RuntimeModel().predict(like()) == (3600, 3600, 3600, NO_HISTORY, 0)
    unlimited = RuntimeModel().predict(like(limit_seconds=None))
    assert unlimited == (*[UNLIMITED_SECONDS] * 3, NO_LIMIT, 0)


def test_the_last_five_runs_give_p50_and_all_of_them_p90(like: Like) -> None:
    model = taught(like(), [3000.0] * 12 + [600.0] * 12)
    found = model.predict(like(name="train_2.sh"))
    assert (found.p50, found.basis, found.samples) == (near(600), LEVELS[0], 24)
    assert found.p90 == near(3000)
    later = taught(like(), [3000.0] * 12 + [600.0] * 24).predict(like())
    assert later.p90 == near(600)  # the slow ones are too long ago


@pytest.mark.parametrize(
    ("changed", "basis"),
    [
        ({"name": "train_99.sh"}, 0),
        ({"cpus": 64}, 1),
        ({"gpus": 1}, 1),
        ({"name": "other"}, 2),
        ({"limit_seconds": 7200}, 3),
        ({"name": "other", "limit_seconds": 7200}, 4),
        ({"user": "bob"}, 5),
        ({"user": "bob", "account": "new"}, 6),
    ],
)
def test_the_most_specific_runs_serve(like: Like, changed: dict[str, object], basis: int) -> None:
    model = taught(like(), [900.0] * 10)
    found = model.predict(like(**changed))
    limit = float(changed.get("limit_seconds", 3600))  # type: ignore[arg-type]
    # With the same limit the seconds count, with another the share of it.
    assert (found.basis, found.p50) == (LEVELS[basis], near(limit / 4))


def test_a_stranger_in_a_strange_partition_gets_the_limit(like: Like) -> None:
    model = taught(like(), [900.0] * 10)
    found = model.predict(like(user="bob", account="b", partition="p"))
    assert found == (3600, 3600, 3600, NO_HISTORY, 0)


def test_few_runs_of_its_own_are_filled_up_for_p90_only(like: Like) -> None:
    model = taught(like(name="other", cpus=8), [3500.0] * 9)
    alone = taught(like(), [60.0])
    for at in range(2):
        model.learn(like(), 60.0, at)
    found = model.predict(like())
    assert (found.p50, found.samples) == (near(60), 2)
    assert found.p90 > 3000
    assert alone.predict(like()).p90 > 1800  # one run proves little: mostly the limit


def test_the_mean_knows_of_the_long_runs_that_a_median_does_not(like: Like) -> None:
    model = taught(like(limit_seconds=86_400), [86_000.0, 10.0, 10.0] * 5)
    found = model.predict(like(limit_seconds=86_400))
    assert found.p50 == near(10)
    assert 0.2 * 86_000 < found.mean < 0.4 * 86_000


def test_in_the_mean_the_newer_runs_count_more(like: Like) -> None:
    rising = taught(like(), [600.0] * 5 + [1800.0] * 5).predict(like())
    falling = taught(like(), [1800.0] * 5 + [600.0] * 5).predict(like())
    # Five runs later a run counts for 1/e of what it did.
    assert rising.mean == near((600 + 1800 * math.e) / (1 + math.e))
    assert falling.mean == near((1800 + 600 * math.e) / (1 + math.e))


def test_a_mean_of_two_runs_is_none_where_more_are_known(like: Like) -> None:
    model = taught(like(name="other", cpus=8), [3000.0] * 9)
    for at in range(2):
        model.learn(like(), 60.0, at)
    assert model.predict(like()).p50 == near(60)
    assert model.predict(like()).mean > 1200  # of the user's runs with this limit
    assert taught(like(), [60.0] * 2).predict(like()).mean == near(60)  # nothing else is known


def test_a_run_at_its_limit_counts_as_the_limit(like: Like) -> None:
    model = taught(like(), [3631.0] * 6)  # slurmctld ends them some seconds late
    assert model.predict(like())[:3] == (3600, 3600, 3600)
    assert model.predict(like(limit_seconds=7200))[:3] == (7200, 7200, 7200)


def test_a_share_of_a_very_long_limit_is_counted_of_a_week(like: Like) -> None:
    model = taught(like(limit_seconds=1000), [900.0] * 10)
    found = model.predict(like(limit_seconds=100 * 365 * 86_400))
    assert found.p50 == near(0.9 * 7 * 86_400)


def test_runs_that_failed_at_once_do_not_go_below_a_second(like: Like) -> None:
    assert taught(like(), [0.0] * 10).predict(like())[:3] == (1, 1, 1)


def test_a_running_job_is_compared_with_those_that_took_longer(like: Like) -> None:
    model = taught(like(), [60.0] * 8 + [1800.0] * 8)
    # Of equally many the last ones decide; once it has run for longer than the short ones, only the long.
    mixed = taught(like(), [1800.0, 60.0] * 8)
    assert mixed.predict(like()).p50 == near(60)
    assert mixed.predict_end(like(), 120.0).p50 == near(1800)
    assert mixed.predict_end(like(), 120.0).samples == 8
    assert model.predict_end(like(), 0.0) == model.predict(like())
    assert model.predict_end(like(), 2000.0) == (3600, 3600, 3600, NO_HISTORY, 0)


def test_a_job_over_its_limit_still_ends_after_now(like: Like) -> None:
    found = taught(like(), [60.0] * 9).predict_end(like(), 3605.5)
    assert found.p50 == found.mean == found.p90 == 3606


def test_an_unlimited_job_that_outlasts_all_may_last_as_long_again(like: Like) -> None:
    unlimited = like(limit_seconds=None)
    model = taught(unlimited, [600.0] * 24)
    assert model.predict(unlimited)[:3] == (near(600), near(600), near(600))
    assert model.predict_end(unlimited, 100_000.0)[:3] == (200_000, 200_000, 200_000)


RUNS = st.lists(
    st.tuples(
        st.sampled_from(["a", "b"]),
        st.sampled_from([None, 1, 60, 3600, 10**9]),
        st.floats(0, 1e7),
    ),
    max_size=40,
)


def simple(user: str, limit: int | None) -> Features:
    return features(
        user=user,
        account="x",
        partition="p",
        name="n",
        limit_seconds=limit,
        cpus=1,
        nodes=1,
        gpus=0,
    )


@settings(deadline=None)
@given(RUNS, st.sampled_from(["a", "b", "c"]), st.sampled_from([None, 1, 90, 3600]))
def test_bounds_hold_whatever_was_learnt(
    runs: list[tuple[str, int | None, float]], user: str, limit: int | None
) -> None:
    model = RuntimeModel(max_keys=10)
    for at, (who, asked, seconds) in enumerate(runs):
        model.learn(simple(who, asked), seconds, at)
    found = model.predict(simple(user, limit))
    assert 1 <= found.p50 <= found.p90
    assert found.mean >= 1
    if limit is not None:
        assert max(found.mean, found.p90) <= limit
    for elapsed in (0.5, 45.0, 1e5):
        later = model.predict_end(simple(user, limit), elapsed)
        assert elapsed < later.p50 <= later.p90
        assert elapsed < later.mean
    assert 0.5 <= model.level <= 0.995
    assert 0 <= model.coverage <= 1


def test_like_forecasts_are_equal(like: Like) -> None:
    chance = random.Random(3)
    model = RuntimeModel()
    for user in range(200):
        for at in range(10):
            model.learn(like(user=f"u{user}", limit_seconds=86_400), chance.uniform(3600, 7200), at)
    mean, p90 = model.predict_many(
        [like(user=f"u{user}", limit_seconds=86_400) for user in range(200)]
    )
    assert len(set(mean.tolist())) <= 15  # 200 users on a grid of 5 % between one and two hours
    assert (p90 == np.round(p90)).all()


def test_many_are_as_one_by_one(like: Like) -> None:
    model = taught(like(), [60.0, 1800.0] * 8)
    jobs = [like(), like(user="bob"), like(), like(limit_seconds=None)]
    elapsed = [0.0, 100.0, 100.0, 0.0]
    mean, p90 = model.predict_many(jobs, elapsed)
    one = [model.predict_end(job, ran) for job, ran in zip(jobs, elapsed, strict=True)]
    assert mean.tolist() == [forecast.mean for forecast in one]
    assert p90.tolist() == [forecast.p90 for forecast in one]
    assert model.predict_many([])[0].shape == (0,)
    with pytest.raises(ValueError, match="zip"):
        model.predict_many(jobs, [0.0])


def test_p90_holds_for_nine_in_ten_also_when_users_change(like: Like) -> None:
    chance = random.Random(7)
    model = RuntimeModel()
    within = []
    for at in range(6000):
        # every 40 runs each user turns to something else
        user = at % 20
        typical = 300.0 * (1 + (user + at // 800) % 7)
        seconds = typical * chance.lognormvariate(0, 0.6)
        job = like(user=f"u{user}", limit_seconds=36_000)
        if at >= 1000:
            within.append(seconds <= model.predict(job).p90)
        model.learn(job, seconds, at)
    assert 0.88 <= float(np.mean(within)) <= 0.94
    assert model.coverage == pytest.approx(0.9, abs=0.06)


def test_stored_and_restored_it_forecasts_and_learns_the_same(like: Like) -> None:
    chance = random.Random(1)
    model = RuntimeModel(max_keys=50)
    jobs = [like(user=f"u{n}", limit_seconds=chance.choice([None, 600, 7200])) for n in range(20)]
    for at in range(500):
        model.learn(chance.choice(jobs), chance.expovariate(1 / 900), at)
    again, problem = RuntimeModel.from_bytes(model.to_bytes(), max_keys=50)
    assert problem == ""
    assert [again.predict(job) for job in jobs] == [model.predict(job) for job in jobs]
    for each in (model, again):
        each.learn(jobs[0], 77.0, 501)
    assert again.to_bytes() == model.to_bytes()
    assert (again.runs, again.newest) == (501, 501)


def test_memory_is_bounded(like: Like) -> None:
    model = RuntimeModel(max_keys=100)
    for at in range(1000):
        model.learn(like(user=f"u{at}", name="x" * 100), 5.0, at)
    assert len(msgspec.msgpack.decode(model.to_bytes())["rows"]) == 100
    assert model.predict(like(user="u999")).basis == LEVELS[2]
    assert model.predict(like(user="u0")).basis == LEVELS[5]  # forgotten; its account is not


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lambda blob: blob[: len(blob) // 2], "cannot be read"),
        (lambda _: b"\xff\x00 nonsense", "cannot be read"),
        (lambda blob: blob.replace(b"model 1", b"model 0"), "stored as 'flexlon runtime model 0"),
        (lambda blob: blob.replace(b"\xc4\x04", b"\xc4\x03", 1), "cannot be read"),
    ],
)
def test_a_blob_that_cannot_be_used_begins_afresh(
    like: Like, damage: Callable[[bytes], bytes], said: str
) -> None:
    blob = taught(like(), [60.0]).to_bytes()
    damaged = damage(blob)
    assert damaged != blob
    model, problem = RuntimeModel.from_bytes(damaged)
    assert said in problem
    assert "begun afresh" in problem
    assert (model.runs, model.predict(like()).basis) == (0, NO_HISTORY)


def test_no_blob_is_no_problem() -> None:
    model, problem = RuntimeModel.from_bytes(b"")
    assert (model.runs, problem) == (0, "")


@settings(deadline=None)
@given(st.binary(max_size=200))
def test_no_blob_raises(blob: bytes) -> None:
    model, _ = RuntimeModel.from_bytes(blob)
    assert model.runs == 0


def test_quantiles_are_those_of_like_runs_within_the_time_limit() -> None:
    like = features(
        user="u", account="a", partition="p", name="n", limit_seconds=4000, cpus=1, nodes=1, gpus=0
    )
    model = taught(like, [1000.0 + 10 * number for number in range(19)])
    found = model.quantiles(like)
    assert len(found) == 21
    assert (found[0], found[10], found[-1]) == (1.0, 1090.0, 4000.0)
    assert list(found) == sorted(found)
    # Of a job that has run longer than most the others say nothing.
    late = model.quantiles(like, 1150.0)
    assert min(late) == 1150.0
    assert late[10] > 1150.0


def test_without_history_a_run_may_last_anything_up_to_its_limit() -> None:
    like = features(
        user="u", account="a", partition="p", name="n", limit_seconds=4000, cpus=1, nodes=1, gpus=0
    )
    found = RuntimeModel().quantiles(like)
    assert found[10] == pytest.approx(2000.0, abs=1.0)
    assert RuntimeModel().quantiles(replace(like, limit_seconds=None))[-1] == UNLIMITED_SECONDS
    assert RuntimeModel().quantiles(like, 5000.0)[-1] == 5001.0
