"""Directive vectors: moments, clock changes, lengths of time."""

# Tables of cases, several to a line.
# fmt: off
# ruff: noqa: E501 - as above

from __future__ import annotations

from vector_base import (
    DAY,
    HOUR,
    KOLKATA,
    LENGTH,
    SUMMER,
    TIME,
    WINTER,
    at,
    good,
    refuse,
)

# text, the local time it means in winter (now: Monday 2026-11-23 10:15:30), in summer (2026-07-01 10:15:30)
CLOCKS = (
    ("10:16", "2026-11-23 10:16:00", "2026-07-01 10:16:00"),
    ("10:15", "2026-11-24 10:15:00", "2026-07-02 10:15:00"),
    ("10:15:59", "2026-11-24 10:15:59", "2026-07-02 10:15:59"),
    ("08:00", "2026-11-24 08:00:00", "2026-07-02 08:00:00"),
    ("8:00", "2026-11-24 08:00:00", "2026-07-02 08:00:00"),
    ("18:30:15", "2026-11-23 18:30:15", "2026-07-01 18:30:15"),
    ("0:00", "2026-11-24 00:00:00", "2026-07-02 00:00:00"),
    ("08:00PM", "2026-11-23 20:00:00", "2026-07-01 20:00:00"),
    ("8:00pm", "2026-11-23 20:00:00", "2026-07-01 20:00:00"),
    ("08:00am", "2026-11-24 08:00:00", "2026-07-02 08:00:00"),
    ("12:00am", "2026-11-24 00:00:00", "2026-07-02 00:00:00"),
    ("12:30PM", "2026-11-23 12:30:00", "2026-07-01 12:30:00"),
    ("11:59:59PM", "2026-11-23 23:59:59", "2026-07-01 23:59:59"),
    ("midnight", "2026-11-24 00:00:00", "2026-07-02 00:00:00"),
    ("noon", "2026-11-23 12:00:00", "2026-07-01 12:00:00"),
    ("NOON", "2026-11-23 12:00:00", "2026-07-01 12:00:00"),
    ("elevenses", "2026-11-23 11:00:00", "2026-07-01 11:00:00"),
    ("fika", "2026-11-23 15:00:00", "2026-07-01 15:00:00"),
    ("teatime", "2026-11-23 16:00:00", "2026-07-01 16:00:00"),
    ("tomorrow", "2026-11-24 00:00:00", "2026-07-02 00:00:00"),
    ("tomorrow-08:00", "2026-11-24 08:00:00", "2026-07-02 08:00:00"),
    ("tomorrowT08:00", "2026-11-24 08:00:00", "2026-07-02 08:00:00"),
    ("08:00tomorrow", "2026-11-24 08:00:00", "2026-07-02 08:00:00"),
    ("tomorrownoon", "2026-11-24 12:00:00", "2026-07-02 12:00:00"),
    ("today-16:00", "2026-11-23 16:00:00", "2026-07-01 16:00:00"),
    ("teatime-today", "2026-11-23 16:00:00", "2026-07-01 16:00:00"),
    ("1225", "2026-12-25 00:00:00", "2026-12-25 00:00:00"),
    ("0630", "2027-06-30 00:00:00", "2027-06-30 00:00:00"),
    ("12/25", "2026-12-25 00:00:00", "2026-12-25 00:00:00"),
    ("12.25", "2026-12-25 00:00:00", "2026-12-25 00:00:00"),
    ("122527", "2027-12-25 00:00:00", "2027-12-25 00:00:00"),
    ("12/25/27", "2027-12-25 00:00:00", "2027-12-25 00:00:00"),
    ("12.25.27", "2027-12-25 00:00:00", "2027-12-25 00:00:00"),
    ("1/2", "2027-01-02 00:00:00", "2027-01-02 00:00:00"),
    ("1/2/28", "2028-01-02 00:00:00", "2028-01-02 00:00:00"),
    ("12/25-18:00", "2026-12-25 18:00:00", "2026-12-25 18:00:00"),
    ("12/25/27-18:00:05", "2027-12-25 18:00:05", "2027-12-25 18:00:05"),
    ("18:00-12/25", "2026-12-25 18:00:00", "2026-12-25 18:00:00"),
    ("2026-12-24", "2026-12-24 00:00:00", "2026-12-24 00:00:00"),
    ("2026-12-24T08:00", "2026-12-24 08:00:00", "2026-12-24 08:00:00"),
    ("2026-12-24T08:00:01", "2026-12-24 08:00:01", "2026-12-24 08:00:01"),
    ("2026-12-24-08:00", "2026-12-24 08:00:00", "2026-12-24 08:00:00"),
    ("2026-12-4T8:00", "2026-12-04 08:00:00", "2026-12-04 08:00:00"),
    ("2028-02-29T23:59", "2028-02-29 23:59:00", "2028-02-29 23:59:00"),
    ("2099-12-31T23:59:58", "2099-12-31 23:59:58", "2099-12-31 23:59:58"),
)
# text, seconds from now
RELATIVE = (
    ("now+8hours", 8 * HOUR),
    ("now+1hour", HOUR),
    ("NOW+90Minutes", 90 * 60),
    ("now+60", 60),
    ("now+45seconds", 45),
    ("now+1second", 1),
    ("now+1minute", 60),
    ("now+2days", 2 * DAY),
    ("now+1day", DAY),
    ("now+1week", 7 * DAY),
    ("now+3weeks", 21 * DAY),
)


