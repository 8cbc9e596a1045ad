"""The run of two sites: what it reads of the journals, and when it says that the bar is broken."""

from __future__ import annotations

from dataclasses import replace

import pytest
from demo_lib.two_sites_bar import SLOTS, Run, broken
from demo_lib.two_sites_book import FIRST, SECOND, Book, Lot, Push, _push

SLOT, START = 20, 1_800_000_000
CUT = START + 2.5 * SLOT


def kept() -> tuple[Run, Book]:
    """A run that kept the bar: 3 kW of the first, 1 of the second, which takes over 2 from slot 6 on."""
    run = Run(SLOT, START, 4.0, {FIRST: 3.0, SECOND: 3.0}, CUT, START + 8.5 * SLOT)
    at = run.slots
    run.before_mend = dict.fromkeys(at[:2], 4.0) | dict.fromkeys(at[2:6], 1.0)
    all_of = dict.fromkeys
    one = Lot(FIRST, "DONE", all_of(at, 3.0), all_of(at, 3.1), {}, START - 90.0, "")
    two = Lot(SECOND, "DONE", all_of(at, 1.0), all_of(at, 1.0), {}, START - 90.0, "")
    more = Lot(SECOND, "DONE", all_of(at[6:], 2.0), all_of(at[6:], 2.0), {}, CUT + 12.0, "")
    grid = Lot("portfolio.demo", "DONE", all_of(at, 4.0), all_of(at, 4.1), {}, START - 99.0, "")
    pushed = [Push(CUT - 5.0, 0.0, ""), Push(CUT + 11.0, 3.0, "1 of the sites fall(s) short")]
    return run, Book([one, two, more], [grid], pushed)


def test_a_run_that_keeps_the_bar_says_nothing() -> None:
    run, book = kept()
    assert len(run.slots) == SLOTS
    assert broken(run, book) == []


@pytest.mark.parametrize(
    ("what", "words"),
    [
        ("late", "after the cut"),
        ("silent", "not reported"),
        ("nobody", "took nothing over"),
        ("short", "took over 12.00 kW slots and proved 0.00"),
        ("asked", "was asked for more"),
        ("unproved", "proved nothing of what it delivered"),
        ("not counted", "rose by 0.00"),
        ("one", "not split"),
        ("open", "not completed"),
    ],
)
def test_each_way_to_break_it_is_named(what: str, words: str) -> None:
    run, book = kept()
    one, two, more = book.sites
    (grid,) = book.grid
    changed = {
        "late": replace(book, pushed=[Push(CUT + SLOT + 1.0, 3.0, "")]),
        "silent": replace(book, pushed=[]),
        "nobody": replace(book, sites=[one, two]),
        "short": replace(book, sites=[one, two, replace(more, told={})]),
        "asked": replace(book, sites=[*book.sites, replace(more, seller=FIRST)]),
        "unproved": replace(book, sites=[replace(one, told={}), two, more]),
        "not counted": replace(book, grid=[replace(grid, told=dict(run.before_mend))]),
        "one": replace(book, sites=[one, more]),
        "open": replace(book, grid=[replace(grid, state="ORDERED")]),
    }[what]
    assert any(words in text for text in broken(run, changed)), broken(run, changed)


def test_what_is_open_is_read_out_of_a_push() -> None:
    def table(*rows: dict[str, float]) -> dict[str, object]:
        return {
            "intervalPeriod": {"start": "2027-01-15T08:00:00Z", "duration": "PT1M10S"},
            "intervals": [
                {
                    "id": number,
                    "payloads": [{"type": name, "values": [value]} for name, value in row.items()],
                }
                for number, row in enumerate(rows)
            ],
        }

    sold = {"CAPACITY_OFFERED": 4.0, "OFFER_PRICE": 0.1}
    told = [{"BASELINE": 3.0, "USAGE": 1.0}, {"BASELINE": 4.0, "USAGE_FORECAST": 3.0}]
    performance = {
        "status": {"code": "DELIVERY_IN_PROGRESS", "shortDesc": "short"},
        "performanceAttributes": {"meters": [{"telemetry": table(*told)}]},
    }
    contract = {
        "commitments": [{"commitmentAttributes": table(sold, sold)}],
        "performance": [performance],
    }
    assert _push(7.0, {"message": {"contract": contract}}) == Push(7.0, 3.0, "short")
