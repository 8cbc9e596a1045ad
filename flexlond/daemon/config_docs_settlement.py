"""What each key of [settlement] means: a part of config_docs.py.

Law: as config_docs.py.
"""

from __future__ import annotations

from flexlond.daemon.config_key_doc import KeyDoc

SETTLEMENT_SECTIONS = {
    "settlement": (
        "What was delivered, by which baseline, and what it is worth "
        "([how to settle a month](../how-to/settle-a-month.md)). Amounts that money is computed with are text."
    ),
    "settlement.bl01": (
        "The constants of the X-of-Y baseline. The defaults are BL01's as far as they are known from secondary "
        "sources; the official text could not be read ([what that means](../explanation/settlement.md))."
    ),
    "settlement.points[]": (
        "Metering points and where their energy is read. A point may stand here several times, with other "
        "sources: of each settlement period the best reading stands, of equals that of the source named first."
    ),
    "settlement.products.NAME": (
        "A product's rules. It takes the place of the built-in one of the same name (p415, bm, dfs, dso, deg, "
        "market)."
    ),
}

SETTLEMENT = {
    "settlement.site_point": KeyDoc(
        "",
        "The metering point that the site's meter (`[meter]`) reads and the plan speaks of: the daemon puts "
        "readings, forecasts and what the market sold under this name. Name one of `settlement.points` to "
        "have a better meter for the same energy.",
        '"1012345678901"',
    ),
    "settlement.market_product": KeyDoc(
        "",
        "The product by whose rules orders of the market are settled, built in or one of "
        "`settlement.products`. Slots that are no settlement period need the activity contract. Where it is "
        "adjusted by BL01's in-day adjustment, load is never raised in the periods that it is taken from.",
        '"market"',
    ),
    "settlement.nominate_before": KeyDoc(
        "s",
        "How long before its gate closure (one hour before it begins, BSC Section X) the forecast of a "
        "settlement period is fixed. What was fixed is never changed.",
        "300.0",
    ),
    "settlement.baseline": KeyDoc(
        "",
        "The baseline that settles where a product names none. Both are always computed and kept.",
        '"nominated"',
    ),
    "settlement.fall_back": KeyDoc(
        "", "Whether the nominated baseline stands in where BL01 has too few days.", "true"
    ),
    "settlement.orders_are_event_days": KeyDoc(
        "",
        "Whether a day with an order is an event day of its points by itself, which later baselines pass by. "
        "For wholesale days the official rule is not known.",
        "true",
    ),
    "settlement.line_loss": KeyDoc(
        "", "Line loss factor of the site, from the DNO's table (LLF).", '"1.052"'
    ),
    "settlement.transmission_loss": KeyDoc(
        "", "Transmission loss multiplier (TLM); 1 for estimates.", '"0.991"'
    ),
    "settlement.rounding": KeyDoc(
        "",
        "How money and volumes are rounded; no source states it, so it is written into each record.",
        '"ROUND_HALF_UP"',
    ),
    "settlement.volume_places": KeyDoc("", "Places of a volume in MWh.", "4"),
    "settlement.p444_model": KeyDoc(
        "",
        "A model of the compensation of P444, shown and never counted; empty: none. Formula and start of P444 "
        "are not verified.",
        '"direct"',
    ),
    "settlement.p444_from": KeyDoc(
        "", "The date from which that model is shown; empty: not in force.", '"2027-06-25"'
    ),
    "settlement.added_holidays": KeyDoc(
        "",
        "Bank holidays of England and Wales that were proclaimed later than the installed list knows.",
        '["2027-06-04"]',
    ),
    "settlement.removed_holidays": KeyDoc(
        "",
        "Days that the installed list takes for bank holidays and that are none.",
        '["2027-05-03"]',
    ),
    "settlement.bl01.look_back": KeyDoc("days", "How far back days are looked for.", "60"),
    "settlement.bl01.working_x": KeyDoc(
        "", "How many values are averaged, on a working day.", "10"
    ),
    "settlement.bl01.working_y": KeyDoc(
        "", "How many eligible days are taken, most recent first, for a working day.", "10"
    ),
    "settlement.bl01.working_select": KeyDoc(
        "",
        "Which X of the Y: mid leaves out as many highest as lowest values of each half-hour, high and "
        "low take whole days by their energy.",
        '"mid"',
    ),
    "settlement.bl01.working_least": KeyDoc(
        "", "Eligible days without which a working day has no baseline.", "5"
    ),
    "settlement.bl01.non_working_x": KeyDoc(
        "", "How many values are averaged, on a non-working day.", "2"
    ),
    "settlement.bl01.non_working_y": KeyDoc(
        "", "How many eligible days are taken for a non-working day.", "4"
    ),
    "settlement.bl01.non_working_select": KeyDoc("", "As working_select.", '"mid"'),
    "settlement.bl01.non_working_least": KeyDoc(
        "", "Eligible days without which a non-working day has no baseline.", "2"
    ),
    "settlement.bl01.exclude_clock_change": KeyDoc(
        "", "Whether the days of 46 and 50 periods are passed by.", "true"
    ),
    "settlement.bl01.window": KeyDoc(
        "settlement periods", "Length of the window of the in-day adjustment.", "6"
    ),
    "settlement.bl01.gap": KeyDoc(
        "settlement periods",
        "Between that window and the event; sources differ (2: it ends at gate closure, 0: at the event).",
        "2",
    ),
    "settlement.bl01.import_only": KeyDoc(
        "", "Whether an adjusted baseline is never below zero.", "true"
    ),
    "settlement.points[].name": KeyDoc(
        "", "The metering point's name: an MSID or a name of your own.", '"1012345678901"'
    ),
    "settlement.points[].source": KeyDoc(
        "",
        "file: readings come by `flexlonctl settle --readings`; prometheus: a server's samples; slurm: the "
        "energy of jobs in accounting; model: the modelled power. The last two are estimates and support "
        "no claim.",
        '"prometheus"',
    ),
    "settlement.points[].url": KeyDoc(
        "", "prometheus: the server's base address.", '"http://prometheus.example:9090"'
    ),
    "settlement.points[].query": KeyDoc(
        "",
        "prometheus: a plain selector; what must be computed needs a recording rule there.",
        "'pdu_energy_joules_total{room=\"1\"}'",
    ),
    "settlement.points[].series": KeyDoc(
        "",
        "prometheus: how many series together make the point; with fewer there is no reading.",
        "4",
    ),
    "settlement.points[].kind": KeyDoc(
        "", "prometheus: whether the samples are a counter of energy or power.", '"counter"'
    ),
    "settlement.points[].unit": KeyDoc("", "prometheus: the unit of the samples.", '"J"'),
    "settlement.points[].max_kw": KeyDoc(
        "kW",
        "The most that can be drawn through one series of the point; needed with prometheus and model.",
        "400.0",
    ),
    "settlement.points[].max_gap": KeyDoc(
        "s", "The longest gap between samples of a reading that is measured.", "120.0"
    ),
    "settlement.points[].site_factor": KeyDoc(
        "", "slurm: by how much the jobs' energy is multiplied, for cooling (PUE).", "1.2"
    ),
    "settlement.points[].base_kw": KeyDoc(
        "kW", "slurm: what the site draws besides the jobs.", "35.0"
    ),
    "settlement.products.NAME.activity": KeyDoc(
        "",
        "What it is in the records: wman (wholesale), boa (balancing acceptance), dfs, dso, or contract.",
        '"dso"',
    ),
    "settlement.products.NAME.scheme": KeyDoc(
        "",
        "performance pays for what is delivered up to the offer, less a penalty; wholesale is the trade and "
        "the imbalance at the system price.",
        '"performance"',
    ),
    "settlement.products.NAME.baseline": KeyDoc(
        "", "The baseline that settles it; empty: settlement.baseline.", '"nominated"'
    ),
    "settlement.products.NAME.adjusted": KeyDoc(
        "", "Whether the in-day adjustment applies.", "false"
    ),
    "settlement.products.NAME.per_point": KeyDoc(
        "", "Whether delivery is counted point by point, none below zero, as DEG does.", "false"
    ),
    "settlement.products.NAME.losses": KeyDoc(
        "", "Whether volumes are scaled by the loss factors.", "false"
    ),
    "settlement.products.NAME.claim_substituted": KeyDoc(
        "", "Whether readings that the data collector has substituted support a claim.", "false"
    ),
    "settlement.products.NAME.least_share": KeyDoc(
        "", "Share of the offer below which use is not paid.", '"0.63"'
    ),
    "settlement.products.NAME.most_share": KeyDoc(
        "", "Share of the offer up to which use is paid.", '"1"'
    ),
    "settlement.products.NAME.site_share": KeyDoc(
        "", "Share of the net that comes to the site, after the VLP's or VTP's.", '"0.7"'
    ),
    "settlement.products.NAME.fee_per_mwh": KeyDoc(
        "currency/MWh", "A fee on what is delivered.", '"1.50"'
    ),
    "settlement.products.NAME.source": KeyDoc(
        "",
        "Where these rules are from, for whoever reads a statement.",
        '"contract 2026/17, annex B"',
    ),
}
