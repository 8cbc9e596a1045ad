"""The cycle's one sentence: what it did and why.

Law: the same string is the log line, the status and the tests' assertion (Patroni's habit). It says the
first reason that keeps new holds from being made, and the plan's saving when nothing does; then what is seen
and foreseen of each window in force.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from flexlond.agents import power_log, windows
from flexlond.agents.decide import is_held
from flexlond.model.action import Outcome
from flexlond.model.series import Quality

if TYPE_CHECKING:
    from collections.abc import Sequence

    from flexlond.agents.state import LoopState
    from flexlond.model.action import Result
    from flexlond.planning.problem import Plan


def sentence(agent: LoopState, results: Sequence[Result], now: int) -> str:
    """For example: "changed 3 jobs; 12 held, 40 flexible: the plan saves 4.20 GBP ..."."""
    counts = Counter(result.outcome for result in results)
    done = counts[Outcome.APPLIED]
    held = sum(1 for known in agent.flex.values() if is_held(known, now))
    undone = counts[Outcome.REFUSED] + counts[Outcome.UNKNOWN] + counts[Outcome.NOT_FOUND]
    parts = [f"changed {done} job{'' if done == 1 else 's'}"]
    if undone:
        parts.append(f"{undone} refused or unknown")
    parts.append(f"{held} held before that, {len(agent.flex)} flexible")
    said = f"{'; '.join(parts)}: {because(agent)}"
    more = (power_log.words(agent), windows.words(agent, now))
    return "; ".join([said, *(text for text in more if text)])


def because(agent: LoopState) -> str:
    """Why there are no new holds, or what the plan saves."""
    why = obstacle(agent)
    if why:
        return why
    found = agent.last_plan
    if found is None:
        return "nothing to plan"
    # Sums in another order: what is not nothing by rounding alone is nothing.
    saved = round(found.totals.cost_asap_gbp - found.totals.cost_gbp, 9) + 0.0
    carbon = round(found.totals.co2_asap_kg - found.totals.co2_kg, 9) + 0.0
    said = f"the plan saves {saved:.4g} GBP and {carbon:.4g} kg CO2 against as soon as possible"
    return "; ".join([said, *_caps(found)])


def obstacle(agent: LoopState) -> str:
    """Why nothing new is held now; "" when nothing is in the way."""
    bad = [s for s in agent.series.values() if s.quality in (Quality.STALE, Quality.ABSENT)]
    snapshot = agent.snapshot
    reasons = (
        (
            agent.settings.daemon.mode == "observe",
            "observe mode plans and reports, it touches nothing",
        ),
        (agent.draining, "draining: what we changed is restored, nothing new is held"),
        (agent.paused, "paused: nothing is changed until resume"),
        (agent.cluster is None, "no new holds, the partitions could not be read"),
        (
            agent.cluster is not None
            and not any(pool.up and pool.cpus for pool in agent.cluster.pools),
            "no new holds and no releases, no node of any partition is usable",
        ),
        (
            snapshot is not None and not snapshot.complete,
            f"no new holds, {len(snapshot.misfits) if snapshot else 0} queue rows were not understood",
        ),
        (not agent.series, "no new holds, neither price nor carbon is configured"),
        (
            bool(bad),
            "no new holds, " + "; ".join(f"{s.kind} is {s.quality}: {s.detail}" for s in bad),
        ),
        (
            not agent.actuator.answering,
            f"no new holds, the helper does not answer ({agent.actuator.detail})",
        ),
        (
            bool(agent.actuator.unwitnessed),
            f"no new holds, the ledger cannot be written ({agent.actuator.unwitnessed})",
        ),
    )
    return next((why for applies, why in reasons if applies), "")


def _caps(found: Plan) -> list[str]:
    """The carbon caps that bind, and those that are not kept."""
    words = []
    for one in found.carbon_caps:
        planned = f"{one.name}: {one.spent_kg + one.planned_kg:.4g} of {one.total_kg:g} kg"
        if not one.kept:
            kept_back = f" and {one.expected_kg:.4g} kept for jobs yet to come" * bool(
                one.expected_kg
            )
            words.append(f"{planned}{kept_back}, it is not kept: {one.above_kg:.4g} kg too much")
        elif one.price_gbp_kg > 0:
            words.append(f"{planned}, worth {1000.0 * one.price_gbp_kg:.4g} GBP/t")
    return words
