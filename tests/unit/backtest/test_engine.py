from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flexlond.backtest.engine import replay
from flexlond.backtest.peers import AsSoonAsPossible
from flexlond.planning.asap import asap_schedule
from flexlond.planning.pools import Room
from tests.unit.backtest.replaykit import SLOT, T0, Scripted, flexible, one_pool, rigid, trace_of

if TYPE_CHECKING:
    from flexlond.backtest.case import Flexibility, Run, Trace
    from flexlond.backtest.policy import State

DAY = 86400
UNBOUNDED = 1 << 40


def starts(trace: Trace, flex: Flexibility | None = None, policy: Any = None, **how: Any) -> Any:
    run = replay(trace, flex or rigid(trace), policy or AsSoonAsPossible(), **how)
    return (run.start - T0).tolist()


# The scheduler


def test_jobs_start_in_order_of_submission_at_the_second_room_comes_free() -> None:
    assert starts(trace_of([(0, 10, 2), (0, 20, 1), (5, 5, 2)], 2)) == [0, 10, 30]


def test_backfill_does_not_delay_the_first_waiting_job() -> None:
    # 0 runs on 3 of 4 until 100; 1 needs all: reserved for 100; 2 ends by then; 3 would not.
    assert starts(trace_of([(0, 100, 3), (1, 50, 4), (2, 98, 1), (3, 98, 1)])) == [0, 100, 2, 150]


def test_backfill_beside_the_reservation_may_run_on_and_uses_it_up() -> None:
    # At 100 the first needs 2 of 4, so 2 stay free beside it: for one long job of 1, then not of 2.
    jobs = [(0, 100, 2), (1, 50, 3), (2, 500, 1), (3, 500, 1)]
    assert starts(trace_of(jobs)) == [0, 100, 2, 150]


def test_a_reservation_goes_by_the_limit_and_ends_are_actual() -> None:
    # By limits the first could start at 60, so the third (limit 61) may not go before it; it starts at 50.
    jobs = [(0, 50, 3, 60), (0, 10, 4, 10), (0, 10, 1, 61)]
    assert starts(trace_of(jobs)) == [0, 50, 60]


def test_a_job_is_ended_at_its_limit() -> None:
    trace = trace_of([(0, 100, 1, 60), (0, 5.5, 1)], 1)
    run = replay(trace, rigid(trace), AsSoonAsPossible())
    assert (run.start - T0).tolist() == [0, 60]
    assert (run.end - run.start).tolist() == [60, 6]  # whole seconds


def test_only_so_many_jobs_behind_the_first_are_looked_at() -> None:
    jobs = [(0, 100, 3), (0, 50, 4), (0, 200, 1), (0, 10, 1)]
    assert starts(trace_of(jobs), depth=2) == [0, 100, 150, 0]
    assert starts(trace_of(jobs), depth=1) == [0, 100, 150, 150]
    late = [*jobs[:3], (7, 10, 1)]  # alone in its pass
    assert starts(trace_of(late), depth=2)[3] == 7
    assert starts(trace_of(late), depth=1)[3] == 150


def test_a_job_larger_than_the_cluster_never_starts_and_blocks_nobody() -> None:
    trace = trace_of([(0, 10, 5), (0, 10, 4)])
    run = replay(trace, rigid(trace), AsSoonAsPossible())
    assert run.start.tolist() == [0, T0]
    assert run.end.tolist() == [0, T0 + 10]
    assert run.notes == ("1 jobs ask for more than the cluster has and never start",)


def test_every_resource_counts() -> None:
    jobs = [(0, 10, (1, 8)), (0, 10, (1, 8)), (0, 10, (3, 2))]
    assert starts(trace_of(jobs, one_pool(4, 10))) == [0, 10, 0]


def test_pools_that_share_nodes_share_their_room_and_others_do_not_wait_for_each_other() -> None:
    shared = Room(np.array([[3.0], [3.0]]), np.zeros(2, np.int64), np.array([[4.0]]))
    jobs = [(0, 10, 3), (0, 10, 3)]
    assert starts(trace_of(jobs, shared, pool=[0, 1])) == [0, 10]
    apart = Room(np.array([[3.0], [3.0]]), np.array([0, 1]), np.array([[3.0], [3.0]]))
    assert starts(trace_of(jobs, apart, pool=[0, 1])) == [0, 0]


# The policy's part


def test_a_held_job_starts_at_its_begin_time_on_an_idle_cluster() -> None:
    trace = trace_of([(10, 100, 1)])
    run = replay(trace, flexible(trace, {0: DAY}), Scripted({0: 5000}))
    assert run.start.tolist() == run.begin.tolist() == [T0 + 5000]
    assert run.notes == ()


