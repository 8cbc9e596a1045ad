"""Price and carbon together: the Signals of a backtest (flexlond.backtest.case.Signals).

Law: puts two series side by side and nothing more; each decides itself what was known when. `foresight` is
true when either is known in advance. GBP/MWh (or the currency of the file times its factor), gCO2/kWh.
A series that the case does not have is NaN throughout. Source: our own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from flexlond.model.timegrid import TimeGrid


class Series(Protocol):
    """One quantity: what was known of it when, and how it turned out; slots are parts of a day."""

    foresight: bool
    label: str  # how it was known

    @property
    def span(self) -> tuple[int, int]:
        """First second and the first second after the values."""
        ...

    def known_at(self, now: int, grid: TimeGrid) -> NDArray[np.float64]:
        """Shape (grid.count,): published by `now`."""
        ...

    def actual(self, grid: TimeGrid) -> NDArray[np.float64]:
        """Shape (grid.count,): as it turned out."""
        ...


class PastSignals:
    """Two series by name; `problems` is what was wrong in their files, `notes` how each was known."""

    def __init__(
        self,
        name: str,
        price: Series | None,
        carbon: Series | None,
        problems: tuple[str, ...] = (),
    ) -> None:
        """Raises ValueError without any series."""
        series = [one for one in (price, carbon) if one is not None]
        if not series:
            raise ValueError("signals without price and carbon; give at least one of them")
        self.name = name
        self.price = price
        self.carbon = carbon
        self.foresight = any(one.foresight for one in series)
        self.problems = problems
        self.notes = tuple(
            f"{kind}: {'none' if one is None else one.label}"
            for kind, one in (("price", price), ("carbon", carbon))
        )
        self.span = (max(one.span[0] for one in series), min(one.span[1] for one in series))

    def known_at(self, now: int, grid: TimeGrid) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """(price, carbon), each (grid.count,): what had been published by `now`, NaN where nothing."""
        price = _unknown(grid) if self.price is None else self.price.known_at(now, grid)
        carbon = _unknown(grid) if self.carbon is None else self.carbon.known_at(now, grid)
        return price, carbon

    def actual(self, grid: TimeGrid) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """(price, carbon), each (grid.count,): as settled and measured, NaN where unknown."""
        price = _unknown(grid) if self.price is None else self.price.actual(grid)
        carbon = _unknown(grid) if self.carbon is None else self.carbon.actual(grid)
        return price, carbon


def _unknown(grid: TimeGrid) -> NDArray[np.float64]:
    return np.full(grid.count, np.nan)
