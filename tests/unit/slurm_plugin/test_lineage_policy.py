"""Arrays, het jobs and lineages that the fake cluster does not have: records straight into the pure parts."""

from __future__ import annotations

from dataclasses import replace
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from flexlond.model.action import Action, Verb
from flexlond.model.directive import Directive, read_directive
from flexlond.model.job import Job, JobState, Snapshot
from flexlond.model.settings import DirectiveSettings
from slurm_plugin import lineage, policy
from slurm_plugin.lineage import Standing
from slurm_plugin.policy import Facts, Go, Refusal
from slurm_plugin.rates import Bucket
from slurm_plugin.view import address, index, own_way

NOW = 1_795_420_800
HOUR = 3600


def a_job(**changes: Any) -> Job:
    values: dict[str, Any] = {
        "job_id": 7,
        "state": JobState.PENDING,
        "reason": "Priority",
        "user": "alice",
        "uid": 1001,
        "account": "research",
        "qos": "normal",
        "partition": "main",
        "name": "j",
        "nodes": 1,
        "cpus": 1,
        "memory_mib": 0,
        "gpus": (),
        "licenses": "",
        "time_limit": 600,
        "submit": NOW - 60,
        "begin": NOW - 60,
        "start": 0,
        "end": 0,
        "deadline": 0,
        "priority": 1,
        "requeue": True,
        "restarts": 0,
        "reservation": "",
        "dependency": "",
        "batch": True,
        "node_list": "",
        "comment": "flex: max-delay=8:00:00",
    }
    return Job(**(values | changes))


def facts(job: Job, queue: tuple[Job, ...] = (), **changes: Any) -> Facts:
    seen = lineage.observe(job, None, None, NOW)
    consent = read_directive(
        job.comment, DirectiveSettings(), now=seen.record.first_submit, tz=ZoneInfo("UTC")
    )
    view = index(Snapshot(NOW, (job, *queue), "test", "24.11.5"))
    made = Facts(
        job=job,
        record=seen.record,
        standing=seen.standing,
        consent=consent,
        relative=False,
        split=own_way(job, view) if job.is_array else (),
        components=tuple(view.components.get(job.het_job_id, ())),
        resume=None,
        now=NOW,
        margin=30,
    )
    return replace(made, **changes)


def ask(job: Job, verb: Verb, not_before: int = 0) -> Action:
    state = job.state.value
    return Action(
        "1", job.job_id, job.submit, job.restarts, job.begin, state, verb, not_before, "test"
    )


def code(verdict: Go | Refusal) -> str:
    return verdict.code if isinstance(verdict, Refusal) else "go"


ARRAY: dict[str, Any] = {"job_id": 20, "array_job_id": 20, "array_tasks": "3-9", "task_count": 7}
TASK: dict[str, Any] = {"job_id": 21, "array_job_id": 20, "array_task_id": 2}


@pytest.mark.parametrize(
    ("task", "expected"),
    [
        ({}, "go"),
        ({"state": JobState.RUNNING, "begin": NOW - 5}, "go"),
        ({"begin": NOW}, "array-split"),
        ({"priority": 0}, "array-split"),
        ({"restarts": 1, "submit": NOW - 5, "begin": NOW + 116}, "array-split"),
    ],
)
def test_an_array_is_held_whole_or_not_at_all(task: dict[str, Any], expected: str) -> None:
    array = a_job(**ARRAY)
    other = a_job(**TASK | task)
    verdict = policy.decide(ask(array, Verb.HOLD_UNTIL, NOW + HOUR), facts(array, (other,)))
    assert code(verdict) == expected


def test_an_arrays_last_task_must_keep_the_promise() -> None:
    comment = f"flex: deadline={'2026-11-23T18:00'}"
    wide = a_job(**ARRAY, comment=comment)
    deadline = NOW + 10 * HOUR
    narrow = replace(wide, array_throttle=2)
    for job, waves in ((wide, 1), (narrow, 4)):
        bound = deadline - waves * 600 - 30
        assert code(policy.decide(ask(job, Verb.HOLD_UNTIL, bound), facts(job))) == "go"
        late = policy.decide(ask(job, Verb.HOLD_UNTIL, bound + 1), facts(job))
        assert code(late) == "latest-start"


def test_releasing_an_array_spares_a_task_with_a_begin_time_of_its_own() -> None:
    array = a_job(**ARRAY, begin=NOW + HOUR)
    record = lineage.first_sight(a_job(**ARRAY), None, NOW).with_hold(NOW + HOUR)
    ours = {"record": record, "standing": Standing.OURS}
    own = a_job(**TASK, begin=NOW + 2 * HOUR)
    out = a_job(**TASK, begin=NOW - 1)
    ask_release = ask(array, Verb.RELEASE)
    assert code(policy.decide(ask_release, facts(array, (own,), **ours))) == "array-split"
    assert code(policy.decide(ask_release, facts(array, (out,), **ours))) == "go"


def test_how_scontrol_is_told_of_one_task() -> None:
    assert address(a_job()) == "7"
    assert address(a_job(**ARRAY)) == "20"
    assert address(a_job(**TASK)) == "21"
    assert address(a_job(job_id=20, array_job_id=20, array_task_id=9)) == "20_9"


