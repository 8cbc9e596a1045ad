"""Loading: good files load, bad ones are refused with every problem and its correct form."""

# ruff: noqa: E501 -- the table of bad files reads best as one row each
from __future__ import annotations

import re
import tomllib
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flexlond.daemon.config import describe, load, parse
from flexlond.daemon.config_docs import DOCS, SECTIONS
from flexlond.daemon.config_problem import ConfigError
from flexlond.daemon.config_schema import Leaf, leaves, toml_value, type_words
from flexlond.model.settings import Settings

ROOT = Path(__file__).parents[3]
PATH = Path("flexlon.toml")


def problems(text: str) -> list[str]:
    with pytest.raises(ConfigError) as raised:
        parse(text.encode(), PATH)
    return [str(problem) for problem in raised.value.problems]


def loads_or_is_refused(raw: bytes) -> bool:
    """Nothing else may come of a file; a refusal has its reasons."""
    try:
        return isinstance(parse(raw, PATH), Settings)
    except ConfigError as error:
        return bool(error.problems)


def test_an_empty_file_is_the_defaults() -> None:
    assert parse(b"", PATH) == Settings()


@pytest.mark.parametrize("name", ["systemd/flexlon.toml", "docs/reference/flexlon.toml"])
def test_the_files_we_ship_load(name: str) -> None:
    assert load(ROOT / name).daemon.mode == "observe"


def test_what_describe_prints_loads_again() -> None:
    settings = load(ROOT / "docs/reference/flexlon.toml")
    assert parse(describe(settings).encode(), PATH) == settings
    assert parse(describe(Settings()).encode(), PATH) == Settings()


def test_describe_marks_defaults() -> None:
    text = describe(parse(b"[grid]\nslot_seconds = 900\n", PATH))
    assert "slot_seconds = 900\n" in text
    assert "horizon_slots = 96  # default\n" in text


