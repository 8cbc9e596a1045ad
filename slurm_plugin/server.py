"""The helper's gRPC server: two calls that act and a status, on a Unix socket, for the daemon's user alone.

Law: translates between the wire and Batch or Windows, and decides nothing. Who calls is settled by the
socket's permissions and the MUNGE credential before a request is parsed; Apply and Reserve are for the
daemon's uid only, Status for root too. Batches run one after another in one worker thread, whatever the caller
does meanwhile; a requeue that waits for a checkpoint holds nobody up.
"""

from __future__ import annotations

import asyncio
import secrets
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, TypeVar

import grpc
import grpc.aio
import structlog

import flexlond
from flexlond._pb import helper_pb2, helper_pb2_grpc
from flexlond.auth.credentials import ServerCredentials, caller_uid
from flexlond.model.action import Action, Outcome, Result, Verb
from flexlond.model.licence import Stretch, StretchResult
from slurm_plugin.windows import Windows

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from slurm_plugin.batch import Batch
    from slurm_plugin.config import HelperConfig
    from slurm_plugin.pace import PaceEntry
    from slurm_plugin.parts import Later, Parts

_T = TypeVar("_T")
_log = structlog.get_logger("flexlon-helper")

VERBS = {
    helper_pb2.VERB_HOLD_UNTIL: Verb.HOLD_UNTIL,
    helper_pb2.VERB_RELEASE: Verb.RELEASE,
    helper_pb2.VERB_REQUEUE: Verb.REQUEUE,
    helper_pb2.VERB_REQUEUE_UNTIL: Verb.REQUEUE_UNTIL,
    helper_pb2.VERB_SUSPEND: Verb.SUSPEND,
    helper_pb2.VERB_RESUME: Verb.RESUME,
    helper_pb2.VERB_LET_OFF: Verb.LET_OFF,
    helper_pb2.VERB_SLOW: Verb.SLOW,
    helper_pb2.VERB_UNSLOW: Verb.UNSLOW,
    helper_pb2.VERB_ROUTE: Verb.ROUTE,
    helper_pb2.VERB_WIDEN: Verb.WIDEN,
}
OUTCOMES = {
    Outcome.APPLIED: helper_pb2.OUTCOME_APPLIED,
    Outcome.ALREADY_SO: helper_pb2.OUTCOME_ALREADY_SO,
    Outcome.REFUSED: helper_pb2.OUTCOME_REFUSED,
    Outcome.NOT_FOUND: helper_pb2.OUTCOME_NOT_FOUND,
    Outcome.UNKNOWN: helper_pb2.OUTCOME_UNKNOWN,
}


