"""The least value of a class's row inside each job's own window, for all jobs at once.

Law: exact; ties go to the earliest slot. Two ways, the same answer: a sparse table (least of every run of
2^i slots; two look-ups a job) where jobs share few classes, and a masked matrix where nearly every job is a
class of its own. Shapes: n jobs, K classes, S slots.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

_CHUNK = 4096


class RangeMin:
    """Queries by job: the least of row `cls` over slots first..last."""

    def __init__(
        self,
        cls: NDArray[np.int64],
        first: NDArray[np.int64],
        last: NDArray[np.int64],
        classes: int,
        slots: int,
    ) -> None:
        """`first` to `last` (n,) both included; an empty window has no least value (inf, slot `first`)."""
        self._cls = cls
        self._first = np.clip(first, 0, max(0, slots - 1))
        self._last = np.minimum(last, slots - 1)
        self._empty = (self._last < self._first) | (first >= slots)
        length = np.maximum(self._last - self._first + 1, 1)
        self._level = (np.frexp(length)[1] - 1).astype(np.int64)  # floor(log2), exact for integers
        self._second = np.maximum(self._last - (1 << self._level) + 1, 0)
        self._levels = int(self._level.max(initial=0)) + 1
        self._slots = slots
        self.sparse = classes * self._levels <= 2 * len(cls)

    def query(
        self, values: NDArray[np.float64], jobs: NDArray[np.int64] | None = None
    ) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """(slot, value), each (n,), of `jobs` (all when None) in `values` (K, S)."""
        few = jobs is not None and len(jobs) * self._slots < values.size * self._levels
        if self.sparse and not few:
            return self._by_table(values, jobs)
        return self._by_mask(values, jobs)

    def of_rows(
        self, values: NDArray[np.float64], jobs: NDArray[np.int64]
    ) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """(slot, value), each (n,), of `jobs`, where `values` (n, S) has a row for each of them."""
        at = np.arange(self._slots)
        first, last = self._first[jobs], self._last[jobs]
        block = np.where((at < first[:, None]) | (at > last[:, None]), np.inf, values)
        best = block.argmin(axis=1)
        value = block[np.arange(len(jobs)), best]
        return np.where(np.isfinite(value), best, first), np.where(self._empty[jobs], np.inf, value)

    def _by_table(
        self, values: NDArray[np.float64], jobs: NDArray[np.int64] | None
    ) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        classes, slots = values.shape
        table = np.empty((self._levels, classes, slots), np.int32)
        table[0] = np.arange(slots, dtype=np.int32)
        least = values
        for level in range(1, self._levels):
            half = 1 << (level - 1)
            table[level] = table[level - 1]
            left, right = least[:, : slots - half], least[:, half:]
            np.copyto(
                table[level][:, : slots - half], table[level - 1][:, half:], where=right < left
            )
            below = least.copy()
            np.minimum(left, right, out=below[:, : slots - half])
            least = below
        pick = slice(None) if jobs is None else jobs
        cls, levels = self._cls[pick], self._level[pick]
        one = table[levels, cls, self._first[pick]].astype(np.int64)
        two = table[levels, cls, self._second[pick]].astype(np.int64)
        value_one, value_two = values[cls, one], values[cls, two]
        slot = np.where(value_two < value_one, two, one)
        value = np.minimum(value_one, value_two)
        return slot, np.where(self._empty[pick], np.inf, value)

    def _by_mask(
        self, values: NDArray[np.float64], jobs: NDArray[np.int64] | None
    ) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        rows = np.arange(len(self._cls)) if jobs is None else jobs
        slot = np.zeros(len(rows), np.int64)
        value = np.full(len(rows), np.inf)
        at = np.arange(self._slots)
        for begin in range(0, len(rows), _CHUNK):
            part = rows[begin : begin + _CHUNK]
            first, last = self._first[part], self._last[part]
            block = values[self._cls[part]]
            block[(at < first[:, None]) | (at > last[:, None])] = np.inf
            best = block.argmin(axis=1)
            slot[begin : begin + len(part)] = best
            value[begin : begin + len(part)] = block[np.arange(len(part)), best]
        return np.where(np.isfinite(value), slot, self._first[rows]), np.where(
            self._empty[rows], np.inf, value
        )
