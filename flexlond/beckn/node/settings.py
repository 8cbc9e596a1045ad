"""Who this participant is, and where it is liberal or strict.

Law: one role, one key per identity (the protocol demands it). Defaults are the strict reading between FlexLon
peers; each field says which upstream text wants the other. Durations in seconds. Source: section 2.4 of the
facts we collected on Beckn 2.0.0; docs/explanation/beckn.md has the table.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from flexlond.beckn.trust.signature import Signer, Switches
from flexlond.beckn.wire.packs import ALLOWED_CONTEXTS

if TYPE_CHECKING:
    from flexlond.beckn.wire.actions import Role


@dataclass(frozen=True, slots=True)
class Identity:
    """One participant of ours."""

    role: Role
    signer: Signer
    uri: str  # where others reach us, as the registry has it

    @property
    def id(self) -> str:
        """Our subscriber id."""
        return self.signer.subscriber


@dataclass(frozen=True, slots=True)
class NodeSettings:
    """Limits and switches of one participant."""

    network_id: str = ""
    networks: frozenset[str] = frozenset()  # memberships asked of peers; empty: none asked
    signatures: Switches = field(default_factory=Switches)
    strict_two_phase: bool = True  # DEG's devkit sends an update without a preview
    strict_duplicates: bool = False  # NFH-007 10.1 refuses any repetition; CON-013-12 forbids that
    allowed_contexts: tuple[str, ...] = ALLOWED_CONTEXTS
    max_bytes: int = 1024 * 1024
    request_ttl: int = 60
    callback_ttl: int = 600  # outlasts the tries of the outbox
    draft_seconds: float = 900.0  # a draft that nobody goes on with ends
    quote_seconds: float = 300.0  # from on_init to the end of the reservation
    answer_seconds: float = 900.0  # a BAP waits so long for an update's or cancel's answer
    rate_per_second: float = 20.0  # of one peer
    burst: int = 100
