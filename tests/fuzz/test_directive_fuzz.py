"""Mutated and hostile comments: the plugin accepts or refuses, never fails, and Python says the same."""

from __future__ import annotations

import importlib.util
import random
from dataclasses import replace
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flexlond.model.directive import (
    Directive,
    NotFlexible,
    PowerSpec,
    Preempt,
    Rejected,
    read_directive,
)
from flexlond.model.settings import DirectiveSettings
from flexlond.model.slurmtime import format_duration, parse_duration, parse_time

ROOT = Path(__file__).resolve().parents[2]
MUTANTS = 100_000
SEED = 20261123
NOW = 1795428930  # 2026-11-23T10:15:30Z


def _shared() -> Any:
    path = ROOT / "tests/unit/model/directive_cases.py"
    spec = importlib.util.spec_from_file_location("directive_cases_for_fuzz", path)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


shared = _shared()
SETTINGS, CASES = shared.load()

PIECES = [
    *(
        b"flex:",
        b"FLEX:",
        b"deadline=",
        b"start-by=",
        b"max-delay=",
        b"preempt=",
        b"checkpoint=",
        b"min-run=",
    ),
    *(
        b"max-preempts=",
        b"power=",
        b"max-price=",
        b"max-carbon=",
        b"latency=",
        b"work=",
        b"unit=",
        b"2.5e6",
        b"inference",
        b"class=",
        b"off",
        b"now+",
        b"hours",
        b"tomorrow",
    ),
    *(
        b"08:00",
        b"2026-11-24",
        b"T",
        b"-",
        b"+",
        b":",
        b";",
        b",",
        b"|",
        b" ",
        b"\t",
        b"\n",
        b"\r",
        b"=",
        b"@",
        b"/",
    ),
    *(
        b"W",
        b"kW",
        b"%",
        b"%s",
        b"%n",
        b"%d" * 9,
        b"[",
        b"]",
        b"(",
        b")",
        b"^",
        b"$",
        b".",
        b"*",
        b"?",
        b"\\",
        b"'",
    ),
    *(
        b"\x01",
        b"\x1f",
        b"\x1e",
        b"\x7f",
        b"\x80",
        b"\xff",
        b"\xc3\xa9",
        b"\xf0\x9f\x94\x8c",
        b"\xed\xa0\x80",
    ),
    *(
        b"0",
        b"9",
        b"99999999999999999999",
        b"1e308",
        b"-1",
        b"0x1f",
        b"nan",
        b"inf",
        b"UNLIMITED",
        b"am",
        b"PM",
    ),
    *(
        b"standard",
        b"overnight",
        b"12/25",
        b"0229",
        b"24:00",
        b"a" * 100,
        b" " * 50,
        b"=" * 20,
        b"flex:" * 3,
    ),
]


def _mutants(count: int, seed: int) -> list[dict[str, Any]]:
    """The vectors with bytes cut, copied, flipped and put in, up to Slurm's 1024 bytes and beyond."""
    rng = random.Random(seed)
    made = []
    for _ in range(count):
        case = rng.choice(CASES)
        comment = bytearray(case["comment"].encode("utf-8", "surrogateescape"))
        for _ in range(rng.choice((1, 1, 2, 3, 5, 9))):
            at = rng.randint(0, len(comment))
            match rng.randrange(6):
                case 0:
                    del comment[at : at + rng.randint(1, 4)]
                case 1:
                    comment[at:at] = rng.choice(PIECES)
                case 2:
                    comment[at : at + 1] = bytes([rng.randrange(1, 256)])
                case 3:
                    comment[at:at] = comment[at : at + rng.randint(1, 12)]
                case 4:
                    comment[at : at + rng.randint(1, 5)] = rng.choice(PIECES)
                case _:
                    other = rng.choice(CASES)["comment"].encode("utf-8", "surrogateescape")
                    comment[at:] = other[rng.randint(0, len(other)) :]
        text = bytes(comment[:1024]).replace(b"\0", b"").decode("utf-8", "surrogateescape")
        made.append({**case, "comment": text})
    return made


