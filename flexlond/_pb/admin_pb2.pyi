from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Empty(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class StatusReply(_message.Message):
    __slots__ = ("version", "mode", "paused", "draining", "slurm_version", "reader", "reader_reason", "helper_answering", "helper_detail", "last_cycle_at", "last_cycle", "last_cycle_seconds", "jobs_seen", "jobs_flexible", "jobs_held", "opted_out", "signals", "slot_seconds", "heartbeat_fresh", "warnings", "started_at", "config_path", "config_error", "prediction", "power")
    VERSION_FIELD_NUMBER: _ClassVar[int]
    MODE_FIELD_NUMBER: _ClassVar[int]
    PAUSED_FIELD_NUMBER: _ClassVar[int]
    DRAINING_FIELD_NUMBER: _ClassVar[int]
    SLURM_VERSION_FIELD_NUMBER: _ClassVar[int]
    READER_FIELD_NUMBER: _ClassVar[int]
    READER_REASON_FIELD_NUMBER: _ClassVar[int]
    HELPER_ANSWERING_FIELD_NUMBER: _ClassVar[int]
    HELPER_DETAIL_FIELD_NUMBER: _ClassVar[int]
    LAST_CYCLE_AT_FIELD_NUMBER: _ClassVar[int]
    LAST_CYCLE_FIELD_NUMBER: _ClassVar[int]
    LAST_CYCLE_SECONDS_FIELD_NUMBER: _ClassVar[int]
    JOBS_SEEN_FIELD_NUMBER: _ClassVar[int]
    JOBS_FLEXIBLE_FIELD_NUMBER: _ClassVar[int]
    JOBS_HELD_FIELD_NUMBER: _ClassVar[int]
    OPTED_OUT_FIELD_NUMBER: _ClassVar[int]
    SIGNALS_FIELD_NUMBER: _ClassVar[int]
    SLOT_SECONDS_FIELD_NUMBER: _ClassVar[int]
    HEARTBEAT_FRESH_FIELD_NUMBER: _ClassVar[int]
    WARNINGS_FIELD_NUMBER: _ClassVar[int]
    STARTED_AT_FIELD_NUMBER: _ClassVar[int]
    CONFIG_PATH_FIELD_NUMBER: _ClassVar[int]
    CONFIG_ERROR_FIELD_NUMBER: _ClassVar[int]
    PREDICTION_FIELD_NUMBER: _ClassVar[int]
    POWER_FIELD_NUMBER: _ClassVar[int]
    version: str
    mode: str
    paused: bool
    draining: bool
    slurm_version: str
    reader: str
    reader_reason: str
    helper_answering: bool
    helper_detail: str
    last_cycle_at: int
    last_cycle: str
    last_cycle_seconds: float
    jobs_seen: int
    jobs_flexible: int
    jobs_held: int
    opted_out: int
    signals: _containers.RepeatedCompositeFieldContainer[Signal]
    slot_seconds: int
    heartbeat_fresh: bool
    warnings: _containers.RepeatedScalarFieldContainer[str]
    started_at: int
    config_path: str
    config_error: str
    prediction: str
    power: Power
    def __init__(self, version: _Optional[str] = ..., mode: _Optional[str] = ..., paused: _Optional[bool] = ..., draining: _Optional[bool] = ..., slurm_version: _Optional[str] = ..., reader: _Optional[str] = ..., reader_reason: _Optional[str] = ..., helper_answering: _Optional[bool] = ..., helper_detail: _Optional[str] = ..., last_cycle_at: _Optional[int] = ..., last_cycle: _Optional[str] = ..., last_cycle_seconds: _Optional[float] = ..., jobs_seen: _Optional[int] = ..., jobs_flexible: _Optional[int] = ..., jobs_held: _Optional[int] = ..., opted_out: _Optional[int] = ..., signals: _Optional[_Iterable[_Union[Signal, _Mapping]]] = ..., slot_seconds: _Optional[int] = ..., heartbeat_fresh: _Optional[bool] = ..., warnings: _Optional[_Iterable[str]] = ..., started_at: _Optional[int] = ..., config_path: _Optional[str] = ..., config_error: _Optional[str] = ..., prediction: _Optional[str] = ..., power: _Optional[_Union[Power, _Mapping]] = ...) -> None: ...

class Power(_message.Message):
    __slots__ = ("observed_kw", "source", "at", "meter", "quality", "metered_kw", "metered_at", "detail", "modelled_kw", "pairs", "ratio", "base_kw", "modelled_base_kw", "other_kw", "slots")
    OBSERVED_KW_FIELD_NUMBER: _ClassVar[int]
    SOURCE_FIELD_NUMBER: _ClassVar[int]
    AT_FIELD_NUMBER: _ClassVar[int]
    METER_FIELD_NUMBER: _ClassVar[int]
    QUALITY_FIELD_NUMBER: _ClassVar[int]
    METERED_KW_FIELD_NUMBER: _ClassVar[int]
    METERED_AT_FIELD_NUMBER: _ClassVar[int]
    DETAIL_FIELD_NUMBER: _ClassVar[int]
    MODELLED_KW_FIELD_NUMBER: _ClassVar[int]
    PAIRS_FIELD_NUMBER: _ClassVar[int]
    RATIO_FIELD_NUMBER: _ClassVar[int]
    BASE_KW_FIELD_NUMBER: _ClassVar[int]
    MODELLED_BASE_KW_FIELD_NUMBER: _ClassVar[int]
    OTHER_KW_FIELD_NUMBER: _ClassVar[int]
    SLOTS_FIELD_NUMBER: _ClassVar[int]
    observed_kw: float
    source: str
    at: int
    meter: str
    quality: str
    metered_kw: float
    metered_at: int
    detail: str
    modelled_kw: float
    pairs: int
    ratio: float
    base_kw: float
    modelled_base_kw: float
    other_kw: float
    slots: _containers.RepeatedCompositeFieldContainer[ObservedSlot]
    def __init__(self, observed_kw: _Optional[float] = ..., source: _Optional[str] = ..., at: _Optional[int] = ..., meter: _Optional[str] = ..., quality: _Optional[str] = ..., metered_kw: _Optional[float] = ..., metered_at: _Optional[int] = ..., detail: _Optional[str] = ..., modelled_kw: _Optional[float] = ..., pairs: _Optional[int] = ..., ratio: _Optional[float] = ..., base_kw: _Optional[float] = ..., modelled_base_kw: _Optional[float] = ..., other_kw: _Optional[float] = ..., slots: _Optional[_Iterable[_Union[ObservedSlot, _Mapping]]] = ...) -> None: ...

class ObservedSlot(_message.Message):
    __slots__ = ("start", "kw", "source", "coverage", "modelled_kw")
    START_FIELD_NUMBER: _ClassVar[int]
    KW_FIELD_NUMBER: _ClassVar[int]
    SOURCE_FIELD_NUMBER: _ClassVar[int]
    COVERAGE_FIELD_NUMBER: _ClassVar[int]
    MODELLED_KW_FIELD_NUMBER: _ClassVar[int]
    start: int
    kw: float
    source: str
    coverage: float
    modelled_kw: float
    def __init__(self, start: _Optional[int] = ..., kw: _Optional[float] = ..., source: _Optional[str] = ..., coverage: _Optional[float] = ..., modelled_kw: _Optional[float] = ...) -> None: ...

class JobsRequest(_message.Message):
    __slots__ = ("user",)
    USER_FIELD_NUMBER: _ClassVar[int]
    user: str
    def __init__(self, user: _Optional[str] = ...) -> None: ...

class JobLine(_message.Message):
    __slots__ = ("job_id", "array", "user", "partition", "state", "flexible", "consent", "begin", "planned_start", "latest_start", "deadline", "held_by_us", "kw", "cost_gbp", "cost_asap_gbp", "co2_kg", "co2_asap_kg", "comment", "reason", "opted_out", "submit", "eligible", "asap_start", "duration_seconds", "touched", "must_start_by", "counted_kw")
    JOB_ID_FIELD_NUMBER: _ClassVar[int]
    ARRAY_FIELD_NUMBER: _ClassVar[int]
    USER_FIELD_NUMBER: _ClassVar[int]
    PARTITION_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    FLEXIBLE_FIELD_NUMBER: _ClassVar[int]
    CONSENT_FIELD_NUMBER: _ClassVar[int]
    BEGIN_FIELD_NUMBER: _ClassVar[int]
    PLANNED_START_FIELD_NUMBER: _ClassVar[int]
    LATEST_START_FIELD_NUMBER: _ClassVar[int]
    DEADLINE_FIELD_NUMBER: _ClassVar[int]
    HELD_BY_US_FIELD_NUMBER: _ClassVar[int]
    KW_FIELD_NUMBER: _ClassVar[int]
    COST_GBP_FIELD_NUMBER: _ClassVar[int]
    COST_ASAP_GBP_FIELD_NUMBER: _ClassVar[int]
    CO2_KG_FIELD_NUMBER: _ClassVar[int]
    CO2_ASAP_KG_FIELD_NUMBER: _ClassVar[int]
    COMMENT_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    OPTED_OUT_FIELD_NUMBER: _ClassVar[int]
    SUBMIT_FIELD_NUMBER: _ClassVar[int]
    ELIGIBLE_FIELD_NUMBER: _ClassVar[int]
    ASAP_START_FIELD_NUMBER: _ClassVar[int]
    DURATION_SECONDS_FIELD_NUMBER: _ClassVar[int]
    TOUCHED_FIELD_NUMBER: _ClassVar[int]
    MUST_START_BY_FIELD_NUMBER: _ClassVar[int]
    COUNTED_KW_FIELD_NUMBER: _ClassVar[int]
    job_id: int
    array: str
    user: str
    partition: str
    state: str
    flexible: bool
    consent: str
    begin: int
    planned_start: int
    latest_start: int
    deadline: int
    held_by_us: bool
    kw: float
    cost_gbp: float
    cost_asap_gbp: float
    co2_kg: float
    co2_asap_kg: float
    comment: str
    reason: str
    opted_out: bool
    submit: int
    eligible: int
    asap_start: int
    duration_seconds: float
    touched: bool
    must_start_by: int
    counted_kw: float
    def __init__(self, job_id: _Optional[int] = ..., array: _Optional[str] = ..., user: _Optional[str] = ..., partition: _Optional[str] = ..., state: _Optional[str] = ..., flexible: _Optional[bool] = ..., consent: _Optional[str] = ..., begin: _Optional[int] = ..., planned_start: _Optional[int] = ..., latest_start: _Optional[int] = ..., deadline: _Optional[int] = ..., held_by_us: _Optional[bool] = ..., kw: _Optional[float] = ..., cost_gbp: _Optional[float] = ..., cost_asap_gbp: _Optional[float] = ..., co2_kg: _Optional[float] = ..., co2_asap_kg: _Optional[float] = ..., comment: _Optional[str] = ..., reason: _Optional[str] = ..., opted_out: _Optional[bool] = ..., submit: _Optional[int] = ..., eligible: _Optional[int] = ..., asap_start: _Optional[int] = ..., duration_seconds: _Optional[float] = ..., touched: _Optional[bool] = ..., must_start_by: _Optional[int] = ..., counted_kw: _Optional[float] = ...) -> None: ...

class JobsReply(_message.Message):
    __slots__ = ("jobs",)
    JOBS_FIELD_NUMBER: _ClassVar[int]
    jobs: _containers.RepeatedCompositeFieldContainer[JobLine]
    def __init__(self, jobs: _Optional[_Iterable[_Union[JobLine, _Mapping]]] = ...) -> None: ...

class ExplainRequest(_message.Message):
    __slots__ = ("job_id",)
    JOB_ID_FIELD_NUMBER: _ClassVar[int]
    job_id: int
    def __init__(self, job_id: _Optional[int] = ...) -> None: ...

class ExplainReply(_message.Message):
    __slots__ = ("job", "summary", "steps", "history", "binding", "outlook", "alternatives")
    JOB_FIELD_NUMBER: _ClassVar[int]
    SUMMARY_FIELD_NUMBER: _ClassVar[int]
    STEPS_FIELD_NUMBER: _ClassVar[int]
    HISTORY_FIELD_NUMBER: _ClassVar[int]
    BINDING_FIELD_NUMBER: _ClassVar[int]
    OUTLOOK_FIELD_NUMBER: _ClassVar[int]
    ALTERNATIVES_FIELD_NUMBER: _ClassVar[int]
    job: JobLine
    summary: str
    steps: _containers.RepeatedScalarFieldContainer[str]
    history: _containers.RepeatedCompositeFieldContainer[HistoryLine]
    binding: str
    outlook: Outlook
    alternatives: _containers.RepeatedCompositeFieldContainer[Alternative]
    def __init__(self, job: _Optional[_Union[JobLine, _Mapping]] = ..., summary: _Optional[str] = ..., steps: _Optional[_Iterable[str]] = ..., history: _Optional[_Iterable[_Union[HistoryLine, _Mapping]]] = ..., binding: _Optional[str] = ..., outlook: _Optional[_Union[Outlook, _Mapping]] = ..., alternatives: _Optional[_Iterable[_Union[Alternative, _Mapping]]] = ...) -> None: ...

class Outlook(_message.Message):
    __slots__ = ("p50_seconds", "p90_seconds", "limit_seconds", "basis", "runs", "kw", "counted_kw", "power_basis", "power_runs", "mean_seconds")
    P50_SECONDS_FIELD_NUMBER: _ClassVar[int]
    P90_SECONDS_FIELD_NUMBER: _ClassVar[int]
    LIMIT_SECONDS_FIELD_NUMBER: _ClassVar[int]
    BASIS_FIELD_NUMBER: _ClassVar[int]
    RUNS_FIELD_NUMBER: _ClassVar[int]
    KW_FIELD_NUMBER: _ClassVar[int]
    COUNTED_KW_FIELD_NUMBER: _ClassVar[int]
    POWER_BASIS_FIELD_NUMBER: _ClassVar[int]
    POWER_RUNS_FIELD_NUMBER: _ClassVar[int]
    MEAN_SECONDS_FIELD_NUMBER: _ClassVar[int]
    p50_seconds: float
    p90_seconds: float
    limit_seconds: float
    basis: str
    runs: int
    kw: float
    counted_kw: float
    power_basis: str
    power_runs: int
    mean_seconds: float
    def __init__(self, p50_seconds: _Optional[float] = ..., p90_seconds: _Optional[float] = ..., limit_seconds: _Optional[float] = ..., basis: _Optional[str] = ..., runs: _Optional[int] = ..., kw: _Optional[float] = ..., counted_kw: _Optional[float] = ..., power_basis: _Optional[str] = ..., power_runs: _Optional[int] = ..., mean_seconds: _Optional[float] = ...) -> None: ...

class Alternative(_message.Message):
    __slots__ = ("name", "start", "cost_gbp", "co2_kg", "delay_gbp", "room_gbp", "why_not")
    NAME_FIELD_NUMBER: _ClassVar[int]
    START_FIELD_NUMBER: _ClassVar[int]
    COST_GBP_FIELD_NUMBER: _ClassVar[int]
    CO2_KG_FIELD_NUMBER: _ClassVar[int]
    DELAY_GBP_FIELD_NUMBER: _ClassVar[int]
    ROOM_GBP_FIELD_NUMBER: _ClassVar[int]
    WHY_NOT_FIELD_NUMBER: _ClassVar[int]
    name: str
    start: int
    cost_gbp: float
    co2_kg: float
    delay_gbp: float
    room_gbp: float
    why_not: str
    def __init__(self, name: _Optional[str] = ..., start: _Optional[int] = ..., cost_gbp: _Optional[float] = ..., co2_kg: _Optional[float] = ..., delay_gbp: _Optional[float] = ..., room_gbp: _Optional[float] = ..., why_not: _Optional[str] = ...) -> None: ...

class HistoryLine(_message.Message):
    __slots__ = ("at", "verb", "not_before", "outcome", "detail")
    AT_FIELD_NUMBER: _ClassVar[int]
    VERB_FIELD_NUMBER: _ClassVar[int]
    NOT_BEFORE_FIELD_NUMBER: _ClassVar[int]
    OUTCOME_FIELD_NUMBER: _ClassVar[int]
    DETAIL_FIELD_NUMBER: _ClassVar[int]
    at: int
    verb: str
    not_before: int
    outcome: str
    detail: str
    def __init__(self, at: _Optional[int] = ..., verb: _Optional[str] = ..., not_before: _Optional[int] = ..., outcome: _Optional[str] = ..., detail: _Optional[str] = ...) -> None: ...

class PlanRequest(_message.Message):
    __slots__ = ("slots",)
    SLOTS_FIELD_NUMBER: _ClassVar[int]
    slots: int
    def __init__(self, slots: _Optional[int] = ...) -> None: ...

class PlanSlot(_message.Message):
    __slots__ = ("start", "price_gbp_mwh", "carbon_g_kwh", "kw", "kw_asap", "starts", "cap_kw", "room_price_gbp_mwh")
    START_FIELD_NUMBER: _ClassVar[int]
    PRICE_GBP_MWH_FIELD_NUMBER: _ClassVar[int]
    CARBON_G_KWH_FIELD_NUMBER: _ClassVar[int]
    KW_FIELD_NUMBER: _ClassVar[int]
    KW_ASAP_FIELD_NUMBER: _ClassVar[int]
    STARTS_FIELD_NUMBER: _ClassVar[int]
    CAP_KW_FIELD_NUMBER: _ClassVar[int]
    ROOM_PRICE_GBP_MWH_FIELD_NUMBER: _ClassVar[int]
    start: int
    price_gbp_mwh: float
    carbon_g_kwh: float
    kw: float
    kw_asap: float
    starts: int
    cap_kw: float
    room_price_gbp_mwh: float
    def __init__(self, start: _Optional[int] = ..., price_gbp_mwh: _Optional[float] = ..., carbon_g_kwh: _Optional[float] = ..., kw: _Optional[float] = ..., kw_asap: _Optional[float] = ..., starts: _Optional[int] = ..., cap_kw: _Optional[float] = ..., room_price_gbp_mwh: _Optional[float] = ...) -> None: ...

class Stage(_message.Message):
    __slots__ = ("name", "seconds", "objective_gbp", "steps")
    NAME_FIELD_NUMBER: _ClassVar[int]
    SECONDS_FIELD_NUMBER: _ClassVar[int]
    OBJECTIVE_GBP_FIELD_NUMBER: _ClassVar[int]
    STEPS_FIELD_NUMBER: _ClassVar[int]
    name: str
    seconds: float
    objective_gbp: float
    steps: int
    def __init__(self, name: _Optional[str] = ..., seconds: _Optional[float] = ..., objective_gbp: _Optional[float] = ..., steps: _Optional[int] = ...) -> None: ...

class PlanReply(_message.Message):
    __slots__ = ("made_at", "slot_seconds", "slots", "cost_gbp", "cost_asap_gbp", "co2_kg", "co2_asap_kg", "objective_gbp", "bound_gbp", "gap", "stages", "seconds", "optimised", "base_kw", "carbon_shadow_gbp_t", "problems", "carbon_caps", "units")
    MADE_AT_FIELD_NUMBER: _ClassVar[int]
    SLOT_SECONDS_FIELD_NUMBER: _ClassVar[int]
    SLOTS_FIELD_NUMBER: _ClassVar[int]
    COST_GBP_FIELD_NUMBER: _ClassVar[int]
    COST_ASAP_GBP_FIELD_NUMBER: _ClassVar[int]
    CO2_KG_FIELD_NUMBER: _ClassVar[int]
    CO2_ASAP_KG_FIELD_NUMBER: _ClassVar[int]
    OBJECTIVE_GBP_FIELD_NUMBER: _ClassVar[int]
    BOUND_GBP_FIELD_NUMBER: _ClassVar[int]
    GAP_FIELD_NUMBER: _ClassVar[int]
    STAGES_FIELD_NUMBER: _ClassVar[int]
    SECONDS_FIELD_NUMBER: _ClassVar[int]
    OPTIMISED_FIELD_NUMBER: _ClassVar[int]
    BASE_KW_FIELD_NUMBER: _ClassVar[int]
    CARBON_SHADOW_GBP_T_FIELD_NUMBER: _ClassVar[int]
    PROBLEMS_FIELD_NUMBER: _ClassVar[int]
    CARBON_CAPS_FIELD_NUMBER: _ClassVar[int]
    UNITS_FIELD_NUMBER: _ClassVar[int]
    made_at: int
    slot_seconds: int
    slots: _containers.RepeatedCompositeFieldContainer[PlanSlot]
    cost_gbp: float
    cost_asap_gbp: float
    co2_kg: float
    co2_asap_kg: float
    objective_gbp: float
    bound_gbp: float
    gap: float
    stages: _containers.RepeatedCompositeFieldContainer[Stage]
    seconds: float
    optimised: int
    base_kw: float
    carbon_shadow_gbp_t: float
    problems: _containers.RepeatedScalarFieldContainer[str]
    carbon_caps: _containers.RepeatedCompositeFieldContainer[CarbonCap]
    units: _containers.RepeatedCompositeFieldContainer[UnitCost]
    def __init__(self, made_at: _Optional[int] = ..., slot_seconds: _Optional[int] = ..., slots: _Optional[_Iterable[_Union[PlanSlot, _Mapping]]] = ..., cost_gbp: _Optional[float] = ..., cost_asap_gbp: _Optional[float] = ..., co2_kg: _Optional[float] = ..., co2_asap_kg: _Optional[float] = ..., objective_gbp: _Optional[float] = ..., bound_gbp: _Optional[float] = ..., gap: _Optional[float] = ..., stages: _Optional[_Iterable[_Union[Stage, _Mapping]]] = ..., seconds: _Optional[float] = ..., optimised: _Optional[int] = ..., base_kw: _Optional[float] = ..., carbon_shadow_gbp_t: _Optional[float] = ..., problems: _Optional[_Iterable[str]] = ..., carbon_caps: _Optional[_Iterable[_Union[CarbonCap, _Mapping]]] = ..., units: _Optional[_Iterable[_Union[UnitCost, _Mapping]]] = ...) -> None: ...

class CarbonCap(_message.Message):
    __slots__ = ("name", "cap_kg", "spent_kg", "planned_kg", "shadow_gbp_t", "kept", "expected_kg")
    NAME_FIELD_NUMBER: _ClassVar[int]
    CAP_KG_FIELD_NUMBER: _ClassVar[int]
    SPENT_KG_FIELD_NUMBER: _ClassVar[int]
    PLANNED_KG_FIELD_NUMBER: _ClassVar[int]
    SHADOW_GBP_T_FIELD_NUMBER: _ClassVar[int]
    KEPT_FIELD_NUMBER: _ClassVar[int]
    EXPECTED_KG_FIELD_NUMBER: _ClassVar[int]
    name: str
    cap_kg: float
    spent_kg: float
    planned_kg: float
    shadow_gbp_t: float
    kept: bool
    expected_kg: float
    def __init__(self, name: _Optional[str] = ..., cap_kg: _Optional[float] = ..., spent_kg: _Optional[float] = ..., planned_kg: _Optional[float] = ..., shadow_gbp_t: _Optional[float] = ..., kept: _Optional[bool] = ..., expected_kg: _Optional[float] = ...) -> None: ...

class UnitCost(_message.Message):
    __slots__ = ("unit", "jobs", "work", "gbp", "gbp_asap", "co2_g", "co2_asap_g")
    UNIT_FIELD_NUMBER: _ClassVar[int]
    JOBS_FIELD_NUMBER: _ClassVar[int]
    WORK_FIELD_NUMBER: _ClassVar[int]
    GBP_FIELD_NUMBER: _ClassVar[int]
    GBP_ASAP_FIELD_NUMBER: _ClassVar[int]
    CO2_G_FIELD_NUMBER: _ClassVar[int]
    CO2_ASAP_G_FIELD_NUMBER: _ClassVar[int]
    unit: str
    jobs: int
    work: float
    gbp: float
    gbp_asap: float
    co2_g: float
    co2_asap_g: float
    def __init__(self, unit: _Optional[str] = ..., jobs: _Optional[int] = ..., work: _Optional[float] = ..., gbp: _Optional[float] = ..., gbp_asap: _Optional[float] = ..., co2_g: _Optional[float] = ..., co2_asap_g: _Optional[float] = ...) -> None: ...

class Signal(_message.Message):
    __slots__ = ("name", "source", "unit", "fetched_at", "to", "quality", "detail")
    NAME_FIELD_NUMBER: _ClassVar[int]
    SOURCE_FIELD_NUMBER: _ClassVar[int]
    UNIT_FIELD_NUMBER: _ClassVar[int]
    FETCHED_AT_FIELD_NUMBER: _ClassVar[int]
    FROM_FIELD_NUMBER: _ClassVar[int]
    TO_FIELD_NUMBER: _ClassVar[int]
    QUALITY_FIELD_NUMBER: _ClassVar[int]
    DETAIL_FIELD_NUMBER: _ClassVar[int]
    name: str
    source: str
    unit: str
    fetched_at: int
    to: int
    quality: str
    detail: str
    def __init__(self, name: _Optional[str] = ..., source: _Optional[str] = ..., unit: _Optional[str] = ..., fetched_at: _Optional[int] = ..., to: _Optional[int] = ..., quality: _Optional[str] = ..., detail: _Optional[str] = ..., **kwargs) -> None: ...

class SignalsReply(_message.Message):
    __slots__ = ("signals", "slots")
    SIGNALS_FIELD_NUMBER: _ClassVar[int]
    SLOTS_FIELD_NUMBER: _ClassVar[int]
    signals: _containers.RepeatedCompositeFieldContainer[Signal]
    slots: _containers.RepeatedCompositeFieldContainer[PlanSlot]
    def __init__(self, signals: _Optional[_Iterable[_Union[Signal, _Mapping]]] = ..., slots: _Optional[_Iterable[_Union[PlanSlot, _Mapping]]] = ...) -> None: ...

class CheckRequest(_message.Message):
    __slots__ = ("comment", "time_limit_seconds", "partition", "account", "qos")
    COMMENT_FIELD_NUMBER: _ClassVar[int]
    TIME_LIMIT_SECONDS_FIELD_NUMBER: _ClassVar[int]
    PARTITION_FIELD_NUMBER: _ClassVar[int]
    ACCOUNT_FIELD_NUMBER: _ClassVar[int]
    QOS_FIELD_NUMBER: _ClassVar[int]
    comment: str
    time_limit_seconds: int
    partition: str
    account: str
    qos: str
    def __init__(self, comment: _Optional[str] = ..., time_limit_seconds: _Optional[int] = ..., partition: _Optional[str] = ..., account: _Optional[str] = ..., qos: _Optional[str] = ...) -> None: ...

class CheckReply(_message.Message):
    __slots__ = ("accepted", "message", "values")
    ACCEPTED_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    VALUES_FIELD_NUMBER: _ClassVar[int]
    accepted: bool
    message: str
    values: _containers.RepeatedCompositeFieldContainer[KeyValue]
    def __init__(self, accepted: _Optional[bool] = ..., message: _Optional[str] = ..., values: _Optional[_Iterable[_Union[KeyValue, _Mapping]]] = ...) -> None: ...

class KeyValue(_message.Message):
    __slots__ = ("key", "value")
    KEY_FIELD_NUMBER: _ClassVar[int]
    VALUE_FIELD_NUMBER: _ClassVar[int]
    key: str
    value: str
    def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...

class ReleaseRequest(_message.Message):
    __slots__ = ("job_ids", "all")
    JOB_IDS_FIELD_NUMBER: _ClassVar[int]
    ALL_FIELD_NUMBER: _ClassVar[int]
    job_ids: _containers.RepeatedScalarFieldContainer[int]
    all: bool
    def __init__(self, job_ids: _Optional[_Iterable[int]] = ..., all: _Optional[bool] = ...) -> None: ...

class ReleaseReply(_message.Message):
    __slots__ = ("jobs",)
    JOBS_FIELD_NUMBER: _ClassVar[int]
    jobs: _containers.RepeatedCompositeFieldContainer[ReleaseLine]
    def __init__(self, jobs: _Optional[_Iterable[_Union[ReleaseLine, _Mapping]]] = ...) -> None: ...

class ReleaseLine(_message.Message):
    __slots__ = ("job_id", "released", "detail")
    JOB_ID_FIELD_NUMBER: _ClassVar[int]
    RELEASED_FIELD_NUMBER: _ClassVar[int]
    DETAIL_FIELD_NUMBER: _ClassVar[int]
    job_id: int
    released: bool
    detail: str
    def __init__(self, job_id: _Optional[int] = ..., released: _Optional[bool] = ..., detail: _Optional[str] = ...) -> None: ...

class ModeReply(_message.Message):
    __slots__ = ("detail",)
    DETAIL_FIELD_NUMBER: _ClassVar[int]
    detail: str
    def __init__(self, detail: _Optional[str] = ...) -> None: ...

class DrainReply(_message.Message):
    __slots__ = ("restored", "left", "detail")
    RESTORED_FIELD_NUMBER: _ClassVar[int]
    LEFT_FIELD_NUMBER: _ClassVar[int]
    DETAIL_FIELD_NUMBER: _ClassVar[int]
    restored: int
    left: int
    detail: str
    def __init__(self, restored: _Optional[int] = ..., left: _Optional[int] = ..., detail: _Optional[str] = ...) -> None: ...

class AddWindowRequest(_message.Message):
    __slots__ = ("start", "end", "cap_kw", "down_kw", "dry_run", "replaces", "allow_rebound")
    START_FIELD_NUMBER: _ClassVar[int]
    END_FIELD_NUMBER: _ClassVar[int]
    CAP_KW_FIELD_NUMBER: _ClassVar[int]
    DOWN_KW_FIELD_NUMBER: _ClassVar[int]
    DRY_RUN_FIELD_NUMBER: _ClassVar[int]
    REPLACES_FIELD_NUMBER: _ClassVar[int]
    ALLOW_REBOUND_FIELD_NUMBER: _ClassVar[int]
    start: int
    end: int
    cap_kw: float
    down_kw: float
    dry_run: bool
    replaces: int
    allow_rebound: bool
    def __init__(self, start: _Optional[int] = ..., end: _Optional[int] = ..., cap_kw: _Optional[float] = ..., down_kw: _Optional[float] = ..., dry_run: _Optional[bool] = ..., replaces: _Optional[int] = ..., allow_rebound: _Optional[bool] = ...) -> None: ...

class AddWindowReply(_message.Message):
    __slots__ = ("window", "added", "cost_gbp", "carbon_gbp", "delay_gbp", "moves", "detail", "stops", "stops_gbp")
    WINDOW_FIELD_NUMBER: _ClassVar[int]
    ADDED_FIELD_NUMBER: _ClassVar[int]
    COST_GBP_FIELD_NUMBER: _ClassVar[int]
    CARBON_GBP_FIELD_NUMBER: _ClassVar[int]
    DELAY_GBP_FIELD_NUMBER: _ClassVar[int]
    MOVES_FIELD_NUMBER: _ClassVar[int]
    DETAIL_FIELD_NUMBER: _ClassVar[int]
    STOPS_FIELD_NUMBER: _ClassVar[int]
    STOPS_GBP_FIELD_NUMBER: _ClassVar[int]
    window: Window
    added: bool
    cost_gbp: float
    carbon_gbp: float
    delay_gbp: float
    moves: _containers.RepeatedCompositeFieldContainer[WindowMove]
    detail: str
    stops: _containers.RepeatedCompositeFieldContainer[WindowStop]
    stops_gbp: float
    def __init__(self, window: _Optional[_Union[Window, _Mapping]] = ..., added: _Optional[bool] = ..., cost_gbp: _Optional[float] = ..., carbon_gbp: _Optional[float] = ..., delay_gbp: _Optional[float] = ..., moves: _Optional[_Iterable[_Union[WindowMove, _Mapping]]] = ..., detail: _Optional[str] = ..., stops: _Optional[_Iterable[_Union[WindowStop, _Mapping]]] = ..., stops_gbp: _Optional[float] = ...) -> None: ...

class WindowMove(_message.Message):
    __slots__ = ("job_id", "before", "after", "kw")
    JOB_ID_FIELD_NUMBER: _ClassVar[int]
    BEFORE_FIELD_NUMBER: _ClassVar[int]
    AFTER_FIELD_NUMBER: _ClassVar[int]
    KW_FIELD_NUMBER: _ClassVar[int]
    job_id: int
    before: int
    after: int
    kw: float
    def __init__(self, job_id: _Optional[int] = ..., before: _Optional[int] = ..., after: _Optional[int] = ..., kw: _Optional[float] = ...) -> None: ...

class Window(_message.Message):
    __slots__ = ("window_id", "start", "end", "slot_seconds", "state", "cap_kw", "down_kw", "ramp_slots", "created", "created_by", "cancelled", "shortfall_kw", "short_slots", "detail", "slots", "rebound_kw", "rebound_end", "stops", "order_id", "slows")
    WINDOW_ID_FIELD_NUMBER: _ClassVar[int]
    START_FIELD_NUMBER: _ClassVar[int]
    END_FIELD_NUMBER: _ClassVar[int]
    SLOT_SECONDS_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    CAP_KW_FIELD_NUMBER: _ClassVar[int]
    DOWN_KW_FIELD_NUMBER: _ClassVar[int]
    RAMP_SLOTS_FIELD_NUMBER: _ClassVar[int]
    CREATED_FIELD_NUMBER: _ClassVar[int]
    CREATED_BY_FIELD_NUMBER: _ClassVar[int]
    CANCELLED_FIELD_NUMBER: _ClassVar[int]
    SHORTFALL_KW_FIELD_NUMBER: _ClassVar[int]
    SHORT_SLOTS_FIELD_NUMBER: _ClassVar[int]
    DETAIL_FIELD_NUMBER: _ClassVar[int]
    SLOTS_FIELD_NUMBER: _ClassVar[int]
    REBOUND_KW_FIELD_NUMBER: _ClassVar[int]
    REBOUND_END_FIELD_NUMBER: _ClassVar[int]
    STOPS_FIELD_NUMBER: _ClassVar[int]
    ORDER_ID_FIELD_NUMBER: _ClassVar[int]
    SLOWS_FIELD_NUMBER: _ClassVar[int]
    window_id: int
    start: int
    end: int
    slot_seconds: int
    state: str
    cap_kw: float
    down_kw: float
    ramp_slots: int
    created: int
    created_by: str
    cancelled: int
    shortfall_kw: float
    short_slots: int
    detail: str
    slots: _containers.RepeatedCompositeFieldContainer[WindowSlot]
    rebound_kw: float
    rebound_end: int
    stops: _containers.RepeatedCompositeFieldContainer[WindowStop]
    order_id: str
    slows: _containers.RepeatedCompositeFieldContainer[WindowSlow]
    def __init__(self, window_id: _Optional[int] = ..., start: _Optional[int] = ..., end: _Optional[int] = ..., slot_seconds: _Optional[int] = ..., state: _Optional[str] = ..., cap_kw: _Optional[float] = ..., down_kw: _Optional[float] = ..., ramp_slots: _Optional[int] = ..., created: _Optional[int] = ..., created_by: _Optional[str] = ..., cancelled: _Optional[int] = ..., shortfall_kw: _Optional[float] = ..., short_slots: _Optional[int] = ..., detail: _Optional[str] = ..., slots: _Optional[_Iterable[_Union[WindowSlot, _Mapping]]] = ..., rebound_kw: _Optional[float] = ..., rebound_end: _Optional[int] = ..., stops: _Optional[_Iterable[_Union[WindowStop, _Mapping]]] = ..., order_id: _Optional[str] = ..., slows: _Optional[_Iterable[_Union[WindowSlow, _Mapping]]] = ...) -> None: ...

class WindowSlow(_message.Message):
    __slots__ = ("job_id", "width", "own", "until", "kw", "state")
    JOB_ID_FIELD_NUMBER: _ClassVar[int]
    WIDTH_FIELD_NUMBER: _ClassVar[int]
    OWN_FIELD_NUMBER: _ClassVar[int]
    UNTIL_FIELD_NUMBER: _ClassVar[int]
    KW_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    job_id: int
    width: int
    own: int
    until: int
    kw: float
    state: str
    def __init__(self, job_id: _Optional[int] = ..., width: _Optional[int] = ..., own: _Optional[int] = ..., until: _Optional[int] = ..., kw: _Optional[float] = ..., state: _Optional[str] = ...) -> None: ...

class WindowStop(_message.Message):
    __slots__ = ("job_id", "verb", "at", "until", "kw", "cost_gbp", "state", "detail")
    JOB_ID_FIELD_NUMBER: _ClassVar[int]
    VERB_FIELD_NUMBER: _ClassVar[int]
    AT_FIELD_NUMBER: _ClassVar[int]
    UNTIL_FIELD_NUMBER: _ClassVar[int]
    KW_FIELD_NUMBER: _ClassVar[int]
    COST_GBP_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    DETAIL_FIELD_NUMBER: _ClassVar[int]
    job_id: int
    verb: str
    at: int
    until: int
    kw: float
    cost_gbp: float
    state: str
    detail: str
    def __init__(self, job_id: _Optional[int] = ..., verb: _Optional[str] = ..., at: _Optional[int] = ..., until: _Optional[int] = ..., kw: _Optional[float] = ..., cost_gbp: _Optional[float] = ..., state: _Optional[str] = ..., detail: _Optional[str] = ...) -> None: ...

class WindowSlot(_message.Message):
    __slots__ = ("start", "cap_kw", "planned_kw", "observed_kw", "shortfall_kw", "ramp_in", "observed_source", "metered_share", "baseline_kw")
    START_FIELD_NUMBER: _ClassVar[int]
    CAP_KW_FIELD_NUMBER: _ClassVar[int]
    PLANNED_KW_FIELD_NUMBER: _ClassVar[int]
    OBSERVED_KW_FIELD_NUMBER: _ClassVar[int]
    SHORTFALL_KW_FIELD_NUMBER: _ClassVar[int]
    RAMP_IN_FIELD_NUMBER: _ClassVar[int]
    OBSERVED_SOURCE_FIELD_NUMBER: _ClassVar[int]
    METERED_SHARE_FIELD_NUMBER: _ClassVar[int]
    BASELINE_KW_FIELD_NUMBER: _ClassVar[int]
    start: int
    cap_kw: float
    planned_kw: float
    observed_kw: float
    shortfall_kw: float
    ramp_in: bool
    observed_source: str
    metered_share: float
    baseline_kw: float
    def __init__(self, start: _Optional[int] = ..., cap_kw: _Optional[float] = ..., planned_kw: _Optional[float] = ..., observed_kw: _Optional[float] = ..., shortfall_kw: _Optional[float] = ..., ramp_in: _Optional[bool] = ..., observed_source: _Optional[str] = ..., metered_share: _Optional[float] = ..., baseline_kw: _Optional[float] = ...) -> None: ...

class ListWindowsReply(_message.Message):
    __slots__ = ("windows",)
    WINDOWS_FIELD_NUMBER: _ClassVar[int]
    windows: _containers.RepeatedCompositeFieldContainer[Window]
    def __init__(self, windows: _Optional[_Iterable[_Union[Window, _Mapping]]] = ...) -> None: ...

class WindowRequest(_message.Message):
    __slots__ = ("window_id",)
    WINDOW_ID_FIELD_NUMBER: _ClassVar[int]
    window_id: int
    def __init__(self, window_id: _Optional[int] = ...) -> None: ...

class AssetSlot(_message.Message):
    __slots__ = ("start", "kw", "level")
    START_FIELD_NUMBER: _ClassVar[int]
    KW_FIELD_NUMBER: _ClassVar[int]
    LEVEL_FIELD_NUMBER: _ClassVar[int]
    start: int
    kw: float
    level: float
    def __init__(self, start: _Optional[int] = ..., kw: _Optional[float] = ..., level: _Optional[float] = ...) -> None: ...

class AssetLine(_message.Message):
    __slots__ = ("name", "kind", "driver", "unit", "read_at", "level", "kw", "planned_kw", "setpoint_kw", "setpoint_at", "writes", "detail", "slots")
    NAME_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    DRIVER_FIELD_NUMBER: _ClassVar[int]
    UNIT_FIELD_NUMBER: _ClassVar[int]
    READ_AT_FIELD_NUMBER: _ClassVar[int]
    LEVEL_FIELD_NUMBER: _ClassVar[int]
    KW_FIELD_NUMBER: _ClassVar[int]
    PLANNED_KW_FIELD_NUMBER: _ClassVar[int]
    SETPOINT_KW_FIELD_NUMBER: _ClassVar[int]
    SETPOINT_AT_FIELD_NUMBER: _ClassVar[int]
    WRITES_FIELD_NUMBER: _ClassVar[int]
    DETAIL_FIELD_NUMBER: _ClassVar[int]
    SLOTS_FIELD_NUMBER: _ClassVar[int]
    name: str
    kind: str
    driver: str
    unit: str
    read_at: int
    level: float
    kw: float
    planned_kw: float
    setpoint_kw: float
    setpoint_at: int
    writes: bool
    detail: str
    slots: _containers.RepeatedCompositeFieldContainer[AssetSlot]
    def __init__(self, name: _Optional[str] = ..., kind: _Optional[str] = ..., driver: _Optional[str] = ..., unit: _Optional[str] = ..., read_at: _Optional[int] = ..., level: _Optional[float] = ..., kw: _Optional[float] = ..., planned_kw: _Optional[float] = ..., setpoint_kw: _Optional[float] = ..., setpoint_at: _Optional[int] = ..., writes: _Optional[bool] = ..., detail: _Optional[str] = ..., slots: _Optional[_Iterable[_Union[AssetSlot, _Mapping]]] = ...) -> None: ...

class AssetsReply(_message.Message):
    __slots__ = ("assets", "planned_at", "cost_gbp", "proven", "problems")
    ASSETS_FIELD_NUMBER: _ClassVar[int]
    PLANNED_AT_FIELD_NUMBER: _ClassVar[int]
    COST_GBP_FIELD_NUMBER: _ClassVar[int]
    PROVEN_FIELD_NUMBER: _ClassVar[int]
    PROBLEMS_FIELD_NUMBER: _ClassVar[int]
    assets: _containers.RepeatedCompositeFieldContainer[AssetLine]
    planned_at: int
    cost_gbp: float
    proven: bool
    problems: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, assets: _Optional[_Iterable[_Union[AssetLine, _Mapping]]] = ..., planned_at: _Optional[int] = ..., cost_gbp: _Optional[float] = ..., proven: _Optional[bool] = ..., problems: _Optional[_Iterable[str]] = ...) -> None: ...

