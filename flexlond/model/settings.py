"""The configuration as typed, frozen records: one TOML file, the same for daemon, helper and Lua plugin.

Law: every key has a type, a default and a docstring line in `DOCS` of flexlond/daemon/config_docs.py (the
reference page is generated from both). Unknown keys are errors. Durations are seconds unless the name says
otherwise; money is GBP; power is watts in node types and kW for the site. Loading and cross-checks live in
flexlond/daemon/config.py; this module is only the shape.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from flexlond.model.market_settings import AgentsSettings, MarketSettings
from flexlond.model.settlement_settings import SettlementSettings


class _Base(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    pass


class FlexClass(_Base, frozen=True):
    """[directive.classes.NAME]: a named set of directive values (the values as a user would write them)."""

    deadline: str = ""
    start_by: str = ""
    max_delay: str = ""
    latency: str = ""
    preempt: str = ""
    checkpoint: str = ""
    min_run: str = ""
    max_preempts: str = ""
    power: str = ""
    max_price: str = ""
    max_carbon: str = ""
    work: str = ""
    unit: str = ""


class OptIn(_Base, frozen=True):
    """[[directive.opt_in]]: jobs that match every non-empty field are flexible without a comment."""

    partition: str = ""
    qos: str = ""
    account: str = ""
    flex_class: str = ""  # empty: the default class


class DirectiveSettings(_Base, frozen=True):
    """[directive]: how annotations are read."""

    default_class: str = "standard"
    classes: dict[str, FlexClass] = msgspec.field(
        default_factory=lambda: {"standard": FlexClass(max_delay="12:00:00")}
    )
    opt_in: tuple[OptIn, ...] = ()
    decision_window: int = 10  # seconds; at most 10
    max_directive_length: int = 512


class DaemonSettings(_Base, frozen=True):
    """[daemon]: the loop and its places."""

    mode: Literal["observe", "act"] = "observe"
    cycle_seconds: float = 30.0
    tick_seconds: float = 3.0
    state_dir: str = "/var/lib/flexlon"
    heartbeat_file: str = "/run/flexlon/heartbeat"
    admin_socket: str = "/run/flexlon/admin.sock"
    helper_socket: str = "/run/flexlon-helper/helper.sock"
    log_level: Literal["debug", "info", "warning", "error"] = "info"


class SlurmSettings(_Base, frozen=True):
    """[slurm]: how the queue is read."""

    reader: Literal["auto", "squeue", "json", "rest", "pyslurm"] = "auto"
    bin_dir: str = ""  # empty: found on PATH
    conf: str = ""  # SLURM_CONF; empty: Slurm's own default
    restd_socket: str = ""  # empty: no slurmrestd
    munge_socket: str = ""  # empty: libmunge's own default
    command_timeout: float = 30.0


class GridSettings(_Base, frozen=True):
    """[grid]: the time grid."""

    slot_seconds: int = 1800
    horizon_slots: int = 96


class Feed(_Base, frozen=True):
    """[[signals.price]] / [[signals.carbon]]: one source; the first that is good serves."""

    source: Literal[
        "csv",
        "neso-carbon",
        "neso-carbon-regional",
        "elexon-market-index",
        "octopus-agile",
        "neso-day-ahead",
    ]
    path: str = ""  # csv: the file; columns utc, value (header names it)
    column: str = ""  # csv: the value column; empty: the second one
    region: str = ""  # neso-carbon-regional: 1-17 or an outward postcode; octopus-agile: a letter
    product: str = ""  # octopus-agile: empty resolves the current one
    url: str = ""  # overrides the service's base address (a mirror or proxy of the site's own)
    refresh: float = 1800.0
    max_age: float = 0.0  # 0: the source's own rule
    minimum: float = -1000.0  # values outside [minimum, maximum] are unknown
    maximum: float = 6000.0
    settles: bool = False  # what is paid or was measured, not a forecast: it goes into settlement


class SignalSettings(_Base, frozen=True):
    """[signals]: price and carbon feeds, in order of preference."""

    price: tuple[Feed, ...] = ()
    carbon: tuple[Feed, ...] = ()
    timeout: float = 20.0
    fill: bool = False  # a later feed may fill the slots that the serving one does not know


class SiteSettings(_Base, frozen=True):
    """[[sites]]: another cluster of the federation and of the same owner, where jobs may be moved to."""

    cluster: str  # as Slurm names it, in lower case
    price: tuple[Feed, ...] = ()
    carbon: tuple[Feed, ...] = ()
    stay: int = 600  # seconds after its begin time before a job gets all its sites back
    min_benefit: float = 0.05  # GBP that a move must save
    most: int = 5  # moves in one cycle


class NodeType(_Base, frozen=True):
    """[power.node_types.NAME]: watts of a node, in site terms before PUE."""

    partitions: tuple[str, ...] = ()  # empty: the type of every partition not named elsewhere
    idle_watts: float = 120.0
    cpu_watts: float = 8.0  # per allocated CPU at work, above idle
    gpu_watts: dict[str, float] = msgspec.field(default_factory=lambda: {"": 350.0})
    cpus_per_node: int = 64  # to share the idle watts among jobs on one node
    idle_share: float = 1.0  # part of idle watts that a job's share of the node is charged with


class PowerSettings(_Base, frozen=True):
    """[power]: how a job's power is modelled when its directive does not say."""

    pue: float = 1.2
    other_kw: float = 0.0  # what the site draws besides nodes and jobs
    node_types: dict[str, NodeType] = msgspec.field(default_factory=lambda: {"default": NodeType()})


