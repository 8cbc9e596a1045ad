"""Which agent of the market is made how: the one table that the composition and its tests share.

Law: an agent that is not in the table cannot be on the market. Making one touches nothing; it begins with
`join`. Source: our own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from flexlond.agents.asset_site import AssetSite
from flexlond.agents.compute_flex import ComputeFlex
from flexlond.agents.grid.agent import GridAgent
from flexlond.agents.market.agent import SellerAgent
from flexlond.agents.market.queue import QueueWorks
from flexlond.agents.portfolio.agent import FlexAgent

if TYPE_CHECKING:
    from collections.abc import Callable

    from flexlond.agents.inquiry import Hub
    from flexlond.agents.market.port import MarketAgent
    from flexlond.agents.ports import AgentView
    from flexlond.agents.witness import Notary
    from flexlond.model.settings import Settings


def makers(
    agent: AgentView,
    hub: Hub,
    poke: Callable[[], None],
    notary: Notary | None = None,
) -> dict[str, Callable[[Settings], MarketAgent]]:
    """A maker for each agent by its name in [agents].

    They share the loop's view and the signals; `poke` makes the loop's next cycle come at once, `notary` is the
    ledger, where one is kept.
    """
    found: dict[str, Callable[[Settings], MarketAgent]] = {
        "grid_orchestrator": lambda settings: GridAgent(settings, hub),
        "flex_orchestrator": lambda settings: FlexAgent(settings, hub),
    }
    if isinstance(agent, ComputeFlex):
        loop = agent
        found["compute_flex"] = lambda settings: SellerAgent(
            settings, QueueWorks(loop, settings.market.sell, poke), notary=notary
        )
    if isinstance(agent, AssetSite):
        site = agent
        found["asset_site"] = lambda settings: SellerAgent(settings, site.works, notary=notary)
    return found
