"""What a grid takes of bids by hand: within the need, on its terms, in time; and what it answers beside it."""

from __future__ import annotations

import json
import uuid
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from flexlond.agents.grid.records import UNTOLD
from flexlond.agents.grid.tender_papers import name_of
from flexlond.beckn.wire import series
from tests.unit.agents.bidding.kit import BIDS, GRID, NEEDS, Fair
from tests.unit.agents.conftest import SLOT
from tests.unit.agents.market.kit import FIRST, Hand
from tests.unit.beckn.kit import subscriber

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

SECOND = FIRST + SLOT


class ByHand(Fair):
    """A bidder that says what it is told to say."""

    def __init__(self, folder: Path, **buy: Any) -> None:
        super().__init__(folder, grid=msgspec.structs.replace(GRID, **buy))
        self.by = Hand()
        self.nodes[BIDS.id].desk._business = self.by

    @property
    def texts(self) -> list[dict[str, Any]]:
        return [plain for _, plain in self.by.heard_]

    def ask(self, action: str, txn: str, contract: dict[str, Any], **more: Any) -> dict[str, Any]:
        """What it answers: the whole message."""
        node = self.nodes[BIDS.id]
        node.ask(action, subscriber(NEEDS), txn, {"contract": contract}, self.now, **more)
        self.settle()
        return self.texts[-1]

    def contract(self, kw: dict[int, float], key: str, **more: float) -> dict[str, Any]:
        """A bid on the grid's terms, or others."""
        (shown,) = self.tender.catalogue(self.now) or [{"resources": []}]
        found = [one for one in shown["resources"] if one["id"] == name_of(key)]
        resource = json.loads(json.dumps(found[0])) if found else {"id": name_of(key)}
        for row in resource.get("resourceAttributes", {}).get("intervals", ()):
            for payload in row["payloads"]:
                if payload["type"] in more:
                    payload["values"] = [more[payload["type"]]]
        resource["quantity"] = {"unitCode": "kW", "unitQuantity": 1.0}
        made: dict[str, Any] = {
            "id": "c1",
            "status": {"descriptor": {"code": "DRAFT"}},
            "resources": [resource],
            "offer": {"id": name_of(key), "resourceIds": [name_of(key)]},
        }
        start = min(kw)
        made["commitmentAttributes"] = {
            "@context": "https://schema.nfh.global/BecknTimeSeries/v1.0/context.jsonld",
            "@type": "TimeSeries",
            "intervalPeriod": {"start": _utc(start), "duration": f"PT{SLOT}S"},
            "payloadDescriptors": [
                {"objectType": "EVENT_PAYLOAD_DESCRIPTOR", "payloadType": series.CAPACITY_OFFERED}
            ],
            "intervals": [
                {
                    "id": (at - start) // SLOT,
                    "payloads": [{"type": series.CAPACITY_OFFERED, "values": [value]}],
                }
                for at, value in kw.items()
            ],
        }
        return {"status": {"code": "DRAFT"}, "commitments": [made]}

    def bid(self, kw: dict[int, float], key: str, **more: float) -> tuple[str, str]:
        """From select to confirm; the transaction, and the code of what was refused."""
        txn, contract = str(uuid.uuid4()), self.contract(kw, key, **more)
        for action in ("select", "init", "confirm"):
            answer = self.ask(action, txn, contract)
            if "error" in answer:
                return txn, answer["error"]["code"]
            contract = answer["message"]["contract"]
            contract["commitments"][0]["commitmentAttributes"] = self.contract(kw, key)[
                "commitments"
            ][0]["commitmentAttributes"]
        return txn, ""

    def agreed(self, txn: str) -> dict[str, Any]:
        standing = self.journals[BIDS.id].contracts.get(txn)
        assert standing is not None
        return {**json.loads(standing.body), "id": standing.contract_id}


def _utc(at: int) -> str:
    from flexlond.beckn.wire.durations import moment_of  # noqa: PLC0415

    return moment_of(at)


@pytest.fixture
def fair(tmp_path: Path) -> Iterator[ByHand]:
    made = ByHand(tmp_path, penalty_gbp_per_kwh=0.1)
    yield made
    made.close()


