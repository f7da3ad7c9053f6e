"""Charts as inline SVG: no script, no font, no colour of its own, nothing from outside.

- Colours are classes that the page's style sheet resolves, so one drawing serves light, dark, paper.
- Drawn 360 units wide and never scaled far from it: text stays readable on a phone.
- Every text goes through the escaper; every number is finite or is not drawn.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from markupsafe import Markup, escape

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

WIDTH, HEIGHT = 360, 240
LEFT, RIGHT, TOP, BOTTOM = 46, 12, 24, 36
Point = tuple[float, float]


def ticks(low: float, high: float, count: int = 5) -> list[float]:
    """Round numbers between low and high, about `count` of them."""
    span = high - low
    if not math.isfinite(span) or span <= 0:
        return [low]
    raw = span / count
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(m * power for m in (1, 2, 2.5, 5, 10) if m * power >= raw * 0.999)
    first = math.ceil(low / step - 1e-9)
    last = math.floor(high / step + 1e-9)
    return [i * step for i in range(first, last + 1)]


def short(value: float) -> str:
    """A number for an axis: at most four digits, k and M for thousands and millions."""
    for size, unit in ((1e9, "G"), (1e6, "M"), (1e4, "k")):
        if abs(value) >= size:
            return f"{value / (1e3 if unit == 'k' else size):.4g}{unit}"
    return f"{value:.4g}" if abs(value) >= 1e-3 or value == 0 else f"{value:.0e}"


class Plot:
    """One chart with two axes; shapes are added, then `svg` gives the markup."""

    def __init__(
        self, x: Point, y: Point, *, x_label: str = "", y_label: str = "", whole: bool = False
    ) -> None:
        """Set the ranges; a range without width gets one. `whole`: x counts something."""
        self.whole = whole
        self.x, self.y = _widened(x), _widened(y)
        self.labels = (x_label, y_label)
        self.shapes: list[Markup] = []

    def px(self, value: float) -> float:
        """Horizontal place of a value."""
        share = (value - self.x[0]) / (self.x[1] - self.x[0])
        return round(LEFT + share * (WIDTH - LEFT - RIGHT), 1)

    def py(self, value: float) -> float:
        """Vertical place of a value."""
        share = (value - self.y[0]) / (self.y[1] - self.y[0])
        return round(HEIGHT - BOTTOM - share * (HEIGHT - TOP - BOTTOM), 1)

    def line(self, points: Iterable[Point], name: str) -> None:
        """A line through the finite points, drawn as class `name`."""
        path = " ".join(f"{self.px(x)},{self.py(y)}" for x, y in _finite(points))
        self.shapes.append(Markup('<polyline class="{}" points="{}"/>').format(name, path))

    def dots(self, points: Iterable[Point], name: str, radius: float = 2.5) -> None:
        """A dot per finite point."""
        for x, y in _finite(points):
            self.shapes.append(
                Markup('<circle class="{}" cx="{}" cy="{}" r="{}"/>').format(
                    name, self.px(x), self.py(y), radius
                )
            )

    def whisker(self, x: float, low: float, high: float, name: str = "whisker") -> None:
        """An upright interval."""
        self.line([(x, low), (x, high)], name)

    def bar(self, left: float, right: float, height: float, name: str = "bar") -> None:
        """A bar from the bottom of the chart up to `height`."""
        x, y, floor = self.px(left), self.py(height), self.py(self.y[0])
        wide = max(round(self.px(right) - x - 1, 1), 0.5)
        self.shapes.append(
            Markup('<rect class="{}" x="{}" y="{}" width="{}" height="{}"/>').format(
                name, x, y, wide, round(floor - y, 1)
            )
        )

    def svg(self, title: str) -> Markup:
        """The chart as markup, described by `title` for those who cannot see it."""
        body = Markup("").join([*self._axes(), *self.shapes])
        return Markup(
            '<svg class="plot" viewBox="0 0 {} {}" role="img"><title>{}</title>{}</svg>'
        ).format(WIDTH, HEIGHT, title, body)

    def _axes(self) -> list[Markup]:
        parts = []
        for value in ticks(*self.y, count=4):
            y = self.py(value)
            parts.append(
                Markup(
                    '<line class="grid" x1="{}" x2="{}" y1="{}" y2="{}"/>'
                    '<text class="tick" x="{}" y="{}" text-anchor="end">{}</text>'
                ).format(LEFT, WIDTH - RIGHT, y, y, LEFT - 6, y + 3.5, short(value))
            )
        parts.extend(
            Markup('<text class="tick" x="{}" y="{}" text-anchor="middle">{}</text>').format(
                self.px(value), HEIGHT - BOTTOM + 15, short(value)
            )
            for value in ticks(*self.x)
            if not self.whole or value == round(value)
        )
        x_label, y_label = self.labels
        parts.append(
            Markup('<text class="label" x="{}" y="{}" text-anchor="end">{}</text>').format(
                WIDTH - RIGHT, HEIGHT - 5, x_label
            )
        )
        parts.append(Markup('<text class="label" x="{}" y="{}">{}</text>').format(2, 11, y_label))
        return parts


def _widened(span: Point) -> Point:
    low, high = span
    if not (math.isfinite(low) and math.isfinite(high)):
        return (0.0, 1.0)
    if high > low:
        return span
    reach = abs(low) * 0.05 or 0.5
    return (low - reach, low + reach)


def _finite(points: Iterable[Point]) -> list[Point]:
    return [
        (x, y)
        for x, y in points
        if x is not None and y is not None and math.isfinite(x) and math.isfinite(y)
    ]


def sparkline(counts: Sequence[float], title: str) -> Markup:
    """A histogram the size of a word."""
    wide, high = 96, 22
    top = max(counts, default=0) or 1
    step = wide / max(len(counts), 1)
    bars = Markup("").join(
        Markup('<rect class="bar" x="{}" y="{}" width="{}" height="{}"/>').format(
            round(i * step, 1),
            round(high - high * count / top, 1),
            max(round(step - 1, 1), 0.6),
            round(high * count / top, 1),
        )
        for i, count in enumerate(counts)
    )
    return Markup(
        '<svg class="spark" viewBox="0 0 {} {}" role="img"><title>{}</title>{}</svg>'
    ).format(wide, high, title, bars)


def interval_bar(
    value: float | None,
    low: float | None,
    high: float | None,
    span: Point,
    *,
    title: str,
    marks: Sequence[float] = (),
) -> Markup:
    """A dot with its interval on a common scale `span`; `marks` are upright lines on it."""
    wide, tall = 180, 20
    low_end, high_end = _widened(span)
    reach = high_end - low_end
    if value is not None and not low_end - reach / 20 <= value <= high_end + reach / 20:
        return Markup('<span class="quiet small">off the scale</span>')

    def place(at: float) -> float:
        share = min(max((at - low_end) / (high_end - low_end), 0.0), 1.0)
        return round(6 + share * (wide - 12), 1)

    parts = [Markup('<line class="grid" x1="0" x2="{}" y1="10" y2="10"/>').format(wide)]
    parts.extend(
        Markup('<line class="mark" x1="{0}" x2="{0}" y1="1" y2="19"/>').format(place(m))
        for m in marks
    )
    if low is not None and high is not None:
        parts.append(
            Markup('<line class="whisker" x1="{}" x2="{}" y1="10" y2="10"/>').format(
                place(low), place(high)
            )
        )
    if value is not None:
        parts.append(Markup('<circle class="dot" cx="{}" cy="10" r="4"/>').format(place(value)))
    body = Markup("").join(parts)
    return Markup(
        '<svg class="interval" viewBox="0 0 {} {}" role="img"><title>{}</title>{}</svg>'
    ).format(wide, tall, title, body)


def share_bar(parts: Sequence[tuple[str, float]], title: str) -> Markup:
    """One bar cut into shares, (class, count) each."""
    total = sum(count for _, count in parts) or 1
    at, shapes = 0.0, []
    for name, count in parts:
        wide = 1000 * count / total
        shapes.append(
            Markup('<rect class="{}" x="{}" y="0" width="{}" height="12"/>').format(
                name, round(at, 2), round(max(wide - 2, 0.5), 2)
            )
        )
        at += wide
    return Markup(
        '<svg class="shares" viewBox="0 0 1000 12" preserveAspectRatio="none" role="img">'
        "<title>{}</title>{}</svg>"
    ).format(escape(title), Markup("").join(shapes))
