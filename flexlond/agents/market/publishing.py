"""The catalogue given out unasked: to whom, when, and what became of it.

Law: what is published is what a discover would be answered at that moment, nothing more. It goes out when it
has changed enough and when its time has come, never oftener than the envelope is asked for; a site that has
nothing to sell any more says so once, for an old catalogue would be believed. Nothing is remembered over a
restart: the catalogue is published anew then. No order rests on it. Epoch seconds, watts, GBP per kWh.
"""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING

import structlog

from flexlond.agents.market import papers
from flexlond.beckn.wire.actions import Role

if TYPE_CHECKING:
    from collections.abc import Mapping

    from flexlond.agents.market.port import Place
    from flexlond.agents.market.seller import Seller
    from flexlond.beckn.trust.registry import Subscriber
    from flexlond.beckn.wire.messages import Message

Shown = dict[int, tuple[int, float, float]]
"""By slot: watts left, price, the last moment to order."""

_log = structlog.get_logger()


class Publisher:
    """Publishes what one seller has."""

    def __init__(self, seller: Seller, place: Place, now: float) -> None:
        self._seller, self._place = seller, place
        self._shown: Shown | None = (
            None  # what they have; None: not known, they may hold an old one
        )
        self._to: tuple[str, ...] = ()
        self._at = now

    def turn(self, now: float) -> bool:
        """Publish where it is due; whether something was written for the node."""
        sell = self._seller.sell
        new = sell.publish_to != self._to
        if not sell.publish_to or not (new or now - self._at >= sell.refresh):
            self._to = sell.publish_to
            return False
        shown = self._look(now)
        if not self._is_due(shown, now, new=new):
            return False
        us = (self._seller.node.us.id, self._seller.node.us.uri)
        catalogs = self._seller.catalogue(now) or papers.withdrawn(us, sell, now)
        body = papers.publication(catalogs)
        known = {one.id: one for one in self._place.peers(Role.BAP, now)}
        for name in sell.publish_to:
            self._send(known.get(name), name, body, now)
        self._shown, self._to, self._at = shown, sell.publish_to, now
        return True

    def heard(self, message: Message, peer: str) -> None:
        """What one of them says to it, for the log."""
        if message.error is not None:
            _log.warning("catalogue not taken", by=peer, code=message.error.code[:80])
            return
        for one in message.body.results:
            if one.status != "ACCEPTED":
                why = [f"{e.code}: {e.message}"[:200] for e in one.errors or ()]
                _log.warning("catalogue not taken", by=peer, status=one.status, why=why)

    def _send(
        self, to: Subscriber | None, name: str, body: Mapping[str, object], now: float
    ) -> None:
        if to is None:
            _log.warning("catalogue not published: no BAP of the trust file", to=name)
            return
        self._seller.node.ask(
            "catalog/publish", to, str(uuid.uuid4()), dict(body), now, schema_context=papers.SCHEMAS
        )

    def _look(self, now: float) -> Shown:
        """What is for sale now."""
        offering = self._seller.works.offering(now)
        if offering is None:
            return {}
        left = self._seller.left(offering, now)
        least = self._seller.sell.least_kw * 1000.0
        return {
            one.start: (watts, one.price(watts / 1000.0), one.order_by)
            for one in offering.open(now)
            if (watts := left.get(one.start, 0)) >= least
        }

    def _is_due(self, shown: Shown, now: float, *, new: bool) -> bool:
        late = now - self._at >= self._seller.sell.publish_every
        if self._shown is None:  # nothing to sell may be a plan that is still to come
            return bool(shown) or late
        if not shown:
            return bool(self._shown) or new
        return new or late or differs(self._shown, shown, self._seller.sell.publish_change, now)


def differs(before: Shown, after: Shown, share: float, now: float) -> bool:
    """Whether a slot that can still be ordered came, went, or changed its kW or price by more than `share`."""
    still = {at: one for at, one in before.items() if now < one[2]}
    if set(still) != set(after):
        return True
    return any(
        abs(old - new) > share * max(abs(old), abs(new))
        for at, one in still.items()
        for old, new in zip(one[:2], after[at][:2], strict=True)
    )