@pytest.mark.parametrize(
    ("kw", "more", "code"),
    [
        ({FIRST: 40.0}, {}, ""),
        ({FIRST: 41.0}, {}, "BIZ_QUANTITY_UNAVAILABLE"),  # select trims, init does not
        ({FIRST: 10.0, SECOND + SLOT: 1.0}, {}, "BIZ_QUANTITY_UNAVAILABLE"),  # no slot of it
        ({FIRST: 10.0}, {"PRICE": 0.4}, "BIZ_PRICE_MISMATCH"),
        ({FIRST: 10.0}, {"SHORTFALL_PENALTY": 0.0}, "BIZ_PRICE_MISMATCH"),
    ],
)
def test_a_bid_is_within_the_need_and_on_its_terms(
    fair: ByHand, kw: dict[int, float], more: dict[str, float], code: str
) -> None:
    key = fair.need(40.0)
    _, said = fair.bid(kw, key, **more)
    assert said == code
    assert [one.kw for one in fair.lots("ORDERED")] == ([kw] if not code else [])


def test_two_bids_share_the_need_and_its_budget(fair: ByHand) -> None:
    key = fair.need(40.0, slots=1)
    assert fair.bid({FIRST: 30.0}, key)[1] == ""
    assert fair.bid({FIRST: 30.0}, key)[1] == "BIZ_QUANTITY_UNAVAILABLE"
    assert fair.bid({FIRST: 10.0}, key)[1] == ""
    assert fair.tender.catalogue(fair.now) == []
    poor = fair.need(40.0, slots=1, budget=3.0, first=SECOND)  # 20 kW at 0.3 for half an hour
    assert fair.bid({SECOND: 21.0}, poor)[1] == "BIZ_QUANTITY_UNAVAILABLE"
    assert fair.bid({SECOND: 20.0}, poor)[1] == ""


def test_a_draft_is_counted_until_it_runs_out(fair: ByHand) -> None:
    key = fair.need(40.0, slots=1)
    txn = str(uuid.uuid4())
    contract = fair.contract({FIRST: 40.0}, key)
    contract = fair.ask("select", txn, contract)["message"]["contract"]
    fair.ask("init", txn, contract)
    assert fair.lots("ASKED")
    assert fair.tender.catalogue(fair.now) == []
    fair.now += 301.0
    fair.settle()
    assert [one.why for one in fair.lots("LOST")] == ["the bid was not confirmed"]
    assert len(fair.tender.catalogue(fair.now)) == 1
    assert "error" in fair.ask("select", str(uuid.uuid4()), fair.contract({FIRST: 40.0}, "other"))


def test_what_was_begun_is_not_cancelled_and_what_was_not_is(fair: ByHand) -> None:
    key = fair.need(40.0)
    txn, _ = fair.bid({FIRST: 10.0}, key)
    other, _ = fair.bid({SECOND: 10.0}, key)
    fair.now = FIRST + 1.0
    answer = fair.ask("cancel", txn, fair.agreed(txn), try_=True)
    assert answer["error"]["code"] == "POL_CANCELLATION_NOT_ALLOWED"
    answer = fair.ask("update", txn, fair.agreed(txn), try_=True)
    assert answer["error"]["code"] == "POL_UPDATE_NOT_ALLOWED"
    fair.ask("cancel", other, fair.agreed(other), try_=True)
    standing = fair.journals[BIDS.id].contracts.get(other)
    assert standing is not None
    contract = {**fair.agreed(other), "descriptor": {"shortDesc": "a fault"}}
    fair.ask("cancel", other, contract, try_=False, request_digest=standing.preview_digest)
    assert fair.state(NEEDS.id, other) == "CANCELLED"
    assert [one.why for one in fair.lots("LOST")] == ["cancelled by the site: a fault"]


