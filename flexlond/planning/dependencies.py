"""Slurm's dependency strings, and latest starts run backwards over them.

Law: a job on which another waits must start early enough for the other to be in time; a job on which a job
without consent (or without a known latest start) waits is not deferred (DESIGN rule 6). Every kind of
dependency counts as "wait for its end", which is the safe side for `after` (its start). Unknown ids and
circles are harmless: an unknown id makes no edge, every job on a circle is not deferred.
Source: sbatch(1) --dependency; squeue prints "afterok:12(unfulfilled),afterany:13_*(failed)".
"""

from __future__ import annotations

import re
from bisect import bisect_left
from typing import TYPE_CHECKING

import numpy as np

from flexlond.planning.problem import NEVER

if TYPE_CHECKING:
    from collections.abc import Hashable, Mapping, Sequence

    from numpy.typing import NDArray

_KINDS = ("after", "afterany", "afterburstbuffer", "aftercorr", "afternotok", "afterok", "expand")
_TARGET = re.compile(r"([0-9]{1,10})(?:_(?:[0-9]+|\*|\[[^\]]*\]))?(?:\+[0-9]+)?(?:\([a-z_ ]*\))?\Z")
_SINGLETON = re.compile(r"singleton(?:\([a-z_ ]*\))?\Z")


def predecessors(text: str) -> tuple[int, ...]:
    """The job ids that a dependency string names, in order, each once; malformed words name none.

    An or-list (`?`) waits for any of its jobs; all of them are returned, which is the safe side.
    """
    found: dict[int, None] = {}
    for clause in re.split(r"[,?]", text):
        kind, _, targets = clause.strip().partition(":")
        if kind.lower() not in _KINDS:
            continue
        for target in targets.split(":"):
            match = _TARGET.match(target.strip())
            if match:
                found[int(match.group(1))] = None
    return tuple(found)


def is_singleton(text: str) -> bool:
    """Whether the job waits for its user's earlier jobs of the same name."""
    return any(_SINGLETON.match(part.strip().lower()) for part in re.split(r"[,?]", text))


def edges(
    job_ids: Sequence[int],
    dependency: Sequence[str],
    *,
    aliases: Mapping[int, int] | None = None,
    singleton_key: Sequence[Hashable] | None = None,
) -> NDArray[np.int64]:
    """(D, 2) pairs (successor, predecessor) as indices into `job_ids`.

    `aliases` maps further ids to an index (an array's or het job's other ids). `singleton_key` is
    (user, name) per job: a singleton waits for the nearest earlier job (by id) of the same key.
    """
    index: dict[int, int] = {job: place for place, job in enumerate(job_ids)}
    for alias, place in (aliases or {}).items():
        index.setdefault(alias, place)
    siblings: dict[Hashable, list[tuple[int, int]]] = {}
    for place, key in enumerate(singleton_key or ()):
        siblings.setdefault(key, []).append((job_ids[place], place))
    for same in siblings.values():
        same.sort()
    pairs: dict[tuple[int, int], None] = {}
    for successor, text in enumerate(dependency):
        if not text:
            continue
        for job in predecessors(text):
            place = index.get(job, -1)
            if place not in {-1, successor}:
                pairs[successor, place] = None
        if singleton_key is not None and is_singleton(text):
            same = siblings[singleton_key[successor]]
            nearest = bisect_left(same, (job_ids[successor], -1)) - 1
            if nearest >= 0:
                pairs[successor, same[nearest][1]] = None
    return np.array(list(pairs), np.int64).reshape(-1, 2)


def levels(jobs: int, depends: NDArray[np.int64]) -> NDArray[np.int64]:
    """(J,) how many jobs stand before each in its longest chain; -1 for jobs on or behind a circle."""
    level = np.zeros(jobs, np.int64)
    successors: dict[int, list[int]] = {}
    waiting = np.zeros(jobs, np.int64)
    for successor, predecessor in depends.tolist():
        successors.setdefault(predecessor, []).append(successor)
        waiting[successor] += 1
    ready = np.flatnonzero(waiting == 0).tolist()
    done = len(ready)
    while ready:
        job = ready.pop()
        for successor in successors.get(job, ()):
            level[successor] = max(level[successor], level[job] + 1)
            waiting[successor] -= 1
            if waiting[successor] == 0:
                ready.append(successor)
                done += 1
    if done < jobs:
        level[waiting > 0] = -1
    return level


def chains(jobs: int, depends: NDArray[np.int64]) -> NDArray[np.int64]:
    """(J,) the lowest index of the jobs that each is tied to by dependencies; -1 for a job on its own."""
    number = np.arange(jobs)
    while len(depends):
        ends = number[depends]
        lowest = ends.min(axis=1)
        if (ends == lowest[:, None]).all():
            break
        for side in (0, 1):
            np.minimum.at(number, depends[:, side], lowest)
    tied = np.zeros(jobs, np.bool_)
    tied[depends.ravel()] = True
    return np.where(tied, number, -1)


def backward(
    latest: NDArray[np.int64],
    span: NDArray[np.float64],
    movable: NDArray[np.bool_],
    depends: NDArray[np.int64],
) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Latest starts and consent run backwards: (latest', movable'), both (J,).

    latest' of a predecessor is min(its own, latest' of each successor - its own `span`). A job is not
    movable when a successor is not movable, has no known latest start (NEVER), or is on a circle.
    """
    latest, movable = latest.copy(), movable.copy()
    if not len(depends):
        return latest, movable
    level = levels(len(latest), depends)
    movable[level < 0] = False
    # Successors have the higher level, so descending order settles each before its predecessors.
    for successor, predecessor in depends[
        np.argsort(-level[depends[:, 0]], kind="stable")
    ].tolist():
        if not movable[successor] or latest[successor] >= NEVER:
            movable[predecessor] = False
        bound = int(latest[successor]) - int(np.ceil(span[predecessor]))
        if latest[successor] < NEVER and bound < latest[predecessor]:
            latest[predecessor] = bound
    # What stands on or behind a circle was settled in no order: hands off everything that leads there.
    for _ in range(len(depends)):
        blocked = depends[~movable[depends[:, 0]], 1]
        if not movable[blocked].any():
            break
        movable[blocked] = False
    return latest, movable
