"""What each key of the configuration means: unit, one sentence, an example.

Law: one entry for every key of flexlond/model/settings.py and none besides (a test counts both ways).
The reference page docs/reference/configuration.md is generated from here by scripts/gen-docs; the
loader quotes the example when it refuses a value. An example is written as TOML and loads.
"""

from __future__ import annotations

from flexlond.daemon.config_docs_assets import ASSET_DOCS, ASSET_SECTIONS
from flexlond.daemon.config_docs_buy import BUY_DOCS, BUY_SECTIONS
from flexlond.daemon.config_docs_market import MARKET_DOCS, MARKET_SECTIONS
from flexlond.daemon.config_docs_planning import PLANNING_DOCS, PLANNING_SECTIONS
from flexlond.daemon.config_docs_settlement import SETTLEMENT, SETTLEMENT_SECTIONS
from flexlond.daemon.config_key_doc import KeyDoc

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
    "sites[]": (
        "Another cluster of the same owner in one Slurm federation, where jobs with `sites=` may be moved "
        "to; a change needs a restart. [How to](../how-to/move-work-between-sites.md)."
    ),
    "sites[].price[]": "That site's price feeds in order of preference.",
    "sites[].carbon[]": "That site's carbon feeds in order of preference.",
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
    **PLANNING_SECTIONS,
    **ASSET_SECTIONS,
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
    "settles": KeyDoc(
        "",
        "csv, octopus-agile, elexon-market-index: the values are what the site pays, or what was measured, and "
        "no forecast; flexlond puts them into settlement when their period is over.",
        "true",
    ),
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
    **{f"sites[].price[].{key}": doc for key, doc in _FEED.items()},
    **{f"sites[].carbon[].{key}": doc for key, doc in _FEED.items()},
    "sites[].cluster": KeyDoc("", "The cluster's name in Slurm, in lower case.", '"south"'),
    "sites[].stay": KeyDoc(
        "s",
        "How long a moved job waits there after its begin time before it gets all its sites back.",
        "600",
    ),
    "sites[].min_benefit": KeyDoc("GBP", "What a move must save at least.", "0.05"),
    "sites[].most": KeyDoc(
        "", "Moves in one cycle, at most (the largest of all sites counts).", "5"
    ),
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
    "meter.site_factor": KeyDoc(
        "",
        "slurm: by how much the nodes' power is multiplied (PUE). Other than 1 the readings are estimates, on "
        "which no claim rests.",
        "1.2",
    ),
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
    **PLANNING_DOCS,
    **ASSET_DOCS,
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
