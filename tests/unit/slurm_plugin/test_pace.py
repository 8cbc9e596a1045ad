"""The helper and arrays: slowed by consent and in time only, the own throttle put back, by the timer too."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from flexlond.model.action import Verb
from slurm_plugin.pace import LOOKED_AT, SETTLED, PaceEntry, PaceSummary, put_back_due
from tests.unit.slurm_plugin.conftest import HOUR, NOW, PENDING, RUNNING

if TYPE_CHECKING:
    from pathlib import Path

    from tests.unit.slurm_plugin.conftest import FakeSlurm, Helper

UNTIL = NOW + HOUR
GRACE = 30


@pytest.fixture
def array(fake: FakeSlurm) -> int:
    """Twenty tasks of ten minutes that wait, four that run; they may wait eight hours."""
    fake.put(7, PENDING | {"tasks": 20, "throttle": 8, "array": 7})
    for task in range(21, 25):
        fake.put(task, RUNNING | {"array": 7, "task": task})
    return 7


def slow(helper: Helper, width: int, until: int = UNTIL, **changes: Any) -> tuple[str, str]:
    return helper.do(7, Verb.SLOW, until, width=width, **changes)


def timer(helper: Helper, now: int) -> PaceSummary:
    parts = helper.parts
    return put_back_due(parts.pace, parts.calls, parts.reader, now=now, grace=GRACE)


def throttle(fake: FakeSlurm) -> int:
    return int(fake.job(7)["throttle"])


def test_it_is_armed_before_it_is_slowed_and_the_timer_puts_it_back(
    helper: Helper, fake: FakeSlurm, array: int
) -> None:
    assert slow(helper, 3) == ("applied", "applied")
    assert throttle(fake) == 3
    assert helper.parts.pace.entries() == [PaceEntry(array, NOW - 60, 8, 3, UNTIL, NOW)]
    assert slow(helper, 3) == ("already-so", "already-so")
    assert timer(helper, UNTIL + GRACE - 1).quiet
    assert throttle(fake) == 3
    fake.at(UNTIL + GRACE)
    assert timer(helper, UNTIL + GRACE).put_back == (7,)
    assert throttle(fake) == 8
    assert timer(helper, UNTIL + GRACE + SETTLED - 1).quiet
    assert helper.parts.pace.ids() == [7]
    assert timer(helper, UNTIL + GRACE + SETTLED).quiet
    assert helper.parts.pace.ids() == []


def test_what_slurmctld_forgot_of_putting_back_is_put_back_again(
    helper: Helper, fake: FakeSlurm, array: int
) -> None:
    slow(helper, 3)
    assert helper.do(array, Verb.UNSLOW) == ("applied", "applied")
    assert throttle(fake) == 8
    fake.change(7, throttle=3)
    assert timer(helper, NOW + SETTLED).put_back == (7,)
    assert throttle(fake) == 8


def test_a_kill_between_arming_and_the_act_leaves_nothing_behind(
    helper: Helper, fake: FakeSlurm, array: int
) -> None:
    helper.parts.pace.arm(PaceEntry(array, NOW - 60, 8, 3, UNTIL, NOW))
    fake.at(UNTIL + GRACE)
    timer(helper, UNTIL + GRACE)
    assert throttle(fake) == 8
    assert fake.changes() == []


def test_one_that_was_changed_by_somebody_else_stays_and_is_not_slowed_again(
    helper: Helper, fake: FakeSlurm, array: int
) -> None:
    slow(helper, 3)
    fake.change(array, throttle=5)
    assert helper.do(array, Verb.UNSLOW) == ("already-so", "already-so")
    assert slow(helper, 2) == ("refused", "throttle-changed")
    helper.restart()
    late = NOW + LOOKED_AT + 1
    assert timer(helper, late).quiet
    assert throttle(fake) == 5
    assert slow(helper, 2) == ("refused", "throttle-changed")
    fake.change(array, throttle=3)  # the very figure that was ours
    assert slow(helper, 2) == ("refused", "throttle-changed")
    timer(helper, late + 2 * LOOKED_AT)
    assert throttle(fake) == 3


def test_at_its_time_the_timer_leaves_alone_what_somebody_else_set(
    helper: Helper, fake: FakeSlurm, array: int
) -> None:
    slow(helper, 3)
    fake.change(array, throttle=0)
    assert timer(helper, UNTIL + GRACE).left_alone == (7,)
    assert throttle(fake) == 0


@pytest.mark.parametrize(
    ("comment", "code"),
    [("", "no-consent"), ("flex: off", "no-consent"), ("flex: max-delay=20:00", "latest-start")],
)
def test_without_consent_or_past_its_latest_start_nothing_is_sent(
    helper: Helper, fake: FakeSlurm, array: int, comment: str, code: str
) -> None:
    fake.change(array, comment=comment)
    assert slow(helper, 3) == ("refused", code)
    assert fake.changes() == []
    assert helper.parts.pace.ids() == []


def test_the_pace_keeps_the_latest_start_though_nobody_puts_it_back(
    helper: Helper, fake: FakeSlurm, array: int
) -> None:
    """24 tasks, 20 of them waiting at 8 a time: 3 waves; each more costs 10 minutes and a margin of 30 s."""
    spare = 8 * HOUR - 60 - 30  # eligible a minute ago
    for width, waves in ((2, 12), (1, 24)):
        needs = (waves - 3) * (600 + 30)
        fake.change(array, comment=f"flex: max-delay={(8 * HOUR - spare + needs) // 60 + 1}")
        assert slow(helper, width) == ("applied", "applied"), width
        helper.do(array, Verb.UNSLOW)
        fake.change(array, comment=f"flex: max-delay={(8 * HOUR - spare + needs) // 60 - 1}")
        assert slow(helper, width)[1] == "latest-start", width


@pytest.mark.parametrize("width", [0, 8, 9, 24])
def test_only_narrower(helper: Helper, array: int, width: int) -> None:
    assert slow(helper, width) == ("refused", "not-narrower")


def test_no_array_a_split_one_and_a_moment_past_are_refused(
    helper: Helper, fake: FakeSlurm, array: int
) -> None:
    assert slow(helper, 3, until=NOW) == ("refused", "past")
    fake.put(30, PENDING | {"array": 7, "task": 30, "begin": NOW + HOUR})
    assert slow(helper, 3) == ("refused", "array-split")
    fake.put(8)
    assert helper.do(8, Verb.SLOW, UNTIL, width=3) == ("refused", "not-an-array")
    assert fake.changes() == []


def test_consent_taken_back_meanwhile_puts_it_back(
    helper: Helper, fake: FakeSlurm, array: int
) -> None:
    fake.set(after_update={"7": {"comment": "flex: off"}})
    assert slow(helper, 3) == ("refused", "lost-race")
    assert throttle(fake) == 8


def test_what_slurm_did_not_do_is_not_remembered_as_ours(
    helper: Helper, fake: FakeSlurm, array: int
) -> None:
    fake.set(forgotten=["7"])
    assert slow(helper, 3) == ("unknown", "forgotten")
    assert helper.parts.pace.get(array) is not None  # it may yet appear: the timer decides
    assert timer(helper, UNTIL + GRACE).left_alone == (7,)
    assert throttle(fake) == 8


def test_an_array_whose_tasks_all_run_is_put_back_for_those_that_are_requeued(
    helper: Helper, fake: FakeSlurm, array: int
) -> None:
    slow(helper, 3)
    fake.change(7, **RUNNING, tasks=0, task=20)
    assert timer(helper, UNTIL + GRACE).put_back == (7,)
    assert throttle(fake) == 8


def test_an_array_that_is_gone_is_forgotten_and_a_reused_id_is_not_touched(
    helper: Helper, fake: FakeSlurm, array: int
) -> None:
    slow(helper, 3)
    sent = len(fake.changes())
    state = fake.read()
    state["jobs"] = {"7": PENDING | {"tasks": 5, "throttle": 3, "array": 7, "submit": NOW + 60}}
    fake.write(state)
    timer(helper, UNTIL + GRACE)
    assert helper.parts.pace.ids() == []
    assert len(fake.changes()) == sent


def test_while_slurm_cannot_be_read_it_is_put_back_and_said(
    helper: Helper, fake: FakeSlurm, array: int
) -> None:
    slow(helper, 3)
    fake.set(down=["squeue"])
    assert timer(helper, UNTIL + GRACE).failed == (array,)
    assert throttle(fake) == 8
    fake.set(down=[])
    timer(helper, UNTIL + GRACE + 30)
    assert throttle(fake) == 8


def test_an_unreadable_entry_is_said_and_touches_nothing(
    helper: Helper, fake: FakeSlurm, array: int, tmp_path: Path
) -> None:
    (tmp_path / "state" / "pace" / f"{array}.json").write_text("{")
    assert timer(helper, UNTIL).failed == (array,)
    assert fake.changes() == []


def test_an_entry_survives_the_helper(helper: Helper, array: int) -> None:
    slow(helper, 3)
    before = helper.parts.pace.get(array)
    helper.restart()
    assert helper.parts.pace.get(array) == before
    assert before is not None
    assert replace(before, due=0).in_force
