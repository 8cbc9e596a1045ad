"""Strict JSON: bytes from a stranger become a value, or a precise refusal.

Law: refuses what two parsers might read differently (duplicate keys, NaN and Infinity, numbers that do not
fit a double, lone surrogates, a byte order mark) and what is large or deep for its purpose, in time linear in
the bytes. Signatures are over the raw bytes, so nothing here is ever re-serialised to be verified; `dump`
gives the one form that we send and digest. Source: RFC 8259, RFC 7493 (I-JSON), RFC 8785 for the order of keys.
"""

from __future__ import annotations

import json
import math
import re
from typing import Any

import msgspec

from flexlond.beckn.wire.codes import Code, Refusal

MAX_BYTES = 1024 * 1024
MAX_DEPTH = 32
MAX_INTEGER_DIGITS = 40

# A string, also one that does not end: then it swallows the rest, which keeps the scan linear.
_STRING = re.compile(rb'"(?:[^"\\]++|\\.)*+"?', re.DOTALL)
_NOT_BRACKETS = bytes(set(range(256)) - set(b"[]{}"))
_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")


class _Twice(dict[str, Any]):
    """An object in which `key` stood twice."""

    key = ""


def parse(body: bytes, max_bytes: int = MAX_BYTES, max_depth: int = MAX_DEPTH) -> dict[str, Any]:
    """The JSON object in `body`. Raises Refusal (SCH_INVALID_JSON) with the path or the position."""
    if len(body) > max_bytes:
        raise _refuse(f"the body has {len(body)} bytes; at most {max_bytes} are accepted")
    _check_depth(body, max_depth)
    twice: list[_Twice] = []

    def pairs(items: list[tuple[str, Any]]) -> dict[str, Any]:
        made = dict(items)
        if len(made) == len(items):
            return made
        marked = _Twice(made)
        seen: set[str] = set()
        marked.key = next(k for k, _ in items if k in seen or seen.add(k))  # type: ignore[func-returns-value]
        twice.append(marked)
        return marked

    try:
        value = json.loads(
            body.decode("utf-8"),
            object_pairs_hook=pairs,
            parse_constant=_constant,
            parse_float=_double,
            parse_int=_integer,
        )
    except UnicodeDecodeError as error:
        raise _refuse(f"byte {error.start} is not UTF-8") from None
    except json.JSONDecodeError as error:
        raise _refuse(f"{error.msg} at character {error.pos}; expected one JSON object") from None
    if twice:
        path = _path_of(value, twice[0])
        raise _refuse(f"the key {_short(twice[0].key)} stands twice; expected once", path)
    if _SURROGATE.search(body):
        _check_surrogates(value, "$")
    if not isinstance(value, dict):
        raise _refuse(f"the body is {kind_of(value)}; expected one object", "$")
    return value


def dump(value: Any) -> bytes:
    """The form that we send: UTF-8, keys sorted, no blanks; the same value gives the same bytes."""
    return msgspec.json.encode(value, order="sorted")


def kind_of(value: Any) -> str:
    """A JSON value's kind in words."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "a boolean"
    if isinstance(value, int | float):
        return "a number"
    if isinstance(value, str):
        return "a string"
    return "an array" if isinstance(value, list) else "an object"


def _check_depth(body: bytes, most: int) -> None:
    depth = 0
    for byte in _STRING.sub(b"", body).translate(None, _NOT_BRACKETS):
        if byte in b"[{":
            depth += 1
            if depth > most:
                raise _refuse(f"nested deeper than {most} levels")
        else:
            depth -= 1


def _constant(word: str) -> float:
    raise _refuse(f"{word} is not JSON; expected a finite number")


def _double(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise _refuse(f"the number {_short(text)} does not fit a double")
    return value


def _integer(text: str) -> int:
    if len(text) > MAX_INTEGER_DIGITS:
        raise _refuse(f"the number {_short(text)} has more than {MAX_INTEGER_DIGITS} digits")
    return int(text)


def _path_of(value: Any, wanted: Any, path: str = "$") -> str:
    if value is wanted:
        return path
    children: list[tuple[str, Any]] = []
    if isinstance(value, dict):
        children = [(f"{path}.{_short(key)}", child) for key, child in value.items()]
    elif isinstance(value, list):
        children = [(f"{path}[{at}]", child) for at, child in enumerate(value)]
    for name, child in children:
        found = _path_of(child, wanted, name)
        if found:
            return found
    return ""


def _check_surrogates(value: Any, path: str) -> None:
    if isinstance(value, str):
        if any("\ud800" <= char <= "\udfff" for char in value):
            raise _refuse("half a surrogate pair; expected whole characters", path)
    elif isinstance(value, dict):
        for key, child in value.items():
            _check_surrogates(key, path)
            _check_surrogates(child, f"{path}.{_short(key)}")
    elif isinstance(value, list):
        for at, child in enumerate(value):
            _check_surrogates(child, f"{path}[{at}]")


def _short(text: str) -> str:
    clean = "".join(char if char.isprintable() else "?" for char in text[:60])
    return clean if len(text) <= 60 else f"{clean}..."


def _refuse(text: str, path: str = "") -> Refusal:
    return Refusal(Code.SCH_INVALID_JSON, text, path)
