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
from typing import TYPE_CHECKING, Any

from rich.console import Console

from demo_lib import setup, summary
from demo_lib.day import DATE, Day, day_from
from demo_lib.facts import Evidence, collect
from demo_lib.market_main import run_market
from demo_lib.market_main import show as show_market
from demo_lib.product import DemoError
from demo_lib.run import run_day
from demo_lib.users import Users
from demo_lib.window_load import SEED
from demo_lib.window_main import Order, run_window, show
from demo_lib.workload import workload

if TYPE_CHECKING:
    from demo_lib.report import Report

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


def whole_day(slot_seconds: int, console: Console) -> tuple[Report, Users]:
    """The day that runs past. Raises DemoError."""
    day = prepare(slot_seconds)
    users = Users(workload(), float(day.start))
    time.sleep(max(0.0, day.start - time.time()))
    watch = run_day(day, users, console)
    return collect(Evidence(day, tuple(users.accepted), watch)), users


def main() -> int:
    """The program; returns its exit code."""
    parser = argparse.ArgumentParser(prog="demo_lib", description=__doc__)
    parser.add_argument("--slot-seconds", type=int, default=7)
    parser.add_argument("--json", type=Path, required=True, help="where the report goes as data")
    parser.add_argument("--window", action="store_true", help="the demo of a window")
    parser.add_argument("--market", action="store_true", help="the demo of a market")
    parser.add_argument("--requeue", action="store_true", help="of one that requeues jobs")
    parser.add_argument("--seed", type=int, default=SEED, help="of the window's jobs")
    chosen = parser.parse_args()
    console = Console()
    if not console.is_terminal:
        console = Console(width=_LOG_WIDTH)
    try:
        if chosen.market:
            market = run_market(Order(chosen.slot_seconds, 0.3, False, chosen.seed), console)
            _write(chosen.json, market.as_data())
            return show_market(market, console)
        if chosen.window:
            reduction = 0.4 if chosen.requeue else 0.3
            order = Order(chosen.slot_seconds, reduction, chosen.requeue, chosen.seed)
            window = run_window(order, console)
            _write(chosen.json, window.as_data())
            return show(window, console)
        report, users = whole_day(chosen.slot_seconds, console)
    except DemoError as error:
        print(f"the demo failed: {error}", file=sys.stderr)
        return 1
    _write(chosen.json, report.as_data())
    summary.show(report, users.said, console)
    failures = report.failures()
    for failure in failures:
        print(f"NOT KEPT: {failure}", file=sys.stderr)
    return 1 if failures else 0


def _write(path: Path, data: dict[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(data, indent=1, allow_nan=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    raise SystemExit(main())
