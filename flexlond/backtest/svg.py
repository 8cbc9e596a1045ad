"""Plots as SVG text, made by hand: one string each, nothing loaded, nothing that needs a script.

Law: draws what it is given and computes nothing about it but scales. Every plot is one `<svg role="img">`
with a title and a description; a series differs from the next by shape or dash as well as by colour, so that
a print in grey and a reader who cannot tell colours lose nothing. NaN is a gap, never a zero. Colours are the
classes c0 to c7 and the ink classes of html.py. Lengths are user units of the viewBox; text is escaped here.
Palette: Okabe and Ito, "Color Universal Design" (2008), without its black and yellow.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from html import escape
from itertools import pairwise
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

COLOURS = 8
_DASHES = ("", "6 3", "2 3", "9 3 2 3", "12 4", "4 2 1 2", "1 3", "8 2 2 2 2 2")
_CHAR = 6.3  # mean width of a character at the plots' 12 units


@dataclass(frozen=True, slots=True)
class Series:
    """One line or one trail of points; `style` chooses its colour, dash and mark."""

    label: str
    style: int
    x: Sequence[float]
    y: Sequence[float]
    tips: Sequence[str] = ()  # what a pointer over a point shows


@dataclass(frozen=True, slots=True)
class Panel:
    """One strip of a stack that shares its x axis: a step line, filled where `area`, over a reference."""

    label: str
    unit: str
    style: int  # -1: ink
    values: Sequence[float]  # one for each slot
    reference: Sequence[float] = ()
    area: bool = False


@dataclass(frozen=True, slots=True)
class Scale:
    """Values to user units along one axis; `low` and `high` are round numbers."""

    low: float
    high: float
    begin: float
    end: float
    marks: tuple[float, ...]

    def at(self, value: float) -> float:
        """Where `value` stands."""
        return self.begin + (value - self.low) / (self.high - self.low) * (self.end - self.begin)


def scale(
    values: Sequence[float], begin: float, end: float, *, zero: bool, count: int = 5
) -> Scale:
    """A scale over the finite `values` with about `count` round marks; with 0 in it where `zero`."""
    known = [value for value in values if math.isfinite(value)] + ([0.0] if zero else [])
    low, high = (min(known), max(known)) if known else (0.0, 1.0)
    if high - low < 1e-9 * max(1.0, abs(high)):
        low, high = (low, high + 1.0) if zero else (low - 1.0, high + 1.0)
    raw = (high - low) / count
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(power * factor for factor in (1, 2, 2.5, 5, 10) if power * factor >= raw * 0.999)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    marks = tuple(index * step for index in range(first, last + 1))
    return Scale(marks[0], marks[-1], begin, end, marks)


def lines(
    title: str, description: str, series: Sequence[Series], x_label: str, y_label: str
) -> str:
    """Lines over one pair of axes, both from zero."""
    box = _Box(560, 330)
    x = scale([v for s in series for v in s.x], box.left, box.right, zero=True)
    y = scale([v for s in series for v in s.y], box.bottom, box.top, zero=True)
    body = box.axes(x, y, x_label, y_label)
    for one in series:
        points = zip(one.x, one.y, strict=True)
        path = _path([(x.at(a), y.at(b)) for a, b in points])
        body.append(f'<path d="{path}" class="line s{one.style % COLOURS}"{_dash(one.style)}/>')
    return box.svg(title, description, body)


def trails(
    title: str, description: str, series: Sequence[Series], x_label: str, y_label: str
) -> str:
    """Points joined in order (a policy and its parameters), the last of each labelled."""
    box = _Box(560, 360)
    x = scale([v for s in series for v in s.x], box.left, box.right, zero=True)
    y = scale([v for s in series for v in s.y], box.bottom, box.top, zero=True)
    body = box.axes(x, y, x_label, y_label)
    taken: list[tuple[float, float, float]] = []
    for one in series:
        points = [(x.at(a), y.at(b)) for a, b in zip(one.x, one.y, strict=True)]
        body.append(
            f'<path d="{_path(points)}" class="line thin s{one.style % COLOURS}"{_dash(one.style)}/>'
        )
        known = [(at, tip) for at, tip in zip(points, one.tips, strict=True) if _finite(at)]
        body += [mark(at, one.style, tip) for at, tip in known]
        taken += [(at[0] - 6, at[0] + 6, at[1]) for at, _ in known]
        if known:
            body.append(_label(one.label, known[-1][0], taken, box))
    return box.svg(title, description, body)


def dumbbells(
    title: str,
    description: str,
    rows: Sequence[tuple[str, int, float, float]],
    x_label: str,
) -> str:
    """One row for each (label, style, filled value, hollow value), from a line at zero."""
    left = max(len(label) for label, *_ in rows) * _CHAR + 20
    box = _Box(560, 60 + 26 * len(rows), left=left, top=14)
    x = scale([v for row in rows for v in row[2:]], box.left, box.right, zero=True)
    body = box.frame_x(x, x_label)
    body.append(_segment(x.at(0), box.top, x.at(0), box.bottom, "axis"))
    for index, (label, style, filled, hollow) in enumerate(rows):
        y = box.top + 26 * index + 14
        body.append(_text(box.left - 10, y + 4, label, "end"))
        if _finite((filled, hollow)):
            body.append(_segment(x.at(filled), y, x.at(hollow), y, f"line thin s{style % COLOURS}"))
        for value, kind in ((filled, ""), (hollow, " hollow")):
            if math.isfinite(value):
                body.append(
                    f'<circle cx="{x.at(value):.1f}" cy="{y}" r="5" class="c{style % COLOURS}{kind}">'
                    f"<title>{escape(label)}: {value:+.1f} %</title></circle>"
                )
    return box.svg(title, description, body)


def stack(
    title: str, description: str, panels: Sequence[Panel], ticks: Sequence[tuple[float, str]]
) -> str:
    """Panels one above the other over the same slots; `ticks` are (slot, label) along the foot."""
    height, gap = 74.0, 26.0
    box = _Box(1120, int(30 + (height + gap) * len(panels)), left=58, top=6)
    slots = max((len(panel.values) for panel in panels), default=1)
    across = Scale(0, slots, box.left, box.right, ())
    body: list[str] = []
    for index, panel in enumerate(panels):
        top = box.top + 18 + (height + gap) * index
        body += _strip(box, across, panel, top, top + height)
        body += [
            _segment(across.at(at), top, across.at(at), top + height, "grid") for at, _ in ticks
        ]
    foot = box.top + 18 + (height + gap) * len(panels) - gap
    for (at, label), following in zip(ticks, [*ticks[1:], (float(slots), "")], strict=True):
        if across.at(following[0]) - across.at(at) > _CHAR * len(label):
            body.append(_text(across.at(at) + 2, foot + 16, label, "start"))
    return box.svg(title, description, body)


def swatch(style: int) -> str:
    """A line with its mark, for a legend; hidden from screen readers, which read the name beside it."""
    line = f'<path d="M1 7H33" class="line s{style % COLOURS}"{_dash(style)}/>'
    return (
        '<svg class="swatch" viewBox="0 0 34 14" aria-hidden="true" focusable="false">'
        f"{line}{mark((17, 7), style, '')}</svg>"
    )


def mark(at: tuple[float, float], style: int, tip: str) -> str:
    """One point: its shape and its colour say the same."""
    x, y = at
    shapes = (
        f'<circle cx="{x:.1f}" cy="{y:.1f}" r="4.5"',
        f'<rect x="{x - 4:.1f}" y="{y - 4:.1f}" width="8" height="8"',
        f'<path d="M{x:.1f} {y - 5.5:.1f}l5.5 9.5h-11z"',
        f'<path d="M{x:.1f} {y - 5.5:.1f}l5.5 5.5-5.5 5.5-5.5-5.5z"',
        f'<path d="M{x:.1f} {y + 5.5:.1f}l5.5-9.5h-11z"',
        f'<path d="M{x - 5:.1f} {y - 1.7:.1f}h3.3v-3.3h3.4v3.3h3.3v3.4h-3.3v3.3h-3.4v-3.3h-3.3z"',
        f'<path d="M{x - 5:.1f} {y:.1f}l2.5-4.5h5l2.5 4.5-2.5 4.5h-5z"',
        f'<rect x="{x - 2.5:.1f}" y="{y - 5.5:.1f}" width="5" height="11"',
    )
    shape = shapes[style % COLOURS]
    tag = shape[1:].split(" ", 1)[0]
    inner = f"<title>{escape(tip)}</title>" if tip else ""
    return f'{shape} class="c{style % COLOURS}">{inner}</{tag}>'


class _Box:
    """The frame of one plot: its size, its margins, what is common to all."""

    def __init__(self, width: int, height: int, *, left: float = 58, top: float = 12) -> None:
        self.width, self.height = width, height
        self.left, self.right = left, width - 14.0
        self.top, self.bottom = top, height - 44.0

    def frame_x(self, x: Scale, label: str) -> list[str]:
        """The x axis with its marks and its name."""
        body = [_segment(x.at(v), self.top, x.at(v), self.bottom, "grid") for v in x.marks]
        body += [_text(x.at(v), self.bottom + 17, figure(v), "middle") for v in x.marks]
        body.append(_text((self.left + self.right) / 2, self.bottom + 36, label, "middle", "name"))
        return body

    def axes(self, x: Scale, y: Scale, x_label: str, y_label: str) -> list[str]:
        """Both axes."""
        body = self.frame_x(x, x_label)
        body += [_segment(self.left, y.at(v), self.right, y.at(v), "grid") for v in y.marks]
        body += [_text(self.left - 8, y.at(v) + 4, figure(v), "end") for v in y.marks]
        body.append(_segment(self.left, y.at(0), self.right, y.at(0), "axis"))
        middle = (self.top + self.bottom) / 2
        body.append(
            f'<text transform="translate(14 {middle:.1f}) rotate(-90)" text-anchor="middle" '
            f'class="name">{escape(y_label)}</text>'
        )
        return body

    def svg(self, title: str, description: str, body: Sequence[str]) -> str:
        """The whole plot."""
        return (
            f'<svg viewBox="0 0 {self.width} {self.height}" role="img" '
            f'aria-label="{escape(title)}. {escape(description)}">'
            f"<title>{escape(title)}</title><desc>{escape(description)}</desc>"
            f"{''.join(body)}</svg>"
        )


def figure(value: float) -> str:
    """A mark's number, as short as it may be."""
    return f"{value:,.10g}" if value else "0"


