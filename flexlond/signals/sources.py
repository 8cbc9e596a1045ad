"""Which source serves which configured feed.

Law: the one table from the configuration's `source` names to the modules that read them, with the kinds
each can serve and the physical limits of a kind. It fetches nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from flexlond.model.series import UNITS, Kind
from flexlond.signals.csv_feed import CsvSource
from flexlond.signals.elexon import ElexonMarketIndexSource
from flexlond.signals.neso_carbon import NesoCarbonSource
from flexlond.signals.neso_day_ahead import NesoDayAheadSource
from flexlond.signals.octopus import OctopusAgileSource

if TYPE_CHECKING:
    from collections.abc import Callable

    from flexlond.model.settings import Feed
    from flexlond.signals.source import Source

_MAKERS: dict[str, Callable[[Feed, Kind], Source]] = {
    "csv": CsvSource,
    "neso-carbon": NesoCarbonSource,
    "neso-carbon-regional": NesoCarbonSource,
    "elexon-market-index": ElexonMarketIndexSource,
    "octopus-agile": OctopusAgileSource,
    "neso-day-ahead": NesoDayAheadSource,
}

SERVES: dict[str, frozenset[Kind]] = {
    "csv": frozenset(Kind),
    "neso-carbon": frozenset({Kind.CARBON}),
    "neso-carbon-regional": frozenset({Kind.CARBON}),
    "elexon-market-index": frozenset({Kind.PRICE}),
    "octopus-agile": frozenset({Kind.PRICE}),
    "neso-day-ahead": frozenset({Kind.PRICE}),
}

# Those whose values can be what is paid or was measured; all others only forecast.
SETTLING: frozenset[str] = frozenset({"csv", "elexon-market-index", "octopus-agile"})

# Beyond what the settings allow: an average intensity is never negative, and no fuel emits 2000 g/kWh.
_PHYSICAL: dict[Kind, tuple[float, float]] = {
    Kind.PRICE: (-100_000.0, 100_000.0),
    Kind.CARBON: (0.0, 2_000.0),
}


def make_source(feed: Feed, kind: Kind) -> Source:
    """The source for `feed`; says nothing about whether it fits `kind` (`misfit` does)."""
    return _MAKERS[feed.source](feed, kind)


def misfit(feed: Feed, kind: Kind) -> str:
    """Why `feed` cannot serve `kind` at all; empty when it can. For the hub and for check-config."""
    if kind in SERVES[feed.source]:
        return ""
    (other,) = SERVES[feed.source]
    return (
        f"{feed.source} measures {other} in {UNITS[other]} and cannot serve signals.{kind}; "
        f"move it to [[signals.{other}]]"
    )


def limits(feed: Feed, kind: Kind) -> tuple[float, float]:
    """The values that count as possible: the feed's own limits within the physical ones."""
    low, high = _PHYSICAL[kind]
    return max(low, feed.minimum), min(high, feed.maximum)
