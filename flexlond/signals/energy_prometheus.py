"""A meter's samples from Prometheus over a span of time: what settlement makes readings of.

Law: asks for the samples as they were scraped, with their own times: an instant query of a range selector
(`SELECTOR[SECONDS s]`), never a range query, whose steps repeat old samples as if they were new. So the query
must be a plain selector; what is computed needs a recording rule. As many series must answer as the site says
there are, and each is handed out by itself: their sum is settlement's matter. Raises SignalError. Times are
epoch seconds (UTC), values in the meter's own unit. Source: the HTTP API of Prometheus, "Querying".
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from flexlond.signals.fetching import Advice, get_json
from flexlond.signals.meter_prometheus import series_of
from flexlond.signals.rows import SignalError, number

if TYPE_CHECKING:
    from collections.abc import Sequence

    import httpx

Samples = list[tuple[float, float]]
CHUNK = 6 * 3600  # seconds asked for at once
_ADVICE = Advice(
    slow="check that server, or settle fewer days at once",
    away="check that it runs, and the url of the point",
    moved="set the point's url to that address",
    often="settle fewer days at once",
    refused='the query must be a plain selector like pdu_energy_joules_total{room="1"}',
)


async def read_samples(
    client: httpx.AsyncClient, url: str, query: str, begin: int, end: int, *, series: int = 1
) -> list[Samples]:
    """The samples in (begin, end] of each series, in order of time. Raises SignalError."""
    address = f"{url.rstrip('/')}/api/v1/query"
    found: dict[tuple[tuple[str, str], ...], dict[float, float]] = {}
    upto = begin
    while upto < end:
        upto = min(end, upto + CHUNK)
        since = max(begin, upto - CHUNK)
        params = {"query": f"{query}[{upto - since}s]", "time": str(upto)}
        reply = await get_json(client, address, params, end, _ADVICE)
        try:
            parts = parse_matrix(reply)
        except SignalError as error:
            raise SignalError(f"{address}: {error}; check the query {query[:80]!r}") from None
        for labels, samples in parts:
            found.setdefault(labels, {}).update(samples)
    if len(found) != series:
        raise SignalError(
            f"{address}: {query[:80]!r} has {len(found)} series between the two moments and the point"
            f" says {series}; check the query, or the exporter that is missing"
        )
    return [sorted(found[labels].items()) for labels in sorted(found)]


def parse_matrix(reply: Any) -> Sequence[tuple[tuple[tuple[str, str], ...], Samples]]:
    """(labels, samples) of each series; a value that is no number is left out. Raises SignalError."""
    return [_series(one) for one in series_of(reply, "matrix", "a matrix of samples")]


def _series(one: Any) -> tuple[tuple[tuple[str, str], ...], Samples]:
    metric = one.get("metric") if isinstance(one, dict) else None
    values = one.get("values") if isinstance(one, dict) else None
    if not isinstance(metric, dict) or not isinstance(values, list):
        raise SignalError("a series has no labels or no samples")
    samples: Samples = []
    for sample in values:
        if not isinstance(sample, list) or len(sample) != 2 or math.isnan(number(sample[0])):
            raise SignalError("a sample is not [time, value]")
        value = number(sample[1])
        if math.isfinite(value):
            samples.append((number(sample[0]), value))
    labels = tuple(sorted((str(name), str(word)) for name, word in metric.items()))
    return labels, samples
