"""The vector file as calls: shared by the Python and the Lua test."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
import pytest

from flexlond.daemon.lua import fill, quote
from flexlond.model.directive import UNKNOWN, Directive, NotFlexible, Rejected, read_directive
from flexlond.model.settings import DirectiveSettings, Settings

ROOT = Path(__file__).resolve().parents[3]
PLUGIN = ROOT / "slurm_plugin" / "job_submit.lua"
DRIVER = ROOT / "tests" / "vectors" / "read_cases.lua"
Case = dict[str, Any]


def load() -> tuple[dict[str, DirectiveSettings], list[Case]]:
    """The settings by name, and the cases."""
    vectors = json.loads((ROOT / "tests/vectors/directive.json").read_text("utf-8"))
    settings = {
        name: msgspec.convert(fields, DirectiveSettings)
        for name, fields in vectors["settings"].items()
    }
    return settings, vectors["cases"]


def by_python(case: Case, settings: dict[str, DirectiveSettings]) -> dict[str, Any]:
    """What Python makes of a case, in the words of the vector file."""
    limit = case["time_limit"]
    found = read_directive(
        case["comment"],
        settings[case["settings"]],
        now=case["now"],
        tz=ZoneInfo(case["tz"]),
        partition=case["partition"],
        qos=case["qos"],
        account=case["account"],
        time_limit=UNKNOWN if limit is None else None if limit == "UNLIMITED" else limit,
        begin=case["begin"],
    )
    if isinstance(found, Rejected):
        return {"reject": found.line}
    if isinstance(found, NotFlexible):
        return {"not_flexible": found.opted_out}
    return {"directive": directive_fields(found)}


def directive_fields(found: Directive) -> dict[str, Any]:
    """A directive without the fields that were not said."""
    fields = msgspec.to_builtins(found)
    default = msgspec.to_builtins(Directive(source=found.source))
    kept = {key: value for key, value in fields.items() if key == "source" or value != default[key]}
    for name, pair in (
        ("power", found.power and (found.power.watts, found.power.per)),
        ("checkpoint", found.checkpoint),
        ("sites", found.sites),
    ):
        if pair:
            kept[name] = list(pair)
    return kept


def expected(case: Case) -> dict[str, Any]:
    """The expectation without fields that have their default, so that both sides compare fully."""
    expect = case["expect"]
    if "directive" not in expect:
        return dict(expect)
    default = msgspec.to_builtins(Directive(source=expect["directive"]["source"]))
    return {
        "directive": {
            key: value
            for key, value in expect["directive"].items()
            if key == "source" or value != default[key]
        }
    }


def need_lua() -> str:
    """The Lua interpreter, or a skip that says what to install."""
    lua = shutil.which("lua5.1")
    if not lua:
        pytest.skip("lua5.1 is not installed (apt-get install lua5.1)")
    return lua


def as_lua(value: object) -> str:
    """A value as a Lua expression; a text goes in as the bytes that Slurm would hold."""
    if value is None:
        return "nil"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return repr(value)
    if isinstance(value, str):
        raw = value.encode("utf-8", "surrogateescape").split(b"\0", 1)[0]
        return '"' + "".join(f"\\{byte:03d}" for byte in raw) + '"'
    if isinstance(value, dict):
        return (
            "{" + ",".join(f"[{quote(str(key))}]={as_lua(one)}" for key, one in value.items()) + "}"
        )
    assert isinstance(value, list | tuple)
    return "{" + ",".join(map(as_lua, value)) + "}"


def by_lua(
    cases: list[Case], settings: dict[str, DirectiveSettings], folder: Path
) -> list[dict[str, Any]]:
    """What the real plugin makes of the cases, one Lua process for each time zone."""
    lua = need_lua()
    for name, directive in settings.items():
        text = fill(PLUGIN.read_text("utf-8"), Settings(directive=directive))
        (folder / f"{name}.lua").write_text(text, "utf-8")
    answers: list[dict[str, Any]] = [{} for _ in cases]
    for zone in sorted({case["tz"] for case in cases}):
        indices = [index for index, case in enumerate(cases) if case["tz"] == zone]
        rows = ",\n".join(
            as_lua({k: v for k, v in cases[i].items() if k != "expect"}) for i in indices
        )
        (folder / "cases.lua").write_text(f"return {{\n{rows}\n}}\n", "utf-8")
        done = subprocess.run(
            [lua, str(DRIVER), str(folder), str(folder / "cases.lua")],
            capture_output=True,
            check=False,
            timeout=1800,  # only against a Lua that never ends; the fuzz test is slow on a busy machine
            env={**os.environ, "TZ": zone, "LC_ALL": "C"},
        )
        assert done.returncode == 0, done.stderr.decode()
        lines = done.stdout.decode().splitlines()
        assert len(lines) == len(indices), done.stderr.decode()
        for index, line in zip(indices, lines, strict=True):
            answers[index] = json.loads(line)
    return answers


def without_defaults(answer: dict[str, Any]) -> dict[str, Any]:
    """A Lua answer without the fields that have their default."""
    if "directive" not in answer:
        return answer
    fields = answer["directive"]
    default = Directive(source=fields["source"])
    return {
        "directive": {
            key: value
            for key, value in fields.items()
            if key == "source" or value != getattr(default, key)
        }
    }
