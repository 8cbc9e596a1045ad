"""How long a job will run: P50, mean and P90 from what like jobs took, with their basis.

Law: pure and deterministic; decides for how long the planner counts a job, never when it must start: the
latest safe start is computed from the time limit. Seconds. A forecast is never below 1 s, never above the
time limit, and P50 <= P90; the mean is above P90 where fewer than one in ten runs take most of the time. Every
run that started counts as it ran, failed and cancelled ones too: they took the machine for that long, and their
user's next job may. A run that its time limit ended counts as long as that limit. Runs that something else cut
short (preemption, node failure) are not for `learn`.

The estimator: keys from specific to general (LEVELS). P50 is the median of the last 5 runs of the first key
that has any. The mean is of the first key that has 3, each run counting a fifth more than the one before it:
energy and cost are in proportion to it, and where most runs fail at once and some last a day a median knows
nothing of the day. P90 is the conformal quantile of that key's last 24 runs, filled up from the more general
keys until there are 9, below which no 90 % bound exists; the time limit counts as one more run. Keys with the
time limit in them remember seconds, the others the share of the limit. The level at which P90 is read follows
what came true (it rises after a run that passed its P90, falls after one that did not), so that 9 in 10 runs
stay within it also where users change their ways. Without history all are the time limit.
Source: recent runs of the same user predict best (Tsafrir, Etsion, Feitelson 2007); the level is adaptive
conformal inference (Gibbs, Candes, NeurIPS 2021). Measured by tests/perf/prediction.py.
"""

from __future__ import annotations

import math
import sys
from operator import mul
from typing import TYPE_CHECKING, Final, NamedTuple

import msgspec
import numpy as np

from flexlond.prediction.rings import Key, Rings, middle, upper

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from flexlond.prediction.features import Features

UNLIMITED_SECONDS: Final = 86_400
"""What a job without a time limit counts for while nothing is known of it."""
LEVELS: Final = (
    "user, job name, time limit and size",
    "user, job name and time limit",
    "user and time limit",
    "user and job name",
    "user",
    "account",
    "partition",
)
_SECONDS_UP_TO: Final = 2  # these levels know the time limit; the later ones remember its share
NO_HISTORY: Final = "time limit"
NO_LIMIT: Final = "no time limit and no history"
QUANTILES: Final = tuple(number / 20 for number in range(21))
"""The levels of `RuntimeModel.quantiles`: every twentieth, with both ends."""
MAX_KEYS: Final = 20_000
_DEPTH: Final = 24
_RECENT: Final = 5
_WEIGHTS: Final = tuple(math.exp(run / 5.0) for run in range(_DEPTH))
"""Of the runs in a mean, the newest last."""
_ENOUGH_MEAN: Final = 3
_ENOUGH: Final = 9
_AIM: Final = (
    0.91  # of 0.90: a forecast is made some runs before it is judged, so a little of it is lost
)
_STEP: Final = 0.005  # how fast the level follows: a miss moves it by 0.0046, a hit by 0.0004
_LEVEL_RANGE: Final = (0.5, 0.995)
_MEMORY: Final = 0.005  # of the observed coverage: about the last 200 runs
_LONGEST_SCALE: Final = 7 * 86_400  # s; a share of a longer limit (or of none) is counted of a week
_GRID: Final = math.log(1.05)
_FORMAT: Final = f"flexlon runtime model 1 {sys.byteorder}"


class Forecast(NamedTuple):
    """The whole runtime of a job in seconds."""

    p50: float
    mean: float  # expected: what energy and cost are counted by
    p90: float
    basis: str  # what the runs it rests on have in common: one of LEVELS, or NO_HISTORY, NO_LIMIT
    samples: int  # runs of that basis; 0 without history

    @classmethod
    def without_runs(cls, seconds: float, basis: str) -> Forecast:
        """Nothing like it is known: what it may take at most, `seconds`."""
        return cls(seconds, seconds, seconds, basis, 0)


class _Stored(msgspec.Struct):
    format: str
    runs: int
    newest: int
    level: float
    coverage: float
    rows: list[tuple[Key, bytes]]