class EnvelopeRequest(_message.Message):
    __slots__ = ("start", "end")
    START_FIELD_NUMBER: _ClassVar[int]
    END_FIELD_NUMBER: _ClassVar[int]
    start: int
    end: int
    def __init__(self, start: _Optional[int] = ..., end: _Optional[int] = ...) -> None: ...

class EnvelopeReply(_message.Message):
    __slots__ = ("made_at", "slot_seconds", "level", "margin", "rebound_cap", "plan_gap", "seconds", "curves", "slots", "notes")
    MADE_AT_FIELD_NUMBER: _ClassVar[int]
    SLOT_SECONDS_FIELD_NUMBER: _ClassVar[int]
    LEVEL_FIELD_NUMBER: _ClassVar[int]
    MARGIN_FIELD_NUMBER: _ClassVar[int]
    REBOUND_CAP_FIELD_NUMBER: _ClassVar[int]
    PLAN_GAP_FIELD_NUMBER: _ClassVar[int]
    SECONDS_FIELD_NUMBER: _ClassVar[int]
    CURVES_FIELD_NUMBER: _ClassVar[int]
    SLOTS_FIELD_NUMBER: _ClassVar[int]
    NOTES_FIELD_NUMBER: _ClassVar[int]
    made_at: int
    slot_seconds: int
    level: float
    margin: float
    rebound_cap: float
    plan_gap: float
    seconds: float
    curves: _containers.RepeatedCompositeFieldContainer[EnvelopeCurve]
    slots: _containers.RepeatedCompositeFieldContainer[EnvelopeSlot]
    notes: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, made_at: _Optional[int] = ..., slot_seconds: _Optional[int] = ..., level: _Optional[float] = ..., margin: _Optional[float] = ..., rebound_cap: _Optional[float] = ..., plan_gap: _Optional[float] = ..., seconds: _Optional[float] = ..., curves: _Optional[_Iterable[_Union[EnvelopeCurve, _Mapping]]] = ..., slots: _Optional[_Iterable[_Union[EnvelopeSlot, _Mapping]]] = ..., notes: _Optional[_Iterable[str]] = ...) -> None: ...

