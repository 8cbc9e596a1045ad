"""The two sides of an order, each from its own files; one of them in a process of its own that may be killed.

A seat is a node with its agent, driven by calls: what is due, what came, what was answered. `Apart` has the
same calls, and its seat in a forked process; the process kills itself (SIGKILL) before its n-th SQL statement,
or before or after an act of the seller's works. Time is an argument; the bytes are carried by whoever calls.
"""

from __future__ import annotations

import asyncio
import functools
import json
import math
import multiprocessing
import os
import signal
import uuid
from typing import TYPE_CHECKING, Any

import numpy as np

from flexlond.agents.grid.buyer import Buyer
from flexlond.agents.grid.choosing import choose
from flexlond.agents.grid.needs import of_operator
from flexlond.agents.grid.orchestrator import Orchestrator
from flexlond.agents.grid.records import Records
from flexlond.agents.market.agent import SellerAgent
from flexlond.agents.market.port import Place
from flexlond.agents.market.works import Kept, Slot
from flexlond.beckn.contract.table import State
from flexlond.beckn.journal.journal import Journal
from flexlond.beckn.journal.outbox import Attempt
from flexlond.beckn.node.arrivals import Arrival
from flexlond.beckn.node.node import Node
from flexlond.beckn.node.settings import Identity, NodeSettings
from flexlond.beckn.trust.sources import Sources
from flexlond.beckn.wire import series
from flexlond.beckn.wire.acks import hear
from flexlond.beckn.wire.actions import Role
from flexlond.beckn.wire.codes import Code, Refusal
from flexlond.model.buy_settings import BuySettings
from flexlond.model.settings import Settings
from tests.crash.forked import fork
from tests.unit.agents.conftest import SLOT
from tests.unit.agents.grid.world import in_process
from tests.unit.agents.market.kit import FIRST, columns, market_settings, need
from tests.unit.agents.market.shop import Shop
from tests.unit.beckn.kit import BAP, BPP, SCHEMA, Fixed, at_once, subscriber

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

LIMITS = NodeSettings(rate_per_second=1e6, burst=10**9)
KW = [24.0, 12.0]
USED = 70.0  # kW that the meter reads; of 100 without an order


class DiedError(Exception):
    """The process of a seat was killed."""