def test_a_held_job_keeps_its_place_in_the_queue() -> None:
    trace = trace_of([(0, 100, 1), (1, 100, 1), (2, 100, 1)], 1)
    assert starts(trace, flexible(trace, {1: DAY}), Scripted({1: 50})) == [0, 100, 200]
    # Come due behind time: those that came later have started.
    assert starts(trace, flexible(trace, {1: DAY}), Scripted({1: 150})) == [0, 200, 100]


def test_a_job_that_comes_due_before_the_first_waiting_one_takes_over_its_reservation() -> None:
    # 2 waits for all 4 from 10 on; 1 comes due at 50 and is before it: it starts at once, beside 0.
    trace = trace_of([(0, 100, 2), (5, 100, 2), (10, 10, 4)])
    assert starts(trace, flexible(trace, {1: DAY}), Scripted({1: 50})) == [0, 50, 150]


def test_a_begin_time_past_the_latest_start_is_cut_to_it_and_told() -> None:
    trace = trace_of([(0, 10, 1), (0, 10, 1)])
    flex = flexible(trace, {0: 600, 1: 600})
    run = replay(trace, flex, Scripted({0: 601, 1: 600}))
    assert (run.start - T0).tolist() == [600, 600]
    assert (run.begin - T0).tolist() == [600, 600]
    assert run.notes == (
        "1 begin times beyond a job's latest start, cut to it: a defect of the policy",
    )


def test_a_job_that_is_not_flexible_or_runs_or_ended_is_not_held() -> None:
    trace = trace_of([(0, 9999, 1), (0, 10, 2), (0, 10, 9), (0, 10, 1)])
    policy = Scripted({3: 7000}, {SLOT: {0: 8000, 1: 8000, 2: 8000}})
    run = replay(trace, flexible(trace, {0: DAY, 2: DAY, 3: DAY}), policy)
    assert (run.start - T0)[[0, 1, 3]].tolist() == [0, 0, 7000]
    assert run.start[2] == 0
    assert run.notes[1:] == (
        "3 begin times for jobs it may not hold, left out: a defect of the policy",
    )


def test_it_is_asked_about_flexible_jobs_only_those_of_a_second_together() -> None:
    trace = trace_of([(0, 10, 1), (0, 10, 1), (0, 10, 1), (7, 10, 1)])
    policy = Scripted()
    run = replay(trace, flexible(trace, {0: 60, 2: 60, 3: 60}), policy)
    assert policy.arrived == [(0, [0, 2]), (7, [3])]
    assert len(run.plan_seconds) == 2
    assert (run.plan_seconds >= 0).all()


def test_the_state_shows_what_is_held_what_waits_and_what_runs() -> None:
    trace = trace_of([(0, 100, 4), (1, 10, 1), (2, 10, 1), (3, 10, 1)])
    policy = Scripted({1: 50})
    replay(trace, flexible(trace, {1: DAY, 3: DAY}), policy)
    assert policy.seen[1] == ({1: T0 + 50}, [2], {0: T0})


def test_ticks_come_at_slot_starts_while_there_is_something_to_decide() -> None:
    trace = trace_of([(10, 10, 1), (5 * SLOT + 1, 10, 1)])
    policy = Scripted({0: 2 * SLOT + 60})
    run = replay(trace, flexible(trace, {0: DAY, 1: DAY}), policy)
    assert policy.ticked == [SLOT, 2 * SLOT]
    assert len(run.plan_seconds) == 4


def test_a_tick_may_release_earlier_and_move_later() -> None:
    trace = trace_of([(0, 10, 1), (0, 10, 1), (0, 10, 1)])
    flex = flexible(trace, {0: DAY, 1: DAY, 2: DAY})
    policy = Scripted({0: 9000, 1: 4000, 2: 4000}, {SLOT: {0: 0, 1: 20000}})
    run = replay(trace, flex, policy)
    assert (run.start - T0).tolist() == [SLOT, 20000, 4000]
    assert (run.begin - T0).tolist() == [SLOT, 20000, 4000]


def test_a_tick_may_hold_a_flexible_job_that_still_waits_for_room() -> None:
    trace = trace_of([(0, 5000, 4), (1, 10, 2), (2, 10, 2)])
    policy = Scripted({}, {SLOT: {1: 9000}})
    assert starts(trace, flexible(trace, {1: DAY}), policy) == [0, 9000, 5000]


