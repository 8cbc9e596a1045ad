"""Which agent of the market is made how: the one table that the composition and its tests share.

Law: an agent that is not in the table cannot be on the market. Making one touches nothing; it begins with
`join`. Source: our own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from flexlond.agents.grid.agent import GridAgent

if TYPE_CHECKING:
    from collections.abc import Callable

    from flexlond.agents.market.port import MarketAgent
    from flexlond.agents.planning_step import Hub
    from flexlond.agents.ports import AgentView
    from flexlond.model.settings import Settings


def makers(
    agent: AgentView,  # noqa: ARG001 - of those that come
    hub: Hub,
) -> dict[str, Callable[[Settings], MarketAgent]]:
    """A maker for each agent by its name in [agents]; they share the loop's view and the signals."""
    return {"grid_orchestrator": lambda settings: GridAgent(settings, hub)}
