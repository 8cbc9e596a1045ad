"""flexlon-helper: serve | resume-due | status.

Law: composes the helper and nothing else. Refuses to start where its policy could not be kept: a configuration
it cannot read, a state directory that is not its own, a second helper on the same state, a daemon user that
does not exist. Logs JSON lines to stderr.
"""

from __future__ import annotations

import argparse
import asyncio
import fcntl
import logging
import os
import signal
import sys
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import structlog

from flexlond.host import notify
from flexlond.host.zone import local_zone
from flexlond.slurm.squeue import SqueueReader
from slurm_plugin import config as configuration
from slurm_plugin.batch import Batch
from slurm_plugin.pace import PaceBook, put_back_due
from slurm_plugin.parts import Parts
from slurm_plugin.rates import Bucket
from slurm_plugin.resume import ResumeBook, resume_due
from slurm_plugin.routing import RouteBook, bring_back_due
from slurm_plugin.slurm_calls import SlurmCalls
from slurm_plugin.state import State, StateError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from slurm_plugin.config import HelperConfig
    from slurm_plugin.server import HelperServicer

DEFAULT_CONFIG = "/etc/flexlon/flexlon.toml"
SOCKET_MODE = 0o660  # the directory (0750, group of the daemon) does the rest
_SWEEP_EVERY = 86400.0  # seconds
_STOP_GRACE = 10.0  # seconds for a call under way
_log = structlog.get_logger("flexlon-helper")


class StartError(Exception):
    """The helper cannot start; the text says what to do."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; the exit code (0 well, 1 not done, 2 wrong configuration)."""
    parser = argparse.ArgumentParser(
        prog="flexlon-helper", description="FlexLon's privileged helper"
    )
    parser.add_argument("command", choices=("serve", "resume-due", "status"))
    parser.add_argument(
        "--config", default=DEFAULT_CONFIG, help="the configuration file (%(default)s)"
    )
    arguments = parser.parse_args(argv)
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.JSONRenderer(),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )
    try:
        config = configuration.load(arguments.config, now=int(time.time()))
        if arguments.command == "resume-due":
            return _resume_due(config)
        # No child of ours ever speaks gRPC; set before grpc is imported, so that it installs no fork hooks.
        os.environ["GRPC_ENABLE_FORK_SUPPORT"] = "0"
        if arguments.command == "status":
            return asyncio.run(_status(config))
        return asyncio.run(_serve(config, arguments.config))
    except (configuration.HelperConfigError, StartError, StateError) as error:
        print(f"flexlon-helper: {error}", file=sys.stderr)
        return 2


def _resume_due(config: HelperConfig) -> int:
    """Resume and put back what is due; 1 when a job stays suspended, or an array slowed, that is due."""
    state_dir, calls = Path(config.helper.state_dir), SlurmCalls(config.slurm)
    reader, grace = SqueueReader(config.slurm), config.helper.resume_grace
    now = int(time.time())
    moved = bring_back_due(
        RouteBook(state_dir / "routes"), calls, reader, reader.federation, now=now
    )
    if moved.sentence:
        _log.warning(moved.sentence, widened=moved.widened, still_there=moved.waiting)
    summary = resume_due(ResumeBook(state_dir / "resume"), calls, reader, now=now, grace=grace)
    paced = put_back_due(PaceBook(state_dir / "pace"), calls, reader, now=now, grace=grace)
    if not paced.quiet:
        _log.warning(
            paced.sentence,
            put_back=paced.put_back,
            left_alone=paced.left_alone,
            still_slowed=paced.failed,
        )
    if not summary.quiet:
        _log.warning(
            summary.sentence,
            resumed=summary.resumed,
            woken=summary.woken,
            still_suspended=summary.failed,
        )
    return 1 if summary.failed or paced.failed or moved.waiting else 0


async def _status(config: HelperConfig) -> int:
    from flexlond.slurm.helper_client import HelperClient, HelperUnavailable  # noqa: PLC0415 # grpc is heavy

    client = HelperClient(config.helper.socket, munge_socket=config.slurm.munge_socket)
    try:
        status = await client.status()
    except HelperUnavailable as error:
        print(f"flexlon-helper: {error}", file=sys.stderr)
        return 1
    finally:
        await client.close()
    print(f"flexlon-helper {status.version}, Slurm {status.slurm_version or 'unknown'}")
    print(f"actions left this minute: {status.actions_left}")
    print(f"opted out: {len(status.opt_outs)} jobs")
    for out in status.opt_outs:
        print(f"  job {out.job_id}: {out.reason}")
    return 0


