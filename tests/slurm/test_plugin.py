"""The job_submit plugin in a real slurmctld, on every supported version."""

from __future__ import annotations

import os
import re
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from flexlond.daemon.lua import install, render
from flexlond.model.settings import DaemonSettings, DirectiveSettings, FlexClass, OptIn, Settings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

pytestmark = [pytest.mark.slurm, pytest.mark.contract]

PLUGIN = Path("/etc/slurm/job_submit.lua")
FOLDER = Path("/run/flexlon-plugin-test")
SETTINGS = Settings(
    daemon=DaemonSettings(heartbeat_file=str(FOLDER / "heartbeat")),
    directive=DirectiveSettings(
        classes={"standard": FlexClass(max_delay="12:00:00")}, opt_in=(OptIn(partition="flex"),)
    ),
)
WINDOW = 10


dated = [0]


def put(text: str) -> None:
    """Have slurmctld load `text` at the next submission: it compares whole seconds, so date it later."""
    dated[0] = max(dated[0] + 1, int(time.time()) + 2)
    temporary = PLUGIN.with_suffix(".new")
    temporary.write_text(text)
    os.utime(temporary, (dated[0], dated[0]))
    temporary.rename(PLUGIN)


@pytest.fixture(autouse=True)
def plugin() -> Iterator[str]:
    """Our plugin with the test's settings and a fresh heartbeat; the installed one is put back."""
    before = PLUGIN.read_text()
    FOLDER.mkdir(mode=0o755, exist_ok=True)
    heartbeat(60)
    text = render(SETTINGS)
    put(text)
    yield text
    put(before)
    if dated[0] > time.time() + 5:  # else what is installed next would be too old to be loaded
        os.utime(PLUGIN)
        run("systemctl", "restart", "slurmctld")
        dated[0] = 0


def run(*argv: str) -> None:
    subprocess.run(argv, check=True, capture_output=True, timeout=60)


def heartbeat(seconds: float, word: str = "act") -> None:
    """flexlond answers for this long from now."""
    file = FOLDER / "heartbeat"
    file.write_text(f"{word} {int(time.time() + seconds)}\n")
    file.chmod(0o644)


def log_since(moment: float) -> str:
    """slurmctld's log."""
    lines = Path("/var/log/slurm/slurmctld.log").read_text(errors="replace").splitlines()
    start = time.strftime("[%Y-%m-%dT%H:%M:%S", time.localtime(moment))
    return "\n".join(line for line in lines if line >= start)


@pytest.mark.parametrize("command", ["sbatch", "srun", "salloc"])
def test_a_malformed_directive_is_refused_with_one_line(
    as_user: Callable[..., Any], command: str
) -> None:
    work = ["--wrap", "true"] if command == "sbatch" else ["true"]
    done = as_user(
        "alice", [command, "-t", "5", "--comment=flex: deadine=08:00", *work], check=False
    )
    assert done.returncode != 0
    lines = [line for line in done.stderr.splitlines() if "flexlon" in line]
    assert len(lines) == 1, done.stderr
    assert lines[0].startswith(
        f"{command}: error: flexlon: 'deadine=08:00': unknown key 'deadine'; did you mean deadline=? known:"
    )


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (
            ["--comment=flex: deadline=now+1hour", "-t", "61"],
            "the job cannot finish by then: its time limit is 01:01:00",
        ),
        (["--comment=flex: power=350", "-t", "5"], "'power=350': no unit; write power=350W/node"),
        (
            ["--comment=flex: max-delay=5\x1f", "-t", "5"],
            "control character (byte 31) in the directive",
        ),
        (
            ["--comment=flex: start-by=now+1hour", "--begin=now+2hours", "-t", "5"],
            "its --begin is 20",
        ),
        (["--comment=flex: 100%s%n", "-t", "5"], "'100%s%n': not key=value"),
        (["--comment=flex: deadline=now+10minutes", "-p", "short"], "its time limit is 00:30:00"),
        (["--comment=flex: deadline=now+1day", "-t", "0"], "the time limit is UNLIMITED"),
    ],
)
def test_what_cannot_be_kept_is_refused(
    as_user: Callable[..., Any], options: list[str], said: str
) -> None:
    done = as_user("alice", ["sbatch", *options, "--wrap", "true"], check=False)
    assert done.returncode != 0
    assert "flexlon: '" in done.stderr
    assert said in done.stderr


