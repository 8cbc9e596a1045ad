"""The demo's arithmetic, against a case computed by hand."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from demo_lib.report import Curve, JobFacts, Report, amount, deadlines_kept, peak, saved, scale

T0 = 1_700_000_003 // 7 * 7  # on the grid of 7 s slots
PRICE = Curve(T0, 7, (360.0, 36.0, 72.0, 0.0))
CARBON = Curve(T0, 7, (180.0, 90.0, 18.0, 0.0))

MOVED = JobFacts(
    job_id=11,
    user="alice",
    comment="flex: deadline=now+5minutes",
    consents=True,
    touched=True,
    submit=T0,
    eligible=T0,
    planned_start=T0 + 14,
    start=T0 + 14,
    end=T0 + 24,
    latest_start=T0 + 16,
    deadline=T0 + 30,
    state="COMPLETED",
    kw=2.0,
    asap_start=T0 + 2,
)
PLAIN = JobFacts(
    job_id=12,
    user="bob",
    comment="",
    consents=False,
    touched=False,
    submit=T0 + 3,
    eligible=T0 + 3,
    planned_start=None,
    start=T0 + 4,
    end=T0 + 10,
    latest_start=None,
    deadline=None,
    state="COMPLETED",
    kw=1.0,
    asap_start=T0 + 4,
)


def report(*jobs: JobFacts) -> Report:
    return Report("24.11.5", "squeue", 7, jobs or (MOVED, PLAIN), PRICE, CARBON)


def test_integral_splits_at_slot_borders() -> None:
    # 5 s at 360, 7 s at 36, 3 s at 72
    assert PRICE.integral(T0 + 2, T0 + 17) == 5 * 360 + 7 * 36 + 3 * 72
    assert PRICE.integral(T0 + 7, T0 + 7) == 0


def test_integral_outside_the_series_is_an_error() -> None:
    with pytest.raises(ValueError, match="outside the series"):
        PRICE.integral(T0 + 20, T0 + 29)
    with pytest.raises(ValueError, match="outside the series"):
        PRICE.integral(T0 - 1, T0 + 5)


def test_amount_has_the_units_it_says() -> None:
    # 1 kW for an hour at 100 GBP/MWh is 10 pence; 1 kW for an hour at 200 g/kWh is 200 g.
    assert amount(1.0, (0, 3600), Curve(0, 1800, (100.0, 100.0))) == pytest.approx(0.10)
    assert amount(1.0, (0, 3600), Curve(0, 1800, (200.0, 200.0))) == pytest.approx(0.200)
    assert amount(1.0, None, PRICE) == 0.0


def test_summary_by_hand() -> None:
    total = report().summary()
    # MOVED really: 7 s at 72, 3 s at 0; asap (2..12): 5 s at 360, 5 s at 36. PLAIN: 3 s at 360, 3 s at 36.
    plain = 1.0 * (3 * 360 + 3 * 36) / 3.6e6
    assert total.cost_gbp == pytest.approx(2.0 * 7 * 72 / 3.6e6 + plain)
    assert total.cost_asap_gbp == pytest.approx(2.0 * (5 * 360 + 5 * 36) / 3.6e6 + plain)
    plain = 1.0 * (3 * 180 + 3 * 90) / 3.6e6
    assert total.co2_kg == pytest.approx(2.0 * 7 * 18 / 3.6e6 + plain)
    assert total.co2_asap_kg == pytest.approx(2.0 * (5 * 180 + 5 * 90) / 3.6e6 + plain)
    assert (total.jobs, total.annotated, total.touched, total.late) == (2, 1, 1, 0)
    # Really one after the other (2 kW at most); asap they overlap from 4 to 10.
    assert (total.peak_kw, total.peak_asap_kw) == (2.0, 3.0)


def test_peak_lets_an_end_and_a_start_meet() -> None:
    assert peak([(3.0, (0, 10)), (2.0, (10, 20))]) == 3.0
    assert peak([(3.0, (0, 11)), (2.0, (10, 20)), (9.0, None), (9.0, (5, 5))]) == 5.0
    assert peak([]) == 0.0


@pytest.mark.parametrize(
    "change",
    [
        {"latest_start": T0 + 13},
        {"deadline": T0 + 23},
        {"state": "DEADLINE"},
        {"start": None, "end": None, "state": "PENDING"},
    ],
)
def test_what_is_late(change: dict[str, object]) -> None:
    late = replace(MOVED, **change)  # type: ignore[arg-type]  # the parameters name fields
    assert late.late
    assert report(late, PLAIN).summary().late == 1
    assert any("was late" in text for text in report(late, PLAIN).failures())


def test_on_the_second_is_in_time_and_a_plain_job_is_never_late() -> None:
    exact = replace(MOVED, latest_start=MOVED.start, deadline=MOVED.end)
    assert not exact.late
    assert not replace(PLAIN, state="FAILED").late
    assert deadlines_kept([exact, PLAIN]) == (1, 1)


def test_a_good_run_has_no_failures() -> None:
    assert report().failures() == []


def test_failures_name_the_job() -> None:
    touched = replace(PLAIN, touched=True)
    failed = replace(PLAIN, job_id=13, state="FAILED")
    texts = report(MOVED, touched, failed).failures()
    assert "job 12 of bob was changed without consent" in texts
    assert "job 13 of bob ended as FAILED" in texts
    texts = report(replace(MOVED, asap_start=MOVED.start)).failures()
    assert [text.split(" is not")[0].split(" ")[-1] for text in texts] == ["GBP", "CO2"]


def test_json_has_exactly_the_agreed_keys() -> None:
    data = json.loads(json.dumps(report().as_data(), allow_nan=False))
    assert list(data) == ["slurm", "reader", "slot_seconds", "summary", "jobs"]
    assert (data["slurm"], data["reader"], data["slot_seconds"]) == ("24.11.5", "squeue", 7)
    assert set(data["summary"]) == {
        "jobs", "annotated", "touched", "late", "cost_gbp", "cost_asap_gbp", "co2_kg", "co2_asap_kg",
        "peak_kw", "peak_asap_kw",
    }  # fmt: skip
    keys = {
        "job_id", "user", "comment", "touched", "submit", "eligible", "planned_start", "start", "end",
        "latest_start", "deadline", "state", "kw", "cost_gbp", "cost_asap_gbp", "co2_kg", "co2_asap_kg",
    }  # fmt: skip
    assert [set(job) for job in data["jobs"]] == [keys, keys]


def test_json_times_are_utc_and_what_does_not_apply_is_null() -> None:
    moved, plain = report().as_data()["jobs"]
    assert moved["submit"] == "2023-11-14T22:13:21Z"
    assert moved["start"] == "2023-11-14T22:13:35Z"
    assert plain["comment"] is None
    assert plain["planned_start"] is plain["latest_start"] is plain["deadline"] is None
    never = replace(PLAIN, start=None, end=None, eligible=None, asap_start=None, state="PENDING")
    (job,) = report(never).as_data()["jobs"]
    assert [job[key] for key in ("eligible", "start", "end", "cost_gbp", "co2_asap_kg")] == [
        None
    ] * 5


def test_json_sums_are_the_sums_of_its_jobs() -> None:
    data = report().as_data()
    for key in ("cost_gbp", "cost_asap_gbp", "co2_kg", "co2_asap_kg"):
        assert data["summary"][key] == pytest.approx(sum(job[key] for job in data["jobs"]))


def test_percent_and_scale() -> None:
    assert saved(75.0, 100.0) == 25.0
    assert saved(1.0, 0.0) == 0.0
    assert scale(7) == pytest.approx(257.142857)
