"""What the tests of the daemon's shell and of the command line share: views, a served fake agent."""

from __future__ import annotations

import asyncio
import contextlib
import io
import math
import threading
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import structlog

from flexlond.agents.fake_view import FakeAgent
from flexlond.agents.ports import (
    JobView,
    PlanSlotView,
    PlanView,
    SignalLine,
    SignalsView,
    StageView,
    StatusView,
)
from flexlond.daemon import logs
from flexlond.daemon.admin import AdminService
from flexlond.daemon.admin_server import AdminServer
from flexlond.daemon.shell import Shell
from flexlond.model.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from flexlond.agents.ports import AgentView
    from flexlond.daemon.market import Market
    from flexlond.daemon.witness import LedgerWitness

NOON = 1_795_435_200  # 2026-11-23T12:00:00Z

SIGNAL = SignalLine(
    "price", "a file", "GBP/MWh", NOON, NOON, NOON + 3600, "partial", "1 slot unknown"
)


def status_view(**changes: Any) -> StatusView:
    values: dict[str, Any] = {
        "version": "0.1.0",
        "mode": "act",
        "paused": False,
        "draining": False,
        "slurm_version": "24.11.5",
        "reader": "squeue",
        "reader_reason": "the default",
        "helper_answering": True,
        "helper_detail": "",
        "last_cycle_at": NOON,
        "last_cycle": "held 1 job",
        "last_cycle_seconds": 0.25,
        "jobs_seen": 0,
        "jobs_flexible": 0,
        "jobs_held": 0,
        "opted_out": 0,
        "signals": (SIGNAL,),
        "slot_seconds": 1800,
        "warnings": ("PriorityFlags lacks ACCRUE_ALWAYS",),
        "started_at": NOON - 60,
        "prediction": "learned from 240 runs, newest 2026-11-23 11:40 UTC, P90 held in 91%",
    }
    return StatusView(**(values | changes))


def job_view(job_id: int, uid: int, **changes: Any) -> JobView:
    values: dict[str, Any] = {
        "uid": uid,
        "job_id": job_id,
        "array": "",
        "user": f"user{uid}",
        "partition": "batch",
        "state": "PD",
        "flexible": True,
        "consent": "directive",
        "begin": NOON + 1800,
        "planned_start": NOON + 1800,
        "latest_start": NOON + 7200,
        "must_start_by": NOON + 7500,
        "deadline": NOON + 10800,
        "held_by_us": True,
        "kw": 1.5,
        "cost_gbp": 0.10,
        "cost_asap_gbp": 0.25,
        "co2_kg": 0.1,
        "co2_asap_kg": math.nan,
        "comment": "flex: deadline=now+3hours",
        "reason": "cheaper at 12:30",
        "opted_out": False,
        "submit": NOON - 30,
        "eligible": NOON - 30,
        "asap_start": NOON,
        "duration_seconds": 3600.0,
        "touched": True,
    }
    return JobView(**(values | changes))


def fake_agent(*held: JobView, **changes: Any) -> FakeAgent:
    slots = (
        PlanSlotView(NOON, 90.0, 200.0, 0.0, 1.5, 0, 2.0, 12.5),
        PlanSlotView(NOON + 1800, 30.0, math.nan, 1.5, 0.0, 1, 2.0, 0.0),
    )
    return FakeAgent(
        status_view(**changes),
        list(held),
        last_plan=PlanView(
            NOON,
            1800,
            slots,
            0.10,
            0.25,
            0.1,
            0.2,
            objective_gbp=0.1004,
            bound_gbp=0.1,
            gap=0.004,
            stages=(StageView("bound", 0.1, math.nan, 60), StageView("search", 0.2, 0.1004, 400)),
            seconds=0.31,
            optimised=2,
            carbon_shadow_gbp_t=75.0,
            problems=("price is unknown in 1 of 2 slots: no deferral into them",),
        ),
        feeds=SignalsView((SIGNAL,), slots),
    )


@contextlib.contextmanager
def served(
    agent: AgentView,
    folder: Path,
    munge_socket: str,
    shell: Shell | None = None,
    market: Market | None = None,
    witness: LedgerWitness | None = None,
) -> Iterator[Path]:
    """The admin service over a Unix socket, on an event loop of its own thread."""
    path = folder / "admin.sock"
    logs.configure("debug", io.StringIO())  # nothing of the server in what a client prints
    shell = shell or Shell(Settings(), folder / "flexlon.toml")
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()

    async def reload() -> str:
        return await agent.reload(Settings())

    async def start() -> AdminServer:
        service = AdminService(
            agent,
            shell,
            tz=ZoneInfo("UTC"),
            reload=reload,
            poke=lambda: None,
            market=market,
            witness=witness,
        )
        server = AdminServer(service, path, munge_socket=munge_socket)
        await server.start()
        return server

    def run(work: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(work, loop).result(20)

    try:
        server = run(start())
        try:
            yield path
        finally:
            run(server.stop())
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)
        loop.close()
        structlog.reset_defaults()