def test_a_valid_directive_is_accepted_without_a_word(
    as_user: Callable[..., Any], job: Callable[..., Any]
) -> None:
    comment = (
        "--comment=mine; flex: deadline=now+8hours, power=350W/node preempt=requeue; also mine"
    )
    done = as_user("alice", ["sbatch", "--parsable", "-t", "5", comment, "--wrap", "true"])
    assert done.stderr == ""
    assert job(int(done.stdout))["AdminComment"] == "flexlon:begin=0"


def test_a_flexible_batch_job_waits_for_the_window_and_then_starts_by_itself(
    sbatch: Callable[..., int], job: Callable[..., Any], wait_for: Callable[..., Any]
) -> None:
    for options in (
        ["--comment=flex:"],
        ["-p", "flex"],
        ["--comment=flex: max-delay=1:00:00", "--array=1-3"],
    ):
        record = job(sbatch("alice", *options, wrap="sleep 5"))
        submitted = record.time("SubmitTime")
        assert submitted + WINDOW - 1 <= record.begin <= submitted + WINDOW, record.text
        assert record["AdminComment"] == "flexlon:begin=0"
        number = record["JobId"]
        wait_for(
            lambda number=number: job(number).state in {"RUNNING", "COMPLETED"},
            60,
            what="it starts by itself",
        )
        assert job(number).start >= record.begin


def test_without_a_fresh_heartbeat_nothing_is_delayed(
    sbatch: Callable[..., int], job: Callable[..., Any]
) -> None:
    for stale in (
        lambda: heartbeat(-2),
        lambda: heartbeat(60, "observe"),
        (FOLDER / "heartbeat").unlink,
    ):
        stale()
        record = job(sbatch("alice", "--comment=flex:", wrap="true"))
        assert record.begin == record.time("SubmitTime"), record.text
        assert record["AdminComment"] == "flexlon:begin=0"


def test_an_ordinary_job_is_untouched(sbatch: Callable[..., int], job: Callable[..., Any]) -> None:
    for options in ([], ["--comment=flexible"], ["--comment=flex: off", "-p", "flex"]):
        record = job(sbatch("alice", *options, wrap="true"))
        assert record.begin == record.time("SubmitTime"), record.text
        assert "AdminComment" not in record.fields


def test_the_users_own_begin_is_kept_and_remembered(
    sbatch: Callable[..., int], job: Callable[..., Any]
) -> None:
    begin = int(time.time()) // 60 * 60 + 7200
    text = time.strftime("%Y-%m-%dT%H:%M:%S", time.localtime(begin))
    record = job(sbatch("alice", "--comment=flex:", f"--begin={text}"))
    assert record.begin == begin
    assert record["AdminComment"] == f"flexlon:begin={begin}"


def test_an_interactive_job_is_never_delayed(as_user: Callable[..., Any]) -> None:
    shell = "scontrol -o show job $SLURM_JOB_ID"
    for command in (["srun"], ["salloc", "-Q"]):
        words = [*command, "-t", "5", "-p", "flex", "--comment=flex:", "sh", "-c", shell]
        record = as_user("alice", words).stdout
        eligible, submitted = (
            re.search(rf" {name}=(\S+)", record) for name in ("EligibleTime", "SubmitTime")
        )
        assert eligible
        assert submitted
        assert eligible[1] == submitted[1]
        assert "AdminComment" not in record


