"""Reservations of the kw licence: the policy, what is remembered, and what the commands do."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flexlond.model.action import Outcome, Verb
from flexlond.model.licence import Stretch, kw_of, without_kw
from flexlond.model.settings import LicenceSettings
from slurm_plugin import reserving
from slurm_plugin.config import HelperConfig, HelperConfigError, load
from slurm_plugin.reserving import Made

if TYPE_CHECKING:
    from pathlib import Path

    from slurm_plugin.slurm_calls import SlurmCalls

NOW = 1_795_420_800
HOUR = 3600
SITE = LicenceSettings(total_kw=1000, partitions={"main": "flexible"})


def stretch(start: int, end: int, kw: int = 800) -> Stretch:
    """Hours from now."""
    return Stretch(NOW + start * HOUR, NOW + end * HOUR, kw)


def there(fake: Any) -> dict[str, list[int]]:
    return dict(fake.read()["reservations"])


def told(helper: Any, *wanted: Stretch) -> list[tuple[str, str]]:
    results = helper.windows.reserve(wanted, "test").results
    return [(one.outcome.value, one.code) for one in results]


def test_it_is_made_once_and_ends_by_itself(helper: Any, fake: Any) -> None:
    one, two = stretch(1, 3), stretch(3, 4, 1000)
    assert told(helper, one, two) == [("applied", "applied")] * 2
    assert there(fake) == {
        one.name: [one.start, one.end, 800],
        two.name: [two.start, two.end, 1000],
    }
    sent = len(fake.changes())
    assert told(helper, one, two) == [("already-so", "already-so")] * 2
    assert all(call[1] != "create" for call in fake.changes()[sent:])
    create = next(call for call in fake.changes() if call[1] == "create")
    assert {"Flags=LICENSE_ONLY,ANY_NODES", "NodeCnt=0", "Licenses=kw:800"} <= set(create)
    assert f"EndTime={'2026-11-23T11:00:00'}" in create


def test_one_that_should_have_begun_begins_now(helper: Any, fake: Any) -> None:
    one = Stretch(NOW - 600, NOW + HOUR, 500)
    assert told(helper, one) == [("applied", "applied")]
    assert there(fake)[one.name] == [NOW, NOW + HOUR, 500]
    assert told(helper, one) == [("already-so", "already-so")]


def test_changes_are_minimal_and_nothing_wanted_takes_ours_away(helper: Any, fake: Any) -> None:
    told(helper, stretch(1, 4), stretch(6, 7))
    fake.set(
        reservations=there(fake) | {"maint": [NOW, NOW + HOUR, 5], "flexlon_9": [9, NOW + 9, 5]}
    )
    sent = len(fake.changes())
    wanted = (stretch(1, 2), stretch(2, 4, 900), stretch(6, 7))
    assert told(helper, *wanted) == [
        ("applied", "applied"),
        ("applied", "applied"),
        ("already-so", "already-so"),
    ]
    verbs = [call[1] for call in fake.changes()[sent:] if call[1] != "-o"]
    assert verbs == ["update", "create"]
    reply = helper.windows.reserve((), "drain")
    assert [(one.outcome, one.code) for one in reply.results] == [(Outcome.APPLIED, "deleted")] * 3
    assert set(there(fake)) == {"maint", "flexlon_9"}  # not ours
    assert reply.in_force == ()


def test_what_somebody_else_did_stays_and_what_was_forgotten_is_put_back(
    helper: Any, fake: Any
) -> None:
    one = stretch(1, 3)
    told(helper, one)
    fake.set(reservations={})  # slurmctld was killed before it had saved it
    assert told(helper, one) == [("applied", "applied")]
    fake.at(NOW + reserving.SETTLED)
    assert told(helper, one) == [("already-so", "already-so")]
    helper.restart()
    fake.set(reservations={one.name: [one.start, one.end, 100]})
    assert told(helper, one) == [("refused", "changed-by-other")]
    assert there(fake)[one.name][2] == 100
    fake.set(reservations={})
    assert told(helper, one) == [("refused", "deleted-by-other")]
    assert there(fake) == {}
    assert told(helper) == []  # the window is cancelled, and ordered again
    assert told(helper, one) == [("applied", "applied")]


def test_a_lost_change_is_repaired(helper: Any, fake: Any) -> None:
    told(helper, stretch(1, 3))
    fake.at(NOW + 60)
    told(helper, stretch(1, 3))
    assert told(helper, stretch(1, 2, 900)) == [("applied", "applied")]
    fake.set(reservations={stretch(1, 3).name: [NOW + HOUR, NOW + 3 * HOUR, 800]})
    assert told(helper, stretch(1, 2, 900)) == [("applied", "applied")]


def test_a_name_of_ours_that_somebody_else_took_is_theirs(helper: Any, fake: Any) -> None:
    one = stretch(1, 3)
    fake.set(reservations={one.name: [one.start, one.end, 10]})
    assert told(helper, one) == [("refused", "not-ours")]
    assert told(helper) == []
    assert there(fake) == {one.name: [one.start, one.end, 10]}


def test_refusals_of_slurm_are_told_and_not_remembered(helper: Any, fake: Any) -> None:
    one = stretch(1, 3)
    fake.set(reservations={"other": [NOW, NOW + 9 * HOUR, 300]})
    result = helper.windows.reserve([one], "test").results[0]
    assert (result.outcome, result.code) == (Outcome.REFUSED, "slurm-refused")
    assert "Invalid license specification" in result.detail
    assert helper.parts.state.reservations(NOW) == {}
    fake.set(reservations={}, forgotten=[one.name])
    assert told(helper, one) == [("unknown", "forgotten")]
    assert set(helper.parts.state.reservations(NOW)) == {one.name}


def test_without_slurm_nothing_is_sent(helper: Any, fake: Any) -> None:
    fake.set(down=["scontrol"])
    assert told(helper, stretch(1, 2)) == [("refused", "unreadable")]
    assert all(call[1] == "-o" for call in fake.changes())


@pytest.mark.parametrize(
    ("wanted", "code"),
    [
        ([stretch(-3, -1)], "past"),
        ([stretch(2, 1)], "past"),
        ([Stretch(0, NOW + HOUR, 5)], "past"),
        ([stretch(1, 14)], "too-long"),
        ([stretch(47, 49)], "too-far"),
        ([stretch(1, 2, 0)], "over-total"),
        ([stretch(1, 2, 1001)], "over-total"),
        ([stretch(1, 3), stretch(2, 4)], "overlap"),
        ([stretch(1, 9), stretch(1, 9)], "overlap"),
        ([Stretch(NOW + 60 * n, NOW + 60 * n + 60, 5) for n in range(1, 50)], "too-many"),
    ],
)
def test_the_policy_refuses(wanted: list[Stretch], code: str) -> None:
    refused = reserving.allowed(wanted, SITE, total=1000, now=NOW)
    assert [(one.outcome, one.code) for one in refused] == [(Outcome.REFUSED, code)], refused
    assert refused[0].stretch == wanted[-1]


def test_two_at_one_moment_are_found_whatever_lies_between() -> None:
    wanted = [stretch(1, 9), stretch(2, 3), stretch(4, 5), stretch(9, 10)]
    refused = reserving.allowed(wanted, SITE, total=1000, now=NOW)
    assert [one.stretch for one in refused] == wanted[1:3]


def test_where_nobody_takes_part_there_is_no_window(helper: Any, fake: Any) -> None:
    told(helper, stretch(1, 2))
    helper.parts.reconfigure(HelperConfig(slurm=helper.parts.config.slurm))
    assert told(helper, stretch(1, 2)) == [("refused", "off"), ("applied", "deleted")]
    assert there(fake) == {}
    small = reserving.allowed([stretch(1, 2, 500)], SITE, total=400, now=NOW)
    assert small[0].code == "over-total"  # of what Slurm has


def in_a_row(parts: list[tuple[int, int, int]]) -> list[Stretch]:
    made, at = [], 0
    for gap, length, kw in parts:
        made.append(stretch(at + gap, at + gap + length, kw))
        at += gap + length
    return made


stretches = st.lists(
    st.tuples(st.integers(1, 5), st.integers(1, 3), st.integers(1, 9)), max_size=4
).map(in_a_row)


@settings(max_examples=300, deadline=None)
@given(stretches, stretches, st.booleans())
def test_todo_ends_in_what_is_wanted_and_then_does_nothing(
    first: list[Stretch],
    then: list[Stretch],
    forgotten: bool,  # noqa: FBT001 # hypothesis gives it
) -> None:
    made = {one.name: Made(one.name, 0, 0, (), NOW).given(one) for one in first}
    seen = {} if forgotten else {one.name: one for one in first}
    todo = reserving.todo(then, made, seen)
    after = {name: one for name, one in seen.items() if name not in todo.delete}
    after |= {one.name: one for one in (*todo.change, *todo.create)}
    assert sorted(after.values()) == sorted(then)
    for one in (*todo.change, *todo.create):
        made[one.name] = made.get(one.name, Made(one.name, 0, 0, (), NOW)).given(one)
    again = reserving.todo(then, made, after)
    assert (again.delete, again.change, again.create) == ((), (), ())


def test_a_let_off_takes_the_kw_licence_and_nothing_else(helper: Any, fake: Any) -> None:
    fake.put(7, licenses="matlab:2,kw:40", comment="")  # also without consent: it is fewer holds
    fake.put(8, licenses="kw:5")
    fake.put(9, licenses="matlab:2")
    fake.put(10, licenses="a|kw:2")
    fake.put(11, licenses="kw:5", state="R")
    assert helper.do(7, Verb.LET_OFF) == ("applied", "applied")
    assert helper.do(8, Verb.LET_OFF) == ("applied", "applied")
    assert helper.do(8, Verb.LET_OFF) == ("already-so", "already-so")
    assert helper.do(9, Verb.LET_OFF) == ("already-so", "already-so")
    assert helper.do(10, Verb.LET_OFF) == ("refused", "unreadable")
    assert helper.do(11, Verb.LET_OFF) == ("already-so", "already-so")
    assert fake.job(7)["licenses"] == "matlab:2"
    assert kw_of(fake.job(11)["licenses"]) == 5
    assert fake.job(7)["begin"] == NOW - 60


@pytest.mark.parametrize(
    ("text", "kw", "others"),
    [
        ("", 0, ""),
        ("kw:5", 5, ""),
        ("kw", 1, ""),
        ("kw:3,matlab:1,kw:4", 7, "matlab:1"),
        ("matlab;gurobi:2", 0, "matlab:1,gurobi:2"),
        ("kw@dbd:3", 0, "kw@dbd:3"),
        ("kw:3|matlab", None, None),
        ("kw:x", None, None),
        ("a b", None, None),
    ],
)
def test_licences_are_read_or_not_at_all(text: str, kw: int | None, others: str | None) -> None:
    assert (kw_of(text), without_kw(text)) == (kw, others)


def test_only_our_names_and_lists_of_licences_become_commands(helper: Any) -> None:
    calls: SlurmCalls = helper.parts.calls
    for name in ("maint", "flexlon_", "flexlon_x", "flexlon_1 Users=alice", "flexlon_1\n"):
        with pytest.raises(ValueError, match="not a reservation of ours"):
            calls.unreserve(name)
    for licenses in ("a", "a:1 b:2", "a:1;b:1", "=", "a:1\n"):
        with pytest.raises(ValueError, match="not a list of licences"):
            calls.set_licenses(["7"], licenses)


def test_the_helper_too_wants_consent_for_all(tmp_path: Path) -> None:
    file = tmp_path / "flexlon.toml"
    file.write_text("[licence]\ntotal_kw = 5\npartitions = { night = 'all' }\n")
    with pytest.raises(HelperConfigError, match=r"licence.consent names nobody who agreed.*night"):
        load(str(file), now=NOW)
    file.write_text(file.read_text() + 'consent = "agreed: J. Doe"\n')
    assert load(str(file), now=NOW).licence.partitions == {"night": "all"}
