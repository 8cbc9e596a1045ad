"""The port's records as messages of admin.proto.

Law: field by field, same names, nothing added, nothing interpreted; `uid` stays inside and `from_` is the
proto's `from`. Text that is no valid UTF-8 (surrogates) would end the call: such bytes are replaced.
"""

from __future__ import annotations

from dataclasses import fields
from typing import TYPE_CHECKING, Any

from flexlond._pb import admin_pb2 as pb

if TYPE_CHECKING:
    from flexlond.agents.asset_ports import AssetsView
    from flexlond.agents.envelope_ports import EnvelopeView
    from flexlond.agents.market_ports import OffersView, OrderView
    from flexlond.agents.ports import (
        DrainView,
        ExplainView,
        JobView,
        PlanSlotView,
        PlanView,
        ReleaseView,
        SignalLine,
        SignalsView,
        StatusView,
    )
    from flexlond.agents.power_ports import PowerView
    from flexlond.agents.window_ports import AddedView, WindowView


def status(view: StatusView) -> pb.StatusReply:
    """StatusReply."""
    values = _plain(view, without={"signals", "power"})
    return pb.StatusReply(
        **values,
        signals=[signal(line) for line in view.signals],
        power=power(view.power) if view.power else None,
    )


def power(view: PowerView) -> pb.Power:
    """Power."""
    slots = [pb.ObservedSlot(**_plain(slot)) for slot in view.slots]
    return pb.Power(**_plain(view, without={"slots"}), slots=slots)


def job_line(view: JobView) -> pb.JobLine:
    """JobLine."""
    return pb.JobLine(**_plain(view, without={"uid"}))


def explain(view: ExplainView) -> pb.ExplainReply:
    """ExplainReply."""
    return pb.ExplainReply(
        job=job_line(view.job),
        summary=_text(view.summary),
        steps=[_text(step) for step in view.steps],
        history=[pb.HistoryLine(**_plain(line)) for line in view.history],
        binding=view.binding,
        outlook=pb.Outlook(**_plain(view.outlook)) if view.outlook else None,
        alternatives=[pb.Alternative(**_plain(one)) for one in view.alternatives],
    )


def plan(view: PlanView, slots: int) -> pb.PlanReply:
    """PlanReply with the first `slots` slots; 0: all."""
    chosen = view.slots[:slots] if slots else view.slots
    return pb.PlanReply(
        **_plain(view, without={"slots", "stages", "carbon_caps", "units"}),
        slots=[plan_slot(slot) for slot in chosen],
        stages=[pb.Stage(**_plain(stage)) for stage in view.stages],
        carbon_caps=[pb.CarbonCap(**_plain(one)) for one in view.carbon_caps],
        units=[pb.UnitCost(**_plain(one)) for one in view.units],
    )


def plan_slot(view: PlanSlotView) -> pb.PlanSlot:
    """PlanSlot."""
    return pb.PlanSlot(**_plain(view))


def signals(view: SignalsView) -> pb.SignalsReply:
    """SignalsReply."""
    return pb.SignalsReply(
        signals=[signal(line) for line in view.signals],
        slots=[plan_slot(slot) for slot in view.slots],
    )


def assets(view: AssetsView) -> pb.AssetsReply:
    """AssetsReply."""
    lines = [
        pb.AssetLine(
            **_plain(one, without={"slots"}),
            slots=[pb.AssetSlot(**_plain(slot)) for slot in one.slots],
        )
        for one in view.assets
    ]
    return pb.AssetsReply(**_plain(view, without={"assets"}), assets=lines)


def signal(view: SignalLine) -> pb.Signal:
    """Signal."""
    values = _plain(view, without={"from_"})
    values["from"] = view.from_
    return pb.Signal(**values)


def release_line(view: ReleaseView) -> pb.ReleaseLine:
    """ReleaseLine."""
    return pb.ReleaseLine(**_plain(view))


def drain(view: DrainView) -> pb.DrainReply:
    """DrainReply."""
    return pb.DrainReply(**_plain(view))


def window(view: WindowView) -> pb.Window:
    """Window."""
    return pb.Window(
        **_plain(view, without={"slots", "stops"}),
        stops=[pb.WindowStop(**_plain(stop)) for stop in view.stops],
        slots=[pb.WindowSlot(**_plain(slot)) for slot in view.slots],
    )


def added(view: AddedView) -> pb.AddWindowReply:
    """AddWindowReply."""
    return pb.AddWindowReply(
        **_plain(view, without={"window", "moves", "stops"}),
        stops=[pb.WindowStop(**_plain(stop)) for stop in view.stops],
        window=window(view.window) if view.window else None,
        moves=[pb.WindowMove(**_plain(move)) for move in view.moves],
    )


def envelope(view: EnvelopeView) -> pb.EnvelopeReply:
    """EnvelopeReply."""
    return pb.EnvelopeReply(
        **_plain(view, without={"curves", "slots"}),
        curves=[
            pb.EnvelopeCurve(
                **_plain(curve, without={"steps"}),
                steps=[pb.EnvelopeStep(**_plain(step)) for step in curve.steps],
            )
            for curve in view.curves
        ],
        slots=[pb.EnvelopeSlot(**_plain(slot)) for slot in view.slots],
    )


def offers(view: OffersView) -> pb.OffersReply:
    """OffersReply."""
    slots = [pb.OfferSlot(**_plain(slot)) for slot in view.slots]
    return pb.OffersReply(**_plain(view, without={"slots"}), slots=slots)


def order(view: OrderView) -> pb.Order:
    """Order."""
    return pb.Order(
        **_plain(view, without={"slots", "events"}),
        slots=[pb.OrderSlot(**_plain(slot)) for slot in view.slots],
        events=[pb.OrderEvent(**_plain(event)) for event in view.events],
    )


def _plain(view: Any, without: frozenset[str] | set[str] = frozenset()) -> dict[str, Any]:
    """The record's fields by name, text made valid UTF-8."""
    values = {
        field.name: getattr(view, field.name) for field in fields(view) if field.name not in without
    }
    return {name: _clean(value) for name, value in values.items()}


def _clean(value: Any) -> Any:
    if isinstance(value, str):
        return _text(value)
    if isinstance(value, tuple):
        return [_clean(item) for item in value]
    return value


def _text(value: str) -> str:
    return value.encode("utf-8", "replace").decode()