# One file each, one problem each: (name, file, key of the problem, part of why, part of the correct form).
BAD = [
    ("section", "[demon]\nmode = 'act'", "demon", "did you mean 'daemon'?", "daemon, slurm"),
    ("key", "[daemon]\ncycle_secnds = 3", "daemon.cycle_secnds", "did you mean 'cycle_seconds'?", "known in [daemon]"),
    ("far key", "[daemon]\nxyzzy = 3", "daemon.xyzzy", "unknown key;", "known in [daemon]"),
    ("class key", "[directive.classes.a]\nmax_delay='1'\npwer='1kW'", "directive.classes.a.pwer", "did you mean 'power'?", ""),
    ("feed key", "[[signals.price]]\nsource='csv'\npath='/a'\n[[signals.price]]\nsource='csv'\npath='/b'\npth='/c'", "signals.price#2.pth", "did you mean 'path'?", ""),
    ("type", "[grid]\nslot_seconds = 'half an hour'", "grid.slot_seconds", "not of the right type", "whole number, for example slot_seconds = 1800"),
    ("float for int", "[grid]\nslot_seconds = 1800.5", "grid.slot_seconds", "not of the right type", "whole number"),
    ("bool for number", "[power]\npue = true", "power.pue", "not of the right type", "number"),
    ("date for text", "[directive.classes.a]\ndeadline = 08:00:00", "directive.classes.a.deadline", "not of the right type", 'deadline = "08:00"'),
    ("nan", "[power]\npue = nan", "power.pue", "nan", "finite"),
    ("infinite watts", "[power.node_types.a]\ngpu_watts = {h200 = inf}", "power.node_types.a.gpu_watts", "inf", "finite"),
    ("choice", "[daemon]\nmode = 'akt'", "daemon.mode", 'did you mean "act"?', '"observe", "act"'),
    ("value for table", "daemon = 3", "daemon", "not of the right type", "[daemon]"),
    ("value for tables", "[signals]\nprice = 'csv'", "signals.price", "not of the right type", "[[signals.price]]"),
    ("value in tables", "[signals]\nprice = ['csv']", "signals.price#1", "not of the right type", "[[signals.price]]"),
    ("missing", "[[signals.price]]\npath = '/a'", "signals.price#1.source", "is missing", '"csv"'),
    ("window high", "[directive]\ndecision_window = 11", "directive.decision_window", "11 is out of range", "1 to 10"),
    ("no class", "[directive]\ndefault_class = 'night'", "directive.default_class", "not a class", "standard"),
    ("no bound", "[directive.classes.standard]\npreempt = 'requeue'", "directive.classes.standard", "no time bound", "max_delay"),
    ("class value", "[directive.classes.standard]\nmax_delay = 'soon'", "directive.classes.standard.max_delay", "not a length of time", "write max-delay="),
    ("class power", "[directive.classes.standard]\nmax_delay='1'\npower='3 horses'", "directive.classes.standard.power", "", "power=350W/node"),
    ("class work", "[directive.classes.standard]\nmax_delay='1'\nwork='5'", "directive.classes.standard.work", "no unit", "unit=NAME"),
    ("class latency", "[directive.classes.standard]\nlatency='soon'", "directive.classes.standard.latency", "not a length of time", "write latency="),
    ("fixed date", "[directive.classes.standard]\ndeadline = '2027-01-01T08:00'", "directive.classes.standard.deadline", "fixed date", "08:00"),
    ("case", "[directive.classes.standard]\nmax_delay='1'\n[directive.classes.Standard]\nmax_delay='1'", "directive.classes.Standard", "upper and lower case", ""),
    ("class name", "[directive.classes.standard]\nmax_delay='1'\n[directive.classes.'a b']\nmax_delay='1'", 'directive.classes."a b"', "no usable name", "A-Z"),
    ("opt-in all", "[[directive.opt_in]]\nflex_class = 'standard'", "directive.opt_in#1", "every job", "partition"),
    ("opt-in class", "[[directive.opt_in]]\nqos='low'\nflex_class='nite'", "directive.opt_in#1.flex_class", "not a class", "standard"),
    ("day cap", "[planning]\ncarbon_cap_kg_per_day = 5.0", "planning.carbon_cap_kg_per_day", "no carbon feed", "signals.carbon"),
    ("account cap", "[planning.account_carbon_cap_kg_per_day]\nclimate = 5.0", "planning.account_carbon_cap_kg_per_day", "no carbon feed", "signals.carbon"),
    ("negative account cap", "[planning.account_carbon_cap_kg_per_day]\nclimate = -5.0\n[[signals.carbon]]\nsource='neso-carbon'", "planning.account_carbon_cap_kg_per_day.climate", "-5", "0"),
    ("slot", "[grid]\nslot_seconds = 1000", "grid.slot_seconds", "neither divides", "1800"),
    ("slot zero", "[grid]\nslot_seconds = 0", "grid.slot_seconds", "0 is out of range", ""),
    ("csv path", "[[signals.price]]\nsource = 'csv'", "signals.price#1.path", "is missing", "absolute path"),
    ("csv relative", "[[signals.price]]\nsource = 'csv'\npath = 'price.csv'", "signals.price#1.path", "not an absolute path", ""),
    ("path no csv", "[[signals.carbon]]\nsource = 'neso-carbon'\npath = '/a'", "signals.carbon#1.path", "means nothing", "csv"),
    ("wrong list", "[[signals.carbon]]\nsource = 'octopus-agile'\nregion='C'", "signals.carbon#1.source", "gives no carbon", "neso-carbon"),
    ("region", "[[signals.price]]\nsource = 'octopus-agile'", "signals.price#1.region", "is missing", 'region = "C"'),
    ("address", "[[signals.carbon]]\nsource='neso-carbon'\nurl='ftp://x'", "signals.carbon#1.url", "no web address", "https://"),
    ("limits", "[[signals.carbon]]\nsource='neso-carbon'\nminimum=10.0\nmaximum=5.0", "signals.carbon#1.minimum", "not below maximum", ""),
    ("socket", "[daemon]\nadmin_socket = 'admin.sock'", "daemon.admin_socket", "not an absolute path", "/"),
    ("long socket", f"[daemon]\nadmin_socket = '/{'x' * 107}'", "daemon.admin_socket", "108 bytes", "shorter"),
    ("cycle", "[daemon]\ncycle_seconds = 2.0", "daemon.cycle_seconds", "shorter than daemon.tick_seconds", ""),
    ("tick", "[daemon]\ntick_seconds = 10.0", "daemon.tick_seconds", "not shorter than directive.decision_window", "3.0"),
    ("helper apart", "[daemon]\nhelper_socket = '/run/h.sock'", "daemon.helper_socket", "not where the helper listens", "same path"),
    ("one state", "[helper]\nstate_dir = '/var/lib/flexlon'", "helper.state_dir", "also daemon.state_dir", ""),
    ("margin", "[planning]\nmargin_seconds = -1", "planning.margin_seconds", "-1 is out of range", "0 or more"),
    ("margins", "[planning]\nmargin_seconds = 10", "planning.margin_seconds", "below helper.margin_seconds", ""),
    ("helper margin", "[helper]\nmargin_seconds = -5", "helper.margin_seconds", "-5 is out of range", "0 or more"),
    ("spread", "[planning]\nspread = 1.5", "planning.spread", "1.5 is out of range", "0 to 1"),
    ("site cap", "[planning]\nsite_kw = -5.0", "planning.site_kw", "-5 is out of range", "0 or more"),
    ("search time", "[planning]\nsearch_seconds = 600.0", "planning.search_seconds", "600 is out of range", "0 to 60"),
    ("co2 cap", "[planning]\nco2_cap_kg = 5.0", "planning.co2_cap_kg", "no carbon feed", "signals.carbon"),
    ("depths", "[envelope]\ndepths = []", "envelope.depths", "is empty", "[0.1, 0.3]"),
    ("depth", "[envelope]\ndepths = [0.2, 3.0]", "envelope.depths#2", "3 is out of range", "0.001 to 1"),
    ("rebound", "[envelope]\nrebound_cap = 0.9", "envelope.rebound_cap", "0.9 is out of range", "1 to 10"),
    ("level", "[envelope]\nlevel = 1.0", "envelope.level", "1 is out of range", "0.5 to 0.99"),
    ("history", "[prediction]\nhistory_days = 0", "prediction.history_days", "0 is out of range", "1 to 3650"),
    ("refresh", "[prediction]\nrefresh_seconds = 1.0", "prediction.refresh_seconds", "1 is out of range", "10 to"),
    ("rest", "[slurm]\nreader = 'rest'", "slurm.restd_socket", "is empty", "restd_socket ="),
    ("watts", "[power.node_types.a]\nidle_watts = -1.0", "power.node_types.a.idle_watts", "-1 is out of range", "watts"),
    ("gpu watts", "[power.node_types.a.gpu_watts]\nh200 = -1.0", "power.node_types.a.gpu_watts.h200", "-1", ""),
    ("two types", "[power.node_types.a]\npartitions=['x']\n[power.node_types.b]\npartitions=['x']", "power.node_types.b.partitions", 'already of type "a"', "one node type"),
    ("two defaults", "[power.node_types.a]\n[power.node_types.b]", "power.node_types.b.partitions", "not named elsewhere", ""),
    ("other power", "[power]\nother_kw = -1.0", "power.other_kw", "-1 is out of range", "0 or more"),
    ("meter's limit", "[meter]\nsource='csv'\npath='/m.csv'", "meter.max_kw", "absurd", "max_kw = 2500.0"),
    ("meter's file", "[meter]\nsource='csv'\npath='m.csv'\nmax_kw=9.0", "meter.path", "not an absolute path", "/"),
    ("meter's age", "[meter]\nrefresh=60.0\nmax_age=30.0", "meter.max_age", "shorter than meter.refresh", "two times"),
    ("meter's column", "[meter]\ncolumn=1", "meter.column", "1 is out of range", "2 to 1000"),
    ("meter's address", "[meter]\nsource='prometheus'\nmax_kw=9.0\nurl='ftp://p'\nquery='q'", "meter.url", "no web address", "http://HOST:9090"),
    ("meter's password", "[meter]\nsource='prometheus'\nmax_kw=9.0\nurl='http://a:b@p:9090'\nquery='q'", "meter.url", "the status shows the address", "address alone"),
    ("meter's query", "[meter]\nsource='prometheus'\nmax_kw=9.0\nurl='http://p:9090'", "meter.query", "is empty", "site_power_watts"),
    ("nobody", "[admin]\noperators = ['']", "admin.operators#1", "empty name", ""),
    ("licence total", "[licence]\npartitions = { a = 'flexible' }", "licence.total_kw", "take part", "Licenses=kw:N"),
    ("licence consent", "[licence]\ntotal_kw = 9\npartitions = { a = 'all' }", "licence.consent", "names nobody who agreed", "J. Doe"),
    ("licence mode", "[licence]\npartitions = { a = 'some' }", "licence.partitions", "not of the right type", "flexible"),
    ("licence file", "[licence]\nconf = 'slurm.conf'", "licence.conf", "not an absolute path", ""),
    ("toml", "[daemon\n", "", "not TOML", "mode ="),
]  # fmt: skip


