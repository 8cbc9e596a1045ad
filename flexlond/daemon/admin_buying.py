"""The admin service's calls about buying flexibility: the part of admin.py that is the Grid Orchestrator's.

Law: as admin.py: for operators only. Where this process does not buy, or is not on the market now, each call
says so. Source: protos/flexlon/admin/v1/admin.proto.
"""

# ruff: noqa: N802, ARG002 -- the names and signatures of the methods are gRPC's
from __future__ import annotations

from typing import TYPE_CHECKING, Any

from flexlond._pb import admin_pb2 as pb
from flexlond.agents.grid.agent import GridAgent
from flexlond.agents.grid.needs import NeedError
from flexlond.agents.portfolio.agent import FlexAgent
from flexlond.daemon.admin_guard import Guarded, refuse
from flexlond.daemon.admin_wire import plain_fields

if TYPE_CHECKING:
    from flexlond.agents.grid.views import DiscoverView, NeedView

NOT_HERE = (
    "this process does not buy flexibility now: [agents] grid_orchestrator is off, or it is not on the market"
    " (flexlonctl status has the warning)"
)


class BuyingCalls(Guarded):
    """What AdminService answers about buying."""

    async def Discover(self, request: pb.DiscoverRequest, context: Any) -> pb.DiscoverReply:
        """What would be bought now, and why; nothing is bought."""
        await self._operator(context, "discover offers")
        buyer = await self._buyer(context)
        try:
            view = await buyer.would_pick(
                request.goal, request.kw, request.start, request.end, request.budget_gbp
            )
        except NeedError as error:
            await refuse(context, str(error))
        return discover(view)

    async def AddNeed(self, request: pb.NeedRequest, context: Any) -> pb.BuyingNeed:
        """Buy so many kW for some slots."""
        await self._operator(context, "buy flexibility")
        buyer = await self._buyer(context)
        try:
            view = buyer.add_need(
                request.kw, request.start, request.end, request.budget_gbp, request.goal
            )
        except NeedError as error:
            await refuse(context, str(error))
        return need(view)

    async def ListNeeds(self, request: pb.Empty, context: Any) -> pb.NeedsReply:
        """Every need with what became of it."""
        await self._operator(context, "list needs")
        buyer = await self._buyer(context)
        return pb.NeedsReply(
            needs=[need(view) for view in buyer.needs()], unknown=list(buyer.unknown())
        )

    async def CancelPurchase(self, request: pb.PurchaseRequest, context: Any) -> pb.ModeReply:
        """Ask a seller to cancel an order."""
        await self._operator(context, "cancel an order")
        buyer = await self._buyer(context)
        if why := buyer.cancel(request.order_id):
            await refuse(context, why)
        return pb.ModeReply(
            detail="the seller is asked; flexlonctl market needs shows what it answers"
        )

    async def AskSeller(self, request: pb.AskSellerRequest, context: Any) -> pb.ModeReply:
        """Ask the seller of an order where help is to be had, or where it can be followed."""
        await self._operator(context, "ask a seller")
        buyer = await self._buyer(context)
        try:
            return pb.ModeReply(detail=await buyer.ask_seller(request.order_id, request.question))
        except NeedError as error:
            await refuse(context, str(error))

    async def _buyer(self, context: Any) -> GridAgent:
        agents = self._market.agents if self._market is not None else {}
        found = agents.get("grid_orchestrator")
        portfolio = agents.get("flex_orchestrator")
        if found is None and isinstance(portfolio, FlexAgent):
            found = portfolio.buying
        if not isinstance(found, GridAgent):
            await refuse(context, NOT_HERE)
        return found


def discover(view: DiscoverView) -> pb.DiscoverReply:
    """DiscoverReply."""
    return pb.DiscoverReply(
        **plain_fields(view, without={"offers"}),
        offers=[pb.RankedOffer(**plain_fields(one)) for one in view.offers],
    )


def need(view: NeedView) -> pb.BuyingNeed:
    """BuyingNeed."""
    return pb.BuyingNeed(
        **plain_fields(view, without={"orders"}),
        orders=[pb.Purchase(**plain_fields(one)) for one in view.orders],
    )