class EnvelopeCurve(_message.Message):
    __slots__ = ("start", "end", "direction", "planned_kw", "jobs", "gap", "improvable_gbp", "steps")
    START_FIELD_NUMBER: _ClassVar[int]
    END_FIELD_NUMBER: _ClassVar[int]
    DIRECTION_FIELD_NUMBER: _ClassVar[int]
    PLANNED_KW_FIELD_NUMBER: _ClassVar[int]
    JOBS_FIELD_NUMBER: _ClassVar[int]
    GAP_FIELD_NUMBER: _ClassVar[int]
    IMPROVABLE_GBP_FIELD_NUMBER: _ClassVar[int]
    STEPS_FIELD_NUMBER: _ClassVar[int]
    start: int
    end: int
    direction: str
    planned_kw: float
    jobs: int
    gap: float
    improvable_gbp: float
    steps: _containers.RepeatedCompositeFieldContainer[EnvelopeStep]
    def __init__(self, start: _Optional[int] = ..., end: _Optional[int] = ..., direction: _Optional[str] = ..., planned_kw: _Optional[float] = ..., jobs: _Optional[int] = ..., gap: _Optional[float] = ..., improvable_gbp: _Optional[float] = ..., steps: _Optional[_Iterable[_Union[EnvelopeStep, _Mapping]]] = ...) -> None: ...