@pytest.mark.parametrize(
    ("text", "key", "why", "correct"), [case[1:] for case in BAD], ids=[c[0] for c in BAD]
)
def test_a_bad_file_is_refused_by_name(text: str, key: str, why: str, correct: str) -> None:
    with pytest.raises(ConfigError) as raised:
        parse(text.encode(), PATH)
    (problem,) = raised.value.problems
    assert problem.key == key
    assert why in f"{problem.why};"
    assert correct in problem.correct
    assert str(PATH) in str(raised.value)


def test_all_problems_are_told_at_once() -> None:
    told = problems(
        "[daemon]\nmode = 'akt'\n[grid]\nslot_seconds = 1000\n[directive]\ndecision_window = 30\nx = 1\n"
        "[[signals.price]]\nsource = 'csv'\n"
    )
    assert [line.split(":")[0] for line in told] == [
        "daemon.mode",
        "directive.x",
        "grid.slot_seconds",
        "signals.price#1.path",
    ]


def test_a_section_of_wrong_shape_is_not_judged_by_its_defaults() -> None:
    told = problems("[directive]\nclasses = 3\ndefault_class = 'night'\n")
    assert told == [
        "directive.classes: 3 is not of the right type; correct: tables: [directive.classes.NAME]"
    ]


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"no\.toml: 1 problem\n  cannot be read: No such file"):
        load(tmp_path / "no.toml")


