"""The port between an agent of the market and whoever gives it a place there (the daemon's market, tests).

Law: an agent has one business for each of its identities. It is made anew from the journals whenever its place
is (after a fault, a restart), so what it must not forget is in them. `run` is its own task, beside answering:
cancelled at the end, and a fault that leaves it makes the place anew. Epoch seconds.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from flexlond.beckn.node.desk import Business
    from flexlond.beckn.node.node import Node
    from flexlond.beckn.trust.registry import Subscriber
    from flexlond.beckn.trust.sources import Sources
    from flexlond.beckn.wire.actions import Role
    from flexlond.model.settings import Settings


@dataclass(frozen=True)
class Place:
    """What one identity has: its node, whom it believes, and the bell of its pump."""

    node: Node
    registry: Sources
    wake: Callable[[], None]  # call it after something was put into the outbox

    def peers(self, role: Role, now: float) -> Sequence[Subscriber]:
        """Those of the trust file in a role."""
        return self.registry.named(role, now)


class MarketAgent(Protocol):
    """One agent on the market."""

    def business(self, role: Role) -> Business:
        """What answers in the name of the identity with this role; asked before `join`."""
        ...

    def join(self, places: Mapping[Role, Place]) -> None:
        """Its places are ready; nothing was answered yet."""
        ...

    async def run(self) -> None:
        """What it does by itself, until cancelled."""
        ...

    def take(self, settings: Settings) -> None:
        """Take over checked settings (a reload)."""
        ...
