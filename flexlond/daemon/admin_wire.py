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
    values = plain_fields(view, without={"signals", "power"})
    return pb.StatusReply(
        **values,
        signals=[signal(line) for line in view.signals],
        power=power(view.power) if view.power else None,
    )


def power(view: PowerView) -> pb.Power:
    """Power."""
    slots = [pb.ObservedSlot(**plain_fields(slot)) for slot in view.slots]
    return pb.Power(**plain_fields(view, without={"slots"}), slots=slots)


def job_line(view: JobView) -> pb.JobLine:
    """JobLine."""
    return pb.JobLine(**plain_fields(view, without={"uid"}))


def explain(view: ExplainView) -> pb.ExplainReply:
    """ExplainReply."""
    return pb.ExplainReply(
        job=job_line(view.job),
        summary=_text(view.summary),
        steps=[_text(step) for step in view.steps],
        history=[pb.HistoryLine(**plain_fields(line)) for line in view.history],
        binding=view.binding,
        outlook=pb.Outlook(**plain_fields(view.outlook)) if view.outlook else None,
        alternatives=[pb.Alternative(**plain_fields(one)) for one in view.alternatives],
    )


def plan(view: PlanView, slots: int) -> pb.PlanReply:
    """PlanReply with the first `slots` slots; 0: all."""
    chosen = view.slots[:slots] if slots else view.slots
    return pb.PlanReply(
        **plain_fields(view, without={"slots", "stages", "carbon_caps", "units"}),
        slots=[plan_slot(slot) for slot in chosen],
        stages=[pb.Stage(**plain_fields(stage)) for stage in view.stages],
        carbon_caps=[pb.CarbonCap(**plain_fields(one)) for one in view.carbon_caps],
        units=[pb.UnitCost(**plain_fields(one)) for one in view.units],
    )


def plan_slot(view: PlanSlotView) -> pb.PlanSlot:
    """PlanSlot."""
    return pb.PlanSlot(**plain_fields(view))


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
            **plain_fields(one, without={"slots"}),
            slots=[pb.AssetSlot(**plain_fields(slot)) for slot in one.slots],
        )
        for one in view.assets
    ]
    return pb.AssetsReply(**plain_fields(view, without={"assets"}), assets=lines)


def signal(view: SignalLine) -> pb.Signal:
    """Signal."""
    values = plain_fields(view, without={"from_"})
    values["from"] = view.from_
    return pb.Signal(**values)


def release_line(view: ReleaseView) -> pb.ReleaseLine:
    """ReleaseLine."""
    return pb.ReleaseLine(**plain_fields(view))


def drain(view: DrainView) -> pb.DrainReply:
    """DrainReply."""
    return pb.DrainReply(**plain_fields(view))


def window(view: WindowView) -> pb.Window:
    """Window."""
    return pb.Window(
        **plain_fields(view, without={"slots", "stops", "slows"}),
        slows=[pb.WindowSlow(**plain_fields(slow)) for slow in view.slows],
        stops=[pb.WindowStop(**plain_fields(stop)) for stop in view.stops],
        slots=[pb.WindowSlot(**plain_fields(slot)) for slot in view.slots],
    )


def added(view: AddedView) -> pb.AddWindowReply:
    """AddWindowReply."""
    return pb.AddWindowReply(
        **plain_fields(view, without={"window", "moves", "stops"}),
        stops=[pb.WindowStop(**plain_fields(stop)) for stop in view.stops],
        window=window(view.window) if view.window else None,
        moves=[pb.WindowMove(**plain_fields(move)) for move in view.moves],
    )


def envelope(view: EnvelopeView) -> pb.EnvelopeReply:
    """EnvelopeReply."""
    return pb.EnvelopeReply(
        **plain_fields(view, without={"curves", "slots"}),
        curves=[
            pb.EnvelopeCurve(
                **plain_fields(curve, without={"steps"}),
                steps=[pb.EnvelopeStep(**plain_fields(step)) for step in curve.steps],
            )
            for curve in view.curves
        ],
        slots=[pb.EnvelopeSlot(**plain_fields(slot)) for slot in view.slots],
    )


def offers(view: OffersView) -> pb.OffersReply:
    """OffersReply."""
    slots = [pb.OfferSlot(**plain_fields(slot)) for slot in view.slots]
    return pb.OffersReply(**plain_fields(view, without={"slots"}), slots=slots)


def order(view: OrderView) -> pb.Order:
    """Order."""
    return pb.Order(
        **plain_fields(view, without={"slots", "events"}),
        slots=[pb.OrderSlot(**plain_fields(slot)) for slot in view.slots],
        events=[pb.OrderEvent(**plain_fields(event)) for event in view.events],
    )


def texts(values: tuple[str, ...]) -> list[str]:
    """Texts made valid UTF-8."""
    return [_text(one) for one in values]


def plain_fields(view: Any, without: frozenset[str] | set[str] = frozenset()) -> dict[str, Any]:
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