def _strip(box: _Box, across: Scale, panel: Panel, top: float, bottom: float) -> list[str]:
    y = scale([*panel.values, *panel.reference], bottom, top, zero=panel.area, count=2)
    body = [_segment(box.left, y.at(v), box.right, y.at(v), "grid") for v in y.marks]
    body += [_text(box.left - 8, y.at(v) + 4, figure(v), "end") for v in y.marks]
    body.append(_text(box.left, top - 7, f"{panel.label}, {panel.unit}", "start", "name"))
    ink = "ink" if panel.style < 0 else f"s{panel.style % COLOURS}"
    if panel.area:
        filled = _path(list(_steps(panel.values, across, y)), foot=y.at(y.low))
        body.append(f'<path d="{filled}" class="area c{panel.style % COLOURS}"/>')
    if panel.reference:
        reference = _path(list(_steps(panel.reference, across, y)))
        body.append(f'<path d="{reference}" class="line reference"/>')
    path = _path(list(_steps(panel.values, across, y)))
    body.append(f'<path d="{path}" class="line thin {ink}"/>')
    return body


def _steps(values: Sequence[float], across: Scale, y: Scale) -> Iterator[tuple[float, float]]:
    for index, value in enumerate(values):
        yield across.at(index), y.at(value)
        yield across.at(index + 1), y.at(value)


