"""The assets in the loop: read each cycle, planned with the jobs, set in act mode only.

Law: whatever fails here leaves the jobs' plan as it would be without assets, but for the power that assets
may draw. A set-point is sent only of a plan of this very cycle, to an asset that was read in it, in act mode,
neither paused nor draining; else the asset is released once, and set-points that are not renewed lapse by
themselves. Epoch seconds, kW positive into the asset.
"""

from __future__ import annotations

import asyncio
import math
import time
from typing import TYPE_CHECKING

import numpy as np
import structlog

from flexlond.agents.asset_ports import AssetSlotView, AssetsView, AssetView
from flexlond.assets.configured import plant_of
from flexlond.assets.drivers.port import DriverError
from flexlond.assets.joint import Joint, plan_jointly
from flexlond.assets.plant import usable
from flexlond.solver.linear_child import Child

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from flexlond.assets.dispatch import Solver
    from flexlond.assets.drivers.port import AssetDriver
    from flexlond.assets.plant import Reading
    from flexlond.model.settings import AssetSettings, PlanningSettings
    from flexlond.model.timegrid import TimeGrid
    from flexlond.planning.problem import Plan, Problem
    from flexlond.planning.solve import Budget

_log = structlog.get_logger()


class AssetDesk:
    """All assets of the site; the loop's one hand on them."""

    def __init__(
        self,
        chosen: Sequence[AssetSettings],
        drivers: Mapping[str, AssetDriver],
        solver: Solver | None = None,
    ) -> None:
        self._chosen, self._drivers = tuple(chosen), drivers
        self._solver = Child() if solver is None else solver
        self._readings: dict[str, Reading] = {}
        self._faults: dict[str, str] = {}
        self._joint: Joint | None = None
        self._planned_at = 0
        self._sent: dict[str, tuple[int, float]] = {}  # name -> when, kW

    async def look(self, now: int) -> None:
        """Read every asset; what cannot be read keeps its old reading, which grows stale."""
        await asyncio.gather(*(self._read(name, now) for name in self._drivers))

    async def _read(self, name: str, now: int) -> None:
        try:
            self._readings[name] = await self._drivers[name].read(now)
        except DriverError as error:
            if self._faults.get(name) != str(error):
                _log.warning("asset not read", asset=name, error=str(error))
            self._faults[name] = str(error)
        else:
            self._faults.pop(name, None)

    async def plan(
        self,
        problem: Problem,
        settings: PlanningSettings,
        budget: Budget,
        last: Plan | None,
    ) -> Plan | None:
        """Plan jobs and assets together; the jobs' plan that goes with it, as the next search's beginning."""
        self._joint = None
        plants = [plant_of(chosen, problem.grid) for chosen in self._chosen]
        joint = await asyncio.to_thread(
            plan_jointly,
            problem,
            settings,
            plants,
            dict(self._readings),
            solver=self._solver,
            seconds=settings.assets_seconds,
            clock=time.perf_counter,
            export_kw=settings.export_kw,
            budget=budget,
            last=last,
        )
        self._joint, self._planned_at = joint, problem.now
        return joint.plan

    def beside(self, grid: TimeGrid, now: int) -> NDArray[np.float64]:
        """(S,) kW of all assets on `grid` by the last plan; of those without one, what they may draw."""
        total = np.zeros(grid.count)
        joint = self._joint
        names: tuple[str, ...] = ()
        plants = [plant_of(chosen) for chosen in self._chosen]
        fresh = {asset.name for asset in usable(plants, self._readings, now)[0]}
        if joint is not None:
            names = joint.dispatch.names
            slots = (grid.starts() - joint.plan.grid.start) // joint.plan.grid.slot_seconds
            there = (slots >= 0) & (slots < joint.plan.grid.count)
            at = np.clip(slots, 0, joint.plan.grid.count - 1)
            for name, kw in zip(names, joint.dispatch.kw, strict=True):
                if name in fresh:
                    total += np.where(there, kw[at], 0.0)
        for asset in plants:
            if asset.name not in names or asset.name not in fresh:
                total += asset.absent_kw
        return total

    def observed_kw(self) -> float:
        """What the assets draw by their last readings."""
        return math.fsum(reading.kw for reading in self._readings.values())

    async def act(self, now: int, *, allowed: bool) -> None:
        """Send this cycle's set-points, or release what had one."""
        joint = self._joint if allowed and self._planned_at == now else None
        wanted: dict[str, float] = {}
        if joint is not None:
            slot = joint.plan.grid.slot_of(now)
            rows = zip(joint.dispatch.names, joint.dispatch.kw, strict=True)
            wanted = {name: float(kw[slot]) for name, kw in rows}
        for name, driver in self._drivers.items():
            reading = self._readings.get(name)
            current = reading is not None and reading.at == now
            try:
                if name in wanted and current and driver.writes:
                    await driver.send(wanted[name], now)
                    self._sent[name] = (now, wanted[name])
                elif name in self._sent:
                    await driver.release(now)
                    del self._sent[name]
            except DriverError as error:
                _log.warning("asset not set", asset=name, error=str(error))
                self._faults[name] = str(error)

    async def close(self, now: int) -> None:
        """Leave every asset to itself."""
        await self.act(now, allowed=False)
        for driver in self._drivers.values():
            await driver.close()

    def view(self, now: int) -> AssetsView:
        """All assets as they are shown."""
        plants = [plant_of(chosen) for chosen in self._chosen]
        out = dict(zip((asset.name for asset in plants), plants, strict=True))
        good = {asset.name for asset in usable(plants, self._readings, now)[0]}
        words = dict.fromkeys(out, "")
        for name in out:
            if name not in good:
                words[name] = usable([out[name]], self._readings, now)[1][0]
            if name in self._faults:
                words[name] = self._faults[name]
        joint = self._joint
        return AssetsView(
            assets=tuple(self._one(chosen, words[chosen.name], now) for chosen in self._chosen),
            planned_at=self._planned_at if joint else 0,
            cost_gbp=joint.dispatch.cost_gbp if joint else math.nan,
            proven=joint is not None and joint.proven,
            problems=joint.problems if joint else (),
        )

    def _one(self, chosen: AssetSettings, detail: str, now: int) -> AssetView:
        reading, joint = self._readings.get(chosen.name), self._joint
        slots: tuple[AssetSlotView, ...] = ()
        planned = math.nan
        if joint is not None and chosen.name in joint.dispatch.names:
            row = joint.dispatch.names.index(chosen.name)
            grid = joint.plan.grid
            slots = tuple(
                AssetSlotView(start, kw, level)
                for start, kw, level in zip(
                    grid.starts().tolist(),
                    joint.dispatch.kw[row].tolist(),
                    joint.dispatch.level[row].tolist(),
                    strict=True,
                )
            )
            at = grid.slot_of(now)
            planned = slots[at].kw if 0 <= at < len(slots) else math.nan
        sent_at, kw = self._sent.get(chosen.name, (0, math.nan))
        if now - sent_at > chosen.lease_seconds:
            sent_at, kw = 0, math.nan
        return AssetView(
            name=chosen.name,
            kind=chosen.kind,
            driver=chosen.driver,
            unit="kWh" if chosen.kind == "battery" else "C",
            read_at=reading.at if reading else 0,
            level=reading.level if reading else math.nan,
            kw=reading.kw if reading else math.nan,
            planned_kw=planned,
            setpoint_kw=kw,
            setpoint_at=sent_at,
            writes=self._drivers[chosen.name].writes,
            detail=detail,
            slots=slots,
        )
