"""Loading the configuration: one TOML file in, checked settings or every problem at once out.

Law: nothing is guessed and nothing is ignored. An unknown key, a value of the wrong type or a value
that contradicts another is refused, with file, key, why, and the correct form; all problems of the
file are told together. Loading reads the one file and touches nothing else. What the keys mean is in
flexlond/model/settings.py (shape) and config_docs.py (words); cross-checks are in config_checks.py.
"""

from __future__ import annotations

import difflib
import math
import re
import tomllib
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

import msgspec

from flexlond.daemon import config_schema as schema
from flexlond.daemon.config_checks import cross_check
from flexlond.daemon.config_docs import DOCS
from flexlond.daemon.config_problem import ConfigError, Problem, section_of
from flexlond.model.settings import Settings

DEFAULT_PATH = Path("/etc/flexlon/flexlon.toml")

_NAME = re.compile(r"[A-Za-z0-9_.-]{1,32}\Z")


def load(path: str | Path) -> Settings:
    """Read and check the file at `path`; ConfigError naming every problem when it is not right."""
    path = Path(path)
    try:
        raw = path.read_bytes()
    except OSError as error:
        why = f"cannot be read: {error.strerror or error}"
        raise ConfigError(
            path, [Problem("", why, "a readable TOML file; --config names another one")]
        ) from error
    return parse(raw, path)


def parse(raw: bytes, path: str | Path) -> Settings:
    """Check the bytes of a configuration file; ConfigError naming every problem.

    `path` is for the messages only.
    """
    path = Path(path)
    try:
        table = tomllib.loads(raw.decode())
    except UnicodeDecodeError as error:
        why = f"byte {error.start} is not UTF-8"
        raise ConfigError(path, [Problem("", why, "a TOML file in UTF-8")]) from error
    except tomllib.TOMLDecodeError as error:
        why = f"not TOML: {error}"
        raise ConfigError(path, [Problem("", why, 'lines such as mode = "observe"')]) from error
    problems: list[Problem] = []
    settings: Settings = _Reader(problems).record(Settings, table, "", "")
    # A section with a wrong shape stands on defaults by now: its cross-checks would mislead.
    broken = {section_of(problem.key) for problem in problems}
    problems += [p for p in cross_check(settings) if p.sections.isdisjoint(broken)]
    if problems:
        raise ConfigError(path, problems)
    return settings


def describe(settings: Settings) -> str:
    """Return the settings in force as a TOML file that loads again; defaults are marked."""
    lines: list[str] = []
    _describe(settings, "", lines)
    return "\n".join(lines).strip() + "\n"


