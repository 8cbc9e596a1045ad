"""The job_submit plugin with a site's settings in it: rendered, checked, installed.

Law: decides the text between the generated markers of job_submit.lua and nothing else of it. Every text of
the configuration goes in as data: each byte that is no letter or digit is escaped, so no setting can become
code. A plugin that Lua cannot load is never installed, because slurmctld would not start with it.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import time
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from flexlond.model.directive import check_classes
from flexlond.model.directive_keys import (
    KEYS,
    MESSAGES,
    PREEMPT_ONLY,
    SIGNALS,
    UNCATCHABLE,
)
from flexlond.model.licence import why_no_consent
from flexlond.model.power import node_type

if TYPE_CHECKING:
    from flexlond.model.settings import FlexClass, Settings

KEYS_BEGIN = "-- flexlon keys: begin (scripts/gen-lua; edit flexlond/model/directive_keys.py)\n"
KEYS_END = "-- flexlon keys: end\n"
SITE_BEGIN = "-- flexlon site: begin (flexlond lua; edit flexlon.toml)\n"
SITE_END = "-- flexlon site: end\n"


class LuaError(RuntimeError):
    """The plugin cannot be rendered or installed; the text says why and what to do."""


def quote(text: str) -> str:
    """`text` as a Lua string; printable ASCII stays readable, everything else is escaped."""
    plain = (
        set(b" !#$%&'()*+,-./:;<=>?@[]^_`{|}~")
        | set(range(48, 58))
        | set(range(65, 91))
        | set(range(97, 123))
    )
    return (
        '"'
        + "".join(chr(byte) if byte in plain else f"\\{byte:03d}" for byte in text.encode())
        + '"'
    )


def keys_block() -> str:
    """The tables of directive_keys.py as Lua."""
    lines = ["local KEYS = {"]
    lines += [
        f"    {{ name = {quote(key.name)}, kind = {quote(key.kind)},\n        form = {quote(key.form)} }},"
        for key in KEYS
    ]
    lines += ["}", "local MESSAGES = {"]
    lines += [
        f"    [{quote(code)}] = {{ {quote(why)},\n        {quote(correct)} }},"
        for code, (why, correct) in MESSAGES.items()
    ]
    lines += [
        "}",
        f"local PREEMPT_ONLY = {{ {', '.join(map(quote, PREEMPT_ONLY))} }}",
        "local SIGNALS = {",
        *(f"    {name} = true," for name in SIGNALS),
        "}",
        f"local UNCATCHABLE = {{ {', '.join(f'[{number}] = true' for number in UNCATCHABLE)} }}",
    ]
    return "\n".join(lines) + "\n"


def site_block(settings: Settings) -> str:
    """The site's classes, opt-ins, decision window, heartbeat file and licence as Lua data."""
    directive = settings.directive
    lines = [
        "local SITE = {",
        f"    window = {max(0, min(10, directive.decision_window))},",
        f"    max_length = {directive.max_directive_length},",
        f"    heartbeat = {quote(settings.daemon.heartbeat_file)},",
        f"    default_class = {quote(directive.default_class)},",
        "    classes = {",
    ]
    for name in sorted(directive.classes):
        values = ", ".join(
            f"{{ {quote(key)}, {quote(text)} }}" for key, text in _values(directive.classes[name])
        )
        lines.append(f"        {{ name = {quote(name)}, values = {{ {values} }} }},")
    lines += ["    },", "    opt_in = {"]
    lines += [
        f"        {{ partition = {quote(rule.partition)}, qos = {quote(rule.qos)},"
        f" account = {quote(rule.account)}, class = {quote(rule.flex_class or directive.default_class)} }},"
        for rule in directive.opt_in
        if rule.partition or rule.qos or rule.account
    ]
    lines += ["    },", *_licence_lines(settings), "}"]
    return "\n".join(lines) + "\n"


