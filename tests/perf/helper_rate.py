"""How fast the helper changes begin times: 1,000 changes over 40 distinct times in a queue of 10,000 jobs.

Run as root in the controller of a test cluster (`docker/cluster shell`), flexlond stopped, helper up:
python tests/perf/helper_rate.py [--jobs 10000] [--changes 1000] [--times 40] [--rounds 5] [--json FILE]
Submits the jobs itself as alice (they wait a day by their own --begin), prints each round's wall time with the
share that is slurmctld's own (sdiag, REQUEST_UPDATE_JOB), and takes its jobs away again. The bar is 3 s.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
import time
from typing import Any

PYTHON = "/opt/flexlon/bin/python"
SOCKET = "/run/flexlon-helper/helper.sock"
BAR = 3.0
DAY = 86400

CLIENT = """
import asyncio, json, sys, time
from collections import Counter
from flexlond.model.action import Action, Verb
from flexlond.slurm.helper_client import HelperClient

async def main():
    actions = [Action(**(one | {"verb": Verb(one["verb"])})) for one in json.load(sys.stdin)]
    client = HelperClient(sys.argv[1])
    await client.status()
    began = time.perf_counter()
    results = await client.apply(actions)
    seconds = time.perf_counter() - began
    await client.close()
    codes = Counter(result.code for result in results)
    print(json.dumps({"seconds": seconds, "codes": codes}))

asyncio.run(main())
"""


def run(argv: list[str], stdin: str | None = None) -> str:
    """Run a command with UTC and epoch times; its output."""
    environment = {
        "PATH": "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin",
        "TZ": "UTC",
        "SLURM_TIME_FORMAT": "%s",
    }
    done = subprocess.run(
        argv, input=stdin, capture_output=True, text=True, env=environment, check=False
    )
    if done.returncode != 0:
        sys.exit(f"{argv[0]} ended {done.returncode}: {done.stderr}")
    return done.stdout


def submit(count: int) -> None:
    """Submit `count` single jobs of alice."""
    loop = (
        f"for i in $(seq {count}); do sbatch --parsable -t10 --begin=now+1days -o /dev/null "
        "--comment='flex: max-delay=2-0' --wrap true >/dev/null || exit 1; done"
    )
    run(["runuser", "-u", "alice", "--", "bash", "-c", f"cd /tmp && {loop}"])


def queue() -> list[list[str]]:
    """Id, submit time, restarts and begin time of alice's pending jobs."""
    columns = "JobID:~,SubmitTime:~,RestartCnt:~,EligibleTime:~"
    rows = run(["squeue", "-h", "-u", "alice", "-t", "PD", "-O", columns]).split()
    return [row.split("~") for row in rows]


def slurmctld_share() -> tuple[int, float]:
    """How many job updates slurmctld has handled, and its seconds for them."""
    found = re.search(
        r"REQUEST_UPDATE_JOB\s+\(\s*\d+\)\s+count:(\d+)\s+ave_time:(\d+)\s+total_time:(\d+)",
        run(["sdiag"]),
    )
    return (int(found[1]), int(found[3]) / 1e6) if found else (0, 0.0)


def one_round(changes: int, times: int) -> dict[str, Any]:
    """Change `changes` begin times and say how long it took."""
    rows = queue()[:changes]
    first = (
        max(int(time.time()) + DAY, *(int(row[3]) for row in rows)) + 60
    )  # never before the owner's
    asked = [
        {
            "action_id": row[0],
            "job_id": int(row[0]),
            "submit": int(row[1]),
            "restarts": int(row[2]),
            "expected_begin": int(row[3]),
            "expected_state": "PD",
            "verb": "hold-until",
            "not_before": first + 60 * (index % times),
            "reason": "tests/perf/helper_rate.py",
        }
        for index, row in enumerate(rows)
    ]
    before = slurmctld_share()
    argv = ["runuser", "-u", "flexlon", "--", PYTHON, "-c", CLIENT, SOCKET]
    told: dict[str, Any] = json.loads(run(argv, json.dumps(asked)))
    after = slurmctld_share()
    told["updates"] = after[0] - before[0]
    told["slurmctld_seconds"] = after[1] - before[1]
    return told


def main() -> int:
    """Run the rounds; 1 when the median is over the bar or a change did not go through."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--jobs", type=int, default=10_000)
    parser.add_argument("--changes", type=int, default=1000)
    parser.add_argument("--times", type=int, default=40)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--keep", action="store_true", help="leave the jobs in the queue")
    parser.add_argument("--json", default="")
    arguments = parser.parse_args()
    submit(max(0, arguments.jobs - len(queue())))
    rounds = []
    for turn in range(arguments.rounds):
        told = one_round(arguments.changes, arguments.times)
        rounds.append(told)
        print(
            f"round {turn + 1}: {arguments.changes} changes, {arguments.times} times, "
            f"{arguments.jobs} pending: {told['seconds']:.2f} s, of which slurmctld "
            f"{told['slurmctld_seconds']:.2f} s ({told['updates']} updates); {told['codes']}"
        )
    median = sorted(told["seconds"] for told in rounds)[len(rounds) // 2]
    well = all(told["codes"] == {"applied": arguments.changes} for told in rounds)
    version = run(["scontrol", "-V"]).split()[-1]
    print(
        f"Slurm {version}: median {median:.2f} s, bar {BAR:.1f} s, {'all' if well else 'NOT ALL'} applied"
    )
    if arguments.json:
        with open(arguments.json, "w", encoding="utf-8") as file:  # noqa: PTH123 # a path of the caller's
            json.dump(
                {"slurm": version, "median_seconds": median, "rounds": rounds}, file, indent=1
            )
    if not arguments.keep:
        ids = [row[0] for row in queue()]
        for at in range(0, len(ids), 500):
            run(["scancel", *ids[at : at + 500]])
    return 0 if well and median < BAR else 1


if __name__ == "__main__":
    sys.exit(main())
