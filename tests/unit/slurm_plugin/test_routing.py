"""The helper and other sites: moved by consent and in time only, all sites given back, by the timer too."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from flexlond.model.action import Verb
from flexlond.slurm.federation import FIRST_ID, federation_of
from slurm_plugin.pace import SETTLED
from slurm_plugin.routing import RouteEntry, RouteSummary, bring_back_due
from tests.unit.slurm_plugin.conftest import HOUR, NOW, PENDING, RUNNING

if TYPE_CHECKING:
    from tests.unit.slurm_plugin.conftest import FakeSlurm, Helper

JOB = FIRST_ID + 7
BOTH = ["north", "south"]
DUE = NOW + HOUR
FEDERATED = PENDING | {"sites": BOTH, "comment": "flex: max-delay=8:00:00 sites=north+south"}


@pytest.fixture
def job(fake: FakeSlurm) -> int:
    """One that may wait eight hours and be moved."""
    fake.put(JOB, FEDERATED)
    return JOB


def route(helper: Helper, due: int = DUE, **changes: Any) -> tuple[str, str]:
    return helper.do(JOB, Verb.ROUTE, due, **({"site": "south"} | changes))


def timer(helper: Helper, now: int) -> RouteSummary:
    parts = helper.parts
    helper.slurm.at(now)
    return bring_back_due(parts.routes, parts.calls, parts.reader, parts.sites, now=now)


def sites(fake: FakeSlurm) -> list[str]:
    return list(fake.job(JOB)["sites"])


def test_it_is_armed_before_it_is_moved_and_the_timer_gives_all_sites_back(
    helper: Helper, fake: FakeSlurm, job: int
) -> None:
    assert route(helper) == ("applied", "applied")
    assert sites(fake) == ["south"]
    entry = RouteEntry(job, NOW - 60, ("north", "south"), "south", DUE, NOW)
    assert helper.parts.routes.get(job) == entry
    assert timer(helper, DUE - 1) == RouteSummary()
    assert timer(helper, DUE).widened == (job,)
    assert sites(fake) == BOTH
    assert timer(helper, DUE + SETTLED - 1) == RouteSummary()
    assert helper.parts.routes.ids() == [job]
    assert timer(helper, DUE + SETTLED) == RouteSummary()
    assert helper.parts.routes.ids() == []


def test_what_slurmctld_forgot_of_giving_back_is_given_back_again(
    helper: Helper, fake: FakeSlurm, job: int
) -> None:
    route(helper)
    assert helper.do(job, Verb.WIDEN) == ("applied", "applied")
    fake.change(job, sites=["south"], state="RV")
    assert timer(helper, NOW + SETTLED).widened == (job,)
    assert sites(fake) == BOTH


@pytest.mark.parametrize(
    ("changes", "asked", "code"),
    [
        ({"comment": "flex: max-delay=8:00:00"}, {}, "no-consent"),
        ({"comment": "flex: max-delay=8:00:00 sites=north+east"}, {}, "no-consent"),
        ({"comment": "flex: max-delay=8:00:00 sites=south+east"}, {}, "no-consent"),
        ({"comment": "sites=north+south"}, {}, "no-consent"),
        ({"comment": FEDERATED["comment"], "sites": ["north"]}, {}, "not-viable"),
        ({"comment": FEDERATED["comment"], "sites": ["south"]}, {}, "not-viable"),
        ({}, {"site": "north"}, "not-viable"),
        ({}, {"site": ""}, "no-consent"),
        ({"origin": "south"}, {}, "not-origin"),
        ({"licenses": "kw:3"}, {}, "not-alone"),
        ({"priority": 0, "reason": "JobHeldUser"}, {}, "held-by-other"),
        ({"limit": "UNLIMITED"}, {}, "unlimited"),
        ({}, {"due": NOW}, "past"),
        ({"begin": DUE + 1}, {}, "past"),
        ({}, {"due": NOW + 8 * HOUR}, "latest-start"),
    ],
)
def test_what_is_not_moved(
    helper: Helper, fake: FakeSlurm, job: int, changes: dict[str, Any], asked: Any, code: str
) -> None:
    fake.change(job, **changes)
    assert route(helper, **asked) == ("refused", code)
    assert helper.parts.routes.ids() == []
    assert not [call for call in fake.changes() if call[1] == "update"]


def test_a_job_outside_a_federation_or_on_a_node_is_not_moved(
    helper: Helper, fake: FakeSlurm
) -> None:
    fake.put(7, PENDING | {"comment": FEDERATED["comment"]})
    assert helper.do(7, Verb.ROUTE, DUE, site="south") == ("refused", "not-federated")
    fake.put(JOB, RUNNING | {"sites": BOTH, "comment": FEDERATED["comment"]})
    assert route(helper) == ("refused", "state-changed")


def test_a_site_that_is_not_linked_gets_no_job(helper: Helper, fake: FakeSlurm, job: int) -> None:
    fake.set(federation={"south": [False, True]})
    assert route(helper) == ("refused", "site-unreachable")


def test_the_bound_keeps_the_minute_that_slurm_takes_when_a_site_does_not_answer(
    helper: Helper, fake: FakeSlurm, job: int
) -> None:
    latest = NOW - 60 + 8 * HOUR - helper.settings.margin_seconds - 60
    assert route(helper, latest + 1) == ("refused", "latest-start")
    assert route(helper, latest) == ("applied", "applied")


def test_a_site_that_cannot_be_reached_keeps_the_job_unless_slurmdbd_knows_that_it_is_down(
    helper: Helper, fake: FakeSlurm, job: int
) -> None:
    route(helper)
    fake.set(federation={"south": [False, True]})
    assert timer(helper, DUE).waiting == (job,)
    assert helper.do(job, Verb.WIDEN) == ("refused", "site-unreachable")
    assert sites(fake) == ["south"]
    fake.set(down=["sacctmgr"])
    assert timer(helper, DUE + 30).waiting == (job,)
    fake.set(down=[], federation={"south": [False, False]})
    assert timer(helper, DUE + 60).widened == (job,)
    assert sites(fake) == BOTH


def test_one_that_has_started_there_or_is_gone_is_forgotten(
    helper: Helper, fake: FakeSlurm, job: int
) -> None:
    route(helper)
    fake.change(job, started_at="south")
    assert timer(helper, DUE) == RouteSummary()
    assert helper.parts.routes.ids() == []
    assert sites(fake) == ["south"]


def test_sites_that_somebody_else_changed_stay(helper: Helper, fake: FakeSlurm, job: int) -> None:
    route(helper)
    fake.change(job, sites=["east", "south"])
    assert helper.do(job, Verb.WIDEN) == ("already-so", "already-so")
    assert timer(helper, DUE) == RouteSummary()
    assert sites(fake) == ["east", "south"]
    assert helper.parts.routes.ids() == []


def test_consent_that_changed_in_between_gives_the_sites_back(
    helper: Helper, fake: FakeSlurm, job: int
) -> None:
    fake.set(after_update={str(job): {"comment": "flex: max-delay=8:00:00"}})
    assert route(helper) == ("refused", "lost-race")
    assert sites(fake) == BOTH


def test_a_narrowing_that_slurmctld_forgot_is_unknown_and_harms_nobody(
    helper: Helper, fake: FakeSlurm, job: int
) -> None:
    fake.set(forgotten=[str(job)])
    assert route(helper) == ("unknown", "forgotten")
    assert timer(helper, DUE) == RouteSummary()
    assert helper.parts.routes.ids() == []


def test_the_queue_that_cannot_be_read_is_asked_again(
    helper: Helper, fake: FakeSlurm, job: int
) -> None:
    route(helper)
    fake.set(down=["squeue"])
    assert timer(helper, DUE).waiting == (job,)
    fake.set(down=[])
    assert timer(helper, DUE + 30).widened == (job,)


def test_a_hold_and_a_move_go_together(helper: Helper, fake: FakeSlurm, job: int) -> None:
    assert helper.do(job, Verb.HOLD_UNTIL, NOW + 1800) == ("applied", "applied")
    assert route(helper) == ("applied", "applied")
    assert timer(helper, DUE).widened == (job,)
    helper.restart()
    assert fake.job(job)["begin"] == NOW + 1800
    fake.at(NOW + 600)
    assert helper.do(job, Verb.RELEASE) == ("applied", "applied")


def test_another_sites_job_is_not_held_either(helper: Helper, fake: FakeSlurm, job: int) -> None:
    fake.change(job, origin="south")
    assert helper.do(job, Verb.HOLD_UNTIL, NOW + 1800) == ("refused", "not-origin")


def test_a_federation_is_read_as_slurm_prints_it() -> None:
    printed = (
        "Federation: flex\n"
        "Self:       site2:172.21.0.3:6817 ID:2 FedState:ACTIVE Features:\n"
        "Sibling:    site1::0 ID:1 FedState:ACTIVE Features: PersistConnSend/Recv:No/No Synced:No\n"
        "Sibling:    site3:172.21.0.4:6817 ID:3 FedState:ACTIVE Features: "
        "PersistConnSend/Recv:Yes/Yes Synced:Yes\n"
        "Sibling:    site4:172.21.0.5:6817 ID:4 FedState:DRAIN Features: "
        "PersistConnSend/Recv:Yes/Yes Synced:Yes\n"
    )
    found = federation_of(printed)
    assert (found.name, found.linked) == ("site2", frozenset({"site3"}))
    assert not federation_of("slurm_load_federation error: no federation").name
    assert replace(found, name="") != found
