"""The life cycle of a contract as one table of states and events, the same for both sides.

Law: what is not in the table is a violation: local when the side that would speak is ours (a mistake of
ours, never sent), remote when it is the peer's (answered with the code that `violation` gives). Terminal
states have no way out. Answers that come late, again, or in another order than they were sent change
nothing, for the network may do that to them. An order is binding from CONFIRMING's answer on; before that
either side's clock may end it (`lapse`), between confirm and its answer neither may. No I/O, no clock.
Source: Beckn 2.0.0 LTS (2026-05-27), NFH-013; the states are ours, for the protocol knows only four.
"""

from __future__ import annotations

from enum import StrEnum, unique
from typing import TYPE_CHECKING

from flexlond.beckn.wire.actions import Role
from flexlond.beckn.wire.codes import Code

if TYPE_CHECKING:
    from collections.abc import Mapping


@unique
class State(StrEnum):
    """Where a contract is, as one side knows."""

    IDLE = "IDLE"  # nothing was said yet
    SELECTING = "SELECTING"
    SELECTED = "SELECTED"
    INITIALISING = "INITIALISING"
    INITIALISED = "INITIALISED"  # a quote stands, what it names is reserved
    CONFIRMING = "CONFIRMING"
    ACTIVE = "ACTIVE"
    UPDATING = "UPDATING"
    CANCELLING = "CANCELLING"
    COMPLETE = "COMPLETE"
    CANCELLED = "CANCELLED"  # also an order that never became active


@unique
class Event(StrEnum):
    """What is said, or what our own clock or outbox says. Named by the action."""

    SELECT = "select"
    INIT = "init"
    CONFIRM = "confirm"
    STATUS = "status"
    UPDATE_TRY = "update try"
    UPDATE = "update"
    CANCEL_TRY = "cancel try"
    CANCEL = "cancel"
    TRACK = "track"
    SUPPORT = "support"
    RATE = "rate"
    ON_SELECT = "on_select"
    ON_SELECT_ERROR = "on_select error"
    ON_INIT = "on_init"
    ON_INIT_ERROR = "on_init error"
    ON_CONFIRM = "on_confirm"
    ON_CONFIRM_ERROR = "on_confirm error"
    ON_STATUS_DRAFT = "on_status DRAFT"
    ON_STATUS_ACTIVE = "on_status ACTIVE"
    ON_STATUS_COMPLETE = "on_status COMPLETE"
    ON_STATUS_CANCELLED = "on_status CANCELLED"
    ON_UPDATE_TRY = "on_update try"
    ON_UPDATE = "on_update"
    ON_UPDATE_ERROR = "on_update error"
    ON_CANCEL_TRY = "on_cancel try"
    ON_CANCEL = "on_cancel"
    ON_CANCEL_ERROR = "on_cancel error"
    ON_SIDE = "on_track, on_support, on_rate"
    ON_SIDE_ERROR = "error in on_status, on_track, on_support, on_rate"
    LAPSE = "lapse"  # our clock: the wait is over
    UNDELIVERED = "undelivered"  # our outbox gave a request up

    @property
    def sender(self) -> Role | None:
        """Who says it; None for our own clock and outbox."""
        if self in {Event.LAPSE, Event.UNDELIVERED}:
            return None
        return Role.BPP if self.value.startswith(("on_", "error")) else Role.BAP


TERMINAL = frozenset({State.COMPLETE, State.CANCELLED})
DRAFTS = (State.SELECTING, State.SELECTED, State.INITIALISING, State.INITIALISED)
LIVE = (State.ACTIVE, State.UPDATING, State.CANCELLING)
BEGUN = tuple(state for state in State if state is not State.IDLE)
BOUND = (*LIVE, State.COMPLETE, State.CANCELLED)  # a confirm has been answered

_S, _E = State, Event


