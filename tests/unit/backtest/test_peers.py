from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flexlond.backtest.case import PowerCoefficients
from flexlond.backtest.coast import Player, Weights, costs, solve
from flexlond.backtest.engine import replay
from flexlond.backtest.peers import AsSoonAsPossible, Coast, Greenest, WaitAwhile, greenest_start
from flexlond.backtest.policy import actual
from flexlond.model.timegrid import TimeGrid
from tests.unit.backtest.replaykit import SLOT, T0, Made, flexible, rigid, trace_of

DAY = 86400
POWER = PowerCoefficients()


def begins(policy: Any, jobs: list[tuple[Any, ...]], slack: dict[int, float]) -> list[int]:
    trace = trace_of(jobs, 1000.0)
    run = replay(trace, flexible(trace, slack), policy)
    assert run.notes == ()
    return [int(at) for at in run.begin - T0]


def test_asap_plans_nothing() -> None:
    trace = trace_of([(0, 10, 1), (5, 10, 1)])
    run = replay(trace, flexible(trace, {0: DAY, 1: DAY}), AsSoonAsPossible())
    assert run.begin.tolist() == run.start.tolist() == trace.submit.tolist()
    assert (run.policy, len(run.plan_seconds)) == ("asap", 0)


# Greenest


@settings(max_examples=150, deadline=None)
@given(
    st.lists(st.integers(50, 60), min_size=8, max_size=8),
    st.integers(0, SLOT - 1),
    st.integers(0, 5 * SLOT),
    st.integers(1, 3 * SLOT),
)
def test_greenest_is_the_earliest_least_mean_by_brute_force(
    carbon: list[int], offset: int, slack: int, duration: int
) -> None:
    grid = TimeGrid(T0, SLOT, 8)
    now = T0 + offset

    def mean(start: int) -> float:
        seconds = np.arange(start, start + duration)
        return float(np.array(carbon, float)[(seconds - T0) // SLOT].mean())

    options = [now, *(at for at in grid.starts().tolist() if now < at <= now + slack)]
    options = [at for at in options if at + duration <= grid.end]
    found = greenest_start(
        grid, np.array(carbon, float), now=now, latest=now + slack, duration=duration
    )
    if not options:
        assert found == now
        return
    least = min(mean(at) for at in options)
    assert found == min(at for at in options if mean(at) <= least + 1e-7)


def test_greenest_waits_for_the_green_slot_within_its_slack_and_knows_no_room() -> None:
    signals = Made([9, 9, 5, 9, 1, 9, 9, 9])
    jobs = [(0, SLOT, 600), (0, SLOT, 600), (0, SLOT, 600)]
    slack = {0: 2.0 * SLOT, 1: 4.0 * SLOT}
    assert begins(Greenest(signals), jobs, slack) == [2 * SLOT, 4 * SLOT, 0]


def test_greenest_goes_by_the_limit_unless_told_the_runtime() -> None:
    # For one slot the third is greenest; for three, the first.
    signals = Made([2, 2, 1, 9, 9, 9, 9, 9])
    job = [(0, SLOT, 1, 3 * SLOT)]
    assert begins(Greenest(signals), job, {0: DAY}) == [0]
    assert begins(Greenest(signals, duration=actual), job, {0: DAY}) == [2 * SLOT]


def test_greenest_sees_only_what_was_published() -> None:
    carbon = [9, 8, 9, 1, 9, 9, 9]
    seen = Made(carbon, published=3 * SLOT)  # three slots from now on
    assert begins(Greenest(seen), [(0, SLOT, 1)], {0: DAY}) == [SLOT]
    assert begins(Greenest(Made(carbon), horizon_slots=3), [(0, SLOT, 1)], {0: DAY}) == [SLOT]
    assert begins(Greenest(Made([])), [(7, SLOT, 1)], {0: DAY}) == [7]
    gap = Made([9, np.nan, 9, 5, 9])
    assert begins(Greenest(gap), [(0, 2 * SLOT, 1)], {0: 2.0 * SLOT}) == [2 * SLOT]


# Wait awhile


def test_wait_awhile_takes_the_first_slot_at_or_below_the_quantile() -> None:
    signals = Made([9, 7, 5, 3, 1, 9])
    for share, slot in ((0.0, 4), (0.25, 3), (0.5, 2), (1.0, 0)):
        policy = WaitAwhile(signals, share=share)
        assert begins(policy, [(0, SLOT, 1)], {0: 4.0 * SLOT}) == [slot * SLOT]
    assert WaitAwhile(signals, share=0.25).parameter == "share=0.25"


def test_wait_awhile_starts_now_where_now_is_green_or_nothing_is_known() -> None:
    assert begins(WaitAwhile(Made([1, 9, 9, 9])), [(60, SLOT, 1)], {0: 3.0 * SLOT}) == [60]
    assert begins(WaitAwhile(Made([])), [(60, SLOT, 1)], {0: DAY}) == [60]
    unknown_first = Made([np.nan, 5, 4, np.nan])
    assert begins(WaitAwhile(unknown_first, share=0.0), [(60, SLOT, 1)], {0: DAY}) == [2 * SLOT]


# COAST

REF = Weights(2.0, 3.0, 5.0, 10.0, 4.0)


def test_coast_cost_is_the_weighted_sum_by_hand() -> None:
    # Half an hour from slot 1; submitted at slot 0: carbon 1 kWh x 100 g / 10, delay 0.5 h,
    # congestion (3 + 1)^2 - 3^2 = 7, / 4.
    player = Player(first=0, last=1, length=1, size=1.0, energy=1.0, delay_h=0.0)
    cost = costs(player, np.array([0.0, 100.0]), np.array([0.0, 3.0]), REF, 0.5)
    assert cost.tolist() == pytest.approx([5 * 1 / 4, 2 * 10 + 3 * 0.5 + 5 * 7 / 4])


def test_coast_spreads_energy_and_congestion_over_the_slots_of_the_run() -> None:
    player = Player(first=1, last=1, length=2, size=2.0, energy=2.0, delay_h=-0.25)
    carbon, load = np.array([0.0, 100.0, 300.0]), np.array([9.0, 1.0, 4.0])
    congestion = (3**2 - 1**2) + (6**2 - 4**2)
    expected = 2 * 400 / 10 + 3 * (0.5 - 0.25) + 5 * congestion / 4
    assert costs(player, carbon, load, REF, 0.5).tolist() == pytest.approx([expected])


def potential(
    players: list[Player], slots: list[int], carbon: Any, load: Any, weights: Weights
) -> float:
    """The sum of the jobs' own terms, and of the squared load."""
    own = 0.0
    total = np.array(load, float)
    for player, slot in zip(players, slots, strict=True):
        energy = player.energy / player.length * carbon[slot : slot + player.length].sum()
        own += weights.alpha * energy / weights.carbon_ref
        own += weights.beta * (player.delay_h + slot * 0.5)
        total[slot : slot + player.length] += player.size
    return own + weights.gamma * float((total**2).sum()) / weights.congestion_ref


PLAYER = st.builds(
    lambda first, room, length, size, energy: Player(
        first, min(first + room, 12 - length), length, float(size), float(energy), 0.0
    ),
    st.integers(0, 3),
    st.integers(0, 8),
    st.integers(1, 4),
    st.integers(1, 9),
    st.integers(1, 9),
)


@settings(max_examples=150, deadline=None)
@given(
    st.lists(PLAYER, min_size=2, max_size=6),
    st.lists(st.integers(50, 400), min_size=12, max_size=12),
    st.lists(st.integers(0, 20), min_size=12, max_size=12),
    st.sampled_from([0.0, 0.5, 5.0]),
)
def test_each_sweep_of_answers_lowers_the_potential_down_to_an_equilibrium(
    players: list[Player], intensity: list[int], taken: list[int], gamma: float
) -> None:
    carbon, load = np.array(intensity, float), np.array(taken, float)
    weights = Weights(1.0, 1.0, gamma, 100.0, 10.0)
    chosen = solve(players, carbon, load, weights, 0.5, sweeps=0)
    value = potential(players, chosen, carbon, load, weights)
    for sweeps in range(1, 8):
        following = solve(players, carbon, load, weights, 0.5, sweeps=sweeps)
        lower = potential(players, following, carbon, load, weights)
        assert lower < value if following != chosen else lower == value
        chosen, value = following, lower
    chosen = solve(players, carbon, load, weights, 0.5)
    value = potential(players, chosen, carbon, load, weights)
    for at, player in enumerate(players):
        for slot in range(player.first, player.last + 1):
            other = [*chosen[:at], slot, *chosen[at + 1 :]]
            assert potential(players, other, carbon, load, weights) >= value - 1e-9
    assert load.tolist() == taken


def test_congestion_alone_spreads_equal_jobs() -> None:
    players = [Player(0, 3, 1, 1.0, 1.0, 0.0) for _ in range(4)]
    spread = solve(players, np.ones(4), np.zeros(4), Weights(0, 0, 1), 0.5)
    assert sorted(spread) == [0, 1, 2, 3]
    together = solve(players, np.ones(4), np.zeros(4), Weights(0, 0, 0), 0.5)
    assert together == [0, 0, 0, 0]


def test_a_job_without_a_known_window_has_no_slot_and_takes_no_load() -> None:
    carbon = np.array([np.nan, 5.0, np.nan])
    players = [Player(0, 1, 2, 1.0, 1.0, 0.0), Player(2, 1, 1, 1.0, 1.0, 0.0)]
    assert solve(players, carbon, np.zeros(3), Weights(), 0.5) == [-1, -1]


def test_coast_starts_at_slot_starts_within_the_slack() -> None:
    signals = Made([9, 9, 9, 1, 9, 9, 9, 9])
    policy = Coast(signals, POWER, alpha=64.0)
    jobs = [(60, SLOT, 1), (60, SLOT, 1), (60, SLOT, 1)]
    slack = {0: DAY, 1: 2.5 * SLOT, 2: 0.9 * SLOT}
    # The third has no slot start left: at once.
    assert begins(policy, jobs, slack) == [3 * SLOT, SLOT, 60]
    assert policy.parameter == "alpha=64"


def test_coast_remembers_what_it_has_placed() -> None:
    # Two equal green slots; the same jobs come one after the other.
    signals = Made([9, 9, 9, 1, 1, 9, 9, 9])
    jobs = [(at, SLOT, 10) for at in range(4)]
    slack = dict.fromkeys(range(4), float(DAY))
    # The paper's weight of congestion is small.
    assert begins(Coast(signals, POWER), jobs, slack) == [3 * SLOT] * 4
    crowded = Coast(signals, POWER)
    crowded._weights = Weights(1.0, 0.0, 1.0, 1.0, 100.0)
    assert sorted(begins(crowded, jobs, slack)) == [3 * SLOT, 3 * SLOT, 4 * SLOT, 4 * SLOT]


def test_coast_lets_go_of_what_is_past() -> None:
    signals = Made([9.0] * 400)
    policy = Coast(signals, POWER)
    later = 300 * SLOT
    jobs = [(0, SLOT, 10), (later, SLOT, 10)]
    assert begins(policy, jobs, {0: DAY, 1: DAY}) == [0, later]
    assert policy._load.tolist() == [10.0] + [0.0] * 95


def test_coast_scales_by_the_medians_of_the_flexible_jobs() -> None:
    signals = Made([100.0] * 200)
    policy = Coast(signals, PowerCoefficients(kw_per_node=0.04))
    jobs = [(0, SLOT, 2), (0, 2 * SLOT, 4), (0, 4 * SLOT, 8), (0, 90 * SLOT, 900)]
    begins(policy, jobs, {0: DAY, 1: DAY, 2: DAY})
    # Energies 0.04, 0.16, 0.64 kWh; size^2 x slots 4, 32, 256.
    assert policy._weights is not None
    assert policy._weights.carbon_ref == pytest.approx(16.0)
    assert policy._weights.congestion_ref == pytest.approx(32.0)


def test_coast_without_a_forecast_starts_at_once() -> None:
    assert begins(Coast(Made([]), POWER), [(60, SLOT, 1)], {0: DAY}) == [60]


def test_no_peer_asks_for_what_it_may_not_have() -> None:
    rng = np.random.default_rng(4)
    signals = Made(rng.uniform(20, 300, 300).tolist())
    submit = np.sort(rng.integers(0, 100 * SLOT, 200)).tolist()
    jobs = [
        (at, int(rng.integers(1, 9 * SLOT)), int(rng.integers(1, 5)), 9 * SLOT) for at in submit
    ]
    trace = trace_of(jobs, 40.0)
    flex = flexible(trace, {at: float(rng.integers(0, 30 * SLOT)) for at in range(0, 200, 2)})
    for policy in (Greenest(signals), WaitAwhile(signals), Coast(signals, POWER)):
        run = replay(trace, flex, policy)
        assert run.notes == ()
        assert (run.begin > trace.submit).sum() > 20
        assert (run.begin[~flex.flexible] == trace.submit[~flex.flexible]).all()
    assert replay(trace, rigid(trace), Greenest(signals)).begin.tolist() == trace.submit.tolist()
