"""The end of the demo as people see it: every number from the report."""

from __future__ import annotations

from io import StringIO

import pytest
from demo_lib.report import Curve, JobFacts, Report
from demo_lib.summary import show
from rich.console import Console

T0 = 1_700_000_001


def job(job_id: int, *, moved: bool) -> JobFacts:
    return JobFacts(
        job_id=job_id,
        user="alice",
        comment="flex: deadline=now+5minutes [red]x" if moved else "",
        consents=moved,
        touched=moved,
        submit=T0,
        eligible=T0,
        planned_start=T0 + 7 if moved else None,
        start=T0 + 7 if moved else T0,
        end=T0 + 14 if moved else T0 + 7,
        latest_start=T0 + 9 if moved else None,
        deadline=None,
        state="COMPLETED",
        kw=3.6,
        asap_start=T0,
        shown="12_3" if moved else "",
    )


@pytest.mark.parametrize("width", [80, 150])
def test_the_end(width: int) -> None:
    curves = Curve(T0, 7, (200.0, 100.0)), Curve(T0, 7, (80.0, 40.0))
    report = Report("24.11.5", "squeue", 7, (job(1, moved=True), job(2, moved=False)), *curves)
    out = StringIO()
    show(report, ("bob was told",), Console(file=out, width=width, force_terminal=False))
    text = out.getvalue()
    # 3.6 kW for 7 s at 200 and 100 GBP/MWh: 0.0014 and 0.0007 GBP.
    assert "bob was told" in text
    assert "0.002800" in text
    assert "0.002100" in text
    assert "0.000700  25.0 %" in text
    assert "0.18 GBP" in text  # 0.0007 x 257.14
    assert "0.000280  25.0 %" in text
    assert "12_3" in text
    assert "22:13:28" in text
    assert "deadlines and latest starts kept: 1 of 1" in text
    assert "jobs: 2, flexible: 1, of which FlexLon moved 1" in text
    assert "jobs without consent: 1, of which touched: 0" in text
    assert max(len(line) for line in text.splitlines()) <= width
