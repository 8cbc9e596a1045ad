"""Intents without an answer end by what is seen of their job, and a stop that may still come stays open."""

from __future__ import annotations

from dataclasses import replace

import pytest

from flexlond.agents.records import OpenIntent
from flexlond.agents.settling import end_of
from flexlond.agents.stoppable import PATIENCE
from flexlond.model.action import Action, Outcome, Verb
from flexlond.model.job import Job, JobState
from tests.unit.agents.conftest import START, SimSlurm

GRACE = 60


def job(**changes: object) -> Job:
    slurm = SimSlurm()
    number = slurm.submit("flex: max-delay=60")
    return replace(slurm.jobs[number], **changes)  # type: ignore[arg-type]


def intent(verb: Verb, not_before: int = START + 9000) -> OpenIntent:
    return OpenIntent(Action("a", 1, START, 0, START, "R", verb, not_before, ""), START)


@pytest.mark.parametrize(
    ("verb", "seen", "outcome"),
    [
        (Verb.REQUEUE_UNTIL, {"state": JobState.PENDING, "restarts": 1}, Outcome.APPLIED),
        (Verb.REQUEUE_UNTIL, {"state": JobState.COMPLETING, "restarts": 1}, Outcome.APPLIED),
        (Verb.REQUEUE_UNTIL, {"state": JobState.COMPLETING}, Outcome.SUPERSEDED),
        (Verb.SUSPEND, {"state": JobState.SUSPENDED}, Outcome.APPLIED),
        (Verb.RESUME, {"state": JobState.RUNNING}, Outcome.APPLIED),
        (Verb.RESUME, {"state": JobState.SUSPENDED}, Outcome.SUPERSEDED),
        (Verb.HOLD_UNTIL, {"begin": START + 9000}, Outcome.APPLIED),
        (Verb.HOLD_UNTIL, {"begin": START}, Outcome.SUPERSEDED),
        (Verb.RELEASE, {"begin": START}, Outcome.APPLIED),
        (Verb.HOLD_UNTIL, {"state": JobState.RUNNING}, Outcome.SUPERSEDED),
    ],
)
def test_what_is_seen_decides(verb: Verb, seen: dict[str, object], outcome: Outcome) -> None:
    end = end_of(intent(verb), job(**seen), GRACE, START + 5)
    assert end is not None
    assert end[0] is outcome


@pytest.mark.parametrize("verb", [Verb.REQUEUE_UNTIL, Verb.SUSPEND])
def test_a_stop_that_may_still_come_is_left_open_for_a_while(verb: Verb) -> None:
    running = job(state=JobState.RUNNING)
    over = START + GRACE + PATIENCE
    assert end_of(intent(verb), running, GRACE, over - 1) is None
    end = end_of(intent(verb), running, GRACE, over)
    assert end is not None
    assert end[0] is Outcome.SUPERSEDED


def test_a_stop_whose_helper_was_restarted_is_not_coming() -> None:
    for changes, outcome in (
        ({"state": JobState.RUNNING}, Outcome.SUPERSEDED),
        ({"state": JobState.PENDING, "restarts": 1}, Outcome.APPLIED),  # it came before
    ):
        asked = intent(Verb.REQUEUE_UNTIL)
        end = end_of(asked, job(**changes), GRACE, START + 5, orphaned=True)
        assert end is not None
        assert end[0] is outcome


@pytest.mark.parametrize("verb", list(Verb))
def test_a_job_that_has_gone_ends_every_intent(verb: Verb) -> None:
    end = end_of(intent(verb), None, GRACE, START + 5)
    assert end is not None
    assert end[0] is Outcome.SUPERSEDED
