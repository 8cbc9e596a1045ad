"""From a request's bytes to a signed answer: the checks in the order of their cost, then one durable write.

Law: size, path, rate, header and its window cost nothing and come first; then the registry, then the
signature over the raw bytes, and only then is anything parsed. Nothing is acknowledged before it is durable;
a refused message changes no state. Every answer is signed, refusals too, and bound to the request's own
signature. A message is for this path, this participant and this time, from the one who signed it, and its
claimed address is the registered one. Source: NFH-004, NFH-008 and NFH-013 of Beckn 2.0.0 LTS.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from flexlond.beckn.contract.machine import RemoteViolation, event_of
from flexlond.beckn.contract.table import DRAFTS, Event
from flexlond.beckn.journal.contracts import Standing
from flexlond.beckn.journal.inbox import Incoming
from flexlond.beckn.node.limits import Buckets
from flexlond.beckn.trust import registry as trust
from flexlond.beckn.trust import signature
from flexlond.beckn.wire import acks, context, messages, strict_json
from flexlond.beckn.wire.actions import ACTIONS, Action
from flexlond.beckn.wire.codes import Code, Refusal, is_synchronous

if TYPE_CHECKING:
    from flexlond.beckn.journal.journal import Journal
    from flexlond.beckn.node.settings import Identity, NodeSettings
    from flexlond.beckn.trust.registry import Registry, Subscriber
    from flexlond.beckn.wire.messages import Message

_OPENING = frozenset({"discover", "select", "init", "confirm"})


@dataclass(frozen=True, slots=True)
class Arrival:
    """One POST as it came. `path` has no leading slash."""

    path: str
    authorization: str
    body: bytes
    now: float


@dataclass(frozen=True, slots=True)
class Reply:
    """The synchronous answer. `code` is empty for an acknowledgement."""

    status: int
    headers: dict[str, str]
    body: bytes
    code: str = ""


class Gate:
    """The way in of one participant."""

    def __init__(self, us: Identity, settings: NodeSettings, journal: Journal) -> None:
        self.us = us
        self._settings = settings
        self._journal = journal
        self._buckets = Buckets(settings.rate_per_second, settings.burst)
        self.dormant = ""  # why nothing new is taken up now; empty: it is

    async def receive(self, arrival: Arrival, registry: Registry) -> Reply:
        """Judge, write down, answer. Never raises for what a stranger sent."""
        claim: signature.Claim | None = None
        try:
            action = self._open(arrival)
            claim = signature.read(arrival.authorization, self._settings.signatures)
            signature.check_window(claim, arrival.now, self._settings.signatures.skew)
            peer = await registry.find(claim.subscriber, claim.key, arrival.now)
            message_id = self._admit(arrival, action, claim, peer)
        except Refusal as refusal:
            body = acks.nack(acks.message_id_in(arrival.body), refusal)
            return self._reply(refusal.status, body, arrival, claim, refusal)
        return self._reply(200, acks.ack(message_id), arrival, claim)

    def refuse(self, arrival: Arrival, refusal: Refusal) -> Reply:
        """A signed refusal of what did not even come to be judged (too large, too often)."""
        body = acks.nack(acks.message_id_in(arrival.body), refusal)
        try:
            claim = signature.read(arrival.authorization, self._settings.signatures)
        except Refusal:
            claim = None
        return self._reply(refusal.status, body, arrival, claim, refusal)

    def _open(self, arrival: Arrival) -> Action:
        action = ACTIONS.get(arrival.path)
        if action is None or action.sender is self.us.role:
            raise Refusal(
                Code.NET_NOT_IMPLEMENTED,
                f"/{arrival.path[:40]} is not taken here by a {self.us.role.value}",
            )
        if len(arrival.body) > self._settings.max_bytes:
            raise Refusal(
                Code.SCH_INVALID_JSON,
                f"the body has {len(arrival.body)} bytes; at most {self._settings.max_bytes} are accepted",
            )
        return action

    def _admit(
        self, arrival: Arrival, action: Action, claim: signature.Claim, peer: Subscriber
    ) -> str:
        settings = self._settings
        trust.check(peer, arrival.now, settings.networks)
        bound = self._verify(arrival, claim, peer)
        self._buckets.take(peer.id, arrival.now)
        message = messages.parse(
            arrival.body, action.name, settings.allowed_contexts, settings.max_bytes
        )
        if bound and bound not in self._journal.outbox.signatures(message.envelope.message_id):
            raise Refusal(
                Code.AUT_SIGNATURE_INVALID, "it is bound to another request than it answers"
            )
        self._bind(message, peer)
        incoming = Incoming(
            action=action.name,
            peer=peer.id,
            peer_key=peer.key_id,
            message_id=message.envelope.message_id,
            transaction_id=message.envelope.transaction_id,
            digest=signature.digest(arrival.body),
            signature=claim.signature_text,
            body=arrival.body,
            received=arrival.now,
        )
        with self._journal.transaction():
            inbox = self._journal.inbox
            known = inbox.is_known(
                incoming,
                claim.signature,
                is_request=action.is_request,
                strict=settings.strict_duplicates,
            )
            if not known:
                context.check_time(message.envelope, arrival.now, settings.signatures.skew)
                if self.dormant and action.name in _OPENING:
                    raise Refusal(Code.POL_NP_DORMANT, self.dormant, retry_after=60)
                self._check_answer(message, chained=claim.chained)
                incoming = self._take(message, incoming)
                inbox.add(incoming, answered=not action.is_request)
            inbox.remember(claim.signature, claim.expires + 1.0)
        return incoming.message_id

    def _verify(self, arrival: Arrival, claim: signature.Claim, peer: Subscriber) -> str:
        """The signature of ours that a chained one is bound to; empty for a plain one."""
        if not claim.chained:
            signature.verify(claim, arrival.body, peer.key, self._settings.signatures)
            return ""
        ours = [
            one
            for message_id in acks.message_ids_in(arrival.body)
            for one in self._journal.outbox.signatures(message_id)
        ]
        for one in ours[:-1]:
            try:
                signature.verify(claim, arrival.body, peer.key, self._settings.signatures, (one,))
            except Refusal:
                continue
            return one
        signature.verify(claim, arrival.body, peer.key, self._settings.signatures, ours[-1:])
        return ours[-1]

    def _bind(self, message: Message, peer: Subscriber) -> None:
        """The signer is the sender, we are the receiver, and the sender lives where the registry says."""
        envelope, sender = message.envelope, message.action.sender
        if envelope.party(sender) != peer.id or peer.role is not sender:
            raise Refusal(
                Code.AUT_UNAUTHORIZED_ACTION,
                f"signed by {peer.id} ({peer.role.value}), sent in the name of"
                f" {envelope.party(sender)[:80]!r} ({sender.value})",
                f"$.context.{sender.value.lower()}Id",
            )
        context.check_audience(envelope, message.action, self.us.id)
        claimed = envelope.uri(sender)
        if claimed and trust.host_of(claimed) != peer.host:
            raise Refusal(
                Code.CTX_INVALID_FIELD,
                f"{trust.host_of(claimed)[:80]!r}; expected the registered {peer.host!r}",
                f"$.context.{sender.value.lower()}Uri",
            )
        network = self._settings.network_id
        if network and envelope.network_id and envelope.network_id != network:
            raise Refusal(
                Code.CTX_INVALID_FIELD,
                f"{envelope.network_id[:80]!r}; expected {network!r}",
                "$.context.networkId",
            )

    def _check_answer(self, message: Message, *, chained: bool) -> None:
        """A callback to a request of ours is bound to it; one that is not may come where pushes may."""
        action, envelope = message.action, message.envelope
        if action.is_request:
            return
        request = self._journal.outbox.request(envelope.message_id)
        if request is None:
            if not action.contractual:
                raise Refusal(
                    Code.CTX_TRANSACTION_ID_UNKNOWN, "we did not ask", "$.context.messageId"
                )
            return
        if ACTIONS[request.action].answer != action.name or request.peer != envelope.party(
            action.sender
        ):
            raise Refusal(
                Code.CTX_INVALID_FIELD,
                f"the id of our {request.action} to {request.peer}; this is {action.name}",
                "$.context.messageId",
            )
        if request.transaction_id != envelope.transaction_id:
            raise Refusal(
                Code.CTX_INVALID_FIELD,
                "not the transaction of the request that it answers",
                "$.context.transactionId",
            )
        if not chained and self._settings.signatures.strict_binding:
            raise Refusal(
                Code.AUT_SIGNATURE_INVALID,
                "the answer is not bound to the request; sign four lines with request-signature",
            )
        if envelope.request_digest and envelope.request_digest != request.digest:
            raise Refusal(
                Code.CTX_INVALID_FIELD,
                "not the digest of our request",
                "$.context.requestDigest.digest",
            )

    def _take(self, message: Message, incoming: Incoming) -> Incoming:
        """Move the contract; what is answered in the callback is noted with the message."""
        if not message.action.contractual:
            return incoming
        contracts = self._journal.contracts
        event = event_of(message)
        known = contracts.get(incoming.transaction_id)
        if known is not None and known.peer != incoming.peer:
            raise Refusal(
                Code.AUT_UNAUTHORIZED_ACTION, "this transaction is with another participant"
            )
        standing = known or Standing(incoming.transaction_id, incoming.peer)
        standing = replace(
            standing,
            peer_key=incoming.peer_key,
            peer_uri=message.envelope.uri(message.action.sender) or standing.peer_uri,
        )
        if event in {Event.UPDATE, Event.CANCEL} and self._settings.strict_two_phase:
            _check_preview(message, standing, event)
        try:
            self._check_contract_id(message, standing)
            moved = contracts.step(
                standing, event, incoming.received, message_id=incoming.message_id
            )
        except Refusal as refusal:
            late = isinstance(refusal, RemoteViolation) and not message.action.is_request
            if late or is_synchronous(refusal.code):
                raise
            return replace(incoming, refusal=refusal.code.value, refusal_text=refusal.text)
        changed = moved.state is not standing.state
        self._remember(message, moved, event, incoming, changed=changed)
        return incoming

    def _check_contract_id(self, message: Message, standing: Standing) -> None:
        contract = message.contract
        said = contract.id if contract is not None and isinstance(contract.id, str) else ""
        if said and standing.contract_id and said != standing.contract_id:
            raise Refusal(
                Code.BIZ_ORDER_NOT_FOUND,
                f"the order {said[:60]!r} is not the one of this transaction",
                "$.message.contract.id",
            )

    def _remember(
        self,
        message: Message,
        moved: Standing,
        event: Event,
        incoming: Incoming,
        *,
        changed: bool,
    ) -> None:
        """Id, terms, preview and deadline that the message brings."""
        contract = message.contract
        if contract is not None and isinstance(contract.id, str) and not moved.contract_id:
            moved = replace(moved, contract_id=contract.id)
        preview = event in {Event.ON_UPDATE_TRY, Event.ON_CANCEL_TRY}
        agreed = not message.action.is_request and message.error is None and not preview
        if contract is not None and agreed:
            moved = replace(moved, body=strict_json.dump(message.plain_contract))
        if preview:
            kind = "update" if event is Event.ON_UPDATE_TRY else "cancel"
            moved = replace(moved, preview=kind, preview_digest=incoming.digest)
        if changed and moved.state in DRAFTS:
            moved = replace(moved, deadline=incoming.received + self._settings.draft_seconds)
        self._journal.contracts.save(moved)

    def _reply(
        self,
        status: int,
        body: bytes,
        arrival: Arrival,
        claim: signature.Claim | None,
        refusal: Refusal | None = None,
    ) -> Reply:
        answered = claim.signature_text if claim else ""
        headers = {
            "content-type": "application/json",
            "signature": self.us.signer.header(body, arrival.now, answered, chained=True),
        }
        if status == 401:
            headers["www-authenticate"] = (
                f'Signature realm="{self.us.id}",headers="{signature.THREE}"'
            )
        if refusal is not None and refusal.retry_after:
            headers["retry-after"] = str(refusal.retry_after)
        return Reply(status, headers, body, refusal.code.value if refusal else "")


def _check_preview(message: Message, standing: Standing, event: Event) -> None:
    """A commit is for the preview that we sent, byte for byte. Raises Refusal (CTX codes, at once)."""
    kind = "update" if event is Event.UPDATE else "cancel"
    said, path = message.envelope.request_digest, "$.context.requestDigest"
    if not said:
        raise Refusal(
            Code.CTX_MISSING_FIELD,
            f"absent; expected the digest of our on_{kind} to the same {kind} with try=true",
            path,
        )
    if standing.preview != kind or said != standing.preview_digest:
        raise Refusal(
            Code.CTX_INVALID_FIELD,
            f"not the digest of the last on_{kind} preview; ask with try=true again",
            f"{path}.digest",
        )