class _Reader:
    """Builds records from tables, collecting what is wrong and standing on defaults for it."""

    def __init__(self, problems: list[Problem]) -> None:
        self._problems = problems

    def record(self, record: type[Any], table: dict[str, Any], path: str, doc: str) -> Any:
        """Build `record`; keys that are wrong keep their default."""
        fields = {field.encode_name: field for field in msgspec.structs.fields(record)}
        values: dict[str, Any] = {}
        for key, value in table.items():
            if key not in fields:
                self._unknown(key, path, list(fields))
                continue
            built = self._value(fields[key].type, value, path + key, doc + key)
            if built is not msgspec.NODEFAULT:
                values[fields[key].name] = built
        for key, field in fields.items():
            if field.required and field.name not in values:
                if key not in table:
                    self._add(path + key, "is missing", self._example(doc + key, field.type))
                values[field.name] = _stand_in(field.type)
        return record(**values)

    def _value(self, kind: Any, value: Any, path: str, doc: str) -> Any:
        if schema.is_record(kind):
            if isinstance(value, dict):
                return self.record(kind, value, f"{path}.", f"{doc}.")
            return self._wrong(path, value, f"a table: [{path}]")
        if inner := schema.named_records(kind):
            return self._named(inner, value, path, doc)
        if inner := schema.listed_records(kind):
            return self._listed(inner, value, path, doc)
        try:
            built = msgspec.convert(value, kind, strict=True)
        except msgspec.ValidationError:
            return self._bad_leaf(kind, value, path, doc)
        numbers = built.values() if isinstance(built, dict) else [built]
        if any(isinstance(number, float) and not math.isfinite(number) for number in numbers):
            return self._wrong(path, value, "a finite number")
        return built

    def _named(self, inner: type[Any], value: Any, path: str, doc: str) -> Any:
        if not isinstance(value, dict):
            return self._wrong(path, value, f"tables: [{path}.NAME]")
        built = {}
        for name, table in value.items():
            where = f"{path}.{schema.toml_key(name)}"
            if not _NAME.match(name):
                self._add(where, "is no usable name", "1 to 32 of A-Z a-z 0-9 _ . -")
            elif not isinstance(table, dict):
                self._wrong(where, table, f"a table: [{where}]")
            else:
                built[name] = self.record(inner, table, f"{where}.", f"{doc}.NAME.")
        return built

    def _listed(self, inner: type[Any], value: Any, path: str, doc: str) -> Any:
        if not isinstance(value, list):
            return self._wrong(path, value, f"a list of tables: [[{path}]]")
        built = []
        for number, table in enumerate(value, start=1):
            where = f"{path}#{number}"
            if not isinstance(table, dict):
                self._wrong(where, table, f"a table: [[{path}]]")
            else:
                built.append(self.record(inner, table, f"{where}.", f"{doc}[]."))
        return tuple(built)

    def _bad_leaf(self, kind: Any, value: Any, path: str, doc: str) -> Any:
        if get_origin(kind) is Literal and isinstance(value, str):
            known = [str(item) for item in get_args(kind)]
            near = _nearest(value, known)
            why = f"{schema.toml_value(value)} is not known" + (
                f', did you mean "{near}"?' if near else ""
            )
            self._add(path, why, schema.type_words(kind))
            return msgspec.NODEFAULT
        return self._wrong(path, value, self._example(doc, kind))

    def _wrong(self, path: str, value: Any, correct: str) -> Any:
        shown = schema.toml_value(value)
        shown = shown if len(shown) <= 40 else f"{shown[:37]}..."
        self._add(path, f"{shown} is not of the right type", correct)
        return msgspec.NODEFAULT

    def _unknown(self, key: str, path: str, known: list[str]) -> None:
        near = _nearest(key, known)
        section = f"in [{path.rstrip('.')}]" if path else "at the top of the file"
        self._add(
            path + schema.toml_key(key),
            "unknown key" + (f", did you mean '{near}'?" if near else ""),
            f"known {section}: {', '.join(known)}",
        )

    def _add(self, key: str, why: str, correct: str) -> None:
        self._problems.append(Problem(key, why, correct))

    @staticmethod
    def _example(doc: str, kind: Any) -> str:
        name = doc.rsplit(".", 1)[-1]
        return f"{schema.type_words(kind)}, for example {name} = {DOCS[doc].example}"


def _nearest(word: str, known: list[str]) -> str:
    close = difflib.get_close_matches(word.lower(), known, n=1, cutoff=0.6)
    return close[0] if close else ""


def _stand_in(kind: Any) -> Any:
    """A value for a required key that is missing, so that the other keys can still be checked."""
    return get_args(kind)[0] if get_origin(kind) is Literal else kind()


def _describe(record: msgspec.Struct, path: str, lines: list[str]) -> None:
    inner: list[tuple[str, Any]] = []
    for field in msgspec.structs.fields(type(record)):
        value = getattr(record, field.name)
        where = f"{path}.{field.encode_name}" if path else field.encode_name
        if schema.is_record(field.type):
            inner.append((f"[{where}]", value))
        elif schema.named_records(field.type):
            inner += [(f"[{where}.{schema.toml_key(name)}]", item) for name, item in value.items()]
        elif schema.listed_records(field.type):
            inner += [(f"[[{where}]]", item) for item in value]
        else:
            mark = "  # default" if value == schema.default_of(field) else ""
            lines.append(f"{field.encode_name} = {schema.toml_value(value)}{mark}")
    for header, item in inner:
        lines += ["", header]
        _describe(item, header.strip("[]"), lines)
