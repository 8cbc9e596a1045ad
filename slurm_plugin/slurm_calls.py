"""Everything the helper can make Slurm do: a closed list of commands.

Law: argument vectors only, built from numbers, never from text of a user. There is no way to cancel, hold for
ever, change a comment or touch anything but the jobs named. Times are given in UTC (the commands run with
TZ=UTC). A call says what Slurm complained of; whether it took effect is only ever known by reading again.
Measured: one command takes a list of ids and goes on after an id that fails (22.05, 24.11, 26.05).
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from flexlond.slurm.command import SlurmCommandError, run

if TYPE_CHECKING:
    from collections.abc import Sequence

    from flexlond.model.settings import SlurmSettings

LIST_LIMIT = 500  # ids in one command: about half a second of slurmctld's time
_ADDRESS = re.compile(r"[1-9][0-9]*(?:_[0-9]+)?\Z")
_SIGNAL = re.compile(r"[A-Z0-9]{1,9}\Z")


def slurm_time(at: int) -> str:
    """Epoch seconds as scontrol reads them under TZ=UTC; 0 is "now"."""
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%S") if at else "now"


class SlurmCalls:
    """Runs the commands; each method returns what Slurm complained of, "" for nothing."""

    def __init__(self, settings: SlurmSettings) -> None:
        self._settings = settings

    def set_begin(self, addresses: Sequence[str], at: int) -> str:
        """Begin time := `at` (0: now) for pending jobs, by job id, array id or ARRAY_TASK."""
        return self._each(
            addresses,
            lambda ids: ["scontrol", "update", f"JobId={ids}", f"StartTime={slurm_time(at)}"],
        )

    def requeue(self, addresses: Sequence[str]) -> str:
        """Requeue running jobs. "Incomplete": a job that has ended meanwhile is not run again."""
        return self._each(addresses, lambda ids: ["scontrol", "requeue", "Incomplete", ids])

    def suspend(self, addresses: Sequence[str]) -> str:
        """Stop running jobs where they are."""
        return self._each(addresses, lambda ids: ["scontrol", "suspend", ids])

    def resume(self, addresses: Sequence[str]) -> str:
        """Let suspended jobs run on."""
        return self._each(addresses, lambda ids: ["scontrol", "resume", ids])

    def warn(self, address: str, signal: str) -> str:
        """Send the checkpoint signal to the batch script alone; KILL and STOP are refused."""
        if not _SIGNAL.match(signal) or signal in {"KILL", "9", "STOP", "19"}:
            raise ValueError(f"not a checkpoint signal: {signal!r}")
        return self._run(["scancel", "--batch", f"--signal={signal}", _checked(address)])

    def version(self) -> str:
        """Return Slurm's version ("24.11.5"); "" when it cannot be asked."""
        try:
            words = run(["scontrol", "--version"], settings=self._settings).split()
        except SlurmCommandError:
            return ""
        return words[-1] if words else ""

    def _each(self, addresses: Sequence[str], argv: _Argv) -> str:
        said = []
        for start in range(0, len(addresses), LIST_LIMIT):
            chunk = [_checked(address) for address in addresses[start : start + LIST_LIMIT]]
            said.append(self._run(argv(",".join(chunk))))
        return "\n".join(text for text in said if text)

    def _run(self, argv: Sequence[str]) -> str:
        try:
            run(argv, settings=self._settings)
        except SlurmCommandError as error:
            return error.stderr or str(error)
        return ""


def _checked(address: str) -> str:
    if not _ADDRESS.match(address):
        raise ValueError(f"not a job id: {address!r}")
    return address


if TYPE_CHECKING:
    from collections.abc import Callable

    _Argv = Callable[[str], list[str]]