def test_a_het_job_with_a_directive_is_delayed_as_a_whole(
    sbatch: Callable[..., int], job: Callable[..., Any]
) -> None:
    number = sbatch("alice", "-n1", "--comment=flex:", ":", "-n1", wrap="true")
    record = job(number)
    assert WINDOW - 1 <= record.begin - record.time("SubmitTime") <= WINDOW


def test_the_owner_may_edit_the_directive_but_not_break_it(
    as_user: Callable[..., Any], sbatch: Callable[..., int], job: Callable[..., Any], cluster: str
) -> None:
    number = sbatch("alice", "--comment=flex:", "--begin=now+1hour")

    def update(user: str, what: str) -> Any:
        return as_user(user, ["scontrol", "update", f"JobId={number}", what], check=False)

    done = update("alice", "Comment=flex: deadine=1")
    assert done.returncode != 0
    assert job(number)["Comment"] == "flex:"
    if not cluster.startswith("22.05"):  # 22.05 keeps the text of a refused change to itself
        assert "unknown key 'deadine'" in done.stderr
    assert update("alice", "Comment=flex: max-delay=10").returncode == 0
    assert update("alice", "StartTime=now").returncode == 0  # the opt-out
    assert update("flexop", "Comment=flex: deadine=1").returncode == 0


def functions(text: str) -> list[str]:
    """The plugin's functions, but for the guard around them all."""
    heads = re.findall(
        r"^(?:local )?function [\w:]+\(.*\)$|^    \w+ = function\(.*\)$", text, re.MULTILINE
    )
    return [head for head in heads if "guarded(" not in head]


def test_a_fault_anywhere_in_the_plugin_lets_jobs_through(
    plugin: str, as_user: Callable[..., Any], job: Callable[..., Any]
) -> None:
    heads = functions(plugin)
    assert len(heads) >= 30
    began = time.time()
    met = 0
    for head in heads:
        broken = plugin.replace(f"{head}\n", f"{head}\n    error('injected fault')\n", 1)
        assert broken != plugin
        put(broken)
        for comment in (
            "flex: deadine=1",
            "flex: deadline=tomorrow-08:00 preempt=requeue min-run=4 power=1kW",
        ):
            words = ["sbatch", "--parsable", "-t", "5", f"--comment={comment}", "--wrap", "true"]
            done = as_user("alice", words, check=False)
            if done.returncode:
                # The malformed one may still be found out; nothing else may be refused.
                assert comment == "flex: deadine=1", (head, done.stderr)
                assert "unknown key 'deadine'" in done.stderr, (head, done.stderr)
                continue
            record = job(int(done.stdout))
            delay = record.begin - record.time("SubmitTime")
            # slurmctld stamps the two one after the other: a second may begin between them.
            assert delay in {0, 1, WINDOW - 1, WINDOW}, (head, record.text)
            met += comment == "flex: deadine=1" or delay == 0
    assert met >= 15  # most functions are on the way of one of the two
    assert log_since(began).count("let the job through: ") >= met - len(heads)


def test_a_script_that_fails_while_loading_leaves_the_old_one_at_work(
    as_user: Callable[..., Any],
) -> None:
    put("this is no Lua")
    done = as_user(
        "alice", ["sbatch", "-t", "5", "--comment=flex: deadine=1", "--wrap", "true"], check=False
    )
    assert "unknown key 'deadine'" in done.stderr


def test_install_writes_what_slurmctld_then_uses(as_user: Callable[..., Any]) -> None:
    changed = Settings(
        daemon=SETTINGS.daemon,
        directive=DirectiveSettings(
            default_class="evening", classes={"evening": FlexClass(deadline="20:00")}
        ),
    )
    PLUGIN.unlink()
    assert "checked by luac5.1" in install(changed, PLUGIN)
    assert "is what the configuration asks for" in install(changed, PLUGIN, check=True)
    put(PLUGIN.read_text())
    done = as_user(
        "alice", ["sbatch", "-t", "5", "--comment=flex: class=x", "--wrap", "true"], check=False
    )
    assert "unknown class 'x'; write class=NAME with one of: evening" in done.stderr
