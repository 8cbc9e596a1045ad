"""What people see of the site's power: observed now and by slot, and the model beside the meter.

Law: as views.py: reads memory only and invents nothing; what is not known is NaN, a time 0. Which source a
figure has is always said. kW at the site's supply, epoch seconds (UTC).
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from flexlond.agents.power_log import recent_slots
from flexlond.agents.power_ports import ObservedSlotView, PowerView

if TYPE_CHECKING:
    from flexlond.agents.state import LoopState

SLOTS = 12  # shown: the slot of now and those before it


def power_view(agent: LoopState, now: int) -> PowerView:
    """The site's power."""
    log = agent.power
    seen, reading, model = log.observed, log.reading(now), log.modelled
    compared = log.calibration(now, agent.settings.meter.max_age)
    base = agent.problem.base_kw if agent.problem is not None else math.nan
    return PowerView(
        observed_kw=seen.kw,
        source=seen.source.value,
        at=seen.at,
        meter=reading.source,
        quality=reading.quality.value,
        metered_kw=reading.kw,
        metered_at=reading.at,
        detail=reading.detail,
        modelled_kw=model.kw if model else math.nan,
        pairs=compared.pairs,
        ratio=compared.ratio,
        base_kw=compared.base_kw,
        modelled_base_kw=base,
        other_kw=max(0.0, compared.base_kw - base + agent.settings.power.other_kw)
        if math.isfinite(compared.base_kw) and math.isfinite(base)
        else math.nan,
        slots=tuple(
            ObservedSlotView(one.start, one.kw, one.source.value, one.coverage, one.modelled_kw)
            for one in recent_slots(agent, now, SLOTS)
        ),
    )
