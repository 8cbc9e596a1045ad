"""Learning in the background: ended runs from Slurm's accounting into the prediction models.

Law: reads only. Each run is learnt once, in the order in which the runs ended; a run that never started, or
that something other than itself and its limits ended (preemption, node failure, requeue), is left out. What
goes wrong with slurmdbd costs new learning and nothing else: the models keep what they know, `detail` says
why in one line. slurmdbd lags and fills records in steps, so runs are taken a minute after their end, and the
last hour is read again for those that came late. The event loop is held for milliseconds at a time: sacct
runs in a thread, one day of history at a time. Both models and the progress are stored as one blob, so they
never disagree. Epoch seconds; kW in site terms.
Power is learnt from runs that had (nearly) all CPUs of their nodes: Slurm counts energy per node, so a node
that jobs share would be charged to each of them. Idle watts that the site's [power] settings do not charge to
jobs are taken off, so that the ratio is that of the planner's own kW.
"""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final, Protocol

import msgspec

from flexlond.model.job import Job, JobState
from flexlond.model.power import WATTS_PER_KW, job_kw, node_type
from flexlond.prediction.features import Features, features
from flexlond.prediction.power import PowerModel
from flexlond.prediction.runtime import RuntimeModel
from flexlond.slurm.accounting import AccountingRecord, read_accounting
from flexlond.slurm.command import SlurmCommandError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from flexlond.model.settings import PowerSettings, Settings, SlurmSettings

DAY: Final = 86_400
BLOB: Final = "prediction"
OVERLAP_SECONDS: Final = 3600
SAVE_SECONDS: Final = 600
_SETTLED: Final = 60  # s after its end a record is whole
_AT_ONCE: Final = 250  # runs, about 10 ms
_WHOLE_NODE: Final = 0.9  # of its nodes' CPUs
_FORMAT: Final = "flexlon learning 1"
# Ends of a run's own: it was done, gave up, was told to, or met its limits.
_OWN_END: Final = frozenset({"COMPLETED", "FAILED", "CANCELLED", "TIMEOUT", "OUT_OF_MEMORY"})


class BlobStore(Protocol):
    """What learning needs of the store."""

    def get_blob(self, key: str) -> bytes:
        """What was put last; b"" when nothing was."""
        ...

    def put_blob(self, key: str, value: bytes, at: int) -> None:
        """Durable when it returns."""
        ...


class ReadAccounting(Protocol):
    """flexlond.slurm.accounting.read_accounting, or a fake."""

    def __call__(
        self, settings: SlurmSettings, *, since: int, until: int | None = None
    ) -> Sequence[AccountingRecord]:
        """The jobs that were in the system between; raises SlurmCommandError."""
        ...


class _Stored(msgspec.Struct):
    format: str
    until: int
    learnt: list[tuple[int, int, int]]  # (job id, start, end) of the overlap
    runtime: bytes
    power: bytes


