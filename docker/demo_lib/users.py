"""The demo's ordinary users: they submit with sbatch, each under the user's own name.

Law: no privilege and no product knowledge: what happens here is what any user can type. A refusal is shown
as sbatch prints it. What Slurm says of a job right after its submission is kept, so that the end can compare.
"""

from __future__ import annotations

import subprocess
import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from demo_lib.product import DemoError
from demo_lib.workload import Kind

if TYPE_CHECKING:
    from collections.abc import Sequence

    from demo_lib.workload import Submission

_SBATCH_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class Submitted:
    """One accepted submission."""

    submission: Submission
    job_id: int


@dataclass(slots=True)
class Users:
    """Submits the workload on time, in a thread; `accepted` and `said` grow while it runs."""

    workload: Sequence[Submission]
    start: float  # epoch seconds of the day's begin
    accepted: list[Submitted] = field(default_factory=list)
    said: list[str] = field(default_factory=list)
    names: dict[int, str] = field(default_factory=dict)
    failed: str = ""
    done: threading.Event = field(default_factory=threading.Event)
    stop: threading.Event = field(default_factory=threading.Event)

    def begin(self) -> None:
        """Start submitting."""
        threading.Thread(target=self._run, name="users", daemon=True).start()

    def _run(self) -> None:
        try:
            for submission in self.workload:
                if self.stop.wait(max(0.0, self.start + submission.at - time.time())):
                    return
                self._submit(submission)
        except (DemoError, OSError, subprocess.TimeoutExpired) as error:
            self.failed = str(error)
        finally:
            self.done.set()

    def _submit(self, submission: Submission) -> None:
        ids = {done.submission.name: done.job_id for done in self.accepted}
        argv = ["runuser", "-u", submission.user, "--", *submission.argv(ids)]
        answer = subprocess.run(
            argv, capture_output=True, text=True, timeout=_SBATCH_SECONDS, check=False
        )
        refused = answer.returncode != 0
        if refused != (submission.kind is Kind.MALFORMED):
            raise DemoError(
                f"`{' '.join(argv)}` was {'refused' if refused else 'accepted'}, "
                f"which it must not be: {answer.stderr.strip() or answer.stdout.strip()}"
            )
        if refused:
            self.said.append(f'{submission.user} wrote "{submission.comment}" and was told:')
            self.said += [f"  {text}" for text in answer.stderr.strip().splitlines()]
            return
        job_id = int(answer.stdout.strip().split(";")[0])
        self.accepted.append(Submitted(submission, job_id))
        self.names[job_id] = submission.name
