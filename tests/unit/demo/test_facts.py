"""One record per job: each fact from its one source."""

from __future__ import annotations

from dataclasses import replace

import msgspec
import pytest
from demo_lib.facts import _facts, _runs, _tasks, left_alone
from demo_lib.product import JobLine
from demo_lib.sacct import Account
from demo_lib.setup import configuration
from demo_lib.users import Submitted
from demo_lib.watch import Watch
from demo_lib.workload import Kind, Submission

from flexlond.model.settings import Settings

T0 = 1_700_000_000
SETTINGS = msgspec.toml.decode(configuration(7), type=Settings)

PLAIN = Submitted(Submission("plain", 0, "bob", Kind.PLAIN, 8, 20), 1)
LATER = Submitted(Submission("later", 0, "bob", Kind.PLAIN, 8, 20, begin=40), 2)
FIRST = Submitted(
    Submission(
        "first", 0, "carol", Kind.ANNOTATED, 8, 20, gpus=1, comment="flex: deadline=now+5minutes"
    ),
    3,
)
SECOND = Submitted(Submission("second", 0, "carol", Kind.PLAIN, 8, 20, after="first"), 4)
ARRAY = Submitted(
    Submission(
        "paced", 0, "alice", Kind.ANNOTATED, 4, 20, array="0-3%2", comment="flex: max-delay=4"
    ),
    5,
)


def account(
    job_id: int, start: int, *, array: int = 0, task: int = 0, eligible: int = T0
) -> Account:
    return Account(
        job_id,
        array or job_id,
        task,
        "someone",
        "main",
        "COMPLETED",
        T0,
        eligible,
        start,
        start + 20,
    )


ACCOUNTS = {
    1: (account(1, T0 + 3),),
    2: (account(2, T0 + 43, eligible=T0 + 40),),
    3: (account(3, T0 + 100, eligible=T0 + 100),),
    4: (account(4, T0 + 122, eligible=T0 + 121),),
    5: tuple(account(9 + task, T0 + 90 + task // 2 * 20, array=5, task=task) for task in range(4)),
}
RUNS = _runs((PLAIN, LATER, FIRST, SECOND, ARRAY), ACCOUNTS, SETTINGS)


def test_eligible_is_without_us() -> None:
    assert [run.eligible - T0 for run in RUNS] == [0, 40, 0, 120, 0, 0, 0, 0]
    assert [run.directive is not None for run in RUNS] == [False, False, True, False, *[True] * 4]


@pytest.mark.parametrize(("moved", "fine"), [(0, True), (2, True), (3, False), (-3, False)])
def test_a_plain_job_is_left_alone_when_its_eligible_time_is_the_submissions(
    moved: int,
    fine: bool,  # noqa: FBT001 -- a table of cases
) -> None:
    for run in RUNS[:2]:
        changed = replace(run.account, eligible=(run.account.eligible or 0) + moved)
        assert left_alone(replace(run, account=changed)) is fine


def test_a_successor_may_wait_for_slurms_next_pass_but_not_longer() -> None:
    successor = RUNS[3]
    assert left_alone(successor)
    late = replace(successor.account, eligible=T0 + 120 + 21)
    assert not left_alone(replace(successor, account=late))
    assert not left_alone(replace(successor, account=replace(late, eligible=None)))


def test_the_counterfactual_knows_dependencies_and_throttles() -> None:
    tasks = _tasks(RUNS)
    assert [task.after for task in tasks] == [(), (), (), (3,), (), (), (9,), (10,)]
    assert [task.eligible - T0 for task in tasks] == [0, 40, 0, 0, 0, 0, 0, 0]
    assert {task.seconds for task in tasks} == {20}


def test_facts_of_a_moved_job_and_of_a_plain_one() -> None:
    watch = Watch()
    watch.observe(
        [
            JobLine(
                job_id=3, state="PD", flexible=True, planned_start=T0 + 99, latest_start=T0 + 170,
                must_start_by=T0 + 200,
                deadline=T0 + 300, touched=True,
            ),
            JobLine(job_id=1, state="PD", planned_start=T0 + 3, latest_start=0),
        ]
    )  # fmt: skip
    plain, _, moved, *_ = [_facts(run, watch, SETTINGS, {3: T0 + 1}) for run in RUNS]
    assert (moved.planned_start, moved.latest_start) == (T0 + 100, T0 + 200)
    assert (moved.deadline, moved.asap_start) == (T0 + 300, T0 + 1)
    assert (moved.consents, moved.touched, moved.late) == (True, True, False)
    # (8 CPUs x 6 W + a 700 W GPU + a quarter of 240 W idle) x PUE 1.2
    assert moved.kw == pytest.approx((48 + 700 + 60) * 1.2 / 1000)
    assert (plain.planned_start, plain.latest_start, plain.deadline) == (None, None, None)
    assert (plain.consents, plain.touched) == (False, False)


def test_a_plain_job_with_another_begin_time_counts_as_touched() -> None:
    run = replace(RUNS[0], account=replace(RUNS[0].account, eligible=T0 + 30))
    facts = _facts(run, Watch(), SETTINGS, {})
    assert facts.touched
    assert facts.wrongly_touched


def test_later_waves_of_a_throttled_array_have_a_later_latest_start() -> None:
    watch = Watch()
    watch.observe(
        [JobLine(job_id=5, array="5_[0-3%2]", state="PD", flexible=True, must_start_by=T0 + 150)]
    )
    found = [_facts(run, watch, SETTINGS, {}) for run in RUNS[4:]]
    assert [(fact.latest_start or 0) - T0 for fact in found] == [150, 150, 210, 210]
    assert [fact.shown for fact in found] == ["5_0", "5_1", "5_2", "5_3"]


def test_of_an_array_only_the_tasks_that_were_moved_count_as_touched() -> None:
    watch = Watch()
    watch.observe(
        [
            JobLine(
                job_id=5,
                array="5_[2-3%2]",
                state="PD",
                flexible=True,
                planned_start=T0 + 80,
                touched=True,
            )
        ]
    )
    begins = (T0, T0 + 10, T0 + 80, T0 + 80)
    runs = [
        replace(run, account=replace(run.account, eligible=begin))
        for run, begin in zip(RUNS[4:], begins, strict=True)
    ]
    found = [_facts(run, watch, SETTINGS, {}) for run in runs]
    assert [fact.touched for fact in found] == [False, False, True, True]
    assert [fact.planned_start for fact in found] == [None, None, T0 + 80, T0 + 80]


@pytest.mark.parametrize(("said", "deadline"), [(0, 300), (400, 300), (200, 200)])
def test_a_requeue_makes_no_deadline_later(said: int, deadline: int) -> None:
    watch = Watch()
    watch.observe([JobLine(job_id=3, state="PD", flexible=True, deadline=said and T0 + said)])
    assert _facts(RUNS[2], watch, SETTINGS, {}).deadline == T0 + deadline