class Learner:
    """The two models and how far the accounting has been learnt; for one event loop."""

    def __init__(
        self,
        settings: Settings,
        store: BlobStore,
        *,
        read: ReadAccounting = read_accounting,
    ) -> None:
        """Take up what was stored; what cannot be read is learnt again, and `detail` says so."""
        self.settings = settings  # set anew when the configuration is reloaded
        self._store = store
        self._read = read
        self._until = 0  # runs that ended before are learnt
        self._learnt: dict[tuple[int, int], int] = {}  # (job id, start) -> end, of the overlap
        self._saved_at = 0
        self._unsaved = False
        self._lock = asyncio.Lock()
        self.runtime = RuntimeModel()
        self.power = PowerModel()
        self.detail = self._known()
        self._restore(store.get_blob(BLOB))

    async def learn(self, now: int) -> int:
        """Learn what ended since the last time; the runs learnt. 0 while an earlier call is at it.

        The first time it reads prediction.history_days and may take minutes; it can be cancelled at any moment
        and goes on from there. Raises only what the store raises.
        """
        if self._lock.locked():
            return 0
        async with self._lock:
            learnt, trouble = 0, ""
            since = max(
                min(self._until, now) - OVERLAP_SECONDS,
                now - self.settings.prediction.history_days * DAY,
            )
            while since < now - _SETTLED:
                until = min(since + DAY, now)
                try:
                    records = await asyncio.to_thread(
                        self._read, self.settings.slurm, since=since, until=until
                    )
                except SlurmCommandError as error:
                    trouble = f"{self._known()}; nothing new could be read: {error}"
                    break
                until = min(until, now - _SETTLED)
                learnt += await self._take(_ended(records, since, until))
                self._until = since = until
                self._forget()
            self.detail = trouble or self._known()
            if self._unsaved and now - self._saved_at >= SAVE_SECONDS:
                self.save(now)
            return learnt

    def save(self, now: int) -> None:
        """Store both models and the progress; also for the daemon's end."""
        learnt = [(job_id, start, end) for (job_id, start), end in self._learnt.items()]
        stored = _Stored(
            _FORMAT, self._until, learnt, self.runtime.to_bytes(), self.power.to_bytes()
        )
        self._store.put_blob(BLOB, msgspec.msgpack.encode(stored), now)
        self._saved_at = now
        self._unsaved = False

    async def _take(self, ended: Sequence[AccountingRecord]) -> int:
        learnt = 0
        for first in range(0, len(ended), _AT_ONCE):
            for record in ended[first : first + _AT_ONCE]:
                run = (record.job_id, record.start)
                if run in self._learnt:
                    continue
                self._learn_run(record)
                self._learnt[run] = record.end
                self._unsaved = True
                learnt += 1
            await asyncio.sleep(0)
        return learnt

    def _learn_run(self, record: AccountingRecord) -> None:
        like = of_record(record)
        seconds = float(record.end - record.start)
        if record.state == "TIMEOUT" and record.time_limit is not None:
            seconds = max(seconds, float(record.time_limit))
        self.runtime.learn(like, seconds, record.end)
        measured = measured_kw(record, self.settings.power)
        if measured is not None:
            modelled = job_kw(as_job(record), None, self.settings.power)
            self.power.learn(like, measured, modelled, record.end - record.start)

    def _forget(self) -> None:
        """Of the runs learnt, only those that the next overlap can show again need be known."""
        oldest = self._until - OVERLAP_SECONDS
        self._learnt = {run: end for run, end in self._learnt.items() if end >= oldest}

    def _known(self) -> str:
        runtime = self.runtime
        if not runtime.runs:
            return "nothing learned yet: time limits and coefficients are used"
        return (
            f"learned from {runtime.runs} runs, newest {_moment(runtime.newest)},"
            f" P90 held in {runtime.coverage:.0%}, power measured in {self.power.runs}"
        )

    def _restore(self, blob: bytes) -> None:
        if not blob:
            return
        try:
            stored = msgspec.msgpack.decode(blob, type=_Stored)
        except msgspec.MsgspecError as error:
            self.detail = f"what was learnt cannot be read ({error}): it is learnt again"
            return
        runtime, problem = RuntimeModel.from_bytes(stored.runtime)
        power, other = PowerModel.from_bytes(stored.power)
        if stored.format != _FORMAT:
            problem = f"what was learnt was stored as {stored.format[:60]!r}: it is learnt again"
        if problem or other:
            self.detail = problem or other
            return
        self.runtime, self.power = runtime, power
        self._until = stored.until
        self._learnt = {(job_id, start): end for job_id, start, end in stored.learnt}
        self.detail = self._known()


def of_record(record: AccountingRecord) -> Features:
    """Features of a run, as its job had them while it waited: what was requested, not what was allocated."""
    return features(
        user=record.user,
        account=record.account,
        partition=record.partition,
        name=record.name,
        limit_seconds=record.time_limit,
        cpus=record.requested_cpus or record.cpus,
        nodes=record.requested_nodes or record.nodes,
        gpus=sum(count for _, count in record.gpus),
    )


def _ended(records: Iterable[AccountingRecord], since: int, until: int) -> list[AccountingRecord]:
    """The runs that ended between by themselves, in the order of their ends."""
    runs = [
        record
        for record in records
        if record.state in _OWN_END
        and 0 < record.start <= record.end
        and since <= record.end <= until
        # slurmctld gives a job that is cancelled while it waits its end as its start
        and not (record.state == "CANCELLED" and record.start == record.end)
    ]
    runs.sort(key=lambda record: (record.end, record.job_id, record.start))
    return runs


def measured_kw(record: AccountingRecord, power: PowerSettings) -> float | None:
    """Mean site kW charged to the run; None where it was not measured or its nodes were shared."""
    seconds = record.end - record.start
    kind = node_type(record.partition, power)
    nodes = max(1, record.nodes)
    if not record.energy_joules or seconds <= 0:
        return None
    if record.cpus < _WHOLE_NODE * nodes * kind.cpus_per_node:
        return None
    uncharged = nodes * kind.idle_watts * (1 - kind.idle_share)
    watts = record.energy_joules / seconds - uncharged
    return watts * power.pue / WATTS_PER_KW


def as_job(record: AccountingRecord) -> Job:
    """The ended run as a job, for the coefficients."""
    return Job(
        job_id=record.job_id,
        state=JobState.ENDED,
        reason="",
        user=record.user,
        uid=record.uid,
        account=record.account,
        qos=record.qos,
        partition=record.partition,
        name=record.name,
        nodes=record.nodes,
        cpus=record.cpus,
        memory_mib=record.memory_mib,
        gpus=record.gpus,
        licenses="",
        time_limit=record.time_limit,
        submit=record.submit,
        begin=record.eligible,
        start=record.start,
        end=record.end,
        deadline=0,
        priority=0,
        requeue=False,
        restarts=record.restarts or 0,
        reservation="",
        dependency="",
        batch=True,
        node_list="",
        comment=record.comment,
    )


def _moment(at: int) -> str:
    """Epoch seconds for people."""
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M UTC")