def test_who_tells_nothing_is_not_counted_with_and_not_settled(fair: ByHand) -> None:
    key = fair.need(40.0)
    txn, _ = fair.bid({FIRST: 10.0, SECOND: 10.0}, key)
    fair.now = float(SECOND + SLOT)
    fair.tender.turn(fair.now)
    assert fair.lots()[0].covers(SECOND) == 10.0
    fair.now += SLOT + 1.0
    fair.tender.turn(fair.now)
    (lot,) = fair.lots()
    assert (lot.why, lot.covers(SECOND), lot.state) == (UNTOLD, 0.0, "ORDERED")
    fair.now += GRID.confirm_seconds
    fair.tender.turn(fair.now)
    fair.settle()
    assert fair.state(BIDS.id, txn) == "COMPLETE"
    assert "consideration" not in fair.agreed(txn)  # a gap is not charged as a shortfall
    assert fair.lots()[0].rating == 1


def test_what_is_told_of_a_slot_that_is_not_over_does_not_count(fair: ByHand) -> None:
    key = fair.need(40.0)
    txn, _ = fair.bid({FIRST: 10.0, SECOND: 10.0}, key)
    fair.now = float(SECOND)
    contract = fair.agreed(txn)
    told = {
        "@type": "TimeSeries",
        "intervalPeriod": {"start": _utc(FIRST), "duration": f"PT{SLOT}S"},
        "payloadDescriptors": [
            {"objectType": "REPORT_PAYLOAD_DESCRIPTOR", "payloadType": name}
            for name in ("BASELINE", "USAGE")
        ],
        "intervals": [
            {
                "id": number,
                "payloads": [
                    {"type": "BASELINE", "values": [50.0]},
                    {"type": "USAGE", "values": [40.0]},
                ],
            }
            for number in range(2)
        ],
    }
    contract["performance"] = [
        {
            "id": "p",
            "performanceAttributes": {
                "@context": "https://schema.nfh.global/DemandFlexPerformance/v2.0/context.jsonld",
                "@type": "DemandFlexPerformance",
                "meters": [{"meterId": "m", "telemetry": told}],
            },
        }
    ]
    fair.ask("status", txn, contract)
    assert set(fair.lots()[0].told) == {FIRST}


@pytest.mark.parametrize(
    ("action", "body", "code"),
    [
        ("rate", lambda one: {"ratingInputs": [{"target": {}, "range": {"value": 5}}]}, ""),
        ("support", lambda one: {"support": {"orderId": one}}, ""),
    ],
)
def test_what_is_asked_beside_it(
    fair: ByHand, action: str, body: Callable[[str], dict[str, Any]], code: str
) -> None:
    key = fair.need(40.0)
    txn, _ = fair.bid({FIRST: 10.0}, key)
    if action == "rate":
        assert fair.tender.call_off(txn, fair.now) == ""
        fair.settle()
    to = subscriber(NEEDS)
    fair.nodes[BIDS.id].ask(action, to, txn, body(fair.agreed(txn)["id"]), fair.now)
    fair.settle()
    assert fair.texts[-1]["context"]["action"] == f"on_{action}"
    assert fair.texts[-1].get("error", {}).get("code", "") == code


def test_needs_are_published_when_they_change(tmp_path: Path) -> None:
    fair = ByHand(tmp_path, publish_to=(BIDS.id, "nobody.test"))
    heard: list[dict[str, Any]] = []

    def published() -> int:
        fair.tender.turn(fair.now)
        fair.settle()
        rows = fair.journals[NEEDS.id].database.rows(
            "SELECT body FROM outbox WHERE action='catalog/publish' ORDER BY seq"
        )
        heard[:] = [json.loads(raw)["message"] for (raw,) in rows]
        return len(heard)

    begun = published()
    assert begun == 1  # they may hold an old one
    assert heard[-1]["catalogs"][0]["isActive"] is False
    key = fair.need(40.0, slots=1)
    assert published() == begun + 1
    assert published() == begun + 1
    fair.bid({FIRST: 15.0}, key)
    assert published() == begun + 2
    table = heard[-1]["catalogs"][0]["resources"][0]["resourceAttributes"]
    values = {one["type"]: one["values"] for one in table["intervals"][0]["payloads"]}
    assert values["CAPACITY_REQUESTED"] == [25.0]
    fair.bid({FIRST: 25.0}, key)
    assert published() == begun + 3
    assert heard[-1]["catalogs"][0]["isActive"] is False
    fair.close()
