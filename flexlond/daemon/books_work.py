"""Work done by jobs, for settlement: from Slurm's accounting, by what their directives say.

Law: pure. Counted is a job that ended COMPLETED and whose directive says `work=` and `unit=`; its work and the
energy of its run are spread evenly over it, and an earlier run of the same job (requeued) adds its energy and
no work. Tasks of an array are left out: the directive speaks of the whole and accounting of the parts. Energy
is what Slurm counted, times the site's PUE, where the run had its nodes to itself, else the model's: an
estimate either way. No name of a job or a person is in it. Epoch seconds, Wh.
"""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

from flexlond.agents.learning import as_job, measured_kw
from flexlond.model.directive import Directive, read_directive
from flexlond.model.power import job_kw
from flexlond.model.settlement_period import LENGTH
from flexlond.settlement.work import DAEMON, Work

if TYPE_CHECKING:
    from collections.abc import Iterable
    from zoneinfo import ZoneInfo

    from flexlond.model.settings import Settings
    from flexlond.slurm.accounting import AccountingRecord

DONE = "COMPLETED"
_PLACES = Decimal("0.000001")  # of an amount in one period


def work_of(records: Iterable[AccountingRecord], settings: Settings, tz: ZoneInfo) -> list[Work]:
    """The work of every job that is done; `records` have one for each run (`duplicates`)."""
    runs: dict[int, list[AccountingRecord]] = {}
    for one in records:
        if 0 < one.start < one.end and not one.array_job_id:
            runs.setdefault(one.job_id, []).append(one)
    found: list[Work] = []
    for of_job in runs.values():
        last = max(of_job, key=lambda one: one.end)
        said = _directive(last, settings, tz)
        if last.state != DONE or said is None:
            continue
        for one in of_job:
            # An id that Slurm uses again is another user's or another directive's job.
            if (one.uid, one.comment) == (last.uid, last.comment):
                amount = Decimal(str(said.work)) if one is last else Decimal(0)
                found += _spread(one, amount, said.unit, settings)
    return found


def _directive(record: AccountingRecord, settings: Settings, tz: ZoneInfo) -> Directive | None:
    found = read_directive(
        record.comment,
        settings.directive,
        now=record.submit,
        tz=tz,
        partition=record.partition,
        qos=record.qos,
        account=record.account,
    )
    return found if isinstance(found, Directive) and found.work else None


def _spread(record: AccountingRecord, amount: Decimal, unit: str, settings: Settings) -> list[Work]:
    """By settlement period, evenly; the parts sum to the whole."""
    kw = measured_kw(record, settings.power)
    if kw is None:
        kw = job_kw(as_job(record), None, settings.power)
    seconds = record.end - record.start
    whole = round(kw * seconds / 3.6)
    found = []
    said, wh, passed = Decimal(0), 0, 0
    for start in range(record.start - record.start % LENGTH, record.end, LENGTH):
        passed = min(record.end, start + LENGTH) - record.start
        to = amount if passed == seconds else (amount * passed / seconds).quantize(_PLACES)
        wh_to = whole * passed // seconds
        name = f"{DAEMON}{record.job_id}/{record.start}"
        found.append(Work(start, name, unit, to - said, wh_to - wh))
        said, wh = to, wh_to
    return found
