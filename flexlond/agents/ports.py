"""The port between the loop and whoever shows or steers it (admin service, runner, tests).

Law: plain frozen records with the fields of protos/flexlon/admin/v1/admin.proto and nothing else,
so that the admin service only copies them. Times are Unix epoch seconds (UTC), 0 means "none";
energy in kWh, power in kW, money in GBP, carbon in kg CO2; an unknown price or intensity is NaN.
Text that a user wrote (comments) is data: it is passed on as it is and never interpreted. The
port knows nothing of gRPC; a caller's uid is resolved above it. Source of the fields:
admin.proto; `SignalLine.from_` is the proto's `from`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

    from flexlond.agents.asset_ports import AssetsView
    from flexlond.agents.envelope_ports import EnvelopeView, NoEnvelope
    from flexlond.agents.power_ports import PowerView
    from flexlond.agents.window_ports import AddedView, WindowOrder, WindowView
    from flexlond.model.settings import Settings


@dataclass(frozen=True, slots=True)
class SignalLine:
    """Where one series comes from and how good it is (proto: Signal)."""

    name: str  # price | carbon
    source: str
    unit: str
    fetched_at: int
    from_: int
    to: int
    quality: str  # good | stale | partial | absent
    detail: str


@dataclass(frozen=True, slots=True)
class StatusView:
    """The state of the loop in one record (proto: StatusReply).

    The admin service overlays what only the daemon's shell knows: `config_path`, `config_error`,
    `heartbeat_fresh`, further `warnings`, and `last_cycle` when the cycle itself failed; an agent
    leaves the first three empty.
    """

    version: str
    mode: str  # configured: observe | act
    paused: bool
    draining: bool
    slurm_version: str
    reader: str
    reader_reason: str
    helper_answering: bool
    helper_detail: str
    last_cycle_at: int
    last_cycle: str  # the cycle's one sentence
    last_cycle_seconds: float
    jobs_seen: int
    jobs_flexible: int
    jobs_held: int
    opted_out: int
    signals: tuple[SignalLine, ...]
    slot_seconds: int
    warnings: tuple[str, ...]
    started_at: int
    heartbeat_fresh: bool = False
    config_path: str = ""
    config_error: str = ""
    prediction: str = ""
    power: PowerView | None = None


@dataclass(frozen=True, slots=True)
class JobView:
    """One job as the loop sees it (proto: JobLine), with the owner's uid for authorisation."""

    uid: int
    job_id: int
    array: str
    user: str
    partition: str
    state: str
    flexible: bool
    consent: str
    begin: int
    planned_start: int
    latest_start: int
    deadline: int
    held_by_us: bool
    kw: float
    cost_gbp: float
    cost_asap_gbp: float
    co2_kg: float
    co2_asap_kg: float
    comment: str
    reason: str
    opted_out: bool
    submit: int
    eligible: int
    asap_start: int
    duration_seconds: float
    touched: bool
    must_start_by: int
    counted_kw: float = 0.0  # what the plan counts of `kw`


@dataclass(frozen=True, slots=True)
class HistoryView:
    """One effect on a job, or an intent that had none (proto: HistoryLine)."""

    at: int
    verb: str
    not_before: int
    outcome: str
    detail: str


@dataclass(frozen=True, slots=True)
class OutlookView:
    """What is expected of a job, with what it rests on (proto: Outlook)."""

    p50_seconds: float
    mean_seconds: float  # what its energy is counted by
    p90_seconds: float
    limit_seconds: float  # 0: UNLIMITED
    basis: str
    runs: int
    kw: float
    counted_kw: float
    power_basis: str
    power_runs: int


@dataclass(frozen=True, slots=True)
class AlternativeView:
    """Another start of a job (proto: Alternative)."""

    name: str
    start: int
    cost_gbp: float
    co2_kg: float
    delay_gbp: float
    room_gbp: float
    why_not: str


@dataclass(frozen=True, slots=True)
class ExplainView:
    """Why a job starts when it starts (proto: ExplainReply)."""

    job: JobView
    summary: str
    steps: tuple[str, ...]
    history: tuple[HistoryView, ...]
    binding: str = ""
    outlook: OutlookView | None = None
    alternatives: tuple[AlternativeView, ...] = ()


@dataclass(frozen=True, slots=True)
class PlanSlotView:
    """One slot of the horizon (proto: PlanSlot)."""

    start: int
    price_gbp_mwh: float  # NaN when unknown
    carbon_g_kwh: float  # NaN when unknown
    kw: float
    kw_asap: float
    starts: int
    cap_kw: float = math.nan  # NaN: no cap
    room_price_gbp_mwh: float = 0.0


@dataclass(frozen=True, slots=True)
class StageView:
    """One stage of the search for the plan (proto: Stage)."""

    name: str
    seconds: float
    objective_gbp: float
    steps: int


