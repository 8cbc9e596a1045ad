from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from flexlond.model.settings import SlurmSettings
from flexlond.slurm.command import SlurmCommandError, run

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Program = Callable[[str, str], Path]


def settings(folder: Path | str, conf: str = "") -> SlurmSettings:
    return SlurmSettings(bin_dir=str(folder), conf=conf, command_timeout=20.0)


def test_the_environment_is_clean_and_utc(
    program: Program, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SQUEUE_STATES", "R")
    monkeypatch.setenv("SLURM_CLUSTERS", "other")
    folder = program("squeue", "import os\nprint(sorted(os.environ.items()))")
    printed = run(["squeue"], settings=settings(folder, "/etc/x.conf"), env={"SQUEUE_FORMAT2": "f"})
    assert "('TZ', 'UTC')" in printed
    assert "('LC_ALL', 'C.UTF-8')" in printed
    assert "('SLURM_TIME_FORMAT', '%s')" in printed
    assert "('SLURM_CONF', '/etc/x.conf')" in printed
    assert "('SQUEUE_FORMAT2', 'f')" in printed
    assert "SQUEUE_STATES" not in printed
    assert "SLURM_CLUSTERS" not in printed


def test_arguments_are_never_read_by_a_shell(program: Program) -> None:
    folder = program("scontrol", "import sys\nprint(sys.argv[1:])")
    printed = run(["scontrol", "$(id)", "a;b", "*"], settings=settings(folder))
    assert printed.strip() == "['$(id)', 'a;b', '*']"


def test_a_failure_names_command_code_stderr_and_what_to_do(program: Program) -> None:
    source = (
        "import sys\nsys.exit('slurm_load_jobs error: Unable to contact slurm controller"
        " (connect failure)')"
    )
    folder = program("squeue", source)
    with pytest.raises(SlurmCommandError) as caught:
        run(["squeue", "-h"], settings=settings(folder))
    error = caught.value
    assert (error.command, error.exit_code) == (("squeue", "-h"), 1)
    assert "Unable to contact" in error.stderr
    assert "`squeue -h` failed (exit code 1)" in str(error)
    assert "scontrol ping" in str(error)


def test_a_command_that_is_not_there_says_what_to_set() -> None:
    with pytest.raises(SlurmCommandError, match=r"set \[slurm\] bin_dir"):
        run(["squeue"], settings=settings("/nonexistent"))


def test_a_command_that_hangs_is_ended(program: Program) -> None:
    folder = program("squeue", "import time\nprint('x', flush=True)\ntime.sleep(600)")
    with pytest.raises(SlurmCommandError, match="took too long") as caught:
        run(["squeue"], settings=settings(folder), timeout=0.5)
    assert caught.value.exit_code is None


@pytest.mark.parametrize("limit", [10, 1000])
def test_output_has_a_cap(program: Program, limit: int) -> None:
    folder = program("squeue", "print('x' * 100000)")
    with pytest.raises(SlurmCommandError, match="printed too much"):
        run(["squeue"], settings=settings(folder), max_bytes=limit)


def test_much_stderr_neither_blocks_nor_is_kept(program: Program) -> None:
    source = "import sys\nsys.stderr.write('e' * 1000000)\nprint('done')\nsys.exit(2)"
    with pytest.raises(SlurmCommandError) as caught:
        run(["squeue"], settings=settings(program("squeue", source)))
    assert len(caught.value.stderr) <= 65536
    assert len(str(caught.value)) < 2000


def test_stdin_is_fed_while_output_is_read(program: Program) -> None:
    source = "import sys\nfor line in sys.stdin:\n    sys.stdout.write(line)"
    folder = program("scontrol", source)
    lines = "update JobId=1\n" * 100000
    assert run(["scontrol"], settings=settings(folder), stdin=lines) == lines


def test_a_command_that_does_not_read_stdin_is_no_error(program: Program) -> None:
    folder = program("scontrol", "import os\nos.close(0)\nprint('ok')")
    assert run(["scontrol"], settings=settings(folder), stdin="x" * 10_000_000) == "ok\n"


def test_bytes_that_are_no_utf8_are_replaced(program: Program) -> None:
    folder = program("squeue", "import sys\nsys.stdout.buffer.write(b'a\\xffb')")
    assert run(["squeue"], settings=settings(folder)) == "a\ufffdb"