def times() -> None:
    """Every way of writing a moment."""
    for text, winter, summer in CLOCKS:
        good(f"flex: deadline={text}", deadline=at(winter))
        # London is on GMT in every month named here but June and July.
        winter_zone, summer_zone = (int(moment[5:7] in {"06", "07"}) for moment in (winter, summer))
        good(f"flex: start-by={text}", {"tz": "Europe/London"}, start_by=at(winter, winter_zone))
        good(f"flex: deadline={text}", {"tz": "Europe/London", "now": SUMMER}, deadline=at(summer, summer_zone))
    for text, winter, _ in CLOCKS[:25]:
        good(f"flex: deadline={text}", {"tz": "Asia/Kolkata", "now": KOLKATA}, deadline=at(winter, 5.5))
    for text, seconds in RELATIVE:
        good(f"flex: deadline={text}", deadline=WINTER + seconds)
        good(f"flex: start-by={text}", {"tz": "Europe/London", "now": SUMMER}, start_by=SUMMER + seconds)
    # "11/23" and "today" are over already: a year on, and refused as past.
    good("flex: deadline=11/23", deadline=at("2027-11-23 00:00:00"))
    good("flex: deadline=11/23-10:16", deadline=at("2026-11-23 10:16:00"))
    good("flex: deadline=11/23-10:15", deadline=at("2027-11-23 10:15:00"))
    good("flex: deadline=112300", deadline=at("2027-11-23 00:00:00"))
    good("flex: start-by=now", start_by=WINTER)
    for text in ("today", "today-10:15", "2026-11-23T10:15:30", "2026-11-22", "now-5minutes", "now-0", "112326"):
        refuse(f"flex: deadline={text}", f"deadline={text}", "it is in the past", "give a time after the submission")
    for text in ("today", "now-1", "2026-11-23T10:15:29"):
        refuse(f"flex: start-by={text}", f"start-by={text}", "it is in the past", "give a time after the submission")
    for text in (
        *("8", "8am", "08", "24:00", "12:60", "12:00:60", "13:00pm", "13:00am", "1:2", "08:000", ":30", "08:"),
        *("soon", "now+", "now+h", "now+1h", "now+8hrs", "now+2months", "now8", "now+1.5hours", "now+-1", "nowish"),
        *("Today", "Tomorrow", "TEATIME", "yesterday", "monday", "1325", "1232", "0001", "2026/11/24", "24/12"),
        *("2026-13-01", "2026-11-32", "2026-11-24T25:00", "2026-11-24T08:00Z", "2026-11-24T08:00+01:00"),
        *("2026-1-24", "20261124", "now+8hours-08:00", "noon-08:00", "tomorrow-1225", "T", "-", "=08:00"),
        *("now+1234567890", "\u0661\u0662:00", "08:00=x", "12/25/2027"),
    ):
        shown = "".join(character if " " <= character <= "~" else "??" for character in text)
        refuse(f"flex: deadline={text}", f"deadline={shown}", "not a time", TIME.format("deadline"))
    for text in ("2026-02-30", "2027-02-29", "0230", "2026-11-31T08:00", "0431"):
        refuse(f"flex: start-by={text}", f"start-by={text}", "no such day", TIME.format("start-by"))
    for text in ("1999-12-31", "2100-01-01", "9999-01-01T00:00", "0000-01-01", "now+5000weeks"):
        why = "not within the years 2000 to 2099"
        refuse(f"flex: start-by={text}", f"start-by={text}", why, TIME.format("start-by"))


