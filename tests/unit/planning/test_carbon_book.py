"""What is kept of a day's carbon cap for jobs that are yet to be submitted."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from flexlond.model.settings import PlanningSettings
from flexlond.planning.carbon_book import DAYS, CarbonBook
from flexlond.planning.carbon_caps import CapKept, _not_kept
from flexlond.planning.carbon_days import day_caps
from tests.unit.planning.conftest import build

TODAY = date(2026, 7, 8)
BEGIN = int(datetime(2026, 7, 8, tzinfo=UTC).timestamp())
HOUR, DAY = 3600, 86400


def book(*kg: float) -> CarbonBook:
    """The days before today, the oldest first: each `kg` by a job of 09:00, and 1 by one of the eve."""
    made = CarbonBook(UTC, since=BEGIN - len(kg) * DAY)
    for back, one in enumerate(reversed(kg), start=1):
        day, begin = TODAY - timedelta(days=back), BEGIN - back * DAY
        made.add(day, "a", begin + 9 * HOUR, one)
        made.add(day, "a", begin - 4 * HOUR, 1.0)
    return made


@pytest.mark.parametrize(
    ("hour", "kg"),
    [(-60, 5.0), (-4, 5.0), (-3.5, 4.5), (-3, 4.0), (9, 4.0), (9.25, 3.0), (10, 0.0), (23, 0.0)],
)
def test_expected_is_the_mean_of_what_later_jobs_emitted_on_the_days_before(
    hour: float, kg: float
) -> None:
    assert book(3.0, 5.0).expected(TODAY, BEGIN + int(hour * HOUR), TODAY).get(
        "a", 0.0
    ) == pytest.approx(kg)


def test_nothing_is_expected_before_a_day_was_watched_whole() -> None:
    assert CarbonBook(UTC).expected(TODAY, BEGIN, TODAY) == {}
    partly = book(3.0, 5.0)
    partly.since = BEGIN - DAY + HOUR
    assert partly.expected(TODAY, BEGIN, TODAY) == {}
    partly.since = BEGIN - DAY
    assert partly.expected(TODAY, BEGIN, TODAY) == pytest.approx({"a": 5.0})


def test_a_day_on_which_nothing_ran_counts_as_one() -> None:
    idle = book(6.0)
    idle.since -= DAY
    assert idle.expected(TODAY, BEGIN, TODAY) == pytest.approx({"a": 3.0})


def test_the_book_is_bounded_and_what_is_stored_is_checked() -> None:
    many = book(*[1.0] * 30)
    many.forget(TODAY)
    assert len(many.days) == DAYS
    assert many.expected(TODAY, BEGIN, TODAY) == pytest.approx({"a": 1.0})
    kept = many.days[TODAY - timedelta(days=1)]["a"]
    assert np.array_equal(CarbonBook.hours(kept.tolist()), kept)
    with pytest.raises(ValueError, match="72 hours; expected 73"):
        CarbonBook.hours([0.0] * 72)


def test_an_hour_of_a_clock_change_is_an_hour_of_the_day() -> None:
    made = CarbonBook(ZoneInfo("Europe/London"), since=1)
    day = date(2026, 10, 25)
    last = int(datetime(2026, 10, 26, tzinfo=UTC).timestamp()) - 1  # in the 25th hour
    made.add(day, "a", last, 2.0)
    assert made.emitted(day) == {"a": 2.0}
    assert made.days[day]["a"][-1] == 2.0


def test_a_cap_leaves_to_the_jobs_what_is_not_kept_for_others() -> None:
    problem = build([1.0] * 4, now=BEGIN, carbon=[100.0] * 4, kw=[1.0])
    settings = PlanningSettings(
        carbon_cap_kg_per_day=50.0, account_carbon_cap_kg_per_day={"b": 7.0}
    )
    site, account = day_caps(
        problem,
        ["b"],
        [],
        lambda _: {"a": 10.0},
        lambda _: {"a": 20.0, "b": 5.0},
        consents=np.ones(1, np.bool_),
        settings=settings,
        tz=UTC,
    )
    assert (site.expected_kg, site.kg) == (25.0, 15.0)
    assert (account.expected_kg, account.kg) == (5.0, 2.0)


def test_a_cap_that_only_the_expected_breaks_is_said_with_its_reason() -> None:
    one = CapKept("carbon cap", 50.0, 10.0, 30.0, 20.0, 1.0)
    assert not one.kept
    words = _not_kept(one, late=False)
    assert "10 kg are emitted or under way, 30 kg are kept for jobs yet to come," in words
    assert words.endswith("adds 20 kg, so 10 kg too much")
    assert CapKept("carbon cap", 50.0, 10.0, 20.0, 20.0, 1.0).kept


def test_a_cap_that_what_runs_has_broken_is_not_kept_however_little_is_planned() -> None:
    one = CapKept("carbon cap", 50.0, 51.0, 0.0, 0.0, 1.0)
    assert one.is_within
    assert not one.kept
