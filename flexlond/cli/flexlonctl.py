"""flexlonctl: ask flexlond, from a terminal or a program.

Law: a client of the admin service and nothing more; it reads no store, no queue and no Slurm. `check` also
works without the daemon, from the configuration file, and says so; `ledger` works on the ledger's own file,
read-only; `settle` and `statement` (settle.py) on the settlement file.
Exit codes: 0 done, 1 refused (or a rejected directive, or a ledger that does not hold), 2 the daemon cannot be
asked (or a file not read, or the command line is wrong), 3 not allowed.
"""

# ruff: noqa: FBT001, FBT002, PLR0917 -- typer makes options of parameters
# ruff: noqa: PLC0415 -- what is slow to import waits until it is needed: --help is fast
from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from flexlond.cli.asking import Json, ask, endpoint, fail, messages, read_span, say, show
from flexlond.cli.client import (
    DEFAULT_SOCKET,
    EXIT_NO_DAEMON,
    EXIT_REFUSED,
    LONG_TIMEOUT,
    CtlError,
    Endpoint,
)
from flexlond.cli.ledger import app as ledger_app
from flexlond.cli.market import app as market_app
from flexlond.cli.market import offers, order, orders
from flexlond.cli.settle import settle, statement
from flexlond.cli.window import app as window_app

if TYPE_CHECKING:
    from collections.abc import Callable

    from rich.console import Console

