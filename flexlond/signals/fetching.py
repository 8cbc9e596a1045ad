"""One HTTP request for a signal: JSON or a clear error, never more than a bounded amount of bytes.

Law: decides what counts as a usable answer (status 200, a JSON content type, at most MAX_BYTES, JSON that
parses) and turns everything else into `FetchError` with what happened, where, and what to do next. It never
follows a redirect (a feed's address is the site's choice) and never retries: the hub does that, later.
Sources: the services' documentation; RFC 9110 for Retry-After.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any

import httpx

from flexlond.signals.rows import SignalError

if TYPE_CHECKING:
    from collections.abc import Mapping

MAX_BYTES = 8 * 1024 * 1024
MAX_TEXT = 120  # of a server's own words in an error


@dataclass(frozen=True, slots=True)
class Advice:
    """What to do next when a request fails; the default is for a price or carbon feed."""

    slow: str = "check the network or raise signals.timeout"
    away: str = "check the network, a proxy, or set the feed's url to a mirror"
    moved: str = "set the feed's url to that address"
    often: str = "raise the feed's refresh"
    refused: str = "check region, product and url"


FEED = Advice()


class FetchError(SignalError):
    """The request failed; `retry_after` is the server's wish in seconds, 0 when it has none."""

    def __init__(self, text: str, retry_after: float = 0.0) -> None:
        super().__init__(text)
        self.retry_after = retry_after


async def get_json(
    client: httpx.AsyncClient,
    url: str,
    params: Mapping[str, str] | None,
    now: int,
    advice: Advice = FEED,
) -> Any:
    """The decoded JSON at `url`. `now` (epoch seconds) is for a Retry-After that is a date.

    Raises FetchError for anything but a complete JSON answer with status 200.
    """
    try:
        async with client.stream("GET", url, params=params, follow_redirects=False) as response:
            body = await _read(response, url)
    except httpx.TimeoutException:
        raise FetchError(f"{url} did not answer in time; {advice.slow}") from None
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise FetchError(
            f"{url} cannot be reached ({_short(str(error) or type(error).__name__)}); {advice.away}"
        ) from None
    if response.status_code != httpx.codes.OK:
        raise _refusal(response, url, body, now, advice)
    kind = response.headers.get("content-type", "no content type")
    if "json" not in kind.lower():
        raise FetchError(
            f"{url} answered {_short(kind)} instead of JSON "
            f"({_short(body.decode('utf-8', 'replace'))}); a proxy's or maintenance page?"
        )
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        raise FetchError(
            f"{url} answered JSON that does not parse; it will be asked again"
        ) from None


async def _read(response: httpx.Response, url: str) -> bytes:
    chunks: list[bytes] = []
    size = 0
    async for chunk in response.aiter_bytes():
        size += len(chunk)
        if size > MAX_BYTES:
            raise FetchError(
                f"{url} answered more than {MAX_BYTES} bytes; this is not that service"
            )
        chunks.append(chunk)
    return b"".join(chunks)


def _refusal(
    response: httpx.Response, url: str, body: bytes, now: int, advice: Advice
) -> FetchError:
    status = f"{response.status_code} {response.reason_phrase}"
    if response.is_redirect:
        target = _short(response.headers.get("location", "nowhere"))
        return FetchError(f"{url} answered {status} to {target}; {advice.moved}")
    wait = _retry_after(response.headers.get("retry-after", ""), now)
    if response.status_code == httpx.codes.TOO_MANY_REQUESTS:
        return FetchError(f"{url} answered {status}: asked too often; {advice.often}", wait)
    words = _short(body.decode("utf-8", "replace"))
    return FetchError(f"{url} answered {status} ({words}); {advice.refused}", wait)


def _retry_after(text: str, now: int) -> float:
    """Seconds from a Retry-After header (a number or a date); 0 when it says nothing usable."""
    text = text.strip()
    if text.isascii() and text.isdigit():
        return float(text[:9])
    try:
        return max(0.0, parsedate_to_datetime(text).timestamp() - now)
    except (ValueError, TypeError, OverflowError):
        return 0.0


def _short(text: str) -> str:
    """A stranger's words, printable and short enough for a log line."""
    clean = "".join(char if char.isprintable() else " " for char in text[: 4 * MAX_TEXT])
    clean = " ".join(clean.split())
    return clean if len(clean) <= MAX_TEXT else clean[: MAX_TEXT - 3] + "..."
