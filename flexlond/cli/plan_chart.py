"""The plan as a picture for a terminal: power by slot, planned and as soon as possible, over price and carbon.

Law: pure; the same figures give the same lines. A mark is one slot, or the mean of several where the
terminal is too narrow (then it says so). The power axis begins at 0, or at the base power where that is more
than half of all, and its ends are labelled. Unknown figures leave a gap. Times are in the zone that is given.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from rich.text import Text

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import tzinfo

LABEL = 20  # columns before the picture
ROWS = 8
_EIGHTHS = " ▁▂▃▄▅▆▇█"
_GAP = 2  # columns between label and picture
_STEPS = (60, 300, 600, 1800, 3600, 7200, 10800, 14400, 21600, 43200, 86400)
_STYLES = {"█": "green", "▓": "bold green", "░": "yellow", "─": "red"}
_HIGHEST_CAP = 1.3  # a cap above that many times the highest power is told, not drawn


@dataclass(frozen=True, slots=True, eq=False)
class Curves:
    """What is drawn, one value per slot (S,); NaN unknown or none."""

    start: int  # epoch seconds of the first slot
    slot_seconds: int
    kw: Sequence[float]
    kw_asap: Sequence[float]
    cap_kw: Sequence[float]
    rows: Sequence[tuple[str, Sequence[float]]]  # one line each below: price, carbon, ...
    base_kw: float = 0.0
    legend: str = ""
    """What the marks mean, where they are not a plan's; then the cap is always drawn."""


def draw(curves: Curves, *, width: int, tz: tzinfo | None = None) -> list[Text]:
    """The lines, at most `width` columns where they can be; `tz` None: the user's zone."""
    columns = max(8, width - LABEL - _GAP)
    per_mark = max(1, math.ceil(len(curves.kw) / columns))
    lines = _power(curves, per_mark)
    lines.append(_axis(curves, per_mark, tz))
    lines += [sparkline(name, grouped(values, per_mark)) for name, values in curves.rows]
    if per_mark > 1:
        lines.append(Text(f"{'':>{LABEL}}  one mark is the mean of {per_mark} slots"))
    return lines


def grouped(values: Sequence[float], size: int) -> list[float]:
    """The mean of the known values of each `size` slots; NaN where none is known."""
    means = []
    for first in range(0, len(values), size):
        known = [value for value in values[first : first + size] if math.isfinite(value)]
        means.append(math.fsum(known) / len(known) if known else math.nan)
    return means


def sparkline(name: str, values: Sequence[float]) -> Text:
    """One line: a mark for each value, the lowest and the highest before them."""
    known = [value for value in values if math.isfinite(value)]
    if not known:
        return Text(f"{name:>{LABEL}}  not known")
    low, high = min(known), max(known)
    marks = "".join(_mark(value, low, high) for value in values)
    reach = _figure(low) if low == high else f"{_figure(low)} to {_figure(high)}"
    return Text(f"{f'{name} {reach}':>{LABEL}}  {marks}")


def _figure(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 10 else f"{value:.2g}"


def _mark(value: float, low: float, high: float) -> str:
    if not math.isfinite(value):
        return " "
    share = (value - low) / (high - low) if high > low else 0.0
    return _EIGHTHS[1 + min(7, int(share * 8))]


def _power(curves: Curves, per_mark: int) -> list[Text]:
    planned, asap, cap = (
        grouped(values, per_mark) for values in (curves.kw, curves.kw_asap, curves.cap_kw)
    )
    highest = max([0.0, *(kw for kw in (*planned, *asap) if math.isfinite(kw))])
    capped = [kw for kw in cap if math.isfinite(kw)]
    near = [kw for kw in capped if curves.legend or kw <= _HIGHEST_CAP * highest]
    top = max([highest, *near])
    floor = curves.base_kw if 0 < top / 2 < curves.base_kw < top else 0.0
    step = (top - floor) / ROWS or 1.0
    lines = [_legend(capped, drawn=bool(near))]
    if curves.legend:
        lines = [Text(f"{'power':>{LABEL}}  {curves.legend}")]
    for row in reversed(range(ROWS)):
        low = floor + row * step
        label = ""
        if row == ROWS - 1:
            label = f"{top:,.1f} kW"
        elif row == 0:
            label = f"{floor:,.1f}"
        line = Text(f"{label:>{LABEL}} ┤" if label else f"{'':>{LABEL}} │")
        for at in range(len(planned)):
            mark = _cell(planned[at], asap[at], cap[at], low, step)
            line.append(mark, _STYLES.get(mark, "green"))
        line.rstrip()
        lines.append(line)
    return lines


def _cell(planned: float, asap: float, cap: float, low: float, step: float) -> str:
    """What stands in one cell, whose power is from `low` to `low + step`."""
    filled = (planned - low) / step
    both = (min(planned, asap) - low) / step
    if filled >= 0.5 or (filled > 1 / 16 and not asap > planned):
        if both < 0.5 and filled >= 15 / 16:
            return "▓"
        return _EIGHTHS[max(1, min(8, round(filled * 8)))]
    if low < cap <= low + step or (low == 0 and cap == 0):
        return "─"  # also where it is what keeps power away
    if (asap - low) / step >= 0.5:
        return "░"
    return " "


def _legend(capped: Sequence[float], *, drawn: bool) -> Text:
    text = Text(f"{'power':>{LABEL}}  █ planned  ▓ moved here  ░ moved away (as soon as possible)")
    if capped:
        figure = f"{min(capped):,.1f} kW"
        text.append(
            f"  ─ the power cap, {figure}" if drawn else f"  the power cap is far above: {figure}"
        )
    return text


def _axis(curves: Curves, per_mark: int, tz: tzinfo | None) -> Text:
    """Hours under the marks where they begin, as far apart as they can be read."""
    seconds = curves.slot_seconds * per_mark
    marks = -(-len(curves.kw) // per_mark)
    step = next((one for one in _STEPS if one >= 7 * seconds), _STEPS[-1])
    line, before = "", None
    for mark in range(marks):
        when = datetime.fromtimestamp(curves.start + mark * seconds, UTC).astimezone(tz)
        part = (when.hour * 3600 + when.minute * 60 + when.second) // step
        if (when.date(), part) != before and len(line) <= mark:
            hour, minute = divmod(part * step // 60, 60)
            label = f"{when:%a}" if part == 0 else f"{hour:02d}:{minute:02d}"
            line = line.ljust(mark) + f"╵{label if before else f'{when:%H:%M}'} "
        before = (when.date(), part)
    zone = datetime.fromtimestamp(curves.start, UTC).astimezone(tz).tzname() or "UTC"
    return Text(f"{zone:>{LABEL}}  {line}")
