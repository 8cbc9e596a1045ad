"""What the two buyers of docker/two-sites know, from their journals: orders by slot, and what was pushed when.

Law: read only; a journal that is being written is read again later. What a lot is counted with is what the
product counts (`covers`): nothing of a site that does not answer. kW; epoch seconds (UTC).
"""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

FIRST, SECOND = "site-1.demo", "site-2.demo"
JOURNALS = {
    "portfolio": Path("/market/portfolio/market-down.db"),
    "grid": Path("/market/grid/market-grid.db"),
}
_COUNTED = {"ASKED", "ORDERED", "DONE"}


@dataclass(frozen=True, slots=True)
class Lot:
    """One order of one of the two buyers."""

    seller: str
    state: str
    kw: dict[int, float]
    told: dict[int, float]  # baseline less usage, as its meter proved it
    foreseen: dict[int, float]
    created: float
    why: str

    def covers(self, at: int) -> float:
        """KW that it is counted with."""
        kw = self.kw.get(at, 0.0)
        return min(kw, self.foreseen.get(at, kw)) if self.state in _COUNTED else 0.0


@dataclass(frozen=True, slots=True)
class Push:
    """An on_status as it came to the grid."""

    at: float
    open_kw: float  # the most that is foreseen to lack in one slot
    words: str


@dataclass(frozen=True, slots=True)
class Book:
    """All of it at a moment."""

    sites: Sequence[Lot]
    grid: Sequence[Lot]
    pushed: Sequence[Push]

    def line(self, at: int, wanted: float) -> str:
        """One slot in words, at its end."""
        parts = []
        for site in (FIRST, SECOND):
            lots = [lot for lot in self.sites if lot.seller == site]
            counted = sum(lot.covers(at) for lot in lots)
            sold = sum(lot.kw.get(at, 0.0) for lot in lots if lot.state in _COUNTED)
            told = [(when, kw) for lot in lots for when, kw in lot.told.items()]
            last = max((when for when, _ in told), default=0)
            proved = (
                f"{sum(kw for when, kw in told if when == last):.2f} of {clock(last)}"
                if told
                else "-"
            )
            parts.append(f"{site}: sold {sold:.2f}, counted {counted:.2f}, proved {proved}")
        open_kw = max(0.0, wanted - sum(lot.covers(at) for lot in self.grid))
        return f"{clock(at)}  {'; '.join(parts)}; the grid knows {open_kw:.2f} kW open"

    def report(self, after: float) -> Push | None:
        """The first that told the grid of a shortfall after a moment."""
        return next((one for one in self.pushed if one.at > after and one.open_kw > 0.1), None)


def clock(at: float) -> str:
    """HH:MM:SS."""
    return f"{datetime.fromtimestamp(at, UTC):%H:%M:%S}"


def total(lots: Sequence[Lot], name: str) -> dict[int, float]:
    """Sums by slot of one of the lots' tables."""
    found: dict[int, float] = {}
    for lot in lots:
        for at, kw in getattr(lot, name).items():
            found[at] = found.get(at, 0.0) + kw
    return found


def read_lots(who: str) -> list[Lot]:
    """The orders of a buyer, the oldest first."""
    sql = "SELECT seller, state, kw, told, foreseen, created, why FROM lot ORDER BY created"
    return [
        Lot(
            seller,
            state,
            _slots(kw),
            {int(at): pair[0] - pair[1] for at, pair in json.loads(told).items()},
            _slots(foreseen),
            created,
            why,
        )
        for seller, state, kw, told, foreseen, created, why in _rows(JOURNALS[who], sql)
    ]


def pushes() -> list[Push]:
    """What came to the grid, in order."""
    sql = "SELECT received, body FROM inbox WHERE action='on_status' ORDER BY seq"
    return [_push(at, json.loads(body)) for at, body in _rows(JOURNALS["grid"], sql)]


def _push(at: float, plain: dict[str, Any]) -> Push:
    contract = plain["message"].get("contract", {})
    sold = _columns(contract["commitments"][0].get("commitmentAttributes") or {})
    lacking, words = 0.0, ""
    for part in contract.get("performance", ()):
        words = part.get("status", {}).get("shortDesc", "") or words
        for meter in part["performanceAttributes"]["meters"]:
            for begin, row in _columns(meter["telemetry"]).items():
                if "USAGE_FORECAST" in row and begin in sold:
                    given = row["BASELINE"] - row["USAGE_FORECAST"]
                    lacking = max(lacking, sold[begin]["CAPACITY_OFFERED"] - given)
    return Push(at, lacking, words)


def _columns(table: dict[str, Any]) -> dict[float, dict[str, float]]:
    if not table:
        return {}
    period = table["intervalPeriod"]
    begin = datetime.fromisoformat(period["start"]).timestamp()
    seconds = _seconds(period["duration"])
    return {
        begin + seconds * row["id"]: {one["type"]: one["values"][0] for one in row["payloads"]}
        for row in table["intervals"]
    }


def _seconds(duration: str) -> float:
    """Of PT20S, PT1M, PT1M10S."""
    minutes, _, rest = duration.removeprefix("PT").rpartition("M")
    return 60.0 * float(minutes or 0) + float(rest.removesuffix("S") or 0)


def _slots(text: str) -> dict[int, float]:
    return {int(at): value for at, value in json.loads(text).items()}


def _rows(path: Path, sql: str) -> list[tuple[Any, ...]]:
    try:
        with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=2.0)) as db:
            return [tuple(row) for row in db.execute(sql)]
    except sqlite3.Error:
        return []
