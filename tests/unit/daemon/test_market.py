"""The market in the daemon: identities from files, real sockets, faults that stay there, key rotation."""

from __future__ import annotations

import asyncio
import socket
import time
import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from typer.testing import CliRunner

from flexlond.agents.idle import Idle
from flexlond.agents.market.agent import SellerAgent
from flexlond.agents.market.battery import BatteryWorks
from flexlond.assets.drivers.choose import drivers_of
from flexlond.beckn.contract.table import State
from flexlond.beckn.wire.actions import Role
from flexlond.cli.flexlond import app
from flexlond.daemon.compose import compose
from flexlond.daemon.config import parse
from flexlond.daemon.config_checks_market import has_place
from flexlond.daemon.config_problem import ConfigError
from flexlond.daemon.market import Market
from flexlond.model.market_settings import (
    AgentsSettings,
    IdentitySettings,
    MarketSettings,
    SellSettings,
)
from flexlond.model.settings import AssetSettings, DaemonSettings, Settings
from tests.unit.agents.conftest import replace_struct
from tests.unit.agents.market.kit import need
from tests.unit.beckn.kit import Buyer, Seller, contract

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from flexlond.agents.market.port import Place
    from flexlond.beckn.node.desk import Business


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def make_key(
    folder: Path, name: str, role: str, uri: str, key_id: str = "key-1"
) -> tuple[Path, str]:
    """A key by the command itself; the file and the trust file's entry."""
    file = folder / f"{name}-{key_id}.key"
    words = ["keygen", str(file), "--subscriber", name, "--role", role, "--uri", uri]
    made = CliRunner().invoke(app, [*words, "--key-id", key_id])
    assert made.exit_code == 0, made.output
    return file, made.output


