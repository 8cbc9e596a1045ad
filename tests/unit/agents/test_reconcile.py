"""The table of standings: one row per way in which a begin time can be found."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from flexlond.agents.reconcile import Standing, first_record, observe, split_arrays
from flexlond.model.job import Job, JobState

NOW = 1_795_000_000
SUBMIT = NOW - 100
HOLD = NOW + 3600


def a_job(**changes: Any) -> Job:
    base = Job(
        job_id=7,
        state=JobState.PENDING,
        reason="BeginTime",
        user="alice",
        uid=1000,
        account="research",
        qos="normal",
        partition="main",
        name="x",
        nodes=1,
        cpus=1,
        memory_mib=0,
        gpus=(),
        licenses="",
        time_limit=600,
        submit=SUBMIT,
        begin=SUBMIT,
        start=0,
        end=0,
        deadline=0,
        priority=1,
        requeue=True,
        restarts=0,
        reservation="",
        dependency="",
        batch=True,
        node_list="",
        comment="flex:",
    )
    return replace(base, **changes)


def held(begin: int, *, hold: int = HOLD, **changes: Any) -> tuple[Job, Any]:
    record = replace(
        first_record(a_job(), window=10, now=SUBMIT),
        hold=hold,
        ours=frozenset({hold}),
        touched=True,
        **changes,
    )
    return a_job(begin=begin), record


def test_first_sight_of_a_plain_begin_is_eligible_at_submission() -> None:
    record = first_record(a_job(), window=10, now=NOW)
    assert (record.eligible, record.original_begin, record.hold) == (SUBMIT, SUBMIT, 0)


def test_the_plugins_stamp_does_not_move_the_first_possible_start() -> None:
    assert first_record(a_job(begin=SUBMIT + 10), window=10, now=NOW).eligible == SUBMIT


def test_the_users_own_begin_is_the_first_possible_start() -> None:
    assert first_record(a_job(begin=SUBMIT + 500), window=10, now=NOW).eligible == SUBMIT + 500


def test_a_job_that_waits_for_others_is_not_eligible_until_it_is_clear() -> None:
    record = first_record(a_job(dependency="afterok:5", begin=0), window=10, now=SUBMIT)
    assert record.eligible == 0
    seen = observe(a_job(begin=NOW - 3), record, now=NOW)
    assert seen.record.eligible == NOW - 3


def test_our_begin_time_in_force() -> None:
    seen = observe(*held(HOLD), now=NOW)
    assert seen.standing is Standing.OURS
    assert seen.record.hold_seen


def test_an_original_begin_under_a_hold_is_a_lost_change() -> None:
    seen = observe(*held(SUBMIT), now=NOW)
    assert seen.standing is Standing.LOST
    assert seen.record.hold == 0
    assert seen.record.opted_out == 0


def test_an_earlier_begin_of_ours_is_ours() -> None:
    job, record = held(HOLD - 600)
    record = replace(record, ours=frozenset({HOLD, HOLD - 600}))
    seen = observe(job, record, now=NOW)
    assert seen.standing is Standing.OURS
    assert seen.record.hold == HOLD - 600


def test_owner_starting_it_now_is_an_opt_out_for_good() -> None:
    seen = observe(*held(NOW - 2), now=NOW)
    assert seen.standing is Standing.HANDS_OFF
    assert seen.record.opted_out == NOW
    again = observe(a_job(begin=NOW - 2), seen.record, now=NOW + 60)
    assert again.standing is Standing.HANDS_OFF


def test_owner_choosing_an_earlier_future_begin_is_an_opt_out() -> None:
    seen = observe(*held(HOLD - 60), now=NOW)
    assert seen.standing is Standing.HANDS_OFF
    assert seen.record.opted_out == NOW


def test_owner_moving_it_later_is_a_new_lower_bound() -> None:
    seen = observe(*held(HOLD + 60), now=NOW)
    assert seen.standing is Standing.FREE
    assert seen.record.original_begin == HOLD + 60
    assert seen.record.opted_out == 0


def test_a_hold_that_came_due_is_not_planned_again() -> None:
    job, record = held(HOLD)
    seen = observe(job, record, now=HOLD)
    assert seen.standing is Standing.HANDS_OFF
    assert seen.record.came_due
    assert observe(job, seen.record, now=HOLD + 30).standing is Standing.HANDS_OFF


def test_a_release_whose_answer_was_lost_is_no_opt_out() -> None:
    seen = observe(*held(NOW - 2), now=NOW, released={NOW - 2})
    assert seen.standing is Standing.FREE
    assert seen.record.opted_out == 0


def test_an_intended_begin_found_without_a_confirmed_hold_is_ours() -> None:
    record = replace(first_record(a_job(), window=10, now=SUBMIT), ours=frozenset({HOLD}))
    seen = observe(a_job(begin=HOLD), record, now=NOW)
    assert seen.standing is Standing.OURS
    assert seen.record.hold == HOLD


def test_what_a_release_left_is_the_users_own_begin_and_not_a_hold_of_ours() -> None:
    own = NOW + 900
    record = replace(
        first_record(a_job(begin=own), window=10, now=SUBMIT),
        ours=frozenset({HOLD, own}),
        touched=True,
        came_due=True,
    )
    seen = observe(a_job(begin=own), record, now=NOW)
    assert seen.standing is Standing.HANDS_OFF
    assert seen.record.hold == 0


def test_an_unknown_future_begin_is_the_users_own_lower_bound() -> None:
    record = first_record(a_job(), window=10, now=SUBMIT)
    seen = observe(a_job(begin=NOW + 900), record, now=NOW)
    assert seen.standing is Standing.FREE
    assert seen.record.original_begin == NOW + 900


def test_a_requeued_job_is_the_same_job() -> None:
    job, record = held(HOLD)
    requeued = replace(job, restarts=1, submit=NOW, begin=NOW + 121)
    seen = observe(requeued, record, now=NOW)
    assert seen.standing is Standing.FREE
    assert seen.record.first_submit == SUBMIT
    assert seen.record.submit == NOW
    assert seen.record.original_begin == NOW + 121


@pytest.mark.parametrize("reason", ["JobHeldUser", "JobHeldAdmin"])
def test_a_job_held_by_others_is_left_alone(reason: str) -> None:
    job, record = held(HOLD)
    seen = observe(replace(job, priority=0, reason=reason), record, now=NOW)
    assert seen.standing is Standing.HANDS_OFF
    assert seen.record.opted_out == 0


def test_an_array_with_a_pending_task_split_off_is_named() -> None:
    remainder = a_job(job_id=20, array_job_id=20)
    running = a_job(job_id=21, array_job_id=20, array_task_id=1, state=JobState.RUNNING)
    split = a_job(job_id=22, array_job_id=20, array_task_id=2)
    assert split_arrays([remainder, running]) == frozenset()
    assert split_arrays([remainder, running, split]) == frozenset({20})
