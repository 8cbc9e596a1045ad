"""One participant without a network: what comes goes in at the gate, what goes out stands in the outbox.

Law: whoever drives it (HTTP, a test) brings the time and carries the bytes; everything between them is
durable, so it may be killed and made anew from its journal at any point. A request that is given up moves its
contract; a confirm that is given up does not, for only the peer knows what became of it: `ask_again` asks.
Times are epoch seconds. Source: Beckn 2.0.0 LTS, NFH-013.
"""

from __future__ import annotations

import json
import uuid
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from flexlond.beckn.contract.machine import LocalViolation, event_named
from flexlond.beckn.contract.table import LIVE, Event, State
from flexlond.beckn.journal.contracts import Standing
from flexlond.beckn.journal.outbox import TRIES
from flexlond.beckn.node.arrivals import Arrival, Gate, Reply
from flexlond.beckn.node.desk import Business, Desk
from flexlond.beckn.trust import signature
from flexlond.beckn.wire.actions import ACTIONS, Role
from flexlond.beckn.wire.codes import Refusal

if TYPE_CHECKING:
    from collections.abc import Collection

    from flexlond.beckn.journal.journal import Journal
    from flexlond.beckn.journal.outbox import Attempt, Outgoing
    from flexlond.beckn.node.settings import Identity, NodeSettings
    from flexlond.beckn.trust.registry import Registry, Subscriber
    from flexlond.beckn.trust.signature import Signer

TRY_SECONDS = 30.0  # how long one try may take


