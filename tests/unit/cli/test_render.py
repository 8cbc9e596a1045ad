"""What people see of a plan and of one job, painted from the admin service's own messages."""

from __future__ import annotations

import io
import json
import math
import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from rich.console import Console

from flexlond._pb import admin_pb2 as pb
from flexlond.agents.ports import CarbonCapView, UnitCostView
from flexlond.agents.power_ports import ObservedSlotView, PowerView
from flexlond.cli import render, render_explain, render_plan
from flexlond.cli.plain import as_json
from flexlond.daemon import admin_wire as wire
from tests.unit.shellkit import NOON, fake_agent, job_view, status_view

if TYPE_CHECKING:
    from collections.abc import Callable


def painted(paint: Callable[[Console, Any], None], reply: Any) -> str:
    out = Console(file=io.StringIO(), width=200, markup=False, emoji=False, highlight=False)
    paint(out, reply)
    assert isinstance(out.file, io.StringIO)
    return out.file.getvalue()


def plan_reply() -> pb.PlanReply:
    view = fake_agent().plan()
    assert view is not None
    return wire.plan(view, 0)


def test_explain_says_what_is_expected_and_what_else_there_was() -> None:
    view = fake_agent(job_view(12, 1000)).explain(12)
    assert view is not None
    reply = wire.explain(view)
    output = painted(render_explain.explain, reply)
    assert "P50 30 min, mean 36 min, P90 48 min (user: 24 runs); time limit 1 h" in output
    assert "1.200 kW a task (coefficients, not measured); of 1.500 kW the idle power" in output
    assert re.search(r"binding reason\s+price", output)
    planned = next(line for line in output.splitlines() if " planned " in line and "0.1000" in line)
    assert planned.split()[-4:] == ["0.1000", "0.100", "0.0100", "0.0200"]
    assert re.search(r"now\s+0\.2500\s+-\s+0\.0000\s+0\.0000\s+dearer", output)
    data = json.loads(as_json(reply))
    assert data["outlook"]["p90_seconds"] == 2880.0
    assert data["alternatives"][1]["start"] == "2026-11-23T12:30:00Z"
    assert data["alternatives"][0]["co2_kg"] is None
    assert data["binding"] == "price"


def test_plan_says_how_good_it_is_and_what_binds() -> None:
    reply = plan_reply()
    output = painted(render_plan.plan, reply)
    assert (
        "within 0.4 % of the best possible plan (bound £0.1000), planned in 0.31 s: "
        "bound 0.10 s, search 0.20 s" in output
    )
    assert "the power cap binds in 1 slots: room under it is worth up to £12.50/MWh" in output
    assert "the CO2 cap binds: room under it is worth £75.00/t" in output
    assert "price is unknown in 1 of 2 slots" in output
    assert "─ the power cap, 2.0 kW" not in output  # too far above to be drawn
    assert "far above: 2.0 kW" in output
    data = json.loads(as_json(reply))
    assert (data["gap"], data["bound_gbp"], data["optimised"]) == (0.004, 0.1, 2)
    assert data["stages"][0] == {
        "name": "bound",
        "seconds": 0.1,
        "objective_gbp": None,
        "steps": 60,
    }
    assert data["slots"][0]["cap_kw"] == 2.0


def test_status_says_how_much_was_learned() -> None:
    assert "learned from 240 runs" in painted(render.status, wire.status(status_view()))
    assert "prediction" not in painted(render.status, wire.status(status_view(prediction="")))


def test_a_daemon_that_knows_less_is_painted_too() -> None:
    job = pb.JobLine(job_id=12, user="alice", state="PD")
    output = painted(render_explain.explain, pb.ExplainReply(job=job, summary="why"))
    assert "runtime" not in output
    assert "WHY NOT" not in output
    slots = [pb.PlanSlot(start=NOON, price_gbp_mwh=80.0, kw=1.0, kw_asap=1.0)]
    output = painted(render_plan.plan, pb.PlanReply(slots=slots, slot_seconds=1800))
    assert "cap" not in output


def test_plan_says_what_a_unit_costs_and_what_became_of_carbon_caps() -> None:
    view = fake_agent().plan()
    assert view is not None
    caps = (
        CarbonCapView(
            "carbon cap of 2026-11-28 (site)", 500.0, 212.4, 0.0, 267.72, 84.2, kept=True
        ),
        CarbonCapView("carbon cap of 2026-11-29 (site)", 500.0, 0.0, 40.0, 100.0, 0.0, kept=True),
        CarbonCapView(
            "carbon cap of 2026-11-28 (account a)", 1.0, 0.5, 0.0, 2.0, 900.0, kept=False
        ),
    )
    units = (UnitCostView("inference", 3, 1500.0, 0.48e-3, 4.8e-3, 0.48, 4.8),)
    reply = wire.plan(replace(view, carbon_caps=caps, units=units), 0)
    output = painted(render_plan.plan, reply)
    assert (
        "carbon cap of 2026-11-28 (site): 480.12 of 500.00 kg (212.40 emitted or under way); it binds: room "
        "under it is worth £84.20/t (shadow price)" in output
    )
    assert (
        "carbon cap of 2026-11-29 (site): 100.00 of 500.00 kg (0.00 emitted or under way), 40.00 "
        "kept for jobs yet to come\n" in output
    )
    assert "(account a): 2.50 of 1.00 kg (0.50 emitted or under way): it is not kept" in output
    assert (
        "per inference: £0.00048 instead of £0.0048, 0.48 g CO2 instead of 4.8 g (3 jobs, 1500 inference)"
        in output
    )
    data = json.loads(as_json(reply))
    assert data["units"][0]["gbp_asap"] == 4.8e-3
    assert [one["kept"] for one in data["carbon_caps"]] == [True, True, False]


POWER = PowerView(
    observed_kw=84.2,
    source="modelled",
    at=NOON,
    meter="Prometheus at http://p: q",
    quality="stale",
    metered_kw=90.0,
    metered_at=NOON - 400,
    detail="the last reading is 400 s old",
    modelled_kw=84.2,
    pairs=2880,
    ratio=1.07,
    base_kw=31.5,
    modelled_base_kw=20.0,
    other_kw=11.5,
    slots=(ObservedSlotView(NOON - 1800, 90.5, "metered", 0.98, 85.0),),
)


def test_status_says_where_the_power_comes_from_and_how_far_the_model_is_off() -> None:
    output = painted(render.status, wire.status(status_view(power=POWER)))
    assert "84.20 kW, modelled: the last reading is 400 s old" in output
    assert "stale: Prometheus at http://p: q, read 90.00 kW at" in output
    assert "the meter reads 1.070 of the model, last day, 2880 readings" in output
    assert "power.other_kw = 11.5 would fit" in output
    data = json.loads(as_json(wire.status(status_view(power=POWER))))["power"]
    assert (data["observed_kw"], data["source"], data["quality"]) == (84.2, "modelled", "stale")
    assert data["slots"][0]["coverage"] == 0.98


def test_status_without_a_meter_says_modelled() -> None:
    view = replace(POWER, meter="", quality="absent", detail="", ratio=math.nan, other_kw=math.nan)
    output = painted(render.status, wire.status(status_view(power=view)))
    assert "84.20 kW, modelled (no meter is configured)" in output
    assert "calibration" not in output
    assert "site's power" not in painted(render.status, wire.status(status_view()))