class EnvelopeStep(_message.Message):
    __slots__ = ("kw", "certain_kw", "offered_kw", "price_gbp", "uncertainty_gbp", "gbp_per_mwh", "gap", "order_by", "longest_seconds", "rebound_kw", "rebound_at", "peak_kw", "peak_at", "jobs", "why_not", "stopped_jobs")
    KW_FIELD_NUMBER: _ClassVar[int]
    CERTAIN_KW_FIELD_NUMBER: _ClassVar[int]
    OFFERED_KW_FIELD_NUMBER: _ClassVar[int]
    PRICE_GBP_FIELD_NUMBER: _ClassVar[int]
    UNCERTAINTY_GBP_FIELD_NUMBER: _ClassVar[int]
    GBP_PER_MWH_FIELD_NUMBER: _ClassVar[int]
    GAP_FIELD_NUMBER: _ClassVar[int]
    ORDER_BY_FIELD_NUMBER: _ClassVar[int]
    LONGEST_SECONDS_FIELD_NUMBER: _ClassVar[int]
    REBOUND_KW_FIELD_NUMBER: _ClassVar[int]
    REBOUND_AT_FIELD_NUMBER: _ClassVar[int]
    PEAK_KW_FIELD_NUMBER: _ClassVar[int]
    PEAK_AT_FIELD_NUMBER: _ClassVar[int]
    JOBS_FIELD_NUMBER: _ClassVar[int]
    WHY_NOT_FIELD_NUMBER: _ClassVar[int]
    STOPPED_JOBS_FIELD_NUMBER: _ClassVar[int]
    kw: float
    certain_kw: float
    offered_kw: float
    price_gbp: float
    uncertainty_gbp: float
    gbp_per_mwh: float
    gap: float
    order_by: int
    longest_seconds: int
    rebound_kw: float
    rebound_at: int
    peak_kw: float
    peak_at: int
    jobs: int
    why_not: str
    stopped_jobs: int
    def __init__(self, kw: _Optional[float] = ..., certain_kw: _Optional[float] = ..., offered_kw: _Optional[float] = ..., price_gbp: _Optional[float] = ..., uncertainty_gbp: _Optional[float] = ..., gbp_per_mwh: _Optional[float] = ..., gap: _Optional[float] = ..., order_by: _Optional[int] = ..., longest_seconds: _Optional[int] = ..., rebound_kw: _Optional[float] = ..., rebound_at: _Optional[int] = ..., peak_kw: _Optional[float] = ..., peak_at: _Optional[int] = ..., jobs: _Optional[int] = ..., why_not: _Optional[str] = ..., stopped_jobs: _Optional[int] = ...) -> None: ...

