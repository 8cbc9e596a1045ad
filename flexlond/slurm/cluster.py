"""What Slurm says of itself: partitions, nodes, intervals, reservations.

Law: everything read here is written by administrators and operators, not by users; even so it is split by
random separators where the command has them. Pools count usable nodes only: down, drained, failing, not
answering and reserved ones are left out, powered-down ones are in (Slurm wakes them). Unknown ones are in too:
slurmctld has just started and has not heard of them (all nodes, for 4 s after a kill, measured on 24.11); one
that stays away is down after SlurmdTimeout. Memory is MiB, times are seconds and epoch seconds. Source:
`sinfo -N -O`, `scontrol show config`, `scontrol -o show reservation`, the forms that 22.05, 24.11 and 26.05
share (22.05's scontrol has no JSON).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from flexlond.model.job import Cluster, Pool, Reservation
from flexlond.slurm import fields
from flexlond.slurm.command import run
from flexlond.slurm.squeue import draw_separators, format_option, split_rows

if TYPE_CHECKING:
    from collections.abc import Iterable

    from flexlond.model.settings import SlurmSettings

NODE_COLUMNS: Final = (
    *("NodeList", "PartitionName", "Partition", "StateComplete", "CPUs", "Memory", "Gres"),
    *("Available", "Time", "DefaultTime"),
)
_UNUSABLE: Final = re.compile(
    r"down|drain|fail|error|inval|not_responding|no_respond|maint|reserved|reboot|perfctrs"
    r"|blocked|future|\*$",
    re.IGNORECASE,
)
_POWERED_DOWN: Final = re.compile(r"power(ed|ing)_(down|up)|power_(down|up)", re.IGNORECASE)
_WORDS: Final = re.compile(r"(\w+)=(\S*)")

_DEFAULT_SCHED_INTERVAL: Final = 60  # slurm.conf(5), SchedulerParameters
_DEFAULT_BF_INTERVAL: Final = 30
_DEFAULT_KILL_WAIT: Final = 30


def read_cluster(settings: SlurmSettings) -> Cluster:
    """Ask slurmctld; three short commands, blocking. Raises SlurmCommandError."""
    separators = draw_separators()
    nodes = run(
        ["sinfo", "-h", "-a", "-N", "-O", format_option(NODE_COLUMNS, *separators)],
        settings=settings,
    )
    rows, _ = split_rows(nodes, len(NODE_COLUMNS), *separators)
    config = parse_config(run(["scontrol", "show", "config"], settings=settings))
    reservations = run(["scontrol", "-o", "show", "reservation"], settings=settings)
    return cluster_of(rows, config, parse_reservations(reservations))


def cluster_of(
    rows: list[list[str]], config: dict[str, str], reservations: tuple[Reservation, ...]
) -> Cluster:
    """The parts put together."""
    return Cluster(
        name=config.get("ClusterName", ""),
        slurm_version=config.get("SLURM_VERSION", ""),
        pools=pools_of(rows),
        sched_interval=longest_wait(config),
        accrue_always="ACCRUE_ALWAYS" in config.get("PriorityFlags", "").upper().split(","),
        kill_wait=_seconds(config.get("KillWait", ""), _DEFAULT_KILL_WAIT),
        reservations=reservations,
        power_saving=switches_off(config),
    )


def switches_off(config: dict[str, str]) -> bool:
    """Whether Slurm switches idle nodes off: a SuspendProgram, and a SuspendTime that is not INFINITE or -1.

    Source: slurm.conf(5). A SuspendTime of single partitions is not looked at.
    """
    program = fields.text(config.get("SuspendProgram", ""))
    return bool(program) and _seconds(config.get("SuspendTime", ""), -1) >= 0


def pools_of(rows: Iterable[list[str]]) -> tuple[Pool, ...]:
    """One pool per partition, from rows of NODE_COLUMNS (one per node and partition)."""
    by_partition: dict[str, list[list[str]]] = {}
    for row in rows:
        by_partition.setdefault(row[1].strip(), []).append([cell.strip() for cell in row])
    return tuple(_pool(name, members) for name, members in sorted(by_partition.items()))


def _pool(name: str, members: list[list[str]]) -> Pool:
    usable = [row for row in members if row[0] and is_usable(row[3])]
    gpus: dict[str, int] = {}
    for row in usable:
        for kind, number in fields.gpu_request(row[6]):
            gpus[kind] = gpus.get(kind, 0) + number
    first = members[0]
    return Pool(
        partition=name,
        nodes=len(usable),
        cpus=sum(fields.count(row[4]) for row in usable),
        memory_mib=sum(fields.count(row[5]) for row in usable),
        gpus=tuple(sorted(gpus.items())),
        node_names=tuple(sorted(row[0] for row in usable)),
        max_time=_limit(first[8]),
        default_time=_limit(first[9]),
        is_default=first[2].endswith("*"),
        up=first[7] == "up",
    )


def is_usable(state: str) -> bool:
    """Whether a node in this state ("idle", "mixed+drain", "idle+powered_down") can run a planned job."""
    return not _UNUSABLE.search(_POWERED_DOWN.sub("", state))


def _limit(text: str) -> int | None:
    """A time of sinfo ("infinite", "n/a", "1-00:00:00") -> seconds, None for none."""
    return None if text in ("infinite", "n/a", "NONE") else fields.minutes_text(text)


def parse_config(printed: str) -> dict[str, str]:
    """`scontrol show config`: "Key   = value" lines; the first of a key counts."""
    config: dict[str, str] = {}
    for line in printed.splitlines():
        key, equals, value = line.partition("=")
        if equals:
            config.setdefault(key.strip(), value.strip())
    return config


def longest_wait(config: dict[str, str]) -> int:
    """Seconds from a begin time until the scheduler has surely looked at the job.

    Slurm has two periodic passes: the main one each `sched_interval` over the whole queue, and backfill
    each `bf_interval` over its first bf_max_job_test jobs. On an idle cluster the sooner of the two starts
    the job (measured with the defaults: 0-28 s), but only the main pass is certain to reach every job, so
    the bound for a latest start is the longer of the two. With the main pass off (-1) it is backfill's.
    """
    parameters = dict(
        word.strip().partition("=")[::2]
        for word in config.get("SchedulerParameters", "").split(",")
    )
    main = _seconds(parameters.get("sched_interval", ""), _DEFAULT_SCHED_INTERVAL)
    if "backfill" not in config.get("SchedulerType", "sched/backfill"):
        return main if main > 0 else _DEFAULT_SCHED_INTERVAL
    backfill = _seconds(parameters.get("bf_interval", ""), _DEFAULT_BF_INTERVAL)
    return max(main, backfill)


def _seconds(text: str, default: int) -> int:
    """Whole seconds: "5", "5 sec" -> 5; the default where it is no number."""
    word = text.split(" ", 1)[0]
    return int(word) if word.lstrip("-").isdecimal() else default


def parse_reservations(printed: str) -> tuple[Reservation, ...]:
    """`scontrol -o show reservation` with epoch times: one line each, words "Key=value"."""
    found = []
    for line in printed.splitlines():
        if not line.startswith("ReservationName="):
            continue
        words: dict[str, str] = {}
        for key, value in _WORDS.findall(line):
            words.setdefault(key, fields.text(value))
        found.append(
            Reservation(
                name=words["ReservationName"],
                start=fields.epoch(words.get("StartTime", "")),
                end=fields.epoch(words.get("EndTime", "")),
                nodes=words.get("Nodes", ""),
                licenses=words.get("Licenses", ""),
                flags=tuple(flag for flag in words.get("Flags", "").split(",") if flag),
                active=words.get("State", "") == "ACTIVE",
            )
        )
    return tuple(found)
