"""What a bidder does by itself: look for needs, bid where it pays, ask what is in doubt, cancel what failed.

Law: level-triggered: every turn compares the bids with what is in the journal and does the next thing, so a
restart at any point goes on where it was. A bid and its reservation are one transaction with the request. Grids
that do not answer are asked less and less often. What was lost is not bid again until the need was published
anew. Epoch seconds, watts. Source: our own.
"""

from __future__ import annotations

import math
import uuid
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import structlog

from flexlond.agents.bidding import papers
from flexlond.agents.bidding.choice import Bid, Terms, decide
from flexlond.agents.bidding.records import Entry
from flexlond.agents.market.sales import Sale, SaleState
from flexlond.beckn.contract.table import LIVE, State
from flexlond.beckn.wire.actions import Role
from flexlond.beckn.wire.codes import Refusal

if TYPE_CHECKING:
    from collections.abc import Mapping

    from flexlond.agents.bidding.bidder import Bidder
    from flexlond.agents.bidding.needs import Published
    from flexlond.agents.market.offering import Offering
    from flexlond.agents.market.port import Place
    from flexlond.beckn.journal.contracts import Standing

MOST_LOSSES = 3  # of one need
MOST_SILENCES = 6  # doublings of the pause between two questions
KEPT = 7 * 86_400.0  # seconds that a bid which was lost is remembered
SWEEP_SECONDS = 15.0
LOOK_SECONDS = 5.0  # between two looks at the same needs
PROOF = 86_400.0  # seconds after its last slot that a grid is asked how an order ended
_STANDING = (
    SaleState.QUOTED,
    SaleState.PENDING,
    SaleState.SOLD,
    SaleState.KEPT,
    SaleState.BREAKING,
)
_log = structlog.get_logger()


