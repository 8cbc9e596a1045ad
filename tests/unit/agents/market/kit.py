"""A seller over a simulated Slurm and a buyer by hand, with keys and journals; bytes are carried by hand."""

from __future__ import annotations

import json
import uuid
from typing import TYPE_CHECKING, Any

from flexlond.agents.market.agent import SellerAgent
from flexlond.agents.market.port import Place
from flexlond.agents.market.queue import QueueWorks
from flexlond.beckn.journal.journal import Journal
from flexlond.beckn.journal.outbox import Attempt
from flexlond.beckn.node.arrivals import Arrival
from flexlond.beckn.node.node import Node
from flexlond.beckn.node.settings import NodeSettings
from flexlond.beckn.trust.sources import Sources
from flexlond.beckn.wire import series
from flexlond.beckn.wire.acks import hear
from flexlond.beckn.wire.actions import Role
from flexlond.beckn.wire.codes import Code, Refusal
from flexlond.beckn.wire.durations import duration_of, moment_of
from flexlond.model.job import JobState
from flexlond.model.metering import Reading, ReadingQuality
from tests.unit.agents.conftest import SLOT, START, Bench, SimSlurm, replace_struct
from tests.unit.beckn.kit import BAP, BPP, SCHEMA, Fixed, at_once, subscriber

if TYPE_CHECKING:
    from pathlib import Path

    from flexlond.agents.market.works import Works
    from flexlond.agents.power_log import Meter
    from flexlond.beckn.journal.contracts import Standing
    from flexlond.beckn.wire.messages import Message
    from flexlond.model.settings import Settings

KW = 12.0  # of a job of `busy`, at the site's meter
FIRST = START + 2 * SLOT  # when they start, if nothing keeps them
JOBS = 8
FLEX = "flex: max-delay=8:00:00 power=10kW"
LIMITS = NodeSettings(rate_per_second=1e6, burst=10**9)


class Hand:
    """A buyer that says what it is told to say."""

    def __init__(self) -> None:
        self.heard_: list[tuple[str, dict[str, Any]]] = []

    def answer(self, message: Message, standing: Standing, now: float) -> Any:
        raise Refusal(Code.NET_NOT_IMPLEMENTED, "a buyer answers nothing")

    def heard(self, message: Message, standing: Standing, now: float) -> None:
        self.heard_.append((message.action.name, message.plain))

    def ended(self, standing: Standing, now: float) -> None:
        self.heard_.append((f"ended {standing.state.value}", {}))

    def last(self, action: str) -> dict[str, Any]:
        return [plain for name, plain in self.heard_ if name == action][-1]

    def error(self, action: str) -> str:
        return str(self.last(action).get("error", {}).get("code", ""))


class NodesMeter:
    """A meter of what the simulated nodes run, with figures of its own; read in every cycle."""

    configured = True

    def __init__(self, slurm: SimSlurm) -> None:
        self._slurm = slurm

    def reading(self, now: int) -> Reading:
        running = sum(job.state is JobState.RUNNING for job in self._slurm.jobs.values())
        return Reading(self._slurm.now, 0.4 + KW * running, "the nodes' meter", ReadingQuality.GOOD)

    def take(self) -> list[Reading]:
        return [self.reading(self._slurm.now)]


def market_settings(settings: Settings, **sell: Any) -> Settings:
    """Each slot by itself, offers of any size."""
    envelope = replace_struct(
        settings.envelope, windows=5, window_slots=1, depths=(0.2, 0.5), exact_seconds=0.5
    )
    terms = {"notice": 300.0, "least_jobs": 1, "max_slots": 4, "refresh": 1.0, **sell}
    chosen = replace_struct(settings.market.sell, **terms)
    market = replace_struct(settings.market, sell=chosen)
    meter = replace_struct(settings.meter, max_age=300.0, max_kw=500.0)
    return replace_struct(settings, envelope=envelope, market=market, meter=meter)