class Town:
    """A buyer and a seller, each with a key of its own, in one configuration."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.ports = {"bap.test": free_port(), "bpp.test": free_port()}
        self.trust = folder / "trust.toml"
        self.keys: dict[str, Path] = {}
        entries = []
        for name, role in (("bap.test", "BAP"), ("bpp.test", "BPP")):
            self.keys[name], entry = make_key(folder, name, role, self.uri(name))
            entries.append(entry)
        self.trust.write_text("\n".join(entries))

    def uri(self, name: str) -> str:
        return f"http://127.0.0.1:{self.ports[name]}/beckn"

    def settings(self, **of_seller: Any) -> Settings:
        def one(agent: Any, role: Any, name: str, **more: Any) -> IdentitySettings:
            fields = {
                "agent": agent,
                "role": role,
                "subscriber": name,
                "uri": self.uri(name),
                "key_id": "key-1",
                "key_file": str(self.keys[name]),
                "trust_file": str(self.trust),
            }
            return IdentitySettings(**{**fields, **more})

        return Settings(
            daemon=DaemonSettings(state_dir=str(self.folder)),
            agents=AgentsSettings(compute_flex=False, grid_orchestrator=True, asset_site=True),
            market=MarketSettings(
                identity={
                    "grid": one("grid_orchestrator", "BAP", "bap.test"),
                    "site": one("asset_site", "BPP", "bpp.test", **of_seller),
                }
            ),
        )


class Simple:
    """An agent with one business and nothing to do by itself."""

    def __init__(self, business: Business, joined: Callable[[Place], None]) -> None:
        self._business, self._joined = business, joined
        self.fault: Exception | None = None
        self.fall = asyncio.Event()

    def business(self, role: Role) -> Business:
        return self._business

    def join(self, places: Mapping[Role, Place]) -> None:
        (place,) = places.values()
        self._joined(place)

    async def run(self) -> None:
        await self.fall.wait()
        raise RuntimeError("it fell")

    def take(self, settings: Settings) -> None:
        pass


class Fair:
    """The market with a plain buyer and a plain seller."""

    def __init__(self) -> None:
        self.buyer, self.seller = Buyer(), Seller()
        self.places: dict[str, Place] = {}
        self.made: dict[str, Simple] = {}
        self.warnings: dict[str, str] = {}

    def makers(self) -> dict[str, Callable[[Settings], Simple]]:
        def bought(place: Place) -> None:
            self.buyer.node, self.places["grid"] = place.node, place

        def sold(place: Place) -> None:
            self.seller.journal, self.places["site"] = place.node.journal, place

        def make(name: str, business: Business, joined: Callable[[Place], None]) -> Simple:
            self.made[name] = Simple(business, joined)
            return self.made[name]

        return {
            "grid_orchestrator": lambda _: make("grid", self.buyer, bought),
            "asset_site": lambda _: make("site", self.seller, sold),
        }

    def warn(self, topic: str, text: str) -> None:
        self.warnings[topic] = text

    def order(self) -> str:
        place, txn = self.places["grid"], str(uuid.uuid4())
        now = time.time()
        (seller,) = place.peers(Role.BPP, now)
        self.buyer.seller = seller
        place.node.ask("select", seller, txn, {"contract": contract([40.0])}, now)
        place.wake()
        return txn

    async def active(self, txn: str) -> None:
        def is_active() -> bool:
            found = self.places["grid"].node.journal.contracts.get(txn)
            return found is not None and found.state is State.ACTIVE

        await until(is_active)


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(60):
        while not condition():  # noqa: ASYNC110 - a condition of another's state
            await asyncio.sleep(0.01)


async def opened(fair: Fair, market: Market, *agents: str) -> None:
    market.start(fair.warn)
    await until(lambda: set(agents) <= market.stalls.keys())


async def test_two_agents_of_one_process_close_an_order_and_the_end_is_orderly(
    tmp_path: Path,
) -> None:
    fair = Fair()
    market = Market(Town(tmp_path).settings(), fair.makers())
    await opened(fair, market, "grid_orchestrator", "asset_site")
    await fair.active(fair.order())
    await market.close()
    assert market.stalls == {}
    assert not any(fair.warnings.values())
    assert (tmp_path / "market-site.db").is_file()


async def test_a_taken_port_is_said_and_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("flexlond.daemon.market.FIRST_WAIT", 0.05)
    town, fair = Town(tmp_path), Fair()
    market = Market(town.settings(), fair.makers())
    with socket.socket() as squatter:
        squatter.bind(("127.0.0.1", town.ports["bpp.test"]))
        squatter.listen()
        await opened(fair, market, "grid_orchestrator")
        await until(lambda: "cannot listen" in fair.warnings.get("market asset_site", ""))
        assert fair.warnings["market grid_orchestrator"] == ""
    await until(lambda: "asset_site" in market.stalls)
    await fair.active(fair.order())
    assert fair.warnings["market asset_site"] == ""
    await market.close()


async def test_an_agent_that_falls_is_set_up_again_from_its_journal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("flexlond.daemon.market.FIRST_WAIT", 0.05)
    fair = Fair()
    market = Market(Town(tmp_path).settings(), fair.makers())
    await opened(fair, market, "grid_orchestrator", "asset_site")
    txn = fair.order()
    await fair.active(txn)
    first = fair.made["site"]
    first.fall.set()
    await until(lambda: fair.made["site"] is not first and "asset_site" in market.stalls)
    found = fair.places["site"].node.journal.contracts.get(txn)
    assert found is not None
    assert found.state is State.ACTIVE
    await fair.active(fair.order())
    await market.close()


async def test_a_key_is_changed_by_a_reload_without_a_gap(tmp_path: Path) -> None:
    town, fair = Town(tmp_path), Fair()
    market = Market(town.settings(), fair.makers())
    await opened(fair, market, "grid_orchestrator", "asset_site")
    stall = market.stalls["asset_site"][0]
    file, entry = make_key(tmp_path, "bpp.test", "BPP", town.uri("bpp.test"), "key-2")
    town.trust.write_text(town.trust.read_text() + "\n" + entry)
    said = await market.reload(town.settings(key_id="key-2", key_file=str(file)))
    assert "site: key and trust file read again" in said
    assert market.stalls["asset_site"][0] is stall
    assert stall.node.us.signer.key_id == "key-2"
    await fair.active(fair.order())
    await market.close()


async def test_a_new_key_that_cannot_be_read_leaves_the_old_one(tmp_path: Path) -> None:
    town, fair = Town(tmp_path), Fair()
    market = Market(town.settings(), fair.makers())
    await opened(fair, market, "grid_orchestrator", "asset_site")
    said = await market.reload(town.settings(key_id="key-2", key_file=str(tmp_path / "none")))
    assert "the old key and trust file stay" in said
    await fair.active(fair.order())
    await market.close()


async def test_what_else_changes_opens_the_stall_anew(tmp_path: Path) -> None:
    town, fair = Town(tmp_path), Fair()
    market = Market(town.settings(), fair.makers())
    await opened(fair, market, "grid_orchestrator", "asset_site")
    stall = market.stalls["asset_site"][0]
    said = await market.reload(town.settings(burst=7))
    assert "asset_site opens its stalls" in said
    await until(lambda: market.stalls.get("asset_site", [stall])[0] is not stall)
    await fair.active(fair.order())
    await market.close()


async def test_a_key_that_others_may_read_is_refused(tmp_path: Path) -> None:
    town, fair = Town(tmp_path), Fair()
    town.keys["bpp.test"].chmod(0o644)
    market = Market(town.settings(), fair.makers())
    await opened(fair, market, "grid_orchestrator")
    await until(lambda: "can be read by others" in fair.warnings.get("market asset_site", ""))
    await market.close()


async def test_a_credential_is_found_where_systemd_put_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    town, fair = Town(tmp_path), Fair()
    named: dict[str, Any] = {"key": "market", "key_file": ""}
    market = Market(town.settings(**named), fair.makers())
    monkeypatch.delenv("CREDENTIALS_DIRECTORY", raising=False)
    monkeypatch.setattr("flexlond.daemon.market.FIRST_WAIT", 0.05)
    market.start(fair.warn)
    await until(lambda: "LoadCredential=market:PATH" in fair.warnings.get("market asset_site", ""))
    (tmp_path / "market").write_bytes(town.keys["bpp.test"].read_bytes())
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    await until(lambda: "asset_site" in market.stalls)
    await market.close()


def test_keygen_writes_once_for_the_owner_only(tmp_path: Path) -> None:
    file, entry = make_key(tmp_path, "a.test", "BPP", "https://a.test/beckn/")
    assert file.stat().st_mode & 0o777 == 0o600
    assert file.read_text().strip() not in entry
    assert 'url = "https://a.test/beckn"' in entry
    before = file.read_bytes()
    words = ["keygen", str(file), "--subscriber", "a", "--role", "BPP", "--uri", "https://a.test"]
    again = CliRunner().invoke(app, words)
    assert again.exit_code == 1
    assert file.read_bytes() == before


async def test_a_battery_site_sells_over_real_sockets_until_the_order_is_complete(
    tmp_path: Path,
) -> None:
    slot = 4
    chosen = AssetSettings(
        name="b1",
        kind="battery",
        driver="simulated",
        charge_kw=50.0,
        discharge_kw=50.0,
        capacity_kwh=100.0,
        start_level=100.0,
    )
    settings = Town(tmp_path).settings()
    sell = SellSettings(notice=1.0, max_slots=3)
    settings = replace_struct(settings, market=replace_struct(settings.market, sell=sell))
    works = BatteryWorks((chosen,), drivers_of((chosen,)), sell, slot)
    fair = Fair()
    makers = {**fair.makers(), "asset_site": lambda given: SellerAgent(given, works)}
    market = Market(settings, makers)
    await opened(fair, market, "grid_orchestrator", "asset_site")

    async def beat() -> None:
        while True:
            await works.look(int(time.time()))
            await works.act(int(time.time()), allowed=True)
            await asyncio.sleep(0.5)

    beating = asyncio.create_task(beat())
    place, txn = fair.places["grid"], str(uuid.uuid4())
    (fair.buyer.seller,) = place.peers(Role.BPP, time.time())
    first = int(time.time()) // slot * slot + 2 * slot
    body = {"contract": need([20.0], first, slot)}
    place.node.ask("select", fair.buyer.seller, txn, body, time.time())
    place.wake()

    def complete() -> bool:
        found = place.node.journal.contracts.get(txn)
        assert found is None or found.state is not State.CANCELLED, fair.buyer.errors
        return found is not None and found.state is State.COMPLETE

    await until(complete)
    seller = market.agents["asset_site"]
    assert isinstance(seller, SellerAgent)
    (order,) = seller.orders()
    assert order.state == "over"
    assert order.delivered_kwh == pytest.approx(20.0 * slot / 3600, rel=0.5)
    beating.cancel()
    await market.close()


async def test_a_process_without_slurm_is_composed_and_says_so(tmp_path: Path) -> None:
    settings = Town(tmp_path).settings()
    parts = await compose(settings)
    assert isinstance(parts.agent, Idle)
    assert "without Slurm" in parts.agent.status().reader_reason
    assert "0 kW sold now" in await parts.agent.cycle(int(time.time()))
    assert not parts.agent.may_delay()
    await parts.close()


BASE = """
[agents]
compute_flex = false
grid_orchestrator = true
[market.identity.grid]
agent = "grid_orchestrator"
role = "BAP"
subscriber = "grid.test"
uri = "https://grid.test/beckn"
port = 8085
key_id = "key-1"
key = "grid"
trust_file = "/etc/flexlon/trust.toml"
"""


def test_a_whole_identity_loads() -> None:
    assert parse(BASE.encode(), Path("x")).market.of("grid_orchestrator", "BAP") is not None


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("grid_orchestrator = true", "", "no agent runs"),
        ("grid_orchestrator = true", "asset_site = true", "there is no [[assets]]"),
        ("grid_orchestrator = true", "flex_orchestrator = true", "it has no identity as BPP"),
        ('role = "BAP"', 'role = "BPP"', "grid_orchestrator: it has no identity as BAP"),
        ('role = "BAP"', "", "market.identity.grid.role: is missing"),
        ('key = "grid"', "", "needs one of the two"),
        ('key = "grid"', 'key = "../grid"', "is no name of a credential"),
        ('trust_file = "/etc/flexlon/trust.toml"', "", "nobody would be believed"),
        ("port = 8085", "", "443 is a privileged port"),
        ("port = 8085", 'port = 8085\nlisten = "grid.test"', "is no IP address"),
        ('"https://grid.test/beckn"', '"grid.test"', "is no web address"),
        ('"grid.test"', '"grid|test"', "is no id"),
        ("port = 8085", "port = 8085\nburst = 0", "0 is out of range"),
        ('"/etc/flexlon/trust.toml"', '"/trust.toml"\n[market.sell]\nmin_slots = 9', "more than max_slots"),
        ('"/etc/flexlon/trust.toml"', '"/trust.toml"\n[market.sell]\nstale = 1.0', "nothing would be offered"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_named(old: str, new: str, words: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse(BASE.replace(old, new, 1).encode(), Path("x"))
    assert words in str(caught.value)


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ('publish_to = [""]', "market.sell.publish_to"),
        ('publish_to = ["a", "a"]', "stands there twice"),
        ("publish_every = 1.0", "1 is out of range"),
        ("publish_change = 2.0", "2 is out of range"),
        ('track_url = "orders/{order}"', "is no web address"),
        ('track_url = "https://x/{id}"', "is no web address"),
    ],
)
def test_what_is_published_is_checked(line: str, words: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse(f"{BASE}\n[market.sell]\n{line}".encode(), Path("x"))
    assert words in str(caught.value)


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        ('[market.bid]\ngrids = ["a", "a"]', "market.bid.grids"),
        ("[market.bid]\nhold_seconds = 0.0", "market.bid.hold_seconds"),
        ("[market.bid]\nmargin_gbp_per_kwh = -1.0", "market.bid.margin_gbp_per_kwh"),
        ('[market.buy]\npublish_to = ["a b"]', "market.buy.publish_to"),
        ("[market.buy]\nbids_first_seconds = -1.0", "market.buy.bids_first_seconds"),
        ("[market.buy]\nbid_gbp_per_kwh = -1.0", "market.buy.bid_gbp_per_kwh"),
    ],
)
def test_how_is_bid_is_checked(lines: str, words: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse(f"{BASE}\n{lines}".encode(), Path("x"))
    assert words in str(caught.value)


def test_a_site_may_bid_without_selling() -> None:
    asset = '[[assets]]\nname = "b"\nkind = "battery"\ndriver = "simulated"\ncharge_kw = 1.0\n'
    asset += "discharge_kw = 1.0\ncapacity_kwh = 1.0\n"
    text = BASE.replace("grid_orchestrator", "asset_site")
    made = parse(f"{text}\n{asset}".encode(), Path("x"))
    assert has_place(made, "asset_site")
    assert not has_place(made, "flex_orchestrator")


def test_two_identities_share_nothing() -> None:
    second = BASE[BASE.index("[market.identity.grid]") :].replace("identity.grid", "identity.other")
    with pytest.raises(ConfigError) as caught:
        parse((BASE + second).encode(), Path("x"))
    for field in ("agent", "subscriber", "port"):
        assert f"market.identity.other.{field}: is the same as in market.identity.grid" in str(
            caught.value
        )
