"""Who asks, and how he is told no: what every part of the admin service needs.

Law: the caller is who the kernel says he is (auth/credentials.py), looked up anew for each call. A refusal ends
the call: nothing after it is carried out.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, NoReturn

import grpc
import structlog

from flexlond.auth.credentials import caller_uid
from flexlond.daemon.authority import is_operator

if TYPE_CHECKING:
    from flexlond.daemon.market import Market
    from flexlond.daemon.shell import Shell

_log = structlog.get_logger()


class Guarded:
    """A part of the admin service. `market` is None where this process has none."""

    def __init__(self, shell: Shell, market: Market | None) -> None:
        self._shell = shell
        self._market = market

    async def _caller(self) -> tuple[int, bool]:
        """The caller's uid and whether it is an operator's."""
        uid = caller_uid()
        return uid, await asyncio.to_thread(is_operator, uid, self._shell.settings.admin)

    async def _operator(self, context: Any, what: str) -> None:
        """Go on for operators alone."""
        uid, operator = await self._caller()
        _log.info("asked", what=what, uid=uid, granted=operator)
        if not operator:
            admin = self._shell.settings.admin
            await deny(
                context,
                f"uid {uid} may not {what}: only operators may (admin.operators: "
                f"{', '.join(admin.operators) or 'none'}; group {admin.operator_group or 'none'})",
            )


async def deny(context: Any, why: str) -> NoReturn:
    """End the call: the caller may not."""
    await abort(context, grpc.StatusCode.PERMISSION_DENIED, why)


async def refuse(context: Any, why: str) -> NoReturn:
    """End the call: it cannot be done as things stand."""
    await abort(context, grpc.StatusCode.FAILED_PRECONDITION, why)


async def abort(context: Any, code: grpc.StatusCode, why: str) -> NoReturn:
    """End the call with `code`."""
    await context.abort(code, why)
    raise AssertionError(why)  # abort raises; this line is for the type checker