app = typer.Typer(
    help="Ask flexlond: which jobs move, when and why.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)

app.add_typer(window_app, name="window")
app.add_typer(market_app, name="market")
app.command("offers")(offers)
app.command("orders")(orders)
app.command("order")(order)
app.add_typer(ledger_app, name="ledger")


@app.callback()
def options(
    context: typer.Context,
    socket: Annotated[
        str, typer.Option(envvar="FLEXLON_SOCKET", help="The daemon's admin socket.")
    ] = DEFAULT_SOCKET,
    munge_socket: Annotated[
        str,
        typer.Option(envvar="FLEXLON_MUNGE_SOCKET", help="munged's socket; empty: libmunge's own."),
    ] = "",
) -> None:
    """Ask flexlond: which jobs move, when and why."""
    context.obj = Endpoint(socket, munge_socket)


@app.command()
def status(context: typer.Context, json: Json = False) -> None:
    """Show how the daemon is doing and what its last cycle did."""
    pb = messages()
    show(ask(context, "Status", pb.Empty()), json, _render("status"))


@app.command()
def jobs(
    context: typer.Context,
    user: Annotated[str, typer.Option(help="Only the jobs of this user.")] = "",
    every: Annotated[bool, typer.Option("--all", help="Also jobs that are not flexible.")] = False,
    json: Json = False,
) -> None:
    """List your jobs (an operator: everyone's) with their planned and latest starts."""
    pb = messages()
    reply = ask(context, "Jobs", pb.JobsRequest(user=user))
    chosen = [job for job in reply.jobs if every or json or job.flexible or job.touched]
    show(reply, json, lambda out, _: _render("jobs")(out, chosen))


@app.command()
def explain(
    context: typer.Context,
    job: Annotated[int, typer.Argument(min=1, max=2**32 - 1, help="The job's id.")],
    json: Json = False,
) -> None:
    """Say why a job starts when it starts, what that saves, until when it starts, and what else it could do."""
    pb = messages()
    show(ask(context, "Explain", pb.ExplainRequest(job_id=job)), json, _render("explain"))


@app.command()
def plan(
    context: typer.Context,
    slots: Annotated[int, typer.Option(min=0, help="Only the first so many slots; 0: all.")] = 0,
    json: Json = False,
) -> None:
    """Draw power by slot, planned and as soon as possible, with price, carbon and how good the plan is."""
    pb = messages()
    show(ask(context, "Plan", pb.PlanRequest(slots=slots)), json, _render("plan"))


@app.command()
def envelope(
    context: typer.Context,
    begin: Annotated[
        str,
        typer.Option(
            "--from",
            help="One window only: when it begins, as for sbatch --begin; widened to whole slots. "
            "Without it the windows of interest ([envelope]).",
        ),
    ] = "",
    end: Annotated[
        str, typer.Option("--to", help="When it ends; a clock time is the first one after --from.")
    ] = "",
    json: Json = False,
) -> None:
    """Show how many kW the queue can give or take by slot, and what each step costs. It changes nothing."""
    pb = messages()
    request = pb.EnvelopeRequest()
    if bool(begin) != bool(end):
        raise typer.BadParameter("give both, or neither", param_hint="--from / --to")
    if begin:
        request.start, request.end = read_span(begin, end)
    show(ask(context, "Envelope", request, LONG_TIMEOUT), json, _render("envelope"))


@app.command()
def signals(context: typer.Context, json: Json = False) -> None:
    """Show where price and carbon come from and how good they are."""
    pb = messages()
    show(ask(context, "Signals", pb.Empty()), json, _render("signals"))


@app.command()
def assets(context: typer.Context, json: Json = False) -> None:
    """Show the batteries and chillers beside the cluster: what was read, what is planned and what is set."""
    pb = messages()
    show(ask(context, "Assets", pb.Empty()), json, _render("assets"))


@app.command()
def check(
    context: typer.Context,
    comment: Annotated[
        str, typer.Argument(help="The comment, for example 'flex: deadline=now+8hours'.")
    ],
    time_limit: Annotated[
        str, typer.Option(help="The job's time limit, as for sbatch --time.")
    ] = "",
    partition: Annotated[str, typer.Option(help="The job's partition.")] = "",
    account: Annotated[str, typer.Option(help="The job's account.")] = "",
    qos: Annotated[str, typer.Option(help="The job's QOS.")] = "",
    config: Annotated[
        Path, typer.Option(help="The configuration to read by when the daemon does not answer.")
    ] = Path("/etc/flexlon/flexlon.toml"),
    json: Json = False,
) -> None:
    """Say how a comment would be read at submission; exit code 1 when it would be rejected."""
    pb = messages()
    request = pb.CheckRequest(
        comment=comment,
        time_limit_seconds=_seconds(time_limit),
        partition=partition,
        account=account,
        qos=qos,
    )
    try:
        reply = endpoint(context).call("Check", request)
    except CtlError as error:
        if error.exit_code != EXIT_NO_DAEMON:
            fail(error)
        reply = _check_locally(request, config, error)
    show(reply, json, _render("check"))
    if not reply.accepted:
        raise typer.Exit(EXIT_REFUSED)


@app.command()
def pause(context: typer.Context, json: Json = False) -> None:
    """Change nothing from now on; holds stay in Slurm until their begin time. For operators."""
    _mode(context, "Pause", json)


@app.command()
def resume(context: typer.Context, json: Json = False) -> None:
    """Undo pause and drain. For operators."""
    _mode(context, "Resume", json)


@app.command()
def release(
    context: typer.Context,
    job_ids: Annotated[
        list[int] | None, typer.Argument(metavar="JOB...", min=1, max=2**32 - 1, help="Job ids.")
    ] = None,
    every: Annotated[
        bool, typer.Option("--all", help="Every job that is held. For operators.")
    ] = False,
    json: Json = False,
) -> None:
    """Let jobs start as if FlexLon were not there, for good; your own, or as an operator any."""
    if every == bool(job_ids):
        fail(CtlError("name job ids, or --all: one of the two", EXIT_NO_DAEMON))
    pb = messages()
    request = pb.ReleaseRequest(job_ids=job_ids or [], all=every)
    reply = ask(context, "Release", request, LONG_TIMEOUT)
    show(reply, json, lambda out, _: _render("release")(out, reply.jobs))
    if job_ids and not all(line.released for line in reply.jobs):
        raise typer.Exit(EXIT_REFUSED)


@app.command()
def reload(context: typer.Context, json: Json = False) -> None:
    """Read the configuration again; a refused one leaves the last good one in force. For operators."""
    _mode(context, "Reload", json)


@app.command()
def drain(context: typer.Context, json: Json = False) -> None:
    """Take everything of ours out of the queue; exit code 1 while something is left. For operators."""
    pb = messages()
    reply = ask(context, "Drain", pb.Empty(), LONG_TIMEOUT)
    say(reply, json, f"{reply.restored} restored, {reply.left} left: {reply.detail}")
    if reply.left:
        raise typer.Exit(EXIT_REFUSED)


app.command()(settle)
app.command()(statement)


def main() -> None:
    """Run the command line."""
    app()


def _mode(context: typer.Context, method: str, json: bool) -> None:
    pb = messages()
    reply = ask(context, method, pb.Empty(), LONG_TIMEOUT)
    say(reply, json, reply.detail)


def _render(name: str) -> Callable[[Console, Any], None]:
    from flexlond.cli import render, render_assets, render_envelope, render_explain, render_plan

    homes = {
        "assets": render_assets,
        "envelope": render_envelope,
        "explain": render_explain,
        "plan": render_plan,
    }
    painter: Callable[[Console, Any], None] = getattr(homes.get(name, render), name)
    return painter


def _seconds(time_limit: str) -> int:
    from flexlond.model.slurmtime import SlurmTimeError, parse_duration

    if not time_limit:
        return 0
    try:
        return parse_duration(time_limit)
    except SlurmTimeError as error:
        raise typer.BadParameter(f"{error}", param_hint="--time-limit") from error


def _check_locally(request: Any, config: Path, down: CtlError) -> Any:
    """The same reading without the daemon, by the configuration file."""
    import time

    from flexlond.daemon.check import Submission
    from flexlond.daemon.check import check as read
    from flexlond.daemon.config import load
    from flexlond.daemon.config_problem import ConfigError
    from flexlond.host.zone import local_zone

    try:
        settings = load(config)
    except ConfigError as error:
        fail(CtlError(f"{down}\nand without it: {error}", EXIT_NO_DAEMON))
    print(f"flexlonctl: the daemon cannot be asked; read here by {config}", file=sys.stderr)
    submission = Submission(
        request.comment, request.time_limit_seconds, request.partition, request.account, request.qos
    )
    reading = read(submission, settings.directive, now=int(time.time()), tz=local_zone())
    pb = messages()
    values = [pb.KeyValue(key=key, value=value) for key, value in reading.values]
    return pb.CheckReply(accepted=reading.accepted, message=reading.message, values=values)


if __name__ == "__main__":
    main()
