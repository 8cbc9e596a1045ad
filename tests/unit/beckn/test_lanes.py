"""A peer that hangs keeps nothing from the others, however much is due to it."""

from __future__ import annotations

import asyncio
import time
import uuid
from typing import TYPE_CHECKING

from flexlond.beckn.http.pump import LANES, PEER_LANES
from flexlond.beckn.journal.journal import Journal
from flexlond.beckn.journal.outbox import Outgoing
from flexlond.beckn.trust.registry import Subscriber
from flexlond.beckn.wire.actions import Role
from tests.unit.beckn.kit import BPP, KEYS, sample
from tests.unit.beckn.test_http import two_sites, until

if TYPE_CHECKING:
    from flexlond.beckn.http.pump import Pump


class Hung:
    """It takes a connection and never says a word."""

    def __init__(self) -> None:
        self.open = 0
        self.most = 0

    async def take(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.open += 1
        self.most = max(self.most, self.open)
        await reader.read()  # until the other end gives up
        writer.close()


async def test_a_peer_that_hangs_keeps_nothing_from_the_others() -> None:
    hung = Hung()
    far = await asyncio.start_server(hung.take, "127.0.0.1", 0)
    async with far, two_sites() as (bap, _, registry, _):
        port = far.sockets[0].getsockname()[1]
        dead = Subscriber(
            "else.test", Role.BPP, "k1", KEYS["else.test"].public, f"http://127.0.0.1:{port}/beckn"
        )
        registry.found["else.test", "k1"] = dead
        living, now = registry.found[BPP.id, "k1"], time.time()
        for _ in range(80):  # more than are looked at in one turn
            bap.node.ask("discover", dead, str(uuid.uuid4()), sample("discover"), now - 1.0)
        asked = bap.node.ask("discover", living, str(uuid.uuid4()), sample("discover"), now)
        bap.pump.wake()
        await until(lambda: state_of(bap.journal, asked) == "DONE")
        await until(lambda: hung.open == PEER_LANES)
        assert hung.most == PEER_LANES < LANES
        assert lanes(bap.pump) == PEER_LANES


def state_of(journal: Journal, message_id: str) -> str:
    found = journal.outbox.request(message_id)
    assert found is not None
    return found.state


def lanes(pump: Pump) -> int:
    return len(pump._flying)


def test_what_is_due_to_a_busy_peer_is_not_in_view() -> None:
    journal = Journal(":memory:", Role.BAP)
    for number, peer in enumerate(["a", "b", "a", "c"]):
        item = Outgoing("discover", peer, "k1", f"m{number}", "t", b"{}", "d", 0, "", 1.0, 0.0)
        journal.outbox.add(item)
    assert [one.peer for one in journal.outbox.due(2.0)] == ["a", "b", "a", "c"]
    assert [one.peer for one in journal.outbox.due(2.0, ["a", "c"])] == ["b"]
    assert [one.peer for one in journal.outbox.due(2.0, ["a"], 1)] == ["b"]
    journal.close()