class Node:
    """Gate, desk and outbox of one identity."""

    def __init__(
        self, us: Identity, settings: NodeSettings, journal: Journal, business: Business
    ) -> None:
        self.us = us
        self.settings = settings
        self.journal = journal
        self.gate = Gate(us, settings, journal)
        self.desk = Desk(us, settings, journal, business)

    async def receive(self, arrival: Arrival, registry: Registry) -> Reply:
        """Judge and write down what came, and answer it."""
        return await self.gate.receive(arrival, registry)

    def work(self, now: float, most: int = 100) -> int:
        """Handle what was acknowledged; how many messages."""
        done = 0
        while done < most and self.desk.work(now):
            done += 1
        return done

    def use_key(self, signer: Signer) -> None:
        """Sign with another key of the same identity from now on; what waits in the outbox too.

        The registry must have the new key before, and keep the old one until its last signature expired.
        """
        if signer.subscriber != self.us.id:
            raise ValueError(f"a key of {signer.subscriber}; expected one of {self.us.id}")
        self.us = replace(self.us, signer=signer)
        self.gate.us = self.desk.us = self.us

    # ---- saying something

    def ask(
        self,
        action: str,
        peer: Subscriber,
        transaction_id: str,
        body: dict[str, Any],
        now: float,
        *,
        try_: bool | None = None,
        request_digest: str = "",
        schema_context: tuple[str, ...] = (),
    ) -> str:
        """Send a request; its message id. Durable when it returns.

        Raises LocalViolation where the contract does not admit it; then nothing was written.
        """
        message_id = str(uuid.uuid4())
        with self.journal.transaction():
            if ACTIONS[action].contractual:
                known = self.journal.contracts.get(transaction_id)
                standing = replace(
                    known or Standing(transaction_id, peer.id, since=now),
                    peer_key=peer.key_id,
                    peer_uri=peer.url,
                )
                event = event_named(action, try_=bool(try_))
                moved = self.journal.contracts.step(standing, event, now, message_id=message_id)
                if moved.state is not standing.state:
                    self._start_waiting(moved, now)
            self.desk.send(
                action,
                (peer.id, peer.key_id, peer.url),
                transaction_id,
                message_id,
                body,
                now,
                try_=try_,
                request_digest=request_digest,
                schema_context=schema_context,
            )
        return message_id

    def _start_waiting(self, standing: Standing, now: float) -> None:
        wait = self.settings.draft_seconds
        if standing.state in LIVE:
            wait = self.settings.answer_seconds
        deadline = 0.0 if standing.state is State.CONFIRMING else now + wait
        self.journal.contracts.save(replace(standing, deadline=deadline))

    def push(self, action: str, transaction_id: str, body: dict[str, Any], now: float) -> str:
        """Say something unasked as BPP; its message id. Raises LocalViolation, KeyError."""
        with self.journal.transaction():
            standing = self.journal.contracts.get(transaction_id)
            if standing is None:
                raise KeyError("no such transaction")
            return self.desk.push(action, standing, body, now)

    # ---- the outbox

    def due(self, now: float, busy: Collection[str] = ()) -> list[Outgoing]:
        """What is to be sent now, but to those who are `busy`.

        What has expired, or died with us in its last try, is given up here.
        """
        ready = []
        for item in self.journal.outbox.due(now, busy):
            if item.tries >= TRIES or (item.expires and now > item.expires):
                with self.journal.transaction():
                    self.journal.outbox.expired(item, now)
                    self._given_up(item, now)
            else:
                ready.append(item)
        return ready

    def begin(self, item: Outgoing, now: float) -> str:
        """The Authorization header of one try; remembered before it leaves."""
        header = self.us.signer.header(item.body, now, item.answered)
        claim = signature.read(header, self.settings.signatures)
        self.journal.outbox.began(
            item.seq, item.message_id, claim.signature_text, now + TRY_SECONDS
        )
        return header

    def proof_of(self, header: str, sent: str, body: bytes, peer: Subscriber, now: float) -> str:
        """Whether a peer's synchronous answer proves itself: signed, unsigned or bad.

        `sent` is the Authorization that it answers. An answer counts either way; the word is kept.
        """
        if not header:
            return "unsigned"
        switches = self.settings.signatures
        try:
            claim = signature.read(header, switches)
            signature.check_window(claim, now, switches.skew)
            ours = signature.read(sent, switches).signature_text
            signature.verify(claim, body, peer.key, switches, (ours,))
        except Refusal:
            return "bad"
        return "signed" if claim.subscriber in {"", peer.id} else "bad"

    def end(self, item: Outgoing, attempt: Attempt, now: float) -> str:
        """Write down what became of a try (`item` as before it); WAITING, DONE or FAILED."""
        with self.journal.transaction():
            counted = replace(item, tries=item.tries + 1)
            request = ACTIONS[item.action].is_request
            state = self.journal.outbox.ended(counted, attempt, now, is_request=request)
            if state == "FAILED":
                self._given_up(item, now)
            elif state == "DONE" and item.answers:
                self.journal.inbox.answered(item.answers)
        return state

    def _given_up(self, item: Outgoing, now: float) -> None:
        if item.answers:
            self.journal.inbox.answered(item.answers)
        action = ACTIONS[item.action]
        standing = self.journal.contracts.get(item.transaction_id)
        if not (action.is_request and action.contractual) or standing is None:
            return
        if standing.awaited == item.message_id:
            after = self.journal.contracts.step(standing, Event.UNDELIVERED, now)
            self.desk.tell(after, now)

    # ---- the clock

    def lapse(self, now: float) -> int:
        """End drafts that nobody went on with, and waits that were in vain; how many."""
        count = 0
        for standing in self.journal.contracts.overdue(now):
            with self.journal.transaction():
                try:
                    after = self.journal.contracts.step(standing, Event.LAPSE, now)
                except LocalViolation:  # a confirm has come in: it decides
                    continue
                self.journal.book.release(after.transaction_id)
                self.desk.tell(after, now)
                count += 1
        self.journal.inbox.forget_signatures(now)
        return count

    def ask_again(self, peer: Subscriber, standing: Standing, now: float) -> str:
        """Ask for the status of an order whose fate we do not know; the message id, empty if there is no need.

        Only a BAP asks. The contract as last agreed goes along, as the schema demands.
        """
        open_ = {State.CONFIRMING, *LIVE}
        if self.us.role is not Role.BAP or standing.state not in open_ or not standing.body:
            return ""
        contract = {**json.loads(standing.body), "id": standing.contract_id}
        return self.ask("status", peer, standing.transaction_id, {"contract": contract}, now)
