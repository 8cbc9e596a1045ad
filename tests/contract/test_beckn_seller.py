"""All that a seller says validates against the published Beckn 2.0.0 LTS and DEG's attribute packs.

As test_beckn_upstream.py: the specification's files are no part of the project, skipped where they are not.
"""

from __future__ import annotations

import json
import re
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import pytest
from jsonschema import Draft202012Validator
from referencing import Registry, Resource
from referencing.jsonschema import DRAFT202012

from flexlond.beckn.wire import packs
from tests.contract.test_beckn_upstream import UPSTREAM, check_message
from tests.unit.agents.conftest import SLOT, settings
from tests.unit.agents.market.kit import FIRST, Deal
from tests.unit.agents.market.shop import Shop

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from flexlond.model.settings import Settings

__all__ = ["settings"]

yaml = pytest.importorskip("yaml", reason="PyYAML reads DEG's attribute packs")
pytestmark = pytest.mark.skipif(
    not UPSTREAM.is_dir(),
    reason="the Beckn specification files are not beside the project (../shared/beckn)",
)
OWN = Path(__file__).resolve().parents[2] / "docs" / "reference" / "compute-flex-offer.schema.json"
_CONTEXT = re.compile(r"https://schema\.(?:nfh\.global|beckn\.io)/([A-Za-z]+)(?:/(v?[\d.]+))?")


def pack_file(name: str, version: str) -> Path | None:
    found = sorted(UPSTREAM.glob(f"**/{name}/v*/attributes.yaml"))
    exact = [path for path in found if path.parent.name.lstrip("v") == version.lstrip("v")]
    return (exact or found[-1:] or [None])[0]


@cache
def contents(path: Path) -> Any:
    return yaml.safe_load(path.read_text())


def retrieve(uri: str) -> Resource[Any]:
    found = _CONTEXT.match(uri)
    path = pack_file(found[1], found[2] or "") if found else None
    if path is None:
        raise LookupError(uri)
    return Resource(contents=contents(path), specification=DRAFT202012)


def bags(value: Any) -> Iterator[dict[str, Any]]:
    if isinstance(value, dict):
        if "@context" in value and "@type" in value:
            yield value
        for child in value.values():
            yield from bags(child)
    elif isinstance(value, list):
        for child in value:
            yield from bags(child)


def check_pack(bag: dict[str, Any]) -> str:
    """Validate one attribute bag by its own schema; the schema's name."""
    if bag["@context"] == packs.OWN_CONTEXT:
        Draft202012Validator(json.loads(OWN.read_text())).validate(bag)
        return "ComputeFlexOffer"
    if bag["@context"] == packs.CHECKPOINT_CONTEXT:  # ours, carried as it is
        assert set(bag) == {"@context", "@type", "origin", "size", "note"}
        return "LedgerCheckpoint"
    found = _CONTEXT.match(bag["@context"])
    assert found, bag["@context"]
    path = pack_file(found[1], found[2] or "")
    assert path is not None, bag["@context"]
    schemas = contents(path)["components"]["schemas"]
    name = next(one for one in (bag["@type"], found[1], *schemas) if one in schemas)
    if schemas[name].get("additionalProperties") is False:
        known = schemas[name].get("properties", {})
        bag = {key: item for key, item in bag.items() if key[0] != "@" or key in known}
    uri = f"https://schema.nfh.global/{found[1]}/{path.parent.name}#/components/schemas/{name}"
    registry: Registry[Any] = Registry(retrieve=retrieve)  # type: ignore[call-arg]
    Draft202012Validator({"$ref": uri}, registry=registry).validate(bag)
    return found[1]


class Signed:
    """A ledger with one checkpoint."""

    latest: ClassVar[dict[str, str | int]] = {"origin": "hpc.test", "size": 1, "note": "signed"}

    async def noted(self, since: int) -> frozenset[tuple[str, str]]:
        return frozenset()

    def note(self, kind: str, name: str, body: Mapping[str, object], now: int) -> bool:
        return True


async def test_all_that_a_seller_says_validates(tmp_path: Path, settings: Settings) -> None:
    shop = Shop()
    deal = Deal(tmp_path, settings, shop)
    shop.sell = deal.settings.market.sell
    deal.seller._notary = Signed()
    await deal.turn()
    deal.discover()
    txn = await deal.order([24.0, 12.0])
    deal.update(txn, [24.0, 24.0])
    await deal.turn()
    deal.select([0.0])
    deal.ask("status", txn, {"contract": deal.said(txn)})
    deal.ask("support", txn, {"support": {"orderId": deal.sale(txn).order_id}})
    deal.cancel(await deal.order([10.0]))
    shop.refuse = "no"
    await deal.order([10.0])
    for at in (FIRST + SLOT + 1, FIRST + 2 * SLOT + 1):
        deal.bench.slurm.now = at
        shop.drawn = {FIRST: 70.0, **({FIRST + SLOT: 70.0} if at > FIRST + 2 * SLOT else {})}
        await deal.turn()
    assert deal.states(txn) == ("COMPLETE", "COMPLETE")
    rating = {"target": {"id": deal.sale(txn).order_id}, "range": {"min": 1, "max": 5, "value": 4}}
    deal.ask("rate", txn, {"ratingInputs": [rating]})
    deal.settle()
    seen, kinds, errors = set(), set(), 0
    for raw in deal.wire:
        plain = json.loads(raw)
        check_message(plain)
        seen.add(plain["context"]["action"])
        kinds |= {check_pack(bag) for bag in bags(plain["message"])}
        errors += "error" in plain
    assert seen >= {
        "on_discover",
        "on_select",
        "on_init",
        "on_confirm",
        "on_status",
        "on_update",
        "on_cancel",
        "on_rate",
        "on_support",
    }
    assert kinds >= {
        "ComputeFlexOffer",
        "BecknTimeSeries",
        "DemandFlexPerformance",
        "DemandFlexNeed",
        "LedgerCheckpoint",
    }
    assert errors == 2
    deal.close()
    deal.bench.store.close()