@dataclass(slots=True)
class Turns:
    """One bidder at work."""

    bidder: Bidder
    place: Place
    _asked: dict[str, tuple[float, int]] = field(default_factory=dict)  # last discover, silences
    _about: dict[tuple[str, SaleState], tuple[float, int]] = field(
        default_factory=dict
    )  # the last question about an order in a state, and how often
    _swept: float = -math.inf
    _seen: tuple[Any, ...] = ()  # the plan and the needs at the last look
    _looked: float = -math.inf
    why_not: dict[tuple[str, str], str] = field(default_factory=dict)  # the last word on each need

    def turn(self, now: float) -> bool:
        """Everything that is next; whether something was written for the node."""
        bidder = self.bidder
        chosen, us = bidder.bid.grids, bidder.node.us.id
        found = {one.id: one for one in self.place.peers(Role.BPP, now)}
        ours = {side.node.us.id for side in bidder.account.sides}
        bidder.grids = {
            name: one
            for name, one in found.items()
            if name != us and name not in ours and (not chosen or name in chosen)
        }
        done = self._look_after(now)
        done |= self._discover(now)
        return self._bid(now) or done

    # ---- what was bid

    def _look_after(self, now: float) -> bool:
        sales, done = self.bidder.sales, False
        for sale in sales.of(SaleState.QUOTED, SaleState.BREAKING):
            with self.bidder.node.journal.transaction():
                done |= self._one(sale, now)
        if now - self._swept < SWEEP_SECONDS:
            return done
        self._swept = now
        for sale in sales.of(SaleState.OVER):
            with self.bidder.node.journal.transaction():
                done |= self._one(sale, now)
        for sale in sales.of(SaleState.REFUSED):
            if now > sale.end + KEPT:
                sales.drop(sale.transaction_id)
                self.bidder.entries.drop(sale.transaction_id)
        return done

    def _one(self, sale: Sale, now: float) -> bool:
        bidder = self.bidder
        standing = bidder.node.journal.contracts.get(sale.transaction_id)
        if standing is None or standing.is_ended or now > sale.end + PROOF:
            return False
        if sale.state is SaleState.BREAKING:
            return self._break(sale, standing, now)
        unread = standing.state in LIVE and now - standing.since > bidder.bid.silent_seconds
        if sale.state is SaleState.QUOTED and unread:  # what is active is kept or cancelled
            bidder.failed(sale, standing, "the grid's answer could not be read", now)
            return False
        ended = sale.state is SaleState.OVER
        if not (ended or standing.state is State.CONFIRMING) or not self._due(sale, now):
            return False
        if ended:
            bidder.tell(sale, standing, now, why="", over=True)
        elif peer := bidder.grids.get(sale.peer):
            bidder.node.ask_again(peer, standing, now)
        return True

    def _break(self, sale: Sale, standing: Standing, now: float) -> bool:
        """Cancel in two phases; what the grid does not let go is over with nothing delivered."""
        bidder = self.bidder
        if now >= sale.end:
            bidder.sales.move(sale, SaleState.OVER)
            return False
        asked = bidder.cancels.get(sale.transaction_id, -math.inf)
        under_way = now - asked < bidder.bid.silent_seconds
        if standing.state is not State.ACTIVE or under_way:
            return False  # under way; a second preview would make the first one's digest wrong
        if not self._due(sale, now):
            return False
        bidder.break_off(sale, standing, now)
        return True

    def _due(self, sale: Sale, now: float) -> bool:
        """Whether to ask about it again: less and less often."""
        key = (sale.transaction_id, sale.state)
        at, times = self._about.get(key, (sale.created, 0))
        pause = self.bidder.bid.silent_seconds * 2.0 ** min(times, MOST_SILENCES)
        first = sale.state is SaleState.BREAKING and not times
        if not first and now - at < pause:
            return False
        self._about[key] = (now, times + 1)
        return True

    # ---- needs

    def _discover(self, now: float) -> bool:
        bidder, done = self.bidder, False
        for name, peer in bidder.grids.items():
            heard = bidder.heard_from.get(name, -math.inf)
            asked, silences = self._asked.get(name, (-math.inf, 0))
            if heard >= asked:
                silences = 0
            pause = bidder.bid.refresh_seconds * 2.0 ** min(silences, MOST_SILENCES)
            if now - max(asked, heard) < pause:
                continue
            bidder.node.ask("discover", peer, str(uuid.uuid4()), papers.INTENT, now)
            self._asked[name] = (now, silences + 1)
            done = True
        return done

    def _bid(self, now: float) -> bool:
        """Into the best paid need first; each bid changes what is left for the next."""
        bidder, done = self.bidder, False
        offering = bidder.works.offering(now)
        if offering is None:
            return False
        news = (offering.made_at, *sorted((key, one.written) for key, one in bidder.needs.items()))
        if news == self._seen and now - self._looked < LOOK_SECONDS:
            return False
        self._seen, self._looked = news, now
        self.why_not = {key: why for key, why in self.why_not.items() if key in bidder.needs}
        left = self._left(offering, now)
        for need in sorted(bidder.needs.values(), key=_worth, reverse=True):
            if need.seller in bidder.grids and self._bid_into(need, offering, left, now):
                left, done = self._left(offering, now), True
        return done

    def _left(self, offering: Offering, now: float) -> dict[int, int]:
        """Watts by slot that can be bid: who falls short does not bid for the rest."""
        account = self.bidder.account
        short = account.short()
        found = account.left(offering, now)
        return {at: watts for at, watts in found.items() if at not in short}

    def _bid_into(
        self, need: Published, offering: Offering, left: Mapping[int, int], now: float
    ) -> bool:
        bidder, terms = self.bidder, self.bidder.bid
        ours: dict[int, int] = {}
        lost = 0
        for entry in bidder.entries.of_need(need.seller, need.key[1]):
            sale = bidder.sales.get(entry.transaction_id)
            if sale is None:
                continue
            if sale.state not in _STANDING:
                lost += 1
                if entry.at >= need.written or lost >= MOST_LOSSES:
                    self.why_not[need.key] = f"a bid into it came to nothing: {sale.why}"
                    return False  # nothing new was published since, or it is of no use
            elif entry.at >= need.written or sale.state in {SaleState.QUOTED, SaleState.PENDING}:
                for at, watts in sale.watts.items():
                    ours[at] = ours.get(at, 0) + watts
        how = Terms(terms.margin_gbp_per_kwh, bidder.sell.least_kw, terms.lead_seconds)
        found = decide(need, offering, left, how, now=now, ours=ours)
        if not isinstance(found, Bid):
            self.why_not[need.key] = found.why
            return False
        most = bidder.sell.max_per_day
        if most and bidder.account.activations(min(found.watts), "") >= most:
            self.why_not[need.key] = f"{most} activations are sold on that day, the most"
            return False
        sale = Sale(
            transaction_id=str(uuid.uuid4()),
            order_id=str(uuid.uuid4()),
            peer=need.seller,
            slot_seconds=offering.slot_seconds,
            watts=found.watts,
            price=found.price,
            notice=found.notice,
            created=now,
        )
        entry = Entry(
            sale.transaction_id,
            need.seller,
            need.key[1],
            need.start,
            len(need.kw),
            dict(need.penalty),
            now,
        )
        try:
            bidder.place(need, sale, entry, offering)
        except Refusal as gone:
            self.why_not[need.key] = str(gone)
            return False
        self.why_not[need.key] = "a bid is under way"
        _log.info("bid", grid=need.seller, watts=max(found.watts.values()), slots=len(found.watts))
        return True


def _worth(need: Published) -> float:
    return max(need.price.values(), default=0.0)