def _build() -> Mapping[tuple[State, Event], State]:
    table: dict[tuple[State, Event], State] = {}

    def move(event: Event, to: State, *states: State) -> None:
        for state in states:
            table[state, event] = to

    def stay(event: Event, *states: State) -> None:
        for state in states:
            table.setdefault((state, event), state)

    # to an order
    move(_E.SELECT, _S.SELECTING, _S.IDLE, _S.SELECTED, _S.INITIALISED)
    move(_E.ON_SELECT, _S.SELECTED, _S.SELECTING)
    move(_E.ON_SELECT_ERROR, _S.CANCELLED, _S.SELECTING)
    move(_E.INIT, _S.INITIALISING, _S.SELECTED, _S.INITIALISED)
    move(_E.ON_INIT, _S.INITIALISED, _S.INITIALISING)
    move(_E.ON_INIT_ERROR, _S.CANCELLED, _S.INITIALISING)
    move(_E.CONFIRM, _S.CONFIRMING, _S.INITIALISED)
    move(_E.ON_CONFIRM, _S.ACTIVE, _S.CONFIRMING)
    move(_E.ON_CONFIRM_ERROR, _S.CANCELLED, _S.CONFIRMING)
    move(_E.LAPSE, _S.CANCELLED, *DRAFTS)
    move(_E.UNDELIVERED, _S.CANCELLED, _S.SELECTING, _S.INITIALISING)
    stay(_E.UNDELIVERED, *BEGUN)  # of a confirm too: only a status can say what became of it

    # an order in force; an update waits for its answer, a cancel too
    move(_E.UPDATE, _S.UPDATING, _S.ACTIVE)
    move(_E.ON_UPDATE, _S.ACTIVE, _S.UPDATING)
    move(_E.ON_UPDATE_ERROR, _S.ACTIVE, _S.UPDATING)
    move(_E.CANCEL, _S.CANCELLING, _S.ACTIVE)
    move(_E.ON_CANCEL, _S.CANCELLED, *DRAFTS, _S.CONFIRMING, *LIVE)
    move(_E.ON_CANCEL_ERROR, _S.ACTIVE, _S.CANCELLING)
    move(_E.UNDELIVERED, _S.ACTIVE, _S.UPDATING, _S.CANCELLING)
    move(_E.LAPSE, _S.ACTIVE, _S.UPDATING, _S.CANCELLING)
    stay(_E.UPDATE_TRY, _S.ACTIVE)
    stay(_E.CANCEL_TRY, _S.ACTIVE)

    # what a status proves
    move(_E.ON_STATUS_ACTIVE, _S.ACTIVE, _S.CONFIRMING)
    move(_E.ON_STATUS_COMPLETE, _S.COMPLETE, _S.CONFIRMING, *LIVE)
    move(_E.ON_STATUS_CANCELLED, _S.CANCELLED, *DRAFTS, _S.CONFIRMING, *LIVE)
    stay(_E.ON_STATUS_DRAFT, *BEGUN)  # may have been written before the confirm came
    stay(_E.ON_STATUS_ACTIVE, *BOUND)
    stay(_E.ON_STATUS_COMPLETE, _S.COMPLETE)
    stay(_E.ON_STATUS_CANCELLED, _S.CANCELLED)

    # late, repeated, or unasked
    stay(_E.ON_SELECT, *BEGUN)
    stay(_E.ON_SELECT_ERROR, *BEGUN)
    stay(_E.ON_INIT, *(state for state in BEGUN if state is not _S.SELECTING))
    stay(_E.ON_INIT_ERROR, *BEGUN)
    stay(_E.ON_CONFIRM, *BOUND)
    stay(_E.ON_CONFIRM_ERROR, *BEGUN)
    stay(_E.ON_UPDATE, *BOUND)
    stay(_E.ON_CANCEL, _S.CANCELLED)
    for event in (
        _E.ON_UPDATE_TRY,
        _E.ON_UPDATE_ERROR,
        _E.ON_CANCEL_TRY,
        _E.ON_CANCEL_ERROR,
        _E.ON_SIDE,
        _E.ON_SIDE_ERROR,
    ):
        stay(event, *BEGUN)

    # asked at any time
    stay(_E.STATUS, *BEGUN)
    stay(_E.SUPPORT, *BEGUN)
    stay(_E.TRACK, *LIVE)
    stay(_E.RATE, *TERMINAL)
    return table


TABLE: Mapping[tuple[State, Event], State] = _build()


def violation(state: State, event: Event) -> Code:
    """The code of a violation by the peer."""
    if state is State.IDLE:
        return Code.CTX_TRANSACTION_ID_UNKNOWN
    if event is Event.CONFIRM:
        if state is State.CANCELLED:
            return Code.BIZ_QUOTE_EXPIRED_OR_CHANGED
        if state in BOUND or state is State.CONFIRMING:
            return Code.BIZ_ALREADY_CONFIRMED
    if state is State.CANCELLED and event in {Event.CANCEL, Event.CANCEL_TRY}:
        return Code.BIZ_ALREADY_CANCELLED
    if event is Event.TRACK:
        return Code.BIZ_TRACKING_NOT_SUPPORTED
    return Code.BIZ_INVALID_STATE_TRANSITION
