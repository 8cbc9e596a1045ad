"""Windows beside the loop: how they are made, what they cost, what is seen of them.

Law: a window binds nothing before the store has it. Its caps are fixed when it is made: a reduction is taken
from the plan of that moment, slot by slot. What cannot be kept is said as soon as the plan shows it, with its
size and reason. Observed power is metered where there is a meter (window_power.py), else the modelled estimate
of what runs (base and running jobs), and says which. Nothing here holds or releases a job: the planner does,
under the caps. Epoch seconds, kW, GBP.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from flexlond.agents import slower, stop_views
from flexlond.agents.window_ports import MoveView, WindowSlotView, WindowView
from flexlond.model.slurmtime import format_moment
from flexlond.model.window import (
    Window,
    WindowSample,
    WindowState,
    covering,
    rebound_on,
    with_ramp_in,
)
from flexlond.planning.account import slot_power
from flexlond.planning.capacity import blocks_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from flexlond.agents.planning_step import Trial
    from flexlond.agents.records import Store
    from flexlond.agents.state import LoopState
    from flexlond.agents.window_ports import SlowView, StopView, WindowOrder
    from flexlond.model.metering import SlotPower
    from flexlond.model.settings import PlanningSettings
    from flexlond.model.timegrid import TimeGrid
    from flexlond.planning.problem import Plan, Problem

REBOUND_SECONDS = 12 * 3600
"""So long after its end at most a window's rebound cap counts: the peak that it is taken from is then old."""
_NEAR = 1e-3  # kW above a cap that nobody minds


def why_not(order: WindowOrder, grid: TimeGrid, now: int) -> str:
    """Why such a window is refused and what to do; "" when it is not."""
    ordered = order.cap_kw if math.isnan(order.down_kw) else order.down_kw
    if not 0 < ordered < math.inf:
        return "a window needs a cap or a reduction of more than 0 kW: give --cap or --down"
    if order.end <= order.start:
        return "the window ends before it begins: give a later --to"
    _, end = covering(order.start, order.end, grid.slot_seconds)
    if end - grid.slot_seconds <= now:
        return (
            f"no slot of the window lies in the future (it ends at {format_moment(end)}, now is "
            f"{format_moment(now)}): give a later --from and --to"
        )
    if end > grid.end:
        return (
            f"the plan reaches to {format_moment(grid.end)} and the window to {format_moment(end)}: give an "
            "earlier --to, order it later, or raise grid.horizon_slots"
        )
    return ""


def make(
    order: WindowOrder, plan: Plan, settings: PlanningSettings, now: int, *, peak_kw: float
) -> Window:
    """The window with its caps: from the first slot that is not over, by the plan of this moment.

    `peak_kw` is the highest power of the last day. Where it is not known (NaN) there is no rebound cap: the
    plan knows nothing of the jobs to come.
    """
    usual = max(peak_kw, float(plan.kw.max())) if math.isfinite(peak_kw) else math.inf
    grid = plan.grid
    start, end = covering(order.start, order.end, grid.slot_seconds)
    start = max(start, grid.start)
    first, last = grid.slot_of(start), grid.slot_of(end)
    planned = plan.kw[first:last]
    if math.isnan(order.down_kw):
        ordered = [order.cap_kw] * len(planned)
    elif order.by_slot:
        down = np.array(order.by_slot[len(order.by_slot) - len(planned) :])
        ordered = np.maximum(0.0, planned - down).tolist()
    else:
        ordered = np.maximum(0.0, planned - order.down_kw).tolist()
    before = float(plan.kw[max(0, first - 1)])
    caps, ramp = with_ramp_in(ordered, before, settings.ramp_kw_per_5min, grid.slot_seconds)
    return Window(
        window_id=0,
        start=start,
        end=end,
        slot_seconds=grid.slot_seconds,
        cap_kw=order.cap_kw,
        down_kw=order.down_kw,
        caps=caps,
        ramp_slots=ramp,
        created=now,
        created_by=order.by,
        rebound_kw=settings.rebound_cap * usual if settings.rebound_cap else math.inf,
        rebound_end=min(grid.end, end + REBOUND_SECONDS),
        order_id=order.order_id,
        baseline=tuple(planned.tolist()) if order.order_id else (),
    )


def unkept(order: WindowOrder, window: Window, shown: WindowView) -> str:
    """Why an order of the market cannot be kept by its window; "" when it can, and for any other window."""
    if not order.order_id:
        return ""
    sold = order.by_slot or (order.down_kw,) * len(window.baseline)
    sold = sold[len(sold) - len(window.baseline) :]
    short = max(kw - least for kw, least in zip(sold, window.baseline, strict=True))
    if short > _NEAR:
        return f"{short:.4g} kW more are sold in a slot than the plan draws in it"
    if window.ramp_slots == len(window.caps):
        return "the ramp cap lets the power not fall so far within it"
    if shown.shortfall_kw > _NEAR:
        return f"it {shown.detail}" if shown.detail else "the plan does not keep it"
    return ""


