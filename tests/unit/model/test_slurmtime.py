"""Our reading of times against Slurm's own: libslurm's parser, called in a process of its own for each zone."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from flexlond.model.slurmtime import SlurmTimeError, format_duration, parse_duration, parse_time

SLURM = """
import ctypes, json, sys, time
lib = ctypes.CDLL(sys.argv[1])
lib.slurm_parse_time.restype = ctypes.c_long
texts, lengths = json.load(sys.stdin)
while True:
    now = int(time.time())
    moments = [lib.slurm_parse_time(text.encode(), 0) for text in texts]
    if int(time.time()) == now:
        break
print(json.dumps([now, moments, [lib.slurm_time_str2secs(text.encode()) for text in lengths]]))
"""
TIMES = [
    *(
        "0:00",
        "6:30",
        "06:30",
        "12:00am",
        "12:00pm",
        "11:59PM",
        "1:05pm",
        "23:59:59",
        "midnight",
        "noon",
        "fika",
    ),
    *(
        "teatime",
        "today-23:59",
        "tomorrow",
        "tomorrow-08:00",
        "tomorrownoon",
        "08:00tomorrow",
        "1225",
        "12/25",
    ),
    *(
        "12.25",
        "122530",
        "12/25/30",
        "12.25.30",
        "1/2/31",
        "12/25-18:00",
        "2030-12-24",
        "2030-12-24T08:00",
    ),
    *(
        "2030-12-24T08:00:01",
        "2030-12-4T8:00",
        "2030-07-01T12:00",
        "2032-02-29",
        "now",
        "now+60",
        "now+1minute",
    ),
    *(
        "now+8hours",
        "NOW+2Days",
        "now-1hour",
        "now+3weeks",
        "now + 5 minutes",
        "0731",
        "01/01",
        "0101-00:01",
    ),
]
NO_TIMES = [
    *(
        "soon",
        "24:00",
        "12:60",
        "13:00pm",
        "08:000",
        "1325",
        "1232",
        "now+",
        "now+1h",
        "now+2months",
        "nowish",
    ),
    *(
        "Today",
        "TEATIME",
        "2030-13-01",
        "2030-12-32",
        "2030-12-24T25:00",
        "8",
        "8am",
        "yesterday",
        "2030/11/24",
    ),
]
LENGTHS = [
    "0",
    "90",
    "10:30",
    "90:90",
    "1:00:00",
    "100:00:00",
    "1-0",
    "1-12",
    "1-12:30",
    "2-1:2:3",
    "0-1",
    "08",
]
NO_LENGTHS = ["1h", "1:2:3:4", "1.5", "one", "+5", "1--2", "1-2-3", "1-2:3:4:5", "1:-2", ""]
NO_VAL = 0xFFFFFFFE - 2**32


def _slurm(zone: str, texts: list[str], lengths: list[str]) -> tuple[int, list[int], list[int]]:
    found = sorted(Path("/usr/lib").glob("*/slurm*/libslurmfull.so"))
    if not found:
        pytest.skip("libslurmfull.so is not installed (package slurm-wlm-basic-plugins)")
    done = subprocess.run(
        [sys.executable, "-c", SLURM, str(found[0])],
        input=json.dumps([texts, lengths]),
        capture_output=True,
        text=True,
        timeout=60,
        env={**os.environ, "TZ": zone},
        check=False,
    )
    assert done.returncode == 0, done.stderr
    now, moments, seconds = json.loads(done.stdout)
    return now, moments, seconds


@pytest.mark.parametrize("zone", ["UTC", "Europe/London", "America/St_Johns", "Asia/Kolkata"])
def test_slurm_itself_reads_these_as_we_do(zone: str) -> None:
    now, moments, seconds = _slurm(zone, TIMES + NO_TIMES, LENGTHS + NO_LENGTHS)
    tz = ZoneInfo(zone)
    ours = [parse_time(text, now, tz) for text in TIMES]
    assert dict(zip(TIMES, ours, strict=True)) == dict(zip(TIMES, moments, strict=False))
    assert set(moments[len(TIMES) :]) == {0}
    for text in NO_TIMES:
        with pytest.raises(SlurmTimeError):
            parse_time(text, now, tz)
    assert [parse_duration(text) for text in LENGTHS] == seconds[: len(LENGTHS)]
    assert set(seconds[len(LENGTHS) :]) == {NO_VAL}
    for text in NO_LENGTHS:
        with pytest.raises(SlurmTimeError):
            parse_duration(text)


def test_whatever_we_accept_slurm_reads_as_the_same_moment() -> None:
    rng = random.Random(7)
    pieces = [
        *"0123456789",
        *"::--/. T",
        "am",
        "PM",
        "today",
        "tomorrow",
        "noon",
        "12",
        "2031-",
        "now",
        "+",
        "hours",
    ]
    texts = ["".join(rng.choices(pieces, k=rng.randint(1, 6))) for _ in range(20000)] + TIMES
    now, moments, _ = _slurm("Europe/London", texts, [])
    accepted = 0
    for text, moment in zip(texts, moments, strict=True):
        try:
            ours = parse_time(text, now, ZoneInfo("Europe/London"))
        except SlurmTimeError:
            continue
        accepted += 1
        assert ours == moment, text
    assert accepted > 100


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "00:00:00"),
        (59, "00:00:59"),
        (3661, "01:01:01"),
        (90061, "1-01:01:01"),
        (-5, "-00:00:05"),
    ],
)
def test_durations_print_as_slurm_prints_them(seconds: int, text: str) -> None:
    assert format_duration(seconds) == text
