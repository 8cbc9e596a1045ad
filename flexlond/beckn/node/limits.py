"""How often one peer may ask: a token bucket for each.

Law: a peer that asks too often is told in how many seconds to come again; others do not feel it. At most
`most` peers are remembered, the ones that asked last, so strangers cannot fill the memory. Moments are epoch
or monotonic seconds, the caller's choice, never going back. Source: the token bucket; RFC 6585 for 429.
"""

from __future__ import annotations

import math
from collections import OrderedDict

from flexlond.beckn.wire.codes import Code, Refusal


class Buckets:
    """Token buckets by name."""

    def __init__(self, per_second: float, burst: int, most: int = 10_000) -> None:
        self._rate = per_second
        self._burst = float(burst)
        self._most = most
        self._left: OrderedDict[str, tuple[float, float]] = OrderedDict()  # tokens, at

    def take(self, name: str, now: float) -> None:
        """Take one token. Raises Refusal (AUT_RATE_LIMITED) with the seconds to wait."""
        tokens, at = self._left.pop(name, (self._burst, now))
        tokens = min(self._burst, tokens + max(0.0, now - at) * self._rate)
        if tokens < 1.0:
            self._left[name] = (tokens, now)
            wait = max(1, math.ceil((1.0 - tokens) / self._rate))
            raise Refusal(
                Code.AUT_RATE_LIMITED, f"asked too often; come again in {wait} s", retry_after=wait
            )
        self._left[name] = (tokens - 1.0, now)
        while len(self._left) > self._most:
            self._left.popitem(last=False)
