"""The charts of a sweep: history, parallel coordinates, importance; for the report and for MLflow.

- In the report the page's style sheet colours them; alone, as a file, they carry a style of their own.
- A trial that finished is coloured, one that was stopped early is grey, the best is drawn last.
"""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, Any

from markupsafe import Markup

from flows.charts import Plot, short
from flows.figures import figure

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

WIDTH, HEIGHT, SIDE, TOP, BOTTOM = 720, 300, 64, 34, 26
MOST_LINES = 300
FAR = 4.0
"""Scores beyond this many times the better half's spread lie on the edge of a chart."""
STYLE = """svg{background:#fff;font:11px system-ui,sans-serif}text{fill:#5b646b}
.grid{stroke:#e3e5e3}polyline{fill:none;stroke-linejoin:round}.main{stroke:#0b6b66;stroke-width:1.6}
.other{stroke:#5b646b;stroke-width:1;opacity:.35}.best{stroke:#a4262c;stroke-width:2.4}
.dot{fill:#0b6b66}.grey{fill:#5b646b;opacity:.5}.tick{paint-order:stroke;stroke:#fff;stroke-width:3px}.bar{fill:#0b6b66;opacity:.7}"""


def history(found: Mapping[str, Any]) -> dict[str, Any] | None:
    """Score by trial, with the best so far; None without a score."""
    trials = [t for t in found["trials"] if t["score"] is not None]
    if not trials:
        return None
    low, high = _span([t["score"] for t in trials])
    last = max(t["number"] for t in trials)
    plot = Plot((0, max(last, 1)), (low, high), x_label="trial", y_label=found["unit"])
    for state, style in (("pruned", "dot grey"), ("finished", "dot")):
        own = [t for t in trials if t["state"] == state]
        plot.dots([(t["number"], min(t["score"], high)) for t in own], style)
    plot.line(_steps(best_so_far(trials), last), "main")
    note = "A dot is a trial, grey where it was stopped early; the line is the best that finished."
    if any(t["score"] > high for t in trials):
        note += " What is far worse lies on the upper edge."
    rows = [
        [t["number"], t["state"], t["epochs"], t["score"], t["error"]]
        for t in sorted(trials, key=lambda t: t["score"])
    ]
    head = ("trial", "state", "epochs", found["unit"], "standard error")
    return figure("Score by trial", note, plot.svg("Score of each trial"), head, rows)


def best_so_far(trials: Sequence[Mapping[str, Any]]) -> list[tuple[int, float]]:
    """Number and score of each finished trial that was the best until then."""
    best, found = math.inf, list[tuple[int, float]]()
    for trial in trials:
        if trial["state"] == "finished" and trial["score"] < best:
            best = trial["score"]
            found.append((trial["number"], best))
    return found


def _steps(points: Sequence[tuple[int, float]], last: int) -> list[tuple[float, float]]:
    """Turn falls into a stair that goes on to the last trial."""
    stairs: list[tuple[float, float]] = []
    for number, score in points:
        if stairs:
            stairs.append((number, stairs[-1][1]))
        stairs.append((number, score))
    return [*stairs, (last, stairs[-1][1])] if stairs else []


