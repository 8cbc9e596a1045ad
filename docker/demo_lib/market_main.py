"""The demo of a market: the grid announces stress, buys from two sellers, and the cluster keeps what it sold.

Law: exit code 0 only when every order was completed and rated, each seller delivered at least 95 % of what it
sold in each slot, and all that the window's demo asks for holds too; 1 otherwise, with the reasons on stderr.
"""

from __future__ import annotations

import math
import sys
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.table import Table
from rich.text import Text

from demo_lib import market_town, market_wire, setup, window_main, window_order, window_summary
from demo_lib.market_load import market_load
from demo_lib.market_run import MarketRun
from demo_lib.users import Users
from demo_lib.watch import clock
from demo_lib.window_load import PATIENCE, Timing
from demo_lib.window_run import watch_of

if TYPE_CHECKING:
    from rich.console import Console

    from demo_lib.day import Day
    from demo_lib.market_wire import Order
    from demo_lib.window_main import Order as Asked
    from demo_lib.window_report import WindowReport

MESSAGES = Path("/var/lib/flexlon-demo/messages")
DELIVERED = 0.95  # of what was sold, in each slot
NOTICE = (
    4  # slots, whole ones: the envelope is asked for, the order made, the window given its notice
)
_LEAD_SECONDS = 3


@dataclass(frozen=True, slots=True)
class MarketReport:
    """What the demo says at its end."""

    window: WindowReport
    orders: tuple[Order, ...]
    wanted_kw: float
    messages: int

    @property
    def done(self) -> list[Order]:
        """The orders that were completed."""
        return [one for one in self.orders if one.state == "DONE"]

    def failures(self) -> list[str]:
        """Why the run does not show what it is for."""
        found = self.window.failures()
        if not any(one.seller == "hpc.demo" for one in self.done):
            found.append("the cluster completed no order")
        ramp = {self.window.slots[0].start - 1}
        ramp |= {slot.start for slot in self.window.slots if slot.ramp_in}
        for order in self.done:
            for at, kw in sorted(order.kw.items()):
                given = order.delivered.get(at, math.nan)
                if at not in ramp and not given >= DELIVERED * kw:
                    found.append(
                        f"{order.seller} sold {kw:.2f} kW in the slot of {clock(at)} and delivered {given:.2f}"
                    )
            if not order.rating:
                found.append(f"the order of {order.seller} was not rated")
        return found

    def as_data(self) -> dict[str, Any]:
        """The same as plain data for JSON."""
        return {
            "wanted_kw": self.wanted_kw,
            "messages": self.messages,
            "orders": [market_wire.as_data(one) for one in self.orders],
            "window": self.window.as_data(),
            "failures": self.failures(),
        }


def prepare(timing: Timing) -> Day:
    """The meter runs, FlexLon acts and sells, the two others are on the market. Raises DemoError."""
    seconds = timing.slot_seconds
    slots = timing.end + PATIENCE
    window_order.start_meter()
    window_order.write_feed(window_order.flat_day(int(time.time()), seconds, slots))
    market_town.make_keys()
    setup.configure(market_town.site_configuration(window_order.configuration(seconds), seconds))
    status = setup.wait_until_ready()
    market_town.open_others(seconds)
    print(
        f"FlexLon acts: Slurm {status.slurm_version}, reader {status.reader}: {status.last_cycle}"
    )
    return window_order.flat_day(int(time.time()) + _LEAD_SECONDS, seconds, slots)


def run_market(asked: Asked, console: Console) -> MarketReport:
    """The whole demo. Raises DemoError."""
    timing = Timing(asked.slot_seconds, warm_up=2, observed=4, notice=NOTICE)
    print(
        f"slots of {asked.slot_seconds} s: {timing.warm_up} to fill up, {timing.observed} observed, then the"
        f" grid announces stress for {timing.window} slots with {timing.notice} whole slots of notice"
    )
    vtn = market_town.Vtn()
    try:
        day = prepare(timing)
        users = Users(market_load(timing), float(day.start))
        run = MarketRun(day, timing, users, asked.reduction, watch_of(users), vtn=vtn)
        time.sleep(max(0.0, day.start - time.time()))
        run.watch(console)
        run.wire.news()
        run.wire.write(MESSAGES)
        return MarketReport(
            _of_what_was_sold(window_main.report(run)),
            tuple(market_wire.orders()),
            run.wanted_kw,
            len(run.wire.messages),
        )
    finally:
        vtn.close()


def _of_what_was_sold(window: WindowReport) -> WindowReport:
    """The window's reduction is what the cluster sold, not what the grid wanted of all; any load counts."""
    share = 1.0 - window.ordered.ordered_kw / window.baseline_kw
    return replace(window, reduction=share, least_flexible=0.0)


def show(found: MarketReport, console: Console) -> int:
    """Print it; the exit code."""
    window_summary.show(found.window, console)
    console.print()
    table = Table(
        title=Text(
            "kW by slot (UTC): sold, and delivered as each seller's meter has it", style="bold"
        ),
        title_justify="left",
        box=None,
        pad_edge=False,
        padding=(0, 2, 0, 0),
        header_style="bold",
    )
    table.add_column("slot", no_wrap=True)
    for order in found.done:
        for word in ("sold", "delivered"):
            table.add_column(f"{order.seller} {word}", justify="right")
    for at in sorted({at for order in found.done for at in order.kw}):
        cells = []
        for order in found.done:
            cells += [_kw(order.kw.get(at)), _kw(order.delivered.get(at))]
        table.add_row(clock(at), *cells)
    console.print(table)
    console.print()
    hours = found.window.slot_seconds / 3600.0
    for order in found.done:
        sold = math.fsum(order.kw.values()) * hours
        cost = math.fsum(kw * order.price[at] for at, kw in order.kw.items()) * hours
        given = math.fsum(
            min(kw, max(0.0, order.delivered.get(at, 0.0))) for at, kw in order.kw.items()
        )
        console.print(
            Text(
                f"{order.seller}: {given * hours:.4f} of {sold:.4f} kWh delivered, {cost:.4f} GBP, rated"
                f" {order.rating} of 5"
            )
        )
    console.print(Text(f"{found.messages} messages between three hosts, each signed"))
    failures = found.failures()
    for failure in failures:
        print(f"NOT KEPT: {failure}", file=sys.stderr)
    return 1 if failures else 0


def _kw(value: float | None) -> str:
    return "-" if value is None or not math.isfinite(value) else f"{value:.2f}"
