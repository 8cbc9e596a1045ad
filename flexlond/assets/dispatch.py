"""The cheapest operation of the assets beside a given load, under the site's cap on import.

Law: pure but for the solver it is given. Minimises score x kWh (price and carbon price together) and wear,
GBP. Levels stay inside the plant's limits at every slot's end; never charge and discharge at once; a chiller
is off or above its least power. The import of load and assets stays under the cap in every slot and above
minus what may be exported: where that cannot be, by as little as can be, and it is said. At the horizon's end
a battery holds at least what it held at first, a store is no warmer (or, where the cap takes it, as near to
that as can be): what is stored is not sold off because the plan ends. Where the score is unknown nothing is
charged, and a discharge earns nothing: it happens there for the cap alone.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Protocol

import numpy as np

from flexlond.assets.plant import Battery, follow
from flexlond.solver.linear import Model

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from flexlond.assets.plant import Asset, Chiller, Reading
    from flexlond.solver.linear import Answer

    Switch = tuple[NDArray[np.int64], NDArray[np.int64]]

_CAP = (
    100.0  # times the dearest kWh: what a kWh above the cap counts, so that it is the last resort
)
_WARM = 50_000.0  # times it: a degree outside the limits, for the electricity that moves it
_REST = 1.5  # times it: what a kWh that is missing at the end counts
_LITTLE = 1e-6
_GAP = 1e-4  # at which a dispatch with whole columns is good enough


class Solver(Protocol):
    """flexlond/solver/linear.py's `solve`, or the child process that does the same."""

    def __call__(
        self,
        model: Model,
        seconds: float,
        *,
        gap: float = 1e-6,
        start: NDArray[np.float64] | None = None,
    ) -> Answer | None:
        """The best answer in `seconds`."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class Site:
    """What the assets stand beside. All arrays (S,)."""

    hours: NDArray[np.float64]  # the length of each slot; of the first, what is left of it
    score: NDArray[np.float64]  # GBP/MWh, NaN unknown
    cap_kw: NDArray[np.float64]  # the most that may be imported, inf where none
    high_kw: NDArray[np.float64]  # what all else may draw: counts under the cap
    low_kw: NDArray[np.float64]  # what all else draws on the mean: a discharge above it is exported
    export_kw: float = 0.0  # the most that may be exported

    @property
    def dearest(self) -> float:
        """GBP/kWh: the highest known score by amount, and never nothing."""
        known = np.abs(self.score[np.isfinite(self.score)])
        return max(float(known.max(initial=0.0)), 1.0) / 1000.0


@dataclass(frozen=True, slots=True, eq=False)
class Dispatch:
    """What each asset does. A rows for A assets, in their order."""

    names: tuple[str, ...]
    kw: NDArray[np.float64]  # (A, S), import positive
    level: NDArray[np.float64]  # (A, S) at each slot's end: kWh or degrees C
    cost_gbp: float  # energy, carbon and wear; slots of unknown score count nothing
    cap_price: NDArray[np.float64]  # (S,) GBP per kW and slot that a kW more of cap would save
    over_kw: NDArray[np.float64]  # (S,) above the cap
    problems: tuple[str, ...] = ()

    @property
    def total_kw(self) -> NDArray[np.float64]:
        """(S,) of all assets together."""
        total: NDArray[np.float64] = self.kw.sum(axis=0)
        return total


@dataclass(slots=True, eq=False)
class Builder:
    """A linear model under construction: columns and rows by the slot."""

    cost: list[NDArray[np.float64]] = field(default_factory=list)
    lower: list[NDArray[np.float64]] = field(default_factory=list)
    upper: list[NDArray[np.float64]] = field(default_factory=list)
    whole: list[NDArray[np.bool_]] = field(default_factory=list)
    row_lower: list[NDArray[np.float64]] = field(default_factory=list)
    row_upper: list[NDArray[np.float64]] = field(default_factory=list)
    row: list[NDArray[np.int64]] = field(default_factory=list)
    column: list[NDArray[np.int64]] = field(default_factory=list)
    value: list[NDArray[np.float64]] = field(default_factory=list)
    columns: int = 0
    rows: int = 0

    def add(
        self,
        cost: NDArray[np.float64],
        lower: NDArray[np.float64] | float = 0.0,
        upper: NDArray[np.float64] | float = np.inf,
        *,
        whole: bool = False,
    ) -> NDArray[np.int64]:
        """As many columns as `cost` has; their indices."""
        size = len(cost)
        self.cost.append(np.asarray(cost, np.float64))
        self.lower.append(np.broadcast_to(np.asarray(lower, np.float64), (size,)))
        self.upper.append(np.broadcast_to(np.asarray(upper, np.float64), (size,)))
        self.whole.append(np.full(size, whole))
        self.columns += size
        return np.arange(self.columns - size, self.columns)

    def rows_of(
        self,
        lower: NDArray[np.float64] | float,
        upper: NDArray[np.float64] | float,
        size: int,
    ) -> NDArray[np.int64]:
        """`size` rows between bounds; their indices."""
        self.row_lower.append(np.broadcast_to(np.asarray(lower, np.float64), (size,)))
        self.row_upper.append(np.broadcast_to(np.asarray(upper, np.float64), (size,)))
        self.rows += size
        return np.arange(self.rows - size, self.rows)

    def put(
        self,
        rows: NDArray[np.int64],
        columns: NDArray[np.int64],
        values: NDArray[np.float64] | float,
    ) -> None:
        """Entries, one for each of `rows`."""
        self.row.append(rows)
        self.column.append(columns)
        self.value.append(np.broadcast_to(np.asarray(values, np.float64), (len(rows),)))

    def model(self, *, whole: bool = True) -> Model:
        """The model; `whole` False: whole columns may be broken (the relaxation)."""
        return Model(
            cost=np.concatenate(self.cost),
            lower=np.concatenate(self.lower),
            upper=np.concatenate(self.upper),
            whole=np.concatenate(self.whole) & whole,
            row_lower=np.concatenate(self.row_lower),
            row_upper=np.concatenate(self.row_upper),
            row=np.concatenate(self.row),
            column=np.concatenate(self.column),
            value=np.concatenate(self.value),
        )


@dataclass(frozen=True, slots=True, eq=False)
class Plant:
    """Where the assets stand in a model: the columns of each, and the rows of cap and export."""

    into: list[NDArray[np.int64]]  # (S,) columns of kW taken, by asset
    out: list[NDArray[np.int64] | None]  # of kW given; None for what gives none
    cap_rows: NDArray[np.int64]  # (S,)
    floor_rows: NDArray[np.int64]  # (S,)
    over: NDArray[np.int64]  # (S,) columns
    switch: list[Switch]  # by asset: slots, their whole columns

    def kw(self, x: NDArray[np.float64]) -> NDArray[np.float64]:
        """(A, S) of an answer."""
        found = [
            x[into] - (x[out] if out is not None else 0.0)
            for into, out in zip(self.into, self.out, strict=True)
        ]
        return np.array(found).reshape(len(found), len(self.over))


def build(
    site: Site, assets: Sequence[Asset], readings: Mapping[str, Reading], into: Builder
) -> Plant:
    """The assets' columns and rows, added to `into`; every asset has a reading."""
    slots = len(site.hours)
    known = np.isfinite(site.score)
    per_kw = np.where(known, np.nan_to_num(site.score) / 1000.0, site.dearest) * site.hours
    limit = np.full(slots, _CAP * site.dearest) * site.hours
    cap = into.rows_of(
        -np.inf, np.where(np.isfinite(site.cap_kw), site.cap_kw, np.inf) - site.high_kw, slots
    )
    floor = into.rows_of(-site.export_kw - site.low_kw, np.inf, slots)
    over = into.add(limit)
    into.put(cap, over, -1.0)
    # What else is exported (solar panels of the site, say) is not the assets' doing.
    under = into.add(limit)
    into.put(floor, under, 1.0)
    plant = Plant([], [], cap, floor, over, [])
    for asset in assets:
        level = readings[asset.name].level
        if isinstance(asset, Battery):
            taken, given, switch = _battery(site, asset, level, into, (per_kw, known))
            plant.into.append(taken)
            plant.out.append(given)
            into.put(cap, given, -1.0)
            into.put(floor, given, -1.0)
        else:
            taken, switch = _chiller(site, asset, level, into, per_kw)
            plant.into.append(taken)
            plant.out.append(None)
        plant.switch.append(switch)
        into.put(cap, taken, 1.0)
        into.put(floor, taken, 1.0)
    return plant


