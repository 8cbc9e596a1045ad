"""One site of docker/two-sites: its meter, its configuration, and jobs that can wait; run in its controller.

Law: as the window's demo: does what an administrator and users would. Half of the jobs begin with the window
and run through it; half begin in the middle of it, so that a site can still take something over then.
Arguments: the site's number, seconds of a slot, the window's begin (epoch seconds), 0 to set the site up.
"""

from __future__ import annotations

import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from string import Template

from demo_lib import setup, window_order
from demo_lib.product import DemoError

LATER = 4  # slots after the begin at which the second half begins
EACH = 6  # jobs of one GPU
LASTING = 20  # slots that a job runs
_HERE = Path(__file__).parent


def main(number: int, slot: int, start: int) -> int:
    """Set up, or with a `start` submit the jobs; the exit code."""
    try:
        if start:
            for begin in (start - slot, start + LATER * slot):
                for user in ("alice", "bob", "carol") * (EACH // 3):
                    _submit(user, begin, slot)
        else:
            _set_up(number, slot)
    except DemoError as error:
        print(f"site {number}: {error}", file=sys.stderr)
        return 1
    done = f"{2 * EACH} jobs that can wait are submitted" if start else "FlexLon acts"
    print(f"site {number}: {done}")
    return 0


def _set_up(number: int, slot: int) -> None:
    window_order.start_meter()
    window_order.write_feed(window_order.flat_day(int(time.time()), slot, 120))
    part = Template((_HERE / "two_sites_site.toml").read_text(encoding="utf-8"))
    window = window_order.configuration(slot).replace(
        "refresh = 5.0", "refresh = 1.0\nmax_age = 10.0"
    )
    setup.configure(
        window + part.substitute(number=number, margin=0.1 * number, notice=float(slot))
    )
    setup.wait_until_ready()


def _submit(user: str, begin: int, slot: int) -> None:
    at = f"--begin={datetime.fromtimestamp(begin, UTC):%Y-%m-%dT%H:%M:%S}"
    words = ["-t20", "-n1", "-c2", "--gpus=1", at, "--comment=flex: max-delay=15:00"]
    argv = ["runuser", "-u", user, "--", "sbatch", "-D", "/tmp", "-o", "/dev/null", *words]  # noqa: S108 - a cwd
    done = subprocess.run(
        [*argv, f"--wrap=sleep {LASTING * slot}"], capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise DemoError(f"sbatch said: {done.stderr.strip()}")


if __name__ == "__main__":
    sys.exit(main(*(int(word) for word in sys.argv[1:4])))
