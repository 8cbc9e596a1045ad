"""What each key of [market.buy] means; the part of config_docs.py that speaks of it.

Law: as config_docs.py: one entry for every key of flexlond/model/buy_settings.py and none besides.
"""

from __future__ import annotations

from flexlond.daemon.config_key_doc import KeyDoc

_B = "market.buy."
_W = "market.buy.weights.NAME."
_S = "market.buy.stress[]."

BUY_SECTIONS = {
    "market.buy": (
        "What grid_orchestrator buys, and how flex_orchestrator splits an order over its sites "
        "([how to](../how-to/buy-flexibility.md))."
    ),
    "market.buy.weights.NAME": (
        "The weights of a goal (`price`, `carbon`, `stress`): one score in GBP per kWh, lower is better. The "
        "defaults below are those of price; carbon has price 0.1 and carbon 1.0, stress price 1.0, carbon 0.1 "
        "and shortfall 1.0."
    ),
    "market.buy.stress[]": "A source of warnings that make needs.",
}

BUY_DOCS: dict[str, KeyDoc] = {
    _B + "goal": KeyDoc("", "What needs are bought for where they do not say.", '"stress"'),
    _B + "value_gbp_per_kwh": KeyDoc("GBP/kWh", "Nothing is bought for more.", "1.0"),
    _B + "penalty_gbp_per_kwh": KeyDoc(
        "GBP/kWh", "What is asked back of sellers for energy that does not come.", "0.2"
    ),
    _B + "budget_gbp": KeyDoc("GBP", "The most that one need may cost.", "100.0"),
    _B + "lot_kw": KeyDoc("kW", "Less is not bought of one seller in one slot.", "0.1"),
    _B + "min_certainty": KeyDoc("", "Offers that are less certain are left out.", "0.8"),
    _B + "watch_kw": KeyDoc(
        "kW", "Bought for a notice of level 1 (margin notice); 0: nothing.", "50.0"
    ),
    _B + "tight_kw": KeyDoc(
        "kW", "Bought for a notice of level 2 (capacity market notice, alert); 0: nothing.", "200.0"
    ),
    _B + "emergency_kw": KeyDoc(
        "kW", "Bought for a notice of level 3 (demand control, emergency); 0: nothing.", "500.0"
    ),
    _B + "notice_hours": KeyDoc(
        "h", "How long a capacity market notice is taken to last, which names no end.", "4.0"
    ),
    _B + "lead_seconds": KeyDoc(
        "s", "What an order takes from the first question to its answer.", "60.0"
    ),
    _B + "discover_seconds": KeyDoc("s", "How long catalogues are waited for.", "15.0"),
    _B + "refresh_seconds": KeyDoc(
        "s", "A catalogue that is older is asked for again while something is open.", "300.0"
    ),
    _B + "take_published": KeyDoc(
        "",
        "Whether catalogues that sellers of the trust file publish unasked are taken, as if they had been "
        "asked for.",
        "true",
    ),
    _B + "silent_seconds": KeyDoc(
        "s",
        "A seller that is silent so long before an order is given up; one that is asked how an order goes, and "
        "says nothing for so long, is not counted with.",
        "60.0",
    ),
    _B + "confirm_seconds": KeyDoc(
        "s",
        "A confirm that has been taken may be answered so late (a person approves it); then it is asked about, "
        "and its kW are bought elsewhere.",
        "300.0",
    ),
    _B + "needs_file": KeyDoc(
        "", "A TOML file with needs; looked at when it changes.", '"/etc/flexlon/needs.toml"'
    ),
    _B + "bid_gbp_per_kwh": KeyDoc(
        "GBP/kWh",
        "What published needs pay to sites that bid (an identity of grid_orchestrator as BPP); 0: "
        "value_gbp_per_kwh.",
        "0.3",
    ),
    _B + "bids_first_seconds": KeyDoc(
        "s",
        "How long a need is open to bids alone before it is bought of sellers too.",
        "600.0",
    ),
    _B + "publish_to": KeyDoc(
        "",
        "Sites or catalogue services of the trust file (role BAP) that get open needs unasked; empty: only "
        "those who ask are shown them.",
        '["hpc-bids.example.org"]',
    ),
    _B + "timeout": KeyDoc("s", "How long a source of warnings may take to answer.", "20.0"),
    _W + "price": KeyDoc("", "What a GBP of price counts.", "1.0"),
    _W + "carbon_gbp_per_kg": KeyDoc("GBP/kg", "What an avoided kg of CO2 counts.", "0.1"),
    _W + "shortfall_gbp_per_kwh": KeyDoc(
        "GBP/kWh", "What a kWh that does not come costs; counts with what is uncertain.", "1.0"
    ),
    _S + "source": KeyDoc(
        "",
        "elexon-warnings: margin and capacity market notices; elexon-demand-control: instructions to cut; "
        "openadr: events of an OpenADR 3.1 VTN.",
        '"openadr"',
    ),
    _S + "url": KeyDoc(
        "", "The VTN; or another address than Elexon's own.", '"https://vtn.example.org/3"'
    ),
    _S + "program": KeyDoc("", "openadr: events of this program only; empty: all.", '"evening"'),
    _S + "client_id": KeyDoc(
        "", "openadr: the OAuth2 client; empty: the VTN asks for none.", '"flexlon"'
    ),
    _S + "secret_file": KeyDoc(
        "", "openadr: the file with the client's secret.", '"/etc/flexlon/vtn.secret"'
    ),
    _S + "refresh": KeyDoc("s", "How often it is asked.", "300.0"),
}
