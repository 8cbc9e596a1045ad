"""What was consumed in a settlement period at a metering point, and what the figure is worth.

Law: pure. Energy is whole Wh of import; export is negative. Only a reading that a meter took itself and that is
whole counts as measured; whatever had to be filled in says how. No figure is made up: a missing reading has
`wh` 0 and must not be read as none consumed. Which qualities a claim may rest on is the contract's matter
(terms.py): measured alone, unless it says more (invariant I6).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence


class Quality(StrEnum):
    """What a reading is worth, best first."""

    MEASURED = "measured"  # whole, by the meter itself
    SUBSTITUTED = "substituted"  # put in its place by whoever collects the data
    ESTIMATED = "estimated"  # with a gap or a reset in it, or by a model
    MISSING = "missing"


_RANK = {quality: rank for rank, quality in enumerate(Quality)}


@dataclass(frozen=True, slots=True)
class Reading:
    """One metering point in one settlement period."""

    point: str
    start: int  # epoch s (UTC), the period's first second
    wh: int  # import positive; 0 when missing
    quality: Quality
    source: str  # where it is from, for people
    uncertainty_wh: int = 0  # by how much the true figure may differ, as far as the source can say
    detail: str = ""  # what had to be done with it, "" for nothing

    @property
    def known(self) -> bool:
        """Whether there is a figure."""
        return self.quality is not Quality.MISSING


def missing(point: str, start: int, source: str, why: str) -> Reading:
    """No figure for a period."""
    return Reading(point, start, 0, Quality.MISSING, source, 0, why)


def best_of(*sources: Iterable[Reading]) -> list[Reading]:
    """One reading per point and period: the best quality, of equals the earlier source's; in order."""
    best: dict[tuple[str, int], Reading] = {}
    for source in sources:
        for one in source:
            key = (one.point, one.start)
            if key not in best or _RANK[one.quality] < _RANK[best[key].quality]:
                best[key] = one
    return [best[key] for key in sorted(best)]


def not_worse(new: Iterable[Reading], known: Mapping[tuple[str, int], Reading]) -> list[Reading]:
    """Of what was read again, all that is at least as good as what is known: a guess corrects no meter."""
    return [
        one
        for one in new
        if (before := known.get((one.point, one.start))) is None
        or _RANK[one.quality] <= _RANK[before.quality]
    ]


def summed(point: str, parts: Sequence[Mapping[int, Reading]], source: str) -> list[Reading]:
    """The readings of a point that several meters make up together (the PDUs of a room).

    As good as the worst of them; where one has no figure there is none: the sum would be too low.
    """
    found = []
    for start in sorted({start for part in parts for start in part}):
        here = [part.get(start) for part in parts]
        known = [one for one in here if one is not None and one.known]
        if len(known) < len(here):
            why = f"{len(here) - len(known)} of {len(here)} meters have no figure"
            found.append(missing(point, start, source, why))
            continue
        worst = max(known, key=lambda one: _RANK[one.quality])
        found.append(
            Reading(
                point,
                start,
                sum(one.wh for one in known),
                worst.quality,
                source,
                sum(one.uncertainty_wh for one in known),
                "; ".join(dict.fromkeys(one.detail for one in known if one.detail)),
            )
        )
    return found


def alike(point: str, start: int, found: Sequence[Reading]) -> Reading:
    """One reading of several that a source gives for the same period.

    Equal ones are one; of different ones the largest import stands, as an estimate: the least can be
    claimed.
    """
    first = found[0]
    if len(found) == 1:
        return first
    if all((one.wh, one.quality) == (first.wh, first.quality) for one in found):
        return Reading(
            point, start, first.wh, first.quality, first.source, first.uncertainty_wh, "given twice"
        )
    known = [one for one in found if one.known]
    highest = max(known, key=lambda one: one.wh)
    said = ", ".join(str(one.wh) for one in known)
    return Reading(
        point,
        start,
        highest.wh,
        Quality.ESTIMATED,
        first.source,
        highest.wh - min(one.wh for one in known),
        f"given with different values ({said} Wh): the largest stands",
    )
