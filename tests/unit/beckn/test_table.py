"""The life cycle: every pair of state and event against a grid written by hand, and what must hold of it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flexlond.beckn.contract.drawing import page
from flexlond.beckn.contract.machine import (
    LocalViolation,
    RemoteViolation,
    event_named,
    may,
    step,
    wire_status,
)
from flexlond.beckn.contract.table import TABLE, TERMINAL, Event, State
from flexlond.beckn.wire.actions import Role
from flexlond.beckn.wire.codes import Code, Refusal, is_synchronous

LETTERS = dict(zip("IsSnNcAukCX", State, strict=True))
GRID = """
SELECT               s - s - s - - - - - -
INIT                 - - n - n - - - - - -
CONFIRM              - - - - c - - - - - -
STATUS               - s S n N c A u k C X
UPDATE_TRY           - - - - - - A - - - -
UPDATE               - - - - - - u - - - -
CANCEL_TRY           - - - - - - A - - - -
CANCEL               - - - - - - k - - - -
TRACK                - - - - - - A u k - -
SUPPORT              - s S n N c A u k C X
RATE                 - - - - - - - - - C X
ON_SELECT            - S S n N c A u k C X
ON_SELECT_ERROR      - X S n N c A u k C X
ON_INIT              - - S N N c A u k C X
ON_INIT_ERROR        - s S X N c A u k C X
ON_CONFIRM           - - - - - A A u k C X
ON_CONFIRM_ERROR     - s S n N X A u k C X
ON_STATUS_DRAFT      - s S n N c A u k C X
ON_STATUS_ACTIVE     - - - - - A A u k C X
ON_STATUS_COMPLETE   - - - - - C C C C C -
ON_STATUS_CANCELLED  - X X X X X X X X - X
ON_UPDATE_TRY        - s S n N c A u k C X
ON_UPDATE            - - - - - - A A k C X
ON_UPDATE_ERROR      - s S n N c A A k C X
ON_CANCEL_TRY        - s S n N c A u k C X
ON_CANCEL            - X X X X X X X X - X
ON_CANCEL_ERROR      - s S n N c A u A C X
ON_SIDE              - s S n N c A u k C X
ON_SIDE_ERROR        - s S n N c A u k C X
LAPSE                - X X X X - - A A - -
UNDELIVERED          - X S X N c A A A C X
"""
ROWS = [line.split() for line in GRID.split("\n") if line]
EXPECTED = {
    (state, Event[row[0]]): LETTERS.get(letter)
    for row in ROWS
    for state, letter in zip(State, row[1:], strict=True)
}


def test_the_grid_names_every_pair() -> None:
    assert len(EXPECTED) == len(State) * len(Event) == 341


@pytest.mark.parametrize("event", list(Event), ids=lambda event: event.name)
@pytest.mark.parametrize("state", list(State), ids=lambda state: state.name)
def test_every_pair(state: State, event: Event) -> None:
    to = EXPECTED[state, event]
    for us in Role:
        if to is not None:
            assert step(state, event, us) is to
            continue
        wanted = LocalViolation if event.sender in {None, us} else RemoteViolation
        with pytest.raises(wanted) as caught:
            step(state, event, us)
        assert (caught.value.state, caught.value.event) == (state, event)  # type: ignore[attr-defined]
        assert state.value in str(caught.value)
        if isinstance(caught.value, RemoteViolation):
            assert is_synchronous(caught.value.code) == (state is State.IDLE)


@pytest.mark.parametrize(
    ("state", "event", "code"),
    [
        (State.ACTIVE, Event.CONFIRM, Code.BIZ_ALREADY_CONFIRMED),
        (State.CONFIRMING, Event.CONFIRM, Code.BIZ_ALREADY_CONFIRMED),
        (State.CANCELLED, Event.CONFIRM, Code.BIZ_QUOTE_EXPIRED_OR_CHANGED),
        (State.CANCELLED, Event.CANCEL, Code.BIZ_ALREADY_CANCELLED),
        (State.SELECTED, Event.CONFIRM, Code.BIZ_INVALID_STATE_TRANSITION),
        (State.COMPLETE, Event.UPDATE, Code.BIZ_INVALID_STATE_TRANSITION),
        (State.ACTIVE, Event.RATE, Code.BIZ_INVALID_STATE_TRANSITION),
        (State.SELECTED, Event.TRACK, Code.BIZ_TRACKING_NOT_SUPPORTED),
        (State.IDLE, Event.INIT, Code.CTX_TRANSACTION_ID_UNKNOWN),
    ],
)
def test_violations_have_their_codes(state: State, event: Event, code: Code) -> None:
    with pytest.raises(RemoteViolation) as caught:
        step(state, event, Role.BPP)
    assert caught.value.code is code


def test_terminal_states_have_no_way_out_and_every_other_can_end() -> None:
    for (state, _), to in TABLE.items():
        if state in TERMINAL:
            assert to is state
    for start in State:
        reached, edge = {start}, {start}
        while edge:
            edge = {to for (s, _), to in TABLE.items() if s in edge} - reached
            reached |= edge
        assert State.CANCELLED in reached or start is State.COMPLETE


def test_nothing_but_an_answer_to_confirm_or_proof_makes_an_order_active() -> None:
    ways = {
        (state, event)
        for (state, event), to in TABLE.items()
        if to is State.ACTIVE and state not in {State.ACTIVE, State.UPDATING, State.CANCELLING}
    }
    assert ways == {
        (State.CONFIRMING, Event.ON_CONFIRM),
        (State.CONFIRMING, Event.ON_STATUS_ACTIVE),
    }


@given(events=st.lists(st.sampled_from(list(Event)), max_size=40), us=st.sampled_from(list(Role)))
def test_any_walk_stays_within_the_states_and_violations_change_nothing(
    events: list[Event], us: Role
) -> None:
    state = State.IDLE
    ended = False
    for event in events:
        before = state
        try:
            state = step(state, event, us)
        except (LocalViolation, RemoteViolation):
            assert not may(before, event)
            continue
        assert may(before, event)
        if ended:
            assert state is before
        ended = state in TERMINAL


def test_events_have_their_senders() -> None:
    assert Event.LAPSE.sender is None
    assert Event.UNDELIVERED.sender is None
    assert {e for e in Event if e.sender is Role.BAP} == {Event[row[0]] for row in ROWS[:11]}


def test_messages_become_events() -> None:
    assert event_named("update", try_=True) is Event.UPDATE_TRY
    assert event_named("on_cancel", try_=True) is Event.ON_CANCEL_TRY
    assert event_named("on_cancel", try_=True, error=True) is Event.ON_CANCEL_ERROR
    assert event_named("on_status", status="COMPLETE") is Event.ON_STATUS_COMPLETE
    assert event_named("on_status", error=True, status="ACTIVE") is Event.ON_SIDE_ERROR
    assert event_named("on_rate") is Event.ON_SIDE
    with pytest.raises(Refusal, match=r"status\.code"):
        event_named("on_status")


def test_the_wire_knows_four_states() -> None:
    assert [wire_status(state) for state in State] == (
        ["DRAFT"] * 6 + ["ACTIVE"] * 3 + ["COMPLETE", "CANCELLED"]
    )


def test_the_page_is_drawn_from_the_table() -> None:
    text = page()
    assert "    CONFIRMING --> ACTIVE: on_confirm, on_status ACTIVE" in text
    assert "| CANCELLED | confirm | `BIZ_QUOTE_EXPIRED_OR_CHANGED` |" in text
    assert text.count(" --> ") == len(_moves()) + 3


def _moves() -> set[tuple[State, State]]:
    return {(state, to) for (state, _), to in TABLE.items() if to is not state}
