#!/usr/bin/env python3
"""Write directive.json: how a flex directive must be read, by Python and by Lua alike.

The expectations are worked out here, by calendar arithmetic and texts written by hand, and never by calling
what they test. `make_directive_vectors.py --check` says whether the committed file is what this makes.

A case: comment, now, tz, partition, account, qos, time_limit (seconds, "UNLIMITED" or null: unknown), begin,
settings (a name in SETTINGS), and expect: {"directive": fields} (fields left out have their defaults),
{"reject": line} or {"not_flexible": opted_out}.
"""

# Tables of cases, several to a line.
# fmt: off
# ruff: noqa: E501 - as above

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
OUTPUT = HERE / "directive.json"

sys.path.insert(0, str(HERE))

from vector_base import (  # noqa: E402 - found through the path above
    BARE,
    CASES,
    CLASS,
    DAY,
    HOUR,
    POWER,
    SETTINGS,
    STANDARD,
    WINTER,
    at,
    case,
    good,
    inert,
    refuse,
)
from vector_times import clock_changes, latencies, lengths, times  # noqa: E402
from vector_words import powers, preemption, rates, recognition, sites, words, works  # noqa: E402

NOT_PREEMPTIBLE = {"flex_class": "Preemptible", "max_delay": DAY}
PREEMPTIBLE = {
    **NOT_PREEMPTIBLE,
    "preempt": "requeue",
    "checkpoint": ["USR1", 120],
    "min_run": 1800,
    "max_preempts": 3,
}
EIGHT = at("2026-11-24 08:00:00")
OVERNIGHT = {"flex_class": "overnight", "deadline": EIGHT, "max_price": 90.0, "power": [300.0, "gpu"]}


def classes() -> None:
    """Classes, the site's default class, and jobs opted in by the site."""
    site = {"settings": "site"}
    good("flex: class=overnight", site, **OVERNIGHT)
    good("flex: CLASS=OverNight", site, **OVERNIGHT)
    good("flex: class=overnight max-price=50", site, **{**OVERNIGHT, "max_price": 50.0})
    good("flex: class=overnight max-delay=60", site, **OVERNIGHT, max_delay=HOUR)
    good("flex: max-carbon=100 class=overnight", site, **OVERNIGHT, max_carbon=100.0)
    good("flex: class=overnight deadline=now+2days", site, **{**OVERNIGHT, "deadline": WINTER + 2 * DAY})
    good("flex: class=preemptible", site, **PREEMPTIBLE)
    good("flex: class=preemptible preempt=suspend", site, **{**PREEMPTIBLE, "preempt": "suspend"})
    good("flex: class=preemptible max-preempts=0", site, **{**PREEMPTIBLE, "max_preempts": 0})
    good("flex: class=preemptible preempt=none", site, **NOT_PREEMPTIBLE)
    good("flex: class=consent-only", site, flex_class="consent-only", preempt="suspend", max_preempts=1)
    good("flex: power=1W", site, **STANDARD, power=[1.0, "job"])
    good("flex: max-price=10 max-carbon=20", site, **STANDARD, max_price=10.0, max_carbon=20.0)
    good("flex: deadline=08:00", site, deadline=EIGHT)
    good("flex: start-by=08:00 power=1W", site, start_by=EIGHT, power=[1.0, "job"])
    good("flex: deadline=08:00", {"settings": "bare"}, deadline=EIGHT)
    good("flex: max-delay=5 power=1W", {"settings": "bare"}, max_delay=300, power=[1.0, "job"])
    choice = "write class=NAME, or a deadline=, start-by=, max-delay= or latency="
    for comment in ("flex:", "flex: power=1W", "flex: preempt=requeue"):
        refuse(comment, "flex:", "the site has no default class", choice, settings="bare")
    refuse("flex: class=x", "class=x", "unknown class 'x'", CLASS + "(the site has none)", settings="bare")
    names = "Preemptible, consent-only, counted, overnight, serving, standard, unitless"
    refuse("flex: class=nightly", "class=nightly", "unknown class 'nightly'", CLASS + names, settings="site")
    refuse("flex: class=%s", "class=%s", "unknown class '%s'", CLASS + names, settings="site")
    refuse("flex: class=", "class=", "no value", CLASS + names, settings="site")
    contradiction = "add preempt=requeue or preempt=suspend, or leave it out"
    refuse(
        "flex: class=preemptible preempt=none min-run=5",
        "min-run=5",
        "the job is not to be preempted",
        contradiction,
        settings="site",
    )

    def by_site(comment: str, fields: dict[str, Any], **where: Any) -> None:
        case(comment, {"directive": {"source": "site default", **fields}}, settings="site", **where)

    by_site("", STANDARD, partition="green")
    by_site("no directive here", STANDARD, partition="green", account="physics")
    by_site("", OVERNIGHT, partition="cpu", account="physics")
    by_site("", OVERNIGHT, partition="cpu", account="PHYSICS", qos="normal")
    by_site("", PREEMPTIBLE, qos="scavenger", partition="gpu")
    by_site("", PREEMPTIBLE, qos="Scavenger")
    by_site("xflex:", OVERNIGHT, account="archive")
    by_site("", STANDARD, partition="green", qos="scavenger")  # the first rule that matches
    for where in (
        *({"partition": "cpu"}, {"account": "physics"}, {"partition": "Green"}, {"partition": "green,cpu"}, {}),
        *({"partition": "cpu", "account": "chem"}, {"qos": "normal"}, {"partition": "gre"}, {"qos": "scavenge"}),
    ):
        inert("", settings="site", **where)
    good("flex: max-delay=7", {**site, "partition": "green"}, max_delay=420)
    refuse("flex: x", "x", "not key=value", BARE, settings="site", partition="green")
    # What a site default cannot keep is not applied: overnight's 08:00 is 21 h 44 m 30 s away.
    by_site("", OVERNIGHT, account="archive", time_limit=78270)
    inert("", settings="site", account="archive", time_limit=78271)
    inert("", settings="site", account="archive", time_limit="UNLIMITED")
    by_site("", PREEMPTIBLE, qos="scavenger", time_limit=1801)
    inert("", settings="site", qos="scavenger", time_limit=1800)
    by_site("", STANDARD, partition="green", time_limit="UNLIMITED")


