from __future__ import annotations

import importlib.util
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from pathlib import Path
    from types import ModuleType


def _load(name: str, relative: str) -> ModuleType:
    from pathlib import Path  # noqa: PLC0415 - only this loader needs it

    spec = importlib.util.spec_from_file_location(name, Path(__file__).parent / relative)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


shared = _load("directive_cases", "directive_cases.py")
generator = _load("make_directive_vectors", "../../vectors/make_directive_vectors.py")
SETTINGS, CASES = shared.load()


def _named(case: dict[str, Any]) -> str:
    return f"{case['comment'][:60]!r} at {case['now']} in {case['tz']} ({case['settings']})"


def test_there_are_at_least_300_cases_and_the_file_is_what_the_generator_makes() -> None:
    assert len(CASES) >= 300
    kinds = {
        kind: sum(kind in case["expect"] for case in CASES)
        for kind in ("directive", "reject", "not_flexible")
    }
    assert min(kinds.values()) >= 20, kinds
    assert (shared.ROOT / "tests/vectors/directive.json").read_text("utf-8") == generator.make()


def test_python_reads_every_vector_as_written() -> None:
    wrong = []
    for case in CASES:
        got = shared.by_python(case, SETTINGS)
        if got != shared.expected(case):
            wrong.append(f"{_named(case)}\n  expected {shared.expected(case)}\n  read     {got}")
    assert not wrong, f"{len(wrong)} of {len(CASES)} differ:\n" + "\n".join(wrong[:20])


def test_lua_reads_every_vector_as_written(tmp_path: Path) -> None:
    wrong = []
    for case, answer in zip(CASES, shared.by_lua(CASES, SETTINGS, tmp_path), strict=True):
        got = shared.without_defaults(answer)
        if got != shared.expected(case):
            wrong.append(f"{_named(case)}\n  expected {shared.expected(case)}\n  read     {got}")
    assert not wrong, f"{len(wrong)} of {len(CASES)} differ:\n" + "\n".join(wrong[:20])


@pytest.mark.parametrize(
    "comment", ["flex: max-delay=1\x00;", "flex: max-delay=1\x00deadine=x", "\x00flex: max-delay=9"]
)
def test_a_comment_ends_at_its_first_nul_as_in_c(comment: str) -> None:
    case = dict(CASES[0], comment=comment)
    visible = dict(CASES[0], comment=comment.partition("\x00")[0])
    assert shared.by_python(case, SETTINGS) == shared.by_python(visible, SETTINGS)