class FileShop(Shop):
    """Works that outlive the seller, in a file: one line an act, on disk when it returns."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self._path = path
        self.now = 0.0
        for act, key in acts(path):
            self.made[key] = act == "make"

    async def make(self, promise: Any, now: float) -> Any:
        """Once, and what it takes the place of is not kept any more."""
        self.tick()
        if promise.key not in self.made:
            self._write("make", promise.key)
            self.made[promise.key] = True
        if self.made.get(promise.replaces):
            self._write("release", promise.replaces)
            self.made[promise.replaces] = False
        self.tick()
        return Kept("the shop")

    async def restore(self, promise: Any, now: float) -> None:
        """It forgets nothing."""

    async def release(self, key: str, now: float) -> None:
        self.tick()
        if self.made.get(key):
            self._write("release", key)
            self.made[key] = False
        self.tick()

    def progress(self, promise: Any, now: float) -> list[Slot]:
        """The meter has read what is over."""
        return [
            Slot(at, 100.0, 100.0 - watts / 1000.0, *self._read(at))
            for at, watts in promise.watts.items()
        ]

    def _read(self, at: int) -> tuple[float, str]:
        return (USED, "metered") if at + SLOT <= self.now else (math.nan, "")

    def _write(self, act: str, key: str) -> None:
        with self._path.open("a") as file:
            file.write(json.dumps([act, key]) + "\n")
            file.flush()
            os.fsync(file.fileno())


def acts(path: Path) -> list[tuple[str, str]]:
    """What the works did."""
    if not path.exists():
        return []
    return [(act, key) for act, key in map(json.loads, path.read_text().splitlines())]


class Counting:
    """A connection that ticks before each statement."""

    def __init__(self, real: Any, tick: Callable[[], None]) -> None:
        self._real, self._tick = real, tick

    def execute(self, *words: Any) -> Any:
        self._tick()
        return self._real.execute(*words)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)


class Seat:
    """A node and its files."""

    def __init__(self, us: Identity, folder: Path, tick: Callable[[], None]) -> None:
        self.us = us
        self.journal = Journal(folder / f"{us.role.value}.db", us.role)
        database: Any = self.journal.database
        database.connection = Counting(database.connection, tick)
        database.run("PRAGMA synchronous=OFF")  # processes are killed here, not computers
        self._registry = Fixed(BAP, BPP)
        self._flying: dict[int, Any] = {}
        self.node = Node(us, LIMITS, self.journal, self.business())

    def business(self) -> Any:
        raise NotImplementedError

    def turn(self, now: float) -> None:
        """What the agent does by itself."""

    def step(self, now: float) -> int:
        """Handle what came and do what is next; how many messages were handled."""
        self.node.lapse(now)
        self.turn(now)
        done = self.node.work(now)
        assert self.node.desk.take_faults() == []
        return done

    def fetch(self, now: float) -> list[tuple[int, str, str, bytes]]:
        """(number, action, header, bytes) of what is due."""
        found = []
        for item in self.node.due(now):
            self._flying[item.seq] = item
            found.append((item.seq, item.action, self.node.begin(item, now), item.body))
        return found

    def take(self, action: str, header: str, body: bytes, now: float) -> tuple[int, bytes]:
        """What came; the answer."""
        arrival = Arrival(action, header, body, now)
        reply = at_once(self.node.receive(arrival, self._registry))
        return reply.status, reply.body

    def told(self, seq: int, answer: tuple[int, bytes] | None, now: float) -> None:
        """What became of what was fetched."""
        item = self._flying.pop(seq)
        attempt = Attempt(None, fault="nobody there")
        if answer is not None:
            attempt = Attempt(hear(*answer), answer[0])
        self.node.end(item, attempt, now)

    def state(self) -> dict[str, Any]:
        """Where the last contract is, and what was said and heard."""
        contracts = self.journal.contracts.all()
        rows = self.journal.database.rows
        last = contracts[-1] if contracts else None
        open_ = rows("SELECT action FROM inbox WHERE handled<=0 OR answered=0")
        open_ += rows("SELECT action FROM outbox WHERE state='WAITING'")
        txn = last.transaction_id if last else ""
        return {
            "contracts": len(contracts),
            "txn": txn,
            "state": last.state.value if last else "",
            "said": [action for (action,) in rows("SELECT action FROM outbox ORDER BY seq")],
            "heard": [
                action
                for (action,) in rows("SELECT action FROM inbox WHERE handled>0 ORDER BY seq")
            ],
            "failed": [one.outcome for one in self.journal.outbox.failed()],
            "moves": [
                event
                for _, was, event, became in self.journal.contracts.history(txn)
                if was != became
            ],
            "held": self.journal.book.held(txn),
            "open": [action for (action,) in open_],
        }

    def say(self, what: str, now: float) -> None:
        """Something that a person wants."""
        raise NotImplementedError

    def close(self) -> None:
        self.journal.close()


class SellerSeat(Seat):
    """Compute-Flex as a seller, with the shop for works."""

    def __init__(self, folder: Path, tick: Callable[[], None]) -> None:
        self._shop = FileShop(folder / "shop.jsonl")
        self._shop.tick = tick
        settings = market_settings(Settings())
        self._shop.sell = settings.market.sell
        self._now = 0.0
        self._agent = SellerAgent(settings, self._shop, clock=lambda: self._now)
        super().__init__(BPP, folder, tick)
        place = Place(self.node, Sources(None, None), lambda: None)
        self._agent.join({Role.BPP: place})

    def business(self) -> Any:
        return self._agent.seller

    def turn(self, now: float) -> None:
        self._now = self._shop.now = now
        at_once(self._agent.keeper.turn(now))  # this shop waits for nothing

    def state(self) -> dict[str, Any]:
        found = super().state()
        sale = self._agent.seller.sales.get(found["txn"])
        return {
            **found,
            "sale": sale.state.value if sale else "",
            "rating": sale.rating if sale else 0,
        }


class Script:
    """A buyer that goes from select to confirm, and from a preview to its commit, by itself."""

    def __init__(self) -> None:
        self.node: Node | None = None

    def answer(self, message: Any, standing: Any, now: float) -> Any:
        raise Refusal(Code.NET_NOT_IMPLEMENTED, "a buyer answers nothing")

    def ended(self, standing: Any, now: float) -> None:
        """It is in the journal."""

    def heard(self, message: Any, standing: Any, now: float) -> None:
        assert self.node is not None
        assert message.error is None, message.error
        name, txn = message.action.name, standing.transaction_id
        body = {"contract": message.plain_contract}
        following = {"on_select": "init", "on_init": "confirm"}.get(name)
        if following and standing.state in {State.SELECTED, State.INITIALISED}:
            self.node.ask(following, subscriber(BPP), txn, body, now)
        elif message.envelope.try_ and standing.state is State.ACTIVE:
            digest = standing.preview_digest
            commit = name.removeprefix("on_")
            self.node.ask(
                commit, subscriber(BPP), txn, body, now, try_=False, request_digest=digest
            )


class ScriptSeat(Seat):
    """The protocol's buyer, without an agent's bookkeeping: it also says update."""

    def __init__(self, folder: Path, tick: Callable[[], None]) -> None:
        self._script = Script()
        super().__init__(BAP, folder, tick)
        self._script.node = self.node

    def business(self) -> Any:
        return self._script

    def say(self, what: str, now: float) -> None:
        to = subscriber(BPP)
        if what == "order":
            self.node.ask("select", to, str(uuid.uuid4()), {"contract": need(KW, FIRST)}, now)
            return
        (standing,) = self.journal.contracts.all()
        contract = {**json.loads(standing.body), "id": standing.contract_id}
        contract.pop("performance", None)
        body: dict[str, Any] = {"contract": contract}
        if what == "rate":
            scale = {"min": 1, "max": 5, "value": 4}
            body = {"ratingInputs": [{"target": {"id": standing.contract_id}, "range": scale}]}
        elif what == "support":
            body = {"support": {"orderId": standing.contract_id}}
        elif what == "update":
            made = contract["commitments"][0]
            made["commitmentAttributes"] = {
                "@context": f"{SCHEMA}BecknTimeSeries/v1.0/context.jsonld",
                "@type": "TimeSeries",
                **columns({series.CAPACITY_OFFERED: [20.0, 20.0]}, FIRST),
            }
        try_ = True if what in {"update", "cancel"} else None
        self.node.ask(what, to, standing.transaction_id, body, now, try_=try_)

    def turn(self, now: float) -> None:
        """What we do not know the fate of is asked about, as a buyer does."""
        for standing in self.journal.contracts.all():
            waited = now - standing.since
            if standing.state is State.CONFIRMING and waited > 60.0 and int(waited) % 60 < 31:
                self.node.ask_again(subscriber(BPP), standing, now)


class GridSeat(Seat):
    """The Grid Orchestrator."""

    def __init__(self, folder: Path, tick: Callable[[], None]) -> None:
        self._settings = BuySettings(
            goal="price", lead_seconds=60.0, silent_seconds=300.0, confirm_seconds=300.0
        )
        self._runner = asyncio.Runner()  # the split is made in a thread
        self._buyer = Buyer(300.0)
        self._buyer.sellers = {BPP.id: subscriber(BPP)}
        super().__init__(BAP, folder, tick)
        self._buyer.open(self.node, Records(self.journal.database))
        self._work = Orchestrator(
            self.node,
            self._buyer,
            self._settings,
            SLOT,
            carbon=lambda _start, _seconds, count: np.full(count, 200.0),
            choose=functools.partial(choose, solve=in_process),
        )

    def business(self) -> Any:
        return self._buyer

    def turn(self, now: float) -> None:
        self._runner.run(self._work.turn(now))

    def say(self, what: str, now: float) -> None:
        assert what == "order"
        wanted = of_operator("op", KW[0], FIRST, FIRST + 2 * SLOT, 100.0, "price", SLOT)
        self._work.add(wanted, now)

    def state(self) -> dict[str, Any]:
        lots = self._buyer.records.lots()
        return {
            **super().state(),
            "lots": [lot.state.value for lot in lots],
            "ratings": [lot.rating for lot in lots],
            "needs": [need.state.value for need in self._buyer.records.needs()],
        }


class Apart:
    """A seat in a process of its own, with the same calls. Raises DiedError when that was killed."""

    def __init__(self, made: Callable[[Path, Callable[[], None]], Seat], folder: Path) -> None:
        self._made, self._folder = made, folder
        self.start(0)

    def start(self, kill_at: int) -> None:
        """Begin, from the files."""
        self._pipe, theirs = multiprocessing.Pipe()
        self._pid = fork()
        if not self._pid:
            self._pipe.close()
            self._serve(theirs, kill_at)
        theirs.close()

    def _serve(self, pipe: Any, kill_at: int) -> None:
        count, looking = 0, False

        def tick() -> None:
            nonlocal count
            count += not looking
            if count == kill_at and not looking:
                os.kill(os.getpid(), signal.SIGKILL)

        code = 1
        try:
            seat = self._made(self._folder, tick)
            while True:
                name, words = pipe.recv()
                if name == "close":
                    pipe.send(count)
                    break
                looking = name == "state"  # the test's own reading is no step of the order
                pipe.send(getattr(seat, name)(*words))
            code = 0
        except EOFError:
            code = 0
        finally:
            os._exit(code)

    def close(self) -> int:
        """End in order; how many points there were at which it could have been killed."""
        return int(self._call("close"))

    def _call(self, name: str, *words: Any) -> Any:
        try:
            self._pipe.send((name, words))
            return self._pipe.recv()
        except (EOFError, OSError):
            self._pipe.close()
            _, status = os.waitpid(self._pid, 0)
            killed = os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL
            assert killed, f"it ended by itself, status {status}"
            raise DiedError from None
        finally:
            if name == "close":
                os.waitpid(self._pid, 0)

    def __getattr__(self, name: str) -> Any:
        return functools.partial(self._call, name)