def test_100000_mutated_comments_are_read_or_refused_by_lua_and_python_agrees(
    tmp_path: Path,
) -> None:
    mutants = _mutants(MUTANTS, SEED)
    answers = shared.by_lua(mutants, SETTINGS, tmp_path)
    failed = [
        (case["comment"], answer["error"])
        for case, answer in zip(mutants, answers, strict=True)
        if "error" in answer
    ]
    assert not failed, f"{len(failed)} comments made the plugin fail, first: {failed[:3]}"
    kinds = {
        kind: sum(kind in answer for answer in answers)
        for kind in ("directive", "reject", "not_flexible")
    }
    assert sum(kinds.values()) == MUTANTS
    assert min(kinds.values()) > MUTANTS // 100, kinds  # the mutants reach all three
    differ = []
    for case, answer in list(zip(mutants, answers, strict=True))[::4]:
        expect = shared.by_python(case, SETTINGS)
        got = shared.without_defaults(answer)
        if got != expect:
            differ.append(
                f"{case['comment']!r} ({case['settings']}, {case['tz']}): Lua {got}, Python {expect}"
            )
    assert not differ, f"{len(differ)} of {MUTANTS // 4} differ:\n" + "\n".join(differ[:10])


HOSTILE = [
    *(
        "\x00",
        "flex:\x00off",
        "flex:\x1foff",
        "flex: off\x1e",
        "\x1f\x1eflex:",
        "\udcff\udcfeflex:",
        "\ud800flex:",
    ),
    *(
        "flex:" + "x" * 1019,
        "x" * 1019 + "flex:",
        "flex: " * 170,
        "flex:" + "," * 1019,
        ";" * 1019 + "flex:",
    ),
    *(
        "flex: max-delay=" + "9" * 400,
        "flex: power=" + "9" * 300 + "W",
        "flex: " + "=" * 400,
        "flex: %s%s%s%n%99999d",
    ),
    *(
        "flex: class=" + "%c" * 100,
        "flex: deadline=" + "T" * 400,
        "flex: deadline=" + "-" * 400,
        "flex: \\",
    ),
    *(
        "flex: [[]]--",
        "flex: ]]",
        'flex: "',
        "flex: '",
        "flex: $(reboot)",
        "flex: `reboot`",
        "flex:\u2028off",
    ),
    *(
        "flex: deadline=\u0660\u0661:00",
        "flex: max-delay=\u00b2",
        "flex: \u017ftart-by=1",
        "flex: max-\u212a=1",
    ),
]


def test_hostile_comments_are_read_alike_and_never_echoed(tmp_path: Path) -> None:
    cases = [
        dict(CASES[0], comment=comment.replace("\ud800", "\udced\udca0\udc80"))
        for comment in HOSTILE
    ]
    for case, answer in zip(cases, shared.by_lua(cases, SETTINGS, tmp_path), strict=True):
        assert shared.without_defaults(answer) == shared.by_python(case, SETTINGS), case["comment"]
        line = answer.get("reject", "")
        assert all(" " <= character <= "~" for character in line), line
        assert len(line) < 400


@pytest.mark.parametrize("comment", HOSTILE)
def test_python_never_raises_on_a_hostile_comment(comment: str) -> None:
    found = read_directive(comment, DirectiveSettings(), now=NOW, tz=ZoneInfo("UTC"))
    assert isinstance(found, Directive | NotFlexible | Rejected)


@given(
    st.text(max_size=200),
    st.integers(0, 4_000_000_000),
    st.sampled_from(["", "flex:", "flex: deadline="]),
)
@settings(max_examples=500, deadline=None)
def test_any_text_is_read_the_same_twice_and_a_refusal_is_one_printable_line(
    text: str, now: int, start: str
) -> None:
    def read() -> Directive | NotFlexible | Rejected:
        return read_directive(
            start + text, DirectiveSettings(), now=now, tz=ZoneInfo("Europe/London"), time_limit=60
        )

    found = read()
    assert found == read()
    if isinstance(found, Rejected):
        assert found.line.isascii()
        assert found.line.isprintable()
        assert found.line.startswith("flexlon: '")


