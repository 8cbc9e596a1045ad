"""Every command shown in the docs is run: fenced `sh` blocks carry `<!-- run: WHO -->` on the line before.

WHO is `root` or `alice` (run here, block by block, in the order of the page; `alice, fails`: must fail),
`image` (run while the image is built) or `ci` (run by the project's own CI). A block without it fails.
"""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.slurm

ROOT = Path(__file__).parent.parent.parent
PAGES = sorted([ROOT / "README.md", *(ROOT / "docs").rglob("*.md")])
FENCE = re.compile(r"(?:<!-- run: ([a-z, ]+) -->\n)?```sh\n(.*?)```", re.DOTALL)


def blocks(page: Path) -> list[tuple[str, str]]:
    return [(who or "", text) for who, text in FENCE.findall(page.read_text())]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_block_says_who_runs_it(page: Path) -> None:
    for who, text in blocks(page):
        assert who in {"root", "alice", "alice, fails", "image", "ci"}, text


RUNNABLE = [
    page for page in PAGES if any(who.split(",")[0] in {"root", "alice"} for who, _ in blocks(page))
]


@pytest.mark.parametrize("page", RUNNABLE, ids=lambda page: str(page.relative_to(ROOT)))
def test_the_commands_of_the_page_work(page: Path, scene: Any) -> None:
    classes = {"standard": {"max_delay": "12:00:00"}, "overnight": {"max_delay": "14:00:00"}}
    scene.act([200.0] * 20 + [10.0] * 10 + [200.0] * 150, directive={"classes": classes})
    scene.render_plugin()
    script = Path("/tmp/train.sh")  # noqa: S108  # the pages' example; where the blocks run
    script.write_text("#!/bin/sh\nsleep 5\n")
    if "sacctmgr -i add user flexlon-helper" in page.read_text():  # as on a fresh controller
        subprocess.run(["sacctmgr", "-i", "delete", "user", "flexlon-helper"], check=True)
    for who, text in blocks(page):
        user = who.split(",")[0]
        if user not in {"root", "alice"}:
            continue
        done = subprocess.run(
            ["runuser", "-u", user, "--", "bash", "-euo", "pipefail", "-c", text],
            capture_output=True,
            text=True,
            cwd="/tmp",  # noqa: S108  # a place where both may be
            timeout=120,
            check=False,
        )
        failed = done.returncode != 0
        assert failed == who.endswith("fails"), f"{text}\n{done.stdout}\n{done.stderr}"