class MeterSettings(_Base, frozen=True):
    """[meter]: the meter of the site's power; without one it is modelled."""

    source: Literal["none", "prometheus", "csv", "slurm"] = "none"
    url: str = ""  # prometheus: its base address
    query: str = ""  # prometheus: a selector; its series are summed
    series: int = 1  # prometheus: how many series the query must answer
    path: str = ""  # csv: the file that the site's logger appends to; time, value
    column: int = 2  # csv: the value's column, the first is 1
    site_factor: float = 1.0  # slurm: the nodes' power times this; other than 1: an estimate
    unit: Literal["W", "kW", "MW"] = "kW"
    refresh: float = 10.0
    timeout: float = 5.0
    max_age: float = 120.0  # of a reading, by the meter's own time
    max_kw: float = 0.0  # the most that the site can draw; needed with a meter


class PlanningSettings(_Base, frozen=True):
    """[planning]: what a good plan is."""

    carbon_price: float = 60.0  # GBP per tonne CO2
    delay_price: float = 0.1  # GBP per kWh of the mean job and day of delay, for every job alike
    min_benefit: float = 0.005  # share of the job's cost that a move must save to be made
    margin_seconds: int = 300  # kept before the latest start, besides the predicted queue wait
    default_queue_wait: int = 120  # before there is history
    block_seconds: int = 7200  # that a deferred job may keep large newcomers waiting; 0: no limit
    newcomer_days: int = 90  # of newcomers that might take a held job's room; 0: not looked at
    ramp_kw_per_5min: float = 0.0  # 0: no ramp cap
    spread: float = 0.5  # part of a slot over which its begin times are spread
    capacity_margin: float = 0.0  # share of each pool kept free of deferred jobs
    dual_steps: int = 120  # of the lower bound
    search_steps: int = 400  # of the search after it
    search_seconds: float = 0.3  # and its limit in time
    milp_seconds: float = 0.0  # of the exact solver after it, in full cycles; 0: off
    site_kw: float = 0.0  # the most that the site may draw; 0: no cap
    rebound_cap: float = 1.1  # after a window, in peaks of the last day or the plan; 0: no cap
    co2_cap_kg: float = 0.0  # of the planned runs together; 0: no cap
    carbon_cap_kg_per_day: float = 0.0  # of all flexible jobs; 0: no cap
    account_carbon_cap_kg_per_day: dict[str, float] = {}  # account -> kg
    export_kw: float = 0.0  # the most that assets may make the site export
    assets_seconds: float = 5.0  # of planning assets with jobs, in full cycles


