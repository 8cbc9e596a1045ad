"""The memory of the models: for each key the last few values, for a bounded number of keys.

Law: remembers, never judges. A key keeps its newest `depth` values, oldest first; beyond `max_keys` the key
that was written longest ago is forgotten, so memory is bounded (measured: about 0.5 kB per key) and what is
still in use stays. Reading changes nothing. Values are finite and not negative, as float32: exact for whole
seconds up to 194 days. The same values in the same order always give the same memory.
"""

from __future__ import annotations

import math
from array import array
from collections import OrderedDict
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

Key = tuple[str | int | None, ...]
_NOTHING: Final[Sequence[float]] = ()


class Rings:
    """Ring buffers by key, the least recently written key first."""

    def __init__(self, max_keys: int, depth: int) -> None:
        self._max_keys = max_keys
        self._depth = depth
        self._rings: OrderedDict[Key, array[float]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._rings)

    def add(self, key: Key, value: float) -> None:
        """Remember `value` as the newest of `key`."""
        ring = self._rings.get(key)
        if ring is None:
            if len(self._rings) >= self._max_keys:
                self._rings.popitem(last=False)
            ring = self._rings[key] = array("f")
        else:
            self._rings.move_to_end(key)
            if len(ring) >= self._depth:
                del ring[0]
        ring.append(value)

    def of(self, key: Key) -> Sequence[float]:
        """What is remembered of `key`, oldest first; empty when nothing is."""
        return self._rings.get(key, _NOTHING)

    def rows(self) -> list[tuple[Key, bytes]]:
        """All of it, for storing: the least recently written first."""
        return [(key, ring.tobytes()) for key, ring in self._rings.items()]

    def restore(self, rows: Iterable[tuple[Key, bytes]]) -> None:
        """Take over what `rows` gave on a machine of the same byte order; ValueError when it cannot be so."""
        for key, packed in rows:
            ring = array("f")
            ring.frombytes(packed)  # ValueError unless it is whole values
            if not all(math.isfinite(value) and value >= 0 for value in ring):
                raise ValueError(f"a value of {key} is no finite, positive number")
            for value in ring:
                self.add(key, value)


def upper(ordered: Sequence[float], bound: float, level: float) -> float:
    """The value below which a share `level` of the next ones falls: the conformal quantile.

    `ordered` ascending. The `bound` (what cannot be exceeded, or what is assumed for want of more) counts as
    one more sample, so with n values it is returned whole from level n / (n + 1) on.
    Source: Vovk, Gammerman, Shafer, "Algorithmic Learning in a Random World", 2005.
    """
    place = max(0.0, level * (len(ordered) + 1) - 1)
    low = int(place)
    if low >= len(ordered):
        return bound
    above = ordered[low + 1] if low + 1 < len(ordered) else bound
    return ordered[low] + (place - low) * (above - ordered[low])


def middle(ordered: Sequence[float]) -> float:
    """The median of ascending values; of an even number the mean of the two in the middle."""
    half = len(ordered) // 2
    return ordered[half] if len(ordered) % 2 else (ordered[half - 1] + ordered[half]) / 2
