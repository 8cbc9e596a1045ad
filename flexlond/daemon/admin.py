"""The admin service: what people and programs may ask of flexlond, over a Unix socket.

Law: the uid that MUNGE vouches for decides (flexlond/auth): a user sees, explains and releases the user's
own jobs, an operator everything; what only an operator may do is refused to others with the reason. The
socket is open to all (0666) for that reason. Text that a user wrote is passed on as data. A fault inside is
logged and told as INTERNAL; it never ends the daemon. Health and reflection need no credential.
Source: protos/flexlon/admin/v1/admin.proto, gRPC Health Checking Protocol.
"""

# ruff: noqa: N802, ARG002 -- the names and signatures of the methods are gRPC's
from __future__ import annotations

import asyncio
import math
import sqlite3
import time
from typing import TYPE_CHECKING, Any, NoReturn

import grpc
import structlog

from flexlond._pb import admin_pb2 as pb
from flexlond._pb import admin_pb2_grpc
from flexlond.agents.envelope_ports import NoEnvelope
from flexlond.agents.window_ports import WindowOrder
from flexlond.auth.credentials import caller_uid
from flexlond.daemon import admin_wire as wire
from flexlond.daemon.admin_buying import BuyingCalls
from flexlond.daemon.admin_guard import abort, deny
from flexlond.daemon.admin_ledger import LedgerCalls
from flexlond.daemon.admin_market import MarketCalls
from flexlond.daemon.authority import user_name
from flexlond.daemon.check import Submission, check

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from zoneinfo import ZoneInfo

    from flexlond.agents.ports import AgentView
    from flexlond.daemon.market import Market
    from flexlond.daemon.shell import Shell
    from flexlond.daemon.witness import LedgerWitness

_log = structlog.get_logger()