def test_a_policy_that_watches_is_asked_a_cycle_after_a_newcomer_that_waits() -> None:
    """The first waiting one, of all four nodes, keeps the last one free; it steps aside when it is seen."""

    class Watching(Scripted):
        def __init__(self) -> None:
            super().__init__()
            self.looked: list[int] = []

        def look(self, now: int, state: State) -> dict[int, int]:
            self.looked.append(now - T0)
            return {1: now + 300} if 2 in state.queued else {}

        def watches_room(self) -> bool:
            return False

    trace = trace_of([(0, 5000, 3), (1, 10, 4), (100, 6000, 1), (7000, 10, 1)])
    flex = flexible(trace, {1: DAY})
    assert starts(trace, flex, Scripted()) == [0, 5000, 5010, 7000]
    policy = Watching()
    assert starts(trace, flex, policy) == [0, 6130, 130, 7000]
    assert policy.looked == [31, 130]


def test_a_policy_that_watches_room_is_asked_a_cycle_after_an_end_while_it_holds_a_job() -> None:
    class Watching(Scripted):
        def __init__(self) -> None:
            super().__init__({1: 9000})
            self.looked: list[int] = []

        def look(self, now: int, state: State) -> dict[int, int]:
            self.looked.append(now - T0)
            return dict.fromkeys(state.held, 0)

        def watches_room(self) -> bool:
            return True

    trace = trace_of([(0, 500, 3), (1, 10, 1), (2, 20, 1)])
    policy = Watching()
    assert starts(trace, flexible(trace, {1: DAY}), policy) == [0, 52, 2]
    assert policy.looked == [52]  # at the second end nothing is held any more


def test_a_policy_that_sees_every_change_is_asked_a_cycle_after_each_submission_start_and_end() -> (
    None
):
    class Seeing(Scripted):
        sees_every_change = True

        def __init__(self) -> None:
            super().__init__({1: 500})
            self.looked: list[int] = []

        def look(self, now: int, state: State) -> dict[int, int]:
            self.looked.append(now - T0)
            return {}

        def watches_room(self) -> bool:
            return False

    policy = Seeing()
    flex = flexible(trace := trace_of([(0, 1000, 1), (10, 100, 1)]), {1: DAY})
    assert starts(trace, flex, policy) == [0, 500]
    assert policy.looked == [30, 40, 530, 630, 1030]


def test_a_job_whose_latest_start_passes_in_the_queue_starts_late() -> None:
    trace = trace_of([(0, 5000, 4), (1, 10, 1)])
    flex = flexible(trace, {1: 3000})
    assert starts(trace, flex, Scripted({1: 3001})) == [0, 5000]


def test_a_policy_that_does_not_want_to_be_asked_is_not() -> None:
    class Quiet(Scripted):
        calls = ("arrive",)
        parameter = "x=1"

    trace = trace_of([(10, 10, 1)])
    policy = Quiet({0: 2 * SLOT})
    run = replay(trace, flexible(trace, {0: DAY}), policy, seed=7)
    assert (policy.ticked, len(run.plan_seconds)) == ([], 1)
    assert (run.policy, run.parameter, run.seed) == ("scripted", "x=1", 7)


def test_an_observer_hears_of_starts_and_ends() -> None:
    class Watching(Scripted):
        def __init__(self) -> None:
            super().__init__()
            self.heard: list[tuple[str, int, int]] = []

        def started(self, now: int, job: int) -> None:
            self.heard.append(("started", now - T0, job))

        def ended(self, now: int, job: int) -> None:
            self.heard.append(("ended", now - T0, job))

    trace = trace_of([(0, 100, 1, 60), (1, 10, 1)], 1)
    policy = Watching()
    replay(trace, rigid(trace), policy)
    assert policy.heard == [
        ("started", 0, 0),
        ("ended", 60, 0),
        ("started", 60, 1),
        ("ended", 70, 1),
    ]


@pytest.mark.parametrize(
    ("field", "value", "text"),
    [
        ("submit", [T0 + 5, T0], "job 101 (index 1) is not in order of submission"),
        ("submit", [0, T0], "job 100 (index 0) was submitted at or before 1970"),
        ("limit", [10.0, np.nan], "job 101 (index 1) has no time limit"),
        ("runtime", [np.nan, 10.0], "job 100 (index 0) has no runtime"),
        ("pool", [0, -1], "job 101 (index 1) is in no known pool"),
    ],
)
def test_a_trace_that_cannot_be_replayed_is_refused(
    field: str, value: list[Any], text: str
) -> None:
    changed: dict[str, Any] = {field: np.array(value)}
    trace = replace(trace_of([(0, 10, 1), (0, 10, 1)]), **changed)
    with pytest.raises(ValueError, match="made: ") as caught:
        replay(trace, rigid(trace), AsSoonAsPossible())
    assert text in str(caught.value)