@contextmanager
def _sole_owner(state_dir: str) -> Iterator[None]:
    """Hold the state directory's lock; StartError where another helper has it."""
    path = Path(state_dir) / "lock"
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise StartError(
            f"cannot use helper.state_dir: {error}; it must exist and belong to the helper's user "
            "(StateDirectory=flexlon-helper in the unit makes it)"
        ) from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        raise StartError(f"another flexlon-helper runs on {state_dir}: stop it first") from None
    try:
        yield
    finally:
        os.close(descriptor)


async def _serve(config: HelperConfig, path: str) -> int:
    from slurm_plugin.server import HelperServicer, make_server  # noqa: PLC0415 # grpc, after its setting

    uid = configuration.daemon_uid(config)
    settings = config.helper
    with _sole_owner(settings.state_dir):
        book = ResumeBook(Path(settings.state_dir) / "resume")
        book.prepare()
        pace = PaceBook(Path(settings.state_dir) / "pace")
        pace.prepare()
        routes = RouteBook(Path(settings.state_dir) / "routes")
        routes.prepare()
        state = State(settings.state_dir)
        reader = SqueueReader(config.slurm)
        parts = Parts(
            config=config,
            reader=reader,
            calls=SlurmCalls(config.slurm),
            state=state,
            book=book,
            pace=pace,
            routes=routes,
            sites=reader.federation,
            actions=Bucket(settings.max_actions_per_minute),
            requeues=Bucket(settings.max_requeues_per_minute),
            tz=local_zone(),
            clock=lambda: int(time.time()),
            monotonic=time.monotonic,
        )
        servicer = HelperServicer(Batch(parts), parts, daemon_uid=uid)
        server = make_server(
            servicer, allowed_uids=(0, uid), munge_socket=config.slurm.munge_socket
        )
        try:
            server.add_insecure_port(f"unix:{settings.socket}")
            await server.start()
            os.chmod(settings.socket, SOCKET_MODE)  # noqa: PTH101 # pathlib counts as blocking here
        except (OSError, RuntimeError) as error:
            raise StartError(
                f"cannot listen on helper.socket {settings.socket}: {error}; its directory must exist and "
                "belong to the helper's user (RuntimeDirectory=flexlon-helper in the unit makes it)"
            ) from error
        _log.info("ready", socket=settings.socket, daemon_uid=uid, state_dir=settings.state_dir)
        await _until_stopped(servicer, path)
        notify.notify_stopping("finishing the batch under way")
        await server.stop(_STOP_GRACE)
        await servicer.close()
        state.close()
        _log.info("stopped")
    return 0


async def _until_stopped(servicer: HelperServicer, path: str) -> None:
    """Reload on SIGHUP and keep the watchdog fed, until SIGTERM or SIGINT."""
    stop, reload = asyncio.Event(), asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    loop.add_signal_handler(signal.SIGHUP, reload.set)
    notify.notify_ready("waiting for the daemon")
    watchdog = asyncio.create_task(_feed_watchdog(servicer))
    sweeper = asyncio.create_task(_sweep(servicer))
    stopping = asyncio.create_task(stop.wait())
    try:
        while not stop.is_set():
            reloading = asyncio.create_task(reload.wait())
            await asyncio.wait({stopping, reloading}, return_when=asyncio.FIRST_COMPLETED)
            reloading.cancel()
            if reload.is_set() and not stop.is_set():
                reload.clear()
                await _reload(servicer, path)
    finally:
        watchdog.cancel()
        sweeper.cancel()
        stopping.cancel()


async def _reload(servicer: HelperServicer, path: str) -> None:
    """Take the file as it is now; a file that is wrong leaves the last good one in force."""
    notify.notify_reloading()
    try:
        await servicer.reconfigure(configuration.load(path, now=int(time.time())))
        _log.info("configuration read again", path=path)
    except configuration.HelperConfigError as error:
        _log.error("configuration kept as it was", error=str(error))
    notify.notify_ready("waiting for the daemon")


async def _feed_watchdog(servicer: HelperServicer) -> None:
    """Keep-alives come only while the worker thread answers."""
    interval = notify.watchdog_interval()
    if interval is None:
        return
    while True:
        await servicer.alive()
        notify.notify_watchdog()
        await asyncio.sleep(interval)


async def _sweep(servicer: HelperServicer) -> None:
    """Forget what is long gone, at start and once a day."""
    while True:
        dropped = await servicer.forget()
        if dropped:
            _log.info("forgot jobs that are long gone", records=dropped)
        await asyncio.sleep(_SWEEP_EVERY)


if __name__ == "__main__":
    sys.exit(main())