class EnvelopeSlot(_message.Message):
    __slots__ = ("start", "planned_kw", "down_kw", "up_kw", "cap_kw")
    START_FIELD_NUMBER: _ClassVar[int]
    PLANNED_KW_FIELD_NUMBER: _ClassVar[int]
    DOWN_KW_FIELD_NUMBER: _ClassVar[int]
    UP_KW_FIELD_NUMBER: _ClassVar[int]
    CAP_KW_FIELD_NUMBER: _ClassVar[int]
    start: int
    planned_kw: float
    down_kw: float
    up_kw: float
    cap_kw: float
    def __init__(self, start: _Optional[int] = ..., planned_kw: _Optional[float] = ..., down_kw: _Optional[float] = ..., up_kw: _Optional[float] = ..., cap_kw: _Optional[float] = ...) -> None: ...

class DiscoverRequest(_message.Message):
    __slots__ = ("goal", "kw", "start", "end", "budget_gbp")
    GOAL_FIELD_NUMBER: _ClassVar[int]
    KW_FIELD_NUMBER: _ClassVar[int]
    START_FIELD_NUMBER: _ClassVar[int]
    END_FIELD_NUMBER: _ClassVar[int]
    BUDGET_GBP_FIELD_NUMBER: _ClassVar[int]
    goal: str
    kw: float
    start: int
    end: int
    budget_gbp: float
    def __init__(self, goal: _Optional[str] = ..., kw: _Optional[float] = ..., start: _Optional[int] = ..., end: _Optional[int] = ..., budget_gbp: _Optional[float] = ...) -> None: ...

