"""What a search in hindsight finds of a carbon cap by begin times alone."""

from __future__ import annotations

import pytest

from flexlond.backtest.case import PowerCoefficients
from flexlond.backtest.engine import replay
from flexlond.backtest.metrics import Case
from flexlond.backtest.peers import AsSoonAsPossible
from flexlond.model.timegrid import TimeGrid
from tests.perf.cap_days import by_day
from tests.perf.hindsight_holds import Found, search
from tests.unit.backtest.replaykit import SLOT, T0, Made, flexible, trace_of

HOUR = 3600


def found_for(slack: int, room: float, replays: int) -> Found:
    """Two hours before midnight: two jobs of an hour and half a kg each, under a cap of 0.6 kg a day."""
    trace = trace_of([(0, HOUR, 1), (0, HOUR, 1)], room=room)
    wait = flexible(trace, {0: slack * HOUR, 1: slack * HOUR})
    signals, power = Made([1000.0] * 20, [50.0] * 20), PowerCoefficients(kw_per_node=0.5)
    case = Case(trace, wait, signals, power, TimeGrid(T0, SLOT, 20), nodes=4.0)
    asap = replay(trace, wait, AsSoonAsPossible(), slot_seconds=SLOT)
    assert by_day(case, asap)[0] == pytest.approx(1.0)
    return search(case, (asap, asap), 0.6, by_day=by_day, replays=replays)


@pytest.mark.parametrize(("slack", "above", "days"), [(4, 0.0, [0.5, 0.5]), (1, 0.4, [1.0, 0.0])])
def test_it_moves_a_job_to_the_next_day_but_not_past_its_latest_start(
    slack: int, above: float, days: list[float]
) -> None:
    found = found_for(slack, 4.0, 200)
    assert found.kg == pytest.approx(above)
    assert (found.late, found.days[:2].tolist()) == (0, pytest.approx(days))


def test_a_job_more_that_is_late_is_no_way() -> None:
    # One node: with both put off by an hour the second starts at midnight, and past its latest start.
    found = found_for(1, 1.0, 100)
    assert (found.kg, found.late) == (pytest.approx(0.4), 0)
