"""A registry over HTTP: DeDi look-ups, kept for a while, misses too.

Law: asks one configured address only, with the ids escaped; a key of a wrong kind, a record of another
subscriber, and a revoked one are not believed. What was found is believed `keep` seconds, so a revocation
takes at most that long; what was not found is not asked for again for `keep_miss` seconds. A registry that
does not answer lets nobody in. Concurrent questions for one key are one request. Durations in seconds.
Source: the look-up of the fabric's DeDi registry.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from datetime import datetime
from typing import Any
from urllib.parse import quote

import httpx

from flexlond.beckn.trust.keys import BadKeyError, PublicKey
from flexlond.beckn.trust.registry import Subscriber, check_url
from flexlond.beckn.wire import strict_json
from flexlond.beckn.wire.actions import Role
from flexlond.beckn.wire.codes import Code, Refusal

MAX_ANSWER = 64 * 1024
MOST_KEPT = 10_000


class Dedi:
    """Finds participants at `base`, in the registry named `registry`."""

    def __init__(
        self,
        client: httpx.AsyncClient,
        base: str,
        *,
        registry: str = "subscribers.beckn.one",
        keep: float = 300.0,
        keep_miss: float = 30.0,
        timeout: float = 5.0,
    ) -> None:
        self._client = client
        self._base = check_url(base)
        self._registry = registry
        self._keep = keep
        self._keep_miss = keep_miss
        self._timeout = timeout
        self._kept: OrderedDict[tuple[str, str], tuple[float, Subscriber | Refusal]] = OrderedDict()
        self._asking: dict[tuple[str, str], asyncio.Task[Subscriber]] = {}

    async def find(self, subscriber: str, key_id: str, now: float) -> Subscriber:
        """From what is kept, or by one request."""
        wanted = (subscriber, key_id)
        kept = self._kept.get(wanted)
        if kept is not None and kept[0] > now:
            if isinstance(kept[1], Refusal):
                raise kept[1].again()
            return kept[1]
        task = self._asking.get(wanted)
        if task is None:
            task = asyncio.create_task(self._ask(subscriber, key_id, now))
            self._asking[wanted] = task
            task.add_done_callback(lambda done: self._done(wanted, done))
        return await asyncio.shield(task)

    def forget(self) -> None:
        """Ask anew for everyone."""
        self._kept.clear()

    def _done(self, wanted: tuple[str, str], task: asyncio.Task[Subscriber]) -> None:
        self._asking.pop(wanted, None)
        if not task.cancelled():
            task.exception()  # whoever waits has it; nobody waiting is no fault

    async def _ask(self, subscriber: str, key_id: str, now: float) -> Subscriber:
        try:
            found = await self._look_up(subscriber, key_id)
        except Refusal as refusal:
            if refusal.code is not Code.NET_DOWNSTREAM_UNAVAILABLE:
                self._remember((subscriber, key_id), now + self._keep_miss, refusal)
            raise
        self._remember((subscriber, key_id), now + self._keep, found)
        return found

    def _remember(self, wanted: tuple[str, str], until: float, found: Subscriber | Refusal) -> None:
        self._kept.pop(wanted, None)
        self._kept[wanted] = (until, found)
        while len(self._kept) > MOST_KEPT:
            self._kept.popitem(last=False)

    async def _look_up(self, subscriber: str, key_id: str) -> Subscriber:
        parts = (subscriber, self._registry, key_id) if subscriber else tuple(key_id.split("/"))
        if any(part in {"", ".", ".."} for part in parts):
            raise Refusal(Code.AUT_KEY_NOT_FOUND, f"{key_id[:80]!r} is no key id")
        url = f"{self._base}/lookup/{'/'.join(quote(part, safe='') for part in parts)}"
        status, body = await self._get(url)
        if status == 404:
            raise Refusal(
                Code.AUT_SUBSCRIBER_NOT_FOUND,
                f"{(subscriber or key_id)[:80]!r} with that key is not registered",
            )
        if status != 200:
            raise _unavailable(f"the registry answered {status}")
        try:
            answer = strict_json.parse(body, MAX_ANSWER)
        except Refusal as refusal:
            raise _unavailable(
                f"the registry's answer is no JSON object ({refusal.text})"
            ) from None
        return _read(answer.get("data"), subscriber, key_id)

    async def _get(self, url: str) -> tuple[int, bytes]:
        body = b""
        try:
            async with self._client.stream(
                "GET", url, follow_redirects=False, timeout=self._timeout
            ) as response:
                async for chunk in response.aiter_bytes():
                    body += chunk
                    if len(body) > MAX_ANSWER:
                        raise _unavailable(f"the registry answered more than {MAX_ANSWER} bytes")
        except httpx.HTTPError as error:
            raise _unavailable(f"the registry did not answer ({type(error).__name__})") from None
        return response.status_code, body


def _read(data: Any, subscriber: str, key_id: str) -> Subscriber:
    """A record as a participant. Raises Refusal for what must not be believed."""
    details = data.get("details") if isinstance(data, dict) else None
    if not isinstance(data, dict) or not isinstance(details, dict):
        raise Refusal(Code.AUT_KEY_NOT_FOUND, "the registry's record has no details")
    named = str(details.get("subscriber_id", ""))
    if not named or (subscriber and named != subscriber):
        raise Refusal(Code.AUT_SUBSCRIBER_NOT_FOUND, f"the registry's record is of {named[:80]!r}")
    try:
        key = PublicKey.of_text(str(details.get("signing_public_key", "")))
        url = check_url(str(details.get("url", "")))
        role = Role(str(details.get("type", "")).upper())
        until = _moment(details.get("valid_until", data.get("valid_till")))
        begin = _moment(details.get("valid_from"))
    except (BadKeyError, ValueError) as fault:
        raise Refusal(Code.AUT_KEY_NOT_FOUND, f"{named}: {fault}") from None
    members = data.get("network_memberships")
    return Subscriber(
        id=named,
        role=role,
        key_id=key_id,
        key=key,
        url=url,
        revoked=_is_revoked(data) or _is_revoked(details),
        key_from=begin,
        key_until=until,
        networks=tuple(str(one) for one in members) if isinstance(members, list) else (),
    )


def _is_revoked(record: dict[str, Any]) -> bool:
    """Anything but a plain no counts as revoked, and so does any state but a live one."""
    state = str(record.get("status", record.get("state", "live"))).lower()
    return record.get("is_revoked", False) is not False or state in {
        "revoked",
        "suspended",
        "expired",
        "inactive",
    }


def _moment(value: Any) -> float:
    if value in (None, ""):
        return 0.0
    moment = datetime.fromisoformat(str(value))
    if moment.tzinfo is None:
        raise ValueError(f"{value!r} has no offset")
    return moment.timestamp()


def _unavailable(text: str) -> Refusal:
    return Refusal(Code.NET_DOWNSTREAM_UNAVAILABLE, f"{text}; come again later", retry_after=10)
