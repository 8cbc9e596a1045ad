"""Puts the demo's configuration and day into place, as an administrator would, and waits for FlexLon.

Law: writes only FlexLon's own configuration, the series it names and the rendered Lua plugin; restarts
only FlexLon's services. Every step says what it does; a step that fails says so and where to look.
"""

from __future__ import annotations

import subprocess
import time
from pathlib import Path
from string import Template
from typing import TYPE_CHECKING

from demo_lib.product import PREFIX, DemoError, Status, status

if TYPE_CHECKING:
    from collections.abc import Sequence

    from demo_lib.day import Day

CONFIG = Path("/etc/flexlon/flexlon.toml")
FEED = Path("/etc/flexlon/demo-day.csv")
LUA_PLUGIN = Path("/etc/slurm/job_submit.lua")
SERVICES = ("flexlon-helper.service", "flexlond.service")
# The kW that may be started in 5 minutes, which are 43 of the demo half-hours: nearly the whole day.
RAMP_KW = 30.0
_TEMPLATE = Path(__file__).with_name("flexlon.toml")
_READY_SECONDS = 40.0


def run(argv: Sequence[str], *, timeout: float = 30.0) -> str:
    """Standard output of a command. Raises DemoError with its error text."""
    try:
        done = subprocess.run(argv, capture_output=True, text=True, timeout=timeout, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise DemoError(f"{argv[0]} could not be run: {error}") from error
    if done.returncode != 0:
        said = (done.stderr or done.stdout).strip() or "nothing"
        raise DemoError(f"`{' '.join(argv)}` ended with {done.returncode} and said: {said}")
    return done.stdout


def configuration(slot_seconds: int) -> str:
    """The configuration file's text."""
    return Template(_TEMPLATE.read_text(encoding="utf-8")).substitute(
        slot_seconds=slot_seconds,
        feed=FEED,
        ramp_kw=RAMP_KW,
    )


def install(day: Day) -> None:
    """Feed, configuration and plugin; FlexLon's services start anew. Raises DemoError."""
    CONFIG.parent.mkdir(mode=0o755, exist_ok=True)
    day.write(FEED)
    configure(configuration(day.slot_seconds))


def configure(text: str) -> None:
    """Install a configuration and the plugin for it; then FlexLon's services, restarted. Raises DemoError."""
    CONFIG.write_text(text, encoding="utf-8")
    CONFIG.chmod(0o644)
    run([str(PREFIX / "flexlond"), "check-config", "--config", str(CONFIG)])
    run([str(PREFIX / "flexlond"), "lua", "--output", str(LUA_PLUGIN)])
    run(["systemctl", "restart", *SERVICES], timeout=60.0)


def ready(found: Status) -> str:
    """What is still missing before the demo can begin; empty when nothing is."""
    if found.mode != "act":
        return f"the mode is {found.mode or 'unknown'}, not act"
    if not found.helper_answering:
        return f"the helper does not answer ({found.helper_detail or 'no detail'})"
    if not found.last_cycle_at:
        return "no cycle is complete yet"
    return "" if found.heartbeat_fresh else "there is no fresh heartbeat"


def wait_until_ready() -> Status:
    """The first status in which FlexLon acts. Raises DemoError after 40 s, with what is missing."""
    missing = "flexlonctl has not answered"
    until = time.monotonic() + _READY_SECONDS
    while time.monotonic() < until:
        try:
            found = status()
        except DemoError as error:
            missing = str(error)
        else:
            missing = ready(found)
            if not missing:
                return found
        time.sleep(1.0)
    raise DemoError(f"FlexLon is not ready after {_READY_SECONDS:.0f} s: {missing}")


def renew(day: Day) -> None:
    """Put a later day in place while FlexLon runs. Raises DemoError."""
    day.write(FEED)
    run([str(PREFIX / "flexlonctl"), "reload"])
    time.sleep(1.0)
