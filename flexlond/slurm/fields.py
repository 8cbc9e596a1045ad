"""What Slurm's values mean: the one reading of text that every queue reader shares.

Law: pure functions from what Slurm prints to the units of model.job (epoch seconds, seconds, MiB, counts per
whole job). A value that cannot be understood is a ValueError, never a guess; the caller makes it a misfit.
`N/A`, `NONE`, `Unknown`, `(null)` are "none". Measured on 22.05, 24.11 and 26.05 (tests/fixtures/slurm).
"""

from __future__ import annotations

from functools import lru_cache
from itertools import pairwise
from typing import TYPE_CHECKING, Final

from flexlond.model.job import JobState

if TYPE_CHECKING:
    from collections.abc import Iterable

_NONE: Final = frozenset({"", "N/A", "NONE", "None", "Unknown", "(null)", "n/a"})
_UNITS: Final = {"K": 1, "M": 2, "G": 3, "T": 4, "P": 5}

# squeue's compact states and the flags of JSON, to ours. A job that is requeued waits again: PENDING.
_STATES: Final = {
    **dict.fromkeys(("PD", "PENDING"), JobState.PENDING),
    **dict.fromkeys(("RQ", "REQUEUED", "REQUEUE", "REQUEUE_FED", "RF"), JobState.PENDING),
    **dict.fromkeys(("RH", "REQUEUE_HOLD", "SE", "SPECIAL_EXIT"), JobState.PENDING),
    **dict.fromkeys(("RD", "RESV_DEL_HOLD"), JobState.PENDING),
    **dict.fromkeys(("CF", "CONFIGURING", "PO", "POWER_UP_NODE"), JobState.CONFIGURING),
    **dict.fromkeys(("R", "RUNNING", "RS", "RESIZING", "SI", "SIGNALING"), JobState.RUNNING),
    **dict.fromkeys(("ST", "STOPPED", "UPDATE_DB"), JobState.RUNNING),
    **dict.fromkeys(("S", "SUSPENDED"), JobState.SUSPENDED),
    **dict.fromkeys(("CG", "COMPLETING", "SO", "STAGE_OUT"), JobState.COMPLETING),
    **dict.fromkeys(("CD", "COMPLETED", "CA", "CANCELLED", "F", "FAILED"), JobState.ENDED),
    **dict.fromkeys(("TO", "TIMEOUT", "NF", "NODE_FAIL", "PR", "PREEMPTED"), JobState.ENDED),
    **dict.fromkeys(("BF", "BOOT_FAIL", "DL", "DEADLINE"), JobState.ENDED),
    **dict.fromkeys(("RV", "REVOKED"), JobState.AWAY),
    **dict.fromkeys(("OOM", "OUT_OF_MEMORY"), JobState.ENDED),
}
# JSON gives a base state and flags; the flag that decides what may be done comes first.
_FLAGS_FIRST: Final = ("COMPLETING", "STAGE_OUT", "CONFIGURING", "POWER_UP_NODE")

MAX_TASKS: Final = 4_000_001
"""Slurm's own largest MaxArraySize: a task expression beyond it is not Slurm's."""


def state(text: str) -> JobState:
    """Compact or long state name -> our state; ValueError for one that is not known."""
    try:
        return _STATES[text]
    except KeyError:
        raise ValueError(f"unknown job state {text!r}") from None


def state_of_flags(names: Iterable[str]) -> JobState:
    """JSON's list of base state and flags (["RUNNING", "COMPLETING"]) -> our state."""
    listed = tuple(names)
    for flag in _FLAGS_FIRST:
        if flag in listed:
            return state(flag)
    return state(listed[0] if listed else "")


def text(value: str) -> str:
    """A text column: Slurm's "(null)" and "N/A" are the empty text."""
    return "" if value in ("(null)", "N/A") else value


def epoch(value: str) -> int:
    """A time printed with SLURM_TIME_FORMAT=%s; 0 for none."""
    if value.isdecimal():
        return int(value)
    if value in _NONE:
        return 0
    raise ValueError(f"not an epoch time: {value!r}")


@lru_cache(maxsize=4096)
def count(value: str) -> int:
    """A count as squeue prints it: "12", "2K" (x1024), "2-4" (the least), "" or "N/A" (0)."""
    if value in _NONE:
        return 0
    least = value.split("-", 1)[0]
    power = _UNITS.get(least[-1:], 0)
    number = least[:-1] if power else least
    return round(float(number) * 1024.0**power)


@lru_cache(maxsize=4096)
def minutes_text(value: str) -> int | None:
    """A time limit ("10:00", "1-12:00:00", "UNLIMITED") -> seconds.

    None for UNLIMITED, and for a limit that Slurm has not fixed yet ("Partition_Limit", "NOT_SET"): not
    known is treated as not bounded, and such a job is never deferred.
    """
    if value in ("UNLIMITED", "Partition_Limit", "NOT_SET", "INVALID") or value in _NONE:
        return None
    days, dash, clock = value.rpartition("-")
    parts = [int(part) for part in clock.split(":")]
    if len(parts) > 3 or any(part < 0 for part in parts):
        raise ValueError(f"not a time limit: {value!r}")
    if dash and len(parts) < 3:
        parts += [0] * (3 - len(parts))  # D-HH[:MM[:SS]]
    seconds = 0
    for part in parts:
        seconds = seconds * 60 + part
    if not dash and len(parts) == 1:
        seconds *= 60  # a bare number is minutes
    return seconds + (int(days) * 86400 if dash else 0)