class DiscoverReply(_message.Message):
    __slots__ = ("offers", "start", "slot_seconds", "cost_gbp", "proven", "goal", "open_kw", "skipped")
    OFFERS_FIELD_NUMBER: _ClassVar[int]
    START_FIELD_NUMBER: _ClassVar[int]
    SLOT_SECONDS_FIELD_NUMBER: _ClassVar[int]
    COST_GBP_FIELD_NUMBER: _ClassVar[int]
    PROVEN_FIELD_NUMBER: _ClassVar[int]
    GOAL_FIELD_NUMBER: _ClassVar[int]
    OPEN_KW_FIELD_NUMBER: _ClassVar[int]
    SKIPPED_FIELD_NUMBER: _ClassVar[int]
    offers: _containers.RepeatedCompositeFieldContainer[RankedOffer]
    start: int
    slot_seconds: int
    cost_gbp: float
    proven: bool
    goal: str
    open_kw: _containers.RepeatedScalarFieldContainer[float]
    skipped: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, offers: _Optional[_Iterable[_Union[RankedOffer, _Mapping]]] = ..., start: _Optional[int] = ..., slot_seconds: _Optional[int] = ..., cost_gbp: _Optional[float] = ..., proven: _Optional[bool] = ..., goal: _Optional[str] = ..., open_kw: _Optional[_Iterable[float]] = ..., skipped: _Optional[_Iterable[str]] = ...) -> None: ...