def test_a_het_job_keeps_to_its_longest_component() -> None:
    comment = "flex: deadline=2026-11-23T18:00"
    leader = a_job(het_job_id=7, comment=comment)
    other = a_job(job_id=8, het_job_id=7, het_offset=1, time_limit=2 * HOUR)
    bound = NOW + 8 * HOUR - 30
    held = facts(leader, (other,))
    assert code(policy.decide(ask(leader, Verb.HOLD_UNTIL, bound), held)) == "go"
    assert code(policy.decide(ask(leader, Verb.HOLD_UNTIL, bound + 1), held)) == "latest-start"
    endless = facts(leader, (replace(other, time_limit=None),))
    assert code(policy.decide(ask(leader, Verb.HOLD_UNTIL, NOW + 60), endless)) == "unlimited"
    verdict = policy.decide(
        ask(other, Verb.HOLD_UNTIL, NOW + 60), facts(replace(other, comment=comment))
    )
    assert code(verdict) == "het-component"


def test_scrontab_jobs_keep_their_times() -> None:
    job = a_job(cron=True)
    assert code(policy.decide(ask(job, Verb.HOLD_UNTIL, NOW + HOUR), facts(job))) == "cron"


def test_no_signal_that_ends_a_job_is_ever_sent() -> None:
    job = a_job(
        state=JobState.RUNNING, start=NOW - 60, comment="flex:preempt=requeue max-delay=8:00:00"
    )
    for signal in ("KILL", "9", "STOP", "19"):
        made = facts(job)
        assert isinstance(made.consent, Directive)
        consent = replace(made.consent, checkpoint=(signal, 5))
        verdict = policy.decide(ask(job, Verb.REQUEUE), replace(made, consent=consent))
        assert code(verdict) == "no-consent"


def test_a_task_split_off_carries_on_its_arrays_record() -> None:
    array = lineage.observe(a_job(**ARRAY, begin=NOW + 60), None, None, NOW).record
    array = array.with_hold(NOW + HOUR)
    seen = lineage.observe(a_job(**TASK, begin=NOW + HOUR), None, array, NOW)
    assert (seen.standing, seen.record.job_id) == (Standing.OURS, 21)
    assert seen.record.original_begin == NOW + 60
    opted = lineage.observe(a_job(**TASK, begin=NOW), None, array, NOW)
    assert opted.standing is Standing.OPTED_OUT
    stale = replace(array, submit=NOW - 9999, first_submit=NOW - 9999)
    fresh = lineage.observe(a_job(**TASK, begin=NOW + HOUR), None, stale, NOW)
    assert (fresh.standing, fresh.record.original_begin) == (Standing.FREE, NOW + HOUR)


def test_a_requeue_passes_through_completing_without_becoming_another_job() -> None:
    running = a_job(state=JobState.RUNNING, start=NOW - 30)
    record = lineage.observe(running, None, None, NOW).record
    leaving = replace(running, state=JobState.COMPLETING, restarts=1)
    record = lineage.observe(leaving, record, None, NOW).record
    back = replace(leaving, state=JobState.PENDING, submit=NOW + 5, begin=NOW + 126)
    seen = lineage.observe(back, record, None, NOW + 6)
    assert seen.record.first_submit == NOW - 60
    assert (seen.record.submit, seen.record.restarts) == (NOW + 5, 1)
    assert seen.record.original_begin == NOW + 126


def test_another_users_job_under_the_same_id_is_another_job() -> None:
    record = lineage.observe(a_job(), None, None, NOW).record
    seen = lineage.observe(a_job(uid=1002, restarts=1), record, None, NOW)
    assert (seen.record.uid, seen.record.first_known) == (1002, False)


def test_the_first_eligible_moment_is_kept() -> None:
    waiting = lineage.observe(a_job(begin=0, dependency="afterok:3"), None, None, NOW).record
    assert waiting.eligible == 0
    clear = lineage.observe(a_job(begin=NOW + 5), waiting, None, NOW + 5).record
    assert clear.eligible == NOW + 5
    later = lineage.observe(a_job(begin=NOW + HOUR), clear, None, NOW + 6).record
    assert later.eligible == NOW + 5


def test_an_owner_who_gives_up_the_own_begin_time_gets_it_not_back_by_a_release() -> None:
    record = lineage.observe(a_job(begin=NOW + HOUR), None, None, NOW).record
    seen = lineage.observe(a_job(begin=NOW + 5), record, None, NOW + 6)
    assert (seen.standing, seen.record.original_begin) == (Standing.FREE, NOW + 5)


def test_a_hold_that_came_due_is_over() -> None:
    record = lineage.observe(a_job(), None, None, NOW).record.with_hold(NOW + HOUR)
    seen = lineage.observe(a_job(begin=NOW + HOUR), record, None, NOW + HOUR + 1)
    assert (seen.standing, seen.record.hold) == (Standing.FREE, 0)


def test_a_bucket_refills_evenly() -> None:
    bucket = Bucket(60)
    assert all(bucket.take(100.0) for _ in range(60))
    assert not bucket.take(100.0)
    assert bucket.left(101.5) == 1
    assert bucket.take(101.5)
    assert not bucket.take(101.5)
    assert bucket.left(1000.0) == 60
