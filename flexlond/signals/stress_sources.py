"""Which source serves which configured feed of warnings.

Law: the one table from the configuration's names to the modules that read them. It fetches nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from flexlond.signals.stress_elexon import ElexonDemandControl, ElexonWarnings
from flexlond.signals.stress_openadr import OpenAdr

if TYPE_CHECKING:
    from collections.abc import Callable

    from flexlond.model.buy_settings import BuySettings, StressFeed
    from flexlond.signals.stress import StressSource

_MAKERS: dict[str, Callable[[StressFeed, BuySettings], StressSource]] = {
    "elexon-warnings": ElexonWarnings,
    "elexon-demand-control": ElexonDemandControl,
    "openadr": OpenAdr,
}


def make_stress_source(feed: StressFeed, settings: BuySettings) -> StressSource:
    """The source for `feed`."""
    return _MAKERS[feed.source](feed, settings)