class RuntimeModel:
    """Learns from ended runs, in the order of their ends, and forecasts; not for two threads at once."""

    def __init__(self, max_keys: int = MAX_KEYS) -> None:
        self._rings = Rings(max_keys, _DEPTH)
        self.runs = 0  # learnt in all
        self.newest = 0  # epoch seconds: the latest end learnt
        self.level = _AIM  # at which P90 is read now
        self.coverage = _AIM  # share of the last 200 or so runs that ended within their P90

    def learn(self, features: Features, seconds: float, at: int) -> None:
        """A run of `seconds` that ended at `at` (epoch seconds)."""
        limit = features.limit_seconds
        took = max(1.0, seconds if limit is None else min(seconds, float(limit)))
        keys = _keys(features)
        expected = self._forecast(features, keys, 0.0)
        if expected.samples:
            within = took <= expected.p90
            low, high = _LEVEL_RANGE
            moved = self.level + _STEP * ((not within) - (1 - _AIM))
            self.level = min(high, max(low, moved))
            self.coverage += _MEMORY * (within - self.coverage)
        scale = _scale(limit)
        for place, key in enumerate(keys):
            self._rings.add(key, took if place <= _SECONDS_UP_TO else took / scale)
        self.runs += 1
        self.newest = max(self.newest, at)

    def predict(self, features: Features) -> Forecast:
        """The runtime of a job that has not started."""
        return self._forecast(features, _keys(features), 0.0)

    def predict_end(self, features: Features, elapsed: float) -> Forecast:
        """The total runtime of a job that has run `elapsed` seconds: of the runs that took longer.

        Where none did it is the time limit; always more than `elapsed`, even when the limit has passed.
        """
        return self._forecast(features, _keys(features), max(0.0, elapsed))

    def predict_many(
        self, jobs: Sequence[Features], elapsed: Sequence[float] | None = None
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """(J,), (J,): mean and P90 of each; like jobs are looked up once. ValueError on unequal lengths."""
        ran = [0.0] * len(jobs) if elapsed is None else elapsed
        known: dict[tuple[Features, float], tuple[float, float]] = {}
        found = np.empty((len(jobs), 2))
        for row, asked in enumerate(zip(jobs, ran, strict=True)):
            answer = known.get(asked)
            if answer is None:
                forecast = self.predict_end(*asked)
                answer = known[asked] = (forecast.mean, forecast.p90)
            found[row] = answer
        return found[:, 0], found[:, 1]

    def quantiles(self, features: Features, elapsed: float = 0.0) -> tuple[float, ...]:
        """The total runtime at each of QUANTILES, for a job that has run `elapsed` seconds: from like runs.

        With n runs the next is below the shortest of them once in n + 1 times, and above the longest as often:
        the distribution reaches from `elapsed` to the time limit. Without any it is even between the two.
        """
        limit = features.limit_seconds
        scale = _scale(limit)
        ceiling = max(float(limit or UNLIMITED_SECONDS), math.floor(elapsed) + 1.0)
        pool: list[float] = []
        for place, key in enumerate(_keys(features)):
            ring = self._rings.of(key)
            if len(ring) > len(pool):
                factor = 1.0 if place <= _SECONDS_UP_TO else scale
                pool += [took for value in ring if (took := min(value * factor, ceiling)) > elapsed]
            if len(pool) >= _ENOUGH:
                break
        ordered = [max(1.0, elapsed), *sorted(pool), ceiling]
        return tuple(np.interp(QUANTILES, np.linspace(0.0, 1.0, len(ordered)), ordered).tolist())

    def _forecast(self, features: Features, keys: Sequence[Key], elapsed: float) -> Forecast:
        limit = features.limit_seconds
        scale = _scale(limit)
        ceiling = math.inf if limit is None else float(limit)
        pool: list[float] = []
        newest: list[float] = []  # those of the mean, oldest first
        median, basis, samples = 0.0, "", 0
        for place, key in enumerate(keys):
            ring = self._rings.of(key)
            if len(ring) <= len(pool):
                continue  # a more general key with no more runs has the same ones
            factor = 1.0 if place <= _SECONDS_UP_TO else scale
            took = [total for value in ring if (total := min(value * factor, ceiling)) > elapsed]
            if not took:
                continue
            if not pool:
                median = middle(sorted(took[-_RECENT:]))
                basis, samples = LEVELS[place], len(took)
            if len(newest) < min(_ENOUGH_MEAN, len(took)):
                newest = took
            pool += took
            if len(pool) >= _ENOUGH:
                break
        if limit is None:
            ceiling = max([float(UNLIMITED_SECONDS), 2 * elapsed, *pool])
        ceiling = max(ceiling, math.floor(elapsed) + 1.0)
        if not pool:
            return Forecast.without_runs(ceiling, NO_LIMIT if limit is None else NO_HISTORY)
        pool.sort()
        high = upper(pool, ceiling, self.level)
        least = math.floor(elapsed) + 1.0
        p50 = min(ceiling, max(least, _on_grid(median, ceiling)))
        p90 = min(ceiling, max(p50, _on_grid(high, ceiling, up=True)))
        mean = min(ceiling, max(least, _on_grid(_fading_mean(newest), ceiling)))
        return Forecast(p50, mean, p90, basis, samples)

    def to_bytes(self) -> bytes:
        """The model as one blob, for the store."""
        stored = _Stored(
            _FORMAT, self.runs, self.newest, self.level, self.coverage, self._rings.rows()
        )
        return msgspec.msgpack.encode(stored)

    @classmethod
    def from_bytes(cls, blob: bytes, max_keys: int = MAX_KEYS) -> tuple[RuntimeModel, str]:
        """The model that `to_bytes` gave, and "", or a fresh one and why: never an exception."""
        fresh = cls(max_keys)
        if not blob:
            return fresh, ""
        try:
            stored = msgspec.msgpack.decode(blob, type=_Stored)
            if stored.format != _FORMAT:
                return (
                    fresh,
                    f"the runtimes learnt were stored as {stored.format[:60]!r}: begun afresh",
                )
            model = cls(max_keys)
            model._rings.restore(stored.rows)
        except (msgspec.MsgspecError, ValueError) as error:
            return fresh, f"the runtimes learnt cannot be read ({error}): begun afresh"
        model.runs, model.newest = max(0, stored.runs), max(0, stored.newest)
        if _LEVEL_RANGE[0] <= stored.level <= _LEVEL_RANGE[1]:
            model.level = stored.level
        if 0 <= stored.coverage <= 1:
            model.coverage = stored.coverage
        return model, ""


def _keys(features: Features) -> tuple[Key, ...]:
    """One key per level; the first figure keeps the levels apart."""
    user, name, limit = features.user, features.name_pattern, features.limit_seconds
    return (
        (0, user, name, limit, features.cpus, features.nodes, features.gpus),
        (1, user, name, limit),
        (2, user, limit),
        (3, user, name),
        (4, user),
        (5, features.account),
        (6, features.partition),
    )


def _scale(limit: int | None) -> float:
    """Seconds of which a run's share is counted."""
    return float(_LONGEST_SCALE if limit is None else max(1, min(limit, _LONGEST_SCALE)))


def _fading_mean(values: Sequence[float]) -> float:
    """The mean of values, oldest first, in which the newer ones count more."""
    weights = _WEIGHTS[-len(values) :]
    weighed: float = sum(map(mul, weights, values))
    return weighed / sum(weights)


def _on_grid(seconds: float, ceiling: float, *, up: bool = False) -> float:
    """Whole seconds in steps of 5 %, so that like jobs are planned alike; the ceiling stays what it is."""
    step = math.log(max(1.0, seconds)) / _GRID
    value = math.exp((math.ceil(step - 1e-9) if up else round(step)) * _GRID)
    if value >= ceiling or seconds >= ceiling * 0.975:
        return ceiling
    return float(math.ceil(value) if up else round(value))
