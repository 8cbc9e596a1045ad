"""What flexlonctl's commands share: to ask the daemon, and to show its answer or why there is none.

Law: an answer is shown as JSON or painted for people, never both; a failure is told on stderr and by
the exit code of CtlError. gRPC, protobuf and rich are imported when they are used, so that --help stays fast.
"""

# ruff: noqa: FBT001 -- `json` is typer's flag, handed on
# ruff: noqa: PLC0415 -- what is slow to import waits until it is needed: --help is fast
from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

from flexlond.cli.client import TIMEOUT, CtlError, Endpoint

if TYPE_CHECKING:
    from collections.abc import Callable

    from rich.console import Console

Json = Annotated[
    bool, typer.Option("--json", help="Print JSON: the admin service's fields, times in UTC.")
]


def endpoint(context: typer.Context) -> Endpoint:
    """Where the daemon is, by the options before the command."""
    found: Endpoint = context.obj
    return found


def ask(context: typer.Context, method: str, request: Any, timeout: float = TIMEOUT) -> Any:
    """The reply, or the end of the program."""
    try:
        return endpoint(context).call(method, request, timeout=timeout)
    except CtlError as error:
        fail(error)


def fail(error: CtlError) -> NoReturn:
    """Say why on stderr and end."""
    from flexlond.cli.plain import safe

    for line in str(error).splitlines():
        print(f"flexlonctl: {safe(line)}", file=sys.stderr)
    raise typer.Exit(error.exit_code)


def read_span(begin: str, end: str) -> tuple[int, int]:
    """--from and --to as epoch seconds, read in the user's zone; typer.BadParameter says what to write."""
    import time

    from flexlond.host.zone import local_zone
    from flexlond.model.slurmtime import SlurmTimeError
    from flexlond.model.window import WindowError, parse_span

    try:
        return parse_span(begin, end, int(time.time()), local_zone())
    except (SlurmTimeError, WindowError) as error:
        example = "write it as 17:00, now+1hour or 2027-01-31T17:00"
        words = f"{error}" if isinstance(error, WindowError) else f"{error}: {example}"
        raise typer.BadParameter(words, param_hint="--from / --to") from error


def messages() -> Any:
    """The messages of admin.proto."""
    from flexlond._pb import admin_pb2

    return admin_pb2


def show(reply: Any, json: bool, paint: Callable[[Console, Any], None]) -> None:
    """As JSON, or as `paint` paints it."""
    from flexlond.cli import plain, render

    if json:
        print(plain.as_json(reply))
    else:
        paint(render.console(), reply)


def say(reply: Any, json: bool, text: str) -> None:
    """As JSON, or in one sentence."""
    from flexlond.cli.plain import as_json, safe

    print(as_json(reply) if json else safe(text))