works = st.one_of(
    st.just((0.0, "")),
    st.tuples(
        st.integers(1, 10**8).map(float), st.from_regex(r"[a-z][a-z0-9_.-]{0,31}", fullmatch=True)
    ),
)
plain_directives = st.builds(
    Directive,
    source=st.just("directive"),
    deadline=st.integers(NOW + 3600, NOW + 10**7),
    start_by=st.one_of(st.just(0), st.integers(NOW, NOW + 10**7)),
    max_delay=st.one_of(st.none(), st.integers(0, 10**8)),
    latency=st.one_of(st.just(0), st.integers(NOW + 1, NOW + 10**8)),
    preempt=st.sampled_from([Preempt.REQUEUE, Preempt.SUSPEND]),
    checkpoint=st.one_of(
        st.none(), st.tuples(st.sampled_from(["USR1", "TERM", "10", "64"]), st.integers(0, 65535))
    ),
    min_run=st.integers(1, 3599),
    max_preempts=st.integers(0, 1000),
    power=st.one_of(
        st.none(),
        st.builds(
            PowerSpec,
            st.integers(1, 10**6).map(float),
            st.sampled_from(["job", "node", "gpu", "cpu"]),
        ),
    ),
    max_price=st.one_of(st.none(), st.integers(-(10**6), 10**6).map(lambda number: number / 8)),
    max_carbon=st.one_of(st.none(), st.integers(0, 10**6).map(lambda number: number / 8)),
    sites=st.one_of(
        st.just(()),
        st.lists(
            st.from_regex(r"[a-z0-9_-]{1,40}", fullmatch=True), min_size=2, max_size=8, unique=True
        ).map(tuple),
    ),
)


directives = st.builds(
    lambda plain, work: replace(plain, work=work[0], unit=work[1]), plain_directives, works
)


def _write(found: Directive, rng: random.Random) -> str:
    """The directive as a user could have written it."""
    power = found.power
    words = [
        f"deadline=now+{found.deadline - NOW}",
        f"start-by=now+{found.start_by - NOW}" if found.start_by else "",
        f"max-delay={format_duration(found.max_delay)}" if found.max_delay is not None else "",
        f"latency={format_duration(found.latency - NOW)}" if found.latency else "",
        f"preempt={found.preempt}",
        f"checkpoint={found.checkpoint[0]}@{found.checkpoint[1]}" if found.checkpoint else "",
        f"min-run=0:{found.min_run}",
        f"max-preempts={found.max_preempts}",
        f"power={power.watts:.0f}W" + ("" if power.per == "job" else f"/{power.per}")
        if power
        else "",
        f"max-price={found.max_price:.3f}" if found.max_price is not None else "",
        f"max-carbon={found.max_carbon:.3f}g/kWh" if found.max_carbon is not None else "",
        f"work={found.work:.0f}" if found.work else "",
        f"unit={found.unit.upper()}" if found.unit else "",
        f"sites={'+'.join(found.sites).upper()}" if found.sites else "",
    ]
    rng.shuffle(words)
    return (
        "note;Flex: "
        + "".join(word + rng.choice([" ", ",", ", ", "\t"]) for word in words if word)
        + ";note"
    )


@given(directives, st.integers(0, 2**32))
@settings(max_examples=300, deadline=None)
def test_what_a_user_can_write_is_read_back_as_meant(meant: Directive, seed: int) -> None:
    comment = _write(meant, random.Random(seed))
    read = read_directive(
        comment,
        DirectiveSettings(max_directive_length=1024),
        now=NOW,
        tz=ZoneInfo("Europe/London"),
        time_limit=3600,
    )
    assert read == meant, comment


@given(st.integers(0, 2**31 - 1))
def test_a_printed_duration_is_read_back(seconds: int) -> None:
    assert parse_duration(format_duration(seconds)) == seconds


@given(
    st.integers(946771200, 4000000000),
    st.sampled_from(["UTC", "Europe/London", "America/St_Johns"]),
)
@settings(max_examples=300, deadline=None)
def test_a_local_time_read_at_any_moment_is_that_local_time(moment: int, zone: str) -> None:
    from datetime import datetime  # noqa: PLC0415 - only this test needs it

    tz = ZoneInfo(zone)
    local = datetime.fromtimestamp(moment, tz)
    read = parse_time(local.strftime("%Y-%m-%dT%H:%M:%S"), NOW, tz)
    assert datetime.fromtimestamp(read, tz).replace(tzinfo=None) == local.replace(tzinfo=None)
    assert read <= moment  # of two, the first
