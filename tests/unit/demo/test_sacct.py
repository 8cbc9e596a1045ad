"""sacct's lines as records."""

from __future__ import annotations

import pytest
from demo_lib.product import DemoError
from demo_lib.sacct import parse

# Captured from sacct 24.11.5 (--allocations --noheader --parsable2), one line changed to CANCELLED.
TEXT = """\
7|7|carol|main|COMPLETED|2026-11-23T18:18:54|2026-11-23T18:21:24|2026-11-23T18:21:25|2026-11-23T18:21:55
53|1_0|alice|main|COMPLETED|2026-11-23T18:18:51|2026-11-23T18:21:03|2026-11-23T18:21:03|2026-11-23T18:21:24
1|1_[1-3]|alice|main|PENDING|2026-11-23T18:18:51|2026-11-23T18:21:03|Unknown|Unknown
8|8|carol|main|CANCELLED by 2003|2026-11-23T18:18:55|Unknown|None|2026-11-23T18:20:00
9|9|bob|flex|RUNNING|2026-11-23T18:18:55|2026-11-23T18:18:55|2026-11-23T18:18:57|Unknown
"""


def test_lines_become_records() -> None:
    plain, task, cancelled, running = parse(TEXT)
    assert (plain.job_id, plain.array_job_id, plain.task) == (7, 7, 0)
    assert (plain.start, plain.end) == (1_795_458_085, 1_795_458_115)
    assert plain.ended
    assert (task.job_id, task.array_job_id, task.task) == (53, 1, 0)
    assert (cancelled.state, cancelled.start, cancelled.eligible) == ("CANCELLED", None, None)
    assert cancelled.ended
    assert (running.partition, running.end, running.ended) == ("flex", None, False)


def test_what_is_no_line_of_ours_is_said() -> None:
    with pytest.raises(DemoError, match="2 fields instead of 9"):
        parse("a|b\n")
    with pytest.raises(DemoError, match="no submit time of job 7"):
        parse("7|7|carol|main|PENDING|Unknown|Unknown|Unknown|Unknown\n")