class HelperServicer(helper_pb2_grpc.HelperServicer):
    """The service. Close it with `close`, which lets a running batch end."""

    def __init__(self, batch: Batch, parts: Parts, *, daemon_uid: int) -> None:
        self._batch = batch
        self._parts = parts
        self._windows = Windows(parts)
        self._daemon_uid = daemon_uid
        self._worker = ThreadPoolExecutor(1, thread_name_prefix="batch")
        self._later: set[asyncio.Task[None]] = set()
        self._instance = secrets.token_hex(8)

    async def Apply(self, request: Any, context: Any) -> Any:  # noqa: N802 # the name in the proto
        """Carry out a batch; one result per action, in the order of the request."""
        await self._only_the_daemon(context, len(request.actions))
        actions = [_action(message) for message in request.actions]
        known = [action for action in actions if isinstance(action, Action)]
        results = iter(await self._apply(known) if known else [])
        return helper_pb2.ApplyReply(
            results=[
                _message(next(results) if isinstance(action, Action) else action)
                for action in actions
            ]
        )

    async def Reserve(self, request: Any, context: Any) -> Any:  # noqa: N802 # the name in the proto
        """Bring the reservations of ours to what is wanted."""
        await self._only_the_daemon(context, len(request.wanted))
        wanted = [Stretch(one.start, one.end, one.kw) for one in request.wanted]
        reserved = await self._in_worker(lambda: self._windows.reserve(wanted, request.reason))
        return helper_pb2.ReserveReply(
            results=[_stretch_result(one) for one in reserved.results],
            in_force=[_stretch(one) for one in reserved.in_force],
            total=reserved.total,
            used=reserved.used,
        )

    async def _only_the_daemon(self, context: Any, asked: int) -> None:
        """End the call of anybody else, and one that asks for too much."""
        if caller_uid() != self._daemon_uid:
            await context.abort(
                grpc.StatusCode.PERMISSION_DENIED,
                f"only the daemon's user (uid {self._daemon_uid}) may ask for actions",
            )
        limit = self._parts.config.helper.max_batch
        if asked > limit:
            await context.abort(
                grpc.StatusCode.INVALID_ARGUMENT,
                f"{asked} actions in one call, at most {limit} (helper.max_batch): split them",
            )

    async def Status(self, request: Any, context: Any) -> Any:  # noqa: ARG002, N802 # the name in the proto
        """Say what the helper remembers and still allows."""
        opt_outs, slowed, version = await self._in_worker(
            lambda: (self._parts.state.opt_outs(), self._parts.pace.entries(), self._version())
        )
        return helper_pb2.StatusReply(
            version=flexlond.__version__,
            slurm_version=version,
            opt_outs=[
                helper_pb2.OptOut(
                    job_id=record.job_id,
                    submit_time=record.first_submit,
                    at=record.opted_out_at,
                    reason=record.opted_out_why,
                )
                for record in opt_outs
            ],
            actions_left=self._parts.actions.left(self._parts.monotonic()),
            instance=self._instance,
            slowed=[_slowed(entry) for entry in slowed if not entry.put_back_at],
        )

    async def reconfigure(self, config: HelperConfig) -> None:
        """Use `config` from the next batch on (its socket, user and state directory need a restart)."""
        await self._in_worker(lambda: self._parts.reconfigure(config))

    async def forget(self) -> int:
        """Drop records of jobs that are long gone; how many."""
        return await self._in_worker(lambda: self._parts.state.forget(self._parts.clock()))

    async def alive(self) -> None:
        """Return when the worker answers: a hanging worker hangs the caller, and so the watchdog."""
        await self._in_worker(lambda: None)

    async def close(self) -> None:
        """Drop requeues that wait for a checkpoint (those jobs run on) and end the running batch."""
        for task in self._later:
            task.cancel()
        await asyncio.gather(*self._later, return_exceptions=True)
        await asyncio.to_thread(self._worker.shutdown, wait=True)

    async def _apply(self, actions: Sequence[Action], *, warned: bool = False) -> list[Result]:
        results, later = await self._in_worker(lambda: self._batch.apply(actions, warned=warned))
        for one in later:
            task = asyncio.create_task(self._follow_up(one))
            self._later.add(task)
            task.add_done_callback(self._later.discard)
        return results

    async def _follow_up(self, one: Later) -> None:
        await asyncio.sleep(one.wait)
        for result in await self._apply([one.action], warned=True):
            _log.info(
                "requeue after its checkpoint",
                job_id=one.action.job_id,
                outcome=result.outcome.value,
                code=result.code,
                detail=result.detail,
            )

    async def _in_worker(self, call: Callable[[], _T]) -> _T:
        return await asyncio.get_running_loop().run_in_executor(self._worker, call)

    def _version(self) -> str:
        if not self._batch.slurm_version:
            self._batch.slurm_version = self._parts.calls.version()
        return self._batch.slurm_version


def make_server(
    servicer: HelperServicer, *, allowed_uids: Sequence[int], munge_socket: str
) -> grpc.aio.Server:
    """Return the server, not yet bound to its socket; every call needs a credential."""
    credentials = ServerCredentials(
        allowed_uids=allowed_uids, exempt_services=(), socket=munge_socket
    )
    server = grpc.aio.server(interceptors=[credentials])
    helper_pb2_grpc.add_HelperServicer_to_server(servicer, server)
    return server


def _action(message: Any) -> Action | Result:
    """Take an action from the wire; a refusal for one that says nothing."""
    verb = VERBS.get(message.verb)
    if verb is None or message.job_id == 0:
        detail = "an action needs a verb and a job id"
        return Result(message.action_id, Outcome.REFUSED, "bad-request", detail, 0, "")
    return Action(
        action_id=message.action_id,
        job_id=message.job_id,
        submit=message.submit_time,
        restarts=message.restarts,
        expected_begin=message.expected_begin,
        expected_state=message.expected_state,
        verb=verb,
        not_before=message.not_before,
        reason=message.reason,
        width=message.width,
        site=message.site,
    )


def _slowed(entry: PaceEntry) -> Any:
    return helper_pb2.Slowed(
        job_id=entry.job_id,
        submit_time=entry.submit,
        own=entry.own,
        width=entry.width,
        until=entry.due,
        left_alone=entry.left_alone,
    )


def _stretch(stretch: Stretch) -> Any:
    return helper_pb2.Stretch(start=stretch.start, end=stretch.end, kw=stretch.kw)


def _stretch_result(result: StretchResult) -> Any:
    return helper_pb2.StretchResult(
        stretch=_stretch(result.stretch),
        outcome=OUTCOMES[result.outcome],
        code=result.code,
        detail=result.detail,
    )


def _message(result: Result) -> Any:
    return helper_pb2.Result(
        action_id=result.action_id,
        outcome=OUTCOMES[result.outcome],
        code=result.code,
        detail=result.detail,
        observed_begin=result.observed_begin,
        observed_state=result.observed_state,
    )
