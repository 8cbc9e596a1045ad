"""The whole way of an action through the helper, with the cluster's commands as the far end."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from flexlond.model.action import Verb
from flexlond.model.settings import HelperSettings

if TYPE_CHECKING:
    from pathlib import Path

NOW = 1_795_420_800
HOUR = 3600
LATEST = NOW - 60 + 8 * HOUR - 30  # first eligible + max-delay - the helper's margin
REQUEUE = "flex: max-delay=8:00:00 preempt=requeue"
RUNNING: dict[str, Any] = {"state": "R", "start": NOW - 60, "reason": "None"}


def test_hold_and_release(fake: Any, helper: Any) -> None:
    fake.put(7)
    assert helper.do(7, Verb.HOLD_UNTIL, NOW + HOUR) == ("applied", "applied")
    assert fake.job(7)["begin"] == NOW + HOUR
    assert helper.do(7, Verb.HOLD_UNTIL, NOW + HOUR) == ("already-so", "already-so")
    fake.at(NOW + 600)
    assert helper.do(7, Verb.RELEASE) == ("applied", "applied")
    assert fake.job(7)["begin"] == NOW + 600
    assert helper.do(7, Verb.RELEASE) == ("already-so", "already-so")
    assert fake.changes() == [
        ["scontrol", "update", "JobId=7", "StartTime=2026-11-23T09:00:00"],
        ["scontrol", "update", "JobId=7", "StartTime=now"],
    ]


def test_release_gives_back_the_users_own_begin_and_never_less(fake: Any, helper: Any) -> None:
    fake.put(7, begin=NOW + 2 * HOUR)
    assert helper.do(7, Verb.HOLD_UNTIL, NOW + HOUR) == ("refused", "before-user-begin")
    assert helper.do(7, Verb.HOLD_UNTIL, NOW + 3 * HOUR)[0] == "applied"
    assert helper.do(7, Verb.RELEASE, NOW + 9 * HOUR)[0] == "applied"
    assert fake.job(7)["begin"] == NOW + 2 * HOUR
    assert helper.do(7, Verb.RELEASE) == ("already-so", "already-so")


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"comment": "nothing of ours"}, "no-consent"),
        ({"comment": "flex: off"}, "no-consent"),
        ({"comment": "flex: deadine=now+9hours"}, "no-consent"),
        ({"comment": "x\nBatchFlag=1 reflex: max-delay=8:00:00"}, "no-consent"),
        ({"priority": 0, "reason": "JobHeldAdmin"}, "held-by-other"),
        ({"batch": 0}, "interactive"),
        ({"reservation": "maint"}, "reservation"),
        ({"limit": "UNLIMITED"}, "unlimited"),
        ({"restarts": 1}, "unknown-first-submission"),
        ({"comment": "flex: deadline=2026-11-23T08:30"}, "latest-start"),
        ({"deadline": str(NOW + 1800)}, "latest-start"),
        ({"state": "R", "start": NOW - 60}, "state-changed"),
    ],
)
def test_what_may_not_be_held(fake: Any, helper: Any, changes: dict[str, Any], code: str) -> None:
    fake.put(7, **changes)
    assert helper.do(7, Verb.HOLD_UNTIL, NOW + HOUR) == ("refused", code)
    assert fake.changes() == []


@pytest.mark.parametrize(
    ("at", "expected"),
    [
        (LATEST + 1, ("refused", "latest-start")),
        (LATEST, ("applied", "applied")),
        (2**33, ("refused", "latest-start")),
        (NOW, ("refused", "past")),
        (0, ("refused", "past")),
        (-5, ("refused", "past")),
    ],
)
def test_the_begin_time_is_bounded(
    fake: Any, helper: Any, at: int, expected: tuple[str, str]
) -> None:
    fake.put(7)
    assert helper.do(7, Verb.HOLD_UNTIL, at) == expected


@pytest.mark.parametrize(
    ("guard", "expected"),
    [
        ({"submit": NOW - 9999}, ("not-found", "reused-id")),
        ({"restarts": 1}, ("refused", "requeued")),
        ({"expected_begin": NOW + 5}, ("refused", "begin-changed")),
        ({"expected_state": "R"}, ("refused", "state-changed")),
        ({"job_id": 8}, ("not-found", "not-found")),
    ],
)
def test_the_guards(
    fake: Any, helper: Any, guard: dict[str, Any], expected: tuple[str, str]
) -> None:
    fake.put(7)
    assert helper.do(7, Verb.HOLD_UNTIL, NOW + HOUR, **guard) == expected
    assert fake.changes() == []


@pytest.mark.parametrize("extra", ["", " max-delay=8:00:00", " class=standard"])
def test_a_latency_bounds_the_begin_time_from_the_submission_on(
    fake: Any, helper: Any, extra: str
) -> None:
    bound = NOW - 60 + HOUR - 30  # submission + latency - the helper's margin
    fake.put(7, comment="flex: latency=1:00:00" + extra)
    assert helper.do(7, Verb.HOLD_UNTIL, bound + 1) == ("refused", "latest-start")
    assert helper.do(7, Verb.HOLD_UNTIL, bound) == ("applied", "applied")
    fake.put(8, comment="flex: latency=1:00:00" + extra, begin=NOW + 1800)
    assert helper.do(8, Verb.HOLD_UNTIL, bound + 1) == ("refused", "latest-start")


def test_a_suspension_is_not_bound_by_a_latency_that_was_kept(fake: Any, helper: Any) -> None:
    fake.put(7, **RUNNING, comment=SUSPEND + " latency=5")
    assert helper.do(7, Verb.SUSPEND, LATEST + 61) == ("refused", "latest-start")
    assert helper.do(7, Verb.SUSPEND, LATEST + 60) == ("applied", "applied")


def test_a_slow_walk_past_the_latest_start_is_refused(fake: Any, helper: Any) -> None:
    fake.put(7)
    for hours in (2, 4, 6, 7):
        assert helper.do(7, Verb.HOLD_UNTIL, NOW + hours * HOUR)[0] == "applied"
        fake.at(NOW + (hours - 1) * HOUR)
        helper.restart()
    assert helper.do(7, Verb.HOLD_UNTIL, NOW + 9 * HOUR) == ("refused", "latest-start")


def test_relative_times_count_from_the_first_submission(fake: Any, helper: Any) -> None:
    fake.put(7, comment="flex: deadline=now+4hours preempt=requeue max-preempts=3")
    assert helper.do(7, Verb.HOLD_UNTIL, NOW + HOUR)[0] == "applied"
    fake.at(NOW + HOUR)
    fake.change(7, **RUNNING | {"start": NOW + HOUR})
    assert helper.do(7, Verb.REQUEUE)[0] == "applied"
    fake.at(NOW + HOUR + 130)
    bound = NOW - 60 + 4 * HOUR - 600 - 30
    assert helper.do(7, Verb.HOLD_UNTIL, bound + 1) == ("refused", "latest-start")
    assert helper.do(7, Verb.HOLD_UNTIL, bound) == ("applied", "applied")


def test_an_opt_out_is_for_good(fake: Any, helper: Any) -> None:
    fake.put(7)
    assert helper.do(7, Verb.HOLD_UNTIL, NOW + HOUR)[0] == "applied"
    fake.at(NOW + 60)
    fake.change(7, begin=NOW + 30)
    assert helper.do(7, Verb.HOLD_UNTIL, NOW + HOUR) == ("refused", "opted-out")
    helper.restart()
    fake.change(7, begin=NOW + 30)
    assert helper.do(7, Verb.HOLD_UNTIL, NOW + 2 * HOUR) == ("refused", "opted-out")
    assert [(r.job_id, r.opted_out_at) for r in helper.parts.state.opt_outs()] == [(7, NOW + 60)]
    fake.change(7, submit=NOW + 61, begin=NOW + 61)  # another job under the same id
    assert helper.do(7, Verb.HOLD_UNTIL, NOW + HOUR)[0] == "applied"


def test_an_opted_out_job_is_not_requeued_either(fake: Any, helper: Any) -> None:
    fake.put(7, comment=REQUEUE)
    helper.do(7, Verb.HOLD_UNTIL, NOW + HOUR)
    fake.change(7, begin=NOW - 1)
    helper.do(7, Verb.HOLD_UNTIL, NOW + HOUR)
    fake.change(7, **RUNNING)
    assert helper.do(7, Verb.REQUEUE) == ("refused", "opted-out")


def test_a_change_that_slurmctld_forgot_is_no_opt_out(fake: Any, helper: Any) -> None:
    fake.put(7)
    assert helper.do(7, Verb.HOLD_UNTIL, NOW + HOUR)[0] == "applied"
    fake.change(7, begin=NOW - 60)  # as it was at first sight
    assert helper.do(7, Verb.HOLD_UNTIL, NOW + HOUR)[0] == "applied"
    assert helper.do(7, Verb.HOLD_UNTIL, NOW + 2 * HOUR)[0] == "applied"
    fake.change(7, begin=NOW + HOUR)  # the one before
    assert helper.do(7, Verb.HOLD_UNTIL, NOW + 2 * HOUR)[0] == "applied"
    fake.at(NOW + 60)
    assert helper.do(7, Verb.RELEASE)[0] == "applied"
    fake.at(NOW + 120)
    assert helper.do(7, Verb.HOLD_UNTIL, NOW + 3 * HOUR)[0] == "applied"
    fake.change(7, begin=NOW + 60)  # the begin time that the release left
    assert helper.do(7, Verb.HOLD_UNTIL, NOW + 3 * HOUR)[0] == "applied"
    assert helper.parts.state.opt_outs() == []


def test_an_owner_who_moves_it_later_sets_a_lower_bound(fake: Any, helper: Any) -> None:
    fake.put(7)
    helper.do(7, Verb.HOLD_UNTIL, NOW + HOUR)
    fake.change(7, begin=NOW + 2 * HOUR)
    assert helper.do(7, Verb.RELEASE) == ("already-so", "already-so")
    assert helper.do(7, Verb.HOLD_UNTIL, NOW + HOUR) == ("refused", "before-user-begin")
    assert helper.do(7, Verb.HOLD_UNTIL, NOW + 3 * HOUR)[0] == "applied"
    assert helper.do(7, Verb.RELEASE)[0] == "applied"
    assert fake.job(7)["begin"] == NOW + 2 * HOUR


def test_a_hold_is_released_without_consent_and_beyond_the_rate(
    fake: Any, tmp_path: Path, helper: Any
) -> None:
    helper.settings = HelperSettings(max_actions_per_minute=1)
    helper.restart()
    fake.put(7)
    fake.put(8)
    results, _ = helper.apply(
        helper.action(7, Verb.HOLD_UNTIL, NOW + HOUR), helper.action(8, Verb.HOLD_UNTIL, NOW + HOUR)
    )
    assert [r.code for r in results] == ["applied", "rate"]
    fake.change(7, comment="")
    assert helper.do(7, Verb.RELEASE) == ("applied", "applied")


def test_only_holds_of_our_own_are_released(fake: Any, helper: Any) -> None:
    fake.put(7, begin=NOW + HOUR)
    assert helper.do(7, Verb.RELEASE) == ("refused", "not-ours")
    assert fake.changes() == []


@pytest.mark.parametrize(
    "change", [{"comment": ""}, {"priority": 0}, {"limit": "UNLIMITED"}, {"reservation": "x"}]
)
def test_a_lost_race_is_undone(fake: Any, helper: Any, change: dict[str, Any]) -> None:
    fake.put(7)
    fake.set(after_update={"7": change})
    assert helper.do(7, Verb.HOLD_UNTIL, NOW + HOUR) == ("refused", "lost-race")
    assert fake.job(7)["begin"] == NOW


def test_an_owner_who_is_faster_than_the_second_read_opts_out(fake: Any, helper: Any) -> None:
    fake.put(7)
    fake.set(after_update={"7": {"begin": NOW}})
    assert helper.do(7, Verb.HOLD_UNTIL, NOW + HOUR) == ("refused", "opted-out")
    assert [r.job_id for r in helper.parts.state.opt_outs()] == [7]
    assert len(fake.changes()) == 1


def test_a_harmless_change_in_between_is_no_lost_race(fake: Any, helper: Any) -> None:
    fake.put(7)
    fake.set(after_update={"7": {"comment": "flex: max-delay=7:00:00"}})
    assert helper.do(7, Verb.HOLD_UNTIL, NOW + HOUR) == ("applied", "applied")


def test_what_slurm_refuses_is_said_and_is_no_opt_out(fake: Any, helper: Any) -> None:
    fake.put(7)
    fake.put(8)
    fake.set(denied=["7"])
    results, _ = helper.apply(
        helper.action(7, Verb.HOLD_UNTIL, NOW + HOUR), helper.action(8, Verb.HOLD_UNTIL, NOW + HOUR)
    )
    assert [(r.code, r.detail) for r in results] == [
        ("slurm-refused", "Access/permission denied for job 7"),
        ("applied", ""),
    ]
    fake.set(denied=[])
    assert helper.do(7, Verb.HOLD_UNTIL, NOW + HOUR)[0] == "applied"


def test_jobs_with_one_begin_time_share_a_command(fake: Any, helper: Any) -> None:
    for number in range(1, 7):
        fake.put(number)
    results, _ = helper.apply(
        *(helper.action(n, Verb.HOLD_UNTIL, NOW + (1 + n % 2) * HOUR) for n in range(1, 7))
    )
    assert {r.code for r in results} == {"applied"}
    assert sorted(call[2] for call in fake.changes()) == ["JobId=1,3,5", "JobId=2,4,6"]


def test_one_action_per_job_and_batch(fake: Any, helper: Any) -> None:
    fake.put(7)
    results, _ = helper.apply(
        helper.action(7, Verb.HOLD_UNTIL, NOW + HOUR), helper.action(7, Verb.RELEASE)
    )
    assert [r.code for r in results] == ["applied", "duplicate"]


def test_nothing_is_sent_when_the_queue_cannot_be_read(fake: Any, helper: Any) -> None:
    fake.put(7)
    fake.set(down=["squeue"])
    results, _ = helper.apply(helper.action(7, Verb.HOLD_UNTIL, NOW + HOUR))
    assert (results[0].outcome.value, results[0].code) == ("refused", "unreadable")
    assert "Unable to contact slurm controller" in results[0].detail
    assert fake.changes() == []


def test_unseen_is_unknown_and_settled_by_the_next_read(fake: Any, helper: Any) -> None:
    fake.put(7)
    fake.set(down_after_act=["squeue"])
    assert helper.do(7, Verb.HOLD_UNTIL, NOW + HOUR) == ("unknown", "unseen")
    fake.set(down=[], down_after_act=[])
    assert helper.do(7, Verb.HOLD_UNTIL, NOW + HOUR) == ("already-so", "already-so")
    assert helper.do(7, Verb.RELEASE)[0] == "applied"


def test_rule_1_what_slurmctld_forgot_before_the_second_read_is_no_refusal(
    fake: Any, helper: Any
) -> None:
    fake.put(7)
    fake.set(forgotten=["7"])
    assert helper.do(7, Verb.HOLD_UNTIL, NOW + HOUR) == ("unknown", "forgotten")
    fake.set(forgotten=[])
    assert helper.do(7, Verb.HOLD_UNTIL, NOW + HOUR) == ("applied", "applied")
    fake.set(after_update={"7": {"begin": NOW - 60}})  # back to before the first hold
    assert helper.do(7, Verb.HOLD_UNTIL, NOW + 2 * HOUR) == ("unknown", "forgotten")
    assert helper.do(7, Verb.HOLD_UNTIL, NOW + 2 * HOUR) == ("applied", "applied")
    assert helper.parts.state.opt_outs() == []


@pytest.mark.parametrize("verb", [Verb.REQUEUE, Verb.REQUEUE_UNTIL, Verb.SUSPEND])
@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"comment": ""}, "no-consent"),
        ({"comment": "flex: max-delay=8:00:00"}, "no-consent"),
        ({"batch": 0}, "interactive"),
        ({"state": "CG"}, "state-changed"),
        ({"state": "PD", "start": "N/A"}, "state-changed"),
    ],
)
def test_running_jobs_are_left_alone_without_consent(
    fake: Any, helper: Any, verb: Verb, changes: dict[str, Any], code: str
) -> None:
    suspend = "flex: max-delay=8:00:00 preempt=suspend"
    fake.put(7, **RUNNING | {"comment": suspend if verb is Verb.SUSPEND else REQUEUE} | changes)
    assert helper.do(7, verb, NOW + HOUR) == ("refused", code)
    assert fake.changes() == []


def test_requeue_until(fake: Any, helper: Any) -> None:
    fake.put(7, **RUNNING, comment=REQUEUE)
    assert helper.do(7, Verb.REQUEUE_UNTIL, LATEST + 1) == ("refused", "latest-start")
    assert helper.do(7, Verb.REQUEUE_UNTIL, NOW + HOUR) == ("applied", "applied")
    assert fake.job(7)["begin"] == NOW + HOUR
    assert fake.changes()[0] == ["scontrol", "requeue", "Incomplete", "7"]
    fake.at(NOW + 60)
    assert helper.do(7, Verb.HOLD_UNTIL, NOW + 2 * HOUR)[0] == "applied"
    assert helper.do(7, Verb.RELEASE)[0] == "applied"
    assert fake.job(7)["begin"] == NOW + 121  # Slurm's own pause after a requeue is kept


def test_a_requeue_beyond_max_preempts_is_refused_after_a_restart_too(
    fake: Any, helper: Any
) -> None:
    fake.put(7, **RUNNING, comment=REQUEUE)
    assert helper.do(7, Verb.REQUEUE)[0] == "applied"
    helper.restart()
    fake.change(7, **RUNNING)
    assert helper.do(7, Verb.REQUEUE) == ("refused", "max-preempts")


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"requeue": 0}, "not-requeueable"),
        ({"comment": REQUEUE + " min-run=5"}, "min-run"),
        ({"comment": REQUEUE + " max-preempts=0"}, "max-preempts"),
        ({"state": "S"}, "held-by-other"),
        ({"deadline": str(NOW + 700)}, "latest-start"),
    ],
)
def test_what_may_not_be_requeued(
    fake: Any, helper: Any, changes: dict[str, Any], code: str
) -> None:
    fake.put(7, **RUNNING | {"comment": REQUEUE} | changes)
    assert helper.do(7, Verb.REQUEUE) == ("refused", code)
    assert fake.changes() == []


def test_requeues_have_a_limit_of_their_own(fake: Any, helper: Any) -> None:
    helper.settings = HelperSettings(max_requeues_per_minute=1)
    helper.restart()
    fake.put(7, **RUNNING, comment=REQUEUE)
    fake.put(8, **RUNNING, comment=REQUEUE)
    results, _ = helper.apply(helper.action(7, Verb.REQUEUE), helper.action(8, Verb.REQUEUE))
    assert [r.code for r in results] == ["applied", "rate"]


def test_a_requeue_that_slurm_refuses_does_not_count(fake: Any, helper: Any) -> None:
    fake.put(7, **RUNNING, comment=REQUEUE)
    fake.set(denied=["7"])
    assert helper.do(7, Verb.REQUEUE) == ("refused", "slurm-refused")
    fake.set(denied=[])
    assert helper.do(7, Verb.REQUEUE) == ("applied", "applied")


def test_a_checkpoint_comes_first_and_holds_nobody_up(fake: Any, helper: Any) -> None:
    fake.put(7, **RUNNING, comment=REQUEUE + " checkpoint=USR1@30")
    fake.put(8)
    asked = helper.action(7, Verb.REQUEUE_UNTIL, NOW + HOUR)
    results, later = helper.apply(asked, helper.action(8, Verb.HOLD_UNTIL, NOW + HOUR))
    assert [(r.outcome.value, r.code) for r in results] == [
        ("unknown", "checkpointing"),
        ("applied", "applied"),
    ]
    assert [(one.action.job_id, one.wait) for one in later] == [(7, 30)]
    assert fake.changes()[0] == ["scancel", "--batch", "--signal=USR1", "7"]
    assert helper.do(7, Verb.REQUEUE) == ("unknown", "checkpointing")
    fake.at(NOW + 30)
    results, later = helper.apply(later[0].action, warned=True)
    assert ([r.code for r in results], later) == (["applied"], [])
    assert fake.job(7)["begin"] == NOW + HOUR
    assert [call[:2] for call in fake.changes()].count(["scancel", "--batch"]) == 1


def test_consent_taken_back_while_it_writes_its_checkpoint(fake: Any, helper: Any) -> None:
    fake.put(7, **RUNNING, comment=REQUEUE + " checkpoint=USR1@30")
    _, later = helper.apply(helper.action(7, Verb.REQUEUE))
    fake.change(7, comment="")
    results, _ = helper.apply(later[0].action, warned=True)
    assert results[0].code == "no-consent"


def test_term_is_left_to_slurms_requeue(fake: Any, helper: Any) -> None:
    fake.put(7, **RUNNING, comment=REQUEUE + " checkpoint=TERM@30")
    assert helper.do(7, Verb.REQUEUE) == ("applied", "applied")
    assert [call[0] for call in fake.changes()] == ["scontrol"]


SUSPEND = "flex: max-delay=8:00:00 preempt=suspend max-preempts=3"


def test_suspend_is_armed_before_and_disarmed_after(fake: Any, helper: Any) -> None:
    fake.put(7, **RUNNING, comment=SUSPEND)
    assert helper.do(7, Verb.SUSPEND, NOW + HOUR) == ("applied", "applied")
    assert [(e.job_id, e.due) for e in helper.parts.book.entries()] == [(7, NOW + HOUR)]
    assert helper.do(7, Verb.SUSPEND, NOW + HOUR)[0] == "already-so"
    assert helper.do(7, Verb.RESUME) == ("applied", "applied")
    assert fake.job(7)["state"] == "R"
    assert helper.parts.book.entries() == []
    assert helper.do(7, Verb.RESUME)[0] == "already-so"


def test_a_suspension_that_slurm_refuses_is_disarmed(fake: Any, helper: Any) -> None:
    fake.put(7, **RUNNING, comment=SUSPEND)
    fake.set(denied=["7"])
    assert helper.do(7, Verb.SUSPEND, NOW + HOUR) == ("refused", "slurm-refused")
    assert helper.parts.book.entries() == []


def test_a_suspension_stays_armed_while_its_effect_is_unknown(fake: Any, helper: Any) -> None:
    fake.put(7, **RUNNING, comment=SUSPEND)
    fake.set(down_after_act=["squeue"])
    assert helper.do(7, Verb.SUSPEND, NOW + HOUR) == ("unknown", "unseen")
    assert len(helper.parts.book.entries()) == 1


def test_a_suspension_stays_armed_where_slurmctld_has_forgotten_it(fake: Any, helper: Any) -> None:
    fake.put(7, **RUNNING, comment=SUSPEND)
    fake.set(forgotten=["7"])  # its processes stand still all the same: the timer wakes it
    assert helper.do(7, Verb.SUSPEND, NOW + HOUR) == ("unknown", "forgotten")
    assert [entry.job_id for entry in helper.parts.book.entries()] == [7]


def test_what_others_suspended_is_not_resumed(fake: Any, helper: Any) -> None:
    fake.put(7, **RUNNING | {"state": "S"}, comment=SUSPEND)
    assert helper.do(7, Verb.RESUME) == ("refused", "not-ours")


def test_a_suspension_keeps_the_promised_end(fake: Any, helper: Any) -> None:
    # It has run 60 s: resuming at `due` is worth a start at due - 60.
    fake.put(7, **RUNNING, comment=SUSPEND)
    assert helper.do(7, Verb.SUSPEND, LATEST + 61) == ("refused", "latest-start")
    assert helper.do(7, Verb.SUSPEND, LATEST + 60) == ("applied", "applied")


def test_time_suspended_does_not_count_as_run(fake: Any, helper: Any) -> None:
    fake.put(7, **RUNNING, comment=SUSPEND)
    assert helper.do(7, Verb.SUSPEND, NOW + HOUR)[0] == "applied"
    fake.at(NOW + HOUR)
    assert helper.do(7, Verb.RESUME)[0] == "applied"
    assert helper.do(7, Verb.SUSPEND, LATEST + 61) == ("refused", "latest-start")
    assert helper.do(7, Verb.SUSPEND, LATEST + 60) == ("applied", "applied")


def test_a_hostile_comment_changes_nothing_else(fake: Any, helper: Any) -> None:
    fake.put(7, comment="\n".join(f"{k}\x1f\x1e|~^" for k in range(40)))
    fake.put(8)
    results, _ = helper.apply(
        helper.action(7, Verb.HOLD_UNTIL, NOW + HOUR), helper.action(8, Verb.HOLD_UNTIL, NOW + HOUR)
    )
    assert [r.code for r in results] == ["no-consent", "applied"]
