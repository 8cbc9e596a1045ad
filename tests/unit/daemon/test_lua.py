from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from flexlond.daemon.lua import LuaError, fill, install, quote, render
from flexlond.model.settings import DaemonSettings, DirectiveSettings, FlexClass, OptIn, Settings

ROOT = Path(__file__).resolve().parents[3]
PLUGIN = ROOT / "slurm_plugin" / "job_submit.lua"


def test_the_committed_plugin_is_the_default_one() -> None:
    assert render(Settings()) == PLUGIN.read_text("utf-8")


def test_the_generated_parts_have_not_drifted() -> None:
    done = subprocess.run(
        [sys.executable, str(ROOT / "scripts/gen-lua"), "--check"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_no_setting_can_become_code(tmp_path: Path) -> None:
    lua = shutil.which("lua5.1")
    if not lua:
        pytest.skip("lua5.1 is not installed (apt-get install lua5.1)")
    texts = ['"', "\\", "]]--", "\n os.exit(1) --", "\0", "\u00e9", "%s", "'", "\\n", "a\rb", '\\"']
    script = (
        "local t = {"
        + ",".join(map(quote, texts))
        + "}; for _, s in ipairs(t) do io.write(s, '\\1') end"
    )
    done = subprocess.run([lua, "-e", script], capture_output=True, check=True)
    assert done.stdout == b"".join(text.encode() + b"\1" for text in texts)
    hostile = Settings(
        daemon=DaemonSettings(heartbeat_file='/run/x" .. os.exit(3) .. "'),
        directive=DirectiveSettings(opt_in=(OptIn(partition='"}}} os.exit(3) --', qos="]]"),)),
    )
    output = tmp_path / "job_submit.lua"
    install(hostile, output)
    done = subprocess.run(
        [lua, "-e", f"dofile({quote(str(output))})"], capture_output=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, b"")


def test_install_writes_once_compares_and_says_so(tmp_path: Path) -> None:
    output = tmp_path / "job_submit.lua"
    with pytest.raises(LuaError, match="is missing; run: flexlond lua --output"):
        install(Settings(), output, check=True)
    said = install(Settings(), output)
    assert said.startswith(f"wrote {output} (")
    assert "JobSubmitPlugins=lua" in said
    assert output.stat().st_mode & 0o777 == 0o644
    assert install(Settings(), output) == f"{output} is up to date"
    assert install(Settings(), output, check=True) == f"{output} is what the configuration asks for"
    changed = Settings(directive=DirectiveSettings(decision_window=5))
    with pytest.raises(LuaError, match="differs from the configuration"):
        install(changed, output, check=True)
    assert install(changed, output).startswith(f"replaced {output} (")
    assert "window = 5," in output.read_text()
    assert [path.name for path in tmp_path.iterdir()] == ["job_submit.lua"]


def test_what_lua_cannot_load_is_never_installed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not (shutil.which("luac5.1") or shutil.which("lua5.1")):
        pytest.skip("lua5.1 is not installed (apt-get install lua5.1)")
    output = tmp_path / "job_submit.lua"
    output.write_text("-- at work")
    monkeypatch.setattr("flexlond.daemon.lua.site_block", lambda _: "local SITE = {\n")
    with pytest.raises(
        LuaError, match="Lua cannot load the rendered plugin, so it is not installed"
    ):
        install(Settings(), output)
    assert output.read_text() == "-- at work"
    assert [path.name for path in tmp_path.iterdir()] == ["job_submit.lua"]


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    with pytest.raises(
        LuaError,
        match=r"cannot write .*no-such/job_submit\.lua: No such file or directory; run as root",
    ):
        install(Settings(), tmp_path / "no-such" / "job_submit.lua")


@pytest.mark.parametrize(
    ("directive", "said"),
    [
        (
            DirectiveSettings(classes={"standard": FlexClass(deadline="8 oclock")}),
            r"\[directive.classes.standard\]: 'deadline=8 oclock of class standard': not a time; write",
        ),
        (DirectiveSettings(default_class="x"), r"directive.default_class = 'x': no such class"),
        (
            DirectiveSettings(opt_in=(OptIn(partition="p", flex_class="night"),)),
            r"directive.opt_in.flex_class = 'night': no such class",
        ),
        (
            DirectiveSettings(classes={"standard": FlexClass(), "Standard": FlexClass()}),
            "two classes differ in upper and lower case only",
        ),
        (
            DirectiveSettings(classes={"standard": FlexClass(), "a b": FlexClass()}),
            "a class name has 1 to 32 of",
        ),
    ],
)
def test_a_class_that_cannot_be_read_is_found_before_installing(
    directive: DirectiveSettings, said: str
) -> None:
    with pytest.raises(LuaError, match=said):
        render(Settings(directive=directive))


def test_a_plugin_without_its_markers_is_refused() -> None:
    with pytest.raises(LuaError, match="has lost its marker '-- flexlon keys: begin"):
        fill("-- nothing here", Settings())