def clock_changes() -> None:
    """London: 2026-10-25 02:00 BST becomes 01:00 GMT; 2027-03-28 01:00 GMT becomes 02:00 BST."""
    spring, autumn = at("2027-03-27 20:00:00"), at("2026-10-24 20:00:00", 1)
    for now, text, moment in (
        (spring, "00:59:59", at("2027-03-28 00:59:59")),
        (spring, "01:00", at("2027-03-28 01:00:00")),  # skipped: 02:00 BST
        (spring, "01:30", at("2027-03-28 01:30:00")),  # skipped: 02:30 BST
        (spring, "02:00", at("2027-03-28 02:00:00", 1)),
        (spring, "02:30", at("2027-03-28 02:30:00", 1)),
        (spring, "tomorrow", at("2027-03-28 00:00:00")),
        (spring, "tomorrow-12:00", at("2027-03-28 12:00:00", 1)),
        (spring, "now+1day", spring + DAY),
        (spring, "now+12hours", spring + 12 * HOUR),
        (spring, "0329", at("2027-03-29 00:00:00", 1)),
        (spring, "2027-03-28T01:15", at("2027-03-28 01:15:00")),
        (autumn, "00:59", at("2026-10-25 00:59:00", 1)),
        (autumn, "01:00", at("2026-10-25 01:00:00", 1)),  # twice: the first
        (autumn, "01:30", at("2026-10-25 01:30:00", 1)),
        (autumn, "01:59:59", at("2026-10-25 01:59:59", 1)),
        (autumn, "02:00", at("2026-10-25 02:00:00")),
        (autumn, "tomorrow", at("2026-10-25 00:00:00", 1)),
        (autumn, "tomorrow-20:00", at("2026-10-25 20:00:00")),
        (autumn, "now+1day", autumn + DAY),
        (autumn, "1026", at("2026-10-26 00:00:00")),
        # in the second pass of the hour: 01:45 local is soonest read as the next day, as 01:15 is
        (at("2026-10-25 01:30:00"), "01:15", at("2026-10-26 01:15:00")),
        (at("2026-10-25 01:30:00"), "02:15", at("2026-10-25 02:15:00")),
        # 23:30 on the long day: a day later by the clock of Slurm is now + 24 h
        (at("2026-10-24 23:30:00", 1), "tomorrow", at("2026-10-25 00:00:00", 1)),
        (at("2026-10-25 23:30:00"), "tomorrow", at("2026-10-26 00:00:00")),
    ):
        good(f"flex: deadline={text}", {"tz": "Europe/London", "now": now}, deadline=moment)


LENGTHS = (
    *(("0", 0), ("90", 5400), ("1", 60), ("10:30", 630), ("90:90", 5490), ("1:00:00", HOUR), ("0:0:5", 5)),
    *(("100:00:00", 100 * HOUR), ("1-0", DAY), ("1-12", 36 * HOUR), ("1-12:00", 36 * HOUR), ("2-1:2:3", 176523)),
    *(("0-1", HOUR), ("08", 480), ("7-00:00:00", 7 * DAY), ("35791394", 2147483640)),
)


def lengths() -> None:
    """Every way of writing a length of time."""
    for text, seconds in LENGTHS:
        good(f"flex: max-delay={text}", max_delay=seconds)
        good(
            f"flex: max-delay=1-0 preempt=requeue min-run={text}",
            {"tz": "Europe/London"},
            max_delay=DAY,
            preempt="requeue",
            min_run=seconds,
            max_preempts=1,
        )
    for text in (
        *("1h", "2hours", "1:2:3:4", "1-", "1-2:3:4:5", ":5", "5:", "1.5", "one", "+5", "1--2", "1-2-3"),
        *("1234567890", "now+1hour", "08:00pm", "1:-2", "0x10", "1e3"),
    ):
        refuse(
            f"flex: max-delay={text}", f"max-delay={text}", "not a length of time", LENGTH.format("max-delay")
        )
    for text in ("UNLIMITED", "infinite", "Unlimited", "-1"):
        why = "a length of time without end is no promise"
        refuse(f"flex: max-delay={text}", f"max-delay={text}", why, LENGTH.format("max-delay"))
        refuse(f"flex: min-run={text}", f"min-run={text}", why, LENGTH.format("min-run"))
    for text in ("-5", "-1:30", "-0", "--1"):
        why = "a length of time cannot be negative"
        refuse(f"flex: max-delay={text}", f"max-delay={text}", why, LENGTH.format("max-delay"))
    for text in ("35791395", "999999999", "24856-0", "999999999:0:0"):
        why = "longer than Slurm can count"
        refuse(f"flex: min-run={text}", f"min-run={text}", why, LENGTH.format("min-run"))


def latencies() -> None:
    """latency: a length that becomes a moment at the first submission, beside every other bound."""
    for text, seconds in LENGTHS:
        good(f"flex: latency={text}", latency=WINTER + seconds)
    good("flex: latency=10", {"tz": "Europe/London", "now": SUMMER}, latency=SUMMER + 600)
    good("flex: LATENCY=5 max-delay=1-0", latency=WINTER + 300, max_delay=DAY)
    good("flex: latency=5 power=1W", {"settings": "bare"}, latency=WINTER + 300, power=[1.0, "job"])
    good("flex: latency=5", {"settings": "site", "partition": "green"}, latency=WINTER + 300)
    good("flex: latency=5 class=standard", latency=WINTER + 300, flex_class="standard", max_delay=12 * HOUR)
    good("flex: class=serving", {"settings": "site"}, flex_class="serving", latency=WINTER + 600, max_delay=12 * HOUR)
    good(
        "flex: class=serving latency=2 max-delay=1-0", {"settings": "site"},
        flex_class="serving", latency=WINTER + 120, max_delay=DAY,
    )
    good("flex: latency=10", {"time_limit": "UNLIMITED"}, latency=WINTER + 600)
    for text, why in (
        *(("1h", "not a length of time"), ("now+5minutes", "not a length of time"), ("5s", "not a length of time")),
        *(("-5", "a length of time cannot be negative"), ("UNLIMITED", "a length of time without end is no promise")),
        *(("35791395", "longer than Slurm can count"), ("1.5", "not a length of time")),
    ):
        refuse(f"flex: latency={text}", f"latency={text}", why, LENGTH.format("latency"))
