from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Verb(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    VERB_UNSPECIFIED: _ClassVar[Verb]
    VERB_HOLD_UNTIL: _ClassVar[Verb]
    VERB_RELEASE: _ClassVar[Verb]
    VERB_REQUEUE: _ClassVar[Verb]
    VERB_REQUEUE_UNTIL: _ClassVar[Verb]
    VERB_SUSPEND: _ClassVar[Verb]
    VERB_RESUME: _ClassVar[Verb]
    VERB_LET_OFF: _ClassVar[Verb]
    VERB_SLOW: _ClassVar[Verb]
    VERB_UNSLOW: _ClassVar[Verb]
    VERB_ROUTE: _ClassVar[Verb]
    VERB_WIDEN: _ClassVar[Verb]

class Outcome(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    OUTCOME_UNSPECIFIED: _ClassVar[Outcome]
    OUTCOME_APPLIED: _ClassVar[Outcome]
    OUTCOME_ALREADY_SO: _ClassVar[Outcome]
    OUTCOME_REFUSED: _ClassVar[Outcome]
    OUTCOME_NOT_FOUND: _ClassVar[Outcome]
    OUTCOME_UNKNOWN: _ClassVar[Outcome]
VERB_UNSPECIFIED: Verb
VERB_HOLD_UNTIL: Verb
VERB_RELEASE: Verb
VERB_REQUEUE: Verb
VERB_REQUEUE_UNTIL: Verb
VERB_SUSPEND: Verb
VERB_RESUME: Verb
VERB_LET_OFF: Verb
VERB_SLOW: Verb
VERB_UNSLOW: Verb
VERB_ROUTE: Verb
VERB_WIDEN: Verb
OUTCOME_UNSPECIFIED: Outcome
OUTCOME_APPLIED: Outcome
OUTCOME_ALREADY_SO: Outcome
OUTCOME_REFUSED: Outcome
OUTCOME_NOT_FOUND: Outcome
OUTCOME_UNKNOWN: Outcome

class Action(_message.Message):
    __slots__ = ("action_id", "job_id", "submit_time", "restarts", "expected_begin", "expected_state", "verb", "not_before", "reason", "width", "site")
    ACTION_ID_FIELD_NUMBER: _ClassVar[int]
    JOB_ID_FIELD_NUMBER: _ClassVar[int]
    SUBMIT_TIME_FIELD_NUMBER: _ClassVar[int]
    RESTARTS_FIELD_NUMBER: _ClassVar[int]
    EXPECTED_BEGIN_FIELD_NUMBER: _ClassVar[int]
    EXPECTED_STATE_FIELD_NUMBER: _ClassVar[int]
    VERB_FIELD_NUMBER: _ClassVar[int]
    NOT_BEFORE_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    WIDTH_FIELD_NUMBER: _ClassVar[int]
    SITE_FIELD_NUMBER: _ClassVar[int]
    action_id: str
    job_id: int
    submit_time: int
    restarts: int
    expected_begin: int
    expected_state: str
    verb: Verb
    not_before: int
    reason: str
    width: int
    site: str
    def __init__(self, action_id: _Optional[str] = ..., job_id: _Optional[int] = ..., submit_time: _Optional[int] = ..., restarts: _Optional[int] = ..., expected_begin: _Optional[int] = ..., expected_state: _Optional[str] = ..., verb: _Optional[_Union[Verb, str]] = ..., not_before: _Optional[int] = ..., reason: _Optional[str] = ..., width: _Optional[int] = ..., site: _Optional[str] = ...) -> None: ...

class Result(_message.Message):
    __slots__ = ("action_id", "outcome", "code", "detail", "observed_begin", "observed_state")
    ACTION_ID_FIELD_NUMBER: _ClassVar[int]
    OUTCOME_FIELD_NUMBER: _ClassVar[int]
    CODE_FIELD_NUMBER: _ClassVar[int]
    DETAIL_FIELD_NUMBER: _ClassVar[int]
    OBSERVED_BEGIN_FIELD_NUMBER: _ClassVar[int]
    OBSERVED_STATE_FIELD_NUMBER: _ClassVar[int]
    action_id: str
    outcome: Outcome
    code: str
    detail: str
    observed_begin: int
    observed_state: str
    def __init__(self, action_id: _Optional[str] = ..., outcome: _Optional[_Union[Outcome, str]] = ..., code: _Optional[str] = ..., detail: _Optional[str] = ..., observed_begin: _Optional[int] = ..., observed_state: _Optional[str] = ...) -> None: ...

class ApplyRequest(_message.Message):
    __slots__ = ("actions",)
    ACTIONS_FIELD_NUMBER: _ClassVar[int]
    actions: _containers.RepeatedCompositeFieldContainer[Action]
    def __init__(self, actions: _Optional[_Iterable[_Union[Action, _Mapping]]] = ...) -> None: ...

class ApplyReply(_message.Message):
    __slots__ = ("results",)
    RESULTS_FIELD_NUMBER: _ClassVar[int]
    results: _containers.RepeatedCompositeFieldContainer[Result]
    def __init__(self, results: _Optional[_Iterable[_Union[Result, _Mapping]]] = ...) -> None: ...

class StatusRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class OptOut(_message.Message):
    __slots__ = ("job_id", "submit_time", "at", "reason")
    JOB_ID_FIELD_NUMBER: _ClassVar[int]
    SUBMIT_TIME_FIELD_NUMBER: _ClassVar[int]
    AT_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    job_id: int
    submit_time: int
    at: int
    reason: str
    def __init__(self, job_id: _Optional[int] = ..., submit_time: _Optional[int] = ..., at: _Optional[int] = ..., reason: _Optional[str] = ...) -> None: ...

class Slowed(_message.Message):
    __slots__ = ("job_id", "submit_time", "own", "width", "until", "left_alone")
    JOB_ID_FIELD_NUMBER: _ClassVar[int]
    SUBMIT_TIME_FIELD_NUMBER: _ClassVar[int]
    OWN_FIELD_NUMBER: _ClassVar[int]
    WIDTH_FIELD_NUMBER: _ClassVar[int]
    UNTIL_FIELD_NUMBER: _ClassVar[int]
    LEFT_ALONE_FIELD_NUMBER: _ClassVar[int]
    job_id: int
    submit_time: int
    own: int
    width: int
    until: int
    left_alone: bool
    def __init__(self, job_id: _Optional[int] = ..., submit_time: _Optional[int] = ..., own: _Optional[int] = ..., width: _Optional[int] = ..., until: _Optional[int] = ..., left_alone: _Optional[bool] = ...) -> None: ...

class StatusReply(_message.Message):
    __slots__ = ("version", "slurm_version", "opt_outs", "actions_left", "instance", "slowed")
    VERSION_FIELD_NUMBER: _ClassVar[int]
    SLURM_VERSION_FIELD_NUMBER: _ClassVar[int]
    OPT_OUTS_FIELD_NUMBER: _ClassVar[int]
    ACTIONS_LEFT_FIELD_NUMBER: _ClassVar[int]
    INSTANCE_FIELD_NUMBER: _ClassVar[int]
    SLOWED_FIELD_NUMBER: _ClassVar[int]
    version: str
    slurm_version: str
    opt_outs: _containers.RepeatedCompositeFieldContainer[OptOut]
    actions_left: int
    instance: str
    slowed: _containers.RepeatedCompositeFieldContainer[Slowed]
    def __init__(self, version: _Optional[str] = ..., slurm_version: _Optional[str] = ..., opt_outs: _Optional[_Iterable[_Union[OptOut, _Mapping]]] = ..., actions_left: _Optional[int] = ..., instance: _Optional[str] = ..., slowed: _Optional[_Iterable[_Union[Slowed, _Mapping]]] = ...) -> None: ...

class Stretch(_message.Message):
    __slots__ = ("start", "end", "kw")
    START_FIELD_NUMBER: _ClassVar[int]
    END_FIELD_NUMBER: _ClassVar[int]
    KW_FIELD_NUMBER: _ClassVar[int]
    start: int
    end: int
    kw: int
    def __init__(self, start: _Optional[int] = ..., end: _Optional[int] = ..., kw: _Optional[int] = ...) -> None: ...

class ReserveRequest(_message.Message):
    __slots__ = ("wanted", "reason")
    WANTED_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    wanted: _containers.RepeatedCompositeFieldContainer[Stretch]
    reason: str
    def __init__(self, wanted: _Optional[_Iterable[_Union[Stretch, _Mapping]]] = ..., reason: _Optional[str] = ...) -> None: ...

class StretchResult(_message.Message):
    __slots__ = ("stretch", "outcome", "code", "detail")
    STRETCH_FIELD_NUMBER: _ClassVar[int]
    OUTCOME_FIELD_NUMBER: _ClassVar[int]
    CODE_FIELD_NUMBER: _ClassVar[int]
    DETAIL_FIELD_NUMBER: _ClassVar[int]
    stretch: Stretch
    outcome: Outcome
    code: str
    detail: str
    def __init__(self, stretch: _Optional[_Union[Stretch, _Mapping]] = ..., outcome: _Optional[_Union[Outcome, str]] = ..., code: _Optional[str] = ..., detail: _Optional[str] = ...) -> None: ...

class ReserveReply(_message.Message):
    __slots__ = ("results", "in_force", "total", "used")
    RESULTS_FIELD_NUMBER: _ClassVar[int]
    IN_FORCE_FIELD_NUMBER: _ClassVar[int]
    TOTAL_FIELD_NUMBER: _ClassVar[int]
    USED_FIELD_NUMBER: _ClassVar[int]
    results: _containers.RepeatedCompositeFieldContainer[StretchResult]
    in_force: _containers.RepeatedCompositeFieldContainer[Stretch]
    total: int
    used: int
    def __init__(self, results: _Optional[_Iterable[_Union[StretchResult, _Mapping]]] = ..., in_force: _Optional[_Iterable[_Union[Stretch, _Mapping]]] = ..., total: _Optional[int] = ..., used: _Optional[int] = ...) -> None: ...
