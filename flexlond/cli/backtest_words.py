"""The words of flexlond backtest's options as the values that they mean.

Law: reads text; a word that cannot be read is refused with its option and its form. Epoch seconds, seconds.
"""

from __future__ import annotations

import re
from importlib.resources import files
from pathlib import Path
from typing import TypeVar

from flexlond.backtest import roster
from flexlond.backtest.trace import Site
from flexlond.signals.restamp import DAYS
from flexlond.signals.rows import SignalError, parse_utc

T = TypeVar("T")
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_DURATION = re.compile(r"([0-9]+(?:\.[0-9]+)?)([smhd])\Z")


class UsageError(ValueError):
    """An option that cannot be read; the text names it and its form."""


def needed(value: T | None, option: str, what: str) -> T:
    """The value of an option that must be there."""
    if not value:
        raise UsageError(f"{option} is missing: {what} (see flexlond backtest --help)")
    return value


def signals(paths: list[Path]) -> tuple[str, ...]:
    """The files; gb-day-typical, gb-day-windy and gb-day-tight are those that ship."""
    shipped = {f"gb-day-{name}" for name in DAYS}
    data = Path(str(files("flexlond.data")))
    return tuple(
        str(
            (data / f"{path}.csv" if str(path) in shipped and not path.exists() else path).resolve()
        )
        for path in paths
    )


def policies(words: list[str]) -> tuple[tuple[str, str], ...]:
    """(name, parameter) of each NAME[:param=value]; the usual ones for none. Raises PolicyError."""
    return tuple(roster.parse(word) for word in words or roster.DEFAULT)


def site(
    nodes: int, per_node: tuple[float, float, float], partitions: list[str] | None, zone: str
) -> Site:
    """What the options say of the cluster; `per_node` is (CPUs, GPUs, MiB). Raises InputError."""
    pools = []
    for word in partitions or []:
        name, _, count = word.partition("=")
        if not name or not count.isdecimal():
            raise UsageError(f"--partition {word!r}: write NAME=NODES, as in batch=40")
        pools.append((name, int(count)))
    return Site(nodes, *per_node, tuple(pools), zone)


def slack(text: str) -> tuple[float, float]:
    """(least, most) seconds of "2h,24h"."""
    words = text.split(",")
    found = [_DURATION.match(word.strip()) for word in words]
    if len(words) != 2 or not all(found):
        raise UsageError(f"--slack {text!r}: write least,most with units, as in 2h,24h")
    low, high = (float(match[1]) * _UNITS[match[2]] for match in found if match)
    return low, high


def day(option: str, text: str) -> int | None:
    """The epoch second of a day or moment (UTC without an offset); None for no text."""
    try:
        return parse_utc(text) if text else None
    except SignalError:
        raise UsageError(f"{option} {text!r}: write a day or moment, as in 2026-01-31") from None


def share(text: str) -> tuple[int, int]:
    """(i, N) of "i/N"."""
    index, slash, count = text.partition("/")
    numbers = slash and index.isdecimal() and count.isdecimal()
    if not numbers or not 1 <= int(index) <= int(count):
        raise UsageError(f"--only {text!r}: write i/N with i from 1 to N, as in 3/16")
    return int(index), int(count)
