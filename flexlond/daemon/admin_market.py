"""The admin service's calls about the market: what is for sale, what was sold, and a person's decision.

Law: as admin.py, of which this is a part: prices and orders are for operators. A transaction id never leaves.
"""

# ruff: noqa: N802, ARG002 -- the names and signatures of the methods are gRPC's
from __future__ import annotations

import asyncio
import sqlite3
from typing import Any

import grpc

from flexlond._pb import admin_pb2 as pb
from flexlond.agents.market.agent import SellerAgent
from flexlond.agents.portfolio.agent import FlexAgent
from flexlond.auth.credentials import caller_uid
from flexlond.daemon import admin_wire as wire
from flexlond.daemon.admin_guard import Guarded, abort, refuse
from flexlond.daemon.authority import user_name

_NOBODY = (
    "this process sells nothing: it needs an identity of compute_flex or asset_site "
    "(docs/how-to/sell-flexibility.md), and flexlonctl status says whether that is on the market"
)


class MarketCalls(Guarded):
    """What AdminService answers about the market."""

    async def Offers(self, request: pb.Empty, context: Any) -> pb.OffersReply:
        """What is for sale, slot by slot."""
        await self._operator(context, "list offers")
        return wire.offers((await self._seller(context)).offers())

    async def Orders(self, request: pb.Empty, context: Any) -> pb.OrdersReply:
        """Every order, sold or won, without its slots."""
        await self._operator(context, "list orders")
        seller = await self._seller(context)
        return pb.OrdersReply(
            orders=[wire.order(one) for one in seller.orders()], unbid=wire.texts(seller.unbid())
        )

    async def ShowOrder(self, request: pb.OrderRequest, context: Any) -> pb.Order:
        """One order with its life and its slots."""
        await self._operator(context, "show an order")
        found = (await self._seller(context)).order(request.order_id)
        if found is None:
            await abort(
                context,
                grpc.StatusCode.NOT_FOUND,
                f"there is no order {request.order_id}, or several begin so: flexlonctl orders has those there "
                "are",
            )
        return wire.order(found)

    async def DecideOrder(self, request: pb.DecideOrderRequest, context: Any) -> pb.ModeReply:
        """Accept or reject a pending order."""
        await self._operator(context, "decide an order")
        seller = await self._seller(context)
        name = await asyncio.to_thread(user_name, caller_uid())
        try:
            done, detail = seller.decide(request.order_id, accept=request.accept, by=name)
        except sqlite3.Error as error:
            done, detail = False, f"nothing was changed, the journal cannot be written ({error})"
        if not done:
            await refuse(context, detail)
        return pb.ModeReply(detail=detail)

    async def _seller(self, context: Any) -> SellerAgent:
        agents = self._market.agents.values() if self._market else ()
        selling = (one.selling if isinstance(one, FlexAgent) else one for one in agents)
        found = next((one for one in selling if isinstance(one, SellerAgent)), None)
        if found is None:
            await refuse(context, _NOBODY)
        return found