class AdminService(MarketCalls, BuyingCalls, LedgerCalls, admin_pb2_grpc.AdminServicer):
    """Answers the calls of admin.proto from an AgentView and the shell."""

    def __init__(
        self,
        agent: AgentView,
        shell: Shell,
        *,
        tz: ZoneInfo,
        reload: Callable[[], Awaitable[str]],
        poke: Callable[[], None],
        market: Market | None = None,
        witness: LedgerWitness | None = None,
    ) -> None:
        """`reload` reads the configuration again; `poke` makes the loop's next cycle come at once."""
        super().__init__(shell, market)
        self._witness = witness
        self._agent = agent
        self._tz = tz
        self._reload = reload
        self._poke = poke

    async def Status(self, request: pb.Empty, context: Any) -> pb.StatusReply:
        """The state of the loop: open to everyone, it names no job."""
        return wire.status(self._shell.overlay(self._agent.status(), time.time()))

    async def Jobs(self, request: pb.JobsRequest, context: Any) -> pb.JobsReply:
        """The caller's jobs, or for an operator everyone's."""
        uid, operator = await self._caller()
        jobs = [job for job in self._agent.jobs() if operator or job.uid == uid]
        if request.user:
            if not operator and request.user != await asyncio.to_thread(user_name, uid):
                await deny(
                    context,
                    f"you see your own jobs only; the jobs of {request.user} are for operators",
                )
            jobs = [job for job in jobs if job.user == request.user]
        return pb.JobsReply(jobs=[wire.job_line(job) for job in jobs])

    async def Explain(self, request: pb.ExplainRequest, context: Any) -> pb.ExplainReply:
        """Why a job starts when it starts."""
        await self._own([request.job_id], context, "explained")
        view = self._agent.explain(request.job_id)
        if view is None:
            await abort(
                context,
                grpc.StatusCode.NOT_FOUND,
                f"FlexLon does not know job {request.job_id}: it has ended, or is newer than the last tick",
            )
        return wire.explain(view)

    async def Plan(self, request: pb.PlanRequest, context: Any) -> pb.PlanReply:
        """The last plan, by slot: open to everyone, it names no job."""
        view = self._agent.plan()
        if view is None:
            await abort(
                context,
                grpc.StatusCode.FAILED_PRECONDITION,
                "there is no plan yet: the first cycle is not complete; try again",
            )
        return wire.plan(view, request.slots)

    async def Signals(self, request: pb.Empty, context: Any) -> pb.SignalsReply:
        """The feeds and their values."""
        return wire.signals(self._agent.signals())

    async def Assets(self, request: pb.Empty, context: Any) -> pb.AssetsReply:
        """The assets beside the cluster, as read and as planned: open to everyone, it names no job."""
        return wire.assets(self._agent.show_assets())

    async def Check(self, request: pb.CheckRequest, context: Any) -> pb.CheckReply:
        """How a directive would be read now."""
        submission = Submission(
            request.comment,
            request.time_limit_seconds,
            request.partition,
            request.account,
            request.qos,
        )
        reading = check(
            submission, self._shell.settings.directive, now=int(time.time()), tz=self._tz
        )
        values = [pb.KeyValue(key=key, value=value) for key, value in reading.values]
        return pb.CheckReply(accepted=reading.accepted, message=reading.message, values=values)

    async def Pause(self, request: pb.Empty, context: Any) -> pb.ModeReply:
        """No new action from now on."""
        await self._operator(context, "pause FlexLon")
        detail = await self._agent.pause()
        self._poke()  # the heartbeat goes with the next beat
        return pb.ModeReply(detail=detail)

    async def Resume(self, request: pb.Empty, context: Any) -> pb.ModeReply:
        """Undo a pause or a drain."""
        await self._operator(context, "resume FlexLon")
        detail = await self._agent.resume()
        self._poke()
        return pb.ModeReply(detail=detail)

    async def Release(self, request: pb.ReleaseRequest, context: Any) -> pb.ReleaseReply:
        """Release jobs by name, or all."""
        if request.all == bool(request.job_ids):
            await abort(
                context, grpc.StatusCode.INVALID_ARGUMENT, "name job ids, or all: one of the two"
            )
        if request.all:
            await self._operator(context, "release all jobs (name your own by id)")
        else:
            await self._own(request.job_ids, context, "released")
        uid, operator = await self._caller()
        job_ids = None if request.all else list(request.job_ids)
        _log.info("asked", what="release", jobs=job_ids, uid=uid, granted=True)
        lines = await self._agent.release(job_ids, uid=uid, operator=operator)
        return pb.ReleaseReply(jobs=[wire.release_line(line) for line in lines])

    async def Reload(self, request: pb.Empty, context: Any) -> pb.ModeReply:
        """Read the configuration again; FAILED_PRECONDITION with every problem when it is refused."""
        await self._operator(context, "reload the configuration")
        detail = await self._reload()
        if self._shell.config_error:
            await abort(context, grpc.StatusCode.FAILED_PRECONDITION, detail)
        return pb.ModeReply(detail=detail)

    async def Drain(self, request: pb.Empty, context: Any) -> pb.DrainReply:
        """Restore what was changed and hold nothing more."""
        await self._operator(context, "drain FlexLon")
        view = await self._agent.drain()
        self._poke()
        if view.left < 0:
            await abort(
                context,
                grpc.StatusCode.FAILED_PRECONDITION,
                f"not drained: {view.detail}; call again",
            )
        return wire.drain(view)

    async def AddWindow(self, request: pb.AddWindowRequest, context: Any) -> pb.AddWindowReply:
        """Cap the site's power for some slots, or say what that would cost."""
        await self._operator(context, "add a window")
        name = await asyncio.to_thread(user_name, caller_uid())
        which = request.WhichOneof("order")
        order = WindowOrder(
            request.start,
            request.end,
            request.cap_kw if which == "cap_kw" else math.nan,
            request.down_kw if which == "down_kw" else math.nan,
            name,
            request.replaces,
            allow_rebound=request.allow_rebound,
        )
        try:
            view = await self._agent.add_window(order, dry_run=request.dry_run)
        except sqlite3.Error as error:
            await abort(context, grpc.StatusCode.RESOURCE_EXHAUSTED, _not_stored(error))
        if view.window is None:
            await abort(context, grpc.StatusCode.FAILED_PRECONDITION, view.detail)
        if view.added:
            self._poke()
        return wire.added(view)

    async def ListWindows(self, request: pb.Empty, context: Any) -> pb.ListWindowsReply:
        """Every window, without its slots."""
        await self._operator(context, "list windows")
        return pb.ListWindowsReply(
            windows=[wire.window(view) for view in self._agent.list_windows()]
        )

    async def ShowWindow(self, request: pb.WindowRequest, context: Any) -> pb.Window:
        """One window with its slots."""
        await self._operator(context, "show a window")
        view = self._agent.show_window(request.window_id)
        if view is None:
            await _no_window(context, request.window_id)
        return wire.window(view)

    async def CancelWindow(self, request: pb.WindowRequest, context: Any) -> pb.Window:
        """End a window; the next plan gives back what it held."""
        await self._operator(context, "cancel a window")
        try:
            view = await self._agent.cancel_window(request.window_id)
        except sqlite3.Error as error:
            await abort(context, grpc.StatusCode.RESOURCE_EXHAUSTED, _not_stored(error))
        if view is None:
            await _no_window(context, request.window_id)
        self._poke()
        return wire.window(view)

    async def Envelope(self, request: pb.EnvelopeRequest, context: Any) -> pb.EnvelopeReply:
        """How many kW the queue can give or take: open to everyone, it names no job."""
        span = (request.start, request.end) if request.start or request.end else None
        view = await self._agent.envelope(span)
        if isinstance(view, NoEnvelope):
            await abort(context, grpc.StatusCode.FAILED_PRECONDITION, view.why)
        return wire.envelope(view)

    async def _own(self, job_ids: Any, context: Any, what: str) -> None:
        """Refuse unless every job is the caller's; an unknown job looks like another's."""
        uid, operator = await self._caller()
        if operator:
            return
        mine = {job.job_id for job in self._agent.jobs() if job.uid == uid}
        if others := [str(job_id) for job_id in job_ids if job_id not in mine]:
            await deny(
                context,
                f"job {', '.join(others)} is not yours, or FlexLon does not know it: a job is {what} "
                "by its owner or an operator",
            )


async def _no_window(context: Any, window_id: int) -> NoReturn:
    why = f"there is no window {window_id}: flexlonctl window list has those there are"
    await abort(context, grpc.StatusCode.NOT_FOUND, why)


def _not_stored(error: sqlite3.Error) -> str:
    return (
        f"nothing was changed, the store cannot be written ({error}): make room in daemon.state_dir, then ask"
        " again"
    )
