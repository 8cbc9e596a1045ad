"""A site without Slurm that sells what its batteries can give: the same seller, other works.

Law: as idle.py; each cycle reads the batteries and sets what is sold now, in act mode and not paused, else it
leaves them to themselves. kW positive into the asset, epoch seconds.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from flexlond.agents.idle import Idle

if TYPE_CHECKING:
    from collections.abc import Callable

    from flexlond.agents.asset_ports import AssetsView
    from flexlond.agents.inquiry import Hub
    from flexlond.agents.market.battery import BatteryWorks
    from flexlond.model.settings import Settings


class AssetSite(Idle):
    """The loop of such a site."""

    def __init__(
        self,
        settings: Settings,
        hub: Hub,
        works: BatteryWorks,
        *,
        clock: Callable[[], int],
        version: str,
    ) -> None:
        super().__init__(settings, hub, clock=clock, version=version)
        self.works = works

    def show_assets(self) -> AssetsView:
        """The batteries."""
        return self.works.view(self._clock())

    async def cycle(self, now: int) -> str:
        """Look, set, say what was done."""
        await self.tick(now)
        self._beaten_at = now
        sold, given = self.works.sold_kw(now), -self.works.set_kw()
        said = f"{sold:.4g} kW sold now, {given:.4g} kW set"
        if self.settings.daemon.mode != "act":
            said += "; mode observe: nothing is set"
        elif self.paused:
            said += "; paused: nothing is set"
        faults = "; ".join(self.works.faults.values())
        self.sentence = f"{said}; {faults}" if faults else said
        return self.sentence

    async def tick(self, now: int) -> None:
        """A slot may begin between two cycles: set-points follow at once."""
        await self.works.look(now)
        allowed = self.settings.daemon.mode == "act" and not self.paused
        await self.works.act(now, allowed=allowed)