def contradictions() -> None:
    """What the job's own limit and --begin make impossible."""
    later = "give a later deadline or a shorter --time"

    def too_soon(comment: str, word: str, limit: str, end: str, **where: Any) -> None:
        why = f"the job cannot finish by then: its time limit is {limit}, its earliest end {end}"
        refuse(comment, word, why, later, **where)

    for limit, text in ((60, "00:01:00"), (HOUR, "01:00:00"), (90000, "1-01:00:00")):
        good(f"flex: deadline=now+{limit}", {"time_limit": limit}, deadline=WINTER + limit)
        word = f"deadline=now+{limit - 1}"
        end = {60: "2026-11-23T10:16:30Z", HOUR: "2026-11-23T11:15:30Z", 90000: "2026-11-24T11:15:30Z"}[limit]
        too_soon(f"flex: {word}", word, text, end, time_limit=limit)
    good("flex: deadline=18:00", {"time_limit": 7 * HOUR}, deadline=at("2026-11-23 18:00:00"))
    too_soon("flex: deadline=18:00", "deadline=18:00", "08:00:00", "2026-11-23T18:15:30Z", time_limit=8 * HOUR)
    # --begin moves the earliest end
    begin = WINTER + 4 * HOUR
    good("flex: deadline=now+5hours", {"time_limit": HOUR, "begin": begin}, deadline=WINTER + 5 * HOUR)
    too_soon(
        "flex: deadline=now+5hours", "deadline=now+5hours", "02:00:00", "2026-11-23T16:15:30Z",
        time_limit=2 * HOUR, begin=begin,
    )
    too_soon("flex: deadline=now+3hours", "deadline=now+3hours", "unknown", "2026-11-23T14:15:30Z", begin=begin)
    good("flex: deadline=now+3hours", {"begin": WINTER - 10 * HOUR, "time_limit": HOUR}, deadline=WINTER + 3 * HOUR)
    too_soon(
        "flex: class=overnight", "deadline=08:00 of class overnight", "22:00:00", "2026-11-24T08:15:30Z",
        settings="site", time_limit=22 * HOUR,
    )
    unlimited = "the time limit is UNLIMITED, so the job may never finish"
    refuse("flex: deadline=18:00", "deadline=18:00", unlimited, "give --time as well", time_limit="UNLIMITED")
    word = "deadline=08:00 of class overnight"
    refuse("flex: class=overnight", word, unlimited, "give --time as well", time_limit="UNLIMITED", settings="site")
    good("flex: start-by=18:00", {"time_limit": "UNLIMITED"}, start_by=at("2026-11-23 18:00:00"))
    good("flex:", {"time_limit": "UNLIMITED"}, **STANDARD)
    # start-by against --begin
    good("flex: start-by=now+4hours", {"begin": begin}, start_by=begin)
    why = "the job cannot start by then: its --begin is 2026-11-23T14:15:30Z"
    fix = "give a later start-by or an earlier --begin"
    refuse("flex: start-by=now+14399", "start-by=now+14399", why, fix, begin=begin)
    refuse("flex: start-by=noon", "start-by=noon", why, fix, begin=begin)
    good("flex: start-by=now+1minute", {"time_limit": DAY}, start_by=WINTER + 60)
    # min-run against the limit
    fix = "give a shorter min-run or a longer --time"
    good("flex: preempt=requeue min-run=59", {"time_limit": HOUR}, preempt="requeue", min_run=3540, max_preempts=1, **STANDARD)
    for text, limit in (("60", HOUR), ("61", HOUR), ("1-0", HOUR)):
        why = "not below the time limit of 01:00:00"
        refuse(f"flex: preempt=requeue min-run={text}", f"min-run={text}", why, fix, time_limit=limit)
    why = "not below the time limit of 00:30:00"
    refuse("flex: class=preemptible", "min-run=30 of class Preemptible", why, fix, settings="site", time_limit=1800)
    good("flex: class=preemptible min-run=5", {"settings": "site", "time_limit": 1800}, **{**PREEMPTIBLE, "min_run": 300})
    good(
        "flex: preempt=suspend min-run=1-0", {"time_limit": "UNLIMITED"},
        preempt="suspend", min_run=DAY, max_preempts=1, **STANDARD,
    )
    # latency against --begin
    good("flex: latency=4:00:00", {"begin": begin}, latency=begin)
    why, fix = "the job cannot start by then: its --begin is 2026-11-23T14:15:30Z", "give a longer latency or an earlier --begin"
    refuse("flex: latency=3:59:59", "latency=3:59:59", why, fix, begin=begin)
    refuse("flex: class=serving", "latency=10 of class serving", why, fix, settings="site", begin=begin)
    # the order of faults: words from left to right, then time, then preemption
    refuse("flex: power=x deadine=1", "power=x", "not a number", POWER)
    refuse("flex: min-run=5 deadline=now-1", "deadline=now-1", "it is in the past", "give a time after the submission")
    good(
        "flex: deadline=now+1day start-by=now+5hours max-delay=4:00:00 preempt=suspend max-price=70,"
        "max-carbon=120 power=2.5kW/gpu checkpoint=SIGUSR2@90 min-run=0:20:00 max-preempts=4",
        {"time_limit": 2 * HOUR, "begin": WINTER + HOUR},
        deadline=WINTER + DAY,
        start_by=WINTER + 5 * HOUR,
        max_delay=4 * HOUR,
        preempt="suspend",
        max_price=70.0,
        max_carbon=120.0,
        power=[2500.0, "gpu"],
        checkpoint=["USR2", 90],
        min_run=1200,
        max_preempts=4,
    )


def make() -> str:
    """The file's text."""
    CASES.clear()
    for family in (
        *(recognition, times, clock_changes, lengths, latencies, preemption, powers, rates, works, sites, words, classes, contradictions),
    ):
        family()
    rows = ",\n".join("  " + json.dumps(one, sort_keys=True) for one in CASES)
    return '{"settings": ' + json.dumps(SETTINGS, sort_keys=True) + ',\n"cases": [\n' + rows + "\n]}\n"


if __name__ == "__main__":
    text = make()
    if "--check" in sys.argv[1:]:
        sys.exit(0 if OUTPUT.read_text("utf-8") == text else f"{OUTPUT.name} has drifted: run {Path(__file__).name}")
    OUTPUT.write_text(text, "utf-8")
    print(f"{len(CASES)} cases")
