"""The configuration of a test as TOML: the tests' defaults with what one test wants laid into them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping


def toml(tables: Mapping[str, Any], prefix: str = "") -> str:
    """The TOML of plain values, nested tables and lists of tables: what the configuration has."""
    lines: list[str] = []
    rest: list[str] = []
    for name, value in tables.items():
        if isinstance(value, dict):
            rest.append(f"[{prefix}{name}]\n{toml(value, f'{prefix}{name}.')}")
        elif isinstance(value, (list, tuple)) and value and isinstance(value[0], dict):
            rest += [f"[[{prefix}{name}]]\n{toml(item, f'{prefix}{name}.')}" for item in value]
        else:
            lines.append(f"{name} = {json.dumps(value)}\n")
    return "".join(lines + rest)


def merged(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """`base` with the tables of `over` laid into it."""
    out = dict(base)
    for name, value in over.items():
        both = isinstance(value, dict) and isinstance(out.get(name), dict)
        out[name] = merged(out[name], value) if both else value
    return out
