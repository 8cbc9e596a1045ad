"""The market's demo: as that of a window, but nobody orders it here: the grid does, over Beckn.

Law: announces stress at the moment at which the window's demo orders, and from then on only watches: the window
is found in FlexLon by the order that it keeps. A window that is not there when its first slot begins is a
failure; so is an order that is not complete DRAIN slots after the window. Epoch seconds (UTC).
"""

from __future__ import annotations

import json
import math
import time
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING

from demo_lib import market_wire
from demo_lib.market_wire import Wire
from demo_lib.metering import mean_kw, read_samples
from demo_lib.product import PREFIX, DemoError
from demo_lib.setup import run
from demo_lib.watch import clock
from demo_lib.window_order import METER_FILE
from demo_lib.window_report import Ordered
from demo_lib.window_run import DRAIN, WindowRun

if TYPE_CHECKING:
    from demo_lib.market_town import Vtn

_EVERY = 2.0  # seconds between two looks


@dataclass(slots=True)
class MarketRun(WindowRun):
    """One run of it."""

    vtn: Vtn | None = None
    wire: Wire = field(default_factory=Wire)
    wanted_kw: float = math.nan
    _looked: float = 0.0
    _told: int = 0  # windows

    def _step(self) -> bool:
        self._listen()
        now = time.time()
        more = self.ordered is not None and now < self.slot_start(self.timing.end)
        if more and now - self._looked >= _EVERY:  # what was still open may be bought later
            self._looked = now
            self.ordered = self._window() or self.ordered
        going = WindowRun._step(self)  # noqa: SLF001 -- super() does not know a class with slots
        if going or self._settled():
            return going
        if time.time() > self.slot_start(self.timing.end + DRAIN):
            raise DemoError(f"the orders are not complete {DRAIN} slots after the window")
        return True

    def _settled(self) -> bool:
        found = market_wire.orders()
        return all(one.state == "LOST" or (one.state == "DONE" and one.rating) for one in found)

    def _listen(self) -> None:
        self.said += [f"{clock(int(one.at))} {one.words}" for one in self.wire.news()]

    def _order(self) -> None:
        """First the announcement; then a look for the window, until its first slot begins."""
        now = time.time()
        if math.isnan(self.wanted_kw):
            self._announce()
        elif now - self._looked >= _EVERY:
            self._looked = now
            self.ordered = self._window()
            if self.ordered is None and now >= self.slot_start(self.timing.begin):
                whys = "; ".join(
                    f"{one.seller}: {one.state} {one.why}" for one in market_wire.orders()
                )
                raise DemoError(f"the grid's order is no window yet; its orders: {whys or 'none'}")

    def _announce(self) -> None:
        first, last = self.slot_start(self.timing.warm_up), self.slot_start(self.timing.order)
        self.baseline_kw = mean_kw(read_samples(METER_FILE), first, last)
        if math.isnan(self.baseline_kw) or self.vtn is None:
            raise DemoError(f"the meter's file {METER_FILE} does not cover the slots before this")
        self.wanted_kw = round(self.baseline_kw * self.reduction, 2)
        begin, seconds = self.slot_start(self.timing.begin), self.timing.slot_seconds
        self.vtn.announce(begin, self.timing.window, seconds, self.wanted_kw)
        self.said.append(
            f"the grid announces stress: {self.wanted_kw:.2f} kW less from {clock(begin)} on, for "
            f"{self.timing.window} slots"
        )

    def _window(self) -> Ordered | None:
        """What FlexLon made of the orders: the lowest cap of each slot, should there be several windows."""
        ctl = str(PREFIX / "flexlonctl")
        caps: dict[int, float] = {}
        ramp, numbers = 0, []
        for window in json.loads(run([ctl, "window", "list", "--json"]))["windows"]:
            if not window.get("order_id") or window["state"] in {"cancelled", "ended"}:
                continue
            shown = json.loads(run([ctl, "window", "show", str(window["window_id"]), "--json"]))
            numbers.append(int(window["window_id"]))
            ramp = max(ramp, int(shown["ramp_slots"]))
            for slot in shown["slots"]:
                at = int(datetime.fromisoformat(slot["start"]).timestamp())
                caps[at] = min(caps.get(at, math.inf), float(slot["cap_kw"]))
        if not caps:
            return None
        for number in numbers[self._told :]:
            self.said.append(f"an order has become window {number}")
        self._told = len(numbers)
        first, last = min(caps), max(caps)
        slots = tuple(
            caps.get(at, math.nan) for at in range(first, last + 1, self.day.slot_seconds)
        )
        return Ordered(numbers[0], first, slots, ramp, math.fsum(caps.values()) / len(caps))
