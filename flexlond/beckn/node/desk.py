"""What was acknowledged is handled: each message once, its state and its answer in one transaction.

Law: the business decides only what the table admits; it says yes with a message or no with a Refusal, and
whatever else it does ends as an error answer, never as silence. A draft's reservation is released in the
transaction that ends it. When a request can no longer be granted because the contract moved on, the answer
is an error. Times are epoch seconds. Source: CON-013-02 to -15 of Beckn 2.0.0 LTS.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field, replace
from enum import Enum, auto, unique
from typing import TYPE_CHECKING, Any, Protocol

from flexlond.beckn.contract.machine import LocalViolation, event_named, event_of, wire_status
from flexlond.beckn.contract.table import Event, State
from flexlond.beckn.journal.contracts import WAITING, Standing
from flexlond.beckn.journal.outbox import Outgoing
from flexlond.beckn.trust.signature import digest
from flexlond.beckn.wire import acks, context, messages, strict_json
from flexlond.beckn.wire.actions import ACTIONS, Role
from flexlond.beckn.wire.codes import Code, Refusal
from flexlond.beckn.wire.durations import duration_of

if TYPE_CHECKING:
    from flexlond.beckn.journal.inbox import Incoming
    from flexlond.beckn.journal.journal import Journal
    from flexlond.beckn.node.settings import Identity, NodeSettings
    from flexlond.beckn.wire.messages import Message

_EMPTY: dict[str, dict[str, Any]] = {
    "on_discover": {"catalogs": []},
    "catalog/on_publish": {"results": []},
    "on_rate": {"ratings": []},
}


@dataclass(frozen=True, slots=True)
class Answer:
    """Yes. `message` is the callback's message; a contract's status is written by the desk.

    `deadline` (epoch seconds, 0: the usual) ends the draft, and with it what it holds.
    """

    message: dict[str, Any]
    deadline: float = 0.0
    schema_context: tuple[str, ...] = field(default=())


@dataclass(frozen=True, slots=True)
class Later:
    """Not yet: the request is put aside until `inbox.take_up`, then it is decided anew.

    What the business wrote meanwhile stands. For a confirm, an update and a cancel: the other side may wait for
    those; a draft's clock would end the others.
    """


class Business(Protocol):
    """What an agent decides. Called within the journal's transaction; it must not wait for anything."""

    def answer(self, message: Message, standing: Standing, now: float) -> Answer | Later:
        """Decide a request. Raises Refusal with a BIZ or POL code to say no."""
        ...

    def heard(self, message: Message, standing: Standing, now: float) -> None:
        """A callback came; what follows from it (a next request) is the agent's own matter."""
        ...

    def ended(self, standing: Standing, now: float) -> None:
        """Our answer, push or clock ended a contract, or a request was given up; `standing` is as it is now.

        What the peer's callback ends is told to `heard`.
        """
        ...


@unique
class Decided(Enum):
    """Whether a request has its answer."""

    NOW = auto()
    LATER = auto()


