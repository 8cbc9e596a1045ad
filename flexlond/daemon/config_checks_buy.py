"""What must hold in [market.buy], beyond the type of each value.

Law: as config_checks.py, of which this is a part: pure, every problem is found, none is raised.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from flexlond.daemon.config_checks_market import ids
from flexlond.daemon.config_problem import Problem, absolute, problem_of, within
from flexlond.model.buy_settings import GOALS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from flexlond.model.buy_settings import StressFeed
    from flexlond.model.settings import Settings

_DAY = 86_400


def buy(settings: Settings) -> Iterator[Problem]:
    """[market.buy]."""
    chosen, key = settings.market.buy, "market.buy"
    for field, low, high, unit in (
        ("value_gbp_per_kwh", 0, 10_000, "GBP/kWh"),
        ("penalty_gbp_per_kwh", 0, 10_000, "GBP/kWh"),
        ("budget_gbp", 0, 1e12, "GBP"),
        ("lot_kw", 0.001, 1e9, "kW"),
        ("min_certainty", 0, 1, ""),
        ("watch_kw", 0, 1e9, "kW"),
        ("tight_kw", 0, 1e9, "kW"),
        ("emergency_kw", 0, 1e9, "kW"),
        ("notice_hours", 0.5, 48, "hours"),
        ("lead_seconds", 0, _DAY, "seconds"),
        ("discover_seconds", 1, 3600, "seconds"),
        ("refresh_seconds", 1, _DAY, "seconds"),
        ("silent_seconds", 1, _DAY, "seconds"),
        ("confirm_seconds", 1, _DAY, "seconds"),
        ("bid_gbp_per_kwh", 0, 10_000, "GBP/kWh"),
        ("bids_first_seconds", 0, _DAY, "seconds"),
        ("timeout", 0.1, 300, "seconds"),
    ):
        yield from within(f"{key}.{field}", getattr(chosen, field), low, high, unit)
    for name, weights in chosen.weights.items():
        where = f"{key}.weights.{name}"
        if name not in GOALS:
            yield problem_of(where, f'"{name}" is no goal', " or ".join(sorted(GOALS)))
        for field in ("price", "carbon_gbp_per_kg", "shortfall_gbp_per_kwh"):
            yield from within(f"{where}.{field}", getattr(weights, field), 0, 1000)
    yield from ids(f"{key}.publish_to", chosen.publish_to)
    if chosen.needs_file:
        yield from absolute(f"{key}.needs_file", chosen.needs_file)
    for number, feed in enumerate(chosen.stress, 1):
        yield from _feed(f"{key}.stress#{number}", feed)


def _feed(key: str, feed: StressFeed) -> Iterator[Problem]:
    yield from within(f"{key}.refresh", feed.refresh, 2, _DAY, "seconds")
    if feed.url and urlsplit(feed.url).scheme not in {"http", "https"}:
        yield problem_of(
            f"{key}.url", f'"{feed.url[:60]}" is no web address', '"https://HOST/PATH"'
        )
    if feed.source == "openadr" and not feed.url:
        yield problem_of(f"{key}.url", "which VTN is not said", '"https://HOST/PATH"')
    if feed.client_id and not feed.secret_file:
        yield problem_of(f"{key}.secret_file", "the client has no secret", "the path of a file")
    if feed.secret_file:
        yield from absolute(f"{key}.secret_file", feed.secret_file)
