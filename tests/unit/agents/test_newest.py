"""Who came in the last months is known after a restart."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from flexlond.agents.newest import NEWCOMERS, KeptNewest
from flexlond.daemon.store import SqliteStore
from flexlond.planning.pools import Room

if TYPE_CHECKING:
    from pathlib import Path

NOW, DAY = 1_789_999_200, 86_400
ROOM = Room(
    resources=("cpus",),
    partitions=("batch",),
    capacity=np.array([[10.0]]),
    pool_group=np.zeros(1, np.int64),
    group_capacity=np.array([[10.0]]),
)


def come(newest: KeptNewest, cpus: float, seconds: float, at: int = NOW) -> None:
    """A job of that size and limit has come."""
    newest.came(at, ROOM, np.zeros(1, np.int64), np.array([[cpus]]), np.array([seconds]))
    newest.keep(at)


def test_newcomers_survive_a_restart_and_only_news_are_written(tmp_path: Path) -> None:
    with SqliteStore(tmp_path / "s.db") as store:
        newest = KeptNewest(store, 90)
        come(newest, 4.0, 3600.0)
        come(newest, 9.0, 60.0)
        kept = {"batch": {NOW // DAY: (0.9, 3600.0)}}
        assert KeptNewest(store, 90).notes() == kept
        store.put_blob(NEWCOMERS, b"", NOW)
        come(newest, 1.0, 60.0)  # neither the largest nor the longest
        assert store.get_blob(NEWCOMERS) == b""
        come(newest, 1.0, 60.0, at=NOW + DAY)
        assert len(KeptNewest(store, 90).notes()["batch"]) == 2
        # Fewer days: the old ones are forgotten; none: nothing is taken up.
        assert list(KeptNewest(store, 1).notes()["batch"]) == [NOW // DAY + 1]
        assert not KeptNewest(store, 0).notes()


def test_what_cannot_be_read_is_learnt_again(tmp_path: Path) -> None:
    with SqliteStore(tmp_path / "s.db") as store:
        store.put_blob(NEWCOMERS, b"\xc1 no msgpack", NOW)
        newest = KeptNewest(store, 90)
        assert not newest.notes()
        come(newest, 4.0, 3600.0)
        assert KeptNewest(store, 90).notes()