class RankedOffer(_message.Message):
    __slots__ = ("seller", "offer", "name", "kwh", "price", "avoided", "certainty", "notice_seconds", "score", "picked_kwh", "picked_kw", "why")
    SELLER_FIELD_NUMBER: _ClassVar[int]
    OFFER_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    KWH_FIELD_NUMBER: _ClassVar[int]
    PRICE_FIELD_NUMBER: _ClassVar[int]
    AVOIDED_FIELD_NUMBER: _ClassVar[int]
    CERTAINTY_FIELD_NUMBER: _ClassVar[int]
    NOTICE_SECONDS_FIELD_NUMBER: _ClassVar[int]
    SCORE_FIELD_NUMBER: _ClassVar[int]
    PICKED_KWH_FIELD_NUMBER: _ClassVar[int]
    PICKED_KW_FIELD_NUMBER: _ClassVar[int]
    WHY_FIELD_NUMBER: _ClassVar[int]
    seller: str
    offer: str
    name: str
    kwh: float
    price: float
    avoided: float
    certainty: float
    notice_seconds: int
    score: float
    picked_kwh: float
    picked_kw: _containers.RepeatedScalarFieldContainer[float]
    why: str
    def __init__(self, seller: _Optional[str] = ..., offer: _Optional[str] = ..., name: _Optional[str] = ..., kwh: _Optional[float] = ..., price: _Optional[float] = ..., avoided: _Optional[float] = ..., certainty: _Optional[float] = ..., notice_seconds: _Optional[int] = ..., score: _Optional[float] = ..., picked_kwh: _Optional[float] = ..., picked_kw: _Optional[_Iterable[float]] = ..., why: _Optional[str] = ...) -> None: ...

class NeedRequest(_message.Message):
    __slots__ = ("kw", "start", "end", "budget_gbp", "goal")
    KW_FIELD_NUMBER: _ClassVar[int]
    START_FIELD_NUMBER: _ClassVar[int]
    END_FIELD_NUMBER: _ClassVar[int]
    BUDGET_GBP_FIELD_NUMBER: _ClassVar[int]
    GOAL_FIELD_NUMBER: _ClassVar[int]
    kw: float
    start: int
    end: int
    budget_gbp: float
    goal: str
    def __init__(self, kw: _Optional[float] = ..., start: _Optional[int] = ..., end: _Optional[int] = ..., budget_gbp: _Optional[float] = ..., goal: _Optional[str] = ...) -> None: ...

class AskSellerRequest(_message.Message):
    __slots__ = ("order_id", "question")
    ORDER_ID_FIELD_NUMBER: _ClassVar[int]
    QUESTION_FIELD_NUMBER: _ClassVar[int]
    order_id: str
    question: str
    def __init__(self, order_id: _Optional[str] = ..., question: _Optional[str] = ...) -> None: ...

class BuyingNeed(_message.Message):
    __slots__ = ("key", "source", "words", "state", "note", "goal", "start", "slot_seconds", "wanted_kw", "bought_kw", "delivered_kw", "budget_gbp", "spent_gbp", "orders")
    KEY_FIELD_NUMBER: _ClassVar[int]
    SOURCE_FIELD_NUMBER: _ClassVar[int]
    WORDS_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    NOTE_FIELD_NUMBER: _ClassVar[int]
    GOAL_FIELD_NUMBER: _ClassVar[int]
    START_FIELD_NUMBER: _ClassVar[int]
    SLOT_SECONDS_FIELD_NUMBER: _ClassVar[int]
    WANTED_KW_FIELD_NUMBER: _ClassVar[int]
    BOUGHT_KW_FIELD_NUMBER: _ClassVar[int]
    DELIVERED_KW_FIELD_NUMBER: _ClassVar[int]
    BUDGET_GBP_FIELD_NUMBER: _ClassVar[int]
    SPENT_GBP_FIELD_NUMBER: _ClassVar[int]
    ORDERS_FIELD_NUMBER: _ClassVar[int]
    key: str
    source: str
    words: str
    state: str
    note: str
    goal: str
    start: int
    slot_seconds: int
    wanted_kw: _containers.RepeatedScalarFieldContainer[float]
    bought_kw: _containers.RepeatedScalarFieldContainer[float]
    delivered_kw: _containers.RepeatedScalarFieldContainer[float]
    budget_gbp: float
    spent_gbp: float
    orders: _containers.RepeatedCompositeFieldContainer[Purchase]
    def __init__(self, key: _Optional[str] = ..., source: _Optional[str] = ..., words: _Optional[str] = ..., state: _Optional[str] = ..., note: _Optional[str] = ..., goal: _Optional[str] = ..., start: _Optional[int] = ..., slot_seconds: _Optional[int] = ..., wanted_kw: _Optional[_Iterable[float]] = ..., bought_kw: _Optional[_Iterable[float]] = ..., delivered_kw: _Optional[_Iterable[float]] = ..., budget_gbp: _Optional[float] = ..., spent_gbp: _Optional[float] = ..., orders: _Optional[_Iterable[_Union[Purchase, _Mapping]]] = ...) -> None: ...

class Purchase(_message.Message):
    __slots__ = ("order_id", "seller", "state", "kw", "delivered_kw", "cost_gbp", "rating", "why")
    ORDER_ID_FIELD_NUMBER: _ClassVar[int]
    SELLER_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    KW_FIELD_NUMBER: _ClassVar[int]
    DELIVERED_KW_FIELD_NUMBER: _ClassVar[int]
    COST_GBP_FIELD_NUMBER: _ClassVar[int]
    RATING_FIELD_NUMBER: _ClassVar[int]
    WHY_FIELD_NUMBER: _ClassVar[int]
    order_id: str
    seller: str
    state: str
    kw: _containers.RepeatedScalarFieldContainer[float]
    delivered_kw: _containers.RepeatedScalarFieldContainer[float]
    cost_gbp: float
    rating: int
    why: str
    def __init__(self, order_id: _Optional[str] = ..., seller: _Optional[str] = ..., state: _Optional[str] = ..., kw: _Optional[_Iterable[float]] = ..., delivered_kw: _Optional[_Iterable[float]] = ..., cost_gbp: _Optional[float] = ..., rating: _Optional[int] = ..., why: _Optional[str] = ...) -> None: ...

class NeedsReply(_message.Message):
    __slots__ = ("needs", "unknown")
    NEEDS_FIELD_NUMBER: _ClassVar[int]
    UNKNOWN_FIELD_NUMBER: _ClassVar[int]
    needs: _containers.RepeatedCompositeFieldContainer[BuyingNeed]
    unknown: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, needs: _Optional[_Iterable[_Union[BuyingNeed, _Mapping]]] = ..., unknown: _Optional[_Iterable[str]] = ...) -> None: ...

