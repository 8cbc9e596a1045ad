"""The daemon's client of the privileged helper.

Law: sends actions as they are and returns what the helper says of each; decides and retries nothing. A call
that fails is HelperUnavailable, which says whether its actions may have taken effect all the same: then only
the next observation of the queue can tell. Use from one event loop.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import grpc
import grpc.aio

from flexlond._pb import helper_pb2, helper_pb2_grpc
from flexlond.auth.credentials import open_channel
from flexlond.auth.munge import MungeError
from flexlond.model.action import Action, Outcome, Result, Verb
from flexlond.model.licence import Reserved, Stretch, StretchResult
from flexlond.model.pace import Slowed

if TYPE_CHECKING:
    from collections.abc import Awaitable, Sequence

CHUNK = 2000  # actions in one call; well under the helper's max_batch
BASE_TIMEOUT = 60.0  # seconds for the helper's reads before and after
TIMEOUT_PER_ACTION = 0.05  # seconds; measured cost is a few milliseconds

_VERBS = {
    Verb.HOLD_UNTIL: helper_pb2.VERB_HOLD_UNTIL,
    Verb.RELEASE: helper_pb2.VERB_RELEASE,
    Verb.REQUEUE: helper_pb2.VERB_REQUEUE,
    Verb.REQUEUE_UNTIL: helper_pb2.VERB_REQUEUE_UNTIL,
    Verb.SUSPEND: helper_pb2.VERB_SUSPEND,
    Verb.RESUME: helper_pb2.VERB_RESUME,
    Verb.LET_OFF: helper_pb2.VERB_LET_OFF,
    Verb.SLOW: helper_pb2.VERB_SLOW,
    Verb.UNSLOW: helper_pb2.VERB_UNSLOW,
    Verb.ROUTE: helper_pb2.VERB_ROUTE,
    Verb.WIDEN: helper_pb2.VERB_WIDEN,
}
_OUTCOMES = {
    helper_pb2.OUTCOME_APPLIED: Outcome.APPLIED,
    helper_pb2.OUTCOME_ALREADY_SO: Outcome.ALREADY_SO,
    helper_pb2.OUTCOME_REFUSED: Outcome.REFUSED,
    helper_pb2.OUTCOME_NOT_FOUND: Outcome.NOT_FOUND,
    helper_pb2.OUTCOME_UNKNOWN: Outcome.UNKNOWN,
}
_ADVICE = {
    grpc.StatusCode.UNAVAILABLE: "check `systemctl status flexlon-helper` and the permissions of its socket",
    grpc.StatusCode.DEADLINE_EXCEEDED: "see `journalctl -u flexlon-helper`, and `sdiag` for a busy slurmctld",
    grpc.StatusCode.UNAUTHENTICATED: "check that daemon and helper use the same munged",
    grpc.StatusCode.PERMISSION_DENIED: "set helper.daemon_user to the user that flexlond runs as",
    grpc.StatusCode.INVALID_ARGUMENT: "raise helper.max_batch",
}
# The helper said no before it looked at any action.
_SURELY_NOTHING = frozenset(
    {
        grpc.StatusCode.UNAUTHENTICATED,
        grpc.StatusCode.PERMISSION_DENIED,
        grpc.StatusCode.INVALID_ARGUMENT,
    }
)


class HelperUnavailable(Exception):  # noqa: N818 # the name agreed for it says more than an -Error
    """The helper is dead, out of reach, or refuses this caller; the text says what to do.

    `results` are those of earlier calls of the same batch; `maybe_applied` tells whether the actions without
    a result may have taken effect.
    """

    def __init__(
        self, message: str, *, results: tuple[Result, ...] = (), maybe_applied: bool = False
    ) -> None:
        super().__init__(message)
        self.results = results
        self.maybe_applied = maybe_applied


@dataclass(frozen=True, slots=True)
class OptOut:
    """A job whose owner took it back, as the helper saw it. `submit` is its first submission."""

    job_id: int
    submit: int
    at: int
    reason: str


@dataclass(frozen=True, slots=True)
class HelperStatus:
    """What the helper says of itself."""

    version: str
    slurm_version: str
    opt_outs: tuple[OptOut, ...]
    actions_left: int  # in the current minute
    instance: str = ""  # another one after each start; "": an older helper, that does not say
    slowed: tuple[Slowed, ...] = ()  # arrays whose throttle it set


class HelperClient:
    """Calls the helper on its Unix socket. Connects at the first call, and again by itself after a loss."""

    def __init__(self, socket: str, *, munge_socket: str = "") -> None:
        """`socket` is helper.socket, `munge_socket` munged's (empty: libmunge's own default)."""
        self._socket = socket
        self._munge_socket = munge_socket
        self._channel: grpc.aio.Channel | None = None

    async def apply(self, actions: Sequence[Action]) -> tuple[Result, ...]:
        """Have the actions carried out; one result each, in order. HelperUnavailable when it cannot be."""
        results: list[Result] = []
        for start in range(0, len(actions), CHUNK):
            chunk = actions[start : start + CHUNK]
            request = helper_pb2.ApplyRequest(actions=[_message(action) for action in chunk])
            timeout = BASE_TIMEOUT + TIMEOUT_PER_ACTION * len(chunk)
            try:
                reply = await self._call(self._stub().Apply(request, timeout=timeout))
            except HelperUnavailable as error:
                error.results = tuple(results)
                raise
            if len(reply.results) != len(chunk):
                raise HelperUnavailable(
                    f"the helper gave {len(reply.results)} results for {len(chunk)} actions: "
                    "install the same version of flexlond and flexlon-helper",
                    results=tuple(results),
                    maybe_applied=True,
                )
            results += map(_result, reply.results)
        return tuple(results)

    async def reserve(self, wanted: Sequence[Stretch], reason: str) -> Reserved:
        """Have the reservations of ours brought to `wanted`. HelperUnavailable when it cannot be."""
        request = helper_pb2.ReserveRequest(
            wanted=[helper_pb2.Stretch(start=one.start, end=one.end, kw=one.kw) for one in wanted],
            reason=reason,
        )
        timeout = BASE_TIMEOUT + TIMEOUT_PER_ACTION * len(wanted)
        reply = await self._call(self._stub().Reserve(request, timeout=timeout))
        return Reserved(
            results=tuple(
                StretchResult(
                    _stretch(one.stretch),
                    _OUTCOMES.get(one.outcome, Outcome.UNKNOWN),
                    one.code,
                    one.detail,
                )
                for one in reply.results
            ),
            in_force=tuple(map(_stretch, reply.in_force)),
            total=reply.total,
            used=reply.used,
        )

    async def status(self) -> HelperStatus:
        """Ask the helper how it is. HelperUnavailable when it does not answer."""
        reply = await self._call(
            self._stub().Status(helper_pb2.StatusRequest(), timeout=BASE_TIMEOUT)
        )
        return HelperStatus(
            version=reply.version,
            slurm_version=reply.slurm_version,
            opt_outs=tuple(
                OptOut(out.job_id, out.submit_time, out.at, out.reason) for out in reply.opt_outs
            ),
            actions_left=reply.actions_left,
            instance=reply.instance,
            slowed=tuple(
                Slowed(
                    job_id=one.job_id,
                    submit=one.submit_time,
                    own=one.own,
                    width=one.width,
                    until=one.until,
                    left_alone=one.left_alone,
                )
                for one in reply.slowed
            ),
        )

    async def close(self) -> None:
        """Close the connection."""
        if self._channel is not None:
            await self._channel.close(None)
            self._channel = None

    def _stub(self) -> Any:
        if self._channel is None:
            self._channel = open_channel(self._socket, munge_socket=self._munge_socket)
        return helper_pb2_grpc.HelperStub(self._channel)

    async def _call(self, call: Awaitable[Any]) -> Any:
        try:
            return await call
        except MungeError as error:
            raise HelperUnavailable(f"the helper was not asked: {error}") from error
        except grpc.aio.AioRpcError as error:
            code = error.code()
            # A fresh channel at the next call: no waiting out of gRPC's own back-off.
            await self.close()
            advice = _ADVICE.get(code, "see `journalctl -u flexlon-helper`")
            raise HelperUnavailable(
                f"the helper at {self._socket} does not serve "
                f"({code.name.lower()}: {error.details()}); {advice}",
                maybe_applied=code not in _SURELY_NOTHING,
            ) from error


def _message(action: Action) -> helper_pb2.Action:
    return helper_pb2.Action(
        action_id=action.action_id,
        job_id=action.job_id,
        submit_time=action.submit,
        restarts=action.restarts,
        expected_begin=action.expected_begin,
        expected_state=action.expected_state,
        verb=_VERBS[action.verb],
        not_before=action.not_before,
        reason=action.reason,
        width=action.width,
        site=action.site,
    )


def _stretch(message: helper_pb2.Stretch) -> Stretch:
    return Stretch(message.start, message.end, message.kw)


def _result(message: helper_pb2.Result) -> Result:
    return Result(
        action_id=message.action_id,
        outcome=_OUTCOMES.get(message.outcome, Outcome.UNKNOWN),
        code=message.code,
        detail=message.detail,
        observed_begin=message.observed_begin,
        observed_state=message.observed_state,
    )
