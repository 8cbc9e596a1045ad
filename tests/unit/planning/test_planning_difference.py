from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from flexlond.planning.difference import Change, ChangeKind, Rules, Seen, Wish, difference

NOW = 1_000_000
RULES = Rules(min_change_seconds=60, min_change_interval=300, min_saving_gbp=0.5)


def one(wish: Wish, seen: Seen, rules: Rules = RULES) -> Change | None:
    changes = difference([wish], {seen.job_id: seen}, NOW, rules)
    return changes[0] if changes else None


def test_a_new_hold_is_sent_when_it_saves_enough() -> None:
    seen = Seen(1, begin=NOW - 50, ours=False)
    change = one(Wish(1, NOW + 3600, NOW + 9000, saving_gbp=0.6), seen)
    assert change == Change(1, ChangeKind.HOLD, NOW + 3600, NOW - 50, safety=False, why="deferred")
    assert one(Wish(1, NOW + 3600, NOW + 9000, saving_gbp=0.4), seen) is None
    assert one(Wish(1, NOW + 3600, NOW + 9000, saving_gbp=float("nan")), seen) is None
    assert one(Wish(1, NOW + 59, NOW + 9000, saving_gbp=9), seen) is None


def test_nothing_is_sent_when_the_queue_is_as_wished() -> None:
    assert one(Wish(1, NOW + 500, NOW + 900), Seen(1, NOW + 500, ours=True)) is None
    assert one(Wish(1, 0, NOW + 900), Seen(1, NOW - 5, ours=False)) is None
    assert one(Wish(1, 0, NOW + 900), Seen(1, 0, ours=False)) is None


def test_a_release_respects_the_users_own_begin() -> None:
    change = one(Wish(1, 0, NOW + 9000), Seen(1, NOW + 800, ours=True, original=NOW + 300))
    assert change is not None
    assert (change.kind, change.begin) == (ChangeKind.RELEASE, NOW + 300)
    # The user's own future begin is not ours to release.
    seen = Seen(1, NOW + 800, ours=False, original=NOW + 800)
    assert one(Wish(1, 0, NOW + 9000), seen) is None


def test_a_job_is_changed_at_most_once_per_interval_unless_for_safety() -> None:
    seen = Seen(1, NOW + 4000, ours=True, changed_at=NOW - 10)
    assert one(Wish(1, NOW + 2000, NOW + 9000), seen) is None
    assert one(Wish(1, 0, NOW + 9000), seen) is None
    late = one(Wish(1, NOW + 2000, NOW + 3000), seen)
    assert late is not None
    assert (late.safety, late.begin) == (True, NOW + 2000)
    released = one(Wish(1, 0, NOW - 1), seen)
    assert released is not None
    assert (released.safety, released.kind, released.begin) == (True, ChangeKind.RELEASE, NOW)


def test_small_moves_are_not_sent_unless_for_safety() -> None:
    seen = Seen(1, NOW + 4000, ours=True)
    assert one(Wish(1, NOW + 4030, NOW + 9000), seen) is None
    assert one(Wish(1, NOW + 3000, NOW + 9000), seen) is not None
    late = one(Wish(1, NOW + 3990, NOW + 3990), seen)
    assert late is not None
    assert late.begin == NOW + 3990


def test_a_wish_for_an_unseen_job_makes_no_change_and_safety_comes_first() -> None:
    wishes = [Wish(1, NOW + 500, NOW + 900), Wish(2, 0, NOW + 9000), Wish(3, 0, NOW + 10)]
    seen = {2: Seen(2, NOW + 700, ours=True), 3: Seen(3, NOW + 700, ours=True)}
    assert [change.job_id for change in difference(wishes, seen, NOW, RULES)] == [3, 2]


times = st.integers(NOW - 5000, NOW + 5000)


@given(
    begin=st.one_of(st.just(0), times),
    latest=times,
    current=times,
    ours=st.booleans(),
    original=st.one_of(st.just(0), times),
    changed=st.one_of(st.just(0), st.integers(NOW - 5000, NOW)),
    saving=st.floats(-1, 2),
)
def test_no_change_is_ever_late_and_a_second_pass_finds_nothing(
    *,
    begin: int,
    latest: int,
    current: int,
    ours: bool,
    original: int,
    changed: int,
    saving: float,
) -> None:
    wish = Wish(1, begin, latest, saving)
    seen = Seen(1, current, ours, original, changed)
    change = one(wish, seen)
    if change is None:
        if ours and current > NOW:
            assert current <= max(latest, original)  # what is late is never left alone
        return
    assert change.begin <= max(latest, original, NOW)
    assert change.begin >= original or change.begin >= NOW
    ours_now = change.kind is ChangeKind.HOLD
    after = Seen(1, change.begin, ours_now, original, NOW)
    assert one(wish, after) is None
