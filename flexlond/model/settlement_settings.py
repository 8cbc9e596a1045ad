"""[settlement]: how what was delivered is metered, compared and paid. The shape only, as settings.py.

Law: as settings.py. Amounts and shares that money is computed with are text, because a binary fraction would
not be what was agreed. Which of these rules are verified and which are not: flexlond/settlement/terms.py and
docs/explanation/settlement.md. They become `Terms` in flexlond/settlement/configured.py.
"""

from __future__ import annotations

from typing import Literal

import msgspec


class _Base(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    pass


class BaselineSettings(_Base, frozen=True):
    """[settlement.bl01]: the constants of the X-of-Y baseline."""

    look_back: int = 60  # days
    working_x: int = 10
    working_y: int = 10
    working_select: Literal["mid", "high", "low"] = "mid"
    working_least: int = 5
    non_working_x: int = 2
    non_working_y: int = 4
    non_working_select: Literal["mid", "high", "low"] = "mid"
    non_working_least: int = 2
    exclude_clock_change: bool = True
    window: int = 6  # settlement periods of the in-day adjustment
    gap: int = 2  # between it and the event
    import_only: bool = True


class PointSettings(_Base, frozen=True):
    """[[settlement.points]]: a metering point and where its energy is read."""

    name: str
    source: Literal["file", "prometheus", "slurm", "model"] = "file"
    url: str = ""  # prometheus: its base address
    query: str = ""  # prometheus: a selector
    series: int = 1  # prometheus: how many series together make the point
    kind: Literal["counter", "power"] = "counter"  # prometheus
    unit: Literal["Wh", "kWh", "MWh", "J", "W", "kW", "MW"] = "Wh"
    max_kw: float = 0.0  # the most that can be drawn through it
    max_gap: float = 120.0  # seconds between samples of a whole reading
    site_factor: float = 1.0  # slurm: the jobs' energy times this
    base_kw: float = 0.0  # slurm: and this besides


class ProductSettings(_Base, frozen=True):
    """[settlement.products.NAME]: the rules of a product; it takes the place of one of the same name."""

    activity: Literal["wman", "boa", "dfs", "dso", "contract"] = "contract"
    scheme: Literal["performance", "wholesale"] = "performance"
    baseline: Literal["", "bl01", "nominated"] = ""  # empty: settlement.baseline
    adjusted: bool = False
    per_point: bool = False
    losses: bool = False
    claim_substituted: bool = False
    least_share: str = "0"
    most_share: str = "1"
    site_share: str = "1"
    fee_per_mwh: str = "0"
    source: str = ""


class SettlementSettings(_Base, frozen=True):
    """[settlement]: what was delivered, by which baseline, and what it is worth."""

    site_point: str = "site"  # whose energy the site's meter and the plan speak of
    market_product: str = "market"  # of what was sold on the market
    nominate_before: float = 300.0  # gate closure: then a period's forecast is fixed
    baseline: Literal["bl01", "nominated"] = "bl01"
    fall_back: bool = True
    orders_are_event_days: bool = True
    line_loss: str = "1"
    transmission_loss: str = "1"
    rounding: Literal["ROUND_HALF_UP", "ROUND_HALF_EVEN", "ROUND_DOWN"] = "ROUND_HALF_UP"
    volume_places: int = 4  # of MWh
    p444_model: Literal["", "direct"] = ""
    p444_from: str = ""  # a date; empty: not in force
    added_holidays: tuple[str, ...] = ()  # dates
    removed_holidays: tuple[str, ...] = ()
    bl01: BaselineSettings = BaselineSettings()
    points: tuple[PointSettings, ...] = ()
    products: dict[str, ProductSettings] = {}
