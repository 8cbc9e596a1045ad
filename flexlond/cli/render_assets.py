"""Assets for people: what was read, what is planned now and over the next day, what is set.

Law: as in render.py: times in the user's own zone, unknown figures are "-", nothing from outside is markup.
kW positive into the asset, a minus is what it gives.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rich.text import Text

from flexlond.cli.plain import safe
from flexlond.cli.plan_chart import sparkline
from flexlond.cli.render import moment, number, row, table

if TYPE_CHECKING:
    from rich.console import Console

_SLOTS = 48  # of each line; --json has all


def assets(out: Console, reply: Any) -> None:
    """One line an asset, then its next day."""
    if not reply.assets:
        out.print(Text("no assets are configured ([[assets]] in flexlon.toml)"))
        return
    lines = table(
        "ASSET", "KIND", "DRIVER", "READ", "LEVEL", "KW", "PLANNED KW", "SET KW", "DETAIL"
    )
    for one in reply.assets:
        row(
            lines,
            safe(one.name),
            one.kind,
            one.driver + ("" if one.writes else ", read only"),
            moment(one.read_at),
            f"{number(one.level, 1)} {one.unit}",
            number(one.kw, 1),
            number(one.planned_kw, 1),
            number(one.setpoint_kw, 1),
            safe(one.detail) or "-",
        )
    out.print(lines)
    for one in reply.assets:
        if one.slots:
            out.print(Text(safe(one.name)))
            out.print(sparkline("kW", [slot.kw for slot in one.slots[:_SLOTS]]))
            out.print(sparkline(one.unit, [slot.level for slot in one.slots[:_SLOTS]]))
    if reply.planned_at:
        proven = ", with the jobs within 0.1 % of the best" if reply.proven else ""
        out.print(
            Text(
                f"planned at {moment(reply.planned_at)}: energy, carbon and wear "
                f"£{number(reply.cost_gbp)} over the horizon{proven}"
            )
        )
    for words in reply.problems:
        out.print(Text(safe(words)))
