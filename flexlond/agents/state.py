"""What the loop knows between two beats; what people are shown of it is read from here.

Law: plain fields, changed only by the loop, on the event loop's thread. Times are epoch seconds, 0 is "none".
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from flexlond.agents.outlook import Outlook

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from flexlond.agents.actuator import Actuator
    from flexlond.agents.assets import AssetDesk
    from flexlond.agents.consent import ConsentReader, FlexJob
    from flexlond.agents.learning import Learner
    from flexlond.agents.power_log import PowerLog
    from flexlond.agents.stoppable import Stoppable
    from flexlond.model.job import Cluster, Snapshot
    from flexlond.model.licence import Stretch
    from flexlond.model.metering import Modelled
    from flexlond.model.pace import Slowed
    from flexlond.model.series import Kind, Series
    from flexlond.model.settings import Settings
    from flexlond.model.stop import StopRecord
    from flexlond.model.window import Window
    from flexlond.planning.problem import Plan, Problem
    from flexlond.planning.slowing import Slowing
    from flexlond.planning.stopped import Candidate
    from flexlond.planning.stopping import Stopping
    from flexlond.slurm.reader import QueueReader


@dataclass(kw_only=True, eq=False)
class LoopState:
    """The state of one Compute-Flex agent."""

    settings: Settings
    reader: QueueReader
    reader_reason: str
    version: str
    started_at: int
    actuator: Actuator
    consents: ConsentReader
    paused: bool
    draining: bool
    power: PowerLog
    learner: Learner | None = None
    assets: AssetDesk | None = None  # None: there are none
    outlook: Outlook = field(default_factory=Outlook)
    snapshot: Snapshot | None = None
    cluster: Cluster | None = None
    flex: Mapping[int, FlexJob] = field(default_factory=dict)
    problem: Problem | None = None  # that `last_plan` answers
    last_plan: Plan | None = None
    planned_from: Snapshot | None = None  # the snapshot that `problem` was made of
    rows: Mapping[int, int] = field(default_factory=dict)  # job id -> row of last_plan
    aside: int = 0  # the job that steps aside for others, by the last plan
    over_ramp: Collection[int] = ()  # held on, though the plan gives them back, for the ramp cap
    planned_at: int = 0
    plan_seconds: float = 0.0
    series: Mapping[Kind, Series] = field(default_factory=dict)
    kw: Mapping[int, float] = field(default_factory=dict)  # what the plan counts, all tasks
    windows: tuple[Window, ...] = ()  # every window there was, oldest first
    stops: Sequence[StopRecord] = ()  # of the last weeks, as of the last look
    stoppable: Mapping[int, Stoppable] = field(default_factory=dict)  # running, by the last look
    candidates: Sequence[Candidate] = ()  # of these who is in the last plan, as it knows them
    stopping: Stopping | None = None  # who is to be stopped, by the last plan
    slowed: Mapping[int, Slowed] = field(default_factory=dict)  # arrays, as known before that look
    slowing: Slowing | None = None  # which arrays are to be slowed, by the last plan
    modelled: Modelled | None = None  # what the last plan says that the site draws
    in_force: tuple[Stretch, ...] = ()  # our reservations, as the helper saw them last
    kept_said: tuple[str, ...] = ()  # what there is to say of them
    whole_kw: Mapping[int, float] = field(default_factory=dict)  # with the idle share of its nodes
    sentence: str = "no cycle yet"
    cycle_at: int = 0
    cycle_seconds: float = 0.0
