"""What each key of [planning], [envelope], [windows] and [prediction] means: a part of config_docs.py.

Law: as config_docs.py.
"""

from __future__ import annotations

from flexlond.daemon.config_key_doc import KeyDoc

PLANNING_SECTIONS = {
    "planning": "What a good plan is.",
    "envelope": (
        "The flexibility envelope (`flexlonctl envelope`): which windows are priced, how deep, and what is "
        "kept back. It changes no plan."
    ),
    "windows": "What may be done to keep a window, beside deferring jobs.",
    "prediction": (
        "Runtime and power of a job, learnt from like jobs in Slurm's accounting (sacct). The latest safe "
        "start always uses the time limit, whatever was learnt."
    ),
}

PLANNING_DOCS: dict[str, KeyDoc] = {
    "planning.carbon_price": KeyDoc("GBP/t", "What a tonne of CO2 counts in the plan.", "60.0"),
    "planning.delay_price": KeyDoc(
        "GBP per kWh and day",
        "What a day of waiting costs for each kWh of the site's mean job; it is charged for every job "
        "alike (each task of an array), whatever its size.",
        "0.1",
    ),
    "planning.min_benefit": KeyDoc(
        "", "The share of the job's cost that a move must save to be made.", "0.005"
    ),
    "planning.margin_seconds": KeyDoc(
        "s", "Kept before the latest start, besides the predicted queue wait.", "300"
    ),
    "planning.default_queue_wait": KeyDoc(
        "s", "The queue wait expected before there is history.", "120"
    ),
    "planning.block_seconds": KeyDoc(
        "s",
        "A job with a longer time limit, beside which a large newcomer finds no room, is deferred no longer "
        "than this; 0: no limit.",
        "7200",
    ),
    "planning.newcomer_days": KeyDoc(
        "days",
        "A job is held only where it would start in time though the largest job that came in this time took "
        "its room now, for as long as the longest; 0: not looked at.",
        "90",
    ),
    "planning.ramp_kw_per_5min": KeyDoc(
        "kW", "The largest change of power commanded in 5 minutes; 0: no cap.", "500.0"
    ),
    "planning.spread": KeyDoc(
        "", "The part of a slot over which its begin times are spread.", "0.5"
    ),
    "planning.capacity_margin": KeyDoc(
        "", "The share of each partition that is kept free of deferred jobs.", "0.1"
    ),
    "planning.dual_steps": KeyDoc(
        "steps",
        "Effort for the lower bound that the plan is measured by; fewer prove less.",
        "120",
    ),
    "planning.search_steps": KeyDoc(
        "steps", "Effort for bettering the plan once it is feasible; 0: none.", "400"
    ),
    "planning.search_seconds": KeyDoc(
        "s", "The search also ends after so long, or once it is within 0.1 % of the bound.", "0.3"
    ),
    "planning.milp_seconds": KeyDoc(
        "s",
        "Time for the exact solver after the search, in full cycles; under half of a cycle; 0: off.",
        "5.0",
    ),
    "planning.site_kw": KeyDoc(
        "kW",
        "The most that the site may draw in a slot: idle nodes, running and planned jobs together. Binds "
        "flexible jobs alone: they share what the others leave; 0: no cap.",
        "800.0",
    ),
    "planning.rebound_cap": KeyDoc(
        "",
        "After a window flexible jobs keep the site under so many times the peak of the last day or of the "
        "plan without it, whichever is higher, for twelve hours at most; 0, or before a day was watched: no "
        "cap.",
        "1.1",
    ),
    "planning.co2_cap_kg": KeyDoc(
        "kg", "The most CO2 that the planned runs together may cause; 0: no cap.", "250.0"
    ),
    "planning.export_kw": KeyDoc(
        "kW",
        "The most that assets may make the site export; 0: a battery serves the site's own load only.",
        "0.0",
    ),
    "planning.assets_seconds": KeyDoc(
        "s",
        "Time for planning assets with jobs, in full cycles; under half of a cycle.",
        "5.0",
    ),
    "planning.carbon_cap_kg_per_day": KeyDoc(
        "kg",
        "The most CO2 that flexible jobs may emit in a day of the controller's time zone; 0: no cap.",
        "500.0",
    ),
    "planning.account_carbon_cap_kg_per_day": KeyDoc(
        "kg", "The same for the flexible jobs of an account.", "{climate = 120.0}"
    ),
    "envelope.windows": KeyDoc(
        "", "How many windows are priced, one after the other from the next slot on.", "8"
    ),
    "envelope.window_slots": KeyDoc("slots", "How long each of them is.", "4"),
    "envelope.depths": KeyDoc(
        "",
        "The steps that are tried, as shares of the least power planned in the window.",
        "[0.1, 0.3]",
    ),
    "envelope.margin": KeyDoc(
        "", "The share of the certain kW that is kept back from the offer.", "0.1"
    ),
    "envelope.level": KeyDoc(
        "", "In which share of the cases the certain kW are delivered in every slot.", "0.9"
    ),
    "envelope.rebound_cap": KeyDoc(
        "",
        "The most that the site may draw after a window of less power, as a multiple of the plan's peak.",
        "1.1",
    ),
    "envelope.most_jobs": KeyDoc(
        "jobs",
        "How many jobs are reconsidered for one window: those that change it for least.",
        "400",
    ),
    "envelope.exact_jobs": KeyDoc(
        "jobs", "Up to how many reconsidered jobs the exact solver prices each step.", "64"
    ),
    "envelope.exact_seconds": KeyDoc(
        "s",
        "The time the exact solver has for the whole envelope: hard steps take what easy ones leave; 0: off.",
        "20.0",
    ),
    "envelope.stop_plans": KeyDoc(
        "plans",
        "How many plans are made at most, shared among the windows, to find which running jobs to stop at "
        "depths that deferral does not reach; only with `windows.stop_running`. 0: none is counted.",
        "32",
    ),
    "envelope.seconds": KeyDoc(
        "s", "After so long the envelope is given up, and the answer says so.", "120.0"
    ),
    "windows.slow_arrays": KeyDoc(
        "",
        "Whether an array that may be deferred may run with fewer tasks at once for a window instead, by its "
        "ArrayTaskThrottle. Its owner's own throttle comes back at the end.",
        "true",
    ),
    "windows.stop_running": KeyDoc(
        "",
        "Whether a window that deferral does not keep may stop running jobs: those whose directive says "
        "`preempt=requeue` or `preempt=suspend`, as often and as soon as it says. Off: they run on.",
        "true",
    ),
    "windows.suspend_saves": KeyDoc(
        "",
        "The share of its power that a suspended job does not draw; what is counted of a suspension.",
        "0.8",
    ),
    "windows.restart_seconds": KeyDoc(
        "s",
        "How long a requeued job works until it is where it was, beside the work that it lost.",
        "120.0",
    ),
    "prediction.enabled": KeyDoc(
        "", "Whether to learn; without it every job counts for its time limit.", "true"
    ),
    "prediction.history_days": KeyDoc(
        "days", "How much of the accounting is read the first time.", "90"
    ),
    "prediction.refresh_seconds": KeyDoc(
        "s", "How often the accounting is asked for runs that have ended since.", "600.0"
    ),
}
