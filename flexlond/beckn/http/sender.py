"""The way out over HTTP: one try of one outbox item.

Law: the address comes from the registry at the time of the try, never from a message; a redirect is not
followed. A peer that is revoked meanwhile gets nothing. Whatever happens is an Attempt, written down by the
node; nothing raises for what the network does. Durations in seconds. Source: RFC 9110 for Retry-After.
"""

from __future__ import annotations

from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING

import httpx

from flexlond.beckn.journal.outbox import Attempt
from flexlond.beckn.trust import registry as trust
from flexlond.beckn.wire import acks
from flexlond.beckn.wire.codes import Refusal

if TYPE_CHECKING:
    from collections.abc import Callable

    from flexlond.beckn.journal.outbox import Outgoing
    from flexlond.beckn.node.node import Node
    from flexlond.beckn.trust.registry import Registry

TIMEOUT = 30.0


class Sender:
    """Sends for one node."""

    def __init__(
        self, node: Node, registry: Registry, client: httpx.AsyncClient, clock: Callable[[], float]
    ) -> None:
        self._node = node
        self._registry = registry
        self._client = client
        self._clock = clock

    async def send(self, item: Outgoing) -> str:
        """One try; the item's state after it: WAITING, DONE or FAILED."""
        header = self._node.begin(item, self._clock())
        attempt = await self._try(item, header)
        return self._node.end(item, attempt, self._clock())

    async def _try(self, item: Outgoing, header: str) -> Attempt:
        now = self._clock()
        try:
            peer = await self._registry.find(item.peer, item.peer_key, now)
            trust.check(peer, now, self._node.settings.networks)
        except Refusal as refusal:
            return Attempt(None, fault=f"{refusal.code.value}: {refusal.text}")
        headers = {"authorization": header, "content-type": "application/json"}
        try:
            async with self._client.stream(
                "POST",
                f"{peer.url}/{item.action}",
                content=item.body,
                headers=headers,
                follow_redirects=False,
                timeout=TIMEOUT,
            ) as response:
                body = await _read(response)
        except httpx.TimeoutException:
            return Attempt(None, fault=f"{peer.host} did not answer within {TIMEOUT:.0f} s")
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            return Attempt(None, fault=f"{peer.host}: {type(error).__name__}: {error}"[:300])
        now = self._clock()
        return Attempt(
            acks.hear(response.status_code, body),
            response.status_code,
            retry_after(response.headers.get("retry-after", ""), now),
            self._node.proof_of(response.headers.get("signature", ""), header, body, peer, now),
        )


async def _read(response: httpx.Response) -> bytes:
    """At most what an answer may have; the rest is not read."""
    body = b""
    async for chunk in response.aiter_bytes():
        body += chunk
        if len(body) > acks.MAX_ANSWER_BYTES:
            break
    return body


def retry_after(text: str, now: float) -> float:
    """Seconds from a Retry-After header, a number or a date; 0 when it says nothing usable."""
    text = text.strip()
    if text.isascii() and text.isdigit():
        return float(text[:9])
    try:
        return max(0.0, parsedate_to_datetime(text).timestamp() - now)
    except (ValueError, TypeError, OverflowError):
        return 0.0
