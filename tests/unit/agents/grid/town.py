"""Daemons' parts in one process: a grid, battery sites, a portfolio, with keys, files and HTTP of their own."""

from __future__ import annotations

import asyncio
import contextlib
import os
import time
from typing import TYPE_CHECKING, Any

from flexlond.agents.grid.agent import GridAgent
from flexlond.agents.portfolio.agent import FlexAgent
from flexlond.daemon.compose import Parts, compose
from flexlond.model.buy_settings import BuySettings
from flexlond.model.market_settings import (
    AgentsSettings,
    IdentitySettings,
    MarketSettings,
    SellSettings,
)
from flexlond.model.settings import (
    AssetSettings,
    DaemonSettings,
    GridSettings,
    Settings,
)
from tests.unit.daemon.test_market import free_port, make_key

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

SLOT = 4  # seconds
PATIENCE = 90.0


class Town:
    """Keys, a trust file, and the configurations of a grid and of sites."""

    def __init__(self, folder: Path, *sites: str) -> None:
        """`sites` are BPPs; one that begins with "buyer" is a BAP, as the grid is."""
        self.folder = folder
        self.trust = folder / "trust.toml"
        self.keys: dict[str, Path] = {}
        self.entries: dict[str, str] = {}
        self.ports = {name: free_port() for name in ("grid.test", *sites)}
        for name in self.ports:
            role = "BAP" if name.startswith(("grid", "buyer")) else "BPP"
            made = make_key(folder, name, role, self.uri(name))
            self.keys[name], self.entries[name] = made
        self.trust.write_text("\n".join(self.entries.values()))

    def knows(self, name: str, *others: str) -> Path:
        """A trust file of its own that has only some."""
        file = self.folder / f"trust-{name}.toml"
        file.write_text("\n".join(self.entries[other] for other in others))
        return file

    def uri(self, name: str) -> str:
        return f"http://127.0.0.1:{self.ports[name]}/beckn"

    def identity(
        self, agent: Any, role: Any, name: str, trust: Path | None = None
    ) -> IdentitySettings:
        return IdentitySettings(
            agent=agent,
            role=role,
            subscriber=name,
            uri=self.uri(name),
            key_id="key-1",
            key_file=str(self.keys[name]),
            trust_file=str(trust or self.trust),
        )

    def grid(self, buy: BuySettings, trust: Path | None = None) -> Settings:
        return Settings(
            agents=AgentsSettings(compute_flex=False, grid_orchestrator=True),
            daemon=DaemonSettings(state_dir=str(self.folder / "grid")),
            grid=GridSettings(slot_seconds=SLOT),
            market=MarketSettings(
                identity={"grid": self.identity("grid_orchestrator", "BAP", "grid.test", trust)},
                buy=buy,
            ),
        )

    def portfolio(self, buy: BuySettings, *sites: str, proof: float = 4.0) -> Settings:
        """One that sells to the grid as portfolio.test and buys as buyer.test."""
        up = self.knows("up", "grid.test")
        down = self.knows("down", *sites)
        return Settings(
            agents=AgentsSettings(compute_flex=False, flex_orchestrator=True),
            daemon=DaemonSettings(state_dir=str(self.folder / "portfolio")),
            grid=GridSettings(slot_seconds=SLOT),
            market=MarketSettings(
                identity={
                    "up": self.identity("flex_orchestrator", "BPP", "portfolio.test", up),
                    "down": self.identity("flex_orchestrator", "BAP", "buyer.test", down),
                },
                buy=buy,
                sell=SellSettings(
                    notice=1.0,
                    least_kw=0.5,
                    max_slots=12,
                    refresh=1.0,
                    proof_seconds=proof,
                    site_name="Portfolio",
                ),
            ),
        )

    def battery(self, name: str, kw: float, price: float) -> Settings:
        return Settings(
            agents=AgentsSettings(compute_flex=False, asset_site=True),
            daemon=DaemonSettings(state_dir=str(self.folder / name), mode="act"),
            grid=GridSettings(slot_seconds=SLOT, horizon_slots=12),
            assets=(
                AssetSettings(
                    name="cells",
                    kind="battery",
                    driver="simulated",
                    charge_kw=kw,
                    discharge_kw=kw,
                    capacity_kwh=100.0,
                    start_level=80.0,
                    max_age=30.0,
                ),
            ),
            market=MarketSettings(
                identity={"site": self.identity("asset_site", "BPP", name)},
                sell=SellSettings(
                    notice=1.0,
                    least_price=price,
                    least_kw=0.5,
                    max_slots=12,
                    refresh=1.0,
                    site_name=name,
                ),
            ),
        )


@contextlib.asynccontextmanager
async def daemon(settings: Settings) -> AsyncIterator[Parts]:
    """The parts of one daemon at work, beaten each second."""
    os.makedirs(settings.daemon.state_dir, exist_ok=True)  # noqa: PTH103 - blocks no loop
    parts = await compose(settings)
    parts.market.start(lambda _topic, _text: None)

    async def beat() -> None:
        while True:
            await parts.agent.cycle(int(time.time()))
            await asyncio.sleep(0.5)

    beating = asyncio.create_task(beat())
    try:
        yield parts
    finally:
        beating.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await beating
        await parts.market.close()
        await parts.close()


async def buyer_of(parts: Parts, agent: str = "grid_orchestrator") -> GridAgent:
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until:
        found = parts.market.agents.get(agent)
        if isinstance(found, FlexAgent):
            return found.buying
        if isinstance(found, GridAgent):
            return found
        await asyncio.sleep(0.05)
    raise AssertionError("the buyer did not come to the market")


def buying(**fields: Any) -> BuySettings:
    return BuySettings(
        **{
            "goal": "price",
            "lead_seconds": 2.0,
            "discover_seconds": 2.0,
            "refresh_seconds": 2.0,
            "silent_seconds": 10.0,
            "value_gbp_per_kwh": 2.0,
            **fields,
        }
    )
