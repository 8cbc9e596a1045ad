"""What a batch is made of: its tools, one item per action, and the results' wording.

Law: data and words; decides nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import structlog

from flexlond.model.action import Action, Outcome, Result
from slurm_plugin.outcome import complaints_about

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from zoneinfo import ZoneInfo

    from flexlond.model.job import Job
    from slurm_plugin.config import HelperConfig
    from slurm_plugin.lineage import Record
    from slurm_plugin.pace import PaceBook
    from slurm_plugin.policy import Facts
    from slurm_plugin.rates import Bucket
    from slurm_plugin.resume import ResumeBook
    from slurm_plugin.routing import RouteBook, Sites
    from slurm_plugin.slurm_calls import SlurmCalls
    from slurm_plugin.state import State
    from slurm_plugin.verdict import Go
    from slurm_plugin.view import Reader


_log = structlog.get_logger("flexlon-helper")


@dataclass(slots=True)
class Parts:
    """What a batch works with."""

    config: HelperConfig
    reader: Reader
    calls: SlurmCalls
    state: State
    book: ResumeBook
    pace: PaceBook
    routes: RouteBook
    sites: Sites
    actions: Bucket
    requeues: Bucket
    tz: ZoneInfo
    clock: Callable[[], int]  # epoch seconds
    monotonic: Callable[[], float]

    def reconfigure(self, config: HelperConfig) -> None:
        """Take another configuration between two batches."""
        self.config = config
        self.actions.per_minute = config.helper.max_actions_per_minute
        self.requeues.per_minute = config.helper.max_requeues_per_minute


@dataclass(frozen=True, slots=True)
class Later:
    """A requeue that follows when its job had time to write its checkpoint."""

    action: Action
    wait: int  # seconds


@dataclass(slots=True)
class Item:
    """One action on its way through the batch."""

    action: Action
    facts: Facts | None = None
    go: Go | None = None
    before: Record | None = None  # to go back to where Slurm refused
    result: Result | None = None


def missing(item: Item, *, complete: bool) -> Result:
    """Say of a job that is not in the queue."""
    if not complete:
        return result_of(
            item, Outcome.REFUSED, "unreadable", "a row of the queue could not be understood"
        )
    return result_of(item, Outcome.NOT_FOUND, "not-found", "no such job in the queue")


def vanished(item: Item, complaints: str, *, complete: bool) -> Result:
    """Say of a job that was there before and is not now."""
    if not complete:
        return result_of(
            item, Outcome.UNKNOWN, "unseen", "a row of the queue could not be understood"
        )
    assert item.facts is not None  # noqa: S101 # it was acted on
    said = complaints_about(complaints, item.facts.job)
    return result_of(
        item, Outcome.NOT_FOUND, "not-found", f"it left the queue meanwhile. {said}".strip()
    )


def result_of(
    item: Item, outcome: Outcome, code: str, detail: str, job: Job | None = None
) -> Result:
    """Return the item's result with what was seen of `job` (None: of the job before the act)."""
    seen = job or (item.facts.job if item.facts else None)
    return Result(
        action_id=item.action.action_id,
        outcome=outcome,
        code=code,
        detail=detail,
        observed_begin=seen.begin if seen else 0,
        observed_state=seen.state.value if seen else "",
    )


def done(item: Item) -> Result:
    """Return the item's result; every path of a batch sets one."""
    assert item.result is not None  # noqa: S101 # every path above sets one
    return item.result


def tell(items: Sequence[Item], later: Sequence[Later]) -> None:
    """Log one sentence for the batch and one line for each refusal."""
    counts: dict[str, int] = {}
    for item in items:
        result = done(item)
        counts[result.outcome.value] = counts.get(result.outcome.value, 0) + 1
        if result.outcome is Outcome.REFUSED:
            _log.info(
                "refused",
                job_id=item.action.job_id,
                verb=item.action.verb.value,
                code=result.code,
                detail=result.detail,
            )
    told = ", ".join(f"{number} {outcome}" for outcome, number in sorted(counts.items()))
    _log.info(f"{len(items)} actions: {told or 'none'}", checkpointing=len(later))