def _span(scores: Sequence[float]) -> tuple[float, float]:
    """The range that is drawn: all of them, but for what is far worse than the better half."""
    known = sorted(scores)
    low, middle = known[0], known[len(known) // 2]
    limit = low + FAR * (middle - low)
    within = [score for score in known if score <= limit]
    return low, max(within, default=low)


def parallel(found: Mapping[str, Any]) -> dict[str, Any] | None:
    """Each trial as a line over its parameters and its score; None with less than two of them."""
    trials = [t for t in found["trials"] if t["score"] is not None][:MOST_LINES]
    names = [n for n in found["space"] if len({str(t["parameters"].get(n)) for t in trials}) > 1]
    if len(trials) < 2 or not names:
        return None
    scales = [Scale(name, found["space"][name], trials) for name in names]
    scales.append(Scale.of_scores(found["unit"], [t["score"] for t in trials]))
    gap = (WIDTH - 2 * SIDE) / (len(scales) - 1)
    shapes: list[Markup] = []
    best = found["best"]["number"]
    for trial in sorted(trials, key=lambda t: (t["number"] == best, t["state"] == "finished")):
        values = [*(trial["parameters"].get(name) for name in names), trial["score"]]
        points = [
            f"{round(SIDE + place * gap, 1)},{y}"
            for place, (scale, value) in enumerate(zip(scales, values, strict=True))
            if (y := scale.place(value)) is not None
        ]
        style = "main" if trial["state"] == "finished" else "other"
        style = "best" if trial["number"] == best else style
        shapes.append(Markup('<polyline class="{}" points="{}"/>').format(style, " ".join(points)))
    shapes += [scale.axis(round(SIDE + place * gap, 1)) for place, scale in enumerate(scales)]
    drawing = Markup(
        '<svg class="parallel" viewBox="0 0 {} {}" role="img"><title>{}</title>{}</svg>'
    ).format(WIDTH, HEIGHT, "Parameters and score of each trial", Markup("").join(shapes))
    note = "A line is a trial: coloured where it finished, grey where it was stopped, red the best."
    rows = [
        [t["number"], *(t["parameters"].get(name) for name in names), t["score"]]
        for t in sorted(trials, key=lambda t: t["score"])
    ]
    head = ("trial", *names, found["unit"])
    return figure("Parameters and score", note, drawing, head, rows)


class Scale:
    """One upright axis of the parallel coordinates: numbers, logarithms of numbers, or names."""

    def __init__(self, name: str, axis: Any, trials: Sequence[Mapping[str, Any]]) -> None:
        """Take the values of a parameter as the trials have them."""
        values = [t["parameters"][name] for t in trials if name in t["parameters"]]
        self.name = name
        self.log = isinstance(axis, dict) and bool(axis.get("log"))
        ranged = isinstance(axis, dict)
        self.names = [] if ranged else sorted(set(values), key=lambda v: (str(type(v)), v))
        self.ends = (min(values), max(values)) if ranged else (0, max(len(self.names) - 1, 1))

    @classmethod
    def of_scores(cls, name: str, scores: Sequence[float]) -> Scale:
        """The last axis; what is far worse than the others lies on its end."""
        made = cls.__new__(cls)
        made.name, made.log, made.names = name, False, []
        made.ends = _span(scores)
        return made

    def place(self, value: Any) -> float | None:
        """How far down a value lies; None where a trial has none."""
        if value is None:
            return None
        low, high = self.ends
        at = self.names.index(value) if self.names else min(value, high)
        if self.log:
            low, high, at = math.log(low), math.log(high), math.log(at)
        share = (at - low) / (high - low) if high > low else 0.5
        return round(HEIGHT - BOTTOM - share * (HEIGHT - TOP - BOTTOM), 1)

    def axis(self, x: float) -> Markup:
        """The axis with its name and what it counts."""
        top, bottom = TOP, HEIGHT - BOTTOM
        known = self.names or list(dict.fromkeys(self.ends))
        texts = Markup("").join(
            Markup('<text class="tick" x="{}" y="{}">{}</text>').format(
                x + 4, (self.place(value) or 0) + 3.5, _shown(value)
            )
            for value in known
        )
        return Markup(
            '<line class="grid" x1="{0}" x2="{0}" y1="{1}" y2="{2}"/>'
            '<text class="label" x="{0}" y="{3}" text-anchor="middle">{4}</text>{5}'
        ).format(x, top, bottom, top - 16, _named(self.name), texts)


def _shown(value: Any) -> str:
    return short(float(value)) if isinstance(value, int | float) else str(value)


def _named(name: str) -> str:
    return name if len(name) <= 16 else "score"


def importance(found: Mapping[str, Any]) -> dict[str, Any] | None:
    """How much of the differences each parameter explains; None where there is too little."""
    shares = (found.get("importance") or {}).get("shares") or {}
    if not shares:
        return None
    high = 24 * len(shares) + 8
    most = max(shares.values()) or 1.0
    shapes = [
        Markup(
            '<text x="104" y="{1}" text-anchor="end">{0}</text>'
            '<rect class="bar" x="112" y="{2}" width="{3}" height="13"/>'
            '<text x="{4}" y="{1}">{5}</text>'
        ).format(name, y + 11, y, wide, 118 + wide, f"{100 * share:.0f} %")
        for place, (name, share) in enumerate(shares.items())
        for y, wide in [(24 * place + 6, round(max(200 * share / most, 1), 1))]
    ]
    drawing = Markup(
        '<svg class="plot" viewBox="0 0 360 {}" role="img"><title>{}</title>{}</svg>'
    ).format(high, "Importance of each parameter", Markup("").join(shapes))
    basis = found["importance"]
    when = f"after {basis['epoch']} epochs" if basis.get("epoch") else "at their end"
    note = (
        f"Share of the differences between {basis['trials']} trials {when} that a parameter "
        "explains (fANOVA)."
    )
    rows = [[name, share] for name, share in shares.items()]
    return figure("Importance", note, drawing, ("parameter", "share"), rows)


def learning(found: Mapping[str, Any]) -> dict[str, Any] | None:
    """Loss by the number of rows learned from; None where it was not asked for."""
    points = [p for p in (found.get("learning_curve") or {}).get("points", ()) if p["score"]]
    if len(points) < 2:
        return None
    ends = [p["score"] + side * (p["error"] or 0) for p in points for side in (-1, 1)]
    known = [*ends, *(p["train"] for p in points)]
    most = points[-1]["rows"]
    plot = Plot((0, most), (min(known), max(known)), x_label="train rows", y_label=found["unit"])
    plot.line([(p["rows"], p["train"]) for p in points], "other")
    plot.line([(p["rows"], p["score"]) for p in points], "main")
    for p in points:
        plot.whisker(p["rows"], p["score"] - (p["error"] or 0), p["score"] + (p["error"] or 0))
    plot.dots([(p["rows"], p["score"]) for p in points], "dot")
    note = "Coloured: validation rows, with one standard error. Grey: the rows learned from."
    rows = [[p["rows"], p["score"], p["error"], p["train"]] for p in points]
    head = ("train rows", "validation loss", "standard error", "train loss")
    return figure("Learning curve", note, plot.svg("Loss by the number of rows"), head, rows)


def alone(drawn: Mapping[str, Any]) -> str:
    """Return a figure's drawing as a file of its own, with its size and its style."""
    head, _, rest = str(drawn["svg"]).partition(">")
    wide, high = re.findall(r"\d+", head.partition('viewBox="')[2])[2:4]
    size = (
        f'width="{2 * int(wide)}" height="{2 * int(high)}"'
        if int(wide) < WIDTH
        else (f'width="{wide}" height="{high}"')
    )
    space = 'xmlns="http://www.w3.org/2000/svg"'
    return f"{head} {space} {size}><style>{STYLE}</style>{rest}\n"
