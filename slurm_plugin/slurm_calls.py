"""Everything the helper can make Slurm do: a closed list of commands.

Law: argument vectors only, built from numbers, never from text of a user (names of a job's licences go back as
they came, and only where they are names). There is no way to cancel, hold for ever, change a comment or touch
anything but the jobs named and reservations of the `kw` licence that bear our prefix. Times are given in UTC
(the commands run with TZ=UTC). A call says what Slurm complained of; whether it took effect is only ever known
by reading again. Measured: one command takes a list of ids and goes on after an id that fails (22.05, 24.11,
26.05).
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from flexlond.model.licence import LICENCE, PREFIX
from flexlond.slurm.cluster import parse_reservations
from flexlond.slurm.command import SlurmCommandError, run

if TYPE_CHECKING:
    from collections.abc import Sequence

    from flexlond.model.job import Reservation
    from flexlond.model.licence import Stretch
    from flexlond.model.settings import SlurmSettings

LIST_LIMIT = 500  # ids in one command: about half a second of slurmctld's time
_ADDRESS = re.compile(r"[1-9][0-9]*(?:_[0-9]+)?\Z")
_NAME = re.compile(rf"{PREFIX}[0-9]{{1,11}}\Z")
_LICENSES = re.compile(r"(?:[A-Za-z0-9_.@-]{1,64}:[0-9]{1,9}(?:,|\Z))*\Z")
_COUNTS = re.compile(rf"LicenseName={LICENCE} Total=([0-9]+) Used=([0-9]+) ")
_CLUSTER = re.compile(r"[a-z0-9_-]{1,40}\Z")
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

    def set_licenses(self, addresses: Sequence[str], licenses: str) -> str:
        """Licences of pending jobs := `licenses` ("matlab:1,gurobi:2", "" for none)."""
        if not _LICENSES.match(licenses):
            raise ValueError(f"not a list of licences: {licenses!r}")
        return self._each(
            addresses, lambda ids: ["scontrol", "update", f"JobId={ids}", f"Licenses={licenses}"]
        )

    def set_throttle(self, arrays: Sequence[str], tasks: int) -> str:
        """At most `tasks` of an array at once (0: no throttle); what runs, runs on."""
        return self._each(
            arrays,
            lambda ids: ["scontrol", "update", f"JobId={ids}", f"ArrayTaskThrottle={tasks:d}"],
        )

    def set_sites(self, addresses: Sequence[str], sites: Sequence[str]) -> str:
        """The clusters of the federation where pending jobs may start; never none."""
        if not sites or not all(map(_CLUSTER.match, sites)):
            raise ValueError(f"not clusters: {sites!r}")
        return self._each(
            addresses,
            lambda ids: ["scontrol", "update", f"JobId={ids}", f"Clusters={','.join(sites)}"],
        )

    def reservations(self) -> tuple[Reservation, ...]:
        """Every reservation there is. Raises SlurmCommandError."""
        return parse_reservations(self._read(["scontrol", "-o", "show", "reservation"]))

    def licences(self) -> tuple[int, int]:
        """How many kw licences there are and how many running jobs use. Raises SlurmCommandError."""
        found = _COUNTS.search(self._read(["scontrol", "-o", "show", "licenses"]))
        return (int(found[1]), int(found[2])) if found else (0, 0)

    def reserve(self, stretch: Stretch, *, now: int) -> str:
        """Make a reservation; one that has begun begins now."""
        return self._run(
            [
                *("scontrol", "create", "reservation", f"ReservationName={_named(stretch.name)}"),
                *("Flags=LICENSE_ONLY,ANY_NODES", "NodeCnt=0", "Users=root"),
                f"StartTime={slurm_time(stretch.start if stretch.start > now else 0)}",
                f"EndTime={slurm_time(stretch.end)}",
                f"Licenses={LICENCE}:{stretch.kw:d}",
            ]
        )

    def change(self, stretch: Stretch) -> str:
        """Change end and depth of a reservation; its start stays."""
        return self._run(
            [
                *("scontrol", "update", f"ReservationName={_named(stretch.name)}"),
                *(f"EndTime={slurm_time(stretch.end)}", f"Licenses={LICENCE}:{stretch.kw:d}"),
            ]
        )

    def unreserve(self, name: str) -> str:
        """Take a reservation of ours away."""
        return self._run(["scontrol", "delete", f"ReservationName={_named(name)}"])

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

    def _read(self, argv: Sequence[str]) -> str:
        return run(argv, settings=self._settings)

    def _run(self, argv: Sequence[str]) -> str:
        try:
            run(argv, settings=self._settings)
        except SlurmCommandError as error:
            return error.stderr or str(error)
        return ""


def _named(name: str) -> str:
    if not _NAME.match(name):
        raise ValueError(f"not a reservation of ours: {name!r}")
    return name


def _checked(address: str) -> str:
    if not _ADDRESS.match(address):
        raise ValueError(f"not a job id: {address!r}")
    return address


if TYPE_CHECKING:
    from collections.abc import Callable

    _Argv = Callable[[str], list[str]]