def test_flexibility_of_another_trace_is_refused() -> None:
    trace = trace_of([(0, 10, 1), (0, 10, 1)])
    with pytest.raises(ValueError, match=r"flexibility is for \(1,\) jobs, the trace has 2"):
        replay(trace, rigid(trace_of([(0, 10, 1)])), AsSoonAsPossible())


def test_an_empty_trace_is_an_empty_run() -> None:
    trace = trace_of([])
    assert replay(trace, rigid(trace), AsSoonAsPossible()).start.tolist() == []


# What holds for every trace

ROOMS = [
    one_pool(5),
    one_pool(5, 7),
    Room(np.array([[4.0], [3.0]]), np.zeros(2, np.int64), np.array([[5.0]])),
    Room(np.array([[4.0], [3.0]]), np.array([0, 1]), np.array([[4.0], [3.0]])),
]
JOB = st.tuples(
    st.integers(0, 40),  # submission
    st.integers(1, 30),  # runtime
    st.integers(1, 4),
    st.integers(1, 40),  # limit
    st.integers(0, 3),  # the second resource
    st.integers(0, 1),  # pool
    st.integers(0, 60),  # slack
    st.integers(0, 80),  # begin wanted
)


def drawn(jobs: list[tuple[int, ...]], room: Room) -> Trace:
    resources = room.capacity.shape[1]
    rows = [
        (j[0], j[1], (j[2], j[4])[:resources], j[3]) for j in sorted(jobs, key=lambda one: one[0])
    ]
    pool = [j[5] % len(room.capacity) for j in sorted(jobs, key=lambda one: one[0])]
    return trace_of(rows, room, pool=pool)


@settings(max_examples=200, deadline=None)
@given(st.lists(JOB, min_size=1, max_size=25), st.sampled_from(ROOMS))
def test_without_a_policy_it_is_the_list_schedule_of_the_planner(
    jobs: list[tuple[int, ...]], room: Room
) -> None:
    trace = drawn(jobs, room)
    expected = asap_schedule(
        trace.submit,
        np.minimum(trace.runtime, trace.limit),
        trace.demand,
        trace.pool,
        room=room,
        order=np.arange(trace.jobs),
        limit=trace.limit,
    )
    run = replay(trace, rigid(trace), AsSoonAsPossible(), depth=UNBOUNDED)
    assert run.start.tolist() == expected.tolist()


@settings(max_examples=150, deadline=None)
@given(st.lists(JOB, min_size=1, max_size=25), st.sampled_from(ROOMS), st.sampled_from([1, 3, 500]))
def test_what_runs_never_exceeds_the_room_and_the_same_input_gives_the_same_run(
    jobs: list[tuple[int, ...]], room: Room, depth: int
) -> None:
    trace = drawn(jobs, room)
    flex = flexible(trace, {at: job[6] for at, job in enumerate(jobs) if job[6] % 2})
    wanted = {at: job[7] for at, job in enumerate(jobs)}
    ticks = {
        now: {at: job[7] // 2 + now for at, job in enumerate(jobs) if (at + now // 20) % 3}
        for now in (20, 40, 60)
    }
    runs = [
        replay(trace, flex, Scripted(wanted, ticks), slot_seconds=20, depth=depth) for _ in "ab"
    ]
    run = runs[0]
    for name in ("start", "end", "begin"):
        assert getattr(run, name).tolist() == getattr(runs[1], name).tolist()
    assert_fits(trace, run)
    began = run.start > 0
    assert (run.start >= run.begin)[began].all()
    assert (run.begin <= flex.latest)[run.begin > trace.submit].all()
    assert (run.begin >= trace.submit).all()


def assert_fits(trace: Trace, run: Run) -> None:
    room = trace.room
    for now in np.unique(run.start[run.start > 0]).tolist():
        on = (run.start <= now) & (now < run.end)
        for pool in range(len(room.capacity)):
            used = trace.demand[on & (trace.pool == pool)].sum(axis=0)
            assert (used <= room.capacity[pool] + 1e-6).all()
        for group in range(len(room.group_capacity)):
            used = trace.demand[on & (room.pool_group[trace.pool] == group)].sum(axis=0)
            assert (used <= room.group_capacity[group] + 1e-6).all()