def comes_back(order: WindowOrder, window: Window, trial: Trial, now: int) -> str:
    """Why an operator's order is refused for what comes back after it; "" when it is not.

    Only for what is above the rebound cap because of it. An order of the market is sold: it is kept first.
    """
    if order.order_id or order.allow_rebound:
        return ""
    found, caps = trial.under, rebound_on(trial.under.grid, (window,), now)
    above = found.kw - np.maximum(caps, trial.without.kw)
    worst = int(above.argmax())
    if above[worst] <= _NEAR:
        return ""
    return (
        f"what it defers comes back above the rebound cap: {float(found.kw[worst]):.4g} kW are planned at "
        f"{format_moment(found.grid.slot_start(worst))}, {float(caps[worst]):.4g} kW are the most: order "
        "less or a shorter window, or give --allow-rebound"
    )


def rise(trial: Trial, settings: PlanningSettings) -> tuple[float, float, float]:
    """GBP by which electricity, carbon and delay cost more under the cap, where both are known."""
    one, other = trial.without, trial.under
    jobs = len(one.start)  # those that are stopped come behind them, with a cost of their own
    rate = settings.delay_price * trial.problem.delay_weight[:jobs] / 86400.0
    return (
        _known(other.cost_gbp[:jobs] - one.cost_gbp),
        _known(other.co2_kg[:jobs] - one.co2_kg) * settings.carbon_price / 1000.0,
        float((rate * (other.start[:jobs] - one.start)).sum()),
    )


def moves(trial: Trial) -> tuple[MoveView, ...]:
    """The jobs that start at another time and are held now or then, the farthest first."""
    one, other = trial.without, trial.under
    jobs = len(one.start)
    start, moved = other.start[:jobs], other.moved[:jobs]
    chosen = np.flatnonzero((one.start != start) & (one.moved | moved))
    by = np.abs(start - one.start)[chosen]
    tasks = np.maximum(1, trial.problem.tasks)
    return tuple(
        MoveView(
            int(other.job_id[row]),
            int(one.start[row]),
            int(other.start[row]),
            float(trial.problem.kw[row] * tasks[row]),
        )
        for row in chosen[np.argsort(-by, kind="stable")].tolist()
    )


def observe(agent: LoopState, now: int) -> Sequence[WindowSample]:
    """What this cycle saw of the windows that run; nothing when it made no plan."""
    found = agent.last_plan
    if found is None or agent.modelled is None or agent.planned_at != now:
        return ()
    return [
        WindowSample(
            window.window_id,
            window.slot_starts()[_slot(window, now)],
            now,
            window.caps[_slot(window, now)],
            float(found.kw[0]),
            agent.modelled.kw,
        )
        for window in agent.windows
        if window.state(now) is WindowState.ACTIVE
    ]


def view(
    window: Window,
    samples: Sequence[WindowSample],
    problem: Problem | None,
    found: Plan | None,
    now: int,
    *,
    power: Mapping[int, SlotPower],
    tail: str = stop_views.RUN_ON,
    stops: tuple[StopView, ...] = (),
    slows: tuple[SlowView, ...] = (),
) -> WindowView:
    """One window with its slots: seen where they are over, planned where they are to come.

    `power` is what the site drew in them, by their first second; `tail` says why what runs is not stopped
    (stop_views.tail), `stops` are those that are, `slows` the arrays that are slowed.
    """
    slots = tuple(
        _slot_view(window, number, samples, found, now, drawn=power.get(start))
        for number, start in enumerate(window.slot_starts())
    )
    short = [slot for slot in slots if slot.shortfall_kw > _NEAR]
    detail = _reason(window, problem, found, now, tail) if window.binds(now) else ""
    return WindowView(
        window_id=window.window_id,
        start=window.start,
        end=window.end,
        slot_seconds=window.slot_seconds,
        state=window.state(now).value,
        cap_kw=window.cap_kw,
        down_kw=window.down_kw,
        ramp_slots=window.ramp_slots,
        created=window.created,
        created_by=window.created_by,
        cancelled=window.cancelled,
        rebound_kw=window.rebound_kw,
        rebound_end=window.rebound_end,
        shortfall_kw=max((slot.shortfall_kw for slot in short), default=0.0),
        short_slots=len(short),
        detail=detail,
        slots=slots,
        stops=stops,
        order_id=window.order_id,
        slows=slows,
    )


