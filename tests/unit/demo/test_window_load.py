"""The load of the window's demo: full, half of it flexible, the plain part alone below what a window leaves."""

from __future__ import annotations

from zoneinfo import ZoneInfo

import msgspec
import pytest
from demo_lib.window_load import FLEXIBLE_SHARE, GPUS, PLAIN_SHARE, Timing, window_load
from demo_lib.window_order import configuration
from demo_lib.workload import Kind, Submission

from flexlond.model.directive import Directive, NotFlexible, read_directive
from flexlond.model.settings import Settings

NOW = 1_700_000_000
SETTINGS = msgspec.toml.decode(configuration(20), type=Settings)
SECONDS = pytest.mark.parametrize("seconds", [20, 30, 60])


def offered(jobs: tuple[Submission, ...], timing: Timing, *, consents: bool) -> float:
    """GPU-seconds of the jobs that come after the first burst, over those of the machine."""
    work = sum(
        job.gpus * job.runtime
        for job in jobs
        if job.kind.consents is consents and not job.held and job.at > 0
    )
    return work / (GPUS * timing.end * timing.slot_seconds)


def test_the_same_seed_gives_the_same_load() -> None:
    assert window_load(Timing(20)) == window_load(Timing(20))
    assert window_load(Timing(20), seed=1) != window_load(Timing(20))


@SECONDS
def test_the_streams_offer_what_they_say_and_stop_with_the_window(seconds: int) -> None:
    timing = Timing(seconds)
    jobs = window_load(timing)
    plain = offered(jobs, timing, consents=False)
    flexible = offered(jobs, timing, consents=True)
    assert plain == pytest.approx(PLAIN_SHARE, abs=0.04)
    assert flexible == pytest.approx(FLEXIBLE_SHARE, abs=0.04)
    assert flexible > plain
    assert [job.at for job in jobs] == sorted(job.at for job in jobs)
    assert jobs[-1].at < timing.end * seconds + seconds


@SECONDS
def test_jobs_run_one_to_two_slots_within_their_limit(seconds: int) -> None:
    timing = Timing(seconds)
    for job in window_load(timing):
        assert 0.4 * seconds - 1 <= job.runtime <= 1.9 * seconds + 1
        assert job.runtime + 5 <= job.minutes * 60
        if job.at > 0 and not job.held:
            assert job.runtime >= seconds


@SECONDS
@pytest.mark.parametrize("requeue", [False, True])
def test_the_product_reads_what_users_wrote(
    seconds: int,
    requeue: bool,  # noqa: FBT001 -- a table of cases
) -> None:
    jobs = window_load(Timing(seconds), requeue=requeue)
    assert {job.kind for job in jobs} == {Kind.PLAIN, Kind.OPTED_OUT, Kind.ANNOTATED}
    assert len({job.name for job in jobs}) == len(jobs)
    deadlines = may_requeue = 0
    for job in jobs:
        found = read_directive(
            job.comment,
            SETTINGS.directive,
            now=NOW,
            tz=ZoneInfo("UTC"),
            partition=job.partition or "main",
            time_limit=job.minutes * 60,
        )
        assert isinstance(found, Directive if job.kind.consents else NotFlexible)
        if isinstance(found, Directive):
            deadlines += found.deadline > 0
            may_requeue += found.preempt == "requeue"
    assert deadlines >= 10
    assert (may_requeue > 50) is requeue


def test_who_can_wait_lets_others_go_first_and_two_jobs_are_held_by_their_users() -> None:
    jobs = window_load(Timing(20))
    assert all((job.nice > 0) is (job.kind.consents and not job.held) for job in jobs)
    held = [job for job in jobs if job.held]
    assert [job.kind for job in held] == [Kind.PLAIN, Kind.ANNOTATED]
    assert "--hold" in held[0].argv({})
    assert any(word.startswith("--nice=") for word in jobs[-1].argv({})) is jobs[-1].kind.consents


def test_the_phases() -> None:
    timing = Timing(20)
    assert (timing.order, timing.begin, timing.end) == (9, 12, 18)
    assert (timing.minutes, Timing(60).minutes, Timing(30).minutes) == (1, 2, 2)
    assert timing.clock(30) == "00:10:00"
