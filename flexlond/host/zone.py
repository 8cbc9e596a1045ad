"""The machine's own time zone, by name: the zone in which Slurm reads `--begin` and a directive's times.

Law: answers with what the C library would use for local time: $TZ, else /etc/localtime, else UTC. Reads files,
decides nothing. Source: tzset(3), localtime(5).
"""

from __future__ import annotations

import os
from pathlib import Path
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

_LOCALTIME = Path("/etc/localtime")
_DATABASE = "zoneinfo/"


def local_zone(localtime: Path = _LOCALTIME) -> ZoneInfo:
    """Return the zone of this host (run on slurmctld's host it is slurmctld's); UTC where none is set."""
    name = os.environ.get("TZ", "").removeprefix(":")
    if name and not name.startswith("/"):
        try:
            return ZoneInfo(name)
        except (ZoneInfoNotFoundError, ValueError):
            return ZoneInfo("UTC")  # as the C library does with a name it does not know
    path = Path(name) if name else localtime
    target = str(path.resolve())
    if _DATABASE in target:
        try:
            return ZoneInfo(target.split(_DATABASE, 1)[1].removeprefix("posix/"))
        except (ZoneInfoNotFoundError, ValueError):
            pass
    try:
        with path.open("rb") as file:
            return ZoneInfo.from_file(file, key=str(path))
    except (OSError, ValueError):
        return ZoneInfo("UTC")