def warnings(agent: LoopState, now: int) -> list[str]:
    """The shortfalls that are foreseen, one line a window; then what there is to say of Slurm's keeping."""
    found, tail = [], stop_views.tail(agent.settings, agent.stopping)
    for window in agent.windows:
        if window.binds(now):
            text = _reason(window, agent.problem, agent.last_plan, now, tail)
            if text:
                found.append(f"window {window.window_id} {text}")
    if found and agent.in_force:
        found.append(
            "by the plan, which does not count that Slurm holds back jobs with the kw licence"
        )
    return [*found, *agent.kept_said]


def words(agent: LoopState, now: int) -> str:
    """What the cycle's sentence says of windows; "" when none binds."""
    seen = agent.power.observed
    parts = [
        f"window {window.window_id}: {seen.kw:.4g} kW of {window.caps[_slot(window, now)]:.4g} {seen.by}"
        for window in agent.windows
        if window.state(now) is WindowState.ACTIVE
    ]
    return "; ".join(
        [*parts, *slower.words(agent), *stop_views.words(agent, now), *warnings(agent, now)]
    )


def store_all(agent: LoopState, store: Store, now: int) -> None:
    """Append what this cycle saw."""
    samples = observe(agent, now)
    if samples:
        store.add_samples(samples)


def _known(values: NDArray[np.float64]) -> float:
    return float(values[np.isfinite(values)].sum())


def _slot(window: Window, now: int) -> int:
    return (now - window.start) // window.slot_seconds


def _slot_view(
    window: Window,
    number: int,
    samples: Sequence[WindowSample],
    found: Plan | None,
    now: int,
    *,
    drawn: SlotPower | None,
) -> WindowSlotView:
    start, cap = window.slot_starts()[number], window.caps[number]
    seen = [one for one in samples if one.slot == start]
    observed = drawn.kw if drawn else math.nan
    over = start + window.slot_seconds <= now
    planned = seen[-1].planned_kw if seen else math.nan
    if not over and found is not None:
        at = found.grid.slot_of(start)
        planned = float(found.kw[at]) if 0 <= at < found.grid.count else planned
    figure = planned if math.isnan(observed) and not over else observed
    if not over and math.isfinite(planned):
        figure = max(planned, figure)
    above = max(0.0, figure - cap) if math.isfinite(figure) else 0.0
    stays = not window.cancelled or start < window.cancelled
    return WindowSlotView(
        start,
        cap,
        planned,
        observed,
        above if stays else 0.0,
        number < window.ramp_slots,
        observed_source=drawn.source.value if drawn and math.isfinite(observed) else "",
        metered_share=drawn.coverage if drawn else 0.0,
        baseline_kw=window.baseline[number] if window.baseline else math.nan,
    )


def _reason(
    window: Window, problem: Problem | None, found: Plan | None, now: int, tail: str
) -> str:
    """By how much the plan in force misses the caps to come, and what needs the power; "" when it does not."""
    if problem is None or found is None:
        return ""
    grid = found.grid
    caps = np.full(grid.count, np.inf)
    for start, cap in zip(window.slot_starts(), window.caps, strict=True):
        at = grid.slot_of(start)
        if 0 <= at < grid.count and start + window.slot_seconds > now:
            caps[at] = cap
    above = found.kw - caps
    short = int((above > _NEAR).sum())
    if not short:
        return ""
    worst = int(above.argmax())
    head = f"falls short by up to {float(above[worst]):.4g} kW in {short} slot{'s' * (short > 1)}"
    return f"{head}: {_needed(problem, found, worst, float(caps[worst]), tail)}"


def _needed(problem: Problem, found: Plan, slot: int, cap: float, tail: str) -> str:
    """What draws the power in `slot`."""
    running = problem.running
    begin = np.full(len(running.end), problem.grid.start)
    if len(running.begin):
        begin = np.maximum(begin, running.begin)
    end = np.maximum(running.end, begin)
    there = running.demand.any(axis=1)  # who is still to come takes no room
    busy, coming = (
        float(
            slot_power(
                problem.grid, begin[who].astype(float), end[who].astype(float), running.kw[who]
            )[slot]
        )
        for who in (there, ~there)
    )
    runs = problem.base_kw + busy
    if problem.base_kw > cap:
        return f"idle nodes alone draw {problem.base_kw:.4g} kW"
    if runs > cap:
        return f"what runs already draws {runs:.4g} kW, and {tail}"
    free = ~problem.movable
    if len(found.uncapped):
        free = found.uncapped & ~found.moved
    ends = found.start + np.ceil(found.span).astype(np.int64)
    kw = blocks_of(problem).kw
    plain = slot_power(
        problem.grid, found.start[free].astype(float), ends[free].astype(float), kw[free]
    )
    runs += float(plain[slot])
    if runs > cap:
        return (
            f"with jobs that start without being held it is {runs:.4g} kW, and they start whatever is"
            " planned"
        )
    if runs + coming > cap:
        return (
            f"with jobs without consent that come as they did of late it is {runs + coming:.4g} kW"
        )
    return "the latest starts of flexible jobs come before the end of the window"