class Deal:
    """One seller, one buyer, one clock: the simulated Slurm's."""

    def __init__(
        self, folder: Path, settings: Settings, works: Works | None = None, **sell: Any
    ) -> None:
        self.folder = folder
        self.settings = market_settings(settings, **sell)
        self.bench = Bench(folder / "store.db", self.settings, [100.0])
        self._works = works
        self.registry = Fixed(BAP, BPP)
        self.wire: list[bytes] = []  # every message that the seller sent
        self.open()

    @property
    def now(self) -> int:
        return self.bench.slurm.now

    def metered(self, meter: Meter) -> None:
        """From now on the site has a meter."""
        self.bench.meter = meter
        self.bench.agent = self.bench._agent()
        self.close()
        self.open()

    def open(self) -> None:
        """Seller and buyer from their files."""
        works = self._works or QueueWorks(self.bench.agent, self.settings.market.sell)
        self.agent = SellerAgent(self.settings, works, clock=lambda: float(self.now))
        self.seller, self.keeper = self.agent.seller, self.agent.keeper
        self.buyer = Hand()
        bap = Journal(self.folder / "bap.db", Role.BAP)
        bpp = Journal(self.folder / "bpp.db", Role.BPP)
        self.bap = Node(BAP, LIMITS, bap, self.buyer)
        self.bpp = Node(BPP, LIMITS, bpp, self.agent.business(Role.BPP))
        self.agent.join({Role.BPP: Place(self.bpp, Sources(None, None), lambda: None)})

    def close(self) -> None:
        self.bap.journal.close()
        self.bpp.journal.close()

    def restart(self) -> None:
        """kill -9 of the seller's process: the daemon and its market."""
        self.close()
        self.bench.restart()
        self.open()

    def busy(self, jobs: int = JOBS, **more: Any) -> None:
        """Flexible jobs that would start at FIRST."""
        for _ in range(jobs):
            job = self.bench.slurm.submit(FLEX, cpus=1, minutes=180, **more)
            self.bench.slurm.edit(job, begin=FIRST)

    async def cycle(self, *, fresh: bool = True) -> None:
        """A cycle of the loop; `fresh`: the envelope of its plan is asked for."""
        await self.bench.cycle()
        if fresh:
            await self.seller.works.refresh(float(self.now))
        await self.turn()

    async def turn(self) -> None:
        """The keeper's turn, and everything that is said then."""
        for _ in range(3):
            self.settle()
            await self.keeper.turn(float(self.now))
        self.settle()

    def settle(self) -> None:
        """Deliver everything over a perfect network, and work, until nothing is left to do."""
        now = float(self.now)
        to = {BAP.id: self.bap, BPP.id: self.bpp}
        for _ in range(40):
            moved = 0
            for node in to.values():
                node.lapse(now)
                for item in node.due(now):
                    if node is self.bpp:
                        self.wire.append(item.body)
                    header = node.begin(item, now)
                    arrival = Arrival(item.action, header, item.body, now)
                    reply = at_once(to[item.peer].receive(arrival, self.registry))
                    node.end(item, Attempt(hear(reply.status, reply.body), reply.status), now)
                    assert reply.status == 200, reply.body
                    moved += 1
                moved += node.work(now)
                assert node.desk.take_faults() == []
            if not moved:
                return
        raise AssertionError("it does not come to rest")

    # ---- what the buyer says

    def ask(self, action: str, txn: str, body: dict[str, Any], **more: Any) -> None:
        self.bap.ask(action, subscriber(BPP), txn, body, float(self.now), **more)

    def said(self, txn: str) -> dict[str, Any]:
        """The contract as last agreed, as the buyer has it."""
        standing = self.bap.journal.contracts.get(txn)
        assert standing is not None
        contract: dict[str, Any] = {**json.loads(standing.body), "id": standing.contract_id}
        contract.pop("performance", None)
        return contract

    def discover(self) -> list[dict[str, Any]]:
        self.ask("discover", str(uuid.uuid4()), {"intent": {"textSearch": "flexibility"}})
        self.settle()
        found: list[dict[str, Any]] = self.buyer.last("on_discover")["message"]["catalogs"]
        return found

    def say_select(self, kw: list[float], start: int = FIRST) -> str:
        """It is in the outbox."""
        txn = str(uuid.uuid4())
        self.ask("select", txn, {"contract": need(kw, start)})
        return txn

    def select(self, kw: list[float], start: int = FIRST) -> str:
        txn = self.say_select(kw, start)
        self.settle()
        return txn

    def init(self, txn: str) -> None:
        self.ask("init", txn, {"contract": self.said(txn)})
        self.settle()

    def confirm(self, txn: str) -> None:
        self.ask("confirm", txn, {"contract": self.said(txn)})
        self.settle()

    async def order(self, kw: list[float], start: int = FIRST) -> str:
        """From select to the answer of the confirm."""
        txn = self.select(kw, start)
        self.init(txn)
        self.confirm(txn)
        await self.turn()
        return txn

    def cancel(self, txn: str) -> None:
        """Preview, then the commit with its digest."""
        self.ask("cancel", txn, {"contract": self.said(txn)}, try_=True)
        self.settle()
        if self.buyer.error("on_cancel"):
            return
        standing = self.bap.journal.contracts.get(txn)
        assert standing is not None
        body = {"contract": self.said(txn)}
        self.ask("cancel", txn, body, try_=False, request_digest=standing.preview_digest)
        self.settle()

    def update(self, txn: str, kw: list[float], start: int = FIRST) -> None:
        contract = self.said(txn)
        made = need(kw, start)["commitments"][0]
        made["commitmentAttributes"] = {
            "@context": f"{SCHEMA}BecknTimeSeries/v1.0/context.jsonld",
            "@type": "TimeSeries",
            **columns({series.CAPACITY_OFFERED: kw}, start),
        }
        contract["commitments"] = [{**made, "id": contract["commitments"][0].get("id", "c1")}]
        self.ask("update", txn, {"contract": contract}, try_=True)
        self.settle()
        if self.buyer.error("on_update"):
            return
        standing = self.bap.journal.contracts.get(txn)
        assert standing is not None
        self.ask(
            "update",
            txn,
            {"contract": contract},
            try_=False,
            request_digest=standing.preview_digest,
        )
        self.settle()

    def states(self, txn: str) -> tuple[str, str]:
        found = [node.journal.contracts.get(txn) for node in (self.bap, self.bpp)]
        bap, bpp = (one.state.value if one else "-" for one in found)
        return bap, bpp

    def sale(self, txn: str) -> Any:
        return self.seller.sales.get(txn)