def _path(points: Sequence[tuple[float, float]], foot: float | None = None) -> str:
    """Path data through the finite points, broken at the others; each part closed down to `foot`."""
    parts: list[list[tuple[float, float]]] = [[]]
    for at in points:
        if _finite(at):
            parts[-1].append(at)
        elif parts[-1]:
            parts.append([])
    words: list[str] = []
    for part in parts:
        if not part:
            continue
        words.append(f"M{part[0][0]:.1f} {part[0][1]:.1f}")
        words += [_to(before, after) for before, after in pairwise(part) if before != after]
        if foot is not None:
            words.append(f"V{foot:.1f}H{part[0][0]:.1f}Z")
    return "".join(words)


def _to(before: tuple[float, float], after: tuple[float, float]) -> str:
    if before[1] == after[1]:
        return f"H{after[0]:.1f}"
    return f"V{after[1]:.1f}" if before[0] == after[0] else f"L{after[0]:.1f} {after[1]:.1f}"


def _label(
    text: str, at: tuple[float, float], taken: list[tuple[float, float, float]], box: _Box
) -> str:
    """A name beside a point, where it covers neither a point nor a name; marks its place as taken."""
    width = _CHAR * len(text)
    places = [
        (at[0] + 9 if side == "start" else at[0] - 9 - width, at[1] + 4 + dy, side)
        for dy in (0, -13, 13, -26, 26, -39, 39)
        for side in ("start", "end")
    ]
    inside = [
        (x, y, side)
        for x, y, side in places
        if box.left < x and x + width < box.right + 10 and box.top < y < box.bottom - 2
    ]
    free = [
        place
        for place in inside
        if all(
            place[0] + width < low or place[0] > high or abs(place[1] - 4 - y) > 11
            for low, high, y in taken
        )
    ]
    x, y, _ = (free or inside or places)[0]
    taken.append((x, x + width, y - 4))
    return _text(x, y, text, "start", "name")


def _finite(at: tuple[float, ...]) -> bool:
    return all(math.isfinite(value) for value in at)


def _dash(style: int) -> str:
    dash = _DASHES[style % COLOURS]
    return f' stroke-dasharray="{dash}"' if dash else ""


def _segment(x1: float, y1: float, x2: float, y2: float, kind: str) -> str:
    return f'<path d="M{x1:.1f} {y1:.1f}L{x2:.1f} {y2:.1f}" class="{kind}"/>'


def _text(x: float, y: float, text: str, anchor: str, kind: str = "") -> str:
    style = f' class="{kind}"' if kind else ""
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"{style}>{escape(text)}</text>'
