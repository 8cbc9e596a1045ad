"""The demo inside the controller's container: set up, run the day, account for it, say whether it held.

Law: exit code 0 only when every deadline was kept, no job without consent was changed and cost and carbon are
below as-soon-as-possible; 1 otherwise, with the reasons on stderr.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path

from rich.console import Console

from demo_lib import setup, summary
from demo_lib.day import DATE, Day, day_from
from demo_lib.facts import Evidence, collect
from demo_lib.product import DemoError
from demo_lib.run import run_day
from demo_lib.users import Users
from demo_lib.workload import workload

# From the restart of the services to the first complete cycle, with room to spare.
LEAD_SECONDS = 15
_LOG_WIDTH = 150


def prepare(slot_seconds: int) -> Day:
    """FlexLon with the demo's configuration, acting, and a day that is about to begin. Raises DemoError."""
    day = day_from(int(time.time()) + LEAD_SECONDS, slot_seconds)
    print(
        f"the day: GB, {DATE} from 16:00, one half-hour in {slot_seconds} s; configuration and feed written"
    )
    setup.install(day)
    status = setup.wait_until_ready()
    print(
        f"FlexLon acts: Slurm {status.slurm_version}, reader {status.reader}: {status.last_cycle}"
    )
    if time.time() > day.start:
        # A slow machine: the day begins now, not in its past.
        day = day_from(int(time.time()) + 2, slot_seconds)
        setup.renew(day)
    return day


def main() -> int:
    """The program; returns its exit code."""
    parser = argparse.ArgumentParser(prog="demo_lib", description=__doc__)
    parser.add_argument("--slot-seconds", type=int, default=7)
    parser.add_argument("--json", type=Path, required=True, help="where the report goes as data")
    chosen = parser.parse_args()
    console = Console()
    if not console.is_terminal:
        console = Console(width=_LOG_WIDTH)
    try:
        day = prepare(chosen.slot_seconds)
        users = Users(workload(), float(day.start))
        time.sleep(max(0.0, day.start - time.time()))
        watch = run_day(day, users, console)
        report = collect(Evidence(day, tuple(users.accepted), watch))
    except DemoError as error:
        print(f"the demo failed: {error}", file=sys.stderr)
        return 1
    chosen.json.parent.mkdir(parents=True, exist_ok=True)
    chosen.json.write_text(
        json.dumps(report.as_data(), indent=1, allow_nan=False) + "\n", encoding="utf-8"
    )
    summary.show(report, users.said, console)
    failures = report.failures()
    for failure in failures:
        print(f"NOT KEPT: {failure}", file=sys.stderr)
    return 1 if failures else 0


if __name__ == "__main__":
    raise SystemExit(main())
