"""What each key of [agents] and [market] means; the part of config_docs.py that speaks of them.

Law: as config_docs.py: one entry for every key of flexlond/model/market_settings.py and none besides.
"""

from __future__ import annotations

from flexlond.daemon.config_key_doc import KeyDoc

_I = "market.identity.NAME."
_S = "market.sell."
_N = "market.bid."

MARKET_SECTIONS = {
    "market.identity.NAME": (
        "One participant of a Beckn market: an agent in one role (BPP offers, BAP asks), its key, and where it "
        "is strict ([what the switches are for](../explanation/beckn.md))."
    ),
    "market.sell": (
        "On which terms compute_flex or asset_site sells ([how to](../how-to/sell-flexibility.md))."
    ),
    "market.bid": (
        "How compute_flex or asset_site bids into needs that grids publish, with an identity as BAP "
        "([how to](../how-to/sell-flexibility.md#bid-into-needs-that-are-published)). `approve`, `least_kw`, "
        "prices and limits are those of market.sell."
    ),
}

MARKET_DOCS: dict[str, KeyDoc] = {
    "agents.compute_flex": KeyDoc(
        "",
        "The loop over Slurm's queue; with a BPP identity it also sells what the queue can give, with a "
        "BAP identity it bids it into published needs. Off: the process needs no Slurm.",
        "true",
    ),
    "agents.asset_site": KeyDoc(
        "",
        "Sells what [[assets]] can give, or bids it, at a site without Slurm (compute_flex = false).",
        "true",
    ),
    "agents.grid_orchestrator": KeyDoc(
        "",
        "Buys flexibility for a grid; needs a BAP identity, and publishes its needs with a BPP one.",
        "true",
    ),
    "agents.flex_orchestrator": KeyDoc(
        "",
        "Sells the flexibility of several sites as one; needs a BPP identity to the grid and a BAP identity "
        "to the sites.",
        "true",
    ),
    _I + "agent": KeyDoc("", "Whose identity it is.", '"compute_flex"'),
    _I + "role": KeyDoc("", "BPP: it has a catalogue; BAP: it asks.", '"BPP"'),
    _I + "subscriber": KeyDoc(
        "", "Its id, as the registry or the others' trust files have it.", '"hpc.example.org"'
    ),
    _I + "uri": KeyDoc(
        "",
        "Where others reach it. The path is taken here too; TLS ends in a proxy before it.",
        '"https://hpc.example.org/beckn"',
    ),
    _I + "key_id": KeyDoc("", "The id of its key, as the registry has it.", '"key-1"'),
    _I + "key": KeyDoc(
        "",
        "Its key as a systemd credential: the name in LoadCredential= (`flexlond keygen` makes the file).",
        '"flexlon-market"',
    ),
    _I + "key_file": KeyDoc(
        "",
        "Or the key's file; only its owner may read it. A reload takes a new key.",
        '"/etc/flexlon/market.key"',
    ),
    _I + "trust_file": KeyDoc(
        "",
        "The participants that are believed; read again at a reload.",
        '"/etc/flexlon/trust.toml"',
    ),
    _I + "registry_url": KeyDoc(
        "",
        "A DeDi registry that is asked for those whom the trust file does not know.",
        '"https://registry.example.org/dedi"',
    ),
    _I + "registry_name": KeyDoc("", "The registry's name there.", '"subscribers.beckn.one"'),
    _I + "listen": KeyDoc("", "The address on which it listens.", '"127.0.0.1"'),
    _I + "port": KeyDoc("", "Its port; 0: the port of the URI.", "8085"),
    _I + "journal": KeyDoc(
        "",
        "The file of its messages and orders; empty: market-NAME.db in daemon.state_dir. Never delete it "
        "while orders stand.",
        '"/var/lib/flexlon/market-hpc.db"',
    ),
    _I + "network_id": KeyDoc(
        "", "The network's id in messages; others are refused.", '"nfh.global/testnet-deg"'
    ),
    _I + "networks": KeyDoc(
        "",
        "Memberships of which a peer must have one; empty: none is asked for.",
        '["nfh.global/testnet-deg"]',
    ),
    _I + "strict_two_phase": KeyDoc(
        "", "Whether an update or cancel needs a preview before it.", "true"
    ),
    _I + "strict_duplicates": KeyDoc(
        "", "Whether a repeated message is refused instead of acknowledged again.", "false"
    ),
    _I + "strict_binding": KeyDoc(
        "", "Whether an answer must be bound to its request's signature.", "true"
    ),
    _I + "old_label": KeyDoc("", "Whether the digest's label BLAKE2b-512 is accepted too.", "true"),
    _I + "record_key_id": KeyDoc(
        "", "Whether key ids of the form namespace/registry/record are accepted too.", "true"
    ),
    _I + "skew": KeyDoc("s", "How far a signature's time may lie ahead of our clock.", "30.0"),
    _I + "request_ttl": KeyDoc("s", "How long a request of ours is valid.", "60"),
    _I + "callback_ttl": KeyDoc("s", "How long an answer of ours is valid.", "600"),
    _I + "draft_seconds": KeyDoc(
        "s", "After so long a draft that nobody goes on with ends.", "900.0"
    ),
    _I + "quote_seconds": KeyDoc(
        "s", "How long what an order names is reserved before it is confirmed.", "300.0"
    ),
    _I + "answer_seconds": KeyDoc(
        "s", "How long a BAP waits for the answer to an update or a cancel.", "900.0"
    ),
    _I + "rate_per_second": KeyDoc("1/s", "How many messages of one peer are taken.", "20.0"),
    _I + "burst": KeyDoc("", "How many of them at once.", "100"),
    _I + "keep_days": KeyDoc(
        "days", "How long the messages of orders that ended stay in the journal.", "400"
    ),
    _S + "approve": KeyDoc(
        "",
        "auto: an order that can be kept is confirmed; person: after `flexlonctl market accept`.",
        '"person"',
    ),
    _S + "approve_seconds": KeyDoc(
        "s", "How long a person has; then the order is refused.", "240.0"
    ),
    _S + "margin": KeyDoc("", "What is put on the envelope's price, as a share of it.", "0.1"),
    _S + "least_price": KeyDoc("GBP/kWh", "Nothing is sold for less.", "0.05"),
    _S + "shortfall_penalty": KeyDoc(
        "GBP/kWh", "What is paid for energy that was sold and not delivered.", "0.2"
    ),
    _S + "least_kw": KeyDoc("kW", "A slot with less is not offered.", "1.0"),
    _S + "least_jobs": KeyDoc(
        "jobs",
        "What rests on fewer jobs is not offered: nobody's single job can be read from the market.",
        "5",
    ),
    _S + "gate_closure": KeyDoc(
        "s", "How long before a slot its sale ends, at least; 0: the notice alone.", "600.0"
    ),
    _S + "notice": KeyDoc("s", "The least notice, whatever the envelope says.", "300.0"),
    _S + "min_slots": KeyDoc("slots", "The shortest order.", "1"),
    _S + "max_slots": KeyDoc("slots", "The longest order.", "8"),
    _S + "max_per_day": KeyDoc("", "Activations in a day; 0: no limit.", "4"),
    _S + "refresh": KeyDoc("s", "How often the envelope is asked for at most.", "60.0"),
    _S + "stale": KeyDoc("s", "An envelope that is older than this offers nothing.", "900.0"),
    _S + "proof_seconds": KeyDoc(
        "s",
        "Flexibility Orchestrator: so long after its last slot an order waits for sites that were cut off to "
        "prove what they delivered; then it is complete without them.",
        "3600.0",
    ),
    _S + "inside_notice": KeyDoc(
        "",
        "A cancel that comes after the notice has begun and before the window has: release ends the window, "
        "refuse keeps the order. Once the window has begun it is always refused.",
        '"refuse"',
    ),
    _S + "site_name": KeyDoc("", "The site's name in the catalogue.", '"Example HPC"'),
    _S + "grid_zone": KeyDoc("", "The part of the grid in which the site is.", '"GB-13"'),
    _S + "support_email": KeyDoc(
        "", "What is answered to a question for support.", '"hpc@example.org"'
    ),
    _S + "support_phone": KeyDoc("", "As above.", '"+44 20 7946 0000"'),
    _S + "support_url": KeyDoc("", "As above.", '"https://example.org/support"'),
    _S + "track_url": KeyDoc(
        "",
        "What is answered to `track`: a page of the site's own on an order, {order} is its id; empty: progress "
        "is told by status alone.",
        '"https://example.org/orders/{order}"',
    ),
    _S + "publish_to": KeyDoc(
        "",
        "Catalogue services or buyers of the trust file (role BAP) that get the catalogue unasked; empty: only "
        "those who ask are shown it.",
        '["grid.example.org"]',
    ),
    _S + "publish_every": KeyDoc("s", "How often at least it is published to them.", "900.0"),
    _S + "publish_change": KeyDoc(
        "",
        "By what share the kW or the price of a slot must change to be published before that; at most once in "
        "`refresh` seconds.",
        "0.1",
    ),
    _N + "grids": KeyDoc(
        "",
        "Grids (BPPs of the trust file) into whose needs it bids; empty: all of them.",
        '["grid.example.org"]',
    ),
    _N + "margin_gbp_per_kwh": KeyDoc(
        "GBP/kWh",
        "By how much an incentive must be above the price and the penalty times the chance of a shortfall.",
        "0.05",
    ),
    _N + "lead_seconds": KeyDoc(
        "s", "What an order takes from the bid to the window; later slots only are bid.", "60.0"
    ),
    _N + "refresh_seconds": KeyDoc(
        "s",
        "How often a grid is asked for its needs; one that is silent less and less often.",
        "300.0",
    ),
    _N + "silent_seconds": KeyDoc(
        "s", "A grid that is silent so long before a confirm is given up.", "60.0"
    ),
    _N + "hold_seconds": KeyDoc(
        "s",
        "How long the kW of a bid are reserved while the grid owes an answer; then they may go elsewhere, and "
        "an answer that comes later is cancelled where they have gone.",
        "300.0",
    ),
    _N + "take_published": KeyDoc(
        "", "Whether needs that grids publish unasked are taken.", "true"
    ),
    _N + "meter": KeyDoc(
        "",
        "The id of the site's meter with the grid; empty: our subscriber id.",
        '"mpan:1012345678901"',
    ),
}
