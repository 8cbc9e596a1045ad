"""The configuration's shape, walked once for everyone: the loader, the reference page, the tests.

Law: the shape is flexlond/model/settings.py and nothing else; this module only walks it. A key path
is written as in the reference: `directive.classes.NAME.deadline`, `signals.price[].source`. It reads
no file and decides nothing about values.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, get_args, get_origin

import msgspec

from flexlond.model.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Iterator

_WORDS = {int: "whole number", float: "number", str: "text", bool: "true or false"}


@dataclass(frozen=True, slots=True)
class Leaf:
    """One key that takes a value: its path, its type, its default (NODEFAULT when required)."""

    path: str
    type: Any
    default: Any

    @property
    def required(self) -> bool:
        """Whether the key must be given."""
        return self.default is msgspec.NODEFAULT


def is_record(kind: Any) -> bool:
    """Whether `kind` is a table with named keys."""
    return isinstance(kind, type) and issubclass(kind, msgspec.Struct)


def named_records(kind: Any) -> type[msgspec.Struct] | None:
    """Return the record of a table of named tables (`dict[str, Record]`), else None."""
    if get_origin(kind) is dict and is_record(get_args(kind)[1]):
        record: type[msgspec.Struct] = get_args(kind)[1]
        return record
    return None


def listed_records(kind: Any) -> type[msgspec.Struct] | None:
    """Return the record of an array of tables (`tuple[Record, ...]`), else None."""
    if get_origin(kind) is tuple and is_record(get_args(kind)[0]):
        record: type[msgspec.Struct] = get_args(kind)[0]
        return record
    return None


def default_of(field: msgspec.structs.FieldInfo) -> Any:
    """Return a field's default value; NODEFAULT when it has none."""
    if field.default_factory is not msgspec.NODEFAULT:
        return field.default_factory()
    return field.default


def leaves(record: type[msgspec.Struct] = Settings, prefix: str = "") -> Iterator[Leaf]:
    """Yield every key of the file in the order of the settings module."""
    for field in msgspec.structs.fields(record):
        path = prefix + field.encode_name
        if is_record(field.type):
            yield from leaves(field.type, f"{path}.")
        elif inner := named_records(field.type):
            yield from leaves(inner, f"{path}.NAME.")
        elif inner := listed_records(field.type):
            yield from leaves(inner, f"{path}[].")
        else:
            yield Leaf(path, field.type, default_of(field))


def type_words(kind: Any) -> str:
    """Return a type in words for people: "whole number", "one of "observe", "act""."""
    if kind in _WORDS:
        return _WORDS[kind]
    if get_origin(kind) is Literal:
        return "one of " + ", ".join(f'"{value}"' for value in get_args(kind))
    if get_origin(kind) is tuple:
        return (
            f"list of {type_words(get_args(kind)[0])}s"
            if get_args(kind)[0] is not str
            else ("list of texts")
        )
    if get_origin(kind) is dict:
        return f"table: name = {type_words(get_args(kind)[1])}"
    return "table"


def toml_value(value: Any) -> str:
    """Return a plain value as TOML would write it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return '"' + "".join(_toml_char(char) for char in value) + '"'
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(toml_value(item) for item in value) + "]"
    if isinstance(value, dict):
        pairs = (f"{toml_key(key)} = {toml_value(item)}" for key, item in value.items())
        return "{" + ", ".join(pairs) + "}"
    return str(value)


def toml_key(key: str) -> str:
    """Return a key as TOML would write it: bare where that is allowed, else quoted."""
    bare = bool(key) and key.isascii() and key.replace("-", "").replace("_", "").isalnum()
    return key if bare else toml_value(key)


def _toml_char(char: str) -> str:
    if char in '"\\':
        return "\\" + char
    return char if char.isprintable() else f"\\U{ord(char):08x}"