class PurchaseRequest(_message.Message):
    __slots__ = ("order_id",)
    ORDER_ID_FIELD_NUMBER: _ClassVar[int]
    order_id: str
    def __init__(self, order_id: _Optional[str] = ...) -> None: ...

class OfferSlot(_message.Message):
    __slots__ = ("start", "kw", "left_kw", "gbp_per_kwh", "order_by")
    START_FIELD_NUMBER: _ClassVar[int]
    KW_FIELD_NUMBER: _ClassVar[int]
    LEFT_KW_FIELD_NUMBER: _ClassVar[int]
    GBP_PER_KWH_FIELD_NUMBER: _ClassVar[int]
    ORDER_BY_FIELD_NUMBER: _ClassVar[int]
    start: int
    kw: float
    left_kw: float
    gbp_per_kwh: float
    order_by: int
    def __init__(self, start: _Optional[int] = ..., kw: _Optional[float] = ..., left_kw: _Optional[float] = ..., gbp_per_kwh: _Optional[float] = ..., order_by: _Optional[int] = ...) -> None: ...

class OffersReply(_message.Message):
    __slots__ = ("made_at", "slot_seconds", "why_none", "notice_seconds", "shortest_seconds", "longest_seconds", "certainty", "slots")
    MADE_AT_FIELD_NUMBER: _ClassVar[int]
    SLOT_SECONDS_FIELD_NUMBER: _ClassVar[int]
    WHY_NONE_FIELD_NUMBER: _ClassVar[int]
    NOTICE_SECONDS_FIELD_NUMBER: _ClassVar[int]
    SHORTEST_SECONDS_FIELD_NUMBER: _ClassVar[int]
    LONGEST_SECONDS_FIELD_NUMBER: _ClassVar[int]
    CERTAINTY_FIELD_NUMBER: _ClassVar[int]
    SLOTS_FIELD_NUMBER: _ClassVar[int]
    made_at: int
    slot_seconds: int
    why_none: str
    notice_seconds: float
    shortest_seconds: int
    longest_seconds: int
    certainty: float
    slots: _containers.RepeatedCompositeFieldContainer[OfferSlot]
    def __init__(self, made_at: _Optional[int] = ..., slot_seconds: _Optional[int] = ..., why_none: _Optional[str] = ..., notice_seconds: _Optional[float] = ..., shortest_seconds: _Optional[int] = ..., longest_seconds: _Optional[int] = ..., certainty: _Optional[float] = ..., slots: _Optional[_Iterable[_Union[OfferSlot, _Mapping]]] = ...) -> None: ...

class OrderSlot(_message.Message):
    __slots__ = ("start", "sold_kw", "gbp_per_kwh", "baseline_kw", "planned_kw", "delivered_kw", "source")
    START_FIELD_NUMBER: _ClassVar[int]
    SOLD_KW_FIELD_NUMBER: _ClassVar[int]
    GBP_PER_KWH_FIELD_NUMBER: _ClassVar[int]
    BASELINE_KW_FIELD_NUMBER: _ClassVar[int]
    PLANNED_KW_FIELD_NUMBER: _ClassVar[int]
    DELIVERED_KW_FIELD_NUMBER: _ClassVar[int]
    SOURCE_FIELD_NUMBER: _ClassVar[int]
    start: int
    sold_kw: float
    gbp_per_kwh: float
    baseline_kw: float
    planned_kw: float
    delivered_kw: float
    source: str
    def __init__(self, start: _Optional[int] = ..., sold_kw: _Optional[float] = ..., gbp_per_kwh: _Optional[float] = ..., baseline_kw: _Optional[float] = ..., planned_kw: _Optional[float] = ..., delivered_kw: _Optional[float] = ..., source: _Optional[str] = ...) -> None: ...

class OrderEvent(_message.Message):
    __slots__ = ("at", "kind", "what", "detail")
    AT_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    WHAT_FIELD_NUMBER: _ClassVar[int]
    DETAIL_FIELD_NUMBER: _ClassVar[int]
    at: int
    kind: str
    what: str
    detail: str
    def __init__(self, at: _Optional[int] = ..., kind: _Optional[str] = ..., what: _Optional[str] = ..., detail: _Optional[str] = ...) -> None: ...

class Order(_message.Message):
    __slots__ = ("order_id", "buyer", "contract", "state", "start", "end", "slot_seconds", "created", "decide_by", "kept_by", "gbp", "sold_kwh", "delivered_kwh", "rating", "detail", "slots", "events", "kind")
    ORDER_ID_FIELD_NUMBER: _ClassVar[int]
    BUYER_FIELD_NUMBER: _ClassVar[int]
    CONTRACT_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    START_FIELD_NUMBER: _ClassVar[int]
    END_FIELD_NUMBER: _ClassVar[int]
    SLOT_SECONDS_FIELD_NUMBER: _ClassVar[int]
    CREATED_FIELD_NUMBER: _ClassVar[int]
    DECIDE_BY_FIELD_NUMBER: _ClassVar[int]
    KEPT_BY_FIELD_NUMBER: _ClassVar[int]
    GBP_FIELD_NUMBER: _ClassVar[int]
    SOLD_KWH_FIELD_NUMBER: _ClassVar[int]
    DELIVERED_KWH_FIELD_NUMBER: _ClassVar[int]
    RATING_FIELD_NUMBER: _ClassVar[int]
    DETAIL_FIELD_NUMBER: _ClassVar[int]
    SLOTS_FIELD_NUMBER: _ClassVar[int]
    EVENTS_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    order_id: str
    buyer: str
    contract: str
    state: str
    start: int
    end: int
    slot_seconds: int
    created: int
    decide_by: int
    kept_by: str
    gbp: float
    sold_kwh: float
    delivered_kwh: float
    rating: float
    detail: str
    slots: _containers.RepeatedCompositeFieldContainer[OrderSlot]
    events: _containers.RepeatedCompositeFieldContainer[OrderEvent]
    kind: str
    def __init__(self, order_id: _Optional[str] = ..., buyer: _Optional[str] = ..., contract: _Optional[str] = ..., state: _Optional[str] = ..., start: _Optional[int] = ..., end: _Optional[int] = ..., slot_seconds: _Optional[int] = ..., created: _Optional[int] = ..., decide_by: _Optional[int] = ..., kept_by: _Optional[str] = ..., gbp: _Optional[float] = ..., sold_kwh: _Optional[float] = ..., delivered_kwh: _Optional[float] = ..., rating: _Optional[float] = ..., detail: _Optional[str] = ..., slots: _Optional[_Iterable[_Union[OrderSlot, _Mapping]]] = ..., events: _Optional[_Iterable[_Union[OrderEvent, _Mapping]]] = ..., kind: _Optional[str] = ...) -> None: ...

class OrdersReply(_message.Message):
    __slots__ = ("orders", "unbid")
    ORDERS_FIELD_NUMBER: _ClassVar[int]
    UNBID_FIELD_NUMBER: _ClassVar[int]
    orders: _containers.RepeatedCompositeFieldContainer[Order]
    unbid: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, orders: _Optional[_Iterable[_Union[Order, _Mapping]]] = ..., unbid: _Optional[_Iterable[str]] = ...) -> None: ...

class OrderRequest(_message.Message):
    __slots__ = ("order_id",)
    ORDER_ID_FIELD_NUMBER: _ClassVar[int]
    order_id: str
    def __init__(self, order_id: _Optional[str] = ...) -> None: ...

class DecideOrderRequest(_message.Message):
    __slots__ = ("order_id", "accept")
    ORDER_ID_FIELD_NUMBER: _ClassVar[int]
    ACCEPT_FIELD_NUMBER: _ClassVar[int]
    order_id: str
    accept: bool
    def __init__(self, order_id: _Optional[str] = ..., accept: _Optional[bool] = ...) -> None: ...

class EraseRequest(_message.Message):
    __slots__ = ("user",)
    USER_FIELD_NUMBER: _ClassVar[int]
    user: str
    def __init__(self, user: _Optional[str] = ...) -> None: ...

class EraseReply(_message.Message):
    __slots__ = ("entries", "detail")
    ENTRIES_FIELD_NUMBER: _ClassVar[int]
    DETAIL_FIELD_NUMBER: _ClassVar[int]
    entries: int
    detail: str
    def __init__(self, entries: _Optional[int] = ..., detail: _Optional[str] = ...) -> None: ...