def _licence_lines(settings: Settings) -> list[str]:
    """Who gets the licence, and the coefficients of a job's power (flexlond/model/power.py)."""
    chosen, power = settings.licence, settings.power
    if not chosen.taking_part:
        return ["    licence = false,"]
    lines = [
        "    licence = {",
        f"        total = {chosen.total_kw},",
        f"        conf = {quote(chosen.conf)},",
        f"        pue = {power.pue!r},",
        "        partitions = {",
    ]
    for name, mode in sorted(chosen.partitions.items()):
        kind = node_type(name, power)
        watts = ", ".join(
            f"[{quote(gpu)}] = {value!r}" for gpu, value in sorted(kind.gpu_watts.items())
        )
        lines += [
            f"            [{quote(name)}] = {{ mode = {quote(mode)}, cpu = {kind.cpu_watts!r},",
            f"                idle = {kind.idle_watts * kind.idle_share!r},",
            f"                cpus = {max(1, kind.cpus_per_node)},",
            f"                gpu = {max(kind.gpu_watts.values(), default=0.0)!r}, gpus = {{ {watts} }} }},",
        ]
    return [*lines, "        },", "    },"]


def _values(flex_class: FlexClass) -> list[tuple[str, str]]:
    """A class's values by key, in the keys' order; keys that are not given are left out."""
    pairs = [(key.name, getattr(flex_class, key.name.replace("-", "_"), "")) for key in KEYS]
    return [(name, text) for name, text in pairs if text]


def fill(source: str, settings: Settings) -> str:
    """`source` (the plugin's text) with both generated parts made anew."""
    for begin, end, block in (
        (KEYS_BEGIN, KEYS_END, keys_block()),
        (SITE_BEGIN, SITE_END, site_block(settings)),
    ):
        head, found, rest = source.partition(begin)
        _, closed, tail = rest.partition(end)
        if not found or not closed:
            raise LuaError(
                f"job_submit.lua has lost its marker {begin.strip()!r}; reinstall FlexLon"
            )
        source = head + begin + block + end + tail
    return source


def render(settings: Settings) -> str:
    """The plugin for a site. Raises LuaError when a class or an opt-in of the site cannot be read."""
    wrong = list(check_classes(settings.directive, now=int(time.time()), tz=ZoneInfo("UTC")))
    if why := why_no_consent(settings.licence):
        wrong.append(f"licence.consent {why}")
    if wrong:
        raise LuaError(
            "the plugin is not rendered, correct the configuration first: " + "; ".join(wrong)
        )
    plugin = resources.files("slurm_plugin").joinpath("job_submit.lua")
    return fill(plugin.read_text("utf-8"), settings)


def install(settings: Settings, output: Path, *, check: bool = False) -> str:
    """Write the plugin to `output` by an atomic rename, or only compare; returns what was done or found.

    Raises LuaError: with `check` when the file is missing or differs, otherwise when Lua refuses the text
    or the file cannot be written. slurmctld takes a changed file at the next submission.
    """
    text = render(settings)
    installed = output.read_text("utf-8", "replace") if output.is_file() else None
    if check:
        if installed == text:
            return f"{output} is what the configuration asks for"
        state = "is missing" if installed is None else "differs from the configuration"
        raise LuaError(f"{output} {state}; run: flexlond lua --output {output}")
    if installed == text:
        return f"{output} is up to date"
    try:
        checked = _write(text, output)
    except OSError as error:
        raise LuaError(
            f"cannot write {output}: {error.strerror}; run as root, or give another --output"
        ) from error
    verb = "wrote" if installed is None else "replaced"
    hint = (
        ""
        if installed is not None
        else "; slurm.conf needs JobSubmitPlugins=lua, then restart slurmctld"
    )
    return f"{verb} {output} ({checked}){hint}"


def _write(text: str, output: Path) -> str:
    """Write beside `output`, have Lua read it, then rename; returns which checker saw it."""
    handle, name = tempfile.mkstemp(prefix=f".{output.name}.", dir=output.parent)
    temporary = Path(name)
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        checked = _lua_reads(temporary)
        temporary.chmod(0o644)
        temporary.replace(output)
    finally:
        temporary.unlink(missing_ok=True)
    return checked


def _lua_reads(path: Path) -> str:
    """Raises LuaError when a Lua 5.1 at hand cannot load the file; loading does not run it."""
    for command, *options in (
        ["luac5.1", "-p", str(path)],
        ["lua5.1", "-e", f"assert(loadfile({quote(str(path))}))"],
    ):
        if not shutil.which(command):
            continue
        done = subprocess.run(
            [command, *options], capture_output=True, text=True, timeout=20, check=False
        )
        if done.returncode:
            raise LuaError(
                f"Lua cannot load the rendered plugin, so it is not installed: {done.stderr.strip()}"
            )
        return f"checked by {command}"
    return "not checked: neither luac5.1 nor lua5.1 is installed"