@lru_cache(maxsize=4096)
def tres(value: str) -> dict[str, str]:
    """A TRES text ("cpu=2,mem=500G,gres/gpu=4") -> name to amount as printed."""
    if value in _NONE:
        return {}
    return dict(entry.split("=", 1) for entry in value.split(",") if "=" in entry)


@lru_cache(maxsize=4096)
def memory_mib(tres_text: str) -> int:
    """MiB of the whole job from its TRES text; 0 when memory is not in it. A bare number is MiB."""
    amount = tres(tres_text).get("mem", "")
    if not amount:
        return 0
    power = _UNITS.get(amount[-1:], 0)
    if not power:
        return round(float(amount))
    return round(float(amount[:-1]) * 1024.0 ** (power - 2))


@lru_cache(maxsize=4096)
def gpus(  # noqa: PLR0917 - called column by column through map()
    tres_text: str,
    per_job: str,
    per_node: str,
    per_socket: str,
    per_task: str,
    nodes: int,
    tasks: int,
) -> tuple[tuple[str, int], ...]:
    """GPUs of the whole job by type, sorted; type "" where none was asked for.

    The total is Slurm's own (gres/gpu in the TRES) where the site accounts GPUs; the types are those that
    TRES or the request name. A site that does not account them leaves the request to be multiplied out.
    """
    amounts = tres(tres_text)
    typed = {
        name.removeprefix("gres/gpu:"): count(amount)
        for name, amount in amounts.items()
        if name.startswith("gres/gpu:")
    }
    asked: dict[str, int] = {}
    for request, times in ((per_job, 1), (per_node, nodes), (per_task, tasks), (per_socket, 1)):
        for kind, number in gpu_request(request):
            asked[kind] = asked.get(kind, 0) + number * max(times, 1)
        if asked:
            break  # the other levels repeat the same request in another measure
    total = count(amounts.get("gres/gpu", ""))
    if typed:
        found = dict(typed)
        if total > sum(typed.values()):
            found[""] = total - sum(typed.values())
    elif total == 0 or total == sum(asked.values()):
        found = asked
    elif len(asked) == 1:
        found = dict.fromkeys(asked, total)
    else:
        found = {"": total}
    return tuple(sorted((kind, number) for kind, number in found.items() if number > 0))


def gpu_request(value: str) -> list[tuple[str, int]]:
    """GPUs that a request or a GRES text names -> [(type, count)].

    "gres:gpu:h200:2" (22.05), "gres/gpu:h200:2" (later), "cpu=2,gres/gpu=1", "gpu:h200:4(S:0-1)" (nodes).
    """
    found = []
    for entry in value.split(","):
        name = entry.removeprefix("gres:").removeprefix("gres/").replace("=", ":")
        parts = name.split("(", 1)[0].split(":")
        if parts[0] != "gpu":
            continue
        if len(parts) > 2:
            found.append((parts[1], count(parts[2])))
        elif len(parts) == 2 and parts[1][:1].isdigit():
            found.append(("", count(parts[1])))
        else:
            found.append((parts[1] if len(parts) == 2 else "", 1))
    return found


def task_ids(expression: str) -> tuple[list[int], int]:
    """An array's task expression ("1-4,6,8-20:2%3") -> (sorted task ids, throttle; 0: none).

    ValueError where it is cut short ("1-4,..."): then the number of tasks is not known.
    """
    listed, _, throttle = expression.partition("%")
    if not listed or "..." in listed:
        raise ValueError(f"array tasks not complete: {expression[:80]!r}; set SLURM_BITSTR_LEN=0")
    ids: set[int] = set()
    for part in listed.split(","):
        span, _, step = part.partition(":")
        first, dash, last = span.partition("-")
        start, stop = int(first), int(last) if dash else int(first)
        if not 0 <= start <= stop <= MAX_TASKS:
            raise ValueError(f"not array tasks: {expression[:80]!r}")
        ids.update(range(start, stop + 1, int(step) if step else 1))
    return sorted(ids), int(throttle) if throttle else 0


def task_expression(ids: Iterable[int], throttle: int) -> str:
    """Task ids as Slurm prints them, in one canonical form: runs only ("1-4,6%2"), never a step."""
    ordered = sorted(ids)
    if not ordered:
        return ""
    breaks = [i for i, (a, b) in enumerate(pairwise(ordered), 1) if b != a + 1]
    starts, ends = [0, *breaks], [*breaks, len(ordered)]
    runs = ((ordered[s], ordered[e - 1]) for s, e in zip(starts, ends, strict=True))
    listed = ",".join(str(a) if a == b else f"{a}-{b}" for a, b in runs)
    return f"{listed}%{throttle}" if throttle else listed