class AssetRegister(_Base, frozen=True):
    """[assets.level] and its like: a Modbus register; value = raw x scale + offset."""

    address: int = -1  # as on the wire, from 0; -1: there is none
    type: Literal["int16", "uint16", "int32", "uint32", "float32"] = "int16"
    scale: float = 1.0
    offset: float = 0.0
    table: Literal["holding", "input"] = "holding"
    word_order: Literal["big", "little"] = "big"


class AssetSettings(_Base, frozen=True):
    """[[assets]]: a battery or a chilled store beside the cluster. kW are electric, positive into the asset."""

    name: str
    kind: Literal["battery", "chiller"]
    driver: Literal["simulated", "modbus"]
    max_age: float = 120.0  # s after which a reading is stale
    lease_seconds: float = 120.0  # how long a set-point lasts that is not renewed
    # battery
    charge_kw: float = 0.0
    discharge_kw: float = 0.0
    capacity_kwh: float = 0.0
    reserve_kwh: float = 0.0
    charge_efficiency: float = 0.95
    discharge_efficiency: float = 0.95
    wear_gbp_per_kwh: float = 0.02
    # chiller
    max_kw: float = 0.0
    min_kw: float = 0.0
    inertia_kwh_per_k: float = 0.0
    conductance_kw_per_k: float = 0.0
    ambient_c: float = 25.0
    cop: float = 4.0
    low_c: float = 16.0
    high_c: float = 22.0
    heat_kw: tuple[float, ...] = (0.0,)  # one figure, or 24 by hour of the day (UTC)
    # simulated
    start_level: float = 0.0  # kWh or degrees C
    # modbus
    host: str = ""
    port: int = 502
    unit: int = 1
    timeout: float = 2.0
    write: bool = False  # whether set-points may be written at all
    falls_back: bool = (
        False  # the asset has a time-out of its own for set-points that are not renewed
    )
    neutral_kw: float = 0.0  # the set-point by which the asset is left to itself
    level: AssetRegister = AssetRegister()
    power: AssetRegister = AssetRegister()
    setpoint: AssetRegister = AssetRegister()
    lease: AssetRegister = AssetRegister()


class EnvelopeSettings(_Base, frozen=True):
    """[envelope]: what is asked when the flexibility of the queue is priced."""

    windows: int = 8  # of interest, one after the other from the next slot on
    window_slots: int = 4  # length of each
    depths: tuple[float, ...] = (0.1, 0.2, 0.3, 0.4)  # shares of the least kW planned in the window
    margin: float = 0.1  # share of the certain kW that is kept back from the offer
    level: float = 0.9  # how certain the certain kW are
    rebound_cap: float = 1.1  # of the plan's peak: the most that the site may draw after a window
    most_jobs: int = 400  # that are reconsidered for one window
    exact_jobs: int = 64  # of these at most, for the exact solver to be asked
    exact_seconds: float = 20.0  # of the exact solver, for all steps together; 0: off
    stop_plans: int = 32  # made at most to find running jobs to stop; 0: none is looked for
    seconds: float = 120.0  # for the whole envelope


class WindowSettings(_Base, frozen=True):
    """[windows]: what is done to keep a window beyond deferral."""

    slow_arrays: bool = True  # arrays that may be deferred may run with fewer tasks at once instead
    stop_running: bool = False  # running jobs whose directive says preempt= may be stopped
    suspend_saves: float = 0.8  # share of a job's power that is not drawn while it is suspended
    restart_seconds: float = 120.0  # of work that each requeued job needs to get going again


