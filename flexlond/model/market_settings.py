"""[agents] and [market] of the configuration: which agents run here, and who they are to others.

Law: as settings.py, of which this is a part: only the shape. One identity has one role and one key; what may
be said in its name is decided elsewhere. Secrets are named, never written here. Durations are seconds, prices
GBP per kWh, powers kW.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from flexlond.model.buy_settings import BuySettings

Agent = Literal["compute_flex", "asset_site", "grid_orchestrator", "flex_orchestrator"]
AgentRole = Literal["BAP", "BPP"]


class _Base(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    pass


class AgentsSettings(_Base, frozen=True):
    """[agents]: which agents this process runs."""

    compute_flex: bool = True  # the loop over Slurm's queue
    asset_site: bool = False  # sells [[assets]]; without compute_flex only
    grid_orchestrator: bool = False
    flex_orchestrator: bool = False


class IdentitySettings(_Base, frozen=True):
    """[market.identity.NAME]: one participant of the market, its key, its journal and its switches."""

    agent: Agent
    role: AgentRole
    subscriber: str
    uri: str  # where others reach it, as the registry has it
    key_id: str
    key: str = ""  # the name of a systemd credential
    key_file: str = ""  # or a file
    trust_file: str = ""
    registry_url: str = ""  # a DeDi registry; asked for whom the trust file does not know
    registry_name: str = "subscribers.beckn.one"
    listen: str = "127.0.0.1"
    port: int = 0  # 0: the port of the URI
    journal: str = ""  # empty: market-NAME.db in daemon.state_dir
    network_id: str = ""
    networks: tuple[str, ...] = ()  # memberships asked of peers
    strict_two_phase: bool = True
    strict_duplicates: bool = False
    strict_binding: bool = True
    old_label: bool = True
    record_key_id: bool = True
    skew: float = 30.0
    request_ttl: int = 60
    callback_ttl: int = 600
    draft_seconds: float = 900.0
    quote_seconds: float = 300.0
    answer_seconds: float = 900.0
    rate_per_second: float = 20.0
    burst: int = 100
    keep_days: int = 400  # of what ended, in the journal


class SellSettings(_Base, frozen=True):
    """[market.sell]: on which terms this site sells."""

    approve: Literal["auto", "person"] = "auto"
    approve_seconds: float = 240.0  # a person has so long
    margin: float = 0.1  # of the envelope's price, on top of it
    least_price: float = 0.0  # GBP per kWh: nothing is sold below
    shortfall_penalty: float = 0.0  # GBP per kWh that was sold and not delivered
    least_kw: float = 1.0  # a slot with less is not offered
    least_jobs: int = 5  # a step that rests on fewer jobs is not offered
    gate_closure: float = 0.0  # before a slot begins; 0: the least notice
    notice: float = 300.0  # the least, whatever the envelope says
    min_slots: int = 1
    max_slots: int = 8
    max_per_day: int = 0  # activations; 0: no limit is named
    refresh: float = 60.0  # between two looks for a newer envelope, at least
    stale: float = 900.0  # an envelope that is older offers nothing
    proof_seconds: float = 3600.0  # a portfolio's order waits so long for sites that were cut off
    inside_notice: Literal["refuse", "release"] = "release"  # a cancel that comes so late
    site_name: str = "FlexLon site"
    grid_zone: str = ""
    support_email: str = ""
    support_phone: str = ""
    support_url: str = ""
    track_url: str = ""  # a page of the site's own on an order; {order} is its id
    publish_to: tuple[str, ...] = ()  # catalogue services or buyers that get the catalogue unasked
    publish_every: float = 900.0  # a heartbeat, where nothing changes
    publish_change: float = 0.1  # a share of kW or price; less is no change


class BidSettings(_Base, frozen=True):
    """[market.bid]: how this site bids into needs that grids publish."""

    grids: tuple[str, ...] = ()  # BPPs of the trust file; empty: all of them
    margin_gbp_per_kwh: float = 0.0  # that the incentive pays above our price and the risk
    lead_seconds: float = 60.0  # what an order takes, from the bid to the window
    refresh_seconds: float = 300.0  # needs that are older are asked for again
    silent_seconds: float = 60.0  # a grid that is asked has so long to say a word
    hold_seconds: float = 300.0  # kW are kept so long for a bid without an answer
    take_published: bool = False  # needs that grids publish unasked
    meter: str = ""  # its id, as the grid knows it; empty: our subscriber id


class MarketSettings(_Base, frozen=True):
    """[market]: the Beckn side."""

    identity: dict[str, IdentitySettings] = {}
    sell: SellSettings = SellSettings()
    bid: BidSettings = BidSettings()
    buy: BuySettings = BuySettings()

    def of(self, agent: str, role: str) -> tuple[str, IdentitySettings] | None:
        """The identity of an agent in a role, with its name."""
        return next(
            (
                (name, one)
                for name, one in self.identity.items()
                if one.agent == agent and one.role == role
            ),
            None,
        )
