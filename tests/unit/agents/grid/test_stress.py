"""Warnings as their services send them, over real sockets; silence is never taken for the end of one."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from flexlond.model.buy_settings import BuySettings, StressFeed
from flexlond.signals.rows import SignalError
from flexlond.signals.stress import Stage, StressHub
from flexlond.signals.stress_elexon import CAPACITY, MARGIN, instructions_in, warnings_in
from flexlond.signals.stress_openadr import notices_in
from flexlond.signals.stress_sources import make_stress_source
from tests.unit.agents.grid.far_end import FarEnd, running

SAMPLES = Path(__file__).resolve().parents[5] / "shared" / "data" / "signals"


def at(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp())


def margin(published: str, text: str) -> dict[str, Any]:
    return {"publishTime": published, "warningType": MARGIN, "warningText": text}


NOTICE = "ELECTRICITY MARGIN NOTICE\r\nFor the period:\r\nfrom 17:00 hrs to 20:30 hrs on Monday 30/11/2026\r\n"


def test_a_margin_notice_is_read_in_london_time() -> None:
    (winter,) = warnings_in([margin("2026-11-30T09:00Z", NOTICE)], MARGIN, 14400)
    assert (winter.start, winter.end) == (at("2026-11-30T17:00"), at("2026-11-30T20:30"))
    assert winter.stage is Stage.WATCH
    summer = NOTICE.replace("30/11", "30/06") + "System margin shortfall 500 MW"
    (found,) = warnings_in([margin("2026-06-30T09:00Z", summer)], MARGIN, 14400)
    assert found.start == at("2026-06-30T16:00")
    assert "500 MW short" in found.words


def test_a_notice_past_midnight_ends_on_the_next_day() -> None:
    text = NOTICE.replace("to 20:30", "to 00:30")
    (found,) = warnings_in([margin("2026-11-30T09:00Z", text)], MARGIN, 14400)
    assert found.end - found.start == 7.5 * 3600


def test_a_cancellation_ends_its_own_notice_only() -> None:
    other = NOTICE.replace("17:00", "06:00").replace("20:30", "09:00")
    cancel = NOTICE + " has been cancelled"
    rows = [
        margin("2026-11-30T12:00Z", cancel),
        margin("2026-11-30T09:00Z", NOTICE),
        margin("2026-11-30T10:00Z", other),
    ]
    (left,) = warnings_in(rows, MARGIN, 14400)
    assert left.start == at("2026-11-30T06:00")
    again = margin("2026-11-30T13:00Z", NOTICE)
    assert len(warnings_in([*rows, again], MARGIN, 14400)) == 2


def test_a_notice_without_a_period_is_a_fault_and_not_nothing() -> None:
    with pytest.raises(SignalError, match="by hand"):
        warnings_in([margin("2026-11-30T09:00Z", "ELECTRICITY MARGIN NOTICE soon")], MARGIN, 1)


def test_another_type_between_is_passed_over() -> None:
    other = {
        "publishTime": "2026-11-30T09:00Z",
        "warningType": "SO-SO TRADES",
        "warningText": "x",
    }
    assert warnings_in([other], MARGIN, 14400) == []


def test_a_demand_control_instruction_is_an_emergency() -> None:
    row = {
        "demandControlId": "1",
        "instructionSequence": 1,
        "timeFrom": "2026-11-30T17:00:00Z",
        "timeTo": "2026-11-30T17:30:00Z",
        "affectedDso": "SOMEONE",
        "volume": 68,
    }
    (found,) = instructions_in([row])
    assert found.stage is Stage.EMERGENCY
    assert instructions_in([row, {**row, "timeTo": row["timeFrom"]}]) == []


def event(*payloads: dict[str, Any], **fields: Any) -> dict[str, Any]:
    return {
        "id": "e1",
        "eventName": "evening",
        "intervalPeriod": {"start": "2026-11-30T17:00:00Z", "duration": "PT30M"},
        "intervals": [{"id": n, "payloads": [one]} for n, one in enumerate(payloads)],
    } | fields


def test_openadr_intervals_follow_each_other_and_prices_are_no_stress() -> None:
    found = notices_in(
        [
            event(
                {"type": "PRICE", "values": [0.3]},
                {"type": "SIMPLE", "values": [2]},
                {"type": "ALERT_GRID_EMERGENCY", "values": ["now"]},
                {"type": "DISPATCH_SETPOINT_RELATIVE", "values": [-40.0]},
            )
        ]
    )
    assert [one.stage for one in found] == [Stage.TIGHT, Stage.EMERGENCY, Stage.TIGHT]
    assert [one.start for one in found] == [
        at("2026-11-30T17:30"),
        at("2026-11-30T18:00"),
        at("2026-11-30T18:30"),
    ]
    assert [one.kw for one in found] == [None, None, 40.0]


def test_openadr_durations_in_every_form_and_none() -> None:
    simple = {"type": "SIMPLE", "values": [1]}
    for text, seconds in (("P0Y0M0DT1H0M0S", 3600), ("P1D", 86400)):
        period = {"start": "2026-11-30T17:00:00Z", "duration": text}
        (found,) = notices_in([event(simple, intervalPeriod=period)])
        assert found.end - found.start == seconds
    endless = {"start": "2026-11-30T17:00:00Z", "duration": "P9999Y"}
    assert notices_in([event(simple, intervalPeriod=endless)])[0].end > at("2100-01-01")
    with pytest.raises(SignalError, match="PT30M"):
        notices_in([event(simple, intervalPeriod={"start": "2026-11-30T17:00:00Z"})])


def feeds(url: str, *sources: str, **fields: Any) -> BuySettings:
    made = tuple(StressFeed(source=one, url=url, refresh=60.0, **fields) for one in sources)  # type: ignore[arg-type]
    return BuySettings(stress=made, timeout=5.0)


async def test_each_type_is_asked_for_by_its_name_and_silence_is_not_the_end_of_a_notice() -> None:
    now = at("2026-11-30T16:00")
    async with running(FarEnd()) as far:
        far.warnings[MARGIN] = [margin("2026-11-30T09:00Z", NOTICE)]
        hub = StressHub(feeds(far.url, "elexon-warnings"), make_stress_source)
        assert hub.unknown()
        await hub.refresh(now)
        assert not hub.unknown()
        assert len(hub.notices(now)) == 1
        asked = [one for one in far.asked if "warnings" in one]
        assert ["MARGIN" in one for one in asked] == [True, False]
        assert all("publishDateTimeFrom" in one for one in asked)
        far.down = True
        await hub.refresh(now + 60)
        assert len(hub.notices(now + 60)) == 1
        assert "503" in hub.unknown()[0]
        asked_so_far = len(far.asked)
        await hub.refresh(now + 61)  # backed off
        assert len(far.asked) == asked_so_far
        assert hub.notices(at("2026-11-30T20:30")) == ()
        far.down, far.warnings = False, {}
        await hub.refresh(now + 900)
        assert hub.notices(now + 900) == ()
        await hub.close()


async def test_a_vtn_is_asked_with_a_token_in_pages_and_a_refused_token_is_renewed(
    tmp_path: Path,
) -> None:
    now = at("2026-11-30T16:00")
    secret = tmp_path / "secret"
    secret.write_text("s3\n")
    async with running(FarEnd()) as far:
        far.token = "first"  # noqa: S105 - no secret
        far.events = [
            event({"type": "SIMPLE", "values": [1]}, id=f"e{number}") for number in range(60)
        ]
        settings = feeds(far.url, "openadr", client_id="us", secret_file=str(secret), program="p")
        hub = StressHub(settings, make_stress_source)
        await hub.refresh(now)
        assert hub.unknown() == ()
        assert len(hub.notices(now)) == 60
        far.token = "second"  # noqa: S105 - as above
        await hub.refresh(now + 60)
        assert hub.unknown() == ()
        assert sum("token for" in one for one in far.asked) == 2
        assert all("programID=p" in one for one in far.asked if "/events" in one)
        await hub.close()


async def test_the_secret_goes_to_no_other_host(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("s3")
    async with running(FarEnd()) as far:
        far.token, far.token_host = "t", "http://elsewhere.test"
        hub = StressHub(
            feeds(far.url, "openadr", client_id="us", secret_file=str(secret)), make_stress_source
        )
        await hub.refresh(0)
        assert "elsewhere.test" in hub.unknown()[0]
        assert not any("token for" in one for one in far.asked)
        await hub.close()


@pytest.mark.skipif(not SAMPLES.is_dir(), reason="needs ../shared/data/signals")
def test_the_published_samples_are_read() -> None:
    def rows(name: str) -> Any:
        return json.loads((SAMPLES / name).read_text())["body"]

    notice = rows("elexon_warnings_emn_2026-06-26.json")["data"]
    (found,) = warnings_in(notice, MARGIN, 14400)
    assert found.start == at("2026-06-26T18:00")
    cancel = rows("elexon_warnings_emn_cancel.json")["data"]
    assert warnings_in([*notice, *cancel], MARGIN, 14400) == []
    active = rows("elexon_warnings_cmn_active.json")["data"]
    (capacity,) = warnings_in(active, CAPACITY, 14400)
    assert (capacity.stage, capacity.start) == (Stage.TIGHT, at("2026-06-26T17:00"))
    ended = rows("elexon_warnings_cmn_cancelled.json")["data"]
    assert warnings_in([*active, *ended], CAPACITY, 14400) == []
    assert notices_in(rows("openadr31_events_price.json")) == []
    example = rows("elexon_demand_control_instructions_schema_example.json")["data"]
    assert len(instructions_in(example)) == 1