def columns(values: dict[str, list[float]], start: int, slot: int = SLOT) -> dict[str, Any]:
    units = {"PRICE": "GBP_PER_KWH"}
    return {
        "intervalPeriod": {"start": moment_of(start), "duration": duration_of(slot)},
        "payloadDescriptors": [
            {
                "objectType": "EVENT_PAYLOAD_DESCRIPTOR",
                "payloadType": name,
                "units": units.get(name, "KW"),
                "insertedBy": "buyer",
            }
            for name in values
        ],
        "intervals": [
            {
                "id": at,
                "payloads": [
                    {"type": name, "values": [column[at]]} for name, column in values.items()
                ],
            }
            for at in range(len(next(iter(values.values()))))
        ],
    }


def need(kw: list[float], start: int, slot: int = SLOT) -> dict[str, Any]:
    """The contract of a select."""
    return {
        "status": {"code": "DRAFT"},
        "commitments": [
            {
                "id": "c1",
                "status": {"descriptor": {"code": "DRAFT"}},
                "resources": [
                    {
                        "id": "flexibility-down",
                        "quantity": {"unitCode": "kW", "unitQuantity": max(kw)},
                        "resourceAttributes": {
                            "@context": f"{SCHEMA}DemandFlexNeed/v2.0/context.jsonld",
                            "@type": "DemandFlexNeed",
                            **columns(
                                {"CAPACITY_REQUESTED": kw, "PRICE": [1.0] * len(kw)}, start, slot
                            ),
                        },
                    }
                ],
                "offer": {"id": "flexibility-down", "resourceIds": ["flexibility-down"]},
            }
        ],
        "participants": [{"id": BAP.id}, {"id": BPP.id}],
    }


def offered_kw(
    catalogs: list[dict[str, Any]], column: str = series.CAPACITY_OFFERED
) -> dict[int, float]:
    """A column of the catalogue by slot."""
    from datetime import datetime  # noqa: PLC0415

    if not catalogs:
        return {}
    table = catalogs[0]["resources"][0]["resourceAttributes"]
    begin = int(datetime.fromisoformat(table["intervalPeriod"]["start"]).timestamp())
    return {
        begin + SLOT * row["id"]: next(
            p["values"][0] for p in row["payloads"] if p["type"] == column
        )
        for row in table["intervals"]
    }


def told(plain: dict[str, Any]) -> dict[str, dict[int, float]]:
    """The columns of a status' performance by slot."""
    from datetime import datetime  # noqa: PLC0415

    found: dict[str, dict[int, float]] = {}
    for one in plain["message"]["contract"].get("performance", []):
        table = one["performanceAttributes"]["meters"][0]["telemetry"]
        begin = int(datetime.fromisoformat(table["intervalPeriod"]["start"]).timestamp())
        for row in table["intervals"]:
            for payload in row["payloads"]:
                at = begin + SLOT * row["id"]
                found.setdefault(payload["type"], {})[at] = payload["values"][0]
    return found
