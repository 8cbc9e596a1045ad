"""A market on the real cluster: the installed service sells, a buyer in the test's own process buys.

The buyer is composed as a flexlond without Slurm composes it; both speak signed HTTP. The simulated meter has
coefficients that are not quite FlexLon's, and keeps a log of every sample of its own. Epoch seconds, kW.
"""

from __future__ import annotations

import asyncio
import os
import pwd
import subprocess
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from flexlond.agents.grid.agent import GridAgent
from flexlond.model.buy_settings import BuySettings
from flexlond.model.market_settings import AgentsSettings, IdentitySettings, MarketSettings
from flexlond.model.settings import DaemonSettings, GridSettings, Settings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from flexlond.agents.grid.views import LotView, NeedView
    from flexlond.daemon.compose import Parts

SLOT = 20
NOTICE = 2 * SLOT
FLEX = "flex: max-delay=15:00"
POWER = {
    "pue": 1.2,
    "node_types": {
        "gpu": {"idle_watts": 240.0, "cpu_watts": 6.0, "gpu_watts": {'""': 700.0, "h200": 700.0}}
    },
}
# The meter's own coefficients are not quite FlexLon's.
METER_OPTIONS = "--idle-watts 251 --cpu-watts 5.2 --gpu-watts 683 --pue 1.22 --other-watts 40"
METER_DEFAULTS = Path("/etc/default/site-meter")
METER = {
    "source": "prometheus",
    "url": "http://127.0.0.1:9109",
    "query": "site_power_watts",
    "unit": "W",
    "refresh": 1.0,
    "max_age": 8.0,
    "max_kw": 30.0,
}
FLEXLOND = "/opt/flexlon/bin/flexlond"
KEY, TRUST = Path("/etc/flexlon/market.key"), Path("/etc/flexlon/trust.toml")


def keygen(file: Path, name: str, role: str, port: int) -> str:
    """A key by FlexLon's own command; the entry for the trust file."""
    file.unlink(missing_ok=True)
    words = ["--subscriber", name, "--role", role, "--uri", f"http://127.0.0.1:{port}/beckn"]
    argv = [FLEXLOND, "keygen", str(file), *words]
    return subprocess.run(argv, capture_output=True, text=True, check=True).stdout


@pytest.fixture
def metered(service: Callable[[str], Any], tmp_path: Path) -> Iterator[Path]:
    """The simulated meter of the site, with coefficients of its own; its own log of what it read (time, kW)."""
    before = METER_DEFAULTS.read_text() if METER_DEFAULTS.exists() else None
    log = tmp_path / "meter.csv"
    METER_DEFAULTS.write_text(f'OPTIONS="{METER_OPTIONS} --csv {log}"\n')
    service("site-meter").restart()
    yield log
    service("site-meter").stop()
    METER_DEFAULTS.unlink() if before is None else METER_DEFAULTS.write_text(before)


@pytest.fixture
def trust(tmp_path: Path) -> Iterator[Path]:
    """Keys of both; the seller's belong to its service."""
    entries = [
        keygen(KEY, "hpc.test", "BPP", 8085),
        keygen(tmp_path / "grid.key", "grid.test", "BAP", 8095),
    ]
    TRUST.write_text("\n".join(entries))
    TRUST.chmod(0o644)
    owner = pwd.getpwnam("flexlon")
    os.chown(KEY, owner.pw_uid, owner.pw_gid)
    yield tmp_path
    KEY.unlink()
    TRUST.unlink()


def selling(**terms: float) -> dict[str, Any]:
    """The seller's configuration; `terms` of sale besides."""
    identity = {
        "agent": "compute_flex",
        "role": "BPP",
        "subscriber": "hpc.test",
        "uri": "http://127.0.0.1:8085/beckn",
        "key_id": "key-1",
        "key_file": str(KEY),
        "trust_file": str(TRUST),
    }
    sell = {
        "least_kw": 1.0,
        "least_jobs": 1,
        "notice": float(NOTICE),
        "max_slots": 12,
        "refresh": 5.0,
        "stale": 120.0,
        **terms,
    }
    return {"identity": {"site": identity}, "sell": sell}


def buying(folder: Path) -> Settings:
    """The buyer's configuration."""
    return Settings(
        agents=AgentsSettings(compute_flex=False, grid_orchestrator=True),
        daemon=DaemonSettings(state_dir=str(folder)),
        grid=GridSettings(slot_seconds=SLOT),
        market=MarketSettings(
            identity={
                "grid": IdentitySettings(
                    agent="grid_orchestrator",
                    role="BAP",
                    subscriber="grid.test",
                    uri="http://127.0.0.1:8095/beckn",
                    key_id="key-1",
                    key_file=str(folder / "grid.key"),
                    trust_file=str(TRUST),
                )
            },
            buy=BuySettings(
                goal="price",
                lead_seconds=5.0,
                discover_seconds=5.0,
                refresh_seconds=5.0,
                silent_seconds=90.0,
                value_gbp_per_kwh=50.0,
                budget_gbp=1000.0,
            ),
        ),
    )


async def wait_for(what: Callable[[], Any], seconds: float, words: Callable[[], str]) -> Any:
    end = time.monotonic() + seconds
    while not (found := what()):
        assert time.monotonic() < end, words()
        await asyncio.sleep(0.5)
    return found


async def buyer_of(parts: Parts) -> GridAgent:
    parts.market.start(lambda _topic, _text: None)
    found = await wait_for(
        lambda: parts.market.agents.get("grid_orchestrator"), 30, lambda: "no buyer"
    )
    assert isinstance(found, GridAgent)
    return found


def need_of(buyer: GridAgent, key: str) -> NeedView:
    return next(one for one in buyer.needs() if one.key == key)


def ordered(buyer: GridAgent, key: str) -> LotView | None:
    return next((one for one in need_of(buyer, key).orders if one.state == "ORDERED"), None)


def batch(scene: Any, begin: int, minutes: int, seconds: int, count: int) -> list[int]:
    """Flexible jobs of a node each that their user wants to begin at a moment."""
    at = f"--begin={datetime.fromtimestamp(begin, UTC):%Y-%m-%dT%H:%M:%S}"
    words = (f"-t{minutes}", "-N1", "--gpus=4", at, f"--comment={FLEX}")
    return [scene.sbatch("alice", *words, wrap=f"sleep {seconds}") for _ in range(count)]
