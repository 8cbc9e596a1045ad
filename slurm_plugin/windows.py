"""Windows that slurmctld keeps: from what is wanted to reservations of the `kw` licence seen in force.

Law: blocking, in the batches' thread. Reads, decides (reserving.py), writes down what is about to be sent,
acts, reads again; a result says APPLIED only where the second read shows it. What is deleted goes before what
is made: slurmctld refuses a reservation by which more licences than there are would be reserved at one moment
(measured on 22.05, 24.11 and 26.05; a change of one it does not check). A usage above what is left over is no
error: running jobs run on, and no job with the licence starts until enough of them have ended.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import structlog

from flexlond.model.action import Outcome
from flexlond.model.licence import Reserved, Stretch, StretchResult
from flexlond.slurm.command import SlurmCommandError
from slurm_plugin import reserving
from slurm_plugin.reserving import Made, Todo

if TYPE_CHECKING:
    from collections.abc import Sequence

    from slurm_plugin.parts import Parts

_log = structlog.get_logger("flexlon-helper")


class Windows:
    """Carries out what is wanted of reservations; keeps nothing but what State keeps."""

    def __init__(self, parts: Parts) -> None:
        self._p = parts

    def reserve(self, wanted: Sequence[Stretch], reason: str) -> Reserved:
        """Bring the reservations to `wanted`: a result for each, in order, then one for each taken away."""
        now, calls = self._p.clock(), self._p.calls
        try:
            total, used = calls.licences()
            seen = reserving.seen_of(calls.reservations(), now)
        except SlurmCommandError as error:
            _log.error("reservations could not be read; nothing was sent", error=str(error))
            results = tuple(
                reserving.refused(one, "unreadable", f"nothing was sent: {error}") for one in wanted
            )
            return Reserved(results, (), 0, 0)
        made = self._p.state.reservations(now)
        no = {
            result.stretch: result
            for result in reserving.allowed(wanted, self._p.config.licence, total=total, now=now)
        }
        todo = reserving.todo([one for one in wanted if one not in no], made, seen)
        todo = self._within_rate(todo, no)
        remembered = reserving.watched(made, seen, now)
        remembered += [
            (made.get(one.name) or Made(one.name, 0, 0, (), now)).given(one)
            for one in (*todo.change, *todo.create)
        ]
        self._p.state.save_reservations(remembered)
        for name in made.keys() - seen.keys() - {one.name for one in wanted}:
            self._p.state.drop_reservation(name)  # whoever deleted it: it is no longer wanted
        complaints = self._act(todo, now)
        sent, gone, seen = self._observe(todo, made, seen, complaints, now)
        by_stretch = no | {one.stretch: one for one in (*todo.settled, *sent)}
        ordered = [by_stretch[one] for one in wanted]
        self._say(ordered, gone, reason)
        mine = {**made, **{one.name: one for one in remembered}}
        in_force = tuple(sorted(one for name, one in seen.items() if name in mine))
        return Reserved((*ordered, *gone), in_force, total, used)

    def _within_rate(self, todo: Todo, no: dict[Stretch, StretchResult]) -> Todo:
        """What this minute still allows; deleting is always allowed."""
        create = []
        for one in todo.create:
            if self._p.actions.take(self._p.monotonic()):
                create.append(one)
            else:
                no[one] = reserving.refused(one, "rate", "too many actions this minute: ask later")
        return replace(todo, create=tuple(create))

    def _act(self, todo: Todo, now: int) -> dict[str, str]:
        """Send everything; what Slurm complained of, by name."""
        calls = self._p.calls
        said = {name: calls.unreserve(name) for name in todo.delete}
        said |= {one.name: calls.change(one) for one in todo.change}
        return said | {one.name: calls.reserve(one, now=now) for one in todo.create}

    def _observe(
        self,
        todo: Todo,
        made: dict[str, Made],
        before: dict[str, Stretch],
        complaints: dict[str, str],
        now: int,
    ) -> tuple[list[StretchResult], list[StretchResult], dict[str, Stretch]]:
        """Read again: what came of what was sent, what was taken away, and what is in force.

        The record of one that was never made is taken back.
        """
        sent = [*todo.change, *todo.create]
        if not complaints:
            return [], [], before
        try:
            seen = reserving.seen_of(self._p.calls.reservations(), now)
        except SlurmCommandError as error:
            detail = f"sent, but the reservations could not be read again: {error}"
            return [StretchResult(one, Outcome.UNKNOWN, "unseen", detail) for one in sent], [], {}
        results, gone = [], []
        for one in sent:
            said = complaints[one.name]
            if seen.get(one.name) == one:
                results.append(StretchResult(one, Outcome.APPLIED, "applied", ""))
            elif said:
                results.append(reserving.refused(one, "slurm-refused", said))
            else:
                detail = "not in force, and Slurm did not refuse it: it was not reached, or has forgotten it"
                results.append(StretchResult(one, Outcome.UNKNOWN, "forgotten", detail))
        for name in todo.delete:
            was = before[name]
            if name in seen:
                gone.append(reserving.refused(was, "slurm-refused", complaints[name]))
            else:
                gone.append(StretchResult(was, Outcome.APPLIED, "deleted", "it is taken away"))
                self._p.state.drop_reservation(name)
        never = [one.name for one in todo.create if one.name not in seen and complaints[one.name]]
        for name in never:
            if name not in made:
                self._p.state.drop_reservation(name)
        return results, gone, seen

    @staticmethod
    def _say(
        wanted: Sequence[StretchResult], taken_away: Sequence[StretchResult], reason: str
    ) -> None:
        counts: dict[str, int] = {}
        for one in wanted:
            counts[one.outcome.value] = counts.get(one.outcome.value, 0) + 1
            if one.outcome is Outcome.REFUSED:
                _log.info("refused", reservation=one.stretch.name, code=one.code, detail=one.detail)
        told = ", ".join(f"{number} {outcome}" for outcome, number in sorted(counts.items()))
        gone = f", {len(taken_away)} taken away" if taken_away else ""
        _log.info(f"{len(wanted)} reservations: {told or 'none'}{gone}", reason=reason)
