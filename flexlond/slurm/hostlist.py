"""Slurm's host lists: "n[1-3,7],gpu01" as single node names.

Law: pure; the names are those that `scontrol show hostnames` prints, in the order of the list, leading zeros
kept. What is no host list is a ValueError, never a guess; so is one of more names than MOST, which bounds the
time and the memory that a text from outside may cost.
"""

from __future__ import annotations

import math
import re
from itertools import product
from typing import Final

MOST: Final = 200_000
_PART: Final = re.compile(r"\[([^\[\]]*)\]|([^\[\],\s]+)")
_SPAN: Final = re.compile(r"(\d+)(?:-(\d+))?")


def expand(hosts: str) -> tuple[str, ...]:
    """The names of a host list; none for "". ValueError names what is not understood."""
    names: list[str] = []
    at, whole = 0, hosts.strip()
    while at < len(whole):
        pieces: list[list[str]] = []
        while at < len(whole) and whole[at] != ",":
            part = _PART.match(whole, at)
            if part is None:
                raise ValueError(f"not a host list at {whole[at : at + 20]!r}: {hosts[:80]!r}")
            pieces.append([part[2]] if part[1] is None else _numbers(part[1], hosts))
            at = part.end()
        if not pieces or math.prod(map(len, pieces)) + len(names) > MOST:
            raise ValueError(f"not a host list of 1 to {MOST} names: {hosts[:80]!r}")
        names.extend("".join(name) for name in product(*pieces))
        at += 1
    return tuple(names)


def _numbers(spans: str, hosts: str) -> list[str]:
    """The numbers of "1-3,007": 1, 2, 3, 007."""
    found: list[str] = []
    for span in spans.split(","):
        match = _SPAN.fullmatch(span.strip())
        if match is None:
            raise ValueError(f"not a range of numbers: {span!r} in {hosts[:80]!r}")
        low, high = match[1], match[2] or match[1]
        if not 0 <= int(high) - int(low) < MOST:
            raise ValueError(f"not a range of 1 to {MOST} numbers: {span!r} in {hosts[:80]!r}")
        found.extend(str(number).zfill(len(low)) for number in range(int(low), int(high) + 1))
    return found