def _battery(
    site: Site,
    asset: Battery,
    level: float,
    into: Builder,
    price: tuple[NDArray[np.float64], NDArray[np.bool_]],
) -> tuple[NDArray[np.int64], NDArray[np.int64], Switch]:
    per_kw, known = price
    slots, wear = len(site.hours), asset.wear_gbp_per_kwh * site.hours
    taken = into.add(per_kw + wear, 0.0, np.where(known, asset.charge_kw, 0.0))
    given = into.add(np.where(known, -per_kw, 0.0) + wear, 0.0, asset.discharge_kw)
    low, high = asset.least_kwh(level), asset.most_kwh(level)
    stored = into.add(np.zeros(slots), low, high)
    balance = into.rows_of(0.0, 0.0, slots)
    into.row_lower[-1] = into.row_upper[-1] = np.concatenate([[level], np.zeros(slots - 1)])
    into.put(balance, stored, 1.0)
    into.put(balance[1:], stored[:-1], -1.0)
    into.put(balance, taken, -asset.charge_efficiency * site.hours)
    into.put(balance, given, site.hours / asset.discharge_efficiency)
    # Both ways at once only wastes: it is worth forbidding where waste is paid for, at a negative price.
    paid = np.flatnonzero(per_kw < 0)
    charging = into.add(np.zeros(len(paid)), 0.0, 1.0, whole=True)
    one = into.rows_of(-np.inf, 0.0, len(paid))
    into.put(one, taken[paid], 1.0)
    into.put(one, charging, -asset.charge_kw)
    other = into.rows_of(-np.inf, asset.discharge_kw, len(paid))
    into.put(other, given[paid], 1.0)
    into.put(other, charging, asset.discharge_kw)
    worth = _REST * site.dearest / asset.charge_efficiency + 2 * asset.wear_gbp_per_kwh
    missing = into.add(np.array([worth]))
    end = into.rows_of(level, np.inf, 1)
    into.put(end, stored[-1:], 1.0)
    into.put(end, missing, 1.0)
    return taken, given, (paid, charging)


