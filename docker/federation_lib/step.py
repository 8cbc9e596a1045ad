"""One move on a real cluster by the helper's own code, killed (SIGKILL) at a step: JOB DUE STEP.

Law: composes what slurm_plugin.main composes, on the same state directory, as the helper's user; only the kill
is added. STEP is one of STEPS. Run while flexlon-helper is stopped.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

from flexlond.host.zone import local_zone
from flexlond.model.action import Action, Verb
from flexlond.slurm.squeue import SqueueReader
from slurm_plugin import config as configuration
from slurm_plugin.batch import Batch
from slurm_plugin.pace import PaceBook
from slurm_plugin.parts import Parts
from slurm_plugin.rates import Bucket
from slurm_plugin.resume import ResumeBook
from slurm_plugin.routing import RouteBook, bring_back_due
from slurm_plugin.slurm_calls import SlurmCalls
from slurm_plugin.state import State

SITE = "site2"
STEPS = (
    *("whole", "before-intent", "after-intent", "after-scontrol", "before-ack"),
    *("timer-before-scontrol", "timer-after-scontrol"),
)


def kill() -> None:
    """End this process as the kernel would."""
    os.kill(os.getpid(), signal.SIGKILL)


class Killed:
    """Any part, but that a call of `method` is the last thing before, or after, it all ends."""

    def __init__(self, part: Any, method: str, *, after: bool) -> None:
        self._part, self._method, self._after = part, method, after

    def __getattr__(self, name: str) -> Any:
        real = getattr(self._part, name)
        if name != self._method:
            return real

        def call(*arguments: Any) -> Any:
            if self._after:
                real(*arguments)
            kill()

        return call


def main() -> int:
    """Do it; the exit code is of no meaning where the process is killed."""
    job_id, due, step = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
    if step not in STEPS:
        sys.exit(f"step {step!r}: one of {', '.join(STEPS)}")
    config = configuration.load("/etc/flexlon/flexlon.toml", now=int(time.time()))
    directory = Path(config.helper.state_dir)
    reader, calls = SqueueReader(config.slurm), SlurmCalls(config.slurm)
    routes = RouteBook(directory / "routes")
    routes.prepare()
    books = (ResumeBook(directory / "resume"), PaceBook(directory / "pace"))
    for book in books:
        book.prepare()
    parts = Parts(
        config=config,
        reader=reader,
        calls=calls,
        state=State(config.helper.state_dir),
        book=books[0],
        pace=books[1],
        routes=routes,
        sites=reader.federation,
        actions=Bucket(100),
        requeues=Bucket(100),
        tz=local_zone(),
        clock=lambda: int(time.time()),
        monotonic=time.monotonic,
    )
    (job,) = reader.read([job_id]).jobs
    if step == "before-intent":
        parts.routes = Killed(routes, "arm", after=False)  # type: ignore[assignment] # as it, but killed
    if step == "after-intent":
        parts.routes = Killed(routes, "arm", after=True)  # type: ignore[assignment] # as it, but killed
    if step == "after-scontrol":
        parts.calls = Killed(calls, "set_sites", after=True)  # type: ignore[assignment] # as it, but killed
    route = Action(
        action_id="1",
        job_id=job_id,
        submit=job.submit,
        restarts=job.restarts,
        expected_begin=job.begin,
        expected_state=job.state.value,
        verb=Verb.ROUTE,
        not_before=due,
        reason="a test",
        site=SITE,
    )
    results, _ = Batch(parts).apply([route])
    if step == "before-ack":
        kill()
    print(f"{job_id} {step}: {results[0].outcome} {results[0].code} {results[0].detail}")
    if step.startswith("timer-"):
        while time.time() < due:
            time.sleep(0.2)
        hand = Killed(calls, "set_sites", after=step == "timer-after-scontrol")
        bring_back_due(routes, hand, reader, reader.federation, now=due)  # type: ignore[arg-type] # calls, but killed
    return 0


if __name__ == "__main__":
    sys.exit(main())
