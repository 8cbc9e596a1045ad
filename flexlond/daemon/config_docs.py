"""What each key of the configuration means: unit, one sentence, an example.

Law: one entry for every key of flexlond/model/settings.py and none besides (a test counts both ways).
The reference page docs/reference/configuration.md is generated from here by scripts/gen-docs; the
loader quotes the example when it refuses a value. An example is written as TOML and loads.
"""

from __future__ import annotations

from flexlond.daemon.config_docs_buy import BUY_DOCS, BUY_SECTIONS
from flexlond.daemon.config_docs_market import MARKET_DOCS, MARKET_SECTIONS
from flexlond.daemon.config_docs_settlement import SETTLEMENT, SETTLEMENT_SECTIONS
from flexlond.daemon.config_key_doc import KeyDoc

_REGISTERS = {
    "assets[].level": "Modbus register of the level: kWh stored, or degrees C.",
    "assets[].power": "Modbus register of the power, in kW after its scale, positive into the asset.",
    "assets[].setpoint": "Modbus register of the power that is asked for, in kW after its scale.",
    "assets[].lease": (
        "Modbus register that takes the seconds for which a set-point holds; the asset counts them down and "
        "falls back by itself at 0."
    ),
}

SECTIONS = {
    "agents": "Which agents this process runs: any of them, also without Slurm.",
    "daemon": "The loop and its places.",
    "slurm": "How the queue is read.",
    "grid": "The time grid on which everything is planned.",
    "directive": "How annotations in job comments are read.",
    "directive.opt_in[]": (
        "Jobs that are flexible without a comment: every field that is not empty must match. "
        "At least one of partition, qos and account must be given."
    ),
    "directive.classes.NAME": (
        "A named set of directive values, written as a user would write them. A class needs at least "
        "one of deadline, start_by, max_delay and latency. Words in a comment override the class."
    ),
    "signals": "Price and carbon feeds.",
    "signals.price[]": "Price feeds in order of preference: the first that is good serves.",
    "signals.carbon[]": "Carbon feeds in order of preference: the first that is good serves.",
    "power": (
        "How a job's power is modelled when its directive does not say. The power shown of a job is the whole "
        "one, its share of idle power included; costs and savings count the marginal power, which leaves the "
        "idle power of nodes that stay on to the site's base. Measured energy corrects both."
    ),
    "power.node_types.NAME": "Watts of one type of node, before PUE.",
    "meter": (
        "The meter of the site's power ([how to connect one](../how-to/connect-a-meter.md)). A reading that is "
        "stale, absurd or missing is never used: the modelled estimate stands in, and the status says so."
    ),
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
    "assets[]": (
        "Batteries and chilled stores beside the cluster, planned together with the jobs. kW are electric, "
        "positive into the asset. [How to](../how-to/assets.md)."
    ),
    **_REGISTERS,
    "power_caps[]": (
        "GPU nodes whose power could be capped. It is checked and nothing more: there is a simulated driver "
        "only, and nothing sets caps yet. [How a driver is added](../how-to/cap-gpu-power.md)."
    ),
    "helper": "The privileged side, read by flexlon-helper. flexlond cannot pass what is set here.",
    "licence": (
        "Windows that Slurm itself keeps, whatever happens to FlexLon: job_submit.lua gives the jobs of the "
        "partitions that take part the licence `kw`, and a window is a reservation of it. Read by flexlond, "
        "flexlon-helper and `flexlond lua`."
    ),
    **MARKET_SECTIONS,
    **BUY_SECTIONS,
    "ledger": (
        "The record of intents and effects that a stranger can verify "
        "([what it proves](../explanation/ledger.md), [how](../how-to/prove-a-delivery.md)). With a name, "
        "nothing is held that could not be recorded first. Changes need a restart."
    ),
    **SETTLEMENT_SECTIONS,
    "admin": "Who may ask what of the daemon.",
}

_FEED = {
    "source": KeyDoc("", "Where the series comes from.", '"csv"'),
    "path": KeyDoc(
        "",
        "csv: the file, with a header line, times in UTC in the first column.",
        '"/etc/flexlon/price.csv"',
    ),
    "column": KeyDoc(
        "", "csv: the header of the value column; empty takes the second.", '"gbp_per_mwh"'
    ),
    "region": KeyDoc(
        "",
        "neso-carbon-regional: 1 to 17 or an outward postcode; octopus-agile: the letter of the region.",
        '"C"',
    ),
    "product": KeyDoc(
        "", "octopus-agile: the product's code; empty finds the current one.", '"AGILE-24-10-01"'
    ),
    "url": KeyDoc(
        "",
        "Replaces the service's base address, for a site's own mirror or proxy.",
        '"https://mirror.example"',
    ),
    "refresh": KeyDoc("s", "How often the feed is asked again.", "1800.0"),
    "max_age": KeyDoc(
        "s",
        "A series fetched longer ago than this is stale; 0 takes the source's own rule.",
        "7200.0",
    ),
    "minimum": KeyDoc("GBP/MWh or gCO2/kWh", "A value below this is unknown.", "-1000.0"),
    "maximum": KeyDoc("GBP/MWh or gCO2/kWh", "A value above this is unknown.", "6000.0"),
}