def _chiller(
    site: Site, asset: Chiller, level: float, into: Builder, per_kw: NDArray[np.float64]
) -> tuple[NDArray[np.int64], Switch]:
    slots = len(site.hours)
    stays, cooling, drift = asset.step(site.hours)
    taken = into.add(per_kw, 0.0, asset.max_kw)
    warmth = into.add(np.zeros(slots), -np.inf)
    degree = asset.inertia_kwh_per_k / asset.cop  # kWh of electricity
    beyond = np.full(slots, _WARM * site.dearest * degree)
    too_warm = into.add(beyond)
    # No colder than it is at rest: a store is not cooled below its limit for a heat that is to come.
    too_cold = into.add(beyond, 0.0, asset.low_c - _coldest(asset, level, stays, drift))
    inside = into.rows_of(asset.low_c, asset.high_c, slots)
    into.put(inside, warmth, 1.0)
    into.put(inside, too_warm, -1.0)
    into.put(inside, too_cold, 1.0)
    balance = into.rows_of(0.0, 0.0, slots)
    begin = drift.copy()
    begin[0] += stays[0] * level
    into.row_lower[-1] = into.row_upper[-1] = begin
    into.put(balance, warmth, 1.0)
    into.put(balance[1:], warmth[:-1], -stays[1:])
    into.put(balance, taken, cooling)
    on = np.zeros(0, np.int64)
    if asset.min_kw > 0:
        on = into.add(np.zeros(slots), 0.0, 1.0, whole=True)
        least = into.rows_of(0.0, np.inf, slots)
        into.put(least, taken, 1.0)
        into.put(least, on, -asset.min_kw)
        most = into.rows_of(-np.inf, 0.0, slots)
        into.put(most, taken, 1.0)
        into.put(most, on, -asset.max_kw)
    warmer = into.add(np.array([_REST * site.dearest * degree]))
    end = into.rows_of(-np.inf, min(max(level, asset.low_c), asset.high_c), 1)
    into.put(end, warmth[-1:], 1.0)
    into.put(end, warmer, -1.0)
    return taken, (np.arange(len(on)), on)


def _coldest(
    asset: Chiller, level: float, stays: NDArray[np.float64], drift: NDArray[np.float64]
) -> NDArray[np.float64]:
    """(S,) degrees C at each slot's end that no cooling goes below: the limit, or where rest alone leads."""
    found = np.empty(len(stays))
    least = min(level, asset.low_c)
    for slot in range(len(stays)):
        least = found[slot] = min(float(stays[slot] * least + drift[slot]), asset.low_c)
    return found


def dispatch(
    site: Site,
    assets: Sequence[Asset],
    readings: Mapping[str, Reading],
    solver: Solver,
    seconds: float,
) -> Dispatch | None:
    """The cheapest dispatch, None where the solver gives none in `seconds`."""
    slots = len(site.hours)
    if not assets:
        nothing, none = np.zeros((0, slots)), np.zeros(slots)
        over = np.maximum(site.high_kw - site.cap_kw, 0.0)
        return Dispatch((), nothing, nothing, 0.0, none, over, _words(over))
    into = Builder()
    plant = build(site, assets, readings, into)
    model = into.model()
    # Where prices are positive the relaxation already keeps to one direction: no branching is needed.
    found = solver(replace(model, whole=np.zeros_like(model.whole)), seconds)
    if found is None:
        return None
    price = np.maximum(-found.dual[plant.cap_rows], 0.0)
    if _mixed(plant, assets, found.x):
        found = _whole(model, plant, assets, found, (solver, seconds))
        if found is None:
            return None
    kw = tidy(plant, assets, found.x)
    return valued(site, assets, readings, kw, cap_price=price)


