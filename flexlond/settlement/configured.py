"""The terms of settlement from the configuration.

Law: pure; what the checks of the configuration let through always gives terms. Raises ValueError for an
amount or a date that is none, which is how the checks find it. A product of the file takes the place of the
built-in one.
"""

from __future__ import annotations

import datetime as dt
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING

from flexlond.settlement.baseline import BL01, Profile, Rule
from flexlond.settlement.calendar import Calendar
from flexlond.settlement.readings import Quality
from flexlond.settlement.terms import PRODUCTS, Activity, Product, Rounding, Terms

if TYPE_CHECKING:
    from flexlond.model.settlement_settings import (
        BaselineSettings,
        ProductSettings,
        SettlementSettings,
    )


def terms_of(settings: SettlementSettings) -> Terms:
    """The terms. Raises ValueError."""
    products = dict(PRODUCTS)
    products.update((name, _product(name, one)) for name, one in settings.products.items())
    return Terms(
        baseline=settings.baseline,
        fall_back=settings.fall_back,
        profile=_profile(settings.bl01),
        calendar=Calendar(
            frozenset(dt.date.fromisoformat(day) for day in settings.added_holidays),
            frozenset(dt.date.fromisoformat(day) for day in settings.removed_holidays),
        ),
        products=products,
        orders_are_event_days=settings.orders_are_event_days,
        line_loss=amount(settings.line_loss),
        transmission_loss=amount(settings.transmission_loss),
        p444=settings.p444_model,
        p444_from=dt.date.fromisoformat(settings.p444_from) if settings.p444_from else None,
        rounding=Rounding(mode=settings.rounding, volume_places=settings.volume_places),
    )


def amount(text: str) -> Decimal:
    """A decimal from text. Raises ValueError."""
    try:
        made = Decimal(text)
    except InvalidOperation:
        raise ValueError(f"{text!r} is no number") from None
    if not made.is_finite():
        raise ValueError(f"{text!r} is no number")
    return made


def _profile(settings: BaselineSettings) -> Profile:
    own = settings != type(settings)()
    return Profile(
        name="X of Y" if own else BL01.name,
        look_back=settings.look_back,
        working=Rule(
            settings.working_x, settings.working_y, settings.working_select, settings.working_least
        ),
        non_working=Rule(
            settings.non_working_x,
            settings.non_working_y,
            settings.non_working_select,
            settings.non_working_least,
        ),
        exclude_clock_change=settings.exclude_clock_change,
        window=settings.window,
        gap=settings.gap,
        import_only=settings.import_only,
        source="the site's configuration" if own else BL01.source,
    )


def _product(name: str, settings: ProductSettings) -> Product:
    claimable = {Quality.MEASURED}
    if settings.claim_substituted:
        claimable.add(Quality.SUBSTITUTED)
    return Product(
        name,
        Activity(settings.activity),
        settings.scheme,
        baseline=settings.baseline or None,
        adjusted=settings.adjusted,
        per_point=settings.per_point,
        losses=settings.losses,
        claimable=frozenset(claimable),
        least_share=amount(settings.least_share),
        most_share=amount(settings.most_share),
        site_share=amount(settings.site_share),
        fee_per_mwh=amount(settings.fee_per_mwh),
        source=settings.source or "the site's configuration",
    )
