"""What must hold in [settlement], beyond types.

Law: as in config_checks.py, of which this is a part: pure, every problem is found, none is raised.
"""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from flexlond.daemon.config_problem import Problem, problem_of, within
from flexlond.settlement.configured import amount

if TYPE_CHECKING:
    from collections.abc import Iterator

    from flexlond.model.settings import Settings
    from flexlond.model.settlement_settings import BaselineSettings, PointSettings

_ENERGY, _POWER = ("Wh", "kWh", "MWh", "J"), ("W", "kW", "MW")


def settlement(settings: Settings) -> Iterator[Problem]:
    """[settlement] and its tables."""
    chosen = settings.settlement
    yield from _amount("settlement.line_loss", chosen.line_loss, 0.5, 2)
    yield from _amount("settlement.transmission_loss", chosen.transmission_loss, 0.5, 2)
    yield from within("settlement.volume_places", chosen.volume_places, 3, 6, "places")
    if chosen.p444_from:
        yield from _date("settlement.p444_from", chosen.p444_from)
    for key in ("added_holidays", "removed_holidays"):
        for day in getattr(chosen, key):
            yield from _date(f"settlement.{key}", day)
    yield from _baseline(chosen.bl01)
    seen: set[tuple[str, str]] = set()
    for number, point in enumerate(chosen.points, start=1):
        yield from _point(f"settlement.points#{number}", point)
        if (point.name, point.source) in seen:
            yield problem_of(
                f"settlement.points#{number}.name",
                f'"{point.name}" has the source {point.source} twice',
                "each source of a point once; several meters of one Prometheus are series of one query",
            )
        seen.add((point.name, point.source))
    for name, product in chosen.products.items():
        key = f"settlement.products.{name}"
        for share in ("least_share", "site_share"):
            yield from _amount(f"{key}.{share}", getattr(product, share), 0, 1)
        yield from _amount(f"{key}.most_share", product.most_share, 0, 10)
        yield from _amount(f"{key}.fee_per_mwh", product.fee_per_mwh, 0, 10_000)


def _baseline(chosen: BaselineSettings) -> Iterator[Problem]:
    key = "settlement.bl01"
    yield from within(f"{key}.look_back", chosen.look_back, 1, 730, "days")
    for kind in ("working", "non_working"):
        x, y, least = (getattr(chosen, f"{kind}_{name}") for name in ("x", "y", "least"))
        yield from within(f"{key}.{kind}_y", y, 1, 100, "days")
        yield from within(f"{key}.{kind}_x", x, 1, y, "days, as many as are taken at most")
        yield from within(f"{key}.{kind}_least", least, 1, y, "days, as many as are taken at most")
    yield from within(f"{key}.window", chosen.window, 1, 48, "settlement periods")
    yield from within(f"{key}.gap", chosen.gap, 0, 48, "settlement periods")


def _point(key: str, point: PointSettings) -> Iterator[Problem]:
    if not point.name:
        yield problem_of(f"{key}.name", "is empty", 'name = "1012345678901"')
    yield from within(f"{key}.site_factor", point.site_factor, 1, 5)
    yield from within(f"{key}.base_kw", point.base_kw, 0, unit="kW")
    yield from within(f"{key}.series", point.series, 1, 1000)
    yield from within(f"{key}.max_gap", point.max_gap, 1, 1800, "seconds")
    if point.source in {"prometheus", "model"} and point.max_kw <= 0:
        yield problem_of(
            f"{key}.max_kw",
            "is not set: a sample that cannot be true could not be told",
            "the most that can be drawn through the point, for example max_kw = 400.0",
        )
    if point.source != "prometheus":
        return
    if urlsplit(point.url).scheme not in {"http", "https"}:
        yield problem_of(
            f"{key}.url", f'"{point.url}" is no address', 'url = "http://prometheus.example:9090"'
        )
    if not point.query:
        yield problem_of(f"{key}.query", "is empty", 'query = "pdu_energy_joules_total"')
    fitting = _ENERGY if point.kind == "counter" else _POWER
    if point.unit not in fitting:
        yield problem_of(
            f"{key}.unit",
            f'"{point.unit}" is no unit of a {"counter of energy" if point.kind == "counter" else "power"}',
            f"one of {', '.join(fitting)}",
        )


def _amount(key: str, text: str, low: float, high: float) -> Iterator[Problem]:
    try:
        value = float(amount(text))
    except ValueError as error:
        yield problem_of(key, str(error), 'a number as text, for example "0.7"')
        return
    yield from within(key, value, low, high)


def _date(key: str, text: str) -> Iterator[Problem]:
    try:
        dt.date.fromisoformat(text)
    except ValueError:
        yield problem_of(key, f'"{text}" is no date', 'a date like "2027-06-04"')