def _whole(
    model: Model,
    plant: Plant,
    assets: Sequence[Asset],
    relaxed: Answer,
    limits: tuple[Solver, float],
) -> Answer | None:
    """The answer with whole columns: the relaxed one rounded and mended, then bettered."""
    solver, seconds = limits
    first = mended(model, plant, assets, relaxed.x, limits)
    better = solver(model, seconds, gap=_GAP, start=None if first is None else first.x)
    if better is None or (first is not None and first.objective < better.objective):
        return first
    return better


def mended(
    model: Model,
    plant: Plant,
    assets: Sequence[Asset],
    x: NDArray[np.float64],
    limits: tuple[Solver, float],
) -> Answer | None:
    """The answer in which the assets' whole columns are those of `x`, rounded; other columns are free."""
    solver, seconds = limits
    lower, upper = model.lower.copy(), model.upper.copy()
    for asset, into, out, (slots, columns) in zip(
        assets, plant.into, plant.out, plant.switch, strict=True
    ):
        if isinstance(asset, Battery):
            on = x[into[slots]] >= (x[out[slots]] if out is not None else 0.0)
        else:
            on = x[into[slots]] >= asset.min_kw / 2
        lower[columns] = upper[columns] = on
    fixed = replace(model, lower=lower, upper=upper, whole=np.zeros_like(model.whole))
    return solver(fixed, seconds)


def _mixed(plant: Plant, assets: Sequence[Asset], x: NDArray[np.float64]) -> bool:
    """Whether a battery goes both ways at once, or a chiller runs below its least."""
    for asset, into, out in zip(assets, plant.into, plant.out, strict=True):
        if isinstance(asset, Battery):
            if out is not None and (np.minimum(x[into], x[out]) > _LITTLE).any():
                return True
        elif ((x[into] > _LITTLE) & (x[into] < asset.min_kw - _LITTLE)).any():
            return True
    return False


def tidy(plant: Plant, assets: Sequence[Asset], x: NDArray[np.float64]) -> NDArray[np.float64]:
    """(A, S) kW of an answer, without the solver's tolerances."""
    kw = plant.kw(x)
    for row, asset in enumerate(assets):
        most = asset.charge_kw if isinstance(asset, Battery) else asset.max_kw
        kw[row] = np.clip(kw[row], asset.lowest_kw, most)
        if not isinstance(asset, Battery):
            kw[row][kw[row] < asset.min_kw / 2] = 0.0
            kw[row][kw[row] > 0] = np.maximum(kw[row][kw[row] > 0], asset.min_kw)
    kw[np.abs(kw) < _LITTLE] = 0.0
    return kw


def valued(
    site: Site,
    assets: Sequence[Asset],
    readings: Mapping[str, Reading],
    kw: NDArray[np.float64],
    *,
    cap_price: NDArray[np.float64] | None = None,
) -> Dispatch:
    """The dispatch `kw` (A, S) with its levels, its cost and what it cannot keep."""
    slots = len(site.hours)
    score = np.nan_to_num(site.score) / 1000.0
    cost = float((kw.sum(axis=0) * score * site.hours).sum())
    level = np.empty(kw.shape)
    words: list[str] = []
    for row, asset in enumerate(assets):
        first = readings[asset.name].level
        level[row] = follow(asset, first, kw[row], site.hours)
        if isinstance(asset, Battery):
            cost += asset.wear_gbp_per_kwh * float((np.abs(kw[row]) * site.hours).sum())
            if first < asset.reserve_kwh:
                words.append(f"{asset.name} is below its reserve: {first:.4g} kWh")
        else:
            warm = level[row] > asset.high_c + 1e-3
            if warm.any():
                words.append(
                    f"{asset.name} cannot be kept under {asset.high_c:g} C: {level[row].max():.4g} C"
                )
    over = np.maximum(site.high_kw + kw.sum(axis=0) - site.cap_kw, 0.0)
    over[over < 1e-5] = 0.0
    price = np.zeros(slots) if cap_price is None else cap_price
    words += _words(over)
    return Dispatch(
        tuple(asset.name for asset in assets), kw, level, cost, price, over, tuple(words)
    )


def _words(over: NDArray[np.float64]) -> tuple[str, ...]:
    above = int((over > 0).sum())
    if not above:
        return ()
    return (f"the import cap is not kept in {above} slots: by up to {over.max():.4g} kW",)