_REGISTER = {
    "address": KeyDoc(
        "", "As on the wire, from 0 (40001 in a manual is 0); -1: there is none.", "100"
    ),
    "type": KeyDoc("", "How the value is coded; 32 bits take two registers.", '"int16"'),
    "scale": KeyDoc(
        "", "value = raw x scale + offset; negative where the device counts the other way.", "0.1"
    ),
    "offset": KeyDoc("", "Added after the scale.", "0.0"),
    "table": KeyDoc("", "Which table it stands in; what is written is in holding.", '"holding"'),
    "word_order": KeyDoc("", "Which word of a 32-bit value comes first.", '"big"'),
}

DOCS: dict[str, KeyDoc] = {
    "daemon.mode": KeyDoc(
        "", "observe: plan and report, touch nothing; act: move flexible jobs.", '"observe"'
    ),
    "daemon.cycle_seconds": KeyDoc("s", "How often the whole queue is planned anew.", "30.0"),
    "daemon.tick_seconds": KeyDoc(
        "s", "How often new jobs are looked for; shorter than directive.decision_window.", "3.0"
    ),
    "daemon.state_dir": KeyDoc("", "The store and the lock of the daemon.", '"/var/lib/flexlon"'),
    "daemon.heartbeat_file": KeyDoc(
        "",
        "The file by which the Lua plugin knows that new jobs will be placed; no file, no delay.",
        '"/run/flexlon/heartbeat"',
    ),
    "daemon.admin_socket": KeyDoc(
        "", "The Unix socket that flexlonctl speaks to.", '"/run/flexlon/admin.sock"'
    ),
    "daemon.helper_socket": KeyDoc(
        "",
        "The Unix socket of the helper, as in helper.socket.",
        '"/run/flexlon-helper/helper.sock"',
    ),
    "daemon.log_level": KeyDoc("", "The least severe message that is logged.", '"info"'),
    "slurm.reader": KeyDoc(
        "", "How the queue is read; auto takes squeue, which serves every version.", '"auto"'
    ),
    "slurm.bin_dir": KeyDoc(
        "", "Where Slurm's commands are; empty finds them on PATH.", '"/opt/slurm/bin"'
    ),
    "slurm.conf": KeyDoc(
        "", "The slurm.conf to use (SLURM_CONF); empty: Slurm's own.", '"/etc/slurm/slurm.conf"'
    ),
    "slurm.restd_socket": KeyDoc(
        "",
        "The Unix socket of slurmrestd; empty: there is none.",
        '"/run/slurmrestd/slurmrestd.socket"',
    ),
    "slurm.munge_socket": KeyDoc(
        "",
        "munged's socket, for gRPC credentials; empty: libmunge's own.",
        '"/run/munge/munge.socket.2"',
    ),
    "slurm.command_timeout": KeyDoc("s", "A Slurm command that takes longer is given up.", "30.0"),
    "grid.slot_seconds": KeyDoc(
        "s", "The length of a slot; 1800 is the GB settlement period.", "1800"
    ),
    "grid.horizon_slots": KeyDoc("slots", "How far ahead is planned.", "96"),
    "directive.default_class": KeyDoc("", "The class that a bare `flex:` takes.", '"standard"'),
    "directive.decision_window": KeyDoc(
        "s", "How long a new flexible job may wait to be placed; 1 to 10.", "10"
    ),
    "directive.max_directive_length": KeyDoc("bytes", "A longer directive is rejected.", "512"),
    "directive.classes.NAME.deadline": KeyDoc("", "Finish by: a Slurm time.", '"08:00"'),
    "directive.classes.NAME.start_by": KeyDoc("", "Start by: a Slurm time.", '"now+8hours"'),
    "directive.classes.NAME.max_delay": KeyDoc(
        "",
        "The longest wait beyond the first moment it could have started: a Slurm duration.",
        '"12:00:00"',
    ),
    "directive.classes.NAME.latency": KeyDoc(
        "",
        "The longest wait from the submission on, whatever the job waits for: a Slurm duration.",
        '"00:10:00"',
    ),
    "directive.classes.NAME.preempt": KeyDoc(
        "", "What may be done once it runs: none, requeue or suspend.", '"requeue"'
    ),
    "directive.classes.NAME.checkpoint": KeyDoc(
        "", "The signal before a requeue and the seconds it is given.", '"USR1@60"'
    ),
    "directive.classes.NAME.min_run": KeyDoc(
        "", "The least run time between two preemptions: a Slurm duration.", '"30:00"'
    ),
    "directive.classes.NAME.max_preempts": KeyDoc("", "How often it may be preempted.", '"2"'),
    "directive.classes.NAME.power": KeyDoc(
        "", "The power of such a job; what is stated counts whole.", '"350W/node"'
    ),
    "directive.classes.NAME.max_price": KeyDoc(
        "", "Wait for a slot at or below this price, never past the latest start.", '"80"'
    ),
    "directive.classes.NAME.max_carbon": KeyDoc(
        "", "Wait for a slot at or below this intensity, never past the latest start.", '"150"'
    ),
    "directive.classes.NAME.work": KeyDoc(
        "", "The useful work of each such job, counted in `unit`.", '"2.5e6"'
    ),
    "directive.classes.NAME.unit": KeyDoc(
        "", "What the work of such jobs is counted in; a job may give its own work.", '"inference"'
    ),
    "directive.opt_in[].partition": KeyDoc("", "The partition that the job asks for.", '"batch"'),
    "directive.opt_in[].qos": KeyDoc("", "The job's QOS.", '"low"'),
    "directive.opt_in[].account": KeyDoc("", "The job's account.", '"climate"'),
    "directive.opt_in[].flex_class": KeyDoc(
        "", "The class that applies; empty: the default class.", '"standard"'
    ),
    **{f"signals.price[].{key}": doc for key, doc in _FEED.items()},
    **{f"signals.carbon[].{key}": doc for key, doc in _FEED.items()},
    "signals.timeout": KeyDoc("s", "A request that takes longer has failed.", "20.0"),
    "signals.fill": KeyDoc(
        "", "Whether a later feed may fill the slots that the serving one does not know.", "false"
    ),
    "power.pue": KeyDoc("", "Site power over IT power.", "1.2"),
    "power.other_kw": KeyDoc(
        "kW",
        "What the site draws besides nodes and jobs, at the meter; it is part of the base power of every slot. "
        "`flexlonctl status` estimates it where there is a meter.",
        "35.0",
    ),
    "power.node_types.NAME.partitions": KeyDoc(
        "",
        "The partitions with such nodes; empty: every partition not named elsewhere.",
        '["batch"]',
    ),
    "power.node_types.NAME.idle_watts": KeyDoc(
        "W",
        "A node that does nothing. It counts for a job's saving only where Slurm switches idle nodes off "
        "(SuspendProgram and SuspendTime in slurm.conf); else moving a job does not save it.",
        "120.0",
    ),
    "power.node_types.NAME.cpu_watts": KeyDoc("W", "One allocated CPU at work, above idle.", "8.0"),
    "power.node_types.NAME.gpu_watts": KeyDoc(
        "W",
        'One allocated GPU at work, by type as Slurm names it; "" is every other type.',
        "{h200 = 700.0}",
    ),
    "power.node_types.NAME.cpus_per_node": KeyDoc(
        "CPUs", "Shares the idle watts among the jobs of one node.", "64"
    ),
    "power.node_types.NAME.idle_share": KeyDoc(
        "", "The part of a job's share of the idle watts that it is charged with, 0 to 1.", "1.0"
    ),
    "meter.source": KeyDoc(
        "", "What kind of meter is read; none: the site's power is modelled.", '"prometheus"'
    ),
    "meter.url": KeyDoc(
        "",
        "prometheus: its base address (or of what answers the same HTTP API), without user and password.",
        '"http://prometheus.example:9090"',
    ),
    "meter.query": KeyDoc(
        "",
        "prometheus: the selector of the site's power; its series are summed here, because only a plain "
        "selector tells how old each sample is.",
        "'site_power_watts{feed=~\"a|b\"}'",
    ),
    "meter.series": KeyDoc(
        "",
        "prometheus: how many series the query must answer; with fewer the sum would be too low.",
        "2",
    ),
    "meter.path": KeyDoc(
        "",
        "csv: the file that the site's logger appends to; time first, the last whole line counts.",
        '"/var/log/site-meter.csv"',
    ),
    "meter.column": KeyDoc("", "csv: the column of the power; the time is in column 1.", "2"),
    "meter.unit": KeyDoc("", "The unit of the reading.", '"W"'),
    "meter.refresh": KeyDoc("s", "How often the meter is read.", "10.0"),
    "meter.timeout": KeyDoc("s", "prometheus: a request that takes longer has failed.", "5.0"),
    "meter.max_age": KeyDoc(
        "s", "A reading older than this, by the meter's own time, is stale.", "120.0"
    ),
    "meter.max_kw": KeyDoc(
        "kW",
        "The most that the site can draw (its supply's rating): a reading above it is absurd.",
        "2500.0",
    ),
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
        "A job longer than this, beside which a large newcomer finds no room, is deferred no longer; "
        "0: no limit.",
        "7200",
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
    "assets[].name": KeyDoc("", "A name of your own, as it is shown.", '"battery"'),
    "assets[].kind": KeyDoc("", "What it is.", '"battery"'),
    "assets[].driver": KeyDoc(
        "", "simulated: the plant model run forward, for trials; modbus: Modbus/TCP.", '"modbus"'
    ),
    "assets[].max_age": KeyDoc(
        "s", "An asset whose last reading is older is left out of the plan.", "120.0"
    ),
    "assets[].lease_seconds": KeyDoc(
        "s",
        "How long a set-point lasts that is not renewed; longer than two cycles, or it lapses between them.",
        "120.0",
    ),
    "assets[].charge_kw": KeyDoc("kW", "battery: the most it takes.", "250.0"),
    "assets[].discharge_kw": KeyDoc("kW", "battery: the most it gives.", "250.0"),
    "assets[].capacity_kwh": KeyDoc("kWh", "battery: what it holds when full.", "500.0"),
    "assets[].reserve_kwh": KeyDoc("kWh", "battery: kept back, never planned with.", "100.0"),
    "assets[].charge_efficiency": KeyDoc("", "battery: kWh stored per kWh taken.", "0.95"),
    "assets[].discharge_efficiency": KeyDoc(
        "", "battery: kWh given per kWh out of the store.", "0.95"
    ),
    "assets[].wear_gbp_per_kwh": KeyDoc(
        "GBP/kWh", "battery: what a kWh in or out costs in wear.", "0.02"
    ),
    "assets[].max_kw": KeyDoc("kW", "chiller: the most it draws.", "120.0"),
    "assets[].min_kw": KeyDoc(
        "kW", "chiller: the least at which it runs; below it is off.", "20.0"
    ),
    "assets[].inertia_kwh_per_k": KeyDoc(
        "kWh/K", "chiller: the heat that warms its store by one degree.", "60.0"
    ),
    "assets[].conductance_kw_per_k": KeyDoc(
        "kW/K", "chiller: heat that comes in per degree between ambient and store.", "1.5"
    ),
    "assets[].ambient_c": KeyDoc("C", "chiller: the temperature around the store.", "25.0"),
    "assets[].cop": KeyDoc("", "chiller: kW of heat moved per kW of electricity.", "4.0"),
    "assets[].low_c": KeyDoc("C", "chiller: never colder.", "16.0"),
    "assets[].high_c": KeyDoc("C", "chiller: never warmer.", "22.0"),
    "assets[].heat_kw": KeyDoc(
        "kW", "chiller: the heat load: one figure, or 24 by hour of the day in UTC.", "[150.0]"
    ),
    "assets[].start_level": KeyDoc(
        "kWh or C", "simulated: where it begins at each start of the daemon.", "200.0"
    ),
    "assets[].host": KeyDoc("", "modbus: the device's address.", '"192.0.2.10"'),
    "assets[].port": KeyDoc("", "modbus: its TCP port.", "502"),
    "assets[].unit": KeyDoc("", "modbus: the device's id behind a gateway.", "1"),
    "assets[].timeout": KeyDoc("s", "modbus: one register takes no longer.", "2.0"),
    "assets[].write": KeyDoc(
        "", "modbus: whether set-points may be written at all; they are in act mode only.", "false"
    ),
    "assets[].falls_back": KeyDoc(
        "",
        "modbus: the asset has a time-out of its own after which a set-point that is not renewed lapses.",
        "true",
    ),
    "assets[].neutral_kw": KeyDoc(
        "kW",
        "modbus: the set-point by which the asset is left to itself, written when flexlond stops.",
        "0.0",
    ),
    **{f"{section}.{key}": doc for section in _REGISTERS for key, doc in _REGISTER.items()},
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
        "s", "The time the exact solver has for each step; 0: off.", "0.5"
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
    "power_caps[].name": KeyDoc("", "A name of your own.", '"h200"'),
    "power_caps[].partitions": KeyDoc(
        "", "The partitions whose nodes may be capped; no other node ever is.", '["gpu"]'
    ),
    "power_caps[].curve": KeyDoc(
        "W, share",
        "Measured points: the cap of a whole node and its relative speed under it, rising to 1.0.",
        "[[1400.0, 0.62], [2100.0, 0.87], [2800.0, 1.0]]",
    ),
    "power_caps[].driver": KeyDoc("", "What sets the caps.", '"simulated"'),
    "power_caps[].lease_seconds": KeyDoc(
        "s", "A cap that is not renewed for so long lapses by itself.", "120.0"
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
    "helper.socket": KeyDoc("", "Where the helper listens.", '"/run/flexlon-helper/helper.sock"'),
    "helper.state_dir": KeyDoc(
        "", "Where the helper keeps opt-outs and resume timers.", '"/var/lib/flexlon-helper"'
    ),
    "helper.daemon_user": KeyDoc(
        "", "The only user, besides root, who may ask the helper.", '"flexlon"'
    ),
    "helper.max_actions_per_minute": KeyDoc(
        "", "More actions are refused until the minute is over.", "6000"
    ),
    "helper.max_requeues_per_minute": KeyDoc(
        "", "More requeues are refused until the minute is over.", "60"
    ),
    "helper.max_batch": KeyDoc("", "The most actions in one call.", "5000"),
    "helper.margin_seconds": KeyDoc("s", "The helper's own margin before the latest start.", "30"),
    "helper.resume_grace": KeyDoc(
        "s", "How long after its time a suspended job may wait for the independent resume.", "0"
    ),
    "licence.total_kw": KeyDoc(
        "kW",
        "N of the line Licenses=kw:N in slurm.conf: the most that the jobs can draw together; 0: no licence.",
        "1000",
    ),
    "licence.conf": KeyDoc(
        "",
        "The file that has this line. The plugin looks at it with each job and gives no licence without the "
        "line, because Slurm refuses jobs that ask for a licence that it does not know.",
        '"/etc/slurm/slurm.conf"',
    ),
    "licence.partitions": KeyDoc(
        "",
        "Whose jobs get the licence: off (also where a partition is not named), flexible (jobs that consent "
        "to be moved) or all (needs licence.consent).",
        '{ batch = "flexible", night = "all" }',
    ),
    "licence.consent": KeyDoc(
        "",
        "For all: a sentence that says who agreed that jobs without a directive wait for windows.",
        '"All jobs of night may wait for windows: J. Doe, head of computing, 2026-11-28"',
    ),
    "licence.longest_seconds": KeyDoc(
        "s", "The longest reservation that the helper makes.", "43200"
    ),
    "licence.ahead_seconds": KeyDoc(
        "s", "How far ahead the end of a reservation may be.", "172800"
    ),
    "licence.most": KeyDoc("", "The most reservations of ours at one time.", "48"),
    "ledger.name": KeyDoc(
        "",
        "Whose ledger it is, as counterparties will know it; it keeps this name for life. Empty: none is kept.",
        '"hpc.example.org/flexlon"',
    ),
    "ledger.path": KeyDoc(
        "",
        "The ledger's file; empty: ledger.db in daemon.state_dir.",
        '"/var/lib/flexlon/ledger.db"',
    ),
    "ledger.second_place": KeyDoc(
        "",
        "A folder, best on another machine's disk, that gets every signed checkpoint as a file; without it "
        "nothing here shows that the whole ledger was rewritten.",
        '"/srv/witness/flexlon"',
    ),
    "ledger.key": KeyDoc(
        "",
        "The key that checkpoints are signed with: the name of a credential of the unit (LoadCredential=), or "
        "an absolute path; 32 bytes in base64, as flexlonctl ledger new-key writes them.",
        '"ledger-key"',
    ),
    "ledger.keep_days": KeyDoc(
        "days",
        "Bodies of entries older than this are dropped, what a settlement or a dispute rests on apart; their "
        "hashes stay, so old proofs stay valid. 0: never.",
        "800",
    ),
    "ledger.personal_days": KeyDoc(
        "days", "Clear text of personal data older than this is erased. 0: never.", "400"
    ),
    **SETTLEMENT,
    "admin.operators": KeyDoc(
        "", "Users who may see and ask everything, by name or uid.", '["root"]'
    ),
    "admin.operator_group": KeyDoc(
        "", "A group whose members are operators too.", '"flexlon-admin"'
    ),
    **MARKET_DOCS,
    **BUY_DOCS,
}
