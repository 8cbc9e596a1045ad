"""Cost and carbon of jobs, per unit of work: the software carbon intensity (SCI).

Law: pure; Decimal; exact. Energy of a job is that of the site (with PUE) and of all hardware reserved for it;
carbon is location based, average or marginal but never mixed, and no contract of supply or offset counts. SCI
is (sum of E x I + M) / R. Units are never added to one another. Energy is Wh, intensity g/kWh, prices per
MWh. Source: SCI specification v1.1 (ISO/IEC 21031); market.md 5.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING

from flexlond.model.settlement_period import date_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from flexlond.settlement.inputs import Value

HOURS_A_YEAR = 8760
ZERO = Decimal(0)
DAEMON = "flexlond:"  # so begins the job of a row that the daemon made; no file may use it


@dataclass(frozen=True, slots=True)
class Work:
    """What one job did in one settlement period, and the energy that it took at the supply."""

    start: int
    job: str
    unit: str  # inference, epoch, job
    amount: Decimal
    wh: int
    embodied_g: Decimal = ZERO


@dataclass(frozen=True, slots=True)
class PerUnit:
    """What a unit of work took; cost and carbon None where a price or an intensity is lacking for any of it."""

    unit: str
    amount: Decimal
    wh: int
    cost: Decimal | None  # of it all
    carbon_g: Decimal | None  # operational, of it all
    embodied_g: Decimal
    estimated_wh: int = 0  # of `wh`: of jobs that the daemon counted

    @property
    def cost_per_unit(self) -> Decimal | None:
        """GBP per unit."""
        return None if self.cost is None or not self.amount else self.cost / self.amount

    @property
    def sci(self) -> Decimal | None:
        """Grams per unit."""
        if self.carbon_g is None or not self.amount:
            return None
        return (self.carbon_g + self.embodied_g) / self.amount


def files_first(work: Iterable[Work]) -> list[Work]:
    """What counts where files and the daemon tell of the same: of a unit on a date the files' rows alone."""
    every = list(work)
    told = {(date_of(one.start), one.unit) for one in every if not one.job.startswith(DAEMON)}
    return [
        one
        for one in every
        if not one.job.startswith(DAEMON) or (date_of(one.start), one.unit) not in told
    ]


def embodied(total_kg: Decimal, years: Decimal, hours: Decimal, share: Decimal) -> Decimal:
    """M in grams: a machine's embodied carbon, by the share of life and machine that was used."""
    return total_kg * 1000 * hours / (years * HOURS_A_YEAR) * share


def per_unit(
    work: Iterable[Work], prices: Mapping[int, Value], intensities: Mapping[int, Value]
) -> list[PerUnit]:
    """By unit, in alphabetical order."""
    by_unit: dict[str, list[Work]] = {}
    for one in work:
        by_unit.setdefault(one.unit, []).append(one)
    return [
        PerUnit(
            unit,
            sum((one.amount for one in done), ZERO),
            sum(one.wh for one in done),
            _weighted(done, prices, Decimal(1_000_000)),
            _weighted(done, intensities, Decimal(1000)),
            sum((one.embodied_g for one in done), ZERO),
            sum(one.wh for one in done if one.job.startswith(DAEMON)),
        )
        for unit, done in sorted(by_unit.items())
    ]


def _weighted(
    done: Iterable[Work], values: Mapping[int, Value], wh_in_unit: Decimal
) -> Decimal | None:
    """The sum of energy times value; None where one value is not known."""
    total = ZERO
    for one in done:
        value = values.get(one.start)
        if value is None:
            return None
        total += one.wh / wh_in_unit * value.amount
    return total
