"""The site's meter in Prometheus, or in whatever answers its HTTP API: an instant query.

Law: the power is the sum of the query's series, of exactly as many as the site says there are: a series that is
missing would make the sum too low, and a reduction out of thin air. Its time is the oldest sample's in it,
asked for with `timestamp(QUERY)` at the same moment, because an instant query answers with the moment of the
question and may serve a sample of five minutes ago. Raises SignalError; the site's meter decides what follows.
Source: the HTTP API of Prometheus, "Querying"; answers captured from Prometheus 2.42 (tests/fixtures/meter).
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from flexlond.signals.fetching import Advice, get_json
from flexlond.signals.rows import SignalError, number

if TYPE_CHECKING:
    from collections.abc import Sequence

    import httpx

    from flexlond.model.settings import MeterSettings

_ADVICE = Advice(
    slow="check that server or raise meter.timeout",
    away="check that it runs, and meter.url",
    moved="set meter.url to that address",
    often="raise meter.refresh",
    refused="check meter.query",
)


class PrometheusMeter:
    """Reads `settings.query` at `settings.url`."""

    def __init__(self, settings: MeterSettings) -> None:
        self._settings = settings
        self._url = f"{settings.url.rstrip('/')}/api/v1/query"

    def name(self) -> str:
        """For people."""
        return f"Prometheus at {self._settings.url}: {self._settings.query}"

    async def read(self, client: httpx.AsyncClient, now: int) -> tuple[int, float]:
        """(epoch s, value in the meter's unit). Raises SignalError."""
        values = await self._ask(client, {"query": self._settings.query}, now)
        wanted = self._settings.series
        if len(values) != wanted:
            raise SignalError(
                f"{self._url}: the query answers {len(values)} series and meter.series is {wanted}; check "
                f"meter.query ({self._settings.query}), or the exporter that is missing"
            )
        # At the moment of the first answer, so that both speak of the same samples.
        moment = {"query": f"timestamp({self._settings.query})", "time": repr(values[0][0])}
        stamps = await self._ask(client, moment, now)
        oldest = min((stamp for _, stamp in stamps), default=math.nan)
        if not math.isfinite(oldest):
            raise SignalError(
                f"{self._url}: the samples' own times are not known; check meter.query"
            )
        return math.floor(oldest), math.fsum(value for _, value in values)

    async def _ask(
        self, client: httpx.AsyncClient, params: dict[str, str], now: int
    ) -> Sequence[tuple[float, float]]:
        reply = await get_json(client, self._url, params, now, _ADVICE)
        try:
            return parse_vector(reply)
        except SignalError as error:
            raise SignalError(f"{self._url}: {error}; check meter.query") from None


def parse_vector(reply: Any) -> Sequence[tuple[float, float]]:
    """(time, value) of each series; a value that is no number is NaN. Raises SignalError."""
    found: list[tuple[float, float]] = []
    for series in series_of(reply, "vector", "a vector"):
        sample = series.get("value") if isinstance(series, dict) else None
        if not isinstance(sample, list) or len(sample) != 2 or math.isnan(number(sample[0])):
            raise SignalError("a series has no sample [time, value]")
        found.append((number(sample[0]), number(sample[1])))
    return found


def series_of(reply: Any, kind: str, words: str) -> list[Any]:
    """The series of a query's answer of this `kind`, which people call `words`. Raises SignalError."""
    if not isinstance(reply, dict) or reply.get("status") != "success":
        raise SignalError("the answer is no successful query's")
    data = reply.get("data")
    if not isinstance(data, dict) or data.get("resultType") != kind:
        other = data.get("resultType") if isinstance(data, dict) else None
        raise SignalError(f"the query answers a {str(other)[:20]!r}, not {words}")
    result = data.get("result")
    if not isinstance(result, list):
        raise SignalError("the answer has no list of series")
    return result
