"""The report's charts: from the evidence's tables to drawings, each with its table behind it.

- A figure is a title, a sentence, the drawing and the rows of its table; the template does the rest.
"""

from __future__ import annotations

from statistics import median
from typing import TYPE_CHECKING, Any

from expectations.failure import shown
from flows.charts import Plot

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

MOST_CURVES = 24


def figure(
    title: str, note: str, drawing: Any, head: Sequence[str], rows: Sequence[Sequence[Any]]
) -> dict[str, Any]:
    """One chart with the table that it was drawn from."""
    return {"title": title, "note": note, "svg": drawing, "head": list(head), "rows": list(rows)}


def learning(members: Sequence[Mapping[str, Any]], loss: str) -> dict[str, Any] | None:
    """Train and validation loss per epoch of the chosen members; None without any."""
    shown = [m for m in members if m.get("validation")][:MOST_CURVES]
    if not shown:
        return None
    longest = max(len(m["validation"]) for m in shown)
    # The first epochs of a network are far above all others and would flatten the rest.
    settled = [
        value
        for m in shown
        for curve in (m["train"], m["validation"])
        for value in curve[len(curve) // 10 :]
        if value is not None
    ]
    if not settled:
        return None
    plot = Plot((1, longest), (min(settled), max(settled)), x_label="epoch", y_label=loss)
    top = plot.y[1]
    for name, style in (("train", "other thin"), ("validation", "main thin")):
        for member in shown:
            curve = enumerate(member[name], start=1)
            plot.line(((e, v) for e, v in curve if v is not None and v <= top), style)
    best = [(m["best_epoch"] + 1, m["validation"][m["best_epoch"]]) for m in shown if _has_best(m)]
    plot.dots([point for point in best if point[1] <= top], "dot", 2.6)
    rows = [
        [f"fold {m.get('fold', 0)}, seed {m.get('seed', 0)}", len(m["validation"]),
         m["best_epoch"] + 1, *_losses(m), m.get("stopped") or ""]
        for m in shown if _has_best(m)
    ]  # fmt: skip
    note = "Grey: train rows. Coloured: validation rows. A dot marks the weights that were kept."
    head = ("member", "epochs", "best epoch", "train loss", "validation loss", "stopped by")
    return figure("Learning curves", note, plot.svg("Loss per epoch"), head, rows)


def _has_best(member: Mapping[str, Any]) -> bool:
    at = member.get("best_epoch")
    return (
        at is not None
        and 0 <= at < len(member["validation"])
        and member["validation"][at] is not None
    )


def _losses(member: Mapping[str, Any]) -> tuple[float | None, float | None]:
    at = member["best_epoch"]
    train = member["train"][at] if at < len(member["train"]) else None
    return train, member["validation"][at]


def diagnosis(members: Sequence[Mapping[str, Any]]) -> str | None:
    """A plain sentence on how the training went; numbers are medians over the members."""
    known = [m for m in members if m.get("validation") and _has_best(m)]
    known = [m for m in known if None not in (m["validation"][0], m["validation"][-1])]
    if not known:
        return None
    epoch = int(median(m["best_epoch"] + 1 for m in known))
    ran = int(median(len(m["validation"]) for m in known))
    train = [t for m in known if (t := _losses(m)[0]) is not None]
    ours, theirs = (
        median(train) if train else None,
        median(m["validation"][m["best_epoch"]] for m in known),
    )
    last = median(m["validation"][-1] for m in known)
    first = median(m["validation"][0] for m in known)
    facts = f"validation loss {theirs:.4g}" + (
        f", train loss {ours:.4g}" if ours is not None else ""
    )
    if theirs >= first * 0.999 and ran > 2:
        return f"Learned next to nothing: the validation loss never fell below its start ({facts})."
    if epoch >= ran and not any(m.get("stopped") == "patience" for m in known):
        return (
            f"Underfits: the validation loss was still falling at the last epoch, {ran} ({facts}); "
            "more epochs may help."
        )
    kept = f"the weights of epoch {epoch} were kept ({facts})"
    if last > 1.05 * theirs and ran > epoch:
        return (
            f"Overfits after epoch {epoch}: by epoch {ran} the validation loss had risen to "
            f"{last:.4g}; {kept}."
        )
    return f"Stopped at epoch {ran}, where the validation loss no longer fell; {kept}."


def rates(curves: Mapping[str, Any], positive: str) -> list[dict[str, Any]]:
    """ROC and precision-recall curves, test before validation."""
    sides = [(name, curves[name]) for name in ("validation", "test") if curves.get(name)]
    if not sides:
        return []
    roc = Plot((0, 1), (0, 1), x_label="false positive rate", y_label="true positive rate")
    pr = Plot((0, 1), (0, 1), x_label="recall", y_label="precision")
    roc.line([(0, 0), (1, 1)], "ideal")
    tables: list[list[Any]] = [[], []]
    for name, found in sides:
        style = "main" if name == "test" else "other"
        x, y = found["roc"]["false_positive_rate"], found["roc"]["true_positive_rate"]
        roc.line(zip(x, y, strict=True), style)
        r, p = found["precision_recall"]["recall"], found["precision_recall"]["precision"]
        pr.line(zip(r, p, strict=True), style)
        tables[0] += [[name, a, b] for a, b in list(zip(x, y, strict=True))[::6]]
        tables[1] += [[name, a, b] for a, b in list(zip(r, p, strict=True))[::6]]
        pr.line([(0, found["prevalence"]), (1, found["prevalence"])], "ideal")
    note = f"Positive class: {shown(positive, 40)}. Coloured: test. Grey: validation."
    return [
        figure("ROC curve", note, roc.svg("True against false positive rate"),
               ("side", "false positive rate", "true positive rate"), tables[0]),
        figure("Precision and recall", note + " Dashed: share of positives.",
               pr.svg("Precision against recall"), ("side", "recall", "precision"), tables[1]),
    ]  # fmt: skip


def calibration(bins: Sequence[Mapping[str, Any]], binary: bool) -> dict[str, Any] | None:
    """Observed against predicted frequency, with intervals."""
    if not bins:
        return None
    plot = Plot((0, 1), (0, 1), x_label="predicted probability", y_label="observed frequency")
    plot.line([(0, 0), (1, 1)], "ideal")
    for found in bins:
        plot.whisker(found["predicted"], found["low"], found["high"])
    plot.dots([(found["predicted"], found["observed"]) for found in bins], "dot", 3)
    what = "the positive class" if binary else "the likeliest class"
    keys = ("predicted", "observed", "low", "high", "rows")
    rows = [[found[key] for key in keys] for found in bins]
    note = (
        f"Probability of {what}, test rows in ten bins; a calibrated model keeps to the diagonal."
    )
    return figure("Calibration", note, plot.svg("Observed against predicted"), keys, rows)


def predicted_true(scatter: Mapping[str, Any], target: str) -> dict[str, Any] | None:
    """Predicted against true values of test rows."""
    pairs = list(zip(scatter.get("true", ()), scatter.get("predicted", ()), strict=True))
    if not pairs:
        return None
    low, high = min(map(min, pairs)), max(map(max, pairs))
    plot = Plot((low, high), (low, high), x_label=f"true {shown(target, 30)}", y_label="predicted")
    plot.line([(low, low), (high, high)], "ideal")
    plot.dots(pairs, "dot faint", 2.2)
    note = (
        f"{len(pairs):,} of {scatter['of_rows']:,} test rows; the dashed line is a perfect answer."
    )
    drawing = plot.svg("Predicted against true values")
    return figure("Predicted against true", note, drawing, ("true", "predicted"), pairs[:40])


def residuals(found: Mapping[str, Any]) -> dict[str, Any]:
    """Histogram of predicted minus true."""
    edges, counts = found["histogram"]["edges"], found["histogram"]["counts"]
    plot = Plot(
        (edges[0], edges[-1]), (0, max(counts)), x_label="predicted minus true", y_label="rows"
    )
    for left, right, count in zip(edges, edges[1:], counts, strict=False):
        plot.bar(left, right, count)
    if edges[0] < 0 < edges[-1]:
        plot.line([(0, 0), (0, max(counts))], "ideal")
    outside = found["histogram"]["below"] + found["histogram"]["above"]
    note = f"Mean {found['mean']:.4g}, standard deviation {found['std']:.4g}; {outside:,} rows lie outside."
    rows = [[a, b, n] for a, b, n in zip(edges, edges[1:], counts, strict=False)]
    return figure(
        "Residuals", note, plot.svg("Histogram of residuals"), ("from", "to", "rows"), rows
    )