@dataclass(frozen=True, slots=True)
class CarbonCapView:
    """What became of a carbon cap of a day (proto: CarbonCap)."""

    name: str
    cap_kg: float
    spent_kg: float
    expected_kg: float
    planned_kg: float
    shadow_gbp_t: float
    kept: bool


@dataclass(frozen=True, slots=True)
class UnitCostView:
    """What a unit of work costs over the planned jobs that say work in it (proto: UnitCost)."""

    unit: str
    jobs: int
    work: float
    gbp: float  # per unit, as for all of these
    gbp_asap: float
    co2_g: float
    co2_asap_g: float


@dataclass(frozen=True, slots=True)
class PlanView:
    """The last plan (proto: PlanReply)."""

    made_at: int
    slot_seconds: int
    slots: tuple[PlanSlotView, ...]
    cost_gbp: float
    cost_asap_gbp: float
    co2_kg: float
    co2_asap_kg: float
    objective_gbp: float = 0.0
    bound_gbp: float = 0.0
    gap: float = 0.0
    stages: tuple[StageView, ...] = ()
    seconds: float = 0.0
    optimised: int = 0
    base_kw: float = 0.0
    carbon_shadow_gbp_t: float = 0.0
    problems: tuple[str, ...] = ()
    carbon_caps: tuple[CarbonCapView, ...] = ()
    units: tuple[UnitCostView, ...] = ()


@dataclass(frozen=True, slots=True)
class SignalsView:
    """The feeds and their values by slot (proto: SignalsReply)."""

    signals: tuple[SignalLine, ...]
    slots: tuple[PlanSlotView, ...]


@dataclass(frozen=True, slots=True)
class ReleaseView:
    """What became of one release (proto: ReleaseLine)."""

    job_id: int
    released: bool
    detail: str


@dataclass(frozen=True, slots=True)
class DrainView:
    """What a drain restored and what is still ours, -1 where that is not known (proto: DrainReply)."""

    restored: int
    left: int
    detail: str


class AgentView(Protocol):
    """What the daemon's shell shows and asks of the loop.

    The reading methods return at once from memory and never touch Slurm. The asking methods return
    when the thing is in force; they never raise for an ordinary refusal, they say it in their
    answer.
    """

    def status(self) -> StatusView:
        """Return the state of the loop."""
        ...

    def jobs(self) -> Sequence[JobView]:
        """Return every job of the last snapshot."""
        ...

    def explain(self, job_id: int) -> ExplainView | None:
        """Say why `job_id` starts when it starts; None when the loop does not know the job."""
        ...

    def plan(self) -> PlanView | None:
        """Return the last plan; None before the first."""
        ...

    def signals(self) -> SignalsView:
        """Return the feeds with their values."""
        ...

    def show_assets(self) -> AssetsView:
        """Return the assets beside the cluster, as read and as planned."""
        ...

    def may_delay(self) -> bool:
        """Say whether the plugin may give new jobs a decision window (the shell's heartbeat).

        True only when the last tick read the queue completely, in act mode, neither paused nor
        draining, with the helper answering.
        """
        ...

    async def pause(self) -> str:
        """No new action from now on; existing holds stay in Slurm. Returns what is in force."""
        ...

    async def resume(self) -> str:
        """Undo `pause` (and a drain). Returns what is in force."""
        ...

    async def release(
        self, job_ids: Sequence[int] | None, *, uid: int, operator: bool
    ) -> Sequence[ReleaseView]:
        """Release these jobs, or all that are held by us for None. `uid` is the caller's.

        The caller has been authorised before; a release by one who is no operator counts as the
        owner's opt-out.
        """
        ...

    async def drain(self) -> DrainView:
        """Restore what we changed, hold nothing more; call again until `left` is 0."""
        ...

    def list_windows(self) -> Sequence[WindowView]:
        """Return every window, without its slots."""
        ...

    def show_window(self, window_id: int) -> WindowView | None:
        """Return one window with its slots; None when there is none of that number."""
        ...

    async def add_window(self, order: WindowOrder, *, dry_run: bool) -> AddedView:
        """Say what a window costs and moves; in force, and durable, when it returns, unless `dry_run`."""
        ...

    async def cancel_window(self, window_id: int) -> WindowView | None:
        """End a window; the next plan gives back what it held. None when there is none of that number."""
        ...

    async def envelope(self, span: tuple[int, int] | None) -> EnvelopeView | NoEnvelope:
        """Price what the queue can give and take in the window `span` (epoch s); None: in those of interest.

        It waits for a process of its own; the loop goes on meanwhile.
        """
        ...

    async def reload(self, settings: Settings) -> str:
        """Take over checked settings. Returns what changed, or what needs a restart to change."""
        ...

    async def tick(self, now: int) -> None:
        """See new jobs and place them inside their decision window; `now` in epoch seconds."""
        ...

    async def cycle(self, now: int) -> str:
        """One full cycle at `now`: read, plan, act. Returns the sentence that says what it did."""
        ...
