"""The operator's part of the window's demo: the meter is switched on, FlexLon configured, the window ordered.

Law: does what an administrator and an operator would, by files, systemctl and flexlonctl. The meter's
coefficients are its own and differ from those in FlexLon's configuration. The cap is taken from the meter's
readings, not from FlexLon.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from string import Template

from demo_lib.day import Day
from demo_lib.product import PREFIX, DemoError
from demo_lib.report import Curve, iso
from demo_lib.setup import FEED, run
from demo_lib.window_report import Ordered

METER_FILE = Path("/var/lib/flexlon-demo/meter.csv")
_METER_DEFAULTS = Path("/etc/default/site-meter")
_METER = (
    "--idle-watts 251 --cpu-watts 5.2 --gpu-watts 683 --pue 1.22 --other-watts 40 --noise 0.004"
)
_TEMPLATE = Path(__file__).with_name("window.toml")
_PRICE = 100.0  # GBP/MWh and
_CARBON = 150.0  # gCO2/kWh, in every slot
_DELAY_GBP = (
    600.0  # per kWh, day and slot: a slot's delay then counts more than planning.min_benefit
)
_AHEAD = 240  # slots of the feed


def flat_day(start: int, slot_seconds: int, slots: int) -> Day:
    """`slots` slots from the first slot border at or after `start`, at one price."""
    start += -start % slot_seconds
    begin = start - 10 * slot_seconds

    def flat(value: float) -> Curve:
        return Curve(begin, slot_seconds, (value,) * (_AHEAD + 10))

    return Day(start, slot_seconds, flat(_PRICE), flat(_CARBON), slots)


def configuration(slot_seconds: int, *, requeue: bool = False) -> str:
    """The configuration file's text; `requeue`: running jobs may be stopped for a window."""
    text = _TEMPLATE.read_text(encoding="utf-8")
    return Template(text).substitute(
        slot_seconds=slot_seconds,
        feed=FEED,
        delay_price=_DELAY_GBP / slot_seconds,
        stops=str(requeue).lower(),
    )


def write_feed(day: Day) -> None:
    """The flat feed that FlexLon reads."""
    rows = [
        f"{iso(day.price.start + number * day.price.step)},{price},{carbon}"
        for number, (price, carbon) in enumerate(
            zip(day.price.values, day.carbon.values, strict=True)
        )
    ]
    FEED.write_text("\n".join(["utc,price,carbon", *rows, ""]), encoding="utf-8")
    FEED.chmod(0o644)


def start_meter() -> None:
    """The simulated meter of the site, which asks the nodes what they run. Raises DemoError."""
    METER_FILE.parent.mkdir(parents=True, exist_ok=True)
    METER_FILE.unlink(missing_ok=True)
    _METER_DEFAULTS.write_text(f'OPTIONS="{_METER} --csv {METER_FILE}"\n', encoding="utf-8")
    run(["systemctl", "restart", "site-meter.service"])


def order(start: int, end: int, cap_kw: float) -> Ordered:
    """`flexlonctl window add`: what flexlond took. Raises DemoError."""
    moments = [f"{datetime.fromtimestamp(at, UTC):%Y-%m-%dT%H:%M:%S}" for at in (start, end)]
    words = ["--from", moments[0], "--to", moments[1], "--cap", f"{cap_kw:.3f}kW", "--json"]
    reply = json.loads(run([str(PREFIX / "flexlonctl"), "window", "add", *words]))
    window = reply["window"]
    taken = tuple(float(slot["cap_kw"]) for slot in window["slots"])
    if not reply["added"] or not taken:
        raise DemoError(f"the window was not taken: {reply['detail']}")
    return Ordered(int(window["window_id"]), start, taken, int(window["ramp_slots"]), cap_kw)