class PredictionSettings(_Base, frozen=True):
    """[prediction]: runtime and power learnt from Slurm's accounting."""

    enabled: bool = True
    history_days: int = 90  # read the first time
    refresh_seconds: float = 600.0


class PowerCapSettings(_Base, frozen=True):
    """[[power_caps]]: GPU nodes whose power could be capped, and what that was measured to cost in speed."""

    name: str
    partitions: tuple[str, ...]
    curve: tuple[tuple[float, float], ...]  # (W of a node, relative speed), ascending
    driver: Literal["simulated"] = "simulated"
    lease_seconds: float = 120.0  # a cap that is not renewed lapses


class HelperSettings(_Base, frozen=True):
    """[helper]: the privileged side; read by flexlon-helper only."""

    socket: str = "/run/flexlon-helper/helper.sock"
    state_dir: str = "/var/lib/flexlon-helper"
    daemon_user: str = "flexlon"
    max_actions_per_minute: int = 6000
    max_requeues_per_minute: int = 60
    max_batch: int = 5000
    margin_seconds: int = 30  # the helper's own margin before the latest start
    resume_grace: int = 0


class LicenceSettings(_Base, frozen=True):
    """[licence]: windows that Slurm itself keeps, by reservations of the `kw` licence."""

    total_kw: int = 0  # N of Licenses=kw:N in slurm.conf; 0: there is none
    conf: str = "/etc/slurm/slurm.conf"  # the file with the Licenses= line
    partitions: dict[str, Literal["off", "flexible", "all"]] = msgspec.field(default_factory=dict)
    consent: str = ""  # who agreed, for the site, that jobs without a directive wait for windows
    longest_seconds: int = 43200  # of one reservation
    ahead_seconds: int = 172800  # its end, from now
    most: int = 48  # reservations at once

    @property
    def taking_part(self) -> bool:
        """Whether the jobs of any partition get the licence."""
        return any(mode != "off" for mode in self.partitions.values())


class LedgerSettings(_Base, frozen=True):
    """[ledger]: the record that a stranger can verify; off while it has no name."""

    name: str = ""  # whose ledger it is, for life; empty: none is kept
    path: str = ""  # empty: ledger.db in daemon.state_dir
    second_place: str = ""  # a folder for the checkpoints; empty: none
    key: str = "ledger-key"  # a credential of the unit, or an absolute path
    keep_days: int = 0  # bodies older than this are dropped; 0: never
    personal_days: int = 0  # clear text of personal data older than this is erased; 0: never


class AdminSettings(_Base, frozen=True):
    """[admin]: who may do what."""

    operators: tuple[str, ...] = ("root",)
    operator_group: str = "flexlon-admin"


class Settings(_Base, frozen=True):
    """The whole file."""

    agents: AgentsSettings = AgentsSettings()
    daemon: DaemonSettings = DaemonSettings()
    slurm: SlurmSettings = SlurmSettings()
    grid: GridSettings = GridSettings()
    directive: DirectiveSettings = DirectiveSettings()
    signals: SignalSettings = SignalSettings()
    sites: tuple[SiteSettings, ...] = ()
    power: PowerSettings = PowerSettings()
    meter: MeterSettings = MeterSettings()
    planning: PlanningSettings = PlanningSettings()
    envelope: EnvelopeSettings = EnvelopeSettings()
    windows: WindowSettings = WindowSettings()
    prediction: PredictionSettings = PredictionSettings()
    assets: tuple[AssetSettings, ...] = ()
    power_caps: tuple[PowerCapSettings, ...] = ()
    helper: HelperSettings = HelperSettings()
    licence: LicenceSettings = LicenceSettings()
    market: MarketSettings = MarketSettings()
    ledger: LedgerSettings = LedgerSettings()
    settlement: SettlementSettings = SettlementSettings()
    admin: AdminSettings = AdminSettings()
