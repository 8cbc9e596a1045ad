"""The `kw` licence: how much of it a job has, and what a site must say before jobs get it.

Law: pure. One licence is one kW of a job's modelled power, rounded up, PUE included. Its name is fixed:
nothing of ours ever touches another licence. Texts of licences are Slurm's ("kw:5,matlab:1"; a name alone
counts 1); one that cannot be read is None, never a guess. Times are epoch seconds. Source: slurm.conf(5),
Licenses; measured on 22.05, 24.11 and 26.05.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from flexlond.model.action import Outcome
    from flexlond.model.settings import LicenceSettings

LICENCE = "kw"
PREFIX = "flexlon_"  # of our reservations' names
MOST_LICENCES = 4_000_000  # Slurm counts in 32 bits

_ONE = re.compile(r"([A-Za-z0-9_.@-]{1,64})(?:[:=]([0-9]{1,9}))?\Z")
_WORDS_OF_CONSENT = 3


@dataclass(frozen=True, slots=True, order=True)
class Stretch:
    """`kw` licences set apart from `start` to `end`: a reservation of ours, as wanted or as seen."""

    start: int
    end: int
    kw: int

    @property
    def name(self) -> str:
        """The reservation's name: one begins at a moment, so a changed end or depth is the same one changed."""
        return f"{PREFIX}{self.start}"


@dataclass(frozen=True, slots=True)
class StretchResult:
    """What came of one stretch; `code` is a stable word, `detail` a sentence for people."""

    stretch: Stretch
    outcome: Outcome
    code: str
    detail: str


@dataclass(frozen=True, slots=True)
class Reserved:
    """What the helper did and then saw: its reservations, all licences, those that running jobs use."""

    results: tuple[StretchResult, ...]
    in_force: tuple[Stretch, ...]
    total: int
    used: int


def kw_of(licenses: str) -> int | None:
    """The kW of the licence in a job's or a reservation's `licenses`; None where they cannot be read."""
    parts = split(licenses)
    return None if parts is None else sum(count for name, count in parts if name == LICENCE)


def without_kw(licenses: str) -> str | None:
    """The text without the `kw` licence; None where it cannot be read."""
    parts = split(licenses)
    if parts is None:
        return None
    return ",".join(f"{name}:{count}" for name, count in parts if name != LICENCE)


def split(licenses: str) -> tuple[tuple[str, int], ...] | None:
    """Names and counts of "kw:5,matlab:1"; None for alternatives ("a|b") and for what is no such list."""
    found = []
    for word in re.split(r"[,;]", licenses):
        if not word.strip():
            continue
        one = _ONE.match(word.strip())
        if one is None:
            return None
        found.append((one[1], int(one[2]) if one[2] else 1))
    return tuple(found)


def licences_for(kw: float) -> int:
    """Licences that `kw` (site kW, 0 or more) needs: rounded up, with some tolerance for the last digits."""
    return max(0, math.ceil(kw - 1e-9))


def why_no_consent(settings: LicenceSettings) -> str:
    """Why jobs without a directive may not be bound; "" where they may or are not."""
    bound = sorted(name for name, mode in settings.partitions.items() if mode == "all")
    if not bound or len(settings.consent.split()) >= _WORDS_OF_CONSENT:
        return ""
    return (
        f"names nobody who agreed, but licence.partitions binds all jobs of {', '.join(bound)}, also those "
        "whose owners did not agree to be moved"
    )
