"""The best split of a need over offers, found by HiGHS in a child process.

Law: what it returns breaks no rule (`market_offers.violations`) and is never worse than the quick answer that
it begins from; that one is returned where the child gives none in time. Each offer is on or off in each slot,
started at most once, and on for its shortest activation at least. Blocks for `seconds` and some: call it in a
thread. Shapes: O offers, S slots. Source: the unit commitment model (minimum up-times, Rajan and Takriti 2005).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from flexlond.planning.market_offers import Need, Offers, Split, Weights, violations
from flexlond.planning.market_rank import scores
from flexlond.planning.market_split import greedy, rounded, worth_gbp
from flexlond.solver.linear import Answer, Model
from flexlond.solver.linear_child import Child

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

SECONDS = 5.0
MOST_CELLS = 20_000  # offers times slots: a larger question is answered quickly only


def split(
    need: Need,
    offers: Offers,
    weights: Weights,
    *,
    seconds: float = SECONDS,
    solve: Callable[..., Answer | None] | None = None,
) -> Split:
    """What to buy; `proven` says whether nothing better exists."""
    quick = greedy(need, offers, weights)
    quick = _kept(need, offers, rounded(need, offers, quick.kw)) or quick
    if not len(offers) or offers.kw.size > MOST_CELLS or not need.kw.any():
        return quick
    found = (solve or Child())(
        _model(need, offers, weights), seconds, start=_start(need, offers, quick.kw)
    )
    if found is None:
        return quick
    cells = offers.kw.size
    kw = np.where(found.x[cells : 2 * cells] > 0.5, found.x[:cells], 0.0).reshape(offers.kw.shape)
    exact = _kept(need, offers, rounded(need, offers, kw), proven=found.optimal)
    if exact is None or worth_gbp(need, offers, weights, exact.kw) < worth_gbp(
        need, offers, weights, quick.kw
    ):
        return quick
    return exact


def _kept(
    need: Need, offers: Offers, kw: NDArray[np.float64], *, proven: bool = False
) -> Split | None:
    return None if violations(need, offers, kw) else Split(kw, proven=proven)


@dataclass(slots=True)
class _Rows:
    """Rows of the model as they are collected."""

    lower: list[NDArray[np.float64]] = field(default_factory=list)
    upper: list[NDArray[np.float64]] = field(default_factory=list)
    row: list[NDArray[np.int64]] = field(default_factory=list)
    column: list[NDArray[np.int64]] = field(default_factory=list)
    value: list[NDArray[np.float64]] = field(default_factory=list)
    count: int = 0

    def add(
        self,
        lower: NDArray[np.float64],
        upper: NDArray[np.float64],
        *parts: tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]],
    ) -> None:
        """Rows with the bounds given; each part is (row within these, column, value)."""
        for row, column, value in parts:
            self.row.append(np.asarray(row + self.count, np.int64).ravel())
            self.column.append(np.asarray(column, np.int64).ravel())
            self.value.append(np.broadcast_to(value, row.shape).astype(np.float64).ravel())
        self.lower.append(lower)
        self.upper.append(upper)
        self.count += len(lower)


def _model(need: Need, offers: Offers, weights: Weights) -> Model:
    """Columns: kW, on, started; each (O, S). Minimises the scores less the value of the kWh."""
    many, slots = offers.kw.shape
    cells = many * slots
    kw = np.arange(cells).reshape(many, slots)
    on, started = kw + cells, kw + 2 * cells
    room = np.minimum(offers.kw, need.kw)
    usable = room >= need.lot_kw
    cost = np.zeros((3, many, slots))
    cost[0] = (scores(offers, weights) - need.value_gbp_per_kwh) * need.hours
    upper = np.stack([np.where(usable, room, 0.0), usable, usable]).astype(np.float64)
    rows = _Rows()
    _amounts(rows, need, offers, kw, on)
    _runs(rows, offers, on, started)
    return Model(
        cost=cost.ravel(),
        lower=np.zeros(3 * cells),
        upper=upper.ravel(),
        whole=np.repeat([False, True, True], cells),
        row_lower=np.concatenate(rows.lower),
        row_upper=np.concatenate(rows.upper),
        row=np.concatenate(rows.row),
        column=np.concatenate(rows.column),
        value=np.concatenate(rows.value),
    )


def _amounts(
    rows: _Rows, need: Need, offers: Offers, kw: NDArray[np.int64], on: NDArray[np.int64]
) -> None:
    """No slot gets more than it needs, the budget holds, kW only where on, and a lot at least there."""
    many, slots = kw.shape
    cells = np.arange(many * slots)
    room = np.minimum(offers.kw, need.kw)
    one, none = np.ones(1), np.zeros(many * slots)
    everywhere = np.full(many * slots, -np.inf)
    at = np.broadcast_to(np.arange(slots), kw.shape)
    rows.add(np.full(slots, -np.inf), need.kw, (at, kw, one))
    if np.isfinite(need.budget_gbp):
        price = offers.price * need.hours
        rows.add(np.full(1, -np.inf), np.array([need.budget_gbp]), (np.zeros_like(kw), kw, price))
    rows.add(everywhere, none, (cells, kw.ravel(), one), (cells, on.ravel(), -room.ravel()))
    lot = np.array([need.lot_kw])
    rows.add(everywhere, none, (cells, on.ravel(), lot), (cells, kw.ravel(), -one))
    _, number = np.unique(offers.group, return_inverse=True)
    groups = int(number.max()) + 1
    if groups < many:
        which = number[:, None] * slots + np.arange(slots)
        rows.add(np.full(groups * slots, -np.inf), np.ones(groups * slots), (which, on, one))


def _runs(rows: _Rows, offers: Offers, on: NDArray[np.int64], started: NDArray[np.int64]) -> None:
    """On after off is a start; one start at most; after it on for the shortest, in all at most the longest."""
    many, slots = on.shape
    cells = np.arange(many * slots).reshape(many, slots)
    one, below = np.ones(1), np.full(many * slots, -np.inf)
    rows.add(
        below,
        np.zeros(many * slots),
        (cells, on, one),
        (cells[:, 1:], on[:, :-1], -one),
        (cells, started, -one),
    )
    which = np.broadcast_to(np.arange(many)[:, None], on.shape)
    rows.add(np.full(many, -np.inf), np.ones(many), (which, started, one))
    rows.add(np.full(many, -np.inf), offers.longest.astype(np.float64), (which, on, one))
    parts = [(cells, on, -one)]
    for offer in range(many):
        shortest = int(offers.shortest[offer])
        parts += [
            (cells[offer, back:], started[offer, : slots - back], one)
            for back in range(min(shortest, slots))
        ]
        late = started[offer, max(0, slots - shortest + 1) :]  # a run begun there could not last
        if len(late):
            rows.add(np.zeros(1), np.zeros(1), (np.zeros(len(late), np.int64), late, one))
    rows.add(below, np.zeros(many * slots), *parts)


def _start(need: Need, offers: Offers, kw: NDArray[np.float64]) -> NDArray[np.float64]:
    """The quick answer as the model's columns."""
    on = kw > 0.0
    started = np.diff(on.astype(np.int64), axis=1, prepend=0) > 0
    room = np.minimum(kw, np.minimum(offers.kw, need.kw))
    return np.concatenate([room.ravel(), on.ravel(), started.ravel()]).astype(np.float64)
