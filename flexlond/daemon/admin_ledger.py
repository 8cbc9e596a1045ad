"""The admin service's call about the ledger: one person's clear text is erased from it.

Law: as admin.py, of which this is a part: for operators. What is erased lay beside the entries; no entry, no
hash and no proof changes, and that it was done is an entry of its own, which names nobody. The name of who is
erased goes into no log.
"""

# ruff: noqa: N802 -- the names of the methods are gRPC's
from __future__ import annotations

from typing import TYPE_CHECKING, Any

from flexlond._pb import admin_pb2 as pb
from flexlond.daemon.admin_guard import Guarded, refuse
from flexlond.settlement.ledger.problem import LedgerError

if TYPE_CHECKING:
    from flexlond.daemon.witness import LedgerWitness


class LedgerCalls(Guarded):
    """What AdminService answers about the ledger."""

    _witness: LedgerWitness | None = None  # where there is one

    async def ErasePerson(self, request: pb.EraseRequest, context: Any) -> pb.EraseReply:
        """Erase what is in clear of one user."""
        await self._operator(context, "erase a person from the ledger")
        if self._witness is None:
            await refuse(context, "this flexlond keeps no ledger: ledger.name is not set")
        if not request.user:
            await refuse(context, "whose clear text? give the user's name")
        try:
            count = await self._witness.erase(request.user)
        except LedgerError as error:
            await refuse(context, f"nothing is known to be erased: {error}; ask again")
        if not count:
            return pb.EraseReply(detail="the ledger has nothing in clear of that user")
        return pb.EraseReply(
            entries=count,
            detail=f"the clear text of {count} entries is erased; their hashes and all proofs stay valid",
        )
