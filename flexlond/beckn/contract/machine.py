"""One step of a contract's life, and from messages to the events of the table.

Law: `step` is the only way from one state to the next; a violation changes nothing. It knows which role is
ours, and so whose mistake a violation is. No I/O, no clock. Source: `table`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from flexlond.beckn.contract.table import TABLE, Event, State, violation
from flexlond.beckn.wire.codes import Code, Refusal

if TYPE_CHECKING:
    from flexlond.beckn.wire.actions import Role
    from flexlond.beckn.wire.messages import Message

_ON_STATUS = {
    "DRAFT": Event.ON_STATUS_DRAFT,
    "ACTIVE": Event.ON_STATUS_ACTIVE,
    "COMPLETE": Event.ON_STATUS_COMPLETE,
    "CANCELLED": Event.ON_STATUS_CANCELLED,
}
_SIDE = frozenset({"on_track", "on_support", "on_rate"})


class LocalViolation(Exception):  # noqa: N818 - h11's word for it
    """We were about to say what the contract does not admit; nothing was said."""

    def __init__(self, state: State, event: Event) -> None:
        super().__init__(
            f"{event.value!r} is not possible while the contract is {state.value}; it was not sent"
        )
        self.state, self.event = state, event


class RemoteViolation(Refusal):
    """The peer said what the contract does not admit; nothing changes."""

    def __init__(self, state: State, event: Event) -> None:
        super().__init__(
            violation(state, event),
            f"{event.value!r} is not possible while the contract is {state.value}",
        )
        self.state, self.event = state, event


def step(state: State, event: Event, us: Role) -> State:
    """The next state. Raises LocalViolation or RemoteViolation."""
    found = TABLE.get((state, event))
    if found is not None:
        return found
    if event.sender in {None, us}:
        raise LocalViolation(state, event)
    raise RemoteViolation(state, event)


def may(state: State, event: Event) -> bool:
    """Whether the table admits it."""
    return (state, event) in TABLE


def event_of(message: Message) -> Event:
    """The event that a message is."""
    contract = message.contract
    status = contract.status.code if contract and contract.status else ""
    return event_named(
        message.action.name,
        try_=message.envelope.try_,
        error=message.error is not None,
        status=status if isinstance(status, str) else "",
    )


def event_named(action: str, *, try_: bool = False, error: bool = False, status: str = "") -> Event:
    """The event of an action. `status` is the contract's code, which an on_status must have."""
    if error:
        sided = action in _SIDE or action == "on_status"
        return Event.ON_SIDE_ERROR if sided else Event(f"{action} error")
    if action == "on_status":
        if status not in _ON_STATUS:
            raise Refusal(
                Code.SCH_REQUIRED_FIELD_MISSING,
                f"absent; expected one of {', '.join(_ON_STATUS)}",
                "$.message.contract.status.code",
            )
        return _ON_STATUS[status]
    if action in _SIDE:
        return Event.ON_SIDE
    return Event(f"{action} try" if try_ and action.endswith(("update", "cancel")) else action)


def wire_status(state: State) -> str:
    """The protocol's word for a state."""
    if state in {State.COMPLETE, State.CANCELLED}:
        return state.value
    return "ACTIVE" if state in {State.ACTIVE, State.UPDATING, State.CANCELLING} else "DRAFT"
