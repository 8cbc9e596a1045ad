"""An envelope is shared by two processes: the same answer, and no more of what all windows have together."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from flexlond.planning.deeper import Stoppables
from flexlond.planning.envelope import Terms, envelope
from flexlond.planning.planner import plan
from flexlond.solver.envelope_child import EnvelopeError, ask, parts
from tests.unit.planning.envelope_cases import SETTINGS, small_queue
from tests.unit.planning.test_stopping import TERMS

if TYPE_CHECKING:
    from flexlond.planning.steps import Curve
    from flexlond.solver.envelope_child import Question

WINDOWS = ((0, 1), (2, 3), (4, 5), (6, 7), (8, 9))


def question(terms: Terms, plans: int = 8) -> Question:
    problem = small_queue(1)
    last = plan(problem, SETTINGS)
    return problem, SETTINGS, last, WINDOWS, terms, Stoppables((), TERMS, plans)


def test_every_window_is_in_one_part_and_what_is_for_all_of_them_is_divided() -> None:
    made = parts(question(Terms(exact_seconds=10.0)), 2)
    assert [part[3] for part in made] == [WINDOWS[0::2], WINDOWS[1::2]]
    assert [part[4].exact_seconds for part in made] == pytest.approx([6.0, 4.0])
    assert [part[5].plans for part in made if part[5]] == [5, 4]


def test_there_are_no_more_parts_than_windows_and_one_for_none() -> None:
    asked = question(Terms())
    problem, settings, last, _, terms, running = asked
    for some in (WINDOWS[:1], ()):
        made = parts((problem, settings, last, some, terms, running), 2)
        assert [part[3] for part in made] == [some]


@pytest.mark.parametrize("processors", [1, 2])
def test_two_processes_answer_as_one_does(processors: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.sched_getaffinity", lambda _: set(range(processors)))
    asked = question(Terms())
    problem, settings, last, windows, terms, running = asked
    alone = envelope(problem, settings, last, windows, terms, running=running)
    shared = asyncio.run(ask(asked, 60.0))

    def said(curves: tuple[Curve, ...]) -> list[object]:
        return [
            (curve.window, curve.direction, [(s.kw, s.price_gbp) for s in curve.everything])
            for curve in curves
        ]

    assert said(shared) == said(alone)
    assert len({curve.window for curve in shared}) >= 4


def test_where_one_refuses_all_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.sched_getaffinity", lambda _: {0, 1})
    problem, settings, last, windows, terms, running = question(Terms())
    other = replace(problem, job_id=problem.job_id + 1)
    with pytest.raises(EnvelopeError, match="not of this problem"):
        asyncio.run(ask((other, settings, last, windows, terms, running), 60.0))