def test_bytes_that_are_no_text_are_refused() -> None:
    with pytest.raises(ConfigError, match="byte 3 is not UTF-8"):
        parse(b"a='\xff'", PATH)


def test_every_key_is_documented_and_nothing_else() -> None:
    paths = [leaf.path for leaf in leaves()]
    assert set(DOCS) == set(paths)
    tables = {path.rpartition(".")[0] for path in paths}
    assert set(SECTIONS) == tables


@pytest.mark.parametrize("leaf", list(leaves()), ids=lambda leaf: leaf.path)
def test_every_key_has_a_sentence_and_an_example_that_fits(leaf: Leaf) -> None:
    doc = DOCS[leaf.path]
    value = tomllib.loads(f"x = {doc.example}")["x"]
    assert msgspec.convert(value, leaf.type, strict=True) is not None
    assert re.fullmatch(r"[A-Za-z].*[^.]\.", doc.sentence)
    assert type_words(leaf.type)


@settings(deadline=None)
@given(st.text())
def test_text_written_as_toml_reads_back(text: str) -> None:
    assert tomllib.loads(f"x = {toml_value(text)}")["x"] == text


@settings(deadline=None)
@given(st.text(max_size=200))
def test_any_text_loads_or_is_refused(text: str) -> None:
    try:
        raw = text.encode()
    except UnicodeEncodeError:
        return
    assert loads_or_is_refused(raw)


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["a", "price", "mode"]), inner, max_size=3)
    ),
    max_leaves=6,
)


@settings(deadline=None)
@given(st.sampled_from([leaf.path for leaf in leaves()]), VALUES)
def test_any_value_of_any_key_loads_or_is_refused(path: str, value: object) -> None:
    parts = path.replace(".NAME", ".any").split(".")
    table: object = value
    for part in reversed(parts):
        table = {part.removesuffix("[]"): [table] if part.endswith("[]") else table}
    try:
        text = "\n".join(f"{key} = {toml_value(item)}" for key, item in table.items())  # type: ignore[attr-defined]
        raw = text.encode()
    except UnicodeEncodeError:
        return
    assert loads_or_is_refused(raw)