class Desk:
    """Handles what came to one participant, and writes what it sends."""

    def __init__(
        self, us: Identity, settings: NodeSettings, journal: Journal, business: Business
    ) -> None:
        self.us = us
        self._settings = settings
        self._journal = journal
        self._business = business
        self.faults: list[str] = []  # of the business; the last hundred

    def work(self, now: float) -> bool:
        """Handle the oldest open message; False when there is none."""
        with self._journal.transaction():
            incoming = self._journal.inbox.next_open()
            if incoming is None:
                return False
            try:
                message = messages.parse(
                    incoming.body,
                    incoming.action,
                    allowed=("",),  # it passed the gate, under whatever settings then held
                    max_bytes=len(incoming.body),
                )
            except Refusal as stricter:  # taken by an older FlexLon; it must not block the others
                self._fault(incoming.action, stricter)
                self._journal.inbox.handled(incoming.seq, now)
                self._journal.inbox.answered(incoming.seq)
                return True
            standing = Standing(incoming.transaction_id, incoming.peer)
            if (
                message.action.contractual
            ):  # else its transaction id may be any, also another peer's
                standing = self._journal.contracts.get(incoming.transaction_id) or standing
            if message.action.is_request:
                if self._decide(message, incoming, standing, now) is Decided.LATER:
                    self._journal.inbox.put_aside(incoming.seq)
                    return True
            else:
                self._listen(message, standing, now)
            self._journal.inbox.handled(incoming.seq, now)
        return True

    def _listen(self, message: Message, standing: Standing, now: float) -> None:
        if message.action.contractual and standing.is_ended:
            self._journal.book.release(standing.transaction_id)
        try:
            with self._journal.transaction():
                self._business.heard(message, standing, now)
        except Exception as error:  # noqa: BLE001 - a fault of the business must not stop the desk
            self._fault(message.action.name, error)

    def _decide(
        self, message: Message, incoming: Incoming, standing: Standing, now: float
    ) -> Decided:
        refusal = None
        if incoming.refusal:
            refusal = Refusal(Code(incoming.refusal), incoming.refusal_text)
        else:
            try:
                with self._journal.transaction():
                    return self._grant(message, incoming, standing, now)
            except Refusal as no:
                refusal = no
            except LocalViolation as late:
                refusal = Refusal(Code.BIZ_INVALID_STATE_TRANSITION, str(late))
            except Exception as error:  # noqa: BLE001 - as above: an error answer, never silence
                self._fault(message.action.name, error)
                refusal = Refusal(Code.NET_INTERNAL_ERROR, "the request could not be handled")
        self._refuse(message, incoming, standing, refusal, now)
        return Decided.NOW

    def _grant(
        self, message: Message, incoming: Incoming, standing: Standing, now: float
    ) -> Decided:
        action = message.action
        asked = event_of(message) if action.contractual else None
        waited = next((state for state, event in WAITING.items() if event is asked), None)
        if waited is not None and (
            standing.state is not waited or standing.awaited != incoming.message_id
        ):
            raise Refusal(
                Code.BIZ_INVALID_STATE_TRANSITION,
                f"the contract has become {standing.state.value} meanwhile",
            )
        answer = self._business.answer(message, standing, now)
        if isinstance(answer, Later):
            return Decided.LATER
        body = dict(answer.message)
        after = standing
        if action.contractual:
            status = ""
            if action.answer == "on_status":
                status = wire_status(standing.state)
            event = event_named(action.answer, try_=message.envelope.try_, status=status)
            after = self._journal.contracts.step(
                standing, event, now, message_id=incoming.message_id
            )
            after = replace(after, contract_id=after.contract_id or str(uuid.uuid4()))
            body = self._stamp(body, after)
            after = self._note(after, body, event)
            if after.state is not standing.state and after.state in {
                State.SELECTED,
                State.INITIALISED,
            }:
                usual = now + self._settings.draft_seconds
                after = replace(after, deadline=answer.deadline or usual)
        raw = self._callback(message, incoming, body, now, answer.schema_context)
        if action.contractual:
            if message.envelope.try_ and action.two_phase:
                after = replace(after, preview=action.name, preview_digest=digest(raw))
            self._journal.contracts.save(after)
            self._end(standing, after, now)
        return Decided.NOW

    def _note(self, after: Standing, body: dict[str, Any], event: Event) -> Standing:
        contract = body.get("contract")
        if isinstance(contract, dict) and event not in {Event.ON_UPDATE_TRY, Event.ON_CANCEL_TRY}:
            after = replace(after, body=strict_json.dump(contract))
        if event in {Event.ON_UPDATE, Event.ON_CANCEL}:
            after = replace(after, preview="", preview_digest="")
        return after

    def _refuse(
        self,
        message: Message,
        incoming: Incoming,
        standing: Standing,
        refusal: Refusal,
        now: float,
    ) -> None:
        action = message.action
        if action.contractual and not incoming.refusal:
            event = event_named(action.answer, error=True)
            after = self._journal.contracts.step(
                standing, event, now, message_id=incoming.message_id, why=refusal.code.value
            )
            self._end(standing, after, now)
            standing = after
        body: dict[str, Any] = dict(_EMPTY.get(action.answer, {}))
        for part in ("contract", "support", "tracking"):
            if isinstance(message.plain["message"].get(part), dict):
                body[part] = message.plain["message"][part]
        self._callback(message, incoming, self._stamp(body, standing), now, error=refusal)

    def push(self, action: str, standing: Standing, body: dict[str, Any], now: float) -> str:
        """Say something unasked (on_status, on_update, on_cancel) as BPP; its message id.

        Raises LocalViolation where the table does not admit it. Call it within a transaction.
        """
        status = str(body.get("contract", {}).get("status", {}).get("code", ""))
        event = event_named(action, status=status)
        after = self._journal.contracts.step(standing, event, now)
        body = self._stamp(body, after)
        if isinstance(body.get("contract"), dict):
            after = replace(after, body=strict_json.dump(body["contract"]))
        self._journal.contracts.save(after)
        self._end(standing, after, now)
        message_id = str(uuid.uuid4())
        peer = (after.peer, after.peer_key, after.peer_uri)
        self.send(action, peer, after.transaction_id, message_id, body, now)
        return message_id

    def send(  # noqa: PLR0917 - a message has these parts
        self,
        action: str,
        peer: tuple[str, str, str],
        transaction_id: str,
        message_id: str,
        body: dict[str, Any],
        now: float,
        *,
        answers: Incoming | None = None,
        try_: bool | None = None,
        request_digest: str = "",
        error: Refusal | None = None,
        schema_context: tuple[str, ...] = (),
    ) -> bytes:
        """Put one message into the outbox; its bytes.

        `peer` is (id, key id, address); `error` stands beside the message.
        """
        ttl = (
            self._settings.request_ttl
            if ACTIONS[action].is_request
            else self._settings.callback_ttl
        )
        ours, theirs = (self.us.id, self.us.uri), (peer[0], peer[2])
        bap, bpp = (ours, theirs) if self.us.role is Role.BAP else (theirs, ours)
        whole: dict[str, Any] = {
            "context": context.write(
                action,
                bap=bap,
                bpp=bpp,
                transaction_id=transaction_id,
                message_id=message_id,
                now=now,
                ttl=duration_of(ttl),
                network_id=self._settings.network_id,
                try_=try_,
                request_digest=request_digest,
                schema_context=schema_context,
            ),
            "message": body,
        }
        if error is not None:
            whole["error"] = acks.error_of(error)
        raw = strict_json.dump(whole)
        self._journal.outbox.add(
            Outgoing(
                action=action,
                peer=peer[0],
                peer_key=peer[1],
                message_id=message_id,
                transaction_id=transaction_id,
                body=raw,
                digest=digest(raw),
                answers=answers.seq if answers else 0,
                answered=answers.signature if answers else "",
                created=now,
                expires=now + ttl,
            )
        )
        return raw

    def _callback(
        self,
        message: Message,
        incoming: Incoming,
        body: dict[str, Any],
        now: float,
        schema_context: tuple[str, ...] = (),
        *,
        error: Refusal | None = None,
    ) -> bytes:
        return self.send(
            message.action.answer,
            (incoming.peer, incoming.peer_key, message.envelope.uri(message.action.sender)),
            incoming.transaction_id,
            incoming.message_id,
            body,
            now,
            answers=incoming,
            try_=message.envelope.try_ if message.action.two_phase else None,
            request_digest=incoming.digest,
            error=error,
            schema_context=schema_context,
        )

    def _stamp(self, body: dict[str, Any], standing: Standing) -> dict[str, Any]:
        """The contract's status and id as this side holds them."""
        contract = body.get("contract")
        if not isinstance(contract, dict):
            return body
        stamped = {**contract, "status": {"code": wire_status(standing.state)}}
        if standing.contract_id:
            stamped["id"] = standing.contract_id
        return {**body, "contract": stamped}

    def _end(self, before: Standing, after: Standing, now: float) -> None:
        if after.is_ended and not before.is_ended:
            self._journal.book.release(after.transaction_id)
            self.tell(after, now)

    def tell(self, standing: Standing, now: float) -> None:
        """Tell the business of an end; its fault does not undo it."""
        try:
            with self._journal.transaction():
                self._business.ended(standing, now)
        except Exception as error:  # noqa: BLE001 - as above
            self._fault("end", error)

    def take_faults(self) -> list[str]:
        """What went wrong since the last call, for the log."""
        taken, self.faults = self.faults, []
        return taken

    def _fault(self, action: str, error: Exception) -> None:
        self.faults = [*self.faults[-99:], f"{action}: {type(error).__name__}: {error}"]
