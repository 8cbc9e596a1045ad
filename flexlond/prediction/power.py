"""What a job will draw: the coefficients' kW, corrected by what like jobs were measured to draw.

Law: pure and deterministic; decides the kW that the planner counts, never whether a job may wait. kW in site
terms (PUE included) on both sides of the ratio measured / modelled, so that a job of another size is scaled
by the coefficients. A power that the user stated in the directive is not for this model. Measurements that
cannot be (no energy, runs under a minute, a counter that wrapped: a ratio outside [0.05, 5]) are not learnt.
Keys from specific to general: user and job name, user, partition. P50 is the median of the last 5 ratios of
the first key that has any; P90 the conformal quantile of its last 24, filled up from the more general keys
until there are 9; an assumed ratio of 1.25 counts as one more measurement. Without any measurement P50 is the
coefficients' value and P90 1.25 times it: an assumption, and its basis says so.
Source: ConsumedEnergyRaw of sacct(1), counted per node by Slurm's energy plugin.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Final, NamedTuple

import msgspec

from flexlond.prediction.rings import Key, Rings, middle, upper

if TYPE_CHECKING:
    from flexlond.prediction.features import Features

LEVELS: Final = ("user and job name", "user", "partition")
NO_MEASUREMENT: Final = "coefficients, not measured"
MAX_KEYS: Final = 20_000
ASSUMED_HIGH: Final = 1.25
SHORTEST_SECONDS: Final = 60.0
RATIO_RANGE: Final = (0.05, 5.0)
_DEPTH: Final = 24
_RECENT: Final = 5
_ENOUGH: Final = 9
_LEVEL: Final = 0.90
_FORMAT: Final = f"flexlon power model 1 {sys.byteorder}"


class PowerForecast(NamedTuple):
    """Site kW of a job while it runs."""

    kw_p50: float
    kw_p90: float
    basis: str  # one of LEVELS, or NO_MEASUREMENT
    samples: int  # measured runs of that basis


class _Stored(msgspec.Struct):
    format: str
    runs: int
    rows: list[tuple[Key, bytes]]


class PowerModel:
    """Learns from measured runs, in the order of their ends, and forecasts; not for two threads at once."""

    def __init__(self, max_keys: int = MAX_KEYS) -> None:
        self._rings = Rings(max_keys, _DEPTH)
        self.runs = 0  # learnt in all

    def learn(
        self, features: Features, measured_kw: float, modelled_kw: float, seconds: float
    ) -> bool:
        """A run of `seconds` at `measured_kw` on average; False when that cannot be, and is left out."""
        if seconds < SHORTEST_SECONDS or modelled_kw <= 0:
            return False
        ratio = measured_kw / modelled_kw
        if not RATIO_RANGE[0] <= ratio <= RATIO_RANGE[1]:
            return False
        for key in _keys(features):
            self._rings.add(key, ratio)
        self.runs += 1
        return True

    def predict(self, features: Features, modelled_kw: float) -> PowerForecast:
        """The power of a job whose coefficients give `modelled_kw`."""
        pool: list[float] = []
        median, basis, samples = 1.0, NO_MEASUREMENT, 0
        for level, key in zip(LEVELS, _keys(features), strict=True):
            ring = self._rings.of(key)
            if len(ring) <= len(pool):
                continue  # a more general key with no more runs has the same ones
            if not pool:
                median, basis, samples = middle(sorted(ring[-_RECENT:])), level, len(ring)
            pool += ring
            if len(pool) >= _ENOUGH:
                break
        pool.sort()
        high = upper(pool, max([ASSUMED_HIGH, *pool[-1:]]), _LEVEL)
        return PowerForecast(modelled_kw * median, modelled_kw * max(median, high), basis, samples)

    def to_bytes(self) -> bytes:
        """The model as one blob, for the store."""
        return msgspec.msgpack.encode(_Stored(_FORMAT, self.runs, self._rings.rows()))

    @classmethod
    def from_bytes(cls, blob: bytes, max_keys: int = MAX_KEYS) -> tuple[PowerModel, str]:
        """The model that `to_bytes` gave, and "", or a fresh one and why: never an exception."""
        if not blob:
            return cls(max_keys), ""
        model = cls(max_keys)
        try:
            stored = msgspec.msgpack.decode(blob, type=_Stored)
            if stored.format != _FORMAT:
                return (
                    model,
                    f"the powers learnt were stored as {stored.format[:60]!r}: begun afresh",
                )
            model._rings.restore(stored.rows)
        except (msgspec.MsgspecError, ValueError) as error:
            return cls(max_keys), f"the powers learnt cannot be read ({error}): begun afresh"
        model.runs = max(0, stored.runs)
        return model, ""


def _keys(features: Features) -> tuple[Key, ...]:
    """One key per level; the first figure keeps the levels apart."""
    return (
        (0, features.user, features.name_pattern),
        (1, features.user),
        (2, features.partition),
    )
